//! A lane's connection to Postgres, and what it takes to know whether a batch was committed.
//!
//! Each connection holds an advisory lock of its lane. A new one has to get it first, so that the backend before it is
//! gone and can commit nothing any more: only then do the ids of a batch decide whether it is stored.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::{Client, Config, Error, NoTls, Row, Statement, types::ToSql};

use crate::{
    batch::{Batch, Columns, Mark, Part, Receipt},
    connect::{connect_time, prepare_commits, writable},
    ids::{ConversationId, MessageId},
    lane::Outcome,
    limits::{LOCK_TIMEOUT, REPEAT_TRIES},
    message::StoredMessage,
    refusal::Refusal,
    sql,
};

mod failure;
mod lock_wait;

use failure::{Failure, bounded, describe, is_passing, is_repeat, is_stale};
use lock_wait::LockWait;

pub(crate) use failure::{explain, takes_no_writes};

/// What came of trying to commit a batch.
pub(crate) enum Attempt {
    /// Each row has its outcome.
    Done { appends: Vec<Outcome>, marked: Marked },
    /// Postgres could not be reached; nothing was sent.
    Unreachable,
    /// It was sent, and no answer came. The same batch has to be given again, until it is done.
    Unknown,
}

/// What came of a batch's read marks.
#[derive(Default)]
pub(crate) struct Marked {
    pub(crate) receipts: Vec<Receipt>,
    /// Where nothing was marked.
    pub(crate) refused: HashSet<ConversationId>,
}

pub(crate) struct Link {
    database: Config,
    /// The advisory lock of this lane of this process.
    lock: i64,
    connection: Option<Connection>,
    /// The batch at hand was sent before, and no answer came.
    unknown: bool,
    /// That Postgres cannot be reached.
    told: bool,
}

