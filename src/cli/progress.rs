//! Progress on standard error, and only on a terminal.
use crate::app::Watcher;
use crate::case::ast::Case;
use crate::facts::Facts;
use crate::outcome::Verdict;
use crate::plan::{Fate, Plan};
use crate::run::engine::Progress;
use crate::run::probe::NoTarget;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal as _;
use std::sync::OnceLock;
use std::time::Duration;

/// A bar with the case that runs, or nothing where nobody looks.
#[derive(Debug, Default)]
pub struct Bar {
    bar: OnceLock<ProgressBar>,
    hidden: bool,
}

impl Bar {
    /// A bar, unless standard error is no terminal or this is a CI job.
    pub fn new() -> Bar {
        let hidden = !std::io::stderr().is_terminal() || std::env::var_os("CI").is_some();
        Bar { bar: OnceLock::new(), hidden }
    }

    /// Removes it from the screen.
    pub fn clear(&self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Bar {
    fn begins(&self, case: &Case) {
        if let Some(bar) = self.bar.get() {
            bar.set_message(case.id.clone());
        }
    }

    fn ended(&self, _: &Case, _: Verdict) {
        if let Some(bar) = self.bar.get() {
            bar.inc(1);
        }
    }
}

impl Watcher for Bar {
    fn waiting(&self, why: &NoTarget) {
        let _ = super::say(&format!("waiting: {why}"));
    }

    fn planned(&self, plan: &Plan, _: &Facts) {
        if self.hidden {
            return;
        }
        let running = plan.cases.iter().filter(|case| matches!(case.fate, Fate::Run(_))).count();
        let bar = ProgressBar::new(running as u64);
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(200));
        let _ = self.bar.set(bar);
    }

    fn no_target(&self, why: &str) {
        let _ = super::say(&format!("error: {}", crate::report::one_line(why)));
    }
}
