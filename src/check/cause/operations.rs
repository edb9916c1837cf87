//! Operations as all answers of a run show them.
use super::{CaseRecord, Record};
use crate::check::tally::exchange_id;
use crate::check::verdict::{Decided, Evidence, Role};
use crate::http::gateway::Origins;
use crate::http::message::{Exchange, Response, TransportError, TransportErrorKind, words};
use crate::model::run::Verdict;
use crate::requirements::Register;
use crate::requirements::basic::{R0_PREFIX, V3_PREFIX};
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
    /// How many requests had no answer.
    silences: BTreeMap<Key<'a>, usize>,
    /// The operations by method and path, for requests that name none.
    names: BTreeMap<(&'a str, &'a str), &'a str>,
    /// How the server answers for paths that it does not have.
    nowhere: Vec<&'a Response>,
    /// The path prefix of the run.
    api: &'a str,
    /// Those that were rightly asked twice, and never gave what they are for.
    broken: BTreeSet<&'a str>,
    /// Right requests that they did not serve.
    lapses: BTreeMap<&'a str, Lapses<'a>>,
    origins: &'a Origins,
}

/// Status, errcode and error text of an answer.
type Signature<'a> = (u16, Option<&'a str>, Option<&'a str>);

#[derive(Default)]
struct Answers {
    all: usize,
    /// Successes and challenges of interactive auth.
    served: usize,
    absent: usize,
    crashed: usize,
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
        let (nowhere, origins) = (record.exchanges().filter(is_nowhere), record.origins);
        let mut seen = Operations {
            answers: BTreeMap::new(),
            silences: BTreeMap::new(),
            names: record.exchanges().filter_map(named).collect(),
            nowhere: nowhere.filter_map(|one| answer(origins, one)).collect(),
            api: record.api,
            broken: BTreeSet::new(),
            lapses: BTreeMap::new(),
            origins,
        };
        for (place, exchange) in record.exchanges().enumerate() {
            let silent = exchange.result.as_ref().err().filter(|trouble| is_unanswered(trouble));
            if let Some(key) = silent.and_then(|_| seen.key(exchange)) {
                *seen.silences.entry(key).or_default() += 1;
            }
            let (Some(key), Some(response)) = (seen.key(exchange), answer(origins, exchange))
            else {
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
            of_one.crashed += usize::from(!is_absent && is_crash(response));
            of_one.last = place;
        }
        seen.broken = seen.broken(record);
        seen.lapses = seen.find_lapses(record);
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

    /// Right requests that got a crash, an absence or no answer: of the steps of cases, and those
    /// beside cases as far as they crashed.
    fn find_lapses(&self, record: &Record<'a>) -> BTreeMap<&'a str, Lapses<'a>> {
        let mut all: BTreeMap<&'a str, Lapses<'a>> = BTreeMap::new();
        let serves = |one: &&Exchange| one.result.as_ref().is_ok_and(Response::is_success);
        let served: BTreeSet<RequestKind<'_>> =
            record.exchanges().filter(serves).map(RequestKind::of).collect();
        let mut add = |id: String, exchange: &'a Exchange, is_judged: bool| {
            let kind = LapseKind::of(self, exchange);
            let Some((operation, kind)) = exchange.request.operation.as_deref().zip(kind) else {
                return;
            };
            let lapses = all.entry(operation).or_insert_with(|| self.no_lapses(operation));
            match lapses.all.iter_mut().find(|one| one.id == id) {
                Some(known) => known.is_judged |= is_judged,
                None => lapses.all.push(Lapse { id, exchange, kind, is_judged }),
            }
        };
        for (record, evidence, is_right) in record.cases.iter().flat_map(unserved) {
            let Some(exchange) = record.exchange(&evidence.exchange) else { continue };
            let is_judged = evidence.role != Role::Stopped;
            // That an operation is absent is a wrong answer to any request.
            let counts = is_right || LapseKind::of(self, exchange) == Some(LapseKind::Absence);
            // What a case asks about may be unusual: then others like it are not known to work.
            let is_plain = exchange.request.body.is_none();
            let is_alike = is_plain && served.contains(&RequestKind::of(exchange));
            let shows = !is_judged || !is_right || is_alike || self.is_silent(exchange);
            if counts && shows {
                add(evidence.exchange.clone(), exchange, is_judged);
            }
        }
        for (name, exchanges) in record.support.iter().filter(|(name, _)| *name != PROBE) {
            for (at, exchange) in exchanges.iter().enumerate().filter(|(_, one)| one.result.is_ok())
            {
                if LapseKind::of(self, exchange) == Some(LapseKind::Crash) {
                    add(exchange_id(name, at), exchange, false);
                }
            }
        }
        all
    }

