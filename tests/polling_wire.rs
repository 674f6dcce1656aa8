//! The polling transport and its upgrade on connections of the test's own choice.

mod support;

use std::time::Duration;

use serde_json::json;
use support::polling::packets;
use support::socket_io::{event_packet, parse_ack, parse_event, send_argument};
use support::websocket::{self, WebSocket, upgrade};
use support::{Connection, Person, Polling, Server, SocketIo, until};

/// Well below the time after which a silent session ends by itself (25 s and 20 s more).
const PROMPTLY: Duration = Duration::from_secs(15);

/// A session of this person's that polls and has joined.
fn joined(server: &Server, person: &Person, conversation: &str) -> (Polling, Connection) {
    let mut connection = Connection::open(server.address());
    let polling = Polling::connect(&mut connection, person);
    polling.post(&mut connection, &event_packet(Some(1), "join_conversation", &json!(conversation)));
    let acks = polling.poll(&mut connection);
    assert_eq!(parse_ack(&acks[0]).expect("an ack").1["success"], true);
    (polling, connection)
}

#[test]
fn polling_and_its_upgrade_may_share_one_connection() {
    let server = Server::shared();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let (polling, connection) = joined(&server, &ana, &conversation);
    let mut client = polling.upgraded(connection);
    let sent = client.send(&conversation, "after the upgrade");
    assert_eq!(client.next_event("new_message"), sent);
}

#[test]
fn a_waiting_poll_is_answered_when_the_upgrade_begins() {
    let server = Server::shared();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let mut waiting = Connection::open(server.address());
    let polling = Polling::connect(&mut waiting, &ana);
    waiting.send(&support::http::head("GET", &polling.path(), &[], None));
    let mut socket = polling.probed(Connection::open(server.address()));
    assert_eq!(packets(&waiting.response()), ["6"]);
    socket.send_text("5");
    let mut client = SocketIo::connected(socket);
    client.join(&conversation);
    server.post(&ben, &conversation, "on the new transport");
    assert_eq!(client.next_event("new_message")["text"], "on the new transport");
}

#[test]
fn a_message_during_the_upgrade_arrives_once() {
    let server = Server::shared();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let (polling, _) = joined(&server, &ana, &conversation);
    let mut socket = polling.probed(Connection::open(server.address()));
    server.post(&ben, &conversation, "in between");
    socket.send_text("5");
    server.post(&ben, &conversation, "afterwards");
    let mut client = SocketIo::connected(socket);
    assert_eq!(client.next_event("new_message")["text"], "in between");
    assert_eq!(client.next_event("new_message")["text"], "afterwards");
}

#[test]
fn what_was_not_polled_comes_first_after_the_upgrade() {
    let server = Server::shared();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let (polling, connection) = joined(&server, &ana, &conversation);
    let mut socket = polling.probed(connection);
    let mut other = SocketIo::connect(&server, &ben);
    other.join(&conversation);
    // More than a task handles at a time, and more than a payload has room for.
    let texts: Vec<String> = (0..300).map(|number| format!("{number} {}", "€".repeat(1_900))).collect();
    let (before, after) = texts.split_at(290);
    // Some at a time: the probe is waited for no longer than 10 s.
    for some in before.chunks(50) {
        let send = |text: &String| other.send_call("send_message", &send_argument(&conversation, text));
        let ids: Vec<_> = some.iter().map(send).collect();
        ids.into_iter().for_each(|id| assert_eq!(other.ack(id)["success"], true));
    }
    socket.send_text("5");
    for text in after {
        other.send(&conversation, text);
    }
    let mut client = SocketIo::connected(socket);
    for text in &texts {
        assert_eq!(client.next_event("new_message")["text"], *text);
    }
}

