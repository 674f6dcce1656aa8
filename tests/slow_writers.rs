//! Clients that send a request as slowly as they can, or do not read its answer: each connection is closed when its time is
//! over, though bytes keep coming, and others are served meanwhile.

mod support;

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use support::crowd::{Watched, narrow_connection, raise_open_files};
use support::http::head;
use support::people::token_until;
use support::websocket::upgrade;
use support::{Connection, Person, Polling, Server, SocketIo, WebSocket, new_id, token};

/// Connections of each kind.
const EACH: usize = 50;
/// Between two bytes: the crowd is looked at in turn.
const PACE: Duration = Duration::from_millis(500);
/// For a slow machine.
const TOLERANCE: Duration = Duration::from_secs(15);
/// Memory that a slow connection may take, in bytes.
const MEMORY: u64 = 64 * 1024;

/// What is slow.
struct Kind {
    what: &'static str,
    /// What goes ahead, with its answers read.
    first: Vec<u8>,
    /// What is sent at once then.
    ahead: Vec<u8>,
    /// What trickles then, without end.
    bytes: &'static [u8],
    limit: Duration,
    /// How what the server says in the end begins; empty if it says nothing.
    says: &'static str,
}

const HEAD: Duration = Duration::from_secs(10);
const BODY: Duration = Duration::from_secs(30);
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const NEXT_HEAD: Duration = Duration::from_secs(40);
/// To the ping that is not answered, and from there.
const HEARTBEAT: Duration = Duration::from_secs(45);

fn heads() -> Vec<Kind> {
    let kind = |what, first: &[u8], ahead: &[u8], bytes, limit, says| {
        let (first, ahead) = (first.to_vec(), ahead.to_vec());
        Kind { what, first, ahead, bytes, limit, says }
    };
    let health = head("GET", "/health", &[], None);
    let half_an_upgrade = upgrade("/socket.io/?EIO=4&transport=websocket");
    let half_an_upgrade = &half_an_upgrade[..half_an_upgrade.len() - 2];
    vec![
        kind("nothing", b"", b"", b"", HEAD, ""),
        kind("a head in single bytes", b"", b"GET /health HTTP/1.1\r\nX: ", b"x", HEAD, "HTTP/1.1 408"),
        kind("headers without end", b"", b"GET /health HTTP/1.1\r\n", b"X: x\r\n", HEAD, "HTTP/1.1 408"),
        kind("an upgrade that is not finished", b"", half_an_upgrade, b"X: x\r\n", HEAD, "HTTP/1.1 408"),
        kind("no second request", &health, b"", b"", KEEP_ALIVE, ""),
        kind("half a second head", &health, b"GET /hea", b"", NEXT_HEAD, ""),
        kind("a second head in single bytes", &health, b"GET /", b"x", NEXT_HEAD, ""),
        kind("empty lines instead of a second head", &health, b"", b"\r\n", NEXT_HEAD, ""),
    ]
}

fn bodies(person: &Person, conversation: &str) -> Vec<Kind> {
    let authorization = format!("Bearer {}", person.token);
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    let path = format!("/api/chat/conversations/{conversation}/messages");
    let kind = |what, path: &str, headers: &[(&str, &str)], length, bytes, limit, says| {
        let ahead = head("POST", path, headers, length);
        Kind { what, first: Vec::new(), ahead, bytes, limit, says }
    };
    let chunked = [headers[0], headers[1], ("Transfer-Encoding", "chunked")];
    vec![
        kind("a body in single bytes", &path, &headers, Some(60_000), b"x", BODY, "HTTP/1.1 400"),
        kind("a body that does not come", &path, &headers, Some(60_000), b"", BODY, "HTTP/1.1 400"),
        // Its end has to be found before the next head.
        kind("a body in chunks", &path, &chunked, None, b"1\r\nx\r\n", BODY + NEXT_HEAD, "HTTP/1.1 400"),
        // The answer is there at once; what comes then is of no use to anybody.
        kind("a body that nobody waits for", "/api/nowhere", &[], Some(1 << 40), b"x", NEXT_HEAD, "HTTP/1.1 404"),
        kind("a body without a token", &path, &[], Some(60_000), b"x", NEXT_HEAD, "HTTP/1.1 401"),
    ]
}

struct Slow {
    kind: usize,
    connection: Watched,
    heard: Vec<u8>,
}

/// Opens all, and trickles until each is closed.
fn trickle(server: &Server, kinds: &[Kind]) {
    let mut slow = Vec::new();
    for _ in 0..EACH {
        for (number, kind) in kinds.iter().enumerate() {
            slow.push(Slow { kind: number, connection: open(server, kind), heard: Vec::new() });
        }
    }
    let begun = Instant::now();
    while !slow.is_empty() {
        thread::sleep(PACE);
        slow.retain_mut(|slow| {
            let kind = &kinds[slow.kind];
            let is_closed = slow.connection.is_closed();
            if slow.heard.is_empty() {
                slow.heard = std::mem::take(&mut slow.connection.heard);
            }
            if is_closed {
                let heard = String::from_utf8_lossy(&slow.heard);
                assert!(
                    heard.starts_with(kind.says) && heard.is_empty() == kind.says.is_empty(),
                    "{}: {heard}",
                    kind.what
                );
                return false;
            }
            assert!(begun.elapsed() < kind.limit + TOLERANCE, "{} is not closed", kind.what);
            slow.connection.write(kind.bytes);
            true
        });
    }
}

fn open(server: &Server, kind: &Kind) -> Watched {
    let mut connection = Connection::open(server.address());
    if !kind.first.is_empty() {
        connection.send(&kind.first);
        assert_eq!(connection.response().status, 200);
    }
    connection.send(&kind.ahead);
    connection.watched()
}

