//! What a room tells of reading and deleting, and how much is unread then.

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};

use crate::{
    backoff::Backoff,
    batch::Receipt,
    counters::Held,
    event::EncodedEvent,
    hub::Delivery,
    ids::UserId,
    message::{MessageDeleted, MessageRead, UnreadUpdate},
    store::StoreError,
};

use super::Room;

impl Room {
    /// A participant has read: the members hear of it, and all of the reader's sessions how much is left.
    pub(super) fn announce_read(&mut self, receipt: &Receipt, told: Held, ctx: &mut Context<Self>) {
        let members = self.members_mask();
        if members != 0 {
            let event = EncodedEvent::message_read(&MessageRead {
                conversation_id: self.conversation,
                reader_id: receipt.reader,
                up_to_seq: receipt.seq,
                read_at: receipt.read_at,
            });
            self.publish(members, &Delivery::to_members(self.conversation, event, None));
        }
        self.announce_unread(receipt.reader, told, ctx);
    }

    pub(super) fn announce_deleted(
        &mut self,
        deleted: &MessageDeleted,
        reader: UserId,
        told: Held,
        ctx: &mut Context<Self>,
    ) {
        if self.in_flight.contains(&deleted.id) {
            self.deleted_in_flight.insert(deleted.id);
        }
        let members = self.members_mask();
        if members != 0 {
            let event = EncodedEvent::message_deleted(deleted);
            self.publish(members, &Delivery::to_members(self.conversation, event, None));
        }
        self.announce_unread(reader, told, ctx);
    }

    /// Counts what a user has not read, once more for all that changes meanwhile, and tells all of the user's sessions.
    #[allow(clippy::only_used_in_recursion, reason = "held until all is told: a stop waits for it")]
    fn announce_unread(&mut self, user: UserId, told: Held, ctx: &mut Context<Self>) {
        if let Some(once_more) = self.counting.get_mut(&user) {
            *once_more = true;
            return;
        }
        if !self.shared.presence.contains_key(&user) {
            return;
        }
        self.counting.insert(user, false);
        let (shared, conversation) = (self.shared.clone(), self.conversation);
        // After the commit, so that the last one to count has counted everything; and one room after the other, so that
        // what was counted last is told last.
        let count = async move {
            let mut backoff = Backoff::default();
            loop {
                let turn = shared.count_turns.of(user).await;
                match shared.store.count_unread_here(user, conversation).await {
                    Ok(counted) => return Some((counted, turn)),
                    Err(error @ StoreError::Refused(_)) => {
                        tracing::error!(%error, "cannot count what is unread");
                        return None;
                    }
                    Err(error) => tracing::debug!(%error, "what is unread will be counted again"),
                }
                // The user's counts in other rooms need not wait for this one.
                drop(turn);
                tokio::time::sleep(backoff.next()).await;
                // Nobody is left who would be told.
                shared.presence.get(&user)?;
            }
        };
        ctx.spawn(count.into_actor(self).map(move |counted, room, ctx| {
            if let Some(((here, everywhere), turn)) = counted {
                room.publish_unread(user, here, everywhere);
                drop(turn);
            }
            if room.counting.remove(&user) == Some(true) {
                room.announce_unread(user, told, ctx);
            }
        }));
    }

    fn publish_unread(&self, user: UserId, unread_count: i64, total_unread: i64) {
        let unread = UnreadUpdate { conversation_id: self.conversation, unread_count, total_unread };
        let delivery = Delivery::to_user(self.conversation, user, EncodedEvent::unread_update(&unread));
        self.publish(self.workers_of(user), &delivery);
    }
}
