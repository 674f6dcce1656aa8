//! Reads on behalf of a user.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::time::{Instant, timeout};
use tokio_postgres::{Row, types::ToSql};

use crate::{ids::UserId, limits::POOL_WAIT, turns::Turn};

use super::{Store, StoreError, asked::Asking, read_time};

/// A turn of a user's to read, of [`READS_OF_USER`](crate::limits::READS_OF_USER) at the same time, until it is dropped.
pub(crate) struct Reading {
    reader: UserId,
    /// What is left of [`POOL_WAIT`] for a connection.
    wait: Duration,
    _asking: Option<Asking>,
    _turn: Turn,
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
        if self.is_stopping.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("the server stops".to_owned()));
        }
        let turn = self.unless_stopped(timeout(POOL_WAIT, self.readers.of(reader))).await?;
        let turn = turn.map_err(|_| StoreError::Unavailable("the user's other reads take too long".to_owned()))?;
        Ok(Reading { reader, wait: POOL_WAIT.saturating_sub(began.elapsed()), _asking: asking, _turn: turn })
    }

    /// The rows of a statement.
    pub(super) async fn read(
        &self,
        reading: &Reading,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        self.query_within(reading.wait, statement, parameters, read_time()).await
    }
}
