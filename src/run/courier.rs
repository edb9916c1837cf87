//! Delivering one request of a case: waiting for limits, trying again what says nothing of the
//! homeserver, telling a dropped connection from a server that is not there.
use super::dialect::Dialect;
use super::http::Http;
use super::ledger::Ledger;
use super::limits::Limits;
use super::stop::Stop;
use crate::case::ast;
use crate::outcome::Reason;
use crate::wire::{Answer, Ask, Exchanged, Reply, Trouble, TroubleKind};
use std::sync::Arc;

/// Delivers requests to one target.
#[derive(Debug, Clone)]
pub struct Courier {
    /// The wire.
    pub http: Http,
    /// What the server limits.
    pub limits: Arc<Limits>,
    /// Which sessions were made.
    pub ledger: Arc<Ledger>,
    /// Ends every waiting.
    pub stop: Stop,
    /// In which words the server is spoken to.
    pub dialect: Dialect,
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
        let mut exchanges = Vec::new();
        let ask = self.dialect.speak(ask);
        let reply = self.reply(&ask, limits, &mut exchanges).await;
        let is_same = |one: &Exchanged| one.ask == ask;
        let shown = exchanges.iter().rposition(is_same).unwrap_or(0);
        Delivered { reply, exchanges, shown }
    }

    async fn reply(&self, ask: &Ask, limits: ast::Limits, exchanges: &mut Vec<Exchanged>) -> Reply {
        let operation = limited_operation(ask);
        let mut gateway_tried = false;
        loop {
            if limits == ast::Limits::Wait
                && let Err(reason) = self.admit(&operation).await
            {
                return Reply::Undecided(reason);
            }
            let exchanged = self.http.send(ask).await;
            self.ledger.note(&exchanged);
            let result = exchanged.result.clone();
            exchanges.push(exchanged);
            match result {
                Ok(answer) if is_limited(&answer) && limits == ast::Limits::Wait => {
                    self.limits.hit(&operation, &answer);
                }
                Ok(answer) if is_gateway(&answer) => {
                    if gateway_tried {
                        return Reply::Undecided(gateway(&answer));
                    }
                    gateway_tried = true;
                }
                Ok(answer) => return Reply::Answer(answer),
                Err(trouble) => return self.without_answer(ask, trouble, exchanges).await,
            }
        }
    }

    async fn admit(&self, operation: &str) -> Result<(), Reason> {
        tokio::select! {
            admitted = self.limits.admit(operation) => admitted,
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
            Ok(answer) => Reply::Answer(answer),
            Err(second) if matches!(second.kind, TroubleKind::Closed | TroubleKind::Protocol) => {
                Reply::Dropped(format!(
                    "the connection ended twice without an answer ({second}), while another request was answered in between"
                ))
            }
            Err(second) => Reply::Undecided(no_answer(&second)),
        }
    }
}

fn control() -> Ask {
    Ask::new(Some("getVersions"), "GET", "/_matrix/client/versions")
}

/// Limits are kept by operation: `login` is limited, `getTokenOwner` is not.
fn limited_operation(ask: &Ask) -> String {
    ask.operation.clone().unwrap_or_else(|| {
        let path = ask.path.split('?').next().unwrap_or_default();
        format!("{} {path}", ask.method)
    })
}

/// 429, or the code of that refusal under another status: the code says what is meant.
fn is_limited(answer: &Answer) -> bool {
    answer.status == 429 || answer.text_at("/errcode") == Some("M_LIMIT_EXCEEDED")
}

fn is_gateway(answer: &Answer) -> bool {
    matches!(answer.status, 502..=504) && answer.text_at("/errcode").is_none()
}

fn gateway(answer: &Answer) -> Reason {
    Reason {
        code: "gateway".to_owned(),
        text: format!("something in front of the homeserver answered {} twice", answer.status),
    }
}

fn no_answer(trouble: &Trouble) -> Reason {
    let code = match trouble.kind {
        TroubleKind::Connect => "unreachable",
        TroubleKind::Timeout => "timeout",
        TroubleKind::Closed | TroubleKind::Protocol => "no_answer",
        TroubleKind::Request => "request",
    };
    Reason { code: code.to_owned(), text: trouble.text.clone() }
}
