//! An event for many recipients: encoded once, shared by all.

use std::{
    any::Any,
    fmt,
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    ids::MessageId,
    message::{MessageDeleted, MessageRead, Notification, TokenTimes, Typist, UnreadUpdate},
    timestamp::Timestamp,
};

/// What happens to an event that a recipient has no room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// It must not be missed: the recipient is closed and resumes.
    Durable,
    /// It is dropped.
    Ephemeral,
}

/// By which a client says how far it has come; the same for all recipients of an event, and never used twice.
///
/// Shown as the message's id, with an `n` behind it where it is the notification's; other events have an id of their own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Offset {
    /// The message that the event is about, or an id of the event's own.
    pub(crate) message: MessageId,
    pub(crate) notification: bool,
}

impl Offset {
    fn new() -> Self {
        Self { message: MessageId::new(), notification: false }
    }

    /// `None` if it is none of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let (hex, notification) = text.strip_suffix('n').map_or((text, false), |hex| (hex, true));
        MessageId::parse(hex).map(|message| Self { message, notification })
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.message, if self.notification { "n" } else { "" })
    }
}

impl Serialize for Offset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Offset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("not an offset"))
    }
}

const MESSAGE_READ: &str = "message_read";
const MESSAGE_DELETED: &str = "message_deleted";
const UNREAD_UPDATE: &str = "unread_update";
/// Events that cannot be made again from what is stored.
const OWN: [&str; 3] = [MESSAGE_READ, MESSAGE_DELETED, UNREAD_UPDATE];

/// Kinds of transport whose form of an event is shared by all recipients: polling, WebSocket, and WebSocket without
/// Socket.IO.
const KINDS: usize = 3;

/// A named event with its payload as JSON, and the forms that a transport gave it.
pub struct EncodedEvent {
    /// The name on the wire.
    pub name: &'static str,
    /// The payload, JSON.
    pub payload: String,
    /// What to do when there is no room for it.
    pub durability: Durability,
    /// Where it stands for clients that recover; events of conversations that are durable have one.
    pub offset: Option<Offset>,
    /// Without the offset, and with it; for each kind of transport.
    forms: [[OnceLock<Box<dyn Any + Send + Sync>>; KINDS]; 2],
}

impl EncodedEvent {
    /// A committed message, encoded already, for the members of its room.
    pub(crate) fn new_message(message: MessageId, json: String) -> Arc<Self> {
        Self::durable("new_message", json, Offset { message, notification: false })
    }

    /// The same in short, for the other participant.
    pub(crate) fn message_notification(message: MessageId, notification: &Notification<'_>) -> Arc<Self> {
        Self::durable("message_notification", encode(notification), Offset { message, notification: true })
    }

    /// Somebody types, or stopped.
    pub(crate) fn typing(typist: &Typist, started: bool) -> Arc<Self> {
        let name = if started { "user_typing" } else { "user_stop_typing" };
        Self::new(name, encode(typist), Durability::Ephemeral, None)
    }

    /// A participant has read, for the members of the room.
    pub(crate) fn message_read(read: &MessageRead) -> Arc<Self> {
        Self::durable(MESSAGE_READ, encode(read), Offset::new())
    }

    /// A message is not there any more, for the members of the room.
    pub(crate) fn message_deleted(deleted: &MessageDeleted) -> Arc<Self> {
        Self::durable(MESSAGE_DELETED, encode(deleted), Offset::new())
    }

    /// How much is left, for the reader.
    pub(crate) fn unread_update(unread: &UnreadUpdate) -> Arc<Self> {
        Self::durable(UNREAD_UPDATE, encode(unread), Offset::new())
    }

    /// A session's token will soon expire, or has.
    pub(crate) fn token(name: &'static str, expires_at: Timestamp) -> Arc<Self> {
        // Of the connection, not of the session: a recovered one has its own.
        Self::new(name, encode(&TokenTimes { expires_at }), Durability::Durable, None)
    }

    /// The name of one that is stored nowhere, so that it has to be kept as it is.
    pub(crate) fn own_name(&self) -> Option<&'static str> {
        OWN.into_iter().find(|name| *name == self.name)
    }

    /// One that was kept. `None` if its name is none of those.
    pub(crate) fn kept(name: &str, payload: String, offset: Offset) -> Option<Arc<Self>> {
        OWN.into_iter().find(|own| *own == name).map(|name| Self::durable(name, payload, offset))
    }

    fn durable(name: &'static str, payload: String, offset: Offset) -> Arc<Self> {
        Self::new(name, payload, Durability::Durable, Some(offset))
    }

    fn new(name: &'static str, payload: String, durability: Durability, offset: Option<Offset>) -> Arc<Self> {
        Arc::new(Self { name, payload, durability, offset, forms: Default::default() })
    }

    /// The event as a transport sends it, with or without its offset, made by the first recipient that needs it.
    pub fn form<F: Clone + Send + Sync + 'static>(&self, with_offset: bool, make: impl Fn(&Self) -> F) -> F {
        let kinds = &self.forms[usize::from(with_offset)];
        // Another kind of transport may have been first.
        let formed = kinds.iter().find_map(|form| form.get_or_init(|| Box::new(make(self))).downcast_ref::<F>());
        formed.map_or_else(|| make(self), F::clone)
    }
}

impl fmt::Debug for EncodedEvent {
    // Without the payload: texts do not belong into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodedEvent").field("name", &self.name).finish_non_exhaustive()
    }
}

pub(crate) fn encode(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("structs of strings and numbers always serialize")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_form_is_made_once_for_all_recipients() {
        let event = EncodedEvent::new_message(MessageId::new(), "{}".to_owned());
        let made = Cell::new(0);
        for with_offset in [false, true, false, true] {
            let form = event.form(with_offset, |event| {
                made.set(made.get() + 1);
                format!("{}{}{with_offset}", event.name, event.payload)
            });
            assert_eq!(form, format!("new_message{{}}{with_offset}"));
        }
        assert_eq!(made.get(), 2);
    }

    #[test]
    fn each_of_two_kinds_of_transport_has_its_form_made_once() {
        let event = EncodedEvent::new_message(MessageId::new(), "{}".to_owned());
        let made = Cell::new(0);
        let count = || made.set(made.get() + 1);
        for _ in 0..3 {
            let text = event.form(false, |event| {
                count();
                event.payload.clone()
            });
            let bytes = event.form(false, |event| {
                count();
                event.payload.clone().into_bytes()
            });
            assert_eq!((text.as_str(), bytes.as_slice()), ("{}", b"{}".as_slice()));
        }
        assert_eq!(made.get(), 2);
    }

    #[test]
    fn an_offset_comes_back_as_it_was_shown_and_nothing_else_is_one() {
        for notification in [false, true] {
            let offset = Offset { message: MessageId::new(), notification };
            assert_eq!(Offset::parse(&offset.to_string()), Some(offset));
            let json = encode(&offset);
            assert_eq!(serde_json::from_str::<Offset>(&json).ok(), Some(offset));
        }
        for bad in ["", "n", "x", "507f1f77bcf86cd799439011nn", "507f1f77bcf86cd79943901", "é"] {
            assert_eq!(Offset::parse(bad), None, "{bad}");
        }
    }
}
