//! Latencies and rates of the measured time.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest latency that is told apart from longer ones, in microseconds.
const LONGEST: u64 = 600_000_000;

/// A second of the run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Second {
    /// Seconds since the measured time began, at its end.
    pub(crate) t: f64,
    /// Operations a second.
    pub(crate) rate: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// Percentiles of one kind of latency.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) mean_ms: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p90_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p99_9_ms: f64,
    pub(crate) max_ms: f64,
}

/// Latencies by kind; those of the first kind make the course over time.
pub(crate) struct Meter {
    kinds: Vec<(&'static str, Histogram<u64>)>,
    /// How long earlier parts of the run were measured.
    earlier: Duration,
    begun_at: Option<Instant>,
    ended_at: Option<Instant>,
    second: Histogram<u64>,
    second_at: Instant,
    seconds: Vec<Second>,
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("bounds that fit each other")
}

impl Meter {
    pub(crate) fn new(kinds: &[&'static str]) -> Self {
        Self {
            kinds: kinds.iter().map(|kind| (*kind, histogram())).collect(),
            earlier: Duration::ZERO,
            begun_at: None,
            ended_at: None,
            second: histogram(),
            second_at: Instant::now(),
            seconds: Vec::new(),
        }
    }

    /// The measured time begins, or goes on with another part of the run.
    pub(crate) fn begin(&mut self) {
        self.earlier = self.measured();
        self.begun_at = Some(Instant::now());
        self.ended_at = None;
        self.second_at = Instant::now();
    }

    /// The measured time ends.
    pub(crate) fn end(&mut self) {
        self.tick(true);
        self.ended_at = Some(Instant::now());
    }

    pub(crate) fn is_on(&self) -> bool {
        self.begun_at.is_some() && self.ended_at.is_none()
    }

    /// How long it has measured, or did.
    pub(crate) fn measured(&self) -> Duration {
        let until = self.ended_at.unwrap_or_else(Instant::now);
        self.earlier + self.begun_at.map_or(Duration::ZERO, |begun| until - begun)
    }

    /// A latency, which counts if it is of the measured time.
    pub(crate) fn record(&mut self, kind: &'static str, latency: Duration) {
        if !self.is_on() {
            return;
        }
        let micros = (latency.as_micros() as u64).clamp(1, LONGEST);
        let place = self.kinds.iter().position(|(other, _)| *other == kind);
        let place = place.unwrap_or_else(|| {
            self.kinds.push((kind, histogram()));
            self.kinds.len() - 1
        });
        self.kinds[place].1.saturating_record(micros);
        if place == 0 {
            self.second.saturating_record(micros);
        }
    }

    /// Closes a second that is over; the last one `even_if_short`. The newest second there is.
    pub(crate) fn tick(&mut self, even_if_short: bool) -> Option<&Second> {
        let long = self.second_at.elapsed().as_secs_f64();
        if self.is_on() && (long >= 1.0 || (even_if_short && long >= 0.5)) {
            self.seconds.push(Second {
                t: self.measured().as_secs_f64(),
                rate: self.second.len() as f64 / long,
                p50_ms: self.second.value_at_quantile(0.5) as f64 / 1e3,
                p99_ms: self.second.value_at_quantile(0.99) as f64 / 1e3,
            });
            self.second.reset();
            self.second_at = Instant::now();
        }
        self.seconds.last()
    }

    /// How many latencies of a kind there are.
    pub(crate) fn count(&self, kind: &str) -> u64 {
        self.kinds.iter().find(|(other, _)| *other == kind).map_or(0, |(_, histogram)| histogram.len())
    }

    pub(crate) fn seconds(&self) -> &[Second] {
        &self.seconds
    }

    /// The percentiles of each kind that was seen.
    pub(crate) fn summaries(&self) -> Vec<(&'static str, Summary)> {
        self.seen().map(|(kind, histogram)| (kind, summary(histogram))).collect()
    }

    /// The percentiles of one kind, if it was seen.
    pub(crate) fn summary(&self, kind: &str) -> Option<Summary> {
        self.seen().find(|(other, _)| *other == kind).map(|(_, histogram)| summary(histogram))
    }

    /// Of each kind: latency in milliseconds over the share of what took longer, for a curve.
    pub(crate) fn curves(&self) -> Vec<(&'static str, Vec<(f64, f64)>)> {
        let curve = |histogram: &Histogram<u64>| {
            let points = histogram
                .iter_quantiles(5)
                .map(|step| ((1.0 - step.quantile()).max(1e-6), step.value_iterated_to() as f64 / 1e3));
            points.collect()
        };
        self.seen().map(|(kind, histogram)| (kind, curve(histogram))).collect()
    }

    fn seen(&self) -> impl Iterator<Item = (&'static str, &Histogram<u64>)> {
        self.kinds.iter().filter(|(_, histogram)| !histogram.is_empty()).map(|(kind, histogram)| (*kind, histogram))
    }
}

fn summary(histogram: &Histogram<u64>) -> Summary {
    let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
    Summary {
        count: histogram.len(),
        mean_ms: histogram.mean() / 1e3,
        p50_ms: at(0.5),
        p90_ms: at(0.9),
        p99_ms: at(0.99),
        p99_9_ms: at(0.999),
        max_ms: histogram.max() as f64 / 1e3,
    }
}
