//! What the console of operators is fed by: for admins only, and what they may look at and do.

mod support;

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::plain::Plain;
use support::postgres::Frozen;
use support::websocket::{WebSocket, text, upgrade, upgrade_with};
use support::{Connection, DataDir, EVENT_LIMIT, Launch, Server, SocketIo, new_id, token, until};

const CONSOLE: &str = "/api/chat/admin/ws";

/// A console of an admin's.
fn console(server: &Server) -> Plain {
    console_of(server, &new_id())
}

/// This admin's.
fn console_of(server: &Server, admin: &str) -> Plain {
    let mut connection = Connection::open(server.address());
    let token = format!("Bearer {}", token(admin, "admin"));
    connection.send(&upgrade_with(CONSOLE, &[("Authorization", &token)]));
    let mut console = Plain::on(WebSocket::accepted(connection));
    console.next_event("connect");
    console
}

fn data(console: &mut Plain, event: &str, argument: &Value) -> Value {
    let answer = console.call(event, argument);
    assert_eq!(answer["success"], true, "{event} {argument}: {answer}");
    answer["data"].clone()
}

#[test]
fn nobody_but_an_admin_is_let_in() {
    let server = Server::start();
    let seller = token(&new_id(), "seller");
    let status = |headers: &[(&str, &str)]| {
        let mut connection = Connection::open(server.address());
        connection.send(&upgrade_with(CONSOLE, headers));
        connection.response().status
    };
    assert_eq!(status(&[("Authorization", &format!("Bearer {seller}"))]), 403);
    assert_eq!(status(&[("Authorization", "Bearer x")]), 401);
    assert_eq!(status(&[("Origin", "https://evil.example")]), 403);

    let stranger = || {
        let mut connection = Connection::open(server.address());
        connection.send(&upgrade(CONSOLE));
        Plain::on(WebSocket::accepted(connection))
    };
    let mut client = stranger();
    for (token, code) in [(seller.as_str(), "FORBIDDEN"), ("x", "UNAUTHENTICATED"), ("", "UNAUTHENTICATED")] {
        client.send("connect", &json!({ "token": token }));
        assert_eq!(client.next_event("connect_error")["data"]["code"], code);
    }
    client.send("sessions", &json!({}));
    assert_eq!(client.closing(), Some((1008, "connect first".to_owned())));
    let mut guesser = stranger();
    for _ in 0..17 {
        guesser.send("connect", &json!({ "token": "x" }));
    }
    assert_eq!(guesser.closing(), Some((1008, "too many connects".to_owned())));
    let mut silent = stranger();
    assert_eq!(silent.closing(), Some((1008, "connect timeout".to_owned())));

    let mut admin = stranger();
    admin.send("connect", &json!({ "token": token(&new_id(), "admin") }));
    assert_eq!(admin.next_event("connect")["data"]["version"], env!("CARGO_PKG_VERSION"));
    admin.next_event("stats");
}

#[test]
fn an_admin_whose_token_is_revoked_sees_nothing_more() {
    let server = Server::start();
    let admin = new_id();
    let mut connection = Connection::open(server.address());
    let header = format!("Bearer {}", token(&admin, "admin"));
    connection.send(&upgrade_with(CONSOLE, &[("Authorization", &header)]));
    let mut revoked = Plain::on(WebSocket::accepted(connection));
    revoked.next_event("stats");
    let mut other = console(&server);
    data(&mut other, "revoke", &json!({ "userId": admin }));
    assert_eq!(revoked.closing(), Some((1008, "the token does not hold any more".to_owned())));
}

