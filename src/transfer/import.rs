//! Takes what `mongoexport` has written of the service before.
//!
//! Each file is read once, document by document, and laid down in a temporary table; Postgres, not this process, holds and
//! sorts it. Then users, conversations and messages are stored, messages in chunks of some thousand, so that no conversation
//! is locked for long: what was stored when an import breaks off stays, and the next one stores the rest.

use std::{
    fmt, fs,
    io::{Write as _, stderr},
    path::{Path, PathBuf},
    pin::pin,
};

use futures::TryStreamExt;
use tokio_postgres::{Client, Config, error::SqlState, types::ToSql};

use super::{
    TransferError, connect, counted,
    documents::{Conversation, Document, Message, User},
    progress::Progress,
    refusals::{Entry, Refusals},
    staging::{look, shown, stage},
    statements::{
        AIM_CONVERSATIONS, BRING_UP_TO_DATE, DIVIDE, LIST_MERGED, LIST_REFUSED, LOCK_CHUNK, NUMBER_CHUNK,
        RECOUNT_CHUNK, REFUSE_MESSAGES, RESOLVE_MESSAGES, STAGE, STORE_CONVERSATIONS, STORE_MESSAGES, STORE_USERS,
        UPDATE_MESSAGES,
    },
};

/// The advisory lock that an import holds.
const LOCK: i64 = 0x686f_7273_6569_6d70;
/// The endings under which a file is looked for.
const ENDINGS: [&str; 2] = ["json", "jsonl"];
/// How often a chunk is tried.
const ATTEMPTS: usize = 5;
/// Why a chunk may be stored when it is tried again: a deadlock, which Postgres ends after a second.
const PASSING: [&SqlState; 2] = [&SqlState::T_R_DEADLOCK_DETECTED, &SqlState::T_R_SERIALIZATION_FAILURE];

/// What an import did.
#[derive(Clone, Default, Debug)]
pub struct Imported {
    /// New ones.
    pub users: u64,
    /// New ones.
    pub conversations: u64,
    /// Conversations whose messages went to another one of the same users about the same horse.
    pub merged: u64,
    /// New ones.
    pub messages: u64,
    /// Messages that were there, and were read or deleted since.
    pub changed: u64,
    /// Documents that were not taken.
    pub refused: u64,
    /// The most frequent reasons, each with its file and for how many documents.
    pub reasons: Vec<(String, u64)>,
    /// Where it stands what was refused or merged.
    pub report: Option<PathBuf>,
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { users, conversations, messages, changed, merged, refused, reasons, report } = self;
        let (users, conversations) = (counted(*users, "user"), counted(*conversations, "conversation"));
        writeln!(f, "new: {users}, {conversations}, {}", counted(*messages, "message"))?;
        writeln!(f, "read or deleted since the last import: {}", counted(*changed, "message"))?;
        write!(f, "refused: {}; merged: {}", counted(*refused, "document"), counted(*merged, "conversation"))?;
        if let Some(path) = report {
            write!(f, "; see {}", path.display())?;
        }
        for (reason, count) in reasons {
            write!(f, "\n{count:>8} in {reason}")?;
        }
        match refused - reasons.iter().map(|(_, count)| count).sum::<u64>() {
            0 => Ok(()),
            others => write!(f, "\n{others:>8} for other reasons"),
        }
    }
}

/// Imports the files of a directory into a database whose schema is up to date. What is there already stays; messages
/// that were read or deleted since become so.
///
/// # Errors
/// A file or the database fails. What was stored stays, and the next import goes on.
pub async fn import(database: &Config, from: &Path, report: &Path) -> Result<Imported, TransferError> {
    let files = find_all(from)?;
    files.iter().flatten().try_for_each(|path| look(path))?;
    let [users, conversations, messages] = files;
    let (mut client, driver) = connect(database, "horsetrust-chat import").await?;
    lock(&client).await?;
    // The default of 4 MB is meant for many queries at the same time; here one sorts all messages.
    client.batch_execute("SET work_mem = '64MB'").await?;
    client.batch_execute(STAGE).await?;
    let inputs = [&users, &conversations, &messages].into_iter().flatten();
    let mut import = Import { refusals: Refusals::create(report, inputs)?, imported: Imported::default() };
    stage::<User>(&client, users.as_deref(), &mut import.refusals).await?;
    import.imported.users = client.execute(STORE_USERS, &[]).await?;
    stage::<Conversation>(&client, conversations.as_deref(), &mut import.refusals).await?;
    import.store_conversations(&client, conversations.as_deref()).await?;
    stage::<Message>(&client, messages.as_deref(), &mut import.refusals).await?;
    import.store_messages(&mut client, messages.as_deref()).await?;
    client.execute(BRING_UP_TO_DATE, &[]).await?;
    client.batch_execute("ANALYZE users, conversations, messages").await?;
    drop(client);
    let _ = driver.await;
    let Import { refusals, mut imported } = import;
    imported.refused = refusals.count;
    imported.reasons = refusals.most_frequent();
    imported.report = refusals.end()?;
    Ok(imported)
}

