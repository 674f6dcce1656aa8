//! A realistic day: most connections say nothing, some users type and then send, some read a page by REST, and now and
//! then one goes away and comes back.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use clap::Args;
use fastrand::Rng;
use hyper::Method;
use serde::Serialize;

use super::{
    ASKED, Names,
    crowd::{OPENING, open, raise_open_files, seat},
    even, outcome_of_sends, per_second, per_second_or_none,
    rest::messages,
};
use crate::{
    cli::Common,
    failure::Failure,
    report::Outcome,
    rest::Rest,
    socket::{Seat, Socket, connect},
    world::{World, pairs},
};

/// Files of connections that are being closed while their next ones are opened already.
const RETURNING: usize = 200;

/// What can be chosen; the rates are of everybody together.
#[derive(Args, Debug, Serialize)]
pub(crate) struct Options {
    /// Connections that only listen, an even number
    #[arg(long, default_value_t = 2000, value_parser = even)]
    idle: usize,
    /// Users who talk, two in each conversation: an even number
    #[arg(long, default_value_t = 200, value_parser = even)]
    talkers: usize,
    /// Messages a second, each after a typing event
    #[arg(long, default_value_t = 200.0, value_parser = per_second)]
    messages: f64,
    /// Pages a second, fetched by REST; 0 for none
    #[arg(long, default_value_t = 50.0, value_parser = per_second_or_none)]
    pages: f64,
    /// Listeners a second that go away and come back; 0 for none
    #[arg(long, default_value_t = 20.0, value_parser = per_second_or_none)]
    reconnects: f64,
    /// Seed of who talks and whose page is read: the same one makes the same day again
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(super) fn names() -> Names {
    Names::of_sends(&["page", "connect"], &[ASKED, "typing_sent", "typing_dropped"])
}

pub(crate) async fn run(common: &Common, options: &Options) -> Result<Outcome, Failure> {
    let names = names();
    let users = options.idle + options.talkers;
    // Those that come back overlap with those that went.
    raise_open_files(users + RETURNING, OPENING, common.transport)?;
    let world = World::prepare(common, users, &pairs(users), names.over_time).await?;
    let talks = |user| Seat { user, room: user / 2, joins: true, source: None };
    let talkers = world.connect_all(&(options.idle..users).map(talks).collect::<Vec<_>>()).await?;
    let listens = (0..options.idle).map(|number| seat(&world, number, false));
    let listeners = RefCell::new(open(&world, listens, f64::INFINITY).await?);
    let random = RefCell::new(Rng::with_seed(options.seed));
    let say = |due| {
        let socket = &talkers[random.borrow_mut().usize(..talkers.len())];
        world.send_typing(socket, "typing", None);
        world.send(socket, due);
        socket.flush();
    };
    let end = Instant::now() + Duration::from_secs_f64(common.warmup + common.duration);
    let measured = async {
        world.measure_at(options.messages, common, say).await;
        Ok(())
    };
    let pages = pages(&world, options, end, &random);
    let returns = reconnects(&world, options.reconnects, end, &listeners);
    tokio::try_join!(measured, pages, returns)?;
    world.compare(
        format_args!("messages were acknowledged"),
        world.per_second(world.meter.borrow().in_time("ack")),
        options.messages,
    );
    let mut outcome = outcome_of_sends(&world, "mixed", &names, vec![(ASKED, options.messages)]).await;
    let typing = world.typing.get();
    outcome.add_figure("typing_sent", typing.sent as f64);
    outcome.add_figure("typing_dropped", typing.sent.saturating_sub(typing.came) as f64);
    Ok(outcome)
}

/// Waits for the next turn of something that happens so many times a second and began its last turn `since`. Whether there
/// is one before the end of the run.
async fn next_turn(world: &World, per_second: f64, since: Instant, end: Instant) -> bool {
    let next = since + Duration::from_secs_f64(1.0 / per_second);
    if next >= end || world.ledger.borrow().is_deserted() {
        return false;
    }
    tokio::time::sleep_until(next.into()).await;
    true
}

/// Fetches newest pages, one call after the other, at a rate or as fast as that goes.
async fn pages(world: &World, options: &Options, end: Instant, random: &RefCell<Rng>) -> Result<(), Failure> {
    let mut rest = Rest::connect(&world.target).await?;
    world.ledger.borrow_mut().connected();
    let mut since = Instant::now();
    while options.pages > 0.0 && next_turn(world, options.pages, since, end).await {
        let user = options.idle + random.borrow_mut().usize(..options.talkers);
        let path = messages(world, user / 2);
        since = Instant::now();
        let call = (Method::GET, path.as_str(), user, None);
        match world.call(&mut rest, call, &["page"], end + world.patience).await {
            Some(answer) if answer.status.is_success() => world.ledger.borrow_mut().checked.pages += 1,
            Some(_) => (),
            None => break,
        }
    }
    world.ledger.borrow_mut().closed();
    Ok(())
}

/// Listeners that go away and come back, in turn.
async fn reconnects(
    world: &Rc<World>,
    per_second: f64,
    end: Instant,
    listeners: &RefCell<Vec<Rc<Socket>>>,
) -> Result<(), Failure> {
    let (mut turn, mut since) = (0, Instant::now());
    while per_second > 0.0 && next_turn(world, per_second, since, end).await {
        since = Instant::now();
        let place = turn % listeners.borrow().len();
        turn += 1;
        let user = {
            let listeners = listeners.borrow();
            listeners[place].cut();
            listeners[place].user
        };
        match connect(world, seat(world, user, false)).await {
            Ok(back) => listeners.borrow_mut()[place] = back,
            Err(failure) if failure.is_ours() => return Err(failure),
            Err(failure) => {
                world.ledger.borrow_mut().violation(format_args!("user {user} could not come back: {failure}"));
            }
        }
    }
    Ok(())
}
