//! Rules that a result has to keep: `ack.p99<50ms`, `sends_per_s>=1000`.

use std::str::FromStr;

use crate::{failure::Failure, scenarios::Names};

/// What is known of each kind of latency.
const QUANTILES: [&str; 6] = ["mean", "p50", "p90", "p99", "p99.9", "max"];

/// A figure's name, a comparison and a number.
#[derive(Clone, Debug)]
pub(crate) struct Threshold {
    text: String,
    /// `ack.p99_ms`, or a figure's name.
    pub(crate) figure: String,
    comparison: Comparison,
    limit: f64,
}

#[derive(Clone, Copy, Debug)]
enum Comparison {
    Less,
    AtMost,
    More,
    AtLeast,
}

impl Threshold {
    /// Whether a figure keeps the rule.
    pub(crate) fn holds(&self, value: f64) -> bool {
        match self.comparison {
            Comparison::Less => value < self.limit,
            Comparison::AtMost => value <= self.limit,
            Comparison::More => value > self.limit,
            Comparison::AtLeast => value >= self.limit,
        }
    }

    /// # Errors
    /// The scenario has no such figure.
    pub(crate) fn check(&self, names: &Names) -> Result<(), Failure> {
        let known = match self.figure.split_once('.') {
            Some((kind, _)) => names.latencies.iter().any(|name| name == kind),
            None => names.figures.contains(&self.figure),
        };
        if known {
            return Ok(());
        }
        let (figures, latencies) = (names.figures.join(", "), names.latencies.join(", "));
        let text = &self.text;
        Err(Failure::new(format!("--threshold {text}: there are the figures {figures}, and the latencies {latencies}")))
    }

    /// As it was given.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rule = "must be like ack.p99<50ms, delivery.max<=1s or sends_per_s>=1000";
        let at = text.find(['<', '>']).ok_or(rule)?;
        let (figure, rest) = text.split_at(at);
        let (comparison, limit) = match rest.as_bytes() {
            [b'<', b'=', ..] => (Comparison::AtMost, &rest[2..]),
            [b'>', b'=', ..] => (Comparison::AtLeast, &rest[2..]),
            [b'<', ..] => (Comparison::Less, &rest[1..]),
            _ => (Comparison::More, &rest[1..]),
        };
        let figure = figure.trim();
        let is_latency = figure.contains('.');
        let (digits, factor) = match limit.trim() {
            limit if !is_latency => (limit, 1.0),
            limit => unit(limit),
        };
        let limit = digits.trim().parse().ok().filter(|limit: &f64| limit.is_finite()).ok_or(rule)?;
        let figure = match figure.split_once('.') {
            Some((_, quantile)) if !QUANTILES.contains(&quantile) => {
                return Err(format!("{rule}; of latencies there are {}", QUANTILES.join(", ")));
            }
            Some((kind, quantile)) => format!("{kind}.{}_ms", quantile.replace('.', "_")),
            None if !figure.is_empty() => figure.to_owned(),
            None => return Err(rule.to_owned()),
        };
        Ok(Self { text: text.to_owned(), figure, comparison, limit: limit * factor })
    }
}

/// A time's number and how many milliseconds its unit has.
fn unit(limit: &str) -> (&str, f64) {
    for (suffix, factor) in [("ms", 1.0), ("us", 0.001), ("µs", 0.001), ("s", 1000.0)] {
        if let Some(digits) = limit.strip_suffix(suffix) {
            return (digits, factor);
        }
    }
    (limit, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_a_figure_and_its_limit() {
        let rule: Threshold = "ack.p99<50ms".parse().expect("a rule");
        assert_eq!(rule.figure, "ack.p99_ms");
        assert!(rule.holds(49.9) && !rule.holds(50.0));
        let rule: Threshold = "delivery.p99.9 <= 1s".parse().expect("a rule");
        assert_eq!(rule.figure, "delivery.p99_9_ms");
        assert!(rule.holds(1000.0) && !rule.holds(1000.1));
        let rule: Threshold = "sends_per_s>=1000".parse().expect("a rule");
        assert!(rule.holds(1000.0) && !rule.holds(999.0));
    }

    #[test]
    fn a_rule_is_of_what_the_scenario_finds_out() {
        let names = Names {
            over_time: "ack",
            over_time_label: "acknowledgements",
            latencies: vec!["ack".to_owned()],
            figures: vec!["refused".to_owned()],
        };
        let check = |text: &str| text.parse::<Threshold>().expect("a rule").check(&names);
        assert!(check("ack.p99<1s").is_ok() && check("refused<=0").is_ok());
        for text in ["typing.p99<1s", "ack<1", "sends_per_s>1"] {
            assert!(check(text).is_err_and(|error| error.to_string().contains("figures refused")), "{text}");
        }
    }

    #[test]
    fn what_is_no_rule_is_refused_with_an_example() {
        for text in [
            "",
            "ack.p99",
            "ack.p95<50ms",
            "ack.p99<fast",
            "<50ms",
            "ack.p99=50ms",
            "ack.p99<nan",
            "ack.p99<infs",
            "refused<=inf",
        ] {
            assert!(text.parse::<Threshold>().err().is_some_and(|error| error.contains("ack.p99<50ms")), "{text}");
        }
    }
}
