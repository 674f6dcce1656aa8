//! The REST fallback: messages posted, the newest page fetched, pages deep in the history fetched.

use std::{
    collections::HashSet,
    rc::Rc,
    time::{Duration, Instant},
};

use clap::Args;
use futures::future::try_join_all;
use hyper::Method;
use serde::{Deserialize, Serialize};
use tokio::time::sleep_until;

use super::{
    Names,
    crowd::raise_open_files,
    read_back::{Poster, Posts},
    whole,
};
use crate::{
    cli::Common,
    failure::Failure,
    meter::Part,
    processes::{CostOfParts, OWN},
    report::Outcome,
    rest::{Answer, Rest, SHORTEST_WAIT},
    wire::Message,
    world::{SETUP_LIMIT, World, pairs},
};

/// What can be chosen.
#[derive(Args, Debug, Serialize)]
pub(crate) struct Options {
    /// Connections that call, each one call after the other, 1 to 1000
    #[arg(long, default_value_t = 64, value_parser = whole::<u16>(1..=1000))]
    concurrency: u16,
    /// Pages that are fetched, each for a while: numbers from 1 on, with commas between them
    #[arg(long, default_value = "1", value_delimiter = ',', value_parser = whole::<u32>(1..=u64::from(u32::MAX)))]
    pages: Vec<u32>,
    /// Messages in a page, 1 to 100
    #[arg(long, default_value_t = 30, value_parser = whole::<u16>(1..=100))]
    limit: u16,
    /// Make sure, by sockets, that the conversation has so many messages before pages are fetched
    #[arg(long, default_value_t = 0, value_parser = whole::<u64>(0..=u64::MAX))]
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

/// The answer to a GET.
#[derive(Deserialize)]
pub(super) struct Fetched<'a> {
    pub(super) success: bool,
    #[serde(borrow)]
    pub(super) data: Vec<Message<'a>>,
}

impl Options {
    /// What is done one after the other: its name, and the page that is fetched, or `None` for posts.
    fn phases(&self) -> impl Iterator<Item = (String, Option<u32>)> {
        let post = (!self.no_post).then(|| ("post".to_owned(), None));
        post.into_iter().chain(self.pages.iter().map(|page| (format!("page_{page}"), Some(*page))))
    }

    /// # Errors
    /// A page is given twice.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let mut pages = HashSet::new();
        match self.pages.iter().find(|page| !pages.insert(**page)) {
            Some(page) => Err(Failure::new(format!("--pages: page {page} is given twice"))),
            None => Ok(()),
        }
    }
}

fn cpu_of(phase: &str, process: &str) -> String {
    format!("{phase}_{process}_cpu_us")
}

pub(super) fn names(common: &Common, options: &Options) -> Names {
    let mut names = Names::new(("call", "calls"), &[], &[]);
    for (phase, _) in options.phases() {
        names.figures.push(format!("{phase}_per_s"));
        let processes = common.process.iter().map(|process| process.name.as_str()).chain([OWN]);
        names.figures.extend(processes.map(|process| cpu_of(&phase, process)));
        names.latencies.push(phase);
    }
    names
}

pub(crate) async fn run(common: &Common, options: &Options) -> Result<Outcome, Failure> {
    let names = names(common, options);
    raise_open_files(options.concurrency.into(), 0, common.transport)?;
    // Each posts for itself, in pairs: else it would be the lock of one conversation that is measured. Pages are of the first.
    let users = if options.no_post { 2 } else { usize::from(options.concurrency).next_multiple_of(2) };
    let world = World::prepare(common, users, &pairs(users), names.over_time).await?;
    fill(&world, options.fill).await?;
    let mut posts = Posts::new(&world);
    let (mut figures, mut costs) = (Vec::new(), CostOfParts::default());
    for (name, page) in options.phases() {
        world.progress.show(name.clone());
        // The names of kinds live as long as the program does.
        let kind: &'static str = name.clone().leak();
        let until = Instant::now() + Duration::from_secs_f64(common.warmup + common.duration);
        let callers = (0..usize::from(options.concurrency)).map(|number| Caller {
            world: &world,
            path: match page {
                Some(page) => format!("{}?page={page}&limit={}", messages(&world, 0), options.limit),
                None => messages(&world, number / 2),
            },
            user: if page.is_some() { number % 2 } else { number },
            kind,
            until,
        });
        let calls = async {
            match page {
                Some(_) => try_join_all(callers.map(Caller::fetch)).await.map(drop),
                None => {
                    let posting = callers.zip(posts.posters()).map(|(caller, poster)| caller.post(poster));
                    try_join_all(posting).await.map(drop)
                }
            }
        };
        let measured = async {
            world.warm_up_and_measure(Part { name: kind, aliases: &[] }, common).await;
            let done = world.meter.borrow().in_time(kind);
            Ok((done, world.watch.borrow_mut().cost_so_far(Some(done as f64), None)))
        };
        let before = world.meter.borrow().measured();
        let (_, (done, cost)) = tokio::try_join!(calls, measured)?;
        let seconds = (world.meter.borrow().measured() - before).as_secs_f64();
        figures.push((format!("{name}_per_s"), done as f64 / seconds));
        for (process, cost) in &cost {
            figures.push((cpu_of(&name, process), cost.cpu_us_per_op.unwrap_or_default()));
        }
        costs.add(&name, cost);
        world.measured(done, &format!("call of {name} was answered"));
        if page.is_none() {
            world.progress.show("reading what was posted".to_owned());
            if !posts.read_back(&world).await {
                // What pages cost that are not what they should be is of no interest.
                break;
            }
        }
    }
    Ok(Outcome::new(&world, "rest", &names, figures, costs))
}

