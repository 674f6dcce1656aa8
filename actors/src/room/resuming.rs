//! Joining a room with what was said before.

use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};

use crate::{
    limits::{RESUME_BYTES, RESUME_MESSAGES},
    message::MessagePage,
    profile::Profile,
    reply::Reply,
    session::{Member, Missed},
    store::{History, Page, StoreError},
};

use super::Room;

impl Room {
    /// Joins with what was said before: nothing is announced meanwhile, so that the answer ends where the events begin.
    pub(super) fn resume(&self, member: Member, missed: Box<Missed>, reply: Reply, ctx: &mut Context<Self>) {
        let Some(two) = self.participants.get() else { return };
        let two = two.each_ref().map(|profile| profile.get());
        let (store, conversation) = (self.shared.store.clone(), self.conversation);
        let page = Page::after(missed.since, RESUME_MESSAGES as i64);
        let in_flight: Vec<_> = self.in_flight.iter().copied().collect();
        let read = async move {
            let history = store.read_history(&missed.reading, conversation, page).await?;
            // Afterwards: what is found beyond the history changes nothing.
            let told_later = if in_flight.is_empty() { None } else { store.find_first_seq(&in_flight).await? };
            Ok::<_, StoreError>((history, told_later))
        };
        ctx.wait(read.into_actor(self).map(move |read, room, _| match read {
            Ok((history, told_later)) => {
                let data = room.behind(history, told_later, two).resumption(RESUME_BYTES);
                room.join(&member, reply, data);
            }
            Err(error) => {
                tracing::warn!(conversation = %room.conversation, %error, "cannot resume");
                member.not_joined();
                reply.refuse(&error.into());
            }
        }));
    }

    /// What a join that resumes is answered with. What is committed and not announced yet, from `told_later` on, comes as
    /// events.
    pub(super) fn behind(
        &self,
        mut history: History,
        told_later: Option<i64>,
        participants: [Arc<Profile>; 2],
    ) -> MessagePage {
        let head = told_later.map_or(history.last_seq, |seq| history.last_seq.min(seq - 1));
        history.has_more &= history.messages.last().is_some_and(|last| last.seq < head);
        history.messages.retain(|message| message.seq <= head);
        MessagePage {
            conversation: self.conversation,
            participants,
            messages: history.messages,
            has_more: history.has_more,
            head_seq: head,
        }
    }
}
