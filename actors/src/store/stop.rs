//! A server that stops, as far as it concerns those who wait for Postgres.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Notify, futures::Notified};

#[derive(Debug, Default)]
pub(super) struct Stop {
    has_begun: AtomicBool,
    begins: Notify,
}

impl Stop {
    pub(super) fn begin(&self) {
        self.has_begun.store(true, Ordering::SeqCst);
        self.begins.notify_waiters();
    }

    /// Returns when the stop begins, if it does so after this call.
    pub(super) fn begins(&self) -> Notified<'_> {
        self.begins.notified()
    }

    /// To be asked after [`begins`](Self::begins) by those for whom it is the same: then they miss nothing.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::SeqCst)
    }
}
