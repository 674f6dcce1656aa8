//! The scenarios, one file each: who connects, who says what when, and which figures come of it.

pub(crate) mod chat;
pub(crate) mod crowd;
pub(crate) mod fanout;
pub(crate) mod idle;
pub(crate) mod mixed;
pub(crate) mod pace;
pub(crate) mod rate;
mod read_back;
pub(crate) mod rest;
pub(crate) mod stalled;
pub(crate) mod storm;
pub(crate) mod typing;

use std::{ops::RangeInclusive, rc::Rc};

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{Common, Scenario},
    failure::Failure,
    report::Outcome,
    socket::Socket,
    world::{CONNECTING, World, pairs},
};
use crowd::raise_open_files;

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
        Scenario::Stalled(options) => stalled::run(common, options).await,
        Scenario::Storm(options) => storm::run(common, options).await,
        Scenario::Rest(options) => rest::run(common, options).await,
        Scenario::Mixed(options) => mixed::run(common, options).await,
    };
    let outcome = outcome?.with_options(common, scenario);
    debug_assert!(outcome.is_named(&Names::of(common, scenario)), "a threshold may be of each figure");
    Ok(outcome)
}

/// The rate that was asked for.
const ASKED: &str = "asked_per_s";

/// What a scenario finds out, by name.
pub(crate) struct Names {
    /// The kind of latency whose course over time is shown.
    pub(crate) over_time: &'static str,
    /// What is counted there, in the plural.
    pub(crate) over_time_label: &'static str,
    /// Kinds of latency.
    pub(crate) latencies: Vec<String>,
    pub(crate) figures: Vec<String>,
}

impl Names {
    fn new((over_time, over_time_label): (&'static str, &'static str), latencies: &[&str], figures: &[&str]) -> Self {
        let owned = |names: &[&str], first: &str| [first].iter().chain(names).map(|name| (*name).to_owned()).collect();
        let (latencies, figures) = (owned(latencies, over_time), owned(figures, "refused"));
        Self { over_time, over_time_label, latencies, figures }
    }

    /// Of a run whose operations are its acknowledged sends.
    fn of_sends(latencies: &[&str], figures: &[&str]) -> Self {
        let (latencies, figures) = ([&["delivery"], latencies].concat(), [&SENDS, figures].concat());
        Self::new(("ack", "acknowledgements"), &latencies, &figures)
    }

    /// The names that a scenario with these options has.
    pub(crate) fn of(common: &Common, scenario: &Scenario) -> Self {
        match scenario {
            Scenario::Chat(_) => chat::names(),
            Scenario::Rate(_) => rate::names(),
            Scenario::Fanout(_) => fanout::names(),
            Scenario::Typing(_) => typing::names(),
            Scenario::Idle(_) => idle::names(common),
            Scenario::Stalled(_) => stalled::names(),
            Scenario::Storm(_) => storm::names(),
            Scenario::Rest(options) => rest::names(common, options),
            Scenario::Mixed(_) => mixed::names(),
        }
    }
}

/// Users in pairs who send texts of a length.
#[derive(Args, Debug, Serialize)]
pub(crate) struct Talk {
    /// Users, two in each conversation: an even number
    #[arg(long, default_value_t = 256, value_parser = even)]
    users: usize,
    /// Length of a message's text, in characters, 40 to 2000
    #[arg(long, default_value_t = 100, value_parser = whole::<u16>(40..=2000))]
    text_length: u16,
}

impl Talk {
    /// Everybody is there and joined, each by one socket; files are left for so many other connections.
    async fn begin(
        &self,
        common: &Common,
        names: &Names,
        others: usize,
    ) -> Result<(Rc<World>, Vec<Rc<Socket>>), Failure> {
        raise_open_files(self.users + others, CONNECTING, common.transport)?;
        let pairs = pairs(self.users);
        let world = World::prepare(common, self.users, &pairs, names.over_time).await?;
        world.text_length.set(self.text_length.into());
        let sockets = world.connect_all(&World::seats_of_pairs(&pairs)).await?;
        Ok((world, sockets))
    }
}

/// The figures of [`outcome_of_sends`].
const SENDS: [&str; 2] = ["sends_per_s", "deliveries_per_s"];

/// The outcome of a run whose operations are its acknowledged sends, with more figures.
async fn outcome_of_sends(world: &Rc<World>, name: &'static str, names: &Names, more: Vec<(&str, f64)>) -> Outcome {
    let (sends, deliveries) = (world.meter.borrow().in_time("ack"), world.meter.borrow().in_time("delivery"));
    let costs = world.watch.borrow_mut().cost_so_far(Some(sends as f64), None);
    world.measured(sends, "message was acknowledged");
    world.settle(|| true).await;
    let figures = SENDS.into_iter().zip([sends, deliveries].map(|count| world.per_second(count)));
    Outcome::new(world, name, names, figures.chain(more), costs)
}

/// So many a second, more than none.
fn per_second(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.001..=1e6).contains(&rate) => Ok(rate),
        _ => Err("must be 0.001 a second at least, and a million at most".to_owned()),
    }
}

/// So many a second; 0 for none.
fn per_second_or_none(text: &str) -> Result<f64, String> {
    if text.parse::<f64>() == Ok(0.0) { Ok(0.0) } else { per_second(text).map_err(|error| format!("{error}, or 0")) }
}

/// A whole number in a range.
fn whole<T: TryFrom<u64> + 'static>(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<T, String> + Clone {
    let (least, most) = (*range.start(), *range.end());
    move |text| {
        let number = text.parse::<u64>().ok().filter(|number| range.contains(number));
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| match most {
            // What no run comes near is the type's bound, and not a rule.
            most if most >= u32::MAX.into() => format!("must be a whole number, {least} or more"),
            most => format!("must be a whole number from {least} to {most}"),
        })
    }
}

/// An even number of users, two at least.
fn even(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(users) if users >= 2 && users.is_multiple_of(2) => Ok(users),
        _ => Err("must be an even number, 2 at least: users talk in pairs".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_bounds() {
        for text in ["0", "-1", "1e-30", "1e-300", "1e7", "nan", "inf", "fast"] {
            assert!(per_second(text).is_err(), "{text}");
        }
        assert_eq!((per_second("0.001"), per_second_or_none("0")), (Ok(0.001), Ok(0.0)));
        assert!(per_second_or_none("1e-30").is_err());
    }
}
