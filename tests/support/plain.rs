//! The chat over a plain WebSocket: JSON events, answered by number, and the events that come meanwhile.

use std::collections::VecDeque;
use std::time::Instant;

use serde_json::{Value, json};

use super::HEARTBEATS_LIMIT;
use super::http::Connection;
use super::people::Person;
use super::server::Server;
use super::websocket::{CLOSE, PING, PONG, TEXT, WebSocket, frame, upgrade_with};

/// Where it is.
pub(crate) const PLAIN: &str = "/api/chat/ws";

pub(crate) struct Plain {
    pub(crate) socket: WebSocket,
    events: VecDeque<Value>,
    last_id: u64,
}

/// The handshake of a client that shows its token at once.
pub(crate) fn handshake(token: &str) -> Vec<u8> {
    upgrade_with(PLAIN, &[("Authorization", &format!("Bearer {token}"))])
}

impl Plain {
    /// Connected by the token in the handshake.
    pub(crate) fn connect(server: &Server, person: &Person) -> Self {
        let mut connection = Connection::open(server.address());
        connection.send(&handshake(&person.token));
        let mut client = Self::on(WebSocket::accepted(connection));
        client.next_event("connect");
        client
    }

    /// Not connected yet.
    pub(crate) fn stranger(server: &Server) -> Self {
        Self::on(WebSocket::upgrade(Connection::open(server.address()), PLAIN))
    }

    pub(crate) fn on(socket: WebSocket) -> Self {
        Self { socket, events: VecDeque::new(), last_id: 0 }
    }

    pub(crate) fn send(&mut self, event: &str, data: &Value) {
        self.socket.send_text(&json!({ "event": event, "data": data }).to_string());
    }

    /// Sends without waiting for the answer; its number.
    pub(crate) fn send_call(&mut self, event: &str, data: &Value) -> u64 {
        self.last_id += 1;
        self.socket.send_text(&json!({ "event": event, "data": data, "id": self.last_id }).to_string());
        self.last_id
    }

    /// The answer; events before it are kept.
    pub(crate) fn call(&mut self, event: &str, data: &Value) -> Value {
        let id = self.send_call(event, data);
        self.ack(id)
    }

    pub(crate) fn ack(&mut self, id: u64) -> Value {
        self.try_ack(id).expect("the connection goes on")
    }

    /// The answer; `None` when the server closes the connection instead.
    pub(crate) fn try_ack(&mut self, id: u64) -> Option<Value> {
        loop {
            let event = self.next()?;
            if event["event"] == "ack" {
                assert_eq!(event["id"], id, "answers come in the order of the calls: {event}");
                return Some(event["data"].clone());
            }
            self.events.push_back(event);
        }
    }

    /// The next event of this name, whole; others before it are passed over, for a while.
    pub(crate) fn next_event(&mut self, name: &str) -> Value {
        let started = Instant::now();
        loop {
            assert!(started.elapsed() < HEARTBEATS_LIMIT, "others than {name} only");
            let event = self.events.pop_front().or_else(|| self.next()).expect("the connection goes on");
            if event["event"] == name {
                return event;
            }
        }
    }

    /// The names of the events that have come and were not asked for.
    pub(crate) fn names_of_events(&self) -> Vec<&str> {
        self.events.iter().filter_map(|event| event["event"].as_str()).collect()
    }

    /// With which code and reason the server closes it, whatever comes before; `None` if it breaks off.
    pub(crate) fn closing(&mut self) -> Option<(u16, String)> {
        loop {
            let frame = self.socket.try_next_frame()?;
            if frame.opcode == CLOSE {
                let (code, reason) = frame.payload.split_at(2);
                let code = u16::from_be_bytes([code[0], code[1]]);
                return Some((code, String::from_utf8(reason.to_vec()).expect("a reason is UTF-8")));
            }
        }
    }

    /// `None` when the server has closed the connection. Heartbeats are answered.
    fn next(&mut self) -> Option<Value> {
        let started = Instant::now();
        loop {
            assert!(started.elapsed() < HEARTBEATS_LIMIT, "nothing but heartbeats");
            let received = self.socket.try_next_frame()?;
            match received.opcode {
                TEXT => return Some(serde_json::from_slice(&received.payload).expect("an event is JSON")),
                PING => self.socket.connection.send(&frame(true, PONG, &received.payload)),
                CLOSE => return None,
                _ => panic!("no event but {received:?}"),
            }
        }
    }
}
