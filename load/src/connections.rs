//! How many connections there are, and which ended without being asked to.

use std::{fmt, time::Instant};

/// The connections of a run.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    there: u64,
    /// Of these, the ones that broke and are about to be closed.
    broken: u64,
    ends: Option<Ends>,
}

#[derive(Debug)]
struct Ends {
    first: String,
    first_at: Instant,
    last_at: Instant,
    count: u64,
    /// How many connections there were before the first of them ended.
    of: u64,
}

impl Connections {
    pub(crate) fn connected(&mut self) {
        self.there += 1;
    }

    pub(crate) fn closed(&mut self) {
        self.there -= 1;
        match (self.broken.checked_sub(1), &mut self.ends) {
            (Some(broken), _) => self.broken = broken,
            // It was asked to end, and had not yet when the first of the others did.
            (None, Some(ends)) => ends.of -= 1,
            (None, None) => (),
        }
    }

    /// One that is about to be closed ended without being asked to.
    pub(crate) fn broke(&mut self, what: fmt::Arguments<'_>) {
        let (now, of) = (Instant::now(), self.there);
        self.broken += 1;
        let first = || Ends { first: what.to_string(), first_at: now, last_at: now, count: 0, of };
        let ends = self.ends.get_or_insert_with(first);
        ends.last_at = now;
        ends.count += 1;
    }

    /// Some ended, and none is left.
    pub(crate) fn are_deserted(&self) -> bool {
        self.there == 0 && self.ends.is_some()
    }

    /// How many ended, and what is to be said of them.
    pub(crate) fn take_ends(&mut self) -> (u64, Option<String>) {
        let ends = self.ends.take();
        (ends.as_ref().map_or(0, |ends| ends.count), ends.as_ref().map(Ends::to_string))
    }
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, first_at, last_at, count, of } = self;
        if *count == 1 {
            return f.write_str(first);
        }
        if count >= of {
            f.write_str("the server went away: ")?;
        }
        let within = (*last_at - *first_at).as_secs_f64();
        write!(f, "{count} connections ended within {within:.1} s, the first: {first}")
    }
}
