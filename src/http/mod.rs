//! HTTP: messages as values, and everything between a request and its answer.
pub mod background;
pub mod cancel;
pub mod client;
pub mod created_resources;
pub mod discovery;
mod error;
pub mod gateway;
pub mod legacy_login;
pub mod liveness;
pub mod message;
pub mod rate_limit;
pub mod sender;
pub mod supplied_accounts;
pub mod target;
mod tls;
mod tls_errors;