#[test]
fn who_sends_a_request_in_single_bytes_is_closed_in_time_and_the_others_are_served() {
    raise_open_files();
    let server = Server::start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let mut kinds = heads();
    kinds.extend(bodies(&ana, &conversation));
    let mut sender = SocketIo::connect(&server, &ana);
    let mut reader = SocketIo::connect(&server, &ben);
    reader.join(&conversation);
    let files = server.open_files();
    server.forget_peak();
    let before = server.memory();
    thread::scope(|scope| {
        let crowd = scope.spawn(|| trickle(&server, &kinds));
        while !crowd.is_finished() {
            let sent = sender.send(&conversation, "meanwhile");
            assert_eq!(reader.next_event("new_message"), sent);
            assert_eq!(Connection::open(server.address()).request("GET", "/health", &[], b"").status, 200);
            thread::sleep(PACE / 5);
        }
        crowd.join().expect("each is closed");
    });
    let grown = server.peak_memory().saturating_sub(before);
    let bound = (kinds.len() * EACH) as u64 * MEMORY;
    assert!(grown < bound, "{grown} bytes more, {bound} expected at most");
    server.has_files(files, TOLERANCE);
    server.has_sessions(2);
}

#[test]
fn a_session_whose_packets_come_in_single_bytes_ends_in_time() {
    let server = Server::start();
    let person = server.person("Ana");
    let mut witness = SocketIo::connect(&server, &person);
    let mut polls = Connection::open(server.address());
    let polling = Polling::connect(&mut polls, &person);
    let mut body = Connection::open(server.address());
    body.send(&head("POST", &polling.path(), &[], Some(1_000_000)));
    let mut frames = SocketIo::connect(&server, &person);
    // A long frame, within which no heartbeat can be answered.
    frames.socket.connection.send(&[&[0x81, 0xff][..], &900_000_u64.to_be_bytes(), &[1, 2, 3, 4]].concat());
    let begun = Instant::now();
    let (mut body, mut frames) = (body.watched(), frames.socket.connection.watched());
    let (mut body_closed, mut frames_closed) = (false, false);
    while !body_closed || !frames_closed {
        thread::sleep(PACE);
        body.write(b"4");
        frames.write(b"x");
        body_closed = body_closed || body.is_closed() || body.heard.starts_with(b"HTTP/1.1 408");
        frames_closed = frames_closed || frames.is_closed();
        assert!(body_closed || begun.elapsed() < BODY + TOLERANCE, "the body is still waited for");
        assert!(frames_closed || begun.elapsed() < HEARTBEAT + TOLERANCE, "the frame is still waited for");
        assert_eq!(witness.call("join_conversation", &json!("x"))["success"], false);
    }
    assert_eq!(polling.try_post(&mut Connection::open(server.address()), "3").status, 400, "its session is over, too");
    server.has_sessions(1);
}

#[test]
fn who_does_not_read_an_answer_is_closed_in_time() {
    const READERS: usize = 50;
    const ANSWER: Duration = Duration::from_secs(60);
    let server = Server::start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let mut sender = SocketIo::connect(&server, &ana);
    for number in 0..100 {
        sender.send(&conversation, &format!("{number} {}", "🐴".repeat(1900)));
    }
    let files = server.open_files();
    let authorization = format!("Bearer {}", ana.token);
    let path = format!("/api/chat/conversations/{conversation}/messages?limit=100");
    let page = head("GET", &path, &[("Authorization", &authorization)], None);
    let _stalled: Vec<_> = (0..READERS)
        .map(|_| {
            let mut connection = narrow_connection(server.address());
            connection.send(&page);
            connection
        })
        .collect();
    support::until("their requests have come", TOLERANCE, || server.open_files() >= files + READERS);
    server.has_files(files, ANSWER + TOLERANCE);
    assert_eq!(server.texts(&ana, &conversation).len(), 100);
}

#[test]
fn a_plain_websocket_outlives_the_times_of_requests() {
    let server = Server::start();
    // On a connection that was used before, for which the time of a next head runs.
    let mut connection = Connection::open(server.address());
    assert_eq!(connection.request("GET", "/health", &[], b"").status, 200);
    let mut socket = WebSocket::upgrade(connection, "/health/ws");
    let begun = Instant::now();
    while begun.elapsed() < NEXT_HEAD + Duration::from_secs(5) {
        socket.send_text("still here");
        assert_eq!(socket.next_text(), "still here");
        thread::sleep(PACE);
    }
}

#[test]
fn a_token_has_to_hold_when_the_body_has_come_that_it_came_with() {
    let server = Server::start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let path = format!("/api/chat/conversations/{conversation}/messages");
    let body = json!({ "text": "late" }).to_string();
    let begin = |token: &str| {
        let authorization = format!("Bearer {token}");
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        let mut connection = Connection::open(server.address());
        connection.send(&head("POST", &path, &headers, Some(body.len())));
        connection.send(&body.as_bytes()[..5]);
        // It is let in by then.
        thread::sleep(Duration::from_millis(200));
        connection
    };
    let mut ends = begin(&token_until(&ben.id, 5));
    let (mut revoked, mut holds) = (begin(&ana.token), begin(&ben.token));
    let revoke = json!({ "userId": ana.id });
    assert_eq!(server.rest(&token(&new_id(), "admin"), "POST", "/api/chat/admin/revoke", Some(&revoke)).0, 200);
    thread::sleep(Duration::from_secs(6));
    for (connection, status) in [(&mut ends, 401), (&mut revoked, 401), (&mut holds, 201)] {
        connection.send(&body.as_bytes()[5..]);
        assert_eq!(connection.response().status, status);
    }
    assert_eq!(server.texts(&ben, &conversation), ["late"]);
}
