//! The chat over a plain WebSocket: the same session as over Socket.IO, in JSON events.

mod support;

use serde_json::{Value, json};
use support::plain::{PLAIN, Plain, handshake};
use support::websocket::{CONTINUATION, PING, PONG, TEXT, WebSocket, frame, text, upgrade_with};
use support::{Connection, DataDir, Launch, Person, Server, SocketIo};

fn room_of_two(server: &Server) -> (Person, Person, String) {
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    (ana, ben, conversation)
}

fn send(conversation: &str, text: &str) -> Value {
    json!({ "conversation_id": conversation, "text": text })
}

#[test]
fn a_token_with_the_handshake_opens_the_session_at_once() {
    let server = Server::shared();
    let mut connection = Connection::open(server.address());
    connection.send(&handshake(&server.person("Ana").token));
    let mut client = Plain::on(WebSocket::accepted(connection));
    let connected = client.next_event("connect");
    assert_eq!(connected["data"]["sid"].as_str().map(str::len), Some(24), "{connected}");
    assert_eq!(client.call("leave_conversation", &json!(support::new_id())), json!({ "success": true }));
}

#[test]
fn a_token_may_come_in_an_event_and_again_after_a_refusal() {
    let server = Server::shared();
    let mut client = Plain::stranger(&server);
    for (data, message) in [
        (Value::Null, "Authentication error: no token"),
        (json!({}), "Authentication error: no token"),
        (json!({ "token": "nonsense" }), "Authentication error: invalid token"),
    ] {
        client.send("connect", &data);
        let refused = client.next_event("connect_error");
        assert_eq!(refused["data"], json!({ "message": message, "code": "UNAUTHENTICATED" }));
    }
    client.send("connect", &json!({ "token": server.person("Ana").token }));
    client.next_event("connect");
    assert_eq!(client.call("typing", &json!("x"))["message"], "Conversation not found");
}

#[test]
fn a_handshake_that_is_refused_is_answered_in_json() {
    let server = Launch::on(&DataDir::new()).env("CORS_ORIGINS", "https://horses.example").start();
    let token = format!("Bearer {}", server.person("Ana").token);
    let refused = |headers: &[(&str, &str)]| {
        let mut connection = Connection::open(server.address());
        connection.send(&upgrade_with(PLAIN, headers));
        let answer = connection.response();
        (answer.status, answer.json()["code"].clone(), answer.json()["message"].clone())
    };
    let unauthenticated = |message: &str| (401, json!("UNAUTHENTICATED"), json!(message));
    assert_eq!(refused(&[("Authorization", "Bearer x")]), unauthenticated("Invalid or expired token"));
    assert_eq!(refused(&[("Authorization", "Basic x")]), unauthenticated("No token provided"));
    let foreign = refused(&[("Origin", "https://evil.example"), ("Authorization", &token)]);
    assert_eq!(foreign, (403, json!("FORBIDDEN"), json!("This origin may not connect")));
    let mut connection = Connection::open(server.address());
    let answer = connection.request("GET", PLAIN, &[("Authorization", &token)], b"");
    assert_eq!((answer.status, answer.json()["code"].as_str()), (400, Some("INVALID_ARGUMENT")));
    assert_eq!(connection.request("GET", "/health", &[], b"").status, 200, "the connection stays");
    let listed = upgrade_with(PLAIN, &[("Origin", "https://horses.example"), ("Authorization", &token)]);
    let mut connection = Connection::open(server.address());
    connection.send(&listed);
    Plain::on(WebSocket::accepted(connection)).next_event("connect");
    server.has_sessions(0);
}

#[test]
fn what_is_said_over_one_transport_is_heard_over_the_other() {
    let server = Server::shared();
    let (ana, ben, conversation) = room_of_two(&server);
    let (mut plain, mut socket_io) = (Plain::connect(&server, &ana), SocketIo::connect(&server, &ben));
    let joined = plain.call("join_conversation", &json!(conversation));
    assert_eq!(joined, json!({ "success": true, "data": { "conversation_id": conversation } }));
    socket_io.join(&conversation);

    let sent = plain.call("send_message", &send(&conversation, "from a device 🐴"));
    assert_eq!(sent["success"], true, "{sent}");
    assert_eq!(plain.next_event("new_message"), json!({ "event": "new_message", "data": sent["data"] }));
    assert_eq!(socket_io.next_event("new_message"), sent["data"]);
    let answer = socket_io.send(&conversation, "from an app");
    assert_eq!(plain.next_event("new_message")["data"], answer);
    let notified = json!({ "conversation_id": conversation, "sender": ben.id, "preview": "from an app" });
    assert_eq!(plain.next_event("message_notification")["data"], notified);

    // Nobody asked for an answer: the next one is the join's.
    plain.send("typing", &json!(conversation));
    plain.send("no_such_event", &json!([1, 2]));
    let again = plain.call("join_conversation", &json!([conversation, { "since_seq": 1 }]));
    assert_eq!(again["data"]["messages"], json!([answer]));
    assert_eq!(socket_io.next_event("user_typing"), json!({ "userId": ana.id, "conversation_id": conversation }));
    assert_eq!(plain.call("mark_read", &json!({ "conversation_id": conversation, "up_to_seq": 2 }))["success"], true);
    assert_eq!(socket_io.next_event("message_read")["up_to_seq"], 2);
}

