//! Running a plan: the probe, the cases in flight and their logins.
pub mod attempt;
pub mod case_machine;
pub mod case_runner;
mod device_keys;
pub mod executor;
pub mod login_budget;
pub mod probe;
mod remedy;
pub mod scheduler;
pub mod variables;
