//! Presuppositions: the requirements that must hold before a request can be answered as its case
//! expects, computed from the steps; none is declared. Pure, and the same for every server.
//!
//! Of two requirements that may each be broken because of the other, the graph has the edge to the more
//! basic one ([`Basis`]), so that it ends. [`crate::check::cause`] finds out for one run which
//! requirements are broken, and so which of two came first.
use crate::case::ast::{Auth, Body, Case, Need, Step, StepTarget};
use crate::case::suite::Suite;
use crate::requirements::Register;
use crate::requirements::basic::{
    Basis, DEPRECATED_USER, FULL_ID, LOCALPART, TOKEN_IN_HEADER, TOKEN_IN_QUERY,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Something that must hold before a request can be answered as expected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Presupposition {
    /// Id of the requirement that says so.
    pub requirement: String,
    /// A few words, e.g. `getDevices works`.
    #[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "`explain` shows it"))]
    pub about: String,
}

/// A part of a case with what it presupposes.
#[derive(Debug, Clone)]
pub struct Part<'c> {
    /// The step; nothing for the shared sessions that a case needs.
    #[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "`explain` shows it"))]
    pub step: Option<&'c Step>,
    /// What it presupposes, the most basic first.
    pub presuppositions: Vec<Presupposition>,
}

/// The parts of a case that presuppose something, in the order in which they happen.
pub fn of_case<'c>(case: &'c Case, register: &Register) -> Vec<Part<'c>> {
    parts(case, case.all_steps(), register)
}

/// The ids of all requirements that a case presupposes.
pub fn ids(case: &Case, register: &Register) -> BTreeSet<String> {
    requirements(of_case(case, register))
}

/// The parts of a case up to the last step that decides a requirement, for what comes later does not
/// change that decision. Only requirements that are more basic than the decided one count.
pub fn of_decision<'c>(case: &'c Case, requirement: &str, register: &Register) -> Vec<Part<'c>> {
    let decides = |step: &Step| step.blocks.iter().any(|block| block.req == requirement);
    let decisive = case.steps.iter().rposition(decides);
    let last = decisive.map_or(case.steps.len(), |at| at + 1);
    let steps = case.setup.iter().chain(case.steps.iter().take(last));
    let mut parts = parts(case, steps, register);
    for part in &mut parts {
        part.presuppositions.retain(|one| is_edge(requirement, &one.requirement, register));
    }
    parts.retain(|part| !part.presuppositions.is_empty());
    parts
}

/// Returns true if a requirement may hang on another one. Operations hang on each other as their cases
/// use them.
fn is_edge(requirement: &str, basic: &str, register: &Register) -> bool {
    let (own, other) = (register.basis(requirement), register.basis(basic));
    requirement != basic && (other < own || own == Basis::Operation && other == own)
}

fn parts<'c>(
    case: &Case,
    steps: impl Iterator<Item = &'c Step>,
    register: &Register,
) -> Vec<Part<'c>> {
    let of_steps = steps.map(|step| Part {
        step: Some(step),
        presuppositions: named(of_step(step, case), register),
    });
    let mut all: Vec<Part<'c>> = of_sessions(case, register).into_iter().chain(of_steps).collect();
    all.retain(|part| !part.presuppositions.is_empty());
    all
}

/// A shared session is a login whose token is sent in the header.
fn of_sessions<'c>(case: &Case, register: &Register) -> Option<Part<'c>> {
    let needs_session = case.needs.iter().any(|need| matches!(need, Need::Session(_)));
    let all = vec![operation("login"), token(TOKEN_IN_HEADER)];
    needs_session.then(|| Part { step: None, presuppositions: named(all, register) })
}

/// What a request rests on, before the register says which requirement that is.
enum Ground<'c> {
    Requirement(&'static str, &'static str),
    Operation(&'c str),
}

fn operation(id: &str) -> Ground<'_> {
    Ground::Operation(id)
}

