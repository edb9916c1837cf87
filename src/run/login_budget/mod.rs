//! Logins are scarce: sessions that are used again, the queue for new ones, tokens that expire.
pub mod expiry;
pub mod queue;
pub mod reuse;
