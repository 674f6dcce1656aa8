//! The server's process from outside: its memory, its open files, and what it logs.

use std::{fs, time::Duration};

use actors::limits::POOL_CONNECTIONS;

use super::{EVENT_LIMIT, server::Server, until};

impl Server {
    /// Resident memory, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most resident memory since [`Server::forget_peak`], in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    pub(crate) fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").expect("a process of ours");
    }

    pub(crate) fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("a process of ours").count()
    }

    /// Waits until there are no more open files than so many, but for connections to Postgres that were opened meanwhile.
    pub(crate) fn has_files(&self, count: usize, limit: Duration) {
        until(&format!("{count} open files"), limit, || self.open_files() <= count + POOL_CONNECTIONS);
    }

    /// How many lines of the log have all of these.
    pub(crate) fn log_lines_with(&self, parts: &[&str]) -> usize {
        let log = fs::read_to_string(self.directory().log_file()).expect("the log");
        log.lines().filter(|line| parts.iter().all(|part| line.contains(part))).count()
    }

    /// Waits until so many lines of the log have all of these; a thread of their own writes them.
    pub(crate) fn has_logged(&self, parts: &[&str], count: usize) {
        until(&format!("{count} lines with {parts:?}"), EVENT_LIMIT, || self.log_lines_with(parts) == count);
    }

    /// Waits until nobody is there but so many sessions.
    pub(crate) fn has_sessions(&self, count: u64) {
        until(&format!("{count} sessions"), EVENT_LIMIT, || {
            (self.stat("sessions"), self.stat("connections")) == (count, count)
        });
    }

    fn status(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("a process of ours");
        let value = status.lines().find_map(|line| line.strip_prefix(field)).expect("Linux has it");
        let kilobytes: u64 = value.trim().trim_end_matches(" kB").parse().expect("a number");
        kilobytes * 1024
    }
}
