//! What Prometheus asks for, in the OpenMetrics text format: <https://prometheus.io/docs/specs/om/open_metrics_spec/>.
//!
//! Everything is read where it is counted anyway; names, units and labels are described in `docs/metrics.md`. Labels have
//! few values, none of which a client can choose.

use std::{sync::Arc, time::Instant};

use actix_web::{
    Error, HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
    web::Data,
};
use actors::{
    CloseReason, Code, Gauge,
    limits::{LANE_QUEUE, ROOMS},
};
use prometheus_client::{
    encoding::{
        EncodeLabelSet,
        text::{encode_eof, encode_registry},
    },
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge as Value,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use super::{ApiError, App, caller::Admin, routes::Declared};
use crate::logging;

const PREFIX: &str = "horsetrust_chat";
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is counted of HTTP requests.
#[derive(Clone, Debug)]
pub(crate) struct HttpMetrics(Arc<Requests>);

#[derive(Debug)]
struct Requests {
    answered: Family<Answered, Counter>,
    seconds: Family<Path, Histogram>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    path: &'static str,
    status: u16,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Path {
    path: &'static str,
}

impl Default for HttpMetrics {
    fn default() -> Self {
        // 500 µs to 16 s.
        let histogram = || Histogram::new(exponential_buckets(0.000_5, 2.0, 16));
        let seconds = Family::new_with_constructor(histogram as fn() -> Histogram);
        Self(Arc::new(Requests { answered: Family::default(), seconds }))
    }
}

/// Counts each request, and what it was refused for: wraps all of them.
pub(super) async fn count(
    app: Data<App>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let begun = Instant::now();
    let answer = next.call(request).await?;
    // As it is declared, never as the client wrote it.
    let path = answer.request().app_data::<Declared>().map_or("other", |declared| declared.0);
    let method = method(answer.request().method());
    if let Some(ApiError(refusal)) = answer.response().error().and_then(|error| error.as_error()) {
        app.chat.counters().refused(refusal.code);
        tracing::debug!(method, path, code = refusal.code.as_str(), "a call was refused");
    }
    app.metrics.0.seconds.get_or_create(&Path { path }).observe(begun.elapsed().as_secs_f64());
    app.metrics.0.answered.get_or_create(&Answered { method, path, status: answer.status().as_u16() }).inc();
    Ok(answer)
}

fn method(method: &Method) -> &'static str {
    const KNOWN: [(&Method, &str); 6] = [
        (&Method::GET, "GET"),
        (&Method::POST, "POST"),
        (&Method::PUT, "PUT"),
        (&Method::DELETE, "DELETE"),
        (&Method::HEAD, "HEAD"),
        (&Method::OPTIONS, "OPTIONS"),
    ];
    KNOWN.iter().find(|(known, _)| *known == method).map_or("other", |(_, name)| name)
}

/// All there is to tell.
pub(super) async fn scrape(app: Data<App>, _: Admin) -> Result<HttpResponse, ApiError> {
    let mut ours = Registry::with_prefix(PREFIX);
    connections(&app, &mut ours);
    messages(&app, &mut ours);
    requests(&app, &mut ours);
    postgres(&app, &mut ours).await;
    let left_out = i64::try_from(logging::lines_left_out()).unwrap_or(i64::MAX);
    counter(&mut ours, "log_lines_left_out", "Lines of the log that nobody has read in time", left_out);
    let mut processes = Registry::default();
    process(&mut processes);
    let mut text = String::new();
    let encoded = encode_registry(&mut text, &ours).and_then(|()| encode_registry(&mut text, &processes));
    encoded.and_then(|()| encode_eof(&mut text)).expect("a string takes any text");
    Ok(HttpResponse::Ok().content_type(CONTENT_TYPE).body(text))
}

/// Registers values with one label.
fn labelled(
    registry: &mut Registry,
    name: &str,
    help: &str,
    label: &'static str,
    values: impl Iterator<Item = (&'static str, u64)>,
) {
    let family = Family::<[(&str, &str); 1], Counter>::default();
    for (name, value) in values {
        family.get_or_create(&[(label, name)]).inc_by(value);
    }
    registry.register(name, help, family);
}

fn value(registry: &mut Registry, name: &str, help: &str, now: i64) {
    let gauge: Value = Value::default();
    gauge.set(now);
    registry.register(name, help, gauge);
}

fn counter(registry: &mut Registry, name: &str, help: &str, now: i64) {
    let counter: Counter = Counter::default();
    counter.inc_by(u64::try_from(now).unwrap_or_default());
    registry.register(name, help, counter);
}

fn connections(app: &App, registry: &mut Registry) {
    let counters = app.chat.counters();
    let open = Family::<[(&str, &str); 1], Value>::default();
    for (transport, count) in app.socket_io.by_transport() {
        open.get_or_create(&[("transport", transport)]).set(count);
    }
    registry.register("connections", "Open connections of chat clients", open);
    value(registry, "sessions", "Clients that have connected", counters.get(Gauge::Sessions));
    let lost = "Sessions that lost their connection and wait for another one";
    value(registry, "sessions_lost", lost, counters.get(Gauge::LostSessions));
    value(registry, "rooms", "Rooms in memory", counters.get(Gauge::Rooms));
    value(registry, "rooms_limit", "How many rooms there may be in memory", ROOMS as i64);
    value(registry, "room_members", "Places of sessions in rooms", counters.get(Gauge::HubMembers));
    let reasons = CloseReason::ALL.iter().map(|reason| (reason.as_str(), counters.closures(*reason)));
    labelled(registry, "disconnects", "Connections that ended", "reason", reasons);
    let refused = "Connections that were closed at once because there were too many";
    counter(registry, "connections_refused", refused, counters.get(Gauge::Refused));
    counter(registry, "actors_failed", "Rooms and sessions that panicked", counters.get(Gauge::ActorsFailed));
    value(registry, "draining", "1 while the server stops", i64::from(app.chat.is_draining()));
}

fn messages(app: &App, registry: &mut Registry) {
    let counters = app.chat.counters();
    counter(registry, "messages_committed", "Messages committed", counters.get(Gauge::MessagesCommitted));
    let help = "Time from sending a batch to Postgres until its commit is known";
    registry.register_with_unit("commit", help, Unit::Seconds, counters.commits.clone());
    let help = "Time from letting a message in until its commit is known";
    registry.register_with_unit("message", help, Unit::Seconds, counters.messages.clone());
    registry.register("batch_messages", "Messages in a batch", counters.batch_messages.clone());
    let help = "Messages accepted and not yet answered";
    value(registry, "messages_in_flight", help, counters.get(Gauge::MessagesInFlight));
    let help = "Requests of sessions that are not answered yet";
    value(registry, "requests_in_flight", help, counters.get(Gauge::Unanswered));
    let (waiting, lanes) = app.chat.lanes();
    let help = "Messages and read marks that are not committed yet, of all lanes";
    value(registry, "lane_rows", help, waiting as i64);
    value(registry, "lane_rows_limit", "How many all lanes hold", (lanes * LANE_QUEUE) as i64);
}

fn requests(app: &App, registry: &mut Registry) {
    let counters = app.chat.counters();
    let codes = Code::ALL.iter().map(|code| (code.as_str(), counters.refusals(*code)));
    labelled(registry, "refusals", "Requests refused, over both transports", "code", codes);
    registry.register("http_requests", "HTTP requests answered", app.metrics.0.answered.clone());
    let help = "Time from a request's head to its answer's";
    registry.register_with_unit("http_request", help, Unit::Seconds, app.metrics.0.seconds.clone());
}

async fn postgres(app: &App, registry: &mut Registry) {
    let store = app.chat.store();
    let is_up = i64::from(store.ping().await.is_ok());
    value(registry, "postgres_up", "1 if Postgres answers within a second", is_up);
    let risks = app.chat.risks().len() as i64;
    value(registry, "postgres_unsafe_settings", "Settings of Postgres by which it may lose what was committed", risks);
    let used = store.pool_use();
    let pool = Family::<[(&str, &str); 1], Value>::default();
    pool.get_or_create(&[("state", "idle")]).set(used.idle as i64);
    pool.get_or_create(&[("state", "used")]).set(used.used as i64);
    registry.register("pool_connections", "Connections of the pool that serves reads", pool);
    value(registry, "pool_connections_limit", "How many of them there may be", used.limit as i64);
    value(registry, "pool_waiting", "Reads that wait for one", used.waiting as i64);
}

/// Under the names that all programs have.
fn process(registry: &mut Registry) {
    let Ok(process) = procfs::process::Process::myself() else { return };
    let ticks = procfs::ticks_per_second() as f64;
    if let Ok(stat) = process.stat() {
        let cpu: Counter<f64, std::sync::atomic::AtomicU64> = Counter::default();
        cpu.inc_by((stat.utime + stat.stime) as f64 / ticks);
        registry.register_with_unit("process_cpu", "User and system time", Unit::Seconds, cpu);
        let memory = (stat.rss * procfs::page_size()) as i64;
        value(registry, "process_resident_memory_bytes", "Memory that is not swapped out", memory);
        value(registry, "process_threads", "Threads", stat.num_threads);
        if let Ok(booted) = procfs::boot_time_secs() {
            let started = booted as i64 + (stat.starttime as f64 / ticks) as i64;
            value(registry, "process_start_time_seconds", "When it started, in seconds since 1970", started);
        }
    }
    if let Ok(open) = process.fd_count() {
        value(registry, "process_open_fds", "Open files", open as i64);
    }
    if let Ok((soft, _)) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE) {
        value(registry, "process_max_fds", "How many files may be open", i64::try_from(soft).unwrap_or(i64::MAX));
    }
}
