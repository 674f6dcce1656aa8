//! What Prometheus is told: that it is true, documented and bounded, and that alerts and dashboard ask for what there is.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::{fs, path::Path};

use serde_json::{Value, json};
use support::socket_io::connect_packet;
use support::{Connection, EVENT_LIMIT, Plain, Polling, Server, SocketIo, WebSocket, new_id, token, until};

/// Samples by their name with labels.
struct Scraped(BTreeMap<String, f64>);

impl Scraped {
    fn of(server: &Server) -> Self {
        let text = scrape(server);
        assert!(text.ends_with("# EOF\n"), "{text}");
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        Self(
            samples
                .map(|line| line.rsplit_once(' ').expect("a name and a value"))
                .map(|(name, value)| (name.to_owned(), value.parse().expect("a number")))
                .collect(),
        )
    }

    /// Without the project's prefix, which all of these have.
    fn get(&self, name: &str) -> f64 {
        *self.0.get(&format!("horsetrust_chat_{name}")).unwrap_or_else(|| panic!("no {name} in {:#?}", self.0.keys()))
    }

    /// The names of the samples, without labels.
    fn names(&self) -> BTreeSet<&str> {
        self.0.keys().filter_map(|name| name.split('{').next()).collect()
    }
}

fn scrape(server: &Server) -> String {
    let authorization = format!("Bearer {}", token(&new_id(), "admin"));
    let headers = [("Authorization", authorization.as_str())];
    let answer = Connection::open(server.address()).request("GET", "/metrics", &headers, b"");
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("application/openmetrics-text; version=1.0.0"))
    );
    answer.text()
}

#[test]
fn each_histogram_ends_with_a_bucket_for_all() {
    let server = Server::start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let talk = server.conversation(&ana, &ben);
    server.post(&ana, &talk, "one");
    let now = Scraped::of(&server);
    // What is counted, without its bound, and the bound.
    let buckets = now.0.iter().filter_map(|(name, count)| {
        let (name, labels) = name.split_once("_bucket{")?;
        let (bounds, others): (Vec<_>, Vec<_>) =
            labels.trim_end_matches('}').split(',').partition(|label| label.starts_with("le="));
        let others = if others.is_empty() { String::new() } else { format!("{{{}}}", others.join(",")) };
        Some((format!("{name}_count{others}"), bounds.concat(), *count))
    });
    let buckets: Vec<_> = buckets.collect();
    let histograms: BTreeSet<_> = buckets.iter().map(|(counted, ..)| counted).collect();
    assert!(histograms.len() > 3, "{histograms:?}");
    for counted in histograms {
        let last = buckets.iter().find(|(of, bound, _)| of == counted && bound == "le=\"+Inf\"");
        let (_, _, all) = last.unwrap_or_else(|| panic!("{counted} has no bucket for all: {buckets:#?}"));
        assert_eq!(now.0.get(counted), Some(all), "{counted}");
    }
}

#[test]
fn what_happens_is_counted() {
    let server = Server::start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let talk = server.conversation(&ana, &ben);
    let mut socket = SocketIo::connect(&server, &ana);
    let mut polls = Connection::open(server.address());
    let polling = Polling::connect(&mut polls, &ben);
    let plain = Plain::connect(&server, &ben);
    socket.join(&talk);
    for _ in 0..3 {
        socket.send(&talk, "counted");
    }
    server.post(&ben, &talk, "by REST");
    until("all are told of it", EVENT_LIMIT, || server.stat("messages_in_flight") == 0);
    let now = Scraped::of(&server);
    for (name, value) in [
        ("connections{transport=\"websocket\"}", 1.0),
        ("connections{transport=\"polling\"}", 1.0),
        ("connections{transport=\"plain_websocket\"}", 1.0),
        ("sessions", 3.0),
        ("rooms", 1.0),
        ("room_members", 1.0),
        ("messages_committed_total", 4.0),
        ("messages_in_flight", 0.0),
        ("lane_rows", 0.0),
        ("postgres_up", 1.0),
        ("postgres_unsafe_settings", 0.0),
        ("http_requests_total{method=\"POST\",path=\"/api/chat/conversations/{id}/messages\",status=\"201\"}", 1.0),
    ] {
        assert!((now.get(name) - value).abs() < f64::EPSILON, "{name} is {} and not {value}", now.get(name));
    }
    let batches = now.get("commit_seconds_count");
    assert!((1.0..=4.0).contains(&batches) && now.get("commit_seconds_sum") > 0.0);
    assert!((now.get("batch_messages_sum") - 4.0).abs() < f64::EPSILON);
    let mut upgraded = polling.upgraded(Connection::open(server.address()));
    upgraded.join(&talk);
    let now = Scraped::of(&server);
    assert!(
        now.get("connections{transport=\"websocket\"}") > 1.5 && now.get("connections{transport=\"polling\"}") < 0.5
    );
    drop((socket, upgraded, plain));
    let lost = || Scraped::of(&server).get("disconnects_total{reason=\"transport lost\"}");
    until("all have ended", EVENT_LIMIT, || lost() > 2.5);
}

