//! Logs: to standard error, human on a terminal, JSON lines otherwise. Never a token, a secret or a message's text. And
//! traces, where somebody collects them: `traces.rs`.
//!
//! Lines are written by a thread of its own: where nobody reads them, some are left out, and nobody waits.

use std::{
    io::{IsTerminal, stderr},
    sync::{Mutex, OnceLock, PoisonError, mpsc},
    thread,
    time::Duration,
};

use actors::way;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt, LevelFilter, ParseError, filter_fn},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::{
    traces::{self, Traces},
    ways::Ways,
};

/// Lines that wait to be written; more are left out.
const LINES: usize = 8192;
/// How long what is written at the start and at the end may take.
const PATIENCE: Duration = Duration::from_secs(2);

static LEFT_OUT: OnceLock<ErrorCounter> = OnceLock::new();
static WRITER: Mutex<Option<WorkerGuard>> = Mutex::new(None);

/// What listens beside the log.
#[derive(Debug)]
pub struct Listeners {
    /// For a collector, if there is one.
    pub traces: Option<Traces>,
    /// For operators.
    pub ways: Ways,
}

/// Starts logging with a filter such as `info` or `horsetrust_chat=debug,actors=debug`, and tracing if that is wanted.
///
/// # Errors
/// The filter cannot be read, or what the environment says of traces.
pub fn start(filter: &str) -> Result<Listeners, String> {
    let filter = self::filter(filter).map_err(|error| format!("cannot read the log filter {filter:?}: {error}"))?;
    let builder = NonBlockingBuilder::default().thread_name("log").lossy(true).buffered_lines_limit(LINES);
    let (written, writer) = builder.finish(stderr());
    let _ = LEFT_OUT.set(written.error_counter());
    *WRITER.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer);
    // Whoever read the logs may be gone; to say so there would be a panic.
    let lines = fmt::layer::<Registry>().with_writer(written).log_internal_errors(false);
    let lines = if stderr().is_terminal() { lines.boxed() } else { lines.json().flatten_event(true).boxed() };
    let ways = Ways::default();
    let traces = Traces::wanted()?;
    let collected = traces.as_ref().map(|traces| traces.layer().with_filter(filter_fn(traces::concerns)));
    let concerned = ways.clone();
    let watched = ways.clone().with_filter(filter_fn(move |about| concerned.concern(about)));
    let logged = lines.with_filter(filter.and(filter_fn(|about| about.target() != way::TARGET)));
    tracing_subscriber::registry().with(logged).with(collected).with(watched).init();
    if let Some(Traces { named_by, .. }) = &traces {
        tracing::info!(named_by, "messages are traced; what the collector does not take is told here");
    }
    Ok(Listeners { traces, ways })
}

/// How many lines were left out, since nobody has read those before.
pub fn lines_left_out() -> usize {
    LEFT_OUT.get().map_or(0, ErrorCounter::dropped_lines)
}

/// The process ends: what is not written yet is, as far as somebody reads it soon.
pub fn end() {
    let Some(writer) = WRITER.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    // Where the lines cannot be written, to say so would wait, too.
    without_waiting(move || drop(writer));
}

/// Writes something, and goes on if that takes too long: nobody may read what was written before.
pub(crate) fn without_waiting(write: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        write();
        let _ = done.send(());
    });
    let _ = is_done.recv_timeout(PATIENCE);
}

/// The first directive that is a single word and no level. tracing-subscriber takes it for the only module that is logged, so
/// that a level with a typing error would log nothing.
pub(crate) fn unknown_word(text: &str) -> Option<&str> {
    let is_unknown = |word: &&str| !word.contains(['=', '[']) && word.parse::<LevelFilter>().is_err();
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).find(is_unknown)
}

/// A filter from its text. The HTTP crates say what nobody needs, at the start, and what anybody could fill a disk with,
/// at each malformed request; unless it is asked for.
pub(crate) fn filter(text: &str) -> Result<EnvFilter, ParseError> {
    let http = if text.contains("actix_") { "" } else { ",actix_server=warn,actix_http=off" };
    // What the pool cannot do is told by whoever wanted it, with the reason.
    let pool = if text.contains("deadpool") { "" } else { ",deadpool=off" };
    // tracing-subscriber takes a directive with spaces before it apart at the wrong places, in the middle of a letter even.
    let directives: Vec<_> = text.split(',').map(str::trim).collect();
    EnvFilter::try_new(format!("{}{http}{pool}", directives.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_between_directives_do_not_matter() {
        let text = |text| filter(text).map(|filter| filter.to_string()).ok();
        assert!(text("warn,actors=debug").is_some());
        assert_eq!(text(" warn , actors=debug"), text("warn,actors=debug"));
        assert!(text(" éé=debug").is_some() && text("a=b=c").is_none());
    }

    #[test]
    fn a_word_that_is_no_level_is_found() {
        for text in ["info", "OFF", "3", "warn, actors=debug,", "[session]", "horsetrust_chat=trace,error", ""] {
            assert_eq!(unknown_word(text), None, "{text}");
        }
        for (text, word) in [("trace2", "trace2"), ("info, actors", "actors"), ("actors=debug,inof,x", "inof")] {
            assert_eq!(unknown_word(text), Some(word), "{text}");
        }
    }
}
