//! A connection to Postgres of one's own, beside the pool's and the lanes'.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, Config, Connection, Error, NoTls, Socket, config::TargetSessionAttrs, tls::NoTlsStream};

use crate::{
    limits::{CONNECT_TIMEOUT, LOCK_TIMEOUT, REACH_TIMEOUT, STATEMENT_TIMEOUT},
    link::explain,
};

/// How often the system asks whether a silent other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// How long the system waits for the other side to say that it is, asked or sent something.
const SILENCE: Duration = Duration::from_secs(40);

/// Why there is none: what Postgres or the system said, or that nothing did in time.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConnectError(String);

/// The same database where it takes writes. A standby, to which a name, a balancer or one of several hosts may lead, would be
/// behind; and a connection to it would stay there when the others have found the primary again.
pub(crate) fn writable(database: &Config) -> Config {
    let mut database = database.clone();
    database.target_session_attrs(TargetSessionAttrs::ReadWrite);
    attentive(&mut database);
    database
}

/// To be run first on a connection over which something is stored that is acknowledged: it is committed then, whatever the
/// default of the database or the role is. And Postgres gives up before this server does: what is refused here is not carried
/// out later, and leaves nobody at a lock.
///
/// As statements, since a pooler may refuse settings in the handshake, or leave them out without a word.
pub(crate) async fn prepare_commits(client: &Client) -> Result<(), Error> {
    let (statement, lock) = (STATEMENT_TIMEOUT.as_millis(), LOCK_TIMEOUT.as_millis());
    // Whoever wants commits to be seen on a standby, too, has it so.
    let commit = "SELECT set_config('synchronous_commit', 'on', false) \
        WHERE current_setting('synchronous_commit') <> 'remote_apply'";
    let times = format!("SET statement_timeout = {statement}; SET lock_timeout = {lock}");
    client.batch_execute(&format!("{commit}; {times}")).await
}

/// A connection is waited for without end by some, and lies idle in the pool: a machine that is gone is noticed all the same.
fn attentive(database: &mut Config) {
    database.connect_timeout(REACH_TIMEOUT);
    database.keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE).keepalives_retries(3);
    database.tcp_user_timeout(SILENCE);
}

/// How long connecting may take: each host that is gone takes its time before the next one is tried.
pub(crate) fn connect_time(database: &Config) -> Duration {
    let others = database.get_hosts().len().max(database.get_hostaddrs().len()).saturating_sub(1);
    CONNECT_TIMEOUT + REACH_TIMEOUT * u32::try_from(others).unwrap_or(u32::MAX)
}

/// Connects within [`CONNECT_TIMEOUT`], and a while for each further host, to where the database takes writes, by the name that
/// Postgres shows. What is returned second has to be run.
///
/// # Errors
/// Refused, unreachable, or no answer in time.
pub async fn connect(database: &Config, name: &str) -> Result<(Client, Connection<Socket, NoTlsStream>), ConnectError> {
    connect_anywhere(&writable(database), name).await
}

/// The same for commits, where something runs it.
pub(crate) async fn connect_for_commits(database: &Config, name: &str) -> Result<Client, ConnectError> {
    let (client, connection) = connect(database, name).await?;
    // Ends with the client.
    tokio::spawn(connection);
    in_time(REACH_TIMEOUT, prepare_commits(&client)).await?;
    Ok(client)
}

/// As [`connect`], to where it takes writes or does not.
pub(crate) async fn connect_anywhere(
    database: &Config,
    name: &str,
) -> Result<(Client, Connection<Socket, NoTlsStream>), ConnectError> {
    let mut database = database.clone();
    database.application_name(name);
    attentive(&mut database);
    // The driver's own limit ends with TCP's handshake.
    in_time(connect_time(&database), database.connect(NoTls)).await
}

async fn in_time<T>(limit: Duration, answer: impl Future<Output = Result<T, Error>>) -> Result<T, ConnectError> {
    match timeout(limit, answer).await {
        Ok(answer) => answer.map_err(|error| ConnectError(explain(&error))),
        Err(_) => Err(ConnectError("no answer in time".to_owned())),
    }
}
