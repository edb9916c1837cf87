//! Sending one request of a case: waiting for limits, repeating requests whose result says nothing
//! about the homeserver, and telling a dropped connection from a lost server.
use crate::case::ast;
use crate::http::cancel::Cancellation;
use crate::http::client::{HttpClient, ROOM};
use crate::http::created_resources::CreatedResources;
use crate::http::gateway::{Homeserver, Origin, has_gateway_status};
use crate::http::legacy_login::LoginDialect;
use crate::http::liveness::{LivenessMonitor, TargetLost};
use crate::http::message;
use crate::http::message::{
    Exchange, LARGE, Reply, Request, Response, TransportError, TransportErrorKind,
};
use crate::http::rate_limit::{Bucket, Patience, RateLimits};
use crate::http::supplied_accounts::SuppliedAccounts;
use crate::model::reason::Reason;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Time for a target that failed a control request to come back: a restart must not end a run.
const PATIENCE: Duration = Duration::from_secs(2);
/// The pause between two control requests.
const AGAIN: Duration = Duration::from_millis(250);

/// Sends requests to one target.
#[derive(Debug, Clone)]
pub struct RequestSender {
    /// The HTTP client.
    pub http: HttpClient,
    /// The server's rate limits.
    pub limits: Arc<RateLimits>,
    /// Permission to wait for them.
    pub patience: Patience,
    /// The resources to clean up.
    pub created: Arc<CreatedResources>,
    /// The supplied accounts.
    pub supplied: Arc<SuppliedAccounts>,
    /// Ends every wait.
    pub stop: Cancellation,
    /// The form of user names in requests.
    pub dialect: LoginDialect,
    /// Detects that the target is lost.
    pub liveness: Arc<LivenessMonitor>,
    /// The headers by which its answers are known.
    pub homeserver: Arc<Homeserver>,
}

/// The result of one request, with every exchange that it took.
#[derive(Debug)]
pub struct SendResult {
    /// For the case.
    pub reply: Reply,
    /// In the order sent.
    pub exchanges: Vec<Exchange>,
    /// The exchange that the reply is about.
    pub shown: usize,
}

impl RequestSender {
    /// The same with another permission to wait for limits.
    pub fn with_patience(&self, patience: Patience) -> RequestSender {
        RequestSender { patience, ..self.clone() }
    }

    /// The requests that a server probably limits together with this one.
    pub fn bucket(&self, request: &Request) -> Bucket {
        let request = self.dialect.speak(request);
        Bucket::of(&request).asked_by(self.created.asker(&request).as_deref())
    }

    /// Sends a request, and repeats it until there is a result.
    pub async fn send(&self, request: &Request, limits: ast::Limits) -> SendResult {
        if let Some(lost) = self.liveness.stops() {
            let reply = Reply::Inconclusive(lost.reason);
            return SendResult { reply, exchanges: Vec::new(), shown: 0 };
        }
        let mut exchanges = Vec::new();
        let request = self.dialect.speak(request);
        let asker = self.created.asker(&request);
        let attempt = match self.supplied.permit(&request, asker.as_deref()) {
            Ok(attempt) => attempt,
            Err(reason) => {
                return SendResult { reply: Reply::Inconclusive(reason), exchanges, shown: 0 };
            }
        };
        let bucket = Bucket::of(&request).asked_by(asker.as_deref());
        let reply = self.reply(&request, &bucket, limits, &mut exchanges).await;
        if let Some(attempt) = attempt {
            self.supplied.settle(&attempt, &request, &exchanges);
        }
        let is_same = |one: &Exchange| one.request == request;
        let shown = exchanges.iter().rposition(is_same).unwrap_or(0);
        SendResult { reply, exchanges, shown }
    }

