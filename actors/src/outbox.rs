//! The seam between the chat and a transport: where a session's frames go, and why it ends.

use std::sync::Arc;

use crate::{event::EncodedEvent, ids::SessionId, recovery::Pid};

/// The number by which a client knows its acknowledgement.
pub type AckId = u64;

/// Whether a frame was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Queued {
    /// It will be sent.
    Yes,
    /// The session's bound is reached.
    Full,
    /// The session has ended.
    Closed,
}

/// A session's bounded queue of frames to its client. All methods return at once.
pub trait Outbox: Send + Sync {
    /// The session is registered: from now on it misses nothing. Tell the client, with the private id by which it can
    /// come back to the session, if it can.
    fn opened(&self, session: SessionId, pid: Option<Pid>);
    /// Queues an event.
    fn event(&self, event: &Arc<EncodedEvent>) -> Queued;
    /// Queues an acknowledgement; `body` is JSON.
    fn ack(&self, id: AckId, body: &str);
    /// Ends the connection. What was queued before is still sent, for a bounded time.
    fn close(&self, reason: CloseReason);
}

/// Why a connection ended. The comment says what a client does about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CloseReason {
    /// The client left. Nothing.
    ClientLeft,
    /// The network or the client broke off. Reconnect.
    TransportLost,
    /// No heartbeat in time. Reconnect.
    HeartbeatTimeout,
    /// Not Engine.IO or Socket.IO. Mend the client.
    BrokenPacket,
    /// A packet or payload beyond the announced `maxPayload`. Send less at once.
    TooLarge,
    /// No CONNECT packet in time. Mend the client.
    ConnectTimeout,
    /// Far more CONNECT packets than anybody needs. Mend the client.
    TooManyConnects,
    /// The client reads more slowly than its conversations go on. Reconnect and fetch what was missed.
    SlowConsumer,
    /// A commit's outcome is not known. Reconnect and look whether the message is there.
    OutcomeUnknown,
    /// The room failed. Reconnect and join again.
    RoomFailed,
    /// The session failed. Reconnect.
    SessionFailed,
    /// The server stops. Reconnect after a moment.
    ServerStopping,
    /// Another connection has the session now. Nothing.
    TakenOver,
    /// The token has expired. Reconnect with a new one.
    AuthExpired,
    /// The user's tokens were revoked. Log in again.
    Revoked,
}

impl CloseReason {
    /// For logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientLeft => "client left",
            Self::TransportLost => "transport lost",
            Self::HeartbeatTimeout => "heartbeat timeout",
            Self::BrokenPacket => "broken packet",
            Self::TooLarge => "too large",
            Self::ConnectTimeout => "connect timeout",
            Self::TooManyConnects => "too many connects",
            Self::SlowConsumer => "slow consumer",
            Self::OutcomeUnknown => "outcome unknown",
            Self::RoomFailed => "room failed",
            Self::SessionFailed => "session failed",
            Self::ServerStopping => "server stopping",
            Self::TakenOver => "taken over",
            Self::AuthExpired => "token expired",
            Self::Revoked => "token revoked",
        }
    }

    /// Whether the session may go on with another connection.
    pub(crate) fn is_recoverable(self) -> bool {
        match self {
            Self::ClientLeft
            | Self::TransportLost
            | Self::HeartbeatTimeout
            | Self::SlowConsumer
            | Self::ServerStopping
            | Self::AuthExpired => true,
            Self::BrokenPacket
            | Self::TooLarge
            | Self::ConnectTimeout
            | Self::TooManyConnects
            | Self::OutcomeUnknown
            | Self::RoomFailed
            | Self::SessionFailed
            | Self::TakenOver
            | Self::Revoked => false,
        }
    }
}