/// The path of a conversation's messages.
pub(super) fn messages(world: &World, room: usize) -> String {
    format!("/api/chat/conversations/{}/messages", world.ledger.borrow().conversation_id(room))
}

/// One connection, which makes one call after the other.
struct Caller<'a> {
    world: &'a Rc<World>,
    path: String,
    user: usize,
    kind: &'static str,
    until: Instant,
}

impl Caller<'_> {
    /// The answer to a call, and after a refusal the wait that it asks for; `None` where no further call can be made.
    async fn call(&self, rest: &mut Rest, method: Method, body: Option<String>) -> Option<Answer> {
        let call = (method, self.path.as_str(), self.user, body);
        let answer = self.world.call(rest, call, &["call", self.kind], self.until + self.world.patience).await?;
        if let Some(wait) = answer.retry_after {
            let again_at = Instant::now() + wait.max(SHORTEST_WAIT);
            sleep_until(again_at.min(self.until).into()).await;
        }
        Some(answer)
    }

    async fn connect(&self) -> Result<Rest, Failure> {
        let rest = Rest::connect(&self.world.target).await?;
        self.world.ledger.borrow_mut().connected();
        Ok(rest)
    }

    async fn post(self, poster: &mut Poster) -> Result<(), Failure> {
        let mut rest = self.connect().await?;
        while Instant::now() < self.until {
            let text = poster.next();
            let Some(Answer { status, body, .. }) =
                self.call(&mut rest, Method::POST, Some(format!(r#"{{"text":"{text}"}}"#))).await
            else {
                poster.unanswered();
                break;
            };
            if !status.is_success() {
                poster.refused();
                continue;
            }
            let mut ledger = self.world.ledger.borrow_mut();
            ledger.checked.posts += 1;
            let is_it = |answer: Posted| answer.success && answer.data.text == text;
            if !serde_json::from_slice(&body).is_ok_and(is_it) {
                ledger.violation(format_args!("the answer to a POST is not the message that was posted: {text}"));
            }
        }
        self.world.ledger.borrow_mut().closed();
        Ok(())
    }

    async fn fetch(self) -> Result<(), Failure> {
        let mut rest = self.connect().await?;
        while Instant::now() < self.until {
            let Some(Answer { status, body, .. }) = self.call(&mut rest, Method::GET, None).await else { break };
            if !status.is_success() {
                continue;
            }
            let mut ledger = self.world.ledger.borrow_mut();
            ledger.checked.pages += 1;
            match serde_json::from_slice::<Fetched<'_>>(&body) {
                Ok(page) if page.success && page.data.is_empty() => {
                    let path = &self.path;
                    let what = format!("{path} is an empty page: --fill makes messages enough (pages times --limit)");
                    return Err(Failure::new(what));
                }
                Ok(page) if page.success && is_in_order(&page.data) => (),
                Ok(page) if page.success => ledger.violation(format_args!("a page is out of order, or has a gap")),
                _ => ledger.violation(format_args!("an answer to GET is no page")),
            }
        }
        self.world.ledger.borrow_mut().closed();
        Ok(())
    }
}

fn is_in_order(messages: &[Message<'_>]) -> bool {
    messages.windows(2).all(|two| match (two[0].seq, two[1].seq) {
        (Some(one), Some(next)) => next == one + 1,
        _ => two[0].id != two[1].id,
    })
}

/// Sends what is missing, many at a time.
async fn fill(world: &Rc<World>, count: u64) -> Result<(), Failure> {
    const IN_FLIGHT: u64 = 200;
    let mut rest = Rest::connect(&world.target).await?;
    let path = messages(world, 0);
    let has = async |rest: &mut Rest, number: u64| {
        let path = format!("{path}?page={number}&limit=1");
        let Answer { body, .. } = rest.call_patiently(Method::GET, &path, &world.users[0].token, None).await?;
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
    let sockets = world.connect_all(&World::seats_of_pairs(&[[0, 1]])).await?;
    while there < count {
        let some = IN_FLIGHT.min(count - there);
        (0..some).for_each(|_| world.send(&sockets[0], Instant::now()));
        sockets[0].flush();
        world.until(SETUP_LIMIT, "messages are stored", || world.ledger.borrow().under_way() == 0).await?;
        there += some;
        world.progress.show(format!("filling the conversation: {there} of {count}"));
    }
    sockets.iter().for_each(|socket| socket.cut());
    Ok(())
}
