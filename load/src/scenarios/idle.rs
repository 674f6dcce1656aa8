//! Many connections that say nothing: what one costs to open, and to keep while it answers the server's pings.

use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::{
    Names,
    crowd::{OPENING, open, raise_open_files, seat},
    per_second, whole,
};
use crate::{
    cli::Common,
    failure::Failure,
    meter::Part,
    report::Outcome,
    world::{World, pairs},
};

/// The process whose CPU is divided by connections and pings.
const SERVER: &str = "server";
const OPEN_CPU: &str = "server_cpu_ms_per_connect";
const QUIET_CPU: &str = "quiet_server_cpu_us_per_connection_and_s";
const PING_CPU: &str = "server_cpu_us_per_ping";

/// What can be chosen.
#[derive(Args, Debug, Serialize)]
pub(crate) struct Options {
    /// Connections, each of a user of its own, 1 to 500000
    #[arg(long, default_value_t = 10_000, value_parser = whole::<u32>(1..=500_000))]
    connections: u32,
    /// Connections opened a second
    #[arg(long, default_value_t = 2000.0, value_parser = per_second)]
    connect_rate: f64,
    /// Join each user's conversation, too
    #[arg(long)]
    join: bool,
}

pub(super) fn names(common: &Common) -> Names {
    let mut figures = vec!["connections", "connects_per_s", "pings"];
    if common.process.iter().any(|process| process.name == SERVER) {
        figures.extend([OPEN_CPU, QUIET_CPU, PING_CPU]);
    }
    Names::new(("connect", "connections opened"), &[], &figures)
}

pub(crate) async fn run(common: &Common, options: &Options) -> Result<Outcome, Failure> {
    let names = names(common);
    let count = options.connections as usize;
    raise_open_files(count, OPENING, common.transport)?;
    let users = count.next_multiple_of(2);
    let world = World::prepare(common, users, &pairs(users), names.over_time).await?;
    world.begin(Part::default());
    world.watch.borrow_mut().begin_with_memory();
    let begun = Instant::now();
    let seats = (0..count).map(|number| seat(&world, number, options.join));
    let sockets = world.meanwhile(open(&world, seats, options.connect_rate)).await?;
    let opened = begun.elapsed().as_secs_f64();
    let opening_cpu = cpu_of(&world, SERVER);
    // What the opening left behind is cleared away before memory is looked at.
    world.pass(Duration::from_secs_f64(common.warmup)).await;
    let (quiet_from, quiet_begun, pings_before) = (cpu_of(&world, SERVER), Instant::now(), pings(&world));
    world.pass(Duration::from_secs_f64(common.duration)).await;
    let connections = sockets.len() as f64;
    let costs = world.watch.borrow_mut().cost_so_far(None, Some(connections));
    let quiet_cpu = cpu_of(&world, SERVER).zip(quiet_from).map(|(now, before)| now - before);
    let seconds = quiet_begun.elapsed().as_secs_f64();
    let pings = (pings(&world) - pings_before) as f64;
    world.meter.borrow_mut().end();
    world.check_pings(&sockets);
    world.measured(sockets.len() as u64, "connection was opened");
    let mut figures = vec![("connections", connections), ("connects_per_s", connections / opened), ("pings", pings)];
    figures.extend(opening_cpu.map(|cpu| (OPEN_CPU, cpu * 1e3 / connections)));
    figures.extend(quiet_cpu.map(|cpu| (QUIET_CPU, cpu * 1e6 / connections / seconds)));
    figures.extend(quiet_cpu.filter(|_| pings > 0.0).map(|cpu| (PING_CPU, cpu * 1e6 / pings)));
    Ok(Outcome::new(&world, "idle", &names, figures, costs))
}

fn pings(world: &World) -> u64 {
    world.ledger.borrow().checked.pings
}

/// CPU seconds so far of a measured process.
fn cpu_of(world: &World, name: &str) -> Option<f64> {
    let costs = world.watch.borrow_mut().cost_so_far(None, None);
    costs.into_iter().find(|(other, _)| other == name).map(|(_, cost)| cost.cpu_s)
}
