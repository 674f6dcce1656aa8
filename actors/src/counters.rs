//! What is there and what has happened, counted without locks.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use serde::{Serialize, Serializer, ser::SerializeMap};

macro_rules! gauges {
    ($($(#[$doc:meta])* $name:ident = $label:literal,)*) => {
        /// One of the counters.
        #[derive(Clone, Copy, Debug)]
        pub enum Gauge { $($(#[$doc])* $name,)* }

        const LABELS: &[&str] = &[$($label,)*];
    };
}

gauges! {
    /// Open Engine.IO connections.
    Connections = "connections",
    /// Sessions: clients that have connected.
    Sessions = "sessions",
    /// Sessions among them that lost their connection, and wait for another one.
    LostSessions = "lost_sessions",
    /// Rooms in memory.
    Rooms = "rooms",
    /// Places of sessions in rooms.
    HubMembers = "hub_members",
    /// Requests of sessions that are not answered yet.
    Unanswered = "unanswered",
    /// Messages accepted and not yet answered.
    MessagesInFlight = "messages_in_flight",
    /// Reads and deletions of which not everybody has heard yet.
    Announcements = "announcements",
    /// Messages committed, since the start.
    MessagesCommitted = "messages_committed",
    /// Batches committed, since the start.
    BatchesCommitted = "batches_committed",
    /// Connections closed because their client read too slowly, since the start.
    SlowConsumers = "slow_consumers",
    /// Connections that were refused because there were too many, since the start.
    Refused = "refused_connections",
    /// Actors that panicked, since the start.
    ActorsFailed = "actors_failed",
}

/// All counters of one server.
#[derive(Debug)]
pub struct Counters([AtomicI64; LABELS.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicI64::new(0)))
    }
}

impl Counters {
    /// One more.
    pub fn add(&self, gauge: Gauge) {
        self.change(gauge, 1);
    }

    /// One less.
    pub fn sub(&self, gauge: Gauge) {
        self.change(gauge, -1);
    }

    /// One more, until what is returned is dropped.
    pub(crate) fn hold(self: &Arc<Self>, gauge: Gauge) -> Held {
        self.add(gauge);
        Held { counters: self.clone(), gauge }
    }

    pub(crate) fn change(&self, gauge: Gauge, by: i64) {
        self.0[gauge as usize].fetch_add(by, Ordering::SeqCst);
    }

    /// The value now.
    pub fn get(&self, gauge: Gauge) -> i64 {
        self.0[gauge as usize].load(Ordering::SeqCst)
    }
}

/// One that is counted for as long as this lives.
#[derive(Debug)]
pub(crate) struct Held {
    counters: Arc<Counters>,
    gauge: Gauge,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.counters.sub(self.gauge);
    }
}

impl Serialize for Counters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(LABELS.len()))?;
        for (label, value) in LABELS.iter().zip(&self.0) {
            map.serialize_entry(label, &value.load(Ordering::SeqCst))?;
        }
        map.end()
    }
}
