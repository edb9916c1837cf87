//! Taking back what a run made: its accounts are deactivated, its sessions logged out.
use super::courier::Courier;
use super::ledger::{Made, Session};
use super::uia::{self, Prover};
use crate::case::ast::Limits;
use crate::routes::Routes;
use crate::wire::{Answer, Ask, Exchanged, Reply};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How many accounts or sessions are dealt with at once.
const AT_ONCE: usize = 8;

/// What a clean-up came to.
#[derive(Debug, Default)]
pub struct CleanUp {
    /// What was sent and what came back.
    pub exchanges: Vec<Exchanged>,
    /// What could not be removed, in the reader's words.
    pub left: Vec<String>,
}

/// Deactivates every account that the run made, as far as the server lets it, and logs out every
/// session that is still open then. Nothing new is begun after `time`.
pub async fn clean_up(courier: &Courier, routes: &Arc<dyn Routes>, time: Duration) -> CleanUp {
    let until = Instant::now() + time;
    let cleaner = Arc::new(Cleaner { courier: courier.clone(), routes: routes.clone(), until });
    let mut done = CleanUp::default();
    let made = courier.ledger.made().into_iter().filter(|account| !account.guest);
    let deactivating = made.map(|account| {
        let cleaner = cleaner.clone();
        async move { cleaner.account(&account).await }
    });
    all(deactivating, &mut done).await;
    let ending = courier.ledger.open().into_iter().map(|session| {
        let cleaner = cleaner.clone();
        async move { cleaner.session(&session).await }
    });
    all(ending, &mut done).await;
    done
}

/// What came of one account or session.
type Ended = (Vec<Exchanged>, Result<(), String>);

/// Waits for all of them, a few at once; what they gave stands in their order.
async fn all<F>(tasks: impl Iterator<Item = F>, done: &mut CleanUp)
where
    F: Future<Output = Ended> + Send + 'static,
{
    let mut tasks = tasks.enumerate();
    let mut running = JoinSet::new();
    let mut ended: Vec<(usize, Ended)> = Vec::new();
    loop {
        while running.len() < AT_ONCE
            && let Some((index, task)) = tasks.next()
        {
            running.spawn(async move { (index, task.await) });
        }
        match running.join_next().await {
            Some(Ok(one)) => ended.push(one),
            Some(Err(_)) => {}
            None => break,
        }
    }
    ended.sort_by_key(|(index, _)| *index);
    for (_, (exchanges, end)) in ended {
        done.exchanges.extend(exchanges);
        done.left.extend(end.err());
    }
}

struct Cleaner {
    courier: Courier,
    routes: Arc<dyn Routes>,
    until: Instant,
}

/// What an answer said of an account that is to be deactivated with one of its tokens.
enum Deactivated {
    Done,
    /// The token is no longer good: another one may be.
    TokenOver,
    Refused(String),
}

impl Cleaner {
    async fn account(&self, account: &Made) -> Ended {
        let mut exchanges = Vec::new();
        let end = self.deactivate(account, &mut exchanges).await;
        let end = end.map_err(|why| {
            format!("account {}, which the run made and which stays: {why}", account.user_id)
        });
        (exchanges, end)
    }

    /// With the tokens of its sessions, the newest first; where none is good, with that of a login.
    async fn deactivate(
        &self,
        account: &Made,
        exchanges: &mut Vec<Exchanged>,
    ) -> Result<(), String> {
        let sessions = self.courier.ledger.open();
        let own = sessions.iter().filter(|session| session.user_id == account.user_id);
        for token in own.flat_map(|session| &session.tokens).rev() {
            match self.deactivate_with(token, account, exchanges).await {
                Deactivated::Done => return Ok(()),
                Deactivated::TokenOver => {}
                Deactivated::Refused(why) => return Err(why),
            }
        }
        let Some(token) = self.log_in(account, exchanges).await? else {
            self.courier.ledger.gone(&account.user_id);
            return Ok(());
        };
        match self.deactivate_with(&token, account, exchanges).await {
            Deactivated::Done => Ok(()),
            Deactivated::TokenOver => Err("the token of a new login is refused".to_owned()),
            Deactivated::Refused(why) => Err(why),
        }
    }

