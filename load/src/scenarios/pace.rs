//! An open loop: things that are due at fixed times, whether what was before them is done or not.

use std::{
    thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

/// Calls that are due and not made yet; the clock waits when there are so many.
const DUE: usize = 65_536;

/// Calls `act` so many times a second for a while, with the moment at which each call was due. A late call is not left
/// out: it is made at once and says when it was due, so that what waited counts as waiting.
pub(crate) async fn pace(per_second: f64, time: Duration, mut act: impl FnMut(Instant)) {
    let (due, mut is_due) = mpsc::channel(DUE);
    let begun = Instant::now();
    // A thread that sleeps: the runtime's timer rounds up to milliseconds, which would count as latency.
    thread::spawn(move || {
        let moments = (0_u64..).map(|count| Duration::from_secs_f64(count as f64 / per_second));
        for moment in moments.take_while(|moment| *moment < time).map(|after| begun + after) {
            thread::sleep(moment.saturating_duration_since(Instant::now()));
            if due.blocking_send(moment).is_err() {
                return;
            }
        }
    });
    while let Some(moment) = is_due.recv().await {
        act(moment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_due_is_done_however_late() {
        let mut due = Vec::new();
        let begun = Instant::now();
        pace(1000.0, Duration::from_millis(200), |moment| {
            if due.is_empty() {
                // The loop is held up: what falls due meanwhile is made up for.
                thread::sleep(Duration::from_millis(100));
            }
            due.push(moment);
        })
        .await;
        assert_eq!(due.len(), 200);
        assert!(due[50] - begun < Duration::from_millis(60), "it says when it was due, not when it was done");
    }
}
