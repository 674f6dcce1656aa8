//! What a user has one of, however many of the user's sessions and calls share it.

use std::{
    ops::Deref,
    sync::{Arc, Weak},
};

use dashmap::{DashMap, Entry};

use crate::ids::UserId;

type Registry<T> = DashMap<UserId, Weak<OfUser<T>>>;

/// One for each user of whom somebody holds it; gone with the last who does.
#[derive(Debug)]
pub(crate) struct PerUser<T>(Arc<Registry<T>>);

/// A user's.
#[derive(Debug)]
pub(crate) struct OfUser<T> {
    user: UserId,
    value: T,
    registry: Weak<Registry<T>>,
}

impl<T> Default for PerUser<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> PerUser<T> {
    /// The user's, made if nobody holds it.
    pub(crate) fn hold(&self, user: UserId, make: impl FnOnce() -> T) -> Arc<OfUser<T>> {
        let mut entry = self.0.entry(user);
        if let Entry::Occupied(held) = &mut entry
            && let Some(held) = held.get().upgrade()
        {
            return held;
        }
        let new = Arc::new(OfUser { user, value: make(), registry: Arc::downgrade(&self.0) });
        entry.insert(Arc::downgrade(&new));
        new
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Deref for OfUser<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Drop for OfUser<T> {
    fn drop(&mut self) {
        if let Some(registry) = self.registry.upgrade() {
            // Somebody may have put a new one in its place since.
            registry.remove_if(&self.user, |_, held| held.strong_count() == 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_users_holds_the_same_and_the_last_takes_it_along() {
        let (all, user) = (PerUser::default(), UserId::new());
        let held = all.hold(user, || 1);
        let others = all.hold(UserId::new(), || 2);
        let same = all.hold(user, || 3);
        assert!(Arc::ptr_eq(&held, &same));
        assert_eq!((**same, **others), (1, 2));
        drop((held, others));
        assert_eq!(**all.hold(user, || 4), 1);
        drop(same);
        assert!(all.is_empty());
    }
}
