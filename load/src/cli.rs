//! The command line.

use std::{collections::HashSet, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;

use crate::{
    failure::Failure,
    processes::Process,
    scenarios::{self, Names},
    threshold::Threshold,
};

/// Load generator for horsetrust-chat and every server that speaks its contract. Exit codes: 0 all is well, 1 the run
/// could not be made, 2 messages were lost, repeated, reordered or altered, or nothing was measured, 3 a threshold does not
/// hold, 130 or 143 it was interrupted
#[derive(Parser, Debug)]
#[command(name = "chat-load", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) scenario: Scenario,
}

impl Cli {
    /// What no single option can know to be wrong.
    ///
    /// # Errors
    /// Options do not go together.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let mut names = HashSet::new();
        if let Some(process) = self.common.process.iter().find(|process| !names.insert(&process.name)) {
            return Err(Failure::new(format!("--process: the name {} is given twice", process.name)));
        }
        if let Scenario::Rest(options) = &self.scenario {
            options.check()?;
        }
        let names = Names::of(&self.common, &self.scenario);
        self.common.threshold.iter().try_for_each(|threshold| threshold.check(&names))
    }
}

/// What to do.
#[derive(Subcommand, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Scenario {
    /// Closed loop: users in pairs, each with a few messages in flight; how many messages a second?
    Chat(scenarios::chat::Options),
    /// Open loop: messages at a fixed rate, latency from the moment each was due; how long does an ack take?
    Rate(scenarios::rate::Options),
    /// Many sockets in one room; what does a delivery cost?
    Fanout(scenarios::fanout::Options),
    /// Typing events, relayed to the other side
    Typing(scenarios::typing::Options),
    /// Many connections that say nothing; what does one cost, to open and to keep?
    Idle(scenarios::idle::Options),
    /// Messages at a fixed rate, without and with readers that do not read; what do the others notice?
    Stalled(scenarios::stalled::Options),
    /// All connections drop and come back at once, while others go on talking
    Storm(scenarios::storm::Options),
    /// The REST fallback: POST, GET of the newest page, GET of pages deep in the history
    Rest(scenarios::rest::Options),
    /// A realistic day: mostly idle, some typing, some messages, some REST, some reconnects
    Mixed(scenarios::mixed::Options),
}

impl Scenario {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Chat(_) => "chat",
            Self::Rate(_) => "rate",
            Self::Fanout(_) => "fanout",
            Self::Typing(_) => "typing",
            Self::Idle(_) => "idle",
            Self::Stalled(_) => "stalled",
            Self::Storm(_) => "storm",
            Self::Rest(_) => "rest",
            Self::Mixed(_) => "mixed",
        }
    }
}

/// How connections are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    /// WebSocket from the start
    Websocket,
    /// Polling first, then the upgrade to WebSocket, as stock clients do
    Upgrade,
}

/// What all scenarios have in common.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct Common {
    /// Where the server is
    #[arg(long, global = true, default_value = "http://127.0.0.1:3000", value_name = "URL")]
    #[serde(skip)]
    pub(crate) url: String,
    /// Secret (HS256) to make users and their tokens with
    #[arg(long, global = true, env = "JWT_SECRET", hide_env_values = true, value_name = "SECRET")]
    #[serde(skip)]
    pub(crate) secret: Option<String>,
    /// File of tokens instead, one a line, of users that exist; a secret is not used then
    #[arg(long, global = true, value_name = "FILE")]
    #[serde(skip)]
    pub(crate) tokens: Option<PathBuf>,
    /// First 8 hexadecimal digits of the ids of the users that are made
    #[arg(long, global = true, default_value = "6c6f6164", value_parser = id_prefix, value_name = "HEX")]
    pub(crate) id_prefix: String,
    /// How connections are made
    #[arg(long, global = true, default_value = "websocket", value_enum)]
    pub(crate) transport: Transport,
    /// How long to measure, in seconds
    #[arg(long, global = true, default_value_t = 10.0, value_parser = some_seconds, value_name = "SECONDS")]
    pub(crate) duration: f64,
    /// How long to run before measuring, in seconds
    #[arg(long, global = true, default_value_t = 2.0, value_parser = seconds, value_name = "SECONDS")]
    pub(crate) warmup: f64,
    /// How long answers and deliveries may take after the end, in seconds
    #[arg(long, global = true, default_value_t = 15.0, value_parser = seconds, value_name = "SECONDS")]
    pub(crate) patience: f64,
    /// Write the result as JSON
    #[arg(long, global = true, value_name = "FILE")]
    #[serde(skip)]
    pub(crate) json: Option<PathBuf>,
    /// Write the result as a page to look at
    #[arg(long, global = true, value_name = "FILE")]
    #[serde(skip)]
    pub(crate) html: Option<PathBuf>,
    /// Fail unless this holds, such as 'ack.p99<50ms' or 'sends_per_s>=1000'; a latency without a unit is in ms; may be
    /// given several times
    #[arg(long, global = true, value_name = "RULE")]
    #[serde(skip)]
    pub(crate) threshold: Vec<Threshold>,
    /// Measure a process: NAME=PID, or NAME=PID+ with all its descendants (such as Postgres); may be given several times
    #[arg(long, global = true, value_name = "NAME=PID[+]")]
    #[serde(skip)]
    pub(crate) process: Vec<Process>,
    /// Show no progress
    #[arg(long, global = true)]
    #[serde(skip)]
    pub(crate) no_progress: bool,
}

