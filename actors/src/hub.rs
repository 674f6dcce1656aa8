//! One worker's hub: which of its sessions are in which room and which belong to which user.
//!
//! Fan-out to the members on a worker is a loop over their outboxes; no recipient costs a mailbox or a task. A hub lives
//! as long as its worker. Its queue is bounded by [`HUB_QUEUE`]: rooms ask before they let a message in.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use actix::{Actor, AsyncContext, Context, Handler, Message};
use dashmap::DashMap;
use tokio::sync::oneshot;

use crate::{
    counters::{Counters, Gauge},
    credentials::{Credentials, Revocations},
    event::{Durability, EncodedEvent},
    ids::{ConversationId, SessionId, UserId},
    limits::{HUB_QUEUE, TOKEN_WARNING},
    mailbox::{Mailbox, Waiting},
    outbox::{CloseReason, Outbox, Queued},
    reply::Reply,
    timestamp::Timestamp,
    way::Way,
    workers::end_server,
};

/// Which workers have sessions of a user: a bit each.
pub(crate) type Presence = Arc<DashMap<UserId, u64>>;

/// What a room hands to the hubs that need it.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) conversation: ConversationId,
    /// For every member but one.
    pub(crate) event: Option<Arc<EncodedEvent>>,
    pub(crate) except: Option<SessionId>,
    /// For every session of a user.
    pub(crate) notification: Option<(UserId, Arc<EncodedEvent>)>,
    /// Of the message that it is about.
    pub(crate) way: Way,
}

impl Delivery {
    /// An event that is about no message on its way, for every member but one.
    pub(crate) fn to_members(
        conversation: ConversationId,
        event: Arc<EncodedEvent>,
        except: Option<SessionId>,
    ) -> Self {
        Self { conversation, event: Some(event), except, notification: None, way: Way::none() }
    }

    /// The same for every session of a user.
    pub(crate) fn to_user(conversation: ConversationId, user: UserId, event: Arc<EncodedEvent>) -> Self {
        Self { conversation, event: None, except: None, notification: Some((user, event)), way: Way::none() }
    }
}

/// Callers' side of a hub.
#[derive(Clone, Debug)]
pub(crate) struct HubHandle {
    /// The worker's number.
    pub(crate) index: usize,
    mailbox: Mailbox<Hub>,
}

impl HubHandle {
    pub(crate) fn register(&self, session: SessionId, user: UserId, credentials: Credentials, outbox: Arc<dyn Outbox>) {
        self.mailbox.push(HubCommand::Register { session, user, credentials, outbox });
    }

    /// A session's client has shown another token; `over` which of its connections, if that has taken the session over with
    /// it, and was told nothing yet.
    pub(crate) fn renew(&self, session: SessionId, credentials: Credentials, over: Option<u32>) {
        self.mailbox.push(HubCommand::Renew { session, credentials, over });
    }

    pub(crate) fn close_user(&self, user: UserId, reason: CloseReason) {
        self.mailbox.push(HubCommand::CloseUser(user, reason));
    }

    pub(crate) fn unregister(&self, session: SessionId) {
        self.mailbox.push(HubCommand::Unregister(session));
    }

    /// A session has come into a room, or was there already: it is told so, with `data`, JSON, where what was published before
    /// ends and what is published from now on begins.
    pub(crate) fn join(&self, conversation: ConversationId, session: SessionId, reply: Reply, data: String) {
        self.mailbox.push(HubCommand::Join { conversation, session, reply, data });
    }

    /// A session leaves a room, and is told when it hears nothing of it any more.
    pub(crate) fn leave(&self, conversation: ConversationId, session: SessionId, reply: Reply) {
        self.mailbox.push(HubCommand::Leave { conversation, session, reply });
    }

    /// Hands over what follows from a committed message: never refused, see [`HUB_QUEUE`].
    pub(crate) fn deliver(&self, delivery: Delivery) {
        self.mailbox.push(HubCommand::Deliver(delivery));
    }

    /// Returns when all that was handed over before this call is delivered: which rooms each session is in then.
    pub(crate) async fn rooms_once_delivered(&self) -> Vec<(SessionId, Vec<ConversationId>)> {
        let (answer, answered) = oneshot::channel();
        self.mailbox.push(HubCommand::Rooms(answer));
        // A hub that has ended has no sessions.
        answered.await.unwrap_or_default()
    }

    pub(crate) fn close_room(&self, conversation: ConversationId, reason: CloseReason) {
        self.mailbox.push(HubCommand::CloseRoom(conversation, reason));
    }

    /// Whether messages are refused and, earlier, typing is dropped.
    pub(crate) fn is_full(&self, durability: Durability) -> bool {
        let limit = match durability {
            Durability::Durable => HUB_QUEUE,
            Durability::Ephemeral => HUB_QUEUE / 2,
        };
        self.mailbox.waiting() >= limit
    }
}

