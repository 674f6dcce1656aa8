//! `chat-load`: measures horsetrust-chat, or another server of its contract, as its users would use it, and checks on the
//! way that every message is where it has to be.
//!
//! | file | |
//! | --- | --- |
//! | `cli.rs`, `threshold.rs` | what is typed |
//! | `people.rs`, `rest.rs` | users, tokens and conversations; REST calls |
//! | `socket.rs`, `wire.rs` | a lean Socket.IO client, and what it says and hears |
//! | `world.rs` | what the connections of a run share |
//! | `ledger.rs`, `conversation.rs`, `stamp.rs`, `track.rs` | each message followed to everybody who is to hear of it |
//! | `verdict.rs` | what was checked, and what must not have been |
//! | `meter.rs`, `processes.rs` | latencies; CPU and memory |
//! | `scenarios/` | who says what when |
//! | `report.rs`, `html.rs`, `page.css` | the result for people and machines |
//! | `files.rs` | where `--json` and `--html` go |
//! | `failure.rs` | why a run could not be made |

mod cli;
mod connections;
mod conversation;
mod failure;
mod files;
mod html;
mod ledger;
mod meter;
mod opening;
mod people;
mod processes;
mod progress;
mod report;
mod rest;
mod scenarios;
mod socket;
mod stamp;
mod threshold;
mod track;
mod under_way;
mod verdict;
mod wire;
mod world;

use std::{
    io::{Write, stderr},
    process::ExitCode,
};

use clap::Parser;
use failure::Failure;
use files::Files;
use report::Outcome;
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    task::LocalSet,
};

/// 128 and the signal's number, as shells have it.
const EXIT_INTERRUPTED: u8 = 130;
const EXIT_TERMINATED: u8 = 143;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(help) => {
            let is_wrong = help.use_stderr();
            // Nobody is there to read it, then.
            let _ = help.print();
            return if is_wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match run(&cli) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            let _ = writeln!(stderr(), "chat-load: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &cli::Cli) -> Result<u8, Failure> {
    cli.check()?;
    let files = Files::open(&cli.common)?;
    // One thread: it shares the machine with what it measures.
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    let ended = LocalSet::new().block_on(&runtime, async {
        tokio::select! {
            outcome = scenarios::run(&cli.common, &cli.scenario) => outcome.map(Ok),
            exit_code = interrupted() => exit_code.map(Err),
        }
    });
    match ended {
        Ok(Ok(outcome)) => outcome.conclude(&cli.common, files),
        Ok(Err(exit_code)) => {
            let _ = writeln!(stderr(), "chat-load: interrupted");
            Ok(exit_code)
        }
        Err(failure) => {
            files.write(&Outcome::failed(&cli.common, &cli.scenario, &failure))?;
            Err(failure)
        }
    }
}

/// Waits for Ctrl-C or SIGTERM: the exit code that a shell knows it by.
///
/// # Errors
/// This machine has no signals.
async fn interrupted() -> Result<u8, Failure> {
    let listen =
        |kind: SignalKind| signal(kind).map_err(|error| Failure::new(format!("cannot listen to signals: {error}")));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(tokio::select! {
        _ = interrupt.recv() => EXIT_INTERRUPTED,
        _ = terminate.recv() => EXIT_TERMINATED,
    })
}
