//! Imports of what contradicts itself or what is there already: nobody hears what is not theirs, and nothing is made worse.

mod support;

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::json;
use support::old_files::{Files, REFUSED, conversation, date, ids, message, oid, person, user, with};
use support::postgres::Sql;
use support::{EVENT_LIMIT, Server, new_id, until};

/// What triggers and an import count must be what there is.
const COUNTED: &str = "
    SELECT count(*) FROM conversations c WHERE (last_seq, hidden, creator_unread, recipient_unread) IS DISTINCT FROM (
        SELECT (coalesce(max(seq), 0), coalesce(max(seq), 0) - count(*) FILTER (WHERE deleted_at IS NULL),
                count(*) FILTER (WHERE deleted_at IS NULL AND read_at IS NULL AND sender_id <> creator_id),
                count(*) FILTER (WHERE deleted_at IS NULL AND read_at IS NULL AND sender_id <> recipient_id))
        FROM messages WHERE conversation_id = c.id)";

#[test]
fn messages_of_a_conversation_that_was_refused_do_not_come_to_others() {
    let server = Server::start();
    let files = Files::beside(server.directory(), "old");
    let [ana, ben, eve, talk, twice] = ids::<5>();
    files.write("users.json", &[user(&ana, "Ana"), user(&ben, "Ben"), user(&eve, "Eve")]);
    files.write("conversations.json", &[conversation(&talk, &ana, &eve)]);
    files.write("messages.json", &[message(&new_id(), &talk, &ana, "to Eve", 1)]);
    files.import();
    // The same id, and other users; and one id twice in a file.
    let horse = || json!({ "horse_id": oid(&new_id()) });
    files.write(
        "conversations.json",
        &[
            conversation(&talk, &ana, &ben),
            with(conversation(&twice, &ana, &eve), &horse()),
            with(conversation(&twice, &ana, &ben), &horse()),
        ],
    );
    files.write(
        "messages.json",
        &[message(&new_id(), &talk, &ana, "a secret for Ben", 2), message(&new_id(), &twice, &ana, "for whom?", 3)],
    );
    let said = files.import();
    assert!(said.contains(" 0 messages\n") && said.contains("refused: 4"), "{said}");
    assert_eq!(server.texts(&person(&eve), &talk), ["to Eve"]);
    assert_eq!(Sql::connect(server.directory()).count("SELECT count(*) FROM messages"), 1);
}

#[test]
fn a_conversation_that_is_about_another_horse_now_stays_and_costs_no_other() {
    let server = Server::start();
    let files = Files::beside(server.directory(), "old");
    let [ana, ben, first, second, one_horse, other_horse] = ids::<6>();
    let about = |id: &str, horse: &str| with(conversation(id, &ana, &ben), &json!({ "horse_id": oid(horse) }));
    files.write("users.json", &[user(&ana, "Ana"), user(&ben, "Ben")]);
    files.write("conversations.json", &[about(&first, &one_horse)]);
    files.write("messages.json", &[message(&new_id(), &first, &ana, "one", 1)]);
    files.import();
    files.write("conversations.json", &[about(&first, &other_horse), about(&second, &other_horse)]);
    let new = [message(&new_id(), &first, &ana, "two", 2), message(&new_id(), &second, &ana, "apart", 3)];
    files.write("messages.json", &new);
    let said = files.import();
    assert!(said.contains(" 1 conversation, 2 messages") && said.contains("refused: 0"), "{said}");
    assert_eq!(server.texts(&person(&ben), &first), ["one", "two"]);
    assert_eq!(server.texts(&person(&ben), &second), ["apart"]);
}

