//! Who may do what: every event and every route, for every kind of caller. A new event or route without a row does not
//! compile. `console_authorization.rs` has the console's events.

mod support;

use std::time::Duration;

use horsetrust_chat::{http::Route, socket_io::Event};
use serde_json::{Value, json};
use support::callers::{Caller, Row, World};
use support::people::token_until;
use support::plain::Plain;
use support::socket_io::{WEBSOCKET, connect_packet};
use support::websocket::upgrade_with;
use support::{Connection, DataDir, Launch, Person, SocketIo, WebSocket, new_id, until};

fn row_of_event(event: Event) -> Row {
    match event {
        Event::Join | Event::Send | Event::MarkRead | Event::Typing | Event::StopTyping => Row::Participants,
        // Of what one is not in; and of one's own token.
        Event::Leave | Event::RefreshToken => Row::Users,
    }
}

fn row_of_route(route: Route) -> Row {
    match route {
        Route::Health | Route::HealthHead | Route::HealthDatabase | Route::HealthWebSocket => Row::Anybody,
        Route::OpenApi | Route::AsyncApi => Row::Anybody,
        Route::Conversations | Route::OpenConversation | Route::UnreadCount => Row::Users,
        Route::History | Route::Send => Row::Participants,
        Route::Delete => Row::Sender,
        Route::PlainWebSocket => Row::NotWithABadToken,
        Route::Console => Row::AdminsOrNobodyYet,
        Route::PutUser | Route::Stats | Route::Metrics | Route::Revoke => Row::Admins,
    }
}

impl World {
    /// What a caller would do with an event that it is let through with.
    fn argument(&self, event: Event, caller: Caller) -> Value {
        match event {
            Event::Join | Event::Leave | Event::Typing | Event::StopTyping => json!(self.conversation),
            Event::Send => json!({ "conversation_id": self.conversation, "text": "text" }),
            Event::MarkRead => json!({ "conversation_id": self.conversation, "up_to_seq": 1 }),
            Event::RefreshToken => json!({ "token": self.person(caller).token }),
        }
    }

    /// The answer to a call of a route, by a caller.
    fn call(&self, route: Route, caller: Caller) -> u16 {
        let id = match route {
            Route::Delete => {
                let message = self.server.post(self.person(Caller::Sender), &self.conversation, "to be deleted");
                message["_id"].as_str().expect("an id").to_owned()
            }
            Route::PutUser => new_id(),
            _ => self.conversation.clone(),
        };
        let body = match route {
            Route::OpenConversation => {
                let other = if caller == Caller::Recipient { Caller::Sender } else { Caller::Recipient };
                json!({ "recipient_id": self.person(other).id })
            }
            Route::Send => json!({ "text": "text" }),
            Route::PutUser => json!({ "full_name": "Somebody" }),
            Route::Revoke => json!({ "userId": new_id() }),
            _ => Value::Null,
        };
        let authorization = format!("Bearer {}", self.person(caller).token);
        let mut headers = vec![("Content-Type", "application/json")];
        if caller != Caller::NoToken {
            headers.push(("Authorization", &authorization));
        }
        if route == Route::HealthWebSocket {
            WebSocket::upgrade(Connection::open(self.server.address()), route.path());
            return 101;
        }
        if matches!(route, Route::PlainWebSocket | Route::Console) {
            let mut connection = Connection::open(self.server.address());
            let headers =
                if caller == Caller::NoToken { &[][..] } else { &[("Authorization", authorization.as_str())] };
            connection.send(&upgrade_with(route.path(), headers));
            return connection.response().status;
        }
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let path = route.path().replace("{id}", &id);
        let mut connection = Connection::open(self.server.address());
        if route == Route::HealthHead {
            // Its answer has no body, whatever its length says.
            connection.send(&support::http::head("HEAD", &path, &headers, None));
            let line = String::from_utf8(connection.take(12)).expect("ASCII");
            return line[9..].parse().expect("a status");
        }
        connection.request(route.method().as_str(), &path, &headers, &body).status
    }
}

#[test]
fn every_route_lets_through_whom_it_is_for() {
    let world = World::new();
    for route in Route::ALL {
        for caller in Caller::ALL {
            let success = match route {
                Route::Send => 201,
                Route::HealthWebSocket | Route::PlainWebSocket | Route::Console => 101,
                _ => 200,
            };
            let expected = row_of_route(*route).status(caller, success);
            assert_eq!(world.call(*route, caller), expected, "{route:?} by {caller:?}");
        }
    }
}

