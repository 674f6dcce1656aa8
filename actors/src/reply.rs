//! The answer that somebody waits for: given exactly once, or, where nobody can know it, by closing the connection.

use std::sync::Arc;

use thiserror::Error;
use tokio::sync::oneshot;

use crate::{
    counters::{Counters, Gauge},
    gate::Permit,
    ids::{MessageId, UserId},
    message::Message,
    outbox::{AckId, CloseReason, Outbox},
    profile::Profile,
    recovery::Recoverable,
    refusal::Refusal,
    sends::UnderWay,
    timestamp::Timestamp,
};

/// A message that is committed, as a REST caller needs it.
#[derive(Clone, Copy, Debug)]
pub struct Committed {
    /// The message.
    pub id: MessageId,
    /// Its place in the conversation.
    pub seq: i64,
    /// By whom.
    pub sender: UserId,
    /// When the server took it in.
    pub sent_at: Timestamp,
    /// When the other participant read it.
    pub read_at: Option<Timestamp>,
    /// It was sent before, and is stored once.
    pub duplicate: bool,
}

impl Committed {
    pub(crate) fn of(message: &Message<'_, &Profile>) -> Self {
        Self {
            id: message.id,
            seq: message.seq,
            sender: message.sender_id.id,
            sent_at: message.sent_at,
            read_at: message.read_at,
            duplicate: false,
        }
    }
}

/// Why a message has no place in its conversation.
#[derive(Clone, Debug, Error)]
pub enum PostError {
    /// It is not stored.
    #[error("refused: {}", .0.message)]
    Refused(Refusal),
    /// Whether it is stored cannot be known now. To say that it failed would be a guess.
    #[error("the outcome is not known")]
    OutcomeUnknown,
}

/// Where an answer goes.
pub(crate) struct Reply(Option<Target>);

/// A message that is answered and not yet delivered.
pub(crate) struct Delivering {
    _held: Option<Held>,
}

/// What counts a session's request until it is answered, and a message until it is delivered.
struct Held {
    under_way: Option<UnderWay>,
    _permit: Permit,
    unanswered: Unanswered,
}

/// One request of a session that is not answered yet.
#[must_use]
pub struct Unanswered {
    counters: Arc<Counters>,
    recoverable: Option<Arc<Recoverable>>,
}

impl Unanswered {
    pub(crate) fn begin(counters: &Arc<Counters>, recoverable: Option<Arc<Recoverable>>) -> Self {
        counters.add(Gauge::Unanswered);
        if let Some(recoverable) = &recoverable {
            recoverable.asked();
        }
        Self { counters: counters.clone(), recoverable }
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.counters.sub(Gauge::Unanswered);
        if let Some(recoverable) = &self.recoverable {
            recoverable.answered();
        }
    }
}

pub(crate) fn acknowledge(outbox: &dyn Outbox, ack: AckId, data: &str) {
    outbox.ack(ack, &format!(r#"{{"success":true,"data":{data}}}"#));
}

enum Target {
    /// To a session: its acknowledgement, if it asked for one.
    Session { outbox: Arc<dyn Outbox>, ack: Option<AckId>, held: Held },
    /// To a caller that awaits it.
    Caller(oneshot::Sender<Result<Committed, Refusal>>),
}

impl Reply {
    pub(crate) fn session(outbox: Arc<dyn Outbox>, ack: Option<AckId>, permit: Permit, unanswered: Unanswered) -> Self {
        let held = Held { under_way: None, _permit: permit, unanswered };
        Self(Some(Target::Session { outbox, ack, held }))
    }

    /// Nobody waits for it.
    pub(crate) fn nobody() -> Self {
        Self(None)
    }

    pub(crate) fn caller(sender: oneshot::Sender<Result<Committed, Refusal>>) -> Self {
        Self(Some(Target::Caller(sender)))
    }

    /// The reply to a message, which counts as under way until it is delivered or refused.
    pub(crate) fn counted(mut self, count: UnderWay) -> Self {
        if let Some(Target::Session { held, .. }) = &mut self.0 {
            held.under_way = Some(count);
        }
        self
    }

    /// Done; there is nothing more to say than `data`, JSON.
    pub(crate) fn done(mut self, data: Option<&str>) {
        if let Some(Target::Session { outbox, ack: Some(ack), .. }) = self.0.take() {
            match data {
                Some(data) => acknowledge(&*outbox, ack, data),
                None => outbox.ack(ack, r#"{"success":true}"#),
            }
        }
    }

    /// A message is committed; `json` is its form on the wire. What comes back is to be dropped when it is delivered.
    pub(crate) fn committed(mut self, message: Committed, json: &str) -> Delivering {
        match self.0.take() {
            Some(Target::Session { outbox, ack, held }) => {
                if let Some(ack) = ack {
                    acknowledge(&*outbox, ack, json);
                }
                Delivering { _held: Some(held) }
            }
            Some(Target::Caller(sender)) => {
                // A caller that went away meanwhile needs no answer.
                let _ = sender.send(Ok(message));
                Delivering { _held: None }
            }
            None => Delivering { _held: None },
        }
    }

    pub(crate) fn refuse(mut self, refusal: &Refusal) {
        if let Some(Target::Session { held, .. }) = &self.0 {
            held.unanswered.counters.refused(refusal.code);
        }
        match self.0.take() {
            Some(Target::Session { outbox, ack, .. }) => outbox.refuse(ack, refusal),
            Some(Target::Caller(sender)) => drop(sender.send(Err(refusal.clone()))),
            _ => (),
        }
    }
}

impl Reply {
    /// Nobody can answer in time: lets the caller go as if the answer had been lost.
    pub(crate) fn let_go(&mut self) {
        drop(Self(self.0.take()));
    }
}

impl Drop for Reply {
    /// Not answered: the outcome is not known here, and a guess would be a lie. A session is closed, so that its client
    /// looks again; a caller's channel closes.
    fn drop(&mut self) {
        if let Some(Target::Session { outbox, ack: Some(_), .. }) = self.0.take() {
            outbox.close(CloseReason::OutcomeUnknown);
        }
    }
}
