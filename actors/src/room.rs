//! A conversation's room: who may be in it, who is, and the order in which its messages reach everybody.
//!
//! It loads its participants once, with the first command, and holds no messages: what it lets in goes to persistence
//! and comes back committed and numbered. Commands wait in a queue of [`ROOM_QUEUE`](crate::limits::ROOM_QUEUE). A room that nobody is in, whose
//! handle nobody holds and that has nothing under way stops after a while. When one panics, its members are closed.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock, atomic::Ordering},
    time::{Duration, Instant},
};

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};

use crate::{
    counters::Gauge,
    draft::Draft,
    event::{Durability, EncodedEvent, encode},
    hub::{Delivery, HubHandle},
    ids::{ConversationId, MessageId, SessionId, UserId},
    lane::{Outcome, Post},
    limits::{RETRY_AFTER, ROOM_IN_FLIGHT, UNKNOWN_ROOM},
    loading::{Loaded, RoomLoad},
    mailbox::Waiting,
    message::{Duplicate, Message, Notification, StoredMessage},
    outbox::CloseReason,
    persistence::Persistence,
    profile::{LiveProfile, Profile},
    refusal::Refusal,
    reply::{Committed, Reply},
    session::Member,
    shared::Shared,
    timestamp::Timestamp,
};

mod command;
mod description;
mod handle;
mod receipts;
mod resuming;
#[cfg(test)]
mod tests;
mod typing;

use command::RoomCommand;
pub use description::RoomDescription;
pub(crate) use handle::{RoomHandle, WeakRoom};

pub(crate) struct Room {
    conversation: ConversationId,
    shared: Arc<Shared>,
    persistence: Persistence,
    waiting: Waiting,
    participants: Participants,
    /// Postgres could not say who they are; not asked again before then.
    unavailable_until: Option<Instant>,
    members: HashMap<SessionId, usize>,
    /// Members by worker.
    members_on: Vec<u32>,
    /// Let in, and not announced or refused yet.
    in_flight: HashSet<MessageId>,
    /// Those of them that were deleted meanwhile, by whoever has seen them in a page.
    deleted_in_flight: HashSet<MessageId>,
    last_sent_at: Option<Timestamp>,
    /// Whose unread messages are being counted, and whether something has changed meanwhile.
    counting: HashMap<UserId, bool>,
    /// Who is typing, and until when that is believed.
    typists: HashMap<SessionId, (UserId, Instant)>,
    /// A look at them is due.
    looks_at_typists: bool,
    /// The newest seq that everybody has heard of.
    announced: i64,
    /// Since the last look whether the room is idle.
    used: bool,
    /// A look is under way because it is not loaded.
    stops_soon: bool,
}

/// The conversation's two, once they are loaded; who holds the room's handle sees them, too.
pub(crate) type Participants = Arc<OnceLock<[Arc<LiveProfile>; 2]>>;

impl Room {
    fn new(
        conversation: ConversationId,
        shared: Arc<Shared>,
        persistence: Persistence,
        waiting: Waiting,
        participants: Participants,
    ) -> Self {
        Self {
            conversation,
            shared,
            persistence,
            waiting,
            participants,
            unavailable_until: None,
            members: HashMap::new(),
            members_on: Vec::new(),
            in_flight: HashSet::new(),
            deleted_in_flight: HashSet::new(),
            last_sent_at: None,
            counting: HashMap::new(),
            typists: HashMap::new(),
            looks_at_typists: false,
            announced: 0,
            used: true,
            stops_soon: false,
        }
    }

    /// Loads the participants and runs the command then; nothing else is handled meanwhile, so that order is kept.
    fn load_and_run(&self, command: RoomCommand, ctx: &mut Context<Self>) {
        let (shared, conversation) = (self.shared.clone(), self.conversation);
        let load = async move { shared.load_room(conversation).await };
        ctx.wait(load.into_actor(self).map(move |loaded, room, ctx| match loaded {
            Loaded::Room(load) => {
                room.loaded(load);
                room.run(command, ctx);
            }
            Loaded::Nothing => {
                // Not kept: it may be made at any moment. Nor is the room, which costs more than asking.
                command.refuse(&Refusal::conversation_not_found());
                room.stop_if_unknown(UNKNOWN_ROOM, ctx);
            }
            Loaded::Unavailable => {
                room.unavailable_until = Some(Instant::now() + RETRY_AFTER);
                room.run(command, ctx);
                room.stop_if_unknown(RETRY_AFTER, ctx);
            }
        }));
    }

    /// Once only: nothing else is handled meanwhile.
    fn loaded(&mut self, load: RoomLoad) {
        if self.participants.set(load.participants).is_ok() {
            self.announced = load.last_seq;
        }
    }

    /// Lets participants through.
    fn run(&mut self, command: RoomCommand, ctx: &mut Context<Self>) {
        let refusal = match (self.participants.get(), command.on_behalf_of()) {
            (_, None) => return self.apply(command, ctx),
            (Some(two), Some(user)) if two.iter().any(|profile| profile.id == user) => {
                return self.apply(command, ctx);
            }
            (Some(_), _) => Refusal::conversation_not_found(),
            (None, _) => Refusal::overloaded(),
        };
        command.refuse(&refusal);
    }

