//! Sentences about what the server refused: what was given, the server's answer, what to try.
use crate::http::message::Response;
use crate::http::message::clipped;
use serde_json::Value;

/// The answer in words, e.g. `POST /login answered 403 M_FORBIDDEN (Invalid password)`.
pub fn in_words(request: &str, response: &Response) -> String {
    format!("{request} answered {}{}", response.status, said(response))
}

/// The server's own words in an error, with a space before them; empty if there are none.
pub fn said(response: &Response) -> String {
    let body = response.json().ok();
    let member =
        |key: &str| body.and_then(|body| body.get(key)).and_then(Value::as_str).map(clipped);
    match (member("errcode"), member("error")) {
        (Some(code), Some(error)) => format!(" {code} ({error})"),
        (Some(code), None) => format!(" {code}"),
        (None, _) => String::new(),
    }
}

/// Error codes of servers for a login type or a path that they do not have.
const NOT_OFFERED: [&str; 2] = ["M_UNKNOWN", "M_UNRECOGNIZED"];

/// Advice where a login by password is refused to a user, named as given.
pub fn login_advice(user: &str, response: &Response) -> String {
    if let Some(advice) = state_advice(response) {
        return advice.to_owned();
    }
    if response.text_at("/errcode").is_some_and(|code| NOT_OFFERED.contains(&code)) {
        return "check that GET /login lists m.login.password; otherwise give an access_token"
            .to_owned();
    }
    if response.is_success() {
        return "the response has no access_token: see the server's log".to_owned();
    }
    match user.split_once(':') {
        Some((_, server)) => {
            format!("check the password, and that the server under test is `{server}`")
        }
        None => "check the password, and that the user is one of this server".to_owned(),
    }
}

/// Advice where an access token is refused.
pub fn token_advice(response: &Response) -> &'static str {
    state_advice(response).unwrap_or_else(|| match response.is_success() {
        true => "the response has no user_id: see the server's log",
        false => {
            "the token has expired, was logged out, or is another server's: log in again and \
             give the new one"
        }
    })
}

/// Advice where the account's state or the server itself is the cause.
fn state_advice(response: &Response) -> Option<&'static str> {
    match response.text_at("/errcode") {
        Some("M_USER_DEACTIVATED") => Some("the account is deactivated: give another one"),
        Some("M_USER_LOCKED") => Some("the account is locked: unlock it, or give another one"),
        Some("M_USER_SUSPENDED") => Some("the account is suspended: give another one"),
        _ if response.status >= 500 => Some("the server failed: see its log"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn response(status: u16, body: &Value) -> Response {
        Response::new(status, Vec::new(), body.to_string().into_bytes(), false)
    }

    #[test]
    fn the_servers_own_words_are_kept() {
        let refused = response(403, &json!({"errcode": "M_FORBIDDEN", "error": "no"}));
        assert_eq!(in_words("POST /login", &refused), "POST /login answered 403 M_FORBIDDEN (no)");
        assert_eq!(in_words("POST /login", &response(500, &json!([]))), "POST /login answered 500");
    }

    #[test]
    fn each_refusal_says_what_to_try() {
        let refused = |code: &str| response(403, &json!({"errcode": code}));
        assert!(login_advice("alice", &refused("M_FORBIDDEN")).contains("check the password"));
        assert!(login_advice("@a:b.example", &refused("M_FORBIDDEN")).contains("`b.example`"));
        assert!(login_advice("alice", &refused("M_USER_LOCKED")).contains("unlock it"));
        assert!(login_advice("alice", &refused("M_UNKNOWN")).contains("m.login.password"));
        assert!(login_advice("alice", &response(500, &json!({}))).contains("its log"));
        assert!(token_advice(&response(401, &json!({}))).contains("expired"));
        assert!(token_advice(&response(200, &json!({}))).contains("user_id"));
    }
}
