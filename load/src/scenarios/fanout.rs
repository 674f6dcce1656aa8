//! Many sockets in one room, half of them of each participant, and messages to all of them.

use clap::Args;
use serde::Serialize;

use super::per_second;
use crate::{cli::Common, failure::Failure, report::Outcome, socket::Place, world::World};

/// What can be chosen.
#[derive(Args, Debug, Serialize)]
pub(crate) struct Options {
    /// Sockets in the room
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..=60_000))]
    sockets: u32,
    /// Bursts a second
    #[arg(long, default_value_t = 10.0, value_parser = per_second)]
    rate: f64,
    /// Messages in each burst, sent at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    burst: u32,
}

pub(crate) async fn run(common: &Common, options: &Options) -> Result<Outcome, Failure> {
    let world = World::prepare(common, 2, &[[0, 1]], &["delivery", "ack", "connect"]).await?;
    let place = |number: u32| Place { user: number as usize % 2, room: 0, joins: true, source: None };
    let sockets = world.connect_all(&(0..options.sockets).map(place).collect::<Vec<_>>()).await?;
    let say = |due| {
        (0..options.burst).for_each(|_| world.send(&sockets[0], due));
        sockets[0].flush();
    };
    world.measure_at(options.rate, common, say).await;
    // Everybody's new_message, and the other side's notification besides.
    let notified = world.meter.borrow().count("ack") as f64 * f64::from(options.sockets / 2);
    let events = world.deliveries.get() as f64 + notified;
    let costs = world.watch.borrow_mut().end(Some(events), None);
    world.settle().await;
    let seconds = world.meter.borrow().measured().as_secs_f64();
    let figures = vec![
        ("deliveries_per_s".to_owned(), world.deliveries.get() as f64 / seconds),
        ("events_per_s".to_owned(), events / seconds),
        ("sends_per_s".to_owned(), world.meter.borrow().count("ack") as f64 / seconds),
    ];
    Ok(Outcome::new(&world, "fanout", figures, costs))
}
