//! Observers: what a case only looks at is taken from another operation where the usual one is absent. Pure.
use crate::case::ast::{
    Auth, Body, Case, Expect, Send, StatusPattern, StatusRule, Step, StepTarget,
};
use crate::plan::facts::Facts;
use std::collections::BTreeSet;
use std::sync::Arc;

/// GETs that need nothing but a token, in the order in which they show that it lives.
const OF_A_TOKEN: [&str; 3] = ["getTokenOwner", "getDevices", "getCapabilities"];
/// Requirements about one operation, which no other one shows.
const OF_ONE_OPERATION: [&str; 5] =
    ["whoami.", "device.list.", "device.get.", "get_token.capability.", "route."];

/// The operation by which such a server shows that a token lives.
pub fn substitute(facts: &Facts) -> Option<&'static str> {
    OF_A_TOKEN.into_iter().find(|operation| !facts.absent.contains(*operation))
}

/// The case with other observers where those that it has are absent. What decides a requirement of the
/// absent operation itself stays; then the case goes on, for such a request changes nothing.
pub(super) fn adapted(case: Arc<Case>, facts: &Facts) -> Arc<Case> {
    if !case.all_steps().any(|step| observes_absent(step, facts)) {
        return case;
    }
    let mut adapted = (*case).clone();
    let substitute = substitute(facts);
    let is_control = |step: &Step| {
        let wants_success = step.blocks.iter().all(|block| block.wants_success());
        observes_absent(step, facts) && wants_success && !asks_what_there_is(step)
    };
    match substitute {
        Some(operation) => {
            adapted.setup.iter_mut().filter(|s| is_control(s)).for_each(|s| live(s, operation));
        }
        // What it controls is decided by what is there; the rest asks for what is absent too.
        None => adapted.setup.retain(|step| !is_control(step)),
    }
    for step in adapted.steps.iter_mut().filter(|step| observes_absent(step, facts)) {
        match substitute.filter(|_| looks_at_the_token(step)) {
            Some(operation) => step.target = StepTarget::Call(operation.to_owned()),
            None => step.goes_on = true,
        }
    }
    leave_to_others(&mut adapted, facts);
    Arc::new(adapted)
}

/// Takes out the blocks on absent observers that decide what other steps of the case decide too.
fn leave_to_others(case: &mut Case, facts: &Facts) {
    let (absent, there): (Vec<_>, Vec<_>) =
        case.steps.iter().partition(|step| observes_absent(step, facts));
    let requirements = |steps: &[&Step]| -> BTreeSet<String> {
        steps.iter().flat_map(|step| &step.blocks).map(|block| block.req.clone()).collect()
    };
    let decided = requirements(&there);
    let doubled: BTreeSet<String> = requirements(&absent)
        .into_iter()
        .filter(|requirement| is_general(requirement) && decided.contains(requirement))
        .collect();
    for step in case.steps.iter_mut().filter(|step| observes_absent(step, facts)) {
        step.blocks.retain(|block| !doubled.contains(&block.req));
    }
    case.steps.retain(|step| !(step.blocks.is_empty() && observes_absent(step, facts)));
}

/// Whether a step asks for something that is absent, and leaves nothing for later steps.
fn observes_absent(step: &Step, facts: &Facts) -> bool {
    let is_absent = |operation: &String| facts.absent.contains(operation);
    matches!(&step.target, StepTarget::Call(operation) if is_absent(operation))
        && step.save.is_empty()
        && step.uia.is_none()
        && step.body == Body::None
}

/// Whether a set-up step asks what the server offers, which no other operation says.
fn asks_what_there_is(step: &Step) -> bool {
    let mut branches = step.blocks.iter().flat_map(|block| &block.branches);
    step.optional.is_some() && branches.any(|branch| !branch.expect.body.is_empty())
}

/// Turns a set-up step into a look at whether its token lives.
fn live(step: &mut Step, operation: &str) {
    step.target = StepTarget::Call(operation.to_owned());
    step.params.clear();
    step.query.clear();
    let any_of = vec![StatusPattern::Class(2)];
    let status = Some(StatusRule { any_of, negated: false });
    for block in &mut step.blocks {
        block.when = None;
        for branch in &mut block.branches {
            branch.expect = Expect { status: status.clone(), ..Expect::default() };
        }
    }
}

/// Whether a requirement is about more than one operation.
fn is_general(requirement: &str) -> bool {
    !OF_ONE_OPERATION.iter().any(|one| requirement.starts_with(one))
}

/// Whether nothing of the answer counts but whether the token was taken.
fn looks_at_the_token(step: &Step) -> bool {
    let of_errors = |expect: &Expect| {
        let of_error = |pointer: &str| ["/errcode", "/soft_logout"].contains(&pointer);
        expect.headers.is_empty()
            && expect.text.is_none()
            && expect.body.iter().all(|(pointer, _)| of_error(pointer))
    };
    step.params.is_empty()
        && step.query.is_empty()
        && step.api.is_none()
        && step.send == Send::Once
        && step.auth != Auth::None
        && step.blocks.iter().all(|block| {
            let all = block.branches.iter().map(|branch| &branch.expect).chain(&block.when);
            is_general(&block.req) && all.into_iter().all(of_errors)
        })
}
