//! Progress on standard error, and only on a terminal.
use super::checked::sentence;
use crate::case::ast::Case;
use crate::http::rate_limit::{WaitCause, WaitNotice};
use crate::model::run::Verdict;
use crate::pipeline::Watcher;
use crate::plan::facts::Facts;
use crate::plan::{Disposition, Plan};
use crate::redact::Vault;
use crate::run::executor::Progress;
use crate::run::probe::NoTarget;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Returns true if nobody looks: standard error is not a terminal, or this is a CI job.
fn unwatched() -> bool {
    !std::io::stderr().is_terminal() || std::env::var_os("CI").is_some()
}

/// A bar of this length, with a line of text behind it.
fn bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {prefix}{wide_msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A bar that counts things of which so many are to be done, or nothing where nobody looks.
#[derive(Debug)]
pub struct Count {
    bar: Option<ProgressBar>,
    done: AtomicUsize,
    total: usize,
}

impl Count {
    /// Nothing is done yet.
    pub fn of(total: usize) -> Count {
        let bar = (!unwatched()).then(|| bar(total as u64));
        Count { bar, done: AtomicUsize::new(0), total }
    }

    /// One more is done; gives how many of how many that makes.
    pub fn done(&self, name: &str) -> String {
        if let Some(bar) = &self.bar {
            bar.set_message(name.to_owned());
            bar.inc(1);
        }
        format!("{}/{}", self.done.fetch_add(1, Ordering::Relaxed) + 1, self.total)
    }

    /// Removes it from the screen.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A bar with the case that runs, or nothing where nobody looks.
#[derive(Debug, Default)]
pub struct Bar {
    bar: OnceLock<ProgressBar>,
    hidden: bool,
    cleaning: OnceLock<ProgressBar>,
    vault: Arc<Vault>,
}

impl Bar {
    /// A bar, unless standard error is no terminal or this is a CI job. The secrets of the vault are in
    /// nothing that it says.
    pub fn new(vault: Arc<Vault>) -> Bar {
        Bar { bar: OnceLock::new(), hidden: unwatched(), cleaning: OnceLock::new(), vault }
    }

    /// Says a line above the bar, if there is one.
    fn say_above(&self, before: &str, text: &str) {
        match self.bar.get() {
            Some(bar) => bar.suspend(|| self.say(before, text)),
            None => self.say(before, text),
        }
    }

    fn say(&self, before: &str, text: &str) {
        let said = match sentence(&self.vault, text) {
            Ok(text) => super::say(&format!("{before}: {text}")),
            Err(withheld) => super::say(&withheld.text),
        };
        // There is nowhere to say that nothing can be said.
        drop(said);
    }

    /// Removes it from the screen.
    pub fn clear(&self) {
        for bar in [&self.bar, &self.cleaning].into_iter().filter_map(OnceLock::get) {
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
        self.say("waiting", &why.to_string());
    }

    fn planned(&self, plan: &Plan, _: &Facts) {
        if self.hidden {
            return;
        }
        let running = plan
            .cases
            .iter()
            .filter(|case| matches!(case.disposition, Disposition::Run(_)))
            .count();
        let _ = self.bar.set(bar(running as u64));
    }

    fn no_target(&self, why: &str) {
        self.say("error", why);
    }

    /// A terminal sees it count down; elsewhere there is one line, and only if somebody has stopped the run.
    fn cleaning_up(&self, at_most: Duration, interrupted: bool) {
        let again = if interrupted { " (Ctrl-C again skips it)" } else { "" };
        let text = format!("cleaning up: at most {} s more{again}", at_most.as_secs());
        if self.hidden && !interrupted {
            return;
        }
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
        let mut is_first = false;
        let line = self.cleaning.get_or_init(|| {
            is_first = true;
            if self.hidden { ProgressBar::hidden() } else { ProgressBar::new_spinner() }
        });
        line.set_message(text.clone());
        line.tick();
        if self.hidden && is_first {
            let _ = super::say(&text);
        }
    }

    fn operator_error(&self, why: &str) {
        let say = || super::say(&format!("error: {}", crate::report::one_line(why)));
        let _ = match self.bar.get() {
            Some(bar) => bar.suspend(say),
            None => say(),
        };
    }

    fn limit_wait(&self, wait: &WaitNotice) {
        let WaitNotice { cause, wait, spent, budget } = wait;
        let until = jiff::Timestamp::now() + *wait;
        let (seconds, until) = (wait.as_secs_f64().ceil(), until.strftime("%H:%M:%S UTC"));
        let (spent, budget) = (spent.as_secs(), budget.as_secs());
        let what = match cause {
            WaitCause::Limit(operation) => format!("for the server's limit on {operation}"),
            WaitCause::Case(case) => format!("until {case} goes on"),
        };
        let text = format!(
            "{seconds} s {what}, until {until} ({spent} of the {budget} s of --max-wait were used before)"
        );
        self.say_above("waiting", &text);
    }

    fn limit_left(&self, left: Option<(&WaitCause, Duration)>) {
        let Some(bar) = self.bar.get() else { return };
        let text = left.map(|(cause, left)| {
            let what = match cause {
                WaitCause::Limit(operation) => format!("for the limit on {operation}"),
                WaitCause::Case(case) => format!("until {case} goes on"),
            };
            format!("waiting {what}, {} s more; ", left.as_secs_f64().ceil())
        });
        match text.map(|text| sentence(&self.vault, &text)) {
            Some(Ok(text)) => bar.set_prefix(format!("{} ", text.trim_end())),
            Some(Err(_)) | None => bar.set_prefix(String::new()),
        }
    }
}
