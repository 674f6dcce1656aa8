//! Why something was refused: what a client is told, apart from the cause that the log has.

use std::{borrow::Cow, time::Duration};

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::{labelled::labelled, limits::RETRY_AFTER};

labelled! {
    /// The machine-readable part of a refusal.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Code {
        /// No valid token.
        Unauthenticated = "UNAUTHENTICATED",
        /// A valid token that does not allow this.
        Forbidden = "FORBIDDEN",
        /// Unknown, or not for the caller to know.
        NotFound = "NOT_FOUND",
        /// The request is not one that could ever succeed.
        InvalidArgument = "INVALID_ARGUMENT",
        /// The client_msg_id stands for another text.
        IdempotencyConflict = "IDEMPOTENCY_CONFLICT",
        /// More bytes than a request may have.
        TooLarge = "TOO_LARGE",
        /// More requests of a user than are served.
        RateLimited = "RATE_LIMITED",
        /// A bound is reached or Postgres is away; the same may succeed later.
        Overloaded = "OVERLOADED",
        /// A fault of the server.
        Internal = "INTERNAL",
    }
}

/// A refusal. As JSON it is the body of a failed REST call and of a failed acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The machine-readable part.
    pub code: Code,
    /// What the client is told.
    pub message: Cow<'static, str>,
    /// How long to wait, where it is not as long as always.
    wait: Option<Duration>,
}

impl Refusal {
    /// With a message of the contract.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), wait: None }
    }

    /// Unknown, malformed or somebody else's conversation: not to be told apart.
    pub fn conversation_not_found() -> Self {
        Self::new(Code::NotFound, "Conversation not found")
    }

    /// Unknown, malformed or somebody else's message.
    pub fn message_not_found() -> Self {
        Self::new(Code::NotFound, "Message not found")
    }

    /// An argument that breaks a rule.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// A message whose client_msg_id stands for another text.
    pub fn idempotency_conflict() -> Self {
        Self::new(Code::IdempotencyConflict, "This client_msg_id was used for another text")
    }

    /// A message that could not be taken in now; it is not stored.
    pub fn overloaded() -> Self {
        Self::new(Code::Overloaded, "Error sending message")
    }

    /// More requests of a user than are served; one more is after such a time.
    pub fn rate_limited(wait: Duration) -> Self {
        Self::too_many("Too many requests", wait)
    }

    /// More of something than there may be; the same may be tried again after such a time.
    pub fn too_many(message: &'static str, wait: Duration) -> Self {
        Self { wait: Some(wait), ..Self::new(Code::RateLimited, message) }
    }

    /// A read that could not be served now.
    pub fn unavailable() -> Self {
        Self::new(Code::Overloaded, "Service unavailable")
    }

    /// A fault of the server while a message was on its way; it is not stored.
    pub fn internal() -> Self {
        Self::new(Code::Internal, "Error sending message")
    }

    /// How long to wait before the same is tried again, where that makes sense.
    pub fn retry_after(&self) -> Option<Duration> {
        self.wait.or_else(|| (self.code == Code::Overloaded).then_some(RETRY_AFTER))
    }

    /// The body of a failed call.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers always serialize")
    }
}

impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let retry_after = self.retry_after();
        let mut body = serializer.serialize_struct("Refusal", if retry_after.is_some() { 4 } else { 3 })?;
        body.serialize_field("success", &false)?;
        body.serialize_field("message", &self.message)?;
        body.serialize_field("code", self.code.as_str())?;
        if let Some(wait) = retry_after {
            body.serialize_field("retry_after_ms", &wait.as_micros().div_ceil(1000))?;
        }
        body.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_when_to_try_again_only_where_that_helps() {
        assert_eq!(
            Refusal::conversation_not_found().to_json(),
            r#"{"success":false,"message":"Conversation not found","code":"NOT_FOUND"}"#
        );
        assert_eq!(
            Refusal::overloaded().to_json(),
            r#"{"success":false,"message":"Error sending message","code":"OVERLOADED","retry_after_ms":1000}"#
        );
        assert_eq!(
            Refusal::rate_limited(Duration::from_micros(1)).to_json(),
            r#"{"success":false,"message":"Too many requests","code":"RATE_LIMITED","retry_after_ms":1}"#
        );
    }
}
