//! A connected user's session: takes the requests of one connection in their order to the rooms they are for.
//!
//! It lives on the worker that owns the connection, from the accepted CONNECT to the connection's end, and leaves
//! nothing behind: its places in rooms and in the hub go with it, even when it panics. Where its client has asked for it,
//! it waits a while for another connection (`recovery.rs`). Its queue is bounded by the
//! connection's [`Gate`](crate::Gate): a transport is not read while too much is unanswered.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, atomic::AtomicUsize},
    time::Instant,
};

use actix::{Actor, ActorContext, ArbiterHandle, AsyncContext, Context, Handler, Message};
use tokio::sync::oneshot;

use crate::{
    batch::ReadAnswer,
    counters::Gauge,
    credentials::Credentials,
    draft::Draft,
    event::encode,
    hub::HubHandle,
    ids::{ConversationId, SessionId, UserId},
    limits::{RESUME_BYTES, SESSION_IN_FLIGHT, TYPING_END},
    mailbox::{Mailbox, Waiting},
    message::TokenTimes,
    outbox::{CloseReason, Outbox},
    per_user::OfUser,
    recovery::Recoverable,
    refusal::Refusal,
    reply::Reply,
    room::{RoomHandle, WeakRoom},
    sends::Sends,
    shared::Shared,
    timestamp::Timestamp,
};

mod handle;
mod joining;

pub use handle::SessionHandle;
use handle::WeakSession;
pub(crate) use handle::{SessionAddress, start_kept};
use joining::Joined;
pub(crate) use joining::{Member, Missed};

/// What a client asks of the chat, valid by its types.
pub enum Request {
    /// Hear what is said in a conversation.
    Join {
        /// Where.
        conversation: ConversationId,
        /// And what was said behind this seq.
        since: Option<i64>,
    },
    /// Hear nothing of a conversation any more.
    Leave {
        /// Which.
        conversation: ConversationId,
    },
    /// Say something.
    Send {
        /// Where.
        conversation: ConversationId,
        /// What.
        draft: Draft,
    },
    /// Mark what the other participant wrote as read.
    MarkRead {
        /// Where.
        conversation: ConversationId,
        /// Up to this seq.
        up_to: i64,
    },
    /// Go on with another token of the same user.
    Renew(Credentials),
    /// Show the others that the user types, or stopped.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Started, or stopped.
        started: bool,
    },
}

impl Request {
    fn conversation(&self) -> Option<ConversationId> {
        match self {
            Self::Join { conversation, .. }
            | Self::Leave { conversation }
            | Self::Send { conversation, .. }
            | Self::MarkRead { conversation, .. }
            | Self::Typing { conversation, .. } => Some(*conversation),
            Self::Renew(_) => None,
        }
    }

    /// How long the answer may become, in bytes, where that is more than the request is.
    pub fn answer_bytes(&self) -> usize {
        if matches!(self, Self::Join { since: Some(_), .. }) { RESUME_BYTES } else { 0 }
    }
}

pub(crate) struct Session {
    id: SessionId,
    user: UserId,
    outbox: Arc<dyn Outbox>,
    hub: HubHandle,
    shared: Arc<Shared>,
    waiting: Waiting,
    /// If it outlives its connection; the outbox then, too.
    recoverable: Option<Arc<Recoverable>>,
    joined: HashMap<ConversationId, Joined>,
    /// How many rooms all of the user's sessions have joined.
    joined_of_user: Arc<OfUser<AtomicUsize>>,
    /// Counts conversations as they are joined.
    joins: u64,
    /// Where the user types, and since when.
    typing: VecDeque<(WeakRoom, Instant)>,
    /// The room that was used last, joined or not: mostly the next one, too.
    latest: Option<(ConversationId, RoomHandle)>,
    /// Messages under way, all to one conversation.
    sends: Arc<Sends>,
    sends_to: Option<ConversationId>,
    /// Conversations whose room it joins when it is the user's turn to read.
    resuming: HashSet<ConversationId>,
    /// Requests behind one for a conversation that is resumed, or behind a message to another conversation than those under
    /// way: rooms commit side by side, so that it has to wait.
    held: VecDeque<(Request, Reply)>,
}

#[derive(Message)]
#[rtype(result = "()")]
enum SessionCommand {
    Request(Request, Reply),
    /// And which join it was.
    NotJoined(ConversationId, u64),
    SendsDone,
    Rooms(oneshot::Sender<Vec<ConversationId>>),
    /// And over which connection.
    Renew(Credentials, u32),
    /// Nobody is connected.
    Lost,
    /// It cannot be what its client believes it is.
    Fail,
    End,
    #[cfg(test)]
    Panic,
}

impl Session {
    fn new(id: SessionId, user: UserId, outbox: Arc<dyn Outbox>, hub: HubHandle, shared: &Arc<Shared>) -> Self {
        Self {
            id,
            user,
            outbox,
            hub,
            shared: shared.clone(),
            waiting: Waiting::default(),
            recoverable: None,
            joined: HashMap::new(),
            joined_of_user: shared.joined.hold(user, AtomicUsize::default),
            joins: 0,
            resuming: HashSet::new(),
            typing: VecDeque::new(),
            latest: None,
            sends: Arc::default(),
            sends_to: None,
            held: VecDeque::new(),
        }
    }

    fn recoverable(recoverable: &Arc<Recoverable>, hub: HubHandle, shared: &Arc<Shared>) -> Self {
        let mut session = Self::new(recoverable.session(), recoverable.user(), recoverable.clone(), hub, shared);
        session.recoverable = Some(recoverable.clone());
        session
    }

