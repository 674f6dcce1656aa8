//! Why a statement of a lane has failed, and what that says of the rows.

use std::future::Future;

use tokio::time::timeout;
use tokio_postgres::{
    Error, Row,
    error::{DbError, Severity, SqlState},
};

use crate::limits::COMMIT_TIMEOUT;

/// Why a statement has no result.
pub(super) enum Failure {
    /// Postgres refused it: nothing of it is stored.
    Refused(Box<DbError>),
    /// So it has, as it would anything over this connection.
    TakesNoWrites(String),
    /// Anything else: it may or may not be.
    Unknown(String),
}

impl Failure {
    pub(super) fn into_message(self) -> String {
        match self {
            Self::Refused(error) => describe(&error),
            Self::TakesNoWrites(message) | Self::Unknown(message) => message,
        }
    }
}

/// A statement's rows, unless it takes longer than [`COMMIT_TIMEOUT`].
pub(super) async fn bounded(query: impl Future<Output = Result<Vec<Row>, Error>>) -> Result<Vec<Row>, Failure> {
    match timeout(COMMIT_TIMEOUT, query).await {
        Ok(Ok(rows)) => Ok(rows),
        Ok(Err(error)) => Err(match error.as_db_error() {
            Some(_) if takes_no_writes(&error) => Failure::TakesNoWrites(explain(&error)),
            // Anything more severe ends the connection, perhaps after the commit.
            Some(refused) if refused.parsed_severity() == Some(Severity::Error) => {
                Failure::Refused(Box::new(refused.clone()))
            }
            _ => Failure::Unknown(explain(&error)),
        }),
        Err(_) => Err(Failure::Unknown("no answer in time".to_owned())),
    }
}

/// Whether somebody else stored a message of the same sender and client_msg_id at the same moment.
pub(super) fn is_repeat(error: &DbError) -> bool {
    *error.code() == SqlState::UNIQUE_VIOLATION && error.constraint() == Some("messages_client_msg_id")
}

/// Whether a statement has waited for a row that changed meanwhile: it sees the new row, and the messages of before.
pub(super) fn is_stale(error: &DbError) -> bool {
    *error.code() == SqlState::CHECK_VIOLATION && error.table() == Some("conversations")
}

/// Whether the same batch may succeed later: no resources, a deadlock, a cancelled statement.
pub(super) fn is_passing(error: &DbError) -> bool {
    matches!(&error.code().code()[..2], "40" | "53" | "55" | "57" | "58")
}

/// Whether the connection leads to where nothing can be written now: it is of no more use.
pub(crate) fn takes_no_writes(error: &Error) -> bool {
    error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
}

/// A refusal without its details: those may show a row, and so the text of a message, which does not belong into a log.
pub(super) fn describe(error: &DbError) -> String {
    format!("{} {}: {}", error.severity(), error.code().code(), error.message())
}

/// An error with its causes; what Postgres has refused, as it says it.
pub(crate) fn explain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes: Vec<_> = std::iter::successors(Some(error), |error| error.source()).collect();
    match causes.iter().find_map(|cause| cause.downcast_ref::<DbError>()) {
        Some(refused) => describe(refused),
        None => causes.iter().map(ToString::to_string).collect::<Vec<_>>().join(": "),
    }
}
