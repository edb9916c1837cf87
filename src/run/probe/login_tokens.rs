//! Logins by token at a server that does not list them.
use crate::accounts::random::{NoRandomSource, generate};
use crate::case::ast::Limits;
use crate::http::message::{Exchange, Request};
use crate::http::sender::RequestSender;
use crate::plan::routes::Routes;
use serde_json::json;

/// The login type.
pub(super) const TYPE: &str = "m.login.token";
const UNKNOWN: &str = "com.example.nonexistent";

/// Returns true if the server takes logins by token, though it does not list the type. A server that makes such tokens
/// does, unless it refuses a made-up one as it refuses a type that nobody knows. Another one does if it refuses a made-up
/// one with 401 or 403, and a missing one with 400.
pub(super) async fn are_taken(
    sender: &RequestSender,
    routes: &dyn Routes,
    makes_them: bool,
    exchanges: &mut Vec<Exchange>,
) -> Result<bool, NoRandomSource> {
    let Some(route) = routes.route("login", None) else { return Ok(false) };
    let token = generate("token")?;
    let logins = match makes_them {
        true => [json!({ "type": TYPE, "token": token }), json!({ "type": UNKNOWN })],
        false => [json!({ "type": TYPE, "token": token }), json!({ "type": TYPE })],
    };
    let mut seen = Vec::new();
    for body in logins {
        let request = Request::new(Some("login"), &route.method, &route.path).json(&body);
        let response = sender.response(&request, Limits::Wait, exchanges).await;
        let Ok(response) = response else { return Ok(makes_them) };
        seen.push((response.status, response.text_at("/errcode").map(str::to_owned)));
    }
    let [with_token, other] = seen.as_slice() else { return Ok(makes_them) };
    Ok(match makes_them {
        true => with_token != other,
        false => matches!((with_token.0, other.0), (401 | 403, 400)),
    })
}
