//! `doctor`: what is as it should be, what is not, and that nothing is changed by looking.

mod support;

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, process::Command};

use nix::unistd::geteuid;
use support::postgres::Sql;
use support::server::{command, output};
use support::{DataDir, EVENT_LIMIT, Launch, Server, new_id, until};

/// Runs it; whether a server would start, and all lines.
fn examined(doctor: &mut Command) -> (bool, String) {
    let result = output(doctor);
    assert!(result.stderr.is_empty(), "{}", String::from_utf8_lossy(&result.stderr));
    (result.status.success(), String::from_utf8_lossy(&result.stdout).into_owned())
}

fn doctor() -> Command {
    let mut doctor = command(&["doctor"]);
    // No file of whoever runs the tests.
    doctor.current_dir("/tmp").env("PORT", "0");
    doctor
}

fn beside(server: &Server) -> Command {
    let mut doctor = doctor();
    doctor.arg("--data-dir").arg(server.directory().path());
    doctor
}

/// The lines about something, without it.
fn about<'a>(said: &'a str, what: &str) -> Vec<(&'a str, &'a str)> {
    let lines = said.lines().filter_map(|line| {
        let (state, rest) = line.split_once(' ')?;
        Some((state, rest.trim_start().strip_prefix(what)?.strip_prefix(' ')?.trim_start()))
    });
    lines.collect()
}

/// One line about something has this state, and these words.
fn assert_found(said: &str, state: &str, what: &str, words: &[&str]) {
    let found = about(said, what);
    let fits = |(is, line): &&(&str, &str)| *is == state && words.iter().all(|word| line.contains(word));
    assert!(found.iter().any(|line| fits(&line)), "no {state} about {what} with {words:?}:\n{said}");
}

#[test]
fn beside_a_sound_server_nothing_is_wrong() {
    let server = Server::start();
    let (starts, said) = examined(&mut beside(&server));
    assert!(starts, "{said}");
    for (what, word) in [
        ("configuration", "can be used"),
        ("address", "is free"),
        ("open files", "connections"),
        ("room", "MB are free"),
        ("schema", "is up to date"),
        ("durability", "is kept"),
        ("connections", "a server has up to"),
        ("clock", "0.0 s"),
    ] {
        assert_found(&said, "ok", what, &[word]);
    }
    assert_found(&said, "ok", "server", &["one runs on this data directory"]);
    // A warning on a machine where that takes long.
    assert!(about(&said, "database").iter().any(|(_, line)| line.contains("answers in")), "{said}");
    let (starts, said) = examined(beside(&server).env("PORT", server.address().port().to_string()));
    assert!(starts, "{said}");
    assert_found(&said, "warning", "address", &["runs there already"]);
}

#[test]
fn what_may_lose_messages_and_what_is_too_little_is_a_warning_with_its_remedy() {
    let server = Server::start();
    let sql = Sql::connect(server.directory());
    sql.run("ALTER SYSTEM SET fsync = off");
    sql.run("SELECT pg_reload_conf()");
    let mut limited = Command::new("sh");
    let binary = env!("CARGO_BIN_EXE_horsetrust-chat");
    let call = format!("ulimit -n 600; exec {binary} doctor --port 0 --connections 500 --workers 64 --data-dir \"$0\"");
    let (starts, said) = examined(limited.args(["-c", &call]).arg(server.directory().path()).env_clear());
    assert!(starts, "{said}");
    assert_found(&said, "warning", "durability", &["fsync is off"]);
    assert_found(&said, "warning", "open files", &["fewer than 500", "LimitNOFILE"]);
    assert_found(&said, "ok", "connections", &["a server has up to 75"]);
    // Takes a Postgres that starts again.
    sql.run("ALTER SYSTEM SET max_connections = 60");
    sql.run("ALTER SYSTEM RESET fsync");
    drop(sql);
    let directory = server.directory().clone();
    assert_eq!(server.stop().code(), Some(0));
    let again = Launch::on(&directory).start();
    let (starts, said) = examined(beside(&again).env("WORKERS", "64"));
    assert!(starts, "{said}");
    assert_found(&said, "ok", "durability", &["is kept"]);
    assert_found(&said, "warning", "connections", &["up to 75", "max_connections"]);
}