struct Connection {
    client: Client,
    append_one: Statement,
    append: Statement,
    append_named: Statement,
    mark: Statement,
    lock: Statement,
    find: Statement,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Link {
    pub(crate) fn new(number: usize, database: &Config) -> Self {
        let mut database = writable(database);
        database.application_name(format!("horsetrust-chat lane {number}"));
        // Half of a fresh ObjectId's bytes: nobody else on this database has the same.
        let [_, _, _, _, unique @ ..] = MessageId::new().bytes();
        Self { database, lock: i64::from_be_bytes(unique), connection: None, unknown: false, told: false }
    }

    /// Commits a batch: one round trip when all is well.
    pub(crate) async fn commit(&mut self, batch: &Batch) -> Attempt {
        if let Err(error) = self.ensure_connected().await {
            // Once, until it can be reached again: each batch tries.
            if !std::mem::replace(&mut self.told, true) {
                tracing::warn!(error, "cannot reach Postgres");
            }
            return if self.unknown { Attempt::Unknown } else { Attempt::Unreachable };
        }
        match self.try_commit(batch).await {
            Ok(Attempt::Unreachable) => {
                if !std::mem::replace(&mut self.told, true) {
                    tracing::warn!("Postgres takes no writes over this connection: another one is sought");
                }
                self.connection = None;
                Attempt::Unreachable
            }
            Ok(done) => {
                (self.unknown, self.told) = (false, false);
                done
            }
            Err(error) => {
                tracing::warn!(error, "lost Postgres during a commit; its outcome will be looked up");
                self.connection = None;
                self.unknown = true;
                Attempt::Unknown
            }
        }
    }

    async fn try_commit(&self, batch: &Batch) -> Result<Attempt, String> {
        let Some(connection) = &self.connection else { return Err("not connected".to_owned()) };
        let mut known = HashMap::new();
        if self.unknown {
            let ids: Vec<_> = batch.appends.iter().map(|append| append.post.id).collect();
            let rows = bounded(connection.client.query(&connection.find, &[&ids])).await;
            known = outcomes(&rows.map_err(Failure::into_message)?);
            if !known.is_empty() {
                // Who committed them may have been ended while it waited for a synchronous standby. This commit waits for
                // it, too; a repeated mark's own does, since it locks its conversation.
                connection
                    .run("SELECT pg_logical_emit_message(true, 'horsetrust-chat', '')")
                    .await
                    .map_err(Failure::into_message)?;
            }
            tracing::info!(rows = ids.len(), stored = known.len(), "looked up a commit's outcome");
        }
        let (appended, marked) =
            tokio::join!(connection.append(batch, &mut known), connection.mark(batch, self.unknown));
        let stored_no_append = batch.appends.is_empty() || was_not_taken(&appended);
        let stored_no_mark = batch.marks.is_empty() || was_not_taken(&marked);
        if !self.unknown && stored_no_append && stored_no_mark {
            return Ok(Attempt::Unreachable);
        }
        appended.map_err(Failure::into_message)?;
        let marked = match marked {
            Err(Failure::Refused(error)) => {
                if !is_stale(&error) {
                    let (error, marks) = (describe(&error), batch.marks.len());
                    tracing::warn!(error, marks, "Postgres refused a batch of read marks");
                }
                connection.mark_apart(batch, self.unknown).await
            }
            marked => marked,
        };
        let marked = marked.map_err(Failure::into_message)?;
        let mut outcome = |id: &MessageId| {
            // Not stored, and not refused either: the sender has no part in such a conversation.
            known.remove(id).unwrap_or_else(|| Outcome::Refused(Refusal::conversation_not_found()))
        };
        Ok(Attempt::Done { appends: batch.appends.iter().map(|append| outcome(&append.post.id)).collect(), marked })
    }

    async fn ensure_connected(&mut self) -> Result<(), String> {
        if self.connection.as_ref().is_some_and(|connection| !connection.client.is_closed()) {
            return Ok(());
        }
        self.connection = None;
        let connect = Connection::open(&self.database, self.lock);
        let opened = timeout(connect_time(&self.database), connect).await;
        self.connection = Some(opened.map_err(|_| "connecting took too long".to_owned())?.map_err(|e| explain(&e))?);
        Ok(())
    }
}

impl Connection {
    async fn open(database: &Config, lock: i64) -> Result<Self, Error> {
        let (client, driver) = database.connect(NoTls).await?;
        let driver = tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(error = explain(&error), "a lane's connection ended");
            }
        });
        // From here on, dropping it ends the connection.
        let mut connection = UnpreparedConnection { client: Some(client), driver };
        let client = connection.client.as_ref().expect("just put there");
        // All behind each other in few round trips, since Postgres may be far away. The settings come before the lock: who
        // gives up waiting leaves nobody at it, whatever became of the backend that has it.
        let mine: [&(dyn ToSql + Sync); 1] = [&lock];
        let (_, _, _, append_one, append, append_named, mark, lock, find) = tokio::try_join!(
            prepare_commits(client),
            client.execute(sql::END_HOLDER_OF_LOCK, &mine),
            client.execute("SELECT pg_advisory_lock($1)", &mine),
            client.prepare(sql::APPEND_MESSAGE),
            client.prepare(sql::APPEND_MESSAGES),
            client.prepare(sql::APPEND_NAMED_MESSAGES),
            client.prepare(sql::MARK_READ),
            client.prepare(sql::LOCK_CONVERSATION),
            client.prepare(sql::FIND_MESSAGES_BY_ID),
        )?;
        let (client, driver) = connection.prepared();
        Ok(Self { client, append_one, append, append_named, mark, lock, find, driver })
    }

    /// Stores the rows whose outcome is not known yet; it is afterwards.
    async fn append(&self, batch: &Batch, known: &mut HashMap<MessageId, Outcome>) -> Result<(), Failure> {
        let mut parts = vec![batch.missing(known)];
        let mut repeats = 0;
        let mut wait: Option<LockWait> = None;
        // All at once; what is refused then, by conversation; what is refused then, row by row.
        while let Some(part) = parts.pop() {
            if let Some(wait) = &mut wait {
                self.wait_within(wait).await?;
            }
            match self.append_some(batch, &part).await {
                Ok(more) => known.extend(more),
                Err(Failure::Refused(error)) if is_repeat(&error) && repeats < REPEAT_TRIES => {
                    repeats += 1;
                    parts.push(part);
                }
                Err(Failure::Refused(error)) => {
                    tracing::warn!(error = describe(&error), rows = part.rows.len(), "Postgres refused a batch");
                    let passing = is_passing(&error);
                    match part.split(batch, passing) {
                        Ok(smaller) => {
                            if passing && wait.is_none() {
                                wait = Some(LockWait::shared_by(smaller.len()));
                            }
                            parts.extend(smaller);
                        }
                        Err(part) => {
                            let refusal = if passing { Refusal::overloaded() } else { Refusal::internal() };
                            let outcome = Outcome::Refused(refusal);
                            known.extend(part.rows.iter().map(|row| (batch.appends[*row].post.id, outcome.clone())));
                        }
                    }
                }
                // Of what was sent before, something may be stored.
                Err(Failure::TakesNoWrites(error)) if !known.is_empty() => return Err(Failure::Unknown(error)),
                Err(failure) => return Err(failure),
            }
        }
        if wait.is_some() {
            self.set_lock_timeout(LOCK_TIMEOUT).await?;
        }
        Ok(())
    }

    async fn append_some(&self, batch: &Batch, part: &Part) -> Result<HashMap<MessageId, Outcome>, Failure> {
        let columns = batch.columns(part);
        let Columns { ids, conversations, senders, texts, sent_at, client_msg_ids } = &columns;
        let rows = match &ids[..] {
            [] => return Ok(HashMap::new()),
            _ if client_msg_ids.iter().any(Option::is_some) => {
                let rows: [&(dyn ToSql + Sync); 6] = [ids, conversations, senders, texts, sent_at, client_msg_ids];
                let rows = bounded(self.client.query(&self.append_named, &rows)).await?;
                return Ok(rows.iter().map(|row| (row.get(0), named_outcome(row))).collect());
            }
            [id] => {
                let row = [id as &(dyn ToSql + Sync), &conversations[0], &senders[0], &texts[0], &sent_at[0]];
                bounded(self.client.query(&self.append_one, &row)).await?
            }
            _ => bounded(self.client.query(&self.append, &[ids, conversations, senders, texts, sent_at])).await?,
        };
        Ok(outcomes(&rows))
    }

    /// All at once. `again`: it may have been committed before.
    async fn mark(&self, batch: &Batch, again: bool) -> Result<Marked, Failure> {
        let receipts = if batch.marks.is_empty() { Vec::new() } else { self.mark_some(&batch.marks, again).await? };
        Ok(Marked { receipts, refused: HashSet::new() })
    }

    /// What was refused at once, conversation by conversation, so that a locked one does not hold up others. It has been
    /// waited for: now all together are waited for as long once more, at most.
    async fn mark_apart(&self, batch: &Batch, again: bool) -> Result<Marked, Failure> {
        let mut by_conversation: HashMap<_, Vec<&Mark>> = HashMap::new();
        for mark in &batch.marks {
            by_conversation.entry(mark.conversation).or_default().push(mark);
        }
        let mut wait = LockWait::shared_by(by_conversation.len());
        let mut marked = Marked::default();
        for (conversation, marks) in by_conversation {
            self.wait_within(&mut wait).await?;
            match self.mark_locked(conversation, marks, again).await {
                Ok(receipts) => marked.receipts.extend(receipts),
                Err(Failure::Refused(error)) => {
                    tracing::error!(error = describe(&error), %conversation, "Postgres refused read marks");
                    marked.refused.insert(conversation);
                }
                Err(failure) => return Err(failure),
            }
        }
        self.set_lock_timeout(LOCK_TIMEOUT).await?;
        Ok(marked)
    }

    /// The same behind a lock of its own: what another server stores while a statement waits for the row is not seen by
    /// that statement, but by the next.
    async fn mark_locked(
        &self,
        conversation: ConversationId,
        marks: Vec<&Mark>,
        again: bool,
    ) -> Result<Vec<Receipt>, Failure> {
        self.run("BEGIN").await?;
        let marked = match bounded(self.client.query(&self.lock, &[&conversation])).await {
            Ok(_) => self.mark_some(marks, again).await,
            Err(failure) => Err(failure),
        };
        let end = if matches!(marked, Err(Failure::Refused(_))) { "ROLLBACK" } else { "COMMIT" };
        self.run(end).await?;
        marked
    }

    async fn mark_some(
        &self,
        marks: impl IntoIterator<Item = &Mark, IntoIter: Clone>,
        again: bool,
    ) -> Result<Vec<Receipt>, Failure> {
        let marks = marks.into_iter();
        let conversations: Vec<_> = marks.clone().map(|mark| mark.conversation).collect();
        let readers: Vec<_> = marks.clone().map(|mark| mark.reader).collect();
        let seqs: Vec<_> = marks.clone().map(|mark| mark.seq).collect();
        let read_at: Vec<_> = marks.map(|mark| mark.read_at).collect();
        let columns: [&(dyn ToSql + Sync); 5] = [&conversations, &readers, &seqs, &read_at, &again];
        Ok(bounded(self.client.query(&self.mark, &columns)).await?.iter().map(receipt).collect())
    }

    /// To be called before each statement that waits for a lock.
    async fn wait_within(&self, wait: &mut LockWait) -> Result<(), Failure> {
        match wait.next() {
            Some(timeout) => self.set_lock_timeout(timeout).await,
            None => Ok(()),
        }
    }

    async fn set_lock_timeout(&self, wait: Duration) -> Result<(), Failure> {
        self.run(&format!("SET lock_timeout = {}", wait.as_millis().max(1))).await
    }

    async fn run(&self, statement: &str) -> Result<(), Failure> {
        bounded(async { self.client.batch_execute(statement).await.map(|()| Vec::new()) }).await.map(drop)
    }
}

