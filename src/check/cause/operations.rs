//! Operations as all answers of a run show them.
use super::Record;
use crate::check::verdict::Role;
use crate::http::message::{Exchange, Response, words};
use crate::model::run::Verdict;
use crate::requirements::Register;
use std::collections::{BTreeMap, BTreeSet};

/// A path that no server has, as cases and probe name it.
pub const NOWHERE: &str = "homespec_does_not_exist";
/// Fewer answers show nothing.
const TWICE: usize = 2;

/// An operation below one path prefix.
type Key<'a> = (&'a str, &'a str);

/// What the answers of a run say of its operations.
pub(super) struct Operations<'a> {
    answers: BTreeMap<Key<'a>, Answers>,
    /// The operations by method and path, for requests that name none.
    names: BTreeMap<(&'a str, &'a str), &'a str>,
    /// How the server answers for paths that it does not have.
    nowhere: Vec<&'a Response>,
    /// The path prefix of the run.
    api: &'a str,
    /// Those that were rightly asked twice, and never gave what they are for.
    broken: BTreeSet<&'a str>,
}

/// Status, errcode and error text of an answer.
type Signature<'a> = (u16, Option<&'a str>, Option<&'a str>);

#[derive(Default)]
struct Answers {
    all: usize,
    /// Successes and challenges of interactive auth.
    served: usize,
    absent: usize,
    first: usize,
    last: usize,
}

impl Answers {
    /// Whether there are two with another request in between.
    fn are_apart(&self) -> bool {
        self.all >= TWICE && self.last - self.first >= self.all
    }

    fn is_absent(&self) -> bool {
        self.absent == self.all && self.are_apart()
    }
}

impl<'a> Operations<'a> {
    pub(super) fn of(record: &Record<'a>) -> Operations<'a> {
        let is_nowhere = |exchange: &&Exchange| {
            exchange.request.operation.is_none() && exchange.request.path.contains(NOWHERE)
        };
        let nowhere = record.exchanges().filter(is_nowhere);
        let mut seen = Operations {
            answers: BTreeMap::new(),
            names: record.exchanges().filter_map(named).collect(),
            nowhere: nowhere.filter_map(answer).collect(),
            api: record.api,
            broken: BTreeSet::new(),
        };
        for (place, exchange) in record.exchanges().enumerate() {
            let (Some(key), Some(response)) = (seen.key(exchange), answer(exchange)) else {
                continue;
            };
            let is_absent = is_absence(response, &seen.nowhere);
            let of_one = seen
                .answers
                .entry(key)
                .or_insert_with(|| Answers { first: place, ..Answers::default() });
            of_one.all += 1;
            of_one.served += usize::from(response.is_success() || response.is_challenge());
            of_one.absent += usize::from(is_absent);
            of_one.last = place;
        }
        seen.broken = seen.broken(record);
        seen
    }

    /// Operations with failures of their requirement, of which two were to be successes.
    fn broken(&self, record: &Record<'a>) -> BTreeSet<&'a str> {
        let mut refused: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for decision in record.decisions() {
            for evidence in decision.evidence {
                let wanted = match &evidence.role {
                    Role::Broken { wants_success, .. } => *wants_success,
                    Role::Stopped => true,
                    Role::Met | Role::Doubtful => false,
                };
                let exchange = decision.record.exchange(&evidence.exchange).filter(|_| wanted);
                let operation = exchange.and_then(|exchange| exchange.request.operation.as_deref());
                if let Some(operation) = operation {
                    refused.entry(operation).or_default().insert(&evidence.exchange);
                }
            }
        }
        let failed = |operation: &str| {
            let works = works(record.register, operation);
            record
                .decisions()
                .any(|one| one.verdict == Verdict::Failed && works.contains(&one.requirement))
        };
        let never_served = self.answers.iter().filter(|((_, prefix), answers)| {
            self.is_of_run(prefix) && answers.served == 0 && answers.are_apart()
        });
        let names = never_served.map(|((operation, _), _)| *operation);
        names
            .filter(|name| refused.get(name).is_some_and(|all| all.len() >= TWICE) && failed(name))
            .collect()
    }

    /// Whether requests below the other of the two prefixes say nothing of it.
    fn is_of_run(&self, prefix: &str) -> bool {
        prefix == self.api || !["r0", "v3"].contains(&prefix)
    }

    /// The operations that are absent, each with the requirements that say that it is there.
    pub(super) fn absent<'s, 'r>(
        &'s self,
        register: &'r Register,
    ) -> impl Iterator<Item = (&'a str, Vec<&'r str>)> + use<'s, 'a, 'r> {
        let absent = self.answers.iter().filter(|(_, answers)| answers.is_absent());
        absent
            .filter(|((_, prefix), _)| self.is_of_run(prefix))
            .map(|((operation, _), _)| (*operation, works(register, operation)))
    }

    /// The operation of a request, named or by method and path.
    pub(super) fn name<'e>(&self, exchange: &'e Exchange) -> Option<&'e str>
    where
        'a: 'e,
    {
        let request = &exchange.request;
        let by_path = || self.names.get(&(request.method.as_str(), path(exchange))).copied();
        request.operation.as_deref().or_else(by_path)
    }

