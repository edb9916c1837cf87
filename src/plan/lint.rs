//! Faults of the case files that show only next to the register and the specification.
use super::expand::names_in;
use crate::case::ast::{Act, Block, Body, Case, Impact, Need, Step, StepTarget};
use crate::case::suite::Suite;
use crate::requirements::Register;
use crate::spec::Spec;
use crate::yaml::diagnostic::{Diagnostic, did_you_mean};
use std::collections::{BTreeMap, BTreeSet};

/// Every fault of the case files that shows only next to the register and the specification.
pub fn lint(suite: &Suite, register: &Register, specs: &[&Spec]) -> Vec<Diagnostic> {
    let (mut faults, mut known) = (Vec::new(), BTreeSet::new());
    let mut first: BTreeMap<&str, &Case> = BTreeMap::new();
    for case in suite.cases() {
        let Some(document) = suite.document(case) else { continue };
        if let Some(other) = first.insert(case.id.as_str(), case) {
            let fault = Diagnostic::at(document, &case.pointer, "duplicate case id")
                .with_help(format!("`{}` is also in {}:{}", case.id, other.file, other.line));
            faults.push(fault);
        }
        let mut at = |pointer: &str, message: String, help: Option<String>| {
            let fault = Diagnostic::at(document, pointer, message);
            // What several rows use is wrong once.
            if known.insert(fault.to_string()) {
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
        let pointer = case.pointer.split("/each/").next().unwrap_or_default();
        let place = format!("{pointer}/checks/{index}");
        match register.get(id) {
            None => {
                let help = register.closest(id).map(|near| format!("did you mean `{near}`?"));
                fault(&place, format!("`{id}` is not in the register"), help);
            }
            Some(note) if note.informative => {
                let why = format!("`{id}` is a note: it demands nothing of a server");
                fault(&place, why, Some("no case decides a note; leave it out".to_owned()));
            }
            Some(_) => {}
        }
    }
    for block in case.steps.iter().flat_map(|step| &step.blocks) {
        lint_block(block, register, fault);
    }
    for step in case.all_steps() {
        match step.target {
            StepTarget::Operator(act) => lint_act(case, step, act, fault),
            StepTarget::Call(_) | StepTarget::Raw { .. } => lint_step(step, specs, fault),
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

/// A refusal says something only next to its positive control: what is sent was known to be good but
/// for the one thing that is wrong. Accounts get a good login before they are refused one
/// ([`Case::wants_proof_of`]); what is left to the file is that wrong passwords are tried on an
/// account and counted, and that what an earlier step saved is what that step was to bring.
fn lint_controls(case: &Case, fault: &mut Report<'_>) {
    let accounts: Vec<&str> = case.needs.iter().filter_map(Need::account).collect();
    if case.impact == Impact::LocksOut && accounts.is_empty() {
        let why = "impact locks-out needs an account";
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

/// Returns true if a step sends a wrong form of an account's password, or logs in as an account of
/// the case with a password that the case did not give it.
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
        |step: &Step| matches!(&step.target, StepTarget::Call(id) if GIVING.contains(&id.as_str()));
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
    let StepTarget::Call(id) = &step.target else { return };
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

/// An act of the operator must be in `needs`, with all its parameters.
fn lint_act(case: &Case, step: &Step, act: Act, fault: &mut Report<'_>) {
    let name = act.as_str();
    if !case.needs.contains(&Need::Operator(name.to_owned())) {
        let help = format!("add `operator {name}` to `needs`");
        fault(&step.pointer, format!("`operator {name}` must also be in `needs`"), Some(help));
    }
    let given: Vec<&str> = step.params.iter().map(|(name, _)| name.as_str()).collect();
    if given.len() != act.params().len() || !act.params().iter().all(|name| given.contains(name)) {
        let help = format!("give these under `params`: {}", act.params().join(", "));
        fault(&step.pointer, format!("`{name}` lacks parameters"), Some(help));
    }
}
