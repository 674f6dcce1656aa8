//! A connected user's session: takes the requests of one connection in their order to the rooms they are for.
//!
//! It lives on the worker that owns the connection, from the accepted CONNECT to the connection's end, and leaves
//! nothing behind: its places in rooms and in the hub go with it, even when it panics. Its queue is bounded by the
//! connection's [`Gate`](crate::Gate): a transport is not read while too much is unanswered.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, WeakAddr};

use crate::{
    counters::{Counters, Gauge},
    draft::Draft,
    gate::Permit,
    hub::HubHandle,
    ids::{ConversationId, SessionId, UserId},
    limits::{RESUME_BYTES, SESSION_IN_FLIGHT, SESSION_ROOMS},
    mailbox::{Mailbox, Waiting},
    outbox::{AckId, CloseReason, Outbox},
    refusal::Refusal,
    reply::{Reply, Unanswered},
    room::RoomHandle,
    sends::Sends,
    shared::Shared,
};

/// What a client asks of the chat, valid by its types.
pub enum Request {
    /// Hear what is said in a conversation.
    Join {
        /// Where.
        conversation: ConversationId,
        /// And what was said behind this seq.
        since: Option<i64>,
    },
    /// Say something.
    Send {
        /// Where.
        conversation: ConversationId,
        /// What.
        draft: Draft,
    },
    /// Show the others that the user types, or stopped.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Started, or stopped.
        started: bool,
    },
}

impl Request {
    /// How long the answer may become, in bytes, where that is more than the request is.
    pub fn answer_bytes(&self) -> usize {
        if matches!(self, Self::Join { since: Some(_), .. }) { RESUME_BYTES } else { 0 }
    }
}

/// A transport's side of its session.
#[derive(Clone)]
pub struct SessionHandle {
    mailbox: Mailbox<Session>,
    outbox: Arc<dyn Outbox>,
    counters: Arc<Counters>,
}

impl SessionHandle {
    /// Takes a request; `ack` is given where the client wants an answer. Requests are handled in the order they come.
    pub fn request(&self, request: Request, ack: Option<AckId>, permit: Permit) {
        let reply = Reply::session(self.outbox.clone(), ack, permit, Unanswered::begin(&self.counters));
        self.mailbox.push(SessionCommand::Request(request, reply));
    }

    /// The connection has ended.
    pub fn end(&self) {
        self.mailbox.push(SessionCommand::End);
    }

    pub(crate) fn start(user: UserId, outbox: Arc<dyn Outbox>, shared: &Arc<Shared>, hub: HubHandle) -> Self {
        let waiting = Waiting::default();
        let session = Session {
            id: SessionId::new(),
            user,
            outbox: outbox.clone(),
            hub,
            shared: shared.clone(),
            waiting: waiting.clone(),
            joined: HashMap::new(),
            latest: None,
            sends: Arc::default(),
            sends_to: None,
            held: VecDeque::new(),
        };
        shared.counters.add(Gauge::Sessions);
        session.hub.register(session.id, user, outbox.clone());
        let address = Session::start_in_arbiter(&actix::Arbiter::current(), move |_| session);
        Self { mailbox: Mailbox::new(address, waiting, SESSION_IN_FLIGHT), outbox, counters: shared.counters.clone() }
    }
}

#[cfg(test)]
impl SessionHandle {
    pub(crate) fn panic(&self) {
        self.mailbox.push(SessionCommand::Panic);
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionHandle").finish_non_exhaustive()
    }
}

/// A session as those see it who have something to tell it; it may have ended.
#[derive(Clone)]
struct Address {
    session: WeakAddr<Session>,
    waiting: Waiting,
}

impl Address {
    fn push(&self, command: SessionCommand) {
        if let Some(address) = self.session.upgrade() {
            Mailbox::new(address, self.waiting.clone(), SESSION_IN_FLIGHT).push(command);
        }
    }
}

/// A session that wants to be a room's member.
pub(crate) struct Member {
    pub(crate) session: SessionId,
    pub(crate) user: UserId,
    pub(crate) hub: HubHandle,
    conversation: ConversationId,
    /// It has asked before, and may be in the room already.
    again: bool,
    address: Address,
}

impl Member {
    /// The room refused: the session lets go of it.
    pub(crate) fn not_joined(&self) {
        if !self.again {
            self.address.push(SessionCommand::NotJoined(self.conversation));
        }
    }
}

pub(crate) struct Session {
    id: SessionId,
    user: UserId,
    outbox: Arc<dyn Outbox>,
    hub: HubHandle,
    shared: Arc<Shared>,
    waiting: Waiting,
    joined: HashMap<ConversationId, RoomHandle>,
    /// The room that was used last, joined or not: mostly the next one, too.
    latest: Option<(ConversationId, RoomHandle)>,
    /// Messages under way, all to one conversation.
    sends: Arc<Sends>,
    sends_to: Option<ConversationId>,
    /// Requests behind a message to another conversation: rooms commit side by side, so that it has to wait.
    held: VecDeque<(Request, Reply)>,
}

