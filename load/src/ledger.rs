//! Every message that was sent is followed to its acknowledgement and to everybody who is to hear of it.
//!
//! Each text has a stamp (`stamp.rs`) with its sender's count. So each recipient can be checked by itself: what comes must
//! be the sender's next message (once, in order), and, where the server numbers messages, the conversation's next `seq`. A
//! message is forgotten as soon as it is acknowledged and everybody has it, so that memory is bounded by what is under way.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    time::Instant,
};

use crate::{
    connections::Connections,
    conversation::{Conversation, Kind, Listener, Room, SocketNumber},
    stamp::{Stamp, UserNumber, is_whole},
    track::{Track, Wrong},
    under_way::UnderWay,
    verdict::{Checked, Found, Violations},
    wire::{Message, Notification, Typist},
};

/// A notification shows so much of a text, in characters.
const PREVIEW: usize = 60;

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
    under_way: HashMap<Stamp, UnderWay>,
    /// What each sender is called, as its first message that came says.
    names: HashMap<UserNumber, Option<String>>,
    connections: Connections,
    nothing_came: Vec<String>,
    pub(crate) checked: Checked,
    found: Found,
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
            under_way: HashMap::new(),
            names: HashMap::new(),
            connections: Connections::default(),
            nothing_came: Vec::new(),
            checked: Checked::default(),
            found: Found::default(),
        }
    }

    pub(crate) fn add_conversation(&mut self, id: String, users: [UserNumber; 2]) -> Room {
        let room = self.conversations.len();
        self.by_id.insert(id.clone(), room);
        let (members, listeners) = (Vec::new(), HashMap::new());
        self.conversations.push(Conversation { id, users, members, connected: [0, 0], listeners });
        room
    }

    pub(crate) fn conversation_id(&self, room: Room) -> &str {
        &self.conversations[room].id
    }

    /// A connection is there.
    pub(crate) fn connected(&mut self) {
        self.checked.connections += 1;
        self.connections.connected();
    }

    /// A connection that was there is gone.
    pub(crate) fn closed(&mut self) {
        self.connections.closed();
    }

    /// A connection that is about to be gone ended without being asked to.
    pub(crate) fn broke(&mut self, what: fmt::Arguments<'_>) {
        self.connections.broke(what);
    }

    /// Connections ended, and none is left.
    pub(crate) fn is_deserted(&self) -> bool {
        self.connections.are_deserted()
    }

    /// A user's socket is connected, and hears of messages from now on; in the room, too, if it has `joined`.
    pub(crate) fn listens(&mut self, room: Room, user: UserNumber, socket: SocketNumber, joined: bool) {
        self.connected();
        let sent = &self.sent;
        let conversation = &mut self.conversations[room];
        let side = usize::from(conversation.users[1] == user);
        conversation.connected[side] += 1;
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

    /// A socket's join was refused: messages do not come to it.
    pub(crate) fn stays_out(&mut self, room: Room, socket: SocketNumber) {
        self.conversations[room].members.retain(|member| *member != socket);
    }

    /// A socket is gone: what was under way to it is not waited for. When those of its messages were sent that are not
    /// answered, and never will be.
    pub(crate) fn leaves(&mut self, room: Room, user: UserNumber, socket: SocketNumber) -> Vec<Instant> {
        self.closed();
        let conversation = &mut self.conversations[room];
        let was_member = conversation.members.contains(&socket);
        conversation.members.retain(|member| *member != socket);
        conversation.connected[usize::from(conversation.users[1] == user)] -= 1;
        let listener = conversation.listeners.remove(&socket).unwrap_or_default();
        let lacks = |tracks: &BTreeMap<_, Track>, stamp: &Stamp| {
            usize::from(tracks.get(&stamp.user).is_some_and(|track| track.lacks(stamp.number)))
        };
        let mut unanswered = Vec::new();
        self.under_way.retain(|stamp, message| {
            if message.room != room {
                return true;
            }
            if was_member {
                message.deliveries = message.deliveries.saturating_sub(lacks(&listener.by_sender, stamp));
            }
            message.notifications = message.notifications.saturating_sub(lacks(&listener.notified, stamp));
            if message.sender == socket && message.ack_due {
                message.ack_due = false;
                unanswered.push((*stamp, message.sent_at));
            }
            !message.is_done()
        });
        for (stamp, _) in &unanswered {
            self.violation(format_args!("{stamp} was never acknowledged: its connection ended before"));
        }
        unanswered.into_iter().map(|(_, sent_at)| sent_at).collect()
    }

    /// A message is about to be sent: its stamp and its text, of so many characters if the stamp leaves room for them.
    pub(crate) fn sends(
        &mut self,
        room: Room,
        by: (UserNumber, SocketNumber),
        length: usize,
        now: Instant,
    ) -> (Stamp, String) {
        let (user, sender) = by;
        self.sent[user] += 1;
        let stamp = Stamp { user, number: self.sent[user] };
        let conversation = &self.conversations[room];
        let other = usize::from(conversation.users[0] == user);
        let text = stamp.text(&self.run, length);
        let message = UnderWay {
            room,
            sender,
            sent_at: now,
            ack_due: true,
            length: text.len(),
            heard: false,
            seen: None,
            deliveries: conversation.members.len(),
            notifications: conversation.connected[other],
        };
        self.under_way.insert(stamp, message);
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
        match self.under_way.get_mut(&stamp) {
            Some(message) => message.ack_due = false,
            None => self.violation(format_args!("{stamp} was acknowledged twice")),
        }
        self.forget(stamp);
    }

    /// The answer to a send was a refusal: nobody may hear of it.
    pub(crate) fn refused(&mut self, stamp: Stamp) {
        self.checked.refusals += 1;
        self.acked[stamp.user].withdraw(stamp.number);
        let Some(message) = self.under_way.remove(&stamp) else { return };
        if message.heard {
            self.violation(format_args!("{stamp} was refused, and somebody heard of it all the same"));
        }
        for listener in self.conversations[message.room].listeners.values_mut() {
            for kind in [Kind::Delivery, Kind::Notification] {
                if let Some(track) = listener.tracks_mut(kind).get_mut(&stamp.user) {
                    track.withdraw(stamp.number);
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
        let under_way = self.under_way.get_mut(&stamp)?;
        under_way.heard = true;
        under_way.deliveries = under_way.deliveries.saturating_sub(1);
        let sent_at = under_way.sent_at;
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
        if self.user_ids[stamp.user] != *notification.sender {
            let sender = &notification.sender;
            self.violation(format_args!("socket {socket} was notified of {stamp} as one of another sender: {sender}"));
        }
        let length = self.under_way.get(&stamp).map(|message| message.length.min(PREVIEW));
        if length.is_some_and(|length| !is_whole(&notification.preview, length)) {
            let preview = &notification.preview;
            self.violation(format_args!("socket {socket} was notified of {stamp} with another preview: {preview}"));
        }
        if self.came(room, socket, stamp, Kind::Notification)
            && let Some(message) = self.under_way.get_mut(&stamp)
        {
            message.heard = true;
            message.notifications = message.notifications.saturating_sub(1);
            self.forget(stamp);
        }
    }

    /// Somebody's typing came to a user's socket: it must be the other one's, in their conversation.
    pub(crate) fn typing_came(&mut self, room: Room, to: UserNumber, typist: &Typist<'_>) {
        self.checked.typing += 1;
        let conversation = &self.conversations[room];
        let other = conversation.users[usize::from(conversation.users[0] == to)];
        let elsewhere = typist.conversation_id.as_ref().is_some_and(|id| **id != conversation.id);
        if elsewhere || *typist.user_id != self.user_ids[other] {
            self.violation(format_args!(
                "typing of another user or in another conversation came to user {to}: {typist:?}"
            ));
        }
    }

    /// Whether a message came to a socket that had not got it.
    fn came(&mut self, room: Room, socket: SocketNumber, stamp: Stamp, kind: Kind) -> bool {
        let conversation = &mut self.conversations[room];
        let listener = conversation.listeners.get_mut(&socket);
        let track = listener.and_then(|listener| listener.tracks_mut(kind).get_mut(&stamp.user));
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
        let Some(under_way) = self.under_way.get_mut(&stamp) else { return };
        let (id, seq) = under_way.seen.get_or_insert_with(|| (message.id.to_string(), message.seq));
        let same = *id == *message.id && *seq == message.seq;
        let whole = is_whole(&message.text, under_way.length);
        let in_place = self.conversations[under_way.room].id == *message.conversation_id;
        let sender = self.user_ids[stamp.user] == *message.sender_id.id;
        if !(same && in_place && sender) {
            self.violation(format_args!("{stamp} is not the same to all: id, seq, conversation or sender differ"));
        }
        if !whole {
            self.violation(format_args!("{stamp} came with another text: {}", message.text));
        }
        let name = message.sender_id.full_name.as_deref();
        let known = self.names.entry(stamp.user).or_insert_with(|| name.map(str::to_owned));
        if known.as_deref() != name {
            let known = known.clone();
            self.violation(format_args!("{stamp} came with the sender's name {name:?}, another one with {known:?}"));
        }
    }

    fn forget(&mut self, stamp: Stamp) {
        if self.under_way.get(&stamp).is_some_and(UnderWay::is_done) {
            self.under_way.remove(&stamp);
        }
    }

    /// When those acknowledgements and deliveries were due that have not come.
    pub(crate) fn not_come(&self) -> impl Iterator<Item = (&'static str, Instant)> {
        self.under_way.values().flat_map(|message| {
            let acks = message.ack_due.then_some(("ack", message.sent_at));
            acks.into_iter().chain(std::iter::repeat_n(("delivery", message.sent_at), message.deliveries))
        })
    }

    /// Messages that are not yet acknowledged and with everybody.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Everything that was to come has had its time: what is still missing is lost. All violations.
    pub(crate) fn finish(&mut self) -> Violations {
        let before = self.found.count;
        let mut under_way: Vec<_> = std::mem::take(&mut self.under_way).into_iter().collect();
        under_way.sort_unstable_by_key(|(stamp, _)| *stamp);
        for (stamp, message) in under_way {
            let id = self.conversations[message.room].id.clone();
            if message.ack_due {
                self.violation(format_args!("{stamp} in conversation {id} was never acknowledged"));
            }
            for socket in self.conversations[message.room].lacking(stamp, message.deliveries, Kind::Delivery) {
                self.violation(format_args!("{stamp} in conversation {id} never came to socket {socket}"));
            }
            for socket in self.conversations[message.room].lacking(stamp, message.notifications, Kind::Notification) {
                self.violation(format_args!("{stamp} in conversation {id} was never notified to socket {socket}"));
            }
        }
        let gaps: Vec<_> = self.conversations.iter().flat_map(Conversation::gaps).collect();
        for (conversation, socket, seq) in gaps {
            self.violation(format_args!("seq {seq} of conversation {conversation} never came to socket {socket}"));
        }
        let found = std::mem::take(&mut self.found);
        let nothing_came = std::mem::take(&mut self.nothing_came);
        let nothings = nothing_came.len() as u64;
        let (ended, what) = self.connections.take_ends();
        let first = what.into_iter().chain(nothing_came);
        Violations {
            count: found.count + nothings + ended,
            lost: found.count - before + nothings,
            named: first.chain(found.into_named()).collect(),
        }
    }

    /// Nothing of a sort came at all.
    pub(crate) fn nothing_came(&mut self, what: fmt::Arguments<'_>) {
        self.nothing_came.push(what.to_string());
    }

    /// How many violations there are so far.
    pub(crate) fn violations(&self) -> u64 {
        self.found.count
    }

    /// Something happened that must not.
    pub(crate) fn violation(&mut self, what: fmt::Arguments<'_>) {
        self.found.note(what);
    }
}

#[cfg(test)]
mod tests;
