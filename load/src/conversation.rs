//! A conversation as its listeners see it: who is there, and what has come to each.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use crate::{
    stamp::{Stamp, UserNumber},
    track::Track,
};

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
    /// Who has not got a message that so many have not got.
    pub(crate) fn lacking(&self, stamp: Stamp, count: usize, kind: Kind) -> Vec<SocketNumber> {
        let lacks = |(socket, listener): (&SocketNumber, &Listener)| {
            let expected = kind == Kind::Notification || self.members.contains(socket);
            let track = listener.tracks(kind).get(&stamp.user);
            (expected && track.is_some_and(|track| track.lacks(stamp.number))).then_some(*socket)
        };
        if count > 0 { self.listeners.iter().filter_map(lacks).collect() } else { Vec::new() }
    }

    /// The seqs that never came: the conversation, the socket they did not come to, and each.
    pub(crate) fn gaps(&self) -> impl Iterator<Item = (String, SocketNumber, u64)> {
        self.listeners
            .iter()
            .flat_map(|(socket, listener)| listener.by_seq.missing().iter().map(|seq| (self.id.clone(), *socket, *seq)))
    }
}

impl Listener {
    /// What it has got of each sender.
    pub(crate) fn tracks(&self, kind: Kind) -> &BTreeMap<UserNumber, Track> {
        match kind {
            Kind::Delivery => &self.by_sender,
            Kind::Notification => &self.notified,
        }
    }

    pub(crate) fn tracks_mut(&mut self, kind: Kind) -> &mut BTreeMap<UserNumber, Track> {
        match kind {
            Kind::Delivery => &mut self.by_sender,
            Kind::Notification => &mut self.notified,
        }
    }
}

/// What comes to a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Delivery,
    Notification,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Delivery { "new_message" } else { "message_notification" })
    }
}
