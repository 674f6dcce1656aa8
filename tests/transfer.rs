//! Moving from the service before and back: files as `mongoexport` writes them, into the database and out again.

mod support;

use std::{fs, thread, time::Duration};

use serde_json::{Value, json};
use support::old_files::{Files, conversation, date, ids, message, oid, person, user, with};
use support::postgres::Sql;
use support::{DataDir, Launch, Person, Server, new_id, until};

/// For what takes longer than an answer.
const WORK_LIMIT: Duration = Duration::from_secs(60);

fn unread(server: &Server, of: &Person) -> i64 {
    let (status, reply) = server.rest(&of.token, "GET", "/api/chat/unread-count", None);
    assert_eq!(status, 200, "{reply}");
    reply["unread_count"].as_i64().expect("a count")
}

fn history(server: &Server, of: &Person, conversation: &str) -> Vec<Value> {
    let path = format!("/api/chat/conversations/{conversation}/messages?limit=100&mark_read=false");
    let (status, reply) = server.rest(&of.token, "GET", &path, None);
    assert_eq!(status, 200, "{reply}");
    reply["data"].as_array().expect("messages").clone()
}

#[test]
fn what_the_service_before_had_is_there_with_its_ids_times_reads_and_deletions() {
    let directory = DataDir::new();
    let files = Files::beside(&directory, "old");
    let [ana, ben, talk] = ids::<3>();
    let [first, second, third, gone] = ids::<4>();
    files.write("users.json", &[user(&ana, "Ana"), user(&ben, "Ben")]);
    files.write("conversations.json", &[with(conversation(&talk, &ana, &ben), &json!({ "updated_at": date(40) }))]);
    // An array over many lines, canonical, and not in the order of time.
    let canonical = json!({ "$date": { "$numberLong": "1710496820000" } });
    let messages = json!([
        message(&third, &talk, &ana, "third", 30),
        with(message(&first, &talk, &ana, "  first 🐎\n", 10), &json!({ "is_read": true, "read_at": date(15) })),
        with(message(&second, &talk, &ben, "second", 0), &json!({ "sent_at": canonical })),
        with(message(&gone, &talk, &ana, "gone", 40), &json!({ "deleted_at": date(50) })),
    ]);
    files.write_text("messages.json", &serde_json::to_string_pretty(&messages).expect("JSON"));
    let said = files.import();
    assert!(said.contains("new: 2 users, 1 conversation, 4 messages"), "{said}");
    assert!(!files.path.join("import-refused.jsonl").exists(), "no report of nothing");

    let server = Launch::on(&directory).start();
    let [ana, ben] = [ana, ben].map(|id| person(&id));
    let shown = history(&server, &ben, &talk);
    let of = |field: &str| shown.iter().map(|message| message[field].clone()).collect::<Vec<_>>();
    assert_eq!(of("_id"), [json!(first), json!(second), json!(third)]);
    assert_eq!(of("text"), [json!("  first 🐎\n"), json!("second"), json!("third")]);
    assert_eq!(of("seq"), [1, 2, 3]);
    assert_eq!(of("is_read"), [true, false, false]);
    assert_eq!(of("sent_at")[1], "2024-03-15T10:00:20.000Z");
    assert_eq!(of("read_at")[0], "2024-03-15T10:00:15.000Z");
    assert_eq!((unread(&server, &ana), unread(&server, &ben)), (1, 1));
    let (_, list) = server.rest(&ana.token, "GET", "/api/chat/conversations", None);
    assert_eq!(list["data"][0]["last_message"]["text"], "third", "{list}");
    assert_eq!(list["data"][0]["updated_at"], "2024-03-15T10:00:40.000Z");
    // It goes on from there.
    assert_eq!(server.post(&ben, &talk, "and now here")["seq"], 5);
    server.texts(&ben, &talk);
    assert_eq!((unread(&server, &ana), unread(&server, &ben)), (2, 0));
}

