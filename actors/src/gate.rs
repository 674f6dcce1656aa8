//! Backpressure of one connection: its transport is read only while few of its packets are unanswered and few answers
//! and events wait to be sent to it. A client that asks faster than it listens is slowed down, not cut off.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

use crate::{
    event::Durability,
    limits::{OUTBOX_BYTES, OUTBOX_PACKETS, SESSION_IN_FLIGHT},
};

/// Closes at [`SESSION_IN_FLIGHT`] unanswered packets, and opens again at half of them; is closed while half of the
/// outbox's [`OUTBOX_PACKETS`] or [`OUTBOX_BYTES`] wait or are to be expected.
#[derive(Debug, Default)]
pub struct Gate {
    in_flight: Load,
    unsent: Load,
    /// How many wait for it to open.
    waiting: AtomicUsize,
    reopened: Notify,
}

/// Packets and their bytes.
#[derive(Debug, Default)]
struct Load {
    packets: AtomicUsize,
    bytes: AtomicUsize,
}

impl Load {
    fn add(&self, bytes: usize) {
        self.packets.fetch_add(1, Ordering::SeqCst);
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    /// Never less than nothing. Returns how many packets there were.
    fn remove(&self, packets: usize, bytes: usize) -> usize {
        let less = |count: &AtomicUsize, by: usize| {
            let left = |now: usize| Some(now.saturating_sub(by));
            count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).unwrap_or_default()
        };
        less(&self.bytes, bytes);
        less(&self.packets, packets)
    }

    fn get(&self) -> (usize, usize) {
        (self.packets.load(Ordering::SeqCst), self.bytes.load(Ordering::SeqCst))
    }
}

/// One packet that is not answered yet.
#[derive(Debug)]
pub struct Permit {
    gate: Arc<Gate>,
    bytes: usize,
}

impl Gate {
    /// Counts one packet of so many bytes in. Never refuses: a transport has read it already.
    pub fn enter(self: &Arc<Self>, bytes: usize) -> Permit {
        self.in_flight.add(bytes);
        Permit { gate: self.clone(), bytes }
    }

    /// A packet of so many bytes waits to be sent to the client; `false` if there is no room for it. What is ephemeral
    /// has half the room, so that it never takes the place of something durable.
    pub fn queue(&self, bytes: usize, durability: Durability) -> bool {
        let (packets, waiting) = self.unsent.get();
        let share = if durability == Durability::Durable { 1 } else { 2 };
        let room = packets < OUTBOX_PACKETS / share && waiting + bytes <= OUTBOX_BYTES / share;
        if room {
            self.unsent.add(bytes);
        }
        room
    }

    /// Packets were sent.
    pub fn sent(&self, packets: usize, bytes: usize) {
        self.unsent.remove(packets, bytes);
        self.reopened.notify_waiters();
    }

    /// Everything was sent, says a transport that cannot count. What was queued at the same moment is then not counted.
    pub fn all_sent(&self) {
        self.sent(usize::MAX, usize::MAX);
    }

    /// What waits to be sent: packets and their bytes; and what is not answered yet.
    pub fn load(&self) -> [(usize, usize); 2] {
        [self.unsent.get(), self.in_flight.get()]
    }

    /// Whether the transport may be read on.
    pub fn is_open(&self) -> bool {
        let ((in_flight, asked), (unsent, unsent_bytes)) = (self.in_flight.get(), self.unsent.get());
        // Each packet will bring an answer and, mostly, an event, about as long as itself.
        in_flight < SESSION_IN_FLIGHT
            && unsent + 2 * in_flight < OUTBOX_PACKETS / 2
            && unsent_bytes + 2 * asked < OUTBOX_BYTES / 2
    }

    /// Returns when the transport may be read on.
    pub async fn opened(self: Arc<Self>) {
        // Before looking, as below: whoever answers a packet now sees it.
        let _waits = Waits::at(&self.waiting);
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
        self.in_flight.remove(usize::MAX, usize::MAX);
        self.all_sent();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let gate = &self.gate;
        let packets = gate.in_flight.remove(1, self.bytes);
        // Bytes may keep it closed for longer than packets do.
        if packets <= SESSION_IN_FLIGHT / 2 && gate.waiting.load(Ordering::SeqCst) > 0 && gate.is_open() {
            gate.reopened.notify_waiters();
        }
    }
}

/// Counts one that waits, for as long as it does.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn at(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::SeqCst);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_gate_closes_at_its_bound_and_opens_at_half_of_it() {
        let gate = Arc::new(Gate::default());
        let mut permits: Vec<_> = (0..SESSION_IN_FLIGHT - 1).map(|_| gate.enter(1)).collect();
        assert!(gate.is_open());
        permits.push(gate.enter(1));
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
    async fn a_gate_that_few_large_packets_closed_opens_when_they_are_answered() {
        let gate = Arc::new(Gate::default());
        let mut permits: Vec<_> = (0..4).map(|_| gate.enter(OUTBOX_BYTES / 8)).collect();
        assert!(!gate.is_open());
        let waiting = tokio::spawn(gate.clone().opened());
        tokio::task::yield_now().await;
        permits.truncate(2);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        permits.truncate(1);
        waiting.await.expect("the gate opened");
        assert_eq!(gate.waiting.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_gate_is_closed_while_much_waits_to_be_sent() {
        let gate = Arc::new(Gate::default());
        assert!((0..OUTBOX_PACKETS / 2).all(|_| gate.queue(1, Durability::Durable)));
        assert!(!gate.is_open());
        let waiting = tokio::spawn(gate.clone().opened());
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        gate.sent(1, 1);
        waiting.await.expect("the gate opened");
        gate.all_sent();
        gate.sent(1, 1);
        assert!(gate.is_open(), "never less than nothing waits");
    }

    #[test]
    fn there_is_room_for_so_many_packets_and_bytes() {
        let gate = Gate::default();
        assert!((0..OUTBOX_PACKETS / 2).all(|_| gate.queue(1, Durability::Ephemeral)));
        assert!(!gate.queue(1, Durability::Ephemeral));
        assert!((0..OUTBOX_PACKETS / 2).all(|_| gate.queue(1, Durability::Durable)));
        assert!(!gate.queue(1, Durability::Durable));
        gate.all_sent();
        assert!(gate.queue(OUTBOX_BYTES, Durability::Durable) && !gate.queue(1, Durability::Durable));
        assert!(!gate.is_open());
    }

    #[tokio::test]
    async fn the_end_of_a_connection_releases_who_waits() {
        let gate = Arc::new(Gate::default());
        let permits: Vec<_> = (0..SESSION_IN_FLIGHT).map(|_| gate.enter(1)).collect();
        let waiting = tokio::spawn(gate.clone().opened());
        tokio::task::yield_now().await;
        gate.release();
        waiting.await.expect("the gate opened");
        drop(permits);
    }
}
