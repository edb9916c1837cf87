//! Planning: which cases run, in which order, on which accounts, and why the others do not. Pure.
//!
//! [`lint`] needs no server and finds every fault that only shows when the case files, the
//! register and the specification are looked at together; [`plan`] needs the probe's [`Facts`].
pub mod capabilities;
pub mod facts;
pub mod routes;
pub mod selection;

use crate::case::ast::{
    Act, Block, Body, Case, Each, Feature, Impact, Limits, Need, Phase, Step, Target,
};
use crate::case::suite::Suite;
use crate::http::supplied_accounts::WRONG_PASSWORDS;
use crate::model::reason::Reason;
use crate::model::release::SpecVersion;
use crate::model::run::{Level, Verdict};
use crate::plan::facts::{AccountFacts, Allow, Facts, Given};
use crate::requirements::Register;
use crate::spec::{Operation, Spec};
use crate::yaml::diagnostic::{Diagnostic, did_you_mean};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A case with what is to become of it.
#[derive(Debug, Clone)]
pub struct PlannedCase {
    /// The case.
    pub case: Arc<Case>,
    /// What is to become of it.
    pub disposition: Disposition,
}

/// What one case uses at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// An account.
    Account(Slot),
    /// The user of the operator's application service, which all its cases share.
    Service,
}

impl PlannedCase {
    /// What no other case may use while it runs; nothing, if it does not run.
    pub fn claims(&self) -> BTreeSet<Claim> {
        let Disposition::Run(assignment) = &self.disposition else { return BTreeSet::new() };
        let serves = |need: &Need| matches!(need, Need::Operator(name) if name == "appservice");
        let service = self.case.needs.iter().any(serves).then_some(Claim::Service);
        assignment.accounts.values().cloned().map(Claim::Account).chain(service).collect()
    }
}

/// What is to become of a case.
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
}

/// What a run does, in which order.
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

    /// How many requests of cases count as logins at most; those of rate limiting apart.
    pub fn logins(&self) -> usize {
        self.running().filter(|case| case.limits == Limits::Wait).map(Case::logins).sum()
    }

    /// How many requests the cases send at most.
    pub fn requests(&self) -> usize {
        self.running().flat_map(Case::all_steps).map(Step::times).sum()
    }

    fn running(&self) -> impl Iterator<Item = &Case> {
        let running = self.cases.iter().filter(|p| matches!(p.disposition, Disposition::Run(_)));
        running.map(|planned| &*planned.case)
    }

    /// Which of the accounts that were given it uses, by index.
    pub fn given_in_use(&self, accounts: &AccountFacts) -> BTreeSet<usize> {
        let assigned = self.cases.iter().filter_map(|planned| match &planned.disposition {
            Disposition::Run(assignment) => Some(assignment.accounts.values()),
            Disposition::Not(..) => None,
        });
        let index = |slot: &Slot| match slot {
            Slot::Main(index) if *index < accounts.given.len() => Some(*index),
            Slot::Main(_) | Slot::WrongPassword | Slot::Fresh(..) => None,
        };
        assigned.flatten().filter_map(index).collect()
    }

    /// Whether a case that is not skipped needs an account.
    pub fn needs_accounts(&self) -> bool {
        let is_skipped = |planned: &&PlannedCase| {
            matches!(planned.disposition, Disposition::Not(Verdict::Skipped, _))
        };
        let cases = self.cases.iter().filter(|planned| !is_skipped(planned));
        cases.flat_map(|planned| &planned.case.needs).any(|need| need.account().is_some())
    }

    /// How many accounts it makes at most.
    pub fn accounts(&self) -> usize {
        let slots: BTreeSet<&Slot> = self
            .cases
            .iter()
            .filter_map(|planned| match &planned.disposition {
                Disposition::Run(assignment) => Some(assignment.accounts.values()),
                Disposition::Not(..) => None,
            })
            .flatten()
            .collect();
        slots.len()
    }
}

