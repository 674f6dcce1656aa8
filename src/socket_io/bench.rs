//! The micro-benchmarks' way in, as in the crate `actors`.

use actors::{AckId, EncodedEvent, Refusal, Request};
use bytes::Bytes;
use serde_json::value::RawValue;

use super::{events, frames::Frames, packet};

/// A client's event as a request.
///
/// # Errors
/// What the client is told.
pub fn request(name: &str, arguments: &[&RawValue]) -> Result<Request, Refusal> {
    events::parse(name, arguments, |_| Err(Refusal::invalid("no token is taken here")))
}

/// An event as a frame: framed for its first recipient, shared by the others.
pub fn event_frame(event: &EncodedEvent) -> Bytes {
    event.form(false, |event| packet::event(event, false, Frames::message))
}

/// An acknowledgement as a frame.
pub fn ack_frame(id: AckId, body: &str) -> Bytes {
    Frames::message(&[&packet::ack(id, body)])
}