#[test]
fn refusals_are_those_of_socket_io() {
    let server = Server::shared();
    let (ana, ben, conversation) = room_of_two(&server);
    let mut plain = Plain::connect(&server, &ana);
    let mut socket_io = SocketIo::connect(&server, &ana);
    let with_key = |text: &str| json!({ "conversation_id": conversation, "text": text, "client_msg_id": "one" });
    assert_eq!(plain.call("send_message", &with_key("first"))["data"]["seq"], 1);
    for (event, argument) in [
        ("no_such_event", json!(1)),
        ("join_conversation", json!("x")),
        ("join_conversation", json!(support::new_id())),
        ("send_message", send(&conversation, " ")),
        ("send_message", send(&support::new_id(), "text")),
        ("send_message", json!("text")),
        ("send_message", with_key("another text")),
        ("mark_read", json!({ "conversation_id": conversation })),
        ("refresh_token", json!({ "token": ben.token })),
    ] {
        let refused = plain.call(event, &argument);
        assert_eq!(refused["success"], false, "{event} {argument}");
        assert_eq!(refused, socket_io.call(event, &argument), "{event} {argument}");
    }
    let repeated = plain.call("send_message", &with_key("first"));
    assert_eq!((&repeated["data"]["seq"], &repeated["data"]["duplicate"]), (&json!(1), &json!(true)));
}

#[test]
fn a_session_that_was_asked_to_recovers_with_what_was_missed() {
    let server = Server::shared();
    let (ana, ben, conversation) = room_of_two(&server);
    let mut client = Plain::stranger(&server);
    client.send("connect", &json!({ "token": ana.token, "recover": true }));
    let pid = client.next_event("connect")["data"]["pid"].clone();
    assert!(pid.is_string());
    assert_eq!(client.call("join_conversation", &json!(conversation))["success"], true);
    let mut sender = SocketIo::connect(&server, &ben);
    sender.send(&conversation, "heard");
    let offset = client.next_event("message_notification")["offset"].clone();
    assert!(offset.is_string());
    drop(client);
    sender.send(&conversation, "missed");
    sender.send(&conversation, "missed, too");

    let mut client = Plain::stranger(&server);
    client.send("connect", &json!({ "token": ana.token, "recover": true, "pid": pid, "offset": offset }));
    assert_eq!(client.next_event("connect")["data"]["pid"], pid);
    let message = json!({ "conversation_id": conversation, "up_to_seq": 3 });
    let id = client.send_call("mark_read", &message);
    assert_eq!(client.ack(id)["success"], true, "its room needs no join");
    sender.send(&conversation, "live");
    for (seq, text) in [(2, "missed"), (3, "missed, too"), (4, "live")] {
        let data = client.next_event("new_message")["data"].clone();
        assert_eq!((data["seq"].as_u64(), data["text"].as_str()), (Some(seq), Some(text)));
    }
}

#[test]
fn a_client_that_leaves_its_session_may_connect_again() {
    let server = Server::shared();
    let (ana, ben, _) = room_of_two(&server);
    let mut client = Plain::connect(&server, &ana);
    client.send("disconnect", &Value::Null);
    client.send("connect", &json!({ "token": ben.token }));
    client.next_event("connect");
    assert_eq!(client.call("refresh_token", &json!({ "token": ben.token }))["success"], true);
}

#[test]
fn messages_come_in_pieces_together_and_byte_by_byte() {
    let server = Server::shared();
    let mut client = Plain::connect(&server, &server.person("Ana"));
    let call = |id: u64| json!({ "event": "leave_conversation", "data": support::new_id(), "id": id }).to_string();
    let ok = json!({ "success": true });
    let connection = &mut client.socket.connection;
    connection.send(&[text(&call(1)), text(&call(2))].concat());
    connection.send_byte_by_byte(&text(&call(3)));
    let pieces = call(4);
    let (first, last) = pieces.as_bytes().split_at(9);
    connection.send(&frame(false, TEXT, first));
    connection.send(&frame(true, PING, b"between"));
    connection.send(&frame(true, CONTINUATION, last));
    // A pong waits for no call, and calls for no pong.
    let frames: Vec<_> = (0..5).map(|_| client.socket.next_frame()).collect();
    let (pongs, answers): (Vec<_>, Vec<_>) = frames.iter().partition(|frame| frame.opcode == PONG);
    assert_eq!(pongs[0].payload, b"between");
    let answers = answers.iter().map(|frame| serde_json::from_slice(&frame.payload).expect("JSON"));
    let answers: Vec<Value> = answers.collect();
    let expected: Vec<_> = (1..=4).map(|id| json!({ "event": "ack", "id": id, "data": ok })).collect();
    assert_eq!(answers, expected);
}

#[test]
fn many_calls_in_flight_are_answered_in_their_order() {
    const CALLS: u64 = 3000;
    let server = Server::shared();
    let (ana, _, conversation) = room_of_two(&server);
    let mut client = Plain::connect(&server, &ana);
    client.call("join_conversation", &json!(conversation));
    let frames: Vec<u8> = (1..=CALLS)
        .flat_map(|id| {
            let call = json!({ "event": "send_message", "data": send(&conversation, &id.to_string()), "id": id + 1 });
            text(&call.to_string())
        })
        .collect();
    let mut write = client.socket.connection.try_writer();
    std::thread::scope(|scope| {
        scope.spawn(move || write(&frames));
        for id in 1..=CALLS {
            assert_eq!(client.ack(id + 1)["data"]["seq"], id);
        }
    });
    for seq in 1..=CALLS {
        assert_eq!(client.next_event("new_message")["data"]["seq"], seq);
    }
}