#[test]
fn an_import_again_takes_what_is_new_and_what_was_read_or_deleted_since_beside_a_running_server() {
    let server = Server::start();
    let files = Files::beside(server.directory(), "old");
    let [ana, ben, talk] = ids::<3>();
    let [one, two, three] = ids::<3>();
    files.write("users.json", &[user(&ana, "Ana"), user(&ben, "Ben")]);
    files.write("conversations.json", &[conversation(&talk, &ana, &ben)]);
    let [first, second] = [message(&one, &talk, &ana, "one", 1), message(&two, &talk, &ana, "two", 2)];
    files.write("messages.json", &[first.clone(), second.clone()]);
    assert!(files.import().contains("2 messages\n"));
    let [ana, ben] = [ana, ben].map(|id| person(&id));
    assert_eq!(server.post(&ben, &talk, "here")["seq"], 3);

    assert!(files.import().contains("new: 0 users, 0 conversations, 0 messages\n"));
    assert_eq!(unread(&server, &ben), 2);
    let changed = [
        with(first, &json!({ "is_read": true, "read_at": date(5) })),
        with(second, &json!({ "deleted_at": date(6) })),
        message(&three, &talk, &ana.id, "late", 3),
    ];
    files.write("messages.json", &changed);
    let said = files.import();
    assert!(said.contains(" 1 message\n") && said.contains("last import: 2 messages"), "{said}");
    let shown = history(&server, &ben, &talk);
    let numbered: Vec<_> = shown.iter().map(|message| (&message["text"], &message["seq"])).collect();
    assert_eq!(numbered, [(&json!("one"), &json!(1)), (&json!("here"), &json!(3)), (&json!("late"), &json!(4))]);
    assert_eq!((unread(&server, &ana), unread(&server, &ben)), (1, 1));

    assert_eq!(server.post(&ana, &talk, "and on")["seq"], 5);

    // The other way round, nothing is taken back.
    files.write("messages.json", &[message(&one, &talk, &ana.id, "one", 1), message(&two, &talk, &ana.id, "two", 2)]);
    assert!(files.import().contains("last import: 0 messages"));
    assert_eq!(history(&server, &ben, &talk).len(), 4);
}

#[test]
fn what_is_wrong_is_reported_with_its_place_and_the_rest_is_taken() {
    let server = Server::start();
    let files = Files::beside(server.directory(), "old");
    let [ana, ben, stranger, talk, other] = ids::<5>();
    files.write("users.json", &[user(&ana, "Ana"), user(&stranger, " "), user(&ben, "Ben")]);
    files.write("conversations.json", &[conversation(&other, &ana, &stranger), conversation(&talk, &ana, &ben)]);
    let [good, strange, lost, twice] = ids::<4>();
    let lines = [
        message(&good, &talk, &ana, "good", 1).to_string(),
        message(&new_id(), &talk, &ana, &"x".repeat(2001), 1).to_string(),
        message(&new_id(), &talk, &ana, "nul \0", 1).to_string(),
        "{\"_id\": broken".to_owned(),
        message(&strange, &talk, &stranger, "listening in", 1).to_string(),
        message(&lost, &other, &ana, "nobody there", 1).to_string(),
        message(&twice, &talk, &ben, "one", 2).to_string(),
        message(&twice, &talk, &ben, "two", 3).to_string(),
    ];
    files.write_text("messages.jsonl", &lines.join("\n"));
    let said = files.import();
    assert!(said.contains("new: 2 users, 1 conversation, 2 messages"), "{said}");
    assert!(said.contains("refused: 8 documents"), "{said}");
    assert_eq!(server.texts(&person(&ben), &talk), ["good", "one"]);

    let reasons = |file: &str, expected: &[(i64, &str)]| {
        let refused = files.refused(file);
        assert_eq!(refused.len(), expected.len(), "{refused:?}");
        for ((document, reason), (at, part)) in refused.iter().zip(expected) {
            assert!(document == at && reason.contains(part), "{refused:?}");
        }
    };
    reasons("users.json", &[(2, "full_name")]);
    reasons("conversations.json", &[(1, &format!("participants: {stranger} is not among the users"))]);
    reasons(
        "messages.jsonl",
        &[
            (2, "2000"),
            (3, "U+0000"),
            (4, "another document begins"),
            (5, "sender_id: not a participant of the conversation"),
            (6, "conversation_id: the conversation is not there"),
            (8, "_id: a message before it has the same"),
        ],
    );
    let entries = files.read("import-refused.jsonl");
    assert!(entries.iter().any(|entry| entry["_id"] == json!(lost) && entry["line"] == 6), "{entries:?}");
    // Once more: the same is refused, nothing else is done.
    assert!(files.import().contains("new: 0 users, 0 conversations, 0 messages\n"));
    assert_eq!(files.read("import-refused.jsonl").len(), 8);
}

