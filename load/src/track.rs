//! Numbers that have to come once each, in order.

use std::{collections::BTreeSet, fmt};

/// What has come so far.
#[derive(Debug, Default)]
pub(crate) struct Track {
    last: Option<u64>,
    missing: BTreeSet<u64>,
    /// Beyond the last one: those that will never come.
    withdrawn: BTreeSet<u64>,
}

/// What is wrong with a number that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wrong {
    /// After one that follows it.
    Late,
    /// Before.
    Repeated,
    /// It was never to come.
    Withdrawn,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Late => "out of order",
            Self::Repeated => "twice",
            Self::Withdrawn => "although it was refused",
        })
    }
}

impl Track {
    /// The next one to come is the one after this.
    pub(crate) fn starting_after(last: u64) -> Self {
        Self { last: Some(last), ..Self::default() }
    }

    /// A number came; one that it leaps over is missing from now on, until it comes late.
    pub(crate) fn came(&mut self, number: u64) -> Result<(), Wrong> {
        if self.withdrawn.contains(&number) {
            return Err(Wrong::Withdrawn);
        }
        match self.last {
            Some(last) if number <= last => {
                return Err(if self.missing.remove(&number) { Wrong::Late } else { Wrong::Repeated });
            }
            Some(last) => self.missing.extend((last + 1..number).filter(|number| !self.withdrawn.contains(number))),
            None => (),
        }
        self.last = Some(number);
        self.withdrawn = self.withdrawn.split_off(&(number + 1));
        Ok(())
    }

    /// Whether a number has not come.
    pub(crate) fn lacks(&self, number: u64) -> bool {
        let is_ahead = self.last.is_none_or(|last| last < number) && !self.withdrawn.contains(&number);
        is_ahead || self.missing.contains(&number)
    }

    /// The ones that others leapt over and that have not come.
    pub(crate) fn missing(&self) -> &BTreeSet<u64> {
        &self.missing
    }

    /// A number will never come, and is not missed; the ones before it may still be on their way.
    pub(crate) fn withdraw(&mut self, number: u64) {
        if !self.missing.remove(&number) && self.lacks(number) {
            self.withdrawn.insert(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_comes_once_and_in_order() {
        let mut track = Track::starting_after(4);
        assert_eq!((track.came(5), track.came(6), track.came(6)), (Ok(()), Ok(()), Err(Wrong::Repeated)));
        assert_eq!((track.came(9), track.came(7)), (Ok(()), Err(Wrong::Late)));
        assert!(track.lacks(8) && track.lacks(10) && !track.lacks(7));
        assert_eq!(track.missing().iter().copied().collect::<Vec<_>>(), [8]);
        track.withdraw(8);
        track.withdraw(10);
        assert!(track.missing().is_empty());
        assert_eq!(track.came(11), Ok(()));
    }

    #[test]
    fn what_comes_before_a_number_that_was_withdrawn_is_not_late() {
        let mut track = Track::starting_after(0);
        track.withdraw(2);
        track.withdraw(3);
        assert!(track.lacks(1) && !track.lacks(2) && track.lacks(4));
        assert_eq!(track.came(2), Err(Wrong::Withdrawn));
        assert_eq!((track.came(1), track.came(4), track.came(4)), (Ok(()), Ok(()), Err(Wrong::Repeated)));
        assert!(track.missing().is_empty());
    }

    #[test]
    fn the_first_number_may_be_any() {
        let mut track = Track::default();
        assert_eq!((track.came(70), track.came(71)), (Ok(()), Ok(())));
        assert!(track.missing().is_empty());
    }
}
