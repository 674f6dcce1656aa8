//! Who types in a room: told to the others in it, stored nowhere, and over after [`TYPING_END`].

use std::time::{Duration, Instant};

use actix::{AsyncContext, Context};

use crate::{
    event::{Durability, EncodedEvent},
    hub::Delivery,
    ids::{SessionId, UserId},
    limits::TYPING_END,
    message::Typist,
};

use super::Room;

impl Room {
    pub(super) fn typing(&mut self, typist: UserId, session: SessionId, started: bool, ctx: &mut Context<Self>) {
        if started {
            self.look_at_typists(TYPING_END, ctx);
            self.typists.insert(session, (typist, Instant::now() + TYPING_END));
        } else {
            self.typists.remove(&session);
        }
        self.publish_typing(typist, session, started);
    }

    /// One look at a time, however often they begin and end.
    fn look_at_typists(&mut self, after: Duration, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.looks_at_typists, true) {
            ctx.run_later(after, Self::end_typing);
        }
    }

    /// Ends the typing of those who have not said for a while that they still do.
    fn end_typing(&mut self, ctx: &mut Context<Self>) {
        self.looks_at_typists = false;
        let now = Instant::now();
        let silent: Vec<_> = self.typists.extract_if(|_, (_, until)| *until <= now).collect();
        for (session, (typist, _)) in silent {
            self.publish_typing(typist, session, false);
        }
        if let Some(next) = self.typists.values().map(|(_, until)| *until).min() {
            self.look_at_typists(next - now, ctx);
        }
    }

    pub(super) fn end_typing_of(&mut self, session: SessionId) {
        if let Some((typist, _)) = self.typists.remove(&session) {
            self.publish_typing(typist, session, false);
        }
    }

    fn publish_typing(&self, typist: UserId, session: SessionId, started: bool) {
        let typist = Typist { user_id: typist, conversation_id: self.conversation };
        let event = EncodedEvent::typing(&typist, started);
        let members = self.members_mask();
        if !self.shared.workers.any(members, |hub| hub.is_full(Durability::Ephemeral)) {
            self.publish(members, &Delivery::to_members(self.conversation, event, Some(session)));
        }
    }
}
