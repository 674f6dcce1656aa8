//! Traces by OpenTelemetry's protocol (OTLP, <https://opentelemetry.io/docs/specs/otlp/>), where the environment names a
//! collector: the ways of messages, from the packet to the commit and the deliveries.
//!
//! The variables are those of the standard, as its Rust SDK takes them: `OTEL_EXPORTER_OTLP_ENDPOINT` and what goes with it,
//! `OTEL_TRACES_SAMPLER`, `OTEL_SERVICE_NAME`. What the collector does not take in time is dropped, and nobody waits for it.

use std::env;

use actors::{ConversationId, Way, way};
use opentelemetry::trace::{TraceContextExt, TraceId, TracerProvider};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};
use tracing::{Metadata, Subscriber};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
use tracing_subscriber::registry::LookupSpan;

/// How the collector is talked to, where one of them says so.
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
/// Those that are built in.
const SPOKEN: [&str; 2] = ["http/protobuf", "http/json"];
/// One of them names the collector.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// As the server calls itself, unless `OTEL_SERVICE_NAME` says otherwise.
const SERVICE: &str = env!("CARGO_PKG_NAME");

/// Traces on their way to a collector.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    /// The variable that names the collector.
    pub(crate) named_by: &'static str,
}

impl Traces {
    /// `None` where the environment names no collector.
    ///
    /// # Errors
    /// It cannot be read, or done.
    pub fn wanted() -> Result<Option<Self>, String> {
        let Some(named_by) = collector()? else { return Ok(None) };
        let exporter = SpanExporter::builder().with_http().build();
        let exporter = exporter.map_err(|error| format!("cannot send traces as {named_by} says: {error}"))?;
        let mut resource = Resource::builder();
        if env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name(SERVICE);
        }
        let provider =
            SdkTracerProvider::builder().with_resource(resource.build()).with_batch_exporter(exporter).build();
        Ok(Some(Self { provider, named_by }))
    }

    /// What makes spans of ways into spans of traces.
    pub(crate) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> OpenTelemetryLayer<S, SdkTracer> {
        let layer = tracing_opentelemetry::layer().with_tracer(self.provider.tracer(SERVICE));
        layer
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
    }

    /// Sends what has not been sent yet, for a bounded time.
    pub(crate) fn end(&self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// The variable that names the collector, if one does.
///
/// # Errors
/// What the environment says of traces cannot be done here.
pub(crate) fn collector() -> Result<Option<&'static str>, String> {
    let Some((named_by, collector)) = first_set(ENDPOINTS) else { return Ok(None) };
    if !collector.starts_with("http://") {
        let remedy = "a collector beside the server passes traces on over TLS";
        return Err(format!("{named_by} must begin with http://; {remedy}"));
    }
    if collector.parse::<http::Uri>().is_err() {
        return Err(format!("{named_by} is no address: it must be like http://127.0.0.1:4318"));
    }
    match first_set(PROTOCOLS) {
        Some((name, protocol)) if !SPOKEN.contains(&protocol.as_str()) => {
            Err(format!("{name} is {protocol:?}, but it must be {}", SPOKEN.join(" or ")))
        }
        _ => Ok(Some(named_by)),
    }
}

fn first_set(names: [&'static str; 2]) -> Option<(&'static str, String)> {
    let mut set = names.into_iter().filter_map(|name| Some((name, env::var(name).ok()?)));
    set.find(|(_, value)| !value.is_empty())
}

/// The way of a message that has come to be sent. The log and the console have the id of its trace, if there is one.
pub(crate) fn begin(conversation: ConversationId) -> Way {
    let way = Way::begin(conversation);
    way.traced(|span| {
        let id = span.context().span().span_context().trace_id();
        (id != TraceId::INVALID).then(|| id.to_string())
    });
    way
}

/// Whether it is a part of a way.
pub(crate) fn concerns(about: &Metadata<'_>) -> bool {
    about.target() == way::TARGET
}
