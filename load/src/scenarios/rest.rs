//! The REST fallback: messages posted, the newest page fetched, pages deep in the history fetched.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use clap::Args;
use futures::future::join_all;
use hyper::Method;
use serde::{Deserialize, Serialize};

use crate::{
    cli::Common,
    failure::Failure,
    meter::Meter,
    report::Outcome,
    rest::Rest,
    wire::Message,
    world::{World, pairs},
};

/// What can be chosen.
#[derive(Args, Debug, Serialize)]
pub(crate) struct Options {
    /// Connections that call, each one call after the other
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency: u16,
    /// Pages that are fetched, each for a while
    #[arg(long, default_value = "1", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pages: Vec<u32>,
    /// Messages in a page
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=100))]
    limit: u16,
    /// Make sure, by sockets, that the conversation has so many messages before pages are fetched
    #[arg(long, default_value_t = 0)]
    fill: u64,
    /// Fetch pages only
    #[arg(long)]
    no_post: bool,
}

/// The answer to a POST: the sender is a plain id there.
#[derive(Deserialize)]
struct Posted {
    success: bool,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    text: String,
}

#[derive(Deserialize)]
struct Fetched<'a> {
    success: bool,
    #[serde(borrow)]
    data: Vec<Message<'a>>,
}

pub(crate) async fn run(common: &Common, options: &Options) -> Result<Outcome, Failure> {
    // Each posts for itself, in pairs: else it would be the lock of one conversation that is measured. Pages are of the first.
    let users = if options.no_post { 2 } else { usize::from(options.concurrency).next_multiple_of(2) };
    let world = World::prepare(common, users, &pairs(users), &["call"]).await?;
    fill(&world, options.fill).await?;
    let path = |room| format!("/api/chat/conversations/{}/messages", world.ledger.borrow().conversation_id(room));
    let time = Duration::from_secs_f64(common.duration);
    let mut phases = Vec::new();
    if !options.no_post {
        phases.push(("post".to_owned(), None));
    }
    phases.extend(options.pages.iter().map(|page| (format!("page_{page}"), Some(*page))));
    let (mut figures, mut costs, mut all) = (Vec::new(), Vec::new(), Meter::new(&["call"]));
    for (name, page) in phases {
        world.say(name.clone());
        // A phase of its own each: the names live as long as the program does.
        let kind: &'static str = Box::leak(name.clone().into_boxed_str());
        let call = async |time| {
            let callers = (0..usize::from(options.concurrency)).map(|number| {
                let (user, path) = match page {
                    Some(page) => (number % 2, format!("{}?page={page}&limit={}", path(0), options.limit)),
                    None => (number, path(number / 2)),
                };
                caller(&world, path, user, kind, page.is_none(), time)
            });
            join_all(callers).await.into_iter().sum::<Result<u64, Failure>>()
        };
        // The meter is off: this counts for nothing.
        call(Duration::from_secs_f64(common.warmup)).await?;
        *world.meter.borrow_mut() = std::mem::replace(&mut all, Meter::new(&[]));
        world.meter.borrow_mut().begin();
        world.watch.borrow_mut().begin(false);
        let begun = Instant::now();
        let done = call(time).await?;
        let seconds = begun.elapsed().as_secs_f64();
        figures.push((format!("{name}_per_s"), done as f64 / seconds));
        for (process, cost) in world.watch.borrow_mut().end(Some(done as f64), None) {
            let cpu = cost.cpu_us_per_op.unwrap_or_default();
            figures.push((format!("{name}_{process}_cpu_us"), cpu));
            costs.push((format!("{process} ({name})"), cost));
        }
        world.meter.borrow_mut().end();
        all = world.meter.replace(Meter::new(&[]));
    }
    *world.meter.borrow_mut() = all;
    Ok(Outcome::new(&world, "rest", figures, costs))
}

