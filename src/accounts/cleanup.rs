//! Taking back what a run made: its accounts are deactivated, its sessions logged out.
use crate::accounts::uia::{self, UiaCredentials};
use crate::case::ast::Limits;
use crate::http::cancel::Cancellation;
use crate::http::created_resources::{CreatedAccount, Session};
use crate::http::message::{Exchange, Request, Response};
use crate::http::sender::RequestSender;
use crate::http::supplied_accounts::SuppliedAccountState;
use crate::plan::routes::Routes;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Number of accounts or sessions that are cleaned up at once.
const AT_ONCE: usize = 8;

/// Result of a clean-up.
#[derive(Debug, Clone, Default)]
pub struct Cleanup {
    /// Requests and responses.
    pub exchanges: Vec<Exchange>,
    /// Resources that could not be removed, in the reader's words.
    pub left: Vec<String>,
    /// Reasons why sessions of supplied accounts could not be logged out, by their newest token.
    pub problems: BTreeMap<String, String>,
}

/// Deactivates every account that the run made, as far as the server lets it, and logs out every
/// session that is still open then, but for the last one of each supplied account: with that its devices are looked at
/// ([`end_supplied`](crate::accounts::supplied_cleanup::end_supplied)). It is over at `until`, or when the courier is told to stop;
/// what is not done then is named.
///
/// `observer`: the operation that shows whether a token lives, if the server has one.
pub async fn cleanup(
    sender: &RequestSender,
    routes: &Arc<dyn Routes>,
    observer: Option<&'static str>,
    until: Instant,
) -> Cleanup {
    let cleaner = Arc::new(Cleaner { observer, ..Cleaner::new(sender, routes, until) });
    tokio::select! {
        () = sender.look_again() => {}
        _ = end(&sender.stop, until) => {}
    }
    let mut done = Cleanup::default();
    let made = sender.created.made().into_iter().filter(|account| !account.guest);
    let deactivating = made.map(|account| {
        let (cleaner, name) = (cleaner.clone(), account_name(&account));
        (name, async move { cleaner.account(&account).await })
    });
    all(deactivating, &sender.stop, until, &mut done).await;
    let uncertain = sender.created.uncertain_accounts().into_iter().map(|account| {
        let (cleaner, name) = (cleaner.clone(), uncertain_name(&account));
        (name, async move { cleaner.uncertain_account(&account).await })
    });
    all(uncertain, &sender.stop, until, &mut done).await;
    let last = sender.supplied.last_sessions(&sender.created);
    let ending = sender.created.open().into_iter().filter(|session| !last.contains(session));
    let ending = ending.map(|session| {
        let (cleaner, name) = (cleaner.clone(), session_name(&session));
        (name, async move { cleaner.session(&session).await })
    });
    all(ending, &sender.stop, until, &mut done).await;
    let problems = cleaner.problems.lock().unwrap_or_else(PoisonError::into_inner);
    done.problems = problems.clone();
    drop(problems);
    done
}

pub(super) type Ended = (Vec<Exchange>, Result<(), String>);

/// Waits for all of them, a few at once, each with its name; what they gave stands in their order. What was not done by the
/// end of the clean-up, or was lost, is named.
pub(super) async fn all<F>(
    tasks: impl Iterator<Item = (String, F)>,
    stop: &Cancellation,
    until: Instant,
    done: &mut Cleanup,
) where
    F: Future<Output = Ended> + Send + 'static,
{
    let (mut names, mut futures) = (Vec::new(), Vec::new());
    for (name, task) in tasks {
        names.push(name);
        futures.push(task);
    }
    let mut waiting = futures.into_iter().enumerate();
    let mut running = JoinSet::new();
    let mut ended: BTreeMap<usize, Ended> = BTreeMap::new();
    let end = end(stop, until);
    tokio::pin!(end);
    let why = loop {
        while !stop.is_set()
            && running.len() < AT_ONCE
            && let Some((index, task)) = waiting.next()
        {
            running.spawn(async move { (index, task.await) });
        }
        tokio::select! {
            biased;
            why = &mut end => break why,
            joined = running.join_next() => match joined {
                Some(Ok((index, one))) => drop(ended.insert(index, one)),
                // It has no result, and is named below.
                Some(Err(_)) => {}
                None => break LOST,
            },
        }
    };
    for (index, name) in names.into_iter().enumerate() {
        match ended.remove(&index) {
            Some((exchanges, end)) => {
                done.exchanges.extend(exchanges);
                done.left.extend(end.err());
            }
            None => done.left.push(format!("{name}: {why}")),
        }
    }
}

