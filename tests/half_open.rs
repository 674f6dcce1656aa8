//! Connections that begin a handshake and leave it at that, by thousands: their number is bounded by address, they are
//! cleared away when their time is over, and others are served meanwhile.

mod support;

use std::{
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::crowd::{Watched, connect_from, raise_open_files};
use support::http::head;
use support::socket_io::WEBSOCKET;
use support::websocket::upgrade;
use support::{Connection, DataDir, EVENT_LIMIT, Launch, Polling, Server, SocketIo, WebSocket, until};

/// Handshakes of each kind, where the machine allows so many files.
const EACH: usize = 2500;
/// More than may be of each kind.
const BEYOND: usize = 100;
/// From the handshake to CONNECT.
const CONNECT: Duration = Duration::from_secs(45);
/// For a slow machine.
const TOLERANCE: Duration = Duration::from_secs(30);
/// Memory that a half-open handshake may take, in bytes.
const MEMORY: u64 = 40 * 1024;
/// Engine.IO's handshake by polling.
const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

/// What a client does before it falls silent.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A TCP connection, and not a byte.
    Silent,
    /// An upgrade to WebSocket whose head does not end.
    Head,
    /// Engine.IO over WebSocket, without CONNECT.
    WebSocket,
    /// Engine.IO by polling, without CONNECT; the TCP connection is closed.
    Polling,
}

const KINDS: [Kind; 4] = [Kind::Silent, Kind::Head, Kind::WebSocket, Kind::Polling];

impl Kind {
    /// 127.0.0.x, for each its own.
    fn source(self) -> u8 {
        10 + self as u8
    }

    /// A connection half open, if there was a place for it.
    fn open(self, server: &Server) -> Option<TcpStream> {
        let stream = connect_from(self.source(), server.address());
        let again = stream.try_clone().expect("a second handle");
        let mut connection = Connection::over(stream);
        match self {
            Self::Silent => (),
            Self::Head => connection.send(&upgrade(WEBSOCKET)[..60]),
            Self::WebSocket => {
                connection.send(&upgrade(WEBSOCKET));
                match connection.try_response()?.status {
                    101 => assert!(WebSocket { connection }.next_text().starts_with("0{")),
                    status => assert_eq!(status, 429),
                }
            }
            Self::Polling => match connection.request("GET", POLLING, &[], b"").status {
                200 => (),
                status => {
                    assert_eq!(status, 429);
                    return None;
                }
            },
        }
        Some(again)
    }

    fn keeps_its_connection(self) -> bool {
        !matches!(self, Self::Polling)
    }
}

/// Opens as many as there may be, and some more; those that keep a connection.
fn open_all(kind: Kind, server: &Server, count: usize) -> Vec<Watched> {
    let (mut opened, mut sessions, begun) = (Vec::new(), 0, Instant::now());
    for _ in 0..count + BEYOND {
        if let Some(stream) = kind.open(server) {
            sessions += 1;
            if kind.keeps_its_connection() {
                opened.push(Watched::new(stream));
            }
        }
    }
    // The first of them have ended by themselves where this has taken so long.
    let is_bounded = sessions == count || begun.elapsed() >= CONNECT;
    assert!(kind.keeps_its_connection() || is_bounded, "{kind:?}: {sessions} instead of {count}");
    until(&format!("only {count} of {kind:?} are there"), EVENT_LIMIT, || {
        opened.retain_mut(|connection| !connection.is_closed());
        !kind.keeps_its_connection() || opened.len() <= count
    });
    opened
}

/// Whether each of these has been closed by the server.
fn are_closed(half_open: &mut Vec<Watched>) -> bool {
    half_open.retain_mut(|connection| !connection.is_closed());
    half_open.is_empty()
}

#[test]
fn ten_thousand_half_open_handshakes_are_bounded_and_cleared_away_and_others_are_served() {
    // The rest is for the server's own files, and for those who are served.
    let count = EACH.min(raise_open_files().saturating_sub(2000) / KINDS.len());
    println!("{count} half-open handshakes of each of {} kinds", KINDS.len());
    assert!(count > 0, "more open files are needed");
    let per_address = count.to_string();
    let server = Launch::on(&DataDir::new()).env("CONNECTIONS_PER_ADDRESS", &per_address).start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let (mut sender, mut reader) = (SocketIo::connect(&server, &ana), SocketIo::connect(&server, &ben));
    reader.join(&conversation);
    let files = server.open_files();
    server.forget_peak();
    let before = server.memory();
    thread::scope(|scope| {
        let server = &server;
        let crowd: Vec<_> = KINDS
            .map(|kind| {
                scope.spawn(move || {
                    let mut half_open = open_all(kind, server, count);
                    until(&format!("{kind:?} are closed"), CONNECT + TOLERANCE, || are_closed(&mut half_open));
                })
            })
            .into();
        while !crowd.iter().all(|kind| kind.is_finished()) {
            let sent = sender.send(&conversation, "meanwhile");
            assert_eq!(reader.next_event("new_message"), sent);
            let newcomer = SocketIo::connect(server, &ana);
            drop(newcomer);
            thread::sleep(Duration::from_millis(100));
        }
        crowd.into_iter().for_each(|kind| kind.join().expect("each is closed"));
    });
    until("the sessions of those that do not poll end", CONNECT + TOLERANCE, || server.stat("connections") == 2);
    server.has_sessions(2);
    server.has_files(files, EVENT_LIMIT);
    let grown = server.peak_memory().saturating_sub(before);
    let bound = (count * KINDS.len()) as u64 * MEMORY;
    assert!(grown < bound, "{grown} bytes more, {bound} expected at most");
    for kind in KINDS {
        let mut connection = Connection::over(connect_from(kind.source(), server.address()));
        assert_eq!(connection.request("GET", POLLING, &[], b"").status, 200, "{kind:?}: the places are free again");
    }
}

