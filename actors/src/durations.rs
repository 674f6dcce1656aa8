//! How long something takes, counted in buckets without a lock: for scrapes, and for charts that move.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};

/// The first bucket has what took no longer, in microseconds; each further one twice as much.
const SHORTEST: u64 = 250;
/// Up to 8 s, and one for what took longer.
const BUCKETS: usize = 17;

/// Counted since the start; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Durations(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    buckets: [AtomicU64; BUCKETS],
    /// In microseconds.
    sum: AtomicU64,
}

impl Durations {
    /// One took so long.
    pub(crate) fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.buckets[bucket(micros)].fetch_add(1, Ordering::Relaxed);
        self.0.sum.fetch_add(micros, Ordering::Relaxed);
    }

    /// How many are in each bucket.
    pub fn counts(&self) -> [u64; BUCKETS] {
        self.0.buckets.each_ref().map(|bucket| bucket.load(Ordering::Relaxed))
    }

    /// The longest of each bucket, in seconds; of the last one infinity, without which Prometheus counts no quantile.
    pub fn bounds() -> [f64; BUCKETS] {
        std::array::from_fn(|bucket| match bucket {
            last if last == BUCKETS - 1 => f64::INFINITY,
            bucket => (SHORTEST << bucket) as f64 / 1e6,
        })
    }
}

fn bucket(micros: u64) -> usize {
    match micros.saturating_sub(1) / SHORTEST {
        0 => 0,
        times => (times.ilog2() as usize + 1).min(BUCKETS - 1),
    }
}

impl EncodeMetric for Durations {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let counts = self.counts();
        let buckets: Vec<_> = Self::bounds().into_iter().zip(counts).collect();
        let sum = self.0.sum.load(Ordering::Relaxed) as f64 / 1e6;
        encoder.encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_what_took_up_to_its_bound() {
        for (micros, expected) in [(0, 0), (1, 0), (250, 0), (251, 1), (500, 1), (501, 2), (1000, 2), (8_192_000, 15)] {
            assert_eq!(bucket(micros), expected, "{micros} µs");
            assert!(micros as f64 / 1e6 <= Durations::bounds()[expected]);
        }
        assert_eq!((bucket(8_192_001), bucket(u64::MAX)), (16, 16));
        let durations = Durations::default();
        for took in [Duration::from_millis(1), Duration::from_millis(1), Duration::from_secs(60)] {
            durations.observe(took);
        }
        let counts = durations.counts();
        assert_eq!((counts[2], counts[16], counts.iter().sum::<u64>()), (2, 1, 3));
    }
}
