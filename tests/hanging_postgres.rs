//! A Postgres that takes a batch and does not answer: waits are bounded, and who is told of a failure finds the message
//! not stored, then and later.

mod support;

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use serde_json::json;
use support::cutting_proxy::Proxied;
use support::http::head;
use support::postgres::{Frozen, Sql};
use support::socket_io::send_argument;
use support::{Connection, Person, Server, SocketIo, new_id, token, until};

const LOCK: &str = "BEGIN; LOCK TABLE messages IN ACCESS EXCLUSIVE MODE";
const UNLOCK: &str = "COMMIT";
/// The connection that announces changes, as it calls itself.
const FEED: &str = "horsetrust-chat feed";
/// The connections that commit.
const LANE: &str = "horsetrust-chat lane";
const LANES: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'horsetrust-chat lane%'";
const WAITING: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ILIKE '%messages%'";
/// Longer than any caller is to be held.
const PATIENCE: Duration = Duration::from_secs(90);
const RECOVERY: Duration = Duration::from_secs(60);

#[derive(Debug, PartialEq, Eq)]
enum Told {
    Stored,
    Refused(String),
    /// The connection was closed without an answer.
    Nothing,
}

struct Scene {
    server: Server,
    ana: Person,
    ben: Person,
    conversation: String,
    sql: Sql,
}

impl Scene {
    /// A room that is loaded, so that nothing but commits needs the table.
    fn set() -> Self {
        let server = Server::start();
        let (ana, ben) = (server.person("Ana"), server.person("Ben"));
        let conversation = server.conversation(&ana, &ben);
        server.post(&ana, &conversation, "before");
        let sql = Sql::connect(server.directory());
        Self { server, ana, ben, conversation, sql }
    }

    fn wait_for_standby(&self, name: &str) {
        self.sql.run(&format!("ALTER SYSTEM SET synchronous_standby_names = '{name}'"));
        self.sql.run("SELECT pg_reload_conf()");
    }

    fn post(&self, text: &str) -> Told {
        let body = json!({ "text": text }).to_string();
        let path = format!("/api/chat/conversations/{}/messages", self.conversation);
        let authorization = format!("Bearer {}", self.ana.token);
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        let mut request = head("POST", &path, &headers, Some(body.len()));
        request.extend(body.as_bytes());
        let mut connection = Connection::open(self.server.address());
        connection.wait_up_to(PATIENCE);
        connection.send(&request);
        let Some(response) = connection.try_response() else { return Told::Nothing };
        told(&response.json())
    }

    fn send(&self, text: &str) -> Told {
        let mut client = SocketIo::connect(&self.server, &self.ana);
        client.socket.connection.wait_up_to(PATIENCE);
        let id = client.send_call("send_message", &send_argument(&self.conversation, text));
        client.try_ack(id).map_or(Told::Nothing, |ack| told(&ack))
    }

    /// The end of every story: Postgres works again, and what was told is true.
    fn verify(&self, text: &str, told: &Told) {
        until("sends work again", RECOVERY, || self.post("after") == Told::Stored);
        let texts = self.server.texts(&self.ben, &self.conversation);
        let copies = texts.iter().filter(|stored| *stored == text).count();
        match told {
            Told::Stored => assert_eq!(copies, 1, "{texts:?}"),
            Told::Refused(code) => assert_eq!(copies, 0, "told {code}, and yet: {texts:?}"),
            Told::Nothing => assert!(copies <= 1, "{texts:?}"),
        }
    }
}

fn told(reply: &serde_json::Value) -> Told {
    match reply["success"].as_bool() {
        Some(true) => Told::Stored,
        _ => Told::Refused(reply["code"].as_str().unwrap_or("no code").to_owned()),
    }
}

/// Somebody holds a lock that a commit needs, for longer than a commit may take.
fn under_a_lock(send: impl Fn(&Scene) -> Told + Sync) {
    let scene = Scene::set();
    scene.sql.run(LOCK);
    let started = Instant::now();
    let told = send(&scene);
    assert!(started.elapsed() < RECOVERY, "answered while the lock is still held");
    assert_ne!(told, Told::Stored);
    scene.sql.run(UNLOCK);
    scene.verify("meanwhile", &told);
}

/// Postgres stops in the middle of a commit, stays so until the caller is let go, and then goes on with it.
fn through_a_freeze(send: impl Fn(&Scene) -> Told + Sync) {
    let scene = Scene::set();
    scene.sql.run(LOCK);
    let told = thread::scope(|scope| {
        let sending = scope.spawn(|| send(&scene));
        until("the commit waits for the lock", RECOVERY, || scene.sql.count(WAITING) > 0);
        let frozen = Frozen::freeze(scene.server.directory());
        let told = sending.join().expect("the send comes to an end");
        drop(frozen);
        told
    });
    scene.sql.run(UNLOCK);
    scene.verify("meanwhile", &told);
}

#[test]
fn a_post_that_waits_for_a_lock_is_let_go_in_time_and_told_no_guess() {
    under_a_lock(|scene| scene.post("meanwhile"));
}