#[test]
fn a_client_whose_upgrade_breaks_off_polls_on_and_may_try_again() {
    let server = Server::shared();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    for stage in ["after the head", "after the probe", "with a packet that is none"] {
        let (polling, mut connection) = joined(&server, &ana, &conversation);
        let mut socket = WebSocket::upgrade(Connection::open(server.address()), &polling.upgrade_path());
        if stage != "after the head" {
            socket.send_text("2probe");
            assert_eq!(socket.next_text(), "3probe");
        }
        if stage == "with a packet that is none" {
            socket.send_text("4no");
            socket.expect_close();
        }
        drop(socket);
        server.post(&ben, &conversation, stage);
        let mut packets = polling.poll(&mut connection);
        while packets == ["6"] {
            packets = polling.poll(&mut connection);
        }
        assert!(packets[0].contains(stage), "{packets:?}");
        let mut again = None;
        until("the first upgrade is forgotten", PROMPTLY, || {
            let mut connection = Connection::open(server.address());
            connection.send(&upgrade(&polling.upgrade_path()));
            let response = connection.response();
            again = (response.status == 101).then_some(connection);
            again.is_some()
        });
        let mut socket = WebSocket { connection: again.expect("an upgrade") };
        socket.send_text("2probe");
        assert_eq!(socket.next_text(), "3probe");
        socket.send_text("5");
        server.post(&ben, &conversation, "on the new transport");
        assert_eq!(SocketIo::connected(socket).next_event("new_message")["text"], "on the new transport");
    }
}

#[test]
fn a_second_upgrade_does_not_disturb_the_first() {
    let server = Server::shared();
    let ana = server.person("Ana");
    let mut connection = Connection::open(server.address());
    let polling = Polling::connect(&mut connection, &ana);
    let mut first = polling.probed(Connection::open(server.address()));
    let mut second = Connection::open(server.address());
    second.send(&upgrade(&polling.upgrade_path()));
    assert_eq!(second.response().status, 400);
    first.send_text("5");
    assert_eq!(SocketIo::connected(first).call("join_conversation", &json!("x"))["success"], false);
    let late = polling.try_post(&mut connection, "41");
    assert_eq!(late.status, 400, "the session polls no more");
}

#[test]
fn an_upgrade_in_one_segment_with_its_request_is_served() {
    let server = Server::shared();
    let ana = server.person("Ana");
    let polling = Polling::connect(&mut Connection::open(server.address()), &ana);
    let mut connection = Connection::open(server.address());
    let mut segment = upgrade(&polling.upgrade_path());
    let call = event_packet(Some(1), "join_conversation", &json!("x"));
    for packet in ["2probe", "5", "6", &call] {
        segment.extend(websocket::text(packet));
    }
    connection.send(&segment);
    let mut socket = WebSocket::accepted(connection);
    assert_eq!(socket.next_text(), "3probe");
    assert_eq!(parse_ack(&socket.next_text()).expect("an ack").1["success"], false);
}

