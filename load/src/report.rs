//! What came of a run: figures, latencies, costs and the verdict, as a table and as JSON.

use std::{collections::BTreeMap, fmt::Write as _, fs, rc::Rc, time::SystemTime};

use serde::Serialize;
use serde_json::Value;

use crate::{
    cli::{Common, Scenario},
    failure::Failure,
    meter::{Second, Summary},
    processes::Cost,
    verdict::{Checked, Verdict},
    world::World,
};

/// Messages were lost, repeated, reordered or altered.
const EXIT_VIOLATED: u8 = 2;
/// A threshold does not hold.
const EXIT_THRESHOLD: u8 = 3;

/// Everything that is known of a run; serialized, it is the format of `--json`, version 1.
#[derive(Serialize)]
pub(crate) struct Outcome {
    version: u8,
    pub(crate) scenario: &'static str,
    pub(crate) url: String,
    /// What was chosen: in common, and of the scenario.
    pub(crate) options: Value,
    /// Seconds since 1970.
    started_at: f64,
    /// How long was measured.
    pub(crate) seconds: f64,
    pub(crate) figures: BTreeMap<String, f64>,
    pub(crate) latencies: BTreeMap<&'static str, Summary>,
    pub(crate) refusals: BTreeMap<String, u64>,
    pub(crate) processes: BTreeMap<String, Cost>,
    pub(crate) timeline: Vec<Second>,
    pub(crate) verdict: Verdict,
    pub(crate) thresholds: Vec<Kept>,
    /// For the page only.
    #[serde(skip)]
    pub(crate) curves: Vec<(&'static str, Vec<(f64, f64)>)>,
}

/// A threshold and what became of it.
#[derive(Serialize)]
pub(crate) struct Kept {
    pub(crate) text: String,
    /// Null where there is no such figure.
    pub(crate) value: Option<f64>,
    pub(crate) holds: bool,
}

impl Outcome {
    /// Closes the books of a run: what is under way now is lost.
    pub(crate) fn new(
        world: &Rc<World>,
        scenario: &'static str,
        figures: Vec<(String, f64)>,
        costs: Vec<(String, Cost)>,
    ) -> Self {
        world.quiet();
        let violations = world.ledger.borrow_mut().finish();
        let checked = world.ledger.borrow().checked;
        let refused: u64 = world.refusals.borrow().values().sum();
        let meter = world.meter.borrow();
        let seconds = meter.measured().as_secs_f64();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        Self {
            version: 1,
            scenario,
            url: format!("http://{}", world.target.host),
            options: Value::Null,
            started_at: now - seconds,
            seconds,
            figures: figures.into_iter().chain([("refused".to_owned(), refused as f64)]).collect(),
            latencies: meter.summaries().into_iter().collect(),
            refusals: world.refusals.borrow().clone(),
            processes: costs.into_iter().collect(),
            timeline: meter.seconds().to_vec(),
            verdict: Verdict::new(checked, violations),
            thresholds: Vec::new(),
            curves: meter.curves(),
        }
    }

