//! The chat itself: rooms, sessions, and what they store. No HTTP, no Socket.IO.
//!
//! # The way of a message
//!
//! A transport reads a frame, parses it into a [`Request`] and gives it to the [`SessionHandle`] of its connection.
//!
//! 1. `session.rs`: the Session takes the requests of one connection in order, each to the room it is for.
//! 2. `room.rs`: the Room knows its two participants; it refuses strangers and lets the rest through, in order.
//! 3. `lane.rs`, `batch.rs`, `link.rs`: a Lane of persistence commits what gathered while it committed the batch before.
//! 4. `room.rs` again: the committed message, numbered now, is encoded once. The acknowledgement goes to the sender's
//!    outbox, the event to the hub of each worker with somebody who is to hear of it.
//! 5. `hub.rs`: the Hub of a worker puts the event into the [`Outbox`] of each member and of each notified session.
//!
//! Typing skips persistence. REST enters at the room ([`Chat::post`]) and awaits the same commit.
//!
//! # Who owns what
//!
//! | file | |
//! | --- | --- |
//! | `chat.rs` | what the layers around see of all this |
//! | `directory.rs`, `loading.rs`, `workers.rs`, `shared.rs` | where a room is, what it is made of, where it runs, what all actors share |
//! | `per_user.rs`, `turns.rs` | what a user's sessions and calls share, and how much of it at the same time |
//! | `store/` | reads through the pool, profiles and conversations in the database |
//! | `profile.rs`, `feed.rs` | the profiles in use, and how changes in the database reach the server |
//! | `credentials.rs` | how long a session is whose it is |
//! | `reply.rs`, `outbox.rs`, `gate.rs`, `sends.rs`, `mailbox.rs` | answers, frames, backpressure, order, bounded queues |
//! | `ids.rs`, `text.rs`, `draft.rs`, `timestamp.rs`, `message.rs`, `event.rs`, `refusal.rs` | values that are valid by their types |
//! | `room/`, `persistence.rs` | callers' side of a room; which lane a conversation is on |
//! | `recovery.rs`, `recovery/` | sessions that outlive their connection, and a planned restart |
//! | `way.rs` | the way of one message as a trace, for those who look |
//! | `limits.rs`, `counters.rs`, `durations.rs`, `labelled.rs`, `backoff.rs` | every bound, what is counted, names of what is counted, pauses between attempts |
//! | `bench.rs` | what the micro-benchmarks reach |
//! | `sql.rs`, `connect.rs`, `migrations.rs`, `diagnosis.rs` | the statements and the schema, from `sql/`; a connection to Postgres; what can be told of a database |
//!
//! # Invariants
//!
//! - An acknowledgement and a `new_message` follow the commit. Whoever is refused is not stored.
//! - A conversation's messages commit on one lane, in the order in which the room let them in; `seq` comes from the lock
//!   on the conversation's row, so that several servers may share a database.
//! - A reply is given exactly once; where nobody can know the answer, the connection is closed instead.
//! - Every queue is counted and bounded, see [`limits`].

mod backoff;
mod batch;
#[doc(hidden)]
pub mod bench;
mod chat;
mod connect;
mod counters;
mod credentials;
mod diagnosis;
mod directory;
mod draft;
mod durations;
mod event;
mod feed;
mod gate;
mod hub;
mod ids;
mod labelled;
mod lane;
pub mod limits;
mod link;
mod loading;
mod mailbox;
mod message;
mod migrations;
mod outbox;
mod per_user;
mod persistence;
mod profile;
mod recovery;
mod refusal;
mod reply;
mod room;
mod sends;
mod session;
mod shared;
pub mod sql;
pub mod store;
mod text;
mod timestamp;
mod turns;
pub mod way;
mod workers;

pub use chat::{Chat, ChatConfig};
pub use connect::{ConnectError, connect};
pub use counters::{Counters, Gauge};
pub use credentials::Credentials;
pub use diagnosis::{Diagnosis, DiagnosisError, connections_needed, diagnose};
pub use draft::{ClientMsgId, Draft};
pub use durations::Durations;
pub use event::{Durability, EncodedEvent, Offset};
pub use gate::{Gate, Permit};
pub use ids::{ConversationId, HorseId, MessageId, SessionId, UserId};
pub use message::{Duplicate, Message, MessageDeleted, MessagePage, StoredMessage};
pub use migrations::{MigrateError, migrate};
pub use outbox::{AckId, CloseReason, Outbox, Queued};
pub use profile::Profile;
pub use recovery::{Pid, Recover};
pub use refusal::{Code, Refusal};
pub use reply::{Committed, PostError, Unanswered};
pub use room::RoomDescription;
pub use session::{Request, SessionHandle};
pub use text::MessageText;
pub use timestamp::Timestamp;
pub use way::Way;
