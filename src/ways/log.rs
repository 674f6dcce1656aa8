//! The ways of messages in the log, a line each: for operators without a collector, and to find in the log what a trace is about.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use tokio::sync::broadcast::error::RecvError;
use tracing::Level;

use super::{WayOver, Ways};

/// The target of the lines, which the general level `debug` has, too.
const TARGET: &str = "ways";

/// Writes them for as long as the server runs, if the filter of the log wants them.
pub(crate) fn keep(ways: &Ways) {
    if !tracing::enabled!(target: TARGET, Level::DEBUG) {
        return;
    }
    let mut told = ways.watch_all();
    tokio::spawn(async move {
        loop {
            match told.recv().await {
                Ok(way) => write(&way),
                Err(RecvError::Lagged(ways)) => tracing::debug!(target: TARGET, ways, "more messages than are written"),
                Err(RecvError::Closed) => return,
            }
        }
    });
}

fn write(way: &WayOver) {
    let text = |name| way.about.get(name).and_then(Value::as_str);
    let number = |name| way.about.get(name).and_then(Value::as_i64);
    let flag = |name| way.about.get(name).and_then(Value::as_bool);
    let step = |name| way.steps.iter().find(|step| step.step == name);
    let took = |name| step(name).map(|step| step.took_us);
    let deliveries = || way.steps.iter().flat_map(|step| &step.deliveries).filter_map(Value::as_object);
    tracing::debug!(
        target: TARGET,
        id = text("message"),
        conversation = text("conversation"),
        sender = text("sender"),
        seq = number("seq"),
        duplicate = flag("duplicate"),
        refused = text("refused"),
        trace_id = text("trace_id"),
        took_us = way.took_us,
        wait_us = took("wait"),
        commit_us = took("commit"),
        rows = step("commit").and_then(|step| step.about.get("rows")?.as_u64()),
        delivered = sessions(deliveries(), |queued| queued == "yes"),
        kept = sessions(deliveries(), |queued| queued == "kept"),
        missed = sessions(deliveries(), |queued| !["yes", "kept"].contains(&queued)),
        "the way of a message"
    );
}

/// Of which this holds, each once, however many events it was given.
fn sessions<'a>(
    deliveries: impl Iterator<Item = &'a Map<String, Value>>,
    holds: impl Fn(&str) -> bool,
) -> Option<String> {
    let text = |delivery: &'a Map<String, Value>, name| delivery.get(name).and_then(Value::as_str);
    let of = deliveries.filter(|delivery| text(delivery, "queued").is_some_and(&holds));
    let sessions: BTreeSet<_> = of.filter_map(|delivery| text(delivery, "session")).collect();
    (!sessions.is_empty()).then(|| sessions.into_iter().collect::<Vec<_>>().join(" "))
}
