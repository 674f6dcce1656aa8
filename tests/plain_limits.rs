//! What ends a plain WebSocket, and what its client is told; and what a client cannot do to others.

mod support;

use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use serde_json::json;
use support::crowd::narrow_connection;
use support::people::token_until;
use support::plain::{PLAIN, Plain, handshake};
use support::socket_io::send_argument;
use support::websocket::{
    BINARY, CLOSE, CONTINUATION, PONG, TEXT, WebSocket, frame, text, unmasked_frame, upgrade, upgrade_with,
};
use support::{Connection, DataDir, EVENT_LIMIT, Launch, SocketIo, new_id, token, until};

const MAX_PAYLOAD: usize = 1_000_000;
/// CONNECT events that a connection may send.
const CONNECTS: usize = 16;

fn closes(client: &mut Plain, code: u16, reason: &str) {
    assert_eq!(client.closing(), Some((code, reason.to_owned())));
    client.socket.connection.expect_close();
}

#[test]
fn what_is_no_event_closes_that_connection_and_says_why() {
    let server = Launch::on(&DataDir::new()).start();
    let ana = server.person("Ana");
    let mut witness = Plain::connect(&server, &ana);
    let too_large = json!({ "event": "x", "data": "x".repeat(MAX_PAYLOAD) }).to_string();
    let announced = [&[0x81, 0xff][..], &(MAX_PAYLOAD as u64 + 1).to_be_bytes(), &[1, 2, 3, 4]].concat();
    let half = frame(false, TEXT, &vec![b' '; MAX_PAYLOAD / 2 + 1]);
    let pieces = [half.clone(), frame(true, CONTINUATION, &vec![b' '; MAX_PAYLOAD / 2])].concat();
    for (what, bytes, code, reason) in [
        ("no JSON", text("hello"), 1007, "broken packet"),
        ("a list", text(r#"["typing","x"]"#), 1007, "broken packet"),
        ("no event", text(r#"{"data":"x"}"#), 1007, "broken packet"),
        ("a number in words", text(r#"{"event":"typing","id":"one"}"#), 1007, "broken packet"),
        ("a second connect", text(r#"{"event":"connect","data":{}}"#), 1007, "broken packet"),
        ("text that is none", frame(true, TEXT, b"{\"event\":\"\xff\"}"), 1007, "broken packet"),
        ("bytes", frame(true, BINARY, b"{}"), 1007, "broken packet"),
        ("an unmasked frame", unmasked_frame(true, TEXT, b"{}"), 1007, "broken packet"),
        ("a piece of nothing", frame(true, CONTINUATION, b"{}"), 1007, "broken packet"),
        ("too large", text(&too_large), 1009, "too large"),
        ("too large before it has come", announced, 1009, "too large"),
        ("too large in pieces", pieces, 1009, "too large"),
    ] {
        eprintln!("{what}");
        let mut client = Plain::connect(&server, &ana);
        // It may be closed before all is written.
        client.socket.connection.try_send(&bytes);
        closes(&mut client, code, reason);
        assert_eq!(witness.call("typing", &json!("x"))["success"], false);
        server.has_sessions(1);
    }
    let mut client = Plain::stranger(&server);
    client.send("typing", &json!("x"));
    closes(&mut client, 1007, "broken packet");
    let mut client = Plain::connect(&server, &ana);
    client.socket.connection.send(&frame(true, CLOSE, &1000_u16.to_be_bytes()));
    closes(&mut client, 1000, "client left");
    server.has_sessions(1);
}

#[test]
fn whoever_connects_without_end_is_closed() {
    let server = Launch::on(&DataDir::new()).start();
    let mut client = Plain::stranger(&server);
    for _ in 0..=CONNECTS {
        client.socket.connection.try_send(&text(r#"{"event":"connect","data":{"token":"nonsense"}}"#));
    }
    closes(&mut client, 1008, "too many connects");
}

#[test]
fn a_token_s_end_is_the_session_s() {
    let server = Launch::on(&DataDir::new()).start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let mut expiring = Plain::stranger(&server);
    expiring.send("connect", &json!({ "token": token_until(&ana.id, 10) }));
    let mut revoked = Plain::connect(&server, &ben);
    let body = json!({ "userId": ben.id });
    let (status, _) = server.rest(&token(&new_id(), "admin"), "POST", "/api/chat/admin/revoke", Some(&body));
    assert_eq!(status, 200);
    closes(&mut revoked, 1008, "token revoked");
    expiring.next_event("auth_expired");
    closes(&mut expiring, 1008, "token expired");
}

#[test]
fn a_stop_tells_when_to_come_back_and_closes() {
    let server = Launch::on(&DataDir::new()).env("DRAIN_SECONDS", "6").start();
    let ana = server.person("Ana");
    let mut client = Plain::connect(&server, &ana);
    kill(server.pid(), Signal::SIGTERM).expect("the server runs");
    let wait = client.next_event("server_draining")["data"]["reconnect_after_ms"].clone();
    assert!(wait.as_u64().is_some_and(|wait| wait >= 500), "{wait}");
    let mut late = Connection::open(server.address());
    late.send(&handshake(&ana.token));
    assert_eq!(late.response().status, 503);
    assert_eq!(client.call("typing", &json!("x"))["success"], false, "served until the end");
    closes(&mut client, 1012, "server stopping");
}

#[test]
fn a_handshake_is_one_of_rfc_6455_or_refused() {
    let server = Launch::on(&DataDir::new()).start();
    let sound = String::from_utf8(upgrade(PLAIN)).expect("a text");
    let answered = |head: &str| {
        let mut connection = Connection::open(server.address());
        connection.send(head.as_bytes());
        connection.response().status
    };
    assert_eq!(answered(&sound), 101);
    assert_eq!(answered(&sound.replace("websocket\r\n", "WebSocket\r\n")), 101);
    for (from, to) in [
        ("HTTP/1.1", "HTTP/1.0"),
        ("Version: 13", "Version: 8"),
        ("Version: 13", "Version: 14"),
        (": websocket", ": websocket, h2c"),
        ("==\r\n", "\r\n"),
        ("Sec-WebSocket-Key", "X-Key"),
        ("Connection", "Transfer-Encoding: chunked\r\nConnection"),
        ("Connection", "Content-Length: 5\r\nConnection"),
    ] {
        assert!(sound.contains(from), "{sound}");
        assert_eq!(answered(&sound.replacen(from, to, 1)), 400, "{to}");
    }
}

#[test]
fn an_address_has_so_many_places() {
    let server = Launch::on(&DataDir::new()).env("CONNECTIONS_PER_ADDRESS", "2").start();
    let first = Plain::stranger(&server);
    let _second = Plain::stranger(&server);
    // TCP's own bound is the same, so that the connection may end without an answer.
    let refused = || {
        let mut connection = Connection::open(server.address());
        connection.try_send(&upgrade(PLAIN));
        connection.try_take(12).is_none_or(|line| !line.ends_with(b"101"))
    };
    assert!(refused());
    drop(first);
    until("its place is free", EVENT_LIMIT, || !refused());
}

#[test]
fn an_address_behind_a_proxy_is_told_when_to_try_again() {
    let limits = [("CONNECTIONS_PER_ADDRESS", "1"), ("TRUSTED_PROXIES", "127.0.0.1")];
    let server =
        limits.iter().fold(Launch::on(&DataDir::new()), |launch, (name, value)| launch.env(name, value)).start();
    let answered = |address| {
        let mut connection = Connection::open(server.address());
        connection.send(&upgrade_with(PLAIN, &[("X-Forwarded-For", address)]));
        let answer = connection.response();
        (connection, answer)
    };
    let first = answered("10.0.0.1");
    let (_, refused) = answered("10.0.0.1");
    assert_eq!((first.1.status, refused.status), (101, 429));
    assert_eq!((refused.header("retry-after"), &refused.json()["retry_after_ms"]), (Some("5"), &json!(5000)));
    assert_eq!(answered("10.0.0.2").1.status, 101);
}

#[test]
fn a_client_that_does_not_read_is_cut_off_and_the_others_go_on() {
    const MESSAGES: usize = 4000;
    // Fast enough to fill its queue, by their number, before its socket has been stuck for too long.
    const IN_FLIGHT: usize = 100;
    let server = Launch::on(&DataDir::new()).env("LOG", "debug").start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let mut connection = narrow_connection(server.address());
    connection.send(&handshake(&ben.token));
    let mut stalled = Plain::on(WebSocket::accepted(connection));
    stalled.next_event("connect");
    assert_eq!(stalled.call("join_conversation", &json!(conversation))["success"], true);
    let mut reader = Plain::connect(&server, &ben);
    reader.call("join_conversation", &json!(conversation));
    let mut sender = SocketIo::connect(&server, &ana);
    let text = "🐴".repeat(100);
    thread::scope(|scope| {
        scope.spawn(|| {
            for seq in 1..=MESSAGES {
                assert_eq!(reader.next_event("new_message")["data"]["seq"], seq);
            }
        });
        for _ in 0..MESSAGES / IN_FLIGHT {
            let sends: Vec<_> = (0..IN_FLIGHT)
                .map(|_| sender.send_call("send_message", &send_argument(&conversation, &text)))
                .collect();
            sends.into_iter().for_each(|id| assert_eq!(sender.ack(id)["success"], true));
        }
    });
    until("the stalled client is cut off", Duration::from_secs(60), || server.stat("sessions") == 2);
    server.has_logged(&["connection ended", "\"slow consumer\""], 1);
    assert_eq!(stalled.closing(), None, "there was no room for a close frame either");
    assert_eq!(reader.call("typing", &json!(conversation))["success"], true);
}

#[test]
fn frames_without_end_that_are_answered_by_nothing_stay_outside() {
    const FRAMES: usize = 3_000_000;
    let server = Launch::on(&DataDir::new()).env("WORKERS", "1").start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let mut witness = Plain::connect(&server, &ben);
    let flooder = Plain::connect(&server, &ana);
    // Whoever writes for as long as this must answer pings meanwhile.
    let flood = [text("{\"event\":\"\"}").repeat(10_000), frame(true, PONG, b"")].concat();
    let before = server.memory();
    thread::scope(|scope| {
        let flooding = scope.spawn(|| {
            let mut write = flooder.socket.connection.try_writer();
            (0..FRAMES / 10_000).all(|_| write(&flood))
        });
        while !flooding.is_finished() {
            assert_eq!(witness.call("typing", &json!("x"))["success"], false);
            thread::sleep(Duration::from_millis(50));
        }
        assert!(flooding.join().expect("the flood"), "it is slowed down, not cut off");
    });
    let grown = server.memory().saturating_sub(before);
    // All of it is 54 MB.
    assert!(grown < 20_000_000, "{grown} bytes");
}
