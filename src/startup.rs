//! Start and stop of the server, each step in its order.
//!
//! Start: what can be told before, address, private Postgres if none is configured, schema, keys, chat, sessions of the server before, demo data.
//! Stop, at the first SIGTERM or SIGINT, within `STOP_SECONDS`: refuse new connections and tell clients when to come back,
//! serve those who are there for `DRAIN_SECONDS`, refuse messages, commit and answer what was accepted, keep the sessions
//! that clients come back to, close the connections, stop the workers, stop the private Postgres. A second signal ends the
//! process at once.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use actors::{Chat, ChatConfig, MigrateError, store::StoreError};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind};
use tokio_postgres::{Config, config::Host};

use crate::{
    auth::{Auth, KeyError},
    cli,
    config::Settings,
    demo,
    http::{self, App, Listening, Origins, Page, PlaceSettings},
    postgres::{PostgresError, PrivatePostgres},
    rates::{self, Rates},
    socket_io::SocketIo,
    ways::{self, Ways},
};

mod keys;
mod stopping;

use stopping::{StopSignals, listen_for, stop, stop_at_once};

pub use keys::{signing_secret, warning};

/// Postgres gets at least this much of the time for the stop.
const POSTGRES_STOP: Duration = Duration::from_secs(5);

/// Why the server does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The private Postgres.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// The schema.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The secret's file.
    #[error("cannot keep the secret in {0}: {1}")]
    Secret(String, io::Error),
    /// The address.
    #[error("cannot listen on {0}: {1}; choose another with HOST and PORT")]
    Listen(SocketAddr, io::Error),
    /// The tokens' keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// A token is to be signed where tokens are only checked.
    #[error(
        "tokens are checked with the public keys of JWT_KEYS, so that none can be signed here; set JWT_SECRET, too"
    )]
    OnlyPublicKeys,
    /// Tokens of a production database must not depend on a file that somebody may lose.
    #[error(
        "DATABASE_URL is set, but neither JWT_SECRET nor JWT_KEYS is: set the secret that signs the marketplace's tokens, or \
         the files with its public keys"
    )]
    NoSecret,
    /// A token is to be signed, and no server would take it.
    #[error(
        "there is no secret to sign with: set JWT_SECRET as the server has it, or name the server's data directory with \
         DATA_DIR; there is none in {0}"
    )]
    NoSecretKept(String),
    /// A command is to go on with a database that is not there.
    #[error(
        "there is no database: set DATABASE_URL, or name a server's data directory with DATA_DIR; there is no private \
         Postgres in {0}, where `horsetrust-chat migrate` would make one"
    )]
    NoDatabase(String),
    /// Those that clients come back to; they stay in Postgres.
    #[error("cannot take up the sessions of the server before: {0}")]
    Sessions(StoreError),
    /// Signal handlers or the demo data.
    #[error("{0}")]
    Other(String),
}

/// A server that runs.
struct Running {
    app: App,
    listening: Listening,
    postgres: Option<PrivatePostgres>,
}

/// Runs until a signal stops it. Must be called in an actix system.
///
/// # Errors
/// It does not start.
pub async fn serve(settings: &Settings, with_demo: bool, ways: Ways) -> Result<(), StartError> {
    let mut signals = StopSignals::new()?;
    // From the first: it would end the process where nobody listens for it.
    let hangup = listen_for(SignalKind::hangup())?;
    let running = tokio::select! {
        running = start(settings, with_demo, ways, hangup) => running?,
        // Dropping what was started so far stops it.
        name = signals.next() => {
            tracing::info!(signal = name, "stopped while starting");
            return Ok(());
        }
    };
    let running = open_to_the_end(running, settings, &mut signals).await?;
    let name = tokio::select! {
        name = signals.next() => name,
        error = prepare_demo(&running, settings, with_demo) => {
            stop(running, Duration::ZERO, Duration::from_secs(settings.stop_seconds)).await;
            return Err(StartError::Other(error));
        }
    };
    tracing::info!(signal = name, limit_seconds = settings.stop_seconds, "stopping; a second signal stops at once");
    let drain = Duration::from_secs(settings.drain_seconds);
    tokio::select! {
        () = stop(running, drain, Duration::from_secs(settings.stop_seconds)) => tracing::info!("stopped"),
        name = signals.next() => stop_at_once(name),
    }
    Ok(())
}

