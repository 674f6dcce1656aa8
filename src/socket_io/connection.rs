//! One Engine.IO connection: its Socket.IO packets, its session once the client has connected, and its end.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
    time::Instant,
};

use actors::{CloseReason, Code, Counters, Durability, Gate, Gauge, Queued, Refusal, SessionHandle};
use engineioxide::{Socket, Str, TransportType};
use serde_json::value::RawValue;
use tokio::{sync::mpsc::error::TrySendError, task::AbortHandle};

use crate::auth::AuthError;

use super::{
    CLOSE_FLUSH, CONNECT_TIMEOUT,
    engine::{EngineOutbox, Handler, engine_reason},
    events, packet,
    packet::Packet,
    stream::Cut,
};

/// What engineioxide keeps with its socket.
pub(super) type SocketData = OnceLock<Arc<Connection>>;
type EngineSocket = Socket<SocketData>;

/// What the hook puts beside a WebSocket handshake for the connection that comes of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Wiring {
    pub(super) gate: Arc<Gate>,
    pub(super) cut: Arc<Cut>,
}

/// One connection. The engine's socket owns it.
pub(super) struct Connection {
    socket: Weak<EngineSocket>,
    pub(super) gate: Arc<Gate>,
    wire: Mutex<Wire>,
    state: Mutex<State>,
    closing: OnceLock<CloseReason>,
    /// A poll waits for packets: whatever was queued before it has been sent.
    polled: AtomicBool,
    opened_at: Instant,
    received: AtomicU64,
    sent: AtomicU64,
    counters: Arc<Counters>,
}

/// What carries the connection.
struct Wire {
    cut: Arc<Cut>,
    /// A WebSocket is taking over from polling.
    upgrading: bool,
}

enum State {
    /// No CONNECT yet; when the time for it is over, the connection is closed.
    Open {
        deadline: AbortHandle,
    },
    /// The client has connected.
    Connected {
        session: SessionHandle,
        outbox: Arc<EngineOutbox>,
        attachments: u16,
    },
    Ended,
}

impl Connection {
    pub(super) fn open(socket: &Arc<EngineSocket>, handler: &Handler) -> Arc<Self> {
        let wiring = socket.req_parts.extensions.get::<Wiring>().cloned().unwrap_or_default();
        let counters = handler.chat.counters().clone();
        counters.add(Gauge::Connections);
        Arc::new_cyclic(|connection| Self {
            socket: Arc::downgrade(socket),
            gate: wiring.gate,
            wire: Mutex::new(Wire { cut: wiring.cut, upgrading: false }),
            state: Mutex::new(State::Open { deadline: deadline(connection.clone()) }),
            closing: OnceLock::new(),
            polled: AtomicBool::new(false),
            opened_at: Instant::now(),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            counters,
        })
    }

    /// A WebSocket takes over from polling.
    pub(super) fn upgrades_on(&self, cut: Arc<Cut>) {
        *self.wire.lock().unwrap_or_else(PoisonError::into_inner) = Wire { cut, upgrading: true };
    }

    /// Begins a poll unless a WebSocket is taking over; `None` then. engineioxide 0.17 looks for an upgrade and takes its
    /// channel in two steps, and closes a session whose upgrade begins between them: here they are one.
    pub(super) async fn poll<T>(&self, poll: impl Future<Output = T>) -> Option<T> {
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

    /// A poll begins to wait, or ends.
    pub(super) fn polled(&self, waiting: bool) {
        self.polled.store(waiting, Ordering::SeqCst);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.get().is_some()
    }

    pub(super) fn received(self: &Arc<Self>, text: &str, handler: &Handler) {
        self.received.fetch_add(1, Ordering::Relaxed);
        if self.is_closing() {
            return;
        }
        match Packet::parse(text) {
            Ok(packet) => self.handle(packet, text.len(), handler),
            Err(error) => {
                tracing::debug!(%error, "a packet was refused");
                self.close(CloseReason::BrokenPacket);
            }
        }
    }

    fn handle(self: &Arc<Self>, packet: Packet<'_>, bytes: usize, handler: &Handler) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let sound = match (&mut *state, packet) {
            // Text where attachments were announced.
            (State::Connected { attachments: 1.., .. }, _) => false,
            (_, Packet::Connect { namespace, .. }) if namespace != "/" => {
                self.emit(packet::refused(namespace, "Invalid namespace", Code::NotFound.as_str()));
                true
            }
            (State::Open { .. }, Packet::Connect { auth, .. }) => {
                self.connect(&mut state, auth, handler);
                true
            }
            (State::Connected { session, outbox, .. }, Packet::Disconnect { namespace: "/" }) => {
                outbox.silence();
                session.end();
                *state = State::Open { deadline: deadline(Arc::downgrade(self)) };
                true
            }
            (State::Connected { attachments: expected, .. }, Packet::Ack { namespace: "/", attachments }) => {
                // Nothing of ours asks for an acknowledgement.
                *expected = attachments;
                true
            }
            (
                State::Connected { session, attachments: expected, .. },
                Packet::Event { namespace: "/", ack, name, arguments, attachments },
            ) => {
                *expected = attachments;
                let request = match attachments {
                    _ if handler.chat.is_stopping() => Err(Refusal::overloaded()),
                    0 => events::parse(&name, &arguments),
                    _ => Err(Refusal::invalid("Binary data is not supported")),
                };
                match (request, ack) {
                    (Ok(request), ack) => session.request(request, ack, self.gate.enter(bytes)),
                    (Err(refusal), Some(ack)) => self.emit(packet::ack(ack, &refusal.to_json())),
                    (Err(_), None) => (),
                }
                true
            }
            (State::Ended, _) => true,
            _ => false,
        };
        drop(state);
        if !sound {
            self.close(CloseReason::BrokenPacket);
        }
    }

