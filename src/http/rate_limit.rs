//! Rate limits: the wait that a 429 asks for, whom it is meant for, and one budget for all waits of a run, those of cases
//! included.
mod bucket;
mod hint;
mod notice;

pub use bucket::{Bucket, Group};
pub use hint::retry_after;
pub use notice::{WaitCause, WaitNotice, Waits};

use crate::http::message::Response;
use crate::model::reason::Reason;
use crate::model::run::LimitHit;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// The longest wait under [`Patience::Brief`].
const BRIEF: Duration = Duration::from_secs(5);
/// What remains of a limit if it says something that another user was served: less may be a race.
const CLEAR: Duration = Duration::from_secs(1);

/// Permission to wait for a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patience {
    /// As long as the budget permits.
    #[default]
    Full,
    /// A few seconds: there is something else to try first.
    Brief,
}

/// Whom a limit applies to, by what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// No other user has sent such a request while it applied.
    #[default]
    Unknown,
    /// Another user was served while it applied.
    PerUser,
    /// A user who had sent no such request before was refused as well.
    Shared,
}

/// What became of a request that a limit applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitEventKind {
    /// It was let through.
    Served,
    /// It was refused until this time passes; nothing if the server did not say.
    Limited(Option<Duration>),
}

/// A request that a limit applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitEvent {
    /// Since the first request of the run.
    pub at: Duration,
    pub kind: LimitEventKind,
}

/// Requests that one limit applied to, in the order of their answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSeries {
    /// The operation, or method and path.
    pub operation: String,
    pub scope: Scope,
    pub events: Vec<LimitEvent>,
}

#[derive(Debug, Default)]
struct UserState {
    until: Option<Instant>,
    limited_at: Option<Instant>,
    successes: usize,
    /// 429s in a row that gave no time.
    without_hint: u32,
    events: Vec<LimitEvent>,
}

#[derive(Debug, Default)]
struct GroupState {
    scope: Scope,
    users: BTreeMap<Option<String>, UserState>,
}

impl GroupState {
    /// The time until which a user must wait; each for all, where the limit is shared.
    fn until(&self, user: &Option<String>, now: Instant) -> Option<Instant> {
        let own = self.users.get(user).and_then(|state| state.until);
        let until = match self.scope {
            Scope::Shared => self.users.values().filter_map(|state| state.until).max(),
            Scope::PerUser | Scope::Unknown => own,
        };
        until.filter(|until| *until > now)
    }

    /// Returns true if another known user was refused before `before` and must still wait.
    fn limits_another(&self, user: &Option<String>, before: Instant, now: Instant) -> bool {
        let others = self.users.iter().filter(|(other, _)| other.is_some() && *other != user);
        others.into_iter().any(|(_, state)| {
            state.limited_at.is_some_and(|at| at < before)
                && state.until.is_some_and(|until| until > now + CLEAR)
        })
    }
}

#[derive(Debug, Default)]
struct LimitState {
    groups: BTreeMap<Group, GroupState>,
    /// The end of all waits so far; overlapping waits count once.
    waiting_until: Option<Instant>,
    spent: Duration,
    hits: Vec<LimitHit>,
}

/// A wait that the budget has paid for; it counts as over when this is dropped.
#[derive(Debug)]
pub struct PaidWait<'n> {
    until: Instant,
    _told: notice::Wait<'n>,
}

impl PaidWait<'_> {
    /// Completes at its end.
    pub async fn over(&self) {
        tokio::time::sleep_until(self.until).await;
    }
}

/// Returns the wait that a 429 asks for, if it does.
pub fn announced(response: &Response) -> Option<Duration> {
    retry_after(response, SystemTime::now())
}

/// The limits of one target and what is left of the budget.
#[derive(Debug)]
pub struct RateLimits {
    budget: Duration,
    began: Instant,
    state: Mutex<LimitState>,
    notices: notice::Notices,
}

impl RateLimits {
    /// Creates a budget for all waits together.
    pub fn new(budget: Duration) -> Self {
        let (state, notices) = Default::default();
        RateLimits { budget, began: Instant::now(), state, notices }
    }

    /// The waits as they begin and end; only the first call gets them.
    pub fn waits(&self) -> Option<Waits> {
        self.notices.take()
    }

    /// Waits until an operation may be called, if patience and budget permit; gives the time at
    /// which it may.
    ///
    /// # Errors
    /// The reason to block with, when they do not; nothing was waited then.
    pub async fn admit(&self, bucket: &Bucket, patience: Patience) -> Result<Instant, Reason> {
        let now = Instant::now();
        let Some((until, notice)) = self.reserve(bucket, patience, now)? else { return Ok(now) };
        let wait = self.notices.begin(notice);
        tokio::time::sleep_until(until).await;
        drop(wait);
        Ok(Instant::now())
    }

