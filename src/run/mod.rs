//! Running a plan: the only part, with the probe, that touches the network.
pub mod env;
pub mod machine;
pub mod uia;
