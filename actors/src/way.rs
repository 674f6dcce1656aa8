//! The way of one message, as a trace: accepted, waiting for its batch, committed, announced, delivered to whom.
//!
//! Its spans have the target [`TARGET`], and mostly nobody listens to that: then a way is empty, and following it costs a
//! comparison. Texts are not in it. (OpenTelemetry's terms: <https://opentelemetry.io/docs/concepts/signals/traces/>.)

use tracing::{Span, field::Empty, info_span};

use crate::{
    ids::{ConversationId, MessageId, SessionId, UserId},
    outbox::Queued,
    refusal::Refusal,
};

/// The target of all spans of ways.
pub const TARGET: &str = "way";

/// One message's; clones are the same one. It ends with the last of them.
#[derive(Clone, Debug)]
pub struct Way(Span);

impl Way {
    /// A message has come to be sent to a conversation.
    pub fn begin(conversation: ConversationId) -> Self {
        Self(info_span!(
            target: TARGET, "message", %conversation,
            sender = Empty, message = Empty, seq = Empty, duplicate = Empty, refused = Empty, trace_id = Empty
        ))
    }

    /// Notes the id that a collector knows it by, if there is one.
    pub fn traced(&self, id: impl FnOnce(&Span) -> Option<String>) {
        if self.is_followed()
            && let Some(id) = id(&self.0)
        {
            self.0.record("trace_id", id);
        }
    }

    /// Nobody follows it.
    pub fn none() -> Self {
        Self(Span::none())
    }

    fn is_followed(&self) -> bool {
        !self.0.is_disabled()
    }

    /// It is let in, and waits for a batch until what is returned is dropped.
    pub(crate) fn waits(&self, message: MessageId, sender: UserId) -> Span {
        if !self.is_followed() {
            return Span::none();
        }
        self.0.record("message", tracing::field::display(message));
        self.0.record("sender", tracing::field::display(sender));
        info_span!(target: TARGET, parent: &self.0, "wait")
    }

    /// It is being committed, with so many others, until what is returned is dropped.
    pub(crate) fn commits(&self, rows: usize) -> Option<Span> {
        self.is_followed().then(|| info_span!(target: TARGET, parent: &self.0, "commit", rows))
    }

    /// It is committed, and everybody is told.
    pub(crate) fn announces(&self, seq: i64) -> Span {
        if !self.is_followed() {
            return Span::none();
        }
        self.0.record("seq", seq);
        info_span!(target: TARGET, parent: &self.0, "announce")
    }

    /// It had been stored before.
    pub(crate) fn repeats(&self) {
        self.0.record("duplicate", true);
    }

    /// It is not stored.
    pub(crate) fn refused(&self, refusal: &Refusal) {
        if self.is_followed() {
            self.0.record("refused", refusal.code.as_str());
        }
    }

    /// A worker puts it into its sessions' outboxes.
    pub(crate) fn delivers(&self, worker: usize) -> Delivers {
        let span = if self.is_followed() {
            info_span!(target: TARGET, parent: &self.0, "deliver", worker)
        } else {
            Span::none()
        };
        Delivers(span)
    }
}

/// The part of a way on one worker.
pub(crate) struct Delivers(Span);

impl Delivers {
    /// A session was given an event, keeps it for its client, or had no room for it.
    pub(crate) fn to(&self, session: SessionId, event: &'static str, queued: Queued) {
        if !self.0.is_disabled() {
            let queued = match queued {
                Queued::Yes => "yes",
                Queued::Kept => "kept",
                Queued::Full => "full",
                Queued::Closed => "closed",
            };
            tracing::info!(target: TARGET, parent: &self.0, %session, queued, "{event}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_that_nobody_follows_is_empty_all_along() {
        let way = Way::begin(ConversationId::new());
        assert!(!way.is_followed());
        assert!(way.waits(MessageId::new(), UserId::new()).is_disabled());
        assert!(way.commits(1).is_none() && way.announces(1).is_disabled() && way.delivers(0).0.is_disabled());
    }
}
