//! Latencies and rates of the measured time.
//!
//! A latency counts where what it measures was due: in the measured time, however late the answer comes. A rate counts what
//! happened in the measured time.

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

/// Latencies by kind.
pub(crate) struct Meter {
    /// The kind whose course over time is kept.
    over_time: &'static str,
    kinds: Vec<Kind>,
    windows: Vec<Window>,
    second: Histogram<u64>,
    second_at: Instant,
    seconds: Vec<Second>,
}

struct Kind {
    name: &'static str,
    /// Of what was due in the measured time.
    latencies: Histogram<u64>,
    /// How many answers came in the measured time.
    in_time: u64,
}

/// A stretch of the measured time.
struct Window {
    from: Instant,
    until: Option<Instant>,
    part: Part,
}

/// A part of a run that measures one thing after the other.
#[derive(Clone, Copy, Default)]
pub(crate) struct Part {
    /// Empty where the run has only one.
    pub(crate) name: &'static str,
    /// Kinds of latency that have another name in it, and that name.
    pub(crate) aliases: &'static [(&'static str, &'static str)],
}

impl Window {
    fn has(&self, moment: Instant) -> bool {
        self.from <= moment && self.until.is_none_or(|until| moment < until)
    }

    fn length(&self) -> Duration {
        self.until.unwrap_or_else(Instant::now) - self.from
    }