    /// Takes a wait of a case from the budget.
    ///
    /// # Errors
    /// The reason to skip with, if the budget does not permit it.
    pub fn pay(&self, case: &str, wait: Duration) -> Result<PaidWait<'_>, Reason> {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let from = state.waiting_until.unwrap_or(now).max(now);
        let until = now + wait.min(hint::CAP);
        let cost = until.saturating_duration_since(from);
        if wait > hint::CAP || state.spent + cost > self.budget {
            return Err(Reason::WaitTooLong {
                wait: seconds(wait),
                spent: seconds(state.spent),
                budget: self.budget.as_secs(),
            });
        }
        let cause = WaitCause::Case(case.to_owned());
        let notice = WaitNotice { cause, wait, spent: state.spent, budget: self.budget };
        state.spent += cost;
        state.waiting_until = Some(from.max(until));
        drop(state);
        Ok(PaidWait { until, _told: self.notices.begin(notice) })
    }

    /// Takes a wait from the budget, if there is one.
    fn reserve(
        &self,
        bucket: &Bucket,
        patience: Patience,
        now: Instant,
    ) -> Result<Option<(Instant, WaitNotice)>, Reason> {
        let operation = bucket.group.operation.as_str();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let group = state.groups.get(&bucket.group);
        let Some(until) = group.and_then(|group| group.until(&bucket.user, now)) else {
            return Ok(None);
        };
        let from = state.waiting_until.unwrap_or(now).max(now);
        let cost = until.saturating_duration_since(from);
        let is_too_long = patience == Patience::Brief && until > now + BRIEF;
        if is_too_long || state.spent + cost > self.budget {
            return Err(self.refusal(&state, operation, until - now));
        }
        let notice = WaitNotice {
            cause: WaitCause::Limit(operation.to_owned()),
            wait: until - now,
            spent: state.spent,
            budget: self.budget,
        };
        state.spent += cost;
        state.waiting_until = Some(from.max(until));
        let waited = u64::try_from(cost.as_millis()).unwrap_or(u64::MAX);
        count(&mut state.hits, operation, |hit| hit.waited_ms += waited);
        Ok(Some((until, notice)))
    }

    fn refusal(&self, state: &LimitState, operation: &str, left: Duration) -> Reason {
        Reason::RateLimited {
            operation: operation.to_owned(),
            left: seconds(left),
            spent: seconds(state.spent),
            budget: self.budget.as_secs(),
        }
    }

    /// The reason for which no user's requests of this group are let through, if a limit that all share
    /// lasts longer than the budget.
    pub fn refuses_all(&self, bucket: &Bucket) -> Option<Reason> {
        let (now, state) =
            (Instant::now(), self.state.lock().unwrap_or_else(PoisonError::into_inner));
        let group = state.groups.get(&bucket.group).filter(|group| group.scope == Scope::Shared)?;
        let until = group.until(&bucket.user, now)?;
        let from = state.waiting_until.unwrap_or(now).max(now);
        let is_over = state.spent + until.saturating_duration_since(from) > self.budget;
        is_over.then(|| self.refusal(&state, &bucket.group.operation, until - now))
    }

    /// Records a 429 to a request that was admitted at this time.
    pub fn hit(&self, bucket: &Bucket, response: &Response, admitted: Instant) {
        let now = Instant::now();
        let said = retry_after(response, SystemTime::now());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let group = state.groups.entry(bucket.group.clone()).or_default();
        let limits_another = group.limits_another(&bucket.user, admitted, now);
        let user = group.users.entry(bucket.user.clone()).or_default();
        // Who has sent some before may have come to a limit of the own.
        let is_new = bucket.user.is_some() && user.events.is_empty();
        let wait = said.unwrap_or_else(|| hint::unsaid(user.without_hint));
        user.without_hint = if said.is_some() { 0 } else { user.without_hint.saturating_add(1) };
        let until = now + wait;
        user.until = Some(user.until.map_or(until, |known| known.max(until)));
        user.limited_at = Some(now);
        let kind = LimitEventKind::Limited(said);
        user.events.push(LimitEvent { at: now - self.began, kind });
        if limits_another && is_new && group.scope == Scope::Unknown {
            group.scope = Scope::Shared;
        }
        let asked = said.map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        count(&mut state.hits, &bucket.group.operation, |hit| {
            hit.count += 1;
            hit.retry_after_ms = hit.retry_after_ms.max(asked);
        });
    }

    /// Records an answer that is no 429 to a request that was admitted at this time.
    pub fn served(&self, bucket: &Bucket, response: &Response, admitted: Instant) {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let group = state.groups.entry(bucket.group.clone()).or_default();
        let limits_another = group.limits_another(&bucket.user, admitted, now);
        // A refusal may have come before the server looked at its limits.
        let is_success = response.is_success();
        if is_success && bucket.user.is_some() && limits_another && group.scope == Scope::Unknown {
            group.scope = Scope::PerUser;
        }
        let user = group.users.entry(bucket.user.clone()).or_default();
        user.successes += usize::from(is_success);
        user.without_hint = 0;
        let kind = LimitEventKind::Served;
        user.events.push(LimitEvent { at: now - self.began, kind });
    }

    /// Whom the limit on such requests applies to.
    pub fn scope(&self, bucket: &Bucket) -> Scope {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.groups.get(&bucket.group).map_or(Scope::Unknown, |group| group.scope)
    }

    /// The number of successful requests of a bucket.
    pub fn successes(&self, bucket: &Bucket) -> usize {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let group = state.groups.get(&bucket.group);
        group.and_then(|group| group.users.get(&bucket.user)).map_or(0, |user| user.successes)
    }

    /// Returns true if a user must wait now for requests of this group.
    pub fn applies_to(&self, bucket: &Bucket) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let group = state.groups.get(&bucket.group);
        group.is_some_and(|group| group.until(&bucket.user, Instant::now()).is_some())
    }

    /// Returns true if any request of an operation must wait now.
    pub fn limits(&self, operation: &str) -> bool {
        let (now, state) =
            (Instant::now(), self.state.lock().unwrap_or_else(PoisonError::into_inner));
        let mut groups = state.groups.iter().filter(|(group, _)| group.operation == operation);
        groups
            .any(|(_, group)| group.users.values().any(|user| user.until.is_some_and(|u| u > now)))
    }

    /// Returns true if the budget permits a wait of this length.
    pub fn permits(&self, wait: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.spent.saturating_add(wait) <= self.budget
    }

    /// The limits that were hit, in the order of the first hit; the number of blocked cases is not known here.
    pub fn hits(&self) -> Vec<LimitHit> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).hits.clone()
    }

    /// The requests to which limits applied that were hit: those of each user apart, where the
    /// limit is not shared, and otherwise all of an operation.
    pub fn series(&self) -> Vec<LimitSeries> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<LimitSeries> = Vec::new();
        for series in state.groups.iter().flat_map(|(group, state)| series_of(group, state)) {
            let is_same = |other: &&mut LimitSeries| {
                other.operation == series.operation && other.scope == series.scope
            };
            match all.iter_mut().find(is_same).filter(|_| series.scope == Scope::Shared) {
                Some(other) => other.events.extend(series.events),
                None => all.push(series),
            }
        }
        for series in &mut all {
            series.events.sort_by_key(|event| event.at);
        }
        all
    }
}

