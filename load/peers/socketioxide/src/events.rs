//! Socket.IO: who may connect, and what a socket may ask.

use std::{fmt, future::ready};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use socketioxide::{
    extract::{AckSender, SocketRef, TryData},
    handler::ConnectHandler,
};
use tokio::sync::mpsc;

use crate::{
    App,
    announce::{announce, conversation_room, user_room},
    id::ObjectId,
    rules::{Caller, check_text},
    store::Message,
};

const CONVERSATION_NOT_FOUND: &str = "Conversation not found";

/// Why a CONNECT is refused.
enum AuthError {
    NoToken,
    InvalidToken,
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoToken => "Authentication error: no token",
            Self::InvalidToken => "Authentication error: invalid token",
        })
    }
}

#[derive(Serialize)]
struct Success<T> {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<T>,
}

#[derive(Serialize)]
struct Failure {
    success: bool,
    message: &'static str,
}

const fn failure(message: &'static str) -> Failure {
    Failure { success: false, message }
}

/// What a socket asked, for its worker.
struct Request {
    socket: SocketRef,
    ask: Ask,
    ack: AckSender,
}

enum Ask {
    Join(Option<ObjectId>),
    Send(Option<SendMessage>),
    Relay(&'static str, Option<ObjectId>),
}

#[derive(Deserialize)]
struct SendMessage {
    #[serde(default)]
    conversation_id: Value,
    #[serde(default)]
    text: Value,
}

/// All of a socket is set up before its CONNECT is answered. A connect handler runs as a task of its own beside that
/// answer, and what a quick client sends before it has registered the events would be lost.
pub fn register(app: &App) {
    let app_of_namespace = app.clone();
    let connect = async move |socket: SocketRef, TryData(auth): TryData<Value>| {
        let auth = auth.unwrap_or_default();
        let caller = match auth.get("token") {
            None | Some(Value::Null) => return Err(AuthError::NoToken),
            Some(Value::String(token)) if token.is_empty() => return Err(AuthError::NoToken),
            Some(token) => token.as_str().and_then(|token| app_of_namespace.tokens.verify(token)),
        };
        open(&app_of_namespace, &socket, caller.ok_or(AuthError::InvalidToken)?);
        Ok(())
    };
    app.io.ns("/", (async || {}).with(connect));
}

/// socketioxide runs each event's handler as a task of its own, in no order. So the handlers only queue, which they do
/// in order, and one worker for each socket does the rest: a join followed at once by a send is in the room in time,
/// and sends keep their order.
fn open(app: &App, socket: &SocketRef, caller: Caller) {
    socket.join(user_room(caller.id));
    let (queue, mut requests) = mpsc::unbounded_channel::<Request>();

    let requested = queue.clone();
    socket.on("join_conversation", move |socket: SocketRef, TryData(id): TryData<String>, ack: AckSender| {
        let _ = requested.send(Request { socket, ask: Ask::Join(parse(id)), ack });
        ready(())
    });
    let requested = queue.clone();
    socket.on("send_message", move |socket: SocketRef, TryData(send): TryData<SendMessage>, ack: AckSender| {
        let _ = requested.send(Request { socket, ask: Ask::Send(send.ok()), ack });
        ready(())
    });
    for (event, relayed) in [("typing", "user_typing"), ("stop_typing", "user_stop_typing")] {
        let requested = queue.clone();
        socket.on(event, move |socket: SocketRef, TryData(id): TryData<String>, ack: AckSender| {
            let _ = requested.send(Request { socket, ask: Ask::Relay(relayed, parse(id)), ack });
            ready(())
        });
    }
    socket.on_fallback(async |ack: AckSender| {
        let _ = ack.send(&failure("Unknown event"));
    });

    // The handlers own the queue's other end, and go with the socket.
    drop(queue);
    let app = app.clone();
    tokio::spawn(async move {
        while let Some(Request { socket, ask, ack }) = requests.recv().await {
            match ask {
                Ask::Join(id) => join(&app, caller, &socket, id, ack).await,
                Ask::Send(send) => send_message(&app, caller, send, ack).await,
                Ask::Relay(event, id) => relay(&app, caller, &socket, event, id, ack).await,
            }
        }
    });
}

fn parse<E>(id: Result<String, E>) -> Option<ObjectId> {
    ObjectId::parse(&id.ok()?)
}

async fn join(app: &App, caller: Caller, socket: &SocketRef, id: Option<ObjectId>, ack: AckSender) {
    #[derive(Serialize)]
    struct Joined {
        conversation_id: ObjectId,
    }

    // An acknowledgement cannot be sent to a socket that is gone; so everywhere here.
    let _ = match participating(app, caller, id).await {
        Ok(id) => {
            socket.join(conversation_room(id));
            ack.send(&Success { success: true, data: Some(Joined { conversation_id: id }) })
        }
        Err(failure) => ack.send(&failure),
    };
}

async fn send_message(app: &App, caller: Caller, send: Option<SendMessage>, ack: AckSender) {
    let (message, recipient) = match store(app, caller, send).await {
        Ok(stored) => stored,
        Err(failure) => {
            let _ = ack.send(&failure);
            return;
        }
    };
    let _ = ack.send(&Success { success: true, data: Some(&message) });
    announce(&app.io, &message, recipient).await;
}

async fn store(app: &App, caller: Caller, send: Option<SendMessage>) -> Result<(Message, ObjectId), Failure> {
    let send = send.ok_or(failure(CONVERSATION_NOT_FOUND))?;
    let id = send.conversation_id.as_str().and_then(ObjectId::parse).ok_or(failure(CONVERSATION_NOT_FOUND))?;
    let Value::String(text) = send.text else { return Err(failure("text must be a string")) };
    check_text(&text).map_err(failure)?;
    match app.store.append_message(id, caller.id, text).await {
        Ok(stored) => stored.ok_or(failure(CONVERSATION_NOT_FOUND)),
        Err(error) => {
            eprintln!("a message was not stored: {error}");
            Err(failure("Error sending message"))
        }
    }
}

async fn relay(
    app: &App,
    caller: Caller,
    socket: &SocketRef,
    event: &'static str,
    id: Option<ObjectId>,
    ack: AckSender,
) {
    #[derive(Serialize)]
    struct Typing {
        #[serde(rename = "userId")]
        user_id: ObjectId,
    }

    let _ = match participating(app, caller, id).await {
        Ok(id) => {
            let _ = socket.to(conversation_room(id)).emit(event, &Typing { user_id: caller.id }).await;
            ack.send(&Success::<()> { success: true, data: None })
        }
        Err(failure) => ack.send(&failure),
    };
}

async fn participating(app: &App, caller: Caller, id: Option<ObjectId>) -> Result<ObjectId, Failure> {
    let id = id.ok_or(failure(CONVERSATION_NOT_FOUND))?;
    match app.store.is_participant(id, caller.id).await {
        Ok(true) => Ok(id),
        Ok(false) => Err(failure(CONVERSATION_NOT_FOUND)),
        Err(error) => {
            eprintln!("a conversation was not found out: {error}");
            Err(failure("Internal error"))
        }
    }
}
