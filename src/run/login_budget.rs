//! Logins are scarce, since servers limit them: a login that was sent before stands in for one of a case where it can,
//! and the others are sent in the order of the plan.
//!
//! | a session is | it begins with | it serves | until |
//! |---|---|---|---|
//! | an account's proof | the login that proved the account | a case that sends the same login and does not end its session | [`AccountPool::forget_session`](crate::accounts::pool::AccountPool::forget_session) |
//! | left behind | a good login of a case that ended well | a case that a limit blocked and that wants any session | it is no longer as its login left it |
//! | shared | an account's proof, in the last round | such a case that does not end it, or as the last one of all | as above |
//!
//! A login token that ran out while a limit was waited for says nothing of the server ([`LoginBudget::expired`]).
use crate::accounts::account::AccountView;
use crate::case::ast::Case;
use crate::http::cancel::Cancellation;
use crate::http::created_resources::CreatedResources;
use crate::http::message::{Exchange, Reply, Request, Response};
use crate::http::sender::SendResult;
use crate::model::reason::Reason;
use crate::model::user_id;
use crate::plan::Assignment;
use crate::run::case_machine::CaseMachine;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The cases of a phase that may still log in, in the plan's order: where a server limits logins, the same cases get one
/// whatever runs at the same time.
#[derive(Debug, Clone)]
pub struct LoginQueue(Arc<watch::Sender<Vec<usize>>>);

impl LoginQueue {
    /// A queue of these cases, by their places in the plan.
    pub fn new(cases: impl IntoIterator<Item = usize>) -> LoginQueue {
        LoginQueue(Arc::new(watch::Sender::new(cases.into_iter().collect())))
    }

    /// Takes a case out of the order: it lets all others log in before, and logs in at any time.
    pub fn take_out(&self, case: usize) {
        self.0.send_if_modified(|open| {
            let before = open.len();
            open.retain(|one| *one != case);
            open.len() < before
        });
    }
}

/// Sources of the logins of one case.
pub struct LoginBudget {
    /// Its place in a queue; none if it waits for nobody or sends no more logins.
    queued: Option<(LoginQueue, usize)>,
    /// Sessions that it is offered in place of its first login, if it ran before and got none.
    offered: Option<Vec<ReusableSession>>,
    left: usize,
    /// Login tokens that it was given, with the time at which each runs out.
    tokens: Vec<(String, Instant)>,
}

impl LoginBudget {
    /// Logins that are sent when the case's turn in the queue has come.
    pub fn queued(case: &Case, queue: Option<(LoginQueue, usize)>) -> LoginBudget {
        LoginBudget { queued: queue, offered: None, left: case.logins(), tokens: Vec::new() }
    }

    /// A session of an earlier case in place of the first login.
    pub fn reusing(case: &Case, offered: Vec<ReusableSession>) -> LoginBudget {
        let mut logins = LoginBudget::queued(case, None);
        logins.offered = Some(offered);
        logins
    }

    /// Waits until every case before is done with its logins, or the run is stopped.
    pub async fn acquire(&self, stop: &Cancellation) {
        let Some((LoginQueue(queue), case)) = &self.queued else { return };
        let mut waiting = queue.subscribe();
        let is_first = |open: &Vec<usize>| open.first() == Some(case) || !open.contains(case);
        tokio::select! {
            // It ends without a turn only if the queue is gone, and `self` holds it.
            _ = waiting.wait_for(is_first) => {}
            () = stop.stopped() => {}
        }
    }

    /// Takes note of what was sent; after its last login the next case may log in.
    pub fn give_back(&mut self, sent: &[Request]) {
        self.left = self.left.saturating_sub(sent.iter().filter(|one| one.is_login()).count());
        if self.left == 0 {
            self.leave();
        }
    }

    /// Lets all others log in before: it logs in outside of the order from here on.
    pub fn leave(&mut self) {
        if let Some((queue, case)) = self.queued.take() {
            queue.take_out(case);
        }
    }

    /// Returns the session of an earlier login that can be used instead of a new one.
    pub fn session_for(
        &mut self,
        login: &Request,
        case: &Case,
        accounts: &BTreeMap<String, AccountView>,
        machine: &mut CaseMachine<'_>,
    ) -> Option<SendResult> {
        match &mut self.offered {
            // They are offered once.
            Some(offered) => {
                std::mem::take(offered).iter().find_map(|session| session.serve(login, machine))
            }
            None => proof_of(login, case, accounts),
        }
    }

