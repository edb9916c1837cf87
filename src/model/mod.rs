//! Values that the whole crate shares: a run and its verdicts, releases of the specification, exit statuses.
pub mod encoding;
pub mod exit;
pub mod reason;
pub mod release;
pub mod run;
pub mod user_id;
