//! A stored message, as clients see it.

use serde::Serialize;

use crate::{
    ids::{ConversationId, MessageId, UserId},
    profile::Profile,
    timestamp::Timestamp,
};

/// A message on the wire. `S` is the sender: a [`Profile`], or only its id where the contract says so.
#[derive(Debug, Serialize)]
pub struct Message<'a, S> {
    /// The message.
    #[serde(rename = "_id")]
    pub id: MessageId,
    /// Where it was said.
    pub conversation_id: ConversationId,
    /// By whom.
    pub sender_id: S,
    /// What.
    pub text: &'a str,
    /// Whether the other participant has read it.
    pub is_read: bool,
    /// When; null until then.
    pub read_at: Option<Timestamp>,
    /// When the server took it in.
    pub sent_at: Timestamp,
    /// Its place in the conversation: 1, 2, 3 … without gaps.
    pub seq: i64,
}

/// The other participant is told that there is something new.
#[derive(Debug, Serialize)]
pub(crate) struct Notification<'a> {
    pub(crate) conversation_id: ConversationId,
    pub(crate) sender: UserId,
    pub(crate) preview: &'a str,
}

/// Somebody in the room is typing, or stopped.
#[derive(Debug, Serialize)]
pub(crate) struct Typist {
    #[serde(rename = "userId")]
    pub(crate) user_id: UserId,
    pub(crate) conversation_id: ConversationId,
}

/// A message as history has it, with its own copy of everything.
#[derive(Debug)]
pub struct StoredMessage {
    /// The message.
    pub id: MessageId,
    /// Its place in the conversation.
    pub seq: i64,
    /// By whom.
    pub sender: Profile,
    /// What.
    pub text: String,
    /// When the server took it in.
    pub sent_at: Timestamp,
    /// When the other participant read it.
    pub read_at: Option<Timestamp>,
}

impl StoredMessage {
    /// As clients see it.
    pub fn on_the_wire(&self, conversation_id: ConversationId) -> Message<'_, &Profile> {
        Message {
            id: self.id,
            conversation_id,
            sender_id: &self.sender,
            text: &self.text,
            is_read: self.read_at.is_some(),
            read_at: self.read_at,
            sent_at: self.sent_at,
            seq: self.seq,
        }
    }
}
