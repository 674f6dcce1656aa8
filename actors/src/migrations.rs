//! The schema: migrations embedded in the binary, run when a server starts and by `migrate`.

use refinery::error::Kind;
use thiserror::Error;
use tokio::time::timeout;
use tokio_postgres::Config;

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

/// Brings the schema up to date; safe when several do so at once. Returns the names of the migrations that were run.
///
/// # Errors
/// See [`MigrateError`].
pub async fn migrate(database: &Config) -> Result<Vec<String>, MigrateError> {
    let (mut client, connection) = connect(database, "horsetrust-chat migrate").await?;
    let driver = tokio::spawn(connection);
    // The first of all that a server asks: where it is not answered, nothing will be.
    let encoding = timeout(READ_TIMEOUT, client.query_one("SELECT current_setting('server_encoding')", &[])).await;
    let encoding = encoding.map_err(|_| MigrateError::Migrate("no answer in time".to_owned()))?;
    let encoding: String = encoding.map_err(|error| MigrateError::Migrate(explain(&error)))?.get(0);
    if encoding != "UTF8" {
        return Err(MigrateError::Encoding(encoding));
    }
    let lock = client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await;
    lock.map_err(|error| MigrateError::Migrate(explain(&error)))?;
    let report = embedded::migrations::runner().run_async(&mut client).await;
    // The lock goes with the connection.
    drop(client);
    let _ = driver.await;
    let report = report.map_err(|error| match error.kind() {
        Kind::MissingVersion(later) => MigrateError::Later(later.version().into()),
        _ => MigrateError::Migrate(explain(&error)),
    })?;
    Ok(report.applied_migrations().iter().map(ToString::to_string).collect())
}
