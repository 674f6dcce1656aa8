//! A lane of the persistence actor: group commit on one connection.
//!
//! Nothing waits for a timer: a batch is what gathered while the last one was being committed, [`BATCH_ROWS`] at most.
//! A row that waits longer than [`LANE_WAIT`] for its batch is refused; it was never sent. A batch whose
//! outcome was not heard is neither refused nor sent again until its ids have been looked up. A panic here ends the
//! process: nobody else could say what was committed.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use actix::{Actor, ActorFutureExt, Arbiter, AsyncContext, Context, Handler, Message as ActixMessage, WrapFuture};
use tokio_postgres::Config;

use crate::{
    backoff::Backoff,
    batch::{Append, Batch, FlushReason, Mark, ReadAnswer},
    counters::{Counters, Gauge},
    draft::Draft,
    ids::{ConversationId, MessageId, UserId},
    limits::{BATCH_ROWS, LANE_LOOK, LANE_QUEUE, LANE_WAIT, UNKNOWN_WAIT},
    link::{Attempt, Link, Marked},
    mailbox::{Mailbox, Waiting},
    message::StoredMessage,
    refusal::Refusal,
    reply::Reply,
    room::RoomHandle,
    timestamp::Timestamp,
    workers::end_server,
};

/// A message on its way to its commit and back to its room.
pub(crate) struct Post {
    pub(crate) id: MessageId,
    pub(crate) conversation: ConversationId,
    pub(crate) sender: UserId,
    pub(crate) draft: Draft,
    pub(crate) sent_at: Timestamp,
    pub(crate) reply: Reply,
}

/// What became of a row.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// Committed, with this seq.
    Stored(i64),
    /// It was stored before, as this one, under the same client_msg_id.
    Repeated(Arc<StoredMessage>),
    /// Not stored, and never will be.
    Refused(Refusal),
}

/// A message that comes back to its room.
pub(crate) type Settled = (Box<Post>, Outcome);

/// Callers' side of a lane. Its bound counts rows until they are done.
#[derive(Debug)]
pub(crate) struct LaneHandle(Mailbox<Lane>);

impl LaneHandle {
    pub(crate) fn append(&self, post: Box<Post>, room: RoomHandle) -> Result<(), Box<Post>> {
        let wait = post.draft.way.waits(post.id, post.sender);
        let command = LaneCommand::Append(Append { post, room, since: Instant::now(), wait });
        self.0.offer(command).map_err(|command| match command {
            LaneCommand::Append(append) => append.post,
            _ => unreachable!("what comes back is what was offered"),
        })
    }

    pub(crate) fn mark_read(
        &self,
        conversation: ConversationId,
        reader: UserId,
        seq: i64,
        answer: ReadAnswer,
        room: RoomHandle,
    ) {
        let (read_at, since) = (Timestamp::now(), Instant::now());
        let mark = Mark { conversation, reader, seq, read_at, answer: Some(answer), room, since };
        if let Err(LaneCommand::Mark(mut mark)) = self.0.offer(LaneCommand::Mark(mark)) {
            mark.finish(Err(Refusal::unavailable()));
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.0.waiting()
    }
}

pub(crate) struct Lane {
    /// `None` while a batch is being committed on it.
    link: Option<Link>,
    /// A batch whose outcome was not heard, or that could not be sent yet.
    unfinished: Option<Batch>,
    appends: VecDeque<Append>,
    marks: VecDeque<Mark>,
    backoff: Backoff,
    waiting: Waiting,
    counters: Arc<Counters>,
}

#[derive(ActixMessage)]
#[rtype(result = "()")]
enum LaneCommand {
    Append(Append),
    Mark(Mark),
    #[cfg(test)]
    Panic,
}

impl Lane {
    /// Starts a lane in this thread's arbiter.
    pub(crate) fn start(number: usize, database: Config, counters: Arc<Counters>) -> LaneHandle {
        let waiting = Waiting::default();
        let counted = waiting.clone();
        let address = Self::start_in_arbiter(&Arbiter::current(), move |_| Self {
            link: Some(Link::new(number, &database)),
            unfinished: None,
            appends: VecDeque::new(),
            marks: VecDeque::new(),
            backoff: Backoff::default(),
            waiting: counted,
            counters,
        });
        LaneHandle(Mailbox::new(address, waiting, LANE_QUEUE))
    }

    /// Commits what there is, if the link is free.
    fn flush(&mut self, reason: FlushReason, ctx: &mut Context<Self>) {
        let Some(link) = self.link.take() else { return };
        let batch = match self.unfinished.take() {
            Some(batch) => batch,
            None if self.appends.is_empty() && self.marks.is_empty() => {
                self.link = Some(link);
                return;
            }
            None => self.next_batch(reason),
        };
        tracing::trace!(rows = batch.appends.len(), marks = batch.marks.len(), reason = ?batch.reason, "commit");
        let commit = async move {
            let (mut link, mut batch) = (link, batch);
            let sent_at = Instant::now();
            let _commits = batch.commits();
            let attempt = link.commit(&batch).await;
            (link, batch, attempt, sent_at.elapsed())
        };
        ctx.spawn(commit.into_actor(self).map(|(link, batch, attempt, took), lane, ctx| {
            if matches!(attempt, Attempt::Done { .. }) {
                lane.counters.commits.observe(took);
                let now = Instant::now();
                for append in &batch.appends {
                    lane.counters.messages.observe(now.duration_since(append.since));
                }
                lane.counters.batch_messages.observe(batch.appends.len() as f64);
            }
            lane.attempted(link, batch, attempt, ctx);
        }));
    }