/// Ends with the clean-up's time, or when it is stopped; gives why.
async fn end(stop: &Cancellation, until: Instant) -> &'static str {
    tokio::select! {
        biased;
        () = stop.stopped() => STOPPED,
        () = tokio::time::sleep_until(until) => NO_TIME,
    }
}

const LOST: &str = "internal error while ending it; please report it";
const NO_TIME: &str = "no time was left";
const STOPPED: &str = "the clean-up was stopped";

fn account_name(account: &CreatedAccount) -> String {
    format!("account {}, which the run created and which stays", account.user_id)
}

fn uncertain_name(account: &CreatedAccount) -> String {
    format!("account {}, which the run may have created", account.login_name)
}

pub(super) fn session_name(session: &Session) -> String {
    format!("session {} of {}", session.device_id, session.user_id)
}

pub(super) struct Cleaner {
    pub(super) sender: RequestSender,
    routes: Arc<dyn Routes>,
    until: Instant,
    observer: Option<&'static str>,
    /// Reasons why sessions of supplied accounts could not be logged out, by their newest token.
    pub(super) problems: Mutex<BTreeMap<String, String>>,
}

/// Response to the deactivation of an account with one of its tokens.
enum Deactivated {
    Done,
    /// The token is no longer good: another one may be.
    TokenOver,
    /// The server failed, or something on the way: it may be done.
    Unsure(String),
    Refused(String),
}

impl Cleaner {
    pub(super) fn new(sender: &RequestSender, routes: &Arc<dyn Routes>, until: Instant) -> Cleaner {
        let (sender, routes, problems) = (sender.clone(), routes.clone(), Mutex::default());
        Cleaner { sender, routes, until, observer: None, problems }
    }

    async fn account(&self, account: &CreatedAccount) -> Ended {
        let mut exchanges = Vec::new();
        let end = self.deactivate(account, &mut exchanges).await;
        let end = end.map_err(|why| format!("{}: {why}", account_name(account)));
        (exchanges, end)
    }

