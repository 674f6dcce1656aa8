//! A conversation as its listeners see it: who is there, and what has come to each.

use std::collections::{BTreeMap, HashMap};

use crate::{stamp::UserNumber, track::Track};

/// A conversation's number.
pub(crate) type Room = usize;
/// A socket's number.
pub(crate) type SocketNumber = usize;

/// One socket in a room, or one that is notified of it.
#[derive(Debug, Default)]
pub(crate) struct Listener {
    pub(crate) by_sender: BTreeMap<UserNumber, Track>,
    pub(crate) by_seq: Track,
    pub(crate) notified: BTreeMap<UserNumber, Track>,
}

/// A conversation: its id, its two users, and who listens.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) id: String,
    pub(crate) users: [UserNumber; 2],
    pub(crate) members: Vec<SocketNumber>,
    /// How many sockets each user has.
    pub(crate) connected: [usize; 2],
    pub(crate) listeners: HashMap<SocketNumber, Listener>,
}

impl Conversation {
    /// The numbers that never came, with whom they did not come to.
    pub(crate) fn gaps(&self) -> impl Iterator<Item = (String, SocketNumber, u64)> {
        self.listeners
            .iter()
            .flat_map(|(socket, listener)| listener.by_seq.missing().iter().map(|seq| (self.id.clone(), *socket, *seq)))
    }
}