    fn next_batch(&mut self, reason: FlushReason) -> Batch {
        let full = self.appends.len() > BATCH_ROWS || self.marks.len() > BATCH_ROWS;
        Batch {
            appends: self.appends.drain(..self.appends.len().min(BATCH_ROWS)).collect(),
            marks: self.marks.drain(..self.marks.len().min(BATCH_ROWS)).collect(),
            reason: if full { FlushReason::Full } else { reason },
        }
    }

    fn attempted(&mut self, link: Link, mut batch: Batch, attempt: Attempt, ctx: &mut Context<Self>) {
        match attempt {
            Attempt::Done { appends, marked } => {
                self.link = Some(link);
                self.backoff.reset();
                self.finished(batch, appends, marked);
                return self.flush(FlushReason::Gathered, ctx);
            }
            Attempt::Unreachable => self.finish_expired(&mut batch),
            Attempt::Unknown => batch.let_go_after(UNKNOWN_WAIT),
        }
        if !batch.is_empty() {
            self.unfinished = Some(batch);
        }
        // The link stays away meanwhile, so that nothing is flushed before.
        ctx.run_later(self.backoff.next(), move |lane, ctx| {
            lane.link = Some(link);
            lane.flush(FlushReason::Retry, ctx);
        });
    }

    fn finished(&mut self, batch: Batch, appends: Vec<Outcome>, marked: Marked) {
        let stored = appends.iter().filter(|outcome| matches!(outcome, Outcome::Stored(_))).count();
        self.counters.change(Gauge::MessagesCommitted, stored as i64);
        self.counters.add(Gauge::BatchesCommitted);
        let rooms: HashMap<_, _> = batch.marks.iter().map(|mark| (mark.conversation, mark.room.clone())).collect();
        // Before the answers: an orderly stop waits for the ones and then for the others.
        let receipts = marked.receipts.into_iter().filter_map(|receipt| {
            let room = rooms.get(&receipt.conversation)?;
            Some((room, receipt, self.counters.hold(Gauge::Announcements)))
        });
        let receipts: Vec<_> = receipts.collect();
        // Before the receipts, which may be about these messages.
        self.give_back(batch.appends.into_iter().zip(appends));
        receipts.into_iter().for_each(|(room, receipt, told)| room.marked(receipt, told));
        for mut mark in batch.marks {
            self.waiting.taken();
            let is_refused = marked.refused.contains(&mark.conversation);
            mark.finish(if is_refused { Err(Refusal::unavailable()) } else { Ok(()) });
        }
    }

    /// Rooms get their rows back, in order, in one message each.
    fn give_back(&self, rows: impl Iterator<Item = (Append, Outcome)>) {
        let mut by_room: Vec<(RoomHandle, Vec<Settled>)> = Vec::new();
        let mut places = HashMap::new();
        for (Append { post, room, .. }, outcome) in rows {
            self.waiting.taken();
            let place = *places.entry(post.conversation).or_insert_with(|| {
                by_room.push((room, Vec::new()));
                by_room.len() - 1
            });
            by_room[place].1.push((post, outcome));
        }
        for (room, rows) in by_room {
            room.committed(rows);
        }
    }

    /// Refuses the rows of a batch that was never sent and has waited long enough.
    fn finish_expired(&self, batch: &mut Batch) {
        let expired = batch.take_expired(LANE_WAIT);
        self.refuse(expired);
    }

    fn expire_queued(&mut self) {
        let mut expired = Batch::empty();
        while self.appends.front().is_some_and(|append| append.since.elapsed() >= LANE_WAIT) {
            expired.appends.extend(self.appends.pop_front());
        }
        while self.marks.front().is_some_and(|mark| mark.since.elapsed() >= LANE_WAIT) {
            expired.marks.extend(self.marks.pop_front());
        }
        self.refuse(expired);
    }

    fn refuse(&self, batch: Batch) {
        for mut mark in batch.marks {
            self.waiting.taken();
            mark.finish(Err(Refusal::unavailable()));
        }
        self.give_back(batch.appends.into_iter().map(|append| (append, Outcome::Refused(Refusal::overloaded()))));
    }
}

impl Actor for Lane {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        // Also while a batch is being committed, which may take long.
        ctx.run_interval(LANE_LOOK, |lane, _| lane.expire_queued());
    }
}

impl Handler<LaneCommand> for Lane {
    type Result = ();

    fn handle(&mut self, command: LaneCommand, ctx: &mut Context<Self>) {
        match command {
            LaneCommand::Append(append) => self.appends.push_back(append),
            LaneCommand::Mark(mark) => self.marks.push_back(mark),
            #[cfg(test)]
            LaneCommand::Panic => panic!("asked to"),
        }
        self.flush(FlushReason::Idle, ctx);
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if std::thread::panicking() {
            end_server("a persistence lane failed; the server ends");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{env, process::Command, time::Duration};

    use crate::limits::EXIT_ACTOR_FAILED;

    use super::*;

    const CHILD: &str = "HORSETRUST_CHAT_LANE_PANICS";

    #[test]
    fn a_lane_that_fails_ends_the_process() {
        let mut child = Command::new(env::current_exe().expect("this test"));
        let child = child.args(["--exact", "lane::tests::a_lane_fails_in_a_process_of_its_own"]).env(CHILD, "1");
        assert_eq!(child.output().expect("this test, once more").status.code(), Some(EXIT_ACTOR_FAILED));
    }

    /// The other test's child; by itself it does nothing.
    #[actix::test]
    async fn a_lane_fails_in_a_process_of_its_own() {
        if env::var_os(CHILD).is_none() {
            return;
        }
        let lane = Lane::start(0, Config::new(), Arc::default());
        lane.0.push(LaneCommand::Panic);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}
