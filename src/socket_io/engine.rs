//! Where engineioxide and the connections meet: its calls, its reasons, its channel as an outbox.

use std::sync::Arc;

use actors::{AckId, Chat, CloseReason, EncodedEvent, Outbox, Queued, SessionId};
use bytes::Bytes;
use engineioxide::{DisconnectReason, Socket, Str, handler::EngineIoHandler};

use crate::auth::Auth;

use super::{
    Connections,
    connection::{Connection, SocketData},
    packet,
};

/// engineioxide's calls.
#[derive(Debug)]
pub(super) struct Handler {
    pub(super) chat: Chat,
    pub(super) auth: Arc<Auth>,
    pub(super) connections: Connections,
}

impl EngineIoHandler for Handler {
    type Data = SocketData;

    fn on_connect(self: Arc<Self>, socket: Arc<Socket<SocketData>>) {
        let connection = Connection::open(&socket, &self);
        if socket.data.set(connection.clone()).is_ok() {
            self.connections.insert(socket.id, connection);
        }
    }

    fn on_message(self: &Arc<Self>, text: Str, socket: Arc<Socket<SocketData>>) {
        if let Some(connection) = socket.data.get() {
            connection.received(&text, self);
        }
    }

    fn on_binary(self: &Arc<Self>, _: Bytes, socket: Arc<Socket<SocketData>>) {
        if let Some(connection) = socket.data.get() {
            connection.received_binary();
        }
    }

    fn on_disconnect(&self, socket: Arc<Socket<SocketData>>, reason: DisconnectReason) {
        if let Some((_, connection)) = self.connections.remove(&socket.id) {
            connection.ended(close_reason(&reason));
        }
    }
}

fn close_reason(reason: &DisconnectReason) -> CloseReason {
    match reason {
        DisconnectReason::TransportClose => CloseReason::ClientLeft,
        DisconnectReason::TransportError => CloseReason::TransportLost,
        DisconnectReason::HeartbeatTimeout => CloseReason::HeartbeatTimeout,
        DisconnectReason::MultipleHttpPollingError | DisconnectReason::PacketParsingError => CloseReason::BrokenPacket,
        DisconnectReason::ClosingServer => CloseReason::ServerStopping,
    }
}

/// As engineioxide calls it. It tells nobody; the log has ours.
pub(super) fn engine_reason(reason: CloseReason) -> DisconnectReason {
    match reason {
        CloseReason::ServerStopping => DisconnectReason::ClosingServer,
        CloseReason::BrokenPacket | CloseReason::TooLarge => DisconnectReason::PacketParsingError,
        CloseReason::HeartbeatTimeout => DisconnectReason::HeartbeatTimeout,
        _ => DisconnectReason::TransportError,
    }
}

/// The outbox of a connection that engineioxide runs: its channel of packets.
pub(super) struct EngineOutbox(pub(super) Arc<Connection>);

impl Outbox for EngineOutbox {
    fn opened(&self, session: SessionId) {
        self.0.emit(packet::connected(session));
    }

    fn event(&self, event: &EncodedEvent) -> Queued {
        self.0.queue(event.form(|event| Str::from(packet::event_of(event))))
    }

    fn ack(&self, id: AckId, body: &str) {
        self.0.emit(packet::ack(id, body));
    }

    fn close(&self, reason: CloseReason) {
        self.0.close(reason);
    }
}
