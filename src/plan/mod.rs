//! Planning: which cases run, in which order, on which accounts, and why the others do not. Pure.
//!
//! [`lint()`] needs no server and finds every fault that only shows when the case files, the
//! register and the specification are looked at together; [`plan`] needs the probe's [`Facts`].
mod accounts;
pub mod capabilities;
mod expand;
pub mod facts;
mod lint;
pub mod observers;
mod order;
pub mod presuppositions;
mod releases;
pub mod routes;
pub mod selection;
mod waits;

pub use accounts::{others, replaced};
pub use expand::expand;
pub use lint::lint;

use crate::case::ast::{Case, Each, Feature, Impact, Limits, Need, Step, StepTarget};
use crate::model::reason::Reason;
use crate::model::run::Verdict;
use crate::plan::facts::{AccountFacts, Allow, Facts};
use crate::requirements::Register;
use crate::spec::Spec;
use accounts::Permits;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A case with what is to become of it.
#[derive(Debug, Clone)]
pub struct PlannedCase {
    /// The case.
    pub case: Arc<Case>,
    /// Decision to run it, or not.
    pub disposition: Disposition,
}

/// A resource that one case uses at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// An account.
    Account(Slot),
    /// The user of the operator's application service, which all its cases share.
    Service,
    /// The rate limits, of which a case is the subject.
    Limits,
}

impl PlannedCase {
    /// Resources that no other case may use while it runs; none, if it does not run.
    pub fn claims(&self) -> BTreeSet<Claim> {
        let Disposition::Run(assignment) = &self.disposition else { return BTreeSet::new() };
        let serves = |need: &Need| matches!(need, Need::Operator(name) if name == "appservice");
        let service = self.case.needs.iter().any(serves).then_some(Claim::Service);
        let limits = (self.case.limits == Limits::Observe).then_some(Claim::Limits);
        let accounts = assignment.accounts.values().cloned().map(Claim::Account);
        accounts.chain(service).chain(limits).collect()
    }
}

/// Decision to run a case, or not.
#[derive(Debug, Clone, PartialEq)]
pub enum Disposition {
    /// It runs, with these accounts.
    Run(Assignment),
    /// It does not.
    Not(Verdict, Reason),
}

/// The accounts of a case.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Assignment {
    /// Which account stands behind each name.
    pub accounts: BTreeMap<String, Slot>,
    /// The names that need a shared session.
    pub sessions: Vec<String>,
}

/// Which account a case uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// The n-th account for ordinary use: one that was given, or one that was made beside those.
    Main(usize),
    /// The one that wrong passwords are tried on.
    WrongPassword,
    /// One made for a single case: its place in the plan, and the name it has there.
    Fresh(usize, String),
    /// One made for a case in the place of another that a rate limit stopped: the case, the name it
    /// has there, and its number.
    Replacement(String, String, u32),
}

/// The cases of a run, in order.
#[derive(Debug, Clone)]
pub struct Plan {
    /// In the order of the reports.
    pub cases: Vec<PlannedCase>,
    /// Indices of the cases that run, phase by phase: a phase begins when the one before is over.
    pub phases: Vec<Vec<usize>>,
}

impl Plan {
    /// The case in this place with its accounts, if it is to run.
    pub fn to_run(&self, index: usize) -> Option<(&PlannedCase, &Assignment)> {
        let planned = self.cases.get(index)?;
        match &planned.disposition {
            Disposition::Run(assignment) => Some((planned, assignment)),
            Disposition::Not(..) => None,
        }
    }

    /// Upper bound of requests of cases that count as logins; those of rate limiting apart.
    pub fn logins(&self) -> usize {
        self.running().filter(|case| case.limits == Limits::Wait).map(Case::logins).sum()
    }

    /// Upper bound of requests of the cases.
    pub fn requests(&self) -> usize {
        self.running().flat_map(Case::all_steps).map(Step::times).sum()
    }

    fn running(&self) -> impl Iterator<Item = &Case> {
        (0..self.cases.len()).filter_map(|at| self.to_run(at)).map(|(planned, _)| &*planned.case)
    }

    fn slots(&self) -> BTreeSet<&Slot> {
        let running = (0..self.cases.len()).filter_map(|at| self.to_run(at));
        running.flat_map(|(_, assignment)| assignment.accounts.values()).collect()
    }

