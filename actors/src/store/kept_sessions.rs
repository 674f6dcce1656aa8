//! Sessions that are kept over a restart.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, Row, types::ToSql};

use crate::{
    connect::connect_for_commits,
    ids::{MessageId, UserId},
    limits::KEEPING_WAIT,
    message::{MessageDeleted, StoredMessage},
    recovery::{KeptRow, SentMessage},
    sql,
};

use super::{Store, StoreError, users::profile};

/// Rows in one statement.
const ROWS: usize = 1000;
/// Between two looks whether another server still keeps sessions.
const KEEPING_PAUSE: Duration = Duration::from_millis(100);

impl Store {
    /// A connection of its own for the end of a stop: those of the pool may have more to read than there is time, or be lost
    /// without a word.
    pub(crate) async fn aside(&self) -> Aside {
        // Postgres may have none left.
        let client = connect_for_commits(&self.database, "horsetrust-chat sessions").await;
        let client =
            client.inspect_err(|error| tracing::warn!(%error, "sessions are kept over the connections for reads"));
        Aside { client: client.ok(), store: self.clone() }
    }

    /// The sessions that still wait for a server, with those that one is keeping at this moment.
    pub(crate) async fn find_kept_sessions(&self) -> Result<Vec<KeptRow>, StoreError> {
        self.let_others_keep().await?;
        let rows = self.query(sql::FIND_KEPT_SESSIONS, &[]).await?;
        let kept = rows.iter().filter_map(|row| {
            let left = u64::try_from(row.get::<_, i64>(1)).ok().map(Duration::from_millis)?;
            let pid = row.get::<_, &[u8]>(0).try_into().ok()?;
            Some(KeptRow { pid, left, state: row.get(2) })
        });
        Ok(kept.collect())
    }

    /// Returns when no server is in the middle of keeping sessions.
    async fn let_others_keep(&self) -> Result<(), StoreError> {
        let until = Instant::now() + KEEPING_WAIT;
        let mut has_waited = false;
        loop {
            match self.query(sql::AWAIT_KEEPING, &[]).await {
                Err(StoreError::Unavailable(why)) if Instant::now() < until => {
                    if !has_waited {
                        tracing::info!(why, "waiting for the sessions of the server before");
                    }
                    has_waited = true;
                    sleep(KEEPING_PAUSE).await;
                }
                answer => return answer.map(drop),
            }
        }
    }

    /// Nobody else gets them, and no server of before keeps any from now on. Returns the generation of the one that opens.
    pub(crate) async fn forget_kept_sessions(&self) -> Result<i64, StoreError> {
        let rows = self.query(sql::OPEN_SERVER, &[]).await?;
        let generation = rows.first().map(|row| row.get(0));
        // A statement by itself: it sees what was kept until the generation was another.
        self.query(sql::FORGET_KEPT_SESSIONS, &[]).await?;
        generation.ok_or_else(|| StoreError::Refused("server_openings is empty".to_owned()))
    }

    /// The messages with these ids, as they are now.
    pub(crate) async fn find_sent(&self, ids: &[MessageId]) -> Result<Vec<SentMessage>, StoreError> {
        let mut found = Vec::new();
        for ids in ids.chunks(ROWS) {
            let rows = self.query(sql::FIND_SENT, &[&ids]).await?;
            found.extend(rows.iter().filter_map(|row| {
                let message = StoredMessage::from_row(row, 4)?;
                Some(SentMessage { conversation: row.get(0), sender: profile(row, 1), message })
            }));
        }
        Ok(found)
    }
}

/// What a stop asks of Postgres.
pub(crate) struct Aside {
    client: Option<Client>,
    store: Store,
}

impl Aside {
    /// Stores sessions for the next server, unless another one than that of this generation has opened since; returns how
    /// many.
    pub(crate) async fn keep_sessions(&self, rows: &[KeptRow], generation: i64) -> Result<usize, StoreError> {
        let mut kept = 0;
        for rows in rows.chunks(ROWS) {
            let pids: Vec<_> = rows.iter().map(|row| row.pid.as_slice()).collect();
            let left: Vec<_> = rows.iter().map(|row| i64::try_from(row.left.as_millis()).unwrap_or(i64::MAX)).collect();
            let states: Vec<_> = rows.iter().map(|row| row.state.as_str()).collect();
            kept += self.query(sql::KEEP_SESSIONS, &[&pids, &left, &states, &generation]).await?.len();
        }
        Ok(kept)
    }

    /// Those of these messages that are deleted, with their senders and whom they were for; waits for deletions that are under
    /// way.
    pub(crate) async fn find_deleted(
        &self,
        messages: &[MessageId],
    ) -> Result<Vec<(UserId, UserId, MessageDeleted)>, StoreError> {
        let rows = self.query(sql::FIND_DELETED, &[&messages]).await?;
        let found = |row: &Row| {
            let deleted = MessageDeleted { conversation_id: row.get(2), id: row.get(3), seq: row.get(4) };
            (row.get(0), row.get(1), deleted)
        };
        Ok(rows.iter().filter(|row| row.get(5)).map(found).collect())
    }

    async fn query(&self, statement: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
        match &self.client {
            Some(client) => Ok(client.query(statement, parameters).await?),
            None => self.store.query(statement, parameters).await,
        }
    }
}
