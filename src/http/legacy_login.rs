//! User names in logins before r0.4.0: the `identifier` object came with r0.4.0, and a server that
//! lists nothing newer need not read it (Client-Server API r0.3.0, "Login").
use crate::http::message::Request;
use crate::model::release::{Listed, SpecVersion};
use serde_json::{Map, Value, json};

/// The form of user names in requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoginDialect {
    old_identifiers: bool,
}

impl LoginDialect {
    /// The form for a server that lists these versions.
    pub fn of(listed: &Listed) -> LoginDialect {
        LoginDialect { old_identifiers: !listed.has_at_least(SpecVersion::R(0, 4, 0)) }
    }

    /// Rewrites a login to this form; returns any other request unchanged.
    pub fn speak(self, request: &Request) -> Request {
        let mut request = request.clone();
        if self.old_identifiers
            && let Some(Value::Object(mut body)) = request.json_body()
        {
            if request.is_login() {
                flatten(&mut body);
            }
            if let Some(Value::Object(auth)) = body.get_mut("auth") {
                flatten(auth);
            }
            request.body = Some(Value::Object(body).to_string().into_bytes());
        }
        request
    }
}

/// `identifier` becomes `user`, or `medium` and `address`, where it is one of the kinds that old
/// servers know under these names.
fn flatten(members: &mut Map<String, Value>) {
    let Some(identifier) = members.get("identifier") else { return };
    let text = |key: &str| identifier.get(key).and_then(Value::as_str).map(str::to_owned);
    let old = match text("type").as_deref() {
        Some("m.id.user") => text("user").map(|user| vec![("user", user)]),
        Some("m.id.thirdparty") => text("medium")
            .zip(text("address"))
            .map(|(medium, address)| vec![("medium", medium), ("address", address)]),
        _ => None,
    };
    let Some(old) = old else { return };
    members.shift_remove("identifier");
    for (key, value) in old {
        members.insert(key.to_owned(), json!(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> Request {
        Request::new(Some("login"), "POST", "/_matrix/client/r0/login").json(&json!({
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": "alice"},
            "password": "secret",
        }))
    }

    #[test]
    fn only_servers_before_r0_4_0_are_spoken_to_in_old_words() {
        let new = LoginDialect::of(&Listed::new(["r0.3.0", "r0.4.0"]));
        assert_eq!(new.speak(&login()), login());
        let old = LoginDialect::of(&Listed::new(["r0.3.0"])).speak(&login());
        let body = old.json_body().unwrap();
        assert_eq!(body["user"], "alice");
        assert!(body.get("identifier").is_none());
    }

    #[test]
    fn the_password_stage_of_interactive_auth_speaks_so_too() {
        let request = Request::new(Some("deleteDevice"), "DELETE", "/x").json(&json!({"auth": {
            "type": "m.login.password",
            "identifier": {"type": "m.id.thirdparty", "medium": "email", "address": "a@b"},
        }}));
        let body = LoginDialect::of(&Listed::new(["r0.0.1"])).speak(&request).json_body().unwrap();
        assert_eq!(body["auth"]["address"], "a@b");
        assert_eq!(body["auth"]["medium"], "email");
    }
}
