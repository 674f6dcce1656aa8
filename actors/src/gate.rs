//! Backpressure of one connection: its transport is read only while few of its packets are unanswered and few answers
//! and events wait to be sent to it. A client that asks faster than it listens is slowed down, not cut off.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

use crate::limits::{OUTBOX_PACKETS, SESSION_IN_FLIGHT};

/// Closes at [`SESSION_IN_FLIGHT`] unanswered packets, and opens again at half of them; is closed while half of the
/// outbox's [`OUTBOX_PACKETS`] wait or are to be expected.
#[derive(Debug, Default)]
pub struct Gate {
    in_flight: AtomicUsize,
    unsent: AtomicUsize,
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

    /// A packet waits to be sent to the client.
    pub fn queued(&self) {
        self.unsent.fetch_add(1, Ordering::SeqCst);
    }

    /// Packets were sent. A transport that cannot count them says all: one that was queued at the same moment is then
    /// not counted, until the next time.
    pub fn sent(&self, packets: usize) {
        let left = |unsent: usize| Some(unsent.saturating_sub(packets));
        let _ = self.unsent.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left);
        self.reopened.notify_waiters();
    }

    /// Whether the transport may be read on.
    pub fn is_open(&self) -> bool {
        let in_flight = self.in_flight.load(Ordering::SeqCst);
        // Each will bring an answer and, mostly, an event.
        let to_come = self.unsent.load(Ordering::SeqCst) + 2 * in_flight;
        in_flight < SESSION_IN_FLIGHT && to_come < OUTBOX_PACKETS / 2
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

    /// The connection is over: whoever waits goes on and finds out.
    pub fn release(&self) {
        self.in_flight.store(0, Ordering::SeqCst);
        self.unsent.store(0, Ordering::SeqCst);
        self.reopened.notify_waiters();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let left = |in_flight: usize| Some(in_flight.saturating_sub(1));
        let before = self.0.in_flight.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).unwrap_or_default();
        if before == SESSION_IN_FLIGHT / 2 {
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
        permits.truncate(SESSION_IN_FLIGHT / 2);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        permits.truncate(SESSION_IN_FLIGHT / 2 - 1);
        waiting.await.expect("the gate opened");
    }

    #[tokio::test]
    async fn a_gate_is_closed_while_much_waits_to_be_sent() {
        let gate = Arc::new(Gate::default());
        (0..OUTBOX_PACKETS / 2).for_each(|_| gate.queued());
        assert!(!gate.is_open());
        let waiting = tokio::spawn(gate.clone().opened());
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        gate.sent(1);
        waiting.await.expect("the gate opened");
        gate.sent(usize::MAX);
        gate.sent(1);
        assert!(gate.is_open(), "never less than nothing waits");
    }

    #[tokio::test]
    async fn the_end_of_a_connection_releases_who_waits() {
        let gate = Arc::new(Gate::default());
        let permits: Vec<_> = (0..SESSION_IN_FLIGHT).map(|_| gate.enter()).collect();
        let waiting = tokio::spawn(gate.clone().opened());
        tokio::task::yield_now().await;
        gate.release();
        waiting.await.expect("the gate opened");
        drop(permits);
    }
}
