//! The server process: started on a data directory of its own, ended and cleared away however a test goes.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, Weak, mpsc};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{new_id, until};

/// The key of every token, unless a test is about keys.
pub(crate) const SECRET: &str = "a secret of the rust tests, long enough for HS256";

const START_LIMIT: Duration = Duration::from_secs(180);
/// For a call that has to end by itself.
const CALL_LIMIT: Duration = Duration::from_secs(300);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const READY: &str = "horsetrust-chat listening on http://";
/// Set by whoever runs the tests, they would reach the server under test.
const INHERITED: [&str; 19] = [
    "CHAT_PAGE",
    "CONFIG_FILE",
    "CONNECTIONS",
    "CONNECTIONS_PER_ADDRESS",
    "CORS_ORIGINS",
    "DATABASE_URL",
    "DATA_DIR",
    "DRAIN_SECONDS",
    "HOST",
    "JWT_KEYS",
    "JWT_SECRET",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "PORT",
    "RECOVERY_SECONDS",
    "ROOM_IDLE_SECONDS",
    "STOP_SECONDS",
    "TRUSTED_PROXIES",
    "WORKERS",
];

/// A data directory that takes a left-over Postgres with it when the last user lets go.
pub(crate) struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// Nothing in it yet. The path is short, because Unix socket paths are limited to about 100 bytes.
    pub(crate) fn new() -> Arc<Self> {
        let root = PathBuf::from(format!("/tmp/ht-rs-{}", &new_id()[12..]));
        fs::create_dir(&root).expect("a new directory below /tmp");
        Arc::new(Self { root })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.root.join("data")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path().join("socket")
    }

    pub(crate) fn log_file(&self) -> PathBuf {
        self.root.join("server.log")
    }

    /// The process id that the private Postgres has written down, running or not.
    pub(crate) fn postmaster(&self) -> Option<Pid> {
        let file = fs::read_to_string(self.postmaster_file()).ok()?;
        file.lines().next()?.trim().parse().ok().map(Pid::from_raw)
    }

    pub(crate) fn postmaster_file(&self) -> PathBuf {
        self.path().join("postgres/postmaster.pid")
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        let postmaster = self.postmaster().filter(|pid| is_postgres(*pid));
        if let Some(pid) = postmaster {
            let _ = kill(pid, Signal::SIGQUIT);
            for _ in 0..500 {
                if !is_alive(pid) {
                    break;
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}

pub(crate) fn is_alive(pid: Pid) -> bool {
    // A process that nobody has waited for yet is dead all the same.
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')),
        Err(_) => false,
    }
}

fn is_postgres(pid: Pid) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("postgres"))
}

/// The binary with a clean environment and the secret of the tests; for calls that end by themselves.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_horsetrust-chat"));
    for name in INHERITED {
        command.env_remove(name);
    }
    // Two, so that what crosses from worker to worker is tested on every machine.
    command.env("JWT_SECRET", SECRET).env("WORKERS", "2").args(arguments).stdin(Stdio::null());
    // In pages of 2 MB, of which it is left to chance which are made, nothing smaller could be measured.
    command.env("MIMALLOC_ALLOW_THP", "0");
    // As much as the load tool asks for.
    command.envs(["RATE_SENDS", "RATE_TYPING", "RATE_JOINS", "RATE_REST"].map(|rate| (rate, "0")));
    command
}

/// Runs a call that has to end by itself.
pub(crate) fn output(command: &mut Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    let (done, finished) = mpsc::channel();
    let waiter = thread::spawn(move || {
        let output = child.wait_with_output();
        let _ = done.send(());
        output
    });
    if finished.recv_timeout(CALL_LIMIT).is_err() {
        let _ = kill(pid, Signal::SIGKILL);
    }
    waiter.join().expect("the waiting thread").expect("the call's output")
}

/// How a server is started.
pub(crate) struct Launch {
    directory: Arc<DataDir>,
    port: u16,
    demo: bool,
    output: Option<Stdio>,
    log: Option<Stdio>,
    environment: Vec<(&'static str, Option<String>)>,
}

impl Launch {
    pub(crate) fn on(directory: &Arc<DataDir>) -> Self {
        Self {
            directory: Arc::clone(directory),
            port: 0,
            demo: false,
            output: None,
            log: None,
            environment: Vec::new(),
        }
    }

