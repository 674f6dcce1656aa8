//! The documents of the service before, as `mongoexport` writes them (MongoDB Extended JSON v2, canonical or relaxed), and
//! the rows they become. Fields that are not named here are not read.

use actors::{ClientMsgId, ConversationId, HorseId, MessageId, MessageText, Profile, UserId};
use bson::{Bson, DateTime, oid::ObjectId};
use chrono::Utc;

use super::fields::{fields, read};

/// The first moment that counts as one: 1970. What is before is a mistake.
const EARLIEST: i64 = 0;
/// When years get a fifth digit, in milliseconds since 1970.
const LATEST: i64 = 253_402_300_800_000;

/// What clients in JavaScript can count to.
const HIGHEST_SEQ: i64 = 1 << 53;

/// A moment of the database.
type Time = chrono::DateTime<Utc>;

/// A document that became no row.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Refused {
    /// Where it can be told.
    pub(super) id: Option<String>,
    pub(super) reason: String,
}

/// A kind of documents, each of which becomes a row.
pub(super) trait Document: Sized {
    /// Which file they are in, without its ending.
    const FILE: &'static str;

    /// # Errors
    /// Why it is no such document.
    fn parse(text: &[u8]) -> Result<Self, Refused>;
}

fields! {
    struct RawUser {
        _id: ObjectId,
        full_name: String,
        profile_picture_url: Option<String>,
    }
}

/// A user.
#[derive(PartialEq, Debug)]
pub(super) struct User(pub(super) Profile);

impl Document for User {
    const FILE: &'static str = "users";

    fn parse(text: &[u8]) -> Result<Self, Refused> {
        let raw: RawUser = read(text)?;
        let picture = raw.profile_picture_url.filter(|url| !url.is_empty());
        let profile = Profile::parse(raw._id.bytes().into(), raw.full_name, picture);
        profile.map(Self).map_err(|refusal| refused(raw._id, refusal.message))
    }
}

fields! {
    struct RawConversation {
        _id: ObjectId,
        participants: Vec<ObjectId>,
        horse_id: Option<ObjectId>,
        created_at: Option<DateTime>,
        updated_at: Option<DateTime>,
        last_seq: Option<Bson>,
    }
}

/// A conversation; who began it is the first participant.
#[derive(PartialEq, Debug)]
pub(super) struct Conversation {
    pub(super) id: ConversationId,
    pub(super) creator: UserId,
    pub(super) recipient: UserId,
    pub(super) horse: Option<HorseId>,
    pub(super) created_at: Time,
    pub(super) updated_at: Time,
    /// In our own exports.
    pub(super) last_seq: Option<i64>,
}

impl Document for Conversation {
    const FILE: &'static str = "conversations";

    fn parse(text: &[u8]) -> Result<Self, Refused> {
        let raw: RawConversation = read(text)?;
        let refused = |reason| refused(raw._id, reason);
        let [creator, recipient] = raw.participants[..] else {
            return Err(refused("participants: not two".to_owned()));
        };
        if creator == recipient {
            return Err(refused("participants: twice the same user".to_owned()));
        }
        let created_at = time("created_at", raw.created_at.unwrap_or_else(|| raw._id.timestamp())).map_err(refused)?;
        let updated_at = raw.updated_at.map(|at| time("updated_at", at)).transpose().map_err(refused)?;
        Ok(Self {
            id: raw._id.bytes().into(),
            creator: creator.bytes().into(),
            recipient: recipient.bytes().into(),
            horse: raw.horse_id.map(|horse| horse.bytes().into()),
            created_at,
            updated_at: updated_at.unwrap_or(created_at),
            last_seq: raw.last_seq.map(|number| seq("last_seq", &number)).transpose().map_err(refused)?,
        })
    }
}

fields! {
    struct RawMessage {
        _id: ObjectId,
        conversation_id: ObjectId,
        sender_id: ObjectId,
        text: String,
        is_read: Option<bool>,
        read_at: Option<DateTime>,
        deleted_at: Option<DateTime>,
        sent_at: Option<DateTime>,
        seq: Option<Bson>,
        client_msg_id: Option<String>,
    }
}

/// A message.
#[derive(PartialEq, Debug)]
pub(super) struct Message {
    pub(super) id: MessageId,
    pub(super) conversation: ConversationId,
    pub(super) sender: UserId,
    pub(super) text: String,
    pub(super) sent_at: Time,
    pub(super) read_at: Option<Time>,
    pub(super) deleted_at: Option<Time>,
    /// In our own exports.
    pub(super) seq: Option<i64>,
    pub(super) client_msg_id: Option<String>,
}