/// One connection's calls; how many there were.
async fn caller(
    world: &Rc<World>,
    path: String,
    user: usize,
    kind: &'static str,
    posts: bool,
    time: Duration,
) -> Result<u64, Failure> {
    let mut rest = Rest::connect(&world.target).await?;
    let token = &world.users[user].token;
    let (begun, mut done) = (Instant::now(), 0);
    while begun.elapsed() < time {
        let text = format!("posted {user} {done} {}", "x".repeat(80));
        let (method, body) =
            if posts { (Method::POST, Some(format!(r#"{{"text":"{text}"}}"#))) } else { (Method::GET, None) };
        let since = Instant::now();
        let (status, body) = rest.call(method, &path, token, body).await?;
        world.meter.borrow_mut().record("call", since.elapsed());
        world.meter.borrow_mut().record(kind, since.elapsed());
        world.meter.borrow_mut().tick(false);
        world.watch.borrow_mut().look();
        if !status.is_success() {
            return Err(Failure::new(format!("{path}: {status} {}", String::from_utf8_lossy(&body))));
        }
        check(world, posts, &text, &body).map_err(|empty| Failure::new(format!("{path} {empty}")))?;
        done += 1;
    }
    Ok(done)
}

/// # Errors
/// The page is empty: it would be measured for nothing.
fn check(world: &World, posted: bool, text: &str, body: &[u8]) -> Result<(), &'static str> {
    let mut ledger = world.ledger.borrow_mut();
    if posted {
        ledger.checked.acks += 1;
        let sound =
            serde_json::from_slice::<Posted>(body).is_ok_and(|answer| answer.success && answer.data.text == text);
        if !sound {
            ledger.violation(format_args!("the answer to a POST is not the message that was posted: {text}"));
        }
        return Ok(());
    }
    ledger.checked.deliveries += 1;
    match serde_json::from_slice::<Fetched<'_>>(body) {
        Ok(page) if page.data.is_empty() => {
            return Err("is an empty page: --fill makes messages enough (pages times --limit)");
        }
        Ok(page) if page.success => {
            let ordered = page.data.windows(2).all(|two| match (two[0].seq, two[1].seq) {
                (Some(one), Some(next)) => next == one + 1,
                _ => two[0].id != two[1].id,
            });
            if !ordered {
                ledger.violation(format_args!("a page is out of order, or has a gap"));
            }
        }
        _ => ledger.violation(format_args!("an answer to GET is no page")),
    }
    Ok(())
}

/// Sends what is missing, many at a time.
async fn fill(world: &Rc<World>, count: u64) -> Result<(), Failure> {
    const IN_FLIGHT: u64 = 200;
    let mut rest = Rest::connect(&world.target).await?;
    let path = format!("/api/chat/conversations/{}/messages", world.ledger.borrow().conversation_id(0));
    let has = async |rest: &mut Rest, number: u64| {
        let path = format!("{path}?page={number}&limit=1");
        let (_, body) = rest.call(Method::GET, &path, &world.users[0].token, None).await?;
        Ok::<_, Failure>(serde_json::from_slice::<Fetched<'_>>(&body).is_ok_and(|page| !page.data.is_empty()))
    };
    // How many there are, to a hundredth, is near enough.
    let step = (count / 100).max(1);
    let mut there = 0;
    while there < count && has(&mut rest, there + step).await? {
        there += step;
    }
    if there >= count {
        return Ok(());
    }
    let sockets = world.connect_all(&World::places_of_pairs(&[[0, 1]])).await?;
    while there < count {
        let some = IN_FLIGHT.min(count - there);
        (0..some).for_each(|_| world.send(&sockets[0], Instant::now()));
        sockets[0].flush();
        world.until("messages are stored", || world.ledger.borrow().under_way() == 0).await?;
        there += some;
        world.say(format!("filling the conversation: {there} of {count}"));
    }
    sockets.iter().for_each(|socket| socket.cut());
    Ok(())
}
