//! The result as one page that needs nothing else: charts are SVG inside it, and it fits a phone.

use std::{fmt::Write as _, fs, thread, time::SystemTime};

use actix_http::header::HttpDate;
use plotters::prelude::*;
use serde_json::Value;

use crate::{
    failure::Failure,
    meter::Second,
    processes::Cost,
    report::{Outcome, number},
};

/// Size of a chart, in its own units: on a phone three quarters of that, and its text is still large enough.
const SIZE: (u32, u32) = (480, 270);
const FONT: (&str, u32) = ("sans-serif", 15);
const STYLE: &str = include_str!("page.css");
const COLORS: [RGBColor; 8] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
    RGBColor(148, 103, 189),
    RGBColor(127, 90, 40),
    RGBColor(227, 119, 194),
    RGBColor(110, 110, 110),
    RGBColor(23, 160, 180),
];
/// An axis has room for so many letters; a caption above the chart for any number.
const AXIS: usize = 34;
/// More parts of a run than this have no room for their names in a chart.
const NAMED_PARTS: usize = 10;

/// # Errors
/// A chart cannot be drawn.
pub(crate) fn page(outcome: &Outcome) -> Result<String, Failure> {
    let mut body = String::new();
    verdict(&mut body, outcome);
    let figures = outcome.figures.iter().map(|(name, value)| vec![name.clone(), number(*value)]);
    table(&mut body, "Figures", "pairs", &["figure", "value"], figures);
    for chart in [throughput(outcome), latency_over_time(outcome), percentiles(outcome)] {
        chart.write(&mut body)?;
    }
    latencies(&mut body, outcome);
    costs(&mut body, outcome);
    let options = outcome.options.as_object().into_iter().flatten();
    let options = options.map(|(name, value)| vec![format!("--{}", name.replace('_', "-")), plain(value)]);
    table(&mut body, "Options", "pairs", &["option", "value"], options);
    let machine = machine().into_iter().map(|(name, value)| vec![name.to_owned(), value]);
    table(&mut body, "Machine of the load generator", "pairs", &["", ""], machine);
    Ok(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>chat-load {}</title><style>{STYLE}</style></head>\
         <body><main>{body}</main></body></html>\n",
        outcome.scenario
    ))
}

/// What was run and when, and whether it was right.
fn verdict(body: &mut String, outcome: &Outcome) {
    let holds = outcome.thresholds.iter().all(|kept| kept.holds);
    // Of a run that could not be made the violation is why.
    let was_made = outcome.seconds > 0.0;
    let _ = write!(
        body,
        "<h1>chat-load {}</h1><p>{} · {:.1} s measured · {}</p><p class=\"verdict {}\">{}</p>",
        outcome.scenario,
        escape(&outcome.url),
        outcome.seconds,
        HttpDate::from(SystemTime::now()),
        if outcome.verdict.ok && holds { "correct" } else { "wrong" },
        match (outcome.verdict.ok, holds) {
            _ if !was_made => "The run could not be made".to_owned(),
            (false, _) if outcome.verdict.violations.count == 1 => "Wrong: 1 violation".to_owned(),
            (false, _) => format!("Wrong: {} violations", outcome.verdict.violations.count),
            (true, false) => "Correct, but a threshold does not hold".to_owned(),
            (true, true) => "Correct: nothing lost, repeated, reordered or altered".to_owned(),
        },
    );
    if was_made {
        let _ = write!(body, "<p>Checked, warm-up included: {}.</p>", outcome.verdict.checked());
    }
    list(body, "But", outcome.verdict.notes.iter().cloned());
    let violations = if was_made { "Violations" } else { "Why" };
    list(body, violations, outcome.verdict.violations.named.iter().cloned());
    let kept = outcome.thresholds.iter().map(|kept| {
        let value =
            kept.value.map_or_else(|| "not measured".to_owned(), |value| format!("{} {}", number(value), kept.unit));
        format!("{} {}: {value}", if kept.holds { "✓" } else { "✗" }, kept.text)
    });
    list(body, "Thresholds", kept);
    list(
        body,
        "Refused, warm-up included",
        outcome.refusals.iter().map(|(code, count)| format!("{count} times {code}")),
    );
}

