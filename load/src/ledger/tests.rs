//! Each way in which a server can be wrong, and that the ledger notices it.

use super::*;

const CONVERSATION: &str = "507f1f77bcf86cd799439011";

type Alter = fn(&str) -> String;

/// Two users in a conversation, each with a socket that has joined; the first one has sent a message.
fn ledger() -> (Ledger, Stamp, String) {
    let mut ledger = Ledger::new("run".to_owned(), vec!["a".to_owned(), "b".to_owned()]);
    let room = ledger.add_conversation(CONVERSATION.to_owned(), [0, 1]);
    ledger.listens(room, 0, 0, true);
    ledger.listens(room, 1, 1, true);
    let (stamp, text) = ledger.sends(room, (0, 0), 70, Instant::now());
    (ledger, stamp, text)
}

fn message(text: &str) -> String {
    format!(
        r#"{{"_id":"m1","conversation_id":"{CONVERSATION}","sender_id":{{"_id":"a","full_name":"Anna"}},"text":"{text}","seq":1}}"#
    )
}

fn notification(sender: &str, preview: &str) -> String {
    format!(r#"{{"conversation_id":"{CONVERSATION}","sender":"{sender}","preview":"{preview}"}}"#)
}

#[test]
fn a_message_that_comes_as_it_was_sent_is_no_violation() {
    let (mut ledger, stamp, text) = ledger();
    let (json, notification) = (message(&text), notification("a", &text[..60]));
    let message = serde_json::from_str(&json).expect("a message");
    ledger.acked(stamp, &message);
    ledger.delivered(0, &message);
    ledger.delivered(1, &message);
    ledger.notified(1, &serde_json::from_str(&notification).expect("a notification"));
    assert_eq!((ledger.under_way(), ledger.finish()), (0, Violations::default()));
}

#[test]
fn a_notification_that_was_altered_is_a_violation() {
    let whole = |text: &str| text[..60].to_owned();
    let altered: [(&str, Alter, &str); 4] = [
        ("b", whole, "another sender"),
        ("a", |text| text[..59].to_owned(), "another preview"),
        ("a", |text| text[..61].to_owned(), "another preview"),
        ("a", |text| text[..60].replacen('t', "x", 1), "another preview"),
    ];
    for (sender, preview, says) in altered {
        let (mut ledger, _, text) = ledger();
        let json = notification(sender, &preview(&text));
        ledger.notified(1, &serde_json::from_str(&json).expect("a notification"));
        let named = ledger.finish().named;
        assert!(named[0].contains(says), "{named:?}");
    }
}

#[test]
fn a_field_that_one_has_and_another_has_not_is_a_violation() {
    let altered: [(Alter, &str); 3] = [
        (|json| json.replace(r#","seq":1"#, ""), "is not the same to all"),
        (|json| json.replace("Anna", "Hanna"), "the sender's name Some(\"Hanna\")"),
        (|json| json.replace(r#","full_name":"Anna""#, ""), "the sender's name None"),
    ];
    for (alter, says) in altered {
        let (mut ledger, stamp, text) = ledger();
        let (json, other) = (message(&text), alter(&message(&text)));
        ledger.delivered(1, &serde_json::from_str(&json).expect("a message"));
        ledger.acked(stamp, &serde_json::from_str(&other).expect("a message"));
        let named = ledger.finish().named;
        assert!(named[0].contains(says), "{named:?}");
    }
}

#[test]
fn what_was_to_come_to_a_socket_that_is_gone_is_not_waited_for() {
    let (mut ledger, stamp, text) = ledger();
    let json = message(&text);
    let message = serde_json::from_str(&json).expect("a message");
    ledger.acked(stamp, &message);
    ledger.delivered(0, &message);
    assert_eq!(ledger.under_way(), 1);
    assert!(ledger.leaves(0, 1, 1).is_empty());
    assert_eq!((ledger.under_way(), ledger.finish()), (0, Violations::default()));
}

#[test]
fn a_server_that_goes_away_is_one_line() {
    let (mut ledger, ..) = ledger();
    for (user, unanswered) in [(0, 1), (1, 0)] {
        ledger.broke(format_args!("socket {user} was disconnected"));
        assert_eq!(ledger.leaves(0, user, user).len(), unanswered);
    }
    assert!(ledger.is_deserted() && ledger.under_way() == 0);
    let violations = ledger.finish();
    assert_eq!(violations.count, 3, "two connections and an acknowledgement");
    assert!(
        violations.named[0].starts_with("the server went away: 2 connections ended within 0.0 s"),
        "{violations:?}"
    );
}

#[test]
fn a_server_that_goes_away_while_a_connection_is_being_closed_is_one_line_too() {
    let (mut ledger, ..) = ledger();
    ledger.broke(format_args!("socket 0 was disconnected"));
    ledger.leaves(0, 0, 0);
    ledger.leaves(0, 1, 1);
    assert!(ledger.is_deserted());
    let named = ledger.finish().named;
    assert!(named[0].starts_with("socket 0 was disconnected"), "one of one: {named:?}");
    let mut connections = Connections::default();
    (0..3).for_each(|_| connections.connected());
    for _ in 0..2 {
        connections.broke(format_args!("it was disconnected"));
        connections.closed();
    }
    connections.closed();
    let (count, said) = connections.take_ends();
    assert!(count == 2 && said.is_some_and(|said| said.starts_with("the server went away: 2 connections")));
}

#[test]
fn typing_is_of_the_other_one_in_the_same_conversation() {
    for (user, conversation, count) in [("a", CONVERSATION, 0), ("b", CONVERSATION, 1), ("a", "another", 1)] {
        let (mut ledger, ..) = ledger();
        let before = ledger.violations();
        let json = format!(r#"{{"userId":"{user}","conversation_id":"{conversation}"}}"#);
        ledger.typing_came(0, 1, &serde_json::from_str(&json).expect("a typing event"));
        assert_eq!(ledger.violations() - before, count, "{json}");
    }
}

#[test]
fn a_text_that_was_altered_behind_its_stamp_is_a_violation() {
    for altered in [|text: &str| text[..50].to_owned(), |text: &str| text.replacen('t', "x", 1)] {
        let (mut ledger, stamp, text) = ledger();
        let json = message(&altered(&text));
        ledger.acked(stamp, &serde_json::from_str(&json).expect("a message"));
        let named = ledger.finish().named;
        assert!(named[0].contains("came with another text"), "{named:?}");
    }
}

#[test]
fn a_message_that_was_refused_and_came_is_a_violation_whichever_is_first() {
    for refused_first in [true, false] {
        let (mut ledger, stamp, text) = ledger();
        let json = message(&text);
        let message = serde_json::from_str(&json).expect("a message");
        if refused_first {
            ledger.refused(stamp);
        }
        ledger.delivered(1, &message);
        if !refused_first {
            ledger.refused(stamp);
        }
        assert_eq!(ledger.finish().count, 1, "refused first: {refused_first}");
    }
}
