//! The doors of a worker: new connections, new sessions, and connections that ended, pass one after the other when they
//! come by thousands, so that those who stay are heard in between.
//!
//! When a network fails, thousands of connections end in the same moment and come back in the next. Without a door their
//! work would stand before every message that comes meanwhile, and a message comes by it several times: as it is read, at
//! each actor, when it is committed. Calls on connections that are open pass no door.

use std::{cell::Cell, thread::LocalKey, time::Duration};

use tokio::time::{Instant, sleep_until};

/// Between two new connections: looking at one takes less than half of it.
const ARRIVE: Duration = Duration::from_micros(80);
/// Between two new sessions: opening one takes about a quarter of it.
const ENTER: Duration = Duration::from_micros(250);
/// Between two connections that are cleared away, which takes about a quarter of it.
const LEAVE: Duration = Duration::from_micros(125);
/// So many pass at once when nobody did for a while.
const AT_ONCE: u32 = 32;
/// Nobody waits longer. Clients give up after 20 s; a stop waits for those that leave.
const LONGEST: Duration = Duration::from_secs(4);

thread_local! {
    static ARRIVING: Cell<Option<Instant>> = const { Cell::new(None) };
    static ENTERING: Cell<Option<Instant>> = const { Cell::new(None) };
    static LEAVING: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Waits for one's turn to be looked at.
pub(crate) async fn arrive() {
    pass(&ARRIVING, ARRIVE).await;
}

/// Waits for one's turn to open a session.
pub(crate) async fn enter() {
    pass(&ENTERING, ENTER).await;
}

/// Waits for one's turn to be cleared away.
pub(crate) async fn leave() {
    pass(&LEAVING, LEAVE).await;
}

/// Whoever comes first goes first: turns are given out at once, as in the virtual scheduling algorithm of ITU-T I.371.
/// (A limiter that is asked again after each wait would wake all that wait each time.)
async fn pass(next: &'static LocalKey<Cell<Option<Instant>>>, interval: Duration) {
    let (now, early) = (Instant::now(), interval * AT_ONCE);
    let turn = next.get().map_or(now, |due| due.clamp(now, now + early + LONGEST));
    next.set(Some(turn + interval));
    if turn > now + early {
        sleep_until(turn - early).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_few_pass_at_once_and_a_crowd_in_turn() {
        let begun = Instant::now();
        join_all((0..AT_ONCE).map(|_| enter())).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        let passed = join_all((0..1000).map(|_| async {
            enter().await;
            begun.elapsed()
        }))
        .await;
        assert!(passed.is_sorted(), "in the order they came");
        // The clock of the runtime has milliseconds.
        let last = passed[999].as_millis();
        assert!((249..=252).contains(&last), "{last} ms for 1000 at 250 µs");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let rested = Instant::now();
        enter().await;
        assert_eq!(rested.elapsed(), Duration::ZERO, "nobody waits in a quiet time");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_the_longest_wait_however_many_come() {
        let begun = Instant::now();
        join_all((0..100_000).map(|_| leave())).await;
        assert!(begun.elapsed() <= LONGEST + Duration::from_millis(2), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_or_arrives_does_not_stand_before_who_enters() {
        let begun = Instant::now();
        let leaving = join_all((0..10_000).map(|_| leave()));
        let arriving = join_all((0..10_000).map(|_| arrive()));
        let entered = async {
            enter().await;
            begun.elapsed()
        };
        assert_eq!(tokio::join!(leaving, arriving, entered).2, Duration::ZERO);
    }
}
