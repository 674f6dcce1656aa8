//! One message between its sending and the last of those who are to hear of it.

use std::time::Instant;

use crate::conversation::{Room, SocketNumber};

/// A message that is under way.
#[derive(Debug)]
pub(crate) struct UnderWay {
    pub(crate) room: Room,
    pub(crate) sender: SocketNumber,
    pub(crate) sent_at: Instant,
    /// Its acknowledgement is still to come.
    pub(crate) ack_due: bool,
    /// Its text's length, in bytes.
    pub(crate) length: usize,
    /// Somebody has heard of it.
    pub(crate) heard: bool,
    /// Id and `seq`, as the first who had it said.
    pub(crate) seen: Option<(String, Option<u64>)>,
    /// Sockets that have not got it.
    pub(crate) deliveries: usize,
    pub(crate) notifications: usize,
}

impl UnderWay {
    /// Everybody who is to hear of it has.
    pub(crate) fn is_done(&self) -> bool {
        !self.ack_due && self.deliveries == 0 && self.notifications == 0
    }
}
