//! WebSocket frames that no honest client sends, on a connection that began with WebSocket and on one that polled before:
//! each ends its own connection, for a reason that the log has, and nothing else.

mod support;

use std::sync::Arc;

use serde_json::json;
use support::socket_io::{WEBSOCKET, event_packet};
use support::websocket::{self, BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, WebSocket, frame, unmasked_frame};
use support::{Connection, DataDir, EVENT_LIMIT, Launch, Person, Polling, Server, SocketIo, until};

/// Engine.IO's announced `maxPayload`.
const MAX_PACKET: usize = 1_000_000;
const BROKEN: &str = "\"broken packet\"";
const TOO_LARGE: &str = "\"too large\"";
/// The bits of a frame's first byte that only extensions may set.
const RSV: [u8; 3] = [0x40, 0x20, 0x10];

/// How the connection came to be.
#[derive(Clone, Copy, Debug)]
enum Path {
    Direct,
    Upgraded,
}

const PATHS: [Path; 2] = [Path::Direct, Path::Upgraded];

struct World {
    server: Arc<Server>,
    person: Person,
    witness: SocketIo,
}

impl World {
    fn new() -> Self {
        let server = Arc::new(Launch::on(&DataDir::new()).env("LOG", "debug").start());
        let person = server.person("Ana");
        let witness = SocketIo::connect(&server, &person);
        Self { server, person, witness }
    }

    fn open(&self, path: Path) -> SocketIo {
        let mut connection = Connection::open(self.server.address());
        match path {
            Path::Direct => SocketIo::open(WebSocket::upgrade(connection, WEBSOCKET), &self.person),
            Path::Upgraded => Polling::connect(&mut connection, &self.person).upgraded(connection),
        }
    }

    /// Sends these bytes, and sees to it that the connection ends for this reason and nobody else notices.
    fn ends(&mut self, path: Path, what: &str, bytes: &[u8], reason: &str) {
        let ended = |server: &Server| server.log_lines_with(&["connection ended", reason]);
        let before = ended(&self.server);
        let mut attacker = self.open(path);
        eprintln!("{path:?}: {what}");
        // It may be closed before all is written.
        attacker.socket.connection.try_send(bytes);
        attacker.socket.connection.expect_close();
        drop(attacker);
        until(&format!("{what} ends with {reason}"), EVENT_LIMIT, || ended(&self.server) == before + 1);
        assert_eq!(self.witness.call("join_conversation", &json!("x"))["success"], false);
        self.server.has_sessions(1);
    }
}

/// A masked frame's head that announces a length, without the body.
fn announcing(first: u8, length: u64) -> Vec<u8> {
    [&[first, 0xff][..], &length.to_be_bytes(), &[1, 2, 3, 4]].concat()
}

fn with_bits(bits: u8, mut frame: Vec<u8>) -> Vec<u8> {
    frame[0] |= bits;
    frame
}

