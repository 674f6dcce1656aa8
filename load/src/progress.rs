//! Tells whoever watches how far a run is.

use std::{
    cell::Cell,
    io::{Write as _, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// How often it is shown.
pub(crate) const LOOK: Duration = Duration::from_millis(100);
/// Without a terminal, a line this often.
const LINE: Duration = Duration::from_secs(5);

/// A bar or, where there is no terminal, a line now and then.
pub(crate) struct Progress {
    bar: ProgressBar,
    lines: bool,
    line_at: Cell<Instant>,
}

impl Progress {
    pub(crate) fn new(hidden: bool) -> Self {
        let bar = if hidden { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        bar.set_style(ProgressStyle::with_template("{spinner} {elapsed:>4} {msg}").expect("a sound template"));
        bar.enable_steady_tick(LOOK);
        Self { lines: bar.is_hidden() && !hidden, bar, line_at: Cell::new(Instant::now()) }
    }

    pub(crate) fn show(&self, message: String) {
        if self.lines && self.line_at.get().elapsed() >= LINE {
            self.line_at.set(Instant::now());
            // Where nobody reads it, the run goes on.
            let _ = writeln!(stderr(), "{message}");
        }
        self.bar.set_message(message);
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    /// A run that ends early leaves no half line either.
    fn drop(&mut self) {
        self.end();
    }
}
