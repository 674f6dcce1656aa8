//! Packets without end that cost their sender nothing: whoever sends them is closed or takes turns with the others, who are
//! served meanwhile.

mod support;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use support::cutting_proxy::Proxied;
use support::postgres::Frozen;
use support::socket_io::{WEBSOCKET, connect_packet, parse_ack};
use support::websocket::{WebSocket, text};
use support::{Connection, DataDir, EVENT_LIMIT, Launch, Polling, SocketIo, new_id, until};

/// CONNECT packets that a connection may send.
const CONNECTS: usize = 16;

#[test]
fn a_connection_that_connects_and_leaves_without_end_is_closed_and_the_others_are_served() {
    const PAIRS: usize = 20_000;
    // One worker, so that all of them share it.
    let server = Launch::on(&DataDir::new()).env("LOG", "debug").env("WORKERS", "1").start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let mut witness = SocketIo::connect(&server, &ben);
    let honest = [text(&connect_packet(&ana.token)), text("41")].concat();
    let refused = text(&connect_packet("nonsense"));
    for (what, packets, begins) in [("pairs", honest, "40{\"sid\""), ("bad tokens", refused, "44{\"message\"")] {
        let mut flooder = WebSocket::upgrade(Connection::open(server.address()), WEBSOCKET);
        assert!(flooder.next_text().starts_with("0{"));
        let mut write = flooder.connection.try_writer();
        let answers = thread::scope(|scope| {
            scope.spawn(|| write(&packets.repeat(PAIRS)));
            for _ in 0..10 {
                assert_eq!(witness.call("join_conversation", &json!("x"))["success"], false);
            }
            std::iter::from_fn(|| flooder.try_next_text()).inspect(|text| assert!(text.starts_with(begins))).count()
        });
        assert!(answers <= CONNECTS, "{what}: {answers} answers");
        drop(flooder);
        server.has_sessions(1);
    }
    server.has_logged(&["connection ended", "\"too many connects\""], 2);
}

#[test]
fn a_client_may_connect_again_after_a_refusal_over_either_transport() {
    let server = Launch::on(&DataDir::new()).start();
    let ana = server.person("Ana");
    let (bad, good) = (connect_packet("nonsense"), connect_packet(&ana.token));
    let mut socket = WebSocket::upgrade(Connection::open(server.address()), WEBSOCKET);
    assert!(socket.next_text().starts_with("0{"));
    for _ in 1..CONNECTS {
        socket.send_text(&bad);
        assert!(socket.next_text().starts_with("44{"));
    }
    socket.send_text(&good);
    assert!(socket.next_text().starts_with("40{"));
    socket.send_text("41");
    socket.send_text(&good);
    socket.expect_close();

    let mut connection = Connection::open(server.address());
    let polling = Polling::connect(&mut connection, &ana);
    let again = ["41", &good].repeat(CONNECTS).join("\u{1e}");
    assert_eq!(polling.try_post(&mut connection, &again).status, 400);
    server.has_sessions(0);
}