    /// The reason to block with, if a limit kept a request waiting that holds a token which has run out meanwhile. Takes
    /// note of the tokens in the answer (`login_token` with `expires_in_ms`); an answer with a login token is never large,
    /// and what is read of a large one would stay in memory.
    pub fn expired(&mut self, sent: &SendResult) -> Option<Reason> {
        let has_expired = self.has_expired(sent);
        let answers = sent.exchanges.iter().filter_map(|exchange| exchange.result.as_ref().ok());
        for response in answers.filter(|response| !response.is_large()) {
            let Some(token) = response.text_at("/login_token") else { continue };
            let ms = response.json().ok().and_then(|body| body.get("expires_in_ms")?.as_u64());
            let end = ms.and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms)));
            self.tokens.extend(end.map(|end| (token.to_owned(), end)));
        }
        has_expired.then_some(Reason::ExpiredWhileWaiting)
    }

    fn has_expired(&self, sent: &SendResult) -> bool {
        let limited = |one: &Exchange| one.result.as_ref().is_ok_and(|it| it.status == 429);
        let shown = sent.exchanges.get(sent.shown).and_then(|it| it.request.body.as_deref());
        let body = shown.and_then(|body| std::str::from_utf8(body).ok());
        let is_over = |body: &str, (token, end): &(String, Instant)| {
            *end < Instant::now() && body.contains(token)
        };
        sent.exchanges.iter().any(limited)
            && body.is_some_and(|body| self.tokens.iter().any(|token| is_over(body, token)))
    }
}

impl Drop for LoginBudget {
    fn drop(&mut self) {
        self.leave();
    }
}

/// An answer that is there already, in place of one to come.
pub fn earlier(exchange: Exchange) -> Option<SendResult> {
    let response = exchange.result.as_ref().ok()?.clone();
    Some(SendResult { reply: Reply::Response(response), exchanges: vec![exchange], shown: 0 })
}

/// The login that proved an account of the case, or one by another name that was refused then, where the case would
/// send the same and only looks at what came of it.
fn proof_of(
    login: &Request,
    case: &Case,
    accounts: &BTreeMap<String, AccountView>,
) -> Option<SendResult> {
    let body = login.json_body().filter(|_| !case.ends_its_session())?;
    let mut proofs = accounts.values().flat_map(|a| a.proof.iter().chain(&a.refused));
    let sent = &proofs.find(|proof| proof.body == body)?.exchange;
    let same_way = sent.request.path == login.path && sent.request.headers == login.headers;
    earlier((**sent).clone()).filter(|_| same_way)
}

/// A good login of this run whose session may still live.
#[derive(Debug, Clone)]
pub struct ReusableSession {
    /// The login, marked as looked at again.
    login: Exchange,
    /// True if cases share it as `session NAME`: nothing may end it while others may still want it.
    is_shared: bool,
}

/// Which cases are given which sessions, one round after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReusePolicy {
    /// Cases that end none, any session.
    ReadOnly,
    /// Any case, those that cases left.
    MayEnd,
    /// Cases that need no shared session, any: nobody comes after.
    Any,
}

impl ReusePolicy {
    /// In their order.
    pub const ALL: [ReusePolicy; 3] =
        [ReusePolicy::ReadOnly, ReusePolicy::MayEnd, ReusePolicy::Any];

    /// Returns true if a case takes part in the round.
    pub fn admits(self, case: &Case, assignment: &Assignment) -> bool {
        case.takes_any_session()
            && match self {
                ReusePolicy::ReadOnly => !case.ends_its_session(),
                ReusePolicy::MayEnd => true,
                ReusePolicy::Any => assignment.sessions.is_empty(),
            }
    }

    /// The sessions that it gives and that are as their logins left them.
    pub fn offers(
        self,
        sessions: &[ReusableSession],
        created: &CreatedResources,
    ) -> Vec<ReusableSession> {
        let is_offered = |session: &&ReusableSession| {
            (!session.is_shared || self != ReusePolicy::MayEnd) && session.lives(created)
        };
        sessions.iter().filter(is_offered).cloned().collect()
    }
}

