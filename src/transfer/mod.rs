//! Between the service before, on MongoDB, and this one: `import` takes what `mongoexport` has written, `export` writes the
//! same.
//!
//! | file | |
//! | --- | --- |
//! | `cut.rs` | a file into its JSON documents |
//! | `fields.rs` | documents into their fields, or why not |
//! | `documents.rs` | fields into rows |
//! | `staging.rs` | rows into temporary tables, by COPY |
//! | `import.rs` | from there to where they belong |
//! | `refusals.rs` | the report of what was not taken |
//! | `export.rs` | the database into documents |
//! | `progress.rs` | how far it is |
//! | `statements.rs` | the statements, from `sql/transfer` |

mod cut;
mod documents;
mod export;
mod fields;
mod import;
mod progress;
mod refusals;
mod staging;
mod statements;

use std::{error::Error as _, io, path::PathBuf};

use thiserror::Error;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config};

pub use export::{Exported, export};
pub use import::{Imported, import};

/// Why nothing more was transferred.
#[derive(Debug, Error)]
pub enum TransferError {
    /// A file of ours or of theirs.
    #[error("cannot {0} {1}: {2}")]
    File(&'static str, PathBuf, io::Error),
    /// There is nothing to import.
    #[error(
        "there is no users.json, conversations.json or messages.json in {0}; `mongoexport --collection=users \
         --out={0}/users.json` makes the first of them"
    )]
    NothingThere(String),
    /// A web page, say, or another file by the name of ours.
    #[error("nothing in {0} is a JSON document with an _id; is that what mongoexport wrote? Nothing was imported")]
    NoDocuments(PathBuf),
    /// Something would be lost.
    #[error("{0} is there already; export to another directory, or remove it")]
    WouldOverwrite(PathBuf),
    /// Another import is under way.
    #[error("another import into this database is under way")]
    Busy,
    /// Another export is under way.
    #[error("another export is writing to {}", .0.display())]
    BusyThere(PathBuf),
    /// The database.
    #[error("Postgres: {0}")]
    Postgres(String),
    /// No connection to it.
    #[error("cannot connect to Postgres: {0}")]
    Connect(#[from] actors::ConnectError),
}

impl From<tokio_postgres::Error> for TransferError {
    fn from(error: tokio_postgres::Error) -> Self {
        let refused = error.as_db_error().map(ToString::to_string);
        let cause = || error.source().map_or_else(String::new, |cause| format!(": {cause}"));
        let lost = || format!("{error}{}; what was stored stays, and the same call goes on from there", cause());
        Self::Postgres(refused.unwrap_or_else(lost))
    }
}

/// So many of something: `1 message`, `2 messages`.
fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A connection by this name, on which what is stored is committed, whatever the default of the database is.
async fn connect(database: &Config, name: &str) -> Result<(Client, JoinHandle<()>), TransferError> {
    let (client, connection) = actors::connect(database, name).await?;
    let driver = tokio::spawn(async move {
        // Whoever uses the client hears of it.
        let _ = connection.await;
    });
    client.batch_execute("SET synchronous_commit = on").await?;
    Ok((client, driver))
}