#[test]
fn numbers_of_another_service_are_not_taken_for_ours_and_absurd_ones_are_refused() {
    let server = Server::start();
    let files = Files::beside(server.directory(), "old");
    let [ana, ben, talk, absurd] = ids::<4>();
    files.write("users.json", &[user(&ana, "Ana"), user(&ben, "Ben")]);
    let endless = json!({ "last_seq": i64::MAX, "horse_id": oid(&new_id()) });
    files.write(
        "conversations.json",
        &[conversation(&talk, &ana, &ben), with(conversation(&absurd, &ana, &ben), &endless)],
    );
    files.write(
        "messages.json",
        &[
            with(message(&new_id(), &talk, &ana, "one", 1), &json!({ "seq": 1_710_498_600_000_i64 })),
            with(message(&new_id(), &talk, &ana, "two", 2), &json!({ "seq": 3 })),
            with(message(&new_id(), &talk, &ana, "never", 3), &json!({ "seq": i64::MAX })),
        ],
    );
    assert!(files.import().contains("refused: 2"));
    let posted = server.post(&person(&ben), &talk, "three");
    assert_eq!((posted["seq"].as_i64(), server.texts(&person(&ben), &talk).len()), (Some(3), 3));
    assert_eq!(Sql::connect(server.directory()).count(COUNTED), 0);
}

#[test]
fn a_conversation_whose_messages_are_all_deleted_is_counted_once_a_chunk_and_not_once_a_message() {
    const MESSAGES: i64 = 12_000;
    let server = Server::start();
    let files = Files::beside(server.directory(), "old");
    let [ana, ben, talk] = ids::<3>();
    files.write("users.json", &[user(&ana, "Ana"), user(&ben, "Ben")]);
    files.write("conversations.json", &[conversation(&talk, &ana, &ben)]);
    let mut messages: Vec<_> = (0..MESSAGES).map(|_| message(&new_id(), &talk, &ana, "text", 1)).collect();
    files.write("messages.json", &messages);
    files.import();
    for document in &mut messages {
        document["deleted_at"] = date(9);
        document["is_read"] = json!(true);
    }
    files.write("messages.json", &messages);
    let said = files.import();
    assert!(said.contains(&format!("last import: {MESSAGES} messages")), "{said}");
    let sql = Sql::connect(server.directory());
    // Postgres' own statistics, of both tables at once, which it writes down when the import's connection has ended.
    let updates =
        |table: &str| sql.count(&format!("SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = '{table}'"));
    until("the deletions are in the statistics", EVENT_LIMIT, || updates("messages") >= MESSAGES);
    assert!(updates("conversations") < 20, "{}", updates("conversations"));
    assert_eq!(sql.count(COUNTED), 0);
}

#[test]
fn what_is_imported_again_has_the_time_of_its_newest_message() {
    let server = Server::start();
    let files = Files::beside(server.directory(), "old");
    let [ana, ben, talk] = ids::<3>();
    files.write("users.json", &[user(&ana, "Ana"), user(&ben, "Ben")]);
    let updated_at = || {
        let (_, list) = server.rest(&person(&ana).token, "GET", "/api/chat/conversations", None);
        list["data"][0]["updated_at"].as_str().expect("a time").to_owned()
    };
    for (seconds, last) in [(5, 1), (20, 2)] {
        let fields = json!({ "updated_at": date(seconds), "last_seq": last });
        files.write("conversations.json", &[with(conversation(&talk, &ana, &ben), &fields)]);
        files.import();
        assert_eq!(updated_at(), format!("2024-03-15T10:00:{seconds:02}.000Z"));
    }
    files.write("messages.json", &[with(message(&new_id(), &talk, &ana, "late", 30), &json!({ "seq": 1 }))]);
    files.import();
    assert_eq!(updated_at(), "2024-03-15T10:00:30.000Z");
}

