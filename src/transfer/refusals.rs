//! The report of what an import has not taken: a JSON document a line.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use actors::UserId;
use serde::Serialize;

use super::TransferError;

/// How many kinds of reasons are counted each for itself. Whatever is in the files, there are hardly ever that many.
const KINDS: usize = 1000;
/// How many of them are told.
const KINDS_TOLD: usize = 10;

/// A document that was not taken, or not as it was.
#[derive(Serialize)]
pub(super) struct Entry<'a> {
    /// Its file.
    pub(super) file: &'a str,
    /// In which line of the file it begins.
    pub(super) line: i64,
    /// Which document of the file it is; the first is 1.
    pub(super) document: i64,
    /// Its id, where it has one.
    #[serde(rename = "_id", skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    /// Why it was not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'a str>,
    /// The conversation that has its messages now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) merged_into: Option<&'a str>,
}

/// The report. There is none, or an empty one where one was before, when nothing stands in it.
pub(super) struct Refusals {
    path: PathBuf,
    file: BufWriter<File>,
    is_new: bool,
    /// A device or a pipe is written to, and otherwise left as it is.
    is_file: bool,
    entries: u64,
    /// How many were not taken.
    pub(super) count: u64,
    /// How many of which kind.
    kinds: BTreeMap<String, u64>,
}

impl Refusals {
    /// The report of an earlier import stays until something stands in this one, or all has gone well.
    ///
    /// # Errors
    /// The file cannot be made, or is one of the import's own.
    pub(super) fn create<'a>(
        path: &Path,
        mut inputs: impl Iterator<Item = &'a PathBuf>,
    ) -> Result<Self, TransferError> {
        let failed = |error| TransferError::File("write", path.to_owned(), error);
        let is_new = !path.exists();
        if !is_new && inputs.any(|input| input.canonicalize().ok() == path.canonicalize().ok()) {
            return Err(failed(io::Error::other("it is to be imported; choose another with --report")));
        }
        // It may quote what people wrote.
        let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?;
        let is_file = file.metadata().map_err(failed)?.is_file();
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
            is_new,
            is_file,
            entries: 0,
            count: 0,
            kinds: BTreeMap::new(),
        })
    }

    /// # Errors
    /// The file cannot be written.
    pub(super) fn add(&mut self, entry: &Entry<'_>) -> Result<(), TransferError> {
        if self.entries == 0 {
            self.begin().map_err(|error| self.failed(error))?;
        }
        self.entries += 1;
        if let Some(reason) = entry.reason {
            self.count += 1;
            self.count_kind(format!("{}: {}", entry.file, without_ids(reason)));
        }
        let mut line = serde_json::to_vec(entry).expect("strings and numbers always serialize");
        line.push(b'\n');
        self.file.write_all(&line).map_err(|error| self.failed(error))
    }

    fn count_kind(&mut self, kind: String) {
        if self.kinds.len() < KINDS || self.kinds.contains_key(&kind) {
            *self.kinds.entry(kind).or_default() += 1;
        }
    }

    /// The most frequent kinds of reasons, each with its file and how often there was one.
    pub(super) fn most_frequent(&self) -> Vec<(String, u64)> {
        let mut kinds: Vec<_> = self.kinds.iter().map(|(kind, count)| (kind.clone(), *count)).collect();
        kinds.sort_by_key(|(_, count)| Reverse(*count));
        kinds.truncate(KINDS_TOLD);
        kinds
    }

    /// Where it is, if anything stands in it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn end(mut self) -> Result<Option<PathBuf>, TransferError> {
        let ended = match self.entries {
            0 if self.is_new && self.is_file => fs::remove_file(&self.path),
            0 => self.begin(),
            _ => self.file.flush(),
        };
        ended.map_err(|error| self.failed(error))?;
        Ok((self.entries > 0).then_some(self.path))
    }

    /// Nothing of an earlier one is left from here on.
    fn begin(&mut self) -> io::Result<()> {
        if self.is_file { self.file.get_ref().set_len(0) } else { Ok(()) }
    }

    fn failed(&self, error: io::Error) -> TransferError {
        TransferError::File("write", self.path.clone(), error)
    }
}

/// What reasons have in common that name different users.
fn without_ids(reason: &str) -> String {
    let words = reason.split(' ').map(|word| if UserId::parse(word).is_some() { "…" } else { word });
    words.collect::<Vec<_>>().join(" ")
}
