//! Socket.IO (protocol 5) on Engine.IO (protocol 4), on the port of actix-web; and the same without either, for clients that
//! have a WebSocket and no more.
//!
//! | file | |
//! | --- | --- |
//! | `polling.rs` | long polling: requests and answers between actix's http types and engineioxide's |
//! | `engine.rs` | connections that poll: what engineioxide calls, and its socket |
//! | `upgrade.rs` | WebSocket: the hook checks and answers 101; a client that polled is probed and taken over |
//! | `link.rs`, `frames.rs`, `clock.rs` | connections over WebSocket: an Engine.IO session of ours, what it sends, its times |
//! | `stream.rs` | a stream with what was read of it before |
//! | `incoming.rs` | what comes over a WebSocket: messages, while the gate lets them in |
//! | `plain.rs` | plain WebSockets, an actor each |
//! | `connection.rs`, `state.rs`, `connect.rs`, `outbox.rs` | one connection of any kind: its packets, its session, its end; how far it has come; who connects; what the session sends |
//! | `wire.rs` | what is spoken on it: `packet.rs` for Socket.IO, `envelope.rs` on plain WebSockets |
//! | `events.rs` | events as requests |
//! | `description.rs` | a connection as operators see it |
//! | `bench.rs` | what micro-benchmarks and fuzz targets reach |
//!
//! engineioxide could speak WebSocket, too. Over frames of ours a connection takes a fifth of the memory and a third of
//! the time for a heartbeat, and its upgrades need no work-around. One defect of version 0.17 is worked around: its first
//! ping goes out at once (`polling.rs`).

#[doc(hidden)]
pub mod bench;
mod clock;
mod connect;
mod connection;
mod description;
mod engine;
mod envelope;
mod events;
mod frames;
pub(crate) mod incoming;
mod link;
mod outbox;
mod packet;
pub(crate) mod plain;
mod polling;
mod state;
mod stream;
pub(crate) mod upgrade;
mod wire;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{HttpResponse, http::StatusCode, web};
use actors::{
    Chat, CloseReason, ConversationId,
    limits::{CONFIRMED_AFTER, OUTBOX_BYTES, OUTBOX_PACKETS, RESUME_BYTES},
};
use dashmap::DashMap;
use engineioxide::{
    config::EngineIoConfig,
    service::{EngineIoService, NotFoundService},
    socket::Sid,
};

use crate::{
    auth::Auth,
    http::{
        patience::STUCK,
        places::{Full, Place},
        routes::Declared,
    },
    rates::Rates,
};

use connection::Connection;
use description::ConnectionDescription;
pub use events::Event;
pub(crate) use events::named_events;
pub use packet::{BrokenPacket, Packet};
pub(crate) use stream::PrefixedStream;

/// Where Engine.IO is.
const PATH: &str = "/socket.io";
/// Largest packet and largest polling payload, in bytes; announced to clients as `maxPayload`.
pub const MAX_PAYLOAD: usize = 1_000_000;
/// How often a client is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_secs(25);
/// How long it may take to answer.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
// A client that has not answered for so long is closed, so that it has what was sent before.
const _: () = assert!(PING_INTERVAL.as_secs() + PING_TIMEOUT.as_secs() + STUCK.as_secs() < CONFIRMED_AFTER.as_secs());
/// How long the upgrade to WebSocket may take.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take from the handshake to its CONNECT packet.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(45);
/// CONNECT packets of one connection. Further ones: it is closed. No rate and no gate bounds them, and each may start a
/// session and end one; clients send one, and a few more where a token was refused.
const CONNECTS: u64 = 16;
/// Frames that one connection handles before others of its worker have their turn: tokio itself counts reads, and a read
/// of 64 KiB has thousands of small ones. So many take less than a millisecond.
const FRAMES_A_TURN: usize = 128;
/// Connections that a search looks at before others of its worker have their turn.
const FOUND_A_TURN: usize = 500;
/// How long a closed connection may take to send what was queued; then it is cut.
const CLOSE_FLUSH: Duration = Duration::from_secs(5);
/// How long a stop waits for a polling client to fetch what is queued for it.
const STOP_POLL: Duration = Duration::from_secs(1);
/// Between two connections that a stop closes, if there is time for it.
const CLOSE_PACE: Duration = Duration::from_micros(200);
/// When the first client comes back to the next server, and the time between two of them.
const COME_BACK: (Duration, Duration) = (Duration::from_millis(500), Duration::from_millis(1));
/// All of them come within this time; a few spread over a second.
const COME_BACK_WITHIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Packets of a polling payload that are handled before the connection's gate is asked again.
const POLLING_SLICE: usize = 128;
// Answers to a slice of joins that resume are no reason to close a connection.
const _: () = assert!(POLLING_SLICE * RESUME_BYTES <= OUTBOX_BYTES / 2);
/// The same in bytes.
const POLLING_SLICE_BYTES: usize = 64 * 1024;

