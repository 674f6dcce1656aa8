//! Packets on a plain WebSocket: a JSON object each, with the event's name.
//!
//! `{"event": …, "data": …, "id": …}`: `data` is the event's argument, or a list of them; an event with an `id` is answered by
//! the event `ack` of that `id`. The client's `connect` and `disconnect` open and leave the session.

use std::borrow::Cow;

use actors::{AckId, EncodedEvent, Pid, SessionId};
use serde_json::value::RawValue;

use super::packet::{BrokenPacket, Packet};

#[derive(serde::Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    id: Option<AckId>,
}

/// # Errors
/// The text is no such object.
pub(super) fn parse(text: &str) -> Result<Packet<'_>, BrokenPacket> {
    const FORM: BrokenPacket = BrokenPacket("no object with an event, and perhaps data and a whole number as id");
    // Structs may be lists, too, for serde.
    if !text.trim_start().starts_with('{') {
        return Err(FORM);
    }
    let Envelope { event, data, id } = serde_json::from_str(text).map_err(|_| FORM)?;
    match &*event {
        "connect" => match data {
            Some(auth) if !auth.get().starts_with('{') => Err(BrokenPacket("connect wants an object")),
            auth => Ok(Packet::Connect { namespace: "/", auth }),
        },
        "disconnect" => Ok(Packet::Disconnect { namespace: "/" }),
        _ => Ok(Packet::Event {
            namespace: "/",
            ack: id,
            name: event.into_owned(),
            arguments: arguments(data),
            attachments: 0,
        }),
    }
}

/// A list counts as several arguments: no event has one as its only argument.
fn arguments(data: Option<&RawValue>) -> Vec<&RawValue> {
    let list = data.and_then(|data| serde_json::from_str(data.get()).ok());
    list.unwrap_or_else(|| data.into_iter().collect())
}

/// An event of the server's; `data` is JSON.
pub(super) fn named(event: &str, data: &str) -> String {
    format!(r#"{{"event":"{event}","data":{data}}}"#)
}

/// The session is open. With the private id a client can come back to it.
pub(super) fn connected(session: SessionId, pid: Option<Pid>) -> String {
    let pid = pid.map(|pid| format!(r#","pid":"{pid}""#)).unwrap_or_default();
    named("connect", &format!(r#"{{"sid":"{session}"{pid}}}"#))
}

/// There is no session.
pub(super) fn refused(message: &str, code: &str) -> String {
    named("connect_error", &format!(r#"{{"message":"{message}","code":"{code}"}}"#))
}

/// An acknowledgement; `body` is JSON.
pub(super) fn ack(id: AckId, body: &str) -> String {
    format!(r#"{{"event":"ack","id":{id},"data":{body}}}"#)
}

/// An event, with its offset if that is wanted.
pub(super) fn event(event: &EncodedEvent, with_offset: bool) -> String {
    match event.offset.filter(|_| with_offset) {
        None => named(event.name, &event.payload),
        Some(offset) => format!(r#"{{"event":"{}","data":{},"offset":"{offset}"}}"#, event.name, event.payload),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event_of(text: &str) -> Option<(String, Vec<String>, Option<AckId>)> {
        let Ok(Packet::Event { namespace: "/", ack, name, arguments, attachments: 0 }) = parse(text) else {
            return None;
        };
        Some((name, arguments.iter().map(|argument| argument.get().to_owned()).collect(), ack))
    }

    #[test]
    fn an_event_has_a_name_perhaps_arguments_and_perhaps_an_id() {
        for (text, name, arguments, id) in [
            (r#"{"event":"typing","data":"a"}"#, "typing", &[r#""a""#][..], None),
            (r#" {"id":7,"data":{"b":[1]},"event":"send_message"} "#, "send_message", &[r#"{"b":[1]}"#], Some(7)),
            (
                r#"{"event":"join","data":["a",{"since_seq":1}],"id":0}"#,
                "join",
                &[r#""a""#, r#"{"since_seq":1}"#],
                Some(0),
            ),
            (r#"{"event":"x","id":null,"data":null}"#, "x", &[], None),
            (r#"{"event":"\u0078","more":{}}"#, "x", &[], None),
            (r#"{"event":"x","data":[]}"#, "x", &[], None),
            (r#"{"event":"x","data":7}"#, "x", &["7"], None),
        ] {
            let expected = (name.to_owned(), arguments.iter().map(|one| (*one).to_owned()).collect(), id);
            assert_eq!(event_of(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn connect_and_disconnect_open_and_leave() {
        let connect = parse(r#"{"event":"connect","data":{"token":"x"},"id":1}"#);
        assert!(
            matches!(connect, Ok(Packet::Connect { namespace: "/", auth: Some(auth) }) if auth.get() == r#"{"token":"x"}"#)
        );
        assert!(matches!(parse(r#"{"event":"connect"}"#), Ok(Packet::Connect { auth: None, .. })));
        assert!(matches!(parse(r#"{"event":"disconnect"}"#), Ok(Packet::Disconnect { namespace: "/" })));
    }

    #[test]
    fn anything_else_is_broken() {
        for text in [
            "",
            "x",
            "7",
            "[]",
            r#"["typing","a",1]"#,
            "{}",
            r#"{"event":7}"#,
            r#"{"event":null}"#,
            r#"{"event":"x"}y"#,
            r#"{"event":"x","event":"y"}"#,
            r#"{"event":"x","id":"7"}"#,
            r#"{"event":"x","id":-1}"#,
            r#"{"event":"x","id":1.5}"#,
            r#"{"event":"x","id":99999999999999999999}"#,
            r#"{"event":"x","data":}"#,
            r#"{"event":"connect","data":"token"}"#,
            r#"{"event":"connect","data":["token"]}"#,
            r#"{"event":"\ud800"}"#,
            r#"42["typing","a"]"#,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn an_event_comes_back_as_it_was_written(
            id: Option<AckId>,
            name in any::<String>().prop_filter("means something else", |name| !name.ends_with("connect")),
            argument in any::<String>(),
        ) {
            let text = serde_json::json!({ "event": name, "data": argument, "id": id }).to_string();
            let expected = (name, vec![serde_json::json!(argument).to_string()], id);
            prop_assert_eq!(event_of(&text), Some(expected));
        }
    }
}