    fn no_lapses(&self, operation: &'a str) -> Lapses<'a> {
        let of_one = |((name, _), _): &(&Key<'a>, &Answers)| *name == operation;
        let answers = self.answers.iter().filter(of_one);
        let served = answers.clone().map(|(_, one)| one.served).sum();
        Lapses { operation, all: Vec::new(), served, is_silent: answers.count() == 0 }
    }

    /// What is known of right requests that the operation of an exchange did not serve.
    pub(super) fn lapses(&self, exchange: &Exchange) -> Option<&Lapses<'a>> {
        self.lapses.get(self.name(exchange)?)
    }

    /// The same for all operations.
    pub(super) fn all_lapses(&self) -> impl Iterator<Item = &Lapses<'a>> {
        self.lapses.values()
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
            .filter(|((name, prefix), _)| self.is_of_run(prefix) && !self.is_elsewhere(name))
            .map(|((operation, _), _)| (*operation, works(register, operation)))
    }

    /// Whether an operation is there below the other of the two prefixes: then it is the prefix that is
    /// broken, and not the operation.
    pub(super) fn is_elsewhere(&self, operation: &str) -> bool {
        let others = ["r0", "v3"].into_iter().filter(|prefix| *prefix != self.api);
        let mut answers = others.filter_map(|prefix| self.answers.get(&(operation, prefix)));
        answers.any(|answers| answers.absent < answers.all)
    }

    /// The requirement that says that paths below the prefix of the run are there.
    pub(super) fn prefix(&self) -> &'static str {
        if self.api == "r0" { R0_PREFIX } else { V3_PREFIX }
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
        let Some(response) = answer(self.origins, exchange) else { return false };
        let Some((name, prefix)) = self.key(exchange) else { return false };
        // What is absent where the run looks for it is not expected below the other prefix.
        let prefix = if self.is_of_run(prefix) { prefix } else { self.api };
        let is_absent = self.answers.get(&(name, prefix)).is_some_and(Answers::is_absent);
        is_absent && is_absence(response, &self.nowhere)
    }

    /// Whether the operation of an exchange crashes at every request.
    pub(super) fn crashes(&self, exchange: &Exchange) -> bool {
        let answers = self.key(exchange).and_then(|key| self.answers.get(&key));
        answers.is_some_and(|one| one.crashed == one.all && one.are_apart())
    }

    /// Whether the operation of an exchange never answers.
    pub(super) fn is_silent(&self, exchange: &Exchange) -> bool {
        let Some(key) = self.key(exchange) else { return false };
        let times = self.silences.get(&key).is_some_and(|times| *times >= TWICE);
        times && !self.answers.contains_key(&key)
    }

    /// The operation that belongs to the path of a request with another method, if what belongs there is absent and
    /// the answer says so.
    pub(super) fn absent_at_path(&self, exchange: &Exchange) -> Option<&'a str> {
        let response = answer(self.origins, exchange).filter(|_| self.name(exchange).is_none())?;
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

/// Exchanges of the probe, which asks what may be refused.
const PROBE: &str = "probe";

/// In which way a right request was not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LapseKind {
    /// A 5xx of the homeserver.
    Crash,
    Silence,
    Absence,
}

impl LapseKind {
    fn of(operations: &Operations<'_>, exchange: &Exchange) -> Option<LapseKind> {
        let (_, prefix) = operations.key(exchange)?;
        if !operations.is_of_run(prefix) {
            return None;
        }
        let response = match &exchange.result {
            Ok(_) => answer(operations.origins, exchange)?,
            Err(trouble) => return is_unanswered(trouble).then_some(LapseKind::Silence),
        };
        // Without that code it may be what the request names that is not there.
        let is_absent = is_absence(response, &[]) && response.text_at("/errcode").is_some();
        match response.status {
            _ if is_absent => Some(LapseKind::Absence),
            500.. => Some(LapseKind::Crash),
            _ => None,
        }
    }
}

/// Requests without a body that differ in nothing but their token.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct RequestKind<'a> {
    method: &'a str,
    path: &'a str,
    has_token: bool,
}

