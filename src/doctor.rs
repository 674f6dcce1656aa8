//! Looks at everything that a server needs, changes nothing, and says what to do about what is not as it should be.

use std::{
    fmt::{self, Display},
    fs,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use actors::{Diagnosis, connections_needed, diagnose};
use nix::sys::statvfs::statvfs;
use tokio_postgres::Config;

use crate::{
    config::{ConfigError, Settings},
    http,
    postgres::{Binaries, PrivatePostgres},
    startup, traces,
};

/// Beyond that, tokens that are signed elsewhere seem expired, or not issued yet, to the one or the other.
const CLOCKS_APART_MS: u64 = 1000;
/// A round trip that takes longer costs every message that much, in milliseconds.
const ROUND_TRIP_MS: f64 = 5.0;
/// Fewer connections than this are soon used up.
const FEW_CONNECTIONS: usize = 2000;
/// Less room than this for a private Postgres is soon used up, in bytes.
const LITTLE_ROOM: u64 = 1 << 30;
/// Connections that the kernel lets wait to be accepted; with fewer, some of thousands that come at once try again later.
const SHORT_BACKLOG: u32 = 1024;

/// How long whoever has the address may take to say who that is.
const ANSWER: Duration = Duration::from_secs(2);
/// So much of it is read, in bytes.
const MOST_OF_ANSWER: u64 = 4096;

/// How a thing is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum State {
    /// As it should be.
    Well,
    /// A server would start, and something is not as it should be.
    Doubtful,
    /// A server would not start.
    Ill,
}

impl Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Well => "ok",
            Self::Doubtful => "warning",
            Self::Ill => "error",
        })
    }
}

/// What was looked at, each a line.
struct Findings {
    worst: State,
}

impl Findings {
    fn add(&mut self, state: State, what: &str, found: impl Display) {
        say(&format!("{state:<8} {what:<14} {found}"));
        self.worst = self.worst.max(state);
    }

