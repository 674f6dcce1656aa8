//! Messages at a fixed rate, from users in turn; an acknowledgement's latency counts from the moment the message was due.

use std::cell::Cell;

use clap::Args;
use serde::Serialize;

use super::{even, of_sends};
use crate::{
    cli::Common,
    failure::Failure,
    report::Outcome,
    world::{World, pairs},
};

/// What can be chosen.
#[derive(Args, Debug, Serialize)]
pub(crate) struct Options {
    /// Messages a second
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// Users, two in each conversation
    #[arg(long, default_value_t = 256, value_parser = even)]
    users: usize,
    /// Length of a message's text, in characters
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(40..=2000))]
    text_length: u16,
}

pub(crate) async fn run(common: &Common, options: &Options) -> Result<Outcome, Failure> {
    let pairs = pairs(options.users);
    let world = World::prepare(common, options.users, &pairs, &["ack", "delivery", "connect"]).await?;
    world.text_length.set(options.text_length.into());
    let sockets = world.connect_all(&World::places_of_pairs(&pairs)).await?;
    let turn = Cell::new(0);
    let send = |due| {
        let socket = &sockets[turn.replace(turn.get() + 1) % sockets.len()];
        world.send(socket, due);
        socket.flush();
    };
    world.measure_at(options.rate.into(), common, send).await;
    Ok(of_sends(&world, "rate").await)
}
