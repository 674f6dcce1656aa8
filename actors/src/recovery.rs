//! Connection state recovery, Socket.IO's own (<https://socket.io/docs/v4/connection-state-recovery>), for clients that ask
//! for it: their session outlives a lost connection.
//!
//! A [`Recoverable`] stands between the session and its connection. It keeps what it passes on until the client must have
//! it, and everything while nobody is connected; the session stays in its rooms meanwhile. Whoever comes back with the
//! private id, a token of the same user and the offset of the last event that came through takes the session over, also
//! while the connection before is not known to be lost, and is sent the rest first. Bounds: [`RECOVERY_EVENTS`],
//! [`RECOVERY_BYTES`], [`RECOVERY_SESSIONS`] and [`RECOVERY_TOTAL_BYTES`], of one user `RECOVERY_SESSIONS_OF_USER` and
//! [`RECOVERY_USER_BYTES`], and the configured window.

mod kept;
mod log;
mod outbox;
mod waiting;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use dashmap::DashMap;

use crate::{
    counters::{Counters, Gauge},
    event::Offset,
    ids::{SessionId, UserId},
    limits::{
        RECOVERY_BYTES, RECOVERY_EVENTS, RECOVERY_SESSIONS, RECOVERY_SWEEP, RECOVERY_TOTAL_BYTES, RECOVERY_USER_BYTES,
        SESSION_IN_FLIGHT,
    },
    outbox::{CloseReason, Outbox, Queued},
    session::SessionAddress,
    shared::Shared,
};

use log::{Log, Totals};
use waiting::WaitingSessions;

pub(crate) use kept::{KeptRow, SentMessage, keep, restore};

/// A session's private id: who has it, and a token of the session's user, may take the session over.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pid([u8; 16]);

impl Pid {
    fn new() -> Self {
        let mut random = [0; 16];
        getrandom::fill(&mut random).expect("the system has random numbers");
        Self(random)
    }

    /// 32 hex characters; `None` for anything else.
    pub fn parse(hex: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(hex, &mut bytes).ok().map(|()| Self(bytes))
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Pid {
    // As secret as a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pid")
    }
}

/// What a client says that wants its session to outlive its connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recover {
    /// The session it had.
    pub pid: Option<Pid>,
    /// The last event of it that came through.
    pub offset: Option<Offset>,
}

/// All sessions of a server that can be recovered.
#[derive(Debug)]
pub(crate) struct Recoveries {
    sessions: DashMap<Pid, Arc<Recoverable>>,
    waiting: Arc<WaitingSessions>,
    totals: Totals,
    /// How long a session waits for its client; zero: nobody's does.
    window: Duration,
    counters: Arc<Counters>,
}

impl Recoveries {
    pub(crate) fn new(window: Duration, counters: Arc<Counters>) -> Self {
        Self { sessions: DashMap::new(), waiting: Arc::default(), totals: Totals::default(), window, counters }
    }

    pub(crate) fn are_on(&self) -> bool {
        !self.window.is_zero()
    }

    /// For a session that is about to start; `outbox` is its connection's.
    pub(crate) fn begin(&self, user: UserId, outbox: Arc<dyn Outbox>) -> Arc<Recoverable> {
        self.add(Pid::new(), SessionId::new(), user, Log::new(self.totals.of(user)), Place::Connected(outbox))
    }

    fn add(&self, pid: Pid, session: SessionId, user: UserId, log: Log, place: Place) -> Arc<Recoverable> {
        let waits = place.lost();
        let state = Mutex::new(State { place, connection: 0, log });
        let recoverable = Arc::new_cyclic(|this| Recoverable {
            this: this.clone(),
            pid,
            session,
            user,
            unanswered: AtomicUsize::new(0),
            state,
            address: OnceLock::new(),
            window: self.window,
            waiting: self.waiting.clone(),
            counters: self.counters.clone(),
        });
        self.counters.change(Gauge::LostSessions, waits);
        if waits > 0 {
            self.waiting.add(&recoverable);
        }
        self.sessions.insert(pid, recoverable.clone());
        recoverable
    }

    /// Gives a client its session back, its connection being `outbox` now. `None`: there is none, or not everything that
    /// the client has missed is there any more; the session ends then.
    pub(crate) fn take_over(&self, recover: Recover, user: UserId, outbox: &Arc<dyn Outbox>) -> Option<Seat> {
        let found = self.sessions.get(&recover.pid?)?.clone();
        // Somebody else's token proves nothing, and ends nothing.
        (found.user == user).then(|| found.take_over(recover.offset, outbox))?
    }

    /// It is no more.
    pub(crate) fn forget(&self, session: &Recoverable) {
        self.sessions.remove(&session.pid);
        session.give_up();
    }

    fn all(&self) -> Vec<Arc<Recoverable>> {
        self.sessions.iter().map(|session| session.clone()).collect()
    }
}

/// Lets go of what nobody needs any more, again and again.
pub(crate) async fn sweep(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(RECOVERY_SWEEP).await;
        let now = Instant::now();
        shared.recoveries.sessions.iter().for_each(|session| session.sweep(now));
    }
}

/// A connection's place at a session that outlives it.
#[derive(Clone)]
pub(crate) struct Seat {
    pub(crate) recoverable: Arc<Recoverable>,
    pub(crate) connection: u32,
}

