//! What a console is told each second: counts since the start, of which it makes rates, and what is there.

use std::{sync::Arc, time::Duration};

use actors::{CloseReason, Code, Durations, Gauge};
use serde_json::{Map, Value, json};
use tokio::{sync::Mutex, time::Instant};

use crate::http::App;

/// What was found out last is told for so long: once a second, however many consoles there are.
const FRESH: Duration = Duration::from_millis(900);

/// What all consoles are told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latest(Arc<Mutex<Option<Found>>>);

#[derive(Debug)]
struct Found {
    at: Instant,
    stats: Arc<Value>,
}

impl Latest {
    pub(super) async fn get(&self, app: &App) -> Arc<Value> {
        let mut latest = self.0.lock().await;
        if let Some(found) = latest.as_ref().filter(|found| found.at.elapsed() < FRESH) {
            return found.stats.clone();
        }
        let stats = Arc::new(now(app).await);
        *latest = Some(Found { at: Instant::now(), stats: stats.clone() });
        stats
    }
}

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
async fn now(app: &App) -> Value {
    let postgres_up = app.chat.store().ping().await.is_ok();
    let counters = app.chat.counters();
    let gauges = Gauge::ALL.iter().map(|gauge| (gauge.as_str(), json!(counters.get(*gauge))));
    let refusals = Code::ALL.iter().map(|code| (code.as_str(), json!(counters.refusals(*code))));
    let closed = CloseReason::ALL.iter().map(|reason| (reason.as_str(), json!(counters.closures(*reason))));
    let transports = app.socket_io.by_transport().into_iter().map(|(name, count)| (name, json!(count)));
    let (waiting, lanes) = app.chat.lanes();
    json!({
        "gauges": by_name(gauges),
        "refusals": by_name(refusals),
        "closed": by_name(closed),
        "transports": by_name(transports),
        "rows_waiting": waiting,
        "lanes": lanes,
        // How many took how long, since the start.
        "messages": counters.messages.counts(),
        "commits": counters.commits.counts(),
        // Whether it answers within a second.
        "postgres_up": postgres_up,
        "risks": app.chat.risks(),
        "draining": app.chat.is_draining(),
    })
}

fn by_name(values: impl Iterator<Item = (&'static str, Value)>) -> Map<String, Value> {
    values.map(|(name, value)| (name.to_owned(), value)).collect()
}