#[test]
fn a_post_that_breaks_off_after_the_upgrade_does_not_end_the_session() {
    let server = Server::shared();
    let ana = server.person("Ana");
    let polling = Polling::connect(&mut Connection::open(server.address()), &ana);
    let mut stalled = Connection::open(server.address());
    stalled.send(&support::http::head("POST", &polling.path(), &[], Some(50)));
    stalled.send(b"42[");
    let mut client = polling.upgraded(Connection::open(server.address()));
    assert_eq!(client.call("join_conversation", &json!("x"))["success"], false);
    drop(stalled);
    for _ in 0..20 {
        assert_eq!(client.call("join_conversation", &json!("x"))["success"], false);
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_client_that_vanishes_during_its_upgrade_leaves_no_session() {
    let server = Server::start();
    let person = server.person("Ana");
    let mut connection = Connection::open(server.address());
    let polling = Polling::connect(&mut connection, &person);
    let mut socket = polling.probed(Connection::open(server.address()));
    socket.send_text("5");
    drop(socket);
    until("the session ends", PROMPTLY, || server.stat("sessions") == 0);
    SocketIo::connect(&server, &person);
}

#[test]
fn a_session_ends_with_its_websocket_and_with_a_close_packet() {
    let server = Server::start();
    let person = server.person("Ana");
    let client = SocketIo::connect(&server, &person);
    assert_eq!(server.stat("sessions"), 1);
    drop(client);
    until("the session of a dropped connection ends", PROMPTLY, || server.stat("sessions") == 0);

    let mut connection = Connection::open(server.address());
    let upgraded = Polling::connect(&mut connection, &person).upgraded(connection);
    assert_eq!(server.stat("sessions"), 1);
    drop(upgraded);
    until("the session of a dropped upgraded connection ends", PROMPTLY, || server.stat("sessions") == 0);

    let mut connection = Connection::open(server.address());
    let polling = Polling::connect(&mut connection, &person);
    assert_eq!(server.stat("sessions"), 1);
    polling.post(&mut connection, "1");
    until("the session of a polling client that said goodbye ends", PROMPTLY, || server.stat("sessions") == 0);
    let status = polling.try_post(&mut connection, "3").status;
    assert_eq!(status, 400, "the session id is unknown now");
}

#[test]
fn packets_of_one_body_are_handled_in_their_order() {
    let server = Server::shared();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let mut connection = Connection::open(server.address());
    let polling = Polling::connect(&mut connection, &ana);
    let sends = (2..=9)
        .map(|id| event_packet(Some(id), "send_message", &send_argument(&conversation, &format!("number {id}"))));
    let join = event_packet(Some(1), "join_conversation", &json!(conversation));
    let body: Vec<String> = std::iter::once(join).chain(sends).collect();
    polling.post(&mut connection, &body.join("\u{1e}"));
    let (mut acks, mut heard) = (Vec::new(), Vec::new());
    while acks.len() < 9 || heard.len() < 8 {
        for packet in polling.poll(&mut connection) {
            acks.extend(parse_ack(&packet).map(|(id, _)| id));
            heard.extend(parse_event(&packet).map(|(_, message)| message["seq"].as_u64()));
        }
    }
    assert_eq!(acks, (1..=9).collect::<Vec<_>>());
    assert_eq!(heard, (1..=8).map(Some).collect::<Vec<_>>());
}

#[test]
fn a_body_beyond_the_announced_size_ends_the_session_and_no_other() {
    let server = Server::shared();
    let person = server.person("Ana");
    let mut good = Connection::open(server.address());
    let other = Polling::connect(&mut good, &person);
    let mut connection = Connection::open(server.address());
    let polling = Polling::connect(&mut connection, &person);
    let response = polling.try_post(&mut connection, &format!("42[\"weigh\",\"{}\"]", "x".repeat(1_000_000)));
    assert!((400..500).contains(&response.status), "{response:?}");
    let after = polling.try_post(&mut Connection::open(server.address()), "3");
    assert_eq!(after.status, 400, "the session is gone: {after:?}");
    other.post(&mut good, &event_packet(Some(1), "join_conversation", &json!("x")));
    assert_eq!(parse_ack(&other.poll(&mut good)[0]).expect("an ack").1["success"], false);
}

#[test]
fn requests_in_one_segment_are_answered_in_their_order() {
    let server = Server::shared();
    let mut connection = Connection::open(server.address());
    let mut segment = support::http::head("GET", "/health", &[], None);
    segment.extend(support::http::head("GET", "/api/nowhere", &[], None));
    segment.extend(support::http::head("GET", "/health", &[], None));
    connection.send(&segment);
    assert_eq!([(); 3].map(|()| connection.response().status), [200, 404, 200]);
}

#[test]
fn an_unknown_session_is_refused_on_both_transports() {
    let server = Server::shared();
    // Each on a connection of its own: who is refused may find the connection closed.
    let open = || Connection::open(server.address());
    let unknown = Polling { sid: "AAAAAAAAAAAAAAAA".to_owned() };
    assert_eq!(open().request("GET", &unknown.path(), &[], b"").status, 400);
    assert_eq!(unknown.try_post(&mut open(), "3").status, 400);
    let mut connection = open();
    connection.send(&upgrade(&unknown.upgrade_path()));
    assert_eq!(connection.response().status, 400);
    let known = Polling::open(&mut open());
    let mut fresh = open();
    known.post(&mut fresh, "40{}");
    let refusal = known.poll(&mut fresh);
    assert!(refusal[0].starts_with("44{\"message\":\"Authentication error: no token\""), "{refusal:?}");
}