/// Every fault of the case files that shows only beside the register and the specification.
pub fn lint(suite: &Suite, register: &Register, specs: &[&Spec]) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    let mut first: BTreeMap<&str, &Case> = BTreeMap::new();
    for case in suite.cases() {
        let Some(document) = suite.document(case) else { continue };
        if let Some(other) = first.insert(case.id.as_str(), case) {
            let fault = Diagnostic::at(document, &case.pointer, "a case id that exists already")
                .with_help(format!("`{}` is also in {}:{}", case.id, other.file, other.line));
            faults.push(fault);
        }
        let mut at = |pointer: &str, message: String, help: Option<String>| {
            let fault = Diagnostic::at(document, pointer, message);
            // What several rows use is wrong once.
            if !faults.iter().any(|known: &Diagnostic| known.says_the_same(&fault)) {
                faults.push(match help {
                    Some(help) => fault.with_help(help),
                    None => fault,
                });
            }
        };
        lint_case(case, register, specs, &mut at);
    }
    faults
}

type Report<'a> = dyn FnMut(&str, String, Option<String>) + 'a;

fn lint_case(case: &Case, register: &Register, specs: &[&Spec], fault: &mut Report<'_>) {
    for (index, id) in case.checks.iter().enumerate() {
        if register.get(id).is_none() {
            let help = register.closest(id).map(|near| format!("did you mean `{near}`?"));
            let pointer = case.pointer.split("/each/").next().unwrap_or_default();
            let place = format!("{pointer}/checks/{index}");
            fault(&place, format!("`{id}` is not in the register"), help);
        }
    }
    for block in case.steps.iter().flat_map(|step| &step.blocks) {
        lint_block(block, register, fault);
    }
    for step in case.all_steps() {
        match step.target {
            Target::Operator(act) => lint_act(case, step, act, fault),
            Target::Call(_) | Target::Raw { .. } => lint_step(step, specs, fault),
        }
    }
    lint_controls(case, fault);
    let uses = |impact| {
        matches!(impact, Impact::EndsSessions | Impact::Destroys)
            && case.needs.iter().any(|need| matches!(need, Need::Account { disposable: false, .. }))
    };
    if uses(case.impact) {
        fault(
            &case.pointer,
            format!("impact {} needs disposable accounts", case.impact),
            Some("write `account NAME disposable`".to_owned()),
        );
    }
}

/// A refusal says something only beside its positive control: what is sent was known to be good but
/// for the one thing that is wrong. Accounts get a good login before they are refused one
/// ([`Case::wants_proof_of`]); what is left to the file is that wrong passwords are tried on an
/// account and counted, and that what an earlier step saved is what that step was to bring.
fn lint_controls(case: &Case, fault: &mut Report<'_>) {
    let accounts: Vec<&str> = case.needs.iter().filter_map(Need::account).collect();
    if case.impact == Impact::LocksOut && accounts.is_empty() {
        let why = "impact locks-out needs an account: a wrong secret of nobody shows nothing";
        let help = "add `account alice` to `needs`";
        fault(&case.pointer, why.to_owned(), Some(help.to_owned()));
    }
    for step in case.all_steps().filter(|step| tries_wrong_password(case, step, &accounts)) {
        if case.impact < Impact::LocksOut {
            let why = "a wrong password on a known account, which may lock it";
            let help = "write `impact: locks-out`: a good login there is its positive control";
            fault(&step.pointer, why.to_owned(), Some(help.to_owned()));
        }
    }
    for (step, name) in uncontrolled(case) {
        let why =
            format!("the refusal has no positive control: `${name}` may never have been good");
        let help = "let the step that saves it expect a status, such as `status: 200`";
        fault(&step.pointer, why, Some(help.to_owned()));
    }
}

/// The steps that must be refused what they send, with the names of what was saved from an answer
/// that may have been a refusal itself.
fn uncontrolled(case: &Case) -> Vec<(&Step, &str)> {
    let mut unsure: BTreeSet<&str> = BTreeSet::new();
    let mut found = Vec::new();
    for step in case.all_steps() {
        if step.must_be_refused() {
            let sent = case.sent(step);
            found.extend(
                unsure.iter().filter(|name| sent.contains(**name)).map(|name| (step, *name)),
            );
        }
        for (name, _) in &step.save {
            // A challenge of interactive auth is a refusal, and saved from as one.
            match step.must_succeed() || step.must_be_refused() {
                true => unsure.remove(name.as_str()),
                false => unsure.insert(name),
            };
        }
    }
    found
}

