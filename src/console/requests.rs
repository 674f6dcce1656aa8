//! What an operator may ask for.

use actors::{Code, ConversationId, Refusal, UserId};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tracing::field::display;

use crate::{http::App, socket_io::named_events};

/// As many as a page shows.
const FOUND: usize = 100;

named_events! {
    /// An event that consoles send. A new one has to be in the matrix of who may do what
    /// (`tests/console_authorization.rs`).
    ConsoleEvent:
    /// Hear of a conversation's messages.
    Watch = "watch",
    /// Or no more.
    Unwatch = "unwatch",
    /// Find sessions.
    Sessions = "sessions",
    /// Look at one.
    Session = "session",
    /// Find rooms.
    Rooms = "rooms",
    /// Close a session's connection.
    CloseSession = "close_session",
    /// End a user's tokens.
    Revoke = "revoke",
    /// Stop the server.
    Drain = "drain",
}

/// A request, valid by its type.
pub(super) enum Request {
    /// Tell the ways of a conversation's messages.
    Watch(ConversationId),
    /// Or no more.
    Unwatch(ConversationId),
    /// What the server answers, whoever asks.
    Ask(Question),
}

/// What is asked of the server.
pub(super) enum Question {
    /// Sessions whose id, or whose user's, begins so.
    Sessions(String),
    /// One of them.
    Session(String),
    /// Rooms whose conversation's id begins so.
    Rooms(String),
    /// Close a session's connection.
    Close(String),
    /// End a user's tokens.
    Revoke(UserId),
    /// Stop the server, as a signal would.
    Drain,
}

impl Request {
    /// # Errors
    /// There is no such one, or its argument is none.
    pub(super) fn parse(event: &str, data: &Value) -> Result<Self, Refusal> {
        let text = |name: &'static str| data[name].as_str().unwrap_or_default().trim().to_ascii_lowercase();
        let conversation = || {
            let id = ConversationId::parse(&text("conversation_id"));
            id.ok_or_else(|| Refusal::invalid("conversation_id must be 24 hex characters"))
        };
        // As it is: letters of both cases mean different ones.
        let id = || data["id"].as_str().unwrap_or_default().to_owned();
        let question = match ConsoleEvent::named(event).ok_or_else(|| Refusal::invalid("Unknown event"))? {
            ConsoleEvent::Watch => return conversation().map(Self::Watch),
            ConsoleEvent::Unwatch => return conversation().map(Self::Unwatch),
            ConsoleEvent::Sessions => Question::Sessions(text("begins")),
            ConsoleEvent::Session => Question::Session(id()),
            ConsoleEvent::Rooms => Question::Rooms(text("begins")),
            ConsoleEvent::CloseSession => Question::Close(id()),
            ConsoleEvent::Revoke => {
                let user = UserId::parse(&text("userId"));
                Question::Revoke(user.ok_or_else(|| Refusal::invalid("Invalid user ID"))?)
            }
            ConsoleEvent::Drain => Question::Drain,
        };
        Ok(Self::Ask(question))
    }
}

impl Question {
    /// # Errors
    /// It is not there, or Postgres is away.
    pub(super) async fn answer(self, app: &App, by: Option<UserId>) -> Result<Value, Refusal> {
        let by = by.map(|by| by.to_string()).unwrap_or_default();
        match self {
            Self::Sessions(begins) => {
                let (count, sessions) = app.socket_io.find(&begins, FOUND).await;
                Ok(json!({ "count": count, "sessions": sessions }))
            }
            Self::Session(id) => {
                let found = app.socket_io.look_at(&id).await;
                let (session, rooms) = found.ok_or_else(session_not_found)?;
                Ok(json!({ "session": session, "rooms": rooms }))
            }
            Self::Rooms(begins) => {
                let (count, rooms) = app.chat.describe_rooms(&begins, FOUND).await;
                Ok(json!({ "count": count, "rooms": rooms }))
            }
            Self::Close(id) => {
                let closed = app.socket_io.close(&id).ok_or_else(session_not_found)?;
                let (session, user) = (closed.session.map(display), closed.user.map(display));
                tracing::info!(connection = id, session, user, by, "an operator closed a connection");
                Ok(Value::Null)
            }
            Self::Revoke(user) => {
                let revoked_at = app.chat.revoke(user).await?;
                tracing::info!(%user, by, "an operator revoked the user's tokens");
                Ok(json!({ "userId": user, "revoked_at": revoked_at }))
            }
            // A second signal would cut everybody off.
            Self::Drain if app.chat.drain() => Err(Refusal::new(Code::Overloaded, "The server is stopping already")),
            Self::Drain => {
                tracing::info!(by, "an operator stops the server");
                let stopped = kill(Pid::this(), Signal::SIGTERM);
                stopped.map_err(|error| Refusal::new(Code::Internal, format!("cannot stop: {error}")))?;
                Ok(Value::Null)
            }
        }
    }
}

fn session_not_found() -> Refusal {
    Refusal::new(Code::NotFound, "There is no such session any more")
}
