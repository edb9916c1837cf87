//! Login tokens that run out while a rate limit is waited for: what the server then says of them
//! is no answer to the question of a case.
use crate::http::sender::SendResult;
use crate::model::reason::Reason;
use std::time::{Duration, Instant};

/// The login tokens of one case, with the time at which each runs out.
#[derive(Debug, Default)]
pub struct ExpiringTokens(Vec<(String, Instant)>);

impl ExpiringTokens {
    /// Takes note of a token that an answer gave out (`login_token` with `expires_in_ms`).
    pub fn note(&mut self, sent: &SendResult) {
        for exchange in &sent.exchanges {
            let Ok(response) = &exchange.result else { continue };
            let Some(token) = response.text_at("/login_token") else { continue };
            let lifetime =
                response.json().ok().and_then(|body| body.get("expires_in_ms")?.as_u64());
            let until =
                lifetime.and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms)));
            self.0.extend(until.map(|until| (token.to_owned(), until)));
        }
    }

    /// The reason to block with, if a request was kept waiting by a limit and holds a token that
    /// has run out meanwhile.
    pub fn expired_while_waiting(&self, sent: &SendResult) -> Option<Reason> {
        let limited = |response: &crate::http::message::Response| response.status == 429;
        let waited = sent.exchanges.iter().any(|e| e.result.as_ref().is_ok_and(limited));
        let sent = sent.exchanges.get(sent.shown)?.request.body.as_deref()?;
        let sent = std::str::from_utf8(sent).ok()?;
        let now = Instant::now();
        let expired_while_waiting =
            self.0.iter().any(|(token, until)| *until < now && sent.contains(token.as_str()));
        (waited && expired_while_waiting).then_some(Reason::ExpiredWhileWaiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::message::{Exchange, Reply, Request, Response};
    use serde_json::{Value, json};

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
        let mut tokens = ExpiringTokens::default();
        let given = |token: &str, ms: u64| {
            sent(vec![exchange(json!({}), 200, json!({"login_token": token, "expires_in_ms": ms}))])
        };
        tokens.note(&given("short", 0));
        tokens.note(&given("long", 600_000));
        let login = |token: &str| exchange(json!({"token": token}), 403, json!({}));
        let limited = exchange(json!({}), 429, json!({}));
        assert!(tokens.expired_while_waiting(&sent(vec![login("short")])).is_none());
        assert!(
            tokens.expired_while_waiting(&sent(vec![limited.clone(), login("long")])).is_none()
        );
        assert!(tokens.expired_while_waiting(&sent(vec![limited, login("short")])).is_some());
    }
}
