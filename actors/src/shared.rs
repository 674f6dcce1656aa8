//! What the actors of one server share.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize},
    },
    time::{Duration, Instant},
};

use dashmap::DashMap;
use tokio::sync::SetOnce;

use crate::{
    counters::Counters,
    credentials::Revocations,
    directory::Directory,
    hub::Presence,
    ids::{ConversationId, MessageId, UserId},
    loading::Loader,
    outbox::CloseReason,
    per_user::PerUser,
    profile::{LiveProfile, Profiles},
    recovery::Recoveries,
    room::RoomHandle,
    store::{Store, StoreError},
    timestamp::Timestamp,
    turns::Turns,
    workers::Workers,
};

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) counters: Arc<Counters>,
    pub(crate) directory: Directory,
    pub(crate) presence: Presence,
    pub(crate) profiles: Profiles,
    pub(crate) loader: Loader,
    pub(crate) store: Store,
    pub(crate) workers: Workers,
    pub(crate) recoveries: Recoveries,
    pub(crate) revocations: Revocations,
    /// How many rooms a user's sessions have joined.
    pub(crate) joined: PerUser<AtomicUsize>,
    /// What is counted of a user in several rooms is counted and told in one order.
    pub(crate) count_turns: Turns,
    /// Deletions that were refused though they may have been carried out, since when, and whose they are.
    pub(crate) undecided_deletions: DashMap<(MessageId, UserId), Instant>,
    pub(crate) room_idle: Duration,
    /// Filled when connections may be served: how many servers have opened before on this database, and this one.
    pub(crate) open: SetOnce<i64>,
    /// Settings of Postgres that lose what was committed.
    pub(crate) risks: Mutex<Vec<&'static str>>,
    /// The server will stop: no new connections.
    pub(crate) draining: AtomicBool,
    /// The server stops: no new messages.
    pub(crate) stopping: AtomicBool,
}

impl Shared {
    pub(crate) fn room(self: &Arc<Self>, conversation: ConversationId) -> Option<RoomHandle> {
        self.directory.room(conversation, self)
    }

    pub(crate) async fn load_revocations(&self) -> Result<(), StoreError> {
        for (user, at) in self.store.list_revocations().await? {
            self.revocations.add(user, at);
        }
        Ok(())
    }

    /// A user's tokens of before do not hold any more.
    pub(crate) fn revoked(&self, user: UserId, at: Timestamp) {
        // In this order: a session that registers meanwhile is closed by the one or the other.
        self.revocations.add(user, at);
        self.workers.each(u64::MAX, |hub| hub.close_user(user, CloseReason::Revoked));
    }

    /// Reads profiles that are in use: whoever holds them has what was committed before, or later.
    pub(crate) async fn read_again(&self, profiles: &[Arc<LiveProfile>]) -> Result<(), StoreError> {
        if profiles.is_empty() {
            return Ok(());
        }
        let readings: HashMap<_, _> = profiles.iter().map(|live| (live.id, (live, live.begin_reading()))).collect();
        let users: Vec<_> = readings.keys().copied().collect();
        for profile in self.store.find_users(&users).await? {
            if let Some((live, reading)) = readings.get(&profile.id) {
                live.end_reading(*reading, profile);
            }
        }
        Ok(())
    }
}