#[test]
fn two_conversations_of_the_same_users_become_one_and_no_message_is_lost() {
    let server = Server::start();
    let files = Files::beside(server.directory(), "old");
    let [ana, ben, older, newer, about_a_horse] = ids::<5>();
    files.write("users.json", &[user(&ana, "Ana"), user(&ben, "Ben")]);
    let later = json!({ "created_at": date(9) });
    files.write(
        "conversations.json",
        &[
            with(conversation(&newer, &ben, &ana), &later),
            conversation(&older, &ana, &ben),
            with(conversation(&about_a_horse, &ana, &ben), &json!({ "horse_id": oid(&new_id()) })),
        ],
    );
    files.write(
        "messages.json",
        &[
            message(&new_id(), &newer, &ben, "two", 2),
            message(&new_id(), &older, &ana, "one", 1),
            message(&new_id(), &newer, &ana, "three", 3),
            message(&new_id(), &about_a_horse, &ana, "apart", 1),
        ],
    );
    for new in ["new: 2 users, 2 conversations, 4 messages", "new: 0 users, 0 conversations, 0 messages"] {
        let said = files.import();
        assert!(said.contains(new) && said.contains("refused: 0 documents; merged: 1 conversation;"), "{said}");
        let report = files.read("import-refused.jsonl");
        assert_eq!(report.len(), 1);
        assert_eq!((&report[0]["_id"], &report[0]["merged_into"]), (&json!(newer), &json!(older)));
    }
    assert_eq!(server.texts(&person(&ben), &older), ["one", "two", "three"]);
    assert_eq!(server.texts(&person(&ben), &about_a_horse), ["apart"]);
}

#[test]
fn an_export_that_is_imported_elsewhere_and_exported_again_is_the_same() {
    let server = Server::start();
    let (ana, ben, eve) = (server.person("Ana"), server.person("Ben 🐎"), server.person("Eve"));
    let (talk, other) = (server.conversation(&ana, &ben), server.conversation(&eve, &ana));
    server.conversation(&ben, &eve);
    for number in 0..5 {
        server.post_named(&ana, &talk, &format!("text {number} \"\\\u{2028}"), &format!("name-{number}"));
    }
    server.texts(&ben, &talk);
    let gone = server.post(&ben, &talk, "deleted");
    let path = format!("/api/chat/messages/{}", gone["_id"].as_str().expect("an id"));
    assert_eq!(server.rest(&ben.token, "DELETE", &path, None).0, 200);
    server.post(&ben, &talk, "unread");
    server.post(&eve, &other, "removed for good");
    server.post(&eve, &other, "the last one");
    server.post(&eve, &other, "removed, too");
    let sql = Sql::connect(server.directory());
    sql.run("DELETE FROM messages WHERE text LIKE 'removed%'");
    drop(sql);

    let out = Files::beside(server.directory(), "out");
    let said = out.export().expect("exported");
    assert!(said.contains("3 users, 3 conversations, 8 messages"), "{said}");
    let again = out.export().expect_err("nothing is overwritten");
    assert!(again.contains("users.json is there already"), "{again}");

    let elsewhere = Server::start();
    let copy = Files::beside(elsewhere.directory(), "copy");
    const ALL: [&str; 3] = ["users.json", "conversations.json", "messages.json"];
    for name in ALL {
        fs::copy(out.path.join(name), copy.path.join(name)).expect("a copy");
    }
    let said = copy.import();
    assert!(said.contains("3 users, 3 conversations, 8 messages") && said.contains("refused: 0"), "{said}");
    let back = Files::beside(elsewhere.directory(), "back");
    back.export().expect("exported");
    for name in ALL {
        assert_eq!(back.read(name), out.read(name), "{name}");
    }
    for of in [&ana, &ben, &eve] {
        assert_eq!(unread(&elsewhere, of), unread(&server, of));
    }
    // A repeat is known as one there, too.
    let repeat = json!({ "text": "text 1 \"\\\u{2028}", "client_msg_id": "name-1" });
    let path = format!("/api/chat/conversations/{talk}/messages");
    let (_, reply) = elsewhere.rest(&ana.token, "POST", &path, Some(&repeat));
    assert_eq!(reply["data"]["duplicate"], true, "{reply}");
    assert_eq!(elsewhere.post(&ana, &other, "goes on")["seq"], 4);
}

