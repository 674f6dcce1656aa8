//! One connection: its packets, its session once the client has connected, and its end.
//!
//! What carries it is engineioxide's socket while the client polls, and frames of ours over WebSocket, from the beginning
//! or from the upgrade on; or a plain WebSocket. The bound on what waits to be sent is the gate's, for all of them.

use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use actors::{AckId, CloseReason, Code, Counters, Durability, EncodedEvent, Gate, Gauge, Queued, Recover, Refusal};
use engineioxide::Str;
use serde_json::value::RawValue;
use tokio::task::AbortHandle;

use crate::{
    auth::{AuthError, Caller},
    http::places::Place,
};

use super::{
    CONNECT_TIMEOUT, CONNECTS, Event, Handler,
    connect::{ConnectAuth, refresh},
    description::LastRefusal,
    engine::Polling,
    events,
    frames::Frames,
    outbox::SessionOutbox,
    packet,
    packet::Packet,
    state::{State, Who},
    wire::Wire,
};

/// A connection of whatever kind.
pub(super) struct Connection {
    /// For one that began with polling.
    pub(super) polling: Option<Box<Polling>>,
    pub(super) wire: Wire,
    pub(super) frames: Frames,
    pub(super) gate: Arc<Gate>,
    pub(super) state: Mutex<State>,
    closing: OnceLock<CloseReason>,
    /// Its place among the connections that there may be.
    place: OnceLock<Place>,
    pub(super) opened_at: Instant,
    /// CONNECT packets, whatever came of them.
    connects: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) refused: LastRefusal,
    counters: Arc<Counters>,
}

impl Connection {
    pub(super) fn open(polling: Option<Polling>, wire: Wire, handler: &Handler) -> Arc<Self> {
        let counters = handler.chat.counters().clone();
        counters.add(Gauge::Connections);
        Arc::new_cyclic(|connection| Self {
            polling: polling.map(Box::new),
            wire,
            frames: Frames::default(),
            gate: Arc::default(),
            state: Mutex::new(State::Open { deadline: deadline(connection.clone()) }),
            closing: OnceLock::new(),
            place: OnceLock::new(),
            opened_at: Instant::now(),
            connects: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            refused: LastRefusal::default(),
            counters,
        })
    }

    /// Keeps its place until it ends.
    pub(super) fn has(&self, place: Place) {
        let _ = self.place.set(place);
    }

    /// The polling side of a connection that is not over WebSocket yet.
    pub(super) fn polls(&self) -> Option<&Polling> {
        self.polling.as_deref().filter(|polling| !polling.is_over())
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.get().is_some()
    }

    /// Why, if it is.
    pub(super) fn closing(&self) -> Option<CloseReason> {
        self.closing.get().copied()
    }

