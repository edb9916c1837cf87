//! homespec: a conformance suite for the login API of Matrix homeservers.
//!
//! The crate is a one-way pipeline: load, probe, plan, run, report, with a value between each pair.
pub mod outcome;
pub mod report;