pub(crate) struct Hub {
    index: usize,
    waiting: Waiting,
    presence: Presence,
    counters: Arc<Counters>,
    sessions: HashMap<SessionId, Local>,
    users: HashMap<UserId, Vec<SessionId>>,
    rooms: HashMap<ConversationId, Vec<Place>>,
    revocations: Revocations,
    /// When there is something to say about a session's token, in seconds since 1970.
    due: BTreeSet<(i64, SessionId)>,
}

/// A session's place in a room.
type Place = (SessionId, Arc<dyn Outbox>);

/// A session of this worker.
struct Local {
    user: UserId,
    outbox: Arc<dyn Outbox>,
    rooms: Vec<ConversationId>,
    expires_at: i64,
    /// Over which of the session's connections that came.
    connection: u32,
    /// Its place in the order of what is due.
    due: i64,
    /// That the token will soon expire.
    is_warned: bool,
}

#[derive(Message)]
#[rtype(result = "()")]
enum HubCommand {
    Register { session: SessionId, user: UserId, credentials: Credentials, outbox: Arc<dyn Outbox> },
    Renew { session: SessionId, credentials: Credentials, over: Option<u32> },
    CloseUser(UserId, CloseReason),
    Unregister(SessionId),
    Join { conversation: ConversationId, session: SessionId, reply: Reply, data: String },
    Leave { conversation: ConversationId, session: SessionId, reply: Reply },
    Deliver(Delivery),
    Rooms(oneshot::Sender<Vec<(SessionId, Vec<ConversationId>)>>),
    CloseRoom(ConversationId, CloseReason),
}

impl Hub {
    /// Starts the hub of this thread's worker.
    pub(crate) fn start_here(
        index: usize,
        presence: Presence,
        revocations: Revocations,
        counters: Arc<Counters>,
    ) -> HubHandle {
        let waiting = Waiting::default();
        let hub = Self {
            index,
            waiting: waiting.clone(),
            presence,
            counters,
            sessions: HashMap::new(),
            users: HashMap::new(),
            rooms: HashMap::new(),
            revocations,
            due: BTreeSet::new(),
        };
        let address = Self::start_in_arbiter(&actix::Arbiter::current(), move |_| hub);
        HubHandle { index, mailbox: Mailbox::new(address, waiting, HUB_QUEUE) }
    }

    fn register(&mut self, session: SessionId, user: UserId, credentials: Credentials, outbox: Arc<dyn Outbox>) {
        *self.presence.entry(user).or_default() |= 1 << self.index;
        self.users.entry(user).or_default().push(session);
        let Credentials { expires_at, .. } = credentials;
        let due = expires_at.saturating_sub(TOKEN_WARNING);
        self.due.insert((due, session));
        let local = Local { user, outbox, rooms: Vec::new(), expires_at, connection: 0, due, is_warned: false };
        let Local { outbox, .. } = self.sessions.entry(session).or_insert(local);
        if self.revocations.concern(user, credentials) {
            // Just now: whoever revokes closes those who are here already.
            return outbox.close(CloseReason::Revoked);
        }
        // Only now: from the client's connect on, nothing passes it by.
        outbox.opened(session, None);
    }

    fn renew(&mut self, session: SessionId, credentials: Credentials, over: Option<u32>) {
        let Some(local) = self.sessions.get_mut(&session) else { return };
        if over.is_some_and(|connection| connection < local.connection) {
            // One that came later was faster.
            return;
        }
        self.due.remove(&(local.due, session));
        // Whoever was warned of this moment is not warned again.
        local.is_warned &= over.is_none() && local.expires_at == credentials.expires_at;
        local.connection = over.unwrap_or(local.connection);
        local.expires_at = credentials.expires_at;
        local.due = credentials.expires_at.saturating_sub(if local.is_warned { 0 } else { TOKEN_WARNING });
        self.due.insert((local.due, session));
        if self.revocations.concern(local.user, credentials) {
            local.outbox.close(CloseReason::Revoked);
        }
    }

    /// Warns those whose token will soon expire, and closes those whose token has.
    fn look_at_tokens(&mut self) {
        let now = Timestamp::now().seconds();
        while let Some((due, session)) = self.due.first().copied().filter(|(due, _)| *due <= now) {
            self.due.remove(&(due, session));
            let Some(local) = self.sessions.get_mut(&session) else { continue };
            if local.outbox.connection() != local.connection {
                // Somebody has taken it over with another token, which is on its way and brings a time of its own.
                continue;
            }
            let expires_at = Timestamp::from_seconds(local.expires_at);
            if local.expires_at > now {
                local.due = local.expires_at;
                self.due.insert((local.due, session));
                // Nobody may be there who hears it.
                let queued = Self::send(&local.outbox, &EncodedEvent::token("token_expiring", expires_at));
                local.is_warned = matches!(queued, Queued::Yes);
            } else {
                local.outbox.event(&EncodedEvent::token("auth_expired", expires_at));
                local.outbox.close(CloseReason::AuthExpired);
            }
        }
    }