    /// The response to a request; `exchanges` takes what was sent.
    pub async fn response(
        &self,
        request: &Request,
        limits: ast::Limits,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<Response, Reason> {
        let sent = self.send(request, limits).await;
        exchanges.extend(sent.exchanges);
        sent.reply.response()
    }

    async fn reply(
        &self,
        request: &Request,
        bucket: &Bucket,
        limits: ast::Limits,
        exchanges: &mut Vec<Exchange>,
    ) -> Reply {
        let waits = limits == ast::Limits::Wait;
        let mut gateway: Option<Reason> = None;
        loop {
            let admitted = match waits {
                true => self.admit(bucket).await,
                false => Ok(Instant::now()),
            };
            let admitted = match admitted {
                Ok(admitted) => admitted,
                Err(reason) => return Reply::Inconclusive(reason),
            };
            let exchange = self.http.send(request).await;
            self.created.note(&exchange);
            self.liveness.note(request, &exchange.result);
            let origin = self.homeserver.meet(&exchange);
            if self.http.is_full() {
                self.liveness.stop(&format!("the server's responses came to {} MiB", ROOM >> 20));
            }
            let result = exchange.result.clone();
            exchanges.push(exchange);
            match result {
                Ok(response) if is_limited(&response) && waits => {
                    self.limits.hit(bucket, &response, admitted);
                }
                Ok(response) if origin == Origin::Gateway => {
                    let reason = Reason::Gateway { status: response.status };
                    if gateway.replace(reason.clone()).is_some() {
                        return Reply::Inconclusive(reason);
                    }
                }
                Ok(response) => {
                    if waits {
                        self.limits.served(bucket, &response, admitted);
                    }
                    let doubt = gateway.filter(|_| may_follow_from_itself(request, &response));
                    return doubt.map_or_else(|| reply_of(response), Reply::Inconclusive);
                }
                Err(trouble) => return self.without_answer(request, trouble, exchanges).await,
            }
        }
    }

    /// Repeats the control requests after a case went wrong, to see if the target is lost.
    ///
    /// It has two seconds to answer as a homeserver does; without that, nothing more is asked.
    pub async fn check_up(&self) -> Option<TargetLost> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(lost) = self.liveness.stops() {
                return Some(lost);
            }
            let failed = self.evidence_of_loss().await?;
            if self.stop.is_set() {
                return None;
            }
            if Instant::now() + AGAIN > until {
                return Some(self.liveness.lose(&failed));
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = self.stop.stopped() => {}
            }
        }
    }

    /// Resumes sending if the target is back.
    pub async fn look_again(&self) {
        if self.liveness.stops().is_some() && self.evidence_of_loss().await.is_none() {
            self.liveness.is_back();
        }
    }

    /// Returns the exchange of a failed control request if the target is lost: no response, a
    /// gateway's, or the one that every request gets.
    ///
    /// A homeserver that now answers a control request wrongly is still there, and its answers are for the
    /// cases to judge: it answers the other one as before, or at least does not say the same whatever is asked.
    async fn evidence_of_loss(&self) -> Option<Exchange> {
        let mut wrong: Option<(Exchange, String)> = None;
        for control in self.liveness.controls() {
            let exchange = self.http.send_fresh(&control.request).await;
            let Ok(response) = &exchange.result else { return Some(exchange) };
            if has_gateway_status(response) {
                return Some(exchange);
            }
            // A rate limit may cover everything, and a server that has one is still there.
            if is_limited(response) || control.is_met_by(response) {
                return None;
            }
            let words = message::words(response);
            wrong.get_or_insert((exchange, words));
        }
        let (evidence, words) = wrong?;
        for request in unrelated_requests() {
            let other = self.http.send_fresh(&request).await;
            let differs = |response: &Response| {
                !has_gateway_status(response) && message::words(response) != words
            };
            if other.result.as_ref().is_ok_and(differs) {
                return None;
            }
        }
        Some(evidence)
    }

    async fn admit(&self, bucket: &Bucket) -> Result<Instant, Reason> {
        tokio::select! {
            admitted = self.limits.admit(bucket, self.patience) => admitted,
            () = self.stop.stopped() => Err(self.stop.reason()),
        }
    }

    /// A request without an answer counts only if it has none on a new connection either, while the
    /// server answers others. An operation that is known to stay silent is not asked again.
    async fn without_answer(
        &self,
        request: &Request,
        trouble: TransportError,
        exchanges: &mut Vec<Exchange>,
    ) -> Reply {
        // A target that was silent from the start is not asked for its silence again.
        let is_new = self.liveness.controls().is_empty();
        if !is_unanswered(&trouble) || is_new && trouble.kind == TransportErrorKind::Timeout {
            return Reply::Inconclusive(no_answer(&trouble));
        }
        let control = self.http.send_fresh(&control()).await;
        let alive = control.result.is_ok();
        exchanges.push(control);
        if !alive {
            return Reply::Inconclusive(no_answer(&trouble));
        }
        if self.liveness.is_known_to_hang(request) {
            return Reply::Dropped(dropped(&trouble));
        }
        let again = self.http.send_fresh(request).await;
        self.created.note(&again);
        let result = again.result.clone();
        exchanges.push(again);
        match result {
            Ok(response) if may_follow_from_itself(request, &response) => {
                Reply::Inconclusive(no_answer(&trouble))
            }
            Ok(response) => reply_of(response),
            Err(second) if is_unanswered(&second) => {
                self.liveness.hangs(request);
                Reply::Dropped(dropped(&second))
            }
            Err(second) => Reply::Inconclusive(no_answer(&second)),
        }
    }
}

