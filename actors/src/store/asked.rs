//! What is asked of Postgres and not answered yet, as far as a stop waits for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// What was asked before a stop.
#[derive(Debug, Default)]
pub(super) struct Asked {
    is_over: AtomicBool,
    under_way: AtomicUsize,
}

/// Something that was, until it is dropped.
pub(super) struct Asking(Arc<Asked>);

impl Asked {
    /// Something is asked; `None` where no stop waits for it any more.
    pub(super) fn begin(self: &Arc<Self>) -> Option<Asking> {
        // In this order: a stop that begins meanwhile waits for it, or need not.
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let asking = Asking(self.clone());
        (!self.is_over.load(Ordering::SeqCst)).then_some(asking)
    }

    /// Returns when all that has been asked up to now is answered, or has failed. From now on nothing is counted: callers
    /// without end would keep a stop waiting.
    pub(super) async fn settled(&self) {
        // Only a stop waits for it, so that looking now and then is simpler than being told.
        const LOOK: Duration = Duration::from_millis(5);
        self.is_over.store(true, Ordering::SeqCst);
        while self.under_way.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn a_stop_waits_for_what_was_asked_before_it_and_for_nothing_else() {
        let asked = Arc::new(Asked::default());
        let before = asked.begin();
        let mut settled = std::pin::pin!(asked.settled());
        assert!(poll!(&mut settled).is_pending());
        assert!(asked.begin().is_none());
        drop(before);
        settled.await;
    }
}
