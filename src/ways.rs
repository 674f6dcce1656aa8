//! The ways of messages that somebody watches, in the console or by the log (`actors/src/way.rs`): a layer of tracing that
//! puts a way's spans together when it is over. While nobody watches, no span is made.

pub(crate) mod log;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use actors::{ConversationId, way};
use dashmap::DashMap;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::broadcast;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

/// The span that all others of a way are in.
const MESSAGE: &str = "message";
/// Ways that a watcher may lag behind; beyond them it misses some.
const BEHIND: usize = 256;
/// Deliveries that are told of one message.
const DELIVERIES: usize = 100;

/// Which conversations are watched; clones are the same.
#[derive(Clone, Debug)]
pub struct Ways(Arc<Watched>);

#[derive(Debug)]
struct Watched {
    /// By how many.
    conversations: DashMap<String, usize>,
    /// All are, beside those.
    all: AtomicBool,
    count: AtomicUsize,
    told: broadcast::Sender<Arc<WayOver>>,
}

/// The way of a message, from its beginning to its end.
#[derive(Debug, Serialize)]
pub(crate) struct WayOver {
    /// What is known of the message: `conversation`, `message`, `sender`, `seq` …
    #[serde(flatten)]
    about: Map<String, Value>,
    /// When it began, in milliseconds since 1970.
    began_ms: u64,
    took_us: u64,
    steps: Vec<Step>,
}

impl WayOver {
    pub(crate) fn is_of(&self, conversation: &str) -> bool {
        self.about.get("conversation").and_then(Value::as_str) == Some(conversation)
    }
}

/// A part of it, in microseconds after its beginning.
#[derive(Debug, Serialize)]
struct Step {
    step: &'static str,
    at_us: u64,
    took_us: u64,
    #[serde(flatten)]
    about: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deliveries: Vec<Value>,
}

/// Of a conversation, until it is dropped.
pub(crate) struct Watch {
    ways: Ways,
    pub(crate) conversation: String,
}

impl Default for Ways {
    fn default() -> Self {
        let (told, _) = broadcast::channel(BEHIND);
        Self(Arc::new(Watched {
            conversations: DashMap::new(),
            all: AtomicBool::new(false),
            count: AtomicUsize::new(0),
            told,
        }))
    }
}

impl Ways {
    /// Begins to put together the ways of a conversation's messages.
    pub(crate) fn watch(&self, conversation: ConversationId) -> Watch {
        let conversation = conversation.to_string();
        *self.0.conversations.entry(conversation.clone()).or_default() += 1;
        self.begin();
        Watch { ways: self.clone(), conversation }
    }

    /// Begins to put together all ways, for good. What is not taken in time is missed.
    fn watch_all(&self) -> broadcast::Receiver<Arc<WayOver>> {
        self.0.all.store(true, Ordering::SeqCst);
        self.begin();
        self.told()
    }

    fn begin(&self) {
        if self.0.count.fetch_add(1, Ordering::SeqCst) == 0 {
            tracing::callsite::rebuild_interest_cache();
        }
    }

    fn is_watched(&self, conversation: &str) -> bool {
        self.0.all.load(Ordering::Relaxed) || self.0.conversations.contains_key(conversation)
    }

    /// All that are over from now on, of any conversation that somebody watches.
    pub(crate) fn told(&self) -> broadcast::Receiver<Arc<WayOver>> {
        self.0.told.subscribe()
    }

    /// Whether it is a part of a way, and somebody watches.
    pub(crate) fn concern(&self, about: &Metadata<'_>) -> bool {
        about.target() == way::TARGET && self.0.count.load(Ordering::SeqCst) > 0
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ways.0.conversations.remove_if_mut(&self.conversation, |_, watchers| {
            *watchers -= 1;
            *watchers == 0
        });
        if self.ways.0.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            tracing::callsite::rebuild_interest_cache();
        }
    }
}

/// A way that goes on.
struct Going {
    began: Instant,
    began_at: SystemTime,
    about: Map<String, Value>,
    steps: Vec<Step>,
}

/// A step that goes on.
struct Stepping {
    began: Instant,
    about: Map<String, Value>,
    deliveries: Vec<Value>,
}

/// The fields of a span or an event.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().to_owned(), json!(format!("{value:?}")));
    }
}

fn micros(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u64::MAX)
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Ways {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let (began, about) = (Instant::now(), fields.0);
        if span.name() == MESSAGE {
            let conversation = about.get("conversation").and_then(Value::as_str).unwrap_or_default();
            if self.is_watched(conversation) {
                let going = Going { began, began_at: SystemTime::now(), about, steps: Vec::new() };
                span.extensions_mut().insert(going);
            }
        } else if span.parent().is_some_and(|message| message.extensions().get::<Going>().is_some()) {
            span.extensions_mut().insert(Stepping { began, about, deliveries: Vec::new() });
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(going) = span.extensions_mut().get_mut::<Going>() {
            let mut fields = Fields::default();
            values.record(&mut fields);
            going.about.extend(fields.0);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(span) = context.event_span(event) else { return };
        let mut extensions = span.extensions_mut();
        let Some(stepping) = extensions.get_mut::<Stepping>() else { return };
        if stepping.deliveries.len() < DELIVERIES {
            let mut fields = Fields::default();
            event.record(&mut fields);
            // tracing's name for the text.
            if let Some(name) = fields.0.remove("message") {
                fields.0.insert("event".to_owned(), name);
            }
            stepping.deliveries.push(Value::Object(fields.0));
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let now = Instant::now();
        if let Some(going) = span.extensions_mut().remove::<Going>() {
            let began_ms = going.began_at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
            let Going { began, about, mut steps, .. } = going;
            steps.sort_by_key(|step| step.at_us);
            // Nobody may be there any more.
            let _ = self.0.told.send(Arc::new(WayOver { about, began_ms, took_us: micros(began, now), steps }));
            return;
        }
        let Some(Stepping { began, about, deliveries }) = span.extensions_mut().remove::<Stepping>() else { return };
        let Some(message) = span.parent() else { return };
        if let Some(going) = message.extensions_mut().get_mut::<Going>() {
            let (at_us, took_us) = (micros(going.began, began), micros(began, now));
            going.steps.push(Step { step: span.name(), at_us, took_us, about, deliveries });
        }
    }
}