#[test]
fn a_send_that_waits_for_a_lock_is_let_go_in_time_and_told_no_guess() {
    under_a_lock(|scene| scene.send("meanwhile"));
}

#[test]
fn a_post_whose_outcome_stays_unknown_is_told_no_guess() {
    through_a_freeze(|scene| scene.post("meanwhile"));
}

#[test]
fn a_send_whose_outcome_stays_unknown_is_told_no_guess() {
    through_a_freeze(|scene| scene.send("meanwhile"));
}

#[test]
fn read_marks_whose_outcome_stays_unknown_are_refused_in_time_and_told_of_later() {
    let scene = Scene::set();
    let mut sender = SocketIo::connect(&scene.server, &scene.ana);
    sender.join(&scene.conversation);
    let mut reader = SocketIo::connect(&scene.server, &scene.ben);
    reader.socket.connection.wait_up_to(PATIENCE);
    let mut caller = Connection::open(scene.server.address());
    caller.wait_up_to(PATIENCE);
    let frozen = Frozen::connections(&scene.sql, LANE);
    let mark = reader.send_call("mark_read", &json!({ "conversation_id": scene.conversation, "up_to_seq": 1 }));
    let (path, authorization) =
        (format!("/api/chat/conversations/{}/messages", scene.conversation), format!("Bearer {}", scene.ben.token));
    caller.send(&head("GET", &path, &[("Authorization", &authorization)], None));
    let told = reader.try_ack(mark).expect("an answer");
    assert_eq!(told["code"], "OVERLOADED", "{told}");
    assert_eq!(caller.response().status, 503);
    drop(frozen);
    assert_eq!(sender.next_event("message_read")["up_to_seq"], 1);
}

#[test]
fn what_is_unread_is_told_though_the_connection_that_counts_it_is_lost() {
    let scene = Scene::set();
    let mut reader = SocketIo::connect(&scene.server, &scene.ben);
    assert_eq!(scene.server.rest(&scene.ben.token, "GET", "/api/chat/unread-count", None).1["unread_count"], 1);
    let counting = Frozen::connections(&scene.sql, "horsetrust-chat reads");
    let mark = json!({ "conversation_id": scene.conversation, "up_to_seq": 1 });
    assert_eq!(reader.call("mark_read", &mark)["success"], true);
    // What Postgres does not answer is not told yet.
    thread::sleep(Duration::from_millis(500));
    let stats = scene.server.rest(&token(&new_id(), "admin"), "GET", "/api/chat/admin/stats", None).1;
    assert_eq!(stats["data"]["announcements"], 1, "{stats}");
    counting.end();
    let told = reader.next_event("unread_update");
    assert_eq!((&told["unread_count"], &told["total_unread"]), (&json!(0), &json!(0)));
}

#[test]
fn a_stop_waits_for_calls_that_wait_for_postgres() {
    let server = Server::start();
    let path = format!("/api/chat/users/{}", new_id());
    let put = || server.rest(&token(&new_id(), "admin"), "PUT", &path, Some(&json!({ "full_name": "Late" }))).0;
    assert_eq!(put(), 200);
    let frozen = Frozen::freeze(server.directory());
    thread::scope(|scope| {
        let call = scope.spawn(put);
        thread::sleep(Duration::from_secs(1));
        kill(server.pid(), Signal::SIGTERM).expect("it runs");
        // More than the connections are given at the end.
        thread::sleep(Duration::from_secs(3));
        drop(frozen);
        assert_eq!(call.join().expect("no panic"), 200);
    });
}

#[test]
fn a_lane_that_hangs_does_not_take_one_connection_after_the_other() {
    let scene = Scene::set();
    let lanes = scene.sql.count(LANES);
    let frozen = Frozen::connections(&scene.sql, LANE);
    let most = thread::scope(|scope| {
        let sending = scope.spawn(|| scene.post("meanwhile"));
        let began = Instant::now();
        let mut most = 0;
        while began.elapsed() < Duration::from_secs(40) {
            most = most.max(scene.sql.count(LANES));
            thread::sleep(Duration::from_millis(200));
        }
        sending.join().expect("the send comes to an end");
        most
    });
    assert!(most > lanes, "that which hangs is replaced");
    // The next one tries, and Postgres may not have cleared away the last try.
    assert!(most <= lanes + 3, "{most} connections of {lanes} lanes");
    drop(frozen);
    until("sends work again", RECOVERY, || scene.post("after") == Told::Stored);
}

#[test]
fn a_lane_that_is_lost_comes_back_though_postgres_is_far_away() {
    let Proxied { postgres, proxy, server } = Proxied::start(LANE);
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    server.post(&ana, &conversation, "nearby");
    let sql = Sql::connect(postgres.directory());
    proxy.be_late(300);
    Frozen::connections(&sql, LANE).end();
    let path = format!("/api/chat/conversations/{conversation}/messages");
    let body = json!({ "text": "from far away" });
    until("it is stored", RECOVERY, || server.rest(&ana.token, "POST", &path, Some(&body)).0 == 201);
}

