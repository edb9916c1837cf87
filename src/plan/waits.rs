//! Waits of cases that are known before they begin.
use crate::case::ast::Case;
use crate::model::reason::Reason;
use crate::plan::facts::Facts;

/// The reason why a case would log in for nothing: the login that proved the first account shows
/// that what it waits for never comes, or not in time. Where accounts can be made it asks for
/// itself, since a login there is no other case's loss.
pub(super) fn in_vain(case: &Case, facts: &Facts) -> Option<Reason> {
    if facts.accounts.can_make || facts.no_session.is_some() || !case.waits_for_access_token() {
        return None;
    }
    let Some(lifetime) = facts.token_lifetime else {
        return Some(Reason::NoNumber { place: "expires_in_ms".to_owned() });
    };
    (lifetime > facts.max_wait).then(|| Reason::WaitTooLong {
        wait: u128::from(lifetime.as_secs()),
        spent: 0,
        budget: facts.max_wait.as_secs(),
    })
}
