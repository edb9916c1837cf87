//! Probe results: what the target offers. Pure.
use crate::case::ast::{Api, Feature};
use crate::http::message::{Response, clipped};
use crate::model::reason::Reason;
use crate::model::release::Listed;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Facts about the homeserver before the first case.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Releases in `/versions`.
    pub listed: Listed,
    /// The types of `GET /login`; empty without the legacy API.
    pub flows: Vec<String>,
    /// Features that the probe found, beside flows.
    pub features: BTreeSet<Feature>,
    /// The identity providers of single sign-on.
    pub providers: Vec<Provider>,
    /// `/capabilities` by name, with whether each is enabled; empty if it could not be asked.
    pub capabilities: BTreeMap<String, bool>,
    /// The operations by which cases look at sessions and devices, as far as they are absent or do not
    /// work.
    pub absent: BTreeSet<String>,
    /// Lifetime of the access token that the login of the first account gave; nothing if it gave none.
    pub token_lifetime: Option<Duration>,
    /// For all waits together.
    pub max_wait: Duration,
    /// Reason why there was no session for the probe though an account was given; features that
    /// need a session are then unknown and not absent.
    pub no_session: Option<Reason>,
    pub api: Api,
    pub accounts: AccountFacts,
    /// True if the server lets users register.
    pub registers: bool,
    /// Parts of the server's lists that are not tested, in sentences.
    pub beyond: Vec<String>,
    /// Names of what the operator gave.
    pub operator: BTreeSet<String>,
    /// Which classes of cases are allowed beyond the harmless.
    pub allowed: BTreeSet<Allow>,
}

/// An identity provider, as `GET /login` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    pub id: String,
    /// Its icon, as `server/media`, if it is an `mxc:` URI with nothing unusual in it.
    pub icon: Option<String>,
}

/// A class of cases that needs the operator's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Allow {
    /// Cases that end sessions, lock or ruin, on supplied accounts.
    Destructive,
    /// Bursts that provoke rate limiting.
    RateLimit,
}

/// Which accounts a run can use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountFacts {
    /// Those that were given, in the order in which they are used.
    pub given: Vec<Given>,
    /// True if any number of disposable ones can be created.
    pub can_make: bool,
    /// True if those that are created have a password.
    pub made_password: bool,
    /// Those that were given and that the server refused.
    pub refused: Vec<RefusedAccount>,
}

/// An account that was given and that the server refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedAccount {
    pub given: Given,
    /// The server's answer, and what to try.
    pub reason: Reason,
}

/// Facts about an account that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    pub password: bool,
    /// True if the account may be ruined.
    pub disposable: bool,
}

impl AccountFacts {
    /// Number of accounts for ordinary use, given or to be created: two of those to be created
    /// serve all cases that only add sessions to an account.
    pub fn main(&self) -> usize {
        self.given.len().max(if self.can_make { 2 } else { 0 })
    }

    /// Returns the reason why there is no account of that kind, if one was given and refused.
    pub fn why_refused(&self, kind: impl Fn(&Given) -> bool) -> Option<&Reason> {
        self.refused.iter().find(|refused| kind(&refused.given)).map(|refused| &refused.reason)
    }

    /// Returns true if the password of the n-th account for ordinary use is known.
    pub fn has_password(&self, index: usize) -> bool {
        self.given.get(index).map_or(self.can_make && self.made_password, |given| given.password)
    }
}

/// The most entries of a list that are looked at, and the most characters of each: no homeserver has
/// more, and what goes beyond would be carried through planning and every report.
const MOST: usize = 1000;

/// The list of that name in an answer of success.
fn listed<'a>(answer: &'a Response, name: &str) -> Option<&'a Vec<Value>> {
    let body = answer.json().ok().filter(|_| answer.is_success())?;
    body.get(name)?.as_array()
}

/// The login types that `GET /login` advertises, or nothing if this is no flow list.
pub fn flows(answer: &Response) -> Option<Vec<String>> {
    let flows = listed(answer, "flows")?;
    Some(
        flows
            .iter()
            .take(MOST)
            .filter_map(|flow| flow.get("type")?.as_str())
            .map(clipped)
            .collect(),
    )
}

/// The most identity providers that are looked at: each costs requests.
const MOST_PROVIDERS: usize = 20;

