//! The pause between attempts to reach Postgres.

use std::time::Duration;

use crate::limits::BACKOFF;

/// Doubles from the first to the longest of [`BACKOFF`].
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(BACKOFF.0)
    }
}

impl Backoff {
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// How long to wait now.
    pub(crate) fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now * 2).min(BACKOFF.1);
        now
    }
}
