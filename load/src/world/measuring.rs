//! The measured time of a run: what is waited for, shown meanwhile, and counted.

use std::{
    fmt,
    pin::pin,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{cli::Common, meter::Part, progress::LOOK, scenarios::pace::pace};

use super::World;

/// An achieved rate below this share of the one that was asked for is said in the verdict.
const ENOUGH: f64 = 0.95;

impl World {
    /// Waits with progress; not to the end if all connections have ended.
    pub(crate) async fn pass(&self, time: Duration) {
        let until = Instant::now() + time;
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            sleep(left.min(LOOK)).await;
            self.show_rate(Some(left));
            if self.ledger.borrow().is_deserted() {
                return;
            }
        }
    }

    /// Waits for something with progress.
    pub(crate) async fn meanwhile<T>(&self, done: impl Future<Output = T>) -> T {
        let mut done = pin!(done);
        loop {
            tokio::select! {
                done = &mut done => return done,
                () = sleep(LOOK) => self.show_rate(None),
            }
        }
    }

    fn show_rate(&self, left: Option<Duration>) {
        self.watch.borrow_mut().look();
        let message = match self.meter.borrow_mut().tick(false) {
            Some(second) => format!("{:.0}/s  p50 {:.2} ms  p99 {:.2} ms", second.rate, second.p50_ms, second.p99_ms),
            None => "warming up".to_owned(),
        };
        let left = left.map_or_else(String::new, |left| format!("  {} s left", left.as_secs()));
        self.progress.show(message + &left);
    }

    /// Measures for a while what runs already.
    pub(crate) async fn measure(&self, part: Part, time: Duration) {
        self.begin(part);
        self.pass(time).await;
        self.meter.borrow_mut().end();
    }

    /// The measured time begins, or another part of it.
    pub(crate) fn begin(&self, part: Part) {
        self.meter.borrow_mut().begin(part);
        self.watch.borrow_mut().begin();
    }

    /// Warms up what runs already, and measures it.
    pub(crate) async fn warm_up_and_measure(&self, part: Part, common: &Common) {
        self.pass(Duration::from_secs_f64(common.warmup)).await;
        self.measure(part, Duration::from_secs_f64(common.duration)).await;
    }

    /// An open loop, warmed up and then measured: `act` so many times a second, with the moment at which it was due.
    pub(crate) async fn measure_at(&self, per_second: f64, common: &Common, act: impl FnMut(Instant)) {
        pace(per_second, self.warm_up_and_measure(Part::default(), common), act).await;
    }

    /// How many of a kind there were a second, in the measured time.
    pub(crate) fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.meter.borrow().measured().as_secs_f64()
    }

    /// So many operations were done in the measured time: where there was none, the run says nothing.
    pub(crate) fn measured(&self, operations: u64, what: &str) {
        if operations == 0 {
            self.ledger.borrow_mut().nothing_came(format_args!("nothing was measured: no {what} in the measured time"));
        }
    }

    /// Says so where less was done a second than was asked for.
    pub(crate) fn compare(&self, what: fmt::Arguments<'_>, achieved: f64, asked: f64) {
        if achieved < ENOUGH * asked {
            self.notes.borrow_mut().push(format!("only {achieved:.1} of {asked} {what} a second"));
        }
    }
}
