//! homespec: a conformance suite for the login API of Matrix homeservers.
//!
//! The crate is a one-way pipeline: load, probe, plan, run, report, with a value between each pair.
pub mod advice;
pub mod app;
pub mod assemble;
pub mod baseline;
pub mod bundled;
pub mod case;
pub mod check;
pub mod cli;
pub mod compare;
pub mod diagnostic;
pub mod encoding;
pub mod exit;
pub mod facts;
pub mod files;
pub mod harness;
pub mod outcome;
pub mod plan;
pub mod reference;
pub mod register;
pub mod report;
pub mod require;
pub mod routes;
pub mod run;
pub mod secret;
pub mod select;
pub mod selftest;
pub mod shapes;
pub mod source;
pub mod spec;
pub mod strict;
pub mod version;
pub mod wire;
