//! When a password is taken for an account's.

use super::policy::PasswordMatch;
use super::store::Account;

/// Whether a password is the account's.
pub(super) fn matches(policy: PasswordMatch, account: &Account, given: &str) -> bool {
    let Some(kept) = account.password.as_deref() else { return false };
    let beginning = |text: &str| text.chars().take(8).collect::<String>();
    let taken = match policy {
        PasswordMatch::Exact => false,
        PasswordMatch::Any => true,
        PasswordMatch::Trimmed => given.trim() == kept,
        PasswordMatch::CaseFolded => given.to_lowercase() == kept.to_lowercase(),
        PasswordMatch::FirstEightCharacters => beginning(given) == beginning(kept),
        PasswordMatch::Beginning => kept.starts_with(given),
        PasswordMatch::EmptyToo => given.is_empty(),
        PasswordMatch::Longer => given.starts_with(kept),
        PasswordMatch::First72Bytes => {
            let beginning = |text: &str| text.bytes().take(72).collect::<Vec<u8>>();
            beginning(given) == beginning(kept)
        }
        PasswordMatch::FormerToo => account.former_password.as_deref() == Some(given),
    };
    given == kept || taken
}
