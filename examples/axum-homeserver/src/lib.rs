//! A homeserver with one user who can log in, in memory: as much as it takes to show homespec in a project's own tests.
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;

/// The localpart of the one user.
pub const USER: &str = "alice";
/// The user's full id.
pub const USER_ID: &str = "@alice:localhost";
/// The user's password.
pub const PASSWORD: &str = "correct horse battery staple";

/// The sessions that are open; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Homeserver {
    sessions: Arc<Mutex<Sessions>>,
}

/// Device ids by access token.
#[derive(Debug, Default)]
struct Sessions {
    devices: BTreeMap<String, String>,
    opened: u64,
}

/// A refusal: status, `errcode`, and a sentence for people.
struct Refusal(StatusCode, &'static str, &'static str);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Refusal(status, errcode, error) = self;
        answer(status, &json!({ "errcode": errcode, "error": error }))
    }
}

impl Homeserver {
    /// Serves until the process or its runtime ends.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        axum::serve(listener, self.router()).await
    }

    fn router(self) -> Router {
        Router::new()
            .route("/_matrix/client/versions", get(versions))
            .route("/_matrix/client/v3/login", get(flows).post(login))
            .route("/_matrix/client/v3/account/whoami", get(whoami))
            .route("/_matrix/client/v3/logout", post(logout))
            .route("/_matrix/client/v3/logout/all", post(logout_all))
            .method_not_allowed_fallback(wrong_method)
            .fallback(unknown_path)
            .layer(map_response(with_cors))
            .with_state(self)
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The access token of a request, and the device that it belongs to.
    fn session(&self, headers: &HeaderMap) -> Result<(String, String), Refusal> {
        let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = sent.and_then(|value| value.strip_prefix("Bearer ")).ok_or(Refusal(
            StatusCode::UNAUTHORIZED,
            "M_MISSING_TOKEN",
            "an access token is needed",
        ))?;
        let device = self.sessions().devices.get(token).cloned().ok_or(Refusal(
            StatusCode::UNAUTHORIZED,
            "M_UNKNOWN_TOKEN",
            "no such access token",
        ))?;
        Ok((token.to_owned(), device))
    }
}

impl Sessions {
    /// Opens a session on this device, and ends the one that was there; gives its access token.
    fn open(&mut self, device: Option<String>) -> (String, String) {
        self.opened += 1;
        let device = device.unwrap_or_else(|| format!("DEVICE{}", self.opened));
        self.devices.retain(|_, known| *known != device);
        let token = format!("toy-token-{}", self.opened);
        self.devices.insert(token.clone(), device.clone());
        (token, device)
    }
}

async fn versions() -> Response {
    answer(StatusCode::OK, &json!({ "versions": ["v1.11"] }))
}

async fn flows() -> Response {
    answer(StatusCode::OK, &json!({ "flows": [{ "type": "m.login.password" }] }))
}

async fn login(State(homeserver): State<Homeserver>, body: Bytes) -> Result<Response, Refusal> {
    let asked = object(&body)?;
    if text(&asked, "type")?.ok_or(missing("type is missing"))? != "m.login.password" {
        return Err(Refusal(StatusCode::BAD_REQUEST, "M_UNKNOWN", "no such login type"));
    }
    let user = user(&asked)?;
    let password = text(&asked, "password")?.ok_or(missing("password is missing"))?;
    let device = text(&asked, "device_id")?;
    text(&asked, "initial_device_display_name")?;
    if asked.get("refresh_token").is_some_and(|selection| !selection.is_boolean()) {
        return Err(bad("refresh_token is neither true nor false"));
    }
    if !user.is_some_and(|user| [USER, USER_ID].contains(&user)) || password != PASSWORD {
        return Err(Refusal(StatusCode::FORBIDDEN, "M_FORBIDDEN", "wrong user or password"));
    }
    let (token, device) = homeserver.sessions().open(device.map(str::to_owned));
    let session = json!({ "user_id": USER_ID, "access_token": token, "device_id": device });
    Ok(answer(StatusCode::OK, &session))
}

/// Who wants to log in, by the identifier or by the older members in its place; `None` for addresses and phone
/// numbers, of which this homeserver knows none.
fn user(asked: &Value) -> Result<Option<&str>, Refusal> {
    let Some(identifier) = asked.get("identifier") else {
        let address = text(asked, "medium")?.is_some() && text(asked, "address")?.is_some();
        let user = text(asked, "user")?;
        return if address {
            Ok(None)
        } else {
            user.ok_or(missing("identifier is missing")).map(Some)
        };
    };
    let needed = |member| text(identifier, member)?.ok_or(missing("the identifier is not whole"));
    match needed("type")? {
        "m.id.user" => needed("user").map(Some),
        "m.id.thirdparty" => needed("medium").and(needed("address")).map(|_| None),
        "m.id.phone" => needed("country").and(needed("phone")).map(|_| None),
        _ => Err(Refusal(StatusCode::BAD_REQUEST, "M_UNKNOWN", "no such identifier type")),
    }
}

/// A member that is a text if it is there.
fn text<'a>(object: &'a Value, member: &str) -> Result<Option<&'a str>, Refusal> {
    match object.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(bad("a member is no text")),
    }
}

fn missing(what: &'static str) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, "M_MISSING_PARAM", what)
}

fn bad(what: &'static str) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, "M_BAD_JSON", what)
}

async fn whoami(
    State(homeserver): State<Homeserver>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (_, device) = homeserver.session(&headers)?;
    let owner = json!({ "user_id": USER_ID, "device_id": device, "is_guest": false });
    Ok(answer(StatusCode::OK, &owner))
}

async fn logout(
    State(homeserver): State<Homeserver>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (token, _) = homeserver.session(&headers)?;
    homeserver.sessions().devices.remove(&token);
    Ok(answer(StatusCode::OK, &json!({})))
}

async fn logout_all(
    State(homeserver): State<Homeserver>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    homeserver.session(&headers)?;
    homeserver.sessions().devices.clear();
    Ok(answer(StatusCode::OK, &json!({})))
}

/// Browsers ask whether they may, before they ask.
async fn wrong_method(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::OK.into_response();
    }
    let refusal = Refusal(StatusCode::METHOD_NOT_ALLOWED, "M_UNRECOGNIZED", "no such method here");
    refusal.into_response()
}

async fn unknown_path(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::OK.into_response();
    }
    Refusal(StatusCode::NOT_FOUND, "M_UNRECOGNIZED", "no such path").into_response()
}

async fn with_cors(mut response: Response) -> Response {
    const CORS: [(HeaderName, &str); 3] = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, DELETE, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "X-Requested-With, Content-Type, Authorization"),
    ];
    for (name, value) in CORS {
        response.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    response
}

/// A body as JSON object.
fn object(body: &[u8]) -> Result<Value, Refusal> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|_| Refusal(StatusCode::BAD_REQUEST, "M_NOT_JSON", "the body is no JSON"))?;
    if value.is_object() {
        return Ok(value);
    }
    Err(bad("the body is no object"))
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
