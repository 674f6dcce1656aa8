//! The stock `rust_socketio` client on each of its transports.

mod support;

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, channel};

use rust_socketio::client::Client;
use rust_socketio::{ClientBuilder, Event, Payload, RawClient, TransportType};
use serde_json::{Value, json};
use support::socket_io::send_argument;
use support::{EVENT_LIMIT, Person, Server, token};

const EVENTS: [&str; 3] = ["new_message", "message_notification", "user_typing"];

/// A client, and a mailbox for each thing it can be told.
struct StockClient {
    client: Client,
    told: HashMap<&'static str, Receiver<Value>>,
}

impl StockClient {
    /// Open as far as the transport goes; what becomes of the CONNECT is told by `connect` or `error`.
    ///
    /// Nobody disconnects it: after that its thread would spin to the end of the process.
    fn open(server: &Server, auth: Value, transport: TransportType) -> Self {
        let mut told = HashMap::new();
        let mut builder = ClientBuilder::new(format!("http://{}", server.address()))
            .auth(auth)
            .transport_type(transport)
            .reconnect(false)
            .on(Event::Connect, mailbox(&mut told, "connect"))
            .on(Event::Error, mailbox(&mut told, "error"));
        for event in EVENTS {
            builder = builder.on(event, mailbox(&mut told, event));
        }
        Self { client: builder.connect().expect("the transport opens"), told }
    }

    fn connect(server: &Server, person: &Person, transport: TransportType) -> Self {
        let client = Self::open(server, json!({ "token": person.token }), transport);
        client.next("connect");
        client
    }

    fn next(&self, name: &str) -> Value {
        self.told[name].recv_timeout(EVENT_LIMIT).expect(name)
    }

    fn call(&self, event: &str, argument: Value) -> Value {
        let (tell, told) = channel();
        let acknowledged = move |payload: Payload, _: RawClient| {
            let _ = tell.send(values(payload));
        };
        self.client.emit_with_ack(event, argument, EVENT_LIMIT, acknowledged).expect("the client sends");
        // An acknowledgement's arguments come as one array.
        told.recv_timeout(EVENT_LIMIT).expect(event)[0][0].clone()
    }
}

/// A callback that puts the first argument into a new mailbox of this name.
fn mailbox(
    told: &mut HashMap<&'static str, Receiver<Value>>,
    name: &'static str,
) -> impl FnMut(Payload, RawClient) + Send + use<> {
    let (tell, mailbox) = channel();
    told.insert(name, mailbox);
    move |payload, _| {
        let _ = tell.send(values(payload).into_iter().next().unwrap_or_default());
    }
}

fn values(payload: Payload) -> Vec<Value> {
    match payload {
        Payload::Text(values) => values,
        other => panic!("everything here is JSON: {other:?}"),
    }
}

/// Connect, join, send with an acknowledgement, and receive on both sides.
fn two_clients_talk(transport: TransportType) {
    let server = Server::shared();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let sender = StockClient::connect(&server, &ana, transport.clone());
    let reader = StockClient::connect(&server, &ben, transport);
    for client in [&sender, &reader] {
        let ack = client.call("join_conversation", json!(conversation));
        assert_eq!(ack, json!({ "success": true, "data": { "conversation_id": conversation } }));
    }
    let ack = sender.call("send_message", send_argument(&conversation, "from rust, mit Größe 🐴"));
    assert_eq!(ack["success"], true, "{ack}");
    assert_eq!(ack["data"]["text"], "from rust, mit Größe 🐴");
    assert_eq!(sender.next("new_message"), ack["data"]);
    assert_eq!(reader.next("new_message"), ack["data"]);
    let notification = reader.next("message_notification");
    assert_eq!(notification["conversation_id"], conversation.as_str());
    assert_eq!(notification["sender"], ana.id.as_str());
    assert_eq!(reader.call("typing", json!(conversation))["success"], true);
    assert_eq!(sender.next("user_typing")["userId"], ben.id.as_str());
    let reply = server.post(&ben, &conversation, "by REST");
    assert_eq!(sender.next("new_message")["_id"], reply["_id"]);
    assert_eq!(sender.next("message_notification")["preview"], "by REST");
}

#[test]
fn two_clients_talk_on_websocket() {
    two_clients_talk(TransportType::Websocket);
}

#[test]
fn two_clients_talk_on_polling() {
    two_clients_talk(TransportType::Polling);
}

#[test]
fn two_clients_talk_after_the_upgrade() {
    two_clients_talk(TransportType::WebsocketUpgrade);
}

#[test]
fn a_stranger_is_refused_and_a_participant_is_not() {
    let server = Server::shared();
    let (ana, ben, stranger) = (server.person("Ana"), server.person("Ben"), server.person("Sven"));
    let conversation = server.conversation(&ana, &ben);
    let intruder = StockClient::connect(&server, &stranger, TransportType::Websocket);
    for (event, argument) in [
        ("join_conversation", json!(conversation)),
        ("send_message", send_argument(&conversation, "let me in")),
        ("typing", json!(conversation)),
    ] {
        let ack = intruder.call(event, argument);
        assert_eq!((&ack["success"], &ack["message"]), (&json!(false), &json!("Conversation not found")), "{event}");
    }
    let participant = StockClient::connect(&server, &ana, TransportType::Websocket);
    assert_eq!(participant.call("join_conversation", json!(conversation))["success"], true);
    assert!(server.texts(&ben, &conversation).is_empty());
}

#[test]
fn a_token_that_proves_nothing_is_refused_on_each_transport() {
    let server = Server::shared();
    let person = server.person("Ana");
    for transport in [TransportType::Websocket, TransportType::Polling, TransportType::WebsocketUpgrade] {
        for (auth, reason) in [
            (json!({ "token": "x" }), "Authentication error: invalid token"),
            (json!({ "token": token("not-an-id", "seller") }), "Authentication error: invalid token"),
            (json!({}), "Authentication error: no token"),
        ] {
            let refused = StockClient::open(&server, auth, transport.clone());
            let error = refused.next("error").to_string();
            assert!(error.contains(reason), "{error}");
        }
        StockClient::connect(&server, &person, transport);
    }
}
