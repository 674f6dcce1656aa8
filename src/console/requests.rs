//! What an operator may ask for.

use actors::{Code, ConversationId, Refusal, UserId};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::http::App;

/// As many as a page shows.
const FOUND: usize = 100;

/// A request, valid by its type.
pub(super) enum Request {
    /// Sessions whose id, or whose user's, begins so.
    Sessions(String),
    /// One of them.
    Session(String),
    /// Rooms whose conversation's id begins so.
    Rooms(String),
    /// Tell the ways of a conversation's messages.
    Watch(ConversationId),
    /// Or no more.
    Unwatch(ConversationId),
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
        match event {
            "sessions" => Ok(Self::Sessions(text("begins"))),
            // As it is: letters of both cases mean different ones.
            "session" => Ok(Self::Session(data["id"].as_str().unwrap_or_default().to_owned())),
            "rooms" => Ok(Self::Rooms(text("begins"))),
            "watch" => conversation().map(Self::Watch),
            "unwatch" => conversation().map(Self::Unwatch),
            "close_session" => Ok(Self::Close(data["id"].as_str().unwrap_or_default().to_owned())),
            "revoke" => {
                let user = UserId::parse(&text("userId"));
                user.map(Self::Revoke).ok_or_else(|| Refusal::invalid("Invalid user ID"))
            }
            "drain" => Ok(Self::Drain),
            _ => Err(Refusal::invalid("Unknown event")),
        }
    }

    /// # Errors
    /// It is not there, or Postgres is away.
    pub(super) async fn serve(self, app: &App, by: Option<UserId>) -> Result<Value, Refusal> {
        let by = by.map(|by| by.to_string()).unwrap_or_default();
        match self {
            Self::Sessions(begins) => {
                let (count, sessions) = app.socket_io.find(&begins, FOUND);
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
                if !app.socket_io.close(&id) {
                    return Err(session_not_found());
                }
                tracing::info!(connection = id, by, "an operator closed a connection");
                Ok(Value::Null)
            }
            Self::Revoke(user) => {
                let revoked_at = app.chat.revoke(user).await?;
                tracing::info!(%user, by, "an operator revoked the user's tokens");
                Ok(json!({ "userId": user, "revoked_at": revoked_at }))
            }
            Self::Drain => {
                tracing::info!(by, "an operator stops the server");
                let stopped = kill(Pid::this(), Signal::SIGTERM);
                stopped.map_err(|error| Refusal::new(Code::Internal, format!("cannot stop: {error}")))?;
                Ok(Value::Null)
            }
            // The connection's own.
            Self::Watch(_) | Self::Unwatch(_) => Ok(Value::Null),
        }
    }
}

fn session_not_found() -> Refusal {
    Refusal::new(Code::NotFound, "There is no such session any more")
}