    pub(crate) fn with_demo(mut self) -> Self {
        self.demo = true;
        self
    }

    /// Where its standard output goes, and the port, which nobody hears of then.
    pub(crate) fn output_to(mut self, output: impl Into<Stdio>, port: u16) -> Self {
        (self.output, self.port) = (Some(output.into()), port);
        self
    }

    /// Where its standard error goes, instead of the log file.
    pub(crate) fn log_to(mut self, log: impl Into<Stdio>) -> Self {
        self.log = Some(log.into());
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, Some(value.to_owned())));
        self
    }

    pub(crate) fn without_env(mut self, name: &'static str) -> Self {
        self.environment.push((name, None));
        self
    }

    /// A server that answers.
    pub(crate) fn start(self) -> Server {
        self.spawn().ready()
    }

    /// A process that may not answer yet, so that several can start at once.
    pub(crate) fn spawn(mut self) -> Starting {
        let log = File::options().create(true).append(true).open(self.directory.log_file()).expect("the log file");
        let mut command = command(&["serve", "--port", &self.port.to_string()]);
        command.args(self.demo.then_some("--demo"));
        command
            .arg("--data-dir")
            .arg(self.directory.path())
            .stdout(self.output.take().unwrap_or_else(Stdio::piped))
            .stderr(self.log.take().unwrap_or_else(|| log.into()));
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut child = command.spawn().expect("the binary runs");
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || {
                // Goes on to the end: where nobody reads, lines are left out.
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Starting { lines, server: Server { child, address: ([127, 0, 0, 1], 0).into(), directory: self.directory } }
    }
}

/// Between the start of the process and its first line.
pub(crate) struct Starting {
    lines: mpsc::Receiver<String>,
    server: Server,
}

impl Starting {
    /// SIGTERM before it is ready, or just then.
    pub(crate) fn stop(self) -> ExitStatus {
        self.server.stop()
    }

    /// One whose output goes elsewhere, as soon as it answers.
    pub(crate) fn ready_at(mut self, address: SocketAddr) -> Server {
        until("it listens", START_LIMIT, || TcpStream::connect(address).is_ok());
        self.server.address = address;
        self.server
    }

    pub(crate) fn ready(mut self) -> Server {
        let line = self.lines.recv_timeout(START_LIMIT);
        let address = line.as_deref().ok().and_then(|line| line.strip_prefix(READY));
        let Some(address) = address.and_then(|address| address.trim_end_matches('/').parse().ok()) else {
            panic!("the server did not start: {line:?}\n{}", self.server.log_tail());
        };
        self.server.address = address;
        self.server
    }
}

/// A running server. Dropping it stops it in order.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    directory: Arc<DataDir>,
}

static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());

impl Server {
    /// A server of this test's own, on a fresh data directory.
    pub(crate) fn start() -> Self {
        Launch::on(&DataDir::new()).start()
    }

    /// One server for all tests of a test crate that run at the same time; it ends with the last of them.
    pub(crate) fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn directory(&self) -> &Arc<DataDir> {
        &self.directory
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"))
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// `kill -9`: no goodbye to anybody. Its data directory stays for the next one.
    pub(crate) fn kill(mut self) -> Arc<DataDir> {
        self.child.kill().expect("a running server");
        self.child.wait().expect("a child");
        Arc::clone(&self.directory)
    }

    /// SIGTERM, and the exit status.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.terminate().expect("the server ends after SIGTERM")
    }

    /// What the server had to say lately.
    pub(crate) fn log_tail(&self) -> String {
        tail(&self.directory.log_file())
    }

    fn terminate(&mut self) -> Option<ExitStatus> {
        let _ = kill(self.pid(), Signal::SIGTERM);
        for _ in 0..STOP_LIMIT.as_millis() / 20 {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(20));
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the end of the server's log:\n{}", self.log_tail());
        }
        if self.is_running() && self.terminate().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn tail(file: &Path) -> String {
    let log = fs::read(file).unwrap_or_default();
    String::from_utf8_lossy(&log[log.len().saturating_sub(4000)..]).into_owned()
}