    fn key<'e>(&self, exchange: &'e Exchange) -> Option<Key<'e>>
    where
        'a: 'e,
    {
        let below = path(exchange).split_once("/_matrix/client/").map(|(_, below)| below);
        let prefix = below.and_then(|below| below.split('/').next()).unwrap_or_default();
        Some((self.name(exchange)?, prefix))
    }

    /// Whether an exchange is one of an absent operation, and says so.
    pub(super) fn says_absent(&self, exchange: &Exchange) -> bool {
        let Some(response) = answer(exchange) else { return false };
        let Some((name, prefix)) = self.key(exchange) else { return false };
        // What is absent where the run looks for it is not expected below the other prefix.
        let prefix = if self.is_of_run(prefix) { prefix } else { self.api };
        let is_absent = self.answers.get(&(name, prefix)).is_some_and(Answers::is_absent);
        is_absent && is_absence(response, &self.nowhere)
    }

    /// The operation that belongs to the path of a request with another method, if what belongs there is absent and
    /// the answer says so.
    pub(super) fn absent_at_path(&self, exchange: &Exchange) -> Option<&'a str> {
        let response = answer(exchange).filter(|_| self.name(exchange).is_none())?;
        let below = path(exchange).split_once("/_matrix/client/")?.1;
        let prefix = below.split('/').next()?;
        let here = self.names.iter().filter(|((_, at), _)| *at == path(exchange));
        let names: Vec<&'a str> = here.map(|(_, name)| *name).collect();
        let is_absent =
            |name: &&'a str| self.answers.get(&(*name, prefix)).is_some_and(Answers::is_absent);
        let all_are = names.iter().all(is_absent) && is_absence(response, &self.nowhere);
        names.first().copied().filter(|_| all_are)
    }

    /// Whether the operation of an exchange never works.
    pub(super) fn is_broken(&self, exchange: &Exchange) -> bool {
        let key = self.key(exchange);
        key.is_some_and(|(name, prefix)| self.is_of_run(prefix) && self.broken.contains(name))
    }
}

/// Whether an answer says that nothing is there: M_UNRECOGNIZED, a 404 or 405 of no homeserver's
/// making, or what the server says of paths that it does not have.
pub fn is_absence(response: &Response, nowhere: &[&Response]) -> bool {
    match (response.status, response.text_at("/errcode")) {
        (400 | 404 | 405 | 501, Some("M_UNRECOGNIZED")) | (404 | 405, None) => true,
        (400 | 404 | 405 | 501, _) => {
            nowhere.iter().any(|other| signature(other) == signature(response))
        }
        _ => false,
    }
}

/// The requirements that say that an operation is there and works.
pub(super) fn works<'r>(register: &'r Register, operation: &str) -> Vec<&'r str> {
    let works = register.iter().filter(|one| one.works.as_deref() == Some(operation));
    works.map(|one| one.id.as_str()).collect()
}

/// The answer of a homeserver that was neither too busy nor behind a gateway that failed.
fn answer(exchange: &Exchange) -> Option<&Response> {
    let response = exchange.result.as_ref().ok()?;
    (!matches!(response.status, 429 | 502..=504)).then_some(response)
}

/// The path without the query.
fn path(exchange: &Exchange) -> &str {
    let path = exchange.request.path.as_str();
    path.split_once('?').map_or(path, |(path, _)| path)
}

fn named(exchange: &Exchange) -> Option<((&str, &str), &str)> {
    let operation = exchange.request.operation.as_deref()?;
    Some(((exchange.request.method.as_str(), path(exchange)), operation))
}

fn signature(response: &Response) -> Signature<'_> {
    (response.status, response.text_at("/errcode"), response.text_at("/error"))
}

/// An answer, for a sentence.
pub(super) fn answer_in_words(exchange: &Exchange) -> String {
    exchange.result.as_ref().map_or_else(ToString::to_string, words)
}
