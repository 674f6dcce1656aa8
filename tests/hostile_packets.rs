//! Packets that no honest client sends, over WebSocket and polling: numbers at their limits, JSON without end, attachments
//! that do not come. Each is refused or ends its own connection, and nothing else.

mod support;

use support::polling::packets;
use support::socket_io::WEBSOCKET;
use support::websocket::{BINARY, WebSocket, frame, text};
use support::{Connection, Polling, SocketIo, witnessed::Witnessed};

/// Deeper than any stack.
const DEEP: usize = 100_000;
/// An event that is refused; what follows `42`.
const UNKNOWN: &str = r#"["x"]"#;

/// What becomes of the connection.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Outcome {
    /// It is closed, without an answer.
    Closed,
    /// It goes on, without an answer.
    Ignored,
    /// It goes on; acknowledged with this number and message.
    Refused(&'static str, &'static str),
    /// It goes on; acknowledged with success, number 1.
    Done,
}
use Outcome::{Closed, Done, Ignored, Refused};

/// What an Engine.IO client sends.
#[derive(Clone, Debug)]
enum Sent {
    Text(String),
    Binary(&'static [u8]),
}

struct Row {
    what: &'static str,
    sent: Vec<Sent>,
    outcome: Outcome,
}

fn row(what: &'static str, packet: impl Into<String>, outcome: Outcome) -> Row {
    Row { what, sent: vec![Sent::Text(packet.into())], outcome }
}

fn with_bytes(what: &'static str, packet: &str, attachments: usize, outcome: Outcome) -> Row {
    let text = (!packet.is_empty()).then(|| Sent::Text(packet.to_owned()));
    let sent = text.into_iter().chain((0..attachments).map(|_| Sent::Binary(b"bytes"))).collect();
    Row { what, sent, outcome }
}

fn arrays() -> String {
    format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP))
}

