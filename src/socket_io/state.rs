//! How far a connection has come: to a session, or beyond.

use std::sync::Arc;

use actors::{SessionHandle, SessionId, UserId};
use tokio::task::AbortHandle;

use super::outbox::SessionOutbox;

pub(super) enum State {
    /// No CONNECT yet; when the time for it is over, the connection is closed.
    Open {
        deadline: AbortHandle,
    },
    /// The client has connected.
    Connected {
        session: SessionHandle,
        user: UserId,
        outbox: Arc<SessionOutbox>,
        attachments: u16,
    },
    Ended(Option<Who>),
}

/// Whose session a connection carries, or carried.
#[derive(Clone, Copy)]
pub(super) struct Who {
    pub(super) session: SessionId,
    pub(super) user: UserId,
}

impl State {
    pub(super) fn who(&self) -> Option<Who> {
        match self {
            Self::Open { .. } => None,
            Self::Connected { session, user, .. } => Some(Who { session: session.id(), user: *user }),
            Self::Ended(who) => *who,
        }
    }
}
