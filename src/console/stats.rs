//! What a console is told each second: counts since the start, of which it makes rates, and what is there.

use actors::{CloseReason, Code, Durations, Gauge};
use serde_json::{Map, Value, json};

use crate::http::App;

/// What does not change.
pub(super) fn about(app: &App) -> Value {
    let bounds: Vec<_> = Durations::bounds().iter().map(|bound| (bound * 1e3).min(1e9)).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "recovers": app.chat.recovers(),
        "bounds_ms": bounds,
    })
}

/// What is there and what has happened, now.
pub(super) fn now(app: &App) -> Value {
    let counters = app.chat.counters();
    let gauges: Map<_, _> =
        Gauge::ALL.iter().map(|gauge| (gauge.as_str().to_owned(), json!(counters.get(*gauge)))).collect();
    let refusals: Map<_, _> =
        Code::ALL.iter().map(|code| (code.as_str().to_owned(), json!(counters.refusals(*code)))).collect();
    let closed: Map<_, _> =
        CloseReason::ALL.iter().map(|reason| (reason.as_str().to_owned(), json!(counters.closures(*reason)))).collect();
    let transports: Map<_, _> =
        app.socket_io.by_transport().into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect();
    let (waiting, lanes) = app.chat.lanes();
    json!({
        "gauges": gauges,
        "refusals": refusals,
        "closed": closed,
        "transports": transports,
        "rows_waiting": waiting,
        "lanes": lanes,
        // How many took how long, since the start.
        "messages": counters.messages.counts(),
        "commits": counters.commits.counts(),
        "risks": app.chat.risks(),
        "draining": app.chat.is_draining(),
    })
}
