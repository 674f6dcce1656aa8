//! The key that signs tokens: made once where nobody gives one, never guessed, never shown.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use support::server::{command, output};
use support::{DataDir, EVENT_LIMIT, Launch, new_id, until};

const PUBLIC_KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/keys/p256.pem");
const DATABASE: &str = "postgres://horsetrust:the-password@127.0.0.1:1/horsetrust";

/// Files of the data directory itself, not of its Postgres.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the data directory");
    entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()).collect()
}

fn secret_file(directory: &DataDir) -> PathBuf {
    let named = |path: &PathBuf| path.to_string_lossy().contains("secret");
    files(&directory.path()).into_iter().find(named).expect("a file with the secret")
}

/// A token made by the command line for the secret of this directory.
fn token_of(directory: &DataDir, user: &str) -> String {
    let mut call = command(&["token", "--user", user, "--data-dir"]);
    let result = output(call.arg(directory.path()).env_remove("JWT_SECRET"));
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    String::from_utf8(result.stdout).expect("tokens are ASCII").trim().to_owned()
}

#[test]
fn a_server_without_a_secret_makes_one_that_only_its_owner_reads_and_keeps_it() {
    let directory = DataDir::new();
    let launch = || Launch::on(&directory).without_env("JWT_SECRET").start();
    let server = launch();
    let file = secret_file(&directory);
    let secret = fs::read(&file).expect("the secret");
    assert!(secret.len() >= 32, "long enough for HS256");
    assert_eq!(fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
    let token = token_of(&directory, &new_id());
    assert_eq!(server.rest(&token, "GET", "/api/chat/unread-count", None).0, 200);
    server.stop();
    let next = launch();
    assert_eq!(fs::read(&file).expect("the secret"), secret, "made once");
    assert_eq!(next.rest(&token, "GET", "/api/chat/unread-count", None).0, 200, "tokens outlive a restart");
    let foreign = support::token(&new_id(), "seller");
    assert_eq!(next.rest(&foreign, "GET", "/api/chat/unread-count", None).0, 401);
}

#[test]
fn secrets_of_two_directories_differ() {
    let (one, other) = (DataDir::new(), DataDir::new());
    let servers = [&one, &other].map(|directory| Launch::on(directory).without_env("JWT_SECRET").start());
    let [first, second] = [&one, &other].map(|directory| fs::read(secret_file(directory)).expect("the secret"));
    assert_ne!(first, second);
    let token = token_of(&one, &new_id());
    assert_eq!(servers[0].rest(&token, "GET", "/api/chat/unread-count", None).0, 200);
    assert_eq!(servers[1].rest(&token, "GET", "/api/chat/unread-count", None).0, 401);
}

#[test]
fn a_secret_that_is_given_is_not_written_down() {
    let directory = DataDir::new();
    let server = Launch::on(&directory).start();
    for file in files(&directory.path()) {
        let content = fs::read(&file).expect("a file of the data directory");
        assert!(!String::from_utf8_lossy(&content).contains(support::SECRET), "{}", file.display());
    }
    assert_eq!(server.rest(&support::token(&new_id(), "seller"), "GET", "/api/chat/unread-count", None).0, 200);
    assert!(!server.log_tail().contains(support::SECRET));
}

#[test]
fn a_shared_database_without_a_secret_is_refused_with_the_remedy() {
    let directory = DataDir::new();
    let mut call = command(&["serve", "--port", "0", "--data-dir"]);
    call.arg(directory.path()).env("DATABASE_URL", DATABASE).env_remove("JWT_SECRET");
    let result = output(&mut call);
    assert!(!result.status.success());
    let message = String::from_utf8_lossy(&result.stderr);
    assert!(message.contains("JWT_SECRET"), "{message}");
    assert!(!message.contains("the-password"), "{message}");
}

#[test]
fn check_config_shows_the_settings_and_no_secret() {
    let directory = DataDir::new();
    let mut call = command(&["serve", "--check-config", "--port", "4711", "--data-dir"]);
    call.arg(directory.path()).env("DATABASE_URL", DATABASE).env("CORS_ORIGINS", "https://horses.example");
    let result = output(&mut call);
    let shown = [result.stdout, result.stderr].concat();
    let shown = String::from_utf8_lossy(&shown);
    assert_eq!(result.status.code(), Some(0), "{shown}");
    assert!(!shown.contains(support::SECRET) && !shown.contains("the-password"), "{shown}");
    assert!(shown.contains("# connections = "), "{shown}");
    assert!(shown.contains("4711") && shown.contains("https://horses.example"), "{shown}");
    assert!(!directory.path().join("postgres").exists(), "nothing was started");
}

#[test]
fn check_config_refuses_what_serve_refuses() {
    for (name, value, word) in [
        ("DATABASE_URL", DATABASE, "JWT_SECRET"),
        ("JWT_KEYS", "/nowhere/keys.pem", "/nowhere/keys.pem"),
        ("LOG", "trace2", "trace2"),
    ] {
        for check in [&["--check-config"][..], &[]] {
            let mut call = command(&["serve", "--port", "0"]);
            let result = output(call.args(check).env_remove("JWT_SECRET").env(name, value));
            let message = String::from_utf8_lossy(&result.stderr);
            assert!(!result.status.success() && message.contains(word), "{name}: {message}");
        }
    }
}

#[test]
fn check_config_warns_of_a_secret_that_can_be_guessed() {
    let call = |secret: &str| output(command(&["serve", "--check-config"]).env("JWT_SECRET", secret));
    let result = call("hush");
    assert!(result.status.success());
    assert!(String::from_utf8_lossy(&result.stderr).contains("JWT_SECRET has 4 bytes; 32 or more"));
    assert!(call(support::SECRET).stderr.is_empty());
}

#[test]
fn nothing_is_signed_where_tokens_are_only_checked() {
    let directory = DataDir::new();
    for arguments in [vec!["serve", "--port", "0", "--demo"], vec!["token", "--user", "507f1f77bcf86cd799439011"]] {
        let mut call = command(&arguments);
        call.arg("--data-dir").arg(directory.path()).env("JWT_KEYS", PUBLIC_KEY).env_remove("JWT_SECRET");
        let result = output(&mut call);
        let message = String::from_utf8_lossy(&result.stderr);
        assert!(!result.status.success() && message.contains("set JWT_SECRET, too"), "{arguments:?}: {message}");
        assert!(!directory.path().exists(), "{arguments:?}: nothing was started");
    }
}

#[test]
fn a_kept_secret_that_is_gone_or_cut_short_is_replaced_by_none() {
    let directory = DataDir::new();
    let server = Launch::on(&directory).without_env("JWT_SECRET").start();
    let (file, token) = (secret_file(&directory), token_of(&directory, &new_id()));
    let secret = fs::read(&file).expect("the secret");
    let reloads = || {
        let told = |word| server.log_lines_with(&["SIGHUP", word]);
        let before = told("the same keys as before");
        kill(server.pid(), Signal::SIGHUP).expect("it runs");
        until("it says so", EVENT_LIMIT, || told("the same keys as before") > before);
        assert_eq!(server.rest(&token, "GET", "/api/chat/unread-count", None).0, 200);
    };
    fs::remove_file(&file).expect("ours");
    reloads();
    fs::write(&file, "short").expect("ours");
    reloads();
    assert_eq!(fs::read(&file).expect("it is there"), b"short");
    server.stop();
    let again = output(command(&["serve", "--port", "0", "--data-dir"]).arg(directory.path()).env_remove("JWT_SECRET"));
    let complaint = String::from_utf8_lossy(&again.stderr);
    assert!(!again.status.success() && complaint.contains("cut short"), "{complaint}");
    fs::write(&file, secret).expect("ours");
    let restored = Launch::on(&directory).without_env("JWT_SECRET").start();
    assert_eq!(restored.rest(&token, "GET", "/api/chat/unread-count", None).0, 200);
}
