//! The homeserver as handlers see it: settings, the request at hand, the state.

use super::Settings;
use super::answer::{Answer, Stop};
use super::fault::{self, Switch};
use super::refusal::Refusal;
use super::release::{Listed, v1};
use super::route::Operation;
use super::store::{Reach, Store};
use axum::http::HeaderMap;
use serde_json::{Map, Value};
use std::net::SocketAddr;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What stays the same while the homeserver runs.
#[derive(Debug)]
pub(super) struct ServerContext {
    pub(super) settings: Settings,
    pub(super) listed: Listed,
    /// The URL at which clients reach it, without a slash at the end.
    pub(super) base_url: String,
}

impl ServerContext {
    /// Whether a fault or a quirk is switched on.
    pub(super) fn has(&self, switch: Switch) -> bool {
        let on = |names: &[String]| names.iter().any(|name| name == switch.0);
        on(&self.settings.faults) || on(&self.settings.quirks)
    }

    /// The full id of a local user.
    pub(super) fn user_id(&self, localpart: &str) -> String {
        format!("@{localpart}:{}", self.settings.server_name)
    }

    /// The localpart that a user name means here: a localpart as it is, a full id of this server without its frame.
    /// `None` for ids of other servers.
    pub(super) fn localpart<'a>(&self, name: &'a str) -> Option<&'a str> {
        match name.strip_prefix('@').and_then(|id| id.split_once(':')) {
            Some((localpart, server)) => (server == self.settings.server_name).then_some(localpart),
            None => Some(name),
        }
    }
}

/// One request, read whole.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) operation: Operation,
    /// Values of the path's variable segments.
    pub(super) parameters: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) peer: SocketAddr,
    pub(super) path: String,
}

impl Call {
    /// The first query parameter of a name.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A path parameter; empty if the route has none there, which no route does that is asked for it.
    pub(super) fn parameter(&self, index: usize) -> &str {
        self.parameters.get(index).map_or("", String::as_str)
    }

    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The owner of an access token.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub(super) user: String,
    pub(super) device: String,
    pub(super) guest: bool,
    pub(super) token: String,
    /// Whether it is an application service that speaks for the user.
    pub(super) service: bool,
}

/// A request in the hands of a handler.
pub(super) struct RequestContext<'a> {
    pub(super) server: &'a ServerContext,
    pub(super) call: &'a Call,
    pub(super) store: &'a mut Store,
    pub(super) now: Instant,
}

/// Reads a body that must be a JSON object.
pub(super) fn parse_object(body: &[u8]) -> Result<Members, Refusal> {
    if body.is_empty() {
        return Err(Refusal::EmptyBody);
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(Refusal::NotObject),
        Err(_) => Err(Refusal::NotJson),
    }
}

/// The members of a JSON object.
pub(super) type Members = Map<String, Value>;

