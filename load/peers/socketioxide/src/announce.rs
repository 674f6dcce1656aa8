//! What others hear of a stored message.

use serde::Serialize;
use socketioxide::SocketIo;

use crate::{id::ObjectId, rules::preview, store::Message};

pub fn conversation_room(id: ObjectId) -> String {
    format!("conversation:{id}")
}

/// All sockets of a user.
pub fn user_room(id: ObjectId) -> String {
    format!("user:{id}")
}

pub async fn announce(io: &SocketIo, message: &Message, recipient: ObjectId) {
    #[derive(Serialize)]
    struct Notification<'a> {
        conversation_id: ObjectId,
        sender: ObjectId,
        preview: &'a str,
    }

    let notification = Notification {
        conversation_id: message.conversation_id,
        sender: message.sender_id.id,
        preview: preview(&message.text),
    };
    // They fail for sockets that are gone or too slow; history has the message.
    let _ = io.to(conversation_room(message.conversation_id)).emit("new_message", message).await;
    let _ = io.to(user_room(recipient)).emit("message_notification", &notification).await;
}
