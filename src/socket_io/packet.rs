//! Socket.IO packets as text (protocol version 5, <https://socket.io/docs/v4/socket-io-protocol/>).
//!
//! `<type>[<attachments>-][<namespace>,][<ack id>][<JSON payload>]`

use std::fmt::Write as _;

use actors::{AckId, EncodedEvent, Pid, SessionId};
use serde_json::value::RawValue;
use thiserror::Error;

/// A packet from a client, borrowed from its text.
#[derive(Debug)]
pub enum Packet<'a> {
    /// `0`: opens a namespace.
    Connect {
        /// Which.
        namespace: &'a str,
        /// What the client put into `auth`: a JSON object.
        auth: Option<&'a RawValue>,
    },
    /// `1`: leaves a namespace.
    Disconnect {
        /// Which.
        namespace: &'a str,
    },
    /// `2`: an event; `5` if it has attachments.
    Event {
        /// Where.
        namespace: &'a str,
        /// The number for its acknowledgement, if one is wanted.
        ack: Option<AckId>,
        /// The event's name. A number is a name too, as text.
        name: String,
        /// What follows the name.
        arguments: Vec<&'a RawValue>,
        /// How many binary packets follow.
        attachments: u16,
    },
    /// `3`: acknowledges an event of ours; `6` if it has attachments.
    Ack {
        /// Where.
        namespace: &'a str,
        /// How many binary packets follow.
        attachments: u16,
    },
}

/// What is not a packet that a client may send.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("not a packet: {0}")]
pub struct BrokenPacket(pub(super) &'static str);

impl<'a> Packet<'a> {
    /// # Errors
    /// The text is not a packet, or one that only servers send.
    pub fn parse(text: &'a str) -> Result<Self, BrokenPacket> {
        let kind = *text.as_bytes().first().ok_or(BrokenPacket("empty"))?;
        if !kind.is_ascii_digit() {
            return Err(BrokenPacket("no type"));
        }
        let mut rest = &text[1..];
        let attachments = if matches!(kind, b'5' | b'6') { attachments(&mut rest)? } else { 0 };
        let namespace = namespace(&mut rest);
        match kind {
            b'0' => Ok(Self::Connect { namespace, auth: object(rest)? }),
            b'1' if rest.is_empty() => Ok(Self::Disconnect { namespace }),
            b'2' | b'5' => {
                let ack = ack_id(&mut rest)?;
                let (name, arguments) = parse_event(rest)?;
                Ok(Self::Event { namespace, ack, name, arguments, attachments })
            }
            b'3' | b'6' => {
                ack_id(&mut rest)?.ok_or(BrokenPacket("an acknowledgement without a number"))?;
                array(rest)?;
                Ok(Self::Ack { namespace, attachments })
            }
            _ => Err(BrokenPacket("a type that clients do not send")),
        }
    }
}

/// The digits up to a `-`.
fn attachments(rest: &mut &str) -> Result<u16, BrokenPacket> {
    let (digits, after) = rest.split_once('-').ok_or(BrokenPacket("no number of attachments"))?;
    *rest = after;
    digits.parse().map_err(|_| BrokenPacket("no number of attachments"))
}

/// From a `/` to the comma, or the end; `/` where there is none.
fn namespace<'a>(rest: &mut &'a str) -> &'a str {
    if !rest.starts_with('/') {
        return "/";
    }
    let (namespace, after) = rest.split_once(',').unwrap_or((rest, ""));
    *rest = after;
    namespace
}

/// The digits before the payload.
fn ack_id(rest: &mut &str) -> Result<Option<AckId>, BrokenPacket> {
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (number, after) = rest.split_at(digits);
    *rest = after;
    match number {
        "" => Ok(None),
        number => number.parse().map(Some).map_err(|_| BrokenPacket("a number that is too large")),
    }
}

fn object(payload: &str) -> Result<Option<&RawValue>, BrokenPacket> {
    if payload.is_empty() {
        return Ok(None);
    }
    let value: &RawValue = serde_json::from_str(payload).map_err(|_| BrokenPacket("the payload is not JSON"))?;
    if value.get().starts_with('{') { Ok(Some(value)) } else { Err(BrokenPacket("the payload is no object")) }
}

fn array(payload: &str) -> Result<Vec<&RawValue>, BrokenPacket> {
    serde_json::from_str(payload).map_err(|_| BrokenPacket("the payload is no array"))
}

/// An event's name and its arguments.
fn parse_event(payload: &str) -> Result<(String, Vec<&RawValue>), BrokenPacket> {
    let mut arguments = array(payload)?;
    if arguments.is_empty() {
        return Err(BrokenPacket("an event without a name"));
    }
    let name = arguments.remove(0).get();
    let name = match name.as_bytes()[0] {
        b'"' => serde_json::from_str(name).map_err(|_| BrokenPacket("an event's name is not Unicode"))?,
        b'0'..=b'9' | b'-' => name.to_owned(),
        _ => return Err(BrokenPacket("an event's name is neither string nor number")),
    };
    Ok((name, arguments))
}

