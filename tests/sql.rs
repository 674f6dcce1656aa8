//! Every statement fits the schema, and the hot ones find their rows by an index.

mod support;

use actors::{ConversationId, MessageId, Timestamp, UserId, sql};
use support::Server;
use tokio_postgres::{Client, NoTls, types::ToSql};

/// Users 1 to 20,000; user n has conversations with the next three; the first has 100,000 messages.
const LARGE: &str = "
    INSERT INTO users (id, full_name) SELECT id(n), 'User ' || n FROM generate_series(1, 20000) n;
    INSERT INTO conversations (id, creator_id, recipient_id, created_at, updated_at)
        SELECT id(n * 10 + k), id(n), id(n + k), now(), now()
        FROM generate_series(1, 19990) n, generate_series(1, 3) k;
    INSERT INTO messages (conversation_id, seq, id, sender_id, text, sent_at)
        SELECT id(11), n, id(n), id(1 + n % 2), 'text', now() FROM generate_series(1, 100000) n;
    INSERT INTO messages (conversation_id, seq, id, sender_id, text, sent_at)
        SELECT id(n * 10 + 1), 1, id(100000 + n), id(n), 'text', now() FROM generate_series(2, 19990) n;
    UPDATE conversations SET last_seq = 100000, recipient_unread = 50000 WHERE id = id(11);
    ANALYZE;
";
const ID_FUNCTION: &str = "
    CREATE FUNCTION id(n bigint) RETURNS bytea LANGUAGE sql IMMUTABLE
        AS $$ SELECT decode(lpad(to_hex(n), 24, '0'), 'hex') $$;
";

fn id(n: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&n.to_be_bytes());
    bytes
}

async fn connect(server: &Server) -> Client {
    let mut config = tokio_postgres::Config::new();
    config.host_path(server.directory().socket()).user("horsetrust").dbname("horsetrust");
    let (client, connection) = config.connect(NoTls).await.expect("the private Postgres");
    tokio::spawn(connection);
    client
}

/// The file's statement.
fn statement(file: &str) -> &'static str {
    sql::ALL.iter().find(|(name, _)| *name == file).map(|(_, statement)| *statement).expect("a statement's file")
}

#[tokio::test]
async fn every_statement_can_be_prepared_on_the_migrated_schema() {
    let server = Server::start();
    let client = connect(&server).await;
    for (file, statement) in sql::ALL {
        if let Err(error) = client.prepare(statement).await {
            panic!("{file}: {error:?}");
        }
    }
}

#[tokio::test]
async fn no_hot_statement_reads_a_large_table_from_end_to_end() {
    let server = Server::start();
    let client = connect(&server).await;
    client.batch_execute(ID_FUNCTION).await.expect("a function for the test");
    client.batch_execute(LARGE).await.expect("a large database");
    let (conversation, user, other) = (ConversationId::from(id(11)), UserId::from(id(1)), UserId::from(id(2)));
    let now = Timestamp::now();
    let (conversations, users, texts) = (vec![conversation; 2], vec![user; 2], vec!["text"; 2]);
    let (ids, times, seqs) = (vec![MessageId::new(), MessageId::new()], vec![now; 2], vec![100_000_i64; 2]);
    let new = ConversationId::new();
    let horse: Option<actors::HorseId> = None;
    type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];
    let names = vec![Some("one"), None];
    let hot: [(&str, Parameters<'_>); 16] = [
        ("append_message.sql", &[&ids[0], &conversation, &user, &"text", &now]),
        ("append_messages.sql", &[&ids, &conversations, &users, &texts, &times]),
        ("append_named_messages.sql", &[&ids, &conversations, &users, &texts, &times, &names]),
        ("mark_read.sql", &[&conversations, &users, &seqs, &times, &false]),
        ("find_messages_by_id.sql", &[&ids]),
        ("find_rooms.sql", &[&conversations]),
        ("read_history.sql", &[&conversation, &user, &30_i64, &0_i64]),
        ("read_after.sql", &[&conversation, &user, &99_000_i64, &31_i64]),
        ("read_before.sql", &[&conversation, &user, &1_000_i64, &31_i64]),
        ("list_conversations.sql", &[&user, &1000_i64]),
        ("open_conversation.sql", &[&new, &user, &other, &horse, &now]),
        ("count_unread.sql", &[&user]),
        ("count_unread_here.sql", &[&user, &conversation]),
        ("delete_message.sql", &[&ids[0], &user, &now]),
        ("find_sent.sql", &[&ids]),
        ("find_users.sql", &[&users]),
    ];
    for mode in ["force_custom_plan", "force_generic_plan"] {
        client.batch_execute(&format!("SET plan_cache_mode = {mode}")).await.expect("a setting");
        for (file, parameters) in hot {
            let explain = format!("EXPLAIN {}", statement(file));
            let rows = client.query(&explain, parameters).await.unwrap_or_else(|error| panic!("{file}: {error:?}"));
            let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            assert!(!plan.iter().any(|line| line.contains("Seq Scan")), "{file}, {mode}:\n{}", plan.join("\n"));
        }
    }
}