fn id_prefix(text: &str) -> Result<String, String> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() == 8 && text.bytes().all(is_hex) {
        Ok(text.to_owned())
    } else {
        Err("must be 8 lower-case hexadecimal digits".to_owned())
    }
}

fn some_seconds(text: &str) -> Result<f64, String> {
    seconds(text).and_then(|time| if time >= 0.1 { Ok(time) } else { Err("must be 0.1 seconds at least".to_owned()) })
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("must be a number of seconds, a day at most".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Why a command line is refused; `None` if it is not.
    fn refused(line: &str) -> Option<String> {
        let cli = Cli::try_parse_from(["chat-load"].into_iter().chain(line.split(' ')));
        match cli {
            Ok(cli) => cli.check().err().map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }

    #[test]
    fn the_options_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_cannot_be_measured_is_refused_before_the_run() {
        let this = std::process::id();
        for (line, says) in [
            ("chat --duration 1e-12".to_owned(), "0.1 seconds"),
            ("fanout --rate 1e-300".to_owned(), "0.001 a second"),
            ("chat --users 0".to_owned(), "an even number, 2 at least"),
            ("rate --rate 0.5".to_owned(), "a whole number from 1 to 1000000"),
            ("rest --pages ".to_owned(), "a whole number, 1 or more"),
            ("chat --threshold typing.p99<1s".to_owned(), "latencies ack, delivery"),
            ("rest --pages 1,7,1".to_owned(), "page 1 is given twice"),
            (format!("chat --process a={this} --process a={this}"), "the name a is given twice"),
            (format!("chat --process load={this}"), "choose another one"),
        ] {
            let refused = refused(&line).map(|refused| refused.split_whitespace().collect::<Vec<_>>().join(" "));
            assert!(refused.as_ref().is_some_and(|refused| refused.contains(says)), "{line}: {refused:?}");
        }
    }

    #[test]
    fn each_scenario_has_the_figures_of_its_own() {
        let process = format!("--process server={}", std::process::id());
        for line in [
            "chat --threshold sends_per_s>1 --threshold delivery.max<1s",
            "rate --threshold asked_per_s>1",
            "fanout --threshold events_per_s>1",
            "typing --threshold typing_dropped<=0 --threshold typing.p99.9<1s",
            "idle --threshold server_cpu_us_per_ping<100 --threshold connect.p50<1s",
            "stalled --threshold ack_quiet.p99<1s --threshold ack_p99_ratio<2",
            "storm --threshold ack_quiet.p99<1s --threshold seconds_until_all_are_back<9",
            "rest --pages 1,100 --threshold page_100.p99<1s --threshold page_1_server_cpu_us<1",
            "mixed --threshold page.p99<1s --threshold refused<=0",
        ] {
            assert_eq!(refused(&format!("{line} {process}")), None, "{line}");
        }
        assert!(refused("idle --threshold server_cpu_us_per_ping<100").is_some(), "no process is measured");
    }
}
