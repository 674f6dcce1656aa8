//! Where engineioxide and the connections meet: its calls, its reasons, its channel as an outbox.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

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

/// A session's outbox on a connection that engineioxide runs: its channel of packets. A client may leave its session and
/// connect again on the same connection; the old session says nothing more then.
pub(super) struct EngineOutbox {
    connection: Arc<Connection>,
    silent: AtomicBool,
}

impl EngineOutbox {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self { connection, silent: AtomicBool::new(false) }
    }

    pub(super) fn silence(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }

    fn connection(&self) -> Option<&Connection> {
        (!self.silent.load(Ordering::SeqCst)).then_some(&*self.connection)
    }
}

impl Outbox for EngineOutbox {
    fn opened(&self, session: SessionId) {
        if let Some(connection) = self.connection() {
            connection.emit(packet::connected(session));
        }
    }

    fn event(&self, event: &EncodedEvent) -> Queued {
        let Some(connection) = self.connection() else { return Queued::Closed };
        connection.queue(event.form(|event| Str::from(packet::event_of(event))), event.durability)
    }

    fn ack(&self, id: AckId, body: &str) {
        if let Some(connection) = self.connection() {
            connection.emit(packet::ack(id, body));
        }
    }

    fn close(&self, reason: CloseReason) {
        if let Some(connection) = self.connection() {
            connection.close(reason);
        }
    }
}
