//! The events of sockets: each as AsyncAPI has it. A client's new event without its words here does not compile; a server's
//! without them fails the tests, which hold every event they see against the document.

use serde_json::{Map, Value, json};

use crate::socket_io::Event;

use super::{TITLE, VERSION, components};

/// A client's event.
struct Asked {
    summary: &'static str,
    /// Of the argument, or of a list of them.
    arguments: Value,
    /// Of `data` in the acknowledgement, where it has some.
    data: Option<&'static str>,
}

fn asked(event: Event) -> Asked {
    let conversation = schema("ObjectId");
    let (summary, arguments, data) = match event {
        Event::Join => {
            let resume = json!({
                "type": "array",
                "prefixItems": [conversation, schema("ResumeOptions")],
                "minItems": 1,
                "maxItems": 2,
            });
            let either = json!({ "oneOf": [conversation, resume] });
            ("Hear what is said in a conversation, and get what was missed", either, Some("Joined"))
        }
        Event::Leave => ("Hear it no more", conversation, None),
        Event::Send => ("Send a message; the acknowledgement means committed", schema("SendMessage"), Some("Message")),
        Event::MarkRead => ("Mark as read what the other has written", schema("MarkRead"), None),
        Event::Typing => ("Show that the user types", conversation, None),
        Event::StopTyping => ("Or types no more", conversation, None),
        Event::RefreshToken => ("Bring another token of the same user", schema("RefreshToken"), Some("TokenTimes")),
    };
    Asked { summary, arguments, data }
}

/// What the server tells: the event, to whom and when, and the payload.
const TOLD: [(&str, &str, &str); 10] = [
    ("new_message", "To every socket in the room: a message is committed", "Message"),
    ("message_notification", "To every socket of the recipient, in the room or not", "MessageNotification"),
    ("user_typing", "To every other socket in the room", "Typist"),
    ("user_stop_typing", "To every other socket in the room; by itself, too, after 6 s", "Typist"),
    ("message_read", "To every socket in the room: a participant has read", "MessageRead"),
    ("unread_update", "To every socket of who has read, or has less to read", "UnreadUpdate"),
    ("message_deleted", "To every socket in the room: a message is not there any more", "MessageDeleted"),
    ("token_expiring", "One minute before the session's token expires", "TokenTimes"),
    ("auth_expired", "It has expired: the connection is closed next", "TokenTimes"),
    ("server_draining", "Before a planned stop closes the connection", "ServerDraining"),
];

const DESCRIPTION: &str = "What clients and server say to each other over sockets. Where an event has several arguments, its \
    payload here is the list of them. Over Socket.IO a client that recovers gets an event's offset as a further argument.";

/// A channel: its name, its address, and what it is.
const CHANNELS: [(&str, &str, &str); 2] = [
    ("socketIo", "/socket.io/", "Socket.IO, protocol 5 on Engine.IO 4; the token is `auth.token`"),
    ("plainWebSocket", "/api/chat/ws", "A WebSocket with a JSON object a message: see `ClientSays` and `ServerSays`"),
];

/// The whole document.
pub(super) fn document() -> Value {
    let (mut messages, mut operations) = (Map::new(), Map::new());
    for event in Event::ALL {
        let (name, asked) = (event.name(), asked(*event));
        let reply = format!("{name}_ack");
        messages.insert(name.to_owned(), message(name, asked.summary, &asked.arguments));
        messages.insert(reply.clone(), message(&reply, "Its acknowledgement", &acknowledgement(asked.data)));
        let mut operation = operation("receive", name);
        operation["reply"] = json!({ "channel": channel(), "messages": [in_channel(&reply)] });
        operations.insert(name.to_owned(), operation);
    }
    for (name, summary, payload) in TOLD {
        messages.insert(name.to_owned(), message(name, summary, &schema(payload)));
        operations.insert(name.to_owned(), operation("send", name));
    }
    let channels: Map<_, _> = CHANNELS
        .iter()
        .map(|(name, address, what)| {
            let messages: Map<_, _> =
                messages.keys().map(|name| (name.clone(), pointer(&["components", "messages", name]))).collect();
            ((*name).to_owned(), json!({ "address": address, "description": what, "messages": messages }))
        })
        .collect();
    json!({
        "asyncapi": "3.0.0",
        "info": { "title": TITLE, "version": VERSION, "description": DESCRIPTION },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages, "schemas": schemas() },
    })
}

fn message(name: &str, summary: &str, payload: &Value) -> Value {
    json!({ "name": name, "summary": summary, "payload": payload })
}

fn operation(action: &str, event: &str) -> Value {
    json!({ "action": action, "channel": channel(), "messages": [in_channel(event)] })
}

/// An acknowledgement that may succeed or fail.
fn acknowledgement(data: Option<&str>) -> Value {
    let yes = json!({ "type": "boolean", "enum": [true] });
    let success = match data {
        None => json!({ "type": "object", "properties": { "success": yes }, "required": ["success"] }),
        Some(data) => json!({
            "type": "object",
            "properties": { "success": yes, "data": schema(data) },
            "required": ["success", "data"],
        }),
    };
    json!({ "oneOf": [success, schema("Failure")] })
}

/// Those of the REST calls, and what carries events over a plain WebSocket.
fn schemas() -> Value {
    let mut schemas = json!(components().build().schemas);
    let names = |event: &[&str]| json!({ "type": "string", "enum": event });
    let told: Vec<_> = TOLD.iter().map(|(name, ..)| *name).chain(["connect", "connect_error", "ack"]).collect();
    let asked: Vec<_> = Event::ALL.iter().map(|event| event.name()).chain(["connect", "disconnect"]).collect();
    schemas["ClientSays"] = json!({
        "type": "object",
        "description": "On a plain WebSocket. With an `id` the event is answered",
        "properties": { "event": names(&asked), "data": {}, "id": { "type": "integer", "minimum": 0 } },
        "required": ["event"],
    });
    schemas["ServerSays"] = json!({
        "type": "object",
        "description": "On a plain WebSocket. `ack` has the `id` of what it answers; `offset` is for clients that recover",
        "properties": {
            "event": names(&told),
            "data": {},
            "id": { "type": "integer", "minimum": 0 },
            "offset": schema("Offset"),
        },
        "required": ["event", "data"],
    });
    schemas
}

fn schema(name: &str) -> Value {
    pointer(&["components", "schemas", name])
}

/// The channel that stands for both: what is said on them is the same.
fn channel() -> Value {
    pointer(&["channels", CHANNELS[0].0])
}

fn in_channel(message: &str) -> Value {
    pointer(&["channels", CHANNELS[0].0, "messages", message])
}

fn pointer(parts: &[&str]) -> Value {
    json!({ "$ref": format!("#/{}", parts.join("/")) })
}
