//! Many connections that say nothing: what one costs to open, and to keep while it answers the server's pings.

use std::{
    net::Ipv4Addr,
    rc::Rc,
    time::{Duration, Instant},
};

use clap::Args;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::task::JoinSet;

use crate::{
    cli::Common,
    failure::Failure,
    report::Outcome,
    socket::{Place, Socket, connect},
    world::{World, pairs},
};

/// Connections from one source address: its ports must do.
const PER_SOURCE: usize = 20_000;
/// Files that are open besides the connections.
const OTHER_FILES: u64 = 64;
/// Connections being opened at the same time.
pub(super) const OPENING: usize = 256;

/// What can be chosen.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Connections, each of a user of its own
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=500_000))]
    connections: u32,
    /// Connections opened a second
    #[arg(long, default_value_t = 2000.0)]
    connect_rate: f64,
    /// Join each user's conversation, too
    #[arg(long)]
    join: bool,
}

pub(crate) async fn run(common: &Common, options: &Options) -> Result<Outcome, Failure> {
    let count = options.connections as usize;
    raise_open_files(count)?;
    let users = count.next_multiple_of(2);
    let pairs = pairs(users);
    let world = World::prepare(common, users, &pairs, &["connect"]).await?;
    world.meter.borrow_mut().begin();
    world.watch.borrow_mut().begin(true);
    let begun = Instant::now();
    let places = (0..count).map(|number| place(&world, number, options.join));
    let sockets = open(&world, places, options.connect_rate, OPENING).await?;
    let opened = begun.elapsed().as_secs_f64();
    let opening = cpu_of(&world, "server");
    // What the opening left behind is cleared away before memory is looked at.
    world.pass(Duration::from_secs_f64(common.warmup), || ()).await;
    let (quiet_from, quiet_begun) = (cpu_of(&world, "server"), Instant::now());
    world.pass(Duration::from_secs_f64(common.duration), || ()).await;
    let costs = world.watch.borrow_mut().end(None, Some(count as f64));
    let quiet = cpu_of(&world, "server").zip(quiet_from).map(|(now, before)| now - before);
    world.meter.borrow_mut().end();
    let mut figures =
        vec![("connections".to_owned(), sockets.len() as f64), ("connects_per_s".to_owned(), count as f64 / opened)];
    if let Some(cpu) = opening {
        figures.push(("server_cpu_ms_per_connect".to_owned(), cpu * 1e3 / count as f64));
    }
    if let Some(cpu) = quiet {
        let seconds = quiet_begun.elapsed().as_secs_f64();
        figures.push(("quiet_server_cpu_us_per_connection_and_s".to_owned(), cpu * 1e6 / count as f64 / seconds));
    }
    let pings = world.pings.get() as f64;
    figures.push(("pings".to_owned(), pings));
    if let Some(cpu) = quiet.filter(|_| world.pings.get() > 0) {
        figures.push(("server_cpu_us_per_ping".to_owned(), cpu * 1e6 / pings));
    }
    let chosen = serde_json::json!({
        "connections": count, "connect_rate": options.connect_rate, "join": options.join,
        "transport": format!("{:?}", common.transport).to_lowercase(),
    });
    Ok(Outcome::new(&world, "idle", chosen, figures, costs))
}

/// CPU seconds so far of a measured process.
fn cpu_of(world: &World, name: &str) -> Option<f64> {
    let costs = world.watch.borrow_mut().end(None, None);
    costs.into_iter().find(|(other, _)| other == name).map(|(_, cost)| cost.cpu_s)
}

/// Where a connection calls from: loopback has addresses enough.
pub(super) fn place(world: &World, number: usize, joins: bool) -> Place {
    let is_loopback = world.target.address.ip().is_loopback() && world.target.address.is_ipv4();
    let source = is_loopback.then(|| Ipv4Addr::new(127, 0, 0, (1 + number / PER_SOURCE) as u8));
    Place { user: number, room: number / 2, joins, source }
}

/// Opens connections at a rate, or as fast as they can be where it is not finite; so many at the same time.
pub(super) async fn open(
    world: &Rc<World>,
    places: impl Iterator<Item = Place>,
    per_second: f64,
    at_once: usize,
) -> Result<Vec<Rc<Socket>>, Failure> {
    let begun = Instant::now();
    let (mut sockets, mut opening) = (Vec::new(), JoinSet::new());
    for (number, place) in places.enumerate() {
        let due = begun + Duration::from_secs_f64(number as f64 / per_second);
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        let world = world.clone();
        opening.spawn_local(async move { connect(&world, place).await });
        while opening.len() >= at_once || (!opening.is_empty() && per_second.is_finite()) {
            let opened = if opening.len() < at_once { opening.try_join_next() } else { opening.join_next().await };
            let Some(opened) = opened else { break };
            sockets.push(opened.expect("connecting neither panics nor is cancelled")?);
        }
    }
    while let Some(opened) = opening.join_next().await {
        sockets.push(opened.expect("connecting neither panics nor is cancelled")?);
    }
    Ok(sockets)
}

/// Raises the limit of open files to what so many connections need.
///
/// # Errors
/// The machine does not allow it.
pub(crate) fn raise_open_files(connections: usize) -> Result<(), Failure> {
    let needed = connections as u64 + OTHER_FILES;
    let failed = |error| Failure::new(format!("cannot raise the limit of open files: {error}"));
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(failed)?;
    if soft >= needed {
        return Ok(());
    }
    if hard < needed {
        return Err(Failure::new(format!(
            "{connections} connections need {needed} open files, and this shell may have {hard}: \
             raise the hard limit (ulimit -Hn, as root) or ask for fewer connections; the server needs as many"
        )));
    }
    setrlimit(Resource::RLIMIT_NOFILE, needed.max(soft), hard).map_err(failed)
}
