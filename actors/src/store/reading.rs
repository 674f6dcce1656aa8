//! Reads on behalf of a user.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};
use tokio_postgres::{Row, types::ToSql};

use crate::{
    ids::UserId,
    limits::{PATIENCE_AT_STOP, POOL_WAIT},
    turns::Turn,
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
        // In this order: one that begins meanwhile is heard.
        let stop = self.stop.begins();
        if self.stop.has_begun() {
            return Err(StoreError::stopping());
        }
        let turn = tokio::select! {
            () = stop => return Err(StoreError::stopping()),
            turn = timeout(POOL_WAIT, self.readers.of(reader)) => turn,
        };
        let turn = turn.map_err(|_| StoreError::Unavailable("the user's other reads take too long".to_owned()))?;
        Ok(Reading { reader, wait: POOL_WAIT.saturating_sub(began.elapsed()), _asking: asking, turn: Arc::new(turn) })
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
