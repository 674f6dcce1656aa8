//! Connections for reads that are lost without a word, and callers who do not wait for their answers.

mod support;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::cutting_proxy::Proxied;
use support::http::head;
use support::postgres::{Frozen, Sql};
use support::socket_io::parse_ack;
use support::{Connection, DataDir, Person, Plain, Server, SocketIo, new_id, until};

const READS: &str = "horsetrust-chat reads";
const LIST: &str = "/api/chat/conversations";
/// Less than a read may take; more than one takes.
const SOON: Duration = Duration::from_secs(5);
const RECOVERY: Duration = Duration::from_secs(60);

/// A server with so many connections for reads that nobody uses.
fn with_reads(count: usize) -> (Server, Sql) {
    let server = Server::start();
    let people: Vec<_> = (0..count).map(|_| server.person("Ana")).collect();
    let sql = open_reads(&server, &people, server.directory());
    (server, sql)
}

/// As many connections for reads as there are people.
fn open_reads(server: &Server, people: &[Person], postgres: &DataDir) -> Sql {
    let sql = Sql::connect(postgres);
    // A transaction sees connections as they were when it looked first.
    let lock = Sql::connect(postgres);
    // Less than a statement waits for a lock.
    lock.run("BEGIN; LOCK TABLE conversations IN ACCESS EXCLUSIVE MODE");
    thread::scope(|scope| {
        let reads = people.iter().map(|person| scope.spawn(|| server.rest(&person.token, "GET", LIST, None).0));
        let reads: Vec<_> = reads.collect();
        until("each read has its connection", SOON, || sql.connections(READS).len() >= people.len());
        lock.run("COMMIT");
        // Those that had waited too long have given their connections back, too.
        reads.into_iter().for_each(|read| drop(read.join()));
    });
    sql
}

/// Asks, and goes away before there is an answer.
fn hang_up(server: &Server, person: &Person) {
    let mut caller = Connection::open(server.address());
    let authorization = format!("Bearer {}", person.token);
    caller.send(&head("GET", LIST, &[("Authorization", &authorization)], None));
    assert!(caller.is_silent_for(Duration::from_millis(300)), "Postgres does not answer");
}

#[test]
fn nobody_waits_for_a_statement_whose_caller_has_gone() {
    let (server, sql) = with_reads(4);
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let others: Vec<_> = sql.connections(READS).iter().skip(2).map(|_| server.person("Other")).collect();
    let frozen = Frozen::connections(&sql, READS);
    // Two of her reads take a connection each; the others wait for them, and go.
    for _ in 0..5 {
        hang_up(&server, &ana);
    }
    others.iter().for_each(|other| hang_up(&server, other));
    let began = Instant::now();
    assert_eq!(server.rest(&ben.token, "GET", LIST, None).0, 200);
    assert!(began.elapsed() < SOON, "over a connection of his own");
    drop(frozen);
    until("her reads are over", RECOVERY, || server.rest(&ana.token, "GET", LIST, None).0 == 200);
}

#[test]
fn one_read_that_is_not_answered_is_enough_to_find_the_connections_lost() {
    let (server, sql) = with_reads(4);
    let ana = server.person("Ana");
    let _frozen = Frozen::connections(&sql, READS);
    assert_eq!(server.rest(&ana.token, "GET", LIST, None).0, 503);
    let began = Instant::now();
    for _ in 0..4 {
        assert_eq!(server.rest(&ana.token, "GET", LIST, None).0, 200);
    }
    assert!(began.elapsed() < SOON, "over new ones");
}

#[test]
fn rooms_are_loaded_though_two_connections_are_lost() {
    const ROOMS: usize = 40;
    let (server, sql) = with_reads(8);
    let mut socket = SocketIo::connect(&server, &server.person("Ana"));
    let frozen = Frozen::some_connections(&sql, READS, 2);
    for _ in 0..ROOMS {
        socket.send_call("join_conversation", &json!(new_id()));
        thread::sleep(Duration::from_millis(50));
    }
    for _ in 0..ROOMS {
        let (_, answer) = parse_ack(&socket.packet()).expect("nothing else comes");
        assert_eq!(answer["code"], "NOT_FOUND", "and not OVERLOADED");
    }
    drop(frozen);
}

/// A server with a session of Ben's that can be recovered, whose connections for reads are lost.
struct Losing {
    server: Server,
    ben: Person,
    /// With a message that he has not read.
    conversation: String,
    /// Whose room is not loaded.
    another: String,
    reader: Plain,
    /// As many as there can be connections for reads.
    others: Vec<Person>,
    _frozen: Frozen,
    // Last: its Postgres outlives the server.
    _postgres: Server,
}

