//! How far participants have read: deletions do not set it back, and what they had set back before is mended.

mod support;

use serde_json::json;
use support::postgres::Sql;
use support::{Person, Server, SocketIo};

const MENDED: &str = include_str!("../sql/migrations/V7__read_positions.sql");
/// The creator's, then the recipient's.
const POSITIONS: [&str; 2] =
    ["SELECT creator_read_seq FROM conversations", "SELECT recipient_read_seq FROM conversations"];

struct Scene {
    server: Server,
    sql: Sql,
    ana: Person,
    ben: Person,
    conversation: String,
    ids: Vec<String>,
}

impl Scene {
    /// Ana says 1 and 6, Ben 2 to 5; she has read up to 4, he nothing.
    fn set() -> Self {
        let server = Server::start();
        let (ana, ben) = (server.person("Ana"), server.person("Ben"));
        let conversation = server.conversation(&ana, &ben);
        let senders = [&ana, &ben, &ben, &ben, &ben, &ana];
        let ids = senders.map(|sender| {
            let message = server.post(sender, &conversation, "text");
            message["_id"].as_str().expect("an id").to_owned()
        });
        let sql = Sql::connect(server.directory());
        let scene = Self { server, sql, ana, ben, conversation, ids: ids.to_vec() };
        scene.mark(4);
        scene
    }

    fn mark(&self, up_to_seq: i64) {
        let argument = json!({ "conversation_id": self.conversation, "up_to_seq": up_to_seq });
        assert_eq!(SocketIo::connect(&self.server, &self.ana).call("mark_read", &argument)["success"], true);
    }

    fn delete(&self, sender: &Person, seq: usize) {
        let path = format!("/api/chat/messages/{}", self.ids[seq - 1]);
        assert_eq!(self.server.rest(&sender.token, "DELETE", &path, None).0, 200);
    }

    fn restore(&self, seq: usize) {
        self.sql.run(&format!("UPDATE messages SET deleted_at = NULL WHERE seq = {seq}"));
    }

    fn positions(&self) -> [i64; 2] {
        POSITIONS.map(|query| self.sql.count(query))
    }
}

#[test]
fn a_deletion_sets_no_read_position_back() {
    let scene = Scene::set();
    assert_eq!(scene.positions(), [4, 0]);
    scene.delete(&scene.ana, 1);
    scene.delete(&scene.ben, 3);
    scene.delete(&scene.ben, 5);
    assert_eq!(scene.positions(), [4, 0]);
}

#[test]
fn what_an_operator_brings_back_can_be_read_and_is_counted() {
    let scene = Scene::set();
    scene.delete(&scene.ben, 5);
    scene.mark(6);
    assert_eq!(scene.positions(), [6, 0]);
    scene.restore(5);
    assert_eq!(scene.positions(), [4, 0]);
    let unread =
        || scene.server.rest(&scene.ana.token, "GET", "/api/chat/unread-count", None).1["unread_count"].clone();
    assert_eq!(unread(), 1);
    scene.mark(6);
    assert_eq!((scene.positions(), unread()), ([6, 0], json!(0)));
}

#[test]
fn positions_that_deletions_had_set_back_are_mended() {
    let scene = Scene::set();
    scene.delete(&scene.ana, 1);
    scene.sql.run("UPDATE conversations SET creator_read_seq = 0");
    scene.sql.run(MENDED);
    assert_eq!(scene.positions(), [4, 0]);
    // What is unread before it holds it back.
    scene.sql.run("UPDATE messages SET read_at = NULL WHERE seq = 3");
    scene.sql.run("UPDATE conversations SET creator_read_seq = 0, creator_unread = 2");
    scene.sql.run(MENDED);
    assert_eq!(scene.positions(), [2, 0]);
    scene.mark(6);
    scene.sql.run(MENDED);
    assert_eq!(scene.positions(), [6, 0]);
}