    /// Holds the result against the thresholds, writes it where it is wanted, and shows it. The exit code.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(crate) fn conclude(mut self, common: &Common) -> Result<u8, Failure> {
        let kept = common.threshold.iter().map(|threshold| {
            let value = self.figure(&threshold.figure);
            let holds = value.is_some_and(|value| threshold.holds(value));
            Kept { text: threshold.as_str().to_owned(), value, holds }
        });
        self.thresholds = kept.collect();
        print!("{}", self.table());
        let write = |path: &std::path::Path, text: String| {
            fs::write(path, text).map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))
        };
        if let Some(path) = &common.json {
            write(path, serde_json::to_string_pretty(&self).expect("numbers and strings always serialize"))?;
        }
        if let Some(path) = &common.html {
            write(path, crate::html::page(&self)?)?;
        }
        Ok(match (self.verdict.ok, self.thresholds.iter().all(|kept| kept.holds)) {
            (false, _) => EXIT_VIOLATED,
            (true, false) => EXIT_THRESHOLD,
            (true, true) => 0,
        })
    }

    /// With what was chosen.
    pub(crate) fn with_options(self, common: &Common, scenario: &Scenario) -> Self {
        #[derive(Serialize)]
        struct Chosen<'a> {
            #[serde(flatten)]
            common: &'a Common,
            #[serde(flatten)]
            scenario: &'a Scenario,
        }
        let options = serde_json::to_value(Chosen { common, scenario }).expect("numbers and strings always serialize");
        Self { options, ..self }
    }

    /// Adds latencies that were measured apart.
    pub(crate) fn add_latency(&mut self, kind: &'static str, summary: Option<Summary>) {
        self.latencies.extend(summary.map(|summary| (kind, summary)));
    }

    /// A figure by its name: `sends_per_s`, `ack.p99_ms`.
    fn figure(&self, name: &str) -> Option<f64> {
        let Some((kind, quantile)) = name.split_once('.') else { return self.figures.get(name).copied() };
        let summary = serde_json::to_value(self.latencies.get(kind)?).ok()?;
        summary.get(quantile)?.as_f64()
    }

    fn no_such_figure(&self) -> String {
        let figures: Vec<_> = self.figures.keys().map(String::as_str).collect();
        let kinds: Vec<_> = self.latencies.keys().copied().collect();
        format!("there is no such figure; there are {}, and the latencies {}", figures.join(", "), kinds.join(", "))
    }

    fn table(&self) -> String {
        let mut text = format!("\n{} at {}, {:.1} s measured\n", self.scenario, self.url, self.seconds);
        for (name, value) in &self.figures {
            let _ = writeln!(text, "  {name:<44} {}", number(*value));
        }
        if !self.latencies.is_empty() {
            let heads = ["count", "p50", "p90", "p99", "p99.9", "max"].map(|head| format!("{head:>10}")).concat();
            let _ = writeln!(text, "\n  {:<14}{heads}   (ms)", "latency");
        }
        for (kind, latency) in &self.latencies {
            let Summary { count, p50_ms, p90_ms, p99_ms, p99_9_ms, max_ms, .. } = latency;
            let cells = [p50_ms, p90_ms, p99_ms, p99_9_ms, max_ms].map(|value| format!("{value:>10.2}")).concat();
            let _ = writeln!(text, "  {kind:<14}{count:>10}{cells}");
        }
        if !self.processes.is_empty() {
            let _ = writeln!(
                text,
                "\n  {:<24}{:>10}{:>12}{:>12}{:>12}{:>14}",
                "process", "CPU s", "CPU µs/op", "RSS MB", "peak MB", "B/connection"
            );
        }
        for (name, cost) in &self.processes {
            let now = (cost.rss_start_kb as i64 + cost.rss_growth_kb) as f64 / 1024.0;
            let per_op = cost.cpu_us_per_op.map_or_else(|| "-".to_owned(), |cpu| format!("{cpu:.1}"));
            let each = cost.rss_growth_bytes_per_connection.map_or_else(|| "-".to_owned(), |each| format!("{each:.0}"));
            let peak = cost.rss_peak_kb as f64 / 1024.0;
            let _ = writeln!(text, "  {name:<24}{:>10.2}{per_op:>12}{now:>12.1}{peak:>12.1}{each:>14}", cost.cpu_s);
        }
        for (code, count) in &self.refusals {
            let _ = writeln!(text, "\n  refused: {count} times {code}");
        }
        text.push('\n');
        text + &self.judgement()
    }

    fn judgement(&self) -> String {
        let mut text = String::new();
        for Kept { text: rule, value, holds } in &self.thresholds {
            let value = value.map_or_else(|| self.no_such_figure(), |value| format!("it is {}", number(value)));
            let _ = writeln!(text, "  {} {rule}: {value}", if *holds { "holds:" } else { "FAILS:" });
        }
        let Checked { acks, deliveries, notifications, refusals } = self.verdict.checked;
        let _ = writeln!(
            text,
            "  checked: {acks} acks, {deliveries} deliveries, {notifications} notifications, {refusals} refusals"
        );
        if self.verdict.ok {
            text.push_str("  verdict: correct; nothing lost, repeated, reordered or altered\n");
            return text;
        }
        let _ = writeln!(text, "  verdict: WRONG, {} violations", self.verdict.violations.count);
        for violation in &self.verdict.violations.named {
            let _ = writeln!(text, "    {violation}");
        }
        text
    }
}

/// With as many digits as one can make use of.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        value if value >= 1000.0 || value.fract() == 0.0 => {}
        _ => return format!("{value:.3}"),
    }
    format!("{value:.0}")
}
