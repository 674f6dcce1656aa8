//! What is there and what has happened, counted without locks.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{durations::Durations, labelled::labelled, outbox::CloseReason, refusal::Code};

labelled! {
    /// One of the counters.
    #[derive(Clone, Copy, Debug)]
    pub enum Gauge {
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
}

/// All counters of one server.
#[derive(Debug)]
pub struct Counters {
    gauges: [AtomicI64; Gauge::ALL.len()],
    refusals: [AtomicU64; Code::ALL.len()],
    closed: [AtomicU64; CloseReason::ALL.len()],
    /// How long the commit of a batch took, from its sending to its answer.
    pub commits: Durations,
    /// How long a message took from being let in to its commit.
    pub messages: Durations,
    /// How many messages a batch had.
    pub batch_messages: Histogram,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            gauges: std::array::from_fn(|_| AtomicI64::new(0)),
            refusals: std::array::from_fn(|_| AtomicU64::new(0)),
            closed: std::array::from_fn(|_| AtomicU64::new(0)),
            commits: Durations::default(),
            messages: Durations::default(),
            // 1 to 256, which is the most there are.
            batch_messages: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
        }
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
        self.gauges[gauge as usize].fetch_add(by, Ordering::SeqCst);
    }

    /// A client was refused something.
    pub fn refused(&self, code: Code) {
        self.refusals[code as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A connection ended.
    pub fn closed(&self, reason: CloseReason) {
        self.closed[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often a client was refused something with this code, since the start.
    pub fn refusals(&self, code: Code) -> u64 {
        self.refusals[code as usize].load(Ordering::Relaxed)
    }

    /// How many connections ended for this reason, since the start.
    pub fn closures(&self, reason: CloseReason) -> u64 {
        self.closed[reason as usize].load(Ordering::Relaxed)
    }

    /// The value now.
    pub fn get(&self, gauge: Gauge) -> i64 {
        self.gauges[gauge as usize].load(Ordering::SeqCst)
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
        let mut map = serializer.serialize_map(Some(Gauge::ALL.len()))?;
        for gauge in Gauge::ALL {
            map.serialize_entry(gauge.as_str(), &self.get(*gauge))?;
        }
        map.end()
    }
}
