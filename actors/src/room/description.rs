//! A room as operators see it.

use serde::Serialize;

use crate::ids::{ConversationId, SessionId, UserId};

use super::Room;

/// What there is of a room at a moment.
#[derive(Debug, Serialize)]
pub struct RoomDescription {
    /// Whose it is.
    pub conversation_id: ConversationId,
    /// Whose conversation it is, once that is loaded.
    pub participants: Option<[UserId; 2]>,
    /// Who is in it.
    pub sessions: Vec<SessionId>,
    /// Messages let in and not committed yet.
    pub in_flight: usize,
    /// Who types.
    pub typing: Vec<UserId>,
    /// The newest seq that everybody has heard of, once that is loaded, too.
    pub head_seq: Option<i64>,
}

impl Room {
    pub(super) fn describe(&self) -> RoomDescription {
        let participants = self.participants.get().map(|two| two.each_ref().map(|profile| profile.id));
        RoomDescription {
            conversation_id: self.conversation,
            head_seq: participants.map(|_| self.announced),
            participants,
            sessions: self.members.keys().copied().collect(),
            in_flight: self.in_flight.len(),
            typing: self.typists.values().map(|(user, _)| *user).collect(),
        }
    }
}
