//! An open loop: things that are due at fixed times, whether what was before them is done or not.

use std::time::{Duration, Instant};

/// Calls `act` so many times a second for a while, with the moment at which each call was due. A late call is not left
/// out: it is made at once and says when it was due, so that what waited counts as waiting.
pub(crate) async fn pace(per_second: f64, time: Duration, mut act: impl FnMut(Instant)) {
    /// Calls that fall into one wake-up of the timer.
    const GRAIN: Duration = Duration::from_millis(1);
    let begun = Instant::now();
    let mut count = 0_u64;
    loop {
        let due = begun + Duration::from_secs_f64(count as f64 / per_second);
        if due - begun >= time {
            return;
        }
        let wait = due.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait.max(GRAIN)).await;
        }
        while begun + Duration::from_secs_f64(count as f64 / per_second) <= Instant::now() {
            let due = begun + Duration::from_secs_f64(count as f64 / per_second);
            if due - begun >= time {
                return;
            }
            act(due);
            count += 1;
        }
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
                std::thread::sleep(Duration::from_millis(100));
            }
            due.push(moment);
        })
        .await;
        assert_eq!(due.len(), 200);
        assert!(due[50] - begun < Duration::from_millis(60), "it says when it was due, not when it was done");
    }
}
