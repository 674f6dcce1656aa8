//! Lays a file's documents down in a temporary table, by COPY.

use std::{
    fs::File,
    io::{BufReader, Write as _, stderr},
    path::Path,
    pin::pin,
};

use serde::{Deserialize, de::IgnoredAny};
use tokio_postgres::{
    Client,
    binary_copy::BinaryCopyInWriter,
    types::{ToSql, Type},
};

use super::{
    TransferError, counted,
    cut::{Cut, Documents},
    documents::{Conversation, Document, Message, Refused, User},
    progress::Progress,
    refusals::{Entry, Refusals},
};

/// How much is read at once, in bytes.
const READ_BYTES: usize = 256 * 1024;

/// A kind of documents with the temporary table that it is laid down in.
pub(super) trait Staged: Document {
    /// The table and its columns behind `number` and `line`.
    const COLUMNS: &'static str;
    /// The types of those columns.
    const TYPES: &'static [Type];

    /// The values of those columns.
    fn row(&self) -> Vec<&(dyn ToSql + Sync)>;
}

impl Staged for User {
    const COLUMNS: &'static str = "staged_users (number, line, id, full_name, profile_picture_url)";
    const TYPES: &'static [Type] = &[Type::BYTEA, Type::TEXT, Type::TEXT];

    fn row(&self) -> Vec<&(dyn ToSql + Sync)> {
        vec![&self.0.id, &self.0.full_name, &self.0.profile_picture_url]
    }
}

impl Staged for Conversation {
    const COLUMNS: &'static str = "staged_conversations \
        (number, line, id, creator_id, recipient_id, horse_id, created_at, updated_at, last_seq)";
    const TYPES: &'static [Type] =
        &[Type::BYTEA, Type::BYTEA, Type::BYTEA, Type::BYTEA, Type::TIMESTAMPTZ, Type::TIMESTAMPTZ, Type::INT8];

    fn row(&self) -> Vec<&(dyn ToSql + Sync)> {
        let Self { id, creator, recipient, horse, created_at, updated_at, last_seq } = self;
        vec![id, creator, recipient, horse, created_at, updated_at, last_seq]
    }
}

impl Staged for Message {
    const COLUMNS: &'static str = "staged_messages \
        (number, line, id, conversation_id, sender_id, text, sent_at, read_at, deleted_at, seq, client_msg_id)";
    const TYPES: &'static [Type] = &[
        Type::BYTEA,
        Type::BYTEA,
        Type::BYTEA,
        Type::TEXT,
        Type::TIMESTAMPTZ,
        Type::TIMESTAMPTZ,
        Type::TIMESTAMPTZ,
        Type::INT8,
        Type::TEXT,
    ];

    fn row(&self) -> Vec<&(dyn ToSql + Sync)> {
        let Self { id, conversation, sender, text, sent_at, read_at, deleted_at, seq, client_msg_id } = self;
        vec![id, conversation, sender, text, sent_at, read_at, deleted_at, seq, client_msg_id]
    }
}

/// A file as the report names it.
pub(super) fn shown(path: Option<&Path>) -> String {
    path.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Before anything is stored: a file that has something, but no document, is none of ours. An empty one is told of.
pub(super) fn look(path: &Path) -> Result<(), TransferError> {
    #[derive(Deserialize)]
    struct Named {
        _id: IgnoredAny,
    }
    let failed = |error| TransferError::File("read", path.to_owned(), error);
    let file = File::open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        // What a pipe has can be read once.
        return Ok(());
    }
    let mut documents = Documents::new(BufReader::with_capacity(READ_BYTES, file));
    let mut is_empty = true;
    while let Some(cut) = documents.next().map_err(failed)? {
        if cut == Cut::Document && serde_json::from_slice::<Named>(documents.text()).is_ok() {
            return Ok(());
        }
        is_empty = false;
    }
    if !is_empty {
        return Err(TransferError::NoDocuments(path.to_owned()));
    }
    // Where nobody reads it, the work goes on.
    let _ = writeln!(stderr(), "{} has no documents: is it the export of the right collection?", path.display());
    Ok(())
}

/// Lays a file's documents down; those that are none go into the report.
pub(super) async fn stage<T: Staged>(
    client: &Client,
    path: Option<&Path>,
    refusals: &mut Refusals,
) -> Result<(), TransferError> {
    let Some(path) = path else { return Ok(()) };
    let failed = |error| TransferError::File("read", path.to_owned(), error);
    let file = File::open(path).map_err(failed)?;
    let progress = Progress::new(format!("reading {}", path.display()), file.metadata().map_or(0, |data| data.len()));
    let name = shown(Some(path));
    let mut documents = Documents::new(BufReader::with_capacity(READ_BYTES, file));
    let sink = client.copy_in(&format!("COPY {} FROM STDIN (FORMAT binary)", T::COLUMNS)).await?;
    let types = [&[Type::INT8, Type::INT8], T::TYPES].concat();
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
    let mut count = 0;
    while let Some(cut) = documents.next().map_err(failed)? {
        count += 1;
        // A file has fewer documents and lines than that.
        let [number, line] = [count, documents.line()].map(|place| i64::try_from(place).unwrap_or(i64::MAX));
        let parsed = match cut {
            Cut::Document => T::parse(documents.text()),
            Cut::Broken(why) => Err(Refused { id: None, reason: why.to_owned() }),
        };
        match parsed {
            Ok(document) => {
                let mut row: Vec<&(dyn ToSql + Sync)> = vec![&number, &line];
                row.append(&mut document.row());
                writer.as_mut().write(&row).await?;
            }
            Err(Refused { id, reason }) => refusals.add(&Entry {
                file: &name,
                line,
                document: number,
                id: id.as_deref(),
                reason: Some(&reason),
                merged_into: None,
            })?,
        }
        progress.is_at(documents.bytes_read());
    }
    writer.finish().await?;
    progress.end(&counted(count, "document"));
    Ok(())
}