/// The database that the settings mean, private or not, with its schema up to date.
///
/// # Errors
/// It is not there, or cannot be migrated.
pub async fn open_database(settings: &Settings) -> Result<(Config, Option<PrivatePostgres>), StartError> {
    let (database, postgres) = match &settings.database_url {
        Some(url) => (url.parse().map_err(|_| StartError::Other("DATABASE_URL cannot be read".to_owned()))?, None),
        None => {
            let postgres = PrivatePostgres::start(&settings.data_dir).await?;
            (postgres.config(), Some(postgres))
        }
    };
    for migration in actors::migrate(&database).await? {
        tracing::info!(migration, "migrated the database");
    }
    Ok((database, postgres))
}

/// The same for a command beside a server, which may be running on the private Postgres.
///
/// # Errors
/// It is not there, or cannot be migrated.
pub async fn open_database_beside(settings: &Settings) -> Result<(Config, Option<PrivatePostgres>), StartError> {
    match open_database(settings).await {
        Err(StartError::Postgres(PostgresError::InUse(_))) => {
            let database = PrivatePostgres::config_of_running(&settings.data_dir)?;
            actors::migrate(&database).await?;
            Ok((database, None))
        }
        opened => opened,
    }
}

/// The same for a command that needs what a server, or `migrate`, has made before.
///
/// # Errors
/// It is not there, or cannot be migrated.
pub async fn open_existing_database(settings: &Settings) -> Result<(Config, Option<PrivatePostgres>), StartError> {
    if settings.database_url.is_none() && !PrivatePostgres::place(&settings.data_dir).exists() {
        return Err(StartError::NoDatabase(settings.data_dir.display().to_string()));
    }
    open_database_beside(settings).await
}

/// What the settings mean, for people.
pub fn name_of_database(settings: &Settings) -> String {
    let named = settings.database_url.as_ref().and_then(|url| url.parse::<Config>().ok());
    let Some(database) = named else {
        return format!("the private Postgres in {}", PrivatePostgres::place(&settings.data_dir).display());
    };
    let host = match database.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        Some(Host::Unix(path)) => path.display().to_string(),
        None => "localhost".to_owned(),
    };
    let port = database.get_ports().first().copied().unwrap_or(5432);
    let user = database.get_user().unwrap_or_default();
    format!("{} on {host}:{port}", database.get_dbname().unwrap_or(user))
}

/// What can be told of the settings before anything is started: whether tokens can be checked, and whether the demo can sign
/// its own.
///
/// # Errors
/// Then the server does not start.
pub fn check(settings: &Settings, with_demo: bool) -> Result<(), StartError> {
    keys::check_named(settings)?;
    if with_demo {
        keys::check_signing(settings)?;
    }
    keys::public(settings).map(drop)
}

async fn start(settings: &Settings, with_demo: bool, ways: Ways, hangup: Signal) -> Result<Running, StartError> {
    check(settings, with_demo)?;
    demo::warnings(settings, with_demo).for_each(|warning| tracing::warn!("{warning}"));
    raise_open_files();
    ways::log::keep(&ways);
    let address = settings.address()?;
    // First, since it is what fails most.
    let listener = http::bind(address).map_err(|error| StartError::Listen(address, error))?;
    let (database, postgres) = open_database(settings).await?;
    match listen(settings, with_demo, listener, database, ways, hangup).await {
        Ok((app, listening)) => Ok(Running { app, listening, postgres }),
        Err(error) => Err(given_up(postgres, error).await),
    }
}

/// There will be no server.
async fn given_up(postgres: Option<PrivatePostgres>, error: StartError) -> StartError {
    if let Some(postgres) = postgres {
        postgres.stop(POSTGRES_STOP).await;
    }
    error
}