/// What breaks the protocol of RFC 6455.
fn broken() -> Vec<(String, Vec<u8>)> {
    let packet = b"42[\"x\"]";
    // The same packet as a stock server's permessage-deflate would have it.
    let deflated = [0x32, 0x31, 0x8a, 0x56, 0xaa, 0x50, 0x8a, 0x05, 0x00];
    let mut rows = vec![
        ("a compressed frame".to_owned(), with_bits(RSV[0], frame(true, TEXT, &deflated))),
        ("a compressed first fragment".to_owned(), with_bits(RSV[0], frame(false, TEXT, &deflated))),
        ("a fragmented ping".to_owned(), frame(false, PING, b"x")),
        ("a fragmented pong".to_owned(), frame(false, PONG, b"x")),
        ("a fragmented close".to_owned(), frame(false, CLOSE, &1000_u16.to_be_bytes())),
        ("a ping of 126 bytes".to_owned(), frame(true, PING, &[0; 126])),
        ("a pong of 126 bytes".to_owned(), frame(true, PONG, &[0; 126])),
        ("a close of 126 bytes".to_owned(), frame(true, CLOSE, &[0; 126])),
        ("a close of one byte".to_owned(), frame(true, CLOSE, &[3])),
        ("a ping of 100,000 bytes".to_owned(), frame(true, PING, &[0; 100_000])),
        ("an unmasked text".to_owned(), unmasked_frame(true, TEXT, packet)),
        ("an unmasked ping".to_owned(), unmasked_frame(true, PING, b"")),
        ("a continuation of nothing".to_owned(), frame(true, CONTINUATION, packet)),
        ("a text within a message".to_owned(), [frame(false, TEXT, packet), frame(true, TEXT, packet)].concat()),
        ("a message within a message".to_owned(), [frame(false, TEXT, b"4"), frame(false, BINARY, b"4")].concat()),
        ("text that is no UTF-8".to_owned(), frame(true, TEXT, b"42[\"\xff\xfe\"]")),
        ("half a surrogate pair".to_owned(), frame(true, TEXT, b"42[\"\xed\xa0\x80\"]")),
        (
            "text that is no UTF-8 in fragments".to_owned(),
            [frame(false, TEXT, b"42[\"\xf0"), frame(false, CONTINUATION, b""), frame(true, CONTINUATION, b"\"]")]
                .concat(),
        ),
        ("bytes that nobody announced".to_owned(), frame(true, BINARY, b"x")),
    ];
    rows.extend(RSV.map(|bits| (format!("reserved bit {bits:#x}"), with_bits(bits, frame(true, TEXT, packet)))));
    rows.extend((3..8).chain(11..16).map(|opcode| (format!("opcode {opcode}"), frame(true, opcode, packet))));
    rows
}

/// What is too long, or says that it will be.
fn too_large() -> Vec<(String, Vec<u8>)> {
    let lengths = [MAX_PACKET as u64 + 1, 1 << 32, 1 << 62, (1 << 63) - 1, 1 << 63, u64::MAX];
    let announced =
        |opcode: u8, length| (format!("opcode {opcode}, {length} bytes"), announcing(0x80 | opcode, length));
    let mut rows: Vec<_> =
        lengths.iter().flat_map(|length| [TEXT, BINARY].map(|opcode| announced(opcode, *length))).collect();
    // It would never end.
    let piece = frame(false, CONTINUATION, &[b'x'; 10_000]);
    for opcode in [TEXT, BINARY] {
        let endless = [frame(false, opcode, b"42[\""), piece.repeat(MAX_PACKET / 10_000)].concat();
        rows.push((format!("endless fragments of opcode {opcode}"), endless));
    }
    rows
}

#[test]
fn what_breaks_the_protocol_of_frames_ends_its_connection_and_no_other() {
    let mut world = World::new();
    for path in PATHS {
        for (what, bytes) in broken() {
            world.ends(path, &what, &bytes, BROKEN);
        }
    }
}

#[test]
fn what_is_too_large_or_says_so_ends_its_connection_and_no_other() {
    let mut world = World::new();
    for path in PATHS {
        for (what, bytes) in too_large() {
            world.ends(path, &what, &bytes, TOO_LARGE);
        }
    }
}

#[test]
fn fragments_are_put_together_around_control_frames_on_both_paths() {
    let world = World::new();
    for path in PATHS {
        let mut client = world.open(path);
        let call = event_packet(Some(3), "join_conversation", &json!("a horse named 馬"));
        // In the middle of the character.
        let (first, rest) = call.as_bytes().split_at(call.len() - 4);
        let connection = &mut client.socket.connection;
        connection.send(&frame(false, TEXT, first));
        connection.send(&frame(true, PING, &[b'p'; 125]));
        connection.send(&frame(false, CONTINUATION, b""));
        connection.send(&frame(true, PONG, b"unasked"));
        for byte in rest {
            connection.send(&frame(false, CONTINUATION, &[*byte]));
        }
        connection.send(&frame(true, CONTINUATION, b""));
        let pong = client.socket.next_frame();
        assert_eq!((pong.opcode, pong.payload.as_slice()), (PONG, &[b'p'; 125][..]), "{path:?}");
        assert_eq!(client.ack(3)["success"], false, "{path:?}");
    }
}

