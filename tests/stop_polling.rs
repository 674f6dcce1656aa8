//! A stop while a client polls on a new connection each time: it still gets an answer to everything it sent.

mod support;

use std::collections::BTreeSet;

use nix::sys::signal::{Signal, kill};
use support::socket_io::{event_packet, parse_ack, send_argument};
use support::{Connection, Polling, Server, until};

const SENDS: u64 = 100;

#[test]
fn a_polling_client_without_keep_alive_is_answered_before_the_server_stops() {
    let mut server = Server::start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let address = server.address();
    let client = Polling::connect(&mut Connection::open(address), &ana);
    let packet = |id| event_packet(Some(id), "send_message", &send_argument(&conversation, &format!("{id}")));
    let packets: Vec<String> = (1..=SENDS).map(packet).collect();
    client.post(&mut Connection::open(address), &packets.join("\u{1e}"));
    kill(server.pid(), Signal::SIGTERM).expect("a running server");
    let mut answered = BTreeSet::new();
    while (answered.len() as u64) < SENDS {
        let packets = client.poll(&mut Connection::open(address));
        answered.extend(packets.iter().filter_map(|packet| parse_ack(packet)).map(|(id, _)| id));
    }
    assert_eq!(answered, (1..=SENDS).collect());
    until("the server has stopped", support::EVENT_LIMIT, || !server.is_running());
    assert_eq!(server.stop().code(), Some(0));
}