/// Whether a step sends a wrong form of an account's password, or logs in as an account of the case
/// with a password that the case did not give it.
fn tries_wrong_password(case: &Case, step: &Step, accounts: &[&str]) -> bool {
    const WRONG: [&str; 2] = ["password_other_case", "password_shortened"];
    const GIVING: [&str; 2] = ["register", "changePassword"];
    let member = |name: &String| {
        let (account, member) = name.split_once('.')?;
        accounts.contains(&account).then(|| member.to_owned())
    };
    let sent = case.sent(step);
    if sent.iter().filter_map(member).any(|member| WRONG.contains(&member.as_str())) {
        return true;
    }
    let Body::Json(body) = &step.body else { return false };
    let by_password = body.get("type").is_some_and(|name| name == "m.login.password");
    let Some(password) = body.get("password").filter(|_| by_password && step.is_login()) else {
        return false;
    };
    let user = body.get("identifier").or_else(|| body.get("user"));
    let is_known =
        user.is_some_and(|user| case.names_in(user).iter().any(|name| member(name).is_some()));
    let behind = case.names_in(password);
    let is_made_up = behind.is_empty() || behind.iter().any(|name| name.starts_with("new."));
    let gives =
        |step: &Step| matches!(&step.target, Target::Call(id) if GIVING.contains(&id.as_str()));
    is_known && is_made_up && !case.all_steps().any(gives)
}

fn lint_block(block: &Block, register: &Register, fault: &mut Report<'_>) {
    let Some(requirement) = register.get(&block.req) else { return };
    if requirement.level != block.level {
        let keyword = block.level.as_str().to_ascii_lowercase();
        fault(
            &block.pointer,
            format!("`{keyword}` decides `{}`, which is a {}", block.req, requirement.level),
            Some(format!("spec/requirements.yaml:{} has its level", requirement.line)),
        );
    }
}

fn lint_step(step: &Step, specs: &[&Spec], fault: &mut Report<'_>) {
    let Target::Call(id) = &step.target else { return };
    let known: Vec<_> = specs.iter().filter_map(|spec| spec.operation(id)).collect();
    let Some(operation) = known.first() else {
        let all = specs.iter().flat_map(|spec| spec.operations()).map(|o| o.id.as_str());
        let help = did_you_mean(id, all).map(|near| format!("did you mean `{near}`?"));
        return fault(
            &format!("{}/call", step.pointer),
            format!("no operation `{id}` in the specification files"),
            help,
        );
    };
    let wanted = names_in(&operation.path);
    for name in &wanted {
        if !step.params.iter().any(|(given, _)| given == name) {
            fault(
                &step.pointer,
                format!("`{id}` needs `{name}` for its path {}", operation.path),
                Some("give it under `params`".to_owned()),
            );
        }
    }
    for (given, _) in &step.params {
        if !wanted.contains(given) {
            let help = did_you_mean(given, wanted.iter().map(String::as_str))
                .map(|near| format!("did you mean `{near}`?"));
            let place = format!("{}/params", step.pointer);
            fault(&place, format!("`{given}` is not in the path {}", operation.path), help);
        }
    }
}

/// What an operator does is asked for in `needs`, and told what it has to know.
fn lint_act(case: &Case, step: &Step, act: Act, fault: &mut Report<'_>) {
    let name = act.as_str();
    if !case.needs.contains(&Need::Operator(name.to_owned())) {
        let help = format!("add `operator {name}` to `needs`");
        fault(&step.pointer, format!("not every operator can {name}"), Some(help));
    }
    let given: Vec<&str> = step.params.iter().map(|(name, _)| name.as_str()).collect();
    if given.len() != act.params().len() || !act.params().iter().all(|name| given.contains(name)) {
        let help = format!("give these under `params`: {}", act.params().join(", "));
        fault(&step.pointer, format!("`{name}` is not told what it needs"), Some(help));
    }
}