    /// Which of the accounts that were given it uses, by index.
    pub fn given_in_use(&self, accounts: &AccountFacts) -> BTreeSet<usize> {
        let index = |slot: &Slot| match slot {
            Slot::Main(index) if *index < accounts.given.len() => Some(*index),
            Slot::Main(_) | Slot::WrongPassword | Slot::Fresh(..) | Slot::Replacement(..) => None,
        };
        self.slots().into_iter().filter_map(index).collect()
    }

    /// Returns true if a case that is not skipped needs an account.
    pub fn needs_accounts(&self) -> bool {
        let is_skipped = |planned: &&PlannedCase| {
            matches!(planned.disposition, Disposition::Not(Verdict::Skipped, _))
        };
        let cases = self.cases.iter().filter(|planned| !is_skipped(planned));
        cases.flat_map(|planned| &planned.case.needs).any(|need| need.account().is_some())
    }

    /// Upper bound of accounts that are created.
    pub fn accounts(&self) -> usize {
        self.slots().len()
    }
}

/// Makes a plan of the selected cases.
pub fn plan(selected: &[&Arc<Case>], register: &Register, spec: &Spec, facts: &Facts) -> Plan {
    let expanded: Vec<Arc<Case>> =
        selected.iter().flat_map(|case| expand(case, spec, facts)).collect();
    let expanded: Vec<Arc<Case>> =
        expanded.into_iter().map(|case| observers::adapted(case, facts)).collect();
    let mut permits = Permits::of(&facts.accounts);
    // The few wrong passwords that an account in use may see go to rules of security first.
    let (first, others): (Vec<_>, Vec<_>) = expanded
        .iter()
        .enumerate()
        .partition(|(_, case)| case.impact == Impact::LocksOut && is_of_security(case, register));
    let dispositions: BTreeMap<usize, Disposition> = first
        .into_iter()
        .chain(others)
        .map(|(index, case)| (index, disposition(case, index, register, spec, facts, &mut permits)))
        .collect();
    let cases: Vec<PlannedCase> = expanded
        .iter()
        .zip(dispositions.into_values())
        .map(|(case, disposition)| PlannedCase { case: case.clone(), disposition })
        .collect();
    let phases = order::phases(&cases, register);
    Plan { cases, phases }
}

/// Returns true if the case decides a requirement whose breach lets somebody in.
fn is_of_security(case: &Case, register: &Register) -> bool {
    case.checks.iter().filter_map(|id| register.get(id)).any(|requirement| requirement.security)
}

/// Returns true if a case needs an account, or a feature that only an account shows.
pub fn asks_for_session(case: &Case) -> bool {
    let asks = |need: &Need| match need {
        Need::Account { .. } | Need::Session(_) | Need::Capability(_) => true,
        Need::Feature(feature) => matches!(
            feature,
            Feature::Refresh
                | Feature::UiaPassword
                | Feature::GetToken
                | Feature::NoGetToken
                | Feature::GetTokenDenied
        ),
        // The token of registration is proven by the first account that it makes.
        Need::Operator(name) => name == "registration",
        Need::Flow(_) | Need::Version(_) | Need::Before(_) => false,
    };
    // Which operations there are to be asked depends on what the account may do.
    case.each == Some(Each::Operations) || case.needs.iter().any(asks)
}

fn disposition(
    case: &Case,
    index: usize,
    register: &Register,
    spec: &Spec,
    facts: &Facts,
    permits: &mut Permits,
) -> Disposition {
    let skip = |reason| Disposition::Not(Verdict::Skipped, reason);
    let applies = |id: &String| register.get(id).is_some_and(|r| r.applies(&facts.listed));
    if !case.checks.iter().any(applies) {
        return skip(Reason::NothingInRange);
    }
    if let Some(operation) = missing_operation(case, spec) {
        return skip(Reason::NotInSpec { operation: operation.to_owned() });
    }
    if let Some(wanted) = releases::needed(case, spec).filter(|r| !facts.listed.has_at_least(*r)) {
        return skip(Reason::ReleaseTooOld { wanted: wanted.to_string() });
    }
    for need in &case.needs {
        if let Some(disposition) = unmet(need, facts) {
            return disposition;
        }
    }
    if let Some(each) = case.each {
        return skip(Reason::NotOffered(nothing_of(each).to_owned()));
    }
    if case.limits == Limits::Observe && !facts.allowed.contains(&Allow::RateLimit) {
        return skip(Reason::BurstNotAllowed);
    }
    if let Some(reason) = waits::in_vain(case, facts) {
        return skip(reason);
    }
    accounts::assign(case, index, facts, permits)
}