impl ReusableSession {
    /// The session that a good login left open; nothing for any other exchange.
    pub fn of(login: &Exchange, is_shared: bool) -> Option<ReusableSession> {
        let response = login.result.as_ref().ok()?;
        let is_good = login.request.is_login()
            && response.is_success()
            && response.text_at("/access_token").is_some();
        is_good.then(|| ReusableSession { login: login.again(), is_shared })
    }

    fn response(&self) -> Option<&Response> {
        self.login.result.as_ref().ok()
    }

    fn lives(&self, created: &CreatedResources) -> bool {
        let token = self.response().and_then(|response| response.text_at("/access_token"));
        token.is_some_and(|token| created.is_as_begun(token))
    }

    /// Serves a login of a case that only wants a session, if it fits: what the case made up for it (a device id, a name)
    /// becomes what the earlier login had.
    fn serve(&self, request: &Request, machine: &mut CaseMachine<'_>) -> Option<SendResult> {
        let (wanted, had, response) =
            (request.json_body()?, self.login.request.json_body()?, self.response()?);
        let is_same = |member: &str| wanted.get(member) == had.get(member);
        let localpart = |body: &Value| {
            let user = body.pointer("/identifier/user")?.as_str()?;
            Some(user_id::localpart(user).to_owned())
        };
        let same_account = is_same("type")
            && is_same("password")
            && localpart(&wanted).is_some_and(|user| Some(user) == localpart(&had));
        let refreshes = wanted.get("refresh_token") != Some(&Value::Bool(true))
            || response.text_at("/refresh_token").is_some();
        if !same_account || !refreshes {
            return None;
        }
        let text = |body: &Value, member: &str| Some(body.get(member)?.as_str()?.to_owned());
        let (device, name) = ("device_id", "initial_device_display_name");
        let named = [
            (text(&wanted, device), response.text_at("/device_id").map(str::to_owned)),
            (text(&wanted, name), text(&had, name)),
        ];
        for (wanted, had) in named {
            let Some(wanted) = wanted else { continue };
            let had = had?;
            if wanted != had && !machine.rename(&wanted, &had) {
                return None;
            }
        }
        earlier(self.login.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn budget(queue: Option<(LoginQueue, usize)>) -> LoginBudget {
        LoginBudget { queued: queue, offered: None, left: 1, tokens: Vec::new() }
    }

    async fn has_come(turn: &LoginBudget) -> bool {
        let stop = Cancellation::default();
        tokio::select! {
            biased;
            () = turn.acquire(&stop) => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn a_turn_comes_when_all_before_are_over() {
        let queue = LoginQueue::new([7, 3, 5]);
        let of = |case| budget(Some((queue.clone(), case)));
        let (mut first, second, third, none) = (of(7), of(3), of(5), of(1));
        assert!(has_come(&first).await && has_come(&none).await && has_come(&budget(None)).await);
        assert!(!has_come(&third).await);
        drop(second);
        assert!(!has_come(&third).await);
        first.give_back(&[Request::new(Some("login"), "POST", "/_matrix/client/v3/login")]);
        assert!(has_come(&third).await);
    }

    fn exchange(body: Value, status: u16, response: Value) -> Exchange {
        Exchange {
            request: Request::new(Some("login"), "POST", "/_matrix/client/v3/login").json(&body),
            url: String::new(),
            sent_headers: Vec::new(),
            result: Ok(Response::new(status, Vec::new(), response.to_string().into_bytes(), false)),
            duration: Duration::ZERO,
            shared: false,
        }
    }

    fn sent(exchanges: Vec<Exchange>) -> SendResult {
        let shown = exchanges.len() - 1;
        let reply = Reply::Dropped(String::new());
        SendResult { reply, exchanges, shown }
    }

    #[test]
    fn only_waiting_and_running_out_together_spoil_a_token() {
        let mut tokens = budget(None);
        for (token, ms) in [("short", 0), ("long", 600_000)] {
            let given = json!({"login_token": token, "expires_in_ms": ms});
            assert!(tokens.expired(&sent(vec![exchange(json!({}), 200, given)])).is_none());
        }
        let login = |token: &str| exchange(json!({"token": token}), 403, json!({}));
        let limited = exchange(json!({}), 429, json!({}));
        assert!(tokens.expired(&sent(vec![login("short")])).is_none());
        assert!(tokens.expired(&sent(vec![limited.clone(), login("long")])).is_none());
        assert!(tokens.expired(&sent(vec![limited, login("short")])).is_some());
    }
}

#[cfg(test)]
mod reuse_tests;