/// One import at a time. That of one that has just ended, or was ended, is waited for.
async fn lock(client: &Client) -> Result<(), TransferError> {
    client.batch_execute("SET lock_timeout = '5s'").await?;
    let locked = client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await;
    client.batch_execute("RESET lock_timeout").await?;
    match locked {
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => Err(TransferError::Busy),
        locked => Ok(locked.map(drop)?),
    }
}

/// The files of users, conversations and messages; says which are left out.
fn find_all(directory: &Path) -> Result<[Option<PathBuf>; 3], TransferError> {
    // Those that are not there, or not for us, say so here.
    fs::read_dir(directory).map_err(|error| TransferError::File("read", directory.to_owned(), error))?;
    let names = [User::FILE, Conversation::FILE, Message::FILE];
    let files = names.map(|name| find(directory, name));
    if files.iter().all(Option::is_none) {
        return Err(TransferError::NothingThere(directory.display().to_string()));
    }
    for (name, _) in names.iter().zip(&files).filter(|(_, file)| file.is_none()) {
        let packed = directory.join(format!("{name}.json.gz")).exists();
        let remedy = if packed { "; unpack its .gz to take it" } else { "" };
        // Where nobody reads it, the work goes on.
        let _ = writeln!(stderr(), "there is no {name}.json: {name} are left out{remedy}");
    }
    Ok(files)
}

fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    ENDINGS.iter().map(|ending| directory.join(format!("{name}.{ending}"))).find(|path| path.exists())
}

/// An import under way.
struct Import {
    refusals: Refusals,
    imported: Imported,
}

impl Import {
    async fn store_conversations(&mut self, client: &Client, path: Option<&Path>) -> Result<(), TransferError> {
        client.batch_execute("ANALYZE staged_conversations").await?;
        self.imported.conversations = client.execute(STORE_CONVERSATIONS, &[]).await?;
        client.execute(AIM_CONVERSATIONS, &[]).await?;
        self.report(client, LIST_REFUSED, &shown(path), false).await?;
        self.imported.merged = self.report(client, LIST_MERGED, &shown(path), true).await?;
        Ok(())
    }

    async fn store_messages(&mut self, client: &mut Client, path: Option<&Path>) -> Result<(), TransferError> {
        client.batch_execute("ANALYZE staged_messages").await?;
        let progress = Progress::new("comparing with what is there", 1);
        client.batch_execute(RESOLVE_MESSAGES).await?;
        self.report(client, REFUSE_MESSAGES, &shown(path), false).await?;
        client.batch_execute(DIVIDE).await?;
        let total = client.query_one("SELECT count(*) FROM divided", &[]).await?.get::<_, i64>(0);
        let (mut stored, total) = (0, u64::try_from(total).unwrap_or_default());
        progress.end(&format!("{} new or changed", counted(total, "message")));
        let progress = Progress::new("storing messages", total);
        let chunks = client.query("SELECT DISTINCT chunk FROM chunks ORDER BY chunk", &[]).await?;
        for chunk in chunks.iter().map(|row| row.get::<_, i32>(0)) {
            let (new, changed) = store_chunk(client, chunk).await?;
            self.imported.messages += new;
            self.imported.changed += changed;
            stored += new + changed;
            progress.is_at(stored);
        }
        progress.end(&counted(stored, "message"));
        Ok(())
    }

    /// Runs a statement that returns document, line, id, and why it was refused or what it was merged into.
    async fn report(
        &mut self,
        client: &Client,
        statement: &str,
        file: &str,
        merged: bool,
    ) -> Result<u64, TransferError> {
        // One after the other: there may be as many as messages.
        let none: [&(dyn ToSql + Sync); 0] = [];
        let mut rows = pin!(client.query_raw(statement, none).await?);
        let mut count = 0;
        while let Some(row) = rows.try_next().await? {
            let why = Some(row.get::<_, &str>(3));
            self.refusals.add(&Entry {
                file,
                document: row.get(0),
                line: row.get(1),
                id: Some(row.get(2)),
                reason: why.filter(|_| !merged),
                merged_into: why.filter(|_| merged),
            })?;
            count += 1;
        }
        Ok(count)
    }
}

/// Stores a chunk, whole or not at all; how many messages were new, and how many changed.
async fn store_chunk(client: &mut Client, chunk: i32) -> Result<(u64, u64), TransferError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match attempt_chunk(client, chunk).await {
            // Somebody else had some of its rows.
            Err(error) if attempts < ATTEMPTS && error.code().is_some_and(|code| PASSING.contains(&code)) => (),
            outcome => return Ok(outcome?),
        }
    }
}

async fn attempt_chunk(client: &mut Client, chunk: i32) -> Result<(u64, u64), tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    // Instead of a trigger that counts after each message.
    transaction.batch_execute("SET LOCAL horsetrust_chat.recounts = 'on'").await?;
    transaction.execute(LOCK_CHUNK, &[&chunk]).await?;
    transaction.execute(NUMBER_CHUNK, &[&chunk]).await?;
    let new = transaction.execute(STORE_MESSAGES, &[&chunk]).await?;
    let changed = transaction.execute(UPDATE_MESSAGES, &[&chunk]).await?;
    transaction.execute(RECOUNT_CHUNK, &[&chunk]).await?;
    transaction.commit().await?;
    Ok((new, changed))
}
