//! Messages at a fixed rate, from users in turn; an acknowledgement's latency counts from the moment the message was due.

use clap::Args;
use serde::Serialize;

use super::{ASKED, Names, Talk, outcome_of_sends, whole};
use crate::{cli::Common, failure::Failure, report::Outcome};

/// What can be chosen.
#[derive(Args, Debug, Serialize)]
pub(crate) struct Options {
    /// Messages a second, a whole number up to 1000000
    #[arg(long, default_value_t = 1500, value_parser = whole::<u32>(1..=1_000_000))]
    rate: u32,
    #[command(flatten)]
    #[serde(flatten)]
    talk: Talk,
}

pub(super) fn names() -> Names {
    Names::of_sends(&[], &[ASKED])
}

pub(crate) async fn run(common: &Common, options: &Options) -> Result<Outcome, Failure> {
    let names = names();
    let (world, sockets) = options.talk.begin(common, &names, 0).await?;
    let send = world.send_in_turn(&sockets);
    let rate = f64::from(options.rate);
    world.measure_at(rate, common, send).await;
    world.compare(
        format_args!("messages were acknowledged"),
        world.per_second(world.meter.borrow().in_time("ack")),
        rate,
    );
    Ok(outcome_of_sends(&world, "rate", &names, vec![(ASKED, rate)]).await)
}
