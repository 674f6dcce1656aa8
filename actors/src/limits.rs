//! Every bound of the chat, with its unit and what happens when it is reached.
//!
//! Bounds that depend on each other are asserted against each other below, at compile time.

use std::time::Duration;

/// Longest message text, in Unicode code points. Longer: refused as invalid.
pub const TEXT_CODE_POINTS: usize = 2000;
/// Longest client_msg_id, in bytes. Longer: refused as invalid.
pub const CLIENT_MSG_ID_BYTES: usize = 64;
/// How much of a text a notification shows, in code points.
pub const PREVIEW_CODE_POINTS: usize = 60;

/// Packets of one session that are not answered yet. Reached: its transport is not read until half of them are.
pub const SESSION_IN_FLIGHT: usize = 256;
/// Frames that wait to be sent to one connection. Half of them: its transport is not read. Reached: typing is dropped,
/// then the connection is closed as a slow consumer.
pub const OUTBOX_PACKETS: usize = 1024;
/// The same in bytes.
pub const OUTBOX_BYTES: usize = 4 << 20;
/// Rooms one session may have joined. Reached: joining is refused.
pub const SESSION_ROOMS: usize = 1000;
/// The same for all sessions of one user, where those that were kept over a restart count and are not refused. Without it a
/// single user could take all [`ROOMS`].
pub const USER_ROOMS: usize = 10_000;
/// Messages in the answer to a join that resumes. Reached: the answer says that there are more.
pub const RESUME_MESSAGES: usize = 100;
/// The same in bytes, unless a single one is longer.
pub const RESUME_BYTES: usize = 16 * 1024;
/// How long before its token expires a client is told, in seconds.
pub const TOKEN_WARNING: i64 = 60;
/// How long somebody who does not say so again is taken to type.
pub const TYPING_END: Duration = Duration::from_secs(6);
/// Rooms in memory. Reached: what needs another one is refused as overloaded.
pub const ROOMS: usize = 200_000;
/// How long the room of a conversation that does not exist stays in memory.
pub const UNKNOWN_ROOM: Duration = Duration::from_millis(50);
/// Commands waiting for one room. Reached: refused as overloaded.
pub const ROOM_QUEUE: usize = 8192;
/// Messages of one room under way to their commit. Reached: refused as overloaded.
pub const ROOM_IN_FLIGHT: usize = 4096;
/// Deliveries waiting for one worker's hub. Reached: new messages for it are refused as overloaded; typing is dropped
/// at half of it. Messages that were accepted before are delivered all the same.
pub const HUB_QUEUE: usize = 65_536;

/// Events that are kept for one session in case that its connection is lost. Reached: the oldest are not there any more, and
/// a client that has missed one gets a new session.
pub const RECOVERY_EVENTS: usize = 256;
/// The same in bytes.
pub const RECOVERY_BYTES: usize = 256 * 1024;
/// Bytes kept for all sessions. Reached: nothing more is kept.
pub const RECOVERY_TOTAL_BYTES: usize = 256 << 20;
/// The same for all sessions of one user: as much as for all that may wait. Reached: nothing more is kept for the user.
pub const RECOVERY_USER_BYTES: usize = RECOVERY_SESSIONS_OF_USER * RECOVERY_BYTES;
/// Sessions that wait for another connection. Reached: a lost connection ends its session.
pub const RECOVERY_SESSIONS: i64 = 100_000;
/// The same of one user. Reached: the one that has waited longest ends. Without it a single user could take all of them;
/// nobody has so many devices that lose their connections at the same time.
pub const RECOVERY_SESSIONS_OF_USER: usize = 16;
/// What was sent so long ago has come through: without heartbeats a connection ends sooner.
pub const CONFIRMED_AFTER: Duration = Duration::from_secs(60);
/// How often sessions are looked at whose client must have what is kept for it, or does not come back.
pub const RECOVERY_SWEEP: Duration = Duration::from_secs(2);

