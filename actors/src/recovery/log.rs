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
    limits::CONFIRMED_AFTER,
};

use super::{RECOVERY_BYTES, RECOVERY_EVENTS, RECOVERY_TOTAL_BYTES};

/// Events in the order in which they were sent.
pub(super) struct Log {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// The newest of those that are not here any more.
    floor: Option<Offset>,
    /// Bytes of all logs.
    total: Arc<AtomicUsize>,
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
    pub(super) fn new(total: Arc<AtomicUsize>) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, floor: None, total }
    }

    /// As it was before the server was started again.
    pub(super) fn restored(
        total: Arc<AtomicUsize>,
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
        if self.total.load(Ordering::Relaxed) > RECOVERY_TOTAL_BYTES {
            self.forget(self.entries.len());
        }
        while self.entries.len() > RECOVERY_EVENTS || self.bytes > RECOVERY_BYTES {
            self.forget(1);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn append(&mut self, entry: Entry) {
        self.bytes += entry.bytes();
        self.total.fetch_add(entry.bytes(), Ordering::Relaxed);
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
            self.total.fetch_sub(entry.bytes(), Ordering::Relaxed);
            self.floor = Some(entry.offset);
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
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
        let mut log = Log::new(Arc::default());
        let offsets = (0..count).map(|_| {
            let (offset, event) = event("{}");
            log.push(offset, event, now);
            offset
        });
        let offsets = offsets.collect();
        (log, offsets)
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
        assert_eq!((log.bytes, log.total.load(Ordering::Relaxed)), (0, 0));
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
        assert!(log.bytes <= RECOVERY_BYTES && log.bytes == log.total.load(Ordering::Relaxed));
        let total = log.total.clone();
        drop(log);
        assert_eq!(total.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn when_all_logs_together_are_full_one_that_grows_is_emptied() {
        let total = Arc::new(AtomicUsize::new(RECOVERY_TOTAL_BYTES));
        let mut log = Log::new(total.clone());
        let (offset, one) = event("{}");
        log.push(offset, one, Instant::now());
        assert_eq!((log.len(), total.load(Ordering::Relaxed)), (0, RECOVERY_TOTAL_BYTES));
        assert!(log.confirm(Some(offset)) && !log.confirm(None));
    }
}
