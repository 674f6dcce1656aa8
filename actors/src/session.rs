//! A connected user's session: takes the requests of one connection in their order to the rooms they are for.
//!
//! It lives on the worker that owns the connection, from the accepted CONNECT to the connection's end, and leaves
//! nothing behind: its places in rooms and in the hub go with it, even when it panics. Its queue is bounded by the
//! connection's [`Gate`](crate::Gate): a transport is not read while too much is unanswered.

use std::{collections::HashMap, fmt, sync::Arc};

use actix::{Actor, ActorContext, Context, Handler, Message};

use crate::{
    counters::Gauge,
    gate::Permit,
    hub::HubHandle,
    ids::{ConversationId, SessionId, UserId},
    limits::{SESSION_IN_FLIGHT, SESSION_ROOMS},
    mailbox::{Mailbox, Waiting},
    outbox::{AckId, CloseReason, Outbox},
    refusal::Refusal,
    reply::Reply,
    room::RoomHandle,
    shared::Shared,
    text::MessageText,
};

/// What a client asks of the chat, valid by its types.
pub enum Request {
    /// Hear what is said in a conversation.
    Join(ConversationId),
    /// Say something.
    Send {
        /// Where.
        conversation: ConversationId,
        /// What.
        text: MessageText,
    },
    /// Show the others that the user types, or stopped.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Started, or stopped.
        started: bool,
    },
}

/// A transport's side of its session.
#[derive(Clone)]
pub struct SessionHandle {
    mailbox: Mailbox<Session>,
    outbox: Arc<dyn Outbox>,
}

impl SessionHandle {
    /// Takes a request; `ack` is given where the client wants an answer. Requests are handled in the order they come.
    pub fn request(&self, request: Request, ack: Option<AckId>, permit: Permit) {
        let reply = Reply::session(self.outbox.clone(), ack, permit);
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
        };
        shared.counters.add(Gauge::Sessions);
        session.hub.register(session.id, user, outbox.clone());
        let address = Session::start_in_arbiter(&actix::Arbiter::current(), move |_| session);
        Self { mailbox: Mailbox::new(address, waiting, SESSION_IN_FLIGHT), outbox }
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

/// A session that wants to be a room's member.
pub(crate) struct Member {
    pub(crate) session: SessionId,
    pub(crate) user: UserId,
    pub(crate) hub: HubHandle,
    mailbox: actix::WeakAddr<Session>,
    conversation: ConversationId,
    waiting: Waiting,
}

impl Member {
    /// The room refused: the session lets go of it.
    pub(crate) fn not_joined(&self) {
        if let Some(address) = self.mailbox.upgrade() {
            Mailbox::new(address, self.waiting.clone(), SESSION_IN_FLIGHT)
                .push(SessionCommand::NotJoined(self.conversation));
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
}

#[derive(Message)]
#[rtype(result = "()")]
enum SessionCommand {
    Request(Request, Reply),
    NotJoined(ConversationId),
    End,
    #[cfg(test)]
    Panic,
}

impl Session {
    fn request(&mut self, request: Request, reply: Reply, ctx: &Context<Self>) {
        let (user, session) = (self.user, self.id);
        match request {
            Request::Join(conversation) => self.join(conversation, reply, ctx),
            Request::Send { conversation, text } => self.room(conversation).post(user, text, reply),
            Request::Typing { conversation, started } => {
                self.room(conversation).typing(user, session, started, reply);
            }
        }
    }

    fn join(&mut self, conversation: ConversationId, reply: Reply, ctx: &Context<Self>) {
        if self.joined.len() >= SESSION_ROOMS && !self.joined.contains_key(&conversation) {
            return reply.refuse(&Refusal::invalid("too many conversations joined; use another connection"));
        }
        let room = self.room(conversation).clone();
        room.join(
            Member {
                session: self.id,
                user: self.user,
                hub: self.hub.clone(),
                mailbox: actix::AsyncContext::address(ctx).downgrade(),
                conversation,
                waiting: self.waiting.clone(),
            },
            reply,
        );
        self.joined.insert(conversation, room);
    }

    /// Looks a room up once and keeps the handle.
    fn room(&mut self, conversation: ConversationId) -> &RoomHandle {
        let known = match &self.latest {
            Some((latest, room)) if *latest == conversation => Some(room),
            _ => self.joined.get(&conversation),
        };
        let room = match known {
            Some(room) if room.is_alive() => room.clone(),
            _ => self.shared.room(conversation),
        };
        &self.latest.insert((conversation, room)).1
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