/// Parts of the lists in these responses that are not tested, in sentences: nothing for a usual
/// server.
pub fn beyond(versions: &Response, login: Option<&Response>) -> Vec<String> {
    let sentence = |request: &str, what: &str, count: usize, most: usize| {
        (count > most)
            .then(|| format!("{request} lists {count} {what}; only the first {most} are tested"))
    };
    let count = |answer: &Response, name: &str| listed(answer, name).map_or(0, Vec::len);
    let flows = login.map_or(0, |login| count(login, "flows"));
    let of_sso = login.map_or(0, |login| listed_providers(login).count());
    [
        sentence("GET /versions", "versions", count(versions, "versions"), MOST),
        sentence("GET /login", "flows", flows, MOST),
        sentence("GET /login", "identity providers", of_sso, MOST_PROVIDERS),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The identity providers of the `m.login.sso` entry of `GET /login`; those without an id are left out.
pub fn providers(answer: &Response) -> Vec<Provider> {
    let provider = |provider: &Value| {
        let id = provider.get("id")?.as_str().filter(|id| !id.is_empty())?;
        let icon = provider.get("icon").and_then(Value::as_str).and_then(media);
        Some(Provider { id: clipped(id), icon })
    };
    listed_providers(answer).filter_map(provider).take(MOST_PROVIDERS).collect()
}

fn listed_providers(answer: &Response) -> impl Iterator<Item = &Value> {
    let lists = sso_entries(answer).filter_map(|entry| entry.get("identity_providers")?.as_array());
    lists.flatten()
}

/// Returns true if the server prefers its single sign-on for clients that support OAuth 2.0 too.
pub fn prefers_sso(answer: &Response) -> bool {
    let preferred = |entry: &Value| entry.get("oauth_aware_preferred") == Some(&Value::Bool(true));
    sso_entries(answer).any(preferred)
}

fn sso_entries(answer: &Response) -> impl Iterator<Item = &Value> {
    let flows = listed(answer, "flows");
    let is_sso = |flow: &&Value| flow.get("type").is_some_and(|kind| kind == "m.login.sso");
    flows.into_iter().flatten().filter(is_sso)
}

/// `server/media` of an `mxc:` URI (Client-Server API, "Matrix Content (mxc://) URIs"), if it can stand in a
/// path as it is.
fn media(uri: &str) -> Option<String> {
    let (server, media) = uri.strip_prefix("mxc://")?.split_once('/')?;
    let fits = |part: &str, also: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
    };
    (fits(server, ".-:[]") && fits(media, "-_")).then(|| format!("{server}/{media}"))
}

/// Entries of `/versions`; values other than strings are ignored.
pub fn versions(answer: &Response) -> Vec<String> {
    let list = listed(answer, "versions");
    list.into_iter().flatten().take(MOST).filter_map(Value::as_str).map(clipped).collect()
}

/// Which path prefix a server that lists this serves: `r0` where nothing newer is listed.
pub fn api(listed: &Listed) -> Api {
    if listed.only_r0() { Api::R0 } else { Api::V3 }
}

/// `/capabilities` by name: `enabled`, or true for those without it.
pub fn capabilities(answer: &Response) -> BTreeMap<String, bool> {
    let body = answer.json().ok().filter(|_| answer.is_success());
    let members = body.and_then(|body| body.get("capabilities")?.as_object());
    members
        .into_iter()
        .flatten()
        .map(|(name, value)| {
            let enabled = value.get("enabled").and_then(Value::as_bool).unwrap_or(true);
            (name.clone(), enabled)
        })
        .collect()
}

/// Returns true if a flow offers login tokens.
pub fn offers_login_tokens(answer: &Response) -> bool {
    let flows = listed(answer, "flows");
    flows.into_iter().flatten().any(|flow| flow.get("get_login_token") == Some(&Value::Bool(true)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn identity_providers_are_those_of_the_sso_entry_with_icons_that_can_be_asked_for() {
        let idps = json!([
            {"id": "house", "icon": "mxc://hs.example:8448/a-B_9"},
            {"id": "elsewhere", "icon": "https://hs.example/i.png"},
            {"id": "odd", "icon": "mxc://hs.example/../x"},
            {"id": ""}, {"name": "nameless"}, 5,
        ]);
        let body = json!({"flows": [
            {"type": "m.login.password", "identity_providers": [{"id": "not here"}]},
            {"type": "m.login.sso", "identity_providers": idps, "oauth_aware_preferred": true},
        ]});
        let answer =
            |status| Response::new(status, Vec::new(), body.to_string().into_bytes(), false);
        let found: Vec<_> =
            providers(&answer(200)).into_iter().map(|one| (one.id, one.icon)).collect();
        let plain = |id: &str| (id.to_owned(), None);
        let house = ("house".to_owned(), Some("hs.example:8448/a-B_9".to_owned()));
        assert_eq!(found, [house, plain("elsewhere"), plain("odd")]);
        assert!(prefers_sso(&answer(200)));
        assert!(providers(&answer(403)).is_empty() && !prefers_sso(&answer(403)));
    }
}