#[test]
fn what_is_there_is_told_each_second_and_found() {
    let server = Server::start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let (mut socket, _plain) = (SocketIo::connect(&server, &ana), Plain::connect(&server, &ben));
    socket.join(&conversation);
    for _ in 0..3 {
        socket.send(&conversation, "counted");
    }
    assert_eq!(socket.call("send_message", &json!({ "conversation_id": conversation, "text": " " }))["success"], false);
    let mut console = console(&server);
    let stats = console.next_event("stats")["data"].clone();
    assert_eq!((&stats["gauges"]["messages_committed"], &stats["gauges"]["sessions"]), (&json!(3), &json!(2)));
    assert_eq!(stats["transports"], json!({ "polling": 0, "websocket": 1, "plain_websocket": 1 }));
    let counted = stats["messages"].as_array().expect("buckets").iter().filter_map(Value::as_u64).sum::<u64>();
    assert_eq!((counted, &stats["refusals"]["INVALID_ARGUMENT"]), (3, &json!(1)));

    let found = data(&mut console, "sessions", &json!({ "begins": &ana.id[..20] }));
    assert_eq!((&found["count"], &found["sessions"][0]["user"]), (&json!(1), &json!(ana.id)));
    assert_eq!(data(&mut console, "sessions", &json!({}))["count"], 2);
    assert_eq!(data(&mut console, "sessions", &json!({ "begins": new_id() }))["count"], 0);
    let of_connection = found["sessions"][0]["id"].as_str().expect("an id").to_lowercase();
    assert_eq!(data(&mut console, "sessions", &json!({ "begins": of_connection }))["count"], 0);
    let looked = data(&mut console, "session", &json!({ "id": found["sessions"][0]["id"] }));
    let session = &looked["session"];
    assert_eq!((&session["transport"], &looked["rooms"]), (&json!("websocket"), &json!([conversation])));
    assert_eq!(session["last_refusal"]["code"], "INVALID_ARGUMENT", "{session}");
    assert_eq!((&session["queued"], &session["in_flight"]), (&json!(0), &json!(0)));
    assert!(session["received"].as_u64() >= Some(6) && session["sent"].as_u64() >= Some(8), "{session}");

    let rooms = data(&mut console, "rooms", &json!({ "begins": &conversation[..20] }));
    let room = &rooms["rooms"][0];
    assert_eq!(
        (&rooms["count"], &room["conversation_id"], &room["head_seq"]),
        (&json!(1), &json!(conversation), &json!(3))
    );
    assert_eq!(room["sessions"], json!([session["session"]]));
    assert_eq!(room["participants"], json!([ana.id, ben.id]));
}

#[test]
fn whether_postgres_answers_is_told() {
    let server = Server::start();
    let mut console = console(&server);
    let mut told = |up: bool| {
        until(&format!("Postgres up: {up}"), EVENT_LIMIT, || console.next_event("stats")["data"]["postgres_up"] == up);
    };
    told(true);
    let frozen = Frozen::freeze(server.directory());
    told(false);
    drop(frozen);
    told(true);
}

#[test]
fn a_room_that_waits_for_postgres_keeps_no_operator_waiting() {
    let server = Server::start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let (mut socket, mut console) = (SocketIo::connect(&server, &ana), console(&server));
    let frozen = Frozen::freeze(server.directory());
    socket.send_call("join_conversation", &json!(conversation));
    until("the room is there", EVENT_LIMIT, || server.stat("rooms") == 1);
    let began = Instant::now();
    assert_eq!(data(&mut console, "rooms", &json!({})), json!({ "count": 1, "rooms": [] }));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    drop(frozen);
    until("it is described", EVENT_LIMIT, || data(&mut console, "rooms", &json!({}))["rooms"][0]["head_seq"] == 0);
}