#[derive(Message)]
#[rtype(result = "()")]
enum SessionCommand {
    Request(Request, Reply),
    NotJoined(ConversationId),
    SendsDone,
    End,
    #[cfg(test)]
    Panic,
}

impl Session {
    /// Handles a request, or holds it back: messages of one connection are stored, acknowledged and delivered in the
    /// order sent, whichever conversations they are for.
    fn request(&mut self, request: Request, reply: Reply, ctx: &Context<Self>) {
        if !self.held.is_empty() || self.has_to_wait(&request, ctx) {
            self.held.push_back((request, reply));
        } else {
            self.handle_now(request, reply, ctx);
        }
    }

    /// Whether a message is for another conversation than those under way. If so, the session hears when they are done.
    fn has_to_wait(&self, request: &Request, ctx: &Context<Self>) -> bool {
        let Request::Send { conversation, .. } = request else { return false };
        self.sends_to != Some(*conversation) && {
            let this = self.address(ctx);
            self.sends.are_under_way(move || this.push(SessionCommand::SendsDone))
        }
    }

    /// The messages under way are done.
    fn release(&mut self, ctx: &Context<Self>) {
        while let Some((request, reply)) = self.held.pop_front() {
            if self.has_to_wait(&request, ctx) {
                return self.held.push_front((request, reply));
            }
            self.handle_now(request, reply, ctx);
        }
    }

    fn handle_now(&mut self, request: Request, reply: Reply, ctx: &Context<Self>) {
        let (user, session) = (self.user, self.id);
        match request {
            Request::Join { conversation, since } => self.join(conversation, since, reply, ctx),
            Request::Send { conversation, draft } => {
                self.sends_to = Some(conversation);
                let reply = reply.counted(self.sends.begin());
                match self.room(conversation) {
                    Some(room) => room.post(user, draft, reply),
                    None => reply.refuse(&Refusal::overloaded()),
                }
            }
            Request::Typing { conversation, started } => match self.room(conversation) {
                Some(room) => room.typing(user, session, started, reply),
                None => reply.refuse(&Refusal::overloaded()),
            },
        }
    }

    fn join(&mut self, conversation: ConversationId, since: Option<i64>, reply: Reply, ctx: &Context<Self>) {
        if self.joined.len() >= SESSION_ROOMS && !self.joined.contains_key(&conversation) {
            return reply.refuse(&Refusal::invalid("too many conversations joined; use another connection"));
        }
        let Some(room) = self.room(conversation).cloned() else { return reply.refuse(&Refusal::overloaded()) };
        let again = self.joined.contains_key(&conversation);
        let (hub, address) = (self.hub.clone(), self.address(ctx));
        room.join(Member { session: self.id, user: self.user, hub, conversation, again, address }, since, reply);
        self.joined.insert(conversation, room);
    }

    fn address(&self, ctx: &Context<Self>) -> Address {
        Address { session: ctx.address().downgrade(), waiting: self.waiting.clone() }
    }

    /// Looks a room up once and keeps the handle. `None` if there are too many rooms.
    fn room(&mut self, conversation: ConversationId) -> Option<&RoomHandle> {
        let known = match &self.latest {
            Some((latest, room)) if *latest == conversation => Some(room),
            _ => self.joined.get(&conversation),
        };
        let room = match known {
            Some(room) if room.is_alive() => room.clone(),
            _ => self.shared.room(conversation)?,
        };
        Some(&self.latest.insert((conversation, room)).1)
    }
}

impl Actor for Session {
    type Context = Context<Self>;
}

impl Handler<SessionCommand> for Session {
    type Result = ();

    fn handle(&mut self, command: SessionCommand, ctx: &mut Context<Self>) {
        self.waiting.taken();
        match command {
            SessionCommand::Request(request, reply) => self.request(request, reply, ctx),
            SessionCommand::NotJoined(conversation) => {
                self.joined.remove(&conversation);
                self.latest = None;
            }
            SessionCommand::SendsDone => self.release(ctx),
            SessionCommand::End => ctx.stop(),
            #[cfg(test)]
            SessionCommand::Panic => panic!("asked to"),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for room in self.joined.values() {
            room.leave(self.id);
        }
        self.hub.unregister(self.id);
        self.shared.counters.sub(Gauge::Sessions);
        if std::thread::panicking() {
            self.shared.counters.add(Gauge::ActorsFailed);
            tracing::error!("a session failed; its connection is closed");
            self.outbox.close(CloseReason::SessionFailed);
        }
    }
}