    fn end(&self) -> ExitCode {
        match self.worst {
            State::Well => say("everything is as it should be"),
            State::Doubtful => say("nothing keeps a server from running; see the warnings"),
            State::Ill => say("a server would not start; see the errors"),
        }
        if self.worst == State::Ill { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// Whoever reads may have gone: no reason not to look on.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Prints what it finds; fails if a server would not start.
pub fn examine(settings: &Result<Settings, ConfigError>) -> ExitCode {
    let mut findings = Findings { worst: State::Well };
    match settings {
        Ok(settings) => actix::System::new().block_on(look(settings, &mut findings)),
        Err(error) => findings.add(State::Ill, "configuration", error),
    }
    findings.end()
}

async fn look(settings: &Settings, findings: &mut Findings) {
    match startup::check(settings, false) {
        Ok(()) => findings.add(State::Well, "configuration", "can be used; `serve --check-config` prints it"),
        Err(error) => findings.add(State::Ill, "configuration", error),
    }
    if let Some(warning) = startup::warning(settings) {
        findings.add(State::Doubtful, "secret", warning);
    }
    match traces::collector() {
        Ok(Some(named_by)) => findings.add(State::Well, "traces", format_args!("go to the collector of {named_by}")),
        Ok(None) => (),
        Err(error) => findings.add(State::Ill, "traces", error),
    }
    let mut here = look_at_address(settings, findings);
    look_at_limits(settings, findings);
    if let Some(database) = find_database(settings, findings) {
        match diagnose(&database).await {
            Ok(diagnosis) => {
                if settings.database_url.is_none() && PrivatePostgres::is_in_use(&settings.data_dir) {
                    findings.add(State::Well, "server", "one runs on this data directory; another would not start");
                    here = true;
                }
                if diagnosis.servers > usize::from(here) {
                    let remedy =
                        "stop it before this one starts: clients of the one do not hear those of the other live";
                    findings.add(State::Doubtful, "server", format_args!("another one is on this database; {remedy}"));
                }
                look_at_database(settings, &diagnosis, findings);
            }
            Err(error) if settings.database_url.is_some() => {
                findings.add(
                    State::Ill,
                    "database",
                    format_args!("{error}; is Postgres running, and DATABASE_URL right?"),
                );
            }
            Err(_) => {
                let name = startup::name_of_database(settings);
                findings.add(
                    State::Well,
                    "database",
                    format_args!("{name} does not run now, and was not looked at; it runs with the server"),
                );
            }
        }
    }
}

/// Whether a server runs there.
fn look_at_address(settings: &Settings, findings: &mut Findings) -> bool {
    let Ok(address) = settings.address() else { return false };
    match http::bind(address).map(drop) {
        Ok(()) => findings.add(State::Well, "address", format_args!("{address} is free")),
        Err(_) if is_ours(address) => {
            findings.add(
                State::Doubtful,
                "address",
                format_args!("{address}: a server runs there already; another would not start"),
            );
            return true;
        }
        Err(error) => {
            let remedy = "choose another with HOST and PORT";
            findings.add(State::Ill, "address", format_args!("{address}: {error}; {remedy}"));
        }
    }
    false
}

/// Whether such a server has the address: it says how it is.
fn is_ours(address: SocketAddr) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: doctor\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(MOST_OF_ANSWER).read_to_string(&mut answer)?;
        io::Result::Ok(answer)
    };
    ask().is_ok_and(|answer| answer.contains(r#""success":"#))
}

fn look_at_limits(settings: &Settings, findings: &mut Findings) {
    startup::raise_open_files();
    let allowed = startup::connections_allowed();
    let wanted = settings.connections.map_or(FEW_CONNECTIONS, |connections| connections as usize);
    let remedy = "raise the hard limit: `ulimit -Hn`, or LimitNOFILE= of systemd";
    let state = if allowed < wanted { State::Doubtful } else { State::Well };
    let remedy = if state == State::Well { String::new() } else { format!(", fewer than {wanted}; {remedy}") };
    findings.add(state, "open files", format_args!("enough for {allowed} connections{remedy}"));
    let backlog = fs::read_to_string("/proc/sys/net/core/somaxconn").ok();
    let backlog = backlog.and_then(|text| text.trim().parse::<u32>().ok());
    match backlog {
        Some(backlog) if backlog < SHORT_BACKLOG => {
            let remedy =
                "when thousands come back at once, some wait a second or more; `sysctl net.core.somaxconn=4096`";
            findings.add(State::Doubtful, "backlog", format_args!("{backlog} connections may wait: {remedy}"));
        }
        Some(backlog) => {
            findings.add(State::Well, "backlog", format_args!("{backlog} connections may wait to be accepted"));
        }
        None => (),
    }
}

/// How to connect to the database, if there is one already.
fn find_database(settings: &Settings, findings: &mut Findings) -> Option<Config> {
    if let Some(url) = &settings.database_url {
        // Looked at with the configuration.
        return url.parse().ok();
    }
    let cluster = PrivatePostgres::place(&settings.data_dir);
    if let Err(error) = Binaries::find(&cluster) {
        findings.add(State::Ill, "postgres", error);
        return None;
    }
    if let Err(error) = PrivatePostgres::check_place(&settings.data_dir) {
        findings.add(State::Ill, "place", error);
    }
    look_at_room(&settings.data_dir, findings);
    if !cluster.exists() {
        let name = startup::name_of_database(settings);
        let made = "will be made with the first start, as DATABASE_URL is not set";
        findings.add(State::Well, "database", format_args!("{name} {made}"));
        return None;
    }
    PrivatePostgres::config_of_running(&settings.data_dir).ok()
}

fn look_at_room(data_dir: &Path, findings: &mut Findings) {
    // It may have to be made yet, somewhere below.
    let Some(Ok(volume)) = data_dir.ancestors().find(|path| path.exists()).map(statvfs) else { return };
    let room = volume.blocks_available() * volume.fragment_size();
    let state = if room < LITTLE_ROOM { State::Doubtful } else { State::Well };
    let remedy = if state == State::Well { "" } else { "; choose another place with DATA_DIR, or make room" };
    let megabytes = room / 1_000_000;
    findings.add(state, "room", format_args!("{megabytes} MB are free for {}{remedy}", data_dir.display()));
}

fn look_at_database(settings: &Settings, found: &Diagnosis, findings: &mut Findings) {
    let milliseconds = found.round_trip.as_secs_f64() * 1000.0;
    let name = startup::name_of_database(settings);
    let answered = format!("{name}: Postgres {} answers in {milliseconds:.1} ms", found.version);
    if milliseconds > ROUND_TRIP_MS {
        let remedy = "each message waits for it; run the server near the database";
        findings.add(State::Doubtful, "database", format_args!("{answered}: {remedy}"));
    } else {
        findings.add(State::Well, "database", answered);
    }
    if found.is_standby {
        findings.add(
            State::Ill,
            "database",
            "it is a standby, which takes no writes; name the primary in DATABASE_URL",
        );
    }
    if found.is_read_only {
        let remedy = "`ALTER ROLE … RESET default_transaction_read_only`, or the same for the database";
        findings.add(State::Ill, "database", format_args!("nothing can be written as {}: {remedy}", found.role));
    }
    if found.encoding != "UTF8" {
        let remedy = "`CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0` makes one that can";
        findings.add(State::Ill, "database", format_args!("it cannot keep all texts in {}: {remedy}", found.encoding));
    }
    look_at_schema(found, findings);
    match found.risks[..] {
        [] => findings.add(State::Well, "durability", "what is committed is kept when the machine goes down"),
        _ => found.risks.iter().for_each(|risk| findings.add(State::Doubtful, "durability", risk)),
    }
    let (needed, used, all) = (connections_needed(settings.workers), found.connections, found.max_connections);
    let counted = format!("{used} of {all} connections are in use; a server has up to {needed}");
    if used + needed > all {
        let remedy = "raise max_connections, unless it is this server's own that are in use";
        findings.add(State::Doubtful, "connections", format_args!("{counted}: {remedy}"));
    } else {
        findings.add(State::Well, "connections", counted);
    }
    let seconds = found.clock_ahead_ms.unsigned_abs() as f64 / 1000.0;
    let side = if found.clock_ahead_ms < 0 { "behind" } else { "ahead of" };
    let clocks = format!("Postgres' is {seconds:.1} s {side} this machine's");
    if found.clock_ahead_ms.unsigned_abs() > CLOCKS_APART_MS {
        findings.add(
            State::Doubtful,
            "clock",
            format_args!("{clocks}: synchronise both, as by `timedatectl set-ntp true`"),
        );
    } else {
        findings.add(State::Well, "clock", clocks);
    }
}

fn look_at_schema(found: &Diagnosis, findings: &mut Findings) {
    if !found.unknown.is_empty() {
        let versions: Vec<_> = found.unknown.iter().map(|version| format!("V{version}")).collect();
        let remedy = "use that one, or restore the backup that was made before";
        let later = format_args!("a later version of this program has run {}: {remedy}", versions.join(", "));
        findings.add(State::Ill, "schema", later);
    } else if !found.foreign.is_empty() {
        let remedy = "name another database in DATABASE_URL";
        let tables = found.foreign.join(", ");
        findings.add(State::Ill, "schema", format_args!("has tables of another program ({tables}): {remedy}"));
    } else if found.pending.is_empty() {
        findings.add(State::Well, "schema", "is up to date");
    } else if !found.may_create {
        let remedy = "`ALTER DATABASE … OWNER TO …` makes it the owner";
        let pending = found.pending.join(", ");
        let may_not = format_args!("{pending} to be run, but {} may make no tables here: {remedy}", found.role);
        findings.add(State::Ill, "schema", may_not);
    } else {
        let remedy = "`horsetrust-chat migrate` runs them, and so does the next start";
        findings.add(State::Well, "schema", format_args!("{} to be run: {remedy}", found.pending.join(", ")));
    }
}
