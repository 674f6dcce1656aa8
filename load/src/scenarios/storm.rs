//! All connections drop at the same moment and come back as fast as they can, while other users go on talking.
//!
//! The crowd that comes back has a thread of its own: on the one of the talk, the talk would wait for the tool.

use std::{
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
    Names,
    crowd::{open, raise_open_files, seat},
    pace::pace,
    whole,
};
use crate::{
    cli::Common,
    failure::Failure,
    meter::{Part, Summary},
    processes::CostOfParts,
    report::Outcome,
    socket::{Seat, Socket, connect},
    verdict::Verdict,
    world::{SETUP_LIMIT, World, pairs},
};

/// Users of the talk in the background.
const TALKERS: usize = 32;
/// The crowd's first connections a second, so that they are no storm themselves.
const FIRST_CONNECTS_PER_S: f64 = 2000.0;
/// What is measured before the storm has names of its own.
const QUIET: Part = Part { name: "before", aliases: &[("ack", "ack_quiet"), ("delivery", "delivery_quiet")] };
const STORM: Part = Part { name: "storm", aliases: &[] };
/// Connections that are dialled before the answers to earlier ones are looked at.
const DIALS: usize = 32;

/// What can be chosen.
#[derive(Args, Debug, Serialize)]
pub(crate) struct Options {
    /// Connections that drop and come back, 1 to 500000; --duration is how long the others are measured before
    #[arg(long, default_value_t = 10_000, value_parser = whole::<u32>(1..=500_000))]
    connections: u32,
    /// Messages a second between other users, before, during and after, 1 to 100000
    #[arg(long, default_value_t = 200, value_parser = whole::<u32>(1..=100_000))]
    background: u32,
}

pub(super) fn names() -> Names {
    let figures = [
        "connections",
        "connections_back",
        "seconds_until_all_had_dialled",
        "seconds_until_all_are_back",
        "ack_p99_ms_before",
        "ack_p99_ms_during",
        "ack_p99_ratio",
        "background_per_s",
        "background_asked_per_s",
    ];
    Names::new(("ack", "acknowledgements"), &["ack_quiet", "delivery", "delivery_quiet", "connect"], &figures)
}

pub(crate) async fn run(common: &Common, options: &Options) -> Result<Outcome, Failure> {
    let names = names();
    let count = options.connections as usize;
    raise_open_files(count + TALKERS, count, common.transport)?;
    // The talkers' numbers come first: a file of tokens may have none to spare.
    let mut crowd = Crowd::start(common, TALKERS, count, names.over_time);
    crowd.opened().await?;
    let world = World::prepare(common, TALKERS, &pairs(TALKERS), names.over_time).await?;
    let talkers = world.connect_all(&World::seats_of_pairs(&pairs(TALKERS))).await?;
    let talk = world.send_in_turn(&talkers);
    let asked = f64::from(options.background);
    let (back, costs) = pace(asked, storm(&world, &mut crowd, common), talk).await?;
    let acks = world.meter.borrow().in_time("ack_quiet") + world.meter.borrow().in_time("ack");
    let background = world.per_second(acks);
    world.compare(format_args!("messages of the others were acknowledged"), background, asked);
    world.measured(acks, "message was acknowledged");
    world.settle(|| true).await;
    let verdict = crowd.leave()?;
    let p99 = |kind| world.meter.borrow().summary(kind).map_or(0.0, |summary| summary.p99_ms);
    let (before, during) = (p99("ack_quiet"), p99("ack"));
    let figures = vec![
        ("connections", count as f64),
        ("connections_back", back.connections as f64),
        ("seconds_until_all_had_dialled", back.dialled.as_secs_f64()),
        ("seconds_until_all_are_back", back.took.as_secs_f64()),
        ("ack_p99_ms_before", before),
        ("ack_p99_ms_during", during),
        ("ack_p99_ratio", during / before.max(0.001)),
        ("background_per_s", background),
        ("background_asked_per_s", asked),
    ];
    let mut outcome = Outcome::new(&world, "storm", &names, figures, costs);
    outcome.add_latency("connect", back.connect);
    outcome.verdict.add(verdict);
    Ok(outcome)
}