#[test]
fn an_import_of_ten_times_as_much_takes_no_more_memory() {
    let server = Server::start();
    let [ana, ben, talk] = ids::<3>();
    let peaks = [3_000, 30_000].map(|count| {
        let files = Files::beside(server.directory(), &format!("old-{count}"));
        files.write("users.json", &[user(&ana, "Ana"), user(&ben, "Ben")]);
        files.write("conversations.json", &[conversation(&talk, &ana, &ben)]);
        let text = "x".repeat(1000);
        let messages: Vec<_> = (0..count).map(|_| message(&new_id(), &talk, &ana, &text, 1)).collect();
        files.write("messages.json", &messages);
        let mut import = files.begin_import();
        let mut peak = 0;
        while import.try_wait().expect("a child").is_none() {
            peak = peak_kilobytes(import.id()).unwrap_or(peak);
            thread::sleep(Duration::from_millis(2));
        }
        assert!(import.wait().expect("a child").success());
        peak
    });
    assert_eq!(unread(&server, &person(&ben)), 33_000);
    // The files have 4 and 40 MB.
    assert!(peaks[0] > 0 && peaks[1] < peaks[0] + 10_000, "{peaks:?} KB");
}

#[test]
fn an_import_that_was_killed_is_finished_by_the_next_one() {
    const EACH: usize = 20_000;
    let server = Server::start();
    let files = Files::beside(server.directory(), "old");
    let [ana, ben] = ids::<2>();
    let talks = ids::<3>();
    files.write("users.json", &[user(&ana, "Ana"), user(&ben, "Ben")]);
    let about = |talk: &String| with(conversation(talk, &ana, &ben), &json!({ "horse_id": oid(&new_id()) }));
    files.write("conversations.json", &talks.iter().map(about).collect::<Vec<_>>());
    let messages = talks.iter().flat_map(|talk| (0..EACH).map(|_| message(&new_id(), talk, &ana, "text", 1)));
    files.write("messages.json", &messages.collect::<Vec<_>>());
    let mut import = files.begin_import();
    let sql = Sql::connect(server.directory());
    let stored = || sql.count("SELECT count(*) FROM messages");
    until("the first messages are stored", WORK_LIMIT, || stored() > 0);
    import.kill().expect("a child");
    import.wait().expect("a child");
    let importing = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'horsetrust-chat import'";
    until("its statement has ended, too", WORK_LIMIT, || sql.count(importing) == 0);
    assert!(files.import().contains("refused: 0"));
    assert_eq!(stored(), 3 * EACH as i64);
    let sound = "SELECT count(*) FROM conversations WHERE last_seq = 20000 AND recipient_unread = 20000 AND hidden = 0";
    assert_eq!(sql.count(sound), 3);
}

#[test]
fn what_is_imported_is_on_the_disk_whatever_the_database_has_for_all() {
    let server = Server::start();
    let files = Files::beside(server.directory(), "old");
    let [ana, ben, talk] = ids::<3>();
    files.write("users.json", &[user(&ana, "Ana"), user(&ben, "Ben")]);
    files.write("conversations.json", &[conversation(&talk, &ana, &ben)]);
    files.write("messages.json", &[message(&new_id(), &talk, &ana, "text", 1)]);
    let sql = Sql::connect(server.directory());
    sql.watch_settings();
    sql.run("ALTER DATABASE horsetrust SET synchronous_commit = off");
    files.import();
    assert_eq!(sql.settings_seen(), ["conversations: on 0 0", "messages: on 0 0", "users: on 0 0"]);
}

/// Of a process that may just have ended.
fn peak_kilobytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
}

#[test]
fn two_exports_into_one_directory_are_not_mixed() {
    let server = Server::start();
    let files = Files::beside(server.directory(), "out");
    let other = fs::File::open(&files.path).expect("it is there");
    other.lock().expect("nobody has it");
    files.write_text("users.json.part", "what the other writes");
    let refused = files.export().expect_err("another export goes on");
    assert!(refused.contains("another export is writing to"), "{refused}");
    assert!(fs::read(files.path.join("users.json.part")).is_ok_and(|text| text == b"what the other writes"));
    drop(other);
    files.export().expect("nobody is there any more");
    assert_eq!(files.read("conversations.json"), Vec::<Value>::new());
}

#[test]
fn an_import_without_files_says_how_they_are_made() {
    let server = Server::start();
    let files = Files::beside(server.directory(), "empty");
    let error = files.run("import", "--from").expect_err("nothing there");
    assert!(error.contains("mongoexport --collection=users"), "{error}");
}
