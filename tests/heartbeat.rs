//! The server's heartbeat: none right after the handshake, one after each interval, and an end for who stays silent.

mod support;

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use support::polling::packets;
use support::socket_io::{event_packet, parse_ack};
use support::websocket::{PING, PONG, WebSocket, frame};
use support::{Connection, Person, Plain, Polling, Server, SocketIo};

/// A bounded wait is the point here: the protocol has the first ping come after one interval, not at once.
const QUIET: Duration = Duration::from_secs(1);
const PING_INTERVAL: Duration = Duration::from_secs(25);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// For a slow machine, and for the part of the interval that is over when the handshake's answer arrives.
const TOLERANCE: Duration = Duration::from_secs(5);

#[test]
fn no_ping_follows_the_handshake_on_websocket() {
    let server = Server::shared();
    let mut client = SocketIo::connect(&server, &server.person("Ana"));
    assert!(client.socket.connection.is_silent_for(QUIET));
    client.socket.send_text(&event_packet(Some(1), "join_conversation", &json!("x")));
    assert!(client.socket.next_text().starts_with("431["));
}

#[test]
fn no_ping_follows_the_handshake_on_polling() {
    let server = Server::shared();
    let mut waiting = Connection::open(server.address());
    let polling = Polling::connect(&mut waiting, &server.person("Ana"));
    waiting.send(&support::http::head("GET", &polling.path(), &[], None));
    assert!(waiting.is_silent_for(QUIET));
    let call = event_packet(Some(1), "join_conversation", &json!("x"));
    polling.post(&mut Connection::open(server.address()), &call);
    let answer = packets(&waiting.response());
    assert_eq!(answer.len(), 1, "{answer:?}");
    assert_eq!(parse_ack(&answer[0]).expect("an ack").1["success"], false);
}

#[test]
fn no_ping_follows_the_upgrade() {
    let server = Server::shared();
    let mut connection = Connection::open(server.address());
    let polling = Polling::connect(&mut connection, &server.person("Ana"));
    let mut socket = WebSocket::upgrade(connection, &polling.upgrade_path());
    socket.send_text("2probe");
    assert_eq!(socket.next_text(), "3probe");
    socket.send_text("5");
    assert!(socket.connection.is_silent_for(QUIET));
    socket.send_text(&event_packet(Some(1), "join_conversation", &json!("x")));
    assert!(socket.next_text().starts_with("431["));
}

#[test]
fn a_pong_that_nobody_asked_for_does_no_harm() {
    let server = Server::shared();
    let mut client = SocketIo::connect(&server, &server.person("Ana"));
    for _ in 0..10 {
        client.socket.send_text("3");
    }
    assert_eq!(client.call("join_conversation", &json!("x"))["success"], false);
}

#[test]
fn the_first_ping_comes_after_one_interval() {
    let server = Server::shared();
    let person = server.person("Ana");
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = SocketIo::connect(&server, &person);
            let connected = Instant::now();
            wait_for_bytes(&mut client.socket.connection);
            assert_eq!(client.socket.next_text(), "2");
            assert_near(connected.elapsed(), PING_INTERVAL);
            client.socket.send_text("3");
            assert_eq!(client.call("join_conversation", &json!("x"))["success"], false);
        });
        scope.spawn(|| {
            let mut connection = Connection::open(server.address());
            let polling = Polling::connect(&mut connection, &person);
            let connected = Instant::now();
            connection.send(&support::http::head("GET", &polling.path(), &[], None));
            wait_for_bytes(&mut connection);
            assert_eq!(packets(&connection.response()), ["2"]);
            assert_near(connected.elapsed(), PING_INTERVAL);
            polling.post(&mut connection, "3");
        });
    });
}

#[test]
fn a_client_that_answers_no_ping_is_closed_after_the_timeout() {
    let server = Server::shared();
    let person = server.person("Ana");
    thread::scope(|scope| {
        scope.spawn(|| answers_no_ping(&server, &person));
        scope.spawn(|| answers_no_ping_on_a_plain_websocket(&server, &person));
    });
}

fn answers_no_ping(server: &Server, person: &Person) {
    let mut client = SocketIo::connect(server, person);
    let connected = Instant::now();
    wait_for_bytes(&mut client.socket.connection);
    assert_eq!(client.socket.next_text(), "2");
    // Another packet is no pong.
    client.socket.send_text(&event_packet(Some(1), "join_conversation", &json!("x")));
    assert!(client.socket.next_text().starts_with("431["));
    wait_for_bytes(&mut client.socket.connection);
    client.socket.expect_close();
    assert_near(connected.elapsed(), PING_INTERVAL + PING_TIMEOUT);
}

/// Its first ping is answered.
fn answers_no_ping_on_a_plain_websocket(server: &Server, person: &Person) {
    let mut client = Plain::connect(server, person);
    let connected = Instant::now();
    for pings in 1..=2 {
        wait_for_bytes(&mut client.socket.connection);
        assert_eq!(client.socket.next_frame().opcode, PING);
        assert_near(connected.elapsed(), PING_INTERVAL * pings);
        if pings == 1 {
            client.socket.connection.send(&frame(true, PONG, b""));
        }
        assert_eq!(client.call("typing", &json!("x"))["success"], false, "another message is no pong");
    }
    wait_for_bytes(&mut client.socket.connection);
    assert_eq!(client.closing(), Some((1008, "heartbeat timeout".to_owned())));
    assert_near(connected.elapsed(), 2 * PING_INTERVAL + PING_TIMEOUT);
}

/// The heartbeat takes longer than events are given elsewhere.
fn wait_for_bytes(connection: &mut Connection) {
    assert!(!connection.is_silent_for(PING_INTERVAL + TOLERANCE), "nothing within an interval");
}

fn assert_near(actual: Duration, expected: Duration) {
    assert!(actual.abs_diff(expected) < TOLERANCE, "after {actual:?} instead of {expected:?}");
}
