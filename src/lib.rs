//! homespec checks whether the login API of a Matrix homeserver does what the specification asks.
//!
//! This is the program as a library: a homeserver written in Rust runs all cases from its own `cargo test` by [`harness`].
//! [`results`] is what a run found out, the value that `run.json` holds.
//!
//! The feature `cli` (default) is the program. Without it neither clap nor the reference homeserver is compiled.
#![cfg_attr(not(feature = "internal"), warn(missing_docs, unnameable_types))]
// What the modules export for the tests alone is unused without them.
#![cfg_attr(not(feature = "internal"), allow(unused_imports))]
// The program uses more of them than the harness.
#![cfg_attr(not(feature = "cli"), allow(dead_code))]

/// A one-way pipeline: load, probe, plan, run, report, with a value between each pair.
#[path = ""]
mod interior {
    pub mod accounts;
    pub mod baseline;
    pub mod bundled;
    pub mod case;
    pub mod check;
    #[cfg(feature = "cli")]
    pub mod cli;
    #[cfg(feature = "cli")]
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
    #[cfg(feature = "cli")]
    pub mod selftest;
    // The loader reads more than the checks use; tests compare it with the files.
    #[cfg_attr(not(feature = "internal"), allow(dead_code))]
    pub mod spec;
    pub mod yaml;

    #[cfg(feature = "cli")]
    pub use homespec_reference as reference;
}

pub use interior::harness;
pub use interior::model::run as results;

#[cfg(feature = "cli")]
#[doc(hidden)]
pub use interior::cli::main;

// Private to users of the crate; its tests and fuzz targets reach everything.
#[cfg(not(feature = "internal"))]
use interior::*;
#[cfg(feature = "internal")]
#[doc(hidden)]
pub use interior::*;
