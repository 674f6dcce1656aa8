//! The private Postgres of a server without `DATABASE_URL`: made, started, watched and stopped by the server.
//!
//! It listens on a Unix socket in the data directory and nowhere else, with full durability. It outlives a server that
//! was killed; the next one takes it over. One server at a time uses a data directory.

mod binaries;
mod cluster;
mod owner;
mod postmaster;

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    fcntl::{AT_FDCWD, AtFlags, Flock, FlockArg},
    unistd::{AccessFlags, faccessat},
};
use thiserror::Error;
use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::Config;

pub use binaries::Binaries;
use cluster::Cluster;
use owner::Owner;

/// How long Postgres may take to accept connections; after a crash it first replays its log.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// Longest path of a Unix socket's directory, in bytes: the system allows 107 with the file's name.
const SOCKET_DIR_BYTES: usize = 85;
/// What a process locks that has the data directory.
const LOCK_FILE: &str = "server.lock";

/// Why there is no private Postgres.
#[derive(Debug, Error)]
pub enum PostgresError {
    /// The binaries are not on this machine.
    #[error(
        "Postgres was not found (looked in /usr/lib/postgresql/*/bin, /usr/pgsql-*/bin and PATH): install it, for example with `apt-get install postgresql`, or set DATABASE_URL"
    )]
    NotInstalled,
    /// The cluster was made by a major version that is not on this machine.
    #[error(
        "the private Postgres was made by version {0}, which is not installed: install it, for example with `apt-get install postgresql-{0}`, or move the data to a newer one"
    )]
    OtherVersion(u32),
    /// Another server has the data directory.
    #[error("another server uses the data directory {0}: stop it, or choose another with DATA_DIR")]
    InUse(PathBuf),
    /// The path of the socket would be too long for the system.
    #[error("the data directory's path {0} is too long for a Unix socket: choose a shorter one with DATA_DIR")]
    PathTooLong(PathBuf),
    /// A file or process could not be made.
    #[error("{0}: {1}")]
    Io(String, io::Error),
    /// initdb or Postgres did not do what it should.
    #[error("{0}")]
    Failed(String),
}

fn context(what: impl Into<String>) -> impl FnOnce(io::Error) -> PostgresError {
    let what = what.into();
    move |error| PostgresError::Io(what, error)
}

/// A running private Postgres. Dropped, it is told to stop.
pub struct PrivatePostgres {
    cluster: Cluster,
    watch: JoinHandle<()>,
    _lock: Flock<fs::File>,
}

impl PrivatePostgres {
    /// Makes the cluster if there is none, starts or takes over its postmaster, and waits until it accepts connections.
    ///
    /// # Errors
    /// See [`PostgresError`].
    pub async fn start(data_dir: &Path) -> Result<Self, PostgresError> {
        let lock = lock(data_dir)?;
        let data_dir = data_dir.canonicalize().map_err(context(data_dir.display().to_string()))?;
        check_length(&data_dir)?;
        let binaries = Binaries::find(&Self::place(&data_dir))?;
        let cluster = Cluster::prepare(&data_dir, binaries).await?;
        // From here on, a start that is given up stops it.
        let mut started = Self { cluster, watch: tokio::spawn(async {}), _lock: lock };
        match timeout(START_TIMEOUT, started.cluster.start()).await {
            Ok(ready) => ready?,
            Err(_) => {
                return Err(PostgresError::Failed(started.cluster.explain("Postgres does not accept connections")));
            }
        }
        started.watch = tokio::spawn(started.cluster.clone().watch());
        Ok(started)
    }

    /// Where its files are.
    pub fn place(data_dir: &Path) -> PathBuf {
        data_dir.join("postgres")
    }

