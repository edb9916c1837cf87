//! What the standing checks say over many exchanges: counted case by case, and put together in the order of the plan. Pure.
use super::expect::Mismatch;
use super::standing::{Context, Observation, observe};
use crate::http::message::{Exchange, Response};
use crate::model::reason::Reason;
use crate::model::release::Listed;
use crate::model::run::{Finding, Verdict};
use crate::requirements::{Requirement, Severity};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

/// The most examples that are kept of one requirement, if they differ in their words alone; all are counted.
const MOST_EXAMPLES: usize = 10;
/// The most kinds of examples: a server that makes up names could go on for ever.
const MOST_KINDS: usize = 200;

/// What the standing checks found, by requirement.
#[derive(Debug, Clone, Default)]
pub struct Tally(BTreeMap<String, Tallied>);

/// What they found of one requirement.
#[derive(Debug, Clone)]
pub struct Tallied {
    /// How often it was looked at.
    pub observed: usize,
    /// How often it was broken.
    pub count: usize,
    /// The maximum over all observations.
    pub verdict: Verdict,
    /// Why some of them decided nothing.
    pub undecided: Option<Reason>,
    examples: Vec<Example>,
    kinds: HashSet<Kind>,
}

#[derive(Debug, Clone)]
struct Example {
    operation: Option<String>,
    finding: Finding,
}

impl Example {
    /// Whether they show the same: in what came they may differ, unless it is a status, of which a
    /// baseline tells one from another.
    fn is_like(&self, other: &Example) -> bool {
        let (one, two) = (&self.finding, &other.finding);
        self.operation == other.operation
            && (one.verdict, &one.pointer, &one.expected)
                == (two.verdict, &two.pointer, &two.expected)
            && (&*one.pointer != "status" || one.actual == two.actual)
    }
}

/// What a baseline tells apart: operation, verdict and place.
type Kind = (Option<String>, Verdict, String);

/// The id of an exchange: its owner, and its number from 1.
pub fn exchange_id(owner: &str, index: usize) -> String {
    format!("{owner}#{}", index + 1)
}

/// A pointer with `*` for every index of a list: which item it is changes from run to run.
pub fn without_indices(pointer: &str) -> String {
    if !pointer.starts_with('/') {
        return pointer.to_owned();
    }
    let is_index = |token: &str| !token.is_empty() && token.bytes().all(|b| b.is_ascii_digit());
    let token = |token| if is_index(token) { "*" } else { token };
    pointer.split('/').map(token).collect::<Vec<_>>().join("/")
}

impl Tally {
    /// Looks at the exchanges of a case, or of a part outside cases, but for those that stand there a second time and those
    /// that `is_judged` leaves out. Nothing if `stops` said that no more is to be judged.
    pub fn of(
        context: Context<'_>,
        owner: &str,
        exchanges: &[Exchange],
        is_judged: &dyn Fn(&Exchange) -> bool,
        stops: &dyn Fn() -> bool,
    ) -> Option<Tally> {
        let mut tally = Tally::default();
        for (index, exchange) in exchanges.iter().enumerate() {
            if exchange.shared || !is_judged(exchange) {
                continue;
            }
            if stops() {
                return None;
            }
            // What is parsed of a copy is gone with it.
            let is_parsed = exchange.result.as_ref().is_ok_and(Response::is_parsed);
            let looked_at = match is_parsed {
                true => Cow::Borrowed(exchange),
                false => Cow::Owned(exchange.unparsed()),
            };
            for observation in observe(context, &looked_at) {
                tally.add(observation, context.listed, exchange, || exchange_id(owner, index));
            }
        }
        Some(tally)
    }

    fn add(
        &mut self,
        observation: Observation<'_>,
        listed: &Listed,
        exchange: &Exchange,
        id: impl FnOnce() -> String,
    ) {
        let Observation { requirement, miss, more, undecided, warn_only, place } = observation;
        let severity = requirement.severity(listed);
        let severity = if warn_only { severity.at_most_warns() } else { severity };
        let verdict = match (&miss, &undecided) {
            (None, None) => Verdict::Passed,
            (None, Some((verdict, _))) => *verdict,
            (Some(_), _) => severity.verdict(),
        };
        let tallied = self.0.entry(requirement.id.clone()).or_insert_with(|| Tallied::new(verdict));
        tallied.observed += 1 + more;
        tallied.verdict = tallied.verdict.max(verdict);
        // The reason of an internal error outweighs the others.
        if let Some((verdict, reason)) = undecided
            && (tallied.undecided.is_none() || verdict == Verdict::Errored)
        {
            tallied.undecided = Some(reason);
        }
        let Some(miss) = miss else { return };
        if severity == Severity::Observes {
            return;
        }
        tallied.count += 1 + more;
        let finding = finding(requirement, verdict, exchange, (miss, more), id(), place);
        tallied.keep(Example { operation: exchange.request.operation.clone(), finding });
    }

