//! The reference homeserver over the wire: what it does by the book, with no faults and no quirks.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.

use homespec::reference::{
    Catalogue, Fault, FaultNeed as Need, Front, Limit, Running, Settings, ThirdParty, faults,
    front, quirks, start,
};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Once};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const PASSWORD: &str = "correct horse";

/// An answer as the tests look at it.
struct Got {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Got {
    fn code(&self) -> (u16, &str) {
        (self.status, self.body["errcode"].as_str().unwrap_or_default())
    }

    fn text(&self, member: &str) -> String {
        self.body[member]
            .as_str()
            .unwrap_or_else(|| panic!("no {member} in {}", self.body))
            .to_owned()
    }
}

struct Client {
    http: reqwest::Client,
    server: Running,
    /// The homeserver, if `server` is the layer in front of it.
    behind: Option<Running>,
}

/// A client that follows no redirect and trusts nobody.
fn http() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let certificates: Vec<reqwest::Certificate> = Vec::new();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only(certificates)
        .build()
        .unwrap()
}

/// Starts a server with the users alice and bob.
async fn server(settings: Settings) -> Client {
    server_for(http(), settings).await
}

async fn server_for(http: reqwest::Client, settings: Settings) -> Client {
    let mut users = ["alice", "bob"].map(|user| (user.to_owned(), PASSWORD.to_owned())).to_vec();
    users.extend(settings.users);
    let server = start(Settings { users, ..settings }).await.unwrap();
    Client { http, server, behind: None }
}

/// Starts a server that is as the settings ask, but for the faults and the quirks that are edits, and puts these in front
/// of it.
async fn server_in_front(http: reqwest::Client, settings: Settings) -> Client {
    let Settings { faults, quirks, catalogue, .. } = settings.clone();
    // What a fault needs may be the homeserver's own doing.
    let is_edit = |name: &String| quirks_of_answers().any(|quirk| quirk == name.as_str());
    let (quirks, own): (Vec<String>, Vec<String>) = quirks.into_iter().partition(is_edit);
    let by_the_book = Settings { faults: Vec::new(), quirks: own, ..settings };
    let behind = server_for(http.clone(), by_the_book).await.server;
    let (listen, upstream) = (([127, 0, 0, 1], 0).into(), behind.url().parse().unwrap());
    let server = front(Front { listen, upstream, faults, quirks, catalogue }).await.unwrap();
    Client { http, server, behind: Some(behind) }
}

fn quirks_of_answers() -> impl Iterator<Item = &'static str> {
    quirks().iter().filter(|quirk| quirk.kind().is_edit()).map(|quirk| quirk.name)
}

async fn plain() -> Client {
    server(Settings::default()).await
}