    async fn deactivate_with(
        &self,
        token: &str,
        account: &Made,
        exchanges: &mut Vec<Exchanged>,
    ) -> Deactivated {
        let Some(ask) = self.ask("deactivateAccount") else {
            return Deactivated::Refused("there is no operation to deactivate it".to_owned());
        };
        let ask = ask.bearer(token);
        let (mut body, mut stages) = (json!({}), Vec::new());
        loop {
            let answer = match self.send(&ask.clone().json(&body), exchanges).await {
                Ok(answer) => answer,
                Err(why) => return Deactivated::Refused(why),
            };
            if answer.is_success() {
                // The exchange says so only if its token is known to be the account's.
                self.courier.ledger.gone(&account.user_id);
                return Deactivated::Done;
            }
            let challenge = match answer.json() {
                Ok(challenge) if answer.is_challenge() => challenge,
                _ if answer.status == 401 => return Deactivated::TokenOver,
                _ => return Deactivated::Refused(refused("deactivating", &answer)),
            };
            let prover = Prover {
                user: Some(&account.user_id),
                password: account.password.as_deref(),
                registration_token: None,
            };
            match uia::answer(challenge, prover, &stages) {
                Ok(auth) => {
                    stages.extend(auth["type"].as_str().map(str::to_owned));
                    body["auth"] = auth;
                }
                Err(why) => return Deactivated::Refused(why),
            }
        }
    }

    /// An access token of a new session; none if the account is no more.
    async fn log_in(
        &self,
        account: &Made,
        exchanges: &mut Vec<Exchanged>,
    ) -> Result<Option<String>, String> {
        let ask = self.ask("login");
        let (Some(ask), Some(password)) = (ask, &account.password) else {
            return Err("no session of it is open, and its password is not known".to_owned());
        };
        let ask = ask.json(&json!({
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": account.user_id},
            "password": password,
        }));
        let answer = self.send(&ask, exchanges).await?;
        match (answer.text_at("/access_token"), answer.text_at("/errcode")) {
            (Some(token), _) if answer.is_success() => Ok(Some(token.to_owned())),
            (_, Some("M_USER_DEACTIVATED")) => Ok(None),
            _ => Err(refused("logging in", &answer)),
        }
    }

    /// Tries its tokens, the newest first; a token that is refused belongs to a session that is over.
    async fn session(&self, session: &Session) -> Ended {
        let name = format!("session {} of {}", session.device_id, session.user_id);
        let mut exchanges = Vec::new();
        let Some(logout) = self.ask("logout") else {
            return (exchanges, Err(format!("{name}: there is no operation to log out")));
        };
        let mut end = Ok(());
        for token in session.tokens.iter().rev() {
            match self.send(&logout.clone().bearer(token), &mut exchanges).await {
                Ok(answer) if answer.is_success() => return (exchanges, Ok(())),
                Ok(answer) if is_over(&answer) => {}
                Ok(answer) => end = Err(format!("{name}: {}", refused("logging out", &answer))),
                Err(why) => end = Err(format!("{name}: {why}")),
            }
        }
        (exchanges, end)
    }

    fn ask(&self, operation: &str) -> Option<Ask> {
        let route = self.routes.route(operation, None)?;
        Some(Ask::new(Some(operation), &route.method, &route.path))
    }

    /// One request, unless there is no time left.
    async fn send(&self, ask: &Ask, exchanges: &mut Vec<Exchanged>) -> Result<Answer, String> {
        if Instant::now() >= self.until {
            return Err("there was no time left for it".to_owned());
        }
        let delivered = self.courier.deliver(ask, Limits::Wait).await;
        exchanges.extend(delivered.exchanges);
        match delivered.reply {
            Reply::Answer(answer) => Ok(answer),
            Reply::Dropped(why) => Err(why),
            Reply::Undecided(reason) => Err(reason.text.into()),
        }
    }
}

fn refused(what: &str, answer: &Answer) -> String {
    let code = answer.text_at("/errcode").map(|code| format!(" {code}")).unwrap_or_default();
    format!("{what} was answered with {}{code}", answer.status)
}

/// Whether a refusal says that the session no longer exists. That a guest may not log out says nothing of the kind.
fn is_over(answer: &Answer) -> bool {
    let for_guests = answer.text_at("/errcode") == Some("M_GUEST_ACCESS_FORBIDDEN");
    matches!(answer.status, 401 | 403) && !for_guests
}