    /// Adds what was found later.
    pub fn merge(&mut self, later: Tally) {
        for (id, later) in later.0 {
            let tallied = self.0.entry(id).or_insert_with(|| Tallied::new(later.verdict));
            tallied.observed += later.observed;
            tallied.count += later.count;
            tallied.verdict = tallied.verdict.max(later.verdict);
            if tallied.undecided.is_none() || later.verdict == Verdict::Errored {
                tallied.undecided = later.undecided.or(tallied.undecided.take());
            }
            later.examples.into_iter().for_each(|example| tallied.keep(example));
        }
    }

    /// Takes out what was found of one requirement, if anything was.
    pub fn take(&mut self, requirement: &str) -> Option<Tallied> {
        self.0.remove(requirement)
    }
}

impl Tallied {
    fn new(verdict: Verdict) -> Tallied {
        let (examples, kinds) = Default::default();
        Tallied { observed: 0, count: 0, verdict, undecided: None, examples, kinds }
    }

    /// Keeps an example, if there is room for it or it is the first of its kind: else what a baseline knows would hide
    /// what is new.
    fn keep(&mut self, example: Example) {
        if self.examples.iter().any(|other| other.is_like(&example)) {
            return;
        }
        let finding = &example.finding;
        let kind = (example.operation.clone(), finding.verdict, finding.pointer.to_string());
        let room = self.examples.len() < MOST_EXAMPLES;
        let is_new = self.kinds.len() < MOST_KINDS && self.kinds.insert(kind);
        if room || is_new {
            self.examples.push(example);
        }
    }

    /// The examples that were kept.
    pub fn findings(self) -> Vec<Finding> {
        self.examples.into_iter().map(|example| example.finding).collect()
    }
}

