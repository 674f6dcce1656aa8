//! What rooms are made of, read from Postgres: those that are asked for while others are being read come all together with
//! the next statement.
//!
//! However many rooms somebody has loaded, and however far away Postgres is, nobody else waits for longer than a few round
//! trips.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Instant,
};

use futures::{FutureExt, future::select_ok};
use tokio::{
    sync::{Semaphore, oneshot},
    time::timeout,
};

use crate::{
    ids::ConversationId,
    limits::{POOL_WAIT, ROOM_LOAD_PATIENCE, ROOM_LOADS, ROOMS_AT_ONCE},
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
struct Wanted {
    conversation: ConversationId,
    since: Instant,
    answer: oneshot::Sender<Loaded>,
}

/// The rooms that wait.
pub(crate) struct Loader {
    waiting: Mutex<Vec<Wanted>>,
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
    fn waiting(&self) -> MutexGuard<'_, Vec<Wanted>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those who have waited longest.
    fn take(&self) -> Vec<Wanted> {
        let mut waiting = self.waiting();
        let some = waiting.len().min(ROOMS_AT_ONCE);
        waiting.drain(..some).collect()
    }
}

impl Shared {
    /// What the conversation's room is made of.
    pub(crate) async fn load_room(&self, conversation: ConversationId) -> Loaded {
        let (answer, mut answered) = oneshot::channel();
        self.loader.waiting().push(Wanted { conversation, since: Instant::now(), answer });
        let loaded = loop {
            tokio::select! {
                biased;
                loaded = &mut answered => break loaded,
                statement = self.loader.statements.acquire() => {
                    if !self.loader.waiting().iter().any(|wanted| wanted.conversation == conversation) {
                        // Somebody reads for it already, and may be done before others are read.
                        drop(statement);
                        break answered.await;
                    }
                    self.load_waiting().await;
                }
            }
        };
        // Where the room that read for others has failed, they have no answer.
        loaded.unwrap_or(Loaded::Unavailable)
    }

    async fn load_waiting(&self) {
        // Whoever waits for a room when a stop begins is told no more than who has waited too long.
        let in_vain = |wanted: &Wanted| self.stopping.load(Ordering::SeqCst) || wanted.since.elapsed() > POOL_WAIT;
        let (refused, wanted): (Vec<_>, Vec<_>) = self.loader.take().into_iter().partition(in_vain);
        refused.into_iter().for_each(|Wanted { answer, .. }| drop(answer.send(Loaded::Unavailable)));
        let ids: Vec<_> = wanted.iter().map(|one| one.conversation).collect();
        if ids.is_empty() {
            return;
        }
        let found = self.load_by_id(&ids).await;
        if let Err(error) = &found {
            tracing::warn!(rooms = ids.len(), %error, "cannot load rooms");
        }
        for Wanted { conversation, answer, .. } in wanted {
            let loaded = match &found {
                Ok(found) => found.get(&conversation).cloned().map_or(Loaded::Nothing, Loaded::Room),
                Err(_) => Loaded::Unavailable,
            };
            // Whoever asked may have gone meanwhile.
            drop(answer.send(loaded));
        }
    }

    /// Once more over another connection where the first one says nothing for a while: it may be lost.
    async fn load_by_id(
        &self,
        conversations: &[ConversationId],
    ) -> Result<HashMap<ConversationId, RoomLoad>, StoreError> {
        let mut first = self.load_rooms(conversations).boxed();
        let loads = match timeout(ROOM_LOAD_PATIENCE, &mut first).await {
            Ok(loaded) => loaded?,
            // A stop has no time for another one.
            Err(_) if self.stopping.load(Ordering::SeqCst) => first.await?,
            Err(_) => select_ok([first, self.load_rooms(conversations).boxed()]).await?.0,
        };
        Ok(loads.into_iter().map(|load| (load.conversation, load)).collect())
    }

    /// What rooms are made of, but for those of conversations that are not there.
    pub(crate) async fn load_rooms(&self, conversations: &[ConversationId]) -> Result<Vec<RoomLoad>, StoreError> {
        let mut reading = self.profiles.begin_reading();
        let found = self.store.find_rooms(conversations).await?.into_iter();
        let loads = found.map(|(conversation, profiles, last_seq)| RoomLoad {
            conversation,
            participants: profiles.each_ref().map(|profile| reading.hold(profile)),
            last_seq,
        });
        let loads: Vec<_> = loads.collect();
        if reading.must_be_repeated() {
            let profiles: Vec<_> = loads.iter().flat_map(|load| load.participants.clone()).collect();
            self.read_again(&profiles).await?;
        }
        Ok(loads)
    }
}
