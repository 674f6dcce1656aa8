//! Thousands of clients come and go, and nothing of them stays: no session, room, timer, descriptor or memory.
//!
//! LEAK_CONNECTS (default 2000) is how many come over each transport.

mod support;

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use support::plain::PLAIN;
use support::socket_io::{WEBSOCKET, event_packet};
use support::websocket::{CLOSE, frame};
use support::{Connection, DataDir, Launch, Person, Plain, Polling, Server, SocketIo, WebSocket, until};

const CONNECTS: usize = 2000;
/// What comes and goes before the first look, so that what is made once, is made.
const WARM_UP: usize = 500;
const THREADS: usize = 2;
/// Noise of the allocator: with 100,000 connects it would be seen if each left 80 bytes.
const GROWTH_KIB: u64 = 8 * 1024;
/// Longer than a session lives whose client polls no more: an interval and a time-out of the heartbeat.
const CLEARED_LIMIT: Duration = Duration::from_secs(90);
/// One of so many clients that poll goes without a word.
const SILENT: usize = 40;
const GAUGES: [&str; 8] = [
    "connections",
    "sessions",
    "lost_sessions",
    "rooms",
    "hub_members",
    "unanswered",
    "messages_in_flight",
    "announcements",
];

/// Who comes and goes.
struct Visitor<'a> {
    server: &'a Server,
    person: &'a Person,
    conversation: &'a str,
    quiet: &'a str,
    number: usize,
}

impl Visitor<'_> {
    /// Every fourth asks that its session is kept for it.
    fn connect_packet(&self) -> String {
        format!("40{}", json!({ "token": self.person.token, "recover": self.number.is_multiple_of(4) }))
    }

    /// A connection that leaves no port behind.
    fn connection(&self) -> Connection {
        let connection = Connection::open(self.server.address());
        connection.reset_at_the_end();
        connection
    }

    /// What leaves something to clear away: a member of a room, who types.
    fn visit(&self, mut socket: SocketIo) {
        socket.join(self.conversation);
        socket.call("typing", &json!(self.conversation));
        match self.number % 3 {
            0 => socket.socket.send_text("41"),
            1 => socket.socket.connection.send(&frame(true, CLOSE, &1000u16.to_be_bytes())),
            _ => {}
        }
    }

    fn by_websocket(&self) {
        let mut socket = WebSocket::upgrade(self.connection(), WEBSOCKET);
        socket.send_text(&self.connect_packet());
        self.visit(SocketIo::opened(socket));
    }

    fn by_plain_websocket(&self) {
        let mut client = Plain::on(WebSocket::upgrade(self.connection(), PLAIN));
        client.send("connect", &json!({ "token": self.person.token, "recover": self.number.is_multiple_of(4) }));
        client.next_event("connect");
        client.call("join_conversation", &json!(self.conversation));
        client.call("typing", &json!(self.conversation));
        match self.number % 3 {
            0 => client.send("disconnect", &Value::Null),
            1 => client.socket.connection.send(&frame(true, CLOSE, &1000u16.to_be_bytes())),
            _ => {}
        }
    }

    /// Also an upgrade that is not finished, now and then.
    fn by_upgrade(&self) {
        let mut connection = self.connection();
        let polling = self.open(&mut connection);
        let mut socket = WebSocket::upgrade(self.connection(), &polling.upgrade_path());
        socket.send_text("2probe");
        assert_eq!(socket.next_text(), "3probe");
        if self.number.is_multiple_of(SILENT) {
            return;
        }
        socket.send_text("5");
        self.visit(SocketIo::connected(socket));
    }

    fn by_polling(&self) {
        let mut connection = self.connection();
        let polling = self.open(&mut connection);
        let mut call = |id, event, conversation: &str| {
            polling.post(&mut connection, &event_packet(Some(id), event, &json!(conversation)));
            polling.poll(&mut connection);
        };
        if self.number.is_multiple_of(SILENT) {
            // Where nobody types: what would wait for it is not what this is about.
            return call(1, "join_conversation", self.quiet);
        }
        call(1, "join_conversation", self.conversation);
        call(2, "typing", self.conversation);
        polling.post(&mut connection, if self.number.is_multiple_of(3) { "41\u{1e}1" } else { "1" });
    }

    fn open(&self, connection: &mut Connection) -> Polling {
        let polling = Polling::open(connection);
        polling.post(connection, &self.connect_packet());
        let packets = polling.poll(connection);
        assert!(packets[0].starts_with("40{\"sid\":"), "{packets:?}");
        polling
    }
}

/// What a server holds that clients could leave behind.
#[derive(Debug)]
struct Held {
    descriptors: usize,
    memory_kib: u64,
}

/// Looks when the server is at rest again.
fn held(server: &Server) -> Held {
    until("everything of the clients is cleared away", CLEARED_LIMIT, || {
        GAUGES.iter().all(|gauge| server.stat(gauge) == 0)
    });
    let process = format!("/proc/{}", server.pid());
    let status = fs::read_to_string(format!("{process}/status")).expect("the server runs");
    let memory = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux says so");
    let memory_kib = memory.trim().trim_end_matches(" kB").parse().expect("a number");
    Held { descriptors: fs::read_dir(format!("{process}/fd")).expect("the server runs").count(), memory_kib }
}

fn come_and_go(server: &Server, count: usize, visit: fn(&Visitor)) {
    let [ana, ben, carl] = ["Ana", "Ben", "Carl"].map(|name| server.person(name));
    let conversation = server.conversation(&ana, &ben);
    let quiet = [server.conversation(&ana, &carl), server.conversation(&ben, &carl)];
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (person, conversation) = ([&ana, &ben][thread], conversation.as_str());
            let quiet = quiet[thread].as_str();
            scope.spawn(move || {
                for number in (thread..count).step_by(THREADS) {
                    visit(&Visitor { server, person, conversation, quiet, number });
                }
            });
        }
    });
}

fn nothing_stays_of(visit: fn(&Visitor)) {
    let connects = std::env::var("LEAK_CONNECTS").map_or(CONNECTS, |count| count.parse().expect("a number"));
    let server = Launch::on(&DataDir::new()).env("ROOM_IDLE_SECONDS", "1").env("RECOVERY_SECONDS", "1").start();
    come_and_go(&server, WARM_UP, visit);
    let before = held(&server);
    come_and_go(&server, connects, visit);
    let after = held(&server);
    println!("{connects} connects: {before:?}, then {after:?}");
    // Connections of the pool, which come and go by themselves.
    assert!(after.descriptors <= before.descriptors + 8, "{before:?}, then {after:?}");
    assert!(after.memory_kib <= before.memory_kib + GROWTH_KIB, "{before:?}, then {after:?}");
    assert_eq!(server.stat("actors_failed"), 0);
}

#[test]
fn nothing_stays_of_clients_that_open_with_websocket() {
    nothing_stays_of(|visitor| visitor.by_websocket());
}

#[test]
fn nothing_stays_of_clients_with_a_plain_websocket() {
    nothing_stays_of(|visitor| visitor.by_plain_websocket());
}

#[test]
fn nothing_stays_of_clients_that_upgrade_from_polling() {
    nothing_stays_of(|visitor| visitor.by_upgrade());
}

#[test]
fn nothing_stays_of_clients_that_poll() {
    nothing_stays_of(|visitor| visitor.by_polling());
}
