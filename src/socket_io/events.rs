//! Clients' events as requests to the chat: valid by their types, or refused here.

use actors::{ClientMsgId, ConversationId, Draft, MessageText, Refusal, Request};
use serde_json::value::RawValue;

use crate::traces;

/// A type of events by their names on the wire.
macro_rules! named_events {
    ($(#[$about:meta])* $events:ident: $($(#[$doc:meta])* $name:ident = $label:literal,)*) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $events { $($(#[$doc])* $name,)* }

        impl $events {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// As it stands on the wire.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            /// The event of this name.
            pub fn named(name: &str) -> Option<Self> {
                match name { $($label => Some(Self::$name),)* _ => None }
            }
        }
    };
}
pub(crate) use named_events;

named_events! {
    /// An event that clients send. A new one has to be in the matrix of who may do what (`tests/authorization.rs`).
    Event:
    /// Hear what is said in a conversation.
    Join = "join_conversation",
    /// Hear it no more.
    Leave = "leave_conversation",
    /// Say something.
    Send = "send_message",
    /// Mark what was read.
    MarkRead = "mark_read",
    /// Show that the user types.
    Typing = "typing",
    /// Or types no more.
    StopTyping = "stop_typing",
    /// Bring another token.
    RefreshToken = "refresh_token",
}

/// A client's event as a request. `renew` makes one of a token.
///
/// # Errors
/// What the client is told: the event is not known, or its arguments are not of their form.
pub(super) fn parse(
    event: Option<Event>,
    arguments: &[&RawValue],
    renew: impl FnOnce(&str) -> Result<Request, Refusal>,
) -> Result<Request, Refusal> {
    match event.ok_or_else(|| Refusal::invalid("Unknown event"))? {
        Event::Join => join(arguments),
        Event::Leave => Ok(Request::Leave { conversation: conversation(arguments)? }),
        Event::Send => send(arguments),
        Event::MarkRead => mark_read(arguments),
        Event::Typing => Ok(Request::Typing { conversation: conversation(arguments)?, started: true }),
        Event::StopTyping => Ok(Request::Typing { conversation: conversation(arguments)?, started: false }),
        Event::RefreshToken => renew(&token(arguments)?),
    }
}

/// The first argument as a conversation's id.
fn conversation(arguments: &[&RawValue]) -> Result<ConversationId, Refusal> {
    let id = arguments.first().and_then(|argument| string(argument));
    id.and_then(|id| ConversationId::parse(&id)).ok_or_else(Refusal::conversation_not_found)
}

/// An optional second argument says what the client has already; anything else there counts as nothing.
fn join(arguments: &[&RawValue]) -> Result<Request, Refusal> {
    #[derive(serde::Deserialize)]
    struct Options<'a> {
        #[serde(borrow)]
        since_seq: Option<&'a RawValue>,
    }
    let conversation = conversation(arguments)?;
    let options = arguments.get(1).filter(|options| options.get().starts_with('{'));
    let options = options.and_then(|options| serde_json::from_str::<Options<'_>>(options.get()).ok());
    let since = match options.and_then(|options| options.since_seq) {
        Some(since) => Some(seq(since).ok_or_else(|| Refusal::invalid("since_seq must be a whole number, 0 or more"))?),
        None => None,
    };
    Ok(Request::Join { conversation, since })
}

/// The fields of `send_message`, not read further than needed.
#[derive(serde::Deserialize)]
struct Send<'a> {
    #[serde(borrow)]
    conversation_id: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    client_msg_id: Option<&'a RawValue>,
}

/// The first argument's fields.
fn fields<'a, T: serde::Deserialize<'a>>(arguments: &[&'a RawValue]) -> Result<T, Refusal> {
    let body = arguments.first().filter(|argument| argument.get().starts_with('{'));
    let body = body.ok_or_else(|| Refusal::invalid("the argument must be an object"))?;
    serde_json::from_str(body.get()).map_err(|_| Refusal::invalid("the argument names a field twice"))
}

fn conversation_id(field: Option<&RawValue>) -> Result<ConversationId, Refusal> {
    let id = field.and_then(string).and_then(|id| ConversationId::parse(&id));
    id.ok_or_else(Refusal::conversation_not_found)
}

fn mark_read(arguments: &[&RawValue]) -> Result<Request, Refusal> {
    #[derive(serde::Deserialize)]
    struct MarkRead<'a> {
        #[serde(borrow)]
        conversation_id: Option<&'a RawValue>,
        #[serde(borrow)]
        up_to_seq: Option<&'a RawValue>,
    }
    let mark: MarkRead<'_> = fields(arguments)?;
    let conversation = conversation_id(mark.conversation_id)?;
    let up_to = mark.up_to_seq.and_then(seq);
    let up_to = up_to.ok_or_else(|| Refusal::invalid("up_to_seq must be a whole number, 0 or more"))?;
    Ok(Request::MarkRead { conversation, up_to })
}

