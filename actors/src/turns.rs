//! Turns of users.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    ids::UserId,
    per_user::{OfUser, PerUser},
};

/// So many turns of each user at the same time. Whoever wants another one of the same user's waits, in the order they came;
/// no user waits for another one.
#[derive(Debug)]
pub(crate) struct Turns {
    at_once: usize,
    users: PerUser<Arc<Semaphore>>,
}

/// One, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _permit: OwnedSemaphorePermit,
    // Dropped behind its permit: whoever finds it gone may begin with all turns.
    _all: Arc<OfUser<Arc<Semaphore>>>,
}

impl Turns {
    pub(crate) fn new(at_once: usize) -> Self {
        Self { at_once, users: PerUser::default() }
    }

    /// Waits for a turn of the user's.
    pub(crate) async fn of(&self, user: UserId) -> Turn {
        let all = self.users.hold(user, || Arc::new(Semaphore::new(self.at_once)));
        let permit = Arc::clone(&**all).acquire_owned().await.expect("nobody closes it");
        Turn { _permit: permit, _all: all }
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;
    use tokio::pin;

    use super::*;

    #[tokio::test]
    async fn a_user_has_so_many_turns_and_waits_for_nobody_else() {
        let (turns, user) = (Turns::new(2), UserId::new());
        let [first, _second] = [turns.of(user).await, turns.of(user).await];
        let _others = [turns.of(UserId::new()).await, turns.of(UserId::new()).await];
        let (third, fourth) = (turns.of(user), turns.of(user));
        pin!(third, fourth);
        assert!(poll!(&mut third).is_pending() && poll!(&mut fourth).is_pending());
        drop(first);
        assert!(poll!(&mut fourth).is_pending(), "in the order they came");
        assert!(poll!(&mut third).is_ready());
    }

    #[tokio::test]
    async fn nothing_stays_of_a_user_who_neither_has_a_turn_nor_waits() {
        let (turns, user) = (Turns::new(1), UserId::new());
        let turn = turns.of(user).await;
        {
            let given_up = turns.of(user);
            pin!(given_up);
            assert!(poll!(&mut given_up).is_pending());
        }
        assert!(!turns.users.is_empty());
        drop(turn);
        assert!(turns.users.is_empty());
    }
}
