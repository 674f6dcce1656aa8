//! Socket.IO on a WebSocket: connects, calls with acknowledgement, and keeps the events that come meanwhile.

use std::collections::VecDeque;
use std::time::Instant;

use serde_json::{Value, json};

use super::HEARTBEATS_LIMIT;
use super::http::Connection;
use super::people::Person;
use super::server::Server;
use super::websocket::WebSocket;

/// Where a client begins that skips polling.
pub(crate) const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

pub(crate) struct SocketIo {
    pub(crate) socket: WebSocket,
    events: VecDeque<(String, Value)>,
    last_ack: u64,
}

/// The CONNECT packet of this token, as Engine.IO carries it.
pub(crate) fn connect_packet(token: &str) -> String {
    format!("40{}", json!({ "token": token }))
}

/// An EVENT packet; with an id the server has to acknowledge it.
pub(crate) fn event_packet(ack: Option<u64>, event: &str, argument: &Value) -> String {
    let ack = ack.map(|id| id.to_string()).unwrap_or_default();
    format!("42{ack}{}", json!([event, argument]))
}

/// The arguments of an acknowledgement, and its id.
pub(crate) fn parse_ack(packet: &str) -> Option<(u64, Value)> {
    let packet = packet.strip_prefix("43")?;
    let digits = packet.find('[').expect("an acknowledgement has arguments");
    let arguments: Value = serde_json::from_str(&packet[digits..]).expect("arguments are JSON");
    Some((packet[..digits].parse().expect("an acknowledgement has an id"), arguments[0].clone()))
}

/// An event's name and its first argument.
pub(crate) fn parse_event(packet: &str) -> Option<(String, Value)> {
    let event: Value = serde_json::from_str(packet.strip_prefix("42")?).expect("an event is JSON");
    Some((event[0].as_str().expect("an event has a name").to_owned(), event[1].clone()))
}

/// Where a send of this text goes.
pub(crate) fn send_argument(conversation: &str, text: &str) -> Value {
    json!({ "conversation_id": conversation, "text": text })
}

impl SocketIo {
    /// A connection over WebSocket only.
    pub(crate) fn connect(server: &Server, person: &Person) -> Self {
        Self::open(WebSocket::upgrade(Connection::open(server.address()), WEBSOCKET), person)
    }

    /// Engine.IO's handshake and Socket.IO's CONNECT on a WebSocket that is new.
    pub(crate) fn open(mut socket: WebSocket, person: &Person) -> Self {
        socket.send_text(&connect_packet(&person.token));
        Self::opened(socket)
    }

    /// Reads the answers of a handshake whose CONNECT is already sent.
    pub(crate) fn opened(mut socket: WebSocket) -> Self {
        let open = socket.next_text();
        assert!(open.starts_with("0{"), "{open}");
        let connected = socket.next_text();
        assert!(connected.starts_with("40{\"sid\":"), "{connected}");
        Self::connected(socket)
    }

    /// Over a WebSocket on which Socket.IO is connected already.
    pub(crate) fn connected(socket: WebSocket) -> Self {
        Self { socket, events: VecDeque::new(), last_ack: 0 }
    }

    /// Sends without waiting for the acknowledgement; its id.
    pub(crate) fn send_call(&mut self, event: &str, argument: &Value) -> u64 {
        self.last_ack += 1;
        self.socket.send_text(&event_packet(Some(self.last_ack), event, argument));
        self.last_ack
    }

    pub(crate) fn call(&mut self, event: &str, argument: &Value) -> Value {
        let id = self.send_call(event, argument);
        self.ack(id)
    }

    /// `None` when the connection has ended.
    pub(crate) fn try_call(&mut self, event: &str, argument: &Value) -> Option<Value> {
        self.last_ack += 1;
        let is_sent = self.socket.try_send_text(&event_packet(Some(self.last_ack), event, argument));
        if is_sent { self.try_ack(self.last_ack) } else { None }
    }

    /// The names of the events that have come and were not asked for.
    pub(crate) fn names_of_events(&self) -> Vec<&str> {
        self.events.iter().map(|(name, _)| name.as_str()).collect()
    }

    pub(crate) fn join(&mut self, conversation: &str) {
        let ack = self.call("join_conversation", &json!(conversation));
        assert_eq!(ack["success"], true, "{ack}");
    }

    /// The message that a send was acknowledged with.
    pub(crate) fn send(&mut self, conversation: &str, text: &str) -> Value {
        let ack = self.call("send_message", &send_argument(conversation, text));
        assert_eq!(ack["success"], true, "{ack}");
        ack["data"].clone()
    }

    /// The acknowledgement with this id, which is the next one to come; events before it are kept.
    pub(crate) fn ack(&mut self, id: u64) -> Value {
        self.try_ack(id).expect("the connection goes on")
    }

    /// `None` when the server closes the connection instead.
    pub(crate) fn try_ack(&mut self, id: u64) -> Option<Value> {
        loop {
            let packet = self.try_packet()?;
            if let Some((acknowledged, argument)) = parse_ack(&packet) {
                assert_eq!(acknowledged, id, "acknowledgements come in the order of the calls");
                return Some(argument);
            }
            self.events.extend(parse_event(&packet));
        }
    }

    /// The next event of this name; others before it are passed over.
    pub(crate) fn next_event(&mut self, name: &str) -> Value {
        loop {
            let event = self.events.pop_front().or_else(|| parse_event(&self.packet()));
            if let Some((_, argument)) = event.filter(|(event, _)| event == name) {
                return argument;
            }
        }
    }

    pub(crate) fn packet(&mut self) -> String {
        self.try_packet().expect("the connection goes on")
    }

    /// The next packet that is no heartbeat; heartbeats are answered.
    fn try_packet(&mut self) -> Option<String> {
        let started = Instant::now();
        loop {
            let packet = self.socket.try_next_text()?;
            if packet != "2" {
                return Some(packet);
            }
            assert!(started.elapsed() < HEARTBEATS_LIMIT, "nothing but heartbeats");
            self.socket.send_text("3");
        }
    }
}