    fn close_user(&self, user: UserId, reason: CloseReason) {
        for local in self.users.get(&user).into_iter().flatten().filter_map(|session| self.sessions.get(session)) {
            local.outbox.close(reason);
        }
    }

    fn unregister(&mut self, session: SessionId) {
        let Some(local) = self.sessions.remove(&session) else { return };
        self.due.remove(&(local.due, session));
        for conversation in local.rooms {
            self.remove_member(conversation, session);
        }
        let Some(of_user) = self.users.get_mut(&local.user) else { return };
        of_user.retain(|other| *other != session);
        if of_user.is_empty() {
            self.users.remove(&local.user);
            let bit = 1 << self.index;
            self.presence.remove_if_mut(&local.user, |_, workers| {
                *workers &= !bit;
                *workers == 0
            });
        }
    }

    fn remove_member(&mut self, conversation: ConversationId, session: SessionId) {
        let Some(members) = self.rooms.get_mut(&conversation) else { return };
        members.retain(|(member, _)| *member != session);
        self.counters.sub(Gauge::HubMembers);
        if members.is_empty() {
            self.rooms.remove(&conversation);
        }
    }

    fn join(&mut self, conversation: ConversationId, session: SessionId) {
        // A session that ended meanwhile is not here any more.
        let Some(local) = self.sessions.get_mut(&session) else { return };
        if local.rooms.contains(&conversation) {
            return;
        }
        local.rooms.push(conversation);
        self.rooms.entry(conversation).or_default().push((session, local.outbox.clone()));
        self.counters.add(Gauge::HubMembers);
    }

    fn leave(&mut self, conversation: ConversationId, session: SessionId) {
        let Some(local) = self.sessions.get_mut(&session) else { return };
        let before = local.rooms.len();
        local.rooms.retain(|room| *room != conversation);
        if local.rooms.len() < before {
            self.remove_member(conversation, session);
        }
    }

    fn deliver(&self, delivery: &Delivery) {
        let delivers = delivery.way.delivers(self.index);
        if let Some(event) = &delivery.event {
            for (session, outbox) in self.rooms.get(&delivery.conversation).into_iter().flatten() {
                if delivery.except != Some(*session) {
                    delivers.to(*session, event.name, Self::send(outbox, event));
                }
            }
        }
        let Some((user, notification)) = &delivery.notification else { return };
        for session in self.users.get(user).into_iter().flatten() {
            if let Some(local) = self.sessions.get(session) {
                delivers.to(*session, notification.name, Self::send(&local.outbox, notification));
            }
        }
    }

    fn send(outbox: &Arc<dyn Outbox>, event: &Arc<EncodedEvent>) -> Queued {
        let queued = outbox.event(event);
        if queued == Queued::Full && event.durability == Durability::Durable {
            outbox.close(CloseReason::SlowConsumer);
        }
        queued
    }
}

impl Drop for Hub {
    /// The sessions of a worker without its hub would hear nothing more.
    fn drop(&mut self) {
        if std::thread::panicking() {
            end_server("a hub failed; the server ends");
        }
    }
}

impl Actor for Hub {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(Duration::from_secs(1), |hub, _| hub.look_at_tokens());
    }
}

impl Handler<HubCommand> for Hub {
    type Result = ();

    fn handle(&mut self, command: HubCommand, _: &mut Context<Self>) {
        self.waiting.taken();
        match command {
            HubCommand::Register { session, user, credentials, outbox } => {
                self.register(session, user, credentials, outbox);
            }
            HubCommand::Renew { session, credentials, over } => self.renew(session, credentials, over),
            HubCommand::CloseUser(user, reason) => self.close_user(user, reason),
            HubCommand::Unregister(session) => self.unregister(session),
            HubCommand::Join { conversation, session, reply, data } => {
                self.join(conversation, session);
                reply.done(Some(&data));
            }
            HubCommand::Leave { conversation, session, reply } => {
                self.leave(conversation, session);
                reply.done(None);
            }
            HubCommand::Deliver(delivery) => self.deliver(&delivery),
            // Whoever has asked may not wait any more.
            HubCommand::Rooms(answer) => {
                let rooms = self.sessions.iter().map(|(session, local)| (*session, local.rooms.clone()));
                drop(answer.send(rooms.collect()));
            }
            HubCommand::CloseRoom(conversation, reason) => {
                for (_, outbox) in self.rooms.get(&conversation).into_iter().flatten() {
                    outbox.close(reason);
                }
            }
        }
    }
}
