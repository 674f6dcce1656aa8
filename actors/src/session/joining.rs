//! How a session comes into rooms.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};

use crate::{
    hub::HubHandle,
    ids::{ConversationId, SessionId, UserId},
    limits::{SESSION_ROOMS, USER_ROOMS},
    per_user::OfUser,
    refusal::Refusal,
    reply::Reply,
    room::RoomHandle,
    store::Reading,
};

use super::{Session, SessionCommand, WeakSession};

/// A session that wants to be a room's member.
pub(crate) struct Member {
    pub(crate) session: SessionId,
    pub(crate) user: UserId,
    pub(crate) hub: HubHandle,
    /// What the session is told then.
    pub(super) if_refused: (WeakSession, SessionCommand),
}

impl Member {
    /// The room refused.
    pub(crate) fn not_joined(self) {
        let (session, command) = self.if_refused;
        session.push(command);
    }
}

/// What a member wants to have beside what comes from now on.
pub(crate) struct Missed {
    /// What was said behind this seq.
    pub(crate) since: i64,
    /// The member's turn to read it.
    pub(crate) reading: Reading,
}

/// A room that the session is in, or is about to be.
pub(super) struct Joined {
    pub(super) room: RoomHandle,
    /// Tells it from the same conversation, joined again after it was left.
    number: u64,
    /// Requests to join that were not refused.
    asked: u32,
    _counted: Counted,
}

/// One of all the rooms that a user's sessions have joined, until it is dropped.
struct Counted(Arc<OfUser<AtomicUsize>>);

impl Counted {
    fn of(user: &Arc<OfUser<AtomicUsize>>) -> Self {
        user.fetch_add(1, Ordering::Relaxed);
        Self(user.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Session {
    /// Joins when it is the user's turn to read what was said before: the room would wait, and with it the other participant.
    /// The turn does not wait for the room.
    pub(super) fn resume(&mut self, conversation: ConversationId, since: i64, reply: Reply, ctx: &mut Context<Self>) {
        let Some(room) = self.room(conversation).cloned() else { return reply.refuse(&Refusal::overloaded()) };
        self.resuming.insert(conversation);
        let (shared, user) = (self.shared.clone(), self.user);
        let reading = async move {
            room.introduce(user).await?;
            shared.store.begin_reading(user).await.map_err(|error| {
                tracing::warn!(%conversation, %error, "cannot resume");
                Refusal::from(error)
            })
        };
        ctx.spawn(reading.into_actor(self).map(move |reading, session, ctx| {
            session.resuming.remove(&conversation);
            match reading {
                Ok(reading) => session.join(conversation, Some(Box::new(Missed { since, reading })), reply, ctx),
                Err(refusal) => {
                    session.latest = None;
                    reply.refuse(&refusal);
                }
            }
            session.release(ctx);
        }));
    }

    pub(super) fn join(
        &mut self,
        conversation: ConversationId,
        missed: Option<Box<Missed>>,
        reply: Reply,
        ctx: &Context<Self>,
    ) {
        if !self.joined.contains_key(&conversation) {
            if self.joined.len() >= SESSION_ROOMS {
                return reply.refuse(&Refusal::invalid("too many conversations joined; use another connection"));
            }
            if self.joined_of_user.load(Ordering::Relaxed) >= USER_ROOMS {
                let refusal = Refusal::invalid("too many conversations joined over all connections; leave some");
                return reply.refuse(&refusal);
            }
        }
        let Some(room) = self.room(conversation).cloned() else { return reply.refuse(&Refusal::overloaded()) };
        let number = self.enter(conversation, room.clone());
        let if_refused = (self.address(ctx), SessionCommand::NotJoined(conversation, number));
        let (session, user, hub) = (self.id, self.user, self.hub.clone());
        room.join(Member { session, user, hub, if_refused }, missed, reply);
    }

    /// The room is asked to let the session in. Returns the number of the join.
    pub(super) fn enter(&mut self, conversation: ConversationId, room: RoomHandle) -> u64 {
        self.joins += 1;
        let joined = self.joined.entry(conversation).or_insert_with(|| Joined {
            room: room.clone(),
            number: self.joins,
            asked: 0,
            _counted: Counted::of(&self.joined_of_user),
        });
        // Another one may have taken the place of a room that failed.
        joined.room = room;
        joined.asked += 1;
        joined.number
    }

    pub(super) fn not_joined(&mut self, conversation: ConversationId, number: u64) {
        self.latest = None;
        let Some(joined) = self.joined.get_mut(&conversation).filter(|joined| joined.number == number) else { return };
        joined.asked -= 1;
        if joined.asked == 0 {
            self.joined.remove(&conversation);
        }
    }
}