    fn apply(&mut self, command: RoomCommand, ctx: &mut Context<Self>) {
        match command {
            RoomCommand::Join(member, None, reply) => {
                let data = format!(r#"{{"conversation_id":"{}"}}"#, self.conversation);
                self.join(&member, reply, data);
            }
            RoomCommand::Join(member, Some(missed), reply) => self.resume(member, missed, reply, ctx),
            RoomCommand::Leave(session, reply) => self.leave(session, reply),
            RoomCommand::Post { sender, draft, reply, room } => self.post(sender, draft, reply, room),
            RoomCommand::Loaded(load) => self.loaded(load),
            RoomCommand::Typing { typist, session, started, reply } => {
                self.typing(typist, session, started, ctx);
                reply.done(None);
            }
            RoomCommand::TypistGone(session) => self.end_typing_of(session),
            RoomCommand::Deleted(deleted, reader, told) => self.announce_deleted(&deleted, reader, told, ctx),
            RoomCommand::MarkRead { reader, seq, answer, room } => {
                self.persistence.mark_read(self.conversation, reader, seq, answer, room);
            }
            RoomCommand::Marked(receipt, told) => self.announce_read(&receipt, told, ctx),
            // Whoever asked may have gone meanwhile.
            RoomCommand::Introduce { answer, .. } => drop(answer.send(Ok(()))),
            RoomCommand::Committed(rows) => rows.into_iter().for_each(|(post, outcome)| self.finish(*post, outcome)),
            // Whoever asked may have gone meanwhile.
            RoomCommand::Describe(answer) => drop(answer.send(self.describe())),
            #[cfg(test)]
            RoomCommand::Test(act) => act(self),
        }
    }

    /// The member's hub answers, so that the answer has its place among the events.
    fn join(&mut self, member: &Member, reply: Reply, data: String) {
        let worker = member.hub.index;
        if self.members.insert(member.session, worker).is_none() {
            if self.members_on.len() <= worker {
                self.members_on.resize(worker + 1, 0);
            }
            self.members_on[worker] += 1;
        }
        member.hub.join(self.conversation, member.session, reply, data);
    }

    /// With a reply, the session goes on elsewhere: its hub answers, when it delivers nothing of this room any more.
    fn leave(&mut self, session: SessionId, reply: Option<(HubHandle, Reply)>) {
        self.end_typing_of(session);
        if let Some(worker) = self.members.remove(&session) {
            self.members_on[worker] -= 1;
        }
        if let Some((hub, reply)) = reply {
            hub.leave(self.conversation, session, reply);
        }
    }

    fn post(&mut self, sender: UserId, draft: Draft, reply: Reply, room: RoomHandle) {
        let hub_is_full = self.shared.workers.any(self.audience(sender), |hub| hub.is_full(Durability::Durable));
        // In this order: a stop that begins meanwhile waits for it.
        self.shared.counters.add(Gauge::MessagesInFlight);
        let stopping = self.shared.stopping.load(Ordering::SeqCst);
        if stopping || self.in_flight.len() >= ROOM_IN_FLIGHT || hub_is_full {
            self.shared.counters.sub(Gauge::MessagesInFlight);
            return self.refuse(sender, &draft, reply, &Refusal::overloaded());
        }
        // Never before the message ahead, even when the clock was set back.
        let sent_at = self.last_sent_at.map_or_else(Timestamp::now, |last| last.max(Timestamp::now()));
        self.last_sent_at = Some(sent_at);
        let id = MessageId::new();
        let post = Box::new(Post { id, conversation: self.conversation, sender, draft, sent_at, reply });
        match self.persistence.append(post, room) {
            Ok(()) => drop(self.in_flight.insert(id)),
            Err(post) => {
                self.shared.counters.sub(Gauge::MessagesInFlight);
                self.refuse(post.sender, &post.draft, post.reply, &Refusal::overloaded());
            }
        }
    }

    fn refuse(&self, sender: UserId, draft: &Draft, reply: Reply, refusal: &Refusal) {
        draft.way.refused(refusal);
        let code = refusal.code.as_str();
        tracing::debug!(conversation = %self.conversation, %sender, code, "a message was refused");
        reply.refuse(refusal);
    }

    fn finish(&mut self, post: Post, outcome: Outcome) {
        let id = post.id;
        match outcome {
            Outcome::Stored(seq) => self.announce(post, seq),
            Outcome::Repeated(first) => self.repeat(post, &first),
            Outcome::Refused(refusal) => self.refuse(post.sender, &post.draft, post.reply, &refusal),
        }
        self.deleted_in_flight.remove(&id);
        // Last: an orderly stop closes the connections when none is left.
        self.in_flight.remove(&id);
        self.shared.counters.sub(Gauge::MessagesInFlight);
    }

    /// The message is committed: the acknowledgement, then everybody else.
    fn announce(&mut self, post: Post, seq: i64) {
        self.announced = self.announced.max(seq);
        let Some(sender) = self.profile(post.sender) else { return };
        let Draft { text, way, .. } = &post.draft;
        let _announces = way.announces(seq);
        let message = Message {
            id: post.id,
            conversation_id: self.conversation,
            sender_id: &*sender,
            text: text.as_str(),
            is_read: false,
            read_at: None,
            sent_at: post.sent_at,
            seq,
        };
        let json = encode(&message);
        let _delivering = post.reply.committed(Committed::of(&message), &json);
        if self.deleted_in_flight.contains(&post.id) {
            // They have heard of that, and no text follows it.
            return;
        }
        let notification = self.other(post.sender).map(|recipient| {
            let notification =
                Notification { conversation_id: self.conversation, sender: post.sender, preview: text.preview() };
            (recipient, EncodedEvent::message_notification(post.id, &notification))
        });
        let audience = self.audience(post.sender);
        let event = Some(EncodedEvent::new_message(post.id, json));
        let way = way.clone();
        self.publish(audience, &Delivery { conversation: self.conversation, event, except: None, notification, way });
    }

    /// The message is committed already: nobody but its sender hears of it.
    fn repeat(&self, post: Post, first: &StoredMessage) {
        if first.text != post.draft.text.as_str() {
            return self.refuse(post.sender, &post.draft, post.reply, &Refusal::idempotency_conflict());
        }
        let Some(sender) = self.profile(post.sender) else { return };
        post.draft.way.repeats();
        let message = first.on_the_wire(self.conversation, &sender);
        let committed = Committed { duplicate: true, ..Committed::of(&message) };
        post.reply.committed(committed, &encode(&Duplicate::from(message)));
    }

    fn profile(&self, participant: UserId) -> Option<Arc<Profile>> {
        self.participants.get()?.iter().find(|profile| profile.id == participant).map(|profile| profile.get())
    }

    /// Hands an event to the hubs that need it. The one place where a bus to other servers will be joined.
    fn publish(&self, workers: u64, delivery: &Delivery) {
        self.shared.workers.each(workers, |hub| hub.deliver(delivery.clone()));
    }

    /// The workers with members of the room or sessions of the one who is to be notified.
    fn audience(&self, sender: UserId) -> u64 {
        self.members_mask() | self.other(sender).map_or(0, |user| self.workers_of(user))
    }

    /// The workers with sessions of a user.
    fn workers_of(&self, user: UserId) -> u64 {
        self.shared.presence.get(&user).map_or(0, |workers| *workers)
    }

    fn members_mask(&self) -> u64 {
        let bits = self.members_on.iter().enumerate();
        bits.fold(0, |mask, (worker, members)| if *members > 0 { mask | 1 << worker } else { mask })
    }

    fn other(&self, user: UserId) -> Option<UserId> {
        let two = self.participants.get()?;
        two.iter().map(|profile| profile.id).find(|id| *id != user)
    }

    /// Stops soon if it is still not loaded, without waiting to be idle; now and then again while somebody holds the handle.
    fn stop_if_unknown(&mut self, after: Duration, ctx: &mut Context<Self>) {
        if self.stops_soon {
            return;
        }
        self.stops_soon = true;
        ctx.run_later(after, |room, ctx| {
            room.stops_soon = false;
            if room.participants.get().is_none() {
                room.used = false;
                room.stop_if_idle(ctx);
                room.stop_if_unknown(RETRY_AFTER, ctx);
            }
        });
    }

    /// Stops if nobody needs the room. The directory decides under its lock, so that no command is lost.
    fn stop_if_idle(&mut self, ctx: &mut Context<Self>) {
        let used = std::mem::take(&mut self.used);
        let idle = !used && self.members.is_empty() && self.in_flight.is_empty() && self.counting.is_empty();
        if idle && self.shared.directory.forget(self.conversation) {
            ctx.stop();
        }
    }
}

impl Actor for Room {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let look = self.shared.room_idle.max(Duration::from_millis(10)) / 2;
        ctx.run_interval(look, Self::stop_if_idle);
    }
}

impl Handler<RoomCommand> for Room {
    type Result = ();

    fn handle(&mut self, command: RoomCommand, ctx: &mut Context<Self>) {
        self.waiting.taken();
        // Somebody who only looks is no reason to stay.
        self.used |= !matches!(command, RoomCommand::Describe(_));
        let can_load = self.unavailable_until.is_none_or(|until| Instant::now() >= until);
        let must_load = self.participants.get().is_none() && can_load && command.on_behalf_of().is_some();
        if must_load { self.load_and_run(command, ctx) } else { self.run(command, ctx) }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shared.counters.sub(Gauge::Rooms);
        if std::thread::panicking() {
            self.shared.counters.add(Gauge::ActorsFailed);
            self.shared.counters.change(Gauge::MessagesInFlight, -(self.in_flight.len() as i64));
            tracing::error!(conversation = %self.conversation, "a room failed; its members are closed");
            let (members, conversation) = (self.members_mask(), self.conversation);
            self.shared.workers.each(members, |hub| hub.close_room(conversation, CloseReason::RoomFailed));
        }
    }
}
