//! The calls beside `serve`, and what is said to those who get them wrong.

mod support;

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::server::{command, output};
use support::{DataDir, EVENT_LIMIT, Server, SocketIo, new_id};

/// Runs the binary on this server's data directory.
fn on(server: &Server, arguments: &[&str]) -> Output {
    output(command(arguments).arg("--data-dir").arg(server.directory().path()))
}

fn stdout(result: &Output) -> String {
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    String::from_utf8(result.stdout.clone()).expect("output is UTF-8").trim().to_owned()
}

/// The call fails, and its message has all of these words.
fn assert_refused(call: &mut Command, words: &[&str]) {
    let result = output(call);
    let message = String::from_utf8_lossy(&result.stderr).into_owned();
    assert!(!result.status.success(), "{call:?} is refused");
    assert!(result.status.code().is_some_and(|code| code != 101), "{call:?} panics: {message}");
    for word in words {
        assert!(message.contains(word), "{call:?} names {word:?}: {message:?}");
    }
}

fn claims(token: &str) -> Value {
    let mut validation = jsonwebtoken::Validation::default();
    validation.set_required_spec_claims(&["exp"]);
    let key = jsonwebtoken::DecodingKey::from_secret(support::SECRET.as_bytes());
    jsonwebtoken::decode(token, &key, &validation).expect("a valid token").claims
}

#[test]
fn a_token_of_the_command_line_opens_the_chat_for_its_user() {
    let server = Server::shared();
    let user = server.person("Ana");
    let token = stdout(&on(&server, &["token", "--user", &user.id]));
    let body = json!({ "recipient_id": server.person("Ben").id });
    let (status, reply) = server.rest(&token, "POST", "/api/chat/conversations", Some(&body));
    assert_eq!(status, 200, "{reply}");
    assert_eq!(reply["data"]["participants"][0], user.id.as_str());
    let claims = claims(&token);
    assert_eq!((claims["userId"].as_str(), claims["role"].as_str()), (Some(user.id.as_str()), Some("seller")));
}

#[test]
fn a_token_has_the_role_and_the_time_that_were_asked_for() {
    let server = Server::shared();
    let admin = stdout(&on(&server, &["token", "--user", &new_id(), "--role", "admin", "--ttl", "90"]));
    let seller = stdout(&on(&server, &["token", "--user", &new_id(), "--role", "seller"]));
    let stats = |token: &str| server.rest(token, "GET", "/api/chat/admin/stats", None).0;
    assert_eq!((stats(&admin), stats(&seller)), (200, 403));
    let claims = claims(&admin);
    let lifetime = claims["exp"].as_i64().zip(claims["iat"].as_i64()).map(|(exp, iat)| exp - iat);
    assert_eq!(lifetime, Some(90));
}

#[test]
fn user_put_changes_the_profile_that_a_running_servers_rooms_show() {
    let server = Server::shared();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let mut client = SocketIo::connect(&server, &ana);
    client.join(&conversation);
    assert_eq!(client.send(&conversation, "before")["sender_id"]["full_name"], "Ana");
    let picture = "https://cdn.example.com/ana.jpg";
    let renamed = ["user", "put", "--id", &ana.id, "--full-name", "Ana Maria", "--profile-picture-url", picture];
    stdout(&on(&server, &renamed));
    // The room hears of it by a notification, which has no end that this client could see.
    let started = Instant::now();
    let expected = json!({ "_id": ana.id, "full_name": "Ana Maria", "profile_picture_url": picture });
    while client.send(&conversation, "after")["sender_id"] != expected {
        assert!(started.elapsed() < EVENT_LIMIT, "the room shows the new profile");
        std::thread::sleep(Duration::from_millis(20));
    }
    server.post(&ben, &conversation, "the other one's profile is as it was");
    let message = std::iter::repeat_with(|| client.next_event("new_message"))
        .find(|message| message["sender_id"]["_id"] == ben.id.as_str())
        .expect("an endless iterator ends with a find");
    assert_eq!(message["sender_id"]["full_name"], "Ben");
}