    fn start(self, credentials: Credentials, arbiter: &ArbiterHandle) -> SessionAddress {
        let waiting = self.waiting.clone();
        self.shared.counters.add(Gauge::Sessions);
        self.hub.register(self.id, self.user, credentials, self.outbox.clone());
        let address = Self::start_in_arbiter(arbiter, move |_| self);
        SessionAddress(Mailbox::new(address, waiting, SESSION_IN_FLIGHT))
    }

    /// Handles a request, or holds it back: messages of one connection are stored, acknowledged and delivered in the
    /// order sent, whichever conversations they are for.
    fn request(&mut self, request: Request, reply: Reply, ctx: &mut Context<Self>) {
        if !self.held.is_empty() || self.has_to_wait(&request, ctx) {
            self.held.push_back((request, reply));
        } else {
            self.handle_now(request, reply, ctx);
        }
    }

    /// Whether it is for a conversation that is being resumed, or a message for another one than those under way. The session
    /// hears when that is over.
    fn has_to_wait(&self, request: &Request, ctx: &Context<Self>) -> bool {
        if request.conversation().is_some_and(|conversation| self.resuming.contains(&conversation)) {
            return true;
        }
        let Request::Send { conversation, .. } = request else { return false };
        self.sends_to != Some(*conversation) && {
            let this = self.address(ctx);
            self.sends.are_under_way(move || this.push(SessionCommand::SendsDone))
        }
    }

    /// What was waited for is over.
    fn release(&mut self, ctx: &mut Context<Self>) {
        while let Some((request, reply)) = self.held.pop_front() {
            if self.has_to_wait(&request, ctx) {
                return self.held.push_front((request, reply));
            }
            self.handle_now(request, reply, ctx);
        }
    }

    fn handle_now(&mut self, request: Request, reply: Reply, ctx: &mut Context<Self>) {
        let (user, session) = (self.user, self.id);
        match request {
            Request::Join { conversation, since: None } => self.join(conversation, None, reply, ctx),
            Request::Join { conversation, since: Some(since) } => self.resume(conversation, since, reply, ctx),
            Request::Send { conversation, draft } => {
                self.sends_to = Some(conversation);
                let reply = reply.counted(self.sends.begin());
                match self.room(conversation) {
                    Some(room) => room.post(user, draft, reply),
                    None => reply.refuse(&Refusal::overloaded()),
                }
            }
            Request::MarkRead { conversation, up_to } => match self.room(conversation) {
                Some(room) => room.mark_read(user, up_to, ReadAnswer::Session(reply)),
                None => reply.refuse(&Refusal::overloaded()),
            },
            Request::Renew(credentials) => {
                self.hub.renew(self.id, credentials, None);
                let expires_at = Timestamp::from_seconds(credentials.expires_at);
                reply.done(Some(&encode(&TokenTimes { expires_at })));
            }
            Request::Leave { conversation } => {
                let joined = self.joined.remove(&conversation).map(|joined| joined.room);
                // In a room that it has left already, that may be under way.
                match joined.or_else(|| self.shared.directory.find_room(conversation)) {
                    Some(room) => room.leave_and_say(session, self.hub.clone(), reply),
                    None => reply.done(None),
                }
            }
            Request::Typing { conversation, started } => match self.room(conversation).cloned() {
                Some(room) => {
                    self.note_typing(&room, started);
                    room.typing(user, session, started, reply);
                }
                None => reply.refuse(&Refusal::overloaded()),
            },
        }
    }

    /// Remembers where the user types, for as long as it is believed there.
    fn note_typing(&mut self, room: &RoomHandle, started: bool) {
        // In as many rooms as people type at once. In others it ends by itself.
        const ROOMS: usize = 8;
        self.typing.retain(|(other, since)| !other.is(room) && since.elapsed() < TYPING_END);
        if started {
            self.typing.truncate(ROOMS - 1);
            self.typing.push_front((room.downgrade(), Instant::now()));
        }
    }

    fn stop_typing(&mut self) {
        for (room, _) in self.typing.drain(..) {
            room.typist_gone(self.id);
        }
    }

    fn address(&self, ctx: &Context<Self>) -> WeakSession {
        Mailbox::new(ctx.address(), self.waiting.clone(), SESSION_IN_FLIGHT).downgrade()
    }

    /// Looks a room up once and keeps the handle. `None` if there are too many rooms.
    fn room(&mut self, conversation: ConversationId) -> Option<&RoomHandle> {
        let known = match &self.latest {
            Some((latest, room)) if *latest == conversation => Some(room),
            _ => self.joined.get(&conversation).map(|joined| &joined.room),
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
            SessionCommand::NotJoined(conversation, number) => self.not_joined(conversation, number),
            SessionCommand::SendsDone => self.release(ctx),
            // Whoever asked may have gone meanwhile.
            SessionCommand::Rooms(answer) => drop(answer.send(self.joined.keys().copied().collect())),
            SessionCommand::Renew(credentials, connection) => self.hub.renew(self.id, credentials, Some(connection)),
            SessionCommand::Lost => self.stop_typing(),
            SessionCommand::Fail => {
                self.outbox.close(CloseReason::RoomFailed);
                ctx.stop();
            }
            SessionCommand::End => ctx.stop(),
            #[cfg(test)]
            SessionCommand::Panic => panic!("asked to"),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop_typing();
        for joined in self.joined.values() {
            joined.room.leave(self.id);
        }
        self.hub.unregister(self.id);
        if let Some(recoverable) = &self.recoverable {
            self.shared.recoveries.forget(recoverable);
        }
        self.shared.counters.sub(Gauge::Sessions);
        if std::thread::panicking() {
            self.shared.counters.add(Gauge::ActorsFailed);
            tracing::error!("a session failed; its connection is closed");
            self.outbox.close(CloseReason::SessionFailed);
        }
    }
}
