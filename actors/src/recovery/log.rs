//! What a session was sent and its client may not have yet.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use crate::{
    event::{EncodedEvent, Offset},
    ids::UserId,
    limits::CONFIRMED_AFTER,
    per_user::{OfUser, PerUser},
};

use super::{RECOVERY_BYTES, RECOVERY_EVENTS, RECOVERY_TOTAL_BYTES, RECOVERY_USER_BYTES};

/// Events in the order in which they were sent.
pub(super) struct Log {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// The newest of those that are not here any more.
    floor: Option<Offset>,
    total: Total,
}

/// Bytes of all logs, together and by user.
#[derive(Debug, Default)]
pub(super) struct Totals {
    all: Arc<AtomicUsize>,
    users: PerUser<AtomicUsize>,
}

/// Those that a log of a user's is counted in.
pub(super) struct Total {
    all: Arc<AtomicUsize>,
    user: Arc<OfUser<AtomicUsize>>,
}

impl Totals {
    pub(super) fn of(&self, user: UserId) -> Total {
        Total { all: self.all.clone(), user: self.users.hold(user, AtomicUsize::default) }
    }
}

impl Total {
    fn add(&self, bytes: usize) {
        self.all.fetch_add(bytes, Ordering::Relaxed);
        self.user.fetch_add(bytes, Ordering::Relaxed);
    }

    fn sub(&self, bytes: usize) {
        self.all.fetch_sub(bytes, Ordering::Relaxed);
        self.user.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn is_beyond(&self) -> bool {
        self.all.load(Ordering::Relaxed) > RECOVERY_TOTAL_BYTES
            || self.user.load(Ordering::Relaxed) > RECOVERY_USER_BYTES
    }
}

struct Entry {
    offset: Offset,
    /// Nothing where it was deleted while the server was not running.
    event: Option<Arc<EncodedEvent>>,
    sent: Instant,
}

impl Entry {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.event.as_ref().map_or(0, |event| event.payload.len())
    }
}

