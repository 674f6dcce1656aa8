//! Where the room of a conversation is. Look up once, keep the handle.

use std::sync::Arc;

use dashmap::{DashMap, Entry};

use crate::{counters::Gauge, ids::ConversationId, limits::ROOMS, room::RoomHandle, shared::Shared};

#[derive(Debug, Default)]
pub(crate) struct Directory(DashMap<ConversationId, RoomHandle>);

impl Directory {
    /// The conversation's room, started if there is none or it has failed. `None` if there are [`ROOMS`] already.
    pub(crate) fn room(&self, conversation: ConversationId, shared: &Arc<Shared>) -> Option<RoomHandle> {
        if let Some(room) = self.0.get(&conversation)
            && room.is_alive()
        {
            return Some(room.clone());
        }
        if shared.counters.get(Gauge::Rooms) >= ROOMS as i64 {
            return None;
        }
        Some(match self.0.entry(conversation) {
            Entry::Occupied(room) if room.get().is_alive() => room.get().clone(),
            Entry::Occupied(mut failed) => {
                failed.insert(RoomHandle::start(conversation, shared));
                failed.get().clone()
            }
            Entry::Vacant(vacant) => vacant.insert(RoomHandle::start(conversation, shared)).clone(),
        })
    }

    /// The room, if there is one.
    pub(crate) fn find_room(&self, conversation: ConversationId) -> Option<RoomHandle> {
        self.0.get(&conversation).filter(|room| room.is_alive()).map(|room| room.clone())
    }

    /// Conversations with a room whose id begins so, so many at most; and how many there are.
    pub(crate) fn find(&self, begins: &str, limit: usize) -> (usize, Vec<RoomHandle>) {
        let mut found: Vec<_> = self
            .0
            .iter()
            .filter(|room| room.key().to_string().starts_with(begins))
            .map(|room| (*room.key(), room.value().clone()))
            .collect();
        let count = found.len();
        found.sort_unstable_by_key(|(conversation, _)| *conversation);
        (count, found.into_iter().take(limit).map(|(_, room)| room).collect())
    }

    /// Forgets a room that nobody else can reach; `false` if somebody can. Handles are given out under the same lock, so
    /// that no command gets lost between the look and the stop.
    pub(crate) fn forget(&self, conversation: ConversationId) -> bool {
        self.0.remove_if(&conversation, |_, room| room.is_forgotten()).is_some()
    }
}
