//! The verdict: what was checked, and what must not have been.

use std::fmt::{self, Write as _};

use serde::Serialize;

/// So many violations of a sort are named.
const NAMED: usize = 3;
/// So many sorts are told apart; the last one takes the others in.
const SORTS: usize = 50;

/// How much was checked, of each sort.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Checked {
    pub(crate) connections: u64,
    pub(crate) pings: u64,
    pub(crate) acks: u64,
    pub(crate) deliveries: u64,
    pub(crate) notifications: u64,
    pub(crate) refusals: u64,
    pub(crate) typing: u64,
    pub(crate) posts: u64,
    pub(crate) pages: u64,
}

/// What must not be, and was.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Violations {
    pub(crate) count: u64,
    /// So many of them because something had not come at the end.
    pub(crate) lost: u64,
    /// The first ones of each sort, and how many there are besides.
    #[serde(rename = "violations")]
    pub(crate) named: Vec<String>,
}

/// Violations as they are found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) count: u64,
    sorts: Vec<Sort>,
}

/// Violations that differ in their numbers only.
#[derive(Debug)]
struct Sort {
    pattern: String,
    count: u64,
    first: Vec<String>,
}

impl Found {
    /// One more.
    pub(crate) fn note(&mut self, what: fmt::Arguments<'_>) {
        let (text, limit) = (what.to_string(), self.sorts.len());
        let pattern = pattern(&text);
        let known =
            self.sorts.iter().position(|sort| sort.pattern == pattern).or((limit == SORTS).then_some(SORTS - 1));
        let sort = known.unwrap_or_else(|| {
            self.sorts.push(Sort { pattern, count: 0, first: Vec::new() });
            limit
        });
        let sort = &mut self.sorts[sort];
        self.count += 1;
        sort.count += 1;
        if sort.first.len() < NAMED {
            sort.first.push(text);
        }
    }

    /// In the order in which each sort was first found.
    pub(crate) fn into_named(self) -> Vec<String> {
        let named = self.sorts.into_iter().flat_map(|sort| {
            let more = sort.count - sort.first.len() as u64;
            sort.first.into_iter().chain((more > 0).then(|| format!("… and {more} more of this sort")))
        });
        named.collect()
    }
}

/// A text without what differs from one message or socket to the next.
fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let varies = word.bytes().any(|byte| byte.is_ascii_digit());
        let _ = write!(pattern, "{} ", if varies { "#" } else { word });
    }
    pattern
}

/// Whether every message was where it had to be.
#[derive(Serialize)]
pub(crate) struct Verdict {
    pub(crate) ok: bool,
    pub(crate) checked: Checked,
    #[serde(flatten)]
    pub(crate) violations: Violations,
    /// No violations, but a reader has to know: much was refused or dropped, or less was done than was asked for.
    pub(crate) notes: Vec<String>,
}

impl Verdict {
    pub(crate) fn new(checked: Checked, violations: Violations) -> Self {
        Self { ok: violations.count == 0, checked, violations, notes: Vec::new() }
    }

    /// With the connections, the violations and the notes of another part of the run.
    pub(crate) fn add(&mut self, other: Self) {
        self.checked.connections += other.checked.connections;
        self.checked.pings += other.checked.pings;
        self.violations.count += other.violations.count;
        self.violations.lost += other.violations.lost;
        self.violations.named.extend(other.violations.named);
        self.notes.extend(other.notes);
        self.ok = self.violations.count == 0;
    }

    /// What was checked, by number.
    pub(crate) fn checked(&self) -> String {
        let Checked { connections, pings, acks, deliveries, notifications, refusals, typing, posts, pages } =
            self.checked;
        let all = [
            (connections, "connections"),
            (pings, "pings"),
            (acks, "acks"),
            (deliveries, "deliveries"),
            (notifications, "notifications"),
            (refusals, "refusals"),
            (typing, "typing events"),
            (posts, "posts"),
            (pages, "pages"),
        ];
        let some = all.into_iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}"));
        some.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violations_that_differ_in_numbers_only_are_one_sort() {
        let mut found = Found::default();
        (0..10).for_each(|number| found.note(format_args!("message {number} of user 1 was lost")));
        found.note(format_args!("the ack of message 1 has no message"));
        assert_eq!(found.count, 11);
        let named = found.into_named();
        assert_eq!(named.len(), NAMED + 2, "{named:?}");
        assert_eq!(named[NAMED], "… and 7 more of this sort");
    }

    #[test]
    fn sorts_without_end_are_counted() {
        let mut found = Found::default();
        ('a'..='z').for_each(|a| ('a'..='z').for_each(|b| found.note(format_args!("{a}{b}"))));
        assert_eq!((found.count, found.into_named().len() <= SORTS + NAMED), (26 * 26, true));
    }
}
