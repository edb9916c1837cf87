//! What a case has said when it is over: between the machine that ran it and the verdict. Plain data.
use super::expect::Judgement;
use crate::case::ast::Block;
use crate::model::run::{Reason, Verdict};

/// What one block said, and of which exchange.
#[derive(Debug)]
pub struct Judged<'c> {
    /// The block.
    pub block: &'c Block,
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
}

/// What a case has to say when it is over.
#[derive(Debug)]
pub struct Trace<'c> {
    /// What its blocks said, in order.
    pub judged: Vec<Judged<'c>>,
    /// How it ended.
    pub end: End,
}

impl Trace<'_> {
    /// The trace of a case that did not run, or of which nothing counts.
    pub fn settled(verdict: Verdict, reason: Reason) -> Self {
        Trace { judged: Vec::new(), end: End::Settled(verdict, reason) }
    }
}
