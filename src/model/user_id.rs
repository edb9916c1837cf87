//! Matrix user ids, and the localparts that runs make up.

/// The localpart of a full Matrix ID, or of what is one already.
pub fn localpart(user: &str) -> &str {
    user.trim_start_matches('@').split(':').next().unwrap_or_default()
}

/// Returns true for a full Matrix ID by its form: `@localpart:server` (Appendices, "User identifiers").
pub fn is_full(user: &str) -> bool {
    user.strip_prefix('@').is_some_and(|rest| rest.contains(':'))
}

/// How every localpart begins that a run makes up.
pub const FRESH: &str = "homespec-";