#[test]
fn what_a_synchronous_standby_may_not_have_is_not_acknowledged() {
    let scene = Scene::set();
    // It is never there. So the commit waits, and so does the one after its connection was given up.
    scene.wait_for_standby("away");
    // Those before Postgres has read that are stored at once.
    let (mut tries, mut told) = (0, Told::Stored);
    until("one is not acknowledged", RECOVERY, || {
        tries += 1;
        told = scene.post(&format!("meanwhile {tries}"));
        told != Told::Stored
    });
    scene.wait_for_standby("");
    scene.verify(&format!("meanwhile {tries}"), &told);
}

#[test]
fn a_deletion_that_a_synchronous_standby_may_not_have_is_not_acknowledged_either() {
    let scene = Scene::set();
    scene.wait_for_standby("away");
    // As one whose connection was given up while it waited.
    scene.sql.run("SET synchronous_commit = off; UPDATE messages SET deleted_at = now()");
    let message = scene.sql.text("SELECT encode(id, 'hex') FROM messages");
    let delete = || scene.server.rest(&scene.ana.token, "DELETE", &format!("/api/chat/messages/{message}"), None).0;
    // Before Postgres has read that, those are acknowledged at once.
    until("it is not acknowledged", RECOVERY, || delete() == 503);
    scene.wait_for_standby("");
    until("it is", RECOVERY, || delete() == 200);
}

#[test]
fn read_marks_that_a_synchronous_standby_may_not_have_are_not_acknowledged_either() {
    let scene = Scene::set();
    (2..=20).for_each(|n| drop(scene.server.post(&scene.ana, &scene.conversation, &n.to_string())));
    let mut sender = SocketIo::connect(&scene.server, &scene.ana);
    sender.join(&scene.conversation);
    scene.wait_for_standby("away");
    let mut reader = SocketIo::connect(&scene.server, &scene.ben);
    reader.socket.connection.wait_up_to(PATIENCE);
    let mut mark = |seq: usize| {
        let id = reader.send_call("mark_read", &json!({ "conversation_id": scene.conversation, "up_to_seq": seq }));
        reader.try_ack(id).map_or(Told::Nothing, |ack| told(&ack))
    };
    // Before Postgres has read that, those are acknowledged at once.
    let late = (1..=20).find(|seq| mark(*seq) != Told::Stored).expect("one that is not acknowledged");
    sender.call("typing", &json!(scene.conversation));
    let told_of = sender.names_of_events().into_iter().filter(|name| *name == "message_read").count();
    assert_eq!(told_of, late - 1, "it was tried again meanwhile, and the sender not told either");
    scene.wait_for_standby("");
    until("it is", RECOVERY, || mark(late) == Told::Stored);
    assert_eq!(sender.next_event("message_read")["up_to_seq"], 1);
}

#[test]
fn a_server_that_was_led_to_a_standby_finds_the_primary_again() {
    let scene = Scene::set();
    let list = || scene.server.rest(&scene.ana.token, "GET", "/api/chat/conversations", None).0;
    assert_eq!(list(), 200);
    // For who connects now, and stays so: as if a name led to a standby.
    scene.sql.run("ALTER ROLE horsetrust SET default_transaction_read_only = on");
    for name in [LANE, "horsetrust-chat reads", FEED] {
        Frozen::connections(&scene.sql, name).end();
    }
    until("it is noticed", RECOVERY, || list() == 503);
    assert_ne!(scene.post("meanwhile"), Told::Stored);
    scene.sql.run("ALTER ROLE horsetrust RESET default_transaction_read_only");
    until("sends work again", RECOVERY, || scene.post("after") == Told::Stored);
    until("reads work again", RECOVERY, || list() == 200);
    let unread =
        || scene.server.rest(&scene.ben.token, "GET", "/api/chat/unread-count", None).1["unread_count"].as_u64();
    assert_eq!(unread(), Some(2));
}

#[test]
fn a_postgres_that_takes_no_writes_for_a_while_is_told_of_and_stores_nothing() {
    let scene = Scene::set();
    let takes_writes = |does: bool| {
        scene.sql.run(&format!("ALTER SYSTEM SET default_transaction_read_only = {}", !does));
        scene.sql.run("SELECT pg_reload_conf()");
    };
    takes_writes(false);
    // Those before may still have come in time.
    let mut told = Told::Stored;
    until("it is refused", RECOVERY, || {
        told = scene.post("meanwhile");
        told != Told::Stored
    });
    assert_eq!(told, Told::Refused("OVERLOADED".to_owned()));
    let stored = scene.sql.count("SELECT count(*) FROM messages");
    assert_eq!(scene.send("meanwhile"), Told::Refused("OVERLOADED".to_owned()));
    takes_writes(true);
    until("sends work again", RECOVERY, || scene.post("after") == Told::Stored);
    assert_eq!(scene.sql.count("SELECT count(*) FROM messages"), stored + 1);
}
