//! Judging answers: an answer and an expectation in, findings out. Pure.
pub mod cause;
pub mod expect;
pub mod standing;
pub mod tally;
pub mod trace;
pub mod verdict;
pub mod whole_run;
