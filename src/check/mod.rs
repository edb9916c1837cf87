//! Judging answers. Everything in here is pure: an answer and an expectation in, findings out.
pub mod expect;
pub mod standing;
pub mod tally;
pub mod trace;
pub mod verdict;
pub mod whole_run;