#[test]
fn user_put_makes_a_user_who_can_be_written_to() {
    let server = Server::shared();
    let (ana, new) = (server.person("Ana"), new_id());
    let body = json!({ "recipient_id": new });
    assert_eq!(server.rest(&ana.token, "POST", "/api/chat/conversations", Some(&body)).0, 404);
    stdout(&on(&server, &["user", "put", "--id", &new, "--full-name", "Zoë 馬"]));
    assert_eq!(server.rest(&ana.token, "POST", "/api/chat/conversations", Some(&body)).0, 200);
}

#[test]
fn a_call_with_a_wrong_argument_is_refused_by_its_name() {
    let directory = DataDir::new();
    let path = directory.path();
    let path = path.to_str().expect("a plain path");
    for (arguments, words) in [
        (vec!["gallop"], vec!["gallop", "--help"]),
        (vec!["serve", "--port", "horse"], vec!["--port", "horse"]),
        (vec!["serve", "--port", "70000"], vec!["--port", "70000", "0 to 65535"]),
        (vec!["serve", "--horses", "2"], vec!["--horses"]),
        (vec!["token", "--data-dir", path], vec!["--user"]),
        (vec!["token", "--user", "horse", "--data-dir", path], vec!["horse", "24"]),
        (vec!["token", "--user", "507f1f77bcf86cd799439011", "--role", "rider"], vec!["--role", "rider", "seller"]),
        (vec!["token", "--user", "507f1f77bcf86cd799439011", "--ttl", "soon"], vec!["--ttl", "soon"]),
        (vec!["user", "put", "--full-name", "Ana"], vec!["--id"]),
        (vec!["user", "put", "--id", "horse", "--full-name", "Ana", "--data-dir", path], vec!["horse", "24"]),
        (vec!["user", "put", "--id", "507f1f77bcf86cd799439011"], vec!["--full-name"]),
    ] {
        assert_refused(&mut command(&arguments), &words);
    }
}

#[test]
fn where_there_is_no_server_yet_nothing_is_made_that_nobody_would_find() {
    let directory = DataDir::new();
    let path = directory.path();
    let path = path.to_str().expect("a plain path");
    let ana = ["--id", "507f1f77bcf86cd799439011", "--full-name", "Ana"];
    for arguments in
        [vec!["import", "--from", "/tmp"], vec!["export", "--to", path], [&["user", "put"][..], &ana].concat()]
    {
        assert_refused(command(&arguments).args(["--data-dir", path]), &["DATABASE_URL", path, "migrate"]);
    }
    let mut token = command(&["token", "--user", "507f1f77bcf86cd799439011", "--data-dir", path]);
    assert_refused(token.env_remove("JWT_SECRET"), &["JWT_SECRET", path]);
    assert!(!directory.path().exists());
}

#[test]
fn what_checks_no_tokens_needs_no_secret_and_names_its_database() {
    let server = Server::shared();
    let socket = server.directory().socket();
    let url = format!("postgresql:///horsetrust?host={}&user=horsetrust", socket.to_str().expect("a plain path"));
    let with_url = |arguments: &[&str]| {
        let mut call = command(arguments);
        output(call.env_remove("JWT_SECRET").env("DATABASE_URL", &url))
    };
    let id = new_id();
    let put = with_url(&["user", "put", "--id", &id, "--full-name", "Ana"]);
    assert!(put.status.success(), "{}", String::from_utf8_lossy(&put.stderr));
    let said = String::from_utf8_lossy(&put.stderr).into_owned();
    assert!(said.contains(&format!("the database is horsetrust on {}", socket.display())), "{said}");
    assert!(stdout(&with_url(&["migrate"])).contains("horsetrust on"));
    for arguments in [&["serve", "--port", "0"][..], &["token", "--user", &id]] {
        let mut call = command(arguments);
        assert_refused(call.env_remove("JWT_SECRET").env("DATABASE_URL", &url), &["JWT_SECRET", "JWT_KEYS"]);
    }
}