fn latencies(body: &mut String, outcome: &Outcome) {
    let rows = outcome.latencies.iter().map(|(kind, latency)| {
        let values = [latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.p99_9_ms, latency.max_ms];
        let values = values.map(|value| format!("{value:.2}"));
        [vec![(*kind).to_owned(), latency.count.to_string()], values.to_vec()].concat()
    });
    table(body, "Latencies, ms", "many", &["kind", "count", "p50", "p90", "p99", "p99.9", "max"], rows);
}

/// A column of the costs, which is left out where no process has it.
struct Column {
    head: &'static str,
    means: &'static str,
    cell: fn(&Cost) -> Option<String>,
}

const COLUMNS: [Column; 5] = [
    Column {
        head: "CPU s",
        means: "seconds of processor time in the measured time, or in the part of it that is named",
        cell: |cost| Some(format!("{:.2}", cost.cpu_s)),
    },
    Column {
        head: "CPU µs/op",
        means: "the same in microseconds, of an operation: a message, an event to one socket, a typing event or a call",
        cell: |cost| cost.cpu_us_per_op.map(|cpu| format!("{cpu:.1}")),
    },
    Column {
        head: "RSS MB",
        means: "resident memory at the end. Of Postgres, the sum over its processes: what they share counts for each",
        cell: |cost| Some(format!("{:.1}", (cost.rss_start_kb as f64 + cost.rss_growth_kb as f64) / 1024.0)),
    },
    Column {
        head: "peak MB",
        means: "the most resident memory that was seen until then",
        cell: |cost| Some(format!("{:.1}", cost.rss_peak_kb as f64 / 1024.0)),
    },
    Column {
        head: "B/connection",
        means: "bytes by which resident memory grew since before the first connection, for each connection",
        cell: |cost| cost.rss_growth_bytes_per_connection.map(|bytes| format!("{bytes:.0}")),
    },
];

fn costs(body: &mut String, outcome: &Outcome) {
    let has = |column: &&Column| outcome.processes.values().any(|cost| (column.cell)(cost).is_some());
    let columns: Vec<_> = COLUMNS.iter().filter(has).collect();
    let heads: Vec<_> = ["process"].into_iter().chain(columns.iter().map(|column| column.head)).collect();
    let rows = outcome.processes.iter().map(|(name, cost)| {
        let cells = columns.iter().map(|column| (column.cell)(cost).unwrap_or_else(|| "–".to_owned()));
        [name.clone()].into_iter().chain(cells).collect()
    });
    table(body, "Cost", "many", &heads, rows);
    body.push_str("<dl>");
    for column in &columns {
        let _ = write!(body, "<dt>{}</dt><dd>{}</dd>", column.head, column.means);
    }
    body.push_str("</dl>");
}

/// On what the load was made, as far as the system tells.
fn machine() -> Vec<(&'static str, String)> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let kernel = format!("{} {}", read("/proc/sys/kernel/ostype").trim(), read("/proc/sys/kernel/osrelease").trim());
    let cores = thread::available_parallelism().map_or_else(|_| "unknown".to_owned(), |cores| cores.to_string());
    let model = model.map_or("unknown", |(_, model)| model.trim()).to_owned();
    vec![("CPU", model), ("cores", cores), ("kernel", kernel), ("chat-load", env!("CARGO_PKG_VERSION").to_owned())]
}

/// A line with its name. It is in pieces where there is nothing in between.
struct Line {
    name: &'static str,
    pieces: Vec<Vec<(f64, f64)>>,
}

