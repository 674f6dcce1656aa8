//! Migrations on a database of one's own choice: servers that start at once, and `migrate` by itself.

mod support;

use std::process::Output;
use std::thread;

use support::postgres::{Frozen, Sql};
use support::server::{command, output};
use support::{DataDir, EVENT_LIMIT, Launch, Server, SocketIo, new_id, until};

/// An empty database in the Postgres that this server runs, and its address.
fn fresh_database(server: &Server) -> String {
    let name = format!("fresh_{}", new_id());
    let socket = server.directory().socket();
    let socket = socket.to_str().expect("a plain path");
    Sql::connect(server.directory()).run(&format!("CREATE DATABASE {name}"));
    format!("postgresql:///{name}?host={socket}&user=horsetrust")
}

fn migrate(url: &str) -> Output {
    output(command(&["migrate"]).env("DATABASE_URL", url))
}

#[test]
fn servers_that_start_at_once_on_a_fresh_database_migrate_it_once() {
    let host = Server::shared();
    let url = fresh_database(&host);
    let directories: Vec<_> = (0..3).map(|_| DataDir::new()).collect();
    let starting: Vec<_> = directories.iter().map(|one| Launch::on(one).env("DATABASE_URL", &url).spawn()).collect();
    let servers: Vec<_> = starting.into_iter().map(support::server::Starting::ready).collect();
    let (ana, ben) = (servers[0].person("Ana"), servers[1].person("Ben"));
    let conversation = servers[2].conversation(&ana, &ben);
    let message = SocketIo::connect(&servers[0], &ana).send(&conversation, "one database for all");
    assert_eq!(message["seq"], 1);
    for server in &servers {
        assert_eq!(server.texts(&ben, &conversation), ["one database for all"]);
    }
    for server in servers {
        assert_eq!(server.stop().code(), Some(0));
    }
    assert!(directories.iter().all(|one| !one.path().join("postgres").exists()), "no private Postgres beside it");
}

#[test]
fn a_server_leaves_a_database_that_is_not_its_own_running() {
    let host = Server::shared();
    let url = fresh_database(&host);
    let guest = Launch::on(&DataDir::new()).env("DATABASE_URL", &url).start();
    assert_eq!(guest.stop().code(), Some(0));
    until("its database answers", EVENT_LIMIT, || host.rest("", "GET", "/health/db", None).0 == 200);
}

#[test]
fn migrate_may_run_any_number_of_times_and_keeps_what_is_there() {
    let host = Server::shared();
    let url = fresh_database(&host);
    for _ in 0..2 {
        let result = migrate(&url);
        assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    }
    let server = Launch::on(&DataDir::new()).env("DATABASE_URL", &url).start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    server.post(&ana, &conversation, "kept");
    assert!(migrate(&url).status.success());
    assert_eq!(server.texts(&ben, &conversation), ["kept"]);
}

#[test]
fn a_database_that_cannot_keep_all_texts_is_refused() {
    let host = Server::shared();
    let name = format!("latin_{}", new_id());
    let latin = format!("CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    Sql::connect(host.directory()).run(&latin);
    let url = format!("postgresql:///{name}?host={}&user=horsetrust", host.directory().socket().display());
    let calls: [(&[&str], _); 2] = [(&["migrate"], "ENCODING 'UTF8'"), (&["doctor", "--port", "0"], "in LATIN1: ")];
    for (call, word) in calls {
        let result = output(command(call).env("DATABASE_URL", &url));
        let said = [result.stdout, result.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(!result.status.success() && said.contains("LATIN1") && said.contains(word), "{said}");
    }
}

#[test]
fn a_database_of_a_later_version_is_left_alone() {
    let host = Server::start();
    let later = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) VALUES (999, 'later', '2026-01-01T00:00:00Z', '1')";
    Sql::connect(host.directory()).run(later);
    let socket = host.directory().socket();
    let result = migrate(&format!("postgresql:///horsetrust?host={}&user=horsetrust", socket.display()));
    let message = String::from_utf8_lossy(&result.stderr).into_owned();
    assert!(!result.status.success());
    assert!(message.contains("a later version") && message.contains("V999") && message.contains("backup"), "{message}");
}

#[test]
fn a_database_that_cannot_be_reached_is_reported_without_its_password() {
    let result = migrate("postgres://horsetrust:the-password@127.0.0.1:1/horsetrust");
    let message = String::from_utf8_lossy(&result.stderr).into_owned();
    assert!(!result.status.success());
    assert!(message.contains("DATABASE_URL"), "{message:?}");
    assert!(!message.contains("the-password"), "{message:?}");
}

#[test]
fn a_migration_waits_for_another_one_but_not_for_a_postgres_that_says_nothing_any_more() {
    let host = Server::shared();
    let url = fresh_database(&host);
    let name = url.split(['/', '?']).nth(3).expect("the database's name");
    let other = Sql::connect_to(host.directory(), name);
    other.run("SELECT pg_advisory_lock(x'686f727365747275'::bigint)");
    let migrating = thread::spawn({
        let url = url.clone();
        move || migrate(&url)
    });
    until("it waits for the other one", EVENT_LIMIT, || !other.connections("horsetrust-chat migrate").is_empty());
    let frozen = Frozen::connections(&other, "horsetrust-chat migrate");
    let result = migrating.join().expect("it ends");
    assert_eq!(result.status.code(), Some(1));
    let said = String::from_utf8_lossy(&result.stderr).into_owned();
    assert!(said.contains("no answer in time"), "{said}");
    drop(frozen);
    let migrating = thread::spawn(move || migrate(&url));
    until("the next one waits, too", EVENT_LIMIT, || !other.connections("horsetrust-chat migrate").is_empty());
    drop(other);
    let result = migrating.join().expect("it ends");
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
}