/// All connections, and the service of those that engineioxide carries.
#[derive(Clone)]
pub struct SocketIo {
    service: EngineIoService<Handler, NotFoundService>,
    handler: Arc<Handler>,
    connections: Connections,
}

type Connections = Arc<DashMap<Sid, Arc<Connection>>>;

/// What a connection needs of the server.
#[derive(Debug)]
struct Handler {
    chat: Chat,
    auth: Arc<Auth>,
    rates: Arc<Rates>,
    connections: Connections,
}

impl SocketIo {
    /// For a chat, with the tokens it checks and how much a user may ask for.
    pub fn new(chat: Chat, auth: Arc<Auth>, rates: Arc<Rates>) -> Self {
        let connections = Connections::default();
        let handler = Arc::new(Handler { chat, auth, rates, connections: connections.clone() });
        let config = EngineIoConfig::builder()
            .req_path(PATH)
            .ping_interval(PING_INTERVAL)
            .ping_timeout(PING_TIMEOUT)
            .max_payload(MAX_PAYLOAD as u64)
            // The bound that counts is the gate's; the crate's own packets come on top.
            .max_buffer_size(OUTBOX_PACKETS + 64)
            .build();
        Self { service: EngineIoService::with_config(handler.clone(), config), handler, connections }
    }

