//! Persistence: lanes of group commit, and which conversation is on which.

use std::sync::Arc;

use tokio_postgres::Config;

use crate::{
    batch::ReadAnswer,
    counters::Counters,
    ids::{ConversationId, UserId},
    lane::{Lane, LaneHandle, Post},
    limits::{LANES, WORKERS_OF_ONE_LANE},
    room::RoomHandle,
    workers::spread,
};

/// How many lanes each of so many workers has.
pub(crate) fn lanes(workers: usize) -> usize {
    if workers < WORKERS_OF_ONE_LANE { LANES } else { 1 }
}

/// The lanes of one worker, for the rooms of that worker: what they commit crosses no thread. A conversation's rows are
/// always on the same lane, so that they commit in the order they came.
#[derive(Clone, Debug)]
pub(crate) struct Persistence(Arc<[LaneHandle]>);

impl Persistence {
    /// Starts the lanes of this thread's worker, one of so many.
    pub(crate) fn start_here(index: usize, workers: usize, database: &Config, counters: &Arc<Counters>) -> Self {
        let lanes = lanes(workers);
        let start = |lane| Lane::start(index * lanes + lane, database.clone(), counters.clone());
        Self((0..lanes).map(start).collect())
    }

    /// Takes a message to its commit; the room hears of the outcome. When the lane is full, it comes back.
    pub(crate) fn append(&self, post: Box<Post>, room: RoomHandle) -> Result<(), Box<Post>> {
        self.lane(post.conversation).append(post, room)
    }

    /// Takes a read mark to its commit; the room hears of what became read.
    pub(crate) fn mark_read(
        &self,
        conversation: ConversationId,
        reader: UserId,
        seq: i64,
        answer: ReadAnswer,
        room: RoomHandle,
    ) {
        self.lane(conversation).mark_read(conversation, reader, seq, answer, room);
    }

    /// Rows that are not committed yet.
    pub(crate) fn waiting(&self) -> usize {
        self.0.iter().map(LaneHandle::waiting).sum()
    }

    /// How many lanes there are.
    pub(crate) fn lanes(&self) -> usize {
        self.0.len()
    }

    fn lane(&self, conversation: ConversationId) -> &LaneHandle {
        // Not by the same number as the worker was chosen by, of which the worker's conversations have only some values.
        &self.0[spread(("lane", conversation), self.0.len())]
    }
}
