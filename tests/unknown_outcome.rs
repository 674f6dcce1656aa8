//! A commit whose answer is lost: looked up, never guessed, never done twice; a deletion's is told once it is known.

mod support;

use std::{thread, time::Duration};

use serde_json::json;
use support::{
    EVENT_LIMIT, SocketIo,
    cutting_proxy::{Cut, Proxied},
    postgres::Sql,
    until,
};

#[test]
fn a_message_is_stored_once_and_acknowledged_whenever_the_connection_to_postgres_is_lost() {
    let Proxied { postgres: _postgres, proxy, server } = Proxied::start("horsetrust-chat lane");
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let mut expected = Vec::new();
    for round in 0..5 {
        for cut in [Cut::BeforeAnswer, Cut::AfterRequest, Cut::BeforeRequest] {
            let text = format!("{round} {cut:?}");
            server.post(&ana, &conversation, &format!("{text}, before"));
            proxy.arm(cut);
            let stored = server.post(&ana, &conversation, &text);
            proxy.arm(cut);
            let named = format!("{text}, named");
            let name = format!("{round}-{cut:?}");
            let first = server.post_named(&ana, &conversation, &named, &name);
            proxy.arm(cut);
            let repeat = server.post_named(&ana, &conversation, &named, &name);
            assert_eq!((&repeat["_id"], &repeat["duplicate"]), (&first["_id"], &true.into()), "{text}");
            expected.extend([format!("{text}, before"), text, named]);
            assert_eq!((&stored["seq"], &first["seq"]), (&(expected.len() - 1).into(), &expected.len().into()));
        }
    }
    assert_eq!(proxy.cuts(), 45, "each connection was cut");
    assert_eq!(server.texts(&ben, &conversation), expected);
}

#[test]
fn a_deletion_is_told_whenever_the_connection_to_postgres_is_lost() {
    let Proxied { postgres: _postgres, proxy, server } = Proxied::start("horsetrust-chat reads");
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let mut reader = SocketIo::connect(&server, &ben);
    reader.join(&conversation);
    for cut in [Cut::BeforeAnswer, Cut::AfterRequest, Cut::BeforeRequest] {
        for times in [1, 2] {
            let message = server.post(&ana, &conversation, "not for long");
            let path = format!("/api/chat/messages/{}", message["_id"].as_str().expect("an id"));
            // Whoever is asked for something else first has prepared nothing.
            assert_eq!(server.rest(&ben.token, "DELETE", &path, None).0, 403);
            (0..times).for_each(|_| proxy.arm(cut));
            let (status, reply) = server.rest(&ana.token, "DELETE", &path, None);
            if times == 2 {
                assert_eq!((status, &reply["code"]), (503, &json!("OVERLOADED")), "{cut:?}");
                // Whose message it is not decides nothing.
                assert_eq!(server.rest(&ben.token, "DELETE", &path, None).0, 403);
                assert_eq!(server.rest(&ana.token, "DELETE", &path, None).0, 200);
            } else {
                assert_eq!(status, 200, "{cut:?}: {reply}");
            }
            assert_eq!(reader.next_event("message_deleted")["_id"], message["_id"], "{cut:?}, {times} times");
            assert_eq!(server.texts(&ben, &conversation), Vec::<String>::new());
        }
    }
    assert_eq!(proxy.cuts(), 9, "each connection was cut");
    // The next server does not know of those that nobody has repeated.
    for cut in [Cut::BeforeRequest, Cut::BeforeAnswer] {
        let message = server.post(&ana, &conversation, "perhaps not for long");
        let path = format!("/api/chat/messages/{}", message["_id"].as_str().expect("an id"));
        assert_eq!(server.rest(&ben.token, "DELETE", &path, None).0, 403);
        (0..2).for_each(|_| proxy.arm(cut));
        assert_eq!(server.rest(&ana.token, "DELETE", &path, None).0, 503, "{cut:?}");
    }
    let left = server.texts(&ben, &conversation);
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(left, ["perhaps not for long"]);
    assert_eq!(reader.next_event("message_deleted")["seq"], 8, "the second of the two");
    assert_eq!(reader.names_of_events().iter().filter(|name| **name == "message_deleted").count(), 0, "told once");
}

#[test]
fn a_deletion_is_told_though_it_is_repeated_while_nobody_knows_yet_that_its_answer_is_lost() {
    let Proxied { postgres, proxy, server } = Proxied::start("nobody's");
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let mut reader = SocketIo::connect(&server, &ben);
    reader.join(&conversation);
    let path = |text: &str| {
        let message = server.post(&ana, &conversation, text);
        format!("/api/chat/messages/{}", message["_id"].as_str().expect("an id"))
    };
    let delete = |path: &str| server.rest(&ana.token, "DELETE", path, None).0;
    // The statement is prepared then.
    assert_eq!(delete(&path("before")), 200);
    assert_eq!(reader.next_event("message_deleted")["seq"], 1);
    let path = path("not for long");
    let sql = Sql::connect(postgres.directory());
    // Longer than a statement is waited for.
    proxy.be_late(15_000);
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(delete(&path), 503));
        let deleted = "SELECT count(*) FROM messages WHERE deleted_at IS NOT NULL";
        until("it is deleted", EVENT_LIMIT, || sql.count(deleted) == 2);
        proxy.be_late(0);
        until("a repeat is answered", Duration::from_secs(60), || delete(&path) == 200);
    });
    server.post(&ana, &conversation, "after it");
    assert_eq!(reader.next_event("message_deleted")["seq"], 2);
    assert!(!reader.names_of_events().contains(&"message_deleted"), "told once");
    assert_eq!(reader.next_event("new_message")["seq"], 3);
}
