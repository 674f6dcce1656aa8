//! An actor's address with a bound that holds.
//!
//! actix bounds a mailbox by its capacity plus the number of its senders, and `do_send` by nothing. Here the waiting
//! messages are counted; the actor counts them out as it handles them.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix::{Actor, Addr, Context, Handler, Message, WeakAddr};

/// How many messages wait.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    /// A message was taken out.
    pub(crate) fn taken(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// The sending side.
pub(crate) struct Mailbox<A: Actor> {
    address: Addr<A>,
    waiting: Waiting,
    limit: usize,
}

impl<A: Actor<Context = Context<A>>> Mailbox<A> {
    pub(crate) fn new(address: Addr<A>, waiting: Waiting, limit: usize) -> Self {
        Self { address, waiting, limit }
    }

    /// Sends unless the bound is reached; then the message comes back.
    pub(crate) fn offer<M>(&self, message: M) -> Result<(), M>
    where
        A: Handler<M>,
        M: Message<Result = ()> + Send + 'static,
    {
        if self.waiting.count() >= self.limit {
            return Err(message);
        }
        self.push(message);
        Ok(())
    }

    /// Sends beyond the bound: for what follows from messages that were let in, and for control.
    pub(crate) fn push<M>(&self, message: M)
    where
        A: Handler<M>,
        M: Message<Result = ()> + Send + 'static,
    {
        self.waiting.0.fetch_add(1, Ordering::SeqCst);
        // do_send is the one way that actix counts nothing itself: the bound is ours.
        self.address.do_send(message);
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.count()
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.address.connected()
    }

    pub(crate) fn downgrade(&self) -> WeakMailbox<A> {
        WeakMailbox { address: self.address.downgrade(), waiting: self.waiting.clone() }
    }
}

/// The sending side for those who do not keep the actor; it may have ended.
pub(crate) struct WeakMailbox<A: Actor> {
    address: WeakAddr<A>,
    waiting: Waiting,
}

impl<A: Actor<Context = Context<A>>> WeakMailbox<A> {
    /// As [`Mailbox::push`], if the actor is there.
    pub(crate) fn push<M>(&self, message: M)
    where
        A: Handler<M>,
        M: Message<Result = ()> + Send + 'static,
    {
        if let Some(address) = self.address.upgrade() {
            self.waiting.0.fetch_add(1, Ordering::SeqCst);
            // For the same reason.
            address.do_send(message);
        }
    }
}

impl<A: Actor> fmt::Debug for Mailbox<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("waiting", &self.waiting).field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl<A: Actor> Clone for Mailbox<A> {
    fn clone(&self) -> Self {
        Self { address: self.address.clone(), waiting: self.waiting.clone(), limit: self.limit }
    }
}
