//! Behind a pooler that takes no settings with the handshake, what is acknowledged is committed, and nobody waits long at a
//! lock.

mod support;

use serde_json::json;
use support::cutting_proxy::Proxied;
use support::postgres::Sql;
use support::{EVENT_LIMIT, until};

const END: &str =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'horsetrust-chat%'";

#[test]
fn commits_are_safe_and_bounded_whatever_the_database_has_for_all() {
    let Proxied { postgres, proxy: _proxy, server } = Proxied::start("nobody's");
    let (ana, ben) = (server.person("Ana"), server.person("Ben"));
    let conversation = server.conversation(&ana, &ben);
    let sql = Sql::connect(postgres.directory());
    sql.watch_settings();
    let path = format!("/api/chat/conversations/{conversation}/messages");
    let post = || server.rest(&ana.token, "POST", &path, Some(&json!({ "text": "text" })));
    for (of_all, wanted) in [("off", "on"), ("local", "on"), ("remote_write", "on"), ("remote_apply", "remote_apply")] {
        sql.run(&format!("ALTER DATABASE horsetrust SET synchronous_commit = {of_all}"));
        sql.run(END);
        let mut posted = post();
        until("there are connections again", EVENT_LIMIT, || {
            posted = post();
            posted.0 == 201
        });
        let message = format!("/api/chat/messages/{}", posted.1["data"]["_id"].as_str().expect("an id"));
        assert_eq!(server.rest(&ana.token, "DELETE", &message, None).0, 200);
        assert_eq!(sql.settings_seen(), format!("{wanted} 7s 1s"), "where all have {of_all}");
    }
}
