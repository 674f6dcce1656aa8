//! The scenarios, one file each: who connects, who says what when, and which figures come of it.

pub(crate) mod chat;
pub(crate) mod crowd;
pub(crate) mod fanout;
pub(crate) mod idle;
pub(crate) mod mixed;
pub(crate) mod pace;
pub(crate) mod rate;
pub(crate) mod rest;
pub(crate) mod storm;
pub(crate) mod typing;

use std::rc::Rc;

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{Common, Scenario},
    failure::Failure,
    report::Outcome,
    socket::Socket,
    world::{World, pairs},
};

/// Runs a scenario to its result.
///
/// # Errors
/// The run cannot be made.
pub(crate) async fn run(common: &Common, scenario: &Scenario) -> Result<Outcome, Failure> {
    let outcome = match scenario {
        Scenario::Chat(options) => chat::run(common, options).await,
        Scenario::Rate(options) => rate::run(common, options).await,
        Scenario::Fanout(options) => fanout::run(common, options).await,
        Scenario::Typing(options) => typing::run(common, options).await,
        Scenario::Idle(options) => idle::run(common, options).await,
        Scenario::Storm(options) => storm::run(common, options).await,
        Scenario::Rest(options) => rest::run(common, options).await,
        Scenario::Mixed(options) => mixed::run(common, options).await,
    };
    outcome.map(|outcome| outcome.with_options(common, scenario))
}

/// Users in pairs who send texts of a length.
#[derive(Args, Debug, Serialize)]
pub(crate) struct Talk {
    /// Users, two in each conversation
    #[arg(long, default_value_t = 256, value_parser = even)]
    users: usize,
    /// Length of a message's text, in characters
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(40..=2000))]
    text_length: u16,
}

impl Talk {
    /// Everybody is there and joined, each by one socket.
    async fn begin(&self, common: &Common) -> Result<(Rc<World>, Vec<Rc<Socket>>), Failure> {
        let pairs = pairs(self.users);
        let world = World::prepare(common, self.users, &pairs, &["ack", "delivery", "connect"]).await?;
        world.text_length.set(self.text_length.into());
        let sockets = world.connect_all(&World::places_of_pairs(&pairs)).await?;
        Ok((world, sockets))
    }
}

/// The outcome of a run whose operations are its acknowledged sends.
async fn of_sends(world: &Rc<World>, name: &'static str) -> Outcome {
    let sends = world.meter.borrow().count("ack") as f64;
    let costs = world.watch.borrow_mut().end(Some(sends), None);
    world.settle().await;
    let seconds = world.meter.borrow().measured().as_secs_f64();
    let figures = vec![
        ("sends_per_s".to_owned(), sends / seconds),
        ("deliveries_per_s".to_owned(), world.deliveries.get() as f64 / seconds),
    ];
    Outcome::new(world, name, figures, costs)
}

/// So many a second, more than none.
fn per_second(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1e6 => Ok(rate),
        _ => Err("must be more than 0, and a million at most, a second".to_owned()),
    }
}

/// So many a second; 0 for none.
fn per_second_or_none(text: &str) -> Result<f64, String> {
    if text.parse::<f64>() == Ok(0.0) { Ok(0.0) } else { per_second(text) }
}

/// An even number of users, two at least.
fn even(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(users) if users >= 2 && users.is_multiple_of(2) => Ok(users),
        _ => Err("must be an even number of users: they talk in pairs".to_owned()),
    }
}
