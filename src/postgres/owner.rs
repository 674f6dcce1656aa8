//! The user that Postgres runs as. It refuses to run as root.

use std::{os::unix::fs::chown, os::unix::process::CommandExt, path::Path, process::Command};

use nix::unistd::{Uid, User};

use super::{PostgresError, context};

/// Users without privileges, in the order in which they suit.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// Another user, where this process is root.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner(Option<(u32, u32)>);

impl Owner {
    pub(super) fn choose() -> Result<Self, PostgresError> {
        if !Uid::effective().is_root() {
            return Ok(Self(None));
        }
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

    /// Runs a command as the user.
    pub(super) fn run_as(self, command: &mut Command) {
        if let Some((uid, gid)) = self.0 {
            command.uid(uid).gid(gid);
        }
    }
}