#[test]
fn fragments_of_the_announced_size_in_all_are_one_message_on_both_paths() {
    let world = World::new();
    for path in PATHS {
        let mut client = world.open(path);
        let empty = event_packet(Some(1), "weigh", &json!("")).len();
        let packet = event_packet(Some(1), "weigh", &json!("x".repeat(MAX_PACKET - empty)));
        let mut pieces = packet.as_bytes().chunks(70_000).peekable();
        let mut opcode = TEXT;
        while let Some(piece) = pieces.next() {
            client.socket.connection.send(&frame(pieces.peek().is_none(), opcode, piece));
            opcode = CONTINUATION;
        }
        assert_eq!(client.ack(1)["success"], false, "{path:?}");
    }
}

#[test]
fn bytes_that_are_announced_and_do_not_come_take_no_memory() {
    const CONNECTIONS: usize = 300;
    const EACH: u64 = 64 * 1024;
    let mut world = World::new();
    let mut waiting: Vec<_> = (0..CONNECTIONS).map(|number| world.open(PATHS[number % 2])).collect();
    world.server.forget_peak();
    let before = world.server.memory();
    for client in &mut waiting {
        client.socket.connection.send(&announcing(0x80 | TEXT, MAX_PACKET as u64));
        client.socket.connection.send(b"some of it");
    }
    assert_eq!(world.witness.call("join_conversation", &json!("x"))["success"], false);
    let grown = world.server.peak_memory().saturating_sub(before);
    assert!(grown < CONNECTIONS as u64 * EACH, "{grown} bytes more for {CONNECTIONS} connections");
    drop(waiting);
    world.server.has_sessions(1);
}

#[test]
fn pings_without_end_are_answered_as_fast_as_they_are_read() {
    const PINGS: usize = 50_000;
    let mut world = World::new();
    let mut flooder = world.open(Path::Direct);
    let ping = frame(true, PING, &[b'p'; 125]);
    world.server.forget_peak();
    let before = world.server.memory();
    std::thread::scope(|scope| {
        let connection = &mut flooder.socket.connection;
        // The server stops reading when nobody reads its answers, and the kernel's buffers are not for ever.
        scope.spawn(|| connection.send_unread(&ping.repeat(PINGS)));
        for _ in 0..20 {
            assert_eq!(world.witness.call("join_conversation", &json!("x"))["success"], false);
        }
    });
    let grown = world.server.peak_memory().saturating_sub(before);
    assert!(grown < 4 * actors::limits::OUTBOX_BYTES as u64, "{grown} bytes more");
    assert_eq!(flooder.socket.next_frame().opcode, PONG);
    drop(flooder);
    world.server.has_sessions(1);
}

#[test]
fn what_is_no_probe_ends_an_upgrade_and_the_client_polls_on() {
    let world = World::new();
    // One of those that announce too much: what does not come is waited for as long as an upgrade may take.
    let large = too_large().into_iter().take(1);
    let rows = broken().into_iter().chain(large).chain([("a ping packet".to_owned(), websocket::text("2"))]);
    for (what, bytes) in rows {
        let mut connection = Connection::open(world.server.address());
        let polling = Polling::connect(&mut connection, &world.person);
        let mut probe = WebSocket::upgrade(Connection::open(world.server.address()), &polling.upgrade_path());
        eprintln!("{what}");
        probe.connection.try_send(&bytes);
        probe.connection.expect_close();
        polling.post(&mut connection, &event_packet(Some(1), "join_conversation", &json!("x")));
        let packets = polling.poll(&mut connection);
        assert!(packets[0].starts_with("431["), "{what}: {packets:?}");
        polling.post(&mut connection, "1");
    }
    world.server.has_sessions(1);
}
