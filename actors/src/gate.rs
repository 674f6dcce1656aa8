//! Backpressure of one connection: its transport is read only while few enough of its packets are unanswered.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

use crate::limits::SESSION_IN_FLIGHT;

/// Closes at [`SESSION_IN_FLIGHT`] unanswered packets and opens again at half of them.
#[derive(Debug, Default)]
pub struct Gate {
    in_flight: AtomicUsize,
    reopened: Notify,
}

/// One packet that is not answered yet.
#[derive(Debug)]
pub struct Permit(Arc<Gate>);

impl Gate {
    /// Counts one packet in. Never refuses: a transport has read it already.
    pub fn enter(self: &Arc<Self>) -> Permit {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        Permit(self.clone())
    }

    /// Whether the transport may be read on.
    pub fn is_open(&self) -> bool {
        self.in_flight.load(Ordering::SeqCst) < SESSION_IN_FLIGHT
    }

    /// Returns when the transport may be read on.
    pub async fn opened(self: Arc<Self>) {
        loop {
            let reopened = self.reopened.notified();
            tokio::pin!(reopened);
            // Registered before looking, so that no opening is missed.
            reopened.as_mut().enable();
            if self.is_open() {
                return;
            }
            reopened.await;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Ordering::SeqCst) == SESSION_IN_FLIGHT / 2 {
            self.0.reopened.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_gate_closes_at_its_bound_and_opens_at_half_of_it() {
        let gate = Arc::new(Gate::default());
        let mut permits: Vec<_> = (0..SESSION_IN_FLIGHT - 1).map(|_| gate.enter()).collect();
        assert!(gate.is_open());
        permits.push(gate.enter());
        assert!(!gate.is_open());
        let waiting = tokio::spawn(gate.clone().opened());
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        permits.truncate(SESSION_IN_FLIGHT / 2 - 1);
        waiting.await.expect("the gate opened");
    }
}
