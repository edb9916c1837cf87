//! The reference homeserver over the wire: what it does by the book, with no faults and no quirks.

use homespec::reference::{Limit, Running, Settings, ThirdParty, start};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Once;
use std::time::Duration;

const PASSWORD: &str = "correct horse";

/// An answer as the tests look at it.
struct Got {
    status: u16,
    headers: reqwest::header::HeaderMap,
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
}

/// Starts a server with the users alice and bob.
async fn server(settings: Settings) -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let users = ["alice", "bob"].map(|user| (user.to_owned(), PASSWORD.to_owned())).to_vec();
    let server = start(Settings { users, ..settings }).await.unwrap();
    let certificates: Vec<reqwest::Certificate> = Vec::new();
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only(certificates)
        .build()
        .unwrap();
    Client { http, server }
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