    /// How many connections there are over each transport.
    pub(crate) fn by_transport(&self) -> [(&'static str, i64); 3] {
        let mut counts = ["polling", "websocket", "plain_websocket"].map(|transport| (transport, 0));
        for connection in self.connections.iter() {
            let transport = connection.transport();
            counts.iter_mut().filter(|(name, _)| *name == transport).for_each(|(_, count)| *count += 1);
        }
        counts
    }

    /// Connections whose session's id, or whose user's, begins so, so many at most; and how many there are.
    pub(crate) async fn find(&self, begins: &str, limit: usize) -> (usize, Vec<ConnectionDescription>) {
        let connections: Vec<_> = self.connections.iter().map(|one| (*one.key(), one.value().clone())).collect();
        let (mut count, mut found) = (0, Vec::new());
        for some in connections.chunks(FOUND_A_TURN) {
            for (id, connection) in some.iter().filter(|(_, connection)| connection.begins_with(begins)) {
                count += 1;
                if found.len() < limit {
                    found.push(connection.describe(*id));
                }
            }
            tokio::task::yield_now().await;
        }
        (count, found)
    }

    /// One connection, and the conversations whose rooms its session has joined.
    pub(crate) async fn look_at(&self, id: &str) -> Option<(ConnectionDescription, Vec<ConversationId>)> {
        let connection = self.connection(id)?;
        let rooms = match connection.session() {
            Some(session) => session.rooms().await.unwrap_or_default(),
            None => Vec::new(),
        };
        Some((connection.describe(id.parse().ok()?), rooms))
    }

    /// Closes one; what it was, if it was there.
    pub(crate) fn close(&self, id: &str) -> Option<ConnectionDescription> {
        let connection = self.connection(id)?;
        let described = connection.describe(id.parse().ok()?);
        connection.close(CloseReason::Operator);
        Some(described)
    }

    fn connection(&self, id: &str) -> Option<Arc<Connection>> {
        self.connections.get(&id.parse::<Sid>().ok()?).map(|connection| connection.clone())
    }

    /// Tells all clients that their connections will be closed, and when to come back, each at another time.
    pub fn tell_draining(&self) {
        let open = self.open();
        for (place, connection) in open.iter().enumerate() {
            connection.tell_draining(comes_back(place, open.len()));
        }
    }

    fn open(&self) -> Vec<Arc<Connection>> {
        self.connections.iter().map(|connection| connection.clone()).collect()
    }

    /// Closes all connections, spread over a time; what they were to be sent is still sent. Returns when none is left.
    pub async fn close_all(&self, spread: Duration) {
        // Only a stop waits for it, so that looking now and then is simpler than being told.
        const LOOK: Duration = Duration::from_millis(5);
        let open = self.open();
        let spread = spread.min(CLOSE_PACE * u32::try_from(open.len()).unwrap_or(u32::MAX));
        let (begun, count) = (Instant::now(), open.len());
        for (place, connection) in open.into_iter().enumerate() {
            connection.close_when_polled(CloseReason::ServerStopping);
            let turn = spread.mul_f64((place + 1) as f64 / count as f64);
            if turn > begun.elapsed() + LOOK {
                tokio::time::sleep(turn - begun.elapsed()).await;
            }
        }
        while !self.connections.is_empty() {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// When one of so many clients is to come back.
fn comes_back(place: usize, count: usize) -> Duration {
    let (first, step) = COME_BACK;
    let (few, many) = COME_BACK_WITHIN;
    let within = (step * u32::try_from(count).unwrap_or(u32::MAX)).clamp(few, many);
    first + within.mul_f64(place as f64 / count as f64)
}

impl fmt::Debug for SocketIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketIo").field("connections", &self.connections.len()).finish_non_exhaustive()
    }
}

/// Whether a path is Engine.IO's.
pub(crate) fn is_engine_path(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest == "/")
}

/// Whether a request, as far as it has come, is a handshake without a session.
pub(crate) fn begins_session(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let Some(path) = line.strip_prefix(b"GET ") else { return false };
    let engine = path.strip_prefix(PATH.as_bytes());
    engine.is_some_and(|rest| !rest.windows(5).any(|part| part == b"&sid=")) || path.starts_with(plain::PATH.as_bytes())
}

/// The routes of long polling.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    for path in [PATH, "/socket.io/"] {
        config.service(
            web::resource(path)
                .app_data(Declared(path))
                .route(web::get().to(polling::get))
                .route(web::post().to(polling::post))
                .default_service(web::to(|| async { HandshakeError::BadMethod.response() })),
        );
    }
}

/// What a request is let in for.
enum Admitted {
    /// A connection that is there.
    Known(Sid, Arc<Connection>),
    /// A new one, with its place among those that there may be.
    New(Place),
}

/// Why a handshake is refused, with Engine.IO's own numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum HandshakeError {
    UnknownTransport,
    UnknownSession,
    BadMethod,
    BadRequest,
    Forbidden,
    UnsupportedVersion,
    Stopping,
    TooMany(Full),
}

