//! Why a run could not be made: what it was about, and what to do.

use std::{fmt, io};

use nix::errno::Errno;

#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    /// This machine's doing, not the server's.
    is_ours: bool,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_ours: false }
    }

    /// No connection to a server.
    pub(crate) fn cannot_reach(server: &dyn fmt::Display, error: &io::Error) -> Self {
        let errno = error.raw_os_error().map(Errno::from_raw);
        if let Some(Errno::EMFILE | Errno::ENFILE) = errno {
            let message =
                "this machine allows no more open files: raise the limit (ulimit -n), or ask for fewer connections";
            return Self { message: message.to_owned(), is_ours: true };
        }
        if errno == Some(Errno::EADDRNOTAVAIL) {
            let message = format!("cannot call {server}: {error}: this machine's ports are used up");
            return Self { message, is_ours: true };
        }
        Self::new(format!("cannot reach {server}: {error}; is the server running there?"))
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.is_ours
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_used_up_are_not_the_servers_fault() {
        let of = |errno: Errno| Failure::cannot_reach(&"http://server", &io::Error::from(errno));
        assert!(of(Errno::EMFILE).is_ours() && of(Errno::EMFILE).to_string().contains("ulimit -n"));
        assert!(!of(Errno::ECONNREFUSED).is_ours());
        assert!(of(Errno::ECONNREFUSED).to_string().contains("is the server running there?"));
    }
}
