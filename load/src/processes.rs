//! What processes cost: CPU seconds from their clocks, resident memory from `/proc`.

use std::{
    collections::{BTreeMap, HashMap, btree_map},
    fs,
    str::FromStr,
    time::{Duration, Instant},
};

use nix::{time::clock_getcpuclockid, unistd::Pid};
use serde::Serialize;

/// Memory is looked at this often.
const LOOK: Duration = Duration::from_millis(250);

/// The row of the tool's own cost.
pub(crate) const OWN: &str = "load";

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
        if name == OWN {
            return Err(format!("{OWN} is the name of this tool's own row: choose another one"));
        }
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

/// What the parts of a run cost, by process and part: `server (storm)`.
#[derive(Default)]
pub(crate) struct CostOfParts(BTreeMap<String, Cost>);

impl CostOfParts {
    /// One part is over, or another round of it: CPU is the sum of all rounds, memory that of the last one.
    pub(crate) fn add(&mut self, part: &str, costs: Vec<(String, Cost)>) {
        for (process, cost) in costs {
            let known = self.0.entry(format!("{process} ({part})")).or_default();
            *known = Cost { cpu_s: known.cpu_s + cost.cpu_s, ..cost };
        }
    }
}

impl IntoIterator for CostOfParts {
    type Item = (String, Cost);
    type IntoIter = btree_map::IntoIter<String, Cost>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Measures processes from one moment on.
pub(crate) struct Watch {
    families: Vec<Family>,
    looked_at: Instant,
}

struct Family {
    process: Process,
    /// CPU time of each process when it was last seen: one that ends keeps what it had.
    cpu: HashMap<u32, Duration>,
    /// CPU time of those whose number another process has now.
    ended: Duration,
    cpu_at_start: Duration,
    rss_start: u64,
    rss_peak: u64,
    rss_now: u64,
}

impl Watch {
    pub(crate) fn new(processes: &[Process]) -> Self {
        let own = Process { name: OWN.to_owned(), pid: std::process::id(), descendants: false };
        let families = processes.iter().chain([&own]).map(|process| Family::new(process.clone())).collect();
        Self { families, looked_at: Instant::now() }
    }

    /// CPU time counts from now on.
    pub(crate) fn begin(&mut self) {
        for family in &mut self.families {
            family.look();
            family.cpu_at_start = family.cpu_so_far();
        }
    }

    /// CPU time counts, and memory grows, from now on.
    pub(crate) fn begin_with_memory(&mut self) {
        self.begin();
        for family in &mut self.families {
            (family.rss_start, family.rss_peak) = (family.rss_now, family.rss_now);
        }
    }

    /// To be called now and then, so that peaks are seen.
    pub(crate) fn look(&mut self) {
        if self.looked_at.elapsed() >= LOOK {
            self.looked_at = Instant::now();
            self.families.iter_mut().for_each(Family::look);
        }
    }

    /// What each has cost since [`Watch::begin`], for so many operations and connections.
    pub(crate) fn cost_so_far(&mut self, operations: Option<f64>, connections: Option<f64>) -> Vec<(String, Cost)> {
        let cost = |family: &mut Family| {
            family.look();
            let cpu_s = family.cpu_so_far().saturating_sub(family.cpu_at_start).as_secs_f64();
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
        let mut family = Self {
            process,
            cpu: HashMap::new(),
            ended: Duration::ZERO,
            cpu_at_start: Duration::ZERO,
            rss_start: 0,
            rss_peak: 0,
            rss_now: 0,
        };
        family.look();
        (family.rss_start, family.rss_peak) = (family.rss_now, family.rss_now);
        family
    }

    fn cpu_so_far(&self) -> Duration {
        self.ended + self.cpu.values().sum::<Duration>()
    }

    fn look(&mut self) {
        self.rss_now = 0;
        let mut pids = vec![self.process.pid];
        while let Some(pid) = pids.pop() {
            let Some((cpu, rss)) = read(pid) else { continue };
            // A clock that went back is that of another process with the same number.
            if let Some(before) = self.cpu.insert(pid, cpu).filter(|before| *before > cpu) {
                self.ended += before;
            }
            self.rss_now += rss;
            if self.process.descendants {
                pids.extend(children(pid));
            }
        }
        self.rss_peak = self.rss_peak.max(self.rss_now);
    }
}

/// A process' CPU time, that of threads which ended included, and its resident memory in kB.
fn read(pid: u32) -> Option<(Duration, u64)> {
    // Its clock has nanoseconds; /proc/PID/stat has hundredths of a second.
    let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(pid).ok()?)).ok()?;
    let cpu = clock.now().ok()?.into();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let rss = rss.and_then(|rss| rss.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
    Some((cpu, rss))
}

fn children(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_measured_twice_cost_the_sum_of_both() {
        let mut parts = CostOfParts::default();
        for (cpu_s, rss_peak_kb) in [(1.0, 10), (2.0, 20)] {
            parts.add("with", vec![("server".to_owned(), Cost { cpu_s, rss_peak_kb, ..Cost::default() })]);
        }
        let costs: Vec<_> = parts.into_iter().collect();
        let [(name, cost)] = &costs[..] else { panic!("one process, one part: {costs:?}") };
        assert_eq!((name.as_str(), cost.cpu_s, cost.rss_peak_kb), ("server (with)", 3.0, 20));
    }
}