fn series_of(group: &Group, state: &GroupState) -> Vec<LimitSeries> {
    let of = |events: Vec<LimitEvent>| LimitSeries {
        operation: group.operation.clone(),
        scope: state.scope,
        events,
    };
    let is_hit = |series: &LimitSeries| {
        series.events.iter().any(|event| matches!(event.kind, LimitEventKind::Limited(_)))
    };
    let all: Vec<LimitSeries> = match state.scope {
        Scope::Shared => {
            vec![of(state.users.values().flat_map(|user| user.events.iter().copied()).collect())]
        }
        Scope::PerUser | Scope::Unknown => {
            state.users.values().map(|user| of(user.events.clone())).collect()
        }
    };
    all.into_iter().filter(is_hit).collect()
}

/// To the next whole second.
fn seconds(time: Duration) -> u128 {
    time.as_nanos().div_ceil(1_000_000_000)
}

fn count(hits: &mut Vec<LimitHit>, operation: &str, change: impl FnOnce(&mut LimitHit)) {
    if let Some(hit) = hits.iter_mut().find(|hit| hit.operation == operation) {
        return change(hit);
    }
    let operation = operation.into();
    let mut hit = LimitHit { operation, count: 0, retry_after_ms: 0, waited_ms: 0, blocked: 0 };
    change(&mut hit);
    hits.push(hit);
}

#[cfg(test)]
mod tests;