impl RequestContext<'_> {
    /// Whether a fault or a quirk is switched on.
    pub(super) fn has(&self, switch: Switch) -> bool {
        self.server.has(switch)
    }

    /// The body as a JSON object. The media type of the request is not looked at: sending it is advice to clients.
    pub(super) fn object(&self) -> Result<Members, Refusal> {
        let untyped = self.call.header("content-type").is_none() && !self.call.body.is_empty();
        if untyped && self.has(fault::BODY_NEEDS_CONTENT_TYPE) {
            return Err(Refusal::NotJson);
        }
        parse_object(&self.call.body)
    }

    /// Whether a switch is on and this is a login.
    pub(super) fn at_login(&self, switch: Switch) -> bool {
        self.call.operation == Operation::Login && self.has(switch)
    }

    /// The access token of the request: from the header, or from the query for servers that list a release that knew
    /// it there (all up to v1.19).
    pub(super) fn presented_token(&self) -> Option<&str> {
        let unread = match self.call.operation {
            Operation::Whoami => self.has(fault::WHOAMI_HEADER_REFUSED),
            Operation::Devices => self.has(fault::DEVICES_HEADER_REFUSED),
            _ => false,
        };
        let header = self.header_token().filter(|_| !unread);
        let refused = self.has(fault::QUERY_REFUSED)
            || self.has(fault::QUERY_FOR_WHOAMI) && self.call.operation != Operation::Whoami;
        let read = self.server.listed.before(v1(20)) && !refused;
        let query = || self.call.query("access_token").filter(|_| read);
        header.or_else(query).filter(|token| !token.is_empty())
    }

    fn header_token(&self) -> Option<&str> {
        let (scheme, token) = self.call.header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// The owner of the request's access token; using the token revokes the refresh token that it was made from.
    pub(super) fn owner(&mut self) -> Result<Owner, Stop> {
        let token = self.presented_token().ok_or(Refusal::MissingToken)?.to_owned();
        if self.has(fault::QUERY_403) && self.header_token().is_none() {
            return Err(Refusal::NotThisUser.into());
        }
        if self.is_service() {
            return self.service_owner(&token);
        }
        if let Some(owner) = self.wrong_owner(&token) {
            return Ok(owner);
        }
        let unknown = self.store.dead.get(&token).copied().unwrap_or(Refusal::UnknownToken);
        let whoami = self.call.operation == Operation::Whoami;
        let believed =
            !whoami && (self.has(fault::LOGOUT_FOR_WHOAMI) || self.has(fault::DELETE_FOR_WHOAMI));
        let session = self.store.access.get_mut(&token).ok_or(unknown)?;
        if !believed && session.dies.is_some_and(|moment| moment <= self.now) {
            return Err(Refusal::LoggedOutToken.into());
        }
        if session.expires.is_some_and(|moment| moment <= self.now) {
            return Err(Refusal::ExpiredToken.into());
        }
        match session.reach {
            Reach::Whoami if !whoami => return Err(Refusal::UnknownToken.into()),
            Reach::Once => session.reach = Reach::Nothing,
            Reach::Nothing => return Err(Refusal::UnknownToken.into()),
            Reach::Whoami | Reach::All => {}
        }
        let (user, device, made_from) =
            (session.user.clone(), session.device.clone(), session.made_from.take());
        let revokes =
            !self.has(fault::REFRESH_NOT_BY_ACCESS) && !self.has(fault::REFRESH_NEVER_REVOKED);
        if let Some(spent) = made_from.filter(|_| revokes) {
            self.store.revoke_refresh(&spent);
        } else if self.has(fault::REFRESH_DIES_BY_OLD) {
            self.store.revoke_used(&user, &device);
        }
        let (address, moment) = (self.call.peer.ip().to_string(), milliseconds());
        if let Some(device) = self.store.device_mut(&user, &device) {
            (device.last_seen_ip, device.last_seen_ts) = (address, moment);
        }
        let account = self.store.accounts.get(&user);
        let guest = account.is_some_and(|account| account.guest);
        if account.is_some_and(|account| account.closed) {
            self.refuse_locked()?;
        }
        Ok(Owner { user, device, guest, token, service: false })
    }

    /// The owner of a token that is no access token, where a fault takes it for one.
    fn wrong_owner(&self, token: &str) -> Option<Owner> {
        let (user, device) = match () {
            () if self.has(fault::LOGIN_TOKEN_AS_ACCESS) => {
                let made = self.store.login_tokens.get(token)?;
                (
                    made.user.clone(),
                    self.store.device_ids(&made.user).into_iter().next().unwrap_or_default(),
                )
            }
            () if self.has(fault::ACCESS_TAKES_REFRESH) => {
                let session = self.store.refresh.get(token)?;
                (session.user.clone(), session.device.clone())
            }
            () if self.has(fault::TOKEN_ANY_CASE) => {
                let session = self.store.access.iter().find(|(known, _)| {
                    known.as_str() != token && known.eq_ignore_ascii_case(token)
                })?;
                (session.1.user.clone(), session.1.device.clone())
            }
            () => return None,
        };
        Some(Owner { user, device, guest: false, token: token.to_owned(), service: false })
    }

    /// Refuses what a locked account asks: everything but the two logouts.
    fn refuse_locked(&self) -> Result<(), Refusal> {
        let logout = matches!(self.call.operation, Operation::Logout | Operation::LogoutAll);
        let lets = if logout {
            let everywhere = self.call.operation == Operation::LogoutAll;
            let refused = self.has(fault::LOCKED_NO_LOGOUT)
                || everywhere && self.has(fault::LOCKED_NO_LOGOUT_ALL);
            !refused
        } else {
            self.has(fault::LOCKED_GOES_ON)
        };
        if lets { Ok(()) } else { Err(Refusal::UserLocked) }
    }

    /// The owner of the access token, if it is no guest.
    pub(super) fn full_owner(&mut self) -> Result<Owner, Stop> {
        let owner = self.owner()?;
        if owner.guest { Err(Refusal::GuestForbidden.into()) } else { Ok(owner) }
    }

    /// Takes a permit of the login limit for `key`.
    pub(super) fn login_permit(&mut self, key: &str) -> Result<(), Stop> {
        let Some(limit) =
            self.server.settings.login_limit.filter(|_| !self.has(fault::RATE_LIMIT_NONE))
        else {
            return Ok(());
        };
        let taken = self.store.buckets.take(limit, key, self.now);
        if self.has(fault::RATE_LIMIT_FOREVER) {
            if taken.is_err() {
                self.store.banned.insert(key.to_owned());
            }
            if self.store.banned.contains(key) {
                return Err(Answer::limited(250).into());
            }
        }
        taken.map_err(|wait| Answer::limited(wait).into())
    }
}

/// Milliseconds since 1970.
pub(super) fn milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A string member: `None` if absent, refused with `wrong` if it is something else.
pub(super) fn text<'a>(
    members: &'a Members,
    name: &str,
    wrong: Refusal,
) -> Result<Option<&'a str>, Refusal> {
    members.get(name).map(|value| value.as_str().ok_or(wrong)).transpose()
}

/// A string member that must be there.
pub(super) fn required<'a>(
    members: &'a Members,
    name: &str,
    missing: Refusal,
    wrong: Refusal,
) -> Result<&'a str, Refusal> {
    text(members, name, wrong)?.ok_or(missing)
}

/// A boolean member: `None` if absent, refused with `wrong` if it is something else.
pub(super) fn flag(members: &Members, name: &str, wrong: Refusal) -> Result<Option<bool>, Refusal> {
    members.get(name).map(|value| value.as_bool().ok_or(wrong)).transpose()
}
