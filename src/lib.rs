//! homespec: a conformance suite for the login API of Matrix homeservers.
//!
//! The crate is a one-way pipeline: load, probe, plan, run, report, with a value between each pair.
pub mod accounts;
pub mod baseline;
pub mod bundled;
pub mod case;
pub mod check;
pub mod cli;
pub mod files;
pub mod harness;
pub mod http;
pub mod model;
pub mod pipeline;
pub mod plan;
pub mod redact;
pub mod report;
pub mod requirements;
pub mod run;
pub mod selftest;
pub mod spec;
pub mod yaml;

pub use homespec_reference as reference;
