//! The server's workers: where rooms run, and the hub of each.

use std::{
    cell::OnceCell,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix::{Arbiter, ArbiterHandle};

use crate::{
    counters::Counters,
    hub::{Hub, HubHandle, Presence},
    ids::ConversationId,
    limits::WORKERS,
};

thread_local! {
    static HUB_HERE: OnceCell<HubHandle> = const { OnceCell::new() };
}

#[derive(Debug)]
struct Worker {
    arbiter: ArbiterHandle,
    hub: HubHandle,
}

/// Filled once, at the start, by each worker itself.
#[derive(Debug)]
pub(crate) struct Workers {
    slots: [OnceLock<Worker>; WORKERS],
    claimed: AtomicUsize,
    presence: Presence,
    counters: Arc<Counters>,
}

impl Workers {
    pub(crate) fn new(presence: Presence, counters: Arc<Counters>) -> Self {
        Self { slots: std::array::from_fn(|_| OnceLock::new()), claimed: AtomicUsize::new(0), presence, counters }
    }

    /// The hub of this thread's worker, started with the first call. Must run in an actix arbiter.
    pub(crate) fn hub_here(&self) -> HubHandle {
        HUB_HERE.with(|here| {
            here.get_or_init(|| {
                let index = self.claimed.fetch_add(1, Ordering::SeqCst);
                assert!(index < WORKERS, "the configuration allows at most {WORKERS} workers");
                let hub = Hub::start_here(index, self.presence.clone(), self.counters.clone());
                let worker = Worker { arbiter: Arbiter::current(), hub: hub.clone() };
                assert!(self.slots[index].set(worker).is_ok(), "a slot is claimed once");
                hub
            })
            .clone()
        })
    }

    /// Where a conversation's room runs.
    pub(crate) fn arbiter_of(&self, conversation: ConversationId) -> ArbiterHandle {
        let ready = self.slots.iter().take_while(|slot| slot.get().is_some()).count().max(1);
        let worker = self.slots[spread(conversation, ready)].get();
        worker.map_or_else(Arbiter::current, |worker| worker.arbiter.clone())
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

/// Which of `n` places a conversation belongs to; the same one each time.
pub(crate) fn spread(conversation: ConversationId, n: usize) -> usize {
    (BuildHasherDefault::<DefaultHasher>::default().hash_one(conversation) % n as u64) as usize
}
