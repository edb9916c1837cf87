//! Requirements that others presuppose, beside those that name an operation with `works`.
use super::Register;

/// A password login by localpart.
pub const LOCALPART: &str = "login.password.localpart";
/// A password login by full id.
pub const FULL_ID: &str = "login.password.mxid";
/// A password login whose user is in the deprecated member.
pub const DEPRECATED_USER: &str = "login.legacy.user";
/// An access token in the Authorization header.
pub const TOKEN_IN_HEADER: &str = "token.header";
/// An access token in the query.
pub const TOKEN_IN_QUERY: &str = "token.query.legacy";

/// Paths below `/_matrix/client/v3` are served where a release with them is listed.
pub const V3_PREFIX: &str = "route.v3_prefix";
/// The same for `/_matrix/client/r0`.
pub const R0_PREFIX: &str = "route.r0_prefix";

/// The operation of a login.
const LOGIN: &str = "login";

/// How much hangs on a requirement, from the most basic on. What is less basic presupposes what is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// How a login names its user. Before [`Basis::Login`]: that logins work is seen by a login that
    /// names its user in some way.
    Spelling,
    /// A login may name it in the member that came before.
    FormerSpelling,
    /// `POST /login` works.
    Login,
    /// Where the token of a request is.
    TokenPlace,
    /// Another operation is there and works.
    Operation,
    /// Nothing hangs on it.
    None,
}

impl Register {
    /// The requirements that say that an operation is there and works.
    pub fn works(&self, operation: &str) -> impl Iterator<Item = &str> {
        let works = self.iter().filter(move |one| one.works.as_deref() == Some(operation));
        works.map(|one| one.id.as_str())
    }

    /// How much hangs on a requirement.
    pub fn basis(&self, id: &str) -> Basis {
        match (id, self.get(id).and_then(|known| known.works.as_deref())) {
            (LOCALPART | FULL_ID, _) => Basis::Spelling,
            (DEPRECATED_USER, _) => Basis::FormerSpelling,
            (TOKEN_IN_HEADER | TOKEN_IN_QUERY, _) => Basis::TokenPlace,
            (_, Some(LOGIN)) => Basis::Login,
            (_, Some(_)) => Basis::Operation,
            (_, None) => Basis::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_basic_requirement_is_in_the_register() {
        let register = Register::bundled().unwrap();
        for id in [LOCALPART, FULL_ID, DEPRECATED_USER, TOKEN_IN_HEADER, TOKEN_IN_QUERY] {
            assert!(register.get(id).is_some(), "{id}");
            assert!(register.basis(id) < Basis::Operation, "{id}");
        }
        assert!([V3_PREFIX, R0_PREFIX].iter().all(|id| register.get(id).is_some()));
        assert_eq!(register.works(LOGIN).count(), 1);
        assert_eq!(register.basis("logout.ok"), Basis::Operation);
        assert_eq!(register.basis("logout.token_dead"), Basis::None);
    }
}
