//! The plain WebSocket route `/health/ws`, which shares the port and the upgrade hook with Socket.IO.

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::websocket::{BINARY, CLOSE, PING, PONG, TEXT, WebSocket, frame, text, unmasked_frame, upgrade};
use support::{Connection, EVENT_LIMIT, Server, SocketIo, until};

const ROUTE: &str = "/health/ws";
/// It is there to show whether upgrades get through, not to carry data.
const LARGEST_FRAME: usize = 4096;

#[test]
fn each_text_is_answered_with_itself() {
    let server = Server::shared();
    let mut socket = WebSocket::upgrade(Connection::open(server.address()), ROUTE);
    let longest = "x".repeat(LARGEST_FRAME);
    for message in ["hello", "", "馬 🐴", longest.as_str()] {
        socket.send_text(message);
        assert_eq!(socket.next_text(), message);
    }
}

#[test]
fn a_frame_in_the_segment_of_the_request_head_is_answered() {
    let server = Server::shared();
    let mut connection = Connection::open(server.address());
    let mut segment = upgrade(ROUTE);
    segment.extend(text("early"));
    segment.extend(text("bird"));
    connection.send(&segment);
    let mut socket = WebSocket::accepted(connection);
    assert_eq!(socket.next_text(), "early");
    assert_eq!(socket.next_text(), "bird");
}

#[test]
fn an_upgrade_on_a_used_keep_alive_connection_is_served() {
    let server = Server::shared();
    let mut connection = Connection::open(server.address());
    assert_eq!(connection.request("GET", "/health", &[], b"").status, 200);
    until("the database answers", EVENT_LIMIT, || connection.request("GET", "/health/db", &[], b"").status == 200);
    let mut socket = WebSocket::upgrade(connection, ROUTE);
    socket.send_text("second life");
    assert_eq!(socket.next_text(), "second life");
}

#[test]
fn head_and_frames_may_come_byte_by_byte() {
    let server = Server::shared();
    let mut connection = Connection::open(server.address());
    connection.send_byte_by_byte(&upgrade(ROUTE));
    let mut socket = WebSocket::accepted(connection);
    socket.connection.send_byte_by_byte(&text("slow line"));
    assert_eq!(socket.next_text(), "slow line");
}

#[test]
fn what_the_route_does_not_take_ends_that_connection_and_no_other() {
    let server = Server::shared();
    let mut good = WebSocket::upgrade(Connection::open(server.address()), ROUTE);
    for (what, bytes) in [
        ("a frame beyond the limit", text(&"x".repeat(LARGEST_FRAME + 1))),
        ("bytes", frame(true, BINARY, b"x")),
        ("a message of several frames", frame(false, TEXT, b"the first of")),
        ("an unmasked frame", unmasked_frame(true, TEXT, b"x")),
    ] {
        let mut bad = WebSocket::upgrade(Connection::open(server.address()), ROUTE);
        bad.connection.send(&bytes);
        eprintln!("expecting a close after {what}");
        bad.expect_close();
    }
    good.send_text("still here");
    assert_eq!(good.next_text(), "still here");
}

#[test]
fn ping_and_close_are_answered() {
    let server = Server::shared();
    let mut socket = WebSocket::upgrade(Connection::open(server.address()), ROUTE);
    socket.connection.send(&frame(true, PING, b"there?"));
    let pong = socket.next_frame();
    assert_eq!((pong.opcode, pong.payload.as_slice()), (PONG, b"there?".as_slice()));
    socket.connection.send(&frame(true, CLOSE, &1000_u16.to_be_bytes()));
    assert_eq!(socket.next_frame().opcode, CLOSE);
    socket.connection.expect_close();
}

#[test]
fn without_an_upgrade_the_route_refuses_and_the_connection_stays() {
    let server = Server::shared();
    let mut connection = Connection::open(server.address());
    let status = connection.request("GET", ROUTE, &[], b"").status;
    assert!((400..500).contains(&status), "{status}");
    assert_eq!(connection.request("GET", "/health", &[], b"").status, 200);
}

#[test]
fn an_upgrade_to_a_route_that_has_none_is_answered_in_json() {
    let server = Server::shared();
    let mut connection = Connection::open(server.address());
    connection.send(&upgrade("/api/nowhere"));
    let response = connection.response();
    assert_eq!(response.status, 404, "{response:?}");
    assert_eq!(response.json()["message"], "Route not found");
}

#[test]
fn it_is_no_way_into_the_chat() {
    let server = Server::shared();
    let mut socket = WebSocket::upgrade(Connection::open(server.address()), ROUTE);
    socket.send_text("42[\"typing\",\"x\"]");
    assert_eq!(socket.next_text(), "42[\"typing\",\"x\"]");
    let mut client = SocketIo::connect(&server, &server.person("Ana"));
    assert_eq!(client.call("typing", &json!("x"))["success"], false);
}

#[test]
fn a_frame_that_announces_too_much_ends_the_connection_before_it_has_come() {
    let server = Server::shared();
    for announced in [4097_u64, 1 << 40, u64::MAX >> 1] {
        let mut socket = WebSocket::upgrade(Connection::open(server.address()), ROUTE);
        let head = [&[0x81, 0xff][..], &announced.to_be_bytes(), &[0; 4]].concat();
        socket.connection.send(&head);
        let begun = Instant::now();
        socket.expect_close();
        // Whoever says nothing is closed after 30 s.
        assert!(begun.elapsed() < Duration::from_secs(25), "{announced}");
    }
}
