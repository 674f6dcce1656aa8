//! The bodies and payloads on the wire, as schemas. Their fields are what clients see; that the server sends just these is
//! checked by the tests, which hold everything they get against them.
#![allow(dead_code, reason = "fields are read by the derived schemas only")]

use std::borrow::Cow;

use actors::{
    Code,
    limits::{CLIENT_MSG_ID_BYTES, TEXT_CODE_POINTS},
};
use serde_json::json;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

/// A string of a form.
macro_rules! strings {
    ($($(#[$doc:meta])* $name:ident = $schema:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema.schema_type(Type::String).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )*};
}

strings! {
    /// A MongoDB ObjectId.
    ObjectId = ObjectBuilder::new()
        .description(Some("A MongoDB ObjectId: 24 hex characters, lower case in every answer"))
        .pattern(Some("^[0-9a-fA-F]{24}$"))
        .examples([json!("507f1f77bcf86cd799439010")]);
    /// A point in time.
    Timestamp = ObjectBuilder::new()
        .description(Some("ISO 8601, UTC, with milliseconds"))
        .pattern(Some(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"))
        .examples([json!("2024-03-15T10:40:00.000Z")]);
    /// What a message says.
    Text = ObjectBuilder::new()
        .description(Some("1 to 2000 Unicode code points, not all of them white space, none of them U+0000; kept to the byte"))
        .min_length(Some(1))
        .max_length(Some(TEXT_CODE_POINTS))
        .examples([json!("Is this horse still available?")]);
    /// The sender's own name of a message.
    ClientMessageId = ObjectBuilder::new()
        .description(Some("The sender's own id of the message: a repeat of it is stored once. 1 to 64 visible ASCII characters"))
        .min_length(Some(1))
        .max_length(Some(CLIENT_MSG_ID_BYTES))
        .pattern(Some("^[!-~]+$"))
        .examples([json!("018f9a40-1b7c-7b1e-8f3e-0242ac120002")]);
    /// Why something is refused.
    ErrorCode = ObjectBuilder::new()
        .description(Some("Why a call is refused, for programs"))
        .enum_values(Some(Code::ALL.iter().map(|code| code.as_str())));
    /// How far a session has come.
    Offset = ObjectBuilder::new()
        .description(Some("How far a session has come; to be named when a client comes back to it"))
        .pattern(Some("^[0-9a-f]{24}n?$"));
}

/// What others see of a user.
#[derive(ToSchema)]
pub(super) struct Profile {
    _id: ObjectId,
    #[schema(min_length = 1, max_length = 200, examples("John Smith"))]
    full_name: String,
    #[schema(required, max_length = 2048)]
    profile_picture_url: Option<String>,
}

/// A message, whose sender is shown with a profile or by the id alone.
macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident { sender_id: $sender:ty })*) => {$(
        $(#[$doc])*
        #[derive(ToSchema)]
        pub(super) struct $name {
            _id: ObjectId,
            conversation_id: ObjectId,
            sender_id: $sender,
            text: Text,
            /// Whether the other participant has read it.
            is_read: bool,
            /// When; null until then.
            #[schema(required)]
            read_at: Option<Timestamp>,
            sent_at: Timestamp,
            /// Its place in the conversation: 1, 2, 3 … without gaps.
            #[schema(minimum = 1)]
            seq: i64,
            /// There, and true, where the message had been sent before.
            #[schema(nullable = false)]
            duplicate: Option<bool>,
        }
    )*};
}

messages! {
    /// A message.
    Message { sender_id: Profile }
    /// A message as the caller has sent it.
    SentMessage { sender_id: ObjectId }
}

/// A message to send.
#[derive(ToSchema)]
pub(super) struct NewMessage {
    text: Text,
    client_msg_id: Option<ClientMessageId>,
}

/// The newest message of a conversation.
#[derive(ToSchema)]
pub(super) struct LastMessage {
    text: Text,
    sender_id: ObjectId,
    sent_at: Timestamp,
    /// Its place in the conversation.
    #[schema(minimum = 1)]
    seq: i64,
    /// Whether the other has read it.
    is_read: bool,
}

/// A conversation, whose participants are shown with profiles or by their ids alone.
macro_rules! conversations {
    ($($(#[$doc:meta])* $name:ident { participants: $participants:ty })*) => {$(
        $(#[$doc])*
        #[derive(ToSchema)]
        pub(super) struct $name {
            _id: ObjectId,
            /// Who began it, then the other.
            #[schema(min_items = 2, max_items = 2)]
            participants: $participants,
            /// What it is about, if it is about a horse.
            #[schema(required)]
            horse_id: Option<ObjectId>,
            #[schema(required)]
            last_message: Option<LastMessage>,
            /// The newest message that it has had, shown or deleted; 0 before the first.
            #[schema(minimum = 0)]
            head_seq: i64,
            /// Undeleted messages by the other that the caller has not read.
            #[schema(minimum = 0)]
            unread_count: i64,
            created_at: Timestamp,
            updated_at: Timestamp,
        }
    )*};
}

conversations! {
    /// A conversation.
    Conversation { participants: Vec<ObjectId> }
    /// A conversation in the caller's list.
    ListedConversation { participants: Vec<Profile> }
}

/// With whom to talk, and perhaps about which horse.
#[derive(ToSchema)]
pub(super) struct OpenConversation {
    recipient_id: ObjectId,
    horse_id: Option<ObjectId>,
}

/// A profile to store.
#[derive(ToSchema)]
pub(super) struct NewProfile {
    #[schema(min_length = 1, max_length = 200)]
    full_name: String,
    #[schema(max_length = 2048)]
    profile_picture_url: Option<String>,
}

/// Whose tokens to revoke.
#[derive(ToSchema)]
pub(super) struct Revoke {
    #[schema(rename = "userId")]
    user_id: ObjectId,
}

/// Whose tokens were revoked, and when.
#[derive(ToSchema)]
pub(super) struct Revoked {
    #[schema(rename = "userId")]
    user_id: ObjectId,
    revoked_at: Timestamp,
}

/// A message that is not there any more.
#[derive(ToSchema)]
pub(super) struct MessageDeleted {
    conversation_id: ObjectId,
    _id: ObjectId,
    /// Its place, which stays empty.
    #[schema(minimum = 1)]
    seq: i64,
}

/// A call that is refused, and a failed acknowledgement.
#[derive(ToSchema)]
pub(super) struct Failure {
    #[schema(schema_with = always_false)]
    success: bool,
    /// For people.
    message: String,
    code: ErrorCode,
    /// When the same may succeed, where it may.
    #[schema(nullable = false, minimum = 1)]
    retry_after_ms: Option<u64>,
}

/// `true` of an answer that says so.
pub(super) fn always_true() -> Schema {
    constant(true)
}

fn always_false() -> Schema {
    constant(false)
}

fn constant(value: bool) -> Schema {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([value])).into()
}

/// A message to send over a socket.
#[derive(ToSchema)]
pub(super) struct SendMessage {
    conversation_id: ObjectId,
    text: Text,
    client_msg_id: Option<ClientMessageId>,
}

/// How far the caller has read.
#[derive(ToSchema)]
pub(super) struct MarkRead {
    conversation_id: ObjectId,
    /// Up to here, this one included.
    #[schema(minimum = 0)]
    up_to_seq: i64,
}

/// Another token of the same user.
#[derive(ToSchema)]
pub(super) struct RefreshToken {
    token: String,
}

/// What a client that joins has already.
#[derive(ToSchema)]
pub(super) struct ResumeOptions {
    /// The newest message it has; 0 if it has none.
    #[schema(minimum = 0)]
    since_seq: i64,
}

/// A room that was joined; what is there but for `conversation_id` was asked for by `since_seq`.
#[derive(ToSchema)]
pub(super) struct Joined {
    conversation_id: ObjectId,
    /// The newest message of the conversation; 0 if there is none.
    #[schema(nullable = false, minimum = 0)]
    head_seq: Option<i64>,
    /// Those after `since_seq`, the oldest first.
    #[schema(nullable = false)]
    messages: Option<Vec<Message>>,
    /// Whether there are more than fit into the answer.
    #[schema(nullable = false)]
    has_more: Option<bool>,
}

/// There is something new for the recipient.
#[derive(ToSchema)]
pub(super) struct MessageNotification {
    conversation_id: ObjectId,
    sender: ObjectId,
    /// The first 60 code points of the text.
    preview: String,
}

/// Who types, or does so no more.
#[derive(ToSchema)]
pub(super) struct Typist {
    #[schema(rename = "userId")]
    user_id: ObjectId,
    conversation_id: ObjectId,
}

/// How far a participant has read.
#[derive(ToSchema)]
pub(super) struct MessageRead {
    conversation_id: ObjectId,
    reader_id: ObjectId,
    /// Up to here, this one included.
    #[schema(minimum = 1)]
    up_to_seq: i64,
    read_at: Timestamp,
}

/// How much is left to read.
#[derive(ToSchema)]
pub(super) struct UnreadUpdate {
    conversation_id: ObjectId,
    #[schema(minimum = 0)]
    unread_count: i64,
    /// In all conversations.
    #[schema(minimum = 0)]
    total_unread: i64,
}

/// How long a token holds.
#[derive(ToSchema)]
pub(super) struct TokenTimes {
    expires_at: Timestamp,
}

/// The server will soon close the connection.
#[derive(ToSchema)]
pub(super) struct ServerDraining {
    /// When to come back; another time for each client.
    #[schema(minimum = 0)]
    reconnect_after_ms: u64,
}
