//! A stored message, as clients see it.

use std::sync::Arc;

use serde::Serialize;
use tokio_postgres::Row;

use crate::{
    event::encode,
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

/// A message that was sent again, as its sender is told.
#[derive(Debug, Serialize)]
pub struct Duplicate<'a, S> {
    /// As it is stored.
    #[serde(flatten)]
    pub message: Message<'a, S>,
    /// Always true.
    pub duplicate: bool,
}

impl<'a, S> From<Message<'a, S>> for Duplicate<'a, S> {
    fn from(message: Message<'a, S>) -> Self {
        Self { message, duplicate: true }
    }
}

/// The other participant is told that there is something new.
#[derive(Debug, Serialize)]
pub(crate) struct Notification<'a> {
    pub(crate) conversation_id: ConversationId,
    pub(crate) sender: UserId,
    pub(crate) preview: &'a str,
}

/// A participant has read what the other wrote.
#[derive(Debug, Serialize)]
pub(crate) struct MessageRead {
    pub(crate) conversation_id: ConversationId,
    pub(crate) reader_id: UserId,
    /// Up to here, this one included.
    pub(crate) up_to_seq: i64,
    pub(crate) read_at: Timestamp,
}

/// A message is not there any more.
#[derive(Debug, Serialize)]
pub struct MessageDeleted {
    /// Where it was said.
    pub conversation_id: ConversationId,
    /// Which.
    #[serde(rename = "_id")]
    pub id: MessageId,
    /// Its place, which stays empty.
    pub seq: i64,
}

/// A user is told how much is left to read.
#[derive(Debug, Serialize)]
pub(crate) struct UnreadUpdate {
    pub(crate) conversation_id: ConversationId,
    pub(crate) unread_count: i64,
    /// In all conversations.
    pub(crate) total_unread: i64,
}

/// A client is told how long its token holds.
#[derive(Debug, Serialize)]
pub(crate) struct TokenTimes {
    pub(crate) expires_at: Timestamp,
}

/// Somebody in the room is typing, or stopped.
#[derive(Debug, Serialize)]
pub(crate) struct Typist {
    #[serde(rename = "userId")]
    pub(crate) user_id: UserId,
    pub(crate) conversation_id: ConversationId,
}

/// A message as history has it.
#[derive(Debug)]
pub struct StoredMessage {
    /// The message.
    pub id: MessageId,
    /// Its place in the conversation.
    pub seq: i64,
    /// By whom.
    pub sender: UserId,
    /// What.
    pub text: String,
    /// When the server took it in.
    pub sent_at: Timestamp,
    /// When the other participant read it.
    pub read_at: Option<Timestamp>,
}

impl StoredMessage {
    /// From six columns of a row: id, seq, sender_id, text, sent_at, read_at. `None` if the first is null.
    pub(crate) fn from_row(row: &Row, first: usize) -> Option<Self> {
        Some(Self {
            id: row.get::<_, Option<_>>(first)?,
            seq: row.get(first + 1),
            sender: row.get(first + 2),
            text: row.get(first + 3),
            sent_at: row.get(first + 4),
            read_at: row.get(first + 5),
        })
    }

    /// As clients see it.
    pub(crate) fn on_the_wire<'a>(
        &'a self,
        conversation: ConversationId,
        sender: &'a Profile,
    ) -> Message<'a, &'a Profile> {
        Message {
            id: self.id,
            conversation_id: conversation,
            sender_id: sender,
            text: &self.text,
            is_read: self.read_at.is_some(),
            read_at: self.read_at,
            sent_at: self.sent_at,
            seq: self.seq,
        }
    }
}

/// Some messages of a conversation, oldest first.
#[derive(Debug)]
pub struct MessagePage {
    pub(crate) conversation: ConversationId,
    pub(crate) participants: [Arc<Profile>; 2],
    pub(crate) messages: Vec<StoredMessage>,
    /// Whether there are more in the direction of the page; not known of numbered ones.
    pub has_more: bool,
    /// The newest seq of the conversation.
    pub head_seq: i64,
}

impl MessagePage {
    /// The answer to a join that resumes, JSON: as many messages as have room, and at least one.
    pub(crate) fn resumption(&self, bytes: usize) -> String {
        let mut messages = String::new();
        let mut has_more = self.has_more;
        for message in self.on_the_wire() {
            let json = encode(&message);
            if !messages.is_empty() {
                if messages.len() + json.len() > bytes {
                    has_more = true;
                    break;
                }
                messages.push(',');
            }
            messages.push_str(&json);
        }
        let (conversation, head) = (self.conversation, self.head_seq);
        format!(
            r#"{{"conversation_id":"{conversation}","head_seq":{head},"messages":[{messages}],"has_more":{has_more}}}"#
        )
    }

    /// As clients see them.
    pub fn on_the_wire(&self) -> impl Iterator<Item = Message<'_, &Profile>> {
        let [one, other] = self.participants.each_ref().map(|profile| &**profile);
        self.messages.iter().map(move |message| {
            // Only participants are let in, and stored.
            message.on_the_wire(self.conversation, if message.sender == one.id { one } else { other })
        })
    }
}