fn token(requirement: &'static str) -> Ground<'static> {
    let about = match requirement {
        TOKEN_IN_QUERY => "the token is read from the query",
        _ => "the token is read from the header",
    };
    Ground::Requirement(requirement, about)
}

fn of_step<'c>(step: &'c Step, case: &Case) -> Vec<Ground<'c>> {
    let StepTarget::Call(called) = &step.target else { return Vec::new() };
    let mut all = Vec::new();
    if called == "login" {
        all.extend(spelling(step, case));
    }
    match &step.auth {
        Auth::Bearer(_) => all.push(token(TOKEN_IN_HEADER)),
        Auth::Query(_) => all.push(token(TOKEN_IN_QUERY)),
        Auth::None | Auth::Raw(_) => {}
    }
    all.push(operation(called));
    all
}

/// How a password login names its user, where the case itself says it; the name of an account that
/// proved itself is spelled as the server took it.
fn spelling(step: &Step, case: &Case) -> Vec<Ground<'static>> {
    let Body::Json(body) = &step.body else { return Vec::new() };
    let body = resolved(body, case, 0);
    if body.get("type").is_none_or(|kind| kind != "m.login.password") {
        return Vec::new();
    }
    let identifier = body.pointer("/identifier/user").and_then(Value::as_str);
    let deprecated = body.get("user").and_then(Value::as_str);
    let form = identifier.or(deprecated).and_then(form);
    let by_member = deprecated.filter(|_| identifier.is_none());
    let by_member = by_member
        .map(|_| Ground::Requirement(DEPRECATED_USER, "a login with the deprecated member user"));
    form.into_iter().chain(by_member).collect()
}

fn form(user: &str) -> Option<Ground<'static>> {
    let is_localpart = user.starts_with('$') && user.ends_with(".localpart");
    let is_full = user.starts_with('$') && user.ends_with(".user_id");
    match (is_localpart, is_full) {
        (true, _) => Some(Ground::Requirement(LOCALPART, "a login by localpart")),
        (_, true) => Some(Ground::Requirement(FULL_ID, "a login by full id")),
        (false, false) => None,
    }
}

/// A value with the case's own values in place of the names of these.
fn resolved(value: &Value, case: &Case, depth: usize) -> Value {
    const DEEPEST: usize = 8;
    let again = |value: &Value| resolved(value, case, depth + 1);
    match value {
        _ if depth == DEEPEST => value.clone(),
        Value::String(text) => {
            let name = text.strip_prefix('$');
            let known = name.and_then(|name| case.values.iter().find(|(known, _)| known == name));
            known.map_or_else(|| value.clone(), |(_, known)| again(known))
        }
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), again(value))).collect()
        }
        _ => value.clone(),
    }
}

/// The requirements of the register behind these, the most basic first, each once.
fn named(grounds: Vec<Ground<'_>>, register: &Register) -> Vec<Presupposition> {
    let mut all: Vec<Presupposition> = Vec::new();
    for ground in grounds {
        match ground {
            Ground::Requirement(id, about) => {
                let known = register.get(id).map(|one| one.id.clone());
                all.extend(known.map(|requirement| new(requirement, about.to_owned())));
            }
            Ground::Operation(operation) => {
                let works = register.works(operation);
                all.extend(works.map(|id| new(id.to_owned(), format!("{operation} works"))));
            }
        }
    }
    all.sort_by_key(|one| register.basis(&one.requirement));
    all.dedup();
    all
}

fn new(requirement: String, about: String) -> Presupposition {
    Presupposition { requirement, about }
}

fn requirements(parts: Vec<Part<'_>>) -> BTreeSet<String> {
    let all = parts.into_iter().flat_map(|part| part.presuppositions);
    all.map(|one| one.requirement).collect()
}

/// Which requirement presupposes which, over all cases of a suite.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    edges: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// The graph of a suite.
    pub fn of(suite: &Suite, register: &Register) -> Graph {
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for case in suite.cases() {
            for id in &case.checks {
                let basic = requirements(of_decision(case, id, register));
                edges.entry(id.clone()).or_default().extend(basic);
            }
        }
        Graph { edges }
    }

    /// What a requirement presupposes at once.
    pub fn of_requirement(&self, id: &str) -> impl Iterator<Item = &str> {
        self.edges.get(id).into_iter().flatten().map(String::as_str)
    }

    /// What requirements presuppose, and what that presupposes, down to the roots; in alphabetical
    /// order.
    pub fn closure<'g>(&'g self, ids: impl IntoIterator<Item = &'g str>) -> BTreeSet<&'g str> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&str> = ids.into_iter().collect();
        while let Some(id) = open.pop() {
            open.extend(self.of_requirement(id).filter(|basic| found.insert(*basic)));
        }
        found
    }
}

