//! A client for the calls around a test: making accounts, looking at what a run left behind.
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Once;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Calls one homeserver, and waits for each answer.
pub struct Client {
    base: String,
    http: reqwest::Client,
    runtime: Runtime,
}

impl Client {
    /// A client for the homeserver at `base`, a URL without a slash at its end. No proxy is used.
    pub fn new(base: &str) -> Client {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let certificates: Vec<reqwest::Certificate> = Vec::new();
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .tls_certs_only(certificates)
            .build()
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Client { base: base.to_owned(), http, runtime }
    }

    /// The status and the JSON body of an answer, null if it is none; or why there is no answer.
    pub fn try_call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<(u16, Value), reqwest::Error> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        self.runtime.block_on(async {
            let answer = request.send().await?;
            let status = answer.status().as_u16();
            let body = answer.bytes().await?;
            Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
        })
    }

    /// `GET` with an access token.
    pub fn get(&self, path: &str, token: &str) -> (u16, Value) {
        self.try_call(Method::GET, path, Some(token), None).unwrap()
    }

    /// `POST` with an access token or without.
    pub fn post(&self, path: &str, token: Option<&str>, body: &Value) -> (u16, Value) {
        self.try_call(Method::POST, path, token, Some(body)).unwrap()
    }

    /// `PUT` with an access token.
    pub fn put(&self, path: &str, token: &str, body: &Value) -> (u16, Value) {
        self.try_call(Method::PUT, path, Some(token), Some(body)).unwrap()
    }

    /// `POST` that passes interactive auth with a password; the answer that came in the end.
    pub fn post_with_password(
        &self,
        path: &str,
        token: &str,
        body: &Value,
        account: (&str, &str),
    ) -> (u16, Value) {
        let (status, challenge) = self.post(path, Some(token), body);
        let Some(session) = challenge["session"].as_str().filter(|_| status == 401) else {
            return (status, challenge);
        };
        let mut body = body.clone();
        body["auth"] = json!({
            "type": "m.login.password",
            "session": session,
            "identifier": {"type": "m.id.user", "user": account.0},
            "password": account.1,
        });
        self.post(path, Some(token), &body)
    }
}
