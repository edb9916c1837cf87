//! A target with the plan for it: cases run on it, and what they made is removed again.
use super::assemble::Outcome;
use super::{Prepared, RunWithheld, Times, Watcher};
use crate::accounts::cleanup::{Cleanup, cleanup};
use crate::accounts::supplied_cleanup::end_supplied;
use crate::http::message::Exchange;
use crate::http::rate_limit::RateLimits;
use crate::http::sender::RequestSender;
use crate::model::release::SpecVersion;
use crate::plan::observers;
use crate::plan::{Plan, PlannedCase};
use crate::redact::RedactedRun;
use crate::run::executor::{CaseResult, Executor};
use crate::spec::Spec;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time limit of all waits of a clean-up for rate limits together; less with a smaller `max_wait`.
const CLEAN_UP_WAIT: Duration = Duration::from_secs(30);
/// Time limit of a clean-up; at least that of one request.
const CLEAN_UP_TIME: Duration = Duration::from_secs(60);
/// The same after a signal: somebody waits for the end.
const CLEAN_UP_TIME_INTERRUPTED: Duration = Duration::from_secs(30);

/// A target that was probed, with the plan for it and everything that running a case needs.
pub struct ActiveRun {
    pub(super) prepared: Prepared,
    pub(super) spec: Arc<Spec>,
    pub(super) plan: Plan,
    pub(super) executor: Executor,
    pub(super) probed: Vec<Exchange>,
    pub(super) server: Option<String>,
    pub(super) times: Times,
}

impl ActiveRun {
    /// Tells the errors of what the operator gave behind the first `told`; gives how many there are.
    pub(super) fn tell_errors(&self, watcher: &dyn Watcher, told: usize) -> usize {
        let errors = self.executor.pool.notices.errors();
        let redactor = self.prepared.vault.redactor();
        for error in errors.iter().skip(told) {
            watcher.operator_error(&redactor.text(error));
        }
        errors.len()
    }

    /// Runs the cases and cleans up.
    pub(super) async fn carry_out(&self, watcher: &dyn Watcher) -> (Vec<CaseResult>, Cleanup) {
        let told = self.tell_errors(watcher, 0);
        watcher.planned(&self.plan, &self.executor.facts);
        let results = self.executor.run(&self.plan, self.prepared.job.jobs, watcher).await;
        self.tell_errors(watcher, told);
        (results, self.cleanup(watcher).await)
    }

    /// The cases of the whole selection, each with its disposition.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Runs one case of the plan, or says why it does not run. The accounts that it uses are not to
    /// be used by another case at the same time.
    pub async fn run_case(&self, planned: &PlannedCase) -> CaseResult {
        self.executor.run_one(planned).await
    }

    /// Deactivates the accounts and ends the sessions that were made; goes on after a stop, in less time, and until the
    /// next signal.
    pub async fn cleanup(&self, watcher: &dyn Watcher) -> Cleanup {
        let sender = &self.prepared.sender;
        if !self.executor.facts.listed.has_at_least(SpecVersion::R(0, 1, 0)) {
            let open = sender.created.open().len();
            let text = format!("{open} sessions: releases before r0.1.0 have no logout");
            let left = if open > 0 { vec![text] } else { Vec::new() };
            return Cleanup { left, ..Cleanup::default() };
        }
        let interrupted = sender.stop.is_interrupted();
        let cleaner = RequestSender {
            stop: sender.stop.of_clean_up(),
            // The run may have used up what it was allowed to wait.
            limits: Arc::new(RateLimits::new(self.prepared.job.max_wait.min(CLEAN_UP_WAIT))),
            ..sender.clone()
        };
        let time = match interrupted {
            true => CLEAN_UP_TIME_INTERRUPTED,
            false => CLEAN_UP_TIME.max(self.prepared.job.transport.timeout),
        };
        let until = tokio::time::Instant::now() + time;
        let observer = observers::substitute(&self.executor.facts);
        let cleaning = async {
            let mut done = cleanup(&cleaner, &self.executor.routes, observer, until).await;
            end_supplied(&cleaner, &self.executor.routes, until, &mut done).await;
            done
        };
        tokio::pin!(cleaning);
        let began = Instant::now();
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                biased;
                done = &mut cleaning => return done,
                _ = seconds.tick() => {
                    watcher.cleaning_up(time.saturating_sub(began.elapsed()), interrupted);
                }
            }
        }
    }

    /// The run as it stands after these cases of the plan and no others, each with its result.
    ///
    /// # Errors
    /// Nothing of the run may be shown.
    pub fn so_far(
        &self,
        done: impl IntoIterator<Item = (PlannedCase, CaseResult)>,
    ) -> Result<RedactedRun, RunWithheld> {
        let (cases, results) = done.into_iter().unzip();
        self.report(&Plan { cases, phases: Vec::new() }, results, Cleanup::default())
    }

    pub(super) fn report(
        &self,
        plan: &Plan,
        results: Vec<CaseResult>,
        cleaned: Cleanup,
    ) -> Result<RedactedRun, RunWithheld> {
        self.judged(plan, results, cleaned, self.prepared.job.policies.raw_verdicts)
    }

    /// The run; with `raw_verdicts`, as each case was judged by itself.
    pub(super) fn judged(
        &self,
        plan: &Plan,
        results: Vec<CaseResult>,
        cleaned: Cleanup,
        raw_verdicts: bool,
    ) -> Result<RedactedRun, RunWithheld> {
        let mut support = vec![
            ("probe".to_owned(), self.probed.clone()),
            ("accounts".to_owned(), self.executor.pool.exchanges()),
            ("clean-up".to_owned(), cleaned.exchanges),
        ];
        let proofs = self.executor.proofs.exchanges();
        if !proofs.is_empty() {
            support.insert(2, ("operator".to_owned(), proofs));
        }
        let pool = &self.executor.pool;
        let sources = &self.prepared.job.sources;
        let given = sources.maker.is_some() || !sources.supplied.is_empty();
        let outcome = Outcome {
            results,
            support,
            left: cleaned.left,
            server: self.server.clone(),
            no_target: None,
            notices: pool.notices.all(),
            no_usable_account: given && plan.needs_accounts() && !pool.has_usable(),
        };
        let facts = &self.executor.facts;
        self.prepared.finished(&self.spec, facts, plan, outcome, &self.times, raw_verdicts)
    }
}