#[test]
fn refusals_are_counted_by_code_over_both_transports() {
    let server = Server::start();
    let (ana, ben, eve) = (server.person("Ana"), server.person("Ben"), server.person("Eve"));
    let talk = server.conversation(&ana, &ben);
    let mut socket = SocketIo::connect(&server, &eve);
    // By the room; by the parser; by the keys; and each by REST.
    assert_eq!(socket.call("join_conversation", &json!(talk))["code"], "NOT_FOUND");
    assert_eq!(
        socket.call("send_message", &json!({ "conversation_id": talk, "text": " " }))["code"],
        "INVALID_ARGUMENT"
    );
    let mut stranger = WebSocket::upgrade(Connection::open(server.address()), "/socket.io/?EIO=4&transport=websocket");
    stranger.next_text();
    stranger.send_text(&connect_packet("not a token"));
    assert!(stranger.next_text().contains("UNAUTHENTICATED"));
    let path = format!("/api/chat/conversations/{talk}/messages");
    assert_eq!(server.rest(&eve.token, "GET", &path, None).0, 404);
    assert_eq!(server.rest(&ana.token, "POST", &path, Some(&json!({ "text": "" }))).0, 400);
    assert_eq!(server.rest("nobody's", "GET", &path, None).0, 401);
    assert_eq!(socket.call("leave_conversation", &Value::Null)["code"], "NOT_FOUND");
    assert_eq!(socket.call("no_such_event", &Value::Null)["code"], "INVALID_ARGUMENT");
    let now = Scraped::of(&server);
    for (code, count) in [("NOT_FOUND", 3.0), ("INVALID_ARGUMENT", 3.0), ("UNAUTHENTICATED", 2.0), ("OVERLOADED", 0.0)]
    {
        let counted = now.get(&format!("refusals_total{{code=\"{code}\"}}"));
        assert!((counted - count).abs() < f64::EPSILON, "{code}: {counted} and not {count}");
    }
}

#[test]
fn a_client_cannot_make_new_series() {
    let server = Server::start();
    for number in 0..20 {
        let mut connection = Connection::open(server.address());
        connection.request(&format!("ODD{number}"), &format!("/nowhere/{number}"), &[], b"");
        server.rest("nobody's", "GET", &format!("/api/chat/conversations/{number}/messages?page={number}"), None);
    }
    let now = Scraped::of(&server);
    let requests: Vec<_> = now.0.keys().filter(|name| name.contains("http_requests_total")).collect();
    assert_eq!(requests.len(), 2, "{requests:#?}");
    assert!(
        (now.get("http_requests_total{method=\"other\",path=\"other\",status=\"404\"}") - 20.0).abs() < f64::EPSILON
    );
}

#[test]
fn all_of_it_is_documented_and_alerts_and_dashboard_ask_for_nothing_else() {
    let server = Server::start();
    // The first one is a request that the second one counts.
    scrape(&server);
    let now = Scraped::of(&server);
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let read = |name: &str| fs::read_to_string(docs.join(name)).expect(name);
    // Of a histogram, the name without what its samples add.
    let plain = |name: &str| {
        let ends = ["_bucket", "_count", "_sum"];
        ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
    };
    let exposed: BTreeSet<String> = now.names().into_iter().map(plain).collect();
    let documented: BTreeSet<String> = named(&read("metrics.md")).into_iter().collect();
    assert_eq!(exposed, documented, "on the left what there is, on the right what is documented");
    for file in ["monitoring/alerts.yml", "monitoring/alerts_test.yml", "monitoring/dashboard.json"] {
        let asked: BTreeSet<String> = named(&read(file)).iter().map(|name| plain(name)).collect();
        let missing: Vec<_> = asked.difference(&exposed).collect();
        assert!(!asked.is_empty() && missing.is_empty(), "{file} asks for {missing:?}");
    }
    let dashboard: Value = serde_json::from_str(&read("monitoring/dashboard.json")).expect("JSON");
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 10));
}

/// The names of metrics that stand in a text.
fn named(text: &str) -> Vec<String> {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    let is_name = |word: &&str| word.starts_with("horsetrust_chat_") || word.starts_with("process_");
    words.filter(is_name).map(str::to_owned).collect()
}
