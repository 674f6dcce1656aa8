//! Where Postgres is on this machine.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use super::PostgresError;

/// The directory with `initdb` and `postgres`.
#[derive(Clone, Debug)]
pub struct Binaries(PathBuf);

impl Binaries {
    /// The newest of the system's packages, else what is on the path.
    ///
    /// # Errors
    /// There is none.
    pub fn find() -> Result<Self, PostgresError> {
        let mut packaged = [("/usr/lib/postgresql", "", "bin"), ("/usr", "pgsql-", "bin")]
            .into_iter()
            .flat_map(|(parent, prefix, bin)| versions(Path::new(parent), prefix, bin))
            .collect::<Vec<_>>();
        packaged.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        let on_path = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
        packaged
            .into_iter()
            .map(|(_, directory)| directory)
            .chain(on_path)
            .find(|directory| ["initdb", "postgres"].iter().all(|name| directory.join(name).is_file()))
            .map(Self)
            .ok_or(PostgresError::NotInstalled)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// Directories like `/usr/lib/postgresql/15/bin`, with their version.
fn versions(parent: &Path, prefix: &str, bin: &str) -> Vec<(u32, PathBuf)> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let version = name.to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join(bin)))
        })
        .collect()
}