/// The `{names}` of a path.
fn names_in(path: &str) -> Vec<String> {
    path.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}').map(|(name, _)| name.to_owned()))
        .collect()
}

/// Makes a plan of the selected cases.
pub fn plan(selected: &[&Arc<Case>], register: &Register, spec: &Spec, facts: &Facts) -> Plan {
    let expanded: Vec<Arc<Case>> =
        selected.iter().flat_map(|case| expand(case, spec, facts)).collect();
    let mut permits = Permits::of(&facts.accounts);
    let mut cases: Vec<PlannedCase> = Vec::new();
    for (index, case) in expanded.into_iter().enumerate() {
        let disposition = disposition(&case, index, register, spec, facts, &mut permits);
        cases.push(PlannedCase { case, disposition });
    }
    let phases = phases(&cases, register);
    Plan { cases, phases }
}

/// Whether a case needs an account, or something of the server that only an account shows.
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

/// A row of each thing that a case asks for, by its name and its values; none where it asks for none.
type Rows = Vec<(String, Vec<(&'static str, String)>)>;

/// A case for each operation that is to be expected of this server, or for each identity provider of
/// it, where it asks for that; else, or if there are none, the case itself.
pub fn expand(case: &Arc<Case>, spec: &Spec, facts: &Facts) -> Vec<Arc<Case>> {
    let rows = match case.each {
        None => Rows::new(),
        Some(Each::Operations) => operation_rows(spec, facts),
        // Named by number: what a server calls them is no name for a case.
        Some(Each::IdentityProviders) => {
            numbered("provider", facts.providers.iter().map(|provider| provider.id.clone()))
        }
        Some(Each::ProviderIcons) => {
            numbered("media", facts.providers.iter().filter_map(|provider| provider.icon.clone()))
        }
    };
    if rows.is_empty() {
        return vec![case.clone()];
    }
    let row = |(name, values): (String, Vec<(&str, String)>)| {
        let mut row = Case { id: format!("{}[{name}]", case.id), each: None, ..(**case).clone() };
        for (name, value) in values {
            let name = format!("row.{name}");
            row.values.retain(|(known, _)| *known != name);
            row.values.push((name, Value::String(value)));
        }
        Arc::new(row)
    };
    rows.into_iter().map(row).collect()
}

fn numbered(value: &'static str, all: impl Iterator<Item = String>) -> Rows {
    all.enumerate().map(|(at, one)| ((at + 1).to_string(), vec![(value, one)])).collect()
}

fn operation_rows(spec: &Spec, facts: &Facts) -> Rows {
    let mut operations: Vec<_> =
        spec.operations().filter(|operation| is_offered(operation, facts)).collect();
    operations.sort_by(|a, b| a.id.cmp(&b.id));
    operations
        .into_iter()
        .map(|operation| {
            let mut path = operation.path.clone();
            for name in names_in(&operation.path) {
                path = path.replace(&format!("{{{name}}}"), "homespec");
            }
            let values = vec![
                ("operation", operation.id.clone()),
                ("method", operation.method.clone()),
                ("path", path),
            ];
            (operation.id.clone(), values)
        })
        .collect()
}

/// Whether an operation is to be expected of this server: part of a release that it lists, and
/// not one of the optional ones that the probe did not see.
fn is_offered(operation: &Operation, facts: &Facts) -> bool {
    let release = operation.added_in.as_deref().and_then(|v| SpecVersion::parse(&format!("v{v}")));
    let feature = |feature| facts.features.contains(&feature);
    let flow = |flow: &str| facts.flows.iter().any(|offered| offered == flow);
    let optional = match operation.id.as_str() {
        "generateLoginToken" => feature(Feature::GetToken),
        "refresh" => feature(Feature::Refresh),
        "getAuthMetadata" => feature(Feature::Oauth),
        "redirectToSSO" | "redirectToIdP" => flow("m.login.sso"),
        "getWellknown" => false,
        "getLoginFlows" | "login" => feature(Feature::Legacy),
        _ => true,
    };
    optional && release.is_none_or(|release| facts.listed.has_at_least(release))
}

/// What there is only so much of, by the index of the account that was given.
struct Permits {
    /// Wrong passwords that may still be tried.
    wrong_passwords: Vec<u32>,
    /// Disposable accounts that are not yet used up.
    disposable: Vec<usize>,
}

impl Permits {
    fn of(accounts: &AccountFacts) -> Permits {
        let permit = |given: &Given| if given.disposable { u32::MAX } else { WRONG_PASSWORDS };
        let disposable = accounts.given.iter().enumerate().filter(|(_, given)| given.disposable);
        Permits {
            wrong_passwords: accounts.given.iter().map(permit).collect(),
            disposable: disposable.map(|(index, _)| index).collect(),
        }
    }
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
    assign(case, index, facts, permits)
}

/// That there is nothing to make rows of.
fn nothing_of(each: Each) -> &'static str {
    match each {
        Each::Operations => "no operation of the specification files is to be expected here",
        Each::IdentityProviders => "the server lists no identity providers",
        Each::ProviderIcons => "the server lists no identity provider with an icon",
    }
}

fn missing_operation<'c>(case: &'c Case, spec: &Spec) -> Option<&'c str> {
    case.all_steps().find_map(|step| match &step.target {
        Target::Call(id) if spec.operation(id).is_none() => Some(id.as_str()),
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

/// What only a session shows is not known where there was none: that blocks, and does not skip.
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
        Feature::NoGetToken => "the server offers POST /login/get_token",
        Feature::GetTokenDenied => "the account may ask for login tokens",
        Feature::UiaPassword => "no interactive auth with a password stage was seen",
        Feature::IdentityProviders => "the server lists no identity providers",
        Feature::OauthAware => "the server does not prefer its SSO login for OAuth-aware clients",
    }
}