impl HandshakeError {
    fn parts(self) -> (StatusCode, u8, &'static str) {
        match self {
            Self::UnknownTransport => (StatusCode::BAD_REQUEST, 0, "Transport unknown"),
            Self::UnknownSession => (StatusCode::BAD_REQUEST, 1, "Session ID unknown"),
            Self::BadMethod => (StatusCode::BAD_REQUEST, 2, "Bad handshake method"),
            Self::BadRequest => (StatusCode::BAD_REQUEST, 3, "Bad request"),
            Self::Forbidden => (StatusCode::FORBIDDEN, 4, "Forbidden"),
            Self::UnsupportedVersion => (StatusCode::BAD_REQUEST, 5, "Unsupported protocol version"),
            Self::Stopping => (StatusCode::SERVICE_UNAVAILABLE, 3, "The server is stopping"),
            Self::TooMany(Full::Address) => {
                (StatusCode::TOO_MANY_REQUESTS, 3, "Too many connections from this address")
            }
            Self::TooMany(Full::Total) => (StatusCode::SERVICE_UNAVAILABLE, 3, "Too many connections"),
        }
    }

    fn body(self) -> String {
        let (_, code, message) = self.parts();
        format!(r#"{{"code":{code},"message":"{message}"}}"#)
    }

    fn response(self) -> HttpResponse {
        HttpResponse::build(self.parts().0).content_type("application/json").body(self.body())
    }
}

/// What a request to Engine.IO says about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Handshake {
    websocket: bool,
    sid: Option<Sid>,
}

impl Handshake {
    fn parse(query: &str) -> Result<Self, HandshakeError> {
        let value = |name: &str| {
            query
                .split('&')
                .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
        };
        let websocket = match value("transport") {
            Some("websocket") => true,
            Some("polling") => false,
            _ => return Err(HandshakeError::UnknownTransport),
        };
        if value("EIO") != Some("4") {
            return Err(HandshakeError::UnsupportedVersion);
        }
        let sid = match value("sid") {
            Some(sid) => Some(sid.parse().map_err(|_| HandshakeError::UnknownSession)?),
            None => None,
        };
        Ok(Self { websocket, sid })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_names_version_transport_and_perhaps_a_session() {
        assert_eq!(Handshake::parse("EIO=4&transport=polling&t=x"), Ok(Handshake { websocket: false, sid: None }));
        let sid = Sid::new();
        let upgrade = format!("EIO=4&transport=websocket&sid={sid}");
        assert_eq!(Handshake::parse(&upgrade), Ok(Handshake { websocket: true, sid: Some(sid) }));
        assert_eq!(Handshake::parse("EIO=4"), Err(HandshakeError::UnknownTransport));
        assert_eq!(Handshake::parse("EIO=3&transport=polling"), Err(HandshakeError::UnsupportedVersion));
        assert_eq!(Handshake::parse("EIO=4&transport=polling&sid=é"), Err(HandshakeError::UnknownSession));
    }

    #[test]
    fn the_first_bytes_of_a_request_tell_whether_it_begins_a_session() {
        assert!(begins_session(b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nX: &sid=1"));
        assert!(begins_session(b"GET /socket.io/?EIO=4&transport=polling&t=x"));
        assert!(begins_session(b"GET /api/chat/ws HTTP/1.1\r\n"));
        assert!(!begins_session(b"GET /socket.io/?EIO=4&transport=websocket&sid=0123456789abcdef HTTP/1.1\r\n"));
        assert!(!begins_session(b"POST /socket.io/?EIO=4") && !begins_session(b"GET /health HTTP/1.1\r\n"));
        assert!(!begins_session(b"") && !begins_session(b"GET /sock"));
    }

    #[test]
    fn each_client_comes_back_at_another_time() {
        let times = |count| (0..count).map(|place| comes_back(place, count).as_millis()).collect::<Vec<_>>();
        assert_eq!(times(1), [500]);
        assert_eq!(times(4), [500, 750, 1000, 1250]);
        let many = times(20_000);
        assert!(many.windows(2).all(|two| two[0] < two[1]) && many[19_999] < 21_000);
        assert!(times(100_000).iter().all(|time| *time < 30_500));
    }

    #[test]
    fn only_engine_io_s_own_path_is_taken() {
        assert!(is_engine_path("/socket.io/") && is_engine_path("/socket.io"));
        assert!(!is_engine_path("/socket.io-admin") && !is_engine_path("/socket.io/x") && !is_engine_path("/"));
    }
}
