//! How others reach a session: its transport, the recovery that keeps it, and the rooms that let it in.

use std::{collections::HashMap, fmt, sync::Arc};

use tokio::sync::oneshot;

use crate::{
    counters::Counters,
    credentials::Credentials,
    gate::Permit,
    hub::HubHandle,
    ids::{ConversationId, SessionId, UserId},
    mailbox::{Mailbox, WeakMailbox},
    outbox::{AckId, CloseReason, Outbox},
    recovery::{Recover, Recoverable, Seat},
    reply::{Reply, Unanswered},
    shared::Shared,
};

use super::{Member, Request, Session, SessionCommand};

/// A transport's side of its session.
#[derive(Clone)]
pub struct SessionHandle {
    id: SessionId,
    address: SessionAddress,
    /// The connection's own.
    outbox: Arc<dyn Outbox>,
    counters: Arc<Counters>,
    /// For a session that outlives its connection.
    seat: Option<Seat>,
}

impl SessionHandle {
    /// A request has come. To be called before it is looked at whether the server stops, which waits for those that began.
    pub fn begin(&self) -> Unanswered {
        let recoverable = self.seat.as_ref().map(|seat| seat.recoverable.clone());
        Unanswered::begin(&self.counters, recoverable)
    }

    /// Takes a request; `ack` is given where the client wants an answer. Requests are handled in the order they come.
    pub fn request(&self, request: Request, ack: Option<AckId>, permit: Permit, unanswered: Unanswered) {
        let reply = Reply::session(self.outbox.clone(), ack, permit, unanswered);
        self.address.0.push(SessionCommand::Request(request, reply));
    }

    /// Its own.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The conversations whose rooms it has joined; `None` if it has ended.
    pub async fn rooms(&self) -> Option<Vec<ConversationId>> {
        self.address.rooms().await
    }

    /// The client has left.
    pub fn end(&self) {
        match &self.seat {
            Some(seat) => seat.leave(None),
            None => self.address.end(),
        }
    }

    /// The connection is over. The client may come back to its session, if it has asked for that.
    pub fn disconnected(&self, reason: CloseReason) {
        match &self.seat {
            Some(seat) => seat.leave(Some(reason)),
            None => self.address.end(),
        }
    }

    /// Starts a session on this worker.
    pub(crate) fn start(
        user: UserId,
        credentials: Credentials,
        outbox: Arc<dyn Outbox>,
        shared: &Arc<Shared>,
        hub: HubHandle,
    ) -> Self {
        let id = SessionId::new();
        let session = Session::new(id, user, outbox.clone(), hub, shared);
        let address = session.start(credentials, &actix::Arbiter::current());
        Self { id, address, outbox, counters: shared.counters.clone(), seat: None }
    }

    /// The same for one that outlives its connection.
    pub(crate) fn start_recoverable(
        user: UserId,
        credentials: Credentials,
        outbox: Arc<dyn Outbox>,
        shared: &Arc<Shared>,
        hub: HubHandle,
    ) -> Self {
        let recoverable = shared.recoveries.begin(user, outbox.clone());
        let address = Session::recoverable(&recoverable, hub, shared).start(credentials, &actix::Arbiter::current());
        recoverable.started(address.clone());
        Self {
            id: recoverable.session(),
            address,
            outbox,
            counters: shared.counters.clone(),
            seat: Some(Seat::first(recoverable)),
        }
    }

    /// Gives a client the session it had, if all that it has missed is there.
    pub(crate) fn recover(
        recover: Recover,
        user: UserId,
        credentials: Credentials,
        outbox: Arc<dyn Outbox>,
        shared: &Arc<Shared>,
    ) -> Option<Self> {
        let seat = shared.recoveries.take_over(recover, user, &outbox)?;
        let address = seat.recoverable.address()?.clone();
        address.0.push(SessionCommand::Renew(credentials, seat.connection));
        Some(Self {
            id: seat.recoverable.session(),
            address,
            outbox,
            counters: shared.counters.clone(),
            seat: Some(seat),
        })
    }
}

/// Starts a session that the server before has kept; whether it could be.
pub(crate) fn start_kept(recoverable: &Arc<Recoverable>, rooms: &[ConversationId], shared: &Arc<Shared>) -> bool {
    let (hub, arbiter) = shared.workers.of_session(recoverable.session());
    let rooms: Option<HashMap<_, _>> = rooms.iter().map(|room| Some((*room, shared.room(*room)?))).collect();
    let Some(rooms) = rooms else {
        shared.recoveries.forget(recoverable);
        return false;
    };
    let mut session = Session::recoverable(recoverable, hub.clone(), shared);
    for (conversation, room) in &rooms {
        session.enter(*conversation, room.clone());
    }
    let address = session.start(Credentials::NONE_YET, arbiter);
    recoverable.started(address.clone());
    for room in rooms.values() {
        let if_refused = (address.downgrade(), SessionCommand::Fail);
        let (session, user, hub) = (recoverable.session(), recoverable.user(), hub.clone());
        room.join(Member { session, user, hub, if_refused }, None, Reply::nobody());
    }
    true
}

#[cfg(test)]
impl SessionHandle {
    pub(crate) fn panic(&self) {
        self.address.0.push(SessionCommand::Panic);
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionHandle").finish_non_exhaustive()
    }
}

/// A session as the server sees it. Whoever holds one keeps it.
#[derive(Clone)]
pub(crate) struct SessionAddress(pub(super) Mailbox<Session>);

impl SessionAddress {
    pub(crate) fn end(&self) {
        self.0.push(SessionCommand::End);
    }

    pub(crate) fn lost(&self) {
        self.0.push(SessionCommand::Lost);
    }

    /// The rooms it has joined; `None` if it has ended.
    pub(crate) async fn rooms(&self) -> Option<Vec<ConversationId>> {
        let (answer, answered) = oneshot::channel();
        self.0.push(SessionCommand::Rooms(answer));
        answered.await.ok()
    }

    pub(super) fn downgrade(&self) -> WeakSession {
        self.0.downgrade()
    }
}

/// A session as those see it who have something to tell it; it may have ended.
pub(super) type WeakSession = WeakMailbox<Session>;
