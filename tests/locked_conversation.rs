//! Rows that somebody else holds: what needs them is refused in time and for good, and others do not wait for it.

mod support;

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use support::postgres::Sql;
use support::{Person, Server, SocketIo, new_id};

/// More than two waits for a lock, which is what its lane is held up for.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many that all connections of the pool would be busy with them for seconds.
const DELETIONS: usize = 60;
/// Much less than that, and much more than a read takes.
const SOON: Duration = Duration::from_secs(3);
/// So many that some share the locked one's lane.
const OTHERS: usize = 12;

fn other_conversations(server: &Server, ana: &Person, ben: &Person) -> Vec<String> {
    let about_a_horse = |_| {
        let body = json!({ "recipient_id": ben.id, "horse_id": new_id() });
        let (_, reply) = server.rest(&ana.token, "POST", "/api/chat/conversations", Some(&body));
        reply["data"]["_id"].as_str().expect("an id").to_owned()
    };
    (0..OTHERS).map(about_a_horse).collect()
}

#[test]
fn a_locked_conversation_is_refused_and_the_others_go_on() {
    let server = Server::start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let locked = server.conversation(&ana, &ben);
    let others = other_conversations(&server, &ana, &ben);
    for conversation in others.iter().chain([&locked]) {
        server.post(&ana, conversation, "before");
    }
    let sql = Sql::connect(server.directory());
    sql.run(&format!("BEGIN; SELECT FROM conversations WHERE id = decode('{locked}', 'hex') FOR UPDATE"));
    let send = |conversation: &str| {
        let path = format!("/api/chat/conversations/{conversation}/messages");
        let began = Instant::now();
        let (status, reply) = server.rest(&ana.token, "POST", &path, Some(&json!({ "text": "meanwhile" })));
        (status, reply, began.elapsed())
    };
    thread::scope(|scope| {
        let held = scope.spawn(|| send(&locked));
        let going: Vec<_> = others.iter().map(|other| scope.spawn(|| send(other))).collect();
        for other in going {
            let (status, reply, waited) = other.join().expect("no panic");
            assert!(status == 201 && waited < PATIENCE, "{status} after {waited:?}: {reply}");
        }
        let (status, reply, _) = held.join().expect("no panic");
        assert_eq!((status, &reply["code"]), (503, &json!("OVERLOADED")));
    });
    sql.run("COMMIT");
    assert_eq!(server.texts(&ben, &locked), ["before"]);
    server.post(&ana, &locked, "after");
}

#[test]
fn many_locked_conversations_hold_up_no_others_either() {
    let server = Server::start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let locked: Vec<_> = (0..5).flat_map(|_| other_conversations(&server, &ana, &ben)).collect();
    let others = other_conversations(&server, &ana, &ben);
    let ids: Vec<_> = locked.iter().map(|id| format!("decode('{id}', 'hex')")).collect();
    let sql = Sql::connect(server.directory());
    sql.run(&format!("BEGIN; SELECT FROM conversations WHERE id IN ({}) FOR UPDATE", ids.join(", ")));
    let send = |conversation: &str| {
        let path = format!("/api/chat/conversations/{conversation}/messages");
        let began = Instant::now();
        (server.rest(&ana.token, "POST", &path, Some(&json!({ "text": "meanwhile" }))).0, began.elapsed())
    };
    thread::scope(|scope| {
        let held: Vec<_> = locked.iter().map(|one| scope.spawn(|| send(one))).collect();
        let going: Vec<_> = others.iter().map(|other| scope.spawn(|| send(other))).collect();
        for other in going {
            let (status, waited) = other.join().expect("no panic");
            assert!(status == 201 && waited < PATIENCE, "{status} after {waited:?}");
        }
        held.into_iter().for_each(|held| assert_eq!(held.join().expect("no panic").0, 503));
    });
    sql.run("COMMIT");
}

#[test]
fn marks_in_a_locked_conversation_are_refused_and_others_are_made() {
    let server = Server::start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let locked = server.conversation(&ana, &ben);
    let others = other_conversations(&server, &ana, &ben);
    others.iter().chain([&locked]).for_each(|conversation| drop(server.post(&ana, conversation, "unread")));
    let sql = Sql::connect(server.directory());
    sql.run(&format!("BEGIN; SELECT FROM conversations WHERE id = decode('{locked}', 'hex') FOR UPDATE"));
    let mark = |conversation: &str| {
        let mut client = SocketIo::connect(&server, &ben);
        let began = Instant::now();
        let ack = client.call("mark_read", &json!({ "conversation_id": conversation, "up_to_seq": 1 }));
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
        ack
    };
    thread::scope(|scope| {
        // The first of them holds its lane up; further ones share their batch with what comes meanwhile.
        let held: Vec<_> = (0..3).map(|_| scope.spawn(|| mark(&locked))).collect();
        let going: Vec<_> = others.iter().map(|other| scope.spawn(|| mark(other))).collect();
        for other in going {
            assert_eq!(other.join().expect("no panic")["success"], true);
        }
        for held in held {
            assert_eq!(held.join().expect("no panic")["code"], "OVERLOADED");
        }
    });
    sql.run("COMMIT");
    let path = "/api/chat/unread-count";
    assert_eq!(server.rest(&ben.token, "GET", path, None).1["unread_count"], 1);
    assert_eq!(mark(&locked)["success"], true);
    assert_eq!(server.rest(&ben.token, "GET", path, None).1["unread_count"], 0);
}

#[test]
fn a_deletion_that_is_refused_is_not_carried_out_later_and_reads_of_others_go_on() {
    let server = Server::start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let message = server.post(&ana, &conversation, "stays")["_id"].as_str().expect("an id").to_owned();
    let path = format!("/api/chat/messages/{message}");
    let sql = Sql::connect(server.directory());
    sql.run(&format!("BEGIN; SELECT FROM messages WHERE id = decode('{message}', 'hex') FOR UPDATE"));
    thread::scope(|scope| {
        let deletions: Vec<_> =
            (0..DELETIONS).map(|_| scope.spawn(|| server.rest(&ana.token, "DELETE", &path, None))).collect();
        let mut reads = 0;
        while reads == 0 || deletions.iter().any(|deletion| !deletion.is_finished()) {
            let began = Instant::now();
            let (status, reply) = server.rest(&ben.token, "GET", "/api/chat/conversations", None);
            assert_eq!((status, &reply["data"][0]["last_message"]["text"]), (200, &json!("stays")), "{reply}");
            assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
            reads += 1;
            thread::sleep(Duration::from_millis(20));
        }
        for deletion in deletions {
            let (status, reply) = deletion.join().expect("no panic");
            assert_eq!((status, &reply["code"]), (503, &json!("OVERLOADED")));
        }
    });
    sql.run("COMMIT");
    // Whoever has waited for the lock would have it now, before this.
    sql.run(&format!("UPDATE messages SET read_at = read_at WHERE id = decode('{message}', 'hex')"));
    assert_eq!(server.texts(&ana, &conversation), ["stays"]);
    assert_eq!(server.rest(&ana.token, "DELETE", &path, None).0, 200);
}
