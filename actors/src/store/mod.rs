//! Reads, and the few writes that are not messages, through a pool of connections.
//!
//! Everything here is bounded in time: waiting for a connection, making one, and the query itself.

mod asked;
mod busy;
mod conversations;
mod history;
mod kept_sessions;
mod reading;
mod stop;
mod users;

use std::{sync::Arc, time::Duration};

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, Timeouts,
};
use futures::future::try_join;
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_postgres::{Config, NoTls, Row, error::Severity, types::ToSql};

pub use conversations::{Conversation, LastMessage, OpenConversationError};
pub(crate) use history::Deletion;
pub use history::{History, Page, Start};
pub(crate) use kept_sessions::Aside;
pub(crate) use reading::Reading;

use asked::Asked;
use busy::Busy;
use stop::Stop;

use crate::{
    connect::{ConnectError, connect_time, prepare_commits, writable},
    limits::{CONNECT_TIMEOUT, PATIENCE_AT_STOP, POOL_CONNECTIONS, POOL_WAIT, READ_TIMEOUT, READS_OF_USER},
    link::{explain, takes_no_writes},
    refusal::Refusal,
    turns::{Turn, Turns},
};

/// Why the database did not answer.
#[derive(Debug, Error)]
pub enum StoreError {
    /// No connection, or Postgres would not at this moment. Nothing is changed, and the same may succeed later.
    #[error("Postgres is not available: {0}")]
    Unavailable(String),
    /// The connection has broken, or there was no answer in time: what was asked may have been done all the same.
    #[error("Postgres did not answer: {0}")]
    Unanswered(String),
    /// A fault of the server or its schema.
    #[error("Postgres refused a statement: {0}")]
    Refused(String),
}

impl StoreError {
    fn stopping() -> Self {
        Self::Unavailable("the server stops".to_owned())
    }

    pub(crate) fn late() -> Self {
        Self::Unanswered("no answer in time".to_owned())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Unanswered(_) => Self::unavailable(),
            StoreError::Refused(_) => Self::new(crate::refusal::Code::Internal, "Server error"),
        }
    }
}

impl From<ConnectError> for StoreError {
    fn from(error: ConnectError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let explained = explain(&error);
        match error.as_db_error() {
            // Anything more severe ends the connection, perhaps after the commit.
            Some(refused) if refused.parsed_severity() == Some(Severity::Error) => {
                // Out of resources, out of time, a row that somebody else has: not the statement's fault.
                let is_passing =
                    matches!(&refused.code().code()[..2], "57" | "53" | "08" | "55" | "40") || takes_no_writes(&error);
                if is_passing { Self::Unavailable(explained) } else { Self::Refused(explained) }
            }
            _ => Self::Unanswered(explained),
        }
    }
}

/// The pool's connections, and who wants one.
#[derive(Clone, Copy, Debug)]
pub struct PoolUse {
    /// Connections that nobody uses.
    pub idle: usize,
    /// Connections that somebody uses.
    pub used: usize,
    /// How many there may be.
    pub limit: usize,
    /// Reads that wait for one.
    pub waiting: usize,
}

/// What a statement may wait for.
struct Terms {
    /// Of the user who asks, until Postgres is done with it.
    turn: Option<Arc<Turn>>,
    /// How long for a connection.
    wait: Duration,
    /// How long for the answer when a stop begins, [`READ_TIMEOUT`] at most.
    at_stop: Duration,
}

impl Terms {
    fn new() -> Self {
        Self { turn: None, wait: POOL_WAIT, at_stop: READ_TIMEOUT }
    }
}

/// What a new connection of the pool begins with.
async fn set_up(client: &ClientWrapper) -> Result<(), HookError> {
    // Else a page of a long conversation is planned anew each time, which takes twice as long as to fetch it.
    let plans = client.batch_execute("SET plan_cache_mode = force_generic_plan");
    match timeout(CONNECT_TIMEOUT, try_join(prepare_commits(client), plans)).await {
        Ok(set) => set.map(drop).map_err(HookError::Backend),
        Err(_) => Err(HookError::message("no answer in time")),
    }
}