/// User 1 has conversations with the next thousand, each of 200 messages that nobody has read.
const BUSY: &str = "
    INSERT INTO users (id, full_name) SELECT id(n), 'User ' || n FROM generate_series(1, 1001) n;
    INSERT INTO conversations (id, creator_id, recipient_id, created_at, updated_at, last_seq, creator_unread, recipient_unread)
        SELECT id(n), CASE WHEN n % 2 = 0 THEN id(1) ELSE id(n) END, CASE WHEN n % 2 = 0 THEN id(n) ELSE id(1) END,
               now(), now(), 200, 100, 100
        FROM generate_series(2, 1001) n;
    INSERT INTO messages (conversation_id, seq, id, sender_id, text, sent_at)
        SELECT id(n), k, id(n * 1000 + k), CASE WHEN k % 2 = 0 THEN id(1) ELSE id(n) END, 'text', now()
        FROM generate_series(2, 1001) n, generate_series(1, 200) k;
    ANALYZE;
";

/// How many rows of a table were read, by what Postgres counted while it ran a plan.
fn rows_read(plan: &[String], table: &str) -> f64 {
    let number = |line: &str, name: &str| -> Option<f64> {
        let (_, rest) = line.split_once(name)?;
        rest.split(|letter: char| !letter.is_ascii_digit() && letter != '.').next()?.parse().ok()
    };
    let (mut read, mut loops) = (0.0, 0.0);
    for line in plan {
        if let Some(times) = number(line, " loops=") {
            loops = if line.contains(&format!(" on {table} ")) { times } else { 0.0 };
            read += loops * number(line, " rows=").unwrap_or_default();
        }
        read += loops * number(line, "Rows Removed by Filter: ").unwrap_or_default();
    }
    read
}

#[tokio::test]
async fn the_list_of_conversations_tells_what_is_unread_without_counting_messages() {
    let server = Server::start();
    let client = connect(&server).await;
    client.batch_execute(ID_FUNCTION).await.expect("a function for the test");
    client.batch_execute(BUSY).await.expect("a large database");
    let explain = format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {}", statement("list_conversations.sql"));
    let rows = client.query(&explain, &[&UserId::from(id(1)), &1000_i64]).await.expect("a plan that was run");
    let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let read = rows_read(&plan, "messages");
    assert!((read - 1000.0).abs() < 0.5, "{read} messages for 1000 conversations:\n{}", plan.join("\n"));
}

#[tokio::test]
async fn wrong_rows_are_refused_by_postgres() {
    let server = Server::start();
    let client = connect(&server).await;
    client.batch_execute(ID_FUNCTION).await.expect("a function for the test");
    let good = "
        INSERT INTO users (id, full_name) VALUES (id(1), 'One'), (id(2), 'Two');
        INSERT INTO conversations (id, creator_id, recipient_id, horse_id, created_at, updated_at)
            VALUES (id(3), id(1), id(2), NULL, now(), now()), (id(4), id(1), id(2), id(9), now(), now());
        INSERT INTO messages VALUES (id(3), 1, id(5), id(1), repeat('🐎', 2000), now());
    ";
    client.batch_execute(good).await.expect("what is right is taken");
    let conversation = |participants: &str, horse: &str| {
        format!(
            "INSERT INTO conversations (id, creator_id, recipient_id, horse_id, created_at, updated_at)
             VALUES (id(7), {participants}, {horse}, now(), now())"
        )
    };
    let message = |seq: i64, id: i64, text: &str| {
        format!("INSERT INTO messages VALUES (id(3), {seq}, id({id}), id(1), {text}, now())")
    };
    let wrong = [
        ("the same participant twice", conversation("id(1), id(1)", "NULL")),
        ("a second conversation without a horse", conversation("id(2), id(1)", "NULL")),
        ("a second conversation about a horse", conversation("id(2), id(1)", "id(9)")),
        ("an unknown participant", conversation("id(1), id(8)", "NULL")),
        ("a malformed id", "INSERT INTO users (id, full_name) VALUES ('\\x00', 'Short')".to_owned()),
        ("a seq that is taken", message(1, 6, "'text'")),
        ("a seq that is none", message(0, 6, "'text'")),
        ("a message id that is taken", message(2, 5, "'text'")),
        ("an empty text", message(2, 6, "''")),
        ("a text of 2001 code points", message(2, 6, "repeat('🐎', 2001)")),
    ];
    for (what, statement) in wrong {
        assert!(client.batch_execute(&statement).await.is_err(), "{what} was taken");
    }
}
