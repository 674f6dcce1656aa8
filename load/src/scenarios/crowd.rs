//! Many connections: opened at a rate, from addresses enough, with files enough.

use std::{
    net::Ipv4Addr,
    rc::Rc,
    time::{Duration, Instant},
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::task::JoinSet;

use crate::{
    failure::Failure,
    socket::{Place, Socket, connect},
    world::World,
};

/// Connections from one source address: its ports must do.
const PER_SOURCE: usize = 20_000;
/// Files that are open besides the connections.
const OTHER_FILES: u64 = 64;
/// Connections being opened at the same time.
const OPENING: usize = 256;

/// Where a connection calls from: loopback has addresses enough.
pub(super) fn place(world: &World, number: usize, joins: bool) -> Place {
    let is_loopback = world.target.address.ip().is_loopback() && world.target.address.is_ipv4();
    let source = is_loopback.then(|| Ipv4Addr::new(127, 0, 0, (1 + number / PER_SOURCE) as u8));
    Place { user: number, room: number / 2, joins, source }
}

/// Opens connections at a rate, or as fast as they can be where it is not finite; in the order of their places.
pub(super) async fn open(
    world: &Rc<World>,
    places: impl Iterator<Item = Place>,
    per_second: f64,
) -> Result<Vec<Rc<Socket>>, Failure> {
    let begun = Instant::now();
    let (mut sockets, mut opening) = (Vec::new(), JoinSet::new());
    for (number, place) in places.enumerate() {
        let due = begun + Duration::from_secs_f64(number as f64 / per_second);
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        let world = world.clone();
        opening.spawn_local(async move { (number, connect(&world, place).await) });
        while opening.len() >= OPENING || (!opening.is_empty() && per_second.is_finite()) {
            let opened = if opening.len() < OPENING { opening.try_join_next() } else { opening.join_next().await };
            let Some(opened) = opened else { break };
            sockets.push(opened.expect("connecting neither panics nor is cancelled"));
        }
    }
    sockets.extend(opening.join_all().await);
    sockets.sort_unstable_by_key(|(number, _)| *number);
    sockets.into_iter().map(|(_, socket)| socket).collect()
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
