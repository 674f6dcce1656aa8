//! A cluster in the data directory: its files, its settings, its postmaster.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use nix::unistd::Pid;
use tokio::time::sleep;
use tokio_postgres::Config;

use super::{Binaries, PostgresError, PrivatePostgres, context, owner::Owner, postmaster};

/// The database and its owner.
pub(super) const DATABASE: &str = "horsetrust";
/// How often the postmaster is looked after.
const LOOK: Duration = Duration::from_millis(100);
/// What the names of clusters begin with that are not made yet.
const UNFINISHED: &str = "postgres.new.";
/// How long a postmaster that ends at once is started again and again.
const START_AGAIN: Duration = Duration::from_secs(15);
/// Pause before it is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Where everything is.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    directory: PathBuf,
    socket: PathBuf,
    log: PathBuf,
    binaries: Binaries,
    owner: Owner,
    /// The postmaster that this process started, as long as it has not been seen to end: it writes its pid file late.
    child: Arc<Mutex<Option<Child>>>,
}

impl Cluster {
    /// Makes the cluster if there is none. Half made ones are never used: it gets its name when it is done.
    pub(super) async fn prepare(data_dir: &Path, binaries: Binaries) -> Result<Self, PostgresError> {
        let directory = PrivatePostgres::place(data_dir);
        let cluster = Self {
            socket: socket_directory(data_dir),
            log: data_dir.join("postgres.log"),
            binaries,
            owner: Owner::choose(&directory)?,
            directory,
            child: Arc::default(),
        };
        make_private(&cluster.socket, cluster.owner)?;
        if !cluster.directory.exists() {
            remove_unfinished(data_dir);
            // A name of its own: an initdb that outlived its server may still be writing to another.
            let unfinished = data_dir.join(format!("{UNFINISHED}{}", actors::SessionId::new()));
            make_private(&unfinished, cluster.owner)?;
            let made = cluster.clone();
            let at = unfinished.clone();
            tokio::task::spawn_blocking(move || made.initdb(&at))
                .await
                .map_err(|error| PostgresError::Failed(error.to_string()))??;
            fs::rename(&unfinished, &cluster.directory).map_err(context("cannot name the new cluster"))?;
        }
        Ok(cluster)
    }

    fn initdb(&self, at: &Path) -> Result<(), PostgresError> {
        tracing::info!(directory = %self.directory.display(), "making a private Postgres cluster");
        let mut initdb = Command::new(self.binaries.path("initdb"));
        initdb
            .args(["--username", DATABASE, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions", "-D"])
            .arg(at)
            .current_dir("/")
            .stdin(Stdio::null());
        self.owner.run_as(&mut initdb);
        let output = initdb.output().map_err(context("cannot run initdb"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(PostgresError::Failed(format!(
            "initdb failed: {said}; if it may not enter the data directory, choose another with DATA_DIR"
        )))
    }

    /// Starts the postmaster unless it lives.
    pub(super) fn ensure_running(&self) -> Result<(), PostgresError> {
        if self.lives() {
            return Ok(());
        }
        // Left by a killed postmaster; its pid may be somebody else's by now, which Postgres cannot tell.
        let _ = fs::remove_file(self.directory.join("postmaster.pid"));
        let log = fs::File::options().create(true).append(true).open(&self.log);
        let log = log.map_err(context(self.log.display().to_string()))?;
        let errors = log.try_clone().map_err(context(self.log.display().to_string()))?;
        let mut command = Command::new(self.binaries.path("postgres"));
        command
            .arg("-D")
            .arg(&self.directory)
            .arg("-k")
            .arg(&self.socket)
            .args(["-c", "listen_addresses=", "-c", "port=5432", "-c", "logging_collector=off"])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            // A signal from the terminal is for the server, which stops Postgres when it is done.
            .process_group(0);
        self.owner.run_as(&mut command);
        let child = command.spawn().map_err(context("cannot start Postgres"))?;
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        Ok(())
    }

    /// Whether the postmaster lives: our child, or one that was taken over.
    fn lives(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(started) = &mut *child {
            if matches!(started.try_wait(), Ok(None)) {
                return true;
            }
            *child = None;
        }
        postmaster::of(&self.directory).is_some()
    }

    /// Starts the postmaster again whenever it is gone.
    pub(super) async fn watch(self) {
        loop {
            sleep(LOOK).await;
            if !self.lives() {
                tracing::error!("{}; starting it again", self.explain("the private Postgres is gone"));
                sleep(RESTART_PAUSE).await;
                if let Err(error) = self.ensure_running() {
                    tracing::error!(%error, "cannot start the private Postgres");
                }
            }
        }
    }

    /// Starts the postmaster, or takes over the one that lives, and returns when it accepts connections.
    pub(super) async fn start(&self) -> Result<(), PostgresError> {
        let began = Instant::now();
        self.ensure_running()?;
        while !self.accepts().await {
            sleep(LOOK).await;
            if self.lives() {
                continue;
            }
            // Backends of a killed postmaster keep its shared memory for a moment.
            if began.elapsed() > START_AGAIN {
                return Err(PostgresError::Failed(self.explain("Postgres does not start")));
            }
            sleep(LOOK).await;
            self.ensure_running()?;
        }
        Ok(())
    }

    /// Whether the database accepts connections; it is made where it is not there.
    async fn accepts(&self) -> bool {
        let connected = actors::connect(&self.config("postgres"), "horsetrust-chat start").await;
        let Ok((client, connection)) = connected else { return false };
        let driver = tokio::spawn(connection);
        let found = client.query("SELECT FROM pg_database WHERE datname = $1", &[&DATABASE]).await;
        let is_there = match found {
            Ok(rows) if rows.is_empty() => client.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await.is_ok(),
            found => found.is_ok(),
        };
        drop(client);
        let _ = driver.await;
        is_there
    }

    pub(super) fn config(&self, database: &str) -> Config {
        config(&self.socket, database)
    }

    pub(super) fn stop(&self) {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let started = child.as_ref().and_then(|child| i32::try_from(child.id()).ok()).map(Pid::from_raw);
        if let Some(pid) = started.or_else(|| postmaster::of(&self.directory)) {
            postmaster::stop(pid);
        }
    }

    /// Returns when the postmaster has ended.
    pub(super) async fn gone(&self) {
        while self.lives() {
            sleep(LOOK / 4).await;
        }
    }

    /// A complaint with the end of Postgres' log.
    pub(super) fn explain(&self, complaint: &str) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let last = log.lines().rev().find(|line| line.contains("FATAL") || line.contains("ERROR"));
        let last = last.map_or_else(String::new, |line| format!(": {line}"));
        format!("{complaint} (see {}){last}", self.log.display())
    }
}

/// Clusters whose making was cut short; what cannot be removed is left.
fn remove_unfinished(data_dir: &Path) {
    let is_unfinished = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(UNFINISHED);
    for entry in fs::read_dir(data_dir).into_iter().flatten().flatten().filter(is_unfinished) {
        let _ = fs::remove_dir_all(entry.path());
    }
}

/// A directory for Postgres' user alone.
fn make_private(path: &Path, owner: Owner) -> Result<(), PostgresError> {
    let failed = |error| PostgresError::Io(format!("cannot make {}", path.display()), error);
    fs::create_dir_all(path).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    owner.give(path)
}

pub(super) fn socket_directory(data_dir: &Path) -> PathBuf {
    data_dir.join("socket")
}

pub(super) fn config(socket: &Path, database: &str) -> Config {
    let mut config = Config::new();
    config.host_path(socket).port(5432).user(DATABASE).dbname(database).connect_timeout(Duration::from_secs(3));
    config
}
