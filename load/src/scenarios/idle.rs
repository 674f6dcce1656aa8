//! Many connections that say nothing: what one costs to open, and to keep while it answers the server's pings.

use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::{
    crowd::{open, place, raise_open_files},
    per_second,
};
use crate::{
    cli::Common,
    failure::Failure,
    report::Outcome,
    world::{World, pairs},
};

/// What can be chosen.
#[derive(Args, Debug, Serialize)]
pub(crate) struct Options {
    /// Connections, each of a user of its own
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=500_000))]
    connections: u32,
    /// Connections opened a second
    #[arg(long, default_value_t = 2000.0, value_parser = per_second)]
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
    let sockets = open(&world, places, options.connect_rate).await?;
    let opened = begun.elapsed().as_secs_f64();
    let opening = cpu_of(&world, "server");
    // What the opening left behind is cleared away before memory is looked at.
    world.pass(Duration::from_secs_f64(common.warmup), || ()).await;
    let (quiet_from, quiet_begun, pings_before) = (cpu_of(&world, "server"), Instant::now(), world.pings.get());
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
    let pings = (world.pings.get() - pings_before) as f64;
    figures.push(("pings".to_owned(), pings));
    if let Some(cpu) = quiet.filter(|_| pings > 0.0) {
        figures.push(("server_cpu_us_per_ping".to_owned(), cpu * 1e6 / pings));
    }
    Ok(Outcome::new(&world, "idle", figures, costs))
}

/// CPU seconds so far of a measured process.
fn cpu_of(world: &World, name: &str) -> Option<f64> {
    let costs = world.watch.borrow_mut().end(None, None);
    costs.into_iter().find(|(other, _)| other == name).map(|(_, cost)| cost.cpu_s)
}
