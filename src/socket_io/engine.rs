//! Connections that begin with polling: engineioxide's calls, its reasons, its socket as a carrier.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use actors::{CloseReason, Queued};
use bytes::Bytes;
use engineioxide::{DisconnectReason, Socket, Str, TransportType, handler::EngineIoHandler};
use tokio::sync::mpsc::error::TrySendError;

use super::{
    CLOSE_FLUSH, Handler, STOP_POLL,
    connection::{Carrier, Connection},
    stream::Cut,
};

/// What engineioxide keeps with its socket.
type SocketData = OnceLock<Arc<Connection>>;

impl EngineIoHandler for Handler {
    type Data = SocketData;

    fn on_connect(self: Arc<Self>, socket: Arc<Socket<SocketData>>) {
        let connection = Connection::open(Carrier::Engine(EngineSocket::new(&socket)), &self);
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
fn engine_reason(reason: CloseReason) -> DisconnectReason {
    match reason {
        CloseReason::ServerStopping => DisconnectReason::ClosingServer,
        CloseReason::BrokenPacket | CloseReason::TooLarge => DisconnectReason::PacketParsingError,
        CloseReason::HeartbeatTimeout => DisconnectReason::HeartbeatTimeout,
        _ => DisconnectReason::TransportError,
    }
}

/// engineioxide's socket, which owns the connection.
pub(super) struct EngineSocket {
    socket: Weak<Socket<SocketData>>,
    wire: Mutex<Wire>,
    /// A poll waits for packets: whatever was queued before it has been sent.
    polled: AtomicBool,
}

/// What carries the socket.
#[derive(Default)]
struct Wire {
    cut: Arc<Cut>,
    /// A WebSocket is taking over from polling.
    upgrading: bool,
}

impl EngineSocket {
    fn new(socket: &Arc<Socket<SocketData>>) -> Self {
        Self { socket: Arc::downgrade(socket), wire: Mutex::default(), polled: AtomicBool::new(false) }
    }

    /// A WebSocket takes over from polling.
    pub(super) fn upgrades_on(&self, cut: Arc<Cut>) {
        *self.wire.lock().unwrap_or_else(PoisonError::into_inner) = Wire { cut, upgrading: true };
    }

    /// Begins a poll unless a WebSocket is taking over; `None` then. engineioxide 0.17 looks for an upgrade and takes its
    /// channel in two steps, and closes a session whose upgrade begins between them: here they are one.
    pub(super) async fn poll<T>(&self, poll: impl Future<Output = T>) -> Option<T> {
        let _polled = Polled::begin(self);
        let mut poll = pin!(poll);
        let mut began = false;
        poll_fn(|cx| {
            if began {
                return poll.as_mut().poll(cx).map(Some);
            }
            began = true;
            let wire = self.wire.lock().unwrap_or_else(PoisonError::into_inner);
            if wire.upgrading && self.is_polling() { Poll::Ready(None) } else { poll.as_mut().poll(cx).map(Some) }
        })
        .await
    }

    pub(super) fn is_polling(&self) -> bool {
        self.socket.upgrade().is_some_and(|socket| socket.transport_type() == TransportType::Polling)
    }

    pub(super) fn send(&self, packet: Str) -> Queued {
        match self.socket.upgrade().map(|socket| socket.emit(packet)) {
            Some(Ok(())) => Queued::Yes,
            Some(Err(TrySendError::Full(_))) => Queued::Full,
            Some(Err(TrySendError::Closed(_))) | None => Queued::Closed,
        }
    }

    pub(super) fn close(&self, reason: CloseReason, connection: Arc<Connection>) {
        let Some(socket) = self.socket.upgrade() else { return };
        let cut = self.wire.lock().unwrap_or_else(PoisonError::into_inner).cut.clone();
        // Not here: the caller may hold the state, or be in the middle of its own packets.
        tokio::spawn(async move {
            connection.end_session();
            socket.close(engine_reason(reason));
            tokio::time::sleep(CLOSE_FLUSH).await;
            cut.now();
        });
    }

    /// Closes once the client polls, or after [`STOP_POLL`].
    pub(super) fn close_when_polled(&self, reason: CloseReason, connection: Arc<Connection>) {
        const LOOK: Duration = Duration::from_millis(5);
        tokio::spawn(async move {
            let until = Instant::now() + STOP_POLL;
            let is_polled = || connection.engine().is_some_and(|socket| socket.polled.load(Ordering::SeqCst));
            while connection.is_polling() && !is_polled() && Instant::now() < until {
                tokio::time::sleep(LOOK).await;
            }
            connection.close(reason);
        });
    }
}

/// Marks a socket as being polled.
struct Polled<'a>(&'a EngineSocket);

impl<'a> Polled<'a> {
    fn begin(socket: &'a EngineSocket) -> Self {
        socket.polled.store(true, Ordering::SeqCst);
        Self(socket)
    }
}

impl Drop for Polled<'_> {
    fn drop(&mut self) {
        self.0.polled.store(false, Ordering::SeqCst);
    }
}