    fn connect(self: &Arc<Self>, state: &mut State, auth: Option<&RawValue>, handler: &Handler) {
        match token(auth).and_then(|token| handler.auth.verify(&token)) {
            Ok(caller) => {
                let outbox = Arc::new(EngineOutbox::new(self.clone()));
                let session = handler.chat.connect(caller.user, outbox.clone());
                let connected = State::Connected { session, outbox, attachments: 0 };
                if let State::Open { deadline } = std::mem::replace(state, connected) {
                    deadline.abort();
                }
            }
            Err(error) => {
                let message = match error {
                    AuthError::NoToken => "Authentication error: no token",
                    AuthError::Invalid(reason) => {
                        tracing::debug!(reason, "a token was refused");
                        "Authentication error: invalid token"
                    }
                };
                self.emit(packet::refused("/", message, Code::Unauthenticated.as_str()));
            }
        }
    }

    /// An attachment of an event that was refused already; others are broken.
    pub(super) fn received_binary(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
        let announced = match &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Connected { attachments: attachments @ 1.., .. } => {
                *attachments -= 1;
                true
            }
            _ => false,
        };
        if !announced {
            self.close(CloseReason::BrokenPacket);
        }
    }

    /// Queues a packet that must not be missed.
    pub(super) fn emit(&self, packet: String) {
        if self.queue(packet.into(), Durability::Durable) == Queued::Full {
            self.close(CloseReason::SlowConsumer);
        }
    }

    pub(super) fn queue(&self, packet: Str, durability: Durability) -> Queued {
        let Some(socket) = self.socket.upgrade().filter(|_| !self.is_closing()) else { return Queued::Closed };
        if !self.gate.queue(packet.len(), durability) {
            return Queued::Full;
        }
        match socket.emit(packet) {
            Ok(()) => {
                self.sent.fetch_add(1, Ordering::Relaxed);
                Queued::Yes
            }
            Err(TrySendError::Full(_)) => Queued::Full,
            Err(TrySendError::Closed(_)) => Queued::Closed,
        }
    }

    /// Ends the connection, once: what was queued is still sent, for [`CLOSE_FLUSH`] at most.
    pub(super) fn close(&self, reason: CloseReason) {
        if self.closing.set(reason).is_err() {
            return;
        }
        self.gate.release();
        let Some(socket) = self.socket.upgrade() else { return };
        let cut = self.wire.lock().unwrap_or_else(PoisonError::into_inner).cut.clone();
        // Not here: the caller may hold the state, or be in the middle of its own packets.
        tokio::spawn(async move {
            if let Some(connection) = socket.data.get() {
                connection.end_session();
            }
            socket.close(engine_reason(reason));
            tokio::time::sleep(CLOSE_FLUSH).await;
            cut.now();
        });
    }

    /// Like [`Connection::close`], but a polling client first fetches what it has not yet, for a bounded time.
    pub(super) fn close_when_polled(self: Arc<Self>, reason: CloseReason) {
        tokio::spawn(async move {
            let until = Instant::now() + super::STOP_POLL;
            while self.is_polling() && !self.polled.load(Ordering::SeqCst) && Instant::now() < until {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            self.close(reason);
        });
    }

    fn end_session(&self) {
        let state = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(state, State::Ended) {
            State::Connected { session, .. } => session.end(),
            State::Open { deadline } => deadline.abort(),
            State::Ended => (),
        }
    }

    /// The transport is gone.
    pub(super) fn ended(&self, reason: CloseReason) {
        let reason = *self.closing.get_or_init(|| reason);
        self.gate.release();
        self.end_session();
        self.counters.sub(Gauge::Connections);
        tracing::debug!(
            reason = reason.as_str(),
            seconds = self.opened_at.elapsed().as_secs(),
            received = self.received.load(Ordering::Relaxed),
            sent = self.sent.load(Ordering::Relaxed),
            "connection ended"
        );
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("closing", &self.closing).finish_non_exhaustive()
    }
}

/// Closes a connection whose client does not connect in time.
fn deadline(connection: Weak<Connection>) -> AbortHandle {
    tokio::spawn(async move {
        tokio::time::sleep(CONNECT_TIMEOUT).await;
        if let Some(connection) = connection.upgrade() {
            connection.close(CloseReason::ConnectTimeout);
        }
    })
    .abort_handle()
}

/// The token that a CONNECT packet brings in `auth.token`.
fn token(auth: Option<&RawValue>) -> Result<String, AuthError> {
    #[derive(serde::Deserialize)]
    struct AuthObject {
        token: Option<serde_json::Value>,
    }
    let auth = auth.and_then(|auth| serde_json::from_str::<AuthObject>(auth.get()).ok());
    match auth.and_then(|auth| auth.token) {
        Some(serde_json::Value::String(token)) if token.is_empty() => Err(AuthError::NoToken),
        Some(serde_json::Value::String(token)) => Ok(token),
        Some(_) => Err(AuthError::Invalid("not a string".to_owned())),
        None => Err(AuthError::NoToken),
    }
}