fn assign(case: &Case, index: usize, facts: &Facts, permits: &mut Permits) -> Disposition {
    let mut assignment = Assignment::default();
    for need in &case.needs {
        let (name, disposable) = match need {
            Need::Account { name, disposable } => (name, *disposable),
            Need::Session(name) => {
                assignment.sessions.push(name.clone());
                (name, false)
            }
            _ => continue,
        };
        if assignment.accounts.contains_key(name) {
            continue;
        }
        let wanted = Wanted {
            case,
            index,
            name,
            // A wrong password says nothing before a right one has been seen to work.
            password: uses_password(case, name) || case.impact == Impact::LocksOut,
            disposable: disposable
                || matches!(case.impact, Impact::EndsSessions | Impact::Destroys),
            taken: assignment.accounts.values().collect(),
        };
        match slot(&wanted, facts, permits) {
            Ok(slot) => {
                assignment.accounts.insert(name.clone(), slot);
            }
            Err(disposition) => return disposition,
        }
    }
    Disposition::Run(assignment)
}

struct Wanted<'c> {
    case: &'c Case,
    index: usize,
    name: &'c str,
    /// Whether the case uses its password.
    password: bool,
    /// Whether nobody may need it.
    disposable: bool,
    /// The accounts that the case already has.
    taken: Vec<&'c Slot>,
}

impl Wanted<'_> {
    /// Whether the n-th account for ordinary use would do.
    fn fits(&self, index: usize, accounts: &AccountFacts) -> bool {
        (accounts.has_password(index) || !self.password)
            && !self.taken.contains(&&Slot::Main(index))
    }

    /// Whether the case only reads with a session that others use too.
    fn only_reads(&self) -> bool {
        !self.case.needs.iter().any(|need| matches!(need, Need::Account { .. }))
    }
}

