//! Clean-up of accounts that the operator gave: their devices at the end are compared with those at
//! its start. Devices that are certainly the run's own are deleted, and others that may be are
//! named. No device that was there before is touched.
use crate::accounts::cleanup::{Cleaner, Cleanup, Ended, Problem, all, refused, session_name};
use crate::accounts::uia::UiaCredentials;
use crate::http::created_resources::{CreatedResources, Session, UncertainLogin};
use crate::http::message::Exchange;
use crate::http::message::clipped;
use crate::http::sender::RequestSender;
use crate::http::supplied_accounts::{Credential, SuppliedAccountState, device_ids};
use crate::plan::routes::Routes;
use crate::redact::ExposeSecret;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use tokio::time::Instant;

/// Number of logins that are tried for a token that lists devices.
const LOGINS: usize = 2;

/// The devices of an account, and the token that they were listed with.
struct ListedDevices {
    token: String,
    devices: BTreeSet<String>,
}

/// Compares the devices of the supplied accounts with those at the start of the run and ends what is left on them, after
/// `done` has ended all else. Nothing new is begun after `until`.
pub async fn end_supplied(
    sender: &RequestSender,
    routes: &Arc<dyn Routes>,
    until: Instant,
    done: &mut Cleanup,
) {
    let cleaner = Cleaner::new(sender, routes, until);
    cleaner.problems.lock().unwrap_or_else(PoisonError::into_inner).append(&mut done.problems);
    let cleaner = Arc::new(SuppliedCleaner { cleaner, is_unlisted: AtomicBool::new(false) });
    let supplied = sender.supplied.all();
    // An account that was given twice is one.
    let mut seen = BTreeSet::new();
    let once = |account: &&SuppliedAccountState| {
        account.user_id.as_ref().is_none_or(|id| seen.insert(id.clone()))
    };
    let touched =
        supplied.iter().filter(|account| cleaner.is_touched(account)).filter(once).cloned();
    let ending = touched.map(|account| {
        let (cleaner, name) = (cleaner.clone(), cleaner.open_name(&account));
        (name, async move { cleaner.account(&account).await })
    });
    all(ending, &sender.stop, until, done).await;
    let is_unlisted = cleaner.is_unlisted.load(Ordering::Relaxed);
    done.left.extend(unheard(&sender.created, &supplied, is_unlisted));
}

struct SuppliedCleaner {
    cleaner: Cleaner,
    /// True if the devices of an account could not be listed.
    is_unlisted: AtomicBool,
}

impl SuppliedCleaner {
    /// Ends what is left of the run on a supplied account; the sessions but the last were logged out before.
    async fn account(&self, account: &SuppliedAccountState) -> Ended {
        let (mut exchanges, mut left) = (Vec::new(), Vec::new());
        let uncertain = self.uncertain_of(account);
        match self.list(account, &mut exchanges).await {
            Ok(listed) => {
                self.compare(account, &uncertain, &listed, &mut exchanges, &mut left).await;
            }
            Err(why) => {
                self.is_unlisted.store(true, Ordering::Relaxed);
                self.end_last(account, None, &mut exchanges).await;
                left.extend(up_to(uncertain.len(), account, &unlisted(&why)));
                // A token that is refused may be all that is left of a session: nobody needs the account.
                if !account.disposable {
                    left.extend(self.named(&self.sessions_of(account)));
                }
            }
        }
        let end = if left.is_empty() { Ok(()) } else { Err(left.join("; ")) };
        (exchanges, end)
    }

    /// The logins to an account that had no whole answer.
    fn uncertain_of(&self, account: &SuppliedAccountState) -> Vec<UncertainLogin> {
        let logins = self.cleaner.sender.created.uncertain_logins();
        logins.into_iter().filter(|login| account.is_of(login)).collect()
    }

    fn is_touched(&self, account: &SuppliedAccountState) -> bool {
        !self.sessions_of(account).is_empty() || !self.uncertain_of(account).is_empty()
    }

    /// Names the sessions that may be open on a touched account, for a clean-up that ends before it
    /// looks.
    fn open_name(&self, account: &SuppliedAccountState) -> String {
        match self.sessions_of(account).last() {
            Some(session) => session_name(session),
            None => format!("sessions of logins with incomplete responses on {}", name_of(account)),
        }
    }

    /// Its sessions that are open as far as is known, in the order begun.
    fn sessions_of(&self, account: &SuppliedAccountState) -> Vec<Session> {
        let mut sessions = self.cleaner.sender.created.open();
        sessions.retain(|session| Some(&session.user_id) == account.user_id.as_ref());
        sessions
    }

