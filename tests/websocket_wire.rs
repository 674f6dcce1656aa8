//! WebSocket upgrades and frames that stock clients never send, but proxies and slow networks make of what they send.

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::socket_io::{WEBSOCKET, connect_packet, event_packet, parse_ack};
use support::websocket::{self, CLOSE, CONTINUATION, PING, PONG, TEXT, WebSocket, frame, upgrade};
use support::{Connection, EVENT_LIMIT, Server, SocketIo, new_id, token, until};

/// Engine.IO's announced `maxPayload`.
const MAX_PACKET: usize = 1_000_000;

#[test]
fn an_upgrade_on_a_used_keep_alive_connection_is_served() {
    let server = Server::shared();
    let person = server.person("Ana");
    let mut connection = Connection::open(server.address());
    for path in ["/health", "/api/nowhere", "/health"] {
        let status = connection.request("GET", path, &[], b"").status;
        assert_eq!(status, if path == "/health" { 200 } else { 404 });
    }
    let mut client = SocketIo::open(WebSocket::upgrade(connection, WEBSOCKET), &person);
    assert_eq!(client.call("join_conversation", &json!("x"))["success"], false);
}

#[test]
fn a_frame_in_the_segment_of_the_request_head_is_not_lost() {
    let server = Server::shared();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let mut connection = Connection::open(server.address());
    let mut segment = upgrade(WEBSOCKET);
    segment.extend(websocket::text(&connect_packet(&ana.token)));
    connection.send(&segment);
    let mut client = SocketIo::opened(WebSocket::accepted(connection));
    client.join(&conversation);
    let sent = client.send(&conversation, "early bird");
    assert_eq!(client.next_event("new_message"), sent);
}

#[test]
fn everything_a_client_says_may_come_in_one_segment() {
    let server = Server::shared();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let mut connection = Connection::open(server.address());
    let mut segment = upgrade(WEBSOCKET);
    segment.extend(websocket::text(&connect_packet(&ana.token)));
    segment.extend(websocket::text(&event_packet(Some(1), "join_conversation", &json!(conversation))));
    segment.extend(websocket::text(&event_packet(None, "typing", &json!(conversation))));
    let send = json!({ "conversation_id": conversation, "text": "all at once" });
    segment.extend(websocket::text(&event_packet(Some(2), "send_message", &send)));
    connection.send(&segment);
    let mut client = SocketIo::opened(WebSocket::accepted(connection));
    assert_eq!(client.ack(1)["success"], true);
    assert_eq!(client.ack(2)["data"]["text"], "all at once");
    assert_eq!(client.next_event("new_message")["text"], "all at once");
}

#[test]
fn a_request_head_may_come_in_pieces() {
    let server = Server::shared();
    let person = server.person("Ana");
    let mut connection = Connection::open(server.address());
    connection.send_byte_by_byte(&upgrade(WEBSOCKET));
    let mut client = SocketIo::open(WebSocket::accepted(connection), &person);
    assert_eq!(client.call("join_conversation", &json!("x"))["success"], false);
}

#[test]
fn a_head_whose_last_line_comes_together_with_half_a_frame_is_served() {
    let server = Server::shared();
    let person = server.person("Ana");
    let mut connection = Connection::open(server.address());
    let mut bytes = upgrade(WEBSOCKET);
    let end_of_head = bytes.len();
    bytes.extend(websocket::text(&connect_packet(&person.token)));
    connection.send(&bytes[..end_of_head - 2]);
    connection.send(&bytes[end_of_head - 2..end_of_head + 3]);
    connection.send(&bytes[end_of_head + 3..]);
    let mut client = SocketIo::opened(WebSocket::accepted(connection));
    assert_eq!(client.call("join_conversation", &json!("x"))["success"], false);
}

#[test]
fn frames_may_come_byte_by_byte() {
    let server = Server::shared();
    let person = server.person("Ana");
    let mut socket = WebSocket::upgrade(Connection::open(server.address()), WEBSOCKET);
    socket.connection.send_byte_by_byte(&websocket::text(&connect_packet(&person.token)));
    let mut client = SocketIo::opened(socket);
    let call = event_packet(Some(7), "join_conversation", &json!("x"));
    client.socket.connection.send_byte_by_byte(&websocket::text(&call));
    assert_eq!(client.ack(7)["success"], false);
}

#[test]
fn a_message_of_several_frames_is_put_together_around_a_ping() {
    let server = Server::shared();
    let mut client = SocketIo::connect(&server, &server.person("Ana"));
    let call = event_packet(Some(3), "join_conversation", &json!("a horse named 馬"));
    let (first, rest) = call.as_bytes().split_at(10);
    let (second, third) = rest.split_at(rest.len() - 4);
    let connection = &mut client.socket.connection;
    connection.send(&frame(false, TEXT, first));
    connection.send(&frame(true, PING, b"between"));
    connection.send(&frame(false, CONTINUATION, second));
    connection.send(&frame(true, CONTINUATION, third));
    let pong = client.socket.next_frame();
    assert_eq!((pong.opcode, pong.payload.as_slice()), (PONG, b"between".as_slice()));
    assert_eq!(client.ack(3)["success"], false);
}

