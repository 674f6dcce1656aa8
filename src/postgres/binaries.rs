//! Where Postgres is on this machine.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::PostgresError;

/// The directory with `initdb` and `postgres`.
#[derive(Clone, Debug)]
pub struct Binaries(PathBuf);

impl Binaries {
    /// The newest of the system's packages, else what is on the path. For a cluster that is there: of its major version,
    /// since no other can open it.
    ///
    /// # Errors
    /// There is none.
    pub fn find(cluster: &Path) -> Result<Self, PostgresError> {
        let made_by =
            fs::read_to_string(cluster.join("PG_VERSION")).ok().and_then(|version| version.trim().parse().ok());
        let mut packaged = [("/usr/lib/postgresql", "", "bin"), ("/usr", "pgsql-", "bin")]
            .into_iter()
            .flat_map(|(parent, prefix, bin)| versions(Path::new(parent), prefix, bin))
            .collect::<Vec<_>>();
        packaged.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        if let Some(major) = made_by {
            packaged.retain(|(version, _)| *version == major);
        }
        let on_path = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
        packaged
            .into_iter()
            .map(|(_, directory)| directory)
            .chain(on_path)
            .filter(|directory| ["initdb", "postgres"].iter().all(|name| directory.join(name).is_file()))
            .find(|directory| made_by.is_none_or(|major| major_of(directory) == Some(major)))
            .map(Self)
            .ok_or(made_by.map_or(PostgresError::NotInstalled, PostgresError::OtherVersion))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// The major version of the Postgres in a directory.
fn major_of(directory: &Path) -> Option<u32> {
    let output = Command::new(directory.join("postgres")).arg("--version").output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    // "postgres (PostgreSQL) 15.3 (Debian …)"
    said.split_whitespace().nth(2)?.split('.').next()?.parse().ok()
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
