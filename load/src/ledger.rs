//! The verdict: every message that was sent is followed to its acknowledgement and to everybody who is to hear of it.
//!
//! Each text has a stamp (`stamp.rs`) with its sender's count. So each recipient can be checked by itself: what comes must be the sender's next message (once, in order), and, where the server numbers
//! messages, the conversation's next `seq`. A message is forgotten as soon as it is acknowledged and everybody has it, so
//! that memory is bounded by what is under way; violations are all counted, and the first of them named.

use std::{
    collections::HashMap,
    fmt,
    time::{Duration, Instant},
};

use crate::{
    conversation::{Conversation, Listener, Room, SocketNumber},
    stamp::{Stamp, UserNumber, is_whole},
    track::{Track, Wrong},
    verdict::{Checked, Violations},
    wire::{Message, Notification},
};

/// A message that is under way.
#[derive(Debug)]
struct Open {
    room: Room,
    sent_at: Instant,
    acked: bool,
    /// Its text's length, in bytes.
    length: usize,
    /// Somebody has heard of it.
    heard: bool,
    /// As the first who had it said.
    id: Option<String>,
    seq: Option<u64>,
    /// Sockets that have not got it.
    deliveries: usize,
    notifications: usize,
}

/// All conversations and what is under way in them.
#[derive(Debug)]
pub(crate) struct Ledger {
    run: String,
    user_ids: Vec<String>,
    conversations: Vec<Conversation>,
    by_id: HashMap<String, Room>,
    sent: Vec<u64>,
    /// Acknowledgements by sender: in the order sent, since each user of a conversation sends by one socket.
    acked: Vec<Track>,
    open: HashMap<Stamp, Open>,
    pub(crate) checked: Checked,
    violations: Violations,
}

impl Ledger {
    /// For users with these ids; `run` sets this run's messages apart from others in the same conversations.
    pub(crate) fn new(run: String, user_ids: Vec<String>) -> Self {
        let sent = vec![0; user_ids.len()];
        Self {
            run,
            user_ids,
            conversations: Vec::new(),
            by_id: HashMap::new(),
            acked: sent.iter().map(|sent| Track::starting_after(*sent)).collect(),
            sent,
            open: HashMap::new(),
            checked: Checked::default(),
            violations: Violations::default(),
        }
    }

    pub(crate) fn add_conversation(&mut self, id: String, users: [UserNumber; 2]) -> Room {
        let room = self.conversations.len();
        self.by_id.insert(id.clone(), room);
        let (members, listeners) = (Vec::new(), HashMap::new());
        self.conversations.push(Conversation { id, users, members, sockets: [0, 0], listeners });
        room
    }

    pub(crate) fn conversation_id(&self, room: Room) -> &str {
        &self.conversations[room].id
    }

    /// A user's socket is connected, and hears of messages from now on; in the room, too, if it has `joined`.
    pub(crate) fn listens(&mut self, room: Room, user: UserNumber, socket: SocketNumber, joined: bool) {
        let sent = &self.sent;
        let conversation = &mut self.conversations[room];
        let side = usize::from(conversation.users[1] == user);
        conversation.sockets[side] += 1;
        let mut listener = Listener::default();
        for sender in conversation.users {
            listener.by_sender.insert(sender, Track::starting_after(sent[sender]));
            if sender != user {
                listener.notified.insert(sender, Track::starting_after(sent[sender]));
            }
        }
        if joined {
            conversation.members.push(socket);
        }
        conversation.listeners.insert(socket, listener);
    }

    /// A socket is gone on purpose: what was under way to it is not waited for. Only with nothing under way in its room.
    pub(crate) fn leaves(&mut self, room: Room, user: UserNumber, socket: SocketNumber) {
        let conversation = &mut self.conversations[room];
        if conversation.listeners.remove(&socket).is_some() {
            conversation.sockets[usize::from(conversation.users[1] == user)] -= 1;
            conversation.members.retain(|member| *member != socket);
        }
    }

