//! One test: what it asks, and how it ended.
use crate::case::ast::Case;
use crate::check::whole_run::CHECKS;
use crate::harness::live::Shared;
use crate::plan::selection::{Selection, selects_check, selects_standing};
use crate::requirements::Register;
use std::sync::Arc;

/// How a trial ended that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The server does what is asked.
    Passed,
    /// A SHOULD is broken, or something deserves a word: the text of a failure.
    Warned(String),
    /// It does not apply to this server or was not observed, with the reason in words.
    Ignored(String),
}

/// One test: a case (with all its rows where the server decides which there are), a check over the
/// whole run, or a standing check.
pub struct Trial {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) part: Part,
}

impl Trial {
    /// `AREA::CASE`, `AREA::CASE[ROW]`, `whole-run::ID` or `standing::REQUIREMENT`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is true of a server that passes.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Runs it, and blocks until there is something to say. The first one starts the server.
    ///
    /// # Errors
    /// What is broken or could not be decided: a first line `Error: …`, then what was expected and
    /// what came, the clause, the place in the case file, the exchange and how to send it again.
    pub fn run(self) -> Result<Outcome, String> {
        let Trial { id, mut part, .. } = self;
        part.runs = true;
        let ended = part.shared.answer(&part.question, &id);
        // The last part that is dropped cleans up: before this returns, or the process may be gone.
        drop(part);
        ended
    }
}

pub(super) struct Part {
    pub(super) question: Question,
    pub(super) runs: bool,
    pub(super) shared: Arc<Shared>,
}

impl Drop for Part {
    fn drop(&mut self) {
        if let (false, Question::Case(at)) = (self.runs, &self.question) {
            self.shared.no_longer_wants(*at);
        }
    }
}

/// What a trial asks.
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
    cases: &[Case],
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
