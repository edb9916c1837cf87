//! What a handler is given: the homeserver, the request at hand, the state.

use super::answer::{Answer, Stop};
use super::policy::{LoginLimit, Policy};
use super::refusal::Refusal;
use super::release::Listed;
use super::route::Operation;
use super::settings::Settings;
use super::store::Store;
use axum::http::HeaderMap;
use serde_json::{Map, Value};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What stays the same while the homeserver runs.
#[derive(Debug)]
pub(super) struct ServerContext {
    pub(super) settings: Settings,
    pub(super) policy: Policy,
    pub(super) listed: Listed,
    /// The URL at which clients reach it, without a slash at the end.
    pub(super) base_url: String,
}

impl ServerContext {
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

impl<'a> RequestContext<'a> {
    pub(super) fn policy(&self) -> &'a Policy {
        &self.server.policy
    }

    /// The body as a JSON object. The media type of the request is not looked at: sending it is advice to clients.
    pub(super) fn object(&self) -> Result<Members, Refusal> {
        let untyped = self.call.header("content-type").is_none() && !self.call.body.is_empty();
        if untyped && self.policy().requests.bodies_need_content_type {
            return Err(Refusal::NotJson);
        }
        parse_object(&self.call.body)
    }

    /// Takes a permit of the login limit for `key`.
    pub(super) fn login_permit(&mut self, key: &str) -> Result<(), Stop> {
        let policy = self.policy().requests.login_limit;
        let Some(limit) = self.server.settings.login_limit.filter(|_| policy != LoginLimit::None)
        else {
            return Ok(());
        };
        let taken = self.store.buckets.take(limit, self.server.settings.refill, key, self.now);
        if policy == LoginLimit::Forever {
            if taken.is_err() {
                self.store.banned.insert(key.to_owned());
            }
            if self.store.banned.contains(key) {
                return Err(Answer::limited(250).into());
            }
        }
        if policy == LoginLimit::LongerThanSaid {
            if taken.is_err() {
                self.store.held.entry(key.to_owned()).or_insert(self.now + LONGER_THAN_SAID);
            }
            if self.store.held.get(key).is_some_and(|until| *until > self.now) {
                return Err(Answer::limited(250).into());
            }
        }
        taken.map_err(|wait| Answer::limited(wait).into())
    }
}

/// How long a limit lasts that says less.
const LONGER_THAN_SAID: Duration = Duration::from_secs(10);

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
