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
    use tokio::sync::oneshot;

    use super::*;

    /// When the first so many were due; the first of them takes so long.
    async fn due(count: usize, per_second: f64, first_takes: Duration) -> Vec<Instant> {
        let mut due = Vec::new();
        let (end, ended) = oneshot::channel();
        let mut end = Some(end);
        pace(per_second, ended, |moment| {
            if due.is_empty() {
                thread::sleep(first_takes);
            }
            due.push(moment);
            if let Some(end) = end.take_if(|_| due.len() == count) {
                end.send(()).expect("it waits for that");
            }
        })
        .await
        .expect("it has been told");
        due
    }

    /// Whether they follow each other at this distance, but for rounding.
    fn is_kept(due: &[Instant], rhythm: Duration) -> bool {
        due.windows(2).all(|two| (two[1] - two[0]).abs_diff(rhythm) < Duration::from_micros(100))
    }

    #[tokio::test]
    async fn what_is_due_is_done_however_late_and_says_when_it_was_due() {
        let due = due(200, 1000.0, Duration::from_millis(100)).await;
        assert!(due.len() >= 200 && is_kept(&due, Duration::from_millis(1)), "{due:?}");
    }

    #[tokio::test]
    async fn a_slow_rhythm_is_kept() {
        let begun = Instant::now();
        let due = due(5, 20.0, Duration::ZERO).await;
        assert!(is_kept(&due, Duration::from_millis(50)), "{due:?}");
        assert!(begun.elapsed() >= Duration::from_millis(200), "none comes before it is due");
    }
}