#[test]
fn events_without_an_acknowledgement_take_turns_with_those_of_others() {
    const FLOODERS: usize = 3;
    const EVENTS: usize = 800_000;
    // Of the whole flood's time. Where all that has come is one turn, a wait is a twentieth.
    const SHARE: u32 = 100;
    let server = Launch::on(&DataDir::new()).env("WORKERS", "1").start();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let mut witness = SocketIo::connect(&server, &ben);
    let mut flooders: Vec<_> = (0..FLOODERS).map(|_| SocketIo::connect(&server, &ana)).collect();
    let flood = text(r#"42["x"]"#).repeat(EVENTS);
    let started = Instant::now();
    thread::scope(|scope| {
        let flooding: Vec<_> =
            flooders.iter_mut().map(|flooder| scope.spawn(|| flooder.socket.connection.try_send(&flood))).collect();
        let mut waits = Vec::new();
        while waits.is_empty() || flooding.iter().any(|flooder| !flooder.is_finished()) {
            let began = Instant::now();
            assert_eq!(witness.call("join_conversation", &json!("x"))["success"], false);
            waits.push(began.elapsed());
            thread::sleep(Duration::from_millis(20));
        }
        waits.sort_unstable();
        let (median, flooded) = (waits[waits.len() / 2], started.elapsed());
        println!("a wait of {median:?} in a flood of {flooded:?}");
        assert!(median * SHARE < flooded, "{median:?} of {flooded:?}: {waits:?}");
    });
}

#[test]
fn a_stop_keeps_everybody_s_sessions_though_one_user_sends_without_end() {
    const SESSIONS: usize = 300;
    const FLOODERS: usize = 60;
    let directory = DataDir::new();
    let server = Launch::on(&directory).env("LOG", "info").env("WORKERS", "1").start();
    let (ana, eve) = (server.person("Ana"), server.person("Eve"));
    let recoverable = text(&format!("40{}", json!({ "token": ana.token, "recover": true })));
    let sessions: Vec<_> = (0..SESSIONS)
        .map(|_| {
            let mut socket = WebSocket::upgrade(Connection::open(server.address()), WEBSOCKET);
            socket.connection.send(&recoverable);
            SocketIo::opened(socket)
        })
        .collect();
    let mut flooders: Vec<_> = (0..FLOODERS).map(|_| SocketIo::connect(&server, &eve)).collect();
    let flood = text(r#"42["typing","x"]"#).repeat(200_000);
    thread::scope(|scope| {
        for flooder in &mut flooders {
            scope.spawn(|| flooder.socket.connection.try_send(&flood));
        }
        thread::sleep(Duration::from_secs(1));
        assert_eq!(server.stop().code(), Some(0));
    });
    drop(sessions);
    let log = fs::read_to_string(directory.log_file()).expect("the log");
    assert!(log.contains(&format!(r#""kept the sessions for the next server","sessions":{SESSIONS}"#)), "{log}");
}

/// Of many rooms, where each answer of Postgres is a tenth of a second late.
#[test]
fn rooms_that_one_user_has_loaded_keep_nobody_else_waiting() {
    const ROOMS: usize = 250;
    /// Of eight connections, one for each room, it is twice as long.
    const SOON: Duration = Duration::from_secs(3);
    let Proxied { postgres: _postgres, proxy, server } = Proxied::start("nobody's");
    let (ana, ben, eve) = (server.person("Ana"), server.person("Ben"), server.person("Eve"));
    let shared = server.conversation(&ana, &ben);
    let others: Vec<_> = (0..10).map(|_| server.conversation(&server.person("Other"), &ben)).collect();
    let mut witness = SocketIo::connect(&server, &ben);
    proxy.be_late(100);
    let mut flooders: Vec<_> = [&ana, &eve, &eve].map(|user| SocketIo::connect(&server, user)).into();
    for flooder in &mut flooders {
        for _ in 1..ROOMS {
            flooder.send_call("join_conversation", &json!(new_id()));
        }
        // One that somebody else needs, which only one of them is let into.
        flooder.send_call("join_conversation", &json!(shared));
    }
    // They have come by then.
    thread::sleep(Duration::from_millis(300));
    for conversation in [&shared].into_iter().chain(&others) {
        let began = Instant::now();
        assert_eq!(witness.call("join_conversation", &json!(conversation))["success"], true);
        assert_eq!(server.rest(&ben.token, "GET", "/api/chat/conversations", None).0, 200);
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    }
    until("each join is answered", Duration::from_secs(60), || server.stat("unanswered") == 0);
    let real = others.len() as u64 + 1;
    until("no room stays whose conversation is not there", EVENT_LIMIT, || server.stat("rooms") == real);
}

/// As an app does that joins all its conversations when it connects.
#[test]
fn many_rooms_are_joined_at_once_though_postgres_is_far_away() {
    const ROOMS: usize = 900;
    const AT_ONCE: usize = 200;
    let Proxied { postgres: _postgres, proxy, server } = Proxied::start("nobody's");
    let ana = server.person("Ana");
    let mut sockets: Vec<_> = (0..=ROOMS / AT_ONCE).map(|_| SocketIo::connect(&server, &ana)).collect();
    proxy.be_late(50);
    let began = Instant::now();
    for room in 0..ROOMS {
        sockets[room / AT_ONCE].send_call("join_conversation", &json!(new_id()));
    }
    // Those that are refused come in any order.
    for room in 0..ROOMS {
        let (_, answer) = parse_ack(&sockets[room / AT_ONCE].packet()).expect("nothing else comes");
        assert_eq!(answer["code"], "NOT_FOUND", "and not OVERLOADED");
    }
    println!("{ROOMS} rooms after {:?}", began.elapsed());
}

#[test]
fn rooms_that_cannot_be_loaded_are_refused_in_time_and_do_not_stay() {
    const ROOMS: usize = 200;
    /// One statement that is not answered, and a connection that is not made.
    const IN_TIME: Duration = Duration::from_secs(20);
    let server = Launch::on(&DataDir::new()).start();
    let mut socket = SocketIo::connect(&server, &server.person("Ana"));
    let frozen = Frozen::freeze(server.directory());
    let began = Instant::now();
    for _ in 0..ROOMS {
        socket.send_call("join_conversation", &json!(new_id()));
    }
    for _ in 0..ROOMS {
        let (_, answer) = parse_ack(&socket.packet()).expect("nothing else comes");
        assert_eq!(answer["code"], "OVERLOADED");
    }
    assert!(began.elapsed() < IN_TIME, "{:?}", began.elapsed());
    drop(frozen);
    until("no room stays", EVENT_LIMIT, || server.stat("rooms") == 0);
}