/// Returns true if the request arrived, as far as can be seen, and no whole answer came.
fn is_unanswered(trouble: &TransportError) -> bool {
    use TransportErrorKind::{Closed, Protocol, Timeout};
    matches!(trouble.kind, Closed | Protocol | Timeout)
}

/// Returns true for a refusal of a repeated request that may have done its work the first time: its
/// token is dead then, what it names is gone or taken.
fn may_follow_from_itself(request: &Request, response: &Response) -> bool {
    // A password logs in as often as it is sent; other requests have no effect, or the same again.
    let of_token = || request.json_body().is_some_and(|body| body.get("token").is_some());
    let is_repeatable = match request.method.as_str() {
        "POST" => request.is_login() && !of_token(),
        "DELETE" => false,
        _ => true,
    };
    let is_taken = matches!(response.text_at("/errcode"), Some("M_USER_IN_USE" | "M_EXCLUSIVE"));
    let proves = || request.json_body().is_some_and(|body| body.get("auth").is_some());
    let is_gone =
        matches!(response.status, 401 | 403 | 404 | 409) && (!response.is_challenge() || proves());
    !is_repeatable && (is_gone || is_taken)
}

fn dropped(last: &TransportError) -> String {
    let what = match last.kind {
        TransportErrorKind::Timeout => "it was never answered, on two connections",
        _ => "the connection ended twice without a response",
    };
    format!("{what} ({last}), while another request got one in between")
}

/// Requests that a homeserver never answers alike: one lacks a token, and the other has an unknown
/// path.
fn unrelated_requests() -> [Request; 2] {
    [
        Request::new(Some("getTokenOwner"), "GET", "/_matrix/client/v3/account/whoami"),
        Request::new(None, "GET", "/_matrix/client/homespec/no/such/endpoint"),
    ]
}

fn control() -> Request {
    Request::new(Some("getVersions"), "GET", "/_matrix/client/versions")
}

/// Returns true for 429, or its errcode with another status. A large success is parsed for its judgement
/// alone: here many may be read at once.
fn is_limited(response: &Response) -> bool {
    let is_large = response.is_success() && response.body.len() >= LARGE;
    response.status == 429 || !is_large && response.text_at("/errcode") == Some("M_LIMIT_EXCEEDED")
}

/// Returns the response for the case, if it can be judged.
fn reply_of(response: Response) -> Reply {
    if response.coding().is_some() {
        // HTTP allows it to whoever is not told otherwise (RFC 9110, section 12.5.3), so it is no
        // finding.
        return Reply::Inconclusive(Reason::Compressed);
    }
    match response.beyond_bounds() {
        Some(reason) => Reply::Inconclusive(reason),
        None => Reply::Response(response),
    }
}

fn no_answer(trouble: &TransportError) -> Reason {
    let reason = match trouble.kind {
        TransportErrorKind::Connect | TransportErrorKind::Tls => Reason::Unreachable,
        TransportErrorKind::Timeout => Reason::Timeout,
        TransportErrorKind::Closed | TransportErrorKind::Protocol => Reason::NoAnswer,
        TransportErrorKind::Request => Reason::Request,
    };
    reason(trouble.text.clone())
}
