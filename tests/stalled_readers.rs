//! Five hundred clients that have joined and then read nothing: each is closed as a slow consumer, the server's memory is
//! that of what they share, and who reads gets every message once and in order.

mod support;

use std::{
    collections::VecDeque,
    thread,
    time::{Duration, Instant},
};

use actors::limits::{OUTBOX_BYTES, OUTBOX_PACKETS};
use serde_json::json;
use support::crowd::{narrow_connection, raise_open_files};
use support::socket_io::{WEBSOCKET, event_packet, parse_ack, send_argument};
use support::{Connection, DataDir, Launch, Person, Polling, Server, SocketIo, WebSocket, until};

const ROOMS: usize = 4;
const STALLED: usize = 500;
/// Of each room: twice what an outbox has room for.
const MESSAGES: usize = 1100;
const IN_FLIGHT: usize = 50;
const CLOSE_LIMIT: Duration = Duration::from_secs(60);
/// Less than the first heartbeat of any of them takes.
const SOON: Duration = Duration::from_secs(28);
/// What a message's text and its frame have, about.
const TEXT_BYTES: usize = 8000;
const _: () = assert!(MESSAGES * TEXT_BYTES > 2 * OUTBOX_BYTES);

/// All that waits for a room is there twice at most, whoever waits for it: as a frame, and as a polling client's packet.
const SHARED: usize = ROOMS * 2 * OUTBOX_BYTES;
/// What a connection has for itself: the places of its queue, which has grown by doubling, and what it is anyway.
const OWN: usize = OUTBOX_PACKETS * 2 * size_of::<bytes::Bytes>() + 32 * 1024;
/// Messages under way between those who read and write.
const UNDER_WAY: usize = 32 << 20;

/// A client that reads nothing more.
enum Stalled {
    WebSocket(SocketIo),
    Polling(Polling),
}

impl Stalled {
    fn open(server: &Server, person: &Person, conversation: &str, number: usize) -> Self {
        let narrow = || narrow_connection(server.address());
        if number.is_multiple_of(2) {
            let mut client = SocketIo::open(WebSocket::upgrade(narrow(), WEBSOCKET), person);
            client.join(conversation);
            return Self::WebSocket(client);
        }
        let mut connection = Connection::open(server.address());
        let polling = Polling::connect(&mut connection, person);
        polling.post(&mut connection, &event_packet(Some(1), "join_conversation", &json!(conversation)));
        assert_eq!(parse_ack(&polling.poll(&mut connection)[0]).expect("an ack").1["success"], true);
        if number % 4 == 1 { Self::WebSocket(polling.upgraded(narrow())) } else { Self::Polling(polling) }
    }

    fn expect_close(self, server: &Server) {
        match self {
            Self::WebSocket(mut client) => client.socket.connection.expect_close(),
            Self::Polling(polling) => {
                let status = polling.try_post(&mut Connection::open(server.address()), "3").status;
                assert_eq!(status, 400, "its session is unknown now");
            }
        }
    }
}

/// Two who talk, in a conversation with many who do not listen.
struct Room {
    sender: SocketIo,
    reader: SocketIo,
    conversation: String,
    stalled: Vec<Stalled>,
}

impl Room {
    fn open(server: &Server) -> Self {
        let (ana, ben) = (server.person("Ana"), server.person("Ben"));
        let conversation = server.conversation(&ana, &ben);
        let stall = |number| {
            let person = if number % 3 == 0 { &ana } else { &ben };
            Stalled::open(server, person, &conversation, number)
        };
        let stalled = (0..STALLED / ROOMS).map(stall).collect();
        let mut reader = SocketIo::connect(server, &ben);
        reader.join(&conversation);
        Self { sender: SocketIo::connect(server, &ana), reader, conversation, stalled }
    }

    /// Everything is acknowledged, and comes to who reads once and in order.
    fn talk(&mut self) {
        let Self { sender, reader, conversation, .. } = self;
        thread::scope(|scope| {
            scope.spawn(|| {
                for number in 1..=MESSAGES {
                    let message = reader.next_event("new_message");
                    assert_eq!(message["seq"], number);
                    assert!(message["text"].as_str().is_some_and(|text| text.starts_with(&format!("{number} "))));
                }
            });
            let text = "🐴".repeat(TEXT_BYTES / 4 - 10);
            let mut waiting = VecDeque::new();
            for number in 1..=MESSAGES {
                if waiting.len() == IN_FLIGHT {
                    let id = waiting.pop_front().expect("one in flight");
                    assert_eq!(sender.ack(id)["success"], true);
                }
                let argument = send_argument(conversation, &format!("{number} {text}"));
                waiting.push_back(sender.send_call("send_message", &argument));
            }
            for id in waiting {
                assert_eq!(sender.ack(id)["success"], true);
            }
        });
    }
}

#[test]
fn five_hundred_stalled_readers_are_closed_share_their_memory_and_hold_nobody_up() {
    raise_open_files();
    let server = Launch::on(&DataDir::new()).env("LOG", "debug").start();
    let begun = Instant::now();
    let mut rooms: Vec<_> = thread::scope(|scope| {
        let opening: Vec<_> = (0..ROOMS).map(|_| scope.spawn(|| Room::open(&server))).collect();
        opening.into_iter().map(|room| room.join().expect("a room")).collect()
    });
    server.has_sessions((STALLED + 2 * ROOMS) as u64);
    server.forget_peak();
    let before = server.memory();
    thread::scope(|scope| {
        for room in &mut rooms {
            scope.spawn(|| room.talk());
        }
    });
    let is_soon = begun.elapsed() < SOON;
    let grown = server.peak_memory().saturating_sub(before);
    let bound = (SHARED + STALLED * OWN + UNDER_WAY) as u64;
    eprintln!(
        "{grown} bytes more; {bound} are allowed, and {} would be if nothing were shared",
        STALLED * OUTBOX_BYTES
    );
    assert!(grown < bound, "{grown} bytes more than before, and {bound} are allowed");
    until("the stalled readers are closed", CLOSE_LIMIT, || server.stat("connections") == 2 * ROOMS as u64);
    server.has_sessions(2 * ROOMS as u64);
    let ended = |reason| server.log_lines_with(&["connection ended", reason]);
    until("each has its reason in the log", CLOSE_LIMIT, || {
        ended("\"slow consumer\"") + ended("\"heartbeat timeout\"") == STALLED
    });
    assert_eq!(server.stat("slow_consumers"), ended("\"slow consumer\"") as u64);
    // On a slow machine their heartbeats end some of them before.
    assert!(!is_soon || ended("\"slow consumer\"") == STALLED, "{}", ended("\"slow consumer\""));
    for mut room in rooms {
        room.stalled.drain(..).for_each(|stalled| stalled.expect_close(&server));
        let after = room.sender.send(&room.conversation, "still here");
        assert_eq!(room.reader.next_event("new_message"), after);
    }
}