fn calls(case: &Case, operation: &str) -> bool {
    let mut steps = case.all_steps();
    steps.any(|step| matches!(&step.target, StepTarget::Call(called) if called == operation))
}

/// How many cases show whether one requirement holds.
const ENOUGH: usize = 2;

/// The cases that show whether what requirements presuppose holds: for each presupposed requirement a
/// few of `others` that decide it, and a few that call its operation, for once is no proof. The most
/// harmless and cheapest first, and none that does more harm than the cases that were `asked` for.
pub(super) fn evidence<'s>(
    suite: &Suite,
    register: &Register,
    asked: &[&Arc<Case>],
    others: &[&'s Arc<Case>],
    requirements: &BTreeSet<&str>,
) -> Vec<&'s Arc<Case>> {
    let graph = Graph::of(suite, register);
    let harm = |case: &Arc<Case>| (case.phase(), case.impact);
    let Some(most) = asked.iter().map(|case| harm(case)).max() else { return Vec::new() };
    let mut permitted: Vec<&Arc<Case>> = others.to_vec();
    permitted.retain(|case| harm(case) <= most);
    permitted.sort_by_key(|case| (harm(case), case.logins()));
    let decides = |case: &Arc<Case>, id: &str| case.checks.iter().any(|decided| decided == id);
    let of_cases: BTreeSet<String> = asked.iter().flat_map(|case| ids(case, register)).collect();
    let direct: BTreeSet<&str> = of_cases.iter().map(String::as_str).collect();
    let mut basic = graph.closure(requirements.iter().chain(&direct).copied());
    basic.extend(direct);
    let of_one = |id: &str| {
        let decided = asked.iter().filter(|case| decides(case, id)).count();
        let more = permitted.iter().filter(|case| decides(case, id)).copied();
        more.take(ENOUGH.saturating_sub(decided)).collect::<Vec<_>>()
    };
    let mut chosen: Vec<&'s Arc<Case>> = basic.iter().copied().flat_map(of_one).collect();
    let operations = basic.iter().chain(requirements).filter_map(|id| register.get(id));
    for operation in operations.filter_map(|one| one.works.as_deref()) {
        let seen = asked.iter().chain(&chosen).filter(|case| calls(case, operation)).count();
        let others = permitted.iter().filter(|case| calls(case, operation));
        let more: Vec<_> = others.take(ENOUGH.saturating_sub(seen)).copied().collect();
        chosen.extend(more);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundled() -> (Suite, Register) {
        (Suite::bundled().unwrap(), Register::bundled().unwrap())
    }

    /// A requirement that presupposes itself by way of others, if there is one.
    fn cycle(graph: &Graph) -> Option<&str> {
        let mut ids = graph.edges.keys().map(String::as_str);
        ids.find(|id| graph.closure([*id]).contains(id))
    }

    #[test]
    fn the_graph_has_no_cycle() {
        let (suite, register) = bundled();
        let graph = Graph::of(&suite, &register);
        assert_eq!(cycle(&graph), None);
    }

    #[test]
    fn a_cycle_is_found() {
        let edge = |from: &str, to: &str| (from.to_owned(), BTreeSet::from([to.to_owned()]));
        let edges = BTreeMap::from([edge("a", "b"), edge("b", "c"), edge("c", "b")]);
        assert_eq!(cycle(&Graph { edges }), Some("b"));
    }

    #[test]
    fn what_steps_presuppose_is_computed() {
        let (suite, register) = bundled();
        let graph = Graph::of(&suite, &register);
        let of = |id: &str| graph.of_requirement(id).collect::<Vec<_>>();
        assert_eq!(of("login.password.localpart"), [] as [&str; 0]);
        assert_eq!(of("token.header"), ["login.post.ok.status"]);
        assert_eq!(of("login.legacy.user"), ["login.password.localpart", "login.password.mxid"]);
        let devices = graph.closure(["device.list.current"]);
        assert!(devices.contains("token.header") && devices.contains("login.post.ok.status"));
        assert!(graph.closure(["logout.device_gone"]).contains("device.list.current"));
        assert!(graph.closure(["versions.get.ok"]).is_empty());
    }
}