fn objects() -> String {
    format!("{}1{}", r#"{"a":"#.repeat(DEEP), "}".repeat(DEEP))
}

/// Acknowledgement numbers at the limits, and acknowledgements of what was never asked.
fn acknowledgements() -> Vec<Row> {
    const UNKNOWN_EVENT: &str = "Unknown event";
    let digits = "9".repeat(400);
    vec![
        row("number 0", format!("420{UNKNOWN}"), Refused("0", UNKNOWN_EVENT)),
        row("number 2^53", format!("429007199254740992{UNKNOWN}"), Refused("9007199254740992", UNKNOWN_EVENT)),
        row(
            "number 2^64 - 1",
            format!("4218446744073709551615{UNKNOWN}"),
            Refused("18446744073709551615", UNKNOWN_EVENT),
        ),
        row("number 2^64", format!("4218446744073709551616{UNKNOWN}"), Closed),
        row("a number of 400 digits", format!("42{digits}{UNKNOWN}"), Closed),
        row("a negative number", format!("42-1{UNKNOWN}"), Closed),
        row("an answer nobody asked for", "430[]", Ignored),
        row("a late answer with much in it", format!("4318446744073709551615[{}]", arrays()), Ignored),
        row("an answer without a number", "43[]", Closed),
        row("an answer with a number of 400 digits", format!("43{digits}[]"), Closed),
        row("an answer that is no array", "431{}", Closed),
        with_bytes("an answer with bytes", r#"461-7[{"_placeholder":true,"num":0}]"#, 1, Ignored),
        with_bytes("an answer with more bytes than announced", r#"461-7[{"_placeholder":true,"num":0}]"#, 2, Closed),
    ]
}

/// JSON that no person writes.
fn json_texts(conversation: &str) -> Vec<Row> {
    const NOT_FOUND: &str = "Conversation not found";
    const NO_TEXT: &str = "text must be a string";
    let send = |rest: &str| format!(r#"421["send_message",{{"conversation_id":"{conversation}",{rest}}}]"#);
    let join = |argument: &str| format!(r#"421["join_conversation",{argument}]"#);
    let since = |seq: &str| join(&format!(r#""{conversation}",{{"since_seq":{seq}}}"#));
    let no_seq = "since_seq must be a whole number, 0 or more";
    vec![
        row("an id of arrays", join(&arrays()), Refused("1", NOT_FOUND)),
        row("an id of objects", join(&objects()), Refused("1", NOT_FOUND)),
        row("an object of arrays", format!(r#"421["send_message",{{"a":{}}}]"#, arrays()), Refused("1", NOT_FOUND)),
        row("a text of arrays", send(&format!(r#""text":{}"#, arrays())), Refused("1", NO_TEXT)),
        row("a text of objects", send(&format!(r#""text":{}"#, objects())), Refused("1", NO_TEXT)),
        row("a sequence number of arrays", since(&arrays()), Refused("1", no_seq)),
        row("depth where nobody looks", send(&format!(r#""text":"deep","more":{}"#, objects())), Done),
        row("arrays that do not end", format!("421[\"x\",{}", "[".repeat(DEEP)), Closed),
        row("objects that do not end", format!("421[\"x\",{}", r#"{"a":"#.repeat(DEEP)), Closed),
        row("a number beyond all numbers", since("1e999999999"), Refused("1", no_seq)),
        row("a number of 100,000 digits", since(&"9".repeat(DEEP)), Refused("1", no_seq)),
        row("a number beyond 64 bits", since("9223372036854775808"), Refused("1", no_seq)),
        row("the smallest number", since("-9223372036854775808"), Refused("1", no_seq)),
        row(
            "a field that comes twice",
            send(r#""text":"a","text":"b""#),
            Refused("1", "the argument names a field twice"),
        ),
        row("an option that comes twice", join(&format!(r#""{conversation}",{{"since_seq":0,"since_seq":1}}"#)), Done),
        row("half a surrogate pair as text", send(r#""text":"\ud800""#), Refused("1", NO_TEXT)),
        row("half a surrogate pair as id", join(r#""\udfff""#), Refused("1", NOT_FOUND)),
        row("half a surrogate pair as name", r#"421["\ud800"]"#, Closed),
        row(
            "U+0000 in the text",
            send(r#""text":"a\u0000b""#),
            Refused("1", "text must not contain the character U+0000"),
        ),
        row("U+0000 in the id", join(r#""\u0000""#), Refused("1", NOT_FOUND)),
        row("U+0000 in the name", r#"421["send_message\u0000"]"#, Refused("1", "Unknown event")),
        row("a bare U+0000", "421[\"x\0\"]", Closed),
        row("a name of 900,000 letters", format!("421[\"{}\"]", "x".repeat(900_000)), Refused("1", "Unknown event")),
        row("a name of 900,000 digits", format!("421[{}]", "1".repeat(900_000)), Refused("1", "Unknown event")),
        row("100,000 arguments", format!("421[\"x\"{}]", ",0".repeat(DEEP)), Refused("1", "Unknown event")),
    ]
}

/// Bytes that are announced and do not come, and others.
fn attachments() -> Vec<Row> {
    const NO_BYTES: &str = "Binary data is not supported";
    let event = |count: &str| format!(r#"45{count}-1["x",{{"_placeholder":true,"num":0}}]"#);
    vec![
        with_bytes("an event with bytes", &event("1"), 1, Refused("1", NO_BYTES)),
        with_bytes("as many as there may be", &event("3"), 3, Refused("1", NO_BYTES)),
        row("no number of attachments", r#"45["x"]"#, Closed),
        row("an empty number", event(""), Closed),
        row("more than there may be", event("65536"), Closed),
        row("999999999 attachments", event("999999999"), Closed),
        row("a number of 400 digits", event(&"9".repeat(400)), Closed),
        with_bytes("bytes without an event", "", 1, Closed),
        with_bytes("bytes behind an event that has none", "42[\"x\"]", 1, Closed),
        row("no attachments at all", event("0"), Refused("1", "Unknown event")),
    ]
}

/// Where the refusal of an event with bytes comes before the connection ends.
fn broken_attachments() -> Vec<Row> {
    let event = |count: &str| format!(r#"45{count}-1["x",{{"_placeholder":true,"num":0}}]"#);
    let text_instead = |what, count: &str, attachments: usize| {
        let mut row = with_bytes(what, &event(count), attachments, Closed);
        row.sent.push(Sent::Text(format!("422{UNKNOWN}")));
        row
    };
    vec![
        text_instead("attachments that do not come", "1", 0),
        text_instead("one attachment too few", "2", 1),
        text_instead("65535 attachments that do not come", "65535", 0),
        with_bytes("one attachment too many", &event("1"), 2, Closed),
    ]
}

/// What the server says to a row.
struct Answers {
    packets: Vec<String>,
    /// What has to come yet.
    awaited: Vec<&'static str>,
}

impl Answers {
    fn to(row: &Row) -> Self {
        let awaited = if row.outcome == Done { vec!["4377[", "431["] } else { vec!["4377["] };
        Self { packets: Vec::new(), awaited }
    }

    fn add(&mut self, packet: String) {
        self.awaited.retain(|awaited| !packet.starts_with(awaited));
        if !packet.starts_with("4377[") {
            self.packets.push(packet);
        }
    }

    fn are_all(&self) -> bool {
        self.awaited.is_empty()
    }
}

impl Witnessed {
    /// The answers of the server up to its end, or to the one with the number 77, which is asked for last; and whether it is
    /// the end. The answer to a message that is stored may come later.
    fn over_websocket(&self, row: &Row) -> (Vec<String>, bool) {
        let mut client = SocketIo::connect(&self.server, &self.ana);
        for sent in &row.sent {
            client.socket.connection.try_send(&match sent {
                Sent::Text(packet) => text(packet),
                Sent::Binary(bytes) => frame(true, BINARY, bytes),
            });
        }
        client.socket.try_send_text(&format!("4277{UNKNOWN}"));
        let mut answers = Answers::to(row);
        while let Some(packet) = client.socket.try_next_text() {
            answers.add(packet);
            if answers.are_all() {
                return (answers.packets, false);
            }
        }
        (answers.packets, true)
    }

    fn over_polling(&self, row: &Row) -> (Vec<String>, bool) {
        let mut connection = Connection::open(self.server.address());
        let polling = Polling::connect(&mut connection, &self.ana);
        let packet = |sent: &Sent| match sent {
            Sent::Text(packet) => packet.clone(),
            // "bytes" in base64.
            Sent::Binary(_) => "bYnl0ZXM=".to_owned(),
        };
        let body: Vec<_> = row.sent.iter().map(packet).collect();
        if polling.try_post(&mut connection, &body.join("\u{1e}")).status != 200 {
            return (Vec::new(), true);
        }
        if polling.try_post(&mut connection, &format!("4277{UNKNOWN}")).status != 200 {
            return (Vec::new(), true);
        }
        let mut answers = Answers::to(row);
        while !answers.are_all() {
            let answer = connection.request("GET", &polling.path(), &[], b"");
            if answer.status != 200 {
                return (answers.packets, true);
            }
            packets(&answer).into_iter().for_each(|packet| answers.add(packet));
        }
        polling.post(&mut connection, "1");
        (answers.packets, false)
    }

    fn check(&mut self, rows: &[Row]) {
        for row in rows {
            for over_websocket in [true, false] {
                eprintln!("{}, over {}", row.what, if over_websocket { "WebSocket" } else { "polling" });
                let (answers, is_closed) =
                    if over_websocket { self.over_websocket(row) } else { self.over_polling(row) };
                let acks: Vec<_> = answers.iter().filter(|packet| packet.starts_with("43")).collect();
                match row.outcome {
                    Closed => assert!(is_closed, "{answers:?}"),
                    Ignored => assert!(!is_closed && acks.is_empty(), "{answers:?}"),
                    Refused(number, message) => {
                        let begins = format!(r#"43{number}[{{"success":false,"message":"{message}""#);
                        assert!(!is_closed && acks.len() == 1 && acks[0].starts_with(&begins), "{answers:?}");
                    }
                    Done => assert!(
                        !is_closed && acks.len() == 1 && acks[0].starts_with(r#"431[{"success":true"#),
                        "{answers:?}"
                    ),
                }
                self.nobody_else_notices();
            }
        }
    }
}

#[test]
fn acknowledgements_at_the_limits_are_answered_or_end_their_connection() {
    Witnessed::new().check(&acknowledgements());
}

#[test]
fn json_without_end_is_refused_or_ends_its_connection() {
    let mut world = Witnessed::new();
    let rows = json_texts(&world.conversation);
    world.check(&rows);
}

#[test]
fn attachments_are_refused_and_those_that_were_not_announced_end_their_connection() {
    let mut world = Witnessed::new();
    world.check(&attachments());
    world.check(&broken_attachments());
}

#[test]
fn a_connect_with_json_without_end_is_refused_and_may_be_tried_again() {
    let mut world = Witnessed::new();
    let token = &world.ana.token;
    for (what, auth, message) in [
        ("a token of arrays", format!(r#"{{"token":{}}}"#, arrays()), "no token"),
        ("a token of objects", format!(r#"{{"token":{}}}"#, objects()), "no token"),
        ("a token that comes twice", format!(r#"{{"token":"{token}","token":"{token}"}}"#), "no token"),
        ("half a surrogate pair", r#"{"token":"\ud800"}"#.to_owned(), "no token"),
        ("U+0000", r#"{"token":"\u0000"}"#.to_owned(), "invalid token"),
        ("a number", r#"{"token":1e999}"#.to_owned(), "no token"),
        ("a token of 900,000 letters", format!(r#"{{"token":"{}"}}"#, "x".repeat(900_000)), "invalid token"),
        ("a token of 900,000 points", format!(r#"{{"token":"{}"}}"#, ".".repeat(900_000)), "invalid token"),
    ] {
        eprintln!("{what}");
        let mut socket = WebSocket::upgrade(Connection::open(world.server.address()), WEBSOCKET);
        assert!(socket.next_text().starts_with("0{"));
        socket.send_text(&format!("40{auth}"));
        let begins = format!(r#"44{{"message":"Authentication error: {message}""#);
        let answer = socket.next_text();
        assert!(answer.starts_with(&begins), "{answer}");
        socket.send_text(&format!(r#"40{{"token":"{token}","more":{}}}"#, objects()));
        let answer = socket.next_text();
        assert!(answer.starts_with("40{"), "{answer}");
        drop(socket);
    }
    world.nobody_else_notices();
}