fn was_not_taken<T>(answer: &Result<T, Failure>) -> bool {
    matches!(answer, Err(Failure::TakesNoWrites(_)))
}

/// Ends the connection when it is dropped before its statements are prepared.
struct UnpreparedConnection {
    client: Option<Client>,
    driver: JoinHandle<()>,
}

impl UnpreparedConnection {
    fn prepared(&mut self) -> (Client, JoinHandle<()>) {
        let client = self.client.take().expect("taken once, here");
        (client, std::mem::replace(&mut self.driver, tokio::spawn(async {})))
    }
}

impl Drop for UnpreparedConnection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A row of `mark_read.sql`.
fn receipt(row: &Row) -> Receipt {
    Receipt { conversation: row.get(0), reader: row.get(1), seq: row.get(2), read_at: row.get(3) }
}

fn outcomes(rows: &[Row]) -> HashMap<MessageId, Outcome> {
    rows.iter().map(|row| (row.get(0), Outcome::Stored(row.get(1)))).collect()
}

/// What a row of `append_named_messages.sql` says: which message it repeats, or its seq.
fn named_outcome(row: &Row) -> Outcome {
    StoredMessage::from_row(row, 1)
        .map_or_else(|| Outcome::Stored(row.get(2)), |first| Outcome::Repeated(Arc::new(first)))
}
