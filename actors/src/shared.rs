//! What the actors of one server share.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use crate::{
    counters::Counters,
    directory::Directory,
    hub::Presence,
    ids::ConversationId,
    persistence::Persistence,
    profile::{LiveProfile, Profiles},
    room::RoomHandle,
    store::{Store, StoreError},
    workers::Workers,
};

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) counters: Arc<Counters>,
    pub(crate) directory: Directory,
    pub(crate) persistence: Persistence,
    pub(crate) presence: Presence,
    pub(crate) profiles: Profiles,
    pub(crate) store: Store,
    pub(crate) workers: Workers,
    pub(crate) room_idle: Duration,
    /// The server stops: no new messages.
    pub(crate) stopping: AtomicBool,
}

impl Shared {
    pub(crate) fn room(self: &Arc<Self>, conversation: ConversationId) -> RoomHandle {
        self.directory.room(conversation, self)
    }

    /// The two participants of a conversation, `None` if there is no such one.
    pub(crate) async fn load_participants(
        &self,
        conversation: ConversationId,
    ) -> Result<Option<[Arc<LiveProfile>; 2]>, StoreError> {
        loop {
            let changes = self.profiles.changes();
            let Some([creator, recipient]) = self.store.find_room(conversation).await? else { return Ok(None) };
            let held = (self.profiles.hold(creator, changes), self.profiles.hold(recipient, changes));
            // A profile changed meanwhile: what was read may be old.
            if let (Some(creator), Some(recipient)) = held {
                return Ok(Some([creator, recipient]));
            }
        }
    }
}
