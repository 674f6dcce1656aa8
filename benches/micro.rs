//! What parser, encoder and batches cost a message, without sockets and Postgres. How to read it: `load/README.md`.

use std::{hint::black_box, sync::Arc, time::Duration};

use actors::{
    AckId, Chat, ChatConfig, CloseReason, ConversationId, EncodedEvent, Message, MessageId, MessageText, Outbox, Pid,
    Profile, Queued, Refusal, Request, SessionId, Timestamp, UserId, bench, limits::TEXT_CODE_POINTS,
};
use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, Throughput};
use horsetrust_chat::socket_io::{
    BrokenPacket, MAX_PAYLOAD, Packet,
    bench::{ack_frame, event_frame, request},
};

/// 100 characters, as most messages are.
const SHORT: &str =
    "Is she still for sale? I could come and see her on Saturday afternoon, with a trailer, if it's okay.";
const _: () = assert!(SHORT.len() == 100);
/// What JSON escapes, and what takes two, three and four bytes.
const MIXED: &str = "\"Où est «Éclair»?\"\n\tC:\\stall\\7 – 12 000 €, 馬 🐎 …!\u{1}";
const ACK: AckId = 4711;
const ID: &str = "507f1f77bcf86cd799439011";

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    parser(&mut criterion);
    encoder(&mut criterion);
    batches(&mut criterion);
    criterion.final_summary();
}

/// As long as a text may be.
fn long_text() -> String {
    MIXED.chars().cycle().take(TEXT_CODE_POINTS).collect()
}

/// A `send_message` with an acknowledgement; `text` is JSON.
fn send_message(text: &str) -> String {
    format!(r#"2{ACK}["send_message",{{"conversation_id":"{ID}","text":{text}}}]"#)
}

/// A packet's text to the request that the session gets, or to what the client is told.
fn parse(text: &str) -> Result<Result<Request, Refusal>, BrokenPacket> {
    Ok(match Packet::parse(text)? {
        Packet::Event { name, arguments, attachments: 0, .. } => request(&name, &arguments),
        _ => Err(Refusal::invalid("Binary data is not supported")),
    })
}

fn outcome(text: &str) -> &'static str {
    match parse(text) {
        Ok(Ok(_)) => "accepted",
        Ok(Err(_)) => "refused",
        Err(_) => "broken",
    }
}

fn parser(criterion: &mut Criterion) {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let cases = [
        ("accepted", "send_message, 100 characters", send_message(&serde_json::json!(SHORT).to_string())),
        (
            "accepted",
            "send_message, 2000 characters to escape",
            send_message(&serde_json::json!(long_text()).to_string()),
        ),
        ("accepted", "typing", format!(r#"2["typing","{ID}"]"#)),
        ("refused", "attachment", format!(r#"51-{ACK}["send_message",{{"_placeholder":true,"num":0}}]"#)),
        ("refused", "100,000 deep", send_message(&deep)),
        ("broken", "99,999 attachments", r#"599999-["x"]"#.to_owned()),
        ("broken", "the largest, unfinished", format!(r#"2["x",{}"#, "[".repeat(MAX_PAYLOAD - 6))),
    ];
    let mut group = criterion.benchmark_group("parser");
    for (expected, name, text) in cases {
        // Else it would be something else that is measured.
        assert_eq!(outcome(&text), expected, "{name}");
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(BenchmarkId::new(expected, name), |bencher| bencher.iter(|| parse(black_box(&text))));
    }
}

/// Frames what it gets, and forgets it.
struct Framing;

impl Outbox for Framing {
    fn opened(&self, _: SessionId, _: Option<Pid>) {}

    fn event(&self, event: &Arc<EncodedEvent>) -> Queued {
        black_box(event_frame(event));
        Queued::Yes
    }

    fn ack(&self, id: AckId, body: &str) {
        black_box(ack_frame(id, body));
    }

    fn close(&self, _: CloseReason) {}
}

fn encoder(criterion: &mut Criterion) {
    let sender = Profile {
        id: UserId::new(),
        full_name: "María-José Müller".to_owned(),
        profile_picture_url: Some("https://images.example.org/users/507f1f77bcf86cd799439011.jpg".to_owned()),
    };
    let mut group = criterion.benchmark_group("encoder");
    group.throughput(Throughput::Elements(1));
    for (name, text) in [("100 characters", SHORT.to_owned()), ("2000 characters to escape", long_text())] {
        let text = MessageText::parse(text).expect("no longer than a text may be");
        let message = Message {
            id: MessageId::new(),
            conversation_id: ConversationId::new(),
            sender_id: &sender,
            text: text.as_str(),
            is_read: false,
            read_at: None,
            sent_at: Timestamp::now(),
            seq: 123_456,
        };
        let json = bench::encode(&message);
        let new_message = bench::new_message(message.id, json.clone());
        group.bench_function(BenchmarkId::new("new_message", name), |bencher| {
            bencher.iter(|| event_frame(&bench::new_message(message.id, bench::encode(black_box(&message)))));
        });
        group.bench_function(BenchmarkId::new("one more recipient", name), |bencher| {
            bencher.iter(|| event_frame(black_box(&new_message)));
        });
        group.bench_function(BenchmarkId::new("ack", name), |bencher| {
            bencher.iter(|| bench::acknowledge(&Framing, ACK, black_box(&json)));
        });
        group.bench_function(BenchmarkId::new("message_notification", name), |bencher| {
            bencher.iter(|| event_frame(&bench::message_notification(black_box(&message), &text)));
        });
        group.bench_function(BenchmarkId::new("all of a message", name), |bencher| {
            bencher.iter(|| {
                let json = bench::encode(black_box(&message));
                bench::acknowledge(&Framing, ACK, &json);
                let notification = bench::message_notification(&message, &text);
                let event = bench::new_message(message.id, json);
                // Both participants are in the room, with one session each.
                for event in [&event, &event, &notification] {
                    Framing.event(event);
                }
            });
        });
    }
    let (typist, conversation) = (UserId::new(), ConversationId::new());
    group.bench_function("user_typing", |bencher| {
        bencher.iter(|| event_frame(&bench::user_typing(black_box(typist), conversation)));
    });
}

fn batches(criterion: &mut Criterion) {
    // Only the rooms' addresses need it: nothing runs on it once the batches are made.
    let system = actix::System::new();
    let text = MessageText::parse(SHORT).expect("no longer than a text may be");
    let batches = system.block_on(async {
        let mut database = tokio_postgres::Config::new();
        database.host_path("/nowhere").user("nobody");
        let chat = Chat::start(&ChatConfig {
            database,
            workers: 1,
            room_idle: Duration::from_secs(60),
            recovery: Duration::ZERO,
        });
        chat.enter_worker();
        [1, 16, 64].map(|rows| (rows, bench::Batch::of(&chat, rows, &text)))
    });
    let mut group = criterion.benchmark_group("batch");
    for (rows, batch) in &batches {
        group.throughput(Throughput::Elements(*rows as u64));
        group.bench_function(BenchmarkId::new("columns", rows), |bencher| bencher.iter(|| batch.columns()));
        let mut buffer = BytesMut::new();
        group.bench_function(BenchmarkId::new("columns, bound", rows), |bencher| {
            bencher.iter(|| {
                // The driver keeps its buffer, too.
                buffer.clear();
                black_box(batch).columns().bind(&mut buffer);
            });
        });
    }
}
