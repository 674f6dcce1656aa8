//! What the tool says and hears: Socket.IO packets (protocol 5) on Engine.IO (protocol 4), read no further than needed.

use std::{borrow::Cow, time::Duration};

use serde::Deserialize;
use serde_json::value::RawValue;

/// A packet from the server.
#[derive(Debug)]
pub(crate) enum Packet<'a> {
    /// Engine.IO's first packet.
    Open(Handshake<'a>),
    /// Engine.IO asks whether the client is there.
    Ping,
    /// The server closes the session.
    Close,
    /// The probe of an upgrade is answered.
    Probe,
    /// Nothing: ends a poll.
    Noop,
    /// The namespace is open.
    Connected,
    /// The namespace is refused, or left.
    Refused(&'a str),
    /// An answer.
    Ack(u64, Ack<'a>),
    /// An event.
    Event(Event<'a>),
}

/// What the server says by itself.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    NewMessage(Message<'a>),
    Notification(Notification<'a>),
    /// Somebody types, or stopped to.
    Typing(Typist<'a>),
    Other,
}

/// What the server says of a session when it opens.
#[derive(Debug, Deserialize)]
pub(crate) struct Handshake<'a> {
    #[serde(borrow)]
    pub(crate) sid: Cow<'a, str>,
    /// Milliseconds from one ping to the next.
    #[serde(rename = "pingInterval", default)]
    ping_interval: u64,
    /// Milliseconds that an answer to it may take.
    #[serde(rename = "pingTimeout", default)]
    ping_timeout: u64,
}

impl Handshake<'_> {
    /// A client that has heard of no ping for so long gives its connection up.
    pub(crate) fn ping_limit(&self) -> Duration {
        Duration::from_millis(self.ping_interval.saturating_add(self.ping_timeout))
    }
}

/// The answer to an event of ours.
#[derive(Debug, Deserialize)]
pub(crate) struct Ack<'a> {
    pub(crate) success: bool,
    #[serde(borrow)]
    pub(crate) data: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) code: Option<Cow<'a, str>>,
}

/// A message, as an acknowledgement and an event show it.
#[derive(Debug, Deserialize)]
pub(crate) struct Message<'a> {
    #[serde(rename = "_id", borrow)]
    pub(crate) id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) conversation_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) sender_id: Sender<'a>,
    #[serde(borrow)]
    pub(crate) text: Cow<'a, str>,
    pub(crate) seq: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Sender<'a> {
    #[serde(rename = "_id", borrow)]
    pub(crate) id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) full_name: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Notification<'a> {
    #[serde(borrow)]
    pub(crate) conversation_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) sender: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) preview: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Typist<'a> {
    #[serde(rename = "userId", borrow)]
    pub(crate) user_id: Cow<'a, str>,
    /// Not every server says it.
    #[serde(borrow)]
    pub(crate) conversation_id: Option<Cow<'a, str>>,
}

/// What cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the server sent what is no packet of the contract: {0}")]
pub(crate) struct Broken(String);

impl<'a> Packet<'a> {
    /// # Errors
    /// The text is not a packet that a server of the contract sends.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Broken> {
        let broken = || Broken(text.chars().take(200).collect());
        match text.as_bytes() {
            b"2" => Ok(Self::Ping),
            b"1" => Ok(Self::Close),
            b"3probe" => Ok(Self::Probe),
            b"6" => Ok(Self::Noop),
            [b'0', ..] => serde_json::from_str(&text[1..]).map(Self::Open).map_err(|_| broken()),
            [b'4', b'0', ..] => Ok(Self::Connected),
            [b'4', b'1' | b'4', ..] => Ok(Self::Refused(&text[2..])),
            [b'4', b'2', ..] => Ok(Self::Event(Event::parse(&text[2..]).ok_or_else(broken)?)),
            [b'4', b'3', ..] => {
                let digits = text[2..].bytes().take_while(u8::is_ascii_digit).count();
                let id = text[2..2 + digits].parse().map_err(|_| broken())?;
                let (ack,): (Ack<'_>,) = serde_json::from_str(&text[2 + digits..]).map_err(|_| broken())?;
                Ok(Self::Ack(id, ack))
            }
            _ => Err(broken()),
        }
    }
}