    /// With the tokens of its sessions, the newest first; where none is good, with that of a login.
    async fn deactivate(
        &self,
        account: &CreatedAccount,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<(), String> {
        let sessions = self.sender.created.open();
        let own = sessions.iter().filter(|session| session.user_id == account.user_id);
        let mut doubt = None;
        for token in own.flat_map(|session| &session.tokens).rev() {
            match self.deactivate_with(token, account, exchanges).await {
                Deactivated::Done => return Ok(()),
                Deactivated::TokenOver => {}
                Deactivated::Unsure(why) => doubt = Some(why),
                Deactivated::Refused(why) => return Err(why),
            }
        }
        let Some(password) = &account.password else {
            let none = || "no session of it is open, and its password is not known".to_owned();
            return Err(doubt.unwrap_or_else(none));
        };
        let Some(token) = self.log_in(&account.login_name, password, exchanges).await? else {
            self.sender.created.remove(&account.user_id);
            return Ok(());
        };
        self.deactivate_after_login(&token, account, exchanges).await
    }

    async fn deactivate_with(
        &self,
        token: &str,
        account: &CreatedAccount,
        exchanges: &mut Vec<Exchange>,
    ) -> Deactivated {
        let Some(request) = self.request("deactivateAccount") else {
            return Deactivated::Refused(
                "the specification files have no operation to deactivate it".to_owned(),
            );
        };
        let prover = UiaCredentials {
            user: Some(&account.login_name),
            password: account.password.as_deref(),
            registration_token: None,
        };
        let request = request.bearer(token);
        match uia::call(&self.sender, &request, json!({}), prover, exchanges).await {
            Ok(response) if response.is_success() => {
                // The exchange says so only if its token is known to be the account's.
                self.sender.created.remove(&account.user_id);
                Deactivated::Done
            }
            Ok(response) if response.status == 401 => Deactivated::TokenOver,
            Ok(response) if response.status >= 500 => {
                Deactivated::Unsure(refused("deactivating", &response))
            }
            Ok(response) => Deactivated::Refused(refused("deactivating", &response)),
            Err(why) => Deactivated::Unsure(why.to_string()),
        }
    }

    /// The same with the token of a login just made, which must be good.
    async fn deactivate_after_login(
        &self,
        token: &str,
        account: &CreatedAccount,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<(), String> {
        match self.deactivate_with(token, account, exchanges).await {
            Deactivated::Done => Ok(()),
            Deactivated::TokenOver => Err("the token of a new login is refused".to_owned()),
            Deactivated::Unsure(why) | Deactivated::Refused(why) => Err(why),
        }
    }

    /// An access token of a new session; none if the account is no more.
    pub(super) async fn log_in(
        &self,
        name: &str,
        password: &str,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<Option<String>, String> {
        let response = self.send_login(name, password, exchanges).await?;
        match (response.text_at("/access_token"), response.text_at("/errcode")) {
            (Some(token), _) if response.is_success() => Ok(Some(token.to_owned())),
            (_, Some("M_USER_DEACTIVATED")) => Ok(None),
            _ => Err(refused("logging in", &response)),
        }
    }

    async fn send_login(
        &self,
        name: &str,
        password: &str,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<Response, String> {
        let request = self
            .request("login")
            .ok_or("the specification files have no operation to log in")?
            .json(&json!({
                "type": "m.login.password",
                "identifier": {"type": "m.id.user", "user": name},
                "password": password,
            }));
        self.send(&request, exchanges).await
    }

    /// An account whose registration was not answered whole: if it is there, its password logs in.
    async fn uncertain_account(&self, account: &CreatedAccount) -> Ended {
        let mut exchanges = Vec::new();
        let end = self.deactivate_if_there(account, &mut exchanges).await;
        let end = end.map_err(|why| format!("{}: {why}", uncertain_name(account)));
        (exchanges, end)
    }

    async fn deactivate_if_there(
        &self,
        account: &CreatedAccount,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<(), String> {
        let Some(password) = &account.password else { return Ok(()) };
        let response = self.send_login(&account.login_name, password, exchanges).await?;
        if matches!(response.status, 400 | 401 | 403 | 404) {
            return Ok(());
        }
        let token = response.text_at("/access_token").filter(|_| response.is_success());
        let token = token.ok_or_else(|| refused("logging in", &response))?;
        let user_id = response.text_at("/user_id").unwrap_or(&account.user_id).to_owned();
        let account = CreatedAccount { user_id, ..account.clone() };
        self.deactivate_after_login(token, &account, exchanges).await
    }

    /// Logs a session out. One of a supplied account that this does not end is looked for among the devices later.
    async fn session(&self, session: &Session) -> Ended {
        let mut exchanges = Vec::new();
        let end = self.log_out(session, &mut exchanges).await;
        let user_id = &session.user_id;
        let is_supplied =
            |account: &SuppliedAccountState| account.user_id.as_ref() == Some(&session.user_id);
        let end = match end {
            Ok(()) => Ok(()),
            Err(problem) if self.sender.supplied.all().iter().any(is_supplied) => {
                self.note_problem(session, problem.text);
                Ok(())
            }
            // With an account that is gone, or that stays and is named, its sessions need no name.
            Err(problem) if problem.is_refused && self.sender.created.is_own_name(user_id) => {
                Ok(())
            }
            // A logout that failed may have ended it all the same.
            Err(problem) if !problem.is_refused && self.is_over(session, &mut exchanges).await => {
                self.sender.created.ended(session);
                Ok(())
            }
            Err(Problem { text, .. }) => Err(format!("{}: {text}", session_name(session))),
        };
        (exchanges, end)
    }

    /// Returns true if none of its tokens is known any more, whatever the logout said.
    async fn is_over(&self, session: &Session, exchanges: &mut Vec<Exchange>) -> bool {
        let Some(observer) = self.observer.and_then(|operation| self.request(operation)) else {
            return false;
        };
        for token in &session.tokens {
            let response = self.send(&observer.clone().bearer(token), exchanges).await;
            let is_unknown = response.is_ok_and(|response| {
                response.status == 401 && response.text_at("/errcode") == Some("M_UNKNOWN_TOKEN")
            });
            if !is_unknown {
                return false;
            }
        }
        !session.tokens.is_empty()
    }

    /// Tries its tokens, the newest first.
    pub(super) async fn log_out(
        &self,
        session: &Session,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<(), Problem> {
        let failed = |text: String| Problem { text, is_refused: false };
        let logout = self.request("logout");
        let logout = logout.ok_or_else(|| {
            failed("the specification files have no operation to log out".to_owned())
        })?;
        let mut problem = failed("it has no access token".to_owned());
        for token in session.tokens.iter().rev() {
            problem = match self.send(&logout.clone().bearer(token), exchanges).await {
                Ok(response) if response.is_success() => return Ok(()),
                Ok(response) => Problem {
                    is_refused: is_token_refused(&response),
                    text: refused("logging out", &response),
                },
                Err(why) => failed(why),
            };
        }
        Err(problem)
    }

    pub(super) fn note_problem(&self, session: &Session, problem: String) {
        let key = session.tokens.last().cloned().unwrap_or_default();
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).insert(key, problem);
    }

    /// Deletes devices of an account, with interactive auth by its password.
    pub(super) async fn delete_devices(
        &self,
        token: &str,
        devices: &[String],
        prover: UiaCredentials<'_>,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<(), String> {
        let request = self
            .request("deleteDevices")
            .ok_or("the specification files have no operation to delete devices")?;
        let body = json!({"devices": devices});
        let request = request.bearer(token);
        let response = uia::call(&self.sender, &request, body, prover, exchanges).await;
        let response = response.map_err(|why| why.to_string())?;
        match response.is_success() {
            true => Ok(()),
            false => Err(refused("deleting the device", &response)),
        }
    }

    pub(super) fn request(&self, operation: &str) -> Option<Request> {
        let route = self.routes.route(operation, None)?;
        Some(Request::new(Some(operation), &route.method, &route.path))
    }

    pub(super) async fn send(
        &self,
        request: &Request,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<Response, String> {
        if Instant::now() >= self.until {
            return Err(NO_TIME.to_owned());
        }
        let response = self.sender.response(request, Limits::Wait, exchanges).await;
        response.map_err(|reason| reason.text())
    }
}

pub(super) fn refused(what: &str, response: &Response) -> String {
    let code = response.text_at("/errcode").map(|code| format!(" {code}")).unwrap_or_default();
    format!("{what} was answered with {}{code}", response.status)
}

/// Failure of a request with the token of a session.
pub(super) struct Problem {
    pub(super) text: String,
    /// True if its token was refused. That does not show that the session is over.
    pub(super) is_refused: bool,
}

/// Returns true if a response refuses the token. That a guest may not log out does not.
fn is_token_refused(response: &Response) -> bool {
    let for_guests = response.text_at("/errcode") == Some("M_GUEST_ACCESS_FORBIDDEN");
    matches!(response.status, 401 | 403) && !for_guests
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::cancel::CancelCause;
    use std::time::Duration;

    fn task(
        name: &str,
        ends: Option<Result<(), String>>,
    ) -> (String, impl Future<Output = Ended> + use<>) {
        let is_lost = name == "lost";
        let task = async move {
            assert!(!is_lost, "of a test");
            match ends {
                Some(end) => (Vec::new(), end),
                None => std::future::pending().await,
            }
        };
        (name.to_owned(), task)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_lost_or_not_done_in_time_is_named() {
        let (stop, mut done) = (Cancellation::default(), Cleanup::default());
        let until = Instant::now() + Duration::from_secs(5);
        let refused = || Some(Err("refused".to_owned()));
        let tasks = [task("good", Some(Ok(()))), task("lost", None), task("refused", refused())];
        all(tasks.into_iter(), &stop, until, &mut done).await;
        assert_eq!(done.left, [format!("lost: {LOST}"), "refused".to_owned()]);
        done.left.clear();
        let tasks = [task("good", Some(Ok(()))), task("slow", None)];
        all(tasks.into_iter(), &stop, until, &mut done).await;
        assert_eq!(done.left, [format!("slow: {NO_TIME}")]);
    }

    #[tokio::test]
    async fn what_is_left_when_it_is_stopped_is_named_at_once() {
        let (stop, mut done) = (Cancellation::default(), Cleanup::default());
        let until = Instant::now() + Duration::from_secs(3600);
        let stopping = async {
            tokio::task::yield_now().await;
            stop.set(CancelCause::Interrupted);
        };
        let tasks = (0..20).map(|n| task(&format!("session {n}"), None));
        tokio::join!(all(tasks, &stop, until, &mut done), stopping);
        assert_eq!(done.left.len(), 20);
        assert_eq!(done.left[19], format!("session 19: {STOPPED}"));
    }
}