    fn name_of(&self, kind: &'static str) -> &'static str {
        self.part.aliases.iter().find(|(name, _)| *name == kind).map_or(kind, |(_, alias)| alias)
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("bounds that fit each other")
}

impl Meter {
    pub(crate) fn new(over_time: &'static str) -> Self {
        Self {
            over_time,
            kinds: Vec::new(),
            windows: Vec::new(),
            second: histogram(),
            second_at: Instant::now(),
            seconds: Vec::new(),
        }
    }

    /// The measured time begins, or goes on with another window.
    pub(crate) fn begin(&mut self, part: Part) {
        self.windows.push(Window { from: Instant::now(), until: None, part });
        self.second.reset();
        self.second_at = Instant::now();
    }

    /// The measured time ends.
    pub(crate) fn end(&mut self) {
        self.tick(true);
        if let Some(window) = self.windows.last_mut() {
            window.until = Some(Instant::now());
        }
    }

    /// The window that is being measured.
    fn current(&self) -> Option<&Window> {
        self.windows.last().filter(|window| window.until.is_none())
    }

    pub(crate) fn is_on(&self) -> bool {
        self.current().is_some()
    }

    /// How long it has measured, or did.
    pub(crate) fn measured(&self) -> Duration {
        self.windows.iter().map(Window::length).sum()
    }

    /// After how many seconds of the measured time each of its parts begins.
    pub(crate) fn parts(&self) -> Vec<(f64, &'static str)> {
        let mut begins = Duration::ZERO;
        let begin = |window: &Window| {
            let part = (begins.as_secs_f64(), window.part.name);
            begins += window.length();
            part
        };
        self.windows.iter().map(begin).filter(|(_, name)| !name.is_empty()).collect()
    }

    /// What was due at a moment is done.
    pub(crate) fn record(&mut self, kind: &'static str, due: Instant) {
        let micros = micros_since(due);
        if let Some(name) = self.current().map(|window| window.name_of(kind)) {
            self.kind(name).in_time += 1;
            if kind == self.over_time {
                self.second.saturating_record(micros);
            }
        }
        self.waited(kind, due);
    }

    /// What was due at a moment is not done: it has taken as long as this at least.
    pub(crate) fn waited(&mut self, kind: &'static str, due: Instant) {
        let window = self.windows.iter().rev().find(|window| window.has(due));
        if let Some(name) = window.map(|window| window.name_of(kind)) {
            self.kind(name).latencies.saturating_record(micros_since(due));
        }
    }

    fn kind(&mut self, name: &'static str) -> &mut Kind {
        let place = self.kinds.iter().position(|kind| kind.name == name);
        let place = place.unwrap_or_else(|| {
            self.kinds.push(Kind { name, latencies: histogram(), in_time: 0 });
            self.kinds.len() - 1
        });
        &mut self.kinds[place]
    }

    /// Closes a second that is over; the last one `even_if_short`. The newest second there is.
    pub(crate) fn tick(&mut self, even_if_short: bool) -> Option<&Second> {
        let long = self.second_at.elapsed().as_secs_f64();
        if self.current().is_some() && (long >= 1.0 || (even_if_short && long >= 0.5)) {
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

    /// How many of a kind were done in the measured time.
    pub(crate) fn in_time(&self, kind: &str) -> u64 {
        self.kinds.iter().find(|other| other.name == kind).map_or(0, |kind| kind.in_time)
    }

    pub(crate) fn seconds(&self) -> &[Second] {
        &self.seconds
    }

    /// The percentiles of each kind that was seen.
    pub(crate) fn summaries(&self) -> Vec<(&'static str, Summary)> {
        self.seen().map(|kind| (kind.name, summary(&kind.latencies))).collect()
    }

    /// The percentiles of one kind, if it was seen.
    pub(crate) fn summary(&self, kind: &str) -> Option<Summary> {
        self.seen().find(|other| other.name == kind).map(|kind| summary(&kind.latencies))
    }

    /// Of each kind: latency in milliseconds over the share of what took longer, for a curve; that of the course over time
    /// first.
    pub(crate) fn curves(&self) -> Vec<(&'static str, Vec<(f64, f64)>)> {
        let mut curves: Vec<_> = self.seen().map(|kind| (kind.name, curve(&kind.latencies))).collect();
        curves.sort_by_key(|(kind, _)| *kind != self.over_time);
        curves
    }

    fn seen(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.iter().filter(|kind| !kind.latencies.is_empty())
    }
}

fn micros_since(due: Instant) -> u64 {
    (due.elapsed().as_micros() as u64).clamp(1, LONGEST)
}

/// Up to the slowest one: beyond, so few say nothing.
fn curve(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let slowest = 1.0 / histogram.len() as f64;
    let steps = histogram.iter_quantiles(5).map(|step| (1.0 - step.quantile(), step.value_iterated_to() as f64 / 1e3));
    steps.take_while(|(slower, _)| *slower > slowest).chain([(slowest, histogram.max() as f64 / 1e3)]).collect()
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

#[cfg(test)]
mod tests {
    use std::thread::sleep;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(20);

    #[test]
    fn what_was_due_in_the_measured_time_counts_whenever_it_is_done() {
        let mut meter = Meter::new("ack");
        let before = Instant::now();
        meter.begin(Part::default());
        meter.record("ack", before);
        let inside = Instant::now();
        sleep(MOMENT);
        meter.end();
        let after = Instant::now();
        sleep(MOMENT);
        meter.record("ack", inside);
        meter.waited("ack", inside);
        meter.record("ack", after);
        let ack = meter.summary("ack").expect("it was seen");
        assert_eq!((ack.count, meter.in_time("ack")), (2, 1));
        assert!(ack.p50_ms >= 2.0 * MOMENT.as_millis() as f64, "{ack:?}");
    }

    #[test]
    fn a_window_has_its_own_name_for_what_was_due_in_it() {
        let mut meter = Meter::new("ack");
        meter.begin(Part { name: "before", aliases: &[("ack", "ack_quiet")] });
        let quiet = Instant::now();
        meter.end();
        meter.begin(Part::default());
        meter.record("ack", quiet);
        meter.record("ack", Instant::now());
        let count = |kind| meter.summary(kind).map(|summary| summary.count);
        assert_eq!((count("ack_quiet"), count("ack")), (Some(1), Some(1)));
        assert_eq!((meter.in_time("ack_quiet"), meter.in_time("ack")), (0, 2));
        let [(first, "before")] = meter.parts()[..] else { panic!("the one that has a name: {:?}", meter.parts()) };
        assert_eq!(first, 0.0);
    }

    #[test]
    fn a_curve_ends_with_the_slowest() {
        let mut histogram = histogram();
        (1..=1000).for_each(|micros| histogram.saturating_record(micros * 1000));
        let curve = curve(&histogram);
        assert_eq!(curve.last(), Some(&(0.001, histogram.max() as f64 / 1e3)));
        assert!(curve.iter().all(|(slower, _)| *slower >= 0.001));
    }
}
