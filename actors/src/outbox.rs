//! The seam between the chat and a transport: where a session's frames go, and why it ends.

use std::sync::Arc;

use crate::{event::EncodedEvent, ids::SessionId, labelled::labelled, recovery::Pid, refusal::Refusal};

/// The number by which a client knows its acknowledgement.
pub type AckId = u64;

/// Whether a frame was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Queued {
    /// It will be sent.
    Yes,
    /// The connection is lost, and the session has it when its client comes back in time.
    Kept,
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
    /// Queues a refusal; without an id nobody waits for it, and it is only noted.
    fn refuse(&self, id: Option<AckId>, refusal: &Refusal) {
        if let Some(id) = id {
            self.ack(id, &refusal.to_json());
        }
    }
    /// The how many-th of the session's connections this is, of those that come one after the other.
    fn connection(&self) -> u32 {
        0
    }
    /// Ends the connection. What was queued before is still sent, for a bounded time.
    fn close(&self, reason: CloseReason);
}

labelled! {
    /// Why a connection ended. The comment says what a client does about it.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    pub enum CloseReason {
        /// The client left. Nothing.
        ClientLeft = "client left",
        /// The network or the client broke off. Reconnect.
        TransportLost = "transport lost",
        /// No heartbeat in time. Reconnect.
        HeartbeatTimeout = "heartbeat timeout",
        /// Not Engine.IO or Socket.IO. Mend the client.
        BrokenPacket = "broken packet",
        /// A packet or payload beyond the announced `maxPayload`. Send less at once.
        TooLarge = "too large",
        /// No CONNECT packet in time. Mend the client.
        ConnectTimeout = "connect timeout",
        /// Far more CONNECT packets than anybody needs. Mend the client.
        TooManyConnects = "too many connects",
        /// The client reads more slowly than its conversations go on. Reconnect and fetch what was missed.
        SlowConsumer = "slow consumer",
        /// A commit's outcome is not known. Reconnect and look whether the message is there.
        OutcomeUnknown = "outcome unknown",
        /// The room failed. Reconnect and join again.
        RoomFailed = "room failed",
        /// The session failed. Reconnect.
        SessionFailed = "session failed",
        /// The server stops. Reconnect after a moment.
        ServerStopping = "server stopping",
        /// Another connection has the session now. Nothing.
        TakenOver = "taken over",
        /// The token has expired. Reconnect with a new one.
        AuthExpired = "token expired",
        /// The user's tokens were revoked. Log in again.
        Revoked = "token revoked",
        /// An operator closed it. Reconnect.
        Operator = "closed by an operator",
    }
}

impl CloseReason {
    /// Whether the session may go on with another connection.
    pub(crate) fn is_recoverable(self) -> bool {
        match self {
            Self::ClientLeft
            | Self::TransportLost
            | Self::HeartbeatTimeout
            | Self::SlowConsumer
            | Self::ServerStopping
            | Self::AuthExpired
            | Self::Operator => true,
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