impl Document for Message {
    const FILE: &'static str = "messages";

    fn parse(text: &[u8]) -> Result<Self, Refused> {
        let raw: RawMessage = read(text)?;
        let refused = |reason| refused(raw._id, reason);
        let text = MessageText::parse(raw.text).map_err(|refusal| refused(refusal.message.into_owned()))?;
        if let Some(id) = &raw.client_msg_id {
            ClientMsgId::parse(id.as_str()).map_err(|refusal| refused(refusal.message.into_owned()))?;
        }
        let sent_at = time("sent_at", raw.sent_at.unwrap_or_else(|| raw._id.timestamp())).map_err(refused)?;
        let read_at = raw.read_at.map(|at| time("read_at", at)).transpose().map_err(refused)?;
        Ok(Self {
            id: raw._id.bytes().into(),
            conversation: raw.conversation_id.bytes().into(),
            sender: raw.sender_id.bytes().into(),
            text: text.as_str().to_owned(),
            sent_at,
            // What counts is the flag; the time is of no more than interest.
            read_at: match raw.is_read {
                Some(true) => read_at.or(Some(sent_at)),
                Some(false) => None,
                None => read_at,
            },
            deleted_at: raw.deleted_at.map(|at| time("deleted_at", at)).transpose().map_err(refused)?,
            seq: raw.seq.map(|number| seq("seq", &number)).transpose().map_err(refused)?,
            client_msg_id: raw.client_msg_id,
        })
    }
}

fn refused(id: ObjectId, reason: impl Into<String>) -> Refused {
    Refused { id: Some(id.to_hex()), reason: reason.into() }
}

fn time(field: &str, time: DateTime) -> Result<Time, String> {
    let milliseconds = time.timestamp_millis();
    let in_range = (EARLIEST..LATEST).contains(&milliseconds);
    let time = in_range.then(|| Time::from_timestamp_millis(milliseconds)).flatten();
    time.ok_or_else(|| format!("{field}: not of the years 1970 to 9999"))
}

