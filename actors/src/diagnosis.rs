//! What can be told of a database without changing anything in it.

use std::time::Duration;

use thiserror::Error;
use tokio::time::{Instant, timeout};
use tokio_postgres::{Client, Config};

use crate::{
    connect::{ConnectError, connect, connect_anywhere},
    feed,
    limits::{POOL_CONNECTIONS, READ_TIMEOUT},
    link::explain,
    migrations,
    persistence::lanes,
    sql,
    timestamp::Timestamp,
};

/// The connections of a server besides those of its pool and its lanes: who listens, one to end another by, and one to keep
/// sessions by.
const OTHER_CONNECTIONS: usize = 3;

/// The quickest of so many round trips counts: a busy machine makes any one of them slow.
const ROUND_TRIPS: usize = 5;

/// A database as it was found.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// As Postgres says it, such as `15.18`.
    pub version: String,
    /// How long a round trip took.
    pub round_trip: Duration,
    /// Migrations that are still to be run.
    pub pending: Vec<String>,
    /// Versions of migrations that this program does not know: a later one has run them.
    pub unknown: Vec<i64>,
    /// How Postgres is set so that it may lose what was committed; empty if all is well.
    pub risks: Vec<&'static str>,
    /// Servers that are connected to it.
    pub servers: usize,
    /// Connections that are open.
    pub connections: usize,
    /// Connections that there may be, without those kept for superusers.
    pub max_connections: usize,
    /// By how many milliseconds the clock of Postgres is ahead of this machine's.
    pub clock_ahead_ms: i64,
    /// Tables that stand where the first migration would make its own.
    pub foreign: Vec<String>,
    /// It is a standby, which takes no writes.
    pub is_standby: bool,
    /// How texts are kept: `UTF8`, or not all of them can be.
    pub encoding: String,
    /// The role, or the database, is set so that nothing can be written.
    pub is_read_only: bool,
    /// Who is connected.
    pub role: String,
    /// Whether that role may make tables, as migrations do.
    pub may_create: bool,
}

/// Why nothing can be told.
#[derive(Debug, Error)]
pub enum DiagnosisError {
    /// No connection, or none in time.
    #[error("cannot connect: {0}")]
    Connect(#[from] ConnectError),
    /// The connection broke, or a statement was refused.
    #[error("{0}")]
    Postgres(String),
}

impl From<tokio_postgres::Error> for DiagnosisError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(explain(&error))
    }
}

/// How many connections to Postgres a server with so many workers has at the most.
pub fn connections_needed(workers: usize) -> usize {
    POOL_CONNECTIONS + workers * lanes(workers) + OTHER_CONNECTIONS
}

/// Looks at a database.
///
/// # Errors
/// See [`DiagnosisError`].
pub async fn diagnose(database: &Config) -> Result<Diagnosis, DiagnosisError> {
    const NAME: &str = "horsetrust-chat doctor";
    // As a server would. Where that cannot be had, the reason may be found all the same.
    let (client, connection) = match connect(database, NAME).await {
        Ok(connected) => connected,
        Err(_) => connect_anywhere(database, NAME).await?,
    };
    // Ends with the client.
    tokio::spawn(connection);
    let late = |_| DiagnosisError::Postgres("no answer in time".to_owned());
    timeout(READ_TIMEOUT, look(&client)).await.map_err(late)?
}

async fn look(client: &Client) -> Result<Diagnosis, DiagnosisError> {
    let prepared = client.prepare(sql::LOOK).await?;
    let (mut row, mut before) = (client.query_one(&prepared, &[]).await?, Timestamp::now());
    let mut round_trip = Duration::MAX;
    for _ in 0..ROUND_TRIPS {
        let (asked_at, now) = (Instant::now(), Timestamp::now());
        let answer = client.query_one(&prepared, &[]).await?;
        if asked_at.elapsed() < round_trip {
            (row, before, round_trip) = (answer, now, asked_at.elapsed());
        }
    }
    let run: Vec<i64> = if row.get(5) {
        client.query(sql::LIST_MIGRATIONS, &[]).await?.iter().map(|row| row.get(0)).collect()
    } else {
        Vec::new()
    };
    let known = migrations::known();
    let count = |column| usize::try_from(row.get::<_, i64>(column)).unwrap_or_default();
    Ok(Diagnosis {
        version: row.get(0),
        round_trip,
        pending: known.iter().filter(|(version, _)| !run.contains(version)).map(|(_, name)| name.clone()).collect(),
        unknown: run.into_iter().filter(|version| known.iter().all(|(known, _)| known != version)).collect(),
        risks: feed::risks(client).await?,
        servers: feed::other_servers(client, "").await.unwrap_or_default(),
        // Without this one.
        connections: count(1).saturating_sub(1),
        max_connections: count(2),
        clock_ahead_ms: row.get::<_, Timestamp>(3).milliseconds_since(before) - round_trip.as_millis() as i64 / 2,
        is_standby: row.get(4),
        encoding: row.get(9),
        // So is a standby.
        is_read_only: row.get::<_, bool>(10) && !row.get::<_, bool>(4),
        role: row.get(8),
        may_create: row.get(7),
        foreign: if row.get(5) { Vec::new() } else { row.get(6) },
    })
}
