//! The report of what an import has not taken: a JSON document a line.

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::TransferError;

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

/// The report; there is none when nothing stands in it.
pub(super) struct Refusals {
    path: PathBuf,
    file: BufWriter<File>,
    entries: u64,
    /// How many were not taken.
    pub(super) count: u64,
}

impl Refusals {
    /// # Errors
    /// The file cannot be made.
    pub(super) fn create(path: &Path) -> Result<Self, TransferError> {
        // It may quote what people wrote.
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path);
        let file = BufWriter::new(file.map_err(|error| TransferError::File("write", path.to_owned(), error))?);
        Ok(Self { path: path.to_owned(), file, entries: 0, count: 0 })
    }

    /// # Errors
    /// The file cannot be written.
    pub(super) fn add(&mut self, entry: &Entry<'_>) -> Result<(), TransferError> {
        self.entries += 1;
        self.count += u64::from(entry.merged_into.is_none());
        let mut line = serde_json::to_vec(entry).expect("strings and numbers always serialize");
        line.push(b'\n');
        self.file.write_all(&line).map_err(|error| TransferError::File("write", self.path.clone(), error))
    }

    /// Where it is, if anything stands in it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn end(mut self) -> Result<Option<PathBuf>, TransferError> {
        let ended = self.file.flush().and_then(|()| match self.entries {
            0 => fs::remove_file(&self.path),
            _ => Ok(()),
        });
        ended.map_err(|error| TransferError::File("write", self.path.clone(), error))?;
        Ok((self.entries > 0).then_some(self.path))
    }
}