#[test]
fn the_way_of_a_watched_conversation_s_messages_is_told_and_no_other_s() {
    let server = Server::start();
    let (ana, ben, eve) = (server.person("Ana"), server.person("Ben"), server.person("Eve"));
    let (watched, other) = (server.conversation(&ana, &ben), server.conversation(&ana, &eve));
    let (mut sender, mut reader) = (SocketIo::connect(&server, &ana), SocketIo::connect(&server, &ben));
    sender.join(&watched);
    reader.join(&watched);
    let mut console = console(&server);
    data(&mut console, "watch", &json!({ "conversation_id": watched }));
    sender.send(&other, "not watched");
    let sent = sender.send(&watched, "not for consoles");
    let way = console.next_event("way")["data"].clone();
    assert_eq!((&way["message"], &way["sender"], &way["seq"]), (&sent["_id"], &json!(ana.id), &json!(1)));
    assert!(!way.to_string().contains("not for consoles"), "{way}");
    let steps = way["steps"].as_array().expect("steps");
    let names: Vec<_> = steps.iter().filter_map(|step| step["step"].as_str()).collect();
    assert_eq!(names[..3], ["wait", "commit", "announce"], "{way}");
    let delivered: Vec<_> =
        steps.iter().flat_map(|step| step["deliveries"].as_array().cloned().unwrap_or_default()).collect();
    let of = |event: &str| delivered.iter().filter(|one| one["event"] == event && one["queued"] == "yes").count();
    assert_eq!((of("new_message"), of("message_notification"), delivered.len()), (2, 1, 3), "{way}");

    server.post(&ben, &watched, "by REST");
    assert_eq!(console.next_event("way")["data"]["seq"], 2);
    data(&mut console, "unwatch", &json!({ "conversation_id": watched }));
    server.post(&ben, &watched, "not watched any more");
    data(&mut console, "watch", &json!({ "conversation_id": other }));
    sender.send(&other, "watched now");
    assert_eq!(console.next_event("way")["data"]["conversation"], other);
    for number in 0..16 {
        let answer = console.call("watch", &json!({ "conversation_id": new_id() }));
        assert_eq!(answer["success"], number < 15, "{answer}");
    }
    data(&mut console, "watch", &json!({ "conversation_id": other }));
}

#[test]
fn the_way_of_a_message_that_is_refused_says_why() {
    let server = Server::start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let (mut sender, mut console) = (SocketIo::connect(&server, &ana), console(&server));
    data(&mut console, "watch", &json!({ "conversation_id": conversation }));
    for (text, code) in [("one", json!(null)), ("two", json!("IDEMPOTENCY_CONFLICT"))] {
        let message = json!({ "conversation_id": conversation, "text": text, "client_msg_id": "a" });
        assert_eq!(sender.call("send_message", &message)["success"], code.is_null());
        assert_eq!(console.next_event("way")["data"]["refused"], code);
    }
}

