//! Typing events, relayed to the other side of each pair and stored nowhere.

use std::cell::Cell;

use clap::Args;
use serde::Serialize;

use super::{ASKED, Names, crowd::raise_open_files, even, whole};
use crate::{
    cli::Common,
    failure::Failure,
    report::Outcome,
    world::{CONNECTING, World, pairs},
};

/// What can be chosen.
#[derive(Args, Debug, Serialize)]
pub(crate) struct Options {
    /// Events a second, a whole number up to 1000000
    #[arg(long, default_value_t = 5000, value_parser = whole::<u32>(1..=1_000_000))]
    rate: u32,
    /// Users, two in each conversation: an even number
    #[arg(long, default_value_t = 256, value_parser = even)]
    users: usize,
    /// One of so many events asks for an acknowledgement, whose latency is shown
    #[arg(long, default_value_t = 50, value_parser = whole::<u32>(1..=u64::from(u32::MAX)))]
    ask_every: u32,
}

pub(super) fn names() -> Names {
    let figures = ["relayed_per_s", ASKED, "typing_sent", "typing_dropped"];
    Names::new(("typing", "typing events that asked for an acknowledgement and got it"), &[], &figures)
}

pub(crate) async fn run(common: &Common, options: &Options) -> Result<Outcome, Failure> {
    let names = names();
    raise_open_files(options.users, CONNECTING, common.transport)?;
    let pairs = pairs(options.users);
    let world = World::prepare(common, options.users, &pairs, names.over_time).await?;
    let sockets = world.connect_all(&World::seats_of_pairs(&pairs)).await?;
    let turn = Cell::new(0_usize);
    let say = |due| {
        let number = turn.replace(turn.get() + 1);
        let socket = &sockets[number % sockets.len()];
        let name = if (number / sockets.len()).is_multiple_of(2) { "typing" } else { "stop_typing" };
        let asks = number.is_multiple_of(options.ask_every as usize);
        world.send_typing(socket, name, asks.then_some(due));
        socket.flush();
    };
    let rate = f64::from(options.rate);
    world.measure_at(rate, common, say).await;
    let relayed = world.typing.get().in_time;
    let costs = world.watch.borrow_mut().cost_so_far(Some(relayed as f64), None);
    world.compare(format_args!("typing events were relayed"), world.per_second(relayed), rate);
    world.measured(relayed, "typing event was relayed");
    // Typing may be dropped; an answer that was asked for may not.
    world.settle(|| sockets.iter().all(|socket| socket.unanswered().is_empty())).await;
    for socket in &sockets {
        for since in socket.unanswered() {
            world.meter.borrow_mut().waited("typing", since);
            let what = format_args!("socket {} was never told that its typing was received", socket.number);
            world.ledger.borrow_mut().violation(what);
        }
    }
    let typing = world.typing.get();
    let figures = vec![
        ("relayed_per_s", world.per_second(relayed)),
        (ASKED, rate),
        ("typing_sent", typing.sent as f64),
        ("typing_dropped", typing.sent.saturating_sub(typing.came) as f64),
    ];
    Ok(Outcome::new(&world, "typing", &names, figures, costs))
}
