//! Accounts of the homeserver under test: supplied or registered, proven, cleaned up.
pub mod account;
pub mod cleanup;
pub mod command;
pub mod notices;
pub mod operator;
pub mod operator_proof;
pub mod pool;
pub mod provider;
pub mod random;
pub mod refusal;
pub mod supplied_cleanup;
pub mod uia;
