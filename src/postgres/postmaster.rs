//! A postmaster's process: found by its pid file, watched and told to stop.

use std::{fs, path::Path};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// The postmaster of a cluster, if it lives.
pub(super) fn of(cluster: &Path) -> Option<Pid> {
    let file = fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
    let pid = file.lines().next()?.trim().parse().ok()?;
    is_postmaster(pid, cluster).then(|| Pid::from_raw(pid))
}

/// Whether a pid is this cluster's postmaster: another process may have got the pid since.
fn is_postmaster(pid: i32, cluster: &Path) -> bool {
    let Ok(command) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let command = String::from_utf8_lossy(&command);
    let mut words = command.split('\0');
    let program = words.next().unwrap_or_default();
    // A zombie's command line is empty.
    program.ends_with("postgres") && words.any(|word| Path::new(word) == cluster)
}

/// The fast stop: rolls back what is open, disconnects, ends in order.
pub(super) fn stop(postmaster: Pid) {
    // It may be gone already.
    let _ = kill(postmaster, Signal::SIGINT);
}