impl Seat {
    /// The first connection's.
    pub(crate) fn first(recoverable: Arc<Recoverable>) -> Self {
        Self { recoverable, connection: 0 }
    }

    /// The connection is over. The session stays for a while if that is no wish of the client's and no fault.
    pub(crate) fn leave(&self, reason: Option<CloseReason>) {
        let this = &*self.recoverable;
        let mut state = this.state();
        // Otherwise another connection has taken it over.
        if state.connection == self.connection {
            let waits = reason.is_some_and(CloseReason::is_recoverable)
                && matches!(state.place, Place::Connected(_))
                && this.counters.get(Gauge::LostSessions) < RECOVERY_SESSIONS;
            let place =
                if waits { Place::Lost { until: Instant::now() + this.window, missed: 0 } } else { Place::Ended };
            this.put(&mut state, place);
        }
        drop(state);
        // Not under the lock of another one. One at a time: after a restart all those wait that were connected before.
        if let Some(oldest) = this.waiting.take_surplus(this.user) {
            oldest.give_up();
        }
    }
}

pub(crate) struct Recoverable {
    this: Weak<Self>,
    pid: Pid,
    session: SessionId,
    user: UserId,
    /// Requests that came over any of its connections.
    unanswered: AtomicUsize,
    state: Mutex<State>,
    address: OnceLock<SessionAddress>,
    window: Duration,
    waiting: Arc<WaitingSessions>,
    counters: Arc<Counters>,
}

struct State {
    place: Place,
    /// Counts the connections it has had.
    connection: u32,
    log: Log,
}

enum Place {
    Connected(Arc<dyn Outbox>),
    /// Nobody is connected, and somebody may come back.
    Lost {
        until: Instant,
        /// Events that the client can have only from the log.
        missed: usize,
    },
    Ended,
}

impl Recoverable {
    pub(crate) fn session(&self) -> SessionId {
        self.session
    }

    pub(crate) fn user(&self) -> UserId {
        self.user
    }

    /// The session has started.
    pub(crate) fn started(&self, address: SessionAddress) {
        let _ = self.address.set(address);
    }

    pub(crate) fn address(&self) -> Option<&SessionAddress> {
        self.address.get()
    }

    /// A request has come.
    pub(crate) fn asked(&self) {
        self.unanswered.fetch_add(1, Ordering::SeqCst);
    }

    /// It is answered.
    pub(crate) fn answered(&self) {
        self.unanswered.fetch_sub(1, Ordering::SeqCst);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the place; what was there comes back.
    fn put(&self, state: &mut State, place: Place) -> Place {
        let change = place.lost() - state.place.lost();
        self.counters.change(Gauge::LostSessions, change);
        match change {
            1.. => self.waiting.add(self),
            0 => (),
            ..0 => self.waiting.remove(self),
        }
        match (&place, self.address.get()) {
            (Place::Ended, Some(address)) => address.end(),
            (Place::Lost { .. }, Some(address)) => address.lost(),
            _ => (),
        }
        std::mem::replace(&mut state.place, place)
    }

    fn take_over(self: Arc<Self>, offset: Option<Offset>, outbox: &Arc<dyn Outbox>) -> Option<Seat> {
        let mut state = self.state();
        let busy = self.unanswered.load(Ordering::SeqCst) > SESSION_IN_FLIGHT;
        if busy || state.place.is_over(Instant::now()) || !state.log.confirm(offset) {
            let before = self.put(&mut state, Place::Ended);
            drop(state);
            before.close();
            return None;
        }
        let before = self.put(&mut state, Place::Connected(outbox.clone()));
        state.connection += 1;
        let seat = Seat { recoverable: self.clone(), connection: state.connection };
        // Under the lock, so that nothing newer overtakes it.
        outbox.opened(self.session, Some(self.pid));
        let sent = state.log.again(Instant::now()).all(|event| outbox.event(event) == Queued::Yes);
        drop(state);
        before.close();
        if !sent {
            outbox.close(CloseReason::SlowConsumer);
        }
        Some(seat)
    }

    /// Waits no longer, if it does.
    fn give_up(&self) {
        let state = &mut *self.state();
        if matches!(state.place, Place::Lost { .. }) {
            self.put(state, Place::Ended);
        }
    }

    fn sweep(&self, now: Instant) {
        let state = &mut *self.state();
        match state.place {
            Place::Connected(_) => state.log.trim(now),
            Place::Lost { until, .. } if until <= now => drop(self.put(state, Place::Ended)),
            Place::Lost { .. } | Place::Ended => (),
        }
    }
}

impl Place {
    /// How many wait for their client here.
    fn lost(&self) -> i64 {
        i64::from(matches!(self, Self::Lost { .. }))
    }

    fn is_over(&self, now: Instant) -> bool {
        matches!(self, Self::Ended) || matches!(self, Self::Lost { until, .. } if *until <= now)
    }

    /// Closes the connection that was here: another one has its session, or the session is over.
    fn close(self) {
        if let Self::Connected(outbox) = self {
            outbox.close(CloseReason::TakenOver);
        }
    }
}

impl fmt::Debug for Recoverable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recoverable").field("session", &self.session).finish_non_exhaustive()
    }
}
