//! Logs: to standard error, human on a terminal, JSON lines otherwise. Never a token, a secret or a message's text.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::{EnvFilter, filter::ParseError, fmt};

/// Starts logging with a filter such as `info` or `horsetrust_chat=debug,actors=debug`.
///
/// # Errors
/// The filter cannot be read.
pub fn start(filter: &str) -> Result<(), String> {
    let filter =
        EnvFilter::try_new(filter).map_err(|error| format!("cannot read the log filter {filter:?}: {error}"))?;
    let logs = fmt().with_env_filter(filter).with_writer(stderr);
    if stderr().is_terminal() {
        logs.init();
    } else {
        logs.json().flatten_event(true).init();
    }
    Ok(())
}

/// A filter from its text. What the listener's own crate says of its start is noise, unless it is asked for.
pub(crate) fn filter(text: &str) -> Result<EnvFilter, ParseError> {
    let quiet = if text.contains("actix_server") { "" } else { ",actix_server=warn" };
    EnvFilter::try_new(format!("{text}{quiet}"))
}