    pub(super) fn received(self: &Arc<Self>, text: &str, handler: &Handler) {
        self.received.fetch_add(1, Ordering::Relaxed);
        if self.is_closing() {
            return;
        }
        match self.wire.parse(text) {
            Ok(Packet::Connect { .. }) if self.connects.fetch_add(1, Ordering::Relaxed) >= CONNECTS => {
                self.close(CloseReason::TooManyConnects);
            }
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
                self.emit(self.wire.refused(namespace, "Invalid namespace", Code::NotFound.as_str()));
                true
            }
            (State::Open { .. }, Packet::Connect { auth, .. }) => {
                self.connect(&mut state, auth, handler);
                true
            }
            (State::Connected { session, user, outbox, .. }, Packet::Disconnect { namespace: "/" }) => {
                outbox.silence();
                tracing::debug!(session = %session.id(), user = %user, "a client left its session");
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
                State::Connected { session, user, attachments: expected, .. },
                Packet::Event { namespace: "/", ack, name, arguments, attachments },
            ) => {
                *expected = attachments;
                let event = Event::named(&name);
                let begun = session.begin();
                let parse = |()| match attachments {
                    _ if handler.chat.is_stopping() => Err(Refusal::overloaded()),
                    0 => events::parse(event, &arguments, |token| refresh(*user, token, handler)),
                    _ => Err(Refusal::invalid("Binary data is not supported")),
                };
                match (handler.rates.admit(*user, event).and_then(parse), ack) {
                    (Ok(request), ack) => {
                        let permit = self.gate.enter(bytes.max(request.answer_bytes()));
                        session.request(request, ack, permit, begun);
                    }
                    (Err(refusal), ack) => {
                        self.counters.refused(refusal.code);
                        tracing::debug!(
                            session = %session.id(),
                            %user,
                            event = event.map_or("unknown", Event::name),
                            code = refusal.code.as_str(),
                            "an event was refused"
                        );
                        self.refuse(ack, &refusal);
                    }
                }
                true
            }
            (State::Ended(_), _) => true,
            _ => false,
        };
        drop(state);
        if !sound {
            self.close(CloseReason::BrokenPacket);
        }
    }

    fn connect(self: &Arc<Self>, state: &mut State, auth: Option<&RawValue>, handler: &Handler) {
        let auth = ConnectAuth::parse(auth);
        match auth.token().and_then(|token| handler.auth.admit(token, &handler.chat)) {
            Ok(caller) => self.enter(state, caller, auth.recover(&handler.chat), handler),
            Err(error) => {
                let message = match error {
                    AuthError::NoToken => "Authentication error: no token",
                    AuthError::Invalid(reason) => {
                        tracing::debug!(reason, "a token was refused");
                        "Authentication error: invalid token"
                    }
                };
                self.counters.refused(Code::Unauthenticated);
                self.emit(self.wire.refused("/", message, Code::Unauthenticated.as_str()));
            }
        }
    }

    /// Opens the session of a client that has shown its token with the handshake.
    pub(super) fn connect_as(self: &Arc<Self>, caller: Caller, handler: &Handler) {
        let state = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.enter(state, caller, None, handler);
    }

    fn enter(self: &Arc<Self>, state: &mut State, caller: Caller, recover: Option<Recover>, handler: &Handler) {
        // The next server is the one to connect to.
        if handler.chat.is_draining() {
            return self.close(CloseReason::ServerStopping);
        }
        let outbox = Arc::new(SessionOutbox::new(self.clone(), recover.is_some()));
        let session = handler.chat.connect(caller.user, caller.credentials, outbox.clone(), recover);
        tracing::debug!(session = %session.id(), user = %caller.user, transport = self.transport(), "a session is connected");
        let connected = State::Connected { session, user: caller.user, outbox, attachments: 0 };
        if let State::Open { deadline } = std::mem::replace(state, connected) {
            deadline.abort();
        }
    }

    /// An attachment of an event that was refused already; others are broken.
    pub(super) fn received_binary(self: &Arc<Self>) {
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

    /// Answers a refusal, where an answer is wanted.
    pub(super) fn refuse(self: &Arc<Self>, id: Option<AckId>, refusal: &Refusal) {
        self.refused.note(refusal.code, self.opened_at.elapsed());
        if let Some(id) = id {
            self.emit(self.wire.ack(id, &refusal.to_json()));
        }
    }

    /// Queues a packet that must not be missed.
    pub(super) fn emit(self: &Arc<Self>, packet: String) {
        let queued = match self.polling.as_deref().and_then(Polling::sender) {
            Some(sender) => self.queue(packet.len(), Durability::Durable, || sender.send(packet.into())),
            None => {
                let frame = self.wire.queued(packet);
                self.queue(frame.len(), Durability::Durable, || self.frames.send(frame))
            }
        };
        if queued == Queued::Full {
            self.close(CloseReason::SlowConsumer);
        }
    }

    pub(super) fn event(&self, event: &EncodedEvent, with_offset: bool) -> Queued {
        let with_offset = with_offset && event.offset.is_some();
        match self.polling.as_deref().and_then(Polling::sender) {
            Some(sender) => {
                let make = |event: &_| packet::event(event, with_offset, |pieces| Str::from(pieces.concat()));
                let packet = event.form(with_offset, make);
                self.queue(packet.len(), event.durability, || sender.send(packet))
            }
            None => {
                let frame = self.wire.event(event, with_offset);
                self.queue(frame.len(), event.durability, || self.frames.send(frame))
            }
        }
    }

    /// Sends if the gate has room for so many bytes.
    fn queue(&self, bytes: usize, durability: Durability, send: impl FnOnce() -> Queued) -> Queued {
        if self.is_closing() {
            return Queued::Closed;
        }
        if !self.gate.queue(bytes, durability) {
            return Queued::Full;
        }
        let queued = send();
        if queued == Queued::Yes {
            self.sent.fetch_add(1, Ordering::Relaxed);
        }
        queued
    }

    /// Tells a client that has connected when to come back after the connection is closed, which will be soon.
    pub(super) fn tell_draining(self: &Arc<Self>, reconnect_after: Duration) {
        let is_connected =
            matches!(*self.state.lock().unwrap_or_else(PoisonError::into_inner), State::Connected { .. });
        if is_connected {
            self.emit(self.wire.draining(reconnect_after));
        }
    }

    /// Ends the connection, once: what was queued is still sent, for [`CLOSE_FLUSH`](super::CLOSE_FLUSH) at most.
    pub(super) fn close(self: &Arc<Self>, reason: CloseReason) {
        if self.closing.set(reason).is_err() {
            return;
        }
        if reason == CloseReason::SlowConsumer {
            self.counters.add(Gauge::SlowConsumers);
        }
        self.gate.release();
        self.frames.end();
        if let Some(polling) = &self.polling {
            polling.close(reason, self.clone());
        }
    }

    /// Like [`Connection::close`], but a polling client first fetches what it has not yet, for a bounded time.
    pub(super) fn close_when_polled(self: Arc<Self>, reason: CloseReason) {
        tokio::spawn(async move {
            if let Some(polling) = self.polls() {
                polling.polled().await;
            }
            self.close(reason);
        });
    }

    /// The client's session is over, the connection perhaps not yet.
    pub(super) fn end_session(&self) {
        let state = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let who = state.who();
        match std::mem::replace(state, State::Ended(who)) {
            State::Connected { session, .. } => {
                session.disconnected(self.closing.get().copied().unwrap_or(CloseReason::TransportLost));
            }
            State::Open { deadline } => deadline.abort(),
            State::Ended(_) => (),
        }
    }

    /// Whose session it is, or was at the end.
    pub(super) fn who(&self) -> Option<Who> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).who()
    }

    /// The transport is gone.
    pub(super) fn ended(&self, reason: CloseReason) {
        let reason = *self.closing.get_or_init(|| reason);
        self.gate.release();
        self.end_session();
        self.counters.sub(Gauge::Connections);
        self.counters.closed(reason);
        let who = self.who();
        tracing::debug!(
            session = who.map(|who| display(who.session)),
            user = who.map(|who| display(who.user)),
            transport = self.transport(),
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
