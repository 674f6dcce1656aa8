//! A client that does not read: its queue is bounded, it is closed, and the others in its room notice nothing.

mod support;

use std::time::Duration;

use serde_json::json;
use support::crowd::narrow_connection;
use support::socket_io::{WEBSOCKET, event_packet, send_argument};
use support::websocket::WebSocket;
use support::{Connection, Person, Polling, Server, SocketIo, until};

/// Enough to fill the kernel's buffers and any bounded queue: some 40 MB, if somebody were to keep them.
const MESSAGES: usize = 5000;
const IN_FLIGHT: usize = 100;
const CLOSE_LIMIT: Duration = Duration::from_secs(30);

/// Sends them all, with many in flight; every one is stored and acknowledged.
fn flood(sender: &mut SocketIo, conversation: &str) {
    let text = "🐴".repeat(2000);
    let mut waiting = std::collections::VecDeque::new();
    for number in 0..MESSAGES {
        if waiting.len() == IN_FLIGHT {
            expect_stored(sender, waiting.pop_front().expect("one in flight"));
        }
        let text = format!("{number} {}", &text[..text.len() - 40]);
        waiting.push_back(sender.send_call("send_message", &send_argument(conversation, &text)));
    }
    for id in waiting {
        expect_stored(sender, id);
    }
}

fn expect_stored(sender: &mut SocketIo, id: u64) {
    let ack = sender.ack(id);
    assert_eq!(ack["success"], true, "{ack}");
}

/// Reads every message of the flood, in order, while it comes.
fn read_all(reader: &mut SocketIo) {
    for seq in 1..=MESSAGES {
        assert_eq!(reader.next_event("new_message")["seq"], seq);
    }
}

fn room_of_two(server: &Server) -> (Person, Person, String) {
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    (ana, ben, conversation)
}

#[test]
fn a_websocket_client_that_never_reads_is_closed_and_the_others_go_on() {
    let server = Server::start();
    let (ana, ben, conversation) = room_of_two(&server);
    let mut stalled = SocketIo::open(WebSocket::upgrade(narrow_connection(server.address()), WEBSOCKET), &ben);
    stalled.join(&conversation);
    let mut reader = SocketIo::connect(&server, &ben);
    reader.join(&conversation);
    let mut sender = SocketIo::connect(&server, &ana);
    assert_eq!(server.stat("sessions"), 3);
    std::thread::scope(|scope| {
        scope.spawn(|| read_all(&mut reader));
        flood(&mut sender, &conversation);
    });
    until("the stalled reader is closed", CLOSE_LIMIT, || server.stat("sessions") == 2);
    stalled.socket.connection.expect_close();
    let after = sender.send(&conversation, "still here");
    assert_eq!(reader.next_event("new_message"), after);
}

#[test]
fn a_polling_client_that_never_polls_is_closed_and_the_others_go_on() {
    let server = Server::start();
    let (ana, ben, conversation) = room_of_two(&server);
    let mut connection = Connection::open(server.address());
    let stalled = Polling::connect(&mut connection, &ben);
    stalled.post(&mut connection, &event_packet(Some(1), "join_conversation", &json!(conversation)));
    stalled.poll(&mut connection);
    let mut reader = SocketIo::connect(&server, &ben);
    reader.join(&conversation);
    let mut sender = SocketIo::connect(&server, &ana);
    assert_eq!(server.stat("sessions"), 3);
    std::thread::scope(|scope| {
        scope.spawn(|| read_all(&mut reader));
        flood(&mut sender, &conversation);
    });
    until("the stalled client is closed", CLOSE_LIMIT, || server.stat("sessions") == 2);
    // The other connection has idled for too long by now, on a slow machine.
    let status = stalled.try_post(&mut Connection::open(server.address()), "3").status;
    assert_eq!(status, 400, "its session is unknown now");
    let after = sender.send(&conversation, "still here");
    assert_eq!(reader.next_event("new_message"), after);
}
