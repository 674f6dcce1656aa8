//! All connections drop at the same moment and come back as fast as they can, while other users go on talking.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use clap::Args;

use super::{
    idle::{open, place, raise_open_files},
    pace::pace,
};
use crate::{
    cli::Common,
    failure::Failure,
    meter::Meter,
    report::Outcome,
    socket::{Place, Socket},
    world::{World, pairs},
};

/// Users of the talk in the background.
const TALKERS: usize = 32;

/// What can be chosen.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Connections that drop and come back
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=500_000))]
    connections: u32,
    /// Messages a second between other users, before, during and after
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    background: u32,
}

pub(crate) async fn run(common: &Common, options: &Options) -> Result<Outcome, Failure> {
    let count = options.connections as usize;
    raise_open_files(2 * count + TALKERS)?;
    let users = count.next_multiple_of(2) + TALKERS;
    let world = World::prepare(common, users, &pairs(users), &["ack", "connect"]).await?;
    let talkers: Vec<_> =
        (users - TALKERS..users).map(|user| Place { user, room: user / 2, joins: true, source: None }).collect();
    let talkers = world.connect_all(&talkers).await?;
    let places = || (0..count).map(|number| place(&world, number, false)).collect::<Vec<_>>();
    let sockets = open(&world, places().into_iter(), f64::INFINITY).await?;
    let is_over = Cell::new(false);
    let storm = async {
        let result = storm(&world, sockets, places(), Duration::from_secs_f64(common.duration)).await;
        is_over.set(true);
        result
    };
    let turn = Cell::new(0);
    let talk = async {
        while !is_over.get() {
            pace(options.background.into(), Duration::from_millis(500), |due| {
                let socket = &talkers[turn.replace(turn.get() + 1) % talkers.len()];
                world.send(socket, due);
                socket.flush();
            })
            .await;
        }
    };
    let (result, ()) = tokio::join!(storm, talk);
    let (figures, sockets) = result?;
    let costs = world.watch.borrow_mut().end(None, Some(sockets.len() as f64));
    world.settle().await;
    let chosen = serde_json::json!({"connections": count, "background": options.background});
    Ok(Outcome::new(&world, "storm", chosen, figures, costs))
}

type Figures = Vec<(String, f64)>;

async fn storm(
    world: &Rc<World>,
    sockets: Vec<Rc<Socket>>,
    places: Vec<Place>,
    quiet: Duration,
) -> Result<(Figures, Vec<Rc<Socket>>), Failure> {
    world.pass(Duration::from_secs(2), || ()).await;
    world.measure(quiet, || ()).await;
    let before = p99(&world.meter.borrow());
    *world.meter.borrow_mut() = Meter::new(&["ack", "connect"]);
    world.meter.borrow_mut().begin();
    world.watch.borrow_mut().begin(false);
    let (begun, count) = (Instant::now(), sockets.len());
    sockets.iter().for_each(|socket| socket.cut());
    drop(sockets);
    let back = open(world, places.into_iter(), f64::INFINITY).await?;
    let took = begun.elapsed().as_secs_f64();
    world.meter.borrow_mut().end();
    let during = p99(&world.meter.borrow());
    let figures = vec![
        ("connections".to_owned(), count as f64),
        ("connections_back".to_owned(), back.len() as f64),
        ("seconds_until_all_are_back".to_owned(), took),
        ("ack_p99_ms_before".to_owned(), before),
        ("ack_p99_ms_during".to_owned(), during),
        ("ack_p99_ratio".to_owned(), during / before.max(0.001)),
    ];
    Ok((figures, back))
}

fn p99(meter: &Meter) -> f64 {
    let summaries = meter.summaries();
    summaries.into_iter().find(|(kind, _)| *kind == "ack").map_or(0.0, |(_, summary)| summary.p99_ms)
}
