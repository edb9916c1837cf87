//! Delivering one request of a case: waiting for limits, trying again what says nothing of the
//! homeserver, telling a dropped connection from a server that is not there.
use crate::case::ast;
use crate::http::cancel::Stop;
use crate::http::client::{Http, ROOM};
use crate::http::created_resources::Ledger;
use crate::http::legacy_login::Dialect;
use crate::http::liveness::{Lost, Vitals};
use crate::http::message;
use crate::http::message::{Answer, Ask, Exchanged, Reply, Trouble, TroubleKind};
use crate::http::rate_limit::{Bucket, Limits};
use crate::http::supplied_accounts::SuppliedAccounts;
use crate::model::run::Reason;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a target that failed a control request gets to come back: a restart is no reason to
/// give up a run.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two control requests.
const AGAIN: Duration = Duration::from_millis(250);

/// Delivers requests to one target.
#[derive(Debug, Clone)]
pub struct Courier {
    /// The wire.
    pub http: Http,
    /// What the server limits.
    pub limits: Arc<Limits>,
    /// Which sessions were made.
    pub ledger: Arc<Ledger>,
    /// What is known of the accounts that were given.
    pub supplied: Arc<SuppliedAccounts>,
    /// Ends every waiting.
    pub stop: Stop,
    /// In which words the server is spoken to.
    pub dialect: Dialect,
    /// Whether the target still is what the probe found.
    pub vitals: Arc<Vitals>,
}

/// What came of one request, and every exchange that it took.
#[derive(Debug)]
pub struct Delivered {
    /// For the case.
    pub reply: Reply,
    /// In the order sent.
    pub exchanges: Vec<Exchanged>,
    /// Which of them the reply speaks of.
    pub shown: usize,
}

impl Courier {
    /// Sends a request until there is something to say.
    pub async fn deliver(&self, ask: &Ask, limits: ast::Limits) -> Delivered {
        if let Some(lost) = self.vitals.stops() {
            let reply = Reply::Undecided(lost.reason);
            return Delivered { reply, exchanges: Vec::new(), shown: 0 };
        }
        let mut exchanges = Vec::new();
        let ask = self.dialect.speak(ask);
        let asker = self.ledger.asker(&ask);
        let attempt = match self.supplied.permit(&ask, asker.as_deref()) {
            Ok(attempt) => attempt,
            Err(reason) => {
                return Delivered { reply: Reply::Undecided(reason), exchanges, shown: 0 };
            }
        };
        let reply = self.reply(&ask, limits, &mut exchanges).await;
        if let Some(attempt) = attempt {
            self.supplied.settle(&attempt, &ask, &exchanges);
        }
        let is_same = |one: &Exchanged| one.ask == ask;
        let shown = exchanges.iter().rposition(is_same).unwrap_or(0);
        Delivered { reply, exchanges, shown }
    }

    async fn reply(&self, ask: &Ask, limits: ast::Limits, exchanges: &mut Vec<Exchanged>) -> Reply {
        let bucket = Bucket::of(ask);
        let mut gateway_tried = false;
        loop {
            if limits == ast::Limits::Wait
                && let Err(reason) = self.admit(&bucket).await
            {
                return Reply::Undecided(reason);
            }
            let exchanged = self.http.send(ask).await;
            self.ledger.note(&exchanged);
            self.vitals.note(&exchanged.result);
            if self.http.is_full() {
                self.vitals.stop(&format!("the server's answers came to {} MiB", ROOM >> 20));
            }
            let result = exchanged.result.clone();
            exchanges.push(exchanged);
            match result {
                Ok(answer) if is_limited(&answer) && limits == ast::Limits::Wait => {
                    self.limits.hit(&bucket, &answer);
                }
                Ok(answer) if is_gateway(&answer) => {
                    if gateway_tried {
                        return Reply::Undecided(gateway(&answer));
                    }
                    gateway_tried = true;
                }
                Ok(answer) => return reply_of(answer),
                Err(trouble) => return self.without_answer(ask, trouble, exchanges).await,
            }
        }
    }

