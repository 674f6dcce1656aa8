//! The way in of micro-benchmarks, as in the crate `actors`, and of fuzz targets.

use actors::{AckId, EncodedEvent, Refusal, Request};
use bytes::Bytes;
use serde_json::value::RawValue;

use super::{BrokenPacket, Event, Packet, envelope, events, frames::Frames, packet, polling};

/// A client's event as a request.
///
/// # Errors
/// What the client is told.
pub fn request(name: &str, arguments: &[&RawValue]) -> Result<Request, Refusal> {
    events::parse(Event::named(name), arguments, |_| Err(Refusal::invalid("no token is taken here")))
}

/// What a client says over a plain WebSocket.
///
/// # Errors
/// It is not of the form.
pub fn plain(text: &str) -> Result<Packet<'_>, BrokenPacket> {
    envelope::parse(text)
}

/// A polling payload in the pieces it is handled in: of so many packets, or of fewer that have so many bytes.
pub fn slices(payload: &Bytes, most_packets: usize, enough_bytes: usize) -> Vec<Bytes> {
    polling::slices(payload, most_packets, enough_bytes)
}

/// An event as a frame: framed for its first recipient, shared by the others.
pub fn event_frame(event: &EncodedEvent) -> Bytes {
    event.form(false, |event| packet::event(event, false, Frames::message))
}

/// An acknowledgement as a frame.
pub fn ack_frame(id: AckId, body: &str) -> Bytes {
    Frames::message(&[&packet::ack(id, body)])
}