impl Client {
    async fn send(&self, method: Method, path: &str, token: &str, body: impl Into<Vec<u8>>) -> Got {
        let path = if path.starts_with("/_") || path.starts_with("/.") {
            path.to_owned()
        } else {
            format!("/_matrix/client/v3{path}")
        };
        let mut request =
            self.http.request(method, format!("{}{path}", self.server.url())).body(body.into());
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        Got { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }

    async fn get(&self, path: &str, token: &str) -> Got {
        self.send(Method::GET, path, token, "").await
    }

    async fn post(&self, path: &str, token: &str, body: Value) -> Got {
        self.send(Method::POST, path, token, body.to_string()).await
    }

    /// A password login, with members added or replaced.
    async fn login(&self, user: &str, more: Value) -> Got {
        let mut body = json!({
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": user},
            "password": PASSWORD,
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.post("/login", "", body).await
    }

    async fn token(&self, user: &str) -> String {
        let got = self.login(user, json!({})).await;
        assert_eq!(got.status, 200, "{}", got.body);
        got.text("access_token")
    }

    async fn whoami(&self, token: &str) -> Got {
        self.get("/account/whoami", token).await
    }

    /// Passes interactive auth with a password stage.
    async fn confirmed(
        &self,
        method: Method,
        path: &str,
        token: &str,
        user: &str,
        mut body: Value,
    ) -> Got {
        let challenge = self.send(method.clone(), path, token, body.to_string()).await;
        assert_eq!(challenge.status, 401, "{}", challenge.body);
        assert!(challenge.body["flows"].is_array());
        body["auth"] = auth(&challenge, user, PASSWORD);
        self.send(method, path, token, body.to_string()).await
    }

    async fn login_token(&self, token: &str, user: &str) -> String {
        let path = "/_matrix/client/v1/login/get_token";
        let got = self.confirmed(Method::POST, path, token, user, json!({})).await;
        assert_eq!(got.status, 200, "{}", got.body);
        assert_eq!(got.body["expires_in_ms"], 120_000);
        got.text("login_token")
    }

    async fn token_login(&self, token: &str) -> Got {
        self.post("/login", "", json!({"type": "m.login.token", "token": token})).await
    }
}

fn auth(challenge: &Got, user: &str, password: &str) -> Value {
    json!({
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user},
        "password": password,
        "session": challenge.body["session"],
    })
}

#[tokio::test]
async fn a_login_opens_a_session_on_a_device() {
    let c = plain().await;
    let name = "Näme 😀";
    let got = c
        .login("alice", json!({"device_id": "Dev-1.x_~", "initial_device_display_name": name}))
        .await;
    assert_eq!(got.status, 200);
    assert_eq!(got.body["user_id"], "@alice:reference.localhost");
    assert_eq!(got.body["device_id"], "Dev-1.x_~");
    assert!(got.body.get("refresh_token").is_none() && got.body.get("expires_in_ms").is_none());
    assert_eq!(got.body["well_known"]["m.homeserver"]["base_url"], c.server.url());
    let token = got.text("access_token");
    let who = c.whoami(&token).await;
    assert_eq!(
        who.body,
        json!({"user_id": "@alice:reference.localhost", "device_id": "Dev-1.x_~", "is_guest": false})
    );
    let device = c.get("/devices/Dev-1.x_~", &token).await;
    assert_eq!(device.body["display_name"], name);
    assert!(device.body["last_seen_ts"].is_u64());

    let again = c.login("@alice:reference.localhost", json!({"device_id": "Dev-1.x_~"})).await;
    assert_eq!(again.status, 200);
    assert_eq!(c.whoami(&token).await.code(), (401, "M_UNKNOWN_TOKEN"));
    let fresh = again.text("access_token");
    let devices = c.get("/devices", &fresh).await;
    assert_eq!(devices.body["devices"].as_array().unwrap().len(), 1);
    assert_eq!(devices.body["devices"][0]["display_name"], name);

    let other = c.login("alice", json!({})).await;
    assert_ne!(other.body["device_id"], "Dev-1.x_~");
    let old_style =
        json!({"type": "m.login.password", "user": "alice", "password": PASSWORD, "x": [1]});
    assert_eq!(c.post("/login", "", old_style).await.status, 200);
    assert_eq!(c.whoami(&fresh).await.status, 200);
    c.server.stop().await;
}

#[tokio::test]
async fn a_login_is_refused_by_the_book() {
    let c = plain().await;
    let user = json!({"type": "m.id.user", "user": "alice"});
    let with = |identifier: Value| json!({"type": "m.login.password", "identifier": identifier, "password": PASSWORD});
    let rows = [
        (json!({}), (400, "M_MISSING_PARAM")),
        (json!({"type": 5}), (400, "M_BAD_JSON")),
        (
            json!({"type": "com.example.none", "identifier": user, "password": PASSWORD}),
            (400, "M_UNKNOWN"),
        ),
        (json!({"type": "m.login.password", "identifier": user}), (400, "M_MISSING_PARAM")),
        (
            json!({"type": "m.login.password", "identifier": user, "password": 7}),
            (400, "M_BAD_JSON"),
        ),
        (json!({"type": "m.login.password", "password": "x"}), (400, "M_MISSING_PARAM")),
        (with(json!("alice")), (400, "M_BAD_JSON")),
        (with(json!({"user": "alice"})), (400, "M_MISSING_PARAM")),
        (with(json!({"type": "com.example.id"})), (400, "M_UNKNOWN")),
        (with(json!({"type": "m.id.user"})), (400, "M_MISSING_PARAM")),
        (with(json!({"type": "m.id.thirdparty", "medium": "email"})), (400, "M_MISSING_PARAM")),
        (
            with(
                json!({"type": "m.id.thirdparty", "medium": "email", "address": "a@example.invalid"}),
            ),
            (403, "M_FORBIDDEN"),
        ),
        (with(json!({"type": "m.id.phone", "country": "GB"})), (400, "M_MISSING_PARAM")),
        (
            with(json!({"type": "m.id.phone", "country": "GB", "phone": "07700900001"})),
            (403, "M_FORBIDDEN"),
        ),
        (with(json!({"type": "m.id.user", "user": "nobody"})), (403, "M_FORBIDDEN")),
        (with(json!({"type": "m.id.user", "user": "@alice:other.invalid"})), (403, "M_FORBIDDEN")),
        (with(json!({"type": "m.id.user", "user": 1})), (400, "M_BAD_JSON")),
        (
            json!({"type": "m.login.password", "medium": "email", "address": "x@y.invalid", "password": "p"}),
            (403, "M_FORBIDDEN"),
        ),
        (json!({"type": "m.login.token"}), (400, "M_MISSING_PARAM")),
        (json!({"type": "m.login.token", "token": null}), (400, "M_BAD_JSON")),
        (json!({"type": "m.login.token", "token": "junk"}), (403, "M_FORBIDDEN")),
        (json!({"type": "m.login.application_service"}), (401, "M_MISSING_TOKEN")),
    ];
    for (body, expected) in rows {
        let got = c.post("/login", "", body.clone()).await;
        assert_eq!(got.code(), expected, "{body}");
        assert!(got.body["error"].is_string());
    }
    for password in ["", "Correct horse", "correct horse ", "correct hors", "correct horsex"] {
        assert_eq!(
            c.login("alice", json!({"password": password})).await.code(),
            (403, "M_FORBIDDEN"),
            "{password:?}"
        );
    }
    for wrong in [
        json!({"device_id": 5}),
        json!({"refresh_token": "true"}),
        json!({"initial_device_display_name": {}}),
    ] {
        assert_eq!(c.login("alice", wrong.clone()).await.code(), (400, "M_BAD_JSON"), "{wrong}");
    }
    for (raw, code) in [
        (&b""[..], "M_NOT_JSON"),
        (b"{\"type\": \"m.login.password\"", "M_NOT_JSON"),
        (b"\xff\xfe", "M_NOT_JSON"),
        (b"[]", "M_BAD_JSON"),
        (b"null", "M_BAD_JSON"),
        (b"\"text\"", "M_BAD_JSON"),
    ] {
        let got = c.send(Method::POST, "/login", "", raw).await;
        assert_eq!(got.code(), (400, code), "{raw:?}");
    }
    let huge = vec![b' '; 2 << 20];
    assert_eq!(c.send(Method::POST, "/login", "", huge).await.code(), (413, "M_TOO_LARGE"));
    let token = c.token("alice").await;
    let listed = c.get("/devices", &token).await;
    assert_eq!(
        listed.body["devices"].as_array().unwrap().len(),
        1,
        "refused logins left devices behind"
    );
}

#[tokio::test]
async fn a_media_type_is_not_asked_for() {
    let c = plain().await;
    let body =
        json!({"type": "m.login.password", "user": "alice", "password": PASSWORD}).to_string();
    for media_type in [None, Some("application/json; charset=utf-8"), Some("text/plain")] {
        let mut request =
            c.http.post(format!("{}/_matrix/client/v3/login", c.server.url())).body(body.clone());
        if let Some(media_type) = media_type {
            request = request.header("content-type", media_type);
        }
        assert_eq!(request.send().await.unwrap().status(), 200, "{media_type:?}");
    }
}

#[tokio::test]
async fn tokens_are_told_apart() {
    let c = plain().await;
    let token = c.token("alice").await;
    for path in ["/account/whoami", "/devices", "/devices/X", "/capabilities", "/sync"] {
        assert_eq!(c.get(path, "").await.code(), (401, "M_MISSING_TOKEN"), "{path}");
        assert_eq!(c.get(path, "nonsense").await.code(), (401, "M_UNKNOWN_TOKEN"), "{path}");
    }
    for path in ["/logout", "/logout/all", "/_matrix/client/v1/login/get_token"] {
        assert_eq!(c.post(path, "", json!({})).await.code(), (401, "M_MISSING_TOKEN"), "{path}");
        assert_eq!(
            c.post(path, "nonsense", json!({})).await.code(),
            (401, "M_UNKNOWN_TOKEN"),
            "{path}"
        );
    }
    assert_eq!(c.get(&format!("/account/whoami?access_token={token}"), "").await.status, 200);
    let login_token = c.login_token(&token, "alice").await;
    assert_eq!(c.whoami(&login_token).await.code(), (401, "M_UNKNOWN_TOKEN"));
    assert_eq!(c.token_login(&token).await.code(), (403, "M_FORBIDDEN"));

    let future = server(Settings { versions: vec!["v1.20".into()], ..Settings::default() }).await;
    let token = future.token("alice").await;
    let got = future.get(&format!("/account/whoami?access_token={token}"), "").await;
    assert_eq!(got.code(), (401, "M_MISSING_TOKEN"));
}

#[tokio::test]
async fn logging_out_ends_the_session_and_its_device() {
    let c = plain().await;
    let first = c.login("alice", json!({"refresh_token": true, "device_id": "ONE"})).await;
    let (one, two, bob) =
        (first.text("access_token"), c.token("alice").await, c.token("bob").await);
    let keys = json!({"device_keys": {"device_id": "ONE"}});
    assert_eq!(c.post("/keys/upload", &one, keys).await.status, 200);
    let query = json!({"device_keys": {"@alice:reference.localhost": []}});
    let shown = c.post("/keys/query", &two, query.clone()).await;
    assert!(shown.body["device_keys"]["@alice:reference.localhost"]["ONE"].is_object());

    let out = c.send(Method::POST, "/logout", &one, "").await;
    assert_eq!((out.status, out.body), (200, json!({})));
    let who = c.whoami(&one).await;
    assert_eq!(who.code(), (401, "M_UNKNOWN_TOKEN"));
    assert!(who.body.get("soft_logout").is_none());
    assert_eq!(c.post("/logout", &one, json!({})).await.code(), (401, "M_UNKNOWN_TOKEN"));
    assert_eq!(c.get("/devices/ONE", &two).await.code(), (404, "M_NOT_FOUND"));
    let shown = c.post("/keys/query", &two, query).await;
    assert_eq!(shown.body["device_keys"]["@alice:reference.localhost"], json!({}));
    let refresh = json!({"refresh_token": first.text("refresh_token")});
    assert_eq!(c.post("/refresh", "", refresh).await.code(), (401, "M_UNKNOWN_TOKEN"));

    let three = c.token("alice").await;
    assert_eq!(c.post("/logout/all", &two, json!({})).await.status, 200);
    for token in [&two, &three] {
        assert_eq!(c.whoami(token).await.code(), (401, "M_UNKNOWN_TOKEN"));
    }
    assert_eq!(c.whoami(&bob).await.status, 200);
    let again = c.token("alice").await;
    assert_eq!(c.get("/devices", &again).await.body["devices"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn refresh_tokens_are_good_until_their_successors_are_used() {
    let c = plain().await;
    let refresh = async |token: &str| c.post("/refresh", "", json!({"refresh_token": token})).await;
    let login = c.login("alice", json!({"refresh_token": true})).await;
    assert_eq!(login.body["expires_in_ms"], 300_000);
    let r1 = login.text("refresh_token");
    assert_eq!(refresh(&r1).await.status, 200);
    let second = refresh(&r1).await;
    assert_eq!(second.status, 200);
    let who = c.whoami(&second.text("access_token")).await;
    assert_eq!(who.body["device_id"], login.body["device_id"]);
    assert_eq!(refresh(&r1).await.code(), (401, "M_UNKNOWN_TOKEN"));
    let r2 = second.text("refresh_token");
    let third = refresh(&r2).await;
    let fourth = refresh(&third.text("refresh_token")).await;
    assert_eq!(fourth.status, 200);
    assert_eq!(refresh(&r2).await.code(), (401, "M_UNKNOWN_TOKEN"));
    assert_eq!(refresh("nonsense").await.code(), (401, "M_UNKNOWN_TOKEN"));
    assert_eq!(refresh(&fourth.text("access_token")).await.code(), (401, "M_UNKNOWN_TOKEN"));
    assert_eq!(c.whoami(&fourth.text("refresh_token")).await.code(), (401, "M_UNKNOWN_TOKEN"));
    assert_eq!(c.post("/refresh", "", json!({})).await.code(), (400, "M_MISSING_PARAM"));
    assert_eq!(
        c.post("/refresh", "", json!({"refresh_token": 1})).await.code(),
        (400, "M_BAD_JSON")
    );
}

#[tokio::test]
async fn an_expired_token_asks_for_a_soft_logout() {
    let c = server(Settings { access_lifetime: Some(Duration::ZERO), ..Settings::default() }).await;
    let login = c.login("alice", json!({"refresh_token": true, "device_id": "KEPT"})).await;
    let who = c.whoami(&login.text("access_token")).await;
    assert_eq!(who.code(), (401, "M_UNKNOWN_TOKEN"));
    assert_eq!(who.body["soft_logout"], true);
    let refreshed =
        c.post("/refresh", "", json!({"refresh_token": login.text("refresh_token")})).await;
    assert_eq!(refreshed.status, 200);
    let plain = c.token("alice").await;
    assert_eq!(c.get("/devices/KEPT", &plain).await.status, 200);
}

#[tokio::test]
async fn the_tokens_of_a_device_with_a_chosen_id_may_live_another_time() {
    let chosen_lifetime = Some(Duration::from_secs(7));
    let c = server(Settings { chosen_lifetime, ..Settings::default() }).await;
    let lifetime = |got: &Got| got.body["expires_in_ms"].as_u64();
    let chosen = c.login("alice", json!({"device_id": "D", "refresh_token": true})).await;
    assert_eq!(lifetime(&chosen), Some(7_000));
    let refresh = json!({"refresh_token": chosen.text("refresh_token")});
    assert_eq!(lifetime(&c.post("/refresh", "", refresh).await), Some(300_000));
    for (more, expected) in
        [(json!({"refresh_token": true}), Some(300_000)), (json!({"device_id": "E"}), None)]
    {
        assert_eq!(lifetime(&c.login("alice", more).await), expected);
    }
}

#[tokio::test]
async fn a_login_token_is_good_once_and_for_its_time() {
    let c = plain().await;
    let alice = c.token("alice").await;
    let token = c.login_token(&alice, "alice").await;
    let body = json!({"type": "m.login.token", "token": token, "device_id": "T", "initial_device_display_name": "N"});
    let got = c.post("/login", "", body).await;
    assert_eq!((got.status, got.text("user_id")), (200, "@alice:reference.localhost".into()));
    assert_eq!(c.get("/devices/T", &alice).await.body["display_name"], "N");
    assert_eq!(c.token_login(&token).await.code(), (403, "M_FORBIDDEN"));

    let short =
        server(Settings { login_token_lifetime: Duration::ZERO, ..Settings::default() }).await;
    let alice = short.token("alice").await;
    let path = "/_matrix/client/v1/login/get_token";
    let got = short.confirmed(Method::POST, path, &alice, "alice", json!({})).await;
    assert_eq!(short.token_login(&got.text("login_token")).await.code(), (403, "M_FORBIDDEN"));
}

#[tokio::test]
async fn interactive_auth_is_bound_to_its_call_and_its_user() {
    let c = plain().await;
    let (alice, bob) = (c.token("alice").await, c.token("bob").await);
    let path = "/_matrix/client/v1/login/get_token";
    let challenge = c.post(path, &alice, json!({})).await;
    assert_eq!(challenge.status, 401);
    assert_eq!(challenge.body["flows"], json!([{"stages": ["m.login.password"]}]));
    assert!(challenge.body.get("errcode").is_none());
    for (user, password) in [("alice", "wrong"), ("bob", PASSWORD), ("nobody", PASSWORD)] {
        let got = c.post(path, &alice, json!({"auth": auth(&challenge, user, password)})).await;
        assert_eq!(got.code(), (401, "M_FORBIDDEN"), "{user}");
        assert_eq!(got.body["session"], challenge.body["session"]);
        assert!(got.body["flows"].is_array() && got.body["error"].is_string());
    }
    let stranger = json!({"auth": {
        "type": "m.login.password", "password": "x", "session": challenge.body["session"],
        "identifier": {"type": "m.id.thirdparty", "medium": "email", "address": "a@example.invalid"},
    }});
    assert_eq!(c.post(path, &alice, stranger).await.code(), (403, "M_FORBIDDEN"));
    let right = json!({"auth": auth(&challenge, "alice", PASSWORD)});
    assert_eq!(c.post(path, &bob, right.clone()).await.code(), (401, "M_FORBIDDEN"));
    let elsewhere = c.send(Method::DELETE, "/devices/X", &alice, right.to_string()).await;
    assert_eq!(elsewhere.status, 401);
    assert_eq!(c.post(path, &alice, right.clone()).await.status, 200);
    let spent = c.post(path, &alice, right).await;
    assert_eq!(spent.status, 401);
    assert_ne!(spent.body["session"], challenge.body["session"]);
    assert_eq!(c.post(path, &alice, json!({"auth": 5})).await.code(), (400, "M_BAD_JSON"));
    assert_eq!(c.whoami(&alice).await.status, 200);
}

#[tokio::test]
async fn devices_are_shown_renamed_and_deleted() {
    let c = plain().await;
    let alice = c.token("alice").await;
    let bob = c.login("bob", json!({"device_id": "BOB"})).await.text("access_token");
    assert_eq!(c.get("/devices/BOB", &alice).await.code(), (404, "M_NOT_FOUND"));
    assert_eq!(c.get("/devices/BOB", &bob).await.body["device_id"], "BOB");
    let put = |path: &'static str| c.send(Method::PUT, path, &bob, r#"{"display_name": "new"}"#);
    assert_eq!(put("/devices/BOB").await.body, json!({}));
    assert_eq!(c.get("/devices/BOB", &bob).await.body["display_name"], "new");
    assert_eq!(put("/devices/NONE").await.code(), (404, "M_NOT_FOUND"));

    let mut tokens = Vec::new();
    for device in ["A", "B", "C"] {
        tokens.push(c.login("alice", json!({"device_id": device})).await.text("access_token"));
    }
    for _ in 0..2 {
        let got = c.confirmed(Method::DELETE, "/devices/A", &alice, "alice", json!({})).await;
        assert_eq!((got.status, got.body), (200, json!({})));
    }
    assert_eq!(c.send(Method::DELETE, "/devices/B", &alice, "").await.status, 401);
    let body = json!({"devices": ["B", "C"]});
    assert_eq!(
        c.confirmed(Method::POST, "/delete_devices", &alice, "alice", body).await.status,
        200
    );
    for token in tokens {
        assert_eq!(c.whoami(&token).await.code(), (401, "M_UNKNOWN_TOKEN"));
    }
}

#[tokio::test]
async fn a_device_cannot_be_named_like_a_signing_key() {
    let c = plain().await;
    let alice = c.token("alice").await;
    let keys = json!({"master_key": {"user_id": "@alice:reference.localhost", "usage": ["master"],
        "keys": {"ed25519:MASTER": "MASTER"}}});
    assert_eq!(c.post("/keys/device_signing/upload", &alice, keys.clone()).await.status, 200);
    assert_eq!(c.login("alice", json!({"device_id": "MASTER"})).await.code(), (403, "M_FORBIDDEN"));
    assert_eq!(c.login("bob", json!({"device_id": "MASTER"})).await.status, 200);
    assert_eq!(c.post("/keys/device_signing/upload", &alice, keys).await.status, 401);
}

#[tokio::test]
async fn unknown_paths_and_methods_and_preflights_are_answered() {
    let c = plain().await;
    for path in [
        "/login/no_such",
        "/_matrix/client/v99/login",
        "/_matrix/client/unknown",
        "/_synapse/admin/v1/register",
    ] {
        let got = c.get(path, "").await;
        assert_eq!(got.code(), (404, "M_UNRECOGNIZED"), "{path}");
        assert_eq!(got.headers["access-control-allow-origin"], "*");
        assert_eq!(got.headers["content-type"], "application/json");
    }
    for (method, path) in [
        (Method::PUT, "/login"),
        (Method::DELETE, "/login"),
        (Method::GET, "/logout"),
        (Method::GET, "/refresh"),
        (Method::POST, "/account/whoami"),
        (Method::DELETE, "/_matrix/client/versions"),
        (Method::GET, "/_matrix/client/v1/login/get_token"),
    ] {
        assert_eq!(
            c.send(method.clone(), path, "", "").await.code(),
            (405, "M_UNRECOGNIZED"),
            "{method} {path}"
        );
    }
    assert_eq!(c.send(Method::PUT, "/login", "", "").await.headers["allow"], "GET, POST");
    let token = c.token("alice").await;
    for path in ["/login", "/logout", "/account/whoami", "/no_such", "/.well-known/matrix/client"] {
        let got = c.send(Method::OPTIONS, path, &token, "").await;
        assert_eq!(got.status, 200);
        for (header, value) in
            [("origin", "*"), ("methods", "DELETE"), ("headers", "Authorization")]
        {
            let sent =
                got.headers[format!("access-control-allow-{header}").as_str()].to_str().unwrap();
            assert!(sent.contains(value), "{sent}");
        }
    }
    assert_eq!(c.whoami(&token).await.status, 200);
}

#[tokio::test]
async fn the_releases_listed_decide_what_there_is() {
    let with = async |list: &str| {
        let versions = list.split(' ').map(str::to_owned).collect();
        server(Settings { versions, ..Settings::default() }).await
    };
    let all = plain().await;
    assert_eq!(all.get("/_matrix/client/r0/login", "").await.status, 200);
    assert_eq!(
        all.get("/_matrix/client/v1/auth_metadata", "").await.code(),
        (404, "M_UNRECOGNIZED")
    );
    assert_eq!(all.get("/_matrix/client/versions", "").await.body["versions"][0], "r0.0.1");
    let flows = all.get("/login", "").await.body["flows"].clone();
    assert_eq!(flows[0]["type"], "m.login.password");
    assert_eq!(flows[1], json!({"type": "m.login.token", "get_login_token": true}));

    let old = with("r0.0.1").await;
    assert_eq!(old.get("/login", "").await.code(), (404, "M_UNRECOGNIZED"));
    assert_eq!(old.get("/_matrix/client/r0/login", "").await.status, 200);
    assert_eq!(
        old.get("/_matrix/client/r0/account/whoami", "").await.code(),
        (404, "M_UNRECOGNIZED")
    );
    let body = json!({"type": "m.login.password", "user": "alice", "password": PASSWORD});
    let login = old.post("/_matrix/client/r0/login", "", body).await;
    assert_eq!(login.body["home_server"], "reference.localhost");

    let middle = with("v1.1 v1.2").await;
    let login = middle.login("alice", json!({"refresh_token": true})).await;
    assert!(login.body.get("refresh_token").is_none() && login.body.get("home_server").is_none());
    assert_eq!(middle.get("/_matrix/client/r0/login", "").await.status, 404);
    let path = "/_matrix/client/v1/login/get_token";
    assert_eq!(
        middle.post(path, &login.text("access_token"), json!({})).await.code(),
        (404, "M_UNRECOGNIZED")
    );
    let error =
        start(Settings { versions: vec!["1.1".into()], ..Settings::default() }).await.unwrap_err();
    assert!(error.to_string().contains("`1.1`"));
}

#[tokio::test]
async fn accounts_are_registered_changed_and_deactivated() {
    let c = plain().await;
    let body = json!({"username": "carol", "password": PASSWORD});
    let challenge = c.post("/register", "", body.clone()).await;
    assert_eq!(challenge.body["flows"], json!([{"stages": ["m.login.dummy"]}]));
    let mut done = body.clone();
    done["auth"] = json!({"type": "m.login.dummy", "session": challenge.body["session"]});
    let carol = c.post("/register", "", done).await;
    assert_eq!(carol.status, 200);
    let token = carol.text("access_token");
    assert_eq!(c.post("/register", "", body).await.code(), (400, "M_USER_IN_USE"));
    let bad = json!({"username": "Not Allowed", "password": "p"});
    assert_eq!(c.post("/register", "", bad).await.code(), (400, "M_INVALID_USERNAME"));
    assert_eq!(
        c.get("/register/available?username=dave", "").await.body,
        json!({"available": true})
    );
    assert_eq!(
        c.get("/register/available?username=carol", "").await.code(),
        (400, "M_USER_IN_USE")
    );

    let other = c.token("carol").await;
    let change = json!({"new_password": "other"});
    assert_eq!(
        c.confirmed(Method::POST, "/account/password", &token, "carol", change).await.status,
        200
    );
    assert_eq!(c.whoami(&token).await.status, 200);
    assert_eq!(c.whoami(&other).await.code(), (401, "M_UNKNOWN_TOKEN"));
    assert_eq!(c.login("carol", json!({})).await.code(), (403, "M_FORBIDDEN"));
    assert_eq!(c.login("carol", json!({"password": "other"})).await.status, 200);

    let alice = c.token("alice").await;
    assert_eq!(
        c.confirmed(Method::POST, "/account/deactivate", &alice, "alice", json!({})).await.status,
        200
    );
    assert_eq!(c.whoami(&alice).await.code(), (401, "M_UNKNOWN_TOKEN"));
    assert_eq!(c.login("alice", json!({})).await.code(), (403, "M_USER_DEACTIVATED"));

    let guest = c.post("/register?kind=guest", "", json!({})).await.text("access_token");
    assert_eq!(c.whoami(&guest).await.body["is_guest"], true);
    let got = c.post("/_matrix/client/v1/login/get_token", &guest, json!({})).await;
    assert_eq!(got.code(), (403, "M_GUEST_ACCESS_FORBIDDEN"));
}

/// A server with an application service and an administrator; gives the tokens of both.
async fn operated() -> (Client, String, String) {
    let settings = Need::Operator.met(Settings::default());
    let service = settings.appservice.clone().unwrap().token;
    let admin = settings.admin_token.clone().unwrap();
    (server(settings).await, service, admin)
}

#[tokio::test]
async fn a_registration_opens_a_session_as_a_login_does() {
    let c = plain().await;
    let register = async |body: Value| {
        let challenge = c.post("/register", "", body.clone()).await;
        assert_eq!(challenge.status, 401, "{}", challenge.body);
        let mut body = body;
        body["auth"] = json!({"type": "m.login.dummy", "session": challenge.body["session"]});
        c.post("/register", "", body).await
    };
    let asked = json!({"username": "carol", "password": PASSWORD, "device_id": "Mine/1",
        "initial_device_display_name": "Name", "refresh_token": true});
    let got = register(asked).await;
    assert_eq!((got.status, got.text("device_id")), (200, "Mine/1".to_owned()));
    let (token, refresh) = (got.text("access_token"), got.text("refresh_token"));
    assert_eq!(c.whoami(&token).await.text("device_id"), "Mine/1");
    assert_eq!(c.get("/devices/Mine%2F1", &token).await.text("display_name"), "Name");
    let refreshed = c.post("/refresh", "", json!({"refresh_token": refresh})).await;
    assert_eq!(refreshed.status, 200);

    let inhibited = json!({"password": PASSWORD, "inhibit_login": true, "refresh_token": true});
    let got = register(inhibited).await;
    let members: Vec<&str> = got.body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!((got.status, members.as_slice()), (200, ["user_id"].as_slice()));
}

#[tokio::test]
async fn of_a_guests_registration_nothing_but_the_device_name_is_read() {
    let c = plain().await;
    let body = json!({"username": "alice", "device_id": "MINE", "inhibit_login": true,
        "refresh_token": "yes", "password": 5, "initial_device_display_name": "Guest's"});
    for body in [body.to_string(), "[".to_owned(), String::new()] {
        let got = c.send(Method::POST, "/register?kind=guest", "", body).await;
        assert_eq!(got.status, 200);
        assert_ne!(got.text("device_id"), "MINE");
        assert_ne!(got.text("user_id"), "@alice:reference.localhost");
        let (token, device) = (got.text("access_token"), got.text("device_id"));
        assert_eq!(c.get("/devices", &token).await.body["devices"][0]["device_id"], device);
        let name = json!({"display_name": "Other"}).to_string();
        let renamed = c.send(Method::PUT, &format!("/devices/{device}"), &token, name).await;
        assert_eq!(renamed.status, 200);
    }
    let closed = server(Settings { guests: false, ..Settings::default() }).await;
    let got = closed.post("/register?kind=guest", "", json!({})).await;
    assert_eq!(got.code(), (403, "M_GUEST_ACCESS_FORBIDDEN"));
}

#[tokio::test]
async fn registration_tokens_are_looked_up() {
    let path = "/_matrix/client/v1/register/m.login.registration_token/validity";
    let settings = |registration, token: Option<&str>| Settings {
        registration,
        registration_token: token.map(str::to_owned),
        ..Settings::default()
    };
    let c = server(settings(true, Some("secret"))).await;
    for (token, valid) in [("secret", true), ("secre", false), ("Secret", false), ("", false)] {
        let got = c.get(&format!("{path}?token={token}"), "").await;
        assert_eq!((got.status, got.body), (200, json!({"valid": valid})), "{token}");
    }
    assert_eq!(c.get(path, "").await.code(), (400, "M_MISSING_PARAM"));
    let open = server(settings(true, None)).await;
    assert_eq!(open.get(&format!("{path}?token=x"), "").await.body, json!({"valid": false}));
    let closed = server(settings(false, None)).await;
    assert_eq!(closed.get(&format!("{path}?token=x"), "").await.code(), (403, "M_FORBIDDEN"));
}

#[tokio::test]
async fn a_namespace_is_the_services_alone() {
    let (c, service, _) = operated().await;
    let exclusive = (400, "M_EXCLUSIVE");
    let body = json!({"username": "bridge-one", "password": PASSWORD});
    assert_eq!(c.post("/register", "", body).await.code(), exclusive);
    assert_eq!(c.get("/register/available?username=bridge-one", "").await.code(), exclusive);
    let by_type = |user: &str| json!({"type": "m.login.application_service", "username": user});
    assert_eq!(c.post("/register", &service, by_type("outside")).await.code(), exclusive);
    let alice = c.token("alice").await;
    for (token, code) in
        [("", "M_MISSING_TOKEN"), ("junk", "M_UNKNOWN_TOKEN"), (&alice, "M_UNKNOWN_TOKEN")]
    {
        let got = c.post("/register", token, by_type("bridge-one")).await;
        assert_eq!(got.code(), (401, code), "{token}");
    }
    let got = c.post("/register", &service, by_type("bridge-one")).await;
    assert_eq!(got.status, 200, "{}", got.body);
    let device = got.text("device_id");
    let path = format!("/account/whoami?device_id={device}");
    assert_eq!(c.get(&path, &service).await.code(), (400, "M_UNKNOWN_DEVICE"), "the sender's");
}

#[tokio::test]
async fn administrators_lock_and_suspend_and_nobody_else_does() {
    let (c, _, admin) = operated().await;
    let alice = c.token("alice").await;
    let capability = async |token: &str| {
        c.get("/capabilities", token).await.body["capabilities"]["m.account_moderation"].clone()
    };
    assert_eq!(capability(&admin).await, json!({"lock": true, "suspend": true}));
    assert_eq!(capability(&alice).await, Value::Null);
    for (call, member) in [("lock", "locked"), ("suspend", "suspended")] {
        let path = |user: &str| format!("/_matrix/client/v1/admin/{call}/@{user}");
        let (bob, nobody) = (path("bob:reference.localhost"), path("nobody:reference.localhost"));
        for (path, token, code) in [
            (&bob, alice.as_str(), (403, "M_FORBIDDEN")),
            (&nobody, alice.as_str(), (403, "M_FORBIDDEN")),
            (&nobody, admin.as_str(), (404, "M_NOT_FOUND")),
            (&path("bob:other.invalid"), admin.as_str(), (400, "M_INVALID_PARAM")),
            (&bob, "", (401, "M_MISSING_TOKEN")),
        ] {
            let body = json!({member: true}).to_string();
            assert_eq!(c.send(Method::PUT, path, token, body).await.code(), code, "{path}");
            assert_eq!(c.get(path, token).await.code(), code, "{path}");
        }
        let own = path("server-admin:reference.localhost");
        let body = json!({member: true}).to_string();
        assert_eq!(c.send(Method::PUT, &own, &admin, body).await.code(), (403, "M_FORBIDDEN"));
        for value in [true, false] {
            let body = json!({member: value});
            let got = c.send(Method::PUT, &bob, &admin, body.to_string()).await;
            assert_eq!((got.status, &got.body), (200, &body));
            assert_eq!(c.get(&bob, &admin).await.body, body);
        }
    }
}

#[tokio::test]
async fn a_locked_account_does_nothing_and_keeps_its_tokens() {
    let (c, _, admin) = operated().await;
    let login = c.login("alice", json!({"refresh_token": true})).await;
    let (token, refresh) = (login.text("access_token"), login.text("refresh_token"));
    let made = c.login_token(&token, "alice").await;
    let lock = async |locked: bool| {
        let path = "/_matrix/client/v1/admin/lock/@alice:reference.localhost";
        c.send(Method::PUT, path, &admin, json!({"locked": locked}).to_string()).await
    };
    assert_eq!(lock(true).await.status, 200);
    let body = json!({"refresh_token": refresh});
    for got in [
        c.whoami(&token).await,
        c.post("/refresh", "", body.clone()).await,
        c.login("alice", json!({})).await,
        c.token_login(&made).await,
    ] {
        assert_eq!(got.code(), (401, "M_USER_LOCKED"));
        assert_eq!(got.body["soft_logout"], true);
    }
    assert_eq!(lock(false).await.status, 200);
    assert_eq!(c.whoami(&token).await.status, 200);
    assert_eq!(c.post("/refresh", "", body).await.status, 200);
    assert_eq!(c.token_login(&made).await.status, 200);
}

#[tokio::test]
async fn a_suspended_account_may_leave_and_not_speak() {
    let (c, _, admin) = operated().await;
    let token = c.token("alice").await;
    let path = "/_matrix/client/v1/admin/suspend/@alice:reference.localhost";
    let body = json!({"suspended": true}).to_string();
    assert_eq!(c.send(Method::PUT, path, &admin, body).await.status, 200);
    let name = json!({"displayname": "Alice"}).to_string();
    let profile = "/profile/@alice:reference.localhost/displayname";
    let got = c.send(Method::PUT, profile, &token, name.clone()).await;
    assert_eq!(got.code(), (403, "M_USER_SUSPENDED"));
    assert_eq!(c.get("/sync", &token).await.status, 200);
    assert_eq!(c.login("alice", json!({})).await.status, 200);
    let bob = c.token("bob").await;
    assert_eq!(c.send(Method::PUT, profile, &bob, name).await.code(), (403, "M_FORBIDDEN"));
    assert_eq!(c.post("/logout", &token, json!({})).await.status, 200);
}

#[tokio::test]
async fn what_is_known_of_a_deactivated_account_opens_no_session() {
    let c = plain().await;
    let token = c.token("alice").await;
    let made = c.login_token(&token, "alice").await;
    let got = c.confirmed(Method::POST, "/account/deactivate", &token, "alice", json!({})).await;
    assert_eq!(got.body, json!({"id_server_unbind_result": "success"}), "nothing was bound");
    assert_eq!(c.token_login(&made).await.code(), (403, "M_USER_DEACTIVATED"));
}

#[tokio::test]
async fn a_password_can_be_changed_where_the_capability_says_so() {
    let capability = async |c: &Client, token: &str| {
        c.get("/capabilities", token).await.body["capabilities"]["m.change_password"].clone()
    };
    let quirks = vec!["no-password-change".to_owned()];
    for (quirks, enabled) in [(Vec::new(), true), (quirks, false)] {
        let c = server(Settings { quirks, ..Settings::default() }).await;
        let token = c.token("alice").await;
        assert_eq!(capability(&c, &token).await, json!({"enabled": enabled}));
        let (path, change) = ("/account/password", json!({"new_password": "other"}));
        if enabled {
            let got = c.confirmed(Method::POST, path, &token, "alice", change).await;
            assert_eq!(got.status, 200);
        } else {
            assert_eq!(c.post(path, &token, change).await.code(), (403, "M_FORBIDDEN"));
        }
    }
    let c = plain().await;
    let guest = c.post("/register?kind=guest", "", json!({})).await.text("access_token");
    assert_eq!(capability(&c, &guest).await, json!({"enabled": false}));
}

#[tokio::test]
async fn registration_asks_for_a_token_in_order() {
    let settings = Settings {
        registration: false,
        registration_token: Some("secret".into()),
        ..Settings::default()
    };
    let c = server(settings).await;
    let body = json!({"username": "carol", "password": PASSWORD});
    let session = c.post("/register", "", body.clone()).await.body["session"].clone();
    let stage = async |auth: Value| {
        let mut body = body.clone();
        body["auth"] = auth;
        body["auth"]["session"] = session.clone();
        c.post("/register", "", body).await
    };
    assert_eq!(stage(json!({"type": "m.login.dummy"})).await.status, 401);
    let wrong = stage(json!({"type": "m.login.registration_token", "token": "x"})).await;
    assert_eq!(wrong.code(), (401, "M_FORBIDDEN"));
    let partial = stage(json!({"type": "m.login.registration_token", "token": "secret"})).await;
    assert_eq!(
        (partial.status, &partial.body["completed"]),
        (401, &json!(["m.login.registration_token"]))
    );
    assert_eq!(stage(json!({"type": "m.login.dummy"})).await.status, 200);

    let closed = server(Settings { registration: false, ..Settings::default() }).await;
    assert_eq!(closed.post("/register", "", body.clone()).await.code(), (403, "M_FORBIDDEN"));
}

#[tokio::test]
async fn the_admin_call_takes_a_mac_over_a_nonce() {
    use hmac::{Hmac, KeyInit, Mac};
    let c = server(Settings { shared_secret: Some("hush".into()), ..Settings::default() }).await;
    let path = "/_synapse/admin/v1/register";
    for right in [false, true] {
        let nonce = c.get(path, "").await.text("nonce");
        let secret: &[u8] = if right { b"hush" } else { b"loud" };
        let signed = format!("{nonce}\0dora\0pw\0notadmin");
        let mac = <Hmac<sha1::Sha1> as KeyInit>::new_from_slice(secret)
            .unwrap()
            .chain_update(signed)
            .finalize();
        let mac: String = mac.into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let body = json!({"nonce": nonce, "username": "dora", "password": "pw", "admin": false, "mac": mac});
        let got = c.post(path, "", body.clone()).await;
        assert_eq!(got.status, if right { 200 } else { 403 });
        assert_eq!(c.post(path, "", body).await.status, 400, "a nonce is good once");
    }
    assert_eq!(c.login("dora", json!({"password": "pw"})).await.status, 200);
}

#[tokio::test]
async fn limits_are_announced_and_kept() {
    let limit = Limit { burst: 2, per_second: 0.5 };
    let c = server(Settings { login_limit: Some(limit), ..Settings::default() }).await;
    for _ in 0..2 {
        assert_eq!(c.login("nobody", json!({})).await.status, 403);
    }
    let got = c.login("alice", json!({})).await;
    assert_eq!(got.code(), (429, "M_LIMIT_EXCEEDED"));
    let wait = got.body["retry_after_ms"].as_u64().unwrap();
    assert!((1..=2001).contains(&wait), "{wait}");
    let seconds: u64 = got.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert_eq!(seconds, wait.div_ceil(1000));
    assert_eq!(got.headers["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn bound_addresses_log_in() {
    let bound = |medium: &str, address: &str| ThirdParty {
        medium: medium.into(),
        address: address.into(),
        user: "alice".into(),
    };
    let third_party = vec![bound("email", "alice@example.org"), bound("msisdn", "447700900001")];
    let c = server(Settings { third_party, ..Settings::default() }).await;
    for identifier in [
        json!({"type": "m.id.thirdparty", "medium": "email", "address": "Alice@example.ORG"}),
        json!({"type": "m.id.thirdparty", "medium": "msisdn", "address": "447700900001"}),
        json!({"type": "m.id.phone", "country": "GB", "phone": "07700 900001"}),
    ] {
        let got = c.login("", json!({"identifier": identifier})).await;
        assert_eq!((got.status, got.text("user_id")), (200, "@alice:reference.localhost".into()));
    }
}

#[tokio::test]
async fn pages_and_single_sign_on_work_for_a_browser() {
    let c = server(Settings { sso: true, oauth: true, ..Settings::default() }).await;
    let page = c.get("/_matrix/static/client/login/?device_id=X", "").await;
    assert_eq!(
        (page.status, &page.headers["content-type"]),
        (200, &"text/html; charset=utf-8".parse().unwrap())
    );
    let away =
        c.get("/login/sso/redirect?redirectUrl=http%3A%2F%2Fapp.localhost%2F%3Fa%3Db", "").await;
    assert_eq!(away.status, 302);
    let form = "user=eve&redirectUrl=http%3A%2F%2Fapp.localhost%2F%3Fa%3Db%26loginToken%3Dx";
    let home = c.send(Method::POST, "/_reference/sso", "", form).await;
    let location = url::Url::parse(home.headers["location"].to_str().unwrap()).unwrap();
    let pairs: Vec<(String, String)> = location.query_pairs().into_owned().collect();
    assert_eq!((pairs.len(), &pairs[0]), (2, &("a".into(), "b".into())));
    assert_eq!(c.token_login(&pairs[1].1).await.text("user_id"), "@eve:reference.localhost");
    assert_eq!(c.get("/_matrix/client/v1/auth_metadata", "").await.status, 200);

    let alice = c.token("alice").await;
    let path = "/_matrix/client/v1/login/get_token";
    let session = c.post(path, &alice, json!({})).await.text("session");
    let web = format!("/auth/m.login.password/fallback/web?session={session}");
    assert_eq!(c.get(&web, "").await.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(c.send(Method::POST, &web, "", "password=correct+horse").await.status, 200);
    assert_eq!(c.post(path, &alice, json!({"auth": {"session": session}})).await.status, 200);
}

#[tokio::test]
async fn a_client_can_begin_to_sync() {
    let c = plain().await;
    let token = c.token("alice").await;
    let user = "@alice:reference.localhost";
    let made = c.post(&format!("/user/{user}/filter"), &token, json!({"room": {}})).await;
    let path = format!("/user/{user}/filter/{}", made.text("filter_id"));
    assert_eq!(c.get(&path, &token).await.body, json!({"room": {}}));
    assert_eq!(
        c.get("/user/@bob:reference.localhost/filter/0", &token).await.code(),
        (403, "M_FORBIDDEN")
    );
    let sync = c.get("/sync?timeout=30000", &token).await;
    assert!(sync.body["next_batch"].is_string() && sync.body["rooms"]["join"].is_object());
    let capabilities = c.get("/capabilities", &token).await;
    assert_eq!(capabilities.body["capabilities"]["m.get_login_token"], json!({"enabled": true}));
}

/// A walk over the whole surface that notes what an observer sees, with everything left out that differs from run to
/// run. Two servers that behave alike give the same notes.
struct Tour {
    client: Client,
    notes: Vec<String>,
    /// What is expected; from the first note that is another, nothing more is sent.
    expected: Option<Vec<String>>,
    differs: bool,
}

/// Replaces what is different in every run, word by word: tokens, made-up ids, times, short waits.
fn masked(text: &str, bases: &[String]) -> String {
    let text = bases.iter().fold(text.to_owned(), |text, base| text.replace(base, "base"));
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let (mut out, mut before) = (String::new(), "");
    for piece in text.split_inclusive(|c| !part(c)) {
        let word = piece.trim_end_matches(|c| !part(c));
        out.push_str(mask(word, before).unwrap_or(word));
        out.push_str(&piece[word.len()..]);
        before = if word.is_empty() { before } else { word };
    }
    out
}

/// What stands for a word that is different in every run.
fn mask(word: &str, before: &str) -> Option<&'static str> {
    let prefix = ["access_", "refresh_", "login_", "session_"]
        .into_iter()
        .find(|prefix| word.starts_with(prefix));
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    match prefix {
        Some(prefix) if word.len() == prefix.len() + 27 => Some(prefix),
        _ if word.len() == 10 && word.bytes().all(|byte| byte.is_ascii_uppercase()) => {
            Some("DEVICE")
        }
        _ if word.len() == 16 && word.starts_with("guest-") => Some("guest"),
        _ if word.len() == 10
            && before == "user_id"
            && word.bytes().all(|byte| byte.is_ascii_lowercase()) =>
        {
            Some("a made-up name")
        }
        _ if digits && before == "last_seen_ts" => Some("a time"),
        // By the book it is never 0.
        _ if digits && word != "0" && word.len() < 4 && before == "retry_after_ms" => {
            Some("a wait")
        }
        _ => None,
    }
}

/// A JSON body without what is different in every run; made-up device ids also change the order of lists.
fn shown(body: &Value, bases: &[String]) -> String {
    match body["devices"].as_array() {
        Some(devices) => {
            let mut devices: Vec<String> =
                devices.iter().map(|device| masked(&device.to_string(), bases)).collect();
            devices.sort();
            devices.join(" ")
        }
        None => masked(&body.to_string(), bases),
    }
}

impl Tour {
    /// Sends a request as it is written and notes the answer.
    async fn raw(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Got {
        if self.differs {
            return Got { status: 0, headers: HeaderMap::new(), body: Value::Null };
        }
        let path = if path.starts_with("/_") || path.starts_with("/.") {
            path.to_owned()
        } else {
            format!("/_matrix/client/v3{path}")
        };
        let base = self.client.server.url();
        let behind = self.client.behind.as_ref().map(Running::url);
        let bases: Vec<String> = [base.clone()].into_iter().chain(behind).collect();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request =
            self.client.http.request(method.clone(), format!("{base}{path}")).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        let body: Option<Value> = serde_json::from_slice(&bytes).ok();
        let shown = match &body {
            Some(body) => shown(body, &bases),
            None => masked(&String::from_utf8_lossy(&bytes), &bases),
        };
        let mut seen: Vec<String> = headers
            .iter()
            .filter(|(name, _)| !["date", "content-length"].contains(&name.as_str()))
            .map(|(name, value)| {
                format!("{name}: {}", masked(value.to_str().unwrap_or("?"), &bases))
            })
            .collect();
        seen.sort();
        let path = masked(&path, &bases);
        let note = format!("{method} {path} -> {status} {} {shown}", seen.join("; "));
        let expected = self.expected.as_ref().map(|expected| expected.get(self.notes.len()));
        self.differs = expected.is_some_and(|expected| expected != Some(&note));
        self.notes.push(note);
        Got { status, headers, body: body.unwrap_or(Value::Null) }
    }

    async fn send(&mut self, method: &str, path: &str, token: &str, body: Value) -> Got {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("origin", "https://app.example.org")];
        if !token.is_empty() {
            headers.push(("authorization", &bearer));
        }
        self.raw(
            method,
            path,
            &headers,
            if body.is_null() { String::new() } else { body.to_string() },
        )
        .await
    }

    async fn get(&mut self, path: &str, token: &str) -> Got {
        self.send("GET", path, token, Value::Null).await
    }

    async fn post(&mut self, path: &str, token: &str, body: Value) -> Got {
        self.send("POST", path, token, body).await
    }

    /// A login of a user with members added or replaced; gives the access token, or what stands for one.
    async fn login(&mut self, user: &str, more: Value) -> String {
        let got = self.login_answer(user, more).await;
        token_of(&got)
    }

    async fn login_answer(&mut self, user: &str, more: Value) -> Got {
        let mut body = json!({"type": "m.login.password", "password": PASSWORD,
            "identifier": {"type": "m.id.user", "user": user}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body.as_object_mut().unwrap().retain(|_, value| value != "absent");
        self.post("/login", "", body).await
    }

    /// Asks, and passes interactive auth by the given stage if asked to.
    async fn confirm(
        &mut self,
        method: &str,
        path: &str,
        token: &str,
        user: &str,
        mut body: Value,
    ) -> Got {
        let challenge = self.send(method, path, token, body.clone()).await;
        if challenge.status != 401 {
            return challenge;
        }
        body["auth"] = auth(&challenge, user, PASSWORD);
        self.send(method, path, token, body).await
    }

    async fn refresh(&mut self, token: &str) -> (String, String) {
        let got = self.post("/refresh", "", json!({"refresh_token": token})).await;
        (token_of(&got), got.body["refresh_token"].as_str().unwrap_or("none").to_owned())
    }

    async fn discovery(&mut self) {
        let cross = ("origin", "https://app.example.org");
        let asked = ("access-control-request-method", "POST");
        for path in [
            "/_matrix/client/versions",
            "/login",
            "/register",
            "/devices/X",
            "/account/whoami",
            "/_matrix/client/v1/login/get_token",
            "/.well-known/matrix/client",
        ] {
            self.raw("OPTIONS", path, &[cross], "").await;
            self.raw("OPTIONS", path, &[cross, asked], "").await;
        }
        // Some faults show from the second answer on.
        for _ in 0..2 {
            self.get("/_matrix/client/versions", "").await;
            self.get("/.well-known/matrix/client", "").await;
        }
        self.get("/_matrix/client/v1/auth_metadata", "").await;
        for _ in 0..4 {
            self.get("/login", "").await;
        }
        self.get("/_matrix/client/r0/login", "").await;
        self.get("/_matrix/client/r0/account/whoami", "").await;
        for path in ["/login/no_such", "/_matrix/client/v99/login"] {
            self.get(path, "").await;
        }
        let alice = json!({"type": "m.login.password", "password": PASSWORD, "user": "alice"});
        self.send("PUT", "/login", "", alice.clone()).await;
        self.get("/logout", "").await;
        self.raw("OPTIONS", "/login", &[], alice.to_string()).await;
        self.get("/_matrix/static/client/login/?device_id=X", "").await;
        self.post("/_matrix/client/v1/login/get_token", "nonsense", json!({})).await;
        self.post("/_matrix/client/v1/login/get_token", "", json!({})).await;
        let home = "redirectUrl=https%3A%2F%2Fapp.example.org%2F";
        for path in [
            "/login/sso/redirect?",
            "/login/sso/redirect/house?",
            "/login/sso/redirect/none?",
            "/login/cas/redirect?",
        ] {
            self.get(path, "").await;
            self.get(&format!("{path}{home}"), "").await;
            self.get(&format!("{path}{home}&action=register"), "").await;
        }
        self.get("/_matrix/media/v3/download/reference.localhost/house", "").await;
        let token = self.login("alice", json!({})).await;
        self.get("/capabilities", &token).await;
        let asked =
            self.post("/_matrix/client/v1/login/get_token", &token, json!({})).await.body["session"].clone();
        let session = asked.as_str().unwrap_or("x");
        self.get(&format!("/auth/m.login.sso/fallback/web?session={session}"), "").await;
        self.post("/logout", &token, Value::Null).await;
    }

    async fn refusals(&mut self) {
        let typed = |kind: Value| json!({"type": kind});
        let named = |identifier: Value| json!({"identifier": identifier});
        let password = "m.login.password";
        self.post("/login", "", json!({})).await;
        for more in [
            typed("absent".into()),
            typed(json!(5)),
            typed(json!("com.example.none")),
            typed(json!("com.example.other")),
            json!({"password": "absent"}),
            json!({"password": 7}),
            json!({"password": null}),
            json!({"identifier": "absent"}),
            named(json!("alice")),
            named(json!({"user": "alice"})),
            named(json!({"type": "com.example.id", "user": "alice"})),
            named(json!({"type": "m.id.user"})),
            named(json!({"type": "m.id.thirdparty", "medium": "email"})),
            named(
                json!({"type": "m.id.thirdparty", "medium": "email", "address": "a@example.invalid"}),
            ),
            named(json!({"type": "m.id.phone", "country": "GB"})),
            named(json!({"type": "m.id.phone", "country": "GB", "phone": "07700900001"})),
            named(json!({"type": "m.id.user", "user": "@alice:other.invalid"})),
            named(json!({"type": "m.id.user", "user": "@alice:reference.localhost.invalid"})),
            json!({"identifier": "absent", "user": "@alice:other.invalid"}),
            json!({"identifier": "absent", "medium": "email", "address": "a@example.invalid"}),
            json!({"device_id": 5}),
            json!({"refresh_token": "true"}),
            json!({"refresh_token": 1}),
            json!({"org.example.key": 1}),
            json!({"x_key": 1}),
        ] {
            self.login_answer("alice", more).await;
        }
        let wrong = ["nope", "", "CORRECT HORSE", " correct horse ", "correct ", "correct horses"];
        for password in wrong {
            self.login_answer("alice", json!({"password": password})).await;
        }
        self.login_answer("nobody", json!({})).await;
        self.login_answer("ALICE", json!({})).await;
        for body in ["", "{", "[]"] {
            self.raw("POST", "/login", &[("origin", "https://app.example.org")], body).await;
        }
        let body = json!({"type": password, "user": "alice", "password": PASSWORD}).to_string();
        for media_type in ["application/json", "application/json; charset=utf-8", "text/plain"] {
            self.raw("POST", "/login", &[("content-type", media_type)], body.clone()).await;
        }
        self.raw("POST", "/login", &[], body.replace("alice", "\\u0061lice")).await;
        let crab = r#""device_id": "CRAB", "initial_device_display_name": "\ud83e\udd80", "user""#;
        let crab = self.raw("POST", "/login", &[], body.replace(r#""user""#, crab)).await;
        self.get("/devices/CRAB", &token_of(&crab)).await;
        for token in [json!("absent"), json!(5), json!("junk")] {
            let mut body = json!({"type": "m.login.token", "token": token});
            body.as_object_mut().unwrap().retain(|_, value| value != "absent");
            self.post("/login", "", body).await;
        }
        let mixed = self.login("alice", json!({})).await;
        self.get("/devices", &mixed.to_ascii_uppercase()).await;
        for token in ["", "nonsense"] {
            self.post("/login", token, json!({"type": "m.login.application_service"})).await;
            for path in ["/account/whoami", "/devices"] {
                self.get(path, token).await;
            }
            for path in ["/logout", "/logout/all"] {
                self.post(path, token, json!({})).await;
            }
        }
    }

    async fn devices(&mut self) {
        let fancy =
            json!({"device_id": "Dev-1.x_~", "initial_device_display_name": "Näme Of Mine"});
        let one = self.login("alice", fancy.clone()).await;
        let two = self.login("@alice:reference.localhost", json!({})).await;
        let three = self.login("alice", json!({})).await;
        for token in [&one, &two, &three] {
            self.get("/account/whoami", token).await;
        }
        self.raw("GET", &format!("/account/whoami?access_token={one}"), &[], "").await;
        self.raw("GET", &format!("/devices?access_token={one}"), &[], "").await;
        self.raw("GET", "/account/whoami?access_token=nonsense", &[], "").await;
        self.get("/capabilities", "").await;
        self.get("/devices/NEVER", "junk").await;
        self.send("DELETE", "/devices/NEVER", "", json!({})).await;
        self.post("/delete_devices", "", json!({"devices": ["NEVER"]})).await;
        self.login_answer("alice", json!({"password": "nope", "device_id": "Dev-1.x_~"})).await;
        self.login_answer("alice", json!({"password": "nope", "device_id": "NEVER"})).await;
        self.get("/account/whoami", &one).await;
        self.get("/devices", &one).await;
        for name in [json!({"initial_device_display_name": "Other"}), json!({})] {
            let mut more = name.clone();
            more["device_id"] = json!("Dev-1.x_~");
            let again = self.login("alice", more).await;
            self.get("/account/whoami", &again).await;
            self.get("/devices/Dev-1.x_~", &again).await;
        }
        self.get("/account/whoami", &one).await;
        self.get("/devices", &two).await;
        let bob = self.login("bob", json!({"device_id": "Dev-1.x_~"})).await;
        let own = self.login("bob", json!({"device_id": "BOB"})).await;
        self.get("/devices", &two).await;
        for path in ["/devices/BOB", "/devices/NONE", "/devices/Dev-1.x_~"] {
            self.get(path, &two).await;
            self.send("PUT", path, &two, json!({"display_name": "renamed"})).await;
            self.get(path, &two).await;
        }
        self.get("/devices", &own).await;
        self.post("/logout/all", &bob, Value::Null).await;
        let legacy =
            |user: &str| json!({"type": "m.login.password", "password": PASSWORD, "user": user});
        self.post("/login", "", legacy("bob")).await;
        self.post("/login", "", legacy("@bob:reference.localhost")).await;
        let keys = json!({"master_key": {"keys": {"ed25519:KEY": "KEY"}}});
        self.post("/keys/device_signing/upload", &two, keys).await;
        self.login("alice", json!({"device_id": "KEY"})).await;
        for device in ["A", "B", "C"] {
            self.login("alice", json!({"device_id": device})).await;
        }
        let a = self.login("alice", json!({"device_id": "A"})).await;
        let c = self.login("alice", json!({"device_id": "C"})).await;
        for _ in 0..2 {
            self.confirm("DELETE", "/devices/A", &two, "alice", json!({})).await;
        }
        self.confirm("POST", "/delete_devices", &two, "alice", json!({"devices": ["B", "C"]}))
            .await;
        self.get("/account/whoami", &a).await;
        self.get("/account/whoami", &c).await;
        self.get("/devices", &c).await;
        self.get("/devices", &two).await;
        for _ in 0..2 {
            self.login("alice", json!({"initial_device_display_name": "Alike"})).await;
        }
        let made = self.login_answer("alice", json!({})).await;
        let path = format!("/devices/{}", made.body["device_id"].as_str().unwrap_or("none"));
        self.get(&path, &two).await;
        self.get("/devices", &two).await;
    }

    async fn endings(&mut self) {
        let first =
            self.login_answer("alice", json!({"device_id": "ENDS", "refresh_token": true})).await;
        let (one, other) = (token_of(&first), self.login("alice", json!({})).await);
        self.login("alice", json!({})).await;
        self.get("/account/whoami", &one).await;
        self.post("/keys/upload", &one, json!({"device_keys": {"device_id": "ENDS"}})).await;
        self.raw("OPTIONS", "/logout", &[("authorization", &format!("Bearer {one}"))], "").await;
        self.get("/account/whoami", &one).await;
        self.post("/logout", &one, Value::Null).await;
        self.get("/account/whoami", &one).await;
        self.post("/logout", &one, json!({})).await;
        self.get("/devices/ENDS", &other).await;
        self.get("/devices", &other).await;
        let query =
            |devices: Value| json!({"device_keys": {"@alice:reference.localhost": devices}});
        self.post("/keys/query", &other, query(json!([]))).await;
        self.post("/keys/query", &other, query(json!(["ENDS"]))).await;
        self.refresh(first.body["refresh_token"].as_str().unwrap_or("none")).await;
        let spare = self.login("alice", json!({})).await;
        self.post("/logout", &spare, json!({})).await;
        let last = self.login("alice", json!({})).await;
        self.post("/logout", &last, json!({})).await;
        self.get("/account/whoami", &last).await;
        let renewed = self.login_answer("alice", json!({"refresh_token": true})).await;
        let first = renewed.body["refresh_token"].as_str().unwrap_or("none").to_owned();
        let (access, second) = self.refresh(&first).await;
        self.post("/logout", &access, json!({})).await;
        self.refresh(&second).await;
        let bob = self.login("bob", json!({"device_id": "SHARED"})).await;
        let known = json!({"refresh_token": true, "device_id": "SHARED"});
        let third = self.login_answer("alice", known).await;
        self.post("/keys/upload", &other, json!({"device_keys": {"device_id": "X"}})).await;
        self.post("/logout/all", &other, Value::Null).await;
        for token in [&other, &token_of(&third), &bob] {
            self.get("/account/whoami", token).await;
        }
        self.refresh(third.body["refresh_token"].as_str().unwrap_or("none")).await;
        let last = self.login_answer("alice", json!({"refresh_token": true})).await;
        self.get("/devices", &token_of(&last)).await;
        self.post("/keys/query", &token_of(&last), query(json!([]))).await;
        self.post("/logout/all", &token_of(&last), Value::Null).await;
        self.refresh(last.body["refresh_token"].as_str().unwrap_or("none")).await;
        let ends = self.login_answer("alice", json!({"refresh_token": true})).await;
        let stays = self.login_answer("alice", json!({"refresh_token": true})).await;
        self.post("/logout", &token_of(&ends), json!({})).await;
        self.refresh(stays.body["refresh_token"].as_str().unwrap_or("none")).await;
        let token = format!("Bearer {}", self.login("alice", json!({})).await);
        self.raw("OPTIONS", "/logout/all", &[("authorization", &token)], "").await;
        self.raw("GET", "/account/whoami", &[("authorization", &token)], "").await;
    }

    async fn refreshes(&mut self) {
        self.raw("POST", "/refresh", &[], "").await;
        for token in [json!({}), json!({"refresh_token": 1}), json!({"refresh_token": "junk"})] {
            self.post("/refresh", "", token).await;
        }
        let login =
            self.login_answer("alice", json!({"refresh_token": true, "device_id": "FRESH"})).await;
        let r1 = login.body["refresh_token"].as_str().unwrap_or("none").to_owned();
        let preflight = json!({"refresh_token": &r1}).to_string();
        self.raw("OPTIONS", "/refresh", &[], preflight).await;
        self.get("/account/whoami", &r1).await;
        self.refresh(&token_of(&login)).await;
        self.refresh(&r1).await;
        self.get("/account/whoami", &token_of(&login)).await;
        self.refresh(&r1).await;
        let (a2, r2) = self.refresh(&r1).await;
        self.get("/account/whoami", &a2).await;
        self.refresh(&r1).await;
        self.get("/account/whoami", &token_of(&login)).await;
        let known = json!({"device_id": "AGAIN", "refresh_token": true});
        let before = self.login_answer("bob", known.clone()).await;
        self.login_answer("bob", known).await;
        self.refresh(before.body["refresh_token"].as_str().unwrap_or("none")).await;
        let (_, r3) = self.refresh(&r2).await;
        let (a4, _) = self.refresh(&r3).await;
        self.refresh(&r2).await;
        self.get("/devices", &a4).await;
    }

    async fn login_tokens(&mut self) {
        let path = "/_matrix/client/v1/login/get_token";
        let alice = self.login("alice", json!({})).await;
        let bob = self.login("bob", json!({})).await;
        self.raw("POST", path, &[("authorization", &format!("Bearer {alice}"))], "").await;
        self.raw("POST", path, &[("authorization", &format!("Bearer {alice}"))], "[").await;
        self.get("/capabilities", &alice).await;
        let challenge = self.post(path, &alice, json!({})).await;
        self.post(path, &alice, json!({"auth": auth(&challenge, "alice", "nope")})).await;
        let mut stranger = auth(&challenge, "alice", PASSWORD);
        stranger["identifier"] =
            json!({"type": "m.id.thirdparty", "medium": "email", "address": "a@example.invalid"});
        self.post(path, &alice, json!({"auth": stranger})).await;
        self.post(path, &alice, json!({"auth": auth(&challenge, "bob", PASSWORD)})).await;
        let again = self.post(path, &alice, json!({})).await;
        let page = format!(
            "/auth/m.login.password/fallback/web?session={}",
            again.body["session"].as_str().unwrap_or("x")
        );
        self.get(&page, "").await;
        self.raw("POST", &page, &[], "password=correct+horse").await;
        let made = self.post(path, &alice, json!({"auth": auth(&again, "alice", PASSWORD)})).await;
        self.post(path, &alice, json!({"auth": auth(&again, "alice", PASSWORD)})).await;
        self.post(path, &alice, json!({})).await;
        self.get("/account/whoami", &alice).await;
        let token = made.body["login_token"].as_str().unwrap_or("none").to_owned();
        self.get("/account/whoami", &token).await;
        let body = json!({"type": "m.login.token", "token": token, "device_id": "Tok", "initial_device_display_name": "N"});
        let session = self.post("/login", "", body.clone()).await;
        self.post("/login", "", body).await;
        self.get("/devices/Tok", &token_of(&session)).await;
        self.get("/account/whoami", &token_of(&session)).await;
        for token in [bob.as_str(), "junk"] {
            self.post("/login", "", json!({"type": "m.login.token", "token": token})).await;
        }
        let made =
            self.confirm("POST", path, &alice, "@alice:reference.localhost", json!({})).await;
        let more = self.post(path, &bob, json!({})).await;
        let older = json!({"type": "m.login.password", "user": "alice", "password": PASSWORD,
            "session": more.body["session"]});
        self.post(path, &bob, json!({"auth": older})).await;
        self.post(path, &bob, json!({"auth": auth(&more, "bob", PASSWORD)})).await;
        let token = made.body["login_token"].as_str().unwrap_or("none");
        let body = json!({"type": "m.login.token", "token": token, "refresh_token": true});
        self.post("/login", "", body).await;
        self.post("/login", &bob, json!({"type": "m.login.application_service"})).await;
    }

    async fn accounts(&mut self) {
        let body = json!({"username": "carol", "password": PASSWORD});
        let challenge = self.post("/register", "", body.clone()).await;
        for (stage, token) in [
            ("m.login.dummy", ""),
            ("m.login.registration_token", "homespec"),
            ("m.login.dummy", ""),
        ] {
            let mut body = body.clone();
            body["auth"] =
                json!({"type": stage, "token": token, "session": challenge.body["session"]});
            self.post("/register", "", body).await;
        }
        let guest = self.post("/register?kind=guest", "", json!({})).await;
        self.get("/account/whoami", &token_of(&guest)).await;
        let (own, other) =
            (self.login("carol", json!({})).await, self.login("carol", json!({})).await);
        let keep = json!({"new_password": PASSWORD, "logout_devices": false});
        self.confirm("POST", "/account/password", &own, "carol", keep).await;
        self.get("/account/whoami", &other).await;
        let change = json!({"new_password": "brand new"});
        self.confirm("POST", "/account/password", &own, "carol", change).await;
        self.get("/account/whoami", &other).await;
        self.get("/account/whoami", &own).await;
        self.login("carol", json!({})).await;
        self.login("carol", json!({"password": "brand new"})).await;
        let bob = self.login("bob", json!({})).await;
        let other = self.login_answer("bob", json!({"refresh_token": true})).await;
        self.confirm("POST", "/account/deactivate", &bob, "bob", json!({})).await;
        self.get("/account/whoami", &bob).await;
        self.get("/account/whoami", &token_of(&other)).await;
        self.refresh(other.body["refresh_token"].as_str().unwrap_or("none")).await;
        self.login("bob", json!({})).await;
        let odd = json!({"username": "Not For All", "password": PASSWORD});
        self.post("/register", "", odd).await;
        let eve = json!({"username": "eve", "password": PASSWORD});
        let challenge = self.post("/register", "", eve.clone()).await;
        let mut other = json!({"username": "mallory", "password": PASSWORD});
        other["auth"] = json!({"type": "m.login.dummy", "session": challenge.body["session"]});
        self.post("/register", "", other).await;
    }

    /// What shows only after half a second.
    async fn expiries(&mut self) {
        let old = json!({"refresh_token": true, "device_id": "OLD", "initial_device_display_name": "old"});
        let login = self.login_answer("alice", old).await;
        let plain = self.login("alice", json!({})).await;
        let path = "/_matrix/client/v1/login/get_token";
        let made = self.confirm("POST", path, &plain, "alice", json!({})).await;
        tokio::time::sleep(Duration::from_millis(550)).await;
        self.get("/account/whoami", &token_of(&login)).await;
        self.get("/devices", &token_of(&login)).await;
        self.refresh(login.body["refresh_token"].as_str().unwrap_or("none")).await;
        let token = made.body["login_token"].clone();
        self.post("/login", "", json!({"type": "m.login.token", "token": token})).await;
        let again = self.login("alice", json!({"device_id": "OLD"})).await;
        self.get("/devices/OLD", &again).await;
    }

    /// What shows only with an operator's help: an application service, bound addresses, locked and suspended accounts.
    async fn operated(&mut self) {
        let known = Need::Operator.met(Settings::default());
        let (service, admin) = (known.appservice.unwrap(), known.admin_token.unwrap());
        let (owner, server) = (&known.third_party[0].user, known.server_name);
        let (kind, token) = ("m.login.application_service", service.token.as_str());
        let user = format!("{}one", service.prefix);
        let full = format!("@{user}:{server}");
        let nobody = format!("{}two", service.prefix);
        for (name, inhibit) in [(&user, true), (&nobody, false)] {
            let selection = json!({"type": kind, "username": name, "inhibit_login": inhibit});
            self.post("/register", token, selection).await;
        }
        for name in [&user, &full, &format!("{}three", service.prefix), owner] {
            let login = json!({"type": kind, "identifier": {"type": "m.id.user", "user": name}});
            let got = self.post("/login", token, login).await;
            self.get("/account/whoami", &token_of(&got)).await;
        }
        self.get("/account/whoami", token).await;
        let device = format!("/devices/MADE?user_id={full}");
        self.send("PUT", &device, token, json!({"display_name": "made"})).await;
        for query in [
            &full,
            &format!("@{owner}:{server}"),
            &format!("{full}&device_id=MADE"),
            &format!("{full}&device_id=NONE"),
        ] {
            self.get(&format!("/account/whoami?user_id={query}"), token).await;
        }
        self.send("DELETE", &device, token, json!({})).await;
        self.get(&device, token).await;
        let several = format!("/delete_devices?user_id={full}");
        self.post(&several, token, json!({"devices": ["MADE"]})).await;
        for identifier in [
            json!({"type": "m.id.thirdparty", "medium": "email", "address": "Somebody@example.org"}),
            json!({"type": "m.id.thirdparty", "medium": "email", "address": "sOMEBODY@example.org"}),
            json!({"type": "m.id.thirdparty", "medium": "msisdn", "address": "447700900001"}),
            json!({"type": "m.id.phone", "country": "GB", "phone": "07700900001"}),
        ] {
            let password = "password-of-the-house";
            self.post(
                "/login",
                "",
                json!({"type": "m.login.password", "identifier": identifier, "password": password}),
            )
            .await;
        }
        let legacy = json!({"type": "m.login.password", "medium": "email", "address": "somebody@example.org",
            "password": "password-of-the-house", "refresh_token": true});
        let session = self.post("/login", "", legacy).await;
        let refresh = session.body["refresh_token"].clone();
        let path = format!("/refresh?user_id={full}");
        let refreshed = self.post(&path, token, json!({"refresh_token": refresh})).await;
        self.get("/account/whoami", &token_of(&refreshed)).await;
        let login = json!({"type": "m.login.password", "password": "password-of-the-house",
            "identifier": {"type": "m.id.user", "user": owner}});
        let own = self.post("/login", "", login.clone()).await;
        let other = self.post("/login", "", login.clone()).await;
        let admins = |call: &str| format!("/_matrix/client/v1/admin/{call}/@{owner}:{server}");
        for locked in [true, false] {
            self.send("PUT", &admins("lock"), &admin, json!({"locked": locked})).await;
            self.get("/account/whoami", &token_of(&own)).await;
            self.post("/login", "", login.clone()).await;
            self.post("/logout", &token_of(&other), json!({})).await;
        }
        self.send("PUT", &admins("lock"), &admin, json!({"locked": true})).await;
        self.post("/logout/all", &token_of(&own), json!({})).await;
        self.send("PUT", &admins("lock"), &admin, json!({"locked": false})).await;
        self.send("PUT", &admins("suspend"), &admin, json!({"suspended": true})).await;
        self.post("/login", "", login).await;
    }

    /// Registers a user with members added, through the dummy stage.
    async fn register(&mut self, name: &str, more: Value) -> Got {
        let mut body = json!({"username": name, "password": PASSWORD});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body.as_object_mut().unwrap().retain(|_, value| value != "absent");
        let challenge = self.post("/register", "", body.clone()).await;
        if challenge.status != 401 {
            return challenge;
        }
        body["auth"] = json!({"type": "m.login.dummy", "session": challenge.body["session"]});
        self.post("/register", "", body).await
    }

    /// A login token of the user.
    async fn login_token(&mut self, token: &str, user: &str) -> Value {
        let path = "/_matrix/client/v1/login/get_token";
        self.confirm("POST", path, token, user, json!({})).await.body["login_token"].clone()
    }

    async fn identities(&mut self) {
        let alice = self.login("alice", json!({"device_id": "ONE"})).await;
        self.login("alice", json!({"device_id": "TWO"})).await;
        let bob = self.login("bob", json!({"device_id": "BOBS"})).await;
        let query = "?user_id=@bob:reference.localhost";
        for path in ["/account/whoami", "/devices", "/devices/BOBS"] {
            self.get(&format!("{path}{query}"), &alice).await;
        }
        self.get("/account/whoami?device_id=TWO", &alice).await;
        let bearer = format!("Bearer {alice}");
        let named = [("authorization", bearer.as_str()), ("x-forwarded-user", "bob")];
        self.raw("GET", "/account/whoami", &named, "").await;
        self.post("/logout", &alice, json!({"device_id": "TWO"})).await;
        let alice = self.login("alice", json!({"device_id": "ONE"})).await;
        self.get("/devices", &alice).await;
        self.send("PUT", "/devices/BOBS", &alice, json!({"display_name": "mine"})).await;
        self.get("/devices", &bob).await;
        self.confirm("DELETE", "/devices/BOBS", &alice, "alice", json!({})).await;
        self.get("/devices", &bob).await;
        let devices = json!({"devices": ["BOBS"]});
        self.confirm("POST", "/delete_devices", &alice, "alice", devices).await;
        self.get("/devices", &bob).await;
        self.confirm("DELETE", "/devices/NEVER", &alice, "alice", json!({})).await;
        let body = json!({"new_password": "brand new", "user": "bob", "logout_devices": false});
        self.confirm("POST", "/account/password", &alice, "alice", body).await;
        self.get("/account/whoami", &alice).await;
        self.login("bob", json!({})).await;
        self.login("alice", json!({"password": "brand new"})).await;
        let login = json!({"type": "m.login.password", "password": PASSWORD, "refresh_token": true,
            "identifier": {"type": "m.id.user", "user": "bob"}});
        let other = "?user_id=@alice:reference.localhost";
        for (query, token) in [("", alice.as_str()), (other, "")] {
            let got = self.post(&format!("/login{query}"), token, login.clone()).await;
            self.get("/account/whoami", &token_of(&got)).await;
            let got = self.post("/login", "", login.clone()).await;
            let body = json!({"refresh_token": got.body["refresh_token"]});
            let got = self.post(&format!("/refresh{query}"), token, body).await;
            self.get("/account/whoami", &token_of(&got)).await;
        }
    }

    /// Interactive auth in the hands of somebody else.
    async fn hands(&mut self) {
        let path = "/_matrix/client/v1/login/get_token";
        let (alice, bob) =
            (self.login("alice", json!({})).await, self.login("bob", json!({})).await);
        let challenge = self.post(path, &alice, json!({})).await;
        let session = challenge.body["session"].as_str().unwrap_or("x").to_owned();
        let page = format!("/auth/m.login.password/fallback/web?session={session}");
        self.raw("POST", &page, &[], "password=correct+horse").await;
        self.post(path, &bob, json!({"auth": {"session": session}})).await;
        self.post(path, &alice, json!({"auth": {"session": session}})).await;
    }

    /// Everything that belongs to a session, and what becomes of it in each of the ways in which sessions end.
    async fn lifetimes(&mut self) {
        let ends = ["logout", "all", "delete", "own", "bulk", "password", "deactivate", "refresh"];
        let with_refresh = |id: &str| json!({"device_id": id, "refresh_token": true});
        for end in ends {
            let user = format!("user-{end}");
            self.register(&user, json!({"inhibit_login": true})).await;
            let main = self.login(&user, json!({"device_id": "MAIN"})).await;
            let (first, other) = (
                self.login_answer(&user, with_refresh("SAME")).await,
                self.login_answer(&user, with_refresh("OTHER")).await,
            );
            let bob = self.login("bob", json!({"device_id": "SAME"})).await;
            let pending = self.login_token(&main, &user).await;
            let old = first.body["refresh_token"].as_str().unwrap_or("none").to_owned();
            let (access, new) = self.refresh(&old).await;
            let earlier = token_of(&first);
            match end {
                "logout" => drop(self.post("/logout", &earlier, Value::Null).await),
                "all" => drop(self.post("/logout/all", &main, Value::Null).await),
                "delete" => {
                    self.confirm("DELETE", "/devices/SAME", &main, &user, json!({})).await;
                }
                "own" => {
                    self.confirm("DELETE", "/devices/SAME", &earlier, &user, json!({})).await;
                }
                "bulk" => {
                    let devices = json!({"devices": ["SAME"]});
                    self.confirm("POST", "/delete_devices", &main, &user, devices).await;
                }
                "password" => {
                    let body = json!({"new_password": PASSWORD});
                    self.confirm("POST", "/account/password", &main, &user, body).await;
                }
                "deactivate" => {
                    self.confirm("POST", "/account/deactivate", &main, &user, json!({})).await;
                }
                _ => {}
            }
            self.get("/devices", &main).await;
            self.get("/account/whoami", &bob).await;
            self.refresh(&old).await;
            self.refresh(&new).await;
            for token in [&earlier, &access, &token_of(&other)] {
                self.get("/account/whoami", token).await;
            }
            self.refresh(other.body["refresh_token"].as_str().unwrap_or("none")).await;
            self.post("/login", "", json!({"type": "m.login.token", "token": pending})).await;
        }
        self.register("user-keeps", json!({"inhibit_login": true})).await;
        let main = self.login("user-keeps", json!({})).await;
        let other = self.login("user-keeps", json!({"device_id": "OTHER"})).await;
        let keep = json!({"new_password": PASSWORD, "logout_devices": false});
        self.confirm("POST", "/account/password", &main, "user-keeps", keep).await;
        self.get("/account/whoami", &other).await;
    }

    async fn secrets(&mut self) {
        let path = "/_matrix/client/v1/login/get_token";
        let login = self.login_answer("alice", json!({"refresh_token": true})).await;
        let token = token_of(&login);
        let misses = |text: &str| {
            let cut = text.get(..text.len().saturating_sub(3)).unwrap_or_default().to_owned();
            [cut, format!("{text}abc"), text.to_ascii_uppercase()]
        };
        for miss in misses(&token) {
            self.get("/account/whoami", &miss).await;
        }
        for miss in misses(login.body["refresh_token"].as_str().unwrap_or("none")) {
            self.refresh(&miss).await;
            self.get("/account/whoami", &token).await;
        }
        self.refresh(login.body["refresh_token"].as_str().unwrap_or("none")).await;
        let made = self.login_token(&token, "alice").await;
        for miss in misses(made.as_str().unwrap_or("none")) {
            self.post("/login", "", json!({"type": "m.login.token", "token": miss})).await;
        }
        let challenge = self.post(path, &token, json!({})).await;
        for miss in misses(challenge.body["session"].as_str().unwrap_or("none")) {
            let mut body = json!({"auth": auth(&challenge, "alice", PASSWORD)});
            body["auth"]["session"] = json!(miss);
            self.post(path, &token, body).await;
        }
        let got = self.post("/login", "", json!({"type": "m.login.token", "token": made})).await;
        self.get("/devices", &token_of(&got)).await;
        for password in ["CORRECT HORSE", "correct", ""] {
            self.post(path, &token, json!({"auth": auth(&challenge, "alice", password)})).await;
        }
        for odd in ["*", "~~~"] {
            for path in ["/account/whoami", "/devices"] {
                self.get(path, odd).await;
            }
            self.post("/logout", odd, Value::Null).await;
            self.post(path, odd, json!({})).await;
            self.refresh(odd).await;
            self.post("/login", "", json!({"type": "m.login.token", "token": odd})).await;
            let session = json!({"auth": {"type": "m.login.password", "session": odd}});
            self.post(path, &token, session).await;
            self.login("alice", json!({"password": odd})).await;
            self.login(odd, json!({})).await;
            self.get(&format!("/devices/{odd}"), &token).await;
        }
        self.raw("GET", "/account/whoami", &[("authorization", "Bearer ")], "").await;
        for (name, password) in [("odd", "pässwörd".to_owned()), ("long", "0123456789".repeat(8))]
        {
            self.register(name, json!({"password": password})).await;
            self.login(name, json!({"password": password})).await;
            self.login(name, json!({"password": format!("{password}!")})).await;
            let change = json!({"new_password": password});
            self.confirm("POST", "/account/password", &token, "alice", change).await;
            self.get("/account/whoami", &token).await;
        }
    }

    async fn registrations(&mut self) {
        let asked = json!({"device_id": "Reg-1", "initial_device_display_name": "Näme",
            "refresh_token": true});
        for (name, more) in [("one", asked), ("two", json!({}))] {
            let got = self.register(name, more).await;
            let (token, refresh) = (token_of(&got), got.body["refresh_token"].clone());
            self.get("/account/whoami", &token).await;
            self.get("/devices", &token).await;
            self.refresh(refresh.as_str().unwrap_or("none")).await;
            self.login(name, json!({})).await;
        }
        self.register("three", json!({"inhibit_login": true, "refresh_token": true})).await;
        self.register("four", json!({"refresh_token": true, "inhibit_login": true})).await;
        for name in ["alice", "Not Valid", "Carol"] {
            self.post("/register", "", json!({"username": name, "password": "other"})).await;
            self.register(name, json!({"password": "other"})).await;
            self.login(name, json!({"password": "other"})).await;
        }
        for _ in 0..2 {
            self.register("", json!({"username": "absent"})).await;
        }
        self.post("/register", "", json!({"username": 5, "password": PASSWORD})).await;
        self.post("/register", "", json!({"username": "early", "password": PASSWORD})).await;
        self.login("early", json!({})).await;
        let ignored = json!({"device_id": "GUEST", "username": "gus", "password": PASSWORD,
            "inhibit_login": true, "refresh_token": "yes", "initial_device_display_name": "G"});
        let named = json!({"username": "gus", "password": PASSWORD});
        for body in [ignored, named] {
            let guest = self.post("/register?kind=guest", "", body).await;
            let token = token_of(&guest);
            self.get("/account/whoami", &token).await;
            self.get("/devices", &token).await;
            let id = guest.body["device_id"].as_str().unwrap_or("none").to_owned();
            self.get(&format!("/devices/{id}"), &token).await;
            let name = json!({"display_name": "renamed"});
            self.send("PUT", &format!("/devices/{id}"), &token, name).await;
            let user = guest.body["user_id"].as_str().unwrap_or("none").to_owned();
            self.login(&user, json!({})).await;
            self.post("/logout", &token, Value::Null).await;
        }
    }

    async fn lookups(&mut self) {
        for query in ["?username=alice", "?username=free", "?username=Not%20Valid", ""] {
            self.get(&format!("/register/available{query}"), "").await;
        }
        let validity = "/_matrix/client/v1/register/m.login.registration_token/validity";
        for query in ["?token=unknown", "?token=homespe", "?token=HOMESPEC", "?token=homespec", ""]
        {
            self.get(&format!("{validity}{query}"), "").await;
        }
        let body = json!({"username": "carol", "password": PASSWORD});
        let challenge = self.post("/register", "", body.clone()).await;
        for (stage, token) in [
            ("m.login.registration_token", "homespe"),
            ("m.login.registration_token", "homespec"),
            ("m.login.registration_token", "unknown"),
            ("m.login.dummy", ""),
        ] {
            let mut body = body.clone();
            body["auth"] =
                json!({"type": stage, "token": token, "session": challenge.body["session"]});
            self.post("/register", "", body).await;
        }
        self.get("/register/available?username=carol", "").await;
    }

    /// What interactive auth promises.
    async fn promises(&mut self) {
        let path = "/_matrix/client/v1/login/get_token";
        let alice = self.login("alice", json!({"device_id": "HERE"})).await;
        let challenge = self.post(path, &alice, json!({})).await;
        for password in ["nope", PASSWORD, PASSWORD] {
            self.post(path, &alice, json!({"auth": auth(&challenge, "alice", password)})).await;
        }
        let session = self.post(path, &alice, json!({})).await.body["session"].clone();
        let alone = json!({"auth": {"session": session}});
        self.post(path, &alice, alone.clone()).await;
        let page = format!(
            "/auth/m.login.password/fallback/web?session={}",
            session.as_str().unwrap_or("x")
        );
        self.raw("POST", &page, &[], "password=correct+horse").await;
        self.post(path, &alice, alone.clone()).await;
        self.post(path, &alice, alone).await;
        self.post(path, &alice, json!({"auth": {}})).await;
        self.login("alice", json!({"device_id": "GONE"})).await;
        self.login("alice", json!({"device_id": "MANY"})).await;
        self.send("DELETE", "/devices/GONE", &alice, json!({})).await;
        self.get("/devices", &alice).await;
        self.confirm("DELETE", "/devices/GONE", &alice, "alice", json!({})).await;
        let many = json!({"devices": ["MANY"]});
        self.confirm("POST", "/delete_devices", &alice, "alice", many).await;
        let keys = |key: &str| json!({"master_key": {"keys": {format!("ed25519:{key}"): key}}});
        for key in ["KEY1", "KEY2"] {
            self.post("/keys/device_signing/upload", &alice, keys(key)).await;
        }
        self.get("/capabilities", &alice).await;
        let change = json!({"new_password": "brand new"});
        self.post("/account/password", &alice, change.clone()).await;
        self.login("alice", json!({})).await;
        self.confirm("POST", "/account/password", &alice, "alice", change).await;
        self.login("alice", json!({"password": "brand new"})).await;
        let bob = self.login("bob", json!({})).await;
        self.post("/account/deactivate", &bob, json!({})).await;
        self.login("bob", json!({})).await;
        self.confirm("POST", "/account/deactivate", &bob, "bob", json!({})).await;
        self.login("bob", json!({})).await;
        self.register("dave", json!({})).await;
        self.malformed_with_auth().await;
        self.auth_for_other_calls().await;
    }

    /// Calls whose own members are malformed, before interactive auth and after it.
    async fn malformed_with_auth(&mut self) {
        let dave = self.login("dave", json!({"device_id": "HERE"})).await;
        self.login("dave", json!({"device_id": "MANY"})).await;
        for body in [json!({}), json!({"devices": "MANY"}), json!({"devices": [5]})] {
            self.confirm("POST", "/delete_devices", &dave, "dave", body).await;
            self.get("/devices", &dave).await;
        }
        for body in [json!({}), json!({"new_password": 5})] {
            self.confirm("POST", "/account/password", &dave, "dave", body).await;
            self.login("dave", json!({})).await;
        }
    }

    /// Stages that no flow has, sessions that have authorised a call, access tokens that have ended.
    async fn auth_for_other_calls(&mut self) {
        let path = "/_matrix/client/v1/login/get_token";
        self.register("erin", json!({"inhibit_login": true})).await;
        let erin = self.login("erin", json!({"device_id": "HERE"})).await;
        self.login("erin", json!({"device_id": "ONE"})).await;
        for stage in ["m.login.dummy", "org.example.stage"] {
            let session = self.post(path, &erin, json!({})).await.body["session"].clone();
            let auth = json!({"auth": {"type": stage, "session": session}});
            self.post(path, &erin, auth).await;
        }
        let challenge = self.send("DELETE", "/devices/ONE", &erin, json!({})).await;
        let passed = json!({"auth": auth(&challenge, "erin", PASSWORD)});
        self.send("DELETE", "/devices/ONE", &erin, passed).await;
        let session = json!({"auth": {"session": challenge.body["session"]}});
        self.post(path, &erin, session.clone()).await;
        self.send("DELETE", "/devices/HERE", &erin, session).await;
        self.login("erin", json!({"device_id": "TWO"})).await;
        let challenge = self.send("DELETE", "/devices/TWO", &erin, json!({})).await;
        self.post("/logout", &erin, Value::Null).await;
        let late = json!({"auth": auth(&challenge, "erin", PASSWORD)});
        self.send("DELETE", "/devices/TWO", &erin, late).await;
    }

    /// Values at the edges, and what refusals leave behind.
    async fn edges(&mut self) {
        let alice = self.login("alice", json!({"device_id": "HERE"})).await;
        self.login_answer("alice", json!({"password": "nope"})).await;
        self.login_answer("alice", json!({"password": "nope", "device_id": "THERE"})).await;
        self.login_answer("alice", json!({"refresh_token": "yes"})).await;
        self.get("/devices", &alice).await;
        for more in [
            json!({"identifier": {"type": "m.id.user", "user": 5}}),
            json!({"identifier": "absent", "user": 5}),
            json!({"identifier": "absent", "medium": 5, "address": "a@example.invalid"}),
            json!({"identifier": "absent", "medium": "email", "address": 5}),
            json!({"identifier": {"type": "m.id.thirdparty", "medium": 5, "address": "x"}}),
            json!({"identifier": {"type": "m.id.thirdparty", "medium": "email", "address": 5}}),
            json!({"identifier": {"type": "m.id.phone", "country": 5, "phone": "07700900001"}}),
            json!({"identifier": {"type": "m.id.phone", "country": "GB", "phone": 5}}),
            json!({"device_id": false}),
            json!({"device_id": 0}),
            json!({"initial_device_display_name": 5}),
            json!({"refresh_token": true}),
            json!({"identifier": {"type": "m.id.user", "user": "aLICE"}}),
        ] {
            let got = self.login_answer("alice", more).await;
            self.get("/account/whoami", &token_of(&got)).await;
        }
        let named = json!({"display_name": "named"});
        for body in [named, json!({}), json!({"display_name": 5})] {
            self.send("PUT", "/devices/HERE", &alice, body).await;
            self.get("/devices/HERE", &alice).await;
        }
        let form = [("content-type", "multipart/form-data; boundary=x"), ("origin", "https://a.b")];
        let body = json!({"type": "m.login.password", "user": "alice", "password": PASSWORD});
        self.raw("POST", "/login", &form, body.to_string()).await;
        for (id, path) in
            [("a/b", "a%2Fb"), ("a b", "a%20b"), ("a+b", "a+b"), ("%41", "%2541"), ("é", "%C3%A9")]
        {
            self.login("alice", json!({"device_id": id})).await;
            self.get(&format!("/devices/{path}"), &alice).await;
        }
        for origin in ["vector://vector", "null"] {
            self.raw("GET", "/login", &[("origin", origin)], "").await;
            self.raw("OPTIONS", "/login", &[("origin", origin)], "").await;
        }
    }

    /// Locks and suspensions by an administrator, and what is refused then.
    async fn moderated(&mut self) {
        let known = Need::Operator.met(Settings::default());
        let admin = known.admin_token.unwrap();
        let user = |name: &str| format!("@{name}:reference.localhost");
        let of = |call: &str, name: &str| format!("/_matrix/client/v1/admin/{call}/{}", user(name));
        let refreshing = json!({"refresh_token": true, "device_id": "LOCKED"});
        let login = self.login_answer("alice", refreshing).await;
        let (alice, bob) = (token_of(&login), self.login("bob", json!({})).await);
        let made = self.login_token(&alice, "alice").await;
        for token in [&admin, &alice] {
            self.get("/capabilities", token).await;
        }
        for (call, member) in [("lock", "locked"), ("suspend", "suspended")] {
            for (token, name) in [
                (&bob, "alice"),
                (&bob, "nobody"),
                (&admin, "nobody"),
                (&admin, "server-admin"),
                (&admin, "alice"),
            ] {
                self.send("PUT", &of(call, name), token, json!({member: true})).await;
                self.get(&of(call, name), token).await;
            }
            let remote = format!("/_matrix/client/v1/admin/{call}/@alice:other.invalid");
            self.send("PUT", &remote, &admin, json!({member: true})).await;
            self.send("PUT", &of(call, "server-admin"), &admin, json!({member: false})).await;
            for path in ["/account/whoami", "/devices", "/sync"] {
                self.get(path, &alice).await;
            }
            let name = format!("/profile/{}/displayname", user("alice"));
            self.send("PUT", &name, &alice, json!({"displayname": "A"})).await;
            self.refresh(login.body["refresh_token"].as_str().unwrap_or("none")).await;
            self.post("/login", "", json!({"type": "m.login.token", "token": made})).await;
            self.login("alice", json!({})).await;
            if call == "suspend" {
                let gone = self.login("alice", json!({"device_id": "GONE"})).await;
                self.confirm("DELETE", "/devices/GONE", &alice, "alice", json!({})).await;
                self.get("/account/whoami", &gone).await;
                let leaves = self.login("alice", json!({})).await;
                self.post("/logout", &leaves, Value::Null).await;
                self.confirm("POST", "/account/deactivate", &alice, "alice", json!({})).await;
            }
            self.send("PUT", &of(call, "alice"), &admin, json!({member: false})).await;
            self.get(&of(call, "alice"), &admin).await;
            self.get("/account/whoami", &alice).await;
            self.refresh(login.body["refresh_token"].as_str().unwrap_or("none")).await;
        }
    }

    /// Who registers in the namespace of an application service, and as whom it acts.
    async fn served(&mut self) {
        let service = Need::Operator.met(Settings::default()).appservice.unwrap();
        let (kind, token) = ("m.login.application_service", service.token.as_str());
        let alice = self.login("alice", json!({"device_id": "ALICES"})).await;
        let name = |name: &str| format!("{}{name}", service.prefix);
        for (token, user) in [
            ("", name("a")),
            ("junk", name("b")),
            (alice.as_str(), name("c")),
            (token, "outside".to_owned()),
            (token, name("f")),
        ] {
            self.post("/register", token, json!({"type": kind, "username": user})).await;
        }
        self.post("/register", "", json!({"username": name("d"), "password": PASSWORD})).await;
        self.register(&name("d"), json!({})).await;
        self.get(&format!("/register/available?username={}", name("e")), "").await;
        let login = json!({"type": kind,
            "identifier": {"type": "m.id.user", "user": service.sender}, "device_id": "OWN"});
        let got = self.post("/login", token, login).await;
        self.get("/account/whoami", &token_of(&got)).await;
        for device in ["OWN", "ALICES", "NONE"] {
            self.get(&format!("/account/whoami?device_id={device}"), token).await;
        }
    }

    /// What shows only under a limit: the first refusal, and what comes when its wait is over.
    async fn limits(&mut self) {
        let session = self.login("alice", json!({})).await;
        for _ in 0..25 {
            self.notes.clear();
            let got = self.login_answer("nobody", json!({})).await;
            if got.code() != (403, "M_FORBIDDEN") {
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.login_answer("nobody", json!({})).await;
        let before = std::mem::take(&mut self.notes);
        for _ in 0..9 {
            self.notes.clear();
            let path = "/_matrix/client/v1/login/get_token";
            if self.confirm("POST", path, &session, "alice", json!({})).await.status == 429 {
                break;
            }
        }
        self.notes.splice(0..0, before);
    }
}

fn token_of(got: &Got) -> String {
    got.body["access_token"].as_str().filter(|token| !token.is_empty()).unwrap_or("none").to_owned()
}

/// A part of the surface, seen from a fresh server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Discovery,
    Refusals,
    Devices,
    Endings,
    Refreshes,
    LoginTokens,
    Accounts,
    Expiries,
    Limits,
    Operated,
    Identities,
    Hands,
    Lifetimes,
    Secrets,
    Registrations,
    Lookups,
    Promises,
    Edges,
    Moderated,
    Served,
}

/// The notes of a tour of one part.
async fn tour(
    http: &reqwest::Client,
    settings: Settings,
    part: Part,
    expected: Option<Vec<String>>,
) -> Vec<String> {
    tour_of(server_for(http.clone(), settings).await, part, expected).await
}

/// The same at a server that runs.
async fn tour_of(client: Client, part: Part, expected: Option<Vec<String>>) -> Vec<String> {
    let mut tour = Tour { client, notes: Vec::new(), expected, differs: false };
    match part {
        Part::Discovery => tour.discovery().await,
        Part::Refusals => tour.refusals().await,
        Part::Devices => tour.devices().await,
        Part::Endings => tour.endings().await,
        Part::Refreshes => tour.refreshes().await,
        Part::LoginTokens => tour.login_tokens().await,
        Part::Accounts => tour.accounts().await,
        Part::Expiries => tour.expiries().await,
        Part::Limits => tour.limits().await,
        Part::Operated => tour.operated().await,
        Part::Identities => tour.identities().await,
        Part::Hands => tour.hands().await,
        Part::Lifetimes => tour.lifetimes().await,
        Part::Secrets => tour.secrets().await,
        Part::Registrations => tour.registrations().await,
        Part::Lookups => tour.lookups().await,
        Part::Promises => tour.promises().await,
        Part::Edges => tour.edges().await,
        Part::Moderated => tour.moderated().await,
        Part::Served => tour.served().await,
    }
    tour.notes
}

/// The parts in which a fault may show; the likeliest first, to save time.
fn parts(fault: &Fault) -> Vec<Part> {
    use Part::{Accounts, Devices, Discovery, Endings, LoginTokens, Refreshes, Refusals};
    match fault.needs {
        Need::ShortLives => return vec![Part::Expiries],
        Need::LoginLimit => return vec![Part::Limits],
        Need::TwoStages => return vec![Accounts, Part::Lookups],
        Need::Operator => return vec![Part::Operated, Part::Moderated, Part::Served],
        Need::ServiceNoLegacy => return vec![Part::Operated],
        Need::NoRegistration => return vec![Part::Registrations, Part::Lookups],
        Need::NoGuests => return vec![Part::Registrations],
        Need::OauthStage => return vec![Part::Promises],
        Need::Nothing => {}
        _ => return vec![Discovery],
    }
    let mut words = fault.requirement.split('.');
    let likely = match (words.next().unwrap_or_default(), words.next().unwrap_or_default()) {
        ("device", _) => Devices,
        ("logout" | "logout_all" | "error", _) => Endings,
        ("refresh", _) => Refreshes,
        ("get_token" | "uia", _) | ("login", "token") => LoginTokens,
        ("state" | "whoami", _) => Accounts,
        ("login", "get") => Discovery,
        ("login" | "http" | "token", _) => Refusals,
        _ => Discovery,
    };
    // The short ones before the long ones.
    let mut parts = vec![Refreshes, LoginTokens, Accounts, Endings, Discovery, Devices, Refusals];
    parts.extend(MORE_PARTS);
    parts.sort_by_key(|part| *part != likely);
    parts
}

/// Parts of what the first ones leave out.
const MORE_PARTS: [Part; 8] = [
    Part::Edges,
    Part::Identities,
    Part::Hands,
    Part::Registrations,
    Part::Lookups,
    Part::Promises,
    Part::Secrets,
    Part::Lifetimes,
];

/// The notes of servers without faults and quirks.
type Book = HashMap<(Need, Part), Vec<String>>;

/// Notes every part that is asked for, twice, to see that the notes do not differ by themselves.
async fn by_the_book(
    http: &reqwest::Client,
    wanted: impl Iterator<Item = (Need, Part)>,
) -> Arc<Book> {
    let mut book = Book::new();
    for (needs, part) in wanted {
        if let Entry::Vacant(entry) = book.entry((needs, part)) {
            let settings = || needs.met(Settings::default());
            let notes = tour(http, settings(), part, None).await;
            for (one, other) in notes.iter().zip(tour(http, settings(), part, None).await) {
                assert_eq!(*one, other, "two tours differ by themselves");
            }
            entry.insert(notes);
        }
    }
    Arc::new(book)
}

/// Whether a part of the surface looks other than by the book with these settings.
async fn shows(
    http: &reqwest::Client,
    settings: Settings,
    needs: Need,
    parts: &[Part],
    book: &Book,
) -> bool {
    for part in parts {
        let expected = &book[&(needs, *part)];
        // Under a limit the notes begin anew, so they are compared when all are there.
        let stop_early = (*part != Part::Limits).then(|| expected.clone());
        if tour(http, settings.clone(), *part, stop_early).await != *expected {
            return true;
        }
    }
    false
}

/// Faults that no tour shows: one takes logins at the same time, and the next test has it; the others take two users, a
/// finished call that is repeated or a token that is used later, and the kill matrix shows them.
const BEYOND_TOURS: [&str; 10] = [
    "login-token-races",
    "device-id-case-folded",
    "uia-session-of-another-user",
    "get-token-of-body-user",
    "login-token-refresh-token-dead",
    "uia-session-cut-works",
    "uia-session-longer-works",
    "uia-session-in-any-case",
    "uia-session-alone-begins-anew",
    "uia-password-missing-passes",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_shows_somewhere() {
    let http = http();
    let wanted = faults()
        .unwrap()
        .iter()
        .flat_map(|fault| parts(fault).into_iter().map(|part| (fault.needs, part)));
    let (book, turns) = (by_the_book(&http, wanted).await, Arc::new(Semaphore::new(8)));
    let mut tours = JoinSet::new();
    for fault in faults().unwrap() {
        let (http, book, turns) = (http.clone(), book.clone(), turns.clone());
        tours.spawn(async move {
            let _turn = turns.acquire().await.unwrap();
            let settings = fault.settings(Settings::default());
            (fault.name, shows(&http, settings, fault.needs, &parts(fault), &book).await)
        });
    }
    let results = tours.join_all().await;
    let hidden: Vec<&str> = results
        .iter()
        .filter(|(name, shows)| !shows && !BEYOND_TOURS.contains(name))
        .map(|(name, _)| *name)
        .collect();
    assert!(
        hidden.is_empty(),
        "{} of {} faults do not show: {hidden:?}",
        hidden.len(),
        results.len()
    );
}

/// Whatever stands behind it, an edit does the same: in front of a homeserver by the book, where the reasons of refusals
/// have to be inferred, it looks as it does within the homeserver.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_in_front_look_like_edits_within() {
    let http = http();
    let full = std::env::var("HOMESPEC_TESTS").as_deref() == Ok("full");
    let one_in = if full { 1 } else { 5 };
    let edits = || faults().unwrap().iter().filter(|fault| fault.kind.is_edit()).step_by(one_in);
    let wanted = edits().flat_map(|fault| parts(fault).into_iter().map(|part| (fault.needs, part)));
    let (book, turns) = (by_the_book(&http, wanted).await, Arc::new(Semaphore::new(8)));
    let mut tours = JoinSet::new();
    for fault in edits() {
        let (http, book, turns) = (http.clone(), book.clone(), turns.clone());
        tours.spawn(async move {
            let _turn = turns.acquire().await.unwrap();
            let settings = fault.settings(Settings::default());
            for part in parts(fault) {
                if shows(&http, settings.clone(), fault.needs, &[part], &book).await {
                    let within = server_for(http.clone(), settings.clone()).await;
                    let in_front = server_in_front(http.clone(), settings.clone()).await;
                    let [within, in_front] = [within, in_front].map(|client| async move {
                        introduce(&client, part).await;
                        tour_of(client, part, None).await
                    });
                    let (within, in_front) = (within.await, in_front.await);
                    let mut both = within.iter().zip(&in_front);
                    return both.find(|(within, in_front)| within != in_front).map(
                        |(within, in_front)| format!("{}\n  {within}\n  {in_front}", fault.name),
                    );
                }
            }
            Some(format!("{} does not show", fault.name))
        });
    }
    let differences: Vec<String> = tours.join_all().await.into_iter().flatten().collect();
    assert!(differences.is_empty(), "{}:\n{}", differences.len(), differences.join("\n"));
}

/// Lets the layer see the users once: who they are shows only when they log in.
async fn introduce(client: &Client, part: Part) {
    if matches!(part, Part::Limits | Part::Expiries) {
        return;
    }
    for user in ["alice", "bob"] {
        let login = client.login(user, json!({"device_id": "INTRO"})).await;
        client.post("/logout", &token_of(&login), json!({})).await;
    }
}

/// What no edit is meant for goes through byte for byte, under the paths and with the headers of the request.
#[tokio::test]
async fn the_layer_in_front_passes_on_what_it_does_not_change() {
    let http = http();
    let behind = axum::Router::new().fallback(|request: axum::extract::Request| async move {
        let text = |name: &str| {
            let value = request.headers().get(name).map(|value| value.to_str().unwrap());
            value.unwrap_or("absent").to_owned()
        };
        let seen = ["host", "x-asked", "x-hop", "accept-encoding", "x-forwarded-for", "via"];
        let seen: Vec<String> = seen.iter().map(|name| format!("{name}={}", text(name))).collect();
        let body = format!("{{ \"a\":1.0,\"a\" :2 }} {} {}", request.uri(), seen.join(" "));
        ([("x-answered", "yes"), ("content-type", "application/json"), ("keep-alive", "5")], body)
    });
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let host = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, behind).await });
    let layer = Front {
        listen: ([127, 0, 0, 1], 0).into(),
        upstream: format!("http://{host}/base/").parse().unwrap(),
        faults: vec!["login-201".into()],
        quirks: Vec::new(),
        catalogue: Catalogue::default(),
    };
    let server = front(layer).await.unwrap();
    let request = http
        .get(format!("{}/_matrix/client/v3/devices/a%2Fb?x=%20y", server.url()))
        .header("x-asked", "1")
        .header("accept-encoding", "gzip")
        .header("connection", "x-hop")
        .header("x-hop", "1");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["x-answered"], "yes");
    assert!(!response.headers().contains_key("keep-alive"));
    let expected = format!(
        "{{ \"a\":1.0,\"a\" :2 }} /base/_matrix/client/v3/devices/a%2Fb?x=%20y \
         host={host} x-asked=1 x-hop=absent accept-encoding=absent x-forwarded-for=absent via=1.1 homespec"
    );
    assert_eq!(response.text().await.unwrap(), expected);
    assert_eq!(server.changed(), 0);
}

#[tokio::test]
async fn in_front_of_nothing_the_layer_says_so() {
    let http = http();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let (listen, upstream) = (([127, 0, 0, 1], 0).into(), format!("http://{nobody}"));
    let layer = |faults: &[&str], quirks: &[&str]| Front {
        listen,
        upstream: upstream.parse().unwrap(),
        faults: faults.iter().map(|&name| name.into()).collect(),
        quirks: quirks.iter().map(|&name| name.into()).collect(),
        catalogue: Catalogue::default(),
    };
    let server = front(layer(&[], &[])).await.unwrap();
    let response = http.get(format!("{}/_matrix/client/versions", server.url())).send().await;
    assert_eq!(response.unwrap().status(), 502);
    for (faults, quirks, name) in [
        (["logout-keeps-token"].as_slice(), [].as_slice(), "logout-keeps-token"),
        (&[], &["sso-only"], "sso-only"),
    ] {
        let error = front(layer(faults, quirks)).await.unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("behaviour"), "{error}");
    }
}

/// How many of eight logins at once with one login token succeed, and whether one afterwards does.
async fn logins_at_once(faults: Vec<String>) -> (usize, bool) {
    let c = Arc::new(server(Settings { faults, ..Settings::default() }).await);
    let alice = c.token("alice").await;
    let token = c.login_token(&alice, "alice").await;
    let mut logins = JoinSet::new();
    for _ in 0..8 {
        let (c, token) = (c.clone(), token.clone());
        logins.spawn(async move { c.token_login(&token).await.status == 200 });
    }
    let succeeded = logins.join_all().await.into_iter().filter(|good| *good).count();
    (succeeded, c.token_login(&token).await.status == 200)
}

#[tokio::test]
async fn one_of_many_logins_at_once_succeeds() {
    assert_eq!(logins_at_once(Vec::new()).await, (1, false));
    // How soon after them a further login is refused again depends on the machine.
    let (succeeded, _) = logins_at_once(vec!["login-token-races".into()]).await;
    assert!(succeeded > 1, "{succeeded}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_quirk_shows_somewhere() {
    use Part::{Accounts, Devices, Discovery, Endings, LoginTokens, Refreshes, Refusals};
    let http = http();
    let parts = [Discovery, Refusals, Refreshes, LoginTokens, Endings, Devices, Accounts];
    let parts_of = |needs: Need| match needs {
        Need::Nothing => [&parts[..], &MORE_PARTS].concat(),
        Need::LoginLimit => vec![Part::Limits],
        Need::Operator => vec![Part::Moderated, Part::Served],
        Need::Oauth => vec![Discovery, Part::Promises],
        _ => vec![Discovery],
    };
    let needs: HashSet<Need> = quirks().iter().map(|quirk| quirk.needs).collect();
    let pairs = |needs: Need| parts_of(needs).into_iter().map(move |part| (needs, part));
    let book = by_the_book(&http, needs.into_iter().flat_map(pairs)).await;
    let mut hidden = Vec::new();
    for quirk in quirks() {
        let parts: &[Part] = &parts_of(quirk.needs);
        if !shows(&http, quirk.settings(Settings::default()), quirk.needs, parts, &book).await {
            hidden.push(quirk.name);
        }
    }
    // One is for servers that list old releases alone, two for tokens that have expired, the others are none of what an
    // answer says; other tests have them.
    let elsewhere = [
        "only-what-is-listed",
        "session-ends-with-access-token",
        "use-renews-access-token",
        "slow-answers",
        "base-path",
        "pretty-printed",
    ];
    assert_eq!(hidden, elsewhere);
}

#[tokio::test]
async fn quirks_of_the_connection_are_seen_by_a_client() {
    let http = http();
    let start =
        |quirk: &str| server(Settings { quirks: vec![quirk.to_owned()], ..Settings::default() });
    let versions =
        |c: &Client| http.get(format!("{}/_matrix/client/versions", c.server.url())).send();

    let got = versions(&start("http-1-0").await).await.unwrap();
    assert_eq!(got.version(), reqwest::Version::HTTP_10);

    let got = versions(&start("pretty-printed").await).await.unwrap();
    assert!(got.text().await.unwrap().contains("{\n  \"versions\": [\n"));

    let c = start("base-path").await;
    assert_eq!(versions(&c).await.unwrap().status(), 200);
    let page = http.get(format!("http://{}/_matrix/client/versions", c.server.addr()));
    let page = page.send().await.unwrap();
    assert_eq!(
        (page.status().as_u16(), &page.headers()["content-type"]),
        (404, &"text/html; charset=utf-8".parse().unwrap())
    );

    let c = start("slow-answers").await;
    let began = std::time::Instant::now();
    for _ in 0..7 {
        assert_eq!(versions(&c).await.unwrap().status(), 200);
    }
    assert!(began.elapsed() >= Duration::from_millis(500));
}

#[tokio::test]
async fn an_old_server_may_know_only_what_is_listed() {
    let versions = vec!["r0.0.1".to_owned()];
    let quirks = vec!["only-what-is-listed".to_owned()];
    let c = server(Settings { versions, quirks, ..Settings::default() }).await;
    let login = |body: Value| c.post("/_matrix/client/r0/login", "", body);
    let identifier = json!({"type": "m.id.user", "user": "alice"});
    let new = json!({"type": "m.login.password", "identifier": identifier, "password": PASSWORD});
    assert_eq!(login(new).await.code(), (400, "M_MISSING_PARAM"));
    let old = json!({"type": "m.login.password", "user": "alice", "password": PASSWORD, "device_id": "MINE"});
    let got = login(old).await;
    assert_eq!(got.status, 200);
    assert_ne!(got.body["device_id"], "MINE");
}

/// The homeserver must not be able to mirror the checks that are tried on it: cargo refuses a circle of dependencies, but
/// for those of tests.
#[test]
fn the_reference_uses_nothing_of_homespec() {
    let manifest =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/reference/Cargo.toml");
    // The published crate has only this one's files.
    let Ok(manifest) = std::fs::read_to_string(manifest) else { return };
    let dependencies = manifest.split_once("[dependencies]").unwrap().1;
    assert!(!dependencies.contains("homespec"), "{dependencies}");
}

/// Whatever is sent, the answer is no failure of the server, and it goes on answering.
#[tokio::test]
async fn hostile_requests_are_refused_calmly() {
    let c =
        server(Settings { shared_secret: Some("hush".into()), sso: true, ..Settings::default() })
            .await;
    let token = c.token("alice").await;
    let deep = "[".repeat(100_000);
    let long = format!(
        r#"{{"type": "m.login.password", "user": "{}", "password": "x"}}"#,
        "@".repeat(500_000)
    );
    let odd = r#"{"type":"m.login.password","identifier":{"type":"m.id.user","user":"@:"},"password":"\u0000","auth":{}}"#;
    let wrong = r#"{"auth":{"type":"m.login.password","session":""},"devices":[1],"device_keys":{"x":1},"mac":"é","nonce":"","username":"","password":"","user_type":1}"#;
    let bodies: [&[u8]; 9] = [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"{}",
        b"[1e999]",
        deep.as_bytes(),
        long.as_bytes(),
        odd.as_bytes(),
        wrong.as_bytes(),
    ];
    let paths = [
        "/login",
        "/logout",
        "/refresh",
        "/register",
        "/register?kind=guest",
        "/delete_devices",
        "/account/password",
        "/account/deactivate",
        "/keys/upload",
        "/keys/query",
        "/keys/device_signing/upload",
        "/user/@alice:reference.localhost/filter",
        "/_matrix/client/v1/login/get_token",
        "/_synapse/admin/v1/register",
        "/_reference/sso",
        "/auth/m.login.dummy/fallback/web",
        "/devices/%00%ff",
        "/devices/%2e%2e%2f",
        "/%",
        "//login",
    ];
    for path in paths {
        for body in bodies {
            for method in
                [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS]
            {
                let got = c.send(method.clone(), path, &token, body).await;
                assert!(
                    got.status < 500,
                    "{method} {path} {:?} -> {}",
                    String::from_utf8_lossy(&body[..body.len().min(80)]),
                    got.status
                );
            }
        }
    }
    assert_eq!(c.login("bob", json!({})).await.status, 200);
}

#[tokio::test]
async fn unknown_names_are_refused_with_the_nearest() {
    let fault = Settings { faults: vec!["logout-keep-token".into()], ..Settings::default() };
    assert!(start(fault).await.unwrap_err().to_string().contains("logout-keeps-token"));
    let quirk = Settings { quirks: vec!["xyzzy".into()], ..Settings::default() };
    assert_eq!(start(quirk).await.unwrap_err().to_string(), "there is no quirk named `xyzzy`");
}