    /// A message is about to be sent: its stamp and its text, of so many characters if the stamp leaves room for them.
    pub(crate) fn sends(&mut self, room: Room, user: UserNumber, length: usize, now: Instant) -> (Stamp, String) {
        self.sent[user] += 1;
        let stamp = Stamp { user, number: self.sent[user] };
        let conversation = &self.conversations[room];
        let other = usize::from(conversation.users[0] == user);
        let text = stamp.text(&self.run, length);
        let open = Open {
            room,
            sent_at: now,
            acked: false,
            length: text.len(),
            heard: false,
            id: None,
            seq: None,
            deliveries: conversation.members.len(),
            notifications: conversation.sockets[other],
        };
        self.open.insert(stamp, open);
        (stamp, text)
    }

    /// Whose text it is, if it is of this run.
    fn stamp(&self, text: &str) -> Option<Stamp> {
        Stamp::of(text, &self.run).filter(|stamp| stamp.user < self.user_ids.len())
    }

    /// The answer to a send was a message: it must be the one that was sent.
    pub(crate) fn acked(&mut self, stamp: Stamp, message: &Message<'_>) {
        self.checked.acks += 1;
        if self.stamp(&message.text) != Some(stamp) {
            return self.violation(format_args!("the ack of {stamp} is of another message: {}", message.text));
        }
        if self.acked[stamp.user].came(stamp.number).is_err() {
            self.violation(format_args!("{stamp} was acknowledged out of order"));
        }
        self.check_fields(stamp, message);
        match self.open.get_mut(&stamp) {
            Some(open) => open.acked = true,
            None => self.violation(format_args!("{stamp} was acknowledged twice")),
        }
        self.forget(stamp);
    }

    /// The answer to a send was a refusal: nobody may hear of it.
    pub(crate) fn refused(&mut self, stamp: Stamp) {
        self.checked.refusals += 1;
        self.acked[stamp.user].skip(stamp.number);
        let Some(open) = self.open.remove(&stamp) else { return };
        if open.heard {
            self.violation(format_args!("{stamp} was refused, and somebody heard of it all the same"));
        }
        for listener in self.conversations[open.room].listeners.values_mut() {
            for tracks in [&mut listener.by_sender, &mut listener.notified] {
                if let Some(track) = tracks.get_mut(&stamp.user) {
                    track.skip(stamp.number);
                }
            }
        }
    }

    /// A `new_message` came to a socket. When it was sent, if that was in this run and not everybody has it yet.
    pub(crate) fn delivered(&mut self, socket: SocketNumber, message: &Message<'_>) -> Option<Instant> {
        let room = self.by_id.get(&*message.conversation_id).copied();
        let listener = room.and_then(|room| self.conversations[room].listeners.get_mut(&socket));
        let Some(listener) = listener else {
            self.violation(format_args!("a message came to socket {socket}, which is not for it: {}", message.text));
            return None;
        };
        if let Some(seq) = message.seq
            && let Err(wrong) = listener.by_seq.came(seq)
        {
            self.violation(format_args!("seq {seq} came {wrong} to socket {socket} ({})", message.conversation_id));
        }
        let stamp = self.stamp(&message.text)?;
        self.checked.deliveries += 1;
        self.check_fields(stamp, message);
        if !self.came(room?, socket, stamp, Kind::Delivery) {
            return None;
        }
        let open = self.open.get_mut(&stamp)?;
        open.heard = true;
        open.deliveries = open.deliveries.saturating_sub(1);
        let sent_at = open.sent_at;
        self.forget(stamp);
        Some(sent_at)
    }