#[test]
fn commands_show_the_settings_that_concern_them_and_take_all() {
    let help = |arguments: &[&str]| stdout(&output(&mut command(arguments)));
    for arguments in [&["import", "--help"][..], &["token", "--help"], &["user", "put", "--help"]] {
        let shown = help(arguments);
        assert!(shown.contains("DATA_DIR") && !shown.contains("RATE_SENDS"), "{arguments:?}: {shown}");
    }
    for arguments in [&["serve", "--help"][..], &["doctor", "--help"]] {
        assert!(help(arguments).contains("RATE_SENDS"));
    }
    let token = ["token", "--user", "507f1f77bcf86cd799439011", "--rate-sends", "5"];
    assert!(output(&mut command(&token)).status.success());
}

/// A call of a server that ends soon, and what has to stay meanwhile.
fn serve_where_the_port_is_taken() -> (TcpListener, Arc<DataDir>, Command) {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let directory = DataDir::new();
    let mut call = command(&["serve", "--port", &port, "--data-dir"]);
    call.arg(directory.path());
    (taken, directory, call)
}

#[test]
fn a_port_in_use_is_named_with_the_remedy() {
    let (taken, directory, mut call) = serve_where_the_port_is_taken();
    let port = taken.local_addr().expect("an address").port().to_string();
    assert_refused(&mut call, &[port.as_str(), "PORT"]);
    assert_eq!(directory.postmaster(), None, "no Postgres stays behind");
}

#[test]
fn a_reader_of_the_logs_that_went_away_is_no_fault() {
    let (_taken, _directory, mut call) = serve_where_the_port_is_taken();
    let mut child = call.stderr(Stdio::piped()).spawn().expect("the binary runs");
    drop(child.stderr.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(1), "refused, since the port is taken; no panic");
}

#[test]
fn a_server_takes_as_many_open_files_as_it_may() {
    // It ends, since the port is taken; what it did before stands in the log.
    let (_taken, _directory, call) = serve_where_the_port_is_taken();
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -Sn 256; ulimit -Hn 512; exec \"$0\" \"$@\""]);
    shell.arg(call.get_program()).args(call.get_args()).env_remove("LOG");
    let said = String::from_utf8_lossy(&output(&mut shell).stderr).into_owned();
    assert!(said.contains(r#""limit":512"#) && said.contains(r#""before":256"#), "{said}");
}

#[test]
fn a_data_directory_that_cannot_be_one_is_named() {
    let directory = DataDir::new();
    fs::write(directory.path(), "a file").expect("a file in the way");
    let path = directory.path();
    let mut call = command(&["serve", "--port", "0", "--data-dir"]);
    assert_refused(call.arg(&path), &[path.to_str().expect("a plain path")]);
}

#[test]
fn a_database_url_that_is_none_is_named_without_its_password() {
    for url in ["mysql://horse:the-password@127.0.0.1/x", "not a url with the-password"] {
        let mut call = command(&["serve", "--port", "0"]);
        let result = output(call.env("DATABASE_URL", url));
        let message = String::from_utf8_lossy(&result.stderr).into_owned();
        assert!(!result.status.success(), "{url}");
        assert!(message.contains("DATABASE_URL"), "{message:?}");
        assert!(!message.contains("the-password"), "{message:?}");
    }
}

#[test]
fn help_and_version_are_told_on_stdout() {
    for (arguments, word) in [
        (vec!["--help"], "serve"),
        (vec!["serve", "--help"], "--data-dir"),
        (vec!["token", "--help"], "--user"),
        (vec!["user", "put", "--help"], "--full-name"),
        (vec!["--version"], env!("CARGO_PKG_VERSION")),
    ] {
        let told = stdout(&output(&mut command(&arguments)));
        assert!(told.contains(word), "{arguments:?}: {told}");
    }
}

#[test]
fn a_name_that_is_not_known_is_told_with_its_file() {
    let directory = DataDir::new();
    let file = directory.log_file().with_file_name("chat.toml");
    fs::write(&file, "prot = 3001").expect("a file");
    let refused = output(command(&["serve", "--check-config"]).env("CONFIG_FILE", &file));
    let complaint = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1));
    assert!(complaint.contains("chat.toml: unknown field `prot`"), "{complaint}");
}