#[test]
fn a_flood_of_polling_sessions_is_bounded_by_address_and_cleared_away() {
    const PLACES: usize = 300;
    const SOURCE: u8 = 20;
    let server = Launch::on(&DataDir::new()).env("CONNECTIONS_PER_ADDRESS", &PLACES.to_string()).start();
    let person = server.person("Ana");
    let mut witness = SocketIo::connect(&server, &person);
    let from = |last| Connection::over(connect_from(last, server.address()));
    // All of them over one TCP connection, which does not have to stay.
    let mut connection = from(SOURCE);
    let sessions: Vec<_> = (0..PLACES).map(|_| Polling::open(&mut connection)).collect();
    // Some are users, who do not poll any more, and some nobody.
    for polling in &sessions[..PLACES / 2] {
        polling.post(&mut connection, &support::socket_io::connect_packet(&person.token));
    }
    until("they are connected", EVENT_LIMIT, || server.stat("sessions") == 1 + PLACES as u64 / 2);
    assert_eq!(server.stat("connections"), 1 + PLACES as u64);
    for _ in 0..100 {
        let refused = connection.request("GET", POLLING, &[], b"");
        assert_eq!((refused.status, &refused.json()["code"]), (429, &Value::from(3)));
    }
    connection.send(&upgrade(WEBSOCKET));
    assert_eq!(connection.response().status, 429, "a WebSocket takes a place as well");
    drop(connection);
    assert_eq!(
        from(SOURCE + 1).request("GET", POLLING, &[], b"").status,
        200,
        "other addresses have places of their own"
    );
    assert_eq!(server.stat("sessions"), 1 + PLACES as u64 / 2, "who polls has no connection to lose");
    let first = &sessions[0];
    until("all are cleared away", CONNECT + TOLERANCE, || {
        assert_eq!(witness.call("join_conversation", &json!("x"))["success"], false);
        server.stat("connections") == 1
    });
    server.has_sessions(1);
    assert_eq!(first.try_post(&mut from(SOURCE), "3").status, 400, "its session is unknown now");
    assert_eq!(from(SOURCE).request("GET", POLLING, &[], b"").status, 200, "the places are free again");
}

#[test]
fn connections_beyond_all_places_are_closed_and_those_that_are_there_go_on() {
    let server = Launch::on(&DataDir::new()).env("CONNECTIONS", "50").start();
    let person = server.person("Ana");
    let mut witness = SocketIo::connect(&server, &person);
    let head = head("GET", "/health", &[], None);
    let mut flood: Vec<_> = (0..500)
        .map(|number| {
            let mut connection = Watched::new(connect_from(30 + (number % 10) as u8, server.address()));
            connection.write(&head[..10]);
            connection
        })
        .collect();
    // As many again as there are sessions, for calls; the witness has one.
    until("all but 99 are closed", EVENT_LIMIT, || {
        flood.retain_mut(|connection| !connection.is_closed());
        flood.len() <= 99
    });
    assert_eq!(witness.call("join_conversation", &json!("x"))["success"], false);
    until("the others are, too", EVENT_LIMIT + TOLERANCE, || are_closed(&mut flood));
    server.has_sessions(1);
    assert!(server.stat("refused_connections") >= 400, "no more than 100 had a place");
}

#[test]
fn sessions_and_calls_together_have_no_more_connections_than_there_are_files() {
    /// Beside as many as there may be sessions.
    const FOR_CALLS: usize = 256;
    const SESSIONS: usize = 300;
    raise_open_files();
    let server = Launch::on(&DataDir::new()).env("CONNECTIONS", &SESSIONS.to_string()).start();
    let person = server.person("Ana");
    let mut sessions: Vec<_> = (0..SESSIONS).map(|_| SocketIo::connect(&server, &person)).collect();
    let head = head("GET", "/health", &[], None);
    let mut calls: Vec<_> = (0..SESSIONS)
        .map(|_| {
            let mut connection = Watched::new(connect_from(40, server.address()));
            connection.write(&head[..10]);
            connection
        })
        .collect();
    until("the others are closed", EVENT_LIMIT, || {
        calls.retain_mut(|connection| !connection.is_closed());
        calls.len() <= FOR_CALLS
    });
    assert_eq!(sessions[0].call("join_conversation", &json!("x"))["success"], false);
    drop(sessions);
    // Places of a session that has gone are calls' again.
    let answers = || {
        let mut connection = Connection::open(server.address());
        connection.try_send(&head) && connection.try_take(12).is_some_and(|line| line.ends_with(b"200"))
    };
    until("calls are answered", EVENT_LIMIT, answers);
}
