//! Behind a pooler that takes no settings with the handshake, what is acknowledged is committed, and nobody waits at a lock.

mod support;

use std::time::Duration;

use serde_json::json;
use support::cutting_proxy::Proxied;
use support::http::head;
use support::postgres::Sql;
use support::{Connection, EVENT_LIMIT, until};

/// Longer than any caller is held.
const PATIENCE: Duration = Duration::from_secs(90);

#[test]
fn commits_are_safe_and_bounded_whatever_the_database_has_for_all_and_the_handshake_says() {
    let Proxied { postgres, proxy: _proxy, server } = Proxied::start("nobody's");
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let sql = Sql::connect(postgres.directory());
    sql.run("ALTER DATABASE horsetrust SET synchronous_commit = off");
    sql.run("ALTER DATABASE horsetrust SET lock_timeout = 0");
    sql.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'horsetrust-chat%'");
    let path = format!("/api/chat/conversations/{conversation}/messages");
    let authorization = format!("Bearer {}", ana.token);
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    // 0: the connection was closed without an answer.
    let post = |text: &str| {
        let body = json!({ "text": text }).to_string();
        let mut connection = Connection::open(server.address());
        connection.wait_up_to(PATIENCE);
        connection.send(&[head("POST", &path, &headers, Some(body.len())), body.into_bytes()].concat());
        connection.try_response().map_or(0, |answer| answer.status)
    };
    until("there are connections again", EVENT_LIMIT, || post("before") == 201);

    sql.run(&format!("BEGIN; SELECT FROM conversations WHERE id = decode('{conversation}', 'hex') FOR UPDATE"));
    assert_eq!(post("at a lock"), 503);
    sql.run("COMMIT");
    until("the lock is known to be gone", EVENT_LIMIT, || post("after") == 201);

    // One that is never there: a commit waits for it, and who does not, does not wait for the disk either.
    sql.run("ALTER SYSTEM SET synchronous_standby_names = 'away'");
    sql.run("SELECT pg_reload_conf()");
    until("what only this Postgres has is not acknowledged", PATIENCE, || post("alone") != 201);
    sql.run("ALTER SYSTEM SET synchronous_standby_names = ''");
    sql.run("SELECT pg_reload_conf()");
    until("all have it", PATIENCE, || post("together") == 201);
    assert!(!server.texts(&ben, &conversation).contains(&"at a lock".to_owned()));
}
