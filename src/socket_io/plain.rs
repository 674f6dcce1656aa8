//! The chat over a plain WebSocket, `GET /api/chat/ws`: for devices and tools that have no Socket.IO library.
//!
//! The same session, events and refusals as over Socket.IO; `envelope.rs` has the form. The token comes with the handshake's
//! `Authorization`, or later in a `connect` event, as from browsers, which can send no such header. Never in the query, which
//! proxies log.
//!
//! One actor a connection. Its context is the body of the handshake's answer and runs only while the socket takes bytes. So
//! a client that does not read stops it: what waits is bounded by the gate, and the stream fails after
//! [`STUCK`](crate::http::patience::STUCK).

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix::{Actor, ActorContext, AsyncContext, StreamHandler};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload},
};
use actix_web_actors::ws::{CloseCode, Message, ProtocolError, WebsocketContext};
use actors::{CloseReason, Code, Refusal};
use bytes::Bytes;
use engineioxide::socket::Sid;
use futures::{Stream, stream};

use crate::http::{ApiError, App, handshake, places::Full};

use super::{
    Handler, PING_INTERVAL, PING_TIMEOUT, connection::Connection, incoming::Reading, link::Listed, wire::Wire,
};

/// Where it is.
pub(super) const PATH: &str = "/api/chat/ws";
/// How long a client that is told why it is closed may go on sending before its socket is.
const LINGER: Duration = Duration::from_secs(2);
/// When somebody may try again whose address has too many connections: one of them may have ended.
const PLACE_AGAIN: Duration = Duration::from_secs(5);

/// Opens one.
///
/// # Errors
/// No handshake, another origin than those that may, a token that does not hold, too many connections, or the server stops.
pub(crate) async fn open(app: Data<App>, request: HttpRequest, body: Payload) -> Result<HttpResponse, ApiError> {
    let (mut answer, caller) = handshake::accept(&app, &request)?;
    if app.chat.is_draining() {
        return Err(Refusal::new(Code::Overloaded, "The server is stopping").into());
    }
    let place = app.place(request.peer_addr(), request.headers()).map_err(|full| match full {
        Full::Address => Refusal::too_many("Too many connections from this address", PLACE_AGAIN),
        Full::Total => Refusal::new(Code::Overloaded, "Too many connections"),
    })?;
    let handler = app.socket_io.handler.clone();
    let connection = Connection::open(None, Wire::Plain, &handler);
    connection.has(place);
    let sid = Sid::new();
    handler.connections.insert(sid, connection.clone());
    let listed = Listed::new(sid, connection.clone(), handler.clone());
    if let Some(caller) = caller {
        connection.connect_as(caller, &handler);
    }
    let socket = PlainSocket {
        connection,
        handler,
        payload: Some(body),
        is_asked: false,
        is_told: false,
        is_gone: false,
        _listed: listed,
    };
    // What the package itself reads with takes in all that comes before it decodes any of it.
    Ok(answer.streaming(WebsocketContext::create(socket, stream::pending())))
}

/// A connection; it ends with its actor.
struct PlainSocket {
    connection: Arc<Connection>,
    handler: Arc<Handler>,
    /// Until it starts.
    payload: Option<Payload>,
    /// It has been asked whether it is there, and has not answered.
    is_asked: bool,
    /// It has been told why it is closed.
    is_told: bool,
    /// The client says nothing any more.
    is_gone: bool,
    _listed: Listed,
}

impl PlainSocket {
    fn ask(&mut self, ctx: &mut WebsocketContext<Self>) {
        self.is_asked = true;
        ctx.ping(b"");
        ctx.run_later(PING_TIMEOUT, |socket, _| {
            if socket.is_asked {
                socket.connection.close(CloseReason::HeartbeatTimeout);
            }
        });
    }
}

impl Actor for PlainSocket {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(payload) = self.payload.take() {
            let connection = self.connection.clone();
            ctx.add_stream(Heard { reading: Reading::of(payload), connection });
        }
        ctx.add_stream(ToSend { connection: self.connection.clone(), taken: VecDeque::new() });
        ctx.run_interval(PING_INTERVAL, Self::ask);
    }
}

