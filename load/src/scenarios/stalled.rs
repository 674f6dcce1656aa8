//! Messages at a fixed rate, in turn without and with readers that have stopped reading in the same conversations.

use std::time::Duration;

use clap::Args;
use futures::future::{join_all, try_join_all};
use serde::Serialize;

use super::{ASKED, Names, SENDS, Talk, pace::pace, whole};
use crate::{
    cli::Common,
    failure::Failure,
    meter::Part,
    opening::{Opening, Width},
    processes::CostOfParts,
    report::Outcome,
    socket::Seat,
    world::{CONNECTING, World},
};

/// What is measured without them has names of its own.
const QUIET: Part = Part { name: "without", aliases: &[("ack", "ack_quiet"), ("delivery", "delivery_quiet")] };
const STALLED: Part = Part { name: "with", aliases: &[] };

/// What can be chosen.
#[derive(Args, Debug, Serialize)]
pub(crate) struct Options {
    /// Readers that join and then read nothing more, 1 to 50000
    #[arg(long, default_value_t = 500, value_parser = whole::<u32>(1..=50_000))]
    readers: u32,
    /// How often it is measured without and then with them; --duration is how long each time
    #[arg(long, default_value_t = 3, value_parser = whole::<u32>(1..=1000))]
    rounds: u32,
    /// Messages a second, a whole number up to 1000000
    #[arg(long, default_value_t = 500, value_parser = whole::<u32>(1..=1_000_000))]
    rate: u32,
    #[command(flatten)]
    #[serde(flatten)]
    talk: Talk,
}

pub(super) fn names() -> Names {
    let figures = ["readers", "readers_closed", "ack_p99_ms_without", "ack_p99_ms_with", "ack_p99_ratio", ASKED];
    Names::of_sends(&["ack_quiet", "delivery_quiet"], &figures)
}

pub(crate) async fn run(common: &Common, options: &Options) -> Result<Outcome, Failure> {
    let names = names();
    let (world, sockets) = options.talk.begin(common, &names, options.readers as usize).await?;
    let send = world.send_in_turn(&sockets);
    let rate = f64::from(options.rate);
    let (closed, costs) = pace(rate, rounds(&world, common, options), send).await?;
    let both = |kind, quiet| world.meter.borrow().in_time(kind) + world.meter.borrow().in_time(quiet);
    let (sends, deliveries) = (both("ack", "ack_quiet"), both("delivery", "delivery_quiet"));
    world.compare(format_args!("messages were acknowledged"), world.per_second(sends), rate);
    world.measured(sends, "message was acknowledged");
    world.settle(|| true).await;
    let p99 = |kind| world.meter.borrow().summary(kind).map_or(0.0, |summary| summary.p99_ms);
    let (without, with) = (p99("ack_quiet"), p99("ack"));
    let figures = SENDS.into_iter().zip([sends, deliveries].map(|count| world.per_second(count))).chain([
        ("readers", f64::from(options.readers)),
        ("readers_closed", closed as f64),
        ("ack_p99_ms_without", without),
        ("ack_p99_ms_with", with),
        ("ack_p99_ratio", with / without.max(0.001)),
        (ASKED, rate),
    ]);
    Ok(Outcome::new(&world, "stalled", &names, figures, costs))
}

/// Measures all rounds; how many of the readers the server has closed, and what both parts cost.
async fn rounds(world: &World, common: &Common, options: &Options) -> Result<(usize, CostOfParts), Failure> {
    let (warmup, time) = [common.warmup, common.duration].map(Duration::from_secs_f64).into();
    let (mut closed, mut costs) = (0, CostOfParts::default());
    let mut measured = |part: Part| costs.add(part.name, world.watch.borrow_mut().cost_so_far(None, None));
    for _ in 0..options.rounds {
        // What the readers before left behind is cleared away.
        world.pass(warmup).await;
        world.measure(QUIET, time).await;
        measured(QUIET);
        let mut readers = stall(world, options.readers as usize).await?;
        world.measure(STALLED, time).await;
        measured(STALLED);
        // The last messages are answered before the readers go on reading, which is another load.
        world.pass(warmup).await;
        let ends = join_all(readers.iter_mut().map(Opening::is_closed)).await;
        closed += ends.into_iter().filter(|is_closed| *is_closed).count();
    }
    Ok((closed, costs))
}

/// Opens so many readers, spread over all users, who read nothing after their join.
async fn stall(world: &World, count: usize) -> Result<Vec<Opening>, Failure> {
    let mut readers = Vec::with_capacity(count);
    while readers.len() < count {
        let numbers = readers.len()..count.min(readers.len() + CONNECTING);
        readers.extend(try_join_all(numbers.map(|number| stalled(world, number))).await?);
    }
    Ok(readers)
}

async fn stalled(world: &World, number: usize) -> Result<Opening, Failure> {
    let user = number % world.users.len();
    let seat = Seat { user, room: user / 2, joins: true, source: None };
    let mut reader = Opening::connected(world, seat, Width::Narrow).await?;
    let conversation = world.ledger.borrow().conversation_id(seat.room).to_owned();
    reader.join(&conversation).await?;
    Ok(reader)
}