#[test]
fn every_event_lets_through_whom_it_is_for_and_nobody_else_hears_of_it() {
    let world = World::new();
    world.server.post(world.person(Caller::Sender), &world.conversation, "first");
    let mut overhearing = Vec::new();
    for caller in Caller::ALL {
        if !caller.has_a_token_that_holds() {
            let mut socket = WebSocket::upgrade(Connection::open(world.server.address()), WEBSOCKET);
            socket.send_text(&connect_packet(&world.person(caller).token));
            assert!(socket.next_text().starts_with('0'));
            let refused = socket.next_text();
            assert!(refused.starts_with("44{\"message\":\"Authentication error: "), "{caller:?}: {refused}");
            let mut plain = Plain::stranger(&world.server);
            plain.send("connect", &json!({ "token": world.person(caller).token }));
            let refused = plain.next_event("connect_error");
            assert_eq!(refused["data"]["code"], "UNAUTHENTICATED", "{caller:?}: {refused}");
            continue;
        }
        let mut socket = SocketIo::connect(&world.server, world.person(caller));
        let mut plain = Plain::connect(&world.server, world.person(caller));
        for event in Event::ALL {
            let argument = world.argument(*event, caller);
            for ack in [socket.call(event.name(), &argument), plain.call(event.name(), &argument)] {
                let expected = row_of_event(*event).status(caller, 200) == 200;
                assert_eq!(ack["success"], expected, "{event:?} by {caller:?}: {ack}");
                if !expected {
                    assert_eq!(ack["code"], "NOT_FOUND", "as if there were none: {event:?} by {caller:?}");
                }
            }
        }
        if !matches!(caller, Caller::Sender | Caller::Recipient) {
            overhearing.push((caller, socket, plain));
        }
    }
    // Something to hear, of each kind; the answer to a call comes behind it.
    let mut sender = SocketIo::connect(&world.server, world.person(Caller::Sender));
    sender.join(&world.conversation);
    for event in Event::ALL {
        sender.call(event.name(), &world.argument(*event, Caller::Sender));
    }
    assert_eq!(world.call(Route::Delete, Caller::Sender), 200);
    assert_eq!(world.call(Route::History, Caller::Recipient), 200);
    for (caller, mut socket, mut plain) in overhearing {
        let id = socket.send_call("leave_conversation", &json!(world.conversation));
        assert!(socket.try_ack(id).is_some());
        plain.call("leave_conversation", &json!(world.conversation));
        let heard = [socket.names_of_events(), plain.names_of_events()].concat();
        assert_eq!(heard, Vec::<&str>::new(), "{caller:?}");
    }
}

#[test]
fn a_session_whose_token_expires_or_is_revoked_is_answered_nothing_any_more() {
    let world = World::new();
    world.server.post(world.person(Caller::Sender), &world.conversation, "first");
    let id = &world.person(Caller::Sender).id;
    let expiring = Person { id: id.clone(), token: token_until(id, 10) };
    let revoked =
        Person { id: world.person(Caller::Recipient).id.clone(), token: world.person(Caller::Recipient).token.clone() };
    let open = |person: &Person| {
        Event::ALL.iter().map(|event| (*event, SocketIo::connect(&world.server, person))).collect::<Vec<_>>()
    };
    let (expiring, revoked) = (open(&expiring), open(&revoked));
    world.revoke(Caller::Recipient);
    until("their sessions end", Duration::from_secs(40), || world.server.stat("sessions") == 0);
    for (caller, sockets) in [(Caller::Sender, expiring), (Caller::Recipient, revoked)] {
        for (event, mut socket) in sockets {
            let answer = socket.try_call(event.name(), &world.argument(event, caller));
            assert_eq!(answer, None, "{event:?} by {caller:?}");
        }
    }
    let texts = world.server.texts(world.person(Caller::Sender), &world.conversation);
    assert_eq!(texts, ["first"], "nothing was stored");
}

#[test]
fn pages_are_the_same_for_everybody() {
    let world = World::on(Launch::on(&DataDir::new()).with_demo().start());
    for path in
        ["/", "/page/main.js", "/admin", "/admin/", "/admin/main.js", "/reference/", "/reference/swagger-ui.css"]
    {
        let answers = Caller::ALL.map(|caller| {
            let authorization = format!("Bearer {}", world.person(caller).token);
            let headers = [("Authorization", authorization.as_str())];
            let headers = if caller == Caller::NoToken { &[][..] } else { &headers[..] };
            let answer = Connection::open(world.server.address()).request("GET", path, headers, b"");
            (answer.status, answer.text())
        });
        assert_eq!(answers[0].0, 200, "{path}");
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{path}");
    }
}
