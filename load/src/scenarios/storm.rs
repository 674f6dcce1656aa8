//! All connections drop at the same moment and come back as fast as they can, while other users go on talking.
//!
//! The crowd that comes back has a thread of its own: on the one of the talk, the talk would wait for the tool.

use std::{
    cell::Cell,
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use serde::Serialize;
use tokio::{
    runtime,
    sync::oneshot,
    task::{JoinSet, LocalSet},
};

use super::{
    crowd::{open, place, raise_open_files},
    pace::pace,
};
use crate::{
    cli::Common,
    failure::Failure,
    meter::{Meter, Summary},
    report::Outcome,
    socket::{Place, Socket, connect},
    verdict::Violations,
    world::{World, pairs},
};

/// Users of the talk in the background.
const TALKERS: usize = 32;
/// The crowd's first connections a second, so that they are no storm themselves.
const FIRST_CONNECTS_PER_S: f64 = 2000.0;

/// What can be chosen.
#[derive(Args, Debug, Serialize)]
pub(crate) struct Options {
    /// Connections that drop and come back; --duration is how long the others are measured before
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=500_000))]
    connections: u32,
    /// Messages a second between other users, before, during and after
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    background: u32,
}

pub(crate) async fn run(common: &Common, options: &Options) -> Result<Outcome, Failure> {
    let count = options.connections as usize;
    raise_open_files(count + TALKERS)?;
    // The talkers' numbers come first: a file of tokens may have none to spare.
    let mut crowd = Crowd::start(common, TALKERS, count);
    crowd.opened().await?;
    let world = World::prepare(common, TALKERS, &pairs(TALKERS), &["ack"]).await?;
    let talkers = world.connect_all(&World::places_of_pairs(&pairs(TALKERS))).await?;
    let is_over = Cell::new(false);
    let storm = async {
        let result = storm(&world, &mut crowd, Duration::from_secs_f64(common.duration)).await;
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
    let Storm { quiet, back } = result?;
    let costs = world.watch.borrow_mut().end(None, None);
    world.settle().await;
    let violations = crowd.leave()?;
    let p99 = |summary: &Option<Summary>| summary.as_ref().map_or(0.0, |summary| summary.p99_ms);
    let during = world.meter.borrow().summary("ack");
    let figures = vec![
        ("connections".to_owned(), count as f64),
        ("connections_back".to_owned(), back.connections as f64),
        ("seconds_until_all_are_back".to_owned(), back.took.as_secs_f64()),
        ("ack_p99_ms_before".to_owned(), p99(&quiet)),
        ("ack_p99_ms_during".to_owned(), p99(&during)),
        ("ack_p99_ratio".to_owned(), p99(&during) / p99(&quiet).max(0.001)),
    ];
    let mut outcome = Outcome::new(&world, "storm", figures, costs);
    outcome.add_latency("ack_quiet", quiet);
    outcome.add_latency("connect", back.connect);
    outcome.verdict.add(violations);
    Ok(outcome)
}

struct Storm {
    /// Acknowledgements before it.
    quiet: Option<Summary>,
    back: Back,
}

async fn storm(world: &World, crowd: &mut Crowd, quiet: Duration) -> Result<Storm, Failure> {
    world.pass(Duration::from_secs(2), || ()).await;
    world.measure(quiet, || ()).await;
    let before = world.meter.borrow().summary("ack");
    *world.meter.borrow_mut() = Meter::new(&["ack"]);
    world.meter.borrow_mut().begin();
    world.watch.borrow_mut().begin(false);
    crowd.drop_all();
    let back = {
        let mut back = std::pin::pin!(crowd.back());
        loop {
            tokio::select! {
                back = &mut back => break back?,
                () = world.pass(Duration::from_millis(100), || ()) => (),
            }
        }
    };
    // They have waited so long at least.
    let unanswered = world.ledger.borrow().unanswered();
    unanswered.into_iter().for_each(|waited| world.meter.borrow_mut().record("ack", waited));
    world.meter.borrow_mut().end();
    Ok(Storm { quiet: before, back })
}

/// The connections that drop and come back, and their thread.
struct Crowd {
    opened: oneshot::Receiver<()>,
    drop_all: Option<oneshot::Sender<()>>,
    back: oneshot::Receiver<Back>,
    leave: oneshot::Sender<()>,
    thread: Option<thread::JoinHandle<Result<Violations, Failure>>>,
}

/// All are back.
struct Back {
    connections: usize,
    took: Duration,
    connect: Option<Summary>,
}

impl Crowd {
    /// Starts so many connections, of the users from a number on.
    fn start(common: &Common, first_user: usize, count: usize) -> Self {
        let common = common.clone();
        let (opened_sender, opened) = oneshot::channel();
        let (drop_all, dropped) = oneshot::channel();
        let (back_sender, back) = oneshot::channel();
        let (leave, left) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| Failure::new(format!("cannot start a thread: {error}")))?;
            LocalSet::new().block_on(&runtime, async {
                let users = count.next_multiple_of(2);
                let numbers = first_user..first_user + users;
                let world = World::of_people(&common, numbers, &pairs(users), &["connect"]).await?;
                let places = || (0..count).map(|number| place(&world, number, false));
                let sockets = open(&world, places(), FIRST_CONNECTS_PER_S).await?;
                world.quiet();
                // Where nobody waits any more, the run has failed elsewhere.
                let _ = opened_sender.send(());
                let _ = dropped.await;
                world.meter.borrow_mut().begin();
                let begun = Instant::now();
                sockets.iter().for_each(|socket| socket.cut());
                // Their files are needed again.
                let gone = || sockets.iter().all(|socket| Rc::strong_count(socket) == 1);
                world.until("the connections are closed", gone).await?;
                drop(sockets);
                let sockets = come_back(&world, places()).await;
                let took = begun.elapsed();
                world.meter.borrow_mut().end();
                let connect = world.meter.borrow().summary("connect");
                let _ = back_sender.send(Back { connections: sockets.len(), took, connect });
                let _ = left.await;
                let verdict = world.ledger.borrow_mut().finish();
                Ok(verdict)
            })
        });
        Self { opened, drop_all: Some(drop_all), back, leave, thread: Some(thread) }
    }

    async fn opened(&mut self) -> Result<(), Failure> {
        (&mut self.opened).await.map_err(|_| self.failed())
    }

    fn drop_all(&mut self) {
        self.drop_all.take().map(|drop_all| drop_all.send(()));
    }

    async fn back(&mut self) -> Result<Back, Failure> {
        (&mut self.back).await.map_err(|_| self.failed())
    }

    /// Why the thread ended before its time.
    fn failed(&mut self) -> Failure {
        let outcome = self.thread.take().map(join);
        outcome.and_then(Result::err).unwrap_or_else(|| Failure::new("the crowd's thread ended before its time"))
    }

    /// The crowd goes home.
    fn leave(self) -> Result<Violations, Failure> {
        drop(self.leave);
        self.thread.map_or_else(|| Ok(Violations::default()), join)
    }
}

/// Opens all at the same moment; those that fail are violations.
async fn come_back(world: &Rc<World>, places: impl Iterator<Item = Place>) -> Vec<Rc<Socket>> {
    let mut opening = JoinSet::new();
    for place in places {
        let world = world.clone();
        opening.spawn_local(async move { connect(&world, place).await });
    }
    let mut back = Vec::new();
    for opened in opening.join_all().await {
        match opened {
            Ok(socket) => back.push(socket),
            Err(failure) => {
                world.ledger.borrow_mut().violation(format_args!("a connection did not come back: {failure}"));
            }
        }
    }
    back
}

fn join(thread: thread::JoinHandle<Result<Violations, Failure>>) -> Result<Violations, Failure> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