fn slot(wanted: &Wanted<'_>, facts: &Facts, permits: &mut Permits) -> Result<Slot, Disposition> {
    let accounts = &facts.accounts;
    if accounts.main() == 0 {
        let reason = accounts.why_refused(|_| true).cloned().unwrap_or(Reason::NoAccount);
        return Err(Disposition::Not(Verdict::Blocked, reason));
    }
    let made = accounts.can_make && (accounts.made_password || !wanted.password);
    if wanted.password && !made && !accounts.given.iter().any(|given| given.password) {
        let text = "accounts are known by their access tokens, and this needs a password";
        return Err(not_provided("password", text.to_owned(), accounts, |given| given.password));
    }
    if wanted.disposable {
        return disposable_slot(wanted, facts, permits, made);
    }
    if wanted.case.impact == Impact::LocksOut && wanted.taken.is_empty() {
        return wrongs_slot(wanted, accounts, permits, made);
    }
    let mut fitting: Vec<usize> =
        (0..accounts.main()).filter(|index| wanted.fits(*index, accounts)).collect();
    if wanted.case.phase() > Phase::Destroying {
        // By then the disposable ones may be ruined.
        let needed = |index: &usize| accounts.given.get(*index).is_none_or(|g| !g.disposable);
        let lasting: Vec<usize> = fitting.iter().copied().filter(needed).collect();
        fitting = if lasting.is_empty() { fitting } else { lasting };
    }
    // Cases take turns with the accounts, so that several run at once. Those that only read share
    // the session of one that was given: each further account costs a login to prove it.
    let turn = if wanted.only_reads() && !accounts.given.is_empty() { 0 } else { wanted.index };
    let count = fitting.len();
    fitting.get(turn.checked_rem(count).unwrap_or(0)).map(|index| Slot::Main(*index)).ok_or_else(
        || {
            let text = format!("it needs {} accounts", wanted.taken.len() + 1);
            let would_do = |given: &Given| given.password || !wanted.password;
            not_provided(&format!("account {}", wanted.name), text, accounts, would_do)
        },
    )
}

/// That an account was not given: skipped; or blocked, if one was given that would do and the server
/// refused it.
fn not_provided(
    kind: &str,
    why: String,
    accounts: &AccountFacts,
    would_do: impl Fn(&Given) -> bool,
) -> Disposition {
    match accounts.why_refused(would_do) {
        Some(reason) => Disposition::Not(Verdict::Blocked, reason.clone()),
        None => {
            let reason = Reason::AccountNotProvided { kind: kind.to_owned(), why };
            Disposition::Not(Verdict::Skipped, reason)
        }
    }
}

/// An account that the case may harm: one made for it, else one that nobody needs, else, where that
/// is allowed, one that somebody needs; but nothing ruins the last.
fn disposable_slot(
    wanted: &Wanted<'_>,
    facts: &Facts,
    permits: &mut Permits,
    made: bool,
) -> Result<Slot, Disposition> {
    let accounts = &facts.accounts;
    if made {
        return Ok(Slot::Fresh(wanted.index, wanted.name.to_owned()));
    }
    let ruins = wanted.case.impact == Impact::Destroys;
    let given = permits.disposable.iter().rposition(|index| wanted.fits(*index, accounts));
    if let Some(at) = given
        && let Some(index) = permits.disposable.get(at).copied()
    {
        if ruins {
            permits.disposable.remove(at);
        }
        return Ok(Slot::Main(index));
    }
    let allowed = facts.allowed.contains(&Allow::Destructive) && !ruins;
    let fitting = (0..accounts.main()).find(|index| wanted.fits(*index, accounts));
    fitting.filter(|_| allowed).map(Slot::Main).ok_or_else(|| {
        let text = "it could harm the account: it needs a disposable one, or one that can be made";
        let would_do = |given: &Given| given.disposable && (given.password || !wanted.password);
        not_provided("disposable account", text.to_owned(), accounts, would_do)
    })
}

/// An account to try wrong passwords on: one made for that, else the first that was given and may
/// still see so many.
fn wrongs_slot(
    wanted: &Wanted<'_>,
    accounts: &AccountFacts,
    permits: &mut Permits,
    made: bool,
) -> Result<Slot, Disposition> {
    if made {
        return Ok(Slot::WrongPassword);
    }
    let permitted = permits.wrong_passwords.iter_mut().enumerate().find(|(index, left)| {
        wanted.fits(*index, accounts) && **left >= wanted.case.wrong_passwords
    });
    let Some((index, left)) = permitted else {
        let text = "no more wrong passwords are tried on an account that somebody needs";
        return Err(not_provided("disposable account", text.to_owned(), accounts, |given| {
            given.password
        }));
    };
    *left -= wanted.case.wrong_passwords;
    Ok(Slot::Main(index))
}

