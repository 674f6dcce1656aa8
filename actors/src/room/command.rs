//! What a room is asked to do.

use actix::Message as ActixMessage;
use tokio::sync::oneshot;

use crate::{
    batch::{ReadAnswer, Receipt},
    counters::Held,
    draft::Draft,
    hub::HubHandle,
    ids::{SessionId, UserId},
    lane::Settled,
    loading::RoomLoad,
    message::MessageDeleted,
    refusal::Refusal,
    reply::Reply,
    session::{Member, Missed},
};

use super::{RoomDescription, RoomHandle};

#[derive(ActixMessage)]
#[rtype(result = "()")]
pub(super) enum RoomCommand {
    /// By somebody else, for many rooms at once.
    Loaded(RoomLoad),
    Join(Member, Option<Box<Missed>>, Reply),
    /// A reply where the session has not ended.
    Leave(SessionId, Option<(HubHandle, Reply)>),
    Post {
        sender: UserId,
        draft: Draft,
        reply: Reply,
        room: RoomHandle,
    },
    Typing {
        typist: UserId,
        session: SessionId,
        started: bool,
        reply: Reply,
    },
    MarkRead {
        reader: UserId,
        seq: i64,
        answer: ReadAnswer,
        room: RoomHandle,
    },
    Committed(Vec<Settled>),
    Marked(Receipt, Held),
    /// It was for this user.
    Deleted(MessageDeleted, UserId, Held),
    TypistGone(SessionId),
    /// Load the participants.
    Introduce {
        to: UserId,
        answer: oneshot::Sender<Result<(), Refusal>>,
    },
    /// For operators.
    Describe(oneshot::Sender<RoomDescription>),
    #[cfg(test)]
    Test(Box<dyn FnOnce(&mut super::Room) + Send>),
}

impl RoomCommand {
    /// Who asks for something that only participants may have. What nobody asks for needs no participants: it is about those
    /// who are in the room, or says whom it is for.
    pub(super) fn on_behalf_of(&self) -> Option<UserId> {
        match self {
            Self::Join(member, ..) => Some(member.user),
            Self::Post { sender: user, .. }
            | Self::Typing { typist: user, .. }
            | Self::MarkRead { reader: user, .. }
            | Self::Introduce { to: user, .. } => Some(*user),
            _ => None,
        }
    }

    pub(super) fn refuse(self, refusal: &Refusal) {
        match self {
            Self::Join(member, _, reply) => {
                member.not_joined();
                reply.refuse(refusal);
            }
            Self::Post { reply, .. } | Self::Typing { reply, .. } => reply.refuse(refusal),
            Self::MarkRead { answer, .. } => answer.finish(Err(refusal.clone())),
            Self::Introduce { answer, .. } => drop(answer.send(Err(refusal.clone()))),
            _ => (),
        }
    }
}
