//! Running a plan: the only part, with the probe, that touches the network.
pub mod clean_up;
pub mod courier;
pub mod desk;
pub mod dialect;
pub mod engine;
pub mod env;
pub mod http;
pub mod ledger;
pub mod limits;
pub mod machine;
pub mod operator;
pub mod perishable;
pub mod probe;
pub mod program;
pub mod stop;
pub mod uia;
