//! The result as one page that needs nothing else: charts are SVG inside it, and it fits a phone.

use std::fmt::Write as _;

use plotters::prelude::*;

use crate::{
    failure::Failure,
    report::{Outcome, number},
};

/// Size of a chart, in its own units: on a phone three quarters of that, and its text is still large enough.
const SIZE: (u32, u32) = (480, 270);
const FONT: (&str, u32) = ("sans-serif", 15);
const STYLE: &str = include_str!("page.css");

/// # Errors
/// A chart cannot be drawn.
pub(crate) fn page(outcome: &Outcome) -> Result<String, Failure> {
    let mut body = String::new();
    let holds = outcome.thresholds.iter().all(|kept| kept.holds);
    let verdict = if outcome.verdict.ok && holds { "correct" } else { "wrong" };
    let _ = write!(
        body,
        "<h1>chat-load {}</h1><p>{} · {:.1} s measured</p><p class=\"verdict {verdict}\">{}</p>",
        outcome.scenario,
        escape(&outcome.url),
        outcome.seconds,
        match (outcome.verdict.ok, holds) {
            (false, _) => format!("Wrong: {} violations", outcome.verdict.violations.count),
            (true, false) => "Correct, but a threshold does not hold".to_owned(),
            (true, true) => "Correct: nothing lost, repeated, reordered or altered".to_owned(),
        },
    );
    list(&mut body, "Violations", &outcome.verdict.violations.named);
    let kept = outcome.thresholds.iter().map(|kept| {
        let value = kept.value.map_or_else(|| "no such figure".to_owned(), number);
        format!("{} {}: {value}", if kept.holds { "✓" } else { "✗" }, kept.text)
    });
    list(&mut body, "Thresholds", &kept.collect::<Vec<_>>());
    let figures = outcome.figures.iter().map(|(name, value)| vec![name.clone(), number(*value)]);
    table(&mut body, "Figures", &["figure", "value"], figures);
    chart(&mut body, "Throughput over time", &curve(&throughput(outcome), false)?);
    chart(&mut body, "Latency over time", &curve(&latency_over_time(outcome), false)?);
    chart(&mut body, "Latency by percentile", &curve(&percentiles(outcome), true)?);
    let latencies = outcome.latencies.iter().map(|(kind, latency)| {
        let values = [latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.p99_9_ms, latency.max_ms];
        let values = values.map(|value| format!("{value:.2}"));
        [vec![(*kind).to_owned(), latency.count.to_string()], values.to_vec()].concat()
    });
    table(&mut body, "Latencies, ms", &["kind", "count", "p50", "p90", "p99", "p99.9", "max"], latencies);
    let costs = outcome.processes.iter().map(|(name, cost)| {
        let or_none = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number);
        vec![
            name.clone(),
            format!("{:.2}", cost.cpu_s),
            or_none(cost.cpu_us_per_op),
            format!("{:.1}", cost.rss_peak_kb as f64 / 1024.0),
            or_none(cost.rss_growth_bytes_per_connection),
        ]
    });
    table(&mut body, "Cost", &["process", "CPU s", "CPU µs per operation", "peak MB", "bytes per connection"], costs);
    let options = escape(&outcome.options.to_string());
    Ok(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>chat-load {}</title><style>{STYLE}</style></head>\
         <body><main>{body}<h2>Options</h2><p><code>{options}</code></p></main></body></html>\n",
        outcome.scenario
    ))
}

