//! Who may do what in the console: every event that it sends, for every kind of caller. A new one without a row does not
//! compile.

mod support;

use std::thread;
use std::time::{Duration, SystemTime};

use horsetrust_chat::{console::ConsoleEvent, http::Route};
use serde_json::{Value, json};
use support::callers::{Caller, Row, World};
use support::people::signed;
use support::{Connection, EVENT_LIMIT, Plain, SocketIo, WebSocket, new_id, until};

fn row_of_console_event(event: ConsoleEvent) -> Row {
    match event {
        ConsoleEvent::Watch | ConsoleEvent::Unwatch | ConsoleEvent::Sessions | ConsoleEvent::Session => Row::Admins,
        ConsoleEvent::Rooms | ConsoleEvent::CloseSession | ConsoleEvent::Revoke | ConsoleEvent::Drain => Row::Admins,
    }
}

impl World {
    /// What an admin would do with an event of the console; the connection is somebody's.
    fn console_argument(&self, event: ConsoleEvent, connection: &str) -> Value {
        match event {
            ConsoleEvent::Watch | ConsoleEvent::Unwatch => json!({ "conversation_id": self.conversation }),
            ConsoleEvent::Session | ConsoleEvent::CloseSession => json!({ "id": connection }),
            ConsoleEvent::Revoke => json!({ "userId": self.person(Caller::Recipient).id }),
            ConsoleEvent::Sessions | ConsoleEvent::Rooms | ConsoleEvent::Drain => json!({}),
        }
    }

    /// A console that has not shown a token yet.
    fn console(&self) -> Plain {
        Plain::on(WebSocket::upgrade(Connection::open(self.server.address()), Route::Console.path()))
    }

    /// An admin's.
    fn admins_console(&self, token: &str) -> Plain {
        let mut console = self.console();
        console.send("connect", &json!({ "token": token }));
        console.next_event("connect");
        console
    }

    /// A session in the conversation, and the name of its connection.
    fn session(&self) -> (SocketIo, String) {
        let mut socket = SocketIo::connect(&self.server, self.person(Caller::Recipient));
        socket.join(&self.conversation);
        let found = self.admins_console(&self.person(Caller::Admin).token).call("sessions", &json!({}));
        let id = found["data"]["sessions"][0]["id"].as_str().expect("the only one").to_owned();
        (socket, id)
    }
}

#[test]
fn every_event_of_a_console_is_for_admins_and_nobody_else_learns_or_does_anything_by_it() {
    let mut world = World::new();
    let (mut socket, connection) = world.session();
    let (admins, others): (Vec<_>, Vec<_>) = Caller::ALL.into_iter().partition(|caller| *caller == Caller::Admin);
    // What admins ask for is done, so they come last.
    for caller in [others, admins].concat() {
        for event in ConsoleEvent::ALL {
            let mut console = world.console();
            console.send("connect", &json!({ "token": world.person(caller).token }));
            let status = row_of_console_event(*event).status(caller, 200);
            if status == 200 {
                console.next_event("connect");
            } else {
                let code = if status == 401 { "UNAUTHENTICATED" } else { "FORBIDDEN" };
                assert_eq!(console.next_event("connect_error")["data"]["code"], code, "{caller:?}");
            }
            let call = console.send_call(event.name(), &world.console_argument(*event, &connection));
            let answer = console.try_ack(call);
            assert_eq!(answer.is_some(), status == 200, "{event:?} by {caller:?}: {answer:?}");
            assert!(answer.is_none_or(|answer| answer["success"] == true), "{event:?} by {caller:?}");
        }
        if caller != Caller::Admin {
            assert_eq!(socket.call("typing", &json!(world.conversation))["success"], true, "after {caller:?}");
        }
    }
    socket.socket.connection.expect_close();
    until("the process has ended", EVENT_LIMIT, || !world.server.is_running());
}

#[test]
fn a_console_whose_token_expires_or_is_revoked_is_answered_nothing_any_more() {
    let world = World::new();
    let (mut socket, connection) = world.session();
    let expires = SystemTime::now() + Duration::from_secs(10);
    let expiring = signed(&new_id(), "admin", -60, 10);
    let open =
        |token: &str| ConsoleEvent::ALL.iter().map(|event| (*event, world.admins_console(token))).collect::<Vec<_>>();
    let (revoked, expiring) = (open(&world.person(Caller::Admin).token), open(&expiring));
    world.revoke(Caller::Admin);
    for (mut consoles, caller) in [(revoked, "revoked"), (expiring, "expired")] {
        if caller == "expired" {
            thread::sleep(expires.duration_since(SystemTime::now()).unwrap_or_default());
        }
        // All at once: within a second the server finds it out by itself.
        let calls: Vec<_> = consoles
            .iter_mut()
            .map(|(event, console)| console.send_call(event.name(), &world.console_argument(*event, &connection)))
            .collect();
        for ((event, console), call) in consoles.iter_mut().zip(calls) {
            assert_eq!(console.try_ack(call), None, "{event:?} by one whose token is {caller}");
        }
    }
    assert_eq!(socket.call("typing", &json!(world.conversation))["success"], true, "nothing was done");
}
