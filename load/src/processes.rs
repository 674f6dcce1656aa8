//! What processes cost: CPU seconds and resident memory, from `/proc`.

use std::{
    collections::HashMap,
    fs,
    str::FromStr,
    time::{Duration, Instant},
};

use nix::unistd::{SysconfVar, sysconf};
use serde::Serialize;

/// Memory is looked at this often.
const LOOK: Duration = Duration::from_millis(250);

/// A process to measure.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) pid: u32,
    /// Its children, and theirs, count as well.
    pub(crate) descendants: bool,
}

impl FromStr for Process {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rule = || "must be NAME=PID, or NAME=PID+ with all its descendants".to_owned();
        let (name, pid) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(rule)?;
        let (pid, descendants) = pid.strip_suffix('+').map_or((pid, false), |pid| (pid, true));
        let pid = pid.parse().map_err(|_| rule())?;
        if fs::metadata(format!("/proc/{pid}")).is_err() {
            return Err(format!("there is no process {pid} on this machine"));
        }
        Ok(Self { name: name.to_owned(), pid, descendants })
    }
}

/// What one process, or a family of them, cost in the measured time.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Cost {
    pub(crate) cpu_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_us_per_op: Option<f64>,
    pub(crate) rss_start_kb: u64,
    pub(crate) rss_peak_kb: u64,
    pub(crate) rss_growth_kb: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rss_growth_bytes_per_connection: Option<f64>,
}

/// Measures processes from one moment on.
pub(crate) struct Watch {
    families: Vec<Family>,
    looked_at: Instant,
}

struct Family {
    process: Process,
    /// CPU ticks of each process when it was last seen: one that ends keeps what it had.
    ticks: HashMap<u32, u64>,
    ticks_at_start: u64,
    rss_start: u64,
    rss_peak: u64,
    rss_now: u64,
}

impl Watch {
    pub(crate) fn new(processes: &[Process]) -> Self {
        let own = Process { name: "load".to_owned(), pid: std::process::id(), descendants: false };
        let families = processes.iter().chain([&own]).map(|process| Family::new(process.clone())).collect();
        Self { families, looked_at: Instant::now() }
    }

    /// What is measured begins now; memory grows from here on where `memory` says so.
    pub(crate) fn begin(&mut self, memory: bool) {
        for family in &mut self.families {
            family.look();
            family.ticks_at_start = family.ticks.values().sum();
            if memory {
                (family.rss_start, family.rss_peak) = (family.rss_now, family.rss_now);
            }
        }
    }

    /// To be called now and then, so that peaks are seen.
    pub(crate) fn look(&mut self) {
        if self.looked_at.elapsed() >= LOOK {
            self.looked_at = Instant::now();
            self.families.iter_mut().for_each(Family::look);
        }
    }

    /// What each cost since [`Watch::begin`], for so many operations and connections.
    pub(crate) fn end(&mut self, operations: Option<f64>, connections: Option<f64>) -> Vec<(String, Cost)> {
        let cost = |family: &mut Family| {
            family.look();
            let ticks = family.ticks.values().sum::<u64>() - family.ticks_at_start;
            let cpu_s = ticks as f64 / ticks_per_second();
            let growth = family.rss_now as i64 - family.rss_start as i64;
            let cost = Cost {
                cpu_s,
                cpu_us_per_op: operations.filter(|count| *count > 0.0).map(|count| cpu_s * 1e6 / count),
                rss_start_kb: family.rss_start,
                rss_peak_kb: family.rss_peak,
                rss_growth_kb: growth,
                rss_growth_bytes_per_connection: connections
                    .filter(|count| *count > 0.0)
                    .map(|count| growth as f64 * 1024.0 / count),
            };
            (family.process.name.clone(), cost)
        };
        self.families.iter_mut().map(cost).collect()
    }
}

impl Family {
    fn new(process: Process) -> Self {
        let mut family =
            Self { process, ticks: HashMap::new(), ticks_at_start: 0, rss_start: 0, rss_peak: 0, rss_now: 0 };
        family.look();
        (family.rss_start, family.rss_peak) = (family.rss_now, family.rss_now);
        family
    }

    fn look(&mut self) {
        self.rss_now = 0;
        let mut pids = vec![self.process.pid];
        while let Some(pid) = pids.pop() {
            let Some((ticks, rss)) = read(pid) else { continue };
            self.ticks.insert(pid, ticks);
            self.rss_now += rss;
            if self.process.descendants {
                pids.extend(children(pid));
            }
        }
        self.rss_peak = self.rss_peak.max(self.rss_now);
    }
}

/// A process' CPU ticks and resident memory in kB (proc(5), `stat`).
fn read(pid: u32) -> Option<(u64, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let rss = rss.and_then(|rss| rss.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
    Some((user + system, rss))
}

fn children(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn ticks_per_second() -> f64 {
    sysconf(SysconfVar::CLK_TCK).ok().flatten().map_or(100.0, |ticks| ticks as f64)
}
