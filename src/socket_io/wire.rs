//! What is spoken on a connection: Socket.IO's packets, or the JSON of a plain WebSocket. Both mean the same.

use std::time::Duration;

use actors::{AckId, EncodedEvent, Pid, SessionId};
use bytes::Bytes;

use super::{
    envelope,
    frames::Frames,
    packet::{self, BrokenPacket, Packet},
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wire {
    SocketIo,
    Plain,
}

/// An event as plain WebSockets share it: another type than the frames of Socket.IO, so that it is another form.
#[derive(Clone)]
struct PlainText(Bytes);

impl Wire {
    /// What a client says.
    ///
    /// # Errors
    /// It is not of the form.
    pub(super) fn parse(self, text: &str) -> Result<Packet<'_>, BrokenPacket> {
        match self {
            Self::SocketIo => Packet::parse(text),
            Self::Plain => envelope::parse(text),
        }
    }

    /// The session is open. With the private id a client can come back to it.
    pub(super) fn connected(self, session: SessionId, pid: Option<Pid>) -> String {
        match self {
            Self::SocketIo => packet::connected(session, pid),
            Self::Plain => envelope::connected(session, pid),
        }
    }

    /// There is no session.
    pub(super) fn refused(self, namespace: &str, message: &str, code: &str) -> String {
        match self {
            Self::SocketIo => packet::refused(namespace, message, code),
            Self::Plain => envelope::refused(message, code),
        }
    }

    /// The connection will soon be closed; the client is to come back so much later.
    pub(super) fn draining(self, reconnect_after: Duration) -> String {
        let data = format!(r#"{{"reconnect_after_ms":{}}}"#, reconnect_after.as_millis());
        match self {
            Self::SocketIo => packet::named("server_draining", &data),
            Self::Plain => envelope::named("server_draining", &data),
        }
    }

    /// An acknowledgement; `body` is JSON.
    pub(super) fn ack(self, id: AckId, body: &str) -> String {
        match self {
            Self::SocketIo => packet::ack(id, body),
            Self::Plain => envelope::ack(id, body),
        }
    }

    /// A packet as a WebSocket's queue takes it: framed, or as text that is framed when it is sent.
    pub(super) fn queued(self, packet: String) -> Bytes {
        match self {
            Self::SocketIo => Frames::message(&[&packet]),
            Self::Plain => packet.into(),
        }
    }

    /// The same for an event, made once for all that speak so.
    pub(super) fn event(self, event: &EncodedEvent, with_offset: bool) -> Bytes {
        match self {
            Self::SocketIo => event.form(with_offset, |event| packet::event(event, with_offset, Frames::message)),
            Self::Plain => event.form(with_offset, |event| PlainText(envelope::event(event, with_offset).into())).0,
        }
    }
}
