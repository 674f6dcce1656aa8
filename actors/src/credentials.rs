//! How long callers are who they say: the times of a token, and users whose tokens were revoked.

use std::sync::Arc;

use dashmap::DashMap;

use crate::{ids::UserId, timestamp::Timestamp};

/// The times of a token, in whole seconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// When it was issued; 0 if it does not say.
    pub issued_at: i64,
    /// From when on it does not hold.
    pub expires_at: i64,
}

impl Credentials {
    /// Of a session that waits for its client, who will bring some.
    pub(crate) const NONE_YET: Self = Self { issued_at: i64::MAX, expires_at: i64::MAX };
}

/// Since when the tokens of some users have to be new.
#[derive(Clone, Debug, Default)]
pub(crate) struct Revocations(Arc<DashMap<UserId, i64>>);

impl Revocations {
    /// A user's tokens that were issued up to this second do not hold any more.
    pub(crate) fn add(&self, user: UserId, at: Timestamp) {
        let mut revoked = self.0.entry(user).or_insert(i64::MIN);
        *revoked = at.seconds().max(*revoked);
    }

    /// Whether it is not known yet.
    pub(crate) fn is_news(&self, user: UserId, at: Timestamp) -> bool {
        self.0.get(&user).is_none_or(|revoked| *revoked < at.seconds())
    }

    /// Whether a token that was issued then holds no more. One of the very second may be of before, and counts as such.
    pub(crate) fn concern(&self, user: UserId, credentials: Credentials) -> bool {
        self.0.get(&user).is_some_and(|revoked| credentials.issued_at <= *revoked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_up_to_the_second_of_a_revocation_are_concerned() {
        let (revocations, user, now) = (Revocations::default(), UserId::new(), Timestamp::now());
        let issued = |issued_at| Credentials { issued_at, expires_at: i64::MAX };
        assert!(!revocations.concern(user, issued(0)));
        revocations.add(user, now);
        for (issued_at, is_concerned) in [(0, true), (now.seconds(), true), (now.seconds() + 1, false)] {
            assert_eq!(revocations.concern(user, issued(issued_at)), is_concerned, "{issued_at}");
            assert!(!revocations.concern(UserId::new(), issued(issued_at)));
        }
        revocations.add(user, Timestamp::from_seconds(0));
        assert!(revocations.concern(user, issued(now.seconds())), "never withdrawn");
    }
}