impl Log {
    pub(super) fn new(total: Total) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, floor: None, total }
    }

    /// As it was before the server was started again.
    pub(super) fn restored(
        total: Total,
        floor: Option<Offset>,
        events: impl IntoIterator<Item = (Offset, Option<Arc<EncodedEvent>>)>,
    ) -> Self {
        let mut log = Self::new(total);
        log.floor = floor;
        let sent = Instant::now();
        for (offset, event) in events {
            log.append(Entry { offset, event, sent });
        }
        log
    }

    /// Those that there is no room for any more are forgotten, the oldest first.
    pub(super) fn push(&mut self, offset: Offset, event: Arc<EncodedEvent>, sent: Instant) {
        self.append(Entry { offset, event: Some(event), sent });
        while self.entries.len() > RECOVERY_EVENTS || self.bytes > RECOVERY_BYTES {
            self.forget(1);
        }
        if self.total.is_beyond() {
            self.forget(self.entries.len());
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn append(&mut self, entry: Entry) {
        self.bytes += entry.bytes();
        self.total.add(entry.bytes());
        self.entries.push_back(entry);
    }

    /// What the client must have: a connection on which it had stayed away for so long would have been closed.
    pub(super) fn trim(&mut self, now: Instant) {
        let old = |entry: &&Entry| now.saturating_duration_since(entry.sent) >= CONFIRMED_AFTER;
        self.forget(self.entries.iter().take_while(old).count());
        if self.entries.is_empty() {
            self.entries.shrink_to_fit();
        }
    }

    /// The client has everything up to this offset, or nothing. Whether what it has not is all here.
    pub(super) fn confirm(&mut self, offset: Option<Offset>) -> bool {
        let known = offset.and_then(|offset| self.entries.iter().rposition(|entry| entry.offset == offset));
        match known {
            Some(at) => {
                self.forget(at + 1);
                true
            }
            // One that is not known is of an earlier session, as long as this one has not forgotten anything.
            None => self.floor.is_none() || self.floor == offset,
        }
    }

    /// All events, which are sent once more.
    pub(super) fn again(&mut self, now: Instant) -> impl Iterator<Item = &Arc<EncodedEvent>> {
        self.entries.iter_mut().filter_map(move |entry| {
            entry.sent = now;
            entry.event.as_ref()
        })
    }

    pub(super) fn floor(&self) -> Option<Offset> {
        self.floor
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (Offset, Option<&Arc<EncodedEvent>>)> {
        self.entries.iter().map(|entry| (entry.offset, entry.event.as_ref()))
    }

    /// The first ones.
    fn forget(&mut self, count: usize) {
        for entry in self.entries.drain(..count) {
            self.bytes -= entry.bytes();
            self.total.sub(entry.bytes());
            self.floor = Some(entry.offset);
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.total.sub(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::MessageId;

    fn event(payload: &str) -> (Offset, Arc<EncodedEvent>) {
        let event = EncodedEvent::new_message(MessageId::new(), payload.to_owned());
        (event.offset.expect("a durable event"), event)
    }

    fn filled(count: usize, now: Instant) -> (Log, Vec<Offset>) {
        let mut log = Log::new(Totals::default().of(UserId::new()));
        let offsets = (0..count).map(|_| {
            let (offset, event) = event("{}");
            log.push(offset, event, now);
            offset
        });
        let offsets = offsets.collect();
        (log, offsets)
    }

    /// In all logs, and in the user's.
    fn counted(log: &Log) -> [usize; 2] {
        [&*log.total.all, &**log.total.user].map(|bytes| bytes.load(Ordering::Relaxed))
    }

    fn rest(log: &mut Log) -> Vec<Offset> {
        log.again(Instant::now()).filter_map(|event| event.offset).collect()
    }

    #[test]
    fn what_the_client_has_is_forgotten_and_the_rest_is_sent_again() {
        let (mut log, offsets) = filled(5, Instant::now());
        assert!(log.confirm(Some(offsets[1])));
        assert_eq!(rest(&mut log), offsets[2..]);
        assert!(log.confirm(Some(offsets[1])), "the same again");
        assert_eq!(rest(&mut log), offsets[2..]);
        assert!(log.confirm(Some(offsets[4])));
        assert!(rest(&mut log).is_empty() && log.confirm(Some(offsets[4])));
    }

    #[test]
    fn who_has_nothing_gets_all_while_all_is_there() {
        let (mut log, offsets) = filled(3, Instant::now());
        let of_an_earlier_session = event("{}").0;
        for nothing in [None, Some(of_an_earlier_session)] {
            assert!(log.confirm(nothing));
            assert_eq!(rest(&mut log), offsets);
        }
        log.forget(1);
        assert!(!log.confirm(None) && !log.confirm(Some(of_an_earlier_session)));
        assert!(log.confirm(Some(offsets[0])));
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let now = Instant::now();
        let (mut log, offsets) = filled(3, now);
        log.trim(now + CONFIRMED_AFTER / 2);
        assert_eq!(log.len(), 3);
        log.trim(now + CONFIRMED_AFTER);
        assert_eq!((log.len(), log.floor()), (0, Some(offsets[2])));
        assert_eq!((log.bytes, counted(&log)), (0, [0, 0]));
    }

    #[test]
    fn what_is_sent_again_is_young_again() {
        let now = Instant::now();
        let (mut log, _) = filled(1, now);
        assert_eq!(log.again(now + CONFIRMED_AFTER).count(), 1);
        log.trim(now + CONFIRMED_AFTER);
        assert_eq!(log.len(), 1);
    }

    #[test]
    fn a_log_is_bounded_in_events_and_bytes() {
        let now = Instant::now();
        let (mut log, offsets) = filled(RECOVERY_EVENTS, now);
        let (offset, one) = event("{}");
        log.push(offset, one, now);
        assert_eq!((log.len(), log.floor()), (RECOVERY_EVENTS, Some(offsets[0])));
        let (offset, large) = event(&"x".repeat(RECOVERY_BYTES / 2));
        log.push(offset, large.clone(), now);
        log.push(offset, large.clone(), now);
        assert_eq!(log.len(), 1);
        assert!(log.bytes <= RECOVERY_BYTES && counted(&log) == [log.bytes; 2]);
    }

    #[test]
    fn when_all_logs_or_all_of_a_user_are_full_one_that_grows_is_emptied() {
        let (totals, user) = (Totals::default(), UserId::new());
        for (all, of_user) in [(RECOVERY_TOTAL_BYTES, 0), (0, RECOVERY_USER_BYTES)] {
            let mut log = Log::new(totals.of(user));
            totals.all.store(all, Ordering::Relaxed);
            log.total.user.store(of_user, Ordering::Relaxed);
            let (offset, one) = event("{}");
            log.push(offset, one, Instant::now());
            assert_eq!((log.len(), counted(&log)), (0, [all, of_user]));
            assert!(log.confirm(Some(offset)) && !log.confirm(None));
        }
    }

    #[test]
    fn what_is_counted_goes_with_the_log() {
        let (totals, user) = (Totals::default(), UserId::new());
        let mut logs = [Log::new(totals.of(user)), Log::new(totals.of(user))];
        for log in &mut logs {
            let (offset, one) = event("{}");
            log.push(offset, one, Instant::now());
        }
        let [first, second] = logs;
        assert_eq!(counted(&first), [2 * first.bytes; 2]);
        drop(first);
        assert_eq!(counted(&second), [second.bytes; 2]);
        drop(second);
        assert!(totals.users.is_empty() && totals.all.load(Ordering::Relaxed) == 0);
    }
}