#[test]
fn a_console_that_asks_without_end_is_answered_now_and_then_and_others_as_ever() {
    const ASKED: u64 = 5000;
    const ANSWERED: u64 = 5;
    let server = Launch::on(&DataDir::new()).env("WORKERS", "1").start();
    let (ana, before) = (server.person("Ana"), server.memory());
    let mut console = console(&server);
    let asked: String = (1..=ASKED).map(|id| format!(r#"{{"event":"sessions","data":{{}},"id":{id}}} "#)).collect();
    let frames: Vec<u8> = asked.split_inclusive(' ').flat_map(|one| text(one.trim_end())).collect();
    let begun = Instant::now();
    console.socket.connection.send(&frames);
    for id in 1..=ANSWERED {
        assert_eq!(console.ack(id)["success"], true);
    }
    assert!(begun.elapsed() >= Duration::from_millis(100) * (ANSWERED as u32 - 1), "{:?}", begun.elapsed());
    let mut witness = Plain::connect(&server, &ana);
    for _ in 0..20 {
        assert_eq!(witness.call("typing", &json!("x"))["success"], false);
    }
    assert!(server.memory().saturating_sub(before) < 20_000_000, "what is not answered yet is not read either");
}

#[test]
fn an_answer_does_not_wait_for_the_pause_behind_it() {
    let server = Server::start();
    let mut console = console(&server);
    // The shortest of several, since the machine may be busy.
    let shortest = (0..10).map(|_| {
        thread::sleep(Duration::from_millis(150));
        let begun = Instant::now();
        assert_eq!(console.call("sessions", &json!({}))["success"], true);
        begun.elapsed()
    });
    assert!(shortest.min() < Some(Duration::from_millis(100)));
}

#[test]
fn an_operator_closes_a_session_and_revokes_a_user() {
    let server = Launch::on(&DataDir::new()).env("LOG", "info").start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let (mut closed, mut plain) = (SocketIo::connect(&server, &ana), Plain::connect(&server, &ana));
    let mut revoked = SocketIo::connect(&server, &ben);
    let admin = new_id();
    let mut console = console_of(&server, &admin);
    for (transport, count) in [("websocket", 2), ("plain_websocket", 1)] {
        let found = data(&mut console, "sessions", &json!({ "begins": ana.id }));
        assert_eq!(found["count"], count);
        let sessions = found["sessions"].as_array().expect("sessions");
        let one = sessions.iter().find(|session| session["transport"] == transport).expect("it is there");
        data(&mut console, "close_session", &json!({ "id": one["id"] }));
        let session = one["session"].as_str().expect("it has connected");
        server.has_logged(&["an operator closed a connection", session, &ana.id, &admin], 1);
        until("it is gone", EVENT_LIMIT, || {
            let left = data(&mut console, "sessions", &json!({ "begins": ana.id }));
            left["count"].as_u64() == Some(count - 1)
        });
    }
    closed.socket.connection.expect_close();
    assert_eq!(plain.closing(), Some((1013, "closed by an operator".to_owned())));
    for id in ["x", "AAAAAAAAAAAAAAAA"] {
        assert_eq!(console.call("close_session", &json!({ "id": id }))["code"], "NOT_FOUND");
        assert_eq!(console.call("session", &json!({ "id": id }))["code"], "NOT_FOUND");
    }
    SocketIo::connect(&server, &ana);
    data(&mut console, "revoke", &json!({ "userId": ben.id }));
    revoked.socket.connection.expect_close();
    server.has_logged(&["an operator closed a connection"], 2);
    server.has_logged(&["an operator revoked", &ben.id, &admin], 1);

    let (other, body) = (new_id(), json!({ "userId": ana.id }));
    assert_eq!(server.rest(&token(&other, "admin"), "POST", "/api/chat/admin/revoke", Some(&body)).0, 200);
    server.has_logged(&["revoked the user's tokens", &ana.id, &other], 1);
}

#[test]
fn an_operator_stops_the_server_as_a_signal_would() {
    let mut server = Launch::on(&DataDir::new()).env("DRAIN_SECONDS", "6").start();
    let mut client = Plain::connect(&server, &server.person("Ana"));
    let mut console = console(&server);
    data(&mut console, "drain", &json!({}));
    client.next_event("server_draining");
    assert_eq!(console.call("drain", &json!({}))["code"], "OVERLOADED", "a second signal would cut everybody off");
    assert_eq!(client.call("typing", &json!("x"))["success"], false, "served until the end");
    assert_eq!(client.closing(), Some((1012, "server stopping".to_owned())));
    until("the process has ended", EVENT_LIMIT, || !server.is_running());
}

#[test]
fn what_is_no_request_is_refused_and_what_is_no_event_closes() {
    let server = Server::start();
    let mut console = console(&server);
    for (event, argument) in [
        ("no_such_event", json!({})),
        ("watch", json!({ "conversation_id": "x" })),
        ("watch", json!(null)),
        ("revoke", json!({ "userId": 7 })),
        ("connect", json!({})),
    ] {
        assert_eq!(console.call(event, &argument)["code"], "INVALID_ARGUMENT", "{event} {argument}");
    }
    // It may be closed before all is written.
    console.socket.connection.try_send(&text("\u{0}".repeat(1_000_001).as_str()));
    assert_eq!(console.closing(), Some((1007, "broken packet".to_owned())));
}

#[test]
fn a_room_that_is_only_looked_at_stops_all_the_same() {
    let server = Launch::on(&DataDir::new()).env("ROOM_IDLE_SECONDS", "1").start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let message = server.post(&ana, &conversation, "something");
    let mut console = console(&server);
    until("the room has stopped", EVENT_LIMIT, || data(&mut console, "rooms", &json!({}))["count"] == 0);
    let path = format!("/api/chat/messages/{}", message["_id"].as_str().expect("an id"));
    assert_eq!(server.rest(&ana.token, "DELETE", &path, None).0, 200);
    let unloaded = &data(&mut console, "rooms", &json!({}))["rooms"][0];
    assert_eq!((&unloaded["head_seq"], &unloaded["participants"]), (&json!(null), &json!(null)), "{unloaded}");
}
