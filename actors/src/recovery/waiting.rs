//! Which sessions wait for their client, by user: nobody's share of them is everybody's.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
};

use dashmap::DashMap;

use crate::{ids::UserId, limits::RECOVERY_SESSIONS_OF_USER};

use super::Recoverable;

/// Those that wait, of each user the longest first. Its locks are taken inside a session's, never the other way round.
#[derive(Debug, Default)]
pub(super) struct WaitingSessions(DashMap<UserId, VecDeque<Weak<Recoverable>>>);

impl WaitingSessions {
    pub(super) fn add(&self, session: &Recoverable) {
        self.0.entry(session.user).or_default().push_back(session.this.clone());
    }

    pub(super) fn remove(&self, session: &Recoverable) {
        self.0.remove_if_mut(&session.user, |_, waiting| {
            waiting.retain(|other| !other.ptr_eq(&session.this));
            waiting.is_empty()
        });
    }

    /// Takes out the one of a user's that has waited longest, if there are more than there may be.
    pub(super) fn take_surplus(&self, user: UserId) -> Option<Arc<Recoverable>> {
        let mut waiting = self.0.get_mut(&user)?;
        while waiting.len() > RECOVERY_SESSIONS_OF_USER {
            if let Some(oldest) = waiting.pop_front().and_then(|session| session.upgrade()) {
                return Some(oldest);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::{
        counters::Gauge,
        event::EncodedEvent,
        ids::{MessageId, SessionId},
        limits::{RECOVERY_BYTES, RECOVERY_TOTAL_BYTES},
        outbox::{AckId, CloseReason, Outbox, Queued},
        recovery::{Log, Pid, Place, Recover, Recoveries, Seat},
    };

    struct Nobody;

    impl Outbox for Nobody {
        fn opened(&self, _: SessionId, _: Option<Pid>) {}
        fn event(&self, _: &Arc<EncodedEvent>) -> Queued {
            Queued::Yes
        }
        fn ack(&self, _: AckId, _: &str) {}
        fn close(&self, _: CloseReason) {}
    }

    fn lost(recoveries: &Recoveries, user: UserId) -> Pid {
        let recoverable = recoveries.begin(user, Arc::new(Nobody));
        Seat::first(recoverable.clone()).leave(Some(CloseReason::TransportLost));
        recoverable.pid
    }

    #[test]
    fn one_that_ends_while_it_waits_is_counted_no_more() {
        let recoveries = Recoveries::new(Duration::from_secs(60), Arc::default());
        let pid = lost(&recoveries, UserId::new());
        let session = recoveries.sessions.get(&pid).expect("it waits").clone();
        recoveries.forget(&session);
        assert_eq!(recoveries.counters.get(Gauge::LostSessions), 0);
        assert!(recoveries.waiting.0.is_empty());
    }

    #[test]
    fn more_than_a_user_may_have_wait_after_a_restart_and_one_gives_way_to_each_that_is_lost_then() {
        let recoveries = Recoveries::new(Duration::from_secs(60), Arc::default());
        let user = UserId::new();
        let restored = RECOVERY_SESSIONS_OF_USER + 4;
        for _ in 0..restored {
            let place = Place::Lost { until: Instant::now() + Duration::from_secs(60), missed: 0 };
            recoveries.add(Pid::new(), SessionId::new(), user, Log::new(recoveries.totals.of(user)), place);
        }
        lost(&recoveries, user);
        assert_eq!(recoveries.counters.get(Gauge::LostSessions), restored as i64);
    }

    #[test]
    fn a_user_of_very_many_sessions_leaves_room_for_what_others_miss() {
        let recoveries = Recoveries::new(Duration::from_secs(60), Arc::default());
        let large = |bytes| EncodedEvent::new_message(MessageId::new(), "x".repeat(bytes));
        let (one, event) = (UserId::new(), large(RECOVERY_BYTES - 1024));
        let many: Vec<_> =
            (0..2 * RECOVERY_TOTAL_BYTES / RECOVERY_BYTES).map(|_| recoveries.begin(one, Arc::new(Nobody))).collect();
        many.iter().for_each(|session| assert_eq!(session.event(&event), Queued::Yes));
        let other = recoveries.begin(UserId::new(), Arc::new(Nobody));
        assert_eq!(other.event(&event), Queued::Yes);
        assert_eq!(other.state().log.len(), 1);
        let kept = many.iter().filter(|session| session.state().log.len() > 0).count();
        assert_eq!(kept, RECOVERY_SESSIONS_OF_USER);
    }

    #[test]
    fn those_of_a_user_that_have_waited_longest_end_when_there_are_too_many() {
        const MORE: usize = 4;
        let recoveries = Recoveries::new(Duration::from_secs(60), Arc::default());
        let (user, other) = (UserId::new(), UserId::new());
        let others = lost(&recoveries, other);
        let pids: Vec<_> = (0..RECOVERY_SESSIONS_OF_USER + MORE).map(|_| lost(&recoveries, user)).collect();
        let waiting = || recoveries.counters.get(Gauge::LostSessions);
        assert_eq!(waiting(), RECOVERY_SESSIONS_OF_USER as i64 + 1);
        let nobody: Arc<dyn Outbox> = Arc::new(Nobody);
        let comes_back =
            |pid, user| recoveries.take_over(Recover { pid: Some(pid), offset: None }, user, &nobody).is_some();
        let back: Vec<_> = pids.iter().map(|pid| comes_back(*pid, user)).collect();
        let expected: Vec<_> = (0..pids.len()).map(|number| number >= MORE).collect();
        assert_eq!(back, expected);
        assert!(comes_back(others, other));
        assert_eq!(waiting(), 0);
        assert!(recoveries.waiting.0.is_empty());
    }
}
