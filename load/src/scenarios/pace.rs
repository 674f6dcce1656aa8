//! An open loop: things that are due at fixed times, whether what was before them is done or not.

use std::{
    pin::pin,
    thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

/// Calls that are due and not made yet; the clock waits when there are so many.
const DUE: usize = 65_536;

/// Calls `act` so many times a second until `end`, with the moment at which each call was due. A late call is not left
/// out: it is made at once and says when it was due, so that what waited counts as waiting.
pub(crate) async fn pace<T>(per_second: f64, end: impl Future<Output = T>, mut act: impl FnMut(Instant)) -> T {
    let (due, mut is_due) = mpsc::channel(DUE);
    let begun = Instant::now();
    // A thread that sleeps: the runtime's timer rounds up to milliseconds, which would count as latency.
    thread::spawn(move || {
        for moment in (0_u64..).map(|count| begun + Duration::from_secs_f64(count as f64 / per_second)) {
            thread::sleep(moment.saturating_duration_since(Instant::now()));
            if due.blocking_send(moment).is_err() {
                return;
            }
        }
    });
    let mut end = pin!(end);
    loop {
        tokio::select! {
            biased;
            ended = &mut end => {
                // Those that were due before.
                is_due.close();
                while let Some(moment) = is_due.recv().await {
                    act(moment);
                }
                return ended;
            }
            moment = is_due.recv() => act(moment.expect("the clock stops only when nobody listens")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test]
    async fn what_is_due_is_done_however_late() {
        let mut due = Vec::new();
        let begun = Instant::now();
        pace(1000.0, tokio::time::sleep(Duration::from_millis(200)), |moment| {
            if due.is_empty() {
                // The loop is held up: what falls due meanwhile is made up for.
                thread::sleep(Duration::from_millis(100));
            }
            due.push(moment);
        })
        .await;
        assert!(due.len() >= 200, "{}", due.len());
        assert!(due[50] - begun < Duration::from_millis(60), "it says when it was due, not when it was done");
    }

    #[tokio::test]
    async fn a_slow_rhythm_is_kept() {
        let due = RefCell::new(0);
        pace(20.0, tokio::time::sleep(Duration::from_millis(225)), |_| *due.borrow_mut() += 1).await;
        assert_eq!(due.into_inner(), 5);
    }
}
