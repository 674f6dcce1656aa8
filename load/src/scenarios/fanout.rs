//! Many sockets in one room, half of them of each participant, and messages to all of them.

use clap::Args;
use serde::Serialize;

use super::{ASKED, Names, crowd::raise_open_files, per_second, whole};
use crate::{
    cli::Common,
    failure::Failure,
    report::Outcome,
    socket::Seat,
    world::{CONNECTING, World},
};

/// What can be chosen.
#[derive(Args, Debug, Serialize)]
pub(crate) struct Options {
    /// Sockets in the room, 2 to 60000
    #[arg(long, default_value_t = 1000, value_parser = whole::<u32>(2..=60_000))]
    sockets: u32,
    /// Bursts a second
    #[arg(long, default_value_t = 10.0, value_parser = per_second)]
    rate: f64,
    /// Messages in each burst, sent at once, 1 to 100
    #[arg(long, default_value_t = 1, value_parser = whole::<u32>(1..=100))]
    burst: u32,
}

pub(super) fn names() -> Names {
    let figures = ["deliveries_per_s", "events_per_s", "sends_per_s", ASKED];
    Names::new(("delivery", "deliveries"), &["ack"], &figures)
}

pub(crate) async fn run(common: &Common, options: &Options) -> Result<Outcome, Failure> {
    let names = names();
    raise_open_files(options.sockets as usize, CONNECTING, common.transport)?;
    let world = World::prepare(common, 2, &[[0, 1]], names.over_time).await?;
    let seat = |number: u32| Seat { user: number as usize % 2, room: 0, joins: true, source: None };
    let sockets = world.connect_all(&(0..options.sockets).map(seat).collect::<Vec<_>>()).await?;
    let say = |due| {
        (0..options.burst).for_each(|_| world.send(&sockets[0], due));
        sockets[0].flush();
    };
    world.measure_at(options.rate, common, say).await;
    let (acks, deliveries) = (world.meter.borrow().in_time("ack"), world.meter.borrow().in_time("delivery"));
    // Everybody's new_message, and the other side's notification besides.
    let events = deliveries + acks * u64::from(options.sockets / 2);
    let costs = world.watch.borrow_mut().cost_so_far(Some(events as f64), None);
    let asked = options.rate * f64::from(options.burst);
    world.compare(format_args!("messages were acknowledged"), world.per_second(acks), asked);
    world.measured(deliveries, "delivery came");
    world.settle(|| true).await;
    let figures = vec![
        ("deliveries_per_s", world.per_second(deliveries)),
        ("events_per_s", world.per_second(events)),
        ("sends_per_s", world.per_second(acks)),
        (ASKED, asked),
    ];
    Ok(Outcome::new(&world, "fanout", &names, figures, costs))
}
