//! A proxy in front of Postgres that loses connections at the worst moments, takes new ones and says nothing, or is slow. As
//! some poolers do, it takes nobody who wants settings with the handshake.

use std::{
    collections::VecDeque,
    fs, io,
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::{DataDir, Launch, Server};

/// When the connection is lost, seen from a statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cut {
    /// It never reaches Postgres.
    BeforeRequest,
    /// It reaches Postgres; whether it commits nobody waits for.
    AfterRequest,
    /// It is committed; the answer is lost.
    BeforeAnswer,
}

/// What waits to be done to the next statements of some connections, and how often something was.
struct Plan {
    /// How they call themselves begins so.
    application: &'static str,
    next: Mutex<VecDeque<Cut>>,
    done: AtomicUsize,
    /// How late every answer is, of all connections, in milliseconds; the next ones wait with it.
    late: AtomicU64,
}

impl Plan {
    fn take(&self, which: impl Fn(Cut) -> bool) -> Option<Cut> {
        let mut next = self.next();
        if !next.front().is_some_and(|cut| which(*cut)) {
            return None;
        }
        self.done.fetch_add(1, Ordering::SeqCst);
        next.pop_front()
    }

    fn next(&self) -> MutexGuard<'_, VecDeque<Cut>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct CuttingProxy {
    directory: PathBuf,
    plan: Arc<Plan>,
    silence: Arc<Silence>,
}

/// Whether new connections hear nothing, and how many do not.
#[derive(Default)]
struct Silence {
    is_kept: AtomicBool,
    hear_nothing: AtomicUsize,
}

/// A server whose way to Postgres is a proxy.
pub(crate) struct Proxied {
    /// Another one, whose Postgres it is; to be dropped last.
    pub(crate) postgres: Server,
    pub(crate) proxy: CuttingProxy,
    pub(crate) server: Server,
}

impl Proxied {
    /// What the proxy loses are connections whose application begins so.
    pub(crate) fn start(application: &'static str) -> Self {
        Self::start_with(application, &[])
    }

    /// The same with settings of the environment.
    pub(crate) fn start_with(application: &'static str, settings: &[(&'static str, &str)]) -> Self {
        let (postgres, directory) = (Server::start(), DataDir::new());
        let place = directory.log_file().with_file_name("proxy");
        let proxy = CuttingProxy::start(place, &postgres.directory().socket(), application);
        let launch = Launch::on(&directory).env("DATABASE_URL", &proxy.database_url());
        let launch = settings.iter().fold(launch, |launch, (name, value)| launch.env(name, value));
        Self { postgres, proxy, server: launch.start() }
    }
}

impl CuttingProxy {
    /// Listens in a directory of its own for what Postgres listens to in another.
    fn start(directory: PathBuf, postgres: &Path, application: &'static str) -> Self {
        fs::create_dir_all(&directory).expect("a directory for the proxy");
        let listener = UnixListener::bind(directory.join(".s.PGSQL.5432")).expect("the proxy's socket");
        let postgres = postgres.join(".s.PGSQL.5432");
        let plan = Arc::new(Plan {
            application,
            next: Mutex::default(),
            done: AtomicUsize::default(),
            late: AtomicU64::default(),
        });
        let silence = Arc::new(Silence::default());
        let (shared, silent) = (plan.clone(), silence.clone());
        // Ends with the test's process.
        thread::spawn(move || {
            let mut unheard = Vec::new();
            for client in listener.incoming().map_while(Result::ok) {
                if silent.is_kept.load(Ordering::SeqCst) {
                    unheard.push(client);
                    silent.hear_nothing.store(unheard.len(), Ordering::SeqCst);
                } else if let Ok(server) = UnixStream::connect(&postgres) {
                    relay(&client, &server, &shared);
                }
            }
        });
        Self { directory, plan, silence }
    }

    fn database_url(&self) -> String {
        format!("postgresql:///horsetrust?host={}&user=horsetrust", self.directory.display())
    }

    /// Cuts the next statement's connection; armed again before, that of the one after it.
    pub(crate) fn arm(&self, cut: Cut) {
        self.plan.next().push_back(cut);
    }

    /// From now on, or from now on no longer, new connections are taken and hear nothing, ever.
    pub(crate) fn silence(&self, is_kept: bool) {
        self.silence.is_kept.store(is_kept, Ordering::SeqCst);
    }

    /// From now on every answer comes so late.
    pub(crate) fn be_late(&self, milliseconds: u64) {
        self.plan.late.store(milliseconds, Ordering::SeqCst);
    }

    pub(crate) fn hear_nothing(&self) -> usize {
        self.silence.hear_nothing.load(Ordering::SeqCst)
    }

    pub(crate) fn cuts(&self) -> usize {
        self.plan.done.load(Ordering::SeqCst)
    }
}

fn relay(client: &UnixStream, server: &UnixStream, plan: &Arc<Plan>) {
    let clone = |stream: &UnixStream| stream.try_clone().expect("a second handle");
    let concerned = Arc::new(AtomicUsize::new(0));
    let (up, down) = ((clone(client), clone(server)), (clone(server), clone(client)));
    let (plan_up, plan_down, is_concerned) = (plan.clone(), plan.clone(), concerned.clone());
    thread::spawn(move || {
        pump(up, |bytes, (from, to)| {
            if contains(bytes, plan_up.application.as_bytes()) {
                is_concerned.store(1, Ordering::SeqCst);
            }
            // Only a handshake begins with its length.
            if bytes[0] == 0 && contains(bytes, b"\0options\0") {
                return hang_up(from, to);
            }
            // Bind and Execute of a prepared statement begin with B; the statement itself was sent before.
            if is_concerned.load(Ordering::SeqCst) == 0 || bytes[0] != b'B' {
                return to.write_all(bytes);
            }
            let cut = plan_up.take(|cut| cut != Cut::BeforeAnswer);
            // Before the answer can be there.
            if !plan_up.next().is_empty() {
                is_concerned.store(2, Ordering::SeqCst);
            }
            if cut != Some(Cut::BeforeRequest) {
                to.write_all(bytes)?;
            }
            if cut.is_some() { hang_up(from, to) } else { Ok(()) }
        });
    });
    thread::spawn(move || {
        pump(down, |bytes, (from, to)| {
            thread::sleep(Duration::from_millis(plan_down.late.load(Ordering::SeqCst)));
            let committing = concerned.load(Ordering::SeqCst) == 2;
            if committing && plan_down.take(|cut| cut == Cut::BeforeAnswer).is_some() {
                return hang_up(from, to);
            }
            to.write_all(bytes)
        });
    });
}

fn pump(
    (mut from, mut to): (UnixStream, UnixStream),
    mut each: impl FnMut(&[u8], (&mut UnixStream, &mut UnixStream)) -> io::Result<()>,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if each(&buffer[..count], (&mut from, &mut to)).is_err() {
            break;
        }
    }
    let _ = hang_up(&mut from, &mut to);
}

fn hang_up(from: &mut UnixStream, to: &mut UnixStream) -> io::Result<()> {
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
    Err(io::ErrorKind::ConnectionAborted.into())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
