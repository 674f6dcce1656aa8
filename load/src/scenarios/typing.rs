//! Typing events, relayed to the other side of each pair and stored nowhere.

use std::cell::Cell;

use clap::Args;
use serde::Serialize;

use super::even;
use crate::{
    cli::Common,
    failure::Failure,
    report::Outcome,
    socket::Asked,
    wire,
    world::{World, pairs},
};

/// What can be chosen.
#[derive(Args, Debug, Serialize)]
pub(crate) struct Options {
    /// Events a second
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// Users, two in each conversation
    #[arg(long, default_value_t = 256, value_parser = even)]
    users: usize,
    /// One of so many events asks for an acknowledgement, whose latency is shown
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    ask_every: u32,
}

pub(crate) async fn run(common: &Common, options: &Options) -> Result<Outcome, Failure> {
    let pairs = pairs(options.users);
    let world = World::prepare(common, options.users, &pairs, &["typing", "connect"]).await?;
    let sockets = world.connect_all(&World::places_of_pairs(&pairs)).await?;
    let turn = Cell::new(0_usize);
    let say = |due| {
        let number = turn.replace(turn.get() + 1);
        let socket = &sockets[number % sockets.len()];
        let name = if (number / sockets.len()).is_multiple_of(2) { "typing" } else { "stop_typing" };
        let asks = number.is_multiple_of(options.ask_every as usize);
        let ack = asks.then(|| socket.ask(Asked::Typing, due));
        socket.queue(wire::about(name, world.ledger.borrow().conversation_id(socket.room), ack));
        socket.flush();
        let (sent, came) = world.typing.get();
        world.typing.set((sent + 1, came));
    };
    world.measure_at(options.rate.into(), common, say).await;
    let relayed = world.relayed.get() as f64;
    let costs = world.watch.borrow_mut().end(Some(relayed), None);
    let all_came = || world.typing.get().1 >= world.typing.get().0;
    // In vain: typing may be dropped; the figure says how much was.
    let _ = world.until("every event is relayed", all_came).await;
    let (sent, came) = world.typing.get();
    if came > sent {
        world.ledger.borrow_mut().violation(format_args!("{sent} typing events were sent, and {came} came"));
    }
    let seconds = world.meter.borrow().measured().as_secs_f64();
    let figures = vec![
        ("relayed_per_s".to_owned(), relayed / seconds),
        ("typing_sent".to_owned(), sent as f64),
        ("typing_dropped".to_owned(), sent.saturating_sub(came) as f64),
    ];
    Ok(Outcome::new(&world, "typing", figures, costs))
}