/// Whether a case uses the password of the account of that name.
fn uses_password(case: &Case, account: &str) -> bool {
    let (prefix, login) = (format!("{account}.password"), format!("{account}.login"));
    let named = |name: &String| name.starts_with(&prefix) || *name == login;
    let by_values = case.values.iter().any(|(_, value)| {
        crate::case::template::references(value).iter().any(|(name, _)| named(name))
    });
    by_values
        || case.all_steps().any(|step| {
            step.uia.as_deref() == Some(account) || step.request_references().iter().any(named)
        })
}

/// Ordinary cases go first, then what may harm accounts, then bursts, then what may wedge the
/// server; within a phase those that cost no login, then the others by [`by_worth`].
fn phases(cases: &[PlannedCase], register: &Register) -> Vec<Vec<usize>> {
    let mut by_phase: BTreeMap<Phase, Vec<Numbered>> = BTreeMap::new();
    for (index, planned) in cases.iter().enumerate() {
        if matches!(planned.disposition, Disposition::Run(_)) {
            let case = &planned.case;
            by_phase.entry(case.phase()).or_default().push((index, case));
        }
    }
    let mut known: BTreeSet<&str> = BTreeSet::new();
    by_phase.into_values().map(|phase| ordered(phase, register, &mut known)).collect()
}

/// A case with its place in the plan.
type Numbered<'c> = (usize, &'c Case);

/// One phase in its order; `known` are the requirements that earlier cases look at.
fn ordered<'c>(
    phase: Vec<Numbered<'c>>,
    register: &Register,
    known: &mut BTreeSet<&'c str>,
) -> Vec<usize> {
    let (mut free, with_login): (Vec<Numbered>, Vec<Numbered>) =
        phase.into_iter().partition(|(_, case)| case.logins() == 0);
    free.sort_by_key(|(index, case)| (!case.checks.iter().any(|id| is_must(register, id)), *index));
    for (_, case) in &free {
        known.extend(case.checks.iter().map(String::as_str));
    }
    let mut order: Vec<usize> = free.into_iter().map(|(index, _)| index).collect();
    // What only wants a session can be served by one that an earlier case leaves.
    let (late, early): (Vec<Numbered>, Vec<Numbered>) =
        with_login.into_iter().partition(|(_, case)| case.takes_any_session());
    for group in [early, late] {
        order.extend(by_worth(group, register, known));
    }
    order
}

/// Greedy, since servers as deployed allow few logins: next is always the case that decides the
/// most MUSTs for each login which no case before it looks at, then the most of the rest; a login
/// that names no account of the run, and so says less, comes last among equals.
fn by_worth<'c>(
    mut group: Vec<Numbered<'c>>,
    register: &Register,
    known: &mut BTreeSet<&'c str>,
) -> Vec<usize> {
    let mut order = Vec::with_capacity(group.len());
    loop {
        let worth = |case: &Case| {
            let new = || case.checks.iter().filter(|id| !known.contains(id.as_str()));
            let musts = new().filter(|id| is_must(register, id)).count();
            // In sixtieths, so that a comparison needs no fraction.
            let each = |count: usize| count * 60 / case.logins().max(1);
            let of_account = case.needs.iter().any(|need| matches!(need, Need::Account { .. }));
            (each(musts), each(new().count()), of_account)
        };
        let best = group.iter().enumerate().rev().max_by_key(|(_, (_, case))| worth(case));
        let Some(at) = best.map(|(at, _)| at) else { return order };
        let (index, case) = group.remove(at);
        known.extend(case.checks.iter().map(String::as_str));
        order.push(index);
    }
}

fn is_must(register: &Register, id: &str) -> bool {
    register.get(id).is_some_and(|requirement| requirement.level == Level::Must)
}
