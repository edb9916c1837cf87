//! What a case has said when it is over: between the machine that ran it and the verdict. Plain data.
use super::expect::Judgement;
use crate::case::ast::Block;
use crate::model::reason::Reason;
use crate::model::run::Verdict;

/// What one block said, and of which exchange.
#[derive(Debug)]
pub struct Judged<'c> {
    /// The block.
    pub block: &'c Block,
    /// Its step, an index over set-up and steps.
    pub step: usize,
    /// What it said.
    pub judgement: Judgement,
    /// Which exchange of the case it speaks of, from 0.
    pub exchange: usize,
}

/// How a case came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Every step was reached.
    Finished,
    /// It stopped after a step that went wrong: what is undecided was not reached.
    Stopped(Reason),
    /// It could not go on, for a reason that is not the server's answer to its question.
    Blocked(Reason),
    /// It did not run, or nothing that it saw counts: each of its requirements ends so.
    Settled(Verdict, Reason),
    /// A set-up step showed that the server does not offer what the case is about.
    NotOffered(Reason),
    /// It did not wait for what its next step needs to pass: what is undecided is skipped.
    NotWaited(Reason),
}

/// The answer that ended a case early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// Its step, an index over set-up and steps.
    pub step: usize,
    /// Which exchange of the case, from 0.
    pub exchange: usize,
}

/// What a case has to say when it is over.
#[derive(Debug)]
pub struct Trace<'c> {
    /// What its blocks said, in order.
    pub judged: Vec<Judged<'c>>,
    /// How it ended.
    pub end: End,
    /// The answer that ended it early, if one did.
    pub stop: Option<Stop>,
}

impl Trace<'_> {
    /// The trace of a case that did not run, or of which nothing counts.
    pub fn settled(verdict: Verdict, reason: Reason) -> Self {
        Trace { judged: Vec::new(), end: End::Settled(verdict, reason), stop: None }
    }
}
