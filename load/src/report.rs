//! What came of a run: figures, latencies, costs and the verdict, as a table and as JSON.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{Write as _, stdout},
    rc::Rc,
    time::SystemTime,
};

use serde::Serialize;
use serde_json::Value;

use crate::{
    cli::{Common, Scenario},
    failure::Failure,
    files::Files,
    meter::{Second, Summary},
    processes::Cost,
    scenarios::Names,
    verdict::{Checked, Verdict, Violations},
    world::World,
};

/// So large a share of refusals is said in the verdict.
const MANY_REFUSED: f64 = 0.01;
/// The code of what is more than a user may ask for, and what to do about it.
const RATE_LIMITED: &str = "RATE_LIMITED";
const WITHOUT_LIMITS: &str =
    " (start the server without its limits: RATE_SENDS=0 RATE_TYPING=0 RATE_JOINS=0 RATE_REST=0)";
/// Messages were lost, repeated, reordered or altered, or nothing was measured.
const EXIT_VIOLATED: u8 = 2;
/// A threshold does not hold.
const EXIT_THRESHOLD: u8 = 3;

/// Everything that is known of a run; serialized, it is the format of `--json`, version 1.
#[derive(Serialize)]
pub(crate) struct Outcome {
    version: u8,
    pub(crate) scenario: &'static str,
    /// Why the run could not be made; nothing else is known then.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
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
    /// What the timeline counts, in the plural.
    pub(crate) over_time_label: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) thresholds: Vec<Judged>,
    /// After how many seconds its parts begin, where a run has some.
    pub(crate) parts: Vec<(f64, &'static str)>,
    /// For the page only.
    #[serde(skip)]
    pub(crate) curves: Vec<(&'static str, Vec<(f64, f64)>)>,
}

/// A threshold and what became of it.
#[derive(Serialize)]
pub(crate) struct Judged {
    pub(crate) text: String,
    /// Null where the run has no such figure.
    pub(crate) value: Option<f64>,
    /// Of the value: `ms`, say; empty for a plain number.
    pub(crate) unit: &'static str,
    pub(crate) holds: bool,
}

impl Outcome {
    /// Closes the books of a run: what is under way now is lost.
    pub(crate) fn new<N: Into<String>>(
        world: &Rc<World>,
        scenario: &'static str,
        names: &Names,
        figures: impl IntoIterator<Item = (N, f64)>,
        costs: impl IntoIterator<Item = (String, Cost)>,
    ) -> Self {
        world.progress.end();
        let (mut ledger, mut meter) = (world.ledger.borrow_mut(), world.meter.borrow_mut());
        ledger.not_come().for_each(|(kind, since)| meter.waited(kind, since));
        let typing = world.typing.get();
        if typing.came > typing.sent {
            ledger.violation(format_args!("{} typing events were sent, and {} came", typing.sent, typing.came));
        }
        let violations = ledger.finish();
        let refused: u64 = world.refusals.borrow().values().sum();
        let seconds = meter.measured().as_secs_f64();
        let figures = figures.into_iter().map(|(name, value)| (name.into(), value));
        let mut outcome = Self {
            error: None,
            started_at: now() - seconds,
            seconds,
            figures: figures.chain([("refused".to_owned(), refused as f64)]).collect(),
            latencies: meter.summaries().into_iter().collect(),
            refusals: world.refusals.borrow().clone(),
            processes: costs.into_iter().collect(),
            timeline: meter.seconds().to_vec(),
            over_time_label: names.over_time_label,
            parts: meter.parts(),
            curves: meter.curves(),
            ..Self::empty(scenario, format!("http://{}", world.target.host), ledger.checked, violations)
        };
        let notes = &mut outcome.verdict.notes;
        notes.append(&mut world.notes.borrow_mut());
        let answers = world.answers.get();
        if refused as f64 > MANY_REFUSED * answers as f64 {
            let share = 100.0 * refused as f64 / answers as f64;
            let limited = if outcome.refusals.contains_key(RATE_LIMITED) { WITHOUT_LIMITS } else { "" };
            notes.push(format!("{share:.1} % of {answers} answers, warm-up included, were refusals{limited}"));
        }
        if typing.came < typing.sent {
            let (dropped, sent) = (typing.sent - typing.came, typing.sent);
            notes.push(format!("{dropped} of {sent} typing events, warm-up included, were dropped"));
        }
        outcome
    }

    /// Of a run that could not be made.
    pub(crate) fn failed(common: &Common, scenario: &Scenario, failure: &Failure) -> Self {
        let named = vec![format!("the run could not be made: {failure}")];
        let violations = Violations { count: 1, lost: 0, named };
        let outcome = Self::empty(scenario.name(), common.url.clone(), Checked::default(), violations);
        Self { error: Some(failure.to_string()), ..outcome }.with_options(common, scenario)
    }

    fn empty(scenario: &'static str, url: String, checked: Checked, violations: Violations) -> Self {
        Self {
            version: 1,
            scenario,
            error: None,
            url,
            options: Value::Null,
            started_at: now(),
            seconds: 0.0,
            figures: BTreeMap::new(),
            latencies: BTreeMap::new(),
            refusals: BTreeMap::new(),
            processes: BTreeMap::new(),
            timeline: Vec::new(),
            over_time_label: "",
            verdict: Verdict::new(checked, violations),
            thresholds: Vec::new(),
            parts: Vec::new(),
            curves: Vec::new(),
        }
    }

    /// Holds the result against the thresholds, writes it where it is wanted, and shows it. The exit code.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(crate) fn conclude(mut self, common: &Common, files: Files) -> Result<u8, Failure> {
        let judged = common.threshold.iter().map(|threshold| {
            let value = self.figure(&threshold.figure);
            let holds = value.is_some_and(|value| threshold.holds(value));
            Judged { text: threshold.as_str().to_owned(), value, unit: unit(&threshold.figure), holds }
        });
        self.thresholds = judged.collect();
        files.write(&self)?;
        // Where nobody reads it, files and exit code still tell.
        let _ = stdout().write_all(self.table().as_bytes());
        Ok(match (self.verdict.ok, self.thresholds.iter().all(|judged| judged.holds)) {
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

    pub(crate) fn add_figure(&mut self, name: &str, value: f64) {
        self.figures.insert(name.to_owned(), value);
    }

    /// Adds latencies that were measured apart.
    pub(crate) fn add_latency(&mut self, kind: &'static str, summary: Option<Summary>) {
        self.latencies.extend(summary.map(|summary| (kind, summary)));
    }

    /// Whether all that was found out is among the scenario's names.
    pub(crate) fn is_named(&self, names: &Names) -> bool {
        self.figures.keys().all(|name| names.figures.contains(name))
            && self.latencies.keys().all(|kind| names.latencies.iter().any(|name| name == kind))
    }

    /// A figure by its name: `sends_per_s`, `ack.p99_ms`.
    fn figure(&self, name: &str) -> Option<f64> {
        let Some((kind, quantile)) = name.split_once('.') else { return self.figures.get(name).copied() };
        let summary = serde_json::to_value(self.latencies.get(kind)?).ok()?;
        summary.get(quantile)?.as_f64()
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
            let _ = writeln!(text, "\n  refused: {count} times {code}, warm-up included");
        }
        text.push('\n');
        text + &self.judgement()
    }

    fn judgement(&self) -> String {
        let mut text = String::new();
        for Judged { text: rule, value, unit, holds } in &self.thresholds {
            let value =
                value.map_or_else(|| "was not measured".to_owned(), |value| format!("is {} {unit}", number(value)));
            let _ = writeln!(text, "  {} {rule}: it {}", if *holds { "holds:" } else { "FAILS:" }, value.trim_end());
        }
        let _ = writeln!(text, "  checked: {}", self.verdict.checked());
        let notes = self.verdict.notes.iter().fold(String::new(), |notes, note| format!("{notes}; but {note}"));
        if self.verdict.ok {
            let _ = writeln!(text, "  verdict: correct; nothing lost, repeated, reordered or altered{notes}");
            return text;
        }
        let _ = writeln!(text, "  verdict: WRONG, {} violations{notes}", self.verdict.violations.count);
        for violation in &self.verdict.violations.named {
            let _ = writeln!(text, "    {violation}");
        }
        text
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// The unit that a figure's name says.
fn unit(figure: &str) -> &'static str {
    let suffixes = [("_per_s", "a second"), ("_ms", "ms"), ("_us", "µs")];
    let named = suffixes.into_iter().find(|(suffix, _)| figure.ends_with(suffix)).map(|(_, unit)| unit);
    match named {
        Some(unit) => unit,
        None if figure.starts_with("seconds_") => "s",
        None => "",
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
