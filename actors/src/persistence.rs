//! Persistence: lanes of group commit, and which conversation is on which.

use tokio::sync::oneshot;
use tokio_postgres::Config;

use std::sync::Arc;

use crate::{
    counters::Counters,
    ids::{ConversationId, UserId},
    lane::{Lane, LaneHandle, Post},
    limits::LANES,
    refusal::Refusal,
    room::RoomHandle,
    workers::spread,
};

/// All lanes. A conversation's rows are always on the same one, so that they commit in the order they came.
#[derive(Debug)]
pub(crate) struct Persistence(Vec<LaneHandle>);

impl Persistence {
    /// Starts the lanes on a thread of their own.
    pub(crate) fn start(database: &Config, counters: &Arc<Counters>) -> Self {
        let arbiter = actix::Arbiter::new();
        Self(
            (0..LANES)
                .map(|number| Lane::start(number, database.clone(), counters.clone(), &arbiter.handle()))
                .collect(),
        )
    }

    /// Takes a message to its commit; the room hears of the outcome. When the lane is full, it comes back.
    pub(crate) fn append(&self, post: Box<Post>, room: RoomHandle) -> Result<(), Box<Post>> {
        self.lane(post.conversation).append(post, room)
    }

    /// Takes a read mark to its commit.
    pub(crate) fn mark_read(
        &self,
        conversation: ConversationId,
        reader: UserId,
        seq: i64,
        answer: oneshot::Sender<Result<(), Refusal>>,
    ) {
        self.lane(conversation).mark_read(conversation, reader, seq, answer);
    }

    /// Rows that are not committed yet.
    pub(crate) fn waiting(&self) -> usize {
        self.0.iter().map(LaneHandle::waiting).sum()
    }

    fn lane(&self, conversation: ConversationId) -> &LaneHandle {
        &self.0[spread(conversation, self.0.len())]
    }
}
