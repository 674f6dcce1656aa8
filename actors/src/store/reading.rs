//! Reads on behalf of a user.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};
use tokio_postgres::{Row, types::ToSql};

use crate::{
    ids::UserId,
    limits::{PATIENCE_AT_STOP, POOL_WAIT},
    turns::{Turn, Turns},
};

use super::{Store, StoreError, Terms, asked::Asking};

/// A turn of a user's to read, of [`READS_OF_USER`](crate::limits::READS_OF_USER) at the same time, until it is dropped.
pub(crate) struct Reading {
    reader: UserId,
    /// What is left of [`POOL_WAIT`] for a connection.
    wait: Duration,
    _asking: Option<Asking>,
    turn: Arc<Turn>,
}

impl Reading {
    pub(super) fn reader(&self) -> UserId {
        self.reader
    }
}

impl Store {
    /// Waits for the user's turn to read.
    pub(crate) async fn begin_reading(&self, reader: UserId) -> Result<Reading, StoreError> {
        let (asking, began) = (self.asked.begin(), Instant::now());
        let turn = self.turn_of(reader, &self.readers).await?;
        Ok(Reading { reader, wait: POOL_WAIT.saturating_sub(began.elapsed()), _asking: asking, turn: Arc::new(turn) })
    }

    /// Waits for the user's turn to delete: one after the other, so that whoever repeats a deletion knows what became of it.
    pub(crate) async fn begin_deleting(&self, user: UserId) -> Result<Turn, StoreError> {
        self.turn_of(user, &self.deleters).await
    }

    /// Not once a stop has begun.
    async fn turn_of(&self, user: UserId, turns: &Turns) -> Result<Turn, StoreError> {
        // In this order: one that begins meanwhile is heard.
        let stop = self.stop.begins();
        if self.stop.has_begun() {
            return Err(StoreError::stopping());
        }
        let turn = tokio::select! {
            () = stop => return Err(StoreError::stopping()),
            turn = timeout(POOL_WAIT, turns.of(user)) => turn,
        };
        turn.map_err(|_| StoreError::Unavailable("what else the user asks for takes too long".to_owned()))
    }

    /// The rows of a statement.
    pub(super) async fn read(
        &self,
        reading: &Reading,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let terms = Terms { turn: Some(reading.turn.clone()), wait: reading.wait, at_stop: PATIENCE_AT_STOP };
        self.ask(terms, statement, parameters).await
    }
}