    /// Whether one could be made and run here by its user.
    ///
    /// # Errors
    /// The user cannot come to the directory, it is somebody else's, it cannot be made, or its path is too long.
    pub fn check_place(data_dir: &Path) -> Result<(), PostgresError> {
        let owner = Owner::choose(&Self::place(data_dir))?;
        // As it will be, where it has to be made.
        let absolute = std::path::absolute(data_dir).map_err(context(data_dir.display().to_string()))?;
        check_length(&data_dir.canonicalize().unwrap_or_else(|_| absolute.clone()))?;
        // What is not there yet is made, and given to the user.
        let Some(there) = absolute.ancestors().find(|path| path.exists()) else { return Ok(()) };
        let shown = there.display();
        let remedy = "choose another with DATA_DIR";
        if !there.is_dir() {
            return Err(PostgresError::Failed(format!("{shown} is no directory: {remedy}")));
        }
        let may = AccessFlags::W_OK | AccessFlags::X_OK;
        if let Err(error) = faccessat(AT_FDCWD, there, may, AtFlags::AT_EACCESS) {
            return Err(PostgresError::Failed(format!("cannot write to {shown}: {}; {remedy}", error.desc())));
        }
        if owner.can_enter(there) {
            return Ok(());
        }
        Err(PostgresError::Failed(format!("Postgres' user {owner} cannot enter {shown}: let it in, or {remedy}")))
    }

    /// Whether a server, or a command, has the data directory now.
    pub fn is_in_use(data_dir: &Path) -> bool {
        let lock = fs::File::open(data_dir.join(LOCK_FILE)).ok();
        lock.is_some_and(|file| Flock::lock(file, FlockArg::LockSharedNonblock).is_err())
    }

    /// How to connect to the private Postgres of a server that runs.
    ///
    /// # Errors
    /// There is no such data directory.
    pub fn config_of_running(data_dir: &Path) -> Result<Config, PostgresError> {
        let data_dir = data_dir.canonicalize().map_err(context(data_dir.display().to_string()))?;
        Ok(cluster::config(&cluster::socket_directory(&data_dir), cluster::DATABASE))
    }

    /// How to connect.
    pub fn config(&self) -> Config {
        self.cluster.config(cluster::DATABASE)
    }

    /// Stops Postgres in its orderly way, and waits for it.
    pub async fn stop(self, limit: Duration) {
        self.watch.abort();
        self.cluster.stop();
        if timeout(limit, self.cluster.gone()).await.is_err() {
            tracing::warn!("the private Postgres has not stopped in time; it goes on stopping by itself");
        }
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        self.watch.abort();
        self.cluster.stop();
    }
}

fn check_length(data_dir: &Path) -> Result<(), PostgresError> {
    let fits = data_dir.as_os_str().len() <= SOCKET_DIR_BYTES;
    if fits { Ok(()) } else { Err(PostgresError::PathTooLong(data_dir.to_owned())) }
}

/// Makes the data directory and takes it for this process alone.
fn lock(data_dir: &Path) -> Result<Flock<fs::File>, PostgresError> {
    prepare_data_dir(data_dir)?;
    let path = data_dir.join(LOCK_FILE);
    let file =
        fs::File::options().create(true).append(true).open(&path).map_err(context(path.display().to_string()))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| PostgresError::InUse(data_dir.to_owned()))
}

/// Makes the data directory if there is none. Others may pass through it (Postgres may run as another user), but not look
/// around. One that is there is left as it is, unless it is ours and Postgres could not pass.
pub(crate) fn prepare_data_dir(data_dir: &Path) -> Result<(), PostgresError> {
    let failed = |error| PostgresError::Io(format!("cannot make the data directory {}", data_dir.display()), error);
    let is_new = !data_dir.exists();
    fs::create_dir_all(data_dir).map_err(failed)?;
    let is_ours = || {
        let mut entries = fs::read_dir(data_dir)?;
        Ok(entries.next().is_none() || data_dir.join(LOCK_FILE).exists())
    };
    let is_closed = fs::metadata(data_dir).map_err(failed)?.permissions().mode() & 0o001 == 0;
    if is_new || (is_closed && is_ours().map_err(failed)?) {
        fs::set_permissions(data_dir, fs::Permissions::from_mode(0o711)).map_err(failed)?;
    }
    Ok(())
}
