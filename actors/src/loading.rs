//! What rooms are made of, read from Postgres: those that are asked for while others are being read come all together with
//! the next statement.
//!
//! However many rooms somebody has loaded, and however far away Postgres is, nobody else waits for longer than a few round
//! trips.

use std::{
    collections::HashMap,
    fmt,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Instant,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit, oneshot},
    time::timeout,
};

use crate::{
    ids::ConversationId,
    limits::{POOL_WAIT, ROOM_LOAD_TURN, ROOM_LOADS, ROOMS_AT_ONCE},
    profile::LiveProfile,
    shared::Shared,
    store::StoreError,
};

/// What a room is made of.
#[derive(Clone)]
pub(crate) struct RoomLoad {
    pub(crate) conversation: ConversationId,
    pub(crate) participants: [Arc<LiveProfile>; 2],
    pub(crate) last_seq: i64,
}

/// What came of loading a room.
pub(crate) enum Loaded {
    Room(RoomLoad),
    /// There is no such conversation.
    Nothing,
    /// Postgres could not say in time, or the server stops.
    Unavailable,
}

/// A room that waits for the next statement.
struct Asked {
    conversation: ConversationId,
    since: Instant,
    answer: oneshot::Sender<Loaded>,
}

/// The rooms that wait.
pub(crate) struct Loader {
    waiting: Mutex<Vec<Asked>>,
    /// The statements that there may be at the same time. Whoever gets one reads for all who wait.
    statements: Semaphore,
}

impl Default for Loader {
    fn default() -> Self {
        Self { waiting: Mutex::default(), statements: Semaphore::new(ROOM_LOADS) }
    }
}

impl fmt::Debug for Loader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Loader").finish_non_exhaustive()
    }
}

impl Loader {
    fn waiting(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those who have waited longest.
    fn take(&self) -> Vec<Asked> {
        let mut waiting = self.waiting();
        let some = waiting.len().min(ROOMS_AT_ONCE);
        waiting.drain(..some).collect()
    }
}

impl Shared {
    /// What the conversation's room is made of.
    pub(crate) async fn load_room(&self, conversation: ConversationId) -> Loaded {
        let (answer, mut answered) = oneshot::channel();
        self.loader.waiting().push(Asked { conversation, since: Instant::now(), answer });
        let loaded = loop {
            tokio::select! {
                biased;
                loaded = &mut answered => break loaded,
                turn = self.loader.statements.acquire() => {
                    if !self.loader.waiting().iter().any(|asked| asked.conversation == conversation) {
                        // Somebody reads for it already, and may be done before others are read.
                        drop(turn);
                        break answered.await;
                    }
                    self.load_waiting(turn.expect("nobody closes it")).await;
                }
            }
        };
        // Where the room that read for others has failed, they have no answer.
        loaded.unwrap_or(Loaded::Unavailable)
    }

    async fn load_waiting(&self, turn: SemaphorePermit<'_>) {
        let is_late = |asked: &Asked| self.stopping.load(Ordering::SeqCst) || asked.since.elapsed() > POOL_WAIT;
        let (late, asked): (Vec<_>, Vec<_>) = self.loader.take().into_iter().partition(is_late);
        late.into_iter().for_each(|Asked { answer, .. }| drop(answer.send(Loaded::Unavailable)));
        let ids: Vec<_> = asked.iter().map(|one| one.conversation).collect();
        if ids.is_empty() {
            return;
        }
        let mut load = pin!(self.try_load(&ids));
        let found = match timeout(ROOM_LOAD_TURN, &mut load).await {
            Ok(found) => found,
            Err(_) => {
                drop(turn);
                load.await
            }
        };
        for Asked { conversation, answer, .. } in asked {
            let loaded = match &found {
                Some(found) => found.get(&conversation).cloned().map_or(Loaded::Nothing, Loaded::Room),
                None => Loaded::Unavailable,
            };
            // Whoever asked may have gone meanwhile.
            drop(answer.send(loaded));
        }
    }

    async fn try_load(&self, conversations: &[ConversationId]) -> Option<HashMap<ConversationId, RoomLoad>> {
        match self.load_rooms(conversations).await {
            Ok(found) => Some(found.into_iter().map(|load| (load.conversation, load)).collect()),
            Err(error) => {
                tracing::warn!(rooms = conversations.len(), %error, "cannot load rooms");
                None
            }
        }
    }

    /// What rooms are made of, but for those of conversations that are not there.
    pub(crate) async fn load_rooms(&self, conversations: &[ConversationId]) -> Result<Vec<RoomLoad>, StoreError> {
        let changes = self.profiles.changes();
        let found = self.store.find_rooms(conversations).await?.into_iter();
        let loads = found.map(|(conversation, profiles, last_seq)| RoomLoad {
            conversation,
            participants: profiles.map(|profile| self.profiles.hold(profile)),
            last_seq,
        });
        let loads: Vec<_> = loads.collect();
        if self.profiles.changes() != changes {
            let profiles: Vec<_> = loads.iter().flat_map(|load| load.participants.clone()).collect();
            self.read_again(&profiles).await?;
        }
        Ok(loads)
    }
}