/// The pool.
#[derive(Clone, Debug)]
pub struct Store {
    /// Whose connections these are.
    database: Config,
    pool: Pool,
    asked: Arc<Asked>,
    readers: Arc<Turns>,
    deleters: Arc<Turns>,
    stop: Arc<Stop>,
}

impl Store {
    /// For a database whose schema is up to date. Connections are made when they are needed.
    pub fn new(database: &Config) -> Self {
        let mut database = writable(database);
        database.application_name("horsetrust-chat reads");
        let manager =
            Manager::from_config(database.clone(), NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let pool = Pool::builder(manager)
            .max_size(POOL_CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(POOL_WAIT))
            .create_timeout(Some(connect_time(&database)))
            .recycle_timeout(Some(CONNECT_TIMEOUT))
            .post_create(Hook::async_fn(|client, _| Box::pin(set_up(client))))
            .build()
            .expect("a runtime is given, which is all that can be missing");
        let [readers, deleters] = [READS_OF_USER, 1].map(|at_once| Arc::new(Turns::new(at_once)));
        Self { database, pool, asked: Arc::default(), readers, deleters, stop: Arc::default() }
    }

    /// How much of the pool is in use.
    pub fn pool_use(&self) -> PoolUse {
        let status = self.pool.status();
        let used = status.size.saturating_sub(status.available);
        PoolUse { idle: status.available, used, limit: status.max_size, waiting: status.waiting }
    }

    /// Refuses those who wait for their turn or a connection at this moment: a stop has work of its own for the next ones.
    /// The connections that nobody uses are closed: they may be lost without a word, which nobody has the time to find out.
    pub(crate) fn refuse_waiting(&self) {
        self.pool.retain(|_, _| false);
        self.stop.begin();
    }

    /// Returns when all that has been asked up to now is answered, or has failed; what is asked from now on is not waited
    /// for. To be called once, by a stop.
    pub async fn settled(&self) {
        self.asked.settled().await;
    }

    /// Ends the connections; every read is refused from now on.
    pub fn close(&self) {
        self.pool.close();
    }

    /// A round trip to Postgres.
    ///
    /// # Errors
    /// Postgres does not answer within a second.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let until = Instant::now() + Duration::from_secs(1);
        let client =
            timeout_at(until, self.client(POOL_WAIT, None)).await.unwrap_or_else(|_| Err(StoreError::late()))?;
        let answer = timeout_at(until, client.simple_query("SELECT 1")).await;
        client.done(answer.ok()).map(drop)
    }

    /// The rows of a statement.
    async fn query(&self, statement: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
        self.ask(Terms::new(), statement, parameters).await
    }

    /// The same where a stop does not go on before: it leaves less time to the answer.
    async fn query_before_stop(
        &self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        self.ask(Terms { at_stop: PATIENCE_AT_STOP, ..Terms::new() }, statement, parameters).await
    }

    async fn ask(
        &self,
        terms: Terms,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let _asking = self.asked.begin();
        // One that begins from here on is heard. What is asked later serves the stop itself, and has its time.
        let stop = self.stop.begins();
        let client = self.client(terms.wait, terms.turn).await?;
        let answer = async {
            let prepared = client.prepare_cached(statement).await?;
            client.query(&prepared, parameters).await
        };
        let hurried = async {
            tokio::select! {
                answer = answer => Some(answer),
                () = async { stop.await; sleep(terms.at_stop).await } => None,
            }
        };
        let answer = timeout(READ_TIMEOUT, hurried).await;
        client.done(answer.ok().flatten())
    }

    async fn client(&self, wait: Duration, turn: Option<Arc<Turn>>) -> Result<Busy, StoreError> {
        let timeouts = Timeouts { wait: Some(wait), ..self.pool.timeouts() };
        tokio::select! {
            client = self.pool.timeout_get(&timeouts) => match client {
                Ok(client) => Ok(Busy::new(client, turn, self.stop.clone())),
                Err(PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error))) => {
                    Err(StoreError::Unavailable(explain(&error)))
                }
                Err(error) => Err(StoreError::Unavailable(error.to_string())),
            },
            // Those who ask later serve the stop.
            () = self.stop.begins() => Err(StoreError::stopping()),
        }
    }
}
