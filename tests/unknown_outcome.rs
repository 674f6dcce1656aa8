//! A commit whose answer is lost: looked up, never guessed, never done twice.

mod support;

use support::{
    DataDir, Launch, Server,
    cutting_proxy::{Cut, CuttingProxy},
};

#[test]
fn a_message_is_stored_once_and_acknowledged_whenever_the_connection_to_postgres_is_lost() {
    let postgres = Server::start();
    let directory = DataDir::new();
    let proxy = CuttingProxy::start(directory.log_file().with_file_name("proxy"), &postgres.directory().socket());
    let server = Launch::on(&directory).env("DATABASE_URL", &proxy.database_url()).start();
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
