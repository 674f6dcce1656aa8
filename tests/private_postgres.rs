//! The Postgres that the server runs for itself: stopped with it, and found again after any kind of crash.

mod support;

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::postgres::Frozen;
use support::server::{command, is_alive, output};
use support::{DataDir, EVENT_LIMIT, Launch, Server, SocketIo, until};

/// A new server on a directory, with one message stored; what a crash must not lose.
fn server_with_a_message(directory: &Arc<DataDir>) -> (Server, impl Fn(&Server) -> Vec<String>) {
    let server = Launch::on(directory).start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    SocketIo::connect(&server, &ana).send(&conversation, "acked before the crash");
    (server, move |server: &Server| server.texts(&ben, &conversation))
}

fn postmaster(directory: &DataDir) -> Pid {
    directory.postmaster().expect("a running Postgres has written its pid")
}

fn health_of_the_database(server: &Server) -> u16 {
    server.rest("", "GET", "/health/db", None).0
}

fn database_answers(server: &Server) {
    until("the database answers", EVENT_LIMIT, || health_of_the_database(server) == 200);
}

#[test]
fn sigterm_ends_the_server_and_its_postgres_in_order() {
    let directory = DataDir::new();
    let server = Launch::on(&directory).start();
    let pid = postmaster(&directory);
    assert!(is_alive(pid));
    assert_eq!(server.stop().code(), Some(0));
    assert!(!is_alive(pid));
    assert!(!directory.postmaster_file().exists(), "Postgres was shut down and not killed");
}

#[test]
fn sigint_ends_the_server_like_sigterm() {
    let directory = DataDir::new();
    let mut server = Launch::on(&directory).start();
    kill(server.pid(), Signal::SIGINT).expect("a running server");
    until("the server ends", EVENT_LIMIT, || !server.is_running());
    assert_eq!(server.stop().code(), Some(0));
    assert!(!directory.postmaster_file().exists());
}

#[test]
fn the_data_of_a_stopped_server_is_there_for_the_next() {
    let directory = DataDir::new();
    let (server, texts) = server_with_a_message(&directory);
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(texts(&Launch::on(&directory).start()), ["acked before the crash"]);
}

#[test]
fn a_killed_server_leaves_its_postgres_to_the_next_which_ends_it() {
    let directory = DataDir::new();
    let (server, texts) = server_with_a_message(&directory);
    let orphan = postmaster(&directory);
    server.kill();
    assert!(is_alive(orphan), "nobody has told Postgres to end");
    let next = Launch::on(&directory).start();
    assert_eq!(postmaster(&directory), orphan, "the running Postgres is taken over");
    assert_eq!(texts(&next), ["acked before the crash"]);
    database_answers(&next);
    assert_eq!(next.stop().code(), Some(0));
    assert!(!is_alive(orphan), "what was taken over is ended as its own");
}

#[test]
fn a_pid_file_left_by_a_dead_postgres_does_not_stop_the_start() {
    let directory = DataDir::new();
    let (server, texts) = server_with_a_message(&directory);
    let pid = postmaster(&directory);
    server.kill();
    kill(pid, Signal::SIGKILL).expect("an orphaned Postgres");
    until("Postgres is dead", EVENT_LIMIT, || !is_alive(pid));
    assert!(directory.postmaster_file().exists(), "the stale file is what this is about");
    let next = Launch::on(&directory).start();
    assert_ne!(postmaster(&directory), pid);
    assert_eq!(texts(&next), ["acked before the crash"]);
}

#[test]
fn a_second_server_on_the_same_data_is_refused_and_the_first_goes_on() {
    let directory = DataDir::new();
    let (first, texts) = server_with_a_message(&directory);
    let result = output(command(&["serve", "--port", "0", "--data-dir"]).arg(directory.path()));
    let message = String::from_utf8_lossy(&result.stderr).into_owned();
    assert!(!result.status.success());
    assert!(message.contains(directory.path().to_str().expect("a plain path")), "{message:?}");
    assert_eq!(texts(&first), ["acked before the crash"]);
    assert_eq!(first.stop().code(), Some(0));
}

/// Somebody else's process, which nobody here has any business with.
struct Bystander(Child);

impl Bystander {
    fn start() -> Self {
        Self(Command::new("sleep").arg("600").spawn().expect("sleep runs"))
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_pid_file_that_names_somebody_elses_process_harms_neither() {
    let directory = DataDir::new();
    let (server, texts) = server_with_a_message(&directory);
    let pid = postmaster(&directory);
    server.kill();
    kill(pid, Signal::SIGKILL).expect("an orphaned Postgres");
    until("Postgres is dead", EVENT_LIMIT, || !is_alive(pid));
    // What a reboot does: another process has the number now.
    let mut bystander = Bystander::start();
    let file = std::fs::read_to_string(directory.postmaster_file()).expect("the stale file");
    let renumbered = file.replacen(&pid.to_string(), &bystander.0.id().to_string(), 1);
    std::fs::write(directory.postmaster_file(), renumbered).expect("the stale file");
    let next = Launch::on(&directory).start();
    assert_eq!(texts(&next), ["acked before the crash"]);
    assert_eq!(next.stop().code(), Some(0));
    assert!(matches!(bystander.0.try_wait(), Ok(None)), "the bystander lives");
}

#[test]
fn a_killed_postgres_takes_no_message_along_and_does_not_keep_the_server_from_stopping() {
    let directory = DataDir::new();
    let (server, texts) = server_with_a_message(&directory);
    let pid = postmaster(&directory);
    kill(pid, Signal::SIGKILL).expect("a running Postgres");
    until("Postgres is dead", EVENT_LIMIT, || !is_alive(pid));
    assert_eq!(server.rest("", "GET", "/health", None).0, 200, "the server itself is alive");
    assert_eq!(server.stop().code(), Some(0));
    let next = Launch::on(&directory).start();
    assert_eq!(texts(&next), ["acked before the crash"]);
}

#[test]
fn a_server_without_its_postgres_says_so_within_a_bounded_time() {
    let directory = DataDir::new();
    let server = Launch::on(&directory).start();
    database_answers(&server);
    let frozen = Frozen::freeze(&directory);
    assert_eq!(health_of_the_database(&server), 503);
    drop(frozen);
    database_answers(&server);
}

#[test]
fn a_cluster_whose_making_was_cut_short_is_made_anew() {
    let directory = DataDir::new();
    let unfinished = directory.path().join("postgres.new.507f1f77bcf86cd799439011");
    std::fs::create_dir_all(unfinished.join("base")).expect("what a killed server leaves");
    let server = Launch::on(&directory).start();
    database_answers(&server);
    assert!(!unfinished.exists());
}

#[test]
fn a_signal_while_postgres_starts_leaves_no_postgres() {
    let directory = DataDir::new();
    assert_eq!(Launch::on(&directory).start().stop().code(), Some(0));
    for milliseconds in [0, 5, 10, 15, 20, 40, 80] {
        let starting = Launch::on(&directory).spawn();
        std::thread::sleep(Duration::from_millis(milliseconds));
        let status = starting.stop();
        // So early, it may not even listen for signals yet.
        let in_order = status.success() || status.signal() == Some(Signal::SIGTERM as i32);
        assert!(in_order, "after {milliseconds} ms: {status}");
        let is_gone = || !directory.postmaster().is_some_and(is_alive);
        until("Postgres is gone", EVENT_LIMIT, is_gone);
    }
}
