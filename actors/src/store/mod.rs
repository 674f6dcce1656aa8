//! Reads, and the few writes that are not messages, through a pool of connections.
//!
//! Everything here is bounded in time: waiting for a connection, making one, and the query itself.

mod asked;
mod conversations;
mod history;
mod kept_sessions;
mod reading;
mod users;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts};
use thiserror::Error;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_postgres::{Config, NoTls, Row, error::Severity, types::ToSql};

pub use conversations::{Conversation, LastMessage, OpenConversationError};
pub(crate) use history::Deletion;
pub use history::{History, Page, Start};
pub(crate) use kept_sessions::Aside;
pub(crate) use reading::Reading;

use asked::Asked;

use crate::{
    connect::{ConnectError, writable},
    limits::{
        CONNECT_TIMEOUT, LOCK_TIMEOUT, PATIENCE_AT_STOP, POOL_CONNECTIONS, POOL_WAIT, READ_TIMEOUT, READS_OF_USER,
        STATEMENT_TIMEOUT,
    },
    link::takes_no_writes,
    refusal::Refusal,
    turns::Turns,
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
        let explained = crate::link::explain(&error);
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

/// The pool.
#[derive(Clone, Debug)]
pub struct Store {
    /// Whose connections these are.
    database: Config,
    pool: Pool,
    asked: Arc<Asked>,
    readers: Arc<Turns>,
    /// For those who wait for their turn or a connection.
    gives_up: Arc<Notify>,
    is_stopping: Arc<AtomicBool>,
}

impl Store {
    /// For a database whose schema is up to date. Connections are made when they are needed.
    pub fn new(database: &Config) -> Self {
        let mut database = writable(database);
        database.application_name("horsetrust-chat reads");
        // Else Postgres plans a page of a long conversation anew each time, which takes it twice as long as to fetch it. And
        // what is answered is committed, whatever the default of the database or the role is.
        let options = database.get_options().unwrap_or_default();
        // Postgres gives up before this server does: what is refused here is not carried out later.
        let (statement, lock) = (STATEMENT_TIMEOUT.as_millis(), LOCK_TIMEOUT.as_millis());
        let options = format!(
            "{options} -c plan_cache_mode=force_generic_plan -c synchronous_commit=on \
             -c statement_timeout={statement} -c lock_timeout={lock}"
        );
        database.options(options.trim_start());
        let manager =
            Manager::from_config(database.clone(), NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let pool = Pool::builder(manager)
            .max_size(POOL_CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(POOL_WAIT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .recycle_timeout(Some(CONNECT_TIMEOUT))
            .build()
            .expect("a runtime is given, which is all that can be missing");
        let readers = Arc::new(Turns::new(READS_OF_USER));
        Self { database, pool, asked: Arc::default(), readers, gives_up: Arc::default(), is_stopping: Arc::default() }
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
        self.is_stopping.store(true, Ordering::SeqCst);
        self.pool.retain(|_, _| false);
        self.gives_up.notify_waiters();
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
        let client = timeout_at(until, self.client(POOL_WAIT)).await.unwrap_or_else(|_| Err(StoreError::late()))?;
        let answer = timeout_at(until, client.simple_query("SELECT 1")).await;
        in_time(answer.ok(), client).map(drop)
    }

    /// The rows of a statement.
    async fn query(&self, statement: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
        self.query_within(POOL_WAIT, statement, parameters, read_time()).await
    }

    /// The same where a connection is waited for so long, and an answer until `until` is over, which begins with the statement.
    async fn query_within(
        &self,
        wait: Duration,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
        until: impl Future<Output = ()>,
    ) -> Result<Vec<Row>, StoreError> {
        let _asking = self.asked.begin();
        let client = self.client(wait).await?;
        let answer = async {
            let prepared = client.prepare_cached(statement).await?;
            client.query(&prepared, parameters).await
        };
        let answer = tokio::select! {
            answer = answer => Some(answer),
            () = until => None,
        };
        in_time(answer, client)
    }

    /// For what is asked again where it is not answered: soon, when a stop begins, which waits for it.
    async fn patience(&self) {
        let stop = async {
            self.gives_up.notified().await;
            sleep(PATIENCE_AT_STOP).await;
        };
        let _ = timeout(READ_TIMEOUT, stop).await;
    }

    async fn client(&self, wait: Duration) -> Result<Object, StoreError> {
        let timeouts = Timeouts { wait: Some(wait), ..self.pool.timeouts() };
        let client = self.unless_stopped(self.pool.timeout_get(&timeouts)).await?;
        client.map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    /// What is waited for, unless a stop refuses it meanwhile.
    async fn unless_stopped<T>(&self, waiting: impl Future<Output = T>) -> Result<T, StoreError> {
        tokio::select! {
            come = waiting => Ok(come),
            () = self.gives_up.notified() => Err(StoreError::Unavailable("the server stops".to_owned())),
        }
    }
}

/// How long a read may take. The time begins when it is awaited, not when this is called.
async fn read_time() {
    sleep(READ_TIMEOUT).await;
}

/// What a connection has answered. One that has not is closed: in the pool, the next caller would wait for it. So is one whose
/// Postgres takes no writes any more: the next one is made to where it does.
fn in_time<T>(answer: Option<Result<T, tokio_postgres::Error>>, client: Object) -> Result<T, StoreError> {
    let is_of_use = match &answer {
        Some(answer) => !answer.as_ref().is_err_and(takes_no_writes),
        None => false,
    };
    if !is_of_use {
        drop(Object::take(client));
    }
    Ok(answer.ok_or_else(StoreError::late)??)
}
