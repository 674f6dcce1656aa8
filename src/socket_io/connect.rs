//! The CONNECT packet that opens a session: whose it is, and whether it goes on with one that the client had. And the token
//! that keeps it.

use actors::{Chat, Code, Offset, Pid, Recover, Refusal, Request, UserId};
use serde_json::{Value, value::RawValue};

use crate::auth::AuthError;

use super::Handler;

/// What a CONNECT packet brings in `auth`.
#[derive(Default, serde::Deserialize)]
pub(super) struct ConnectAuth {
    token: Option<Value>,
    /// `true`: the session is to outlive its connection.
    recover: Option<Value>,
    /// Of the session that the client had, by the client itself.
    pid: Option<Value>,
    offset: Option<Value>,
}

impl ConnectAuth {
    pub(super) fn parse(auth: Option<&RawValue>) -> Self {
        auth.and_then(|auth| serde_json::from_str(auth.get()).ok()).unwrap_or_default()
    }

    pub(super) fn token(&self) -> Result<&str, AuthError> {
        match &self.token {
            Some(Value::String(token)) if !token.is_empty() => Ok(token),
            Some(Value::String(_) | Value::Null) | None => Err(AuthError::NoToken),
            Some(_) => Err(AuthError::Invalid("not a string".to_owned())),
        }
    }

    /// What is none of ours is no reason to refuse: the client gets a new session.
    pub(super) fn recover(&self, chat: &Chat) -> Option<Recover> {
        let text = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).map(str::to_owned);
        (self.recover == Some(Value::Bool(true)) && chat.recovers()).then(|| Recover {
            pid: text(&self.pid).and_then(|pid| Pid::parse(&pid)),
            offset: text(&self.offset).and_then(|offset| Offset::parse(&offset)),
        })
    }
}
/// Another token of the same user.
pub(super) fn refresh(user: UserId, token: &str, handler: &Handler) -> Result<Request, Refusal> {
    let refused = |reason: &'static str| Refusal::new(Code::Unauthenticated, reason);
    let caller = handler.auth.admit(token, &handler.chat).map_err(|error| {
        tracing::debug!(%error, "a token was refused");
        refused("Invalid or expired token")
    })?;
    if caller.user != user {
        return Err(refused("The token is another user's"));
    }
    Ok(Request::Renew(caller.credentials))
}
