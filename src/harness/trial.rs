//! One test: what it asks, and how it ended.
use crate::case::ast::Case;
use crate::check::whole_run::CHECKS;
use crate::harness::HarnessError;
use crate::harness::live::HarnessState;
use crate::plan::selection::{Selection, selects_check, selects_standing};
use crate::requirements::Register;
use std::sync::Arc;

/// Outcome of a trial that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The server does what is asked.
    Passed,
    /// A SHOULD is broken, or something deserves a word: the text of a failure.
    Warned(String),
    /// It does not apply to this server or was not observed, with the reason in words.
    Ignored(String),
}

/// Failure of a trial. The text begins with a line `Error: …`; what was expected and what came, the
/// clause, the place in the case file, the exchange and how to send it again follow where there are
/// any.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TrialError {
    /// A requirement is broken.
    #[error("{0}")]
    Broken(String),
    /// It could not be decided.
    #[error("{0}")]
    Undecided(String),
    /// Entries of the baseline no longer hold.
    #[error("{0}")]
    OutdatedBaseline(String),
    /// The server did not start or cannot be tested.
    #[error("Error: {0}")]
    NotStarted(Arc<HarnessError>),
    /// The result may hold a secret, so that it is not shown.
    #[error("Error: {0}")]
    Withheld(String),
    /// There is no result for the trial of this id.
    #[error("Error: internal error: there is no result for {0}; please report it")]
    NoResult(String),
}

/// One test: a case (with all its rows where the server decides which there are), a check over the
/// whole run, or a standing check.
pub struct Trial {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) part: TrialPart,
}

impl Trial {
    /// `AREA::CASE`, `AREA::CASE[ROW]`, `whole-run::ID` or `standing::REQUIREMENT`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Statement that is true of a server that passes.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Runs it, and blocks until there is something to say. The first one starts the server.
    ///
    /// # Errors
    /// The broken requirement, or the reason why it could not be decided.
    pub fn run(self) -> Result<Outcome, TrialError> {
        let Trial { id, mut part, .. } = self;
        part.runs = true;
        let ended = part.shared.answer(&part.question, &id);
        // The last part that is dropped cleans up: before this returns, or the process may be gone.
        drop(part);
        ended
    }
}

#[cfg(feature = "libtest")]
impl Trial {
    pub(super) fn into_test(self) -> libtest_mimic::Trial {
        use libtest_mimic::{Completion, Failed};
        let id = self.id.clone();
        libtest_mimic::Trial::ignorable_test(self.id.clone(), move || match self.run() {
            Ok(Outcome::Passed) => Ok(Completion::Completed),
            Ok(Outcome::Warned(text)) => {
                // A line is enough for what passes.
                let first = text.lines().next().unwrap_or_default();
                eprintln!("{id}: warned: {}", first.trim_start_matches("Error: "));
                Ok(Completion::Completed)
            }
            Ok(Outcome::Ignored(reason)) => Ok(Completion::ignored_with(reason)),
            Err(error) => {
                let failure = error.to_string();
                // nextest shows a line of this form on standard error as the message of the failure.
                eprintln!("{}", failure.lines().next().unwrap_or_default());
                Err(Failed::from(failure))
            }
        })
    }
}

pub(super) struct TrialPart {
    pub(super) question: Question,
    pub(super) runs: bool,
    pub(super) shared: Arc<HarnessState>,
}

impl Drop for TrialPart {
    fn drop(&mut self) {
        if let (false, Question::Case(at)) = (self.runs, &self.question) {
            self.shared.no_longer_wants(*at);
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Question {
    /// A selected case, by its place in the list.
    Case(usize),
    /// A check over the whole run, by its id.
    WholeRun(&'static str),
    /// The standing checks of a requirement.
    Standing(String),
}

pub(super) fn questions(
    cases: &[Arc<Case>],
    register: &Register,
    selection: &Selection,
) -> Vec<(Question, String, String)> {
    let of_cases = cases.iter().enumerate().map(|(at, case)| {
        (Question::Case(at), format!("{}::{}", case.area, case.id), case.title.clone())
    });
    let of_run = CHECKS.iter().filter(|check| selects_check(check, selection)).map(|check| {
        let id = format!("whole-run::{}", check.id);
        (Question::WholeRun(check.id), id, check.title.to_owned())
    });
    let standing = register
        .iter()
        .filter(|r| !r.standing.is_empty() && selects_standing(&r.id, r.level, selection))
        .map(|r| {
            let id = format!("standing::{}", r.id);
            (Question::Standing(r.id.clone()), id, r.title.clone())
        });
    of_cases.chain(of_run).chain(standing).collect()
}
