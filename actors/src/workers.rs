//! The server's workers: where rooms run, and the hub and the lanes of each.

use std::{
    cell::OnceCell,
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix::{Arbiter, ArbiterHandle};
use futures::future::join_all;
use tokio::sync::Semaphore;
use tokio_postgres::Config;

use crate::{
    counters::Counters,
    credentials::Revocations,
    hub::{Hub, HubHandle, Presence},
    ids::{ConversationId, SessionId},
    limits::{EXIT_ACTOR_FAILED, WORKERS},
    persistence::Persistence,
};

thread_local! {
    static HUB_HERE: OnceCell<HubHandle> = const { OnceCell::new() };
}

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) arbiter: ArbiterHandle,
    pub(crate) persistence: Persistence,
    hub: HubHandle,
}

/// Filled once, at the start, by each worker itself.
#[derive(Debug)]
pub(crate) struct Workers {
    slots: [OnceLock<Worker>; WORKERS],
    claimed: AtomicUsize,
    /// How many there will be.
    count: usize,
    /// A permit for each that is there.
    entered: Semaphore,
    database: Config,
    presence: Presence,
    revocations: Revocations,
    counters: Arc<Counters>,
}

impl Workers {
    pub(crate) fn new(
        count: usize,
        database: Config,
        presence: Presence,
        revocations: Revocations,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            slots: std::array::from_fn(|_| OnceLock::new()),
            claimed: AtomicUsize::new(0),
            count,
            entered: Semaphore::new(0),
            database,
            presence,
            revocations,
            counters,
        }
    }

    /// The hub of this thread's worker, which enters with the first call. Must run in an actix arbiter.
    pub(crate) fn hub_here(&self) -> HubHandle {
        HUB_HERE.with(|here| here.get_or_init(|| self.enter()).clone())
    }

    fn enter(&self) -> HubHandle {
        let index = self.claimed.fetch_add(1, Ordering::SeqCst);
        if index >= self.count {
            // One has failed and is replaced; its rooms and lanes are not, and nobody could say what they had stored.
            end_server("a worker failed; the server ends");
        }
        let hub = Hub::start_here(index, self.presence.clone(), self.revocations.clone(), self.counters.clone());
        let persistence = Persistence::start_here(index, self.count, &self.database, &self.counters);
        let worker = Worker { arbiter: Arbiter::current(), hub: hub.clone(), persistence };
        assert!(self.slots[index].set(worker).is_ok(), "a slot is claimed once");
        self.entered.add_permits(1);
        hub
    }

    /// Returns when all workers have entered.
    pub(crate) async fn all_entered(&self) {
        // The configuration allows 64.
        let all = self.entered.acquire_many(self.count as u32).await;
        drop(all.expect("never closed"));
    }

    /// Where a conversation's room runs. One worker at least has entered.
    pub(crate) fn worker_of(&self, conversation: ConversationId) -> &Worker {
        self.any_for(conversation)
    }

    /// Where a session runs that no connection has brought to a worker. All workers have entered.
    pub(crate) fn of_session(&self, session: SessionId) -> (&HubHandle, &ArbiterHandle) {
        let worker = self.any_for(session);
        (&worker.hub, &worker.arbiter)
    }

    fn any_for(&self, what: impl Hash) -> &Worker {
        let ready = self.present().count();
        self.slots[spread(what, ready.max(1))].get().expect("whoever asks was taken in by a worker")
    }

    /// Rows on all lanes that are not committed yet.
    pub(crate) fn rows_waiting(&self) -> usize {
        self.present().map(|worker| worker.persistence.waiting()).sum()
    }

    /// How many lanes there are.
    pub(crate) fn lanes(&self) -> usize {
        self.present().map(|worker| worker.persistence.lanes()).sum()
    }

    /// Returns when the hubs have delivered all that rooms had handed to them before this call: which rooms each session is
    /// in then.
    pub(crate) async fn rooms_once_delivered(&self) -> HashMap<SessionId, Vec<ConversationId>> {
        join_all(self.present().map(|worker| worker.hub.rooms_once_delivered())).await.into_iter().flatten().collect()
    }

    fn present(&self) -> impl Iterator<Item = &Worker> {
        self.slots.iter().map_while(OnceLock::get)
    }

    /// Calls `act` with the hub of each worker whose bit is set.
    pub(crate) fn each(&self, mask: u64, mut act: impl FnMut(&HubHandle)) {
        self.any(mask, |hub| {
            act(hub);
            false
        });
    }

    /// Whether `test` holds for the hub of one of the workers whose bit is set.
    pub(crate) fn any(&self, mut mask: u64, mut test: impl FnMut(&HubHandle) -> bool) -> bool {
        while mask != 0 {
            let index = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            if self.slots[index].get().is_some_and(|worker| test(&worker.hub)) {
                return true;
            }
        }
        false
    }
}

/// Which of `n` places something belongs to; the same one each time.
pub(crate) fn spread(what: impl Hash, n: usize) -> usize {
    (BuildHasherDefault::<DefaultHasher>::default().hash_one(what) % n as u64) as usize
}

/// Ends the process for a fault after which nobody could say what is stored.
pub(crate) fn end_server(why: &'static str) -> ! {
    tracing::error!("{why}");
    // Another thread writes that.
    std::thread::sleep(Duration::from_millis(200));
    std::process::exit(EXIT_ACTOR_FAILED);
}