impl<'a> RequestKind<'a> {
    fn of(exchange: &'a Exchange) -> RequestKind<'a> {
        let request = &exchange.request;
        RequestKind {
            method: &request.method,
            path: path(exchange),
            has_token: request.header("authorization").is_some(),
        }
    }
}

#[derive(Debug)]
struct Lapse<'a> {
    /// Of the exchange.
    id: String,
    exchange: &'a Exchange,
    kind: LapseKind,
    /// Whether a block says something of it.
    is_judged: bool,
}

/// Requests that an operation did not serve as it should.
#[derive(Debug)]
pub(super) struct Lapses<'a> {
    /// The operation.
    pub operation: &'a str,
    all: Vec<Lapse<'a>>,
    served: usize,
    is_silent: bool,
}

impl Lapses<'_> {
    /// Whether an exchange is one of them.
    pub(super) fn holds(&self, id: &str) -> bool {
        self.all.iter().any(|one| one.id == id)
    }

    /// Whether an exchange is a crash or a silence of which no block says anything.
    pub(super) fn is_unjudged(&self, id: &str) -> bool {
        self.all.iter().any(|one| one.id == id && !one.is_judged && one.kind != LapseKind::Absence)
    }

    /// The one that shows what nothing else does: none if a block says it and the operation does not
    /// work now and then.
    pub(super) fn unjudged(&self) -> Option<(&str, &Exchange)> {
        let own = self.all.iter().find(|one| self.is_unjudged(&one.id));
        let is_unstable = self.served > 0 && self.all.len() >= TWICE;
        let shown = own.or_else(|| self.all.first().filter(|_| is_unstable || self.is_silent))?;
        Some((&shown.id, shown.exchange))
    }

    /// How often, if it works otherwise.
    pub(super) fn words(&self) -> Option<String> {
        let all = self.all.len();
        let of = all + self.served;
        (self.served > 0).then(|| format!("unstable: {all} of {of} requests"))
    }
}

/// The answers of a case that are not as expected, and whether only a success would have been.
fn unserved<'r, 'a>(
    record: &'r CaseRecord<'a>,
) -> impl Iterator<Item = (&'r CaseRecord<'a>, &'a Evidence, bool)> {
    let wants_success = |step: usize| {
        let step = record.case.all_steps().nth(step);
        step.is_some_and(|step| step.blocks.iter().all(|block| block.wants_success()))
    };
    let decided: &'a Decided = record.decided;
    decided.evidence.iter().flatten().filter_map(move |one| match &one.role {
        Role::Broken { wants_success, .. } => Some((record, one, *wants_success)),
        Role::Stopped => Some((record, one, wants_success(one.step))),
        Role::Met | Role::Doubtful => None,
    })
}

/// Whether an answer says that nothing is there: M_UNRECOGNIZED, a 404 or 405 of no homeserver's
/// making, or what the server says of paths that it does not have.
pub fn is_absence(response: &Response, nowhere: &[&Response]) -> bool {
    let is_refusal = matches!(response.status, 400 | 404 | 405 | 501);
    let is_as_nowhere = || nowhere.iter().any(|other| signature(other) == signature(response));
    response.says_absent() || is_refusal && is_as_nowhere()
}

/// The requirements that say that an operation is there and works.
pub(super) fn works<'r>(register: &'r Register, operation: &str) -> Vec<&'r str> {
    register.works(operation).collect()
}

/// The answer of a homeserver that was neither too busy nor behind something that answered.
fn answer<'e>(origins: &Origins, exchange: &'e Exchange) -> Option<&'e Response> {
    let response = exchange.result.as_ref().ok()?;
    let is_busy = matches!(response.status, 429 | 502..=504);
    (!is_busy && !origins.is_gateway(exchange)).then_some(response)
}

/// Whether an answer is an error that no homeserver means to give: a 5xx, or none of Matrix.
fn is_crash(response: &Response) -> bool {
    let is_none_of_matrix = response.status >= 400 && response.text_at("/errcode").is_none();
    response.status >= 500 || is_none_of_matrix && !response.is_challenge()
}

/// Whether a request arrived, as far as can be seen, and had no whole answer.
pub(super) fn is_unanswered(trouble: &TransportError) -> bool {
    use TransportErrorKind::{Closed, Protocol, Timeout};
    matches!(trouble.kind, Closed | Protocol | Timeout)
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
