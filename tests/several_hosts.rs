//! A `DATABASE_URL` with several hosts, as of a primary and its standbys.

mod support;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use nix::sys::socket::{Backlog, listen};
use serde_json::json;
use support::{DataDir, Launch, Server, until};

const RECOVERY: Duration = Duration::from_secs(60);

#[test]
fn of_several_hosts_those_that_are_gone_are_passed_over() {
    let postgres = Server::start();
    // Whoever knocks is not answered: nobody takes those who have, and there is place for no more.
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listen(&gone, Backlog::new(0).expect("none")).expect("it listens already");
    let address = gone.local_addr().expect("its address");
    let port = address.port();
    let knocking: Vec<_> = (0..4)
        .map(|_| thread::spawn(move || TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()))
        .collect();
    let held: Vec<_> = knocking.into_iter().map(|one| one.join().expect("no panic")).collect();
    assert!(held.iter().any(Option::is_none), "no place is left");
    let url = format!(
        "host=127.0.0.1,127.0.0.1,{} port={port},{port},5432 user=horsetrust dbname=horsetrust",
        postgres.directory().socket().display()
    );
    let server = Launch::on(&DataDir::new()).env("DATABASE_URL", &url).start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let path = format!("/api/chat/conversations/{conversation}/messages");
    let body = json!({ "text": "found" });
    until("it is stored", RECOVERY, || server.rest(&ana.token, "POST", &path, Some(&body)).0 == 201);
    drop(held);
}