/// Lines with their names, and what the axes show.
struct Lines {
    of: [&'static str; 2],
    lines: Vec<(String, Vec<(f64, f64)>)>,
}

fn throughput(outcome: &Outcome) -> Lines {
    let line = outcome.timeline.iter().map(|second| (second.t, second.rate)).collect();
    Lines { of: ["seconds", "a second"], lines: vec![("operations a second".to_owned(), line)] }
}

fn latency_over_time(outcome: &Outcome) -> Lines {
    let line = |value: fn(&crate::meter::Second) -> f64| {
        outcome.timeline.iter().map(|second| (second.t, value(second))).collect()
    };
    let lines =
        vec![("p50".to_owned(), line(|second| second.p50_ms)), ("p99".to_owned(), line(|second| second.p99_ms))];
    Lines { of: ["seconds", "ms"], lines }
}

fn percentiles(outcome: &Outcome) -> Lines {
    // From the left: half of all, one in ten, one in a hundred …
    let nines = |curve: &[(f64, f64)]| curve.iter().map(|(slower, ms)| (-slower.log10(), *ms)).collect();
    let lines = outcome.curves.iter().map(|(kind, curve)| ((*kind).to_owned(), nines(curve))).collect();
    Lines { of: ["percentile", "ms"], lines }
}

/// An SVG; empty where there is nothing to draw.
fn curve(lines: &Lines, by_percentile: bool) -> Result<String, Failure> {
    let points = || lines.lines.iter().flat_map(|(_, line)| line);
    if points().count() < 2 {
        return Ok(String::new());
    }
    let end = points().map(|(x, _)| *x).fold(0.0, f64::max);
    let top = points().map(|(_, y)| *y).fold(0.0, f64::max);
    let mut svg = String::new();
    // With room for the legend above the lines.
    draw(&mut svg, lines, (end.max(0.1), top.max(0.001) * 1.3), by_percentile)
        .map_err(|error| Failure::new(format!("cannot draw a chart: {error}")))?;
    Ok(svg)
}

fn draw(
    svg: &mut String,
    lines: &Lines,
    (end, top): (f64, f64),
    by_percentile: bool,
) -> Result<(), Box<dyn std::error::Error>> {
    const COLORS: [RGBColor; 5] = [
        RGBColor(31, 119, 180),
        RGBColor(214, 39, 40),
        RGBColor(44, 160, 44),
        RGBColor(148, 103, 189),
        RGBColor(127, 90, 40),
    ];
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
    let x_labels: &dyn Fn(&f64) -> String = if by_percentile { &percentile } else { &plain };
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc(lines.of[0])
        .y_desc(lines.of[1])
        .x_label_formatter(x_labels)
        .y_label_formatter(&plain)
        .label_style(FONT)
        .axis_desc_style(FONT)
        .x_labels(7)
        .y_labels(6)
        .draw()?;
    for ((name, line), color) in lines.lines.iter().zip(COLORS.iter().cycle()) {
        let drawn = chart.draw_series(LineSeries::new(line.iter().copied(), color.stroke_width(2)))?;
        let color = *color;
        drawn.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
    }
    // Of one line the title says what it is.
    if lines.lines.len() > 1 {
        chart
            .configure_series_labels()
            .label_font(FONT)
            .position(SeriesLabelPosition::UpperLeft)
            .border_style(BLACK.mix(0.3))
            .background_style(WHITE.mix(0.8))
            .draw()?;
    }
    root.present()?;
    Ok(())
}

/// A chart under its title.
fn chart(body: &mut String, title: &str, svg: &str) {
    if svg.is_empty() {
        return;
    }
    let (width, height) = SIZE;
    let sized = format!("<svg width=\"{width}\" height=\"{height}\"");
    let fluid = format!("<svg role=\"img\" aria-label=\"{title}\"");
    let _ = write!(body, "<h2>{title}</h2><div class=\"chart\">{}</div>", svg.replacen(&sized, &fluid, 1));
}

fn list(body: &mut String, title: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    let _ = write!(body, "<h2>{title}</h2><ul>");
    for item in items {
        let _ = write!(body, "<li>{}</li>", escape(item));
    }
    body.push_str("</ul>");
}

fn table(body: &mut String, title: &str, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let _ = write!(body, "<h2>{title}</h2><div class=\"wide\"><table><thead><tr>");
    for head in heads {
        let _ = write!(body, "<th>{head}</th>");
    }
    body.push_str("</tr></thead><tbody>");
    for row in rows {
        let cells = row.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect::<String>();
        let _ = write!(body, "<tr>{cells}</tr>");
    }
    body.push_str("</tbody></table></div>");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