/// Persistence lanes of a worker, which are batches being committed at the same time: one is filled while the other is
/// with Postgres. Measured on two cores: four cost Postgres a fifth more a row, one is a quarter slower when it is full.
pub const LANES: usize = 2;
/// From so many workers on, each has one lane: each lane is a connection to Postgres.
pub const WORKERS_OF_ONE_LANE: usize = 5;
/// Rows waiting for one lane, being committed included. Reached: refused as overloaded.
pub const LANE_QUEUE: usize = 8192;
/// Rows in one batch.
pub const BATCH_ROWS: usize = 256;
/// How long a row may wait for its batch before it is refused as overloaded.
pub const LANE_WAIT: Duration = Duration::from_secs(5);
/// How long a batch may wait for a conversation that somebody else has locked; then its conversations are tried one by
/// one, and a locked one is refused as overloaded; its read marks wait as long once more, all together. The same for a
/// statement of the pool, which is refused.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// How long Postgres may work on a batch, or a statement of the pool, before it gives up by itself: refused as overloaded
/// then.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(7);
/// How long a batch may take to commit before its connection is given up and its outcome looked up.
pub const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long callers of a batch with unknown outcome wait; then senders are let go without an answer, and who marks something
/// as read is refused.
pub const UNKNOWN_WAIT: Duration = Duration::from_secs(30);
/// How long the machine of Postgres may take to answer at all: of several, the next one is tried then.
pub const REACH_TIMEOUT: Duration = Duration::from_secs(2);
/// How long connecting to Postgres may take, once; beside the [`REACH_TIMEOUT`] of each further host.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// How often a batch is tried again in which somebody else was first to store a message.
pub const REPEAT_TRIES: u32 = 5;
/// How often a lane looks for rows that have waited too long.
pub const LANE_LOOK: Duration = Duration::from_millis(250);
/// First and longest pause between two attempts to reach Postgres.
pub const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Connections of the pool that serves reads.
pub const POOL_CONNECTIONS: usize = 8;
/// Reads of one user that have a connection of the pool, or wait for one, at the same time. Reached: the others wait for
/// these. Whoever has very many conversations can ask for more than all connections can read.
pub const READS_OF_USER: usize = 2;
/// Statements that load rooms at the same time. Reached: who wants a room waits, and all who wait have theirs with the next
/// statement.
pub const ROOM_LOADS: usize = 2;
/// How long a statement that loads rooms may take. Longer: its connection may be lost, and rooms are asked for over another one,
/// too.
pub const ROOM_LOAD_PATIENCE: Duration = Duration::from_secs(1);
/// Rooms that one statement loads.
pub const ROOMS_AT_ONCE: usize = 1000;
/// How long a read waits for its turn and a connection of the pool, and a room for being loaded with the next ones. Longer:
/// refused as overloaded.
pub const POOL_WAIT: Duration = Duration::from_secs(5);
/// How long one read may take, on its connection. Longer: refused as overloaded, and the connection is closed.
pub const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a read or a deletion that a stop waits for may still take when it begins. Longer: as after [`READ_TIMEOUT`].
pub const PATIENCE_AT_STOP: Duration = Duration::from_secs(1);
/// How long a server that starts waits for another one that is keeping its sessions. Longer: it does not start.
pub const KEEPING_WAIT: Duration = Duration::from_secs(30);
/// What a lock is waited for at least, where many are waited for one after the other, until they have had [`LOCK_TIMEOUT`].
pub const BRIEF_LOCK: Duration = Duration::from_millis(20);
/// Deletions that may have been carried out unheard, and are told of when they are repeated.
pub const UNDECIDED_DELETIONS: usize = 10_000;
/// How long they are remembered at least.
pub const UNDECIDED_FOR: Duration = Duration::from_secs(600);
/// Longest list of conversations, the last changed ones.
pub const CONVERSATIONS: i64 = 1000;

/// The exit code when an actor has failed that the server cannot do without (`EX_SOFTWARE` of sysexits).
pub const EXIT_ACTOR_FAILED: i32 = 70;
/// What a refused caller is told to wait.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Workers of one server: presence is a bit each.
pub const WORKERS: usize = 64;

// Beside them, a user's unread messages are counted over one connection.
const _: () = assert!(READS_OF_USER + 2 * ROOM_LOADS < POOL_CONNECTIONS - 1);
const _: () = assert!(SESSION_ROOMS < USER_ROOMS && USER_ROOMS < ROOMS / 10);
const _: () = assert!(BATCH_ROWS <= LANE_QUEUE);
// An answer and an event for each unanswered packet fit beside what waits already.
const _: () = assert!(2 * SESSION_IN_FLIGHT <= OUTBOX_PACKETS / 2);
// What a session has missed fits into the outbox of its new connection.
const _: () = assert!(RECOVERY_EVENTS <= OUTBOX_PACKETS / 2 && RECOVERY_BYTES <= OUTBOX_BYTES / 2);
const _: () = assert!((RECOVERY_SESSIONS_OF_USER as i64) < RECOVERY_SESSIONS);
// Many users at their bound leave something for the others.
const _: () = assert!(32 * RECOVERY_USER_BYTES < RECOVERY_TOTAL_BYTES);
const _: () = assert!(SESSION_IN_FLIGHT < ROOM_IN_FLIGHT && ROOM_IN_FLIGHT <= ROOM_QUEUE);
const _: () = assert!(ROOM_IN_FLIGHT <= LANE_QUEUE);
const _: () = assert!(WORKERS <= u64::BITS as usize);
// Postgres says no before the outcome has to be looked up.
const _: () = assert!(STATEMENT_TIMEOUT.as_millis() < COMMIT_TIMEOUT.as_millis());
// And before whoever asked for a change is told that it was refused.
const _: () = assert!(STATEMENT_TIMEOUT.as_millis() < READ_TIMEOUT.as_millis());
const _: () = assert!(LOCK_TIMEOUT.as_millis() < STATEMENT_TIMEOUT.as_millis());
const _: () = assert!(COMMIT_TIMEOUT.as_millis() < UNKNOWN_WAIT.as_millis());
