//! The rows of one commit.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::{
    ids::{ConversationId, MessageId, UserId},
    lane::Post,
    refusal::Refusal,
    room::RoomHandle,
    timestamp::Timestamp,
};

/// Why a batch was flushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FlushReason {
    /// Nothing was being committed: a row goes at once.
    Idle,
    /// The commit before it ended; this is what gathered meanwhile.
    Gathered,
    /// More had gathered than a batch holds.
    Full,
    /// Postgres was away.
    Retry,
}

/// A message and the room that hears of it.
pub(crate) struct Append {
    pub(crate) post: Box<Post>,
    pub(crate) room: RoomHandle,
    pub(crate) since: Instant,
}

/// A read mark and the caller that waits for it.
pub(crate) struct Mark {
    pub(crate) conversation: ConversationId,
    pub(crate) reader: UserId,
    pub(crate) seq: i64,
    pub(crate) read_at: Timestamp,
    pub(crate) answer: oneshot::Sender<Result<(), Refusal>>,
    pub(crate) since: Instant,
}

impl Mark {
    pub(crate) fn finish(self, outcome: Result<(), Refusal>) {
        // A caller that went away meanwhile needs no answer.
        let _ = self.answer.send(outcome);
    }
}

/// What is committed in one round trip.
pub(crate) struct Batch {
    pub(crate) appends: Vec<Append>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) reason: FlushReason,
}

impl Batch {
    pub(crate) fn empty() -> Self {
        Self { appends: Vec::new(), marks: Vec::new(), reason: FlushReason::Retry }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.appends.is_empty() && self.marks.is_empty()
    }

    /// Takes out what has waited at least as long.
    pub(crate) fn take_expired(&mut self, wait: Duration) -> Self {
        let mut expired = Self::empty();
        expired.appends.extend(self.appends.extract_if(.., |append| append.since.elapsed() >= wait));
        expired.marks.extend(self.marks.extract_if(.., |mark| mark.since.elapsed() >= wait));
        expired
    }

    /// Lets callers go that have waited longer, without an answer: nobody can give them one. The rows stay, so that the
    /// rooms hear of them when their outcome is known.
    pub(crate) fn let_go_after(&mut self, wait: Duration) {
        for append in self.appends.iter_mut().filter(|append| append.since.elapsed() >= wait) {
            append.post.reply.let_go();
        }
    }

    /// The columns of the rows that pass, for `append_messages.sql`.
    pub(crate) fn columns(&self, include: impl Fn(&MessageId) -> bool) -> Columns<'_> {
        let mut columns = Columns::default();
        for Append { post, .. } in self.appends.iter().filter(|append| include(&append.post.id)) {
            columns.ids.push(post.id);
            columns.conversations.push(post.conversation);
            columns.senders.push(post.sender);
            columns.texts.push(post.text.as_str());
            columns.sent_at.push(post.sent_at);
        }
        columns
    }
}

/// Rows of messages, column by column.
#[derive(Default)]
pub(crate) struct Columns<'a> {
    pub(crate) ids: Vec<MessageId>,
    pub(crate) conversations: Vec<ConversationId>,
    pub(crate) senders: Vec<UserId>,
    pub(crate) texts: Vec<&'a str>,
    pub(crate) sent_at: Vec<Timestamp>,
}