    /// Its devices, listed with the access token given, or the last session; where neither is good, with that of a new
    /// login.
    async fn list(
        &self,
        account: &SuppliedAccountState,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<ListedDevices, String> {
        let sessions = self.sessions_of(account);
        let known = match &account.credential {
            Credential::AccessToken(token) => Some(token.expose_secret().to_owned()),
            Credential::Password(_) => sessions.last().and_then(|one| one.tokens.last().cloned()),
        };
        let mut why = "no session of it is open".to_owned();
        if let Some(token) = known {
            match self.list_with(&token, exchanges).await {
                Ok(listed) => return Ok(listed),
                Err(problem) if problem.is_refused => why = problem.text,
                Err(problem) => return Err(problem.text),
            }
        }
        let (Some(name), Some(password)) = (&account.login_name, account.password()) else {
            return Err(why);
        };
        if account.disposable || self.cleaner.request("getDevices").is_none() {
            return Err(why);
        }
        for _ in 0..LOGINS {
            let token = self.cleaner.log_in(name, password, exchanges).await?;
            let Some(token) = token else { return Err(why) };
            match self.list_with(&token, exchanges).await {
                Ok(listed) => return Ok(listed),
                Err(problem) if problem.is_refused => why = problem.text,
                Err(problem) => return Err(problem.text),
            }
        }
        Err(why)
    }

    async fn list_with(
        &self,
        token: &str,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<ListedDevices, Problem> {
        let failed = |text: String| Problem { text, is_refused: false };
        let request = self.cleaner.request("getDevices");
        let request = request.ok_or_else(|| {
            failed("the specification files have no operation to list devices".to_owned())
        })?;
        let response =
            self.cleaner.send(&request.bearer(token), exchanges).await.map_err(failed)?;
        let devices = device_ids(&response).ok_or_else(|| Problem {
            text: match response.is_success() {
                true => "the list of devices cannot be read".to_owned(),
                false => refused("GET /devices", &response),
            },
            is_refused: response.status == 401,
        })?;
        Ok(ListedDevices { token: token.to_owned(), devices })
    }

    async fn compare(
        &self,
        account: &SuppliedAccountState,
        uncertain: &[UncertainLogin],
        listed: &ListedDevices,
        exchanges: &mut Vec<Exchange>,
        left: &mut Vec<String>,
    ) {
        let sessions = self.sessions_of(account);
        let (own, strange) = self.sorted(account, &sessions, listed);
        for session in &sessions {
            let is_over = !session.device_id.is_empty()
                && !listed.devices.contains(&session.device_id)
                && !session.tokens.contains(&listed.token);
            if is_over {
                self.cleaner.sender.created.ended(session);
            }
        }
        if !own.is_empty() {
            let (user, password) = (account.login_name.as_deref(), account.password());
            let prover = UiaCredentials { user, password, registration_token: None };
            match self.cleaner.delete_devices(&listed.token, &own, prover, exchanges).await {
                Ok(()) => {
                    let deleted = sessions.iter().filter(|one| own.contains(&one.device_id));
                    deleted.for_each(|session| self.cleaner.sender.created.ended(session));
                }
                Err(why) => left.push(format!("{} of {}: {why}", devices(&own), name_of(account))),
            }
        }
        if !strange.is_empty() {
            left.push(strange_devices(&strange, account, uncertain.len()));
        }
        let (count, why) = match &account.devices {
            Some(_) => (account.uncertain_before, "that was before its devices were first listed"),
            None => (uncertain.len(), "its devices could not be listed at the start"),
        };
        left.extend(up_to(count, account, why));
        self.end_last(account, Some(listed), exchanges).await;
        let remaining = self.sessions_of(account);
        let is_named = |session: &&Session| own.contains(&session.device_id);
        let unnamed: Vec<Session> =
            remaining.iter().filter(|session| !is_named(session)).cloned().collect();
        left.extend(self.named(&unnamed));
    }

    /// The devices that came during the run: those that are certainly its own and not the one that lists, and others.
    fn sorted(
        &self,
        account: &SuppliedAccountState,
        sessions: &[Session],
        listed: &ListedDevices,
    ) -> (Vec<String>, Vec<String>) {
        let lists = sessions.iter().find(|one| one.tokens.contains(&listed.token));
        let lists = lists.map(|session| &session.device_id);
        let told = |id: &String| sessions.iter().any(|session| session.device_id == *id);
        let came = |id: &String| account.devices.as_ref().is_some_and(|old| !old.contains(id));
        let devices = listed.devices.iter().filter(|id| Some(*id) != lists);
        let devices = devices.filter(|id| told(id) || came(id)).cloned();
        devices.partition(|id| told(id) || self.cleaner.sender.created.chose_device(id))
    }

    /// Logs out the session that listed the devices; where none did, those that were not yet tried.
    async fn end_last(
        &self,
        account: &SuppliedAccountState,
        listed: Option<&ListedDevices>,
        exchanges: &mut Vec<Exchange>,
    ) {
        let is_last = |session: &&Session| match listed {
            Some(listed) => session.tokens.contains(&listed.token),
            None => !self.has_problem(session),
        };
        for session in self.sessions_of(account).iter().filter(is_last) {
            if let Err(problem) = self.cleaner.log_out(session, exchanges).await {
                self.cleaner.note_problem(session, problem.text);
            }
        }
    }

    fn has_problem(&self, session: &Session) -> bool {
        let problems = self.cleaner.problems.lock().unwrap_or_else(PoisonError::into_inner);
        session.tokens.last().is_some_and(|token| problems.contains_key(token))
    }

    /// Sessions that are open as far as is known, by what kept them from being ended.
    fn named(&self, sessions: &[Session]) -> Vec<String> {
        let problems = self.cleaner.problems.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_problem: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for session in sessions {
            let problem = session.tokens.last().and_then(|token| problems.get(token));
            let problem = problem.map_or("it was not logged out", String::as_str);
            let key = (session.user_id.as_str(), problem);
            by_problem.entry(key).or_default().push(&session.device_id);
        }
        let name = |((user_id, problem), devices): ((&str, &str), Vec<&str>)| {
            let noun = if devices.len() == 1 { "session" } else { "sessions" };
            format!("{noun} {} of {user_id}: {problem}", told(&devices))
        };
        by_problem.into_iter().map(name).collect()
    }
}

/// Sessions that logins may have left and that no list of devices shows: those of users who are
/// neither supplied nor the run's own, and, where a list could not be had, those by a token.
fn unheard(
    created: &CreatedResources,
    supplied: &[SuppliedAccountState],
    is_unlisted: bool,
) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for login in created.uncertain_logins() {
        let whose = match &login.name {
            Some(_) if supplied.iter().any(|account| account.is_of(&login)) => continue,
            Some(name) if created.is_own_name(name) => continue,
            Some(name) => format!("of {name}"),
            None if is_unlisted => "that a login token began".to_owned(),
            None => continue,
        };
        *counts.entry(whose).or_default() += 1;
    }
    counts
        .into_iter()
        .map(|(whose, count)| format!("up to {} {whose}: {UNHEARD}", sessions(count)))
        .collect()
}

const UNHEARD: &str = "the same number of logins had incomplete responses";

/// That some logins may have left sessions; nothing, if there were none.
fn up_to(count: usize, account: &SuppliedAccountState, why: &str) -> Option<String> {
    let name = name_of(account);
    (count > 0).then(|| format!("up to {} of {name}: {UNHEARD}, and {why}", sessions(count)))
}

fn unlisted(why: &str) -> String {
    format!("its devices could not be listed ({why})")
}

fn strange_devices(ids: &[String], account: &SuppliedAccountState, uncertain: usize) -> String {
    let why = match uncertain {
        0 => "it is not certainly the run's own".to_owned(),
        count => format!("{count} of the run's logins had incomplete responses"),
    };
    let name = name_of(account);
    format!("{} of {name}: new since the start of the run, and not deleted: {why}", devices(ids))
}

fn name_of(account: &SuppliedAccountState) -> &str {
    account.user_id.as_deref().unwrap_or(&account.given)
}

fn devices(ids: &[String]) -> String {
    let noun = if ids.len() == 1 { "device" } else { "devices" };
    format!("{noun} {}", told(ids))
}

/// Maximum number of ids in one sentence: a server can list as many as it likes.
const TOLD: usize = 1_000;

fn told<T: AsRef<str>>(ids: &[T]) -> String {
    let first: Vec<String> = ids.iter().take(TOLD).map(|id| clipped(id.as_ref())).collect();
    let first = first.join(", ");
    match ids.len().saturating_sub(TOLD) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

fn sessions(count: usize) -> String {
    format!("{count} {}", if count == 1 { "session" } else { "sessions" })
}
