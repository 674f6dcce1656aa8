//! Nobody reads the log: a collector that hangs, a terminal that is held. The server goes on, and stops when it is told to.

mod support;

use std::io::pipe;
use std::time::Duration;

use serde_json::json;
use support::{Connection, DataDir, Launch, Plain, Server, new_id, token, until};

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