/// Measures the quiet before it, then the storm until all are back; what both parts cost.
async fn storm(world: &World, crowd: &mut Crowd, common: &Common) -> Result<(Back, CostOfParts), Failure> {
    let mut costs = CostOfParts::default();
    let mut measured = |part: Part| costs.add(part.name, world.watch.borrow_mut().cost_so_far(None, None));
    world.pass(Duration::from_secs_f64(common.warmup)).await;
    world.measure(QUIET, Duration::from_secs_f64(common.duration)).await;
    measured(QUIET);
    world.begin(STORM);
    crowd.drop_all();
    let back = world.meanwhile(crowd.back()).await?;
    world.meter.borrow_mut().end();
    measured(STORM);
    Ok((back, costs))
}

/// The connections that drop and come back, and their thread.
struct Crowd {
    opened: oneshot::Receiver<()>,
    drop_all: Option<oneshot::Sender<()>>,
    back: oneshot::Receiver<Back>,
    leave: oneshot::Sender<()>,
    thread: Option<thread::JoinHandle<Result<Verdict, Failure>>>,
}

/// All are back.
struct Back {
    connections: usize,
    /// Until the last of them had dialled, which is the tool's own share.
    dialled: Duration,
    took: Duration,
    connect: Option<Summary>,
}

impl Crowd {
    /// Starts so many connections, of the users from a number on.
    fn start(common: &Common, first_user: usize, count: usize, over_time: &'static str) -> Self {
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
                let world = World::of_people(&common, numbers, &pairs(users), over_time).await?;
                let seats = || (0..count).map(|number| seat(&world, number, false));
                let sockets = open(&world, seats(), FIRST_CONNECTS_PER_S).await?;
                world.progress.end();
                // Where nobody waits any more, the run has failed elsewhere.
                let _ = opened_sender.send(());
                let _ = dropped.await;
                world.begin(STORM);
                let begun = Instant::now();
                sockets.iter().for_each(|socket| socket.cut());
                // Their files are needed again.
                let gone = || sockets.iter().all(|socket| Rc::strong_count(socket) == 1);
                world.until(SETUP_LIMIT, "the connections are closed", gone).await?;
                drop(sockets);
                let sockets = come_back(&world, seats()).await?;
                let (dialled, took) = (world.dialled_at.get() - begun, begun.elapsed());
                world.meter.borrow_mut().end();
                let connect = world.meter.borrow().summary("connect");
                let _ = back_sender.send(Back { connections: sockets.len(), dialled, took, connect });
                let _ = left.await;
                let mut ledger = world.ledger.borrow_mut();
                let violations = ledger.finish();
                Ok(Verdict { notes: world.notes.take(), ..Verdict::new(ledger.checked, violations) })
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
    fn leave(self) -> Result<Verdict, Failure> {
        drop(self.leave);
        join(self.thread.expect("it is taken only where the run has failed"))
    }
}

/// Opens all at the same moment; those that fail are violations.
///
/// # Errors
/// This machine cannot.
async fn come_back(world: &Rc<World>, seats: impl Iterator<Item = Seat>) -> Result<Vec<Rc<Socket>>, Failure> {
    let mut opening = JoinSet::new();
    for (number, seat) in seats.enumerate() {
        let world = world.clone();
        opening.spawn_local(async move { connect(&world, seat).await });
        if number % DIALS == DIALS - 1 {
            // The server is not kept waiting until the last one has dialled.
            tokio::task::yield_now().await;
        }
    }
    let mut back = Vec::new();
    for opened in opening.join_all().await {
        match opened {
            Ok(socket) => back.push(socket),
            Err(failure) if failure.is_ours() => return Err(failure),
            Err(failure) => {
                world.ledger.borrow_mut().violation(format_args!("a connection did not come back: {failure}"));
            }
        }
    }
    Ok(back)
}

fn join(thread: thread::JoinHandle<Result<Verdict, Failure>>) -> Result<Verdict, Failure> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