#[test]
fn what_is_refused_is_counted_by_reason_most_frequent_first() {
    let server = Server::start();
    let files = Files::beside(server.directory(), "old");
    let [ana, talk] = ids::<2>();
    files.write("users.json", &[user(&ana, "Ana")]);
    // Participants that are no ids, each at another place: more kinds than are told. And two of whom nobody knows.
    let nobody = |at: usize| {
        let mut participants = vec![oid(&ana); at];
        participants.push(json!("Ben"));
        with(conversation(&new_id(), &ana, &ana), &json!({ "participants": participants }))
    };
    let unknown = || conversation(&new_id(), &ana, &new_id());
    files.write("conversations.json", &(0..11).map(nobody).chain([unknown(), unknown()]).collect::<Vec<_>>());
    let yesterday =
        || with(message(&new_id(), &talk, &ana, "when?", 1), &json!({ "sent_at": { "$date": "yesterday" } }));
    files.write("messages.json", &[yesterday(), yesterday(), yesterday()]);
    let said = files.import();
    let (_, counted) = said.split_once("see import-refused.jsonl\n").expect("a report");
    let counted: Vec<&str> = counted.lines().map(str::trim_start).collect();
    let most =
        ["3 in messages.json: sent_at: not a date", "2 in conversations.json: participants: … is not among the users"];
    assert_eq!((&counted[..2], counted.len()), (&most[..], 11), "{said}");
    assert_eq!(
        (counted[2], counted[10]),
        ("1 in conversations.json: participants[0]: not an ObjectId, but a string", "3 for other reasons")
    );
}

#[test]
fn the_exit_code_tells_whether_all_was_taken_or_some_refused_or_nothing_begun() {
    let server = Server::start();
    let files = Files::beside(server.directory(), "old");
    let ended = || files.begin_import().wait().expect("a child").code();
    let [ana, ben] = ids::<2>();
    files.write("users.json", &[user(&ana, "Ana")]);
    assert_eq!(ended(), Some(0));
    files.write("users.json", &[user(&ana, "Ana"), user(&ben, " ")]);
    assert_eq!(ended(), Some(REFUSED));
    fs::remove_file(files.path.join("users.json")).expect("the file");
    assert_eq!(ended(), Some(1));
}

#[test]
fn a_file_without_documents_is_named_before_anything_is_imported_and_an_empty_one_is_taken() {
    let server = Server::start();
    let files = Files::beside(server.directory(), "old");
    let [ana] = ids::<1>();
    files.write("users.json", &[user(&ana, "Ana")]);
    let page = "<!DOCTYPE html>\n<style>p { color: red }</style>\n<script>{\"@type\": \"Page\"}</script>\n";
    for text in [page, "[1, 2]", "{\"messages\": []}\n"] {
        files.write_text("messages.json", text);
        let said = files.run("import", "--from").expect_err(text);
        assert!(said.contains("messages.json is a JSON document with an _id"), "{said}");
    }
    files.write_text("messages.json", "[]\n");
    let said = files.import();
    assert!(said.contains("new: 1 user, "), "nothing had been stored");
    assert!(said.contains("messages.json has no documents: "), "{said}");
    // One that is broken costs itself only, even the first.
    files.write_text("messages.json", &format!("connected to: mongo\n{}", message(&ana, &ana, &ana, "hi", 1)));
    assert!(files.import().contains("refused: 2 documents"));
}

#[test]
fn a_report_costs_no_file_that_is_not_one() {
    let server = Server::start();
    let files = Files::beside(server.directory(), "old");
    let [ana, ben] = ids::<2>();
    files.write("users.json", &[user(&ana, "Ana"), user(&ben, " ")]);
    let report = files.path.join("users.json");
    let said = files.import_with(&["--report", "users.json"]).expect_err("its own input");
    assert!(said.contains("--report") && fs::read_to_string(&report).is_ok_and(|text| !text.is_empty()), "{said}");
    files.import_with(&["--report", "/dev/null"]).expect("a report for nobody");
    assert!(!fs::metadata("/dev/null").expect("the device").is_file());
    files.import_with(&["--report", "refused"]).expect("a report");
    let mode = fs::metadata(files.path.join("refused")).expect("the report").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Nothing is refused any more.
    files.write("users.json", &[user(&ana, "Ana"), user(&ben, "Ben")]);
    files.import_with(&["--report", "refused"]).expect("no report");
    assert_eq!(fs::read_to_string(files.path.join("refused")).expect("the report"), "");
}
