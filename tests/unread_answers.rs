//! A client that asks without end and reads no answer, or answers what nobody asked: it is slowed down, and gets all.

mod support;

use std::thread;

use serde_json::Value;
use support::socket_io::parse_ack;
use support::websocket::{TEXT, frame};
use support::{Connection, Polling, SocketIo, http::head, witnessed::Witnessed};

/// An event that is refused; what follows `42`.
const UNKNOWN: &str = r#"["x"]"#;
/// What a client asks that reads no answer may take: those that wait, and what the kernel holds of them meanwhile.
const UNREAD: u64 = 6 * actors::limits::OUTBOX_BYTES as u64;
const ASKED: u64 = 50_000;

#[test]
fn who_asks_for_50_000_acknowledgements_and_reads_none_is_slowed_down_and_gets_all() {
    let mut world = Witnessed::new();
    let mut asker = SocketIo::connect(&world.server, &world.ana);
    let asks: Vec<u8> = (0..ASKED).flat_map(|id| frame(true, TEXT, format!("42{id}{UNKNOWN}").as_bytes())).collect();
    world.server.forget_peak();
    let before = world.server.memory();
    let mut writer = asker.socket.connection.writer();
    let asking = thread::spawn(move || writer(&asks));
    for _ in 0..50 {
        world.is_served();
    }
    let grown = world.server.peak_memory().saturating_sub(before);
    assert!(grown < UNREAD, "{grown} bytes more");
    for id in 0..ASKED {
        assert_eq!(asker.ack(id)["success"], false);
    }
    asking.join().expect("all was written");
    drop(asker);
    world.nobody_else_notices();
}

#[test]
fn a_payload_of_25_000_questions_waits_until_its_answers_are_polled() {
    const QUESTIONS: u64 = 25_000;
    let mut world = Witnessed::new();
    let mut connection = Connection::open(world.server.address());
    let polling = Polling::connect(&mut connection, &world.ana);
    let body: Vec<_> = (0..QUESTIONS).map(|id| format!("42{id}{UNKNOWN}")).collect();
    let mut posting = Connection::open(world.server.address());
    world.server.forget_peak();
    let before = world.server.memory();
    let head = head("POST", &polling.path(), &[], Some(body.join("\u{1e}").len()));
    posting.send(&[head, body.join("\u{1e}").into_bytes()].concat());
    for _ in 0..50 {
        world.is_served();
    }
    let grown = world.server.peak_memory().saturating_sub(before);
    assert!(grown < UNREAD, "{grown} bytes more");
    let mut next = 0;
    while next < QUESTIONS {
        // A ping may come in between.
        for packet in polling.poll(&mut connection).iter().filter(|packet| *packet != "2") {
            let (id, answer) = parse_ack(packet).expect("an acknowledgement");
            assert_eq!((id, &answer["success"]), (next, &Value::Bool(false)));
            next += 1;
        }
    }
    assert_eq!(posting.response().status, 200);
    polling.post(&mut connection, "1");
    world.nobody_else_notices();
}

#[test]
fn acknowledgements_that_nobody_asked_for_do_nothing_however_many() {
    let mut world = Witnessed::new();
    let mut client = SocketIo::connect(&world.server, &world.ana);
    client.join(&world.conversation);
    let acks: Vec<u8> = (0..ASKED).flat_map(|id| frame(true, TEXT, format!("43{id}[0]").as_bytes())).collect();
    client.socket.connection.send(&acks);
    let sent = client.send(&world.conversation, "after them");
    assert_eq!(client.next_event("new_message"), sent);
    drop(client);
    world.nobody_else_notices();
}
