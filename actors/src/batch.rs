//! The rows of one commit.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use tracing::Span;

use crate::{
    draft::ClientMsgId,
    ids::{ConversationId, MessageId, UserId},
    lane::{Outcome, Post},
    refusal::Refusal,
    reply::Reply,
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
    /// The part of its way until its batch is sent.
    pub(crate) wait: Span,
}

/// A read mark, who waits for it, and the room that hears of it.
pub(crate) struct Mark {
    pub(crate) conversation: ConversationId,
    pub(crate) reader: UserId,
    pub(crate) seq: i64,
    pub(crate) read_at: Timestamp,
    /// `None` when whoever asked has been told.
    pub(crate) answer: Option<ReadAnswer>,
    pub(crate) room: RoomHandle,
    pub(crate) since: Instant,
}

impl Mark {
    /// Tells whoever asked, unless they have been told.
    pub(crate) fn finish(&mut self, outcome: Result<(), Refusal>) {
        if let Some(answer) = self.answer.take() {
            answer.finish(outcome);
        }
    }
}

/// Who waits until something is read.
pub(crate) enum ReadAnswer {
    /// A caller that awaits it.
    Caller(oneshot::Sender<Result<(), Refusal>>),
    /// A session.
    Session(Reply),
}

impl ReadAnswer {
    pub(crate) fn finish(self, outcome: Result<(), Refusal>) {
        match (self, outcome) {
            // A caller that went away meanwhile needs no answer.
            (Self::Caller(caller), outcome) => drop(caller.send(outcome)),
            (Self::Session(reply), Ok(())) => reply.done(None),
            (Self::Session(reply), Err(refusal)) => reply.refuse(&refusal),
        }
    }
}

/// What has become read in a conversation, by one batch.
#[derive(Debug)]
pub(crate) struct Receipt {
    pub(crate) conversation: ConversationId,
    pub(crate) reader: UserId,
    /// Everything of the other participant up to here is read.
    pub(crate) seq: i64,
    pub(crate) read_at: Timestamp,
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

    /// Nothing of it waits any more; it is being committed until what is returned is dropped.
    pub(crate) fn commits(&mut self) -> Vec<Span> {
        let rows = self.appends.len();
        let sent = self.appends.iter_mut().filter_map(|append| {
            append.wait = Span::none();
            append.post.draft.way.commits(rows)
        });
        sent.collect()
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

    /// Lets callers go that have waited longer. Senders get no answer, since nobody can give them one; whoever marks is
    /// refused, since marking again does no harm. The rows stay, so that the rooms hear of them when their outcome is known.
    pub(crate) fn let_go_after(&mut self, wait: Duration) {
        for append in self.appends.iter_mut().filter(|append| append.since.elapsed() >= wait) {
            append.post.reply.let_go();
        }
        for mark in self.marks.iter_mut().filter(|mark| mark.since.elapsed() >= wait) {
            mark.finish(Err(Refusal::unavailable()));
        }
    }

    /// The rows whose outcome is not known yet.
    pub(crate) fn missing(&self, known: &HashMap<MessageId, Outcome>) -> Part {
        let missing = |row: &usize| !known.contains_key(&self.appends[*row].post.id);
        let rows: Vec<_> = (0..self.appends.len()).filter(missing).collect();
        Part { one_conversation: rows.len() == 1, rows }
    }

    /// The columns of some rows, for `append_messages.sql` and `append_named_messages.sql`.
    pub(crate) fn columns(&self, part: &Part) -> Columns<'_> {
        let mut columns = Columns::with_capacity(part.rows.len());
        for post in part.rows.iter().map(|row| &self.appends[*row].post) {
            columns.ids.push(post.id);
            columns.conversations.push(post.conversation);
            columns.senders.push(post.sender);
            columns.texts.push(post.draft.text.as_str());
            columns.sent_at.push(post.sent_at);
            columns.client_msg_ids.push(post.draft.client_msg_id.as_ref());
        }
        columns
    }
}

/// Some rows of a batch, in their order.
pub(crate) struct Part {
    pub(crate) rows: Vec<usize>,
    one_conversation: bool,
}

impl Part {
    /// What was refused as a whole, in smaller parts: by conversation, so that a locked one does not hold up others; then
    /// row by row, unless the reason would `pass` by itself. It comes back if it is not to be split further. The first
    /// part to be tried is the last.
    pub(crate) fn split(self, batch: &Batch, passing: bool) -> Result<Vec<Self>, Self> {
        if self.one_conversation && (passing || self.rows.len() == 1) {
            return Err(self);
        }
        if self.one_conversation {
            let rows = self.rows.iter().rev();
            return Ok(rows.map(|row| Self { rows: vec![*row], one_conversation: true }).collect());
        }
        let mut parts: Vec<(ConversationId, Self)> = Vec::new();
        for row in self.rows {
            let conversation = batch.appends[row].post.conversation;
            match parts.iter_mut().find(|(other, _)| *other == conversation) {
                Some((_, part)) => part.rows.push(row),
                None => parts.push((conversation, Self { rows: vec![row], one_conversation: true })),
            }
        }
        Ok(parts.into_iter().map(|(_, part)| part).rev().collect())
    }
}

/// Rows of messages, column by column.
pub(crate) struct Columns<'a> {
    pub(crate) ids: Vec<MessageId>,
    pub(crate) conversations: Vec<ConversationId>,
    pub(crate) senders: Vec<UserId>,
    pub(crate) texts: Vec<&'a str>,
    pub(crate) sent_at: Vec<Timestamp>,
    pub(crate) client_msg_ids: Vec<Option<&'a ClientMsgId>>,
}

impl Columns<'_> {
    fn with_capacity(rows: usize) -> Self {
        Self {
            ids: Vec::with_capacity(rows),
            conversations: Vec::with_capacity(rows),
            senders: Vec::with_capacity(rows),
            texts: Vec::with_capacity(rows),
            sent_at: Vec::with_capacity(rows),
            client_msg_ids: Vec::with_capacity(rows),
        }
    }
}
