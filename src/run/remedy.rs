//! Remedies for a limit that stops a case: another account may be served, or the case is put off until the
//! others are over.
//!
//! | the limit | the case |
//! |---|---|
//! | lasts a few seconds | waits |
//! | may be the user's own, and accounts can be made | is sent again on a new account |
//! | is on logins, and another account does not help | waits: the logins that it sent would be lost |
//! | stops a case that changed its account | waits: it cannot begin again on this account |
//! | is on anything else | is put off: it runs last, and may wait then |
use crate::accounts::account::{AccountView, good_login};
use crate::case::ast::{Case, Impact};
use crate::http::message::{Exchange, Reply, Request};
use crate::http::rate_limit::{Bucket, Patience, Scope};
use crate::http::sender::SendResult;
use crate::model::reason::Reason;
use crate::model::user_id::localpart;
use crate::plan::{self, Assignment, Slot};
use crate::run::attempt::{Attempt, Delivered, Remedy, Stopped, wait_of};
use crate::run::case_machine::CaseMachine;
use crate::run::executor::Executor;
use crate::run::login_budget::LoginBudget;
use std::collections::BTreeMap;
use tokio::time::Instant;

impl Executor {
    /// Delivers the requests of a step; where a limit stops them, looks for something better than waiting, and
    /// waits otherwise. `before` are the exchanges of the attempt.
    pub(super) async fn deliver_past_limits(
        &self,
        requests: &[Request],
        (case, attempt): (&Case, &Attempt),
        accounts: &BTreeMap<String, AccountView>,
        sources: (&mut LoginBudget, &mut CaseMachine<'_>),
        before: &[Exchange],
    ) -> Delivered {
        let sent = self.deliver(requests, (case, attempt), accounts, sources).await;
        let stopped = match attempt.patience {
            Patience::Full => None,
            Patience::Brief => self.stopped_by(requests, &sent, accounts, before),
        };
        let Some(stopped) = stopped else { return Delivered { sent, stopped: None } };
        match self.remedy(case, attempt, &stopped, before).await {
            Some(remedy) => Delivered { sent, stopped: Some((stopped, remedy)) },
            None => {
                let again = self.send(requests, case, Patience::Full).await;
                Delivered { sent: joined(sent, again), stopped: None }
            }
        }
    }

    /// The limit that stopped the one request of a step; `before` are the exchanges of the attempt.
    fn stopped_by(
        &self,
        requests: &[Request],
        sent: &[SendResult],
        accounts: &BTreeMap<String, AccountView>,
        before: &[Exchange],
    ) -> Option<Stopped> {
        let ([request], [sent]) = (requests, sent) else { return None };
        let Reply::Inconclusive(Reason::RateLimited { left, .. }) = &sent.reply else {
            return None;
        };
        let bucket = self.sender.bucket(request);
        let is_user = |(_, account): &(&String, &AccountView)| {
            bucket.user.as_deref().is_some_and(|user| {
                user == localpart(&account.user_id) || user == localpart(&account.login_name)
            })
        };
        let name = accounts.iter().find(is_user).map(|(name, _)| name.clone());
        let is_own = |exchange: &&Exchange| {
            !exchange.shared
                && exchange.result.as_ref().is_ok_and(|response| response.is_success())
                && self.sender.bucket(&exchange.request) == bucket
        };
        let own = before.iter().filter(is_own).count();
        let by_itself = own > 0 && self.sender.limits.successes(&bucket) <= own;
        let (wait, until) = wait_of(*left);
        Some(Stopped { bucket, name, wait, until, by_itself })
    }

    /// Another account in the place of one whose proof a limit stops, for this reason.
    pub(super) async fn unproven(
        &self,
        case: &Case,
        attempt: &Attempt,
        name: &str,
        reason: &Reason,
    ) -> Option<(Stopped, Remedy)> {
        let Reason::RateLimited { left, .. } = reason else { return None };
        let slot = attempt.assignment.accounts.get(name)?;
        let user = self.pool.user_id(slot).await?;
        let login = Request::new(Some(LOGIN), "POST", "").json(&good_login(&user, ""));
        let (bucket, name) = (Bucket::of(&login), Some(name.to_owned()));
        let (wait, until) = wait_of(*left);
        let stopped = Stopped { bucket, name, by_itself: false, wait, until };
        let elsewhere = self.elsewhere(case, attempt, &stopped).await?;
        Some((stopped, Remedy::Elsewhere(elsewhere)))
    }

    /// Something that may help a case which a limit stopped; nothing if it is to wait here.
    async fn remedy(
        &self,
        case: &Case,
        attempt: &Attempt,
        stopped: &Stopped,
        before: &[Exchange],
    ) -> Option<Remedy> {
        // What a case did to an account is still done when it is sent again.
        let is_repeatable = matches!(case.impact, Impact::Reads | Impact::Session);
        let is_alone = attempt.assignment.accounts.len() == 1;
        if (is_repeatable || is_alone)
            && let Some(assignment) = self.elsewhere(case, attempt, stopped).await
        {
            return Some(Remedy::Elsewhere(assignment));
        }
        let logged_in = before.iter().any(|exchange| exchange.request.is_login());
        let loses_logins = logged_in && self.sender.limits.limits(LOGIN);
        let stays = stopped.bucket.group.operation == LOGIN || loses_logins || !is_repeatable;
        (!stays && !self.may_be_ruined(&attempt.assignment)).then_some(Remedy::Later)
    }

    /// The accounts with one made in the place of the limited one, which logs in if that is what is
    /// limited.
    async fn elsewhere(
        &self,
        case: &Case,
        attempt: &Attempt,
        stopped: &Stopped,
    ) -> Option<Assignment> {
        let name = stopped.name.as_deref()?;
        let limits = &self.sender.limits;
        let is_new =
            matches!(attempt.assignment.accounts.get(name), Some(Slot::Replacement(..)) | None);
        if is_new || stopped.by_itself || limits.scope(&stopped.bucket) == Scope::Shared {
            return None;
        }
        let number = attempt.replacements + 1;
        let replaced = plan::replaced(case, &attempt.assignment, name, number, &self.facts)?;
        let slot = replaced.accounts.get(name)?;
        let session = replaced.sessions.iter().any(|with| with == name);
        let logs_in = stopped.bucket.group.operation == LOGIN;
        // Where none can be had the case goes on as without it, and its own reason is told.
        self.pool.account(slot, session, logs_in).await.is_ok().then_some(replaced)
    }

    /// Returns true if a later phase may leave an account unusable: then it cannot wait for its end.
    fn may_be_ruined(&self, assignment: &Assignment) -> bool {
        let given = &self.facts.accounts.given;
        assignment.accounts.values().any(|slot| match slot {
            Slot::Main(index) => given.get(*index).is_some_and(|given| given.disposable),
            Slot::WrongPassword | Slot::Fresh(..) | Slot::Replacement(..) => false,
        })
    }

    /// The last attempt of a case that was put off, which may wait; nothing if the budget does not permit
    /// what the server asks for.
    pub(super) async fn last_attempt(
        &self,
        case: &Case,
        attempt: &Attempt,
        stopped: &Stopped,
    ) -> Option<Attempt> {
        let patient = |assignment| Attempt {
            patience: Patience::Full,
            ..attempt.with_replacement(assignment)
        };
        let limits = &self.sender.limits;
        if !stopped.by_itself {
            if let Some(other) = self.free_account(case, attempt, stopped).await {
                return Some(patient(other));
            }
            let left = stopped.until.saturating_duration_since(Instant::now());
            return limits.permits(left).then(|| patient(attempt.assignment.clone()));
        }
        // A new account is limited only by what the case itself sends.
        let number = attempt.replacements + 1;
        let replaced = stopped
            .name
            .as_deref()
            .and_then(|name| plan::replaced(case, &attempt.assignment, name, number, &self.facts));
        let assignment = match replaced {
            Some(replaced) => replaced,
            None => attempt.assignment.clone(),
        };
        limits.permits(stopped.wait).then(|| patient(assignment))
    }

    /// The accounts with a supplied one that is not limited in the place of the limited one.
    async fn free_account(
        &self,
        case: &Case,
        attempt: &Attempt,
        stopped: &Stopped,
    ) -> Option<Assignment> {
        let (name, limits) = (stopped.name.as_deref()?, &self.sender.limits);
        if limits.scope(&stopped.bucket) == Scope::Shared {
            return None;
        }
        for other in plan::others(case, &attempt.assignment, name, &self.facts) {
            let slot = other.accounts.get(name)?;
            let user = self.pool.user_id(slot).await;
            let bucket = Bucket { user: None, ..stopped.bucket.clone() }.asked_by(user.as_deref());
            if !limits.applies_to(&bucket) {
                return Some(other);
            }
        }
        None
    }
}

const LOGIN: &str = "login";

/// What came of one request that was sent again after a limit stopped it.
fn joined(stopped: Vec<SendResult>, again: Vec<SendResult>) -> Vec<SendResult> {
    let before: Vec<Exchange> = stopped.into_iter().flat_map(|sent| sent.exchanges).collect();
    let join = |sent: SendResult| {
        let shown = before.len() + sent.shown;
        let exchanges = before.iter().cloned().chain(sent.exchanges).collect();
        SendResult { exchanges, shown, ..sent }
    };
    again.into_iter().map(join).collect()
}
