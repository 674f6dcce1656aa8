//! Nobody reads the log, or what a server prints: a collector that hangs, a terminal that is held. The server goes on, and
//! stops when it is told to.

mod support;

use std::io::{PipeReader, PipeWriter, Write, pipe};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use serde_json::json;
use support::{Connection, DataDir, EVENT_LIMIT, Launch, Plain, Server, new_id, token, until};

/// Far longer than it takes to write more lines than a pipe holds, and than wait to be written.
const LIMIT: Duration = Duration::from_secs(180);

fn lines_left_out(server: &Server) -> usize {
    let authorization = format!("Bearer {}", token(&new_id(), "admin"));
    let headers = [("Authorization", authorization.as_str())];
    let metrics = Connection::open(server.address()).request("GET", "/metrics", &headers, b"").text();
    let left_out = metrics.lines().find_map(|line| line.strip_prefix("horsetrust_chat_log_lines_left_out_total "));
    left_out.and_then(|count| count.parse().ok()).expect("a count")
}

#[test]
fn a_log_that_nobody_reads_keeps_nobody_waiting() {
    let (log, into_log) = pipe().expect("a pipe");
    let server = Launch::on(&DataDir::new()).env("LOG", "info,ways=debug").log_to(into_log).start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let mut sender = Plain::connect(&server, &ana);
    let message = json!({ "conversation_id": conversation, "text": "a line" });
    until("lines are left out", LIMIT, || {
        for _ in 0..20 {
            let calls: Vec<_> = (0..50).map(|_| sender.send_call("send_message", &message)).collect();
            calls.into_iter().for_each(|call| assert_eq!(sender.ack(call)["success"], true));
        }
        lines_left_out(&server) > 0
    });
    assert_eq!(server.stop().code(), Some(0));
    drop(log);
}

/// A pipe with no place left.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().expect("a pipe");
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("writes that do not wait");
    while writer.write(&[b'x'; 512]).is_ok() {}
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).expect("writes that wait");
    (reader, writer)
}

#[test]
fn a_start_that_nobody_reads_of_serves_and_stops() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
    let address = free.expect("a free port");
    let (output, full) = full_pipe();
    let directory = DataDir::new();
    let server = Launch::on(&directory).with_demo().output_to(full, address.port()).spawn().ready_at(address);
    let serves = || Connection::open(address).request("GET", "/health/db", &[], b"").status == 200;
    until("it serves", EVENT_LIMIT, serves);
    assert_eq!(server.stop().code(), Some(0));
    drop(output);
}