#[test]
fn a_database_of_another_version_is_told_apart_and_not_touched() {
    let host = Server::start();
    let name = format!("fresh_{}", new_id());
    let sql = Sql::connect(host.directory());
    sql.run(&format!("CREATE DATABASE {name}"));
    let socket = host.directory().socket();
    let url = format!("postgresql:///{name}?host={}&user=horsetrust", socket.to_str().expect("a plain path"));
    let (starts, said) = examined(doctor().env("DATABASE_URL", &url));
    assert!(starts, "{said}");
    assert_found(&said, "ok", "schema", &["V1", "horsetrust-chat migrate"]);
    let (_, again) = examined(doctor().env("DATABASE_URL", &url));
    assert_found(&again, "ok", "schema", &["V1"]);

    sql.run("INSERT INTO refinery_schema_history (version, name, applied_on, checksum) VALUES (999, 'later', '', '')");
    let (starts, said) = examined(&mut beside(&host));
    assert!(!starts, "{said}");
    assert_found(&said, "error", "schema", &["V999", "later version"]);
    let (_, said) = examined(doctor().env("DATABASE_URL", &url));
    assert!(about(&said, "server").is_empty(), "{said}");

    sql.run("CREATE ROLE idler LOGIN");
    sql.run("ALTER ROLE idler SET default_transaction_read_only = on");
    let (starts, said) = examined(doctor().env("DATABASE_URL", url.replace("user=horsetrust", "user=idler")));
    assert!(!starts, "{said}");
    assert_found(&said, "error", "database", &["nothing can be written as idler", "default_transaction_read_only"]);
    sql.run("CREATE ROLE reader LOGIN");
    Sql::connect_to(host.directory(), &name).run("REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let (starts, said) = examined(doctor().env("DATABASE_URL", url.replace("user=horsetrust", "user=reader")));
    assert!(!starts, "{said}");
    assert_found(&said, "error", "schema", &["V1", "reader may make no tables", "OWNER TO"]);
}

#[test]
fn where_no_server_would_start_it_fails_and_says_why() {
    let away = "postgres://u:the-password@127.0.0.1:1/chat";
    let (starts, said) = examined(doctor().env("DATABASE_URL", away));
    assert!(!starts && !said.contains("the-password"), "{said}");
    assert_found(&said, "error", "database", &["cannot connect", "DATABASE_URL"]);
    let (starts, said) = examined(doctor().args(["--workers", "0"]));
    assert!(!starts, "{said}");
    assert_found(&said, "error", "configuration", &["WORKERS"]);
    let (starts, said) = examined(doctor().args(["--jwt-keys", "/nowhere.pem"]));
    assert!(!starts, "{said}");
    assert_found(&said, "error", "configuration", &["/nowhere.pem"]);
}

#[test]
fn nothing_is_made_by_looking() {
    let directory = DataDir::new();
    fs::create_dir(directory.path()).expect("an empty directory");
    let (starts, said) = examined(doctor().arg("--data-dir").arg(directory.path()).env_remove("JWT_SECRET"));
    assert!(starts, "{said}");
    assert_found(&said, "ok", "database", &["first start"]);
    assert_eq!(fs::read_dir(directory.path()).expect("the directory").count(), 0);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let (_, said) = examined(doctor().arg("--data-dir").arg(directory.path()).env("PORT", port));
    assert_found(&said, "error", "address", &["HOST and PORT"]);
}

#[test]
fn a_database_of_another_program_is_told_before_and_at_the_start() {
    let host = Server::shared();
    let name = format!("foreign_{}", new_id());
    Sql::connect(host.directory()).run(&format!("CREATE DATABASE {name}"));
    let socket = host.directory().socket();
    let url = format!("postgresql:///{name}?host={}&user=horsetrust", socket.to_str().expect("a plain path"));
    Sql::connect_to(host.directory(), &name).run("CREATE TABLE users (id int)");
    let (starts, said) = examined(doctor().env("DATABASE_URL", &url));
    assert!(!starts, "{said}");
    assert_found(&said, "error", "schema", &["(users)", "another database"]);
    let migrated = output(command(&["migrate"]).env("DATABASE_URL", &url));
    let complaint = String::from_utf8_lossy(&migrated.stderr).into_owned();
    assert!(complaint.contains("cannot migrate") && complaint.contains("\"users\" already exists"), "{complaint}");
}

#[test]
fn a_place_where_postgres_cannot_go_is_told() {
    let directory = DataDir::new();
    fs::create_dir(directory.path()).expect("an empty directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o000)).expect("ours");
    let (starts, said) = examined(doctor().arg("--data-dir").arg(directory.path().join("data")));
    assert!(!starts, "{said}");
    // Root may write everywhere, and Postgres is somebody else then.
    let word = if geteuid().is_root() { "cannot enter" } else { "cannot write to" };
    assert_found(&said, "error", "place", &[word, "DATA_DIR"]);
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).expect("ours");
    let file = directory.path().join("file");
    fs::write(&file, "").expect("a file");
    let (starts, said) = examined(doctor().arg("--data-dir").arg(file.join("data")));
    assert!(!starts, "{said}");
    assert_found(&said, "error", "place", &["is no directory", "DATA_DIR"]);
    let long = "x".repeat(80);
    for long in [directory.path().join(&long), long.into()] {
        let (starts, said) = examined(doctor().current_dir(directory.path()).arg("--data-dir").arg(long));
        assert!(!starts, "{said}");
        assert_found(&said, "error", "place", &["xxxx", "too long", "DATA_DIR"]);
    }
}

#[test]
fn traces_that_cannot_be_sent_are_told_before_and_at_the_start() {
    for (variables, word) in [
        ([("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "")], "http://"),
        ([("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "")], "is no address"),
        (
            [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
            "http/protobuf or http/json",
        ),
    ] {
        let (starts, said) = examined(doctor().envs(variables));
        assert!(!starts, "{said}");
        assert_found(&said, "error", "traces", &[word]);
        for more in [None, Some("--check-config")] {
            let mut serve = command(&["serve", "--port", "0", "--data-dir", "/tmp/never"]);
            let started = output(serve.args(more).envs(variables));
            let complaint = String::from_utf8_lossy(&started.stderr).into_owned();
            assert!(!started.status.success() && complaint.contains(word), "{complaint}");
        }
    }
}

#[test]
fn another_server_on_the_database_is_told_of_by_both() {
    let host = Server::start();
    let url = format!("postgresql:///horsetrust?host={}&user=horsetrust", host.directory().socket().display());
    let sql = Sql::connect(host.directory());
    until("it listens for changes", EVENT_LIMIT, || !sql.connections("horsetrust-chat feed").is_empty());
    let another = ["another one is on this database"];
    let (starts, said) = examined(doctor().env("DATABASE_URL", &url));
    assert!(starts, "{said}");
    assert_found(&said, "warning", "server", &another);
    let (_, said) = examined(doctor().env("DATABASE_URL", &url).env("PORT", host.address().port().to_string()));
    assert!(about(&said, "server").is_empty(), "it is the one of these settings: {said}");
    let guest = Launch::on(&DataDir::new()).env("DATABASE_URL", &url).start();
    guest.has_logged(&["other servers are connected to this database"], 1);
    host.has_logged(&["other servers are connected to this database"], 0);
    until("both listen", EVENT_LIMIT, || sql.connections("horsetrust-chat feed").len() == 2);
    let (_, said) = examined(doctor().env("DATABASE_URL", &url).env("PORT", host.address().port().to_string()));
    assert_found(&said, "warning", "server", &another);
}