/// Opens, and is not left half-way: the sessions of the server before are here or there. A signal is heard afterwards, a
/// second one at once.
async fn open_to_the_end(
    running: Running,
    settings: &Settings,
    signals: &mut StopSignals,
) -> Result<Running, StartError> {
    let mut opening = Box::pin(open(running, settings));
    let mut heard = None;
    let opened = loop {
        tokio::select! {
            opened = &mut opening => break opened,
            name = signals.next() => {
                if heard.replace(name).is_some() {
                    drop(opening);
                    stop_at_once(name);
                }
            }
        }
    };
    signals.heard = heard;
    opened
}

/// Serves connections.
async fn open(running: Running, settings: &Settings) -> Result<Running, StartError> {
    if let Err(error) = running.app.chat.open().await {
        return Err(given_up(running.postgres, StartError::Sessions(error)).await);
    }
    let address = running.listening.address;
    // For people, and for scripts that wait for it.
    cli::print(&format_args!("horsetrust-chat listening on http://{address}"));
    tracing::info!(%address, workers = settings.workers, "listening");
    Ok(running)
}

/// Returns if that fails.
async fn prepare_demo(running: &Running, settings: &Settings, with_demo: bool) -> String {
    let prepare = async {
        let secret = signing_secret(settings).map_err(|error| error.to_string())?;
        demo::prepare(&running.app, settings, &secret, running.listening.address).await
    };
    match if with_demo { prepare.await } else { Ok(()) } {
        Ok(()) => std::future::pending().await,
        Err(error) => error,
    }
}

/// Takes as many open files as the system allows, one for each connection: shells and services often begin with 1024.
pub(crate) fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        tracing::info!(limit = hard, before = soft, "open files, one for each connection");
        Ok(())
    });
    if let Err(error) = raised {
        tracing::warn!(%error, "cannot raise the limit of open files, which bounds the connections");
    }
}

/// As many connections as there may be open files, less those that are needed for other things.
pub(crate) fn connections_allowed() -> usize {
    const OTHER_FILES: u64 = 512;
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    usize::try_from(limit.saturating_sub(OTHER_FILES).max(limit / 2)).unwrap_or(usize::MAX)
}

async fn listen(
    settings: &Settings,
    with_demo: bool,
    listener: std::net::TcpListener,
    database: Config,
    ways: Ways,
    hangup: Signal,
) -> Result<(App, Listening), StartError> {
    let keys = keys::all(settings)?;
    tracing::info!(keys = keys.count(), "tokens are checked with these keys");
    let auth = Arc::new(Auth::new(keys));
    actix::spawn(keys::reload(hangup, settings.clone(), auth.clone()));
    let room_idle = Duration::from_secs(settings.room_idle_seconds);
    let recovery = Duration::from_secs(settings.recovery_seconds);
    let chat = Chat::start(&ChatConfig { database, workers: settings.workers, room_idle, recovery });
    let origins = Arc::new(Origins::parse(&settings.cors_origins)?);
    let rates = Arc::new(Rates::new(settings.rates()));
    actix::spawn(rates::forget(rates.clone()));
    let socket_io = SocketIo::new(chat.clone(), auth.clone(), rates.clone());
    let places = PlaceSettings {
        per_address: settings.connections_per_address as usize,
        total: settings.connections.map_or_else(connections_allowed, |connections| connections as usize),
    };
    let demo_secret = with_demo.then(|| signing_secret(settings)).transpose()?;
    let page = Page::wanted(settings.chat_page, demo_secret);
    let app = App::new(chat, auth, origins, socket_io, rates, places, &settings.trusted_proxies)
        .with_page(page)
        .with_ways(ways);
    let mut listening = http::listen(&app, listener, settings.workers)
        .map_err(|error| StartError::Other(format!("cannot start the workers: {error}")))?;
    tokio::select! {
        () = app.chat.workers_entered() => (),
        ended = &mut listening.ended => {
            return Err(StartError::Other(format!("cannot start the workers: {ended:?}")));
        }
    }
    let revocations = app.chat.load_revocations().await;
    revocations.map_err(|error| StartError::Other(format!("cannot tell which tokens were revoked: {error}")))?;
    match app.chat.restore_sessions().await {
        Ok(0) => (),
        Ok(sessions) => tracing::info!(sessions, "took up the sessions of the server before"),
        Err(error) => return Err(StartError::Sessions(error)),
    }
    Ok((app, listening))
}
