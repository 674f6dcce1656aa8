//! Where the result is written: known to be writable before the run, touched only after it.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::{cli::Common, failure::Failure, report::Outcome};

/// The files that `--json` and `--html` name. What an earlier run wrote stays in them until this one is done.
#[derive(Default)]
pub(crate) struct Files {
    json: Option<Target>,
    html: Option<Target>,
}

struct Target {
    path: PathBuf,
    file: File,
    /// It was not there before, and nothing is written yet.
    is_new: bool,
}

impl Files {
    /// # Errors
    /// One cannot be written, or both are the same.
    pub(crate) fn open(common: &Common) -> Result<Self, Failure> {
        let open = |path: &Option<PathBuf>| path.as_deref().map(Target::open).transpose();
        let (json, html) = (open(&common.json)?, open(&common.html)?);
        let identity = |target: &Target| target.file.metadata().ok().map(|file| (file.dev(), file.ino()));
        if let (Some(one), Some(other)) = (&json, &html)
            && identity(one) == identity(other)
        {
            return Err(Failure::new(format!("--json and --html are the same file, {}", one.path.display())));
        }
        Ok(Self { json, html })
    }

    /// # Errors
    /// One cannot be written.
    pub(crate) fn write(self, outcome: &Outcome) -> Result<(), Failure> {
        if let Some(json) = self.json {
            json.write(&serde_json::to_string_pretty(outcome).expect("numbers and strings always serialize"))?;
        }
        if let Some(html) = self.html {
            html.write(&crate::html::page(outcome)?)?;
        }
        Ok(())
    }
}

impl Target {
    fn open(path: &Path) -> Result<Self, Failure> {
        let is_new = !path.exists();
        // Not by another file that takes its name: it may be a pipe, or /dev/stdout.
        let file = File::options().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| cannot_write(path, &error))?;
        Ok(Self { path: path.to_owned(), file, is_new })
    }

    fn write(mut self, text: &str) -> Result<(), Failure> {
        let is_regular = self.file.metadata().is_ok_and(|file| file.is_file());
        // A pipe has no length.
        let emptied = if is_regular { self.file.set_len(0) } else { Ok(()) };
        emptied
            .and_then(|()| self.file.write_all(text.as_bytes()))
            .map_err(|error| cannot_write(&self.path, &error))?;
        self.is_new = false;
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.is_new {
            // An empty file that nobody misses, if it stays.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot write {}: {error}", path.display()))
}