/// Lines, what they and the axes show, and where parts of the run begin.
struct Chart {
    title: &'static str,
    caption: String,
    of: [&'static str; 2],
    lines: Vec<Line>,
    parts: Vec<(f64, &'static str)>,
    /// Where the axis ends; of percentiles, with the last of the data.
    seconds: Option<f64>,
}

fn throughput(outcome: &Outcome) -> Chart {
    Chart {
        title: "Throughput over time",
        caption: format!("{} a second", outcome.over_time_label),
        of: ["seconds", "a second"],
        lines: vec![Line { name: "", pieces: steps(&outcome.timeline, |second| Some(second.rate)) }],
        parts: outcome.parts.clone(),
        seconds: Some(outcome.seconds),
    }
}

fn latency_over_time(outcome: &Outcome) -> Chart {
    // Where nothing was answered there is no latency, not one of 0.
    let line = |name, value: fn(&Second) -> f64| Line {
        name,
        pieces: steps(&outcome.timeline, |second| (second.rate > 0.0).then(|| value(second))),
    };
    Chart {
        title: "Latency over time",
        caption: format!("ms of {}", outcome.over_time_label),
        of: ["seconds", "ms"],
        lines: vec![line("p50", |second| second.p50_ms), line("p99", |second| second.p99_ms)],
        parts: outcome.parts.clone(),
        seconds: Some(outcome.seconds),
    }
}

fn percentiles(outcome: &Outcome) -> Chart {
    let lines = outcome.curves.iter().map(|(kind, curve)| {
        // From the left: all, one in ten, one in a hundred … and at the end the slowest.
        Line { name: kind, pieces: vec![curve.iter().map(|(slower, ms)| (-slower.log10(), *ms)).collect()] }
    });
    Chart {
        title: "Latency by percentile",
        caption: "ms".to_owned(),
        of: ["percentile", "ms"],
        lines: lines.collect(),
        parts: Vec::new(),
        seconds: None,
    }
}

/// What is true of a second is so from its beginning to its end; where it is nothing, there is a gap.
fn steps(timeline: &[Second], value: impl Fn(&Second) -> Option<f64>) -> Vec<Vec<(f64, f64)>> {
    let mut pieces = vec![Vec::new()];
    let mut begun = 0.0;
    for second in timeline {
        match (value(second), pieces.last_mut()) {
            (Some(value), Some(piece)) => piece.extend([(begun, value), (second.t, value)]),
            _ => pieces.push(Vec::new()),
        }
        begun = second.t;
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

impl Chart {
    /// Under its title and with its legend; nothing where there is nothing to draw.
    fn write(&self, body: &mut String) -> Result<(), Failure> {
        let points = || self.lines.iter().flat_map(|line| line.pieces.iter().flatten());
        if points().count() < 2 {
            return Ok(());
        }
        let end = points().map(|(x, _)| *x).fold(self.seconds.unwrap_or_default(), f64::max);
        let top = points().map(|(_, y)| *y).fold(0.0, f64::max);
        // With room for the names of the parts.
        let room = if self.parts.is_empty() { 1.05 } else { 1.25 };
        let mut svg = String::new();
        self.draw(&mut svg, (end.max(0.1), top.max(0.001) * room))
            .map_err(|error| Failure::new(format!("cannot draw a chart: {error}")))?;
        let (width, height) = SIZE;
        let sized = format!("<svg width=\"{width}\" height=\"{height}\"");
        let fluid = format!("<svg role=\"img\" aria-label=\"{}: {}\"", self.title, self.caption);
        let _ = write!(body, "<h2>{}</h2>", self.title);
        if self.caption.len() > AXIS {
            let _ = write!(body, "<p class=\"legend\">{}</p>", self.caption);
        }
        // Of one line the axis or the caption says what it is.
        if self.lines.len() > 1 {
            body.push_str("<p class=\"legend\">");
            for (line, RGBColor(red, green, blue)) in self.lines.iter().zip(COLORS.iter().cycle()) {
                let _ =
                    write!(body, "<span><b style=\"background:rgb({red},{green},{blue})\"></b>{}</span> ", line.name);
            }
            body.push_str("</p>");
        }
        let _ = write!(body, "<div class=\"chart\">{}</div>", svg.replacen(&sized, &fluid, 1));
        Ok(())
    }

    fn draw(&self, svg: &mut String, (end, top): (f64, f64)) -> Result<(), Box<dyn std::error::Error>> {
        let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(10)
            // For half of the last label.
            .margin_right(28)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..end, 0.0..top)?;
        let percentile = |nines: &f64| format!("{}", (100.0 * (1.0 - 10_f64.powf(-nines)) * 1e4).round() / 1e4);
        let plain = |value: &f64| format!("{}", (value * 1e3).round() / 1e3);
        // At 0, 90, 99, 99.9 … percent, or at some round seconds.
        let (x_label, x_labels): (&dyn Fn(&f64) -> String, usize) =
            if self.seconds.is_none() { (&percentile, end as usize + 1) } else { (&plain, 7) };
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc(self.of[0])
            .y_desc(if self.caption.len() <= AXIS { &self.caption } else { self.of[1] })
            .x_label_formatter(x_label)
            .y_label_formatter(&plain)
            .label_style(FONT)
            .axis_desc_style(FONT)
            .x_labels(x_labels)
            .y_labels(6)
            .draw()?;
        for (place, (begins, name)) in self.parts.iter().enumerate() {
            chart.draw_series([PathElement::new([(*begins, 0.0), (*begins, top)], BLACK.mix(0.6))])?;
            if self.parts.len() <= NAMED_PARTS {
                // Neighbours do not touch: every other one is lower where there are many.
                let lower = if self.parts.len() > 4 { 18 * (place as i32 % 2) } else { 0 };
                let name = Text::new(*name, (4, 2 + lower), FONT);
                chart.draw_series([EmptyElement::at((*begins, top)) + name])?;
            }
        }
        for (line, color) in self.lines.iter().zip(COLORS.iter().cycle()) {
            for piece in &line.pieces {
                chart.draw_series(LineSeries::new(piece.iter().copied(), color.stroke_width(2)))?;
            }
        }
        root.present()?;
        Ok(())
    }
}

/// An option's value as one would type it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(is_set) => if *is_set { "yes" } else { "no" }.to_owned(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn list(body: &mut String, title: &str, items: impl ExactSizeIterator<Item = String>) {
    if items.len() == 0 {
        return;
    }
    let _ = write!(body, "<h2>{title}</h2><ul>");
    for item in items {
        let _ = write!(body, "<li>{}</li>", escape(&item));
    }
    body.push_str("</ul>");
}

/// On a phone, a table of `many` columns shows each row as a block, with the column's head at each value.
fn table(body: &mut String, title: &str, kind: &str, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    let _ = write!(body, "<h2>{title}</h2><table class=\"{kind}\"><thead><tr>");
    for head in heads {
        let _ = write!(body, "<th>{head}</th>");
    }
    body.push_str("</tr></thead><tbody>");
    for row in rows {
        body.push_str("<tr>");
        for (head, cell) in heads.iter().zip(row) {
            // A long name may be broken after each of its words.
            let cell = escape(&cell).replace('_', "_<wbr>");
            let _ = write!(body, "<td data-head=\"{head}\">{cell}</td>");
        }
        body.push_str("</tr>");
    }
    body.push_str("</tbody></table>");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_without_an_answer_is_a_gap_and_not_a_latency_of_nothing() {
        let second = |t, rate| Second { t, rate, p50_ms: 2.0 * rate, p99_ms: 3.0 };
        let timeline = [second(1.0, 5.0), second(2.0, 0.0), second(3.0, 4.0), second(4.0, 4.0)];
        let pieces = steps(&timeline, |second| (second.rate > 0.0).then_some(second.p50_ms));
        assert_eq!(pieces, [vec![(0.0, 10.0), (1.0, 10.0)], vec![(2.0, 8.0), (3.0, 8.0), (3.0, 8.0), (4.0, 8.0)]]);
    }
}
