//! Messages at a fixed rate, from users in turn; an acknowledgement's latency counts from the moment the message was due.

use std::cell::Cell;

use clap::Args;
use serde::Serialize;

use super::{Talk, of_sends};
use crate::{cli::Common, failure::Failure, report::Outcome};

/// What can be chosen.
#[derive(Args, Debug, Serialize)]
pub(crate) struct Options {
    /// Messages a second
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    #[command(flatten)]
    #[serde(flatten)]
    talk: Talk,
}

pub(crate) async fn run(common: &Common, options: &Options) -> Result<Outcome, Failure> {
    let (world, sockets) = options.talk.begin(common).await?;
    let turn = Cell::new(0);
    let send = |due| {
        let socket = &sockets[turn.replace(turn.get() + 1) % sockets.len()];
        world.send(socket, due);
        socket.flush();
    };
    world.measure_at(options.rate.into(), common, send).await;
    Ok(of_sends(&world, "rate").await)
}
