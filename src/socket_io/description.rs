//! A connection as operators see it.

use std::{
    sync::{
        PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actors::{CloseReason, Code, SessionHandle, SessionId, UserId};
use engineioxide::socket::Sid;
use serde::Serialize;

use super::{connection::Connection, state::State, wire::Wire};

/// What there is of a connection at a moment.
#[derive(Debug, Serialize)]
pub(crate) struct ConnectionDescription {
    /// By which it is closed.
    pub(super) id: String,
    /// Once the client has connected.
    pub(crate) session: Option<SessionId>,
    pub(crate) user: Option<UserId>,
    pub(super) transport: &'static str,
    /// How long it has been open.
    pub(super) seconds: u64,
    /// Packets.
    pub(super) received: u64,
    pub(super) sent: u64,
    /// Packets that wait to be sent, and their bytes.
    pub(super) queued: usize,
    pub(super) queued_bytes: usize,
    /// Requests that are not answered.
    pub(super) in_flight: usize,
    pub(super) last_refusal: Option<SeenRefusal>,
    /// Why, if it is being closed.
    pub(super) closing: Option<&'static str>,
}

impl Connection {
    /// Whether its session's id, or its user's, does; of nothing every connection does.
    pub(super) fn begins_with(&self, text: &str) -> bool {
        let is_so = |id: &dyn ToString| id.to_string().starts_with(text);
        text.is_empty() || self.who().is_some_and(|who| is_so(&who.session) || is_so(&who.user))
    }

    /// As operators see it.
    pub(super) fn describe(&self, id: Sid) -> ConnectionDescription {
        let open_for = self.opened_at.elapsed();
        let [(queued, queued_bytes), (in_flight, _)] = self.gate.load();
        let who = self.who();
        ConnectionDescription {
            id: id.to_string(),
            session: who.map(|who| who.session),
            user: who.map(|who| who.user),
            transport: self.transport(),
            seconds: open_for.as_secs(),
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            queued,
            queued_bytes,
            in_flight,
            last_refusal: self.refused.seen(open_for),
            closing: self.closing().map(CloseReason::as_str),
        }
    }

    /// The session, while there is one.
    pub(super) fn session(&self) -> Option<SessionHandle> {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Connected { session, .. } => Some(session.clone()),
            _ => None,
        }
    }

    /// What carries it now.
    pub(super) fn transport(&self) -> &'static str {
        match self.wire {
            Wire::Plain => "plain_websocket",
            Wire::SocketIo if self.polls().is_some() => "polling",
            Wire::SocketIo => "websocket",
        }
    }
}

/// What a client was refused last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub(super) struct SeenRefusal {
    code: &'static str,
    seconds_ago: u64,
}

/// In eight bytes, since there is one for each connection: the code's number and one, and the seconds after the opening.
#[derive(Default)]
pub(super) struct LastRefusal(AtomicU64);

const CODE_BITS: u32 = 8;

impl LastRefusal {
    pub(super) fn note(&self, code: Code, open_for: Duration) {
        let number = code as u64 + 1;
        self.0.store(open_for.as_secs() << CODE_BITS | number, Ordering::Relaxed);
    }

    /// At a moment.
    pub(super) fn seen(&self, open_for: Duration) -> Option<SeenRefusal> {
        let noted = self.0.load(Ordering::Relaxed);
        let number = (noted & ((1 << CODE_BITS) - 1)) as usize;
        let code = Code::ALL.get(number.checked_sub(1)?)?.as_str();
        Some(SeenRefusal { code, seconds_ago: open_for.as_secs().saturating_sub(noted >> CODE_BITS) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_refusal_is_remembered() {
        let (refused, second) = (LastRefusal::default(), Duration::from_secs(1));
        assert_eq!(refused.seen(second), None);
        for (place, code) in Code::ALL.iter().enumerate() {
            refused.note(*code, second * place as u32);
            let seen = refused.seen(second * 100);
            assert_eq!(seen, Some(SeenRefusal { code: code.as_str(), seconds_ago: 100 - place as u64 }));
        }
    }
}
