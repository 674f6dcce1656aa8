//! Whether every message was where it had to be.

use std::fmt;

use serde::Serialize;

/// So many violations are named.
const NAMED: usize = 100;

/// What was checked.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Checked {
    pub(crate) acks: u64,
    pub(crate) deliveries: u64,
    pub(crate) notifications: u64,
    pub(crate) refusals: u64,
}

/// What must not be, and was.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Violations {
    pub(crate) count: u64,
    /// So many of them because something had not come at the end.
    pub(crate) lost: u64,
    /// The first ones.
    #[serde(rename = "violations")]
    pub(crate) named: Vec<String>,
}

impl Violations {
    /// One more.
    pub(crate) fn note(&mut self, what: fmt::Arguments<'_>) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(what.to_string());
        }
    }

    /// Adds those of another part of the run.
    pub(crate) fn add(&mut self, other: Self) {
        self.count += other.count;
        self.lost += other.lost;
        self.named.extend(other.named);
    }
}

/// Whether every message was where it had to be.
#[derive(Serialize)]
pub(crate) struct Verdict {
    pub(crate) ok: bool,
    pub(crate) checked: Checked,
    #[serde(flatten)]
    pub(crate) violations: Violations,
}

impl Verdict {
    pub(crate) fn new(checked: Checked, violations: Violations) -> Self {
        Self { ok: violations.count == 0, checked, violations }
    }

    /// With the violations of another part of the run.
    pub(crate) fn add(&mut self, more: Violations) {
        self.violations.add(more);
        self.ok = self.violations.count == 0;
    }
}