/// The token that `refresh_token` brings.
fn token(arguments: &[&RawValue]) -> Result<String, Refusal> {
    #[derive(serde::Deserialize)]
    struct Refresh<'a> {
        #[serde(borrow)]
        token: Option<&'a RawValue>,
    }
    let refresh: Refresh<'_> = fields(arguments)?;
    refresh.token.and_then(string).ok_or_else(|| Refusal::invalid("token must be a string"))
}

/// A whole number as JSON Schema has it: 3.0 is one, too, because some languages know no other numbers.
fn seq(value: &RawValue) -> Option<i64> {
    /// Beyond it not every whole number can be written so: 2^53.
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    let number: serde_json::Number = serde_json::from_str(value.get()).ok()?;
    let whole =
        || number.as_f64().filter(|number| number.fract() == 0.0 && *number <= LARGEST).map(|whole| whole as i64);
    number.as_i64().or_else(whole).filter(|seq| *seq >= 0)
}

fn send(arguments: &[&RawValue]) -> Result<Request, Refusal> {
    let send: Send<'_> = fields(arguments)?;
    let conversation = conversation_id(send.conversation_id)?;
    let text = match send.text {
        Some(text) => string(text).ok_or_else(|| Refusal::invalid("text must be a string"))?,
        None => String::new(),
    };
    let text = MessageText::parse(text)?;
    let client_msg_id = match send.client_msg_id {
        Some(id) => Some(ClientMsgId::parse(string(id).unwrap_or_default())?),
        None => None,
    };
    Ok(Request::Send { conversation, draft: Draft { text, client_msg_id, way: traces::begin(conversation) } })
}

/// A JSON string's value; `None` for anything else, half surrogates included.
fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(name: &str, arguments: &str) -> Result<Request, Refusal> {
        let arguments: Vec<&RawValue> = serde_json::from_str(arguments).expect("the test's own JSON");
        parse(Event::named(name), &arguments, |_| Err(Refusal::invalid("no token is taken here")))
    }

    const ID: &str = "507f1f77bcf86cd799439011";

    #[test]
    fn events_of_the_contract_become_requests() {
        let id = format!(r#"["{ID}"]"#);
        assert!(matches!(parsed("join_conversation", &id), Ok(Request::Join { since: None, .. })));
        for (options, expected) in [
            (r#"{"since_seq":7}"#, Some(7)),
            (r#"{"since_seq":7.0}"#, Some(7)),
            (r#"{"since_seq":9.1e2}"#, Some(910)),
            (r#"{"since_seq":9223372036854775807}"#, Some(i64::MAX)),
            ("null", None),
            ("{}", None),
            ("7", None),
            ("[7]", None),
        ] {
            let resume = format!(r#"["{ID}",{options}]"#);
            let Ok(Request::Join { since, .. }) = parsed("join_conversation", &resume) else { panic!("a join") };
            assert_eq!(since, expected, "{options}");
        }
        for seq in ["-1", "-1.0", "1.5", r#""7""#, "{}", "1e16", "1e99", "-1e99", "9223372036854775808"] {
            let resume = format!(r#"["{ID}",{{"since_seq":{seq}}}]"#);
            assert!(parsed("join_conversation", &resume).is_err(), "{seq}");
        }
        assert!(matches!(parsed("typing", &id), Ok(Request::Typing { started: true, .. })));
        assert!(matches!(parsed("stop_typing", &id), Ok(Request::Typing { started: false, .. })));
        let send = format!(r#"[{{"conversation_id":"{ID}","text":"h\u00e9 \ud83d\udc0e","more":[1]}},"ignored"]"#);
        let Ok(Request::Send { draft, .. }) = parsed("send_message", &send) else { panic!("a send") };
        assert_eq!((draft.text.as_str(), draft.client_msg_id), ("hé 🐎", None));
        let named = send.replace(r#""more""#, r#""client_msg_id":"a-1","more""#);
        let Ok(Request::Send { draft, .. }) = parsed("send_message", &named) else { panic!("a send") };
        assert_eq!(draft.client_msg_id, ClientMsgId::parse("a-1").ok());
    }

    #[test]
    fn other_arguments_are_refused() {
        for arguments in ["[]", "[null]", "[7]", r#"["x"]"#, r#"[{"id":"x"}]"#, "[[]]"] {
            assert_eq!(parsed("join_conversation", arguments).err(), Some(Refusal::conversation_not_found()));
            assert!(parsed("send_message", arguments).is_err());
        }
        for text in ["null", "7", "[]", "{}", r#""""#, r#"" ""#, r#""\u0000""#, r#""\ud800""#] {
            let send = format!(r#"[{{"conversation_id":"{ID}","text":{text}}}]"#);
            assert!(parsed("send_message", &send).is_err(), "{text}");
        }
        assert!(parsed("send_message", &format!(r#"[{{"conversation_id":"{ID}"}}]"#)).is_err());
        for id in ["7", "[]", "{}", r#""""#, r#"" ""#, r#""\ud800""#] {
            let send = format!(r#"[{{"conversation_id":"{ID}","text":"x","client_msg_id":{id}}}]"#);
            assert_eq!(parsed("send_message", &send).err(), Some(Refusal::invalid(ClientMsgId::RULE)), "{id}");
        }
        assert!(parsed("no_such_event", "[]").is_err());
    }
}
