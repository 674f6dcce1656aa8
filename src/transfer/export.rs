//! Writes the database as `mongoexport` would write that of the service before: MongoDB Extended JSON v2, relaxed, a
//! document a line. Fields that the other service does not know (`seq`, `last_seq`, `client_msg_id`) are there, too, so that
//! an import of it into another database loses nothing.

use std::{
    fmt,
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    pin::pin,
};

use actors::{ConversationId, HorseId, MessageId, Timestamp, UserId};
use futures::TryStreamExt;
use serde_json::{Value, json};
use tokio_postgres::{Config, IsolationLevel, Row, Transaction, types::ToSql};

use super::{
    TransferError, connect, counted,
    documents::{Conversation, Document, Message, User},
    progress::Progress,
    statements::{EXPORT_CONVERSATIONS, EXPORT_MESSAGES, EXPORT_USERS},
};

/// How much was written.
#[derive(Clone, Copy, Default, Debug)]
pub struct Exported {
    /// Users.
    pub users: u64,
    /// Conversations.
    pub conversations: u64,
    /// Messages, deleted ones among them.
    pub messages: u64,
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (users, conversations) = (counted(self.users, "user"), counted(self.conversations, "conversation"));
        write!(f, "written: {users}, {conversations}, {}", counted(self.messages, "message"))
    }
}

/// Writes `users.json`, `conversations.json` and `messages.json` into a directory, all of one moment.
///
/// # Errors
/// One of them is there already, or a file or the database fails; then none of them is there.
pub async fn export(database: &Config, to: &Path) -> Result<Exported, TransferError> {
    fs::create_dir_all(to).map_err(|error| TransferError::File("make", to.to_owned(), error))?;
    // Until the end: two into one directory would write the same files.
    let directory = File::open(to).map_err(|error| TransferError::File("read", to.to_owned(), error))?;
    directory.try_lock().map_err(|_| TransferError::BusyThere(to.to_owned()))?;
    let files = [User::FILE, Conversation::FILE, Message::FILE].map(|name| to.join(format!("{name}.json")));
    if let Some(there) = files.iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err(TransferError::WouldOverwrite(there.clone()));
    }
    let exported = write_all(database, &files).await;
    for path in &files {
        let unfinished = unfinished(path);
        if exported.is_ok() {
            fs::rename(unfinished, path).map_err(|error| TransferError::File("write", path.clone(), error))?;
        } else {
            // It may not have been begun.
            let _ = fs::remove_file(unfinished);
        }
    }
    exported
}

async fn write_all(database: &Config, files: &[PathBuf; 3]) -> Result<Exported, TransferError> {
    let (mut client, driver) = connect(database, "horsetrust-chat export").await?;
    let moment = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let moment = moment.start().await?;
    let [users, conversations, messages] = files;
    let exported = Exported {
        users: write(&moment, "users", EXPORT_USERS, user, users).await?,
        conversations: write(&moment, "conversations", EXPORT_CONVERSATIONS, conversation, conversations).await?,
        messages: write(&moment, "messages", EXPORT_MESSAGES, message, messages).await?,
    };
    moment.rollback().await?;
    drop(client);
    let _ = driver.await;
    Ok(exported)
}

fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("json.part")
}

/// For nobody else to read: it has all that people wrote.
fn create(path: &Path) -> io::Result<File> {
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Writes a statement's rows, each a document; how many there were.
async fn write(
    moment: &Transaction<'_>,
    table: &'static str,
    statement: &str,
    document: fn(&Row) -> Value,
    path: &Path,
) -> Result<u64, TransferError> {
    let path = unfinished(path);
    let failed = |error| TransferError::File("write", path.clone(), error);
    let mut file = BufWriter::new(create(&path).map_err(failed)?);
    let total = moment.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await?.get::<_, i64>(0);
    let progress = Progress::new(format!("writing {table}"), u64::try_from(total).unwrap_or_default());
    let none: [&(dyn ToSql + Sync); 0] = [];
    let mut rows = pin!(moment.query_raw(statement, none).await?);
    let mut count = 0;
    while let Some(row) = rows.try_next().await? {
        serde_json::to_writer(&mut file, &document(&row)).map_err(|error| failed(error.into()))?;
        file.write_all(b"\n").map_err(failed)?;
        count += 1;
        progress.is_at(count);
    }
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    progress.end(&counted(count, "document"));
    Ok(count)
}

fn user(row: &Row) -> Value {
    json!({
        "_id": id(row.get::<_, UserId>(0)),
        "full_name": row.get::<_, &str>(1),
        "profile_picture_url": row.get::<_, Option<&str>>(2),
    })
}

fn conversation(row: &Row) -> Value {
    json!({
        "_id": id(row.get::<_, ConversationId>(0)),
        "participants": [id(row.get::<_, UserId>(1)), id(row.get::<_, UserId>(2))],
        "horse_id": row.get::<_, Option<HorseId>>(3).map(id),
        "created_at": date(row.get(4)),
        "updated_at": date(row.get(5)),
        "last_seq": row.get::<_, i64>(6),
        "last_message": row.get::<_, Option<MessageId>>(7).map(id),
    })
}

fn message(row: &Row) -> Value {
    let read_at: Option<Timestamp> = row.get(5);
    json!({
        "_id": id(row.get::<_, MessageId>(0)),
        "conversation_id": id(row.get::<_, ConversationId>(1)),
        "sender_id": id(row.get::<_, UserId>(2)),
        "text": row.get::<_, &str>(3),
        "sent_at": date(row.get(4)),
        "is_read": read_at.is_some(),
        "read_at": read_at.map(date),
        "deleted_at": row.get::<_, Option<Timestamp>>(6).map(date),
        "seq": row.get::<_, i64>(7),
        "client_msg_id": row.get::<_, Option<&str>>(8),
    })
}

fn id(id: impl fmt::Display) -> Value {
    json!({ "$oid": id.to_string() })
}

fn date(time: Timestamp) -> Value {
    json!({ "$date": time.to_string() })
}
