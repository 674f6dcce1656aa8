//! Turns of users.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::{ids::UserId, limits::COUNT_TURNS};

/// What is counted of one user in several rooms is counted and told in one order: in turns. Users share them
/// by hash.
#[derive(Debug)]
pub(crate) struct Turns(Vec<Arc<Mutex<()>>>);

impl Default for Turns {
    fn default() -> Self {
        Self((0..COUNT_TURNS).map(|_| Arc::default()).collect())
    }
}

impl Turns {
    /// Waits for the user's turn, which ends when what is returned is dropped.
    pub(crate) async fn of(&self, user: UserId) -> OwnedMutexGuard<()> {
        // The counter within an id: what it ends with differs most.
        let place = user.bytes().iter().rev().take(4).fold(0, |place, byte| (place << 8) | usize::from(*byte));
        self.0[place % COUNT_TURNS].clone().lock_owned().await
    }
}
