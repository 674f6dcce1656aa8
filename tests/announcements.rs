//! What changes in Postgres is announced to the server: a new name is shown, a revocation holds at once.

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::cutting_proxy::Proxied;
use support::postgres::{Frozen, Sql};
use support::{Server, SocketIo, until};

/// The connection that announces changes, as it calls itself.
const FEED: &str = "horsetrust-chat feed";
/// The connections that commit.
const LANE: &str = "horsetrust-chat lane";
const RECOVERY: Duration = Duration::from_secs(60);

#[test]
fn changes_are_told_again_though_the_connection_that_announces_them_has_died_without_a_word() {
    let server = Server::start();
    let sql = Sql::connect(server.directory());
    a_new_name_is_shown(&server, &sql, || {
        let feed = Frozen::connections(&sql, FEED);
        || drop(feed)
    });
}

#[test]
fn changes_are_told_again_though_the_next_connection_that_announces_them_was_never_answered() {
    let Proxied { postgres, proxy, server } = Proxied::start(LANE);
    let sql = Sql::connect(postgres.directory());
    a_new_name_is_shown(&server, &sql, || {
        proxy.silence(true);
        Frozen::connections(&sql, FEED).end();
        until("it is sought anew", RECOVERY, || proxy.hear_nothing() > 0);
        proxy.silence(false);
        || ()
    });
}

/// Whatever happens before to the connection that announces it; what is returned is done in the end.
fn a_new_name_is_shown<End: FnOnce()>(server: &Server, sql: &Sql, before: impl FnOnce() -> End) {
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let (mut sender, mut reader) = (SocketIo::connect(server, &ana), SocketIo::connect(server, &ben));
    reader.join(&conversation);
    let end = before();
    sql.run(&format!("UPDATE users SET full_name = 'Anna' WHERE id = decode('{}', 'hex')", ana.id));
    until("the new name is shown", RECOVERY, || {
        sender.send(&conversation, "who am I?");
        reader.next_event("new_message")["sender_id"]["full_name"] == "Anna"
    });
    end();
}

/// As by an import, where each answer of Postgres is late.
#[test]
fn many_new_names_keep_no_revocation_waiting() {
    const RENAMED: usize = 200;
    const LATE_MS: u64 = 50;
    let Proxied { postgres, proxy, server } = Proxied::start("nobody's");
    let (ana, carl) = (server.person("Ana"), server.person("Carl"));
    let mut reader = SocketIo::connect(&server, &ana);
    let renamed: Vec<_> = (0..RENAMED).map(|_| server.person("Before")).collect();
    let conversations: Vec<_> = renamed.iter().map(|user| server.conversation(user, &ana)).collect();
    conversations.iter().for_each(|conversation| reader.join(conversation));
    let mut revoked = SocketIo::connect(&server, &carl);
    let sql = Sql::connect(postgres.directory());
    proxy.be_late(LATE_MS);
    let began = Instant::now();
    sql.run(&format!(
        "BEGIN; UPDATE users SET full_name = 'After' WHERE full_name = 'Before'; \
         INSERT INTO revocations VALUES (decode('{}', 'hex'), now()); COMMIT",
        carl.id
    ));
    while revoked.try_call("typing", &json!("x")).is_some() {}
    let waited = began.elapsed();
    println!("a revocation behind {RENAMED} new names after {waited:?}");
    assert!(
        waited < Duration::from_millis(LATE_MS) * (RENAMED as u32 / 2),
        "each new name is read by itself: {waited:?}"
    );
    for (user, conversation) in renamed.iter().zip(&conversations).step_by(RENAMED / 4) {
        server.post(user, conversation, "who am I?");
        assert_eq!(reader.next_event("new_message")["sender_id"]["full_name"], "After");
    }
}
