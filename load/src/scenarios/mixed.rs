//! A realistic day: most connections say nothing, some users type and then send, some read a page by REST, and now and
//! then one goes away and comes back.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use clap::Args;
use hyper::Method;
use serde::Serialize;

use super::{
    crowd::{open, place, raise_open_files},
    even, of_sends,
    pace::pace,
    per_second, per_second_or_none,
};
use crate::{
    cli::Common,
    failure::Failure,
    report::Outcome,
    rest::Rest,
    socket::{Place, Socket, connect},
    wire,
    world::{World, pairs},
};

/// Files of connections that are being closed while their next ones are opened already.
const RETURNING: usize = 200;

/// What can be chosen; the rates are of everybody together, a second.
#[derive(Args, Debug, Serialize)]
pub(crate) struct Options {
    /// Connections that only listen
    #[arg(long, default_value_t = 2000, value_parser = even)]
    idle: usize,
    /// Users who talk, two in each conversation
    #[arg(long, default_value_t = 200, value_parser = even)]
    talkers: usize,
    /// Messages, each after a typing event
    #[arg(long, default_value_t = 200.0, value_parser = per_second)]
    messages: f64,
    /// Pages fetched by REST
    #[arg(long, default_value_t = 50.0, value_parser = per_second_or_none)]
    pages: f64,
    /// Listeners that go away and come back
    #[arg(long, default_value_t = 20.0, value_parser = per_second_or_none)]
    reconnects: f64,
}

pub(crate) async fn run(common: &Common, options: &Options) -> Result<Outcome, Failure> {
    let users = options.idle + options.talkers;
    // Those that come back overlap with those that went.
    raise_open_files(users + RETURNING)?;
    let world = World::prepare(common, users, &pairs(users), &["ack", "delivery", "page", "connect"]).await?;
    let talks = |user| Place { user, room: user / 2, joins: true, source: None };
    let talkers = world.connect_all(&(options.idle..users).map(talks).collect::<Vec<_>>()).await?;
    let listens = (0..options.idle).map(|number| place(&world, number, false));
    let listeners = RefCell::new(open(&world, listens, f64::INFINITY).await?);
    let (warmup, duration) = (Duration::from_secs_f64(common.warmup), Duration::from_secs_f64(common.duration));
    let time = warmup + duration;
    let measured = async {
        world.pass(warmup, || ()).await;
        world.measure(duration, || ()).await;
        Ok::<_, Failure>(())
    };
    let (random, turn) = (Cell::new(common.seed | 1), Cell::new(0_usize));
    let talk = async {
        pace(options.messages, time, |due| say(&world, &talkers[next(&random) % talkers.len()], due)).await;
        Ok(())
    };
    let pages = pages(&world, options, time, &random);
    let returns = async {
        let begun = Instant::now();
        while begun.elapsed() < time && options.reconnects > 0.0 {
            tokio::time::sleep(Duration::from_secs_f64(1.0 / options.reconnects)).await;
            let number = turn.replace(turn.get() + 1) % options.idle;
            listeners.borrow()[number].cut();
            let back = connect(&world, place(&world, number, false)).await?;
            listeners.borrow_mut()[number] = back;
        }
        Ok(())
    };
    tokio::try_join!(measured, talk, pages, returns)?;
    Ok(of_sends(&world, "mixed").await)
}

fn say(world: &World, socket: &Rc<Socket>, due: Instant) {
    let typing = wire::about("typing", world.ledger.borrow().conversation_id(socket.room), None);
    socket.queue(typing);
    world.send(socket, due);
    socket.flush();
}

/// Fetches newest pages, one call after the other, at a rate or as fast as that goes.
async fn pages(world: &World, options: &Options, time: Duration, random: &Cell<u64>) -> Result<(), Failure> {
    let mut rest = Rest::connect(&world.target).await?;
    let begun = Instant::now();
    while begun.elapsed() < time && options.pages > 0.0 {
        let user = options.idle + next(random) % options.talkers;
        let path = format!("/api/chat/conversations/{}/messages", world.ledger.borrow().conversation_id(user / 2));
        let since = Instant::now();
        let (status, body) = rest.call(Method::GET, &path, &world.users[user].token, None).await?;
        if !status.is_success() {
            return Err(Failure::new(format!("{path}: {status} {}", String::from_utf8_lossy(&body))));
        }
        world.meter.borrow_mut().record("page", since.elapsed());
        tokio::time::sleep(Duration::from_secs_f64(1.0 / options.pages).saturating_sub(since.elapsed())).await;
    }
    Ok(())
}

/// The next number of a pseudo-random sequence (xorshift64, Marsaglia 2003): a seed makes the same day again.
fn next(state: &Cell<u64>) -> usize {
    let mut x = state.get();
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    state.set(x);
    (x >> 16) as usize
}