/// What the client says.
impl StreamHandler<Result<Message, ProtocolError>> for PlainSocket {
    fn handle(&mut self, message: Result<Message, ProtocolError>, ctx: &mut Self::Context) {
        match message {
            Ok(Message::Text(text)) => self.connection.received(&text, &self.handler),
            Ok(Message::Ping(payload)) => ctx.pong(&payload),
            Ok(Message::Pong(_)) => self.is_asked = false,
            Ok(Message::Close(_)) => self.connection.close(CloseReason::ClientLeft),
            Ok(Message::Continuation(_) | Message::Nop) => (),
            Err(ProtocolError::Overflow) => self.connection.close(CloseReason::TooLarge),
            Ok(Message::Binary(_)) | Err(_) => self.connection.close(CloseReason::BrokenPacket),
        }
    }

    /// The client is gone; what it was not told yet may still reach it.
    fn finished(&mut self, ctx: &mut Self::Context) {
        let was_closing = self.connection.is_closing();
        self.connection.close(CloseReason::TransportLost);
        self.is_gone = true;
        if self.is_told || !was_closing {
            ctx.stop();
        }
    }
}

/// What is sent to it.
impl StreamHandler<Sent> for PlainSocket {
    fn handle(&mut self, Sent(text): Sent, ctx: &mut Self::Context) {
        if let Ok(text) = text.try_into() {
            ctx.write_raw(Message::Text(text));
        }
    }

    /// All is sent, and the connection closed.
    fn finished(&mut self, ctx: &mut Self::Context) {
        self.connection.end_session();
        let reason = self.connection.closing().unwrap_or(CloseReason::TransportLost);
        ctx.close(Some((close_code(reason), reason.as_str()).into()));
        self.is_told = true;
        if self.is_gone {
            return ctx.stop();
        }
        // What is not read when a socket closes makes the system reset it, and the client may never see why (RFC 6455, 7.1.1).
        ctx.run_later(LINGER, |_, ctx| ctx.stop());
    }
}

/// What the client is told (RFC 6455, section 7.4.1, and IANA's registry of close codes).
fn close_code(reason: CloseReason) -> CloseCode {
    match reason {
        CloseReason::ClientLeft | CloseReason::TransportLost | CloseReason::TakenOver => CloseCode::Normal,
        CloseReason::ServerStopping => CloseCode::Restart,
        CloseReason::BrokenPacket => CloseCode::Invalid,
        CloseReason::TooLarge => CloseCode::Size,
        CloseReason::HeartbeatTimeout
        | CloseReason::ConnectTimeout
        | CloseReason::TooManyConnects
        | CloseReason::AuthExpired
        | CloseReason::Revoked => CloseCode::Policy,
        CloseReason::SlowConsumer | CloseReason::OutcomeUnknown | CloseReason::Operator => CloseCode::Again,
        CloseReason::RoomFailed | CloseReason::SessionFailed => CloseCode::Error,
    }
}

/// The client's messages, read while the gate is open; at its end the client is gone.
struct Heard {
    reading: Reading,
    connection: Arc<Connection>,
}

impl Stream for Heard {
    type Item = Result<Message, ProtocolError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { reading, connection } = self.get_mut();
        ready!(reading.incoming.poll_open(connection, cx));
        if connection.is_closing() {
            return reading.poll_rest(cx).map(|()| None);
        }
        Pin::new(reading).poll_next(cx)
    }
}

/// A text for the client.
struct Sent(Bytes);

/// What is queued for the client; at its end the connection is closed.
struct ToSend {
    connection: Arc<Connection>,
    taken: VecDeque<Bytes>,
}

impl Stream for ToSend {
    type Item = Sent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Sent>> {
        let Self { connection, taken } = self.get_mut();
        let mut has_ended = false;
        if taken.is_empty() {
            connection.frames.wakes(cx.waker());
            has_ended = connection.frames.take(taken);
        }
        match taken.pop_front() {
            Some(text) => {
                connection.gate.sent(1, text.len());
                Poll::Ready(Some(Sent(text)))
            }
            None if has_ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}