    /// A `message_notification` came to a socket.
    pub(crate) fn notified(&mut self, socket: SocketNumber, notification: &Notification<'_>) {
        let Some(stamp) = self.stamp(&notification.preview) else { return };
        self.checked.notifications += 1;
        let Some(room) = self.by_id.get(&*notification.conversation_id).copied() else {
            return self.violation(format_args!("socket {socket} was notified of {stamp} in an unknown conversation"));
        };
        if self.came(room, socket, stamp, Kind::Notification)
            && let Some(open) = self.open.get_mut(&stamp)
        {
            open.heard = true;
            open.notifications = open.notifications.saturating_sub(1);
            self.forget(stamp);
        }
    }

    /// Whether a message came to a socket that had not got it.
    fn came(&mut self, room: Room, socket: SocketNumber, stamp: Stamp, kind: Kind) -> bool {
        let conversation = &mut self.conversations[room];
        let track = conversation.listeners.get_mut(&socket).and_then(|listener| match kind {
            Kind::Delivery => listener.by_sender.get_mut(&stamp.user),
            Kind::Notification => listener.notified.get_mut(&stamp.user),
        });
        let wrong = match track.map(|track| track.came(stamp.number)) {
            Some(Ok(())) => return true,
            Some(Err(wrong)) => wrong,
            None => {
                self.violation(format_args!("{kind} of {stamp} came to socket {socket}, which is not for it"));
                return false;
            }
        };
        let id = self.conversations[room].id.clone();
        self.violation(format_args!("{kind} of {stamp} came {wrong} to socket {socket} in conversation {id}"));
        wrong == Wrong::Late
    }

    fn check_fields(&mut self, stamp: Stamp, message: &Message<'_>) {
        let Some(open) = self.open.get_mut(&stamp) else { return };
        let same = open.id.get_or_insert_with(|| message.id.to_string()) == &*message.id
            && (open.seq.is_none() || open.seq == message.seq);
        open.seq = message.seq;
        let whole = is_whole(&message.text, open.length);
        let conversation = &self.conversations[open.room];
        let place = conversation.id == *message.conversation_id;
        let sender = self.user_ids[stamp.user] == *message.sender_id.id;
        if !(same && place && sender) {
            self.violation(format_args!("{stamp} is not the same to all: id, seq, conversation or sender differ"));
        }
        if !whole {
            self.violation(format_args!("{stamp} came with another text: {}", message.text));
        }
    }

    fn forget(&mut self, stamp: Stamp) {
        let done = |open: &Open| open.acked && open.deliveries == 0 && open.notifications == 0;
        if self.open.get(&stamp).is_some_and(done) {
            self.open.remove(&stamp);
        }
    }

    /// How long ago those were sent that are not yet acknowledged.
    pub(crate) fn unanswered(&self) -> Vec<Duration> {
        self.open.values().filter(|open| !open.acked).map(|open| open.sent_at.elapsed()).collect()
    }

    /// Messages that are not yet acknowledged and with everybody.
    pub(crate) fn under_way(&self) -> usize {
        self.open.len()
    }

    /// Everything that was to come has had its time: what is still missing is lost. All violations.
    pub(crate) fn finish(&mut self) -> Violations {
        let before = self.violations.count;
        let mut open: Vec<_> = std::mem::take(&mut self.open).into_iter().collect();
        open.sort_unstable_by_key(|(stamp, _)| *stamp);
        for (stamp, open) in open {
            let id = self.conversations[open.room].id.clone();
            if !open.acked {
                self.violation(format_args!("{stamp} in conversation {id} was never acknowledged"));
            }
            for socket in self.lacking(open.room, stamp, open.deliveries > 0, Kind::Delivery) {
                let seq = open.seq.map_or_else(String::new, |seq| format!(" (seq {seq})"));
                self.violation(format_args!("{stamp}{seq} in conversation {id} never came to socket {socket}"));
            }
            for socket in self.lacking(open.room, stamp, open.notifications > 0, Kind::Notification) {
                self.violation(format_args!("{stamp} in conversation {id} was never notified to socket {socket}"));
            }
        }
        let gaps: Vec<_> = self.conversations.iter().flat_map(Conversation::gaps).collect();
        for (conversation, socket, seq) in gaps {
            self.violation(format_args!("seq {seq} of conversation {conversation} never came to socket {socket}"));
        }
        self.violations.lost = self.violations.count - before;
        std::mem::take(&mut self.violations)
    }

