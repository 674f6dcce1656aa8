//! How long conversations of one batch that somebody else has locked are waited for, one after the other.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{BRIEF_LOCK, LOCK_TIMEOUT};

/// What was refused as a whole has waited already: its conversations together wait as long once more, so that many that
/// are locked do not hold up others. Each has time for a lock that is held as briefly as all are here, until the common time
/// is over.
pub(super) struct LockWait {
    each: Duration,
    until: Instant,
    set: Option<Duration>,
}

impl LockWait {
    /// Once it is over, a lock is not waited for; 0 would mean to Postgres: without end.
    const OVER: Duration = Duration::from_millis(1);

    pub(super) fn shared_by(conversations: usize) -> Self {
        let share = LOCK_TIMEOUT / u32::try_from(conversations.max(1)).unwrap_or(u32::MAX);
        Self { each: share.max(BRIEF_LOCK), until: Instant::now() + LOCK_TIMEOUT, set: None }
    }

    /// The time-out of the next statement, where it is another than that of the one before.
    pub(super) fn next(&mut self) -> Option<Duration> {
        let next = if Instant::now() < self.until { self.each } else { Self::OVER };
        (self.set.replace(next) != Some(next)).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As long as each waits in vain.
    async fn waited_for(conversations: usize) -> Duration {
        let (mut wait, began) = (LockWait::shared_by(conversations), Instant::now());
        let mut timeout = Duration::ZERO;
        for _ in 0..conversations {
            timeout = wait.next().unwrap_or(timeout);
            tokio::time::sleep(timeout).await;
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_are_locked_they_hold_up_others_by_little_more_than_one() {
        for conversations in [1, 2, 20, 50, 256] {
            let waited = waited_for(conversations).await;
            assert!(waited >= LOCK_TIMEOUT && waited < LOCK_TIMEOUT * 13 / 10, "{conversations}: {waited:?}");
        }
    }
}
