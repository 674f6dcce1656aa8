//! How much one user may ask for: token buckets (GCRA), of what comes over all connections of the user together.
//!
//! They are far beyond what people do, and keep one client that runs wild from the others. Admins are not limited by REST,
//! so that profiles can be brought into step.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use actors::{Refusal, UserId};
use governor::{Quota, RateLimiter, clock::Clock, clock::DefaultClock, state::keyed::DashMapStateStore};

use crate::socket_io::Event;

/// How many seconds' worth may come at once.
const BURST_SECONDS: u32 = 10;
/// How often users who have not asked for a while are forgotten.
const FORGET: Duration = Duration::from_secs(60);

/// Requests a second of one user; 0: any number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateSettings {
    /// Messages over Socket.IO.
    pub sends: u32,
    /// Typing, and its end.
    pub typing: u32,
    /// Joining, leaving, marking as read, refreshing a token, and events that there are not.
    pub joins: u32,
    /// REST calls.
    pub rest: u32,
}

/// The buckets of all users.
pub struct Rates {
    clock: DefaultClock,
    sends: Option<Buckets>,
    typing: Option<Buckets>,
    joins: Option<Buckets>,
    rest: Option<Buckets>,
}

type Buckets = RateLimiter<UserId, DashMapStateStore<UserId>, DefaultClock>;

impl Rates {
    /// Full buckets.
    pub fn new(settings: RateSettings) -> Self {
        let RateSettings { sends, typing, joins, rest } = settings;
        let [sends, typing, joins, rest] = [sends, typing, joins, rest].map(buckets);
        Self { clock: DefaultClock::default(), sends, typing, joins, rest }
    }

    /// Counts an event before anybody looks at its arguments: those that are refused cost something, too.
    ///
    /// # Errors
    /// The user's bucket for such events is empty.
    pub(crate) fn admit(&self, user: UserId, event: Option<Event>) -> Result<(), Refusal> {
        let buckets = match event {
            Some(Event::Send) => &self.sends,
            Some(Event::Typing | Event::StopTyping) => &self.typing,
            Some(Event::Join | Event::Leave | Event::MarkRead | Event::RefreshToken) | None => &self.joins,
        };
        self.take(user, buckets)
    }

    /// The same for a REST call.
    ///
    /// # Errors
    /// The user's bucket is empty.
    pub(crate) fn admit_call(&self, user: UserId) -> Result<(), Refusal> {
        self.take(user, &self.rest)
    }

    fn take(&self, user: UserId, buckets: &Option<Buckets>) -> Result<(), Refusal> {
        let Some(buckets) = buckets else { return Ok(()) };
        let refused = |early: governor::NotUntil<_>| Refusal::rate_limited(early.wait_time_from(self.clock.now()));
        buckets.check_key(&user).map_err(refused)
    }

    fn forget(&self) {
        for buckets in [&self.sends, &self.typing, &self.joins, &self.rest].into_iter().flatten() {
            // Whose bucket is full again.
            buckets.retain_recent();
            buckets.shrink_to_fit();
        }
    }
}

impl std::fmt::Debug for Rates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rates").finish_non_exhaustive()
    }
}

fn buckets(per_second: u32) -> Option<Buckets> {
    let quota = Quota::per_second(NonZeroU32::new(per_second)?);
    let burst = NonZeroU32::new(per_second.saturating_mul(BURST_SECONDS))?;
    Some(RateLimiter::dashmap(quota.allow_burst(burst)))
}

/// Forgets full buckets now and then.
pub(crate) async fn forget(rates: Arc<Rates>) {
    loop {
        tokio::time::sleep(FORGET).await;
        rates.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_has_a_bucket_of_each_kind_and_0_is_no_limit() {
        let rates = Rates::new(RateSettings { sends: 1, typing: 2, joins: 0, rest: 1 });
        let (user, other) = (UserId::new(), UserId::new());
        assert!((0..10).all(|_| rates.admit_call(user).is_ok()));
        let refusal = rates.admit_call(user).expect_err("ten seconds' worth are gone");
        let wait = refusal.retry_after().expect("it says when");
        assert!(wait > Duration::from_millis(500) && wait <= Duration::from_secs(1), "{wait:?}");
        assert!(rates.admit_call(other).is_ok());
        let typing = || rates.admit(user, Some(Event::Typing));
        assert!((0..20).all(|_| typing().is_ok()) && typing().is_err());
        assert!((0..10_000).all(|_| rates.admit(user, Some(Event::Leave)).is_ok()));
    }

    #[test]
    fn who_has_not_asked_for_a_while_is_forgotten() {
        let rates = Rates::new(RateSettings { sends: 0, typing: 0, joins: 0, rest: 1000 });
        for _ in 0..1000 {
            rates.admit_call(UserId::new()).expect("a full bucket");
        }
        let users = || rates.rest.as_ref().map(|buckets| buckets.len());
        assert_eq!(users(), Some(1000));
        std::thread::sleep(Duration::from_millis(50));
        rates.forget();
        assert_eq!(users(), Some(0));
    }
}
