//! How the homeserver is set up.

use super::catalogue::Catalogue;
use super::limit::{Limit, Refill};
use super::release;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// An address that is bound to an account, as e-mail addresses and phone numbers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThirdParty {
    /// `email` or `msisdn`.
    pub medium: String,
    /// The address; a phone number in its canonical form, digits only with the country code.
    pub address: String,
    /// The localpart of the account.
    pub user: String,
}

/// An application service that the homeserver knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appservice {
    /// The token that it proves itself with (`as_token`).
    pub token: String,
    /// The localpart of its own user, which exists from the start.
    pub sender: String,
    /// With what the localparts of its namespace begin; nobody else can have one.
    pub prefix: String,
}

/// How the homeserver is set up.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The server name, the part of user ids after the colon.
    pub server_name: String,
    /// The releases that `GET /versions` lists, e.g. `r0.6.1`, `v1.11`. They decide which operations exist and what
    /// their answers contain.
    pub versions: Vec<String>,
    /// Whether anybody may register (interactive auth with a dummy stage).
    pub registration: bool,
    /// With this, registration asks for it in a stage before the dummy stage, whether or not it is otherwise open.
    pub registration_token: Option<String>,
    /// With this, Synapse's admin call for registration with a shared secret exists.
    pub shared_secret: Option<String>,
    /// Whether guests may register.
    pub guests: bool,
    /// Accounts that exist from the start: localpart and password.
    pub users: Vec<(String, String)>,
    /// Addresses that are bound to accounts from the start.
    pub third_party: Vec<ThirdParty>,
    /// An application service.
    pub appservice: Option<Appservice>,
    /// With this, there are calls for administrators, and this is the token of one.
    pub admin_token: Option<String>,
    /// The limit on logins, for each address and for each account; none if absent.
    pub login_limit: Option<Limit>,
    /// The limit on `POST /v1/login/get_token` for each account; none if absent.
    pub get_token_limit: Option<Limit>,
    /// How the permits of all limits come back.
    pub refill: Refill,
    /// Whether logins from one address are limited together, beside those to one account.
    pub address_limit: bool,
    /// Whether the legacy authentication API is offered.
    pub legacy: bool,
    /// Whether the metadata of an OAuth 2.0 API is served. The API itself does not exist.
    pub oauth: bool,
    /// Whether single sign-on is offered, with a built-in provider.
    pub sso: bool,
    /// Whether `POST /v1/login/get_token` is offered, where a listed release has it.
    pub get_token: bool,
    /// Whether users may make login tokens where `get_token` exists; if not, the call is refused with 400.
    pub login_tokens_allowed: bool,
    /// Whether the well-known file is served, and its content given in login answers.
    pub well_known: bool,
    /// How long access tokens live that come with a refresh token; without it no refresh tokens are given.
    pub access_lifetime: Option<Duration>,
    /// How long access tokens live that come with a refresh token at the login of a device whose id the client chose, if
    /// that is another time.
    pub chosen_lifetime: Option<Duration>,
    /// How long the tokens of get_token live.
    pub login_token_lifetime: Duration,
    /// Names of faults, see [`faults`](super::faults) and `catalogue`.
    pub faults: Vec<String>,
    /// Names of quirks, see [`quirks`](super::quirks) and `catalogue`.
    pub quirks: Vec<String>,
    /// Faults and quirks that stand in no table here.
    pub catalogue: Catalogue,
}

impl Default for Settings {
    /// A free port on loopback, the name `reference.localhost`, all published releases up to v1.19, open registration
    /// for users and guests, no accounts, no limits, the legacy API alone, no faults and no quirks.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            server_name: "reference.localhost".to_owned(),
            versions: release::PUBLISHED.map(str::to_owned).to_vec(),
            registration: true,
            registration_token: None,
            shared_secret: None,
            guests: true,
            users: Vec::new(),
            third_party: Vec::new(),
            appservice: None,
            admin_token: None,
            login_limit: None,
            get_token_limit: None,
            refill: Refill::default(),
            address_limit: true,
            legacy: true,
            oauth: false,
            sso: false,
            get_token: true,
            login_tokens_allowed: true,
            well_known: true,
            access_lifetime: Some(Duration::from_secs(300)),
            chosen_lifetime: None,
            login_token_lifetime: Duration::from_secs(120),
            faults: Vec::new(),
            quirks: Vec::new(),
            catalogue: Catalogue::default(),
        }
    }
}