impl Losing {
    fn start() -> Self {
        // Half of it is less than a read may take otherwise.
        let settings = [("STOP_SECONDS", "10")];
        let Proxied { postgres, server, .. } = Proxied::start_with("horsetrust-chat lane", &settings);
        let (ana, ben) = (server.person("Ana"), server.person("Ben"));
        let [conversation, another] = [&ana, &server.person("Cleo")].map(|other| server.conversation(other, &ben));
        server.post(&ana, &conversation, "unread");
        let mut reader = Plain::stranger(&server);
        reader.send("connect", &json!({ "token": ben.token, "recover": true }));
        reader.next_event("connect");
        let others: Vec<_> = (0..8).map(|_| server.person("Other")).collect();
        let _frozen = Frozen::connections(&open_reads(&server, &others, postgres.directory()), READS);
        Self { others, server, ben, conversation, another, reader, _frozen, _postgres: postgres }
    }

    /// It stops in order, and keeps the session for the next server.
    fn keeps_the_session(self) -> Plain {
        let directory = self.server.directory().clone();
        assert_eq!(self.server.stop().code(), Some(0));
        let log = fs::read_to_string(directory.log_file()).expect("the log");
        assert!(log.contains("kept the sessions for the next server"), "{log}");
        self.reader
    }

    /// The same while this is asked over the session.
    fn keeps_the_session_during(mut self, event: &str, data: &Value) {
        let id = self.reader.send_call(event, data);
        thread::sleep(Duration::from_millis(500));
        let refused = self.keeps_the_session().ack(id);
        assert_eq!(refused["code"], "OVERLOADED", "{refused}");
    }
}

#[test]
fn a_stop_keeps_sessions_while_something_is_counted() {
    let mut losing = Losing::start();
    let mark = json!({ "conversation_id": losing.conversation, "up_to_seq": 1 });
    assert_eq!(losing.reader.call("mark_read", &mark)["success"], true);
    assert_eq!(losing.keeps_the_session().next_event("unread_update")["data"]["total_unread"], 0);
}

#[test]
fn a_stop_keeps_sessions_though_callers_who_have_gone_left_no_connection() {
    let mut losing = Losing::start();
    losing.others.iter().for_each(|other| hang_up(&losing.server, other));
    let mark = json!({ "conversation_id": losing.conversation, "up_to_seq": 1 });
    assert_eq!(losing.reader.call("mark_read", &mark)["success"], true);
    losing.keeps_the_session();
}

#[test]
fn a_stop_keeps_sessions_while_a_page_is_read_and_marked() {
    let losing = Losing::start();
    let path = format!("/api/chat/conversations/{}/messages", losing.conversation);
    let (address, authorization) = (losing.server.address(), format!("Bearer {}", losing.ben.token));
    let mut caller = Connection::open(address);
    caller.send(&head("GET", &path, &[("Authorization", &authorization)], None));
    assert!(caller.is_silent_for(Duration::from_millis(500)), "Postgres does not answer");
    losing.keeps_the_session();
    assert_eq!(caller.response().status, 503);
}

#[test]
fn a_stop_keeps_sessions_while_one_comes_back_into_a_room() {
    let losing = Losing::start();
    let join = json!([losing.conversation, { "since_seq": 0 }]);
    losing.keeps_the_session_during("join_conversation", &join);
}

#[test]
fn a_stop_keeps_sessions_while_a_room_is_loaded() {
    let losing = Losing::start();
    let join = json!(losing.another);
    losing.keeps_the_session_during("join_conversation", &join);
}

#[test]
fn what_is_deleted_as_a_stop_begins_is_told_though_its_room_is_not_loaded() {
    let settings = [("ROOM_IDLE_SECONDS", "1")];
    let Proxied { postgres: _postgres, proxy, server } = Proxied::start_with("nobody's", &settings);
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let message = server.post(&ana, &conversation, "unread");
    let mut reader = Plain::connect(&server, &ben);
    until("nobody needs the room", RECOVERY, || server.stat("rooms") == 0);
    proxy.be_late(300);
    let mut caller = Connection::open(server.address());
    let path = format!("/api/chat/messages/{}", message["_id"].as_str().expect("an id"));
    let authorization = format!("Bearer {}", ana.token);
    caller.send(&head("DELETE", &path, &[("Authorization", &authorization)], None));
    assert!(caller.is_silent_for(Duration::from_millis(150)), "Postgres is far away");
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(caller.response().status, 200);
    assert_eq!(reader.next_event("unread_update")["data"]["total_unread"], 0);
}
