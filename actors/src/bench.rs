//! The micro-benchmarks' way in: steps of a message that are private otherwise, on values that need no database.
//!
//! Hidden, and not a cargo feature: the crate has one form, which lints, tests and benchmarks all see.

use std::{sync::Arc, time::Instant};

use tokio::sync::oneshot;
use tokio_postgres::types::{ToSql, Type, private::BytesMut};

use crate::{
    AckId, Chat, ConversationId, EncodedEvent, Message, MessageId, MessageText, Outbox, Profile, Timestamp, UserId,
    batch::{self, Append, Columns, FlushReason},
    event,
    lane::Post,
    message::{Notification, Typist},
    reply::{self, Reply},
};

/// A committed message as JSON, for its acknowledgement and its event.
pub fn encode(message: &Message<'_, &Profile>) -> String {
    event::encode(message)
}

/// The event for the members of the room.
pub fn new_message(message: MessageId, json: String) -> Arc<EncodedEvent> {
    EncodedEvent::new_message(message, json)
}

/// The event for the other participant.
pub fn message_notification(message: &Message<'_, &Profile>, text: &MessageText) -> Arc<EncodedEvent> {
    let (conversation_id, sender) = (message.conversation_id, message.sender_id.id);
    let notification = Notification { conversation_id, sender, preview: text.preview() };
    EncodedEvent::message_notification(message.id, &notification)
}

/// The event for those who see somebody type.
pub fn user_typing(typist: UserId, conversation: ConversationId) -> Arc<EncodedEvent> {
    EncodedEvent::typing(&Typist { user_id: typist, conversation_id: conversation }, true)
}

/// The acknowledgement of a committed message.
pub fn acknowledge(outbox: &dyn Outbox, ack: AckId, json: &str) {
    reply::acknowledge(outbox, ack, json);
}

/// A batch as a lane takes it out of its queue.
pub struct Batch(batch::Batch);

impl Batch {
    /// Messages of one text, each in a conversation of its own. Must be called in an actix system, on a worker of the
    /// chat; its database is not asked.
    pub fn of(chat: &Chat, rows: usize, text: &MessageText) -> Self {
        let append = |_| {
            let conversation = ConversationId::new();
            let room = chat.shared().room(conversation).expect("a batch has fewer rooms than there may be");
            let (answer, _) = oneshot::channel();
            let post = Box::new(Post {
                id: MessageId::new(),
                conversation,
                sender: UserId::new(),
                draft: text.clone().into(),
                sent_at: Timestamp::now(),
                reply: Reply::caller(answer),
            });
            Append { post, room, since: Instant::now(), wait: tracing::Span::none() }
        };
        Self(batch::Batch {
            appends: (0..rows).map(append).collect(),
            marks: Vec::new(),
            reason: FlushReason::Gathered,
        })
    }

    /// The parameters of `append_messages.sql`.
    pub fn columns(&self) -> BatchColumns<'_> {
        BatchColumns(self.0.columns(&self.0.missing(&[].into())))
    }
}

/// The rows of a batch, column by column.
pub struct BatchColumns<'a>(Columns<'a>);

impl BatchColumns<'_> {
    /// Appends them to the buffer as arrays in Postgres's binary form, as the driver does when it binds them.
    pub fn bind(&self, buffer: &mut BytesMut) {
        let Columns { ids, conversations, senders, texts, sent_at, .. } = &self.0;
        let parameters: [(&dyn ToSql, Type); 5] = [
            (ids, Type::BYTEA_ARRAY),
            (conversations, Type::BYTEA_ARRAY),
            (senders, Type::BYTEA_ARRAY),
            (texts, Type::TEXT_ARRAY),
            (sent_at, Type::TIMESTAMPTZ_ARRAY),
        ];
        for (parameter, ty) in parameters {
            parameter.to_sql_checked(&ty, buffer).expect("the columns have the types of the statement's parameters");
        }
    }
}
