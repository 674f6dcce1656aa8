//! Callers' side of a room: methods instead of messages.

use std::sync::{Arc, Weak};

use actix::Actor;
use tokio::sync::oneshot;

use crate::{
    batch::{ReadAnswer, Receipt},
    counters::Gauge,
    counters::Held,
    draft::Draft,
    hub::HubHandle,
    ids::{ConversationId, SessionId, UserId},
    lane::Settled,
    limits::ROOM_QUEUE,
    loading::RoomLoad,
    mailbox::{Mailbox, Waiting},
    message::MessageDeleted,
    profile::Profile,
    refusal::{Code, Refusal},
    reply::{Committed, PostError, Reply},
    session::{Member, Missed},
    shared::Shared,
};

use super::{Participants, Room, RoomCommand, RoomDescription};

/// Whoever holds one keeps the room from stopping.
#[derive(Clone, Debug)]
pub(crate) struct RoomHandle(pub(super) Arc<Known>);

/// A room that may have stopped.
pub(crate) struct WeakRoom(Weak<Known>);

impl WeakRoom {
    pub(crate) fn is(&self, room: &RoomHandle) -> bool {
        std::ptr::eq(self.0.as_ptr(), Arc::as_ptr(&room.0))
    }

    /// A session that has said that its user types is not connected any more.
    pub(crate) fn typist_gone(&self, session: SessionId) {
        if let Some(room) = self.0.upgrade() {
            room.mailbox.push(RoomCommand::TypistGone(session));
        }
    }
}

/// What callers know of a room.
#[derive(Debug)]
pub(crate) struct Known {
    pub(super) mailbox: Mailbox<Room>,
    participants: Participants,
}

impl RoomHandle {
    /// Starts the room on one of the workers, the same one for the same conversation.
    pub(crate) fn start(conversation: ConversationId, shared: &Arc<Shared>) -> Self {
        let waiting = Waiting::default();
        let participants = Participants::default();
        let worker = shared.workers.worker_of(conversation);
        let persistence = worker.persistence.clone();
        let room = Room::new(conversation, shared.clone(), persistence, waiting.clone(), participants.clone());
        shared.counters.add(Gauge::Rooms);
        let address = Room::start_in_arbiter(&worker.arbiter, move |_| room);
        Self(Arc::new(Known { mailbox: Mailbox::new(address, waiting, ROOM_QUEUE), participants }))
    }

    /// What it is made of, so that it need not ask Postgres.
    pub(crate) fn loaded(&self, load: RoomLoad) {
        self.0.mailbox.push(RoomCommand::Loaded(load));
    }

    pub(crate) fn join(&self, member: Member, missed: Option<Box<Missed>>, reply: Reply) {
        self.offer(RoomCommand::Join(member, missed, reply));
    }

    pub(crate) fn leave(&self, session: SessionId) {
        self.0.mailbox.push(RoomCommand::Leave(session, None));
    }

    /// The same for a session that goes on, and its hub.
    pub(crate) fn leave_and_say(&self, session: SessionId, hub: HubHandle, reply: Reply) {
        self.0.mailbox.push(RoomCommand::Leave(session, Some((hub, reply))));
    }

    /// A message for this user was deleted by its sender.
    pub(crate) fn deleted(&self, deleted: MessageDeleted, reader: UserId, told: Held) {
        self.0.mailbox.push(RoomCommand::Deleted(deleted, reader, told));
    }

    pub(crate) fn post(&self, sender: UserId, draft: Draft, reply: Reply) {
        self.offer(RoomCommand::Post { sender, draft, reply, room: self.clone() });
    }

    /// Posts and waits for the commit.
    pub(crate) async fn post_and_wait(&self, sender: UserId, draft: Draft) -> Result<Committed, PostError> {
        let (answer, answered) = oneshot::channel();
        self.post(sender, draft, Reply::caller(answer));
        match answered.await {
            Ok(outcome) => outcome.map_err(PostError::Refused),
            Err(_) => Err(PostError::OutcomeUnknown),
        }
    }

    pub(crate) fn typing(&self, typist: UserId, session: SessionId, started: bool, reply: Reply) {
        self.offer(RoomCommand::Typing { typist, session, started, reply });
    }

    /// The profiles of the participants, as they are now, if `user` is one of them; mostly without asking the actor.
    pub(crate) async fn introduce(&self, user: UserId) -> Result<[Arc<Profile>; 2], Refusal> {
        if self.0.participants.get().is_none() {
            let (answer, answered) = oneshot::channel();
            self.offer(RoomCommand::Introduce { to: user, answer });
            answered.await.unwrap_or_else(|_| Err(Refusal::unavailable())).map_err(as_a_read)?;
        }
        let two = self.0.participants.get().ok_or_else(Refusal::unavailable)?;
        let profiles = two.each_ref().map(|profile| profile.get());
        let is_participant = profiles.iter().any(|profile| profile.id == user);
        if is_participant { Ok(profiles) } else { Err(Refusal::conversation_not_found()) }
    }

    /// Marks what the other participant wrote up to `seq` as read, and waits for the commit.
    pub(crate) async fn mark_read_and_wait(&self, reader: UserId, seq: i64) -> Result<(), Refusal> {
        let (answer, answered) = oneshot::channel();
        self.mark_read(reader, seq, ReadAnswer::Caller(answer));
        answered.await.unwrap_or_else(|_| Err(Refusal::unavailable())).map_err(as_a_read)
    }

    /// The same for whoever waits otherwise.
    pub(crate) fn mark_read(&self, reader: UserId, seq: i64, answer: ReadAnswer) {
        self.offer(RoomCommand::MarkRead { reader, seq, answer, room: self.clone() });
    }

    /// Something has become read.
    pub(crate) fn marked(&self, receipt: Receipt, told: Held) {
        self.0.mailbox.push(RoomCommand::Marked(receipt, told));
    }

    /// Rows that the room gave to persistence come back.
    pub(crate) fn committed(&self, rows: Vec<Settled>) {
        self.0.mailbox.push(RoomCommand::Committed(rows));
    }

    /// As operators see it; `None` if it has stopped.
    pub(crate) async fn describe(&self) -> Option<RoomDescription> {
        let (answer, answered) = oneshot::channel();
        self.0.mailbox.push(RoomCommand::Describe(answer));
        answered.await.ok()
    }

    /// For those who do not keep the room from stopping.
    pub(crate) fn downgrade(&self) -> WeakRoom {
        WeakRoom(Arc::downgrade(&self.0))
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.0.mailbox.is_alive()
    }

    /// Whether nobody but the holder of `self` could send to the room, and nothing is on its way.
    pub(crate) fn is_forgotten(&self) -> bool {
        Arc::strong_count(&self.0) == 1 && self.0.mailbox.waiting() == 0
    }

    fn offer(&self, command: RoomCommand) {
        if let Err(command) = self.0.mailbox.offer(command) {
            command.refuse(&Refusal::overloaded());
        }
    }
}

/// A room refuses as if a message was to be sent.
fn as_a_read(refusal: Refusal) -> Refusal {
    if refusal.code == Code::Overloaded { Refusal::unavailable() } else { refusal }
}