    /// Asks the control requests again, for a case that went wrong: whether the target itself did.
    ///
    /// It has two seconds to answer as a homeserver does; without that, nothing more is asked.
    pub async fn check_up(&self) -> Option<Lost> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(lost) = self.vitals.stops() {
                return Some(lost);
            }
            let failed = self.sign_of_loss().await?;
            if self.stop.is_set() {
                return None;
            }
            if Instant::now() + AGAIN > until {
                return Some(self.vitals.lose(&failed));
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = self.stop.stopped() => {}
            }
        }
    }

    /// Forgets that the target was lost, if it is there again.
    pub async fn look_again(&self) {
        if self.vitals.stops().is_some() && self.sign_of_loss().await.is_none() {
            self.vitals.is_back();
        }
    }

    /// What a control request came to, if the target is not there any more: it has no answer, or a gateway's,
    /// or one that is given to everything.
    ///
    /// A homeserver that now answers a control request wrongly is still there, and its answers are for the
    /// cases to judge: it answers the other one as before, or at least does not say the same whatever is asked.
    async fn sign_of_loss(&self) -> Option<Exchanged> {
        let mut wrong: Option<(Exchanged, String)> = None;
        for control in self.vitals.controls() {
            let exchanged = self.http.send_fresh(&control.ask).await;
            let Ok(answer) = &exchanged.result else { return Some(exchanged) };
            if is_gateway(answer) {
                return Some(exchanged);
            }
            // A limit may stand before everything, and whoever keeps one is still there.
            if is_limited(answer) || control.is_met_by(answer) {
                return None;
            }
            let words = message::words(answer);
            wrong.get_or_insert((exchanged, words));
        }
        let (sign, words) = wrong?;
        for ask in strangers() {
            let other = self.http.send_fresh(&ask).await;
            let differs = |answer: &Answer| !is_gateway(answer) && message::words(answer) != words;
            if other.result.as_ref().is_ok_and(differs) {
                return None;
            }
        }
        Some(sign)
    }

    async fn admit(&self, bucket: &Bucket) -> Result<(), Reason> {
        tokio::select! {
            admitted = self.limits.admit(bucket) => admitted,
            () = self.stop.stopped() => Err(self.stop.reason()),
        }
    }

    /// A dropped connection counts only if it happens twice while the server answers others.
    async fn without_answer(
        &self,
        ask: &Ask,
        trouble: Trouble,
        exchanges: &mut Vec<Exchanged>,
    ) -> Reply {
        if !matches!(trouble.kind, TroubleKind::Closed | TroubleKind::Protocol) {
            return Reply::Undecided(no_answer(&trouble));
        }
        let control = self.http.send_fresh(&control()).await;
        let alive = control.result.is_ok();
        exchanges.push(control);
        if !alive {
            return Reply::Undecided(no_answer(&trouble));
        }
        let again = self.http.send_fresh(ask).await;
        self.ledger.note(&again);
        let result = again.result.clone();
        exchanges.push(again);
        match result {
            Ok(answer) => reply_of(answer),
            Err(second) if matches!(second.kind, TroubleKind::Closed | TroubleKind::Protocol) => {
                Reply::Dropped(format!(
                    "the connection ended twice without an answer ({second}), while another request was answered in between"
                ))
            }
            Err(second) => Reply::Undecided(no_answer(&second)),
        }
    }
}

/// Requests that no homeserver gives one and the same answer to: for one a token is missing, the other is
/// unknown to it.
fn strangers() -> [Ask; 2] {
    [
        Ask::new(Some("getTokenOwner"), "GET", "/_matrix/client/v3/account/whoami"),
        Ask::new(None, "GET", "/_matrix/client/homespec/no/such/endpoint"),
    ]
}

fn control() -> Ask {
    Ask::new(Some("getVersions"), "GET", "/_matrix/client/versions")
}

/// 429, or the code of that refusal under another status: the code says what is meant.
fn is_limited(answer: &Answer) -> bool {
    answer.status == 429 || answer.text_at("/errcode") == Some("M_LIMIT_EXCEEDED")
}

fn is_gateway(answer: &Answer) -> bool {
    matches!(answer.status, 502..=504) && answer.text_at("/errcode").is_none()
}

/// The answer for the case, if it can be judged.
fn reply_of(answer: Answer) -> Reply {
    if answer.coding().is_some() {
        return Reply::Undecided(compressed());
    }
    match answer.beyond_bounds() {
        Some(reason) => Reply::Undecided(reason),
        None => Reply::Answer(answer),
    }
}

fn gateway(answer: &Answer) -> Reason {
    Reason {
        code: "gateway".to_owned(),
        text: format!("something in front of the homeserver answered {} twice", answer.status)
            .into(),
    }
}

/// HTTP allows it to whoever is not told otherwise (RFC 9110, section 12.5.3), so it is no finding.
fn compressed() -> Reason {
    Reason {
        code: "compressed".to_owned(),
        text: "the answer is compressed, which was not asked for, and homespec unpacks nothing"
            .into(),
    }
}

fn no_answer(trouble: &Trouble) -> Reason {
    let code = match trouble.kind {
        TroubleKind::Connect | TroubleKind::Tls => "unreachable",
        TroubleKind::Timeout => "timeout",
        TroubleKind::Closed | TroubleKind::Protocol => "no_answer",
        TroubleKind::Request => "request",
    };
    Reason { code: code.to_owned(), text: trouble.text.as_str().into() }
}