    /// Who has not got a message, if anybody has not.
    fn lacking(&self, room: Room, stamp: Stamp, any: bool, kind: Kind) -> Vec<SocketNumber> {
        let lacks = |(socket, listener): (&SocketNumber, &Listener)| {
            let tracks = if kind == Kind::Delivery { &listener.by_sender } else { &listener.notified };
            let expected = match kind {
                Kind::Delivery => self.conversations[room].members.contains(socket),
                Kind::Notification => tracks.contains_key(&stamp.user),
            };
            let lacks = expected && tracks.get(&stamp.user).is_some_and(|track| track.lacks(stamp.number));
            lacks.then_some(*socket)
        };
        if any { self.conversations[room].listeners.iter().filter_map(lacks).collect() } else { Vec::new() }
    }

    /// Something happened that must not.
    pub(crate) fn violation(&mut self, what: fmt::Arguments<'_>) {
        self.violations.note(what);
    }
}

/// What comes to a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Delivery,
    Notification,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Delivery { "new_message" } else { "message_notification" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONVERSATION: &str = "507f1f77bcf86cd799439011";

    /// Two users in a conversation, each with a socket that has joined; the first one has sent a message.
    fn ledger() -> (Ledger, Stamp, String) {
        let mut ledger = Ledger::new("run".to_owned(), vec!["a".to_owned(), "b".to_owned()]);
        let room = ledger.add_conversation(CONVERSATION.to_owned(), [0, 1]);
        ledger.listens(room, 0, 0, true);
        ledger.listens(room, 1, 1, true);
        let (stamp, text) = ledger.sends(room, 0, 60, Instant::now());
        (ledger, stamp, text)
    }

    fn message(text: &str) -> String {
        format!(
            r#"{{"_id":"m1","conversation_id":"{CONVERSATION}","sender_id":{{"_id":"a"}},"text":"{text}","seq":1}}"#
        )
    }

    #[test]
    fn a_message_that_comes_as_it_was_sent_is_no_violation() {
        let (mut ledger, stamp, text) = ledger();
        let (json, preview) = (message(&text), format!(r#"{{"conversation_id":"{CONVERSATION}","preview":"{text}"}}"#));
        let message = serde_json::from_str(&json).expect("a message");
        ledger.acked(stamp, &message);
        ledger.delivered(0, &message);
        ledger.delivered(1, &message);
        ledger.notified(1, &serde_json::from_str(&preview).expect("a notification"));
        assert_eq!((ledger.under_way(), ledger.finish()), (0, Violations::default()));
    }

    #[test]
    fn a_text_that_was_altered_behind_its_stamp_is_a_violation() {
        for altered in [|text: &str| text[..50].to_owned(), |text: &str| text.replacen('t', "x", 1)] {
            let (mut ledger, stamp, text) = ledger();
            let json = message(&altered(&text));
            ledger.acked(stamp, &serde_json::from_str(&json).expect("a message"));
            let named = ledger.finish().named;
            assert!(named[0].contains("came with another text"), "{named:?}");
        }
    }

    #[test]
    fn a_message_that_was_refused_and_came_is_a_violation_whichever_is_first() {
        for refused_first in [true, false] {
            let (mut ledger, stamp, text) = ledger();
            let json = message(&text);
            let message = serde_json::from_str(&json).expect("a message");
            if refused_first {
                ledger.refused(stamp);
            }
            ledger.delivered(1, &message);
            if !refused_first {
                ledger.refused(stamp);
            }
            assert_eq!(ledger.finish().count, 1, "refused first: {refused_first}");
        }
    }
}
