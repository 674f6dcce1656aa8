//! Behind a pooler that takes no settings with the handshake, what is acknowledged is committed, and nobody waits long at a
//! lock.

mod support;

use serde_json::json;
use support::cutting_proxy::Proxied;
use support::postgres::Sql;
use support::{DataDir, EVENT_LIMIT, Launch, Plain, new_id, token, until};

const END: &str =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'horsetrust-chat%'";

#[test]
fn commits_are_safe_and_bounded_whatever_the_database_has_for_all() {
    let Proxied { postgres, proxy: _proxy, server } = Proxied::start("nobody's");
    let sql = Sql::connect(postgres.directory());
    sql.watch_settings();
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let path = format!("/api/chat/conversations/{conversation}/messages");
    let post = || server.rest(&ana.token, "POST", &path, Some(&json!({ "text": "text" })));
    let as_wanted = |tables: &[&str], wanted: &str| -> Vec<_> {
        tables.iter().map(|table| format!("{table}: {wanted} 7s 1s")).collect()
    };
    for (of_all, wanted) in [("remote_apply", "remote_apply"), ("local", "on"), ("remote_write", "on"), ("off", "on")] {
        sql.run(&format!("ALTER DATABASE horsetrust SET synchronous_commit = {of_all}"));
        sql.run(END);
        until("there are connections again", EVENT_LIMIT, || post().0 == 201);
        sql.settings_seen();
        server.conversation(&ana, &server.person("Other"));
        let (_, posted) = post();
        server.texts(&ben, &conversation);
        let message = format!("/api/chat/messages/{}", posted["data"]["_id"].as_str().expect("an id"));
        assert_eq!(server.rest(&ana.token, "DELETE", &message, None).0, 200);
        let (admin, whom) = (token(&new_id(), "admin"), json!({ "userId": new_id() }));
        assert_eq!(server.rest(&admin, "POST", "/api/chat/admin/revoke", Some(&whom)).0, 200);
        let tables = ["conversations", "messages", "revocations", "users"];
        assert_eq!(sql.settings_seen(), as_wanted(&tables, wanted), "where all have {of_all}");
    }
    let mut kept = Plain::stranger(&server);
    kept.send("connect", &json!({ "token": ben.token, "recover": true }));
    kept.next_event("connect");
    server.stop();
    assert_eq!(sql.settings_seen(), as_wanted(&["kept_sessions"], "on"));
    let url = format!("postgresql:///horsetrust?host={}&user=horsetrust", postgres.directory().socket().display());
    let _next = Launch::on(&DataDir::new()).env("DATABASE_URL", &url).start();
    assert_eq!(sql.settings_seen(), as_wanted(&["kept_sessions", "server_openings"], "on"));
}
