//! Login tokens that run out while a rate limit is waited for: what the server then says of them
//! is no answer to the question of a case.
use crate::http::sender::Delivered;
use crate::model::run::Reason;
use std::time::{Duration, Instant};

/// The login tokens of one case, with the time at which each runs out.
#[derive(Debug, Default)]
pub struct Perishables(Vec<(String, Instant)>);

impl Perishables {
    /// Takes note of a token that an answer gave out (`login_token` with `expires_in_ms`).
    pub fn note(&mut self, delivered: &Delivered) {
        for exchanged in &delivered.exchanges {
            let Ok(answer) = &exchanged.result else { continue };
            let Some(token) = answer.text_at("/login_token") else { continue };
            let lifetime = answer.json().ok().and_then(|body| body.get("expires_in_ms")?.as_u64());
            let until =
                lifetime.and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms)));
            self.0.extend(until.map(|until| (token.to_owned(), until)));
        }
    }

    /// The reason to block with, if a request was kept waiting by a limit and holds a token that
    /// has run out meanwhile.
    pub fn spoiled(&self, delivered: &Delivered) -> Option<Reason> {
        let limited = |answer: &crate::http::message::Answer| answer.status == 429;
        let waited = delivered.exchanges.iter().any(|e| e.result.as_ref().is_ok_and(limited));
        let sent = delivered.exchanges.get(delivered.shown)?.ask.body.as_deref()?;
        let sent = std::str::from_utf8(sent).ok()?;
        let now = Instant::now();
        let spoiled =
            self.0.iter().any(|(token, until)| *until < now && sent.contains(token.as_str()));
        (waited && spoiled).then(|| Reason {
            code: "rate_limited".to_owned(),
            text: "the login token ran out while the server's rate limit was waited for".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::message::{Answer, Ask, Exchanged, Reply};
    use serde_json::{Value, json};

    fn exchanged(body: Value, status: u16, answer: Value) -> Exchanged {
        Exchanged {
            ask: Ask::new(Some("login"), "POST", "/_matrix/client/v3/login").json(&body),
            url: String::new(),
            sent_headers: Vec::new(),
            result: Ok(Answer::new(status, Vec::new(), answer.to_string().into_bytes(), false)),
            duration: Duration::ZERO,
            shared: false,
        }
    }

    fn delivered(exchanges: Vec<Exchanged>) -> Delivered {
        let shown = exchanges.len() - 1;
        let reply = Reply::Dropped(String::new());
        Delivered { reply, exchanges, shown }
    }

    #[test]
    fn only_waiting_and_running_out_together_spoil_a_token() {
        let mut tokens = Perishables::default();
        let given = |token: &str, ms: u64| {
            delivered(vec![exchanged(
                json!({}),
                200,
                json!({"login_token": token, "expires_in_ms": ms}),
            )])
        };
        tokens.note(&given("short", 0));
        tokens.note(&given("long", 600_000));
        let login = |token: &str| exchanged(json!({"token": token}), 403, json!({}));
        let limited = exchanged(json!({}), 429, json!({}));
        assert!(tokens.spoiled(&delivered(vec![login("short")])).is_none());
        assert!(tokens.spoiled(&delivered(vec![limited.clone(), login("long")])).is_none());
        assert!(tokens.spoiled(&delivered(vec![limited, login("short")])).is_some());
    }
}