#[test]
fn a_packet_of_the_announced_size_is_handled_and_a_larger_one_ends_the_connection() {
    let server = Server::shared();
    let person = server.person("Ana");
    let mut client = SocketIo::connect(&server, &person);
    let packet = |size: usize| {
        let empty = event_packet(Some(1), "weigh", &json!("")).len();
        event_packet(Some(1), "weigh", &json!("x".repeat(size - empty)))
    };
    client.socket.send_text(&packet(MAX_PACKET));
    assert_eq!(client.ack(1)["success"], false);
    let mut glutton = SocketIo::connect(&server, &person);
    glutton.socket.send_text(&packet(MAX_PACKET + 1));
    glutton.socket.expect_close();
    assert_eq!(client.call("join_conversation", &json!("x"))["success"], false);
}

#[test]
fn what_is_no_packet_ends_that_connection_and_no_other() {
    let server = Server::shared();
    let person = server.person("Ana");
    let mut good = SocketIo::connect(&server, &person);
    let unmasked = websocket::unmasked_frame(true, TEXT, b"42[\"typing\"]");
    let broken = [
        ("an unmasked frame", unmasked),
        ("a reserved opcode", frame(true, 0x3, b"x")),
        ("a continuation of nothing", frame(true, CONTINUATION, b"x")),
        ("text that is not UTF-8", frame(true, TEXT, b"42[\"\xff\xfe\"]")),
        ("an unknown Engine.IO packet", websocket::text("9")),
        ("an unknown Socket.IO packet", websocket::text("49")),
        ("an event that is not JSON", websocket::text("42[\"send_message\",{")),
        ("an event that is no array", websocket::text("42{}")),
        ("an empty frame", websocket::text("")),
    ];
    for (what, bytes) in broken {
        let mut bad = SocketIo::connect(&server, &person);
        bad.socket.connection.send(&bytes);
        eprintln!("expecting a close after {what}");
        bad.socket.expect_close();
    }
    assert_eq!(good.call("join_conversation", &json!("x"))["success"], false);
}

#[test]
fn a_close_frame_is_answered_and_the_connection_closed() {
    let server = Server::shared();
    let mut client = SocketIo::connect(&server, &server.person("Ana"));
    client.socket.connection.send(&frame(true, CLOSE, &1000_u16.to_be_bytes()));
    assert_eq!(client.socket.next_frame().opcode, CLOSE);
    client.socket.connection.expect_close();
}

#[test]
fn an_upgrade_that_is_no_engine_io_is_refused() {
    let server = Server::shared();
    for query in [
        "",
        "?EIO=3&transport=websocket",
        "?EIO=4",
        "?EIO=4&transport=carrier-pigeon",
        "?EIO=4&transport=polling",
        "?EIO=4&transport=websocket&sid=AAAAAAAAAAAAAAAA",
        "?transport=websocket",
    ] {
        let mut connection = Connection::open(server.address());
        connection.send(&upgrade(&format!("/socket.io/{query}")));
        let status = connection.response().status;
        assert!((400..500).contains(&status), "{query}: {status}");
    }
    SocketIo::connect(&server, &server.person("Ana"));
}

#[test]
fn a_call_before_connect_ends_the_connection() {
    let server = Server::shared();
    let person = server.person("Ana");
    let mut socket = WebSocket::upgrade(Connection::open(server.address()), WEBSOCKET);
    socket.send_text(&event_packet(Some(1), "join_conversation", &json!("x")));
    while let Some(packet) = socket.try_next_text() {
        assert_eq!(parse_ack(&packet), None, "nobody has said who asks");
    }
    SocketIo::connect(&server, &person);
}

#[test]
fn a_connection_that_both_have_closed_is_ended_by_the_server() {
    /// The server waits so long for a client that closes nothing.
    const CLOSE_FLUSH: Duration = Duration::from_secs(5);
    let server = Server::start();
    let close = frame(true, CLOSE, &1000_u16.to_be_bytes());
    let ends_at_once = |is_revoked: bool| {
        let person = server.person("Ana");
        let mut client = SocketIo::connect(&server, &person);
        if is_revoked {
            let body = json!({ "userId": person.id });
            assert_eq!(server.rest(&token(&new_id(), "admin"), "POST", "/api/chat/admin/revoke", Some(&body)).0, 200);
            while client.socket.next_frame().opcode != CLOSE {}
        }
        let begun = Instant::now();
        client.socket.connection.send(&close);
        // Its own side stays open.
        until("the connection is gone", EVENT_LIMIT, || server.stat("connections") == 0);
        drop(client);
        begun.elapsed() < CLOSE_FLUSH / 2
    };
    for is_revoked in [false, true] {
        assert!((0..3).any(|_| ends_at_once(is_revoked)), "revoked: {is_revoked}");
    }
}
