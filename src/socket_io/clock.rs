//! What a connection over WebSocket waits for: its next ping, the client's pong, or its end.

use std::{
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::{CLOSE_FLUSH, PING_INTERVAL, PING_TIMEOUT};

/// When a connection that has polled before is first asked whether it is there: the last ping that it polled may be an
/// interval old, and a client waits for the next no longer than interval and timeout together.
pub(super) const PING_AFTER_POLLING: Duration = Duration::from_secs(10);
/// Clocks have such ticks.
const TICK: Duration = Duration::from_millis(100);

/// What the clock is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// A ping is due at its end.
    Quiet,
    /// The client's pong is overdue at its end.
    Asked,
    /// The connection is closed; what is not sent at its end is lost.
    Closing,
}

/// The clock of one connection.
pub(super) struct Clock {
    pub(super) phase: Phase,
    sleep: Pin<Box<Sleep>>,
    /// When the next ping is due: by its own rhythm, so that connections which were once served together do not stay so.
    ping_at: Instant,
}

impl Clock {
    pub(super) fn new(first_ping: Duration) -> Self {
        let ping_at = on_a_tick(Instant::now() + first_ping);
        Self { phase: Phase::Quiet, sleep: Box::pin(sleep_until(ping_at)), ping_at }
    }

    /// Ready with the phase that is at its end, until another one is entered.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Phase> {
        ready!(self.sleep.as_mut().poll(cx));
        Poll::Ready(self.phase)
    }

    /// Begins a phase.
    pub(super) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        let now = Instant::now();
        let until = match phase {
            Phase::Quiet => {
                self.ping_at = (self.ping_at + PING_INTERVAL).max(now);
                self.ping_at
            }
            Phase::Asked => on_a_tick(now + PING_TIMEOUT),
            Phase::Closing => on_a_tick(now + CLOSE_FLUSH),
        };
        self.sleep.as_mut().reset(until);
    }
}

/// The next tick from a moment on: thousands of idle connections then wake the worker together.
fn on_a_tick(moment: Instant) -> Instant {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    let since = moment.saturating_duration_since(*FIRST).as_nanos();
    *FIRST + TICK * u32::try_from(since.div_ceil(TICK.as_nanos())).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_never_early_and_at_most_one_tick_late() {
        let now = Instant::now();
        for ahead in [0, 1, 99, 100, 101, 25_000, 86_400_000].map(Duration::from_millis) {
            let tick = on_a_tick(now + ahead);
            assert!(tick >= now + ahead && tick < now + ahead + TICK, "{ahead:?}");
            assert_eq!(on_a_tick(tick), tick, "a tick is its own");
        }
    }
}
