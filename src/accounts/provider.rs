//! Sources of accounts: those that were given, and the ways to create further ones.
use crate::accounts::command::ExternalCommand;
use crate::accounts::refusal::{in_words, said};
use crate::accounts::uia::UiaRefusal;
use crate::http::message::{Response, clipped};
use crate::http::supplied_accounts::{Credential, SuppliedAccount};
use crate::model::reason::Reason;
use crate::model::user_id::localpart;
use crate::plan::facts::{AccountFacts, Given};
use crate::redact::SecretString;
use std::collections::BTreeMap;

/// Ways to create accounts.
#[derive(Debug, Clone)]
pub enum AccountProvider {
    /// `POST /register` with interactive auth, dummy stage.
    Open,
    /// The same with a registration token.
    Token(SecretString),
    /// Synapse's shared-secret admin call.
    SharedSecret(SecretString),
    /// A program of the operator's that prints one account each time.
    ExternalCommand(ExternalCommand),
}

/// Sources of accounts.
#[derive(Debug, Clone, Default)]
pub struct AccountSources {
    /// In the order in which they are used.
    pub supplied: Vec<SuppliedAccount>,
    /// Way to create further ones.
    pub maker: Option<AccountProvider>,
}

impl AccountSources {
    /// Puts those with a password before those without, and those that nobody needs behind those that
    /// somebody does, for they may be ruined; otherwise the order given is kept.
    pub fn in_order_of_use(mut self) -> AccountSources {
        for (first, again) in look_alike(&self.supplied) {
            count_as_one(&mut self.supplied, first, again);
        }
        self.supplied.sort_by_key(|account| account.order(true));
        self
    }

    /// Returns true if the run's accounts come by `POST /register`, so that cases may register some too.
    pub fn registers(&self) -> bool {
        matches!(self.maker, Some(AccountProvider::Open | AccountProvider::Token(_)))
    }

    /// Facts about them for planning.
    pub fn facts(&self) -> AccountFacts {
        AccountFacts {
            given: self.supplied.iter().map(SuppliedAccount::given).collect(),
            can_make: self.maker.is_some(),
            made_password: true,
            refused: Vec::new(),
        }
    }
}

impl SuppliedAccount {
    pub(super) fn has_password(&self) -> bool {
        matches!(self.credential, Credential::Password(_))
    }

    /// Its place among others in the order of use: first those that can log in in a way that the
    /// server offers (`by_password`: whether that is by password).
    pub(super) fn order(&self, by_password: bool) -> (bool, bool) {
        (self.has_password() != by_password, self.disposable)
    }

    pub(super) fn given(&self) -> Given {
        Given { password: self.has_password(), disposable: self.disposable }
    }
}

/// Returns true if two spellings, each a localpart or a full Matrix ID, look like one account: the
/// same but for the server name, where one has none, and for upper and lower case.
pub fn may_be_same(one: &str, other: &str) -> bool {
    let server = |user: &str| user.split_once(':').map(|(_, server)| server.to_lowercase());
    let servers = server(one).zip(server(other));
    localpart(one).to_lowercase() == localpart(other).to_lowercase()
        && servers.is_none_or(|(one, other)| one == other)
}

/// Makes two accounts that are or may be one disposable only if both say so.
pub fn count_as_one(supplied: &mut [SuppliedAccount], first: usize, again: usize) {
    let is_disposable =
        |index| supplied.get(index).is_some_and(|one: &SuppliedAccount| one.disposable);
    let disposable = is_disposable(first) && is_disposable(again);
    for index in [first, again] {
        if let Some(one) = supplied.get_mut(index) {
            one.disposable = disposable;
        }
    }
}

/// The pairs of accounts that look like one, by their places in the list, the earlier first.
pub fn look_alike(supplied: &[SuppliedAccount]) -> Vec<(usize, usize)> {
    let mut by_localpart: BTreeMap<String, Vec<(usize, &str)>> = BTreeMap::new();
    let mut pairs = Vec::new();
    for (index, account) in supplied.iter().enumerate() {
        let known = by_localpart.entry(localpart(&account.user).to_lowercase()).or_default();
        match known.iter().find(|(_, user)| may_be_same(user, &account.user)) {
            Some((first, _)) => pairs.push((*first, index)),
            None => known.push((index, account.user.as_str())),
        }
    }
    pairs
}

/// Names of the options in sentences.
const OPEN: &str = "--register open";
const TOKEN: &str = "--registration-token-file";
pub(super) const SHARED_SECRET: &str = "--registration-shared-secret-file";

/// Advice where the admin call that takes the shared secret gives no nonce.
pub(super) const NO_ADMIN_CALL: &str = "the server has no shared secret, or does not serve that path at this URL: \
    use the listener itself, or use another way to create accounts";

pub(super) fn registration_refused(maker: &AccountProvider, response: &Response) -> Reason {
    let by = "POST /register";
    let (option, by, advice) = match maker {
        AccountProvider::Open => {
            (OPEN, by, "registration is closed: open it, or give accounts with --accounts")
        }
        AccountProvider::Token(_) => {
            (TOKEN, by, "check that the server permits registration with a token")
        }
        AccountProvider::SharedSecret(_) => (
            SHARED_SECRET,
            "POST /_synapse/admin/v1/register",
            "check that the file holds the server's `registration_shared_secret` and nothing else",
        ),
        AccountProvider::ExternalCommand(_) => ("--account-command", by, "check the program"),
    };
    let advice = match response.status {
        200..300 => "the response has no user_id: see the server's log",
        500.. => "the server failed: see its log",
        _ => advice,
    };
    Reason::Registration(format!("{option}: {}; {advice}", in_words(by, response)))
}

pub(super) fn stage_refused(why: &UiaRefusal, with_token: bool, response: &Response) -> Reason {
    let asks_for_token = why.names("m.login.registration_token");
    let (option, advice) = match with_token {
        true if asks_for_token => {
            (TOKEN, "check that the token is right, has not expired and is not used up")
        }
        true => (TOKEN, "use another way to create accounts: docs/accounts.md"),
        false if asks_for_token => {
            (OPEN, "the server asks for a token: give it with --registration-token-file")
        }
        false => (OPEN, "use another way to create accounts: docs/accounts.md"),
    };
    let why = clipped(&why.to_string());
    let text = format!(
        "{option}: POST /register answered {}{}: {why}; {advice}",
        response.status,
        said(response)
    );
    Reason::Registration(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_account_are_known() {
        for (one, other) in [
            ("alice", "alice"),
            ("alice", "Alice"),
            ("alice", "@alice:hs.example"),
            ("@alice:hs.example", "@Alice:HS.example"),
        ] {
            assert!(may_be_same(one, other), "{one} {other}");
        }
        for (one, other) in [("alice", "bob"), ("@alice:a.example", "@alice:b.example")] {
            assert!(!may_be_same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn a_pair_names_the_first_and_its_repetition() {
        let supplied = ["alice", "bob", "Alice", "@bob:x"].map(|user| SuppliedAccount {
            user: user.to_owned(),
            credential: Credential::Password("secret".to_owned().into()),
            disposable: false,
        });
        assert_eq!(look_alike(&supplied), [(0, 2), (1, 3)]);
    }
}
