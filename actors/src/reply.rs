//! The answer that somebody waits for: given exactly once, or, where nobody can know it, by closing the connection.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::{
    gate::Permit,
    ids::{MessageId, UserId},
    message::Message,
    outbox::{AckId, CloseReason, Outbox},
    profile::Profile,
    refusal::Refusal,
    timestamp::Timestamp,
};

/// A message that was committed, as a REST caller needs it.
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
}

/// Where an answer goes.
pub(crate) struct Reply(Option<Target>);

enum Target {
    /// To a session: its acknowledgement, if it asked for one.
    Session { outbox: Arc<dyn Outbox>, ack: Option<AckId>, _permit: Permit },
    /// To a caller that awaits it.
    Caller(oneshot::Sender<Result<Committed, Refusal>>),
}

impl Reply {
    pub(crate) fn session(outbox: Arc<dyn Outbox>, ack: Option<AckId>, permit: Permit) -> Self {
        Self(Some(Target::Session { outbox, ack, _permit: permit }))
    }

    pub(crate) fn caller(sender: oneshot::Sender<Result<Committed, Refusal>>) -> Self {
        Self(Some(Target::Caller(sender)))
    }

    /// Done; there is nothing more to say than `data`, JSON.
    pub(crate) fn done(mut self, data: Option<&str>) {
        if let Some(Target::Session { outbox, ack: Some(ack), .. }) = self.0.take() {
            match data {
                Some(data) => outbox.ack(ack, &format!(r#"{{"success":true,"data":{data}}}"#)),
                None => outbox.ack(ack, r#"{"success":true}"#),
            }
        }
    }

    /// A message was committed; `json` is its form on the wire.
    pub(crate) fn committed(mut self, message: &Message<'_, &Profile>, json: &str) {
        if matches!(self.0, Some(Target::Session { .. })) {
            return self.done(Some(json));
        }
        if let Some(Target::Caller(sender)) = self.0.take() {
            // A caller that went away meanwhile needs no answer.
            let _ = sender.send(Ok(Committed {
                id: message.id,
                seq: message.seq,
                sender: message.sender_id.id,
                sent_at: message.sent_at,
            }));
        }
    }

    pub(crate) fn refuse(mut self, refusal: &Refusal) {
        match self.0.take() {
            Some(Target::Session { outbox, ack: Some(ack), .. }) => outbox.ack(ack, &refusal.to_json()),
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
