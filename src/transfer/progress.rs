//! Tells whoever watches how far it is.

use std::{
    borrow::Cow,
    io::{Write as _, stderr},
};

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on a terminal; elsewhere a line when something is done.
pub(super) struct Progress {
    bar: ProgressBar,
    what: Cow<'static, str>,
}

impl Progress {
    /// Of so many bytes or rows.
    pub(super) fn new(what: impl Into<Cow<'static, str>>, total: u64) -> Self {
        let (bar, what) = (ProgressBar::new(total), what.into());
        let style = "{msg:32} {wide_bar} {percent:>3} %, {eta} left";
        bar.set_style(ProgressStyle::with_template(style).expect("a sound template"));
        bar.set_message(what.clone());
        Self { bar, what }
    }

    pub(super) fn is_at(&self, position: u64) {
        self.bar.set_position(position);
    }

    /// What came of it.
    pub(super) fn end(self, outcome: &str) {
        let took = self.bar.elapsed().as_secs_f64();
        self.bar.finish_and_clear();
        // Where nobody reads it, the work goes on.
        let _ = writeln!(stderr(), "{}: {outcome} in {took:.1} s", self.what);
    }
}