/// `0`: the namespace `/` is open. With the private id a client can come back to its session.
pub(super) fn connected(session: SessionId, pid: Option<Pid>) -> String {
    match pid {
        None => format!(r#"0{{"sid":"{session}"}}"#),
        Some(pid) => format!(r#"0{{"sid":"{session}","pid":"{pid}"}}"#),
    }
}

/// `4`: a namespace is refused. Clients show `message`; `code` is for their programs.
pub(super) fn refused(namespace: &str, message: &str, code: &str) -> String {
    let mut packet = String::from("4");
    if namespace != "/" {
        let _ = write!(packet, "{namespace},");
    }
    let _ = write!(packet, r#"{{"message":"{message}","data":{{"code":"{code}"}}}}"#);
    packet
}

/// `2`: an event with its argument, and with its offset as the last one if that is wanted; `join` gets it in pieces.
pub(super) fn event<T>(event: &EncodedEvent, with_offset: bool, join: impl FnOnce(&[&str]) -> T) -> T {
    let (name, payload) = (event.name, &event.payload);
    match event.offset.filter(|_| with_offset) {
        None => join(&[r#"2[""#, name, r#"","#, payload, "]"]),
        Some(offset) => join(&[r#"2[""#, name, r#"","#, payload, r#",""#, &offset.to_string(), r#""]"#]),
    }
}

/// `2`: another event; `data` is JSON.
pub(super) fn named(event: &str, data: &str) -> String {
    format!(r#"2["{event}",{data}]"#)
}

/// `3`: an acknowledgement; `body` is JSON.
pub(super) fn ack(id: AckId, body: &str) -> String {
    format!("3{id}[{body}]")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn broken(text: &str) -> bool {
        Packet::parse(text).is_err()
    }

    #[test]
    fn a_connect_packet_has_a_namespace_and_perhaps_auth() {
        assert!(matches!(Packet::parse("0"), Ok(Packet::Connect { namespace: "/", auth: None })));
        assert!(matches!(Packet::parse("0/admin,"), Ok(Packet::Connect { namespace: "/admin", auth: None })));
        let Ok(Packet::Connect { namespace: "/", auth: Some(auth) }) = Packet::parse(r#"0{"token":"x"}"#) else {
            panic!("a connect packet");
        };
        assert_eq!(auth.get(), r#"{"token":"x"}"#);
    }

    #[test]
    fn an_event_has_a_name_arguments_and_perhaps_an_acknowledgement() {
        let Ok(Packet::Event { namespace, ack, name, arguments, attachments }) =
            Packet::parse(r#"2/x,17["typing", "a", {"b":[1]} ]"#)
        else {
            panic!("an event");
        };
        assert_eq!((namespace, ack, &*name, attachments), ("/x", Some(17), "typing", 0));
        assert_eq!(arguments.iter().map(|raw| raw.get()).collect::<Vec<_>>(), [r#""a""#, r#"{"b":[1]}"#]);
        assert!(matches!(
            Packet::parse(r#"52-["x",{"_placeholder":true,"num":0}]"#),
            Ok(Packet::Event { attachments: 2, ack: None, .. })
        ));
        assert!(matches!(Packet::parse("2[12]"), Ok(Packet::Event { name, .. }) if name == "12"));
    }

    #[test]
    fn what_a_client_may_not_send_is_broken() {
        for text in [
            "",
            "x",
            "7",
            "4{}",
            "2",
            "2[]",
            "2{}",
            r#"2"x""#,
            "2[null]",
            "2[[]]",
            r#"2["x""#,
            r#"2["x"]y"#,
            "0[]",
            "0\"x\"",
            "0{",
            "1{}",
            "3[]",
            "31",
            "31{}",
            r#"5["x"]"#,
            r#"5-["x"]"#,
            r#"599999-["x"]"#,
            "6-1[]",
            r#"299999999999999999999999["x"]"#,
            "é",
            r#"2["\ud800"]"#,
        ] {
            assert!(broken(text), "{text}");
        }
    }

    #[test]
    fn depth_does_not_matter() {
        let deep = format!(r#"2["x",{}{}]"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(!broken(&deep));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = Packet::parse(&text);
        }

        #[test]
        fn nothing_like_a_packet_makes_the_parser_panic(text in r#"[0-9]{0,4}-?(/[a-z]{0,3},?)?[0-9]{0,30}[\[\]{}",:a-z0-9\\u]{0,40}"#) {
            let _ = Packet::parse(&text);
        }

        #[test]
        fn an_event_comes_back_as_it_was_written(
            ack: Option<AckId>,
            name in any::<String>(),
            arguments in prop::collection::vec(any::<String>(), 0..4),
            attachments: u16,
            namespace in "/[a-z]{0,8}",
        ) {
            let values: Vec<_> = std::iter::once(&name).chain(&arguments).collect();
            let (kind, count) = if attachments > 0 { ("5", format!("{attachments}-")) } else { ("2", String::new()) };
            let number = ack.map_or_else(String::new, |ack| ack.to_string());
            let text = format!("{kind}{count}{namespace},{number}{}", serde_json::json!(values));
            let parsed = Packet::parse(&text);
            let Ok(Packet::Event { namespace: n, ack: a, name: e, arguments: v, attachments: c }) = parsed else {
                return Err(TestCaseError::fail(format!("not an event: {text}")));
            };
            prop_assert_eq!((n, a, e, c), (&*namespace, ack, name, attachments));
            let texts: Result<Vec<String>, _> = v.iter().map(|raw| serde_json::from_str(raw.get())).collect();
            prop_assert_eq!(texts.ok(), Some(arguments));
        }
    }
}
