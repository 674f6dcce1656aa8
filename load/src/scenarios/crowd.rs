//! Many connections: opened at a rate, from addresses enough, with files enough.

use std::{
    net::Ipv4Addr,
    rc::Rc,
    time::{Duration, Instant},
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::task::JoinSet;

use crate::{
    cli::Transport,
    failure::Failure,
    socket::{Seat, Socket, connect},
    world::World,
};

/// Connections from one source address: few of its ports are taken, so that a free one is found at once.
const PER_SOURCE: usize = 2_000;
/// Files that are open besides the connections.
const OTHER_FILES: u64 = 64;
/// Connections being opened at the same time.
pub(crate) const OPENING: usize = 256;
/// So many in a row that cannot be opened: the server is gone.
const FAILED: usize = 5;

/// Where a user listens; loopback has addresses enough to call from.
pub(super) fn seat(world: &World, number: usize, joins: bool) -> Seat {
    let is_loopback = world.target.address.ip().is_loopback() && world.target.address.is_ipv4();
    let source = is_loopback.then(|| Ipv4Addr::new(127, 0, 0, (1 + number / PER_SOURCE) as u8));
    Seat { user: number, room: number / 2, joins, source }
}

/// Opens connections at a rate, or as fast as they can be where it is not finite; in the order of their seats. Those that
/// cannot be opened are violations; after some of them in a row no more are tried.
///
/// # Errors
/// This machine cannot, or not even the first connections could be opened.
pub(super) async fn open(
    world: &Rc<World>,
    seats: impl Iterator<Item = Seat>,
    per_second: f64,
) -> Result<Vec<Rc<Socket>>, Failure> {
    let begun = Instant::now();
    let mut opened = Opened::default();
    let mut opening = JoinSet::new();
    let mut seats = seats.enumerate();
    while let Some((number, seat)) = seats.next() {
        let due = begun + Duration::from_secs_f64(number as f64 / per_second);
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        let caller = world.clone();
        opening.spawn_local(async move { (number, connect(&caller, seat).await) });
        while opening.len() >= OPENING || (!opening.is_empty() && per_second.is_finite()) {
            let next = if opening.len() < OPENING { opening.try_join_next() } else { opening.join_next().await };
            let Some(next) = next else { break };
            opened.add(world, next.expect("connecting neither panics nor is cancelled"))?;
        }
        if opened.failed_in_a_row >= FAILED {
            let more = seats.count();
            let why =
                format!("after {FAILED} connections in a row that could not be opened, {more} more were not tried");
            world.notes.borrow_mut().push(why);
            break;
        }
    }
    for next in opening.join_all().await {
        opened.add(world, next)?;
    }
    opened.sockets.sort_unstable_by_key(|(number, _)| *number);
    Ok(opened.sockets.into_iter().map(|(_, socket)| socket).collect())
}

#[derive(Default)]
struct Opened {
    sockets: Vec<(usize, Rc<Socket>)>,
    failed_in_a_row: usize,
}

impl Opened {
    fn add(&mut self, world: &World, (number, socket): (usize, Result<Rc<Socket>, Failure>)) -> Result<(), Failure> {
        match socket {
            Ok(socket) => {
                self.sockets.push((number, socket));
                self.failed_in_a_row = 0;
            }
            Err(failure) if failure.is_ours() || self.sockets.is_empty() => return Err(failure),
            Err(failure) => {
                self.failed_in_a_row += 1;
                world.ledger.borrow_mut().violation(format_args!("connection {number} could not be opened: {failure}"));
            }
        }
        Ok(())
    }
}

/// Raises the limit of open files to what so many connections need, of which some are `opening` at the same time.
///
/// # Errors
/// The machine does not allow it.
pub(crate) fn raise_open_files(connections: usize, opening: usize, transport: Transport) -> Result<(), Failure> {
    // The poll that an upgrade begins with may still be open when the WebSocket already is.
    let polls = if transport == Transport::Upgrade { opening.min(connections) } else { 0 };
    let needed = (connections + polls) as u64 + OTHER_FILES;
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
