//! Where a session's frames go: its connection.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use actors::{AckId, CloseReason, EncodedEvent, Outbox, Pid, Queued, Refusal, SessionId};

use super::connection::Connection;

/// A session's outbox: the connection that carries it. A client may leave its session and connect again on the same
/// connection; the old session says nothing more then.
pub(super) struct SessionOutbox {
    connection: Arc<Connection>,
    /// The client recovers, and remembers how far it has come.
    with_offsets: bool,
    silent: AtomicBool,
}

impl SessionOutbox {
    pub(super) fn new(connection: Arc<Connection>, with_offsets: bool) -> Self {
        Self { connection, with_offsets, silent: AtomicBool::new(false) }
    }

    pub(super) fn silence(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }

    fn connection(&self) -> Option<&Arc<Connection>> {
        (!self.silent.load(Ordering::SeqCst)).then_some(&self.connection)
    }
}

impl Outbox for SessionOutbox {
    fn opened(&self, session: SessionId, pid: Option<Pid>) {
        if let Some(connection) = self.connection() {
            connection.emit(connection.wire.connected(session, pid));
        }
    }

    fn event(&self, event: &Arc<EncodedEvent>) -> Queued {
        self.connection().map_or(Queued::Closed, |connection| connection.event(event, self.with_offsets))
    }

    fn ack(&self, id: AckId, body: &str) {
        if let Some(connection) = self.connection() {
            connection.emit(connection.wire.ack(id, body));
        }
    }

    fn refuse(&self, id: Option<AckId>, refusal: &Refusal) {
        if let Some(connection) = self.connection() {
            connection.refuse(id, refusal);
        }
    }

    fn close(&self, reason: CloseReason) {
        if let Some(connection) = self.connection() {
            connection.close(reason);
        }
    }
}