fn nothing_of(each: Each) -> &'static str {
    match each {
        Each::Operations => "the specification files have no operation for it",
        Each::IdentityProviders => "the server lists no identity providers",
        Each::ProviderIcons => "the server lists no identity provider with an icon",
    }
}

fn missing_operation<'c>(case: &'c Case, spec: &Spec) -> Option<&'c str> {
    case.all_steps().find_map(|step| match &step.target {
        StepTarget::Call(id) if spec.operation(id).is_none() => Some(id.as_str()),
        _ => None,
    })
}

fn unmet(need: &Need, facts: &Facts) -> Option<Disposition> {
    let skip = |reason| Some(Disposition::Not(Verdict::Skipped, reason));
    let not_offered = |why| skip(Reason::NotOffered(why));
    match need {
        Need::Flow(flow) if !facts.flows.contains(flow) => {
            not_offered(format!("the server does not offer the login type {flow}"))
        }
        Need::Version(version) if !facts.listed.has_at_least(*version) => {
            skip(Reason::ReleaseTooOld { wanted: version.to_string() })
        }
        Need::Before(version) if facts.listed.has_at_least(*version) => {
            skip(Reason::ReleaseTooNew { before: version.to_string() })
        }
        Need::Capability(name) if facts.capabilities.get(name) != Some(&true) => {
            unseen(facts).or_else(|| not_offered(format!("/capabilities does not enable {name}")))
        }
        Need::Feature(Feature::LoginToken) if takes_login_tokens(facts) => None,
        Need::Feature(feature @ Feature::Registration) if !facts.features.contains(feature) => {
            let why = feature_in_words(*feature).to_owned();
            skip(Reason::AccountNotProvided { kind: feature.as_str().to_owned(), why })
        }
        Need::Feature(feature) if !facts.features.contains(feature) => {
            let by_session = matches!(feature, Feature::Refresh | Feature::UiaPassword);
            let unseen = if by_session { unseen(facts) } else { None };
            unseen.or_else(|| not_offered(feature_in_words(*feature).to_owned()))
        }
        Need::Operator(name) if !facts.operator.contains(name) => {
            skip(Reason::OperatorNotProvided { name: name.clone() })
        }
        _ => None,
    }
}

fn takes_login_tokens(facts: &Facts) -> bool {
    let is_listed = facts.flows.iter().any(|flow| flow == "m.login.token");
    is_listed || facts.features.contains(&Feature::LoginToken)
}

/// A feature that needs a session is unknown where there was none: that blocks, and does not skip.
fn unseen(facts: &Facts) -> Option<Disposition> {
    facts.no_session.clone().map(|reason| Disposition::Not(Verdict::Blocked, reason))
}

fn feature_in_words(feature: Feature) -> &'static str {
    match feature {
        Feature::Legacy => "the server does not offer the legacy login API",
        Feature::NoLegacy => "the server offers the legacy login API",
        Feature::Oauth => "the server does not offer the OAuth 2.0 API",
        Feature::Refresh => "the login returned no refresh token",
        Feature::GetToken => "the server does not offer POST /login/get_token",
        Feature::LoginToken => "the server does not offer the login type m.login.token",
        Feature::NoGetToken => "the server offers POST /login/get_token",
        Feature::GetTokenDenied => "the account may ask for login tokens",
        Feature::UiaPassword => "no interactive auth with a password stage was seen",
        Feature::IdentityProviders => "the server lists no identity providers",
        Feature::OauthAware => "the server does not prefer its SSO login for OAuth-aware clients",
        Feature::Registration => {
            "it registers accounts of its own: this needs --register open or --registration-token-file"
        }
    }
}

#[cfg(test)]
mod tests;
