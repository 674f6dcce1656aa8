//! Users in pairs, each with so many messages in flight: the next is sent when one is acknowledged.

use std::{cell::Cell, rc::Rc, time::Instant};

use clap::Args;
use serde::Serialize;

use super::{Names, Talk, outcome_of_sends, whole};
use crate::{cli::Common, failure::Failure, meter::Part, report::Outcome};

/// What can be chosen.
#[derive(Args, Debug, Serialize)]
pub(crate) struct Options {
    /// Messages that each user has in flight, 1 to 256
    #[arg(long, default_value_t = 1, value_parser = whole::<u32>(1..=256))]
    in_flight: u32,
    #[command(flatten)]
    #[serde(flatten)]
    talk: Talk,
}

pub(super) fn names() -> Names {
    Names::of_sends(&[], &[])
}

pub(crate) async fn run(common: &Common, options: &Options) -> Result<Outcome, Failure> {
    let names = names();
    let (world, sockets) = options.talk.begin(common, &names, 0).await?;
    let goes_on = Rc::new(Cell::new(true));
    let next = goes_on.clone();
    // The reader flushes after it has handled what came.
    world.on_ack(move |world, socket| {
        if next.get() {
            world.send(socket, Instant::now());
        }
    });
    for socket in &sockets {
        (0..options.in_flight).for_each(|_| world.send(socket, Instant::now()));
        socket.flush();
    }
    world.warm_up_and_measure(Part::default(), common).await;
    goes_on.set(false);
    Ok(outcome_of_sends(&world, "chat", &names, Vec::new()).await)
}
