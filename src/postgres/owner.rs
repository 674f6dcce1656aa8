//! The user that Postgres runs as. It refuses to run as root.

use std::{
    fmt, fs,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use nix::unistd::{Uid, User};

use super::{PostgresError, context};

/// Users without privileges, in the order in which they suit.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// Another user, where this process is root.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner(Option<(u32, u32)>);

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uid = self.0.map_or_else(Uid::effective, |(uid, _)| uid.into());
        let user = User::from_uid(uid).ok().flatten();
        f.write_str(&user.map_or_else(|| uid.to_string(), |user| user.name))
    }
}

impl Owner {
    /// Whoever owns the cluster, if there is one; another than this process' user only root can become.
    pub(super) fn choose(cluster: &Path) -> Result<Self, PostgresError> {
        let owner = fs::metadata(cluster).ok().map(|metadata| (metadata.uid(), metadata.gid()));
        let me = Uid::effective();
        match owner {
            Some((uid, _)) if uid == me.as_raw() && !me.is_root() => Ok(Self(None)),
            Some((uid, gid)) if me.is_root() && uid != 0 => Ok(Self(Some((uid, gid)))),
            Some((uid, _)) => Err(PostgresError::Failed(format!(
                "the private Postgres in {} belongs to {}: run the server as that user, or choose another DATA_DIR",
                cluster.display(),
                User::from_uid(uid.into()).ok().flatten().map_or_else(|| format!("user {uid}"), |user| user.name)
            ))),
            None if me.is_root() => Self::unprivileged(),
            None => Ok(Self(None)),
        }
    }

    fn unprivileged() -> Result<Self, PostgresError> {
        let user = UNPRIVILEGED.iter().find_map(|name| User::from_name(name).ok().flatten());
        let user = user.ok_or_else(|| {
            PostgresError::Failed("Postgres does not run as root, and there is no user postgres or nobody".to_owned())
        })?;
        Ok(Self(Some((user.uid.as_raw(), user.gid.as_raw()))))
    }

    /// Gives a directory to the user.
    pub(super) fn give(self, path: &Path) -> Result<(), PostgresError> {
        let Some((uid, gid)) = self.0 else { return Ok(()) };
        chown(path, Some(uid), Some(gid)).map_err(context(format!("cannot give {} to Postgres' user", path.display())))
    }

    /// Whether the user may go into a directory.
    pub(super) fn can_enter(self, directory: &Path) -> bool {
        let mut test = Command::new("test");
        self.run_as(test.arg("-x").arg(directory));
        // A system without it says nothing.
        test.status().is_ok_and(|status| status.success())
    }

    /// Runs a command as the user.
    pub(super) fn run_as(self, command: &mut Command) {
        if let Some((uid, gid)) = self.0 {
            command.uid(uid).gid(gid);
        }
    }
}
