//! Consequences that are judged on their own after all.
use super::Revised;
use crate::check::verdict::{Decided, joined};
use crate::model::run::{Decision, RecordedReason, Verdict};

impl Revised {
    /// The same, but as the case decided by itself for each requirement that is broken there and blocked
    /// here because of a cause for which `is_alone(cause, requirement)` holds.
    pub fn judged_alone(mut self, own: &Decided, is_alone: &dyn Fn(&str, &str) -> bool) -> Revised {
        let mut restored: Vec<&str> = Vec::new();
        for (decision, raw) in self.decisions.iter_mut().zip(&own.decisions) {
            let cause = decision.reason.as_ref().and_then(RecordedReason::because);
            let is_broken = matches!(raw.verdict, Verdict::Warned | Verdict::Failed);
            let applies = is_broken && decision.verdict == Verdict::Blocked;
            if applies && cause.is_some_and(|cause| is_alone(cause, &decision.requirement)) {
                *decision = Decision::clone(raw);
                restored.push(&raw.requirement);
            }
        }
        if restored.is_empty() {
            return self;
        }
        let is_back = |id: &str| restored.contains(&id);
        let back = own.findings.iter().filter(|finding| is_back(&finding.requirement)).cloned();
        self.findings.retain(|finding| !is_back(&finding.requirement));
        self.findings.extend(back);
        if let Some(worst) = self.decisions.iter().rev().max_by_key(|one| one.verdict) {
            (self.verdict, self.reason) = (worst.verdict, worst.reason.clone());
        }
        self.branch = joined(self.decisions.iter().filter_map(|one| one.branch.as_deref()));
        self
    }
}