impl<'a> Event<'a> {
    fn parse(array: &'a str) -> Option<Self> {
        let (name, rest) = array.strip_prefix("[\"")?.split_once('"')?;
        let argument = || rest.strip_prefix(',').and_then(|rest| rest.strip_suffix(']'));
        match name {
            "new_message" => serde_json::from_str(argument()?).ok().map(Self::NewMessage),
            "message_notification" => serde_json::from_str(argument()?).ok().map(Self::Notification),
            "user_typing" | "user_stop_typing" => serde_json::from_str(argument()?).ok().map(Self::Typing),
            _ => Some(Self::Other),
        }
    }
}

/// Opens the namespace.
pub(crate) fn connect(token: &str) -> String {
    format!(r#"40{{"token":"{token}"}}"#)
}

/// `join_conversation`, `typing` and the like, whose one argument is a conversation's id.
pub(crate) fn conversation_event(name: &str, conversation: &str, ack: Option<u64>) -> String {
    let ack = ack.map_or_else(String::new, |ack| ack.to_string());
    format!(r#"42{ack}["{name}","{conversation}"]"#)
}

/// `send_message`; the text must need no escapes.
pub(crate) fn send_message(conversation: &str, text: &str, ack: u64) -> String {
    format!(r#"42{ack}["send_message",{{"conversation_id":"{conversation}","text":"{text}"}}]"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_the_contract_are_read() {
        assert!(matches!(Packet::parse(r#"0{"sid":"x","upgrades":[]}"#), Ok(Packet::Open(open)) if open.sid == "x"));
        let open = Packet::parse(r#"0{"sid":"x","pingInterval":25000,"pingTimeout":20000}"#);
        assert!(matches!(open, Ok(Packet::Open(open)) if open.ping_limit() == Duration::from_secs(45)));
        let typing = r#"42["user_typing",{"userId":"u","conversation_id":"c"}]"#;
        assert!(matches!(Packet::parse(typing), Ok(Packet::Event(Event::Typing(typist))) if typist.user_id == "u"));
        let typing = r#"42["user_typing",{"userId":"u"}]"#;
        assert!(matches!(Packet::parse(typing), Ok(Packet::Event(Event::Typing(typist))) if typist.user_id == "u"));
        assert!(matches!(Packet::parse(r#"40{"sid":"y"}"#), Ok(Packet::Connected)));
        assert!(matches!(Packet::parse(r#"44{"message":"no"}"#), Ok(Packet::Refused(_))));
        let message = r#"{"_id":"m","conversation_id":"c","sender_id":{"_id":"u","full_name":"\u00e9"},"text":"a\"b","seq":7,"is_read":false}"#;
        let event = format!(r#"42["new_message",{message}]"#);
        let Ok(Packet::Event(Event::NewMessage(read))) = Packet::parse(&event) else { panic!("an event") };
        assert_eq!((&*read.id, &*read.sender_id.id, &*read.text, read.seq), ("m", "u", "a\"b", Some(7)));
        let ack = format!(r#"4312[{{"success":true,"data":{message}}}]"#);
        assert!(matches!(Packet::parse(&ack), Ok(Packet::Ack(12, Ack { success: true, data: Some(_), .. }))));
        let refused = r#"430[{"success":false,"message":"no","code":"OVERLOADED"}]"#;
        assert!(matches!(Packet::parse(refused), Ok(Packet::Ack(0, Ack { success: false, .. }))));
    }

    #[test]
    fn what_is_no_packet_is_broken() {
        for text in ["", "x", "0{}", "43[{}]", "431[]", "42{}", r#"42["new_message",7]"#] {
            assert!(Packet::parse(text).is_err(), "{text}");
        }
    }
}
