//! The schema: migrations embedded in the binary, run when a server starts and by `migrate`.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use refinery::{Migration, Report, error::Kind};
use thiserror::Error;
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, Config};

use crate::{
    connect::{ConnectError, connect},
    limits::READ_TIMEOUT,
    link::explain,
};

mod embedded {
    #![allow(missing_docs, unreachable_pub, reason = "generated")]
    refinery::embed_migrations!("../sql/migrations");
}

/// The advisory lock under which servers that start at once migrate one after the other.
const LOCK: i64 = 0x686f_7273_6574_7275;
/// Between two tries to get it.
const LOCK_PAUSE: Duration = Duration::from_millis(100);
/// How often it is said that migrations are still under way.
const WORD_PAUSE: Duration = Duration::from_secs(10);

/// Why the schema could not be brought up to date.
#[derive(Debug, Error)]
pub enum MigrateError {
    /// No connection.
    #[error("cannot connect to Postgres: {0}; is it running, and is DATABASE_URL right?")]
    Connect(#[from] ConnectError),
    /// A migration failed.
    #[error("cannot migrate the database: {0}")]
    Migrate(String),
    /// The database was made for some languages only.
    #[error(
        "the database keeps texts in {0}, which has no place for all of them: name one in DATABASE_URL that was made with \
         `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`"
    )]
    Encoding(String),
    /// The database has a migration that this version does not know.
    #[error(
        "a later version of this program has migrated the database, to V{0} at least: use that one, or restore the backup \
         that was made before"
    )]
    Later(i64),
}

/// The migrations of this program, by version, with their names.
pub(crate) fn known() -> Vec<(i64, String)> {
    let known = embedded::migrations::runner();
    known.get_migrations().iter().map(|one| (i64::from(one.version()), one.to_string())).collect()
}

/// Brings the schema up to date; safe when several do so at once. Returns the names of the migrations that were run. These
/// may take as long as they need to; all else that Postgres is asked for is answered within [`READ_TIMEOUT`] or fails.
///
/// # Errors
/// See [`MigrateError`].
pub async fn migrate(database: &Config) -> Result<Vec<String>, MigrateError> {
    let (mut client, connection) = connect(database, "horsetrust-chat migrate").await?;
    let driver = tokio::spawn(connection);
    let encoding: String = answered(client.query_one("SELECT current_setting('server_encoding')", &[])).await?.get(0);
    if encoding != "UTF8" {
        return Err(MigrateError::Encoding(encoding));
    }
    lock(&client).await?;
    // Where that fails, there may be no answer, and so no end of the connection to wait for.
    let report = run(&mut client).await?;
    // The lock goes with the connection.
    drop(client);
    let _ = driver.await;
    Ok(report.applied_migrations().iter().map(ToString::to_string).collect())
}

/// What Postgres says to one of the questions that it answers at once.
async fn answered<T>(answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, MigrateError> {
    in_time(answer).await?.map_err(|error| MigrateError::Migrate(explain(&error)))
}

async fn in_time<T>(answer: impl Future<Output = T>) -> Result<T, MigrateError> {
    timeout(READ_TIMEOUT, answer).await.map_err(|_| MigrateError::Migrate("no answer in time".to_owned()))
}

/// Waits while another one migrates, however long that takes.
async fn lock(client: &Client) -> Result<(), MigrateError> {
    let mut has_waited = false;
    loop {
        let locked = answered(client.query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK])).await?;
        if locked.get(0) {
            return Ok(());
        }
        if !has_waited {
            tracing::info!("another server, or `migrate`, is migrating the database: waiting for it");
        }
        has_waited = true;
        sleep(LOCK_PAUSE).await;
    }
}

impl From<refinery::Error> for MigrateError {
    fn from(error: refinery::Error) -> Self {
        match error.kind() {
            Kind::MissingVersion(later) => Self::Later(later.version().into()),
            _ => Self::Migrate(explain(&error)),
        }
    }
}

async fn run(client: &mut Client) -> Result<Report, MigrateError> {
    let runner = embedded::migrations::runner();
    let newest = runner.get_migrations().iter().map(Migration::version).max();
    // An error where nothing has been migrated yet: what it is worth is told by the run.
    let last = in_time(runner.get_last_applied_migration_async(client)).await?.ok().flatten();
    let is_up_to_date = last.is_some_and(|last| Some(last.version()) >= newest);
    let running = runner.run_async(client);
    if is_up_to_date {
        return Ok(in_time(running).await??);
    }
    let mut running = pin!(running);
    let began = Instant::now();
    loop {
        match timeout(WORD_PAUSE, &mut running).await {
            Ok(report) => return Ok(report?),
            Err(_) => tracing::info!(seconds = began.elapsed().as_secs(), "still migrating the database"),
        }
    }
}