fn seq(field: &str, value: &Bson) -> Result<i64, String> {
    let seq = value.as_i64().or_else(|| value.as_i32().map(i64::from));
    let seq = seq.filter(|seq| (0..=HIGHEST_SEQ).contains(seq));
    seq.ok_or_else(|| format!("{field}: not a whole number, 0 to 2^53"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = r#"{"$oid":"507f1f77bcf86cd799439011"}"#;
    const B: &str = r#"{"$oid":"507f1f77bcf86cd799439012"}"#;

    fn message(fields: &str) -> Result<Message, Refused> {
        let text = format!(r#"{{"_id":{A},"conversation_id":{A},"sender_id":{B},"text":"hello",{fields}}}"#);
        Message::parse(text.as_bytes())
    }

    fn milliseconds(time: Time) -> i64 {
        time.timestamp_millis()
    }

    #[test]
    fn canonical_and_relaxed_documents_are_the_same() {
        let canonical = message(r#""sent_at":{"$date":{"$numberLong":"1710498600123"}},"seq":{"$numberLong":"7"}"#);
        let relaxed = message(r#""sent_at":{"$date":"2024-03-15T10:30:00.123Z"},"seq":7,"__v":0"#);
        assert_eq!(canonical, relaxed);
        let message = relaxed.expect("sound");
        assert_eq!((milliseconds(message.sent_at), message.seq, message.read_at), (1_710_498_600_123, Some(7), None));
    }

    #[test]
    fn the_flag_says_whether_a_message_is_read() {
        let (sent, read) =
            (r#""sent_at":{"$date":"2024-03-15T10:30:00Z"}"#, r#""read_at":{"$date":"2024-03-16T00:00:00Z"}"#);
        for (fields, at) in [
            (format!("{sent},{read}"), Some(1_710_547_200_000)),
            (format!(r#"{sent},{read},"is_read":true"#), Some(1_710_547_200_000)),
            (format!(r#"{sent},{read},"is_read":false"#), None),
            (format!(r#"{sent},"is_read":true"#), Some(1_710_498_600_000)),
            (format!(r#"{sent},"is_read":true,"read_at":null"#), Some(1_710_498_600_000)),
        ] {
            assert_eq!(message(&fields).expect("sound").read_at.map(milliseconds), at, "{fields}");
        }
    }

    #[test]
    fn a_missing_time_is_the_ids() {
        let sent = message(r#""is_read":false"#).expect("sound").sent_at;
        assert_eq!(milliseconds(sent), 0x507f_1f77 * 1000);
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_id_where_it_has_one() {
        for (fields, named) in [
            (r#""text":"again""#, "text: there twice"),
            (r#""sent_at":"yesterday""#, "sent_at: not a date, but a string"),
            (r#""sent_at":{"$date":"yesterday"}"#, "sent_at: not a date"),
            (r#""sent_at":{"$date":{"$numberLong":"-1"}}"#, "sent_at: not of the years 1970 to 9999"),
            (r#""is_read":"no","read_at":5"#, "is_read: not true or false, but a string"),
            (r#""read_at":null,"deleted_at":[]"#, "deleted_at: not a date, but an array"),
            (r#""seq":-1"#, "seq: not a whole number, 0 to 2^53"),
            (r#""seq":{"$numberLong":"one"}"#, "seq: not a number"),
            (r#""client_msg_id":false"#, "client_msg_id: not a string, but true or false"),
            (r#""client_msg_id":"é""#, "client_msg_id, or Idempotency-Key, must be 1 to 64 visible ASCII characters"),
        ] {
            let refused = message(fields).expect_err(fields);
            assert_eq!(refused, Refused { id: Some("507f1f77bcf86cd799439011".to_owned()), reason: named.to_owned() });
        }
        let required = |fields: &str| Message::parse(format!(r#"{{"_id":{A},{fields}}}"#).as_bytes());
        for (fields, named) in [
            (r#""conversation_id":5"#.to_owned(), "conversation_id: not an ObjectId, but a number"),
            (r#""conversation_id":{"$oid":"5"}"#.to_owned(), "conversation_id: not an ObjectId"),
            (format!(r#""conversation_id":{A},"text":"x""#), "sender_id: missing"),
            (format!(r#""conversation_id":{A},"sender_id":{A},"text":null"#), "text: null is not a string"),
            (format!(r#""conversation_id":{A},"sender_id":{A},"text":{{}}"#), "text: not a string"),
            (r#""text":tru"#.to_owned(), "not JSON: expected ident"),
        ] {
            assert_eq!(required(&fields).expect_err(&fields).reason, named);
        }
        let latin = Message::parse(b"{\"text\":\"gr\xfc\xdfe\"}").expect_err("Latin-1");
        assert_eq!(latin.reason, "not JSON: its characters are not UTF-8");
        let blank = message("\"x\":0").map(|_| ()).and_then(|()| {
            Message::parse(format!(r#"{{"_id":{A},"conversation_id":{A},"sender_id":{B},"text":" "}}"#).as_bytes())
                .map(|_| ())
        });
        assert_eq!(blank.expect_err("blank").id.as_deref(), Some("507f1f77bcf86cd799439011"));
        assert_eq!(Message::parse(b"{}").expect_err("empty").id, None);
        for (participants, named) in [
            (format!("[{A}]"), "participants: not two"),
            (format!("[{A},{B},{A}]"), "participants: not two"),
            (format!("[{A},{A}]"), "participants: twice the same user"),
            (format!("[{A},{{\"_id\":{B}}}]"), "participants[1]: not an ObjectId"),
            ("7".to_owned(), "participants: not an array, but a number"),
        ] {
            let text = format!(r#"{{"_id":{A},"participants":{participants}}}"#);
            assert_eq!(Conversation::parse(text.as_bytes()).expect_err(&participants).reason, named);
        }
    }

    #[test]
    fn users_and_conversations_have_their_fields() {
        let user = User::parse(
            format!(r#"{{"_id":{A},"full_name":"Ada","password":"x","profile_picture_url":""}}"#).as_bytes(),
        );
        let profile = user.expect("sound").0;
        assert_eq!((profile.full_name.as_str(), profile.profile_picture_url), ("Ada", None));
        let text = format!(
            r#"{{"_id":{A},"participants":[{A},{B}],"horse_id":{B},"created_at":{{"$date":"2024-03-15T10:30:00Z"}}}}"#
        );
        let conversation = Conversation::parse(text.as_bytes()).expect("sound");
        assert_eq!(conversation.updated_at, conversation.created_at);
        assert_eq!(conversation.horse.map(|horse| horse.to_string()).as_deref(), Some("507f1f77bcf86cd799439012"));
    }
}
