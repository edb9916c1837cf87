//! Requests that a server probably limits together.
use crate::http::message::Request;
use crate::model::user_id::localpart;
use serde_json::Value;

/// Requests that a server probably limits together, apart from the user who sends them.
///
/// Servers count only requests that pass their first checks: a malformed login may cost nothing while
/// good ones must wait. So a limit for one kind of request says nothing about the others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The operation, or method and path.
    pub operation: String,
    /// For a login its type and what is malformed; for others the form of the body.
    pub kind: String,
}

/// Requests that a server probably limits together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket {
    /// The operation and the kind of request.
    pub group: Group,
    /// The user who sends them, or whom a login names; none if that is not known.
    pub user: Option<String>,
}

impl Bucket {
    /// The bucket of a request that no known user sends.
    pub fn of(request: &Request) -> Bucket {
        let operation = request.operation.clone().unwrap_or_else(|| {
            let path = request.path.split('?').next().unwrap_or_default();
            format!("{} {path}", request.method)
        });
        let body = request.json_body();
        let (kind, user) = match &body {
            _ if !request.is_login() => (kind_of_body(request, body.as_ref()).to_owned(), None),
            Some(body) => (kind_of_login(request, body), user_of_login(body)),
            None => ("no JSON".to_owned(), None),
        };
        Bucket { group: Group { operation, kind }, user }
    }

    /// The bucket of a request that this user sends, who is known by the full id.
    pub fn asked_by(self, user_id: Option<&str>) -> Bucket {
        let user = self.user.or_else(|| user_id.map(|id| localpart(id).to_owned()));
        Bucket { user, ..self }
    }
}

/// Servers read the body, and pass interactive auth, before or after they look at a limit.
fn kind_of_body(request: &Request, body: Option<&Value>) -> &'static str {
    match body {
        Some(Value::Object(members)) if members.contains_key("auth") => "with interactive auth",
        Some(Value::Object(_)) => "",
        None if request.body.is_none() => "",
        Some(_) | None => "malformed body",
    }
}

/// A member and the test of its type.
type Member = (&'static str, fn(&Value) -> bool);

/// The members of a login with the type that their schema gives them.
const MEMBERS: [Member; 7] = [
    ("identifier", Value::is_object),
    ("user", Value::is_string),
    ("password", Value::is_string),
    ("token", Value::is_string),
    ("device_id", Value::is_string),
    ("initial_device_display_name", Value::is_string),
    ("refresh_token", Value::is_boolean),
];

/// The login type, which members are malformed, and whether a token authorises it.
fn kind_of_login(request: &Request, body: &Value) -> String {
    let Some(members) = body.as_object() else { return "no object".to_owned() };
    let mut parts = vec![match members.get("type") {
        Some(Value::String(name)) => name.clone(),
        Some(_) => "malformed type".to_owned(),
        None => "no type".to_owned(),
    }];
    let malformed =
        |(name, is_right): &&Member| members.get(*name).is_some_and(|value| !is_right(value));
    parts.extend(MEMBERS.iter().filter(malformed).map(|(name, _)| format!("malformed {name}")));
    if request.header("authorization").is_some() {
        parts.push("with a token".to_owned());
    }
    parts.join(", ")
}

fn user_of_login(body: &Value) -> Option<String> {
    let user = body.pointer("/identifier/user").or_else(|| body.get("user"));
    user.and_then(Value::as_str).map(|user| localpart(user).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn login(body: Value) -> Bucket {
        Bucket::of(&Request::new(Some("login"), "POST", "/_matrix/client/v3/login").json(&body))
    }

    #[test]
    fn logins_are_limited_by_what_is_asked_for_and_of_whom() {
        let of = |user: &str| {
            json!({"type": "m.login.password", "password": "p",
            "identifier": {"type": "m.id.user", "user": user}})
        };
        assert_eq!(login(of("amy")), login(of("@amy:example.org")));
        assert_ne!(login(of("amy")), login(of("bob")));
        assert_eq!(login(of("amy")).group, login(of("bob")).group);
        let mut malformed = of("amy");
        malformed["refresh_token"] = json!("true");
        assert_ne!(login(of("amy")).group, login(malformed).group);
        let mut named = of("amy");
        named["device_id"] = json!("A");
        assert_eq!(login(of("amy")), login(named));
        assert_ne!(login(json!({})).group, login(json!([])).group);
    }

    #[test]
    fn other_requests_are_limited_by_who_sends_them_and_by_the_form_of_the_body() {
        let request = Request::new(Some("x"), "POST", "/x");
        let of = |body: Value| Bucket::of(&request.clone().json(&body)).group;
        assert_ne!(of(json!({"auth": {}})), of(json!({})));
        assert_ne!(of(json!([])), of(json!({})));
        let by = |user| Bucket::of(&request).asked_by(user);
        assert_eq!(by(Some("@amy:example.org")).user.as_deref(), Some("amy"));
        assert_eq!(by(None).user, None);
    }
}