fn finding(
    requirement: &Requirement,
    verdict: Verdict,
    exchange: &Exchange,
    (miss, more): (Mismatch, usize),
    exchange_id: String,
    place: Option<(String, u32)>,
) -> Finding {
    let what = exchange.request.operation.clone().unwrap_or_else(|| {
        let path = exchange.request.path.split('?').next().unwrap_or_default();
        format!("{} {path}", exchange.request.method)
    });
    let places = match more {
        0 => String::new(),
        more => format!(" (at {} places)", more + 1),
    };
    let (file, line) =
        place.unwrap_or_else(|| ("spec/requirements.yaml".to_owned(), requirement.line));
    Finding {
        requirement: requirement.id.clone(),
        level: requirement.level,
        verdict,
        message: format!("{what}: {}{places}", miss.sentence()).into(),
        expected: miss.expected.into(),
        actual: miss.actual.into(),
        pointer: miss.place.into(),
        branch: None,
        exchange: Some(exchange_id),
        file,
        line,
        known: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::message::Request;
    use crate::model::reason::ReasonCode;
    use crate::requirements::Register;
    use crate::spec::Spec;
    use serde_json::{Value, json};
    use std::time::Duration;

    fn devices(body: &Value) -> Exchange {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Exchange {
            request: Request::new(Some("getDevices"), "GET", "/_matrix/client/v3/devices"),
            url: String::new(),
            sent_headers: Vec::new(),
            result: Ok(Response::new(200, headers, body.to_string().into_bytes(), false)),
            duration: Duration::ZERO,
            shared: false,
        }
    }

    #[test]
    fn everything_is_counted_and_a_few_examples_are_kept() {
        let (register, spec) = (Register::bundled().unwrap(), Spec::bundled_v1().unwrap());
        let listed = Listed::new(["v1.11"]);
        let context = Context { register: &register, spec: &spec, listed: &listed };
        let of = |owner: &str, devices: &[Exchange], stops: bool| {
            Tally::of(context, owner, devices, &|_| true, &|| stops)
        };
        let id = &register
            .requirement_for_violation("getDevices", 200, "/devices/*/device_id", "required")
            .unwrap()
            .id;
        let long = devices(&json!({"devices": vec![json!({}); 100_000]}));
        let shared = Exchange { shared: true, ..long.clone() };
        let mut tally = of("one", &[shared, long], false).unwrap();
        let short = devices(&json!({"devices": [{}, {"device_id": "A"}]}));
        tally.merge(of("two", std::slice::from_ref(&short), false).unwrap());
        let tallied = tally.take(id).unwrap();
        assert_eq!((tallied.count, tallied.observed), (100_001, 100_001));
        assert_eq!(tallied.verdict, Verdict::Failed);
        let findings = tallied.findings();
        assert_eq!(findings.len(), 1, "places of a kind are one finding");
        assert_eq!(&*findings[0].pointer, "/devices/*/device_id");
        assert!(findings[0].message.ends_with("(at 100000 places)"), "{}", findings[0].message);
        assert_eq!(findings[0].exchange.as_deref(), Some("one#2"));

        let many = devices(&json!({"devices": vec![0; 300_000]}));
        let mut tally = of("three", &[many], false).unwrap();
        let tallied = tally.take(id).unwrap();
        assert_eq!((tallied.verdict, tallied.count), (Verdict::Blocked, 0));
        assert_eq!(tallied.undecided.unwrap().code(), ReasonCode::TooLarge);
        assert!(of("four", &[short], true).is_none(), "nothing is judged after a signal");
    }

    #[test]
    fn the_reason_of_an_internal_error_outweighs_one_of_the_server() {
        let (register, listed) = (Register::bundled().unwrap(), Listed::new(["v1.11"]));
        let requirement = register.iter().next().unwrap();
        let open = |verdict: Verdict| Observation {
            requirement,
            miss: None,
            more: 0,
            undecided: Some(match verdict {
                Verdict::Errored => (verdict, Reason::Panic),
                _ => (verdict, Reason::NotExercised),
            }),
            warn_only: false,
            place: None,
        };
        let of = |verdicts: &[Verdict]| {
            let mut tally = Tally::default();
            let answer = devices(&json!({}));
            for verdict in verdicts {
                tally.add(open(*verdict), &listed, &answer, String::new);
            }
            tally
        };
        use Verdict::{Blocked, Errored};
        for order in [[Blocked, Errored], [Errored, Blocked]] {
            let mut merged = of(&order[..1]);
            merged.merge(of(&order[1..]));
            for mut tally in [of(&order), merged] {
                let tallied = tally.take(&requirement.id).unwrap();
                assert_eq!((tallied.verdict, tallied.undecided), (Errored, Some(Reason::Panic)));
            }
        }
    }

    #[test]
    fn a_finding_of_each_kind_is_kept_and_indices_make_no_kinds() {
        let (register, spec) = (Register::bundled().unwrap(), Spec::bundled_v1().unwrap());
        let listed = Listed::new(["v1.11"]);
        let context = Context { register: &register, spec: &spec, listed: &listed };
        let other = |operation: Option<&str>, path: &str| {
            let mut one = devices(&json!([]));
            one.request = Request::new(operation, "GET", path);
            one
        };
        // Beyond the examples of one kind, those of another operation are still kept.
        let mut all: Vec<Exchange> =
            (0..12).map(|n| other(Some("x"), &format!("/_matrix/client/v3/{n}"))).collect();
        all.push(other(None, "/_matrix/client/v3/named?secret=1"));
        let mut tally = Tally::of(context, "one", &all, &|_| true, &|| false).unwrap();
        let id = &register.rule(crate::requirements::Rule::JsonObject).unwrap().id;
        let tallied = tally.take(id).unwrap();
        assert_eq!((tallied.count, tallied.observed), (13, 13));
        let texts: Vec<String> =
            tallied.findings().iter().map(|finding| finding.message.to_string()).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(
            texts[0].starts_with("x: ") && texts[1].starts_with("GET /_matrix/client/v3/named: ")
        );
        for (pointer, plain) in [
            ("/devices/12/x", "/devices/*/x"),
            ("/a/1b/", "/a/1b/"),
            ("status", "status"),
            ("header X-1", "header X-1"),
            ("1/2", "1/2"),
        ] {
            assert_eq!(without_indices(pointer), plain);
        }
        assert_eq!(exchange_id("x", 0), "x#1");
        // Another message at the same place is none; there is an end of kinds.
        let mut number = other(Some("x"), "/_matrix/client/v3/0");
        number.result = devices(&json!(5)).result;
        let of = |all: &[Exchange]| {
            let mut tally = Tally::of(context, "one", all, &|_| true, &|| false).unwrap();
            tally.take(id).unwrap().findings().len()
        };
        assert_eq!(of(&[all[0].clone(), number]), 1);
        let many: Vec<Exchange> = (0..MOST_KINDS + 50)
            .map(|n| other(Some(&format!("x{n}")), "/_matrix/client/v3/0"))
            .collect();
        assert_eq!(of(&many), MOST_KINDS);
        // What is not the homeserver's is not looked at.
        let none = Tally::of(context, "one", &all, &|_| false, &|| true).unwrap();
        assert!(none.0.is_empty());
    }
}
