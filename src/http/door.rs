//! The door of a worker: connections that come or go all at once pass it one after the other, so that those who stay are
//! heard in between.
//!
//! When a network fails, thousands of connections end in the same moment and come back in the next. Without a door their
//! work would stand before every message that comes meanwhile.

use std::{cell::Cell, time::Duration};

use tokio::time::{Instant, sleep_until};

/// Time between two that pass: a connection's coming and going take about a third of it.
const INTERVAL: Duration = Duration::from_micros(250);
/// So many pass at once when nobody did for a while.
const AT_ONCE: u32 = 32;

thread_local! {
    static NEXT: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Waits for one's turn. Whoever comes first goes first: turns are given out at once, as in the virtual scheduling
/// algorithm of ITU-T I.371. (A limiter that is asked again after each wait would wake all that wait each time.)
pub(crate) async fn pass() {
    let now = Instant::now();
    let turn = NEXT.with(|next| {
        let turn = next.get().map_or(now, |due| due.max(now));
        next.set(Some(turn + INTERVAL));
        turn
    });
    if turn > now + INTERVAL * AT_ONCE {
        sleep_until(turn - INTERVAL * AT_ONCE).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_few_pass_at_once_and_a_crowd_in_turn() {
        let begun = Instant::now();
        join_all((0..AT_ONCE).map(|_| pass())).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        let passed = join_all((0..1000).map(|_| async {
            pass().await;
            begun.elapsed()
        }))
        .await;
        assert!(passed.is_sorted(), "in the order they came");
        // The clock of the runtime has milliseconds.
        let last = passed[999].as_millis();
        assert!((249..=252).contains(&last), "{last} ms for 1000 at 250 µs");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let rested = Instant::now();
        pass().await;
        assert_eq!(rested.elapsed(), Duration::ZERO, "nobody waits in a quiet time");
    }
}
