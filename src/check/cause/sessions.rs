//! Sessions that end when their user logs in again: a policy that the specification advises against
//! and does not forbid.
use super::Record;
use crate::case::ast::Need;
use crate::http::created_resources::token_of;
use crate::http::message::{Exchange, Response};
use std::collections::{BTreeMap, BTreeSet};

/// Paths of requests that may end sessions by themselves.
const ENDS: [&str; 7] = [
    "/logout",
    "/logout/all",
    "/account/password",
    "/account/deactivate",
    "/delete_devices",
    "/refresh",
    "/register",
];
/// Fewer sessions show nothing.
const TWICE: usize = 2;

/// The session of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owner {
    user: String,
    device: String,
}

impl Owner {
    /// The session that an answer began.
    fn of(response: &Response) -> Option<(String, Owner)> {
        let text = |pointer| response.text_at(pointer).map(str::to_owned);
        let response_is_good = response.is_success();
        let (user, device) = (text("/user_id")?, text("/device_id")?);
        Some((text("/access_token").filter(|_| response_is_good)?, Owner { user, device }))
    }
}

/// What the requests of one case, in the order sent, show of sessions after another login of their
/// user.
#[derive(Debug, Default)]
struct Fates {
    /// Tokens that were refused as unknown, with nothing but the login to end them.
    ended: BTreeSet<String>,
    /// The numbers of those exchanges, from 1.
    at: BTreeSet<usize>,
    survived: bool,
}

fn fates(exchanges: &[Exchange], owners: &BTreeMap<String, Owner>) -> Fates {
    let (mut found, mut later) = (Fates::default(), BTreeSet::new());
    for (at, exchange) in exchanges.iter().enumerate() {
        let token = token_of(&exchange.request);
        let Ok(response) = &exchange.result else { continue };
        if let Some(token) = token.filter(|token| later.contains(token)) {
            if is_unknown_token(response) {
                found.ended.insert(token);
                found.at.insert(at + 1);
            }
            found.survived |= response.is_success();
        }
        if may_end_sessions(exchange) {
            later.clear();
        } else if !exchange.shared
            && let Some((token, owner)) = logged_in(exchange)
        {
            let is_earlier =
                |other: &Owner| other.user == owner.user && other.device != owner.device;
            let earlier = owners.iter().filter(|(_, other)| is_earlier(other));
            later.extend(earlier.map(|(token, _)| token.clone()));
            later.remove(&token);
        }
    }
    found
}

/// The session that a login began.
fn logged_in(exchange: &Exchange) -> Option<(String, Owner)> {
    let response = exchange.result.as_ref().ok()?;
    exchange.request.is_login().then(|| Owner::of(response))?
}

fn is_unknown_token(response: &Response) -> bool {
    response.status == 401 && response.text_at("/errcode") == Some("M_UNKNOWN_TOKEN")
}

fn may_end_sessions(exchange: &Exchange) -> bool {
    let path = exchange.request.path.split('?').next().unwrap_or_default();
    let is_deletion = exchange.request.method == "DELETE" && path.contains("/devices/");
    // An operator may lock an account.
    is_deletion || path.contains("/admin/") || ENDS.iter().any(|end| path.ends_with(end))
}

fn owners<'e>(exchanges: impl Iterator<Item = &'e Exchange>) -> BTreeMap<String, Owner> {
    let begins = |exchange: &&Exchange| {
        exchange.request.is_login() || exchange.request.operation.as_deref() == Some("register")
    };
    let began = |exchange: &Exchange| Owner::of(exchange.result.as_ref().ok()?);
    exchanges.filter(begins).filter_map(began).collect()
}

/// Returns true if the exchanges of a case show a session that ended when its user logged in again.
///
/// `known`: sessions that began before the case, as token, user and device.
pub fn ends_earlier_sessions<'s>(
    exchanges: &[Exchange],
    known: impl Iterator<Item = (&'s str, &'s str, &'s str)>,
) -> bool {
    let mut owners = owners(exchanges.iter());
    owners.extend(known.map(|(token, user, device)| {
        (token.to_owned(), Owner { user: user.to_owned(), device: device.to_owned() })
    }));
    let found = fates(exchanges, &owners);
    !found.ended.is_empty() && !found.survived
}

/// The policy of the server, as a whole run shows it.
#[derive(Debug)]
pub(super) struct EarlierSessions<'r> {
    record: &'r Record<'r>,
    owners: BTreeMap<String, Owner>,
    /// Of each case; none if sessions that it uses may end at each login.
    fates: Vec<Fates>,
    is_policy: bool,
}

impl<'r> EarlierSessions<'r> {
    pub(super) fn of(record: &'r Record<'r>) -> EarlierSessions<'r> {
        let owners = owners(record.exchanges());
        let is_operated = |need: &Need| matches!(need, Need::Operator(_));
        let of_case = |one: &super::CaseRecord<'_>| match one.case.needs.iter().any(is_operated) {
            true => Fates::default(),
            false => fates(one.exchanges, &owners),
        };
        let fates: Vec<Fates> = record.cases.iter().map(of_case).collect();
        let ended: BTreeSet<&String> = fates.iter().flat_map(|one| &one.ended).collect();
        let works = |exchange: &Exchange| {
            let is_known = token_of(&exchange.request).is_some_and(|t| owners.contains_key(&t));
            is_known && exchange.result.as_ref().is_ok_and(Response::is_success)
        };
        let is_policy = ended.len() >= TWICE
            && !fates.iter().any(|one| one.survived)
            && record.exchanges().any(works);
        EarlierSessions { record, owners, fates, is_policy }
    }

    /// Whether the token of an answer was ended by a later login of its user, in the case or in an
    /// earlier one.
    pub(super) fn ended(&self, case: usize, id: &str) -> bool {
        if !self.is_policy {
            return false;
        }
        let number = id.rsplit_once('#').and_then(|(_, number)| number.parse().ok());
        if number.is_some_and(|at| self.fates.get(case).is_some_and(|one| one.at.contains(&at))) {
            return true;
        }
        let Some(record) = self.record.cases.get(case) else { return false };
        let own = |token: &str| record.exchanges.iter().any(|e| began(e, token) && !e.shared);
        let Some(exchange) = record.exchange(id) else { return false };
        let is_unknown = exchange.result.as_ref().is_ok_and(is_unknown_token);
        // A session of the account pool.
        token_of(&exchange.request).filter(|_| is_unknown).is_some_and(|token| {
            self.owners.contains_key(&token)
                && !own(&token)
                && !record.exchanges.iter().any(may_end_sessions)
        })
    }
}

fn began(exchange: &Exchange, token: &str) -> bool {
    let response = exchange.result.as_ref().ok();
    response.is_some_and(|response| response.text_at("/access_token") == Some(token))
}
