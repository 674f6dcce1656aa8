//! Connections that poll: engineioxide's calls, its reasons, and its socket until a WebSocket takes over.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::{Duration, Instant},
};

use actors::{CloseReason, Queued};
use bytes::Bytes;
use engineioxide::{DisconnectReason, Socket, Str, handler::EngineIoHandler};
use tokio::sync::{Notify, RwLock, RwLockWriteGuard, mpsc::error::TrySendError};

use super::{Handler, STOP_POLL, connection::Connection, wire::Wire};

/// What engineioxide keeps with its socket.
type SocketData = OnceLock<Arc<Connection>>;

impl EngineIoHandler for Handler {
    type Data = SocketData;

    fn on_connect(self: Arc<Self>, socket: Arc<Socket<SocketData>>) {
        let connection = Connection::open(Some(Polling::new(&socket)), Wire::SocketIo, &self);
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
        let connection = socket.data.get();
        // Otherwise a WebSocket carries it on.
        if let Some(connection) =
            connection.filter(|connection| connection.polling.as_deref().is_some_and(Polling::end))
        {
            self.connections.remove(&socket.id);
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

/// The polling side of a connection that began with polling.
pub(super) struct Polling {
    side: Mutex<Side>,
    /// Polls under way, as readers; whoever takes over from polling waits for their end.
    polls: RwLock<()>,
    /// The client's probe came, or polling is over.
    changed: Notify,
}

enum Side {
    /// engineioxide's socket, which owns the connection.
    Polls { socket: Weak<Socket<SocketData>>, upgrade: Upgrade },
    /// A WebSocket has taken over, or the connection has ended.
    Over,
}

impl Side {
    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn waits_no_more(&self) -> bool {
        matches!(self, Self::Over | Self::Polls { upgrade: Upgrade::Probed, .. })
    }
}

/// How far an upgrade to WebSocket is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Upgrade {
    None,
    Begun,
    /// The client's probe came: polls bring what there is and wait for nothing.
    Probed,
}

impl Polling {
    fn new(socket: &Arc<Socket<SocketData>>) -> Self {
        Self {
            side: Mutex::new(Side::Polls { socket: Arc::downgrade(socket), upgrade: Upgrade::None }),
            polls: RwLock::default(),
            changed: Notify::new(),
        }
    }

    fn side(&self) -> MutexGuard<'_, Side> {
        self.side.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_over(&self) -> bool {
        self.side().is_over()
    }

    /// What sends to a client that still polls. Nothing takes over while it is held.
    pub(super) fn sender(&self) -> Option<Sender<'_>> {
        let side = self.side();
        matches!(*side, Side::Polls { .. }).then(|| Sender(side))
    }

    /// Nothing is sent by polling any more; whether that is new.
    fn end(&self) -> bool {
        let before = std::mem::replace(&mut *self.side(), Side::Over);
        self.changed.notify_waiters();
        matches!(before, Side::Polls { .. })
    }

    /// Polls; `None` if the client is to poll no more.
    pub(super) async fn poll<T>(&self, poll: impl Future<Output = T>) -> Option<T> {
        let _under_way = self.polls.read().await;
        if self.is_over() {
            return None;
        }
        // What the poll brings goes first. It has taken nothing yet when it is dropped.
        tokio::select! { biased; answer = poll => Some(answer), () = self.until(Side::waits_no_more) => None }
    }

    async fn until(&self, reached: impl Fn(&Side) -> bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            // Registered before looking, so that nothing is missed.
            changed.as_mut().enable();
            if reached(&self.side()) {
                return;
            }
            changed.await;
        }
    }

    /// Whether the client polls, and no upgrade is under way.
    pub(super) fn may_upgrade(&self) -> bool {
        matches!(*self.side(), Side::Polls { upgrade: Upgrade::None, .. })
    }

    /// Begins an upgrade; `None` if it may not.
    pub(super) fn upgrade(&self) -> Option<Upgrading<'_>> {
        match &mut *self.side() {
            Side::Polls { upgrade: upgrade @ Upgrade::None, .. } => {
                *upgrade = Upgrade::Begun;
                Some(Upgrading(self))
            }
            _ => None,
        }
    }

    pub(super) fn close(&self, reason: CloseReason, connection: Arc<Connection>) {
        let Side::Polls { socket, .. } = &*self.side() else { return };
        let Some(socket) = socket.upgrade() else { return };
        // Not here: the caller may hold the state, or be in the middle of its own packets.
        tokio::spawn(async move {
            connection.end_session();
            socket.close(engine_reason(reason));
        });
    }

    /// Returns once a poll waits for packets, so that whatever was queued before it has been sent; or after [`STOP_POLL`].
    pub(super) async fn polled(&self) {
        // Only a stop waits for it, so that looking now and then is simpler than being told.
        const LOOK: Duration = Duration::from_millis(5);
        let until = Instant::now() + STOP_POLL;
        while !self.is_over() && self.polls.try_write().is_ok() && Instant::now() < until {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Sends by polling.
pub(super) struct Sender<'a>(MutexGuard<'a, Side>);

impl Sender<'_> {
    pub(super) fn send(&self, packet: Str) -> Queued {
        let Side::Polls { socket, .. } = &*self.0 else { return Queued::Closed };
        match socket.upgrade().map(|socket| socket.emit(packet)) {
            Some(Ok(())) => Queued::Yes,
            Some(Err(TrySendError::Full(_))) => Queued::Full,
            Some(Err(TrySendError::Closed(_))) | None => Queued::Closed,
        }
    }
}

/// An upgrade under way. When it is dropped before the end, the client polls on.
pub(super) struct Upgrading<'a>(&'a Polling);

impl<'a> Upgrading<'a> {
    fn reaches(&self, reached: Upgrade) {
        if let Side::Polls { upgrade, .. } = &mut *self.0.side() {
            *upgrade = reached;
        }
    }

    /// The client's probe came.
    pub(super) fn probed(&self) {
        self.reaches(Upgrade::Probed);
        self.0.changed.notify_waiters();
    }

    /// Returns when there is no session any more to carry on.
    pub(super) async fn session_ended(&self) {
        self.0.until(Side::is_over).await;
    }

    /// The end of polling, unless the connection has ended or is closing. The socket still has what was not polled.
    pub(super) async fn take_over(
        self,
        connection: &Connection,
    ) -> Option<(RemainingSocket, RwLockWriteGuard<'a, ()>)> {
        let polls = self.0.polls.write().await;
        let mut side = self.0.side();
        let Side::Polls { socket, .. } = &*side else { return None };
        let socket = socket.upgrade().filter(|_| !connection.is_closing())?;
        *side = Side::Over;
        Some((RemainingSocket(socket), polls))
    }
}

impl Drop for Upgrading<'_> {
    fn drop(&mut self) {
        self.reaches(Upgrade::None);
    }
}

/// engineioxide's socket after a WebSocket has taken over; closed when it is dropped.
pub(super) struct RemainingSocket(Arc<Socket<SocketData>>);

impl RemainingSocket {
    /// Queues an empty message, which is the last one then: nobody sends to it any more.
    pub(super) fn mark_the_end(&self) -> bool {
        self.0.emit("").is_ok()
    }
}

impl Drop for RemainingSocket {
    fn drop(&mut self) {
        self.0.close(DisconnectReason::TransportClose);
    }
}
