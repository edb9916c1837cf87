//! An account as cases see it, and the values that are made of its password and token.
use crate::http::message::Exchange;
use crate::model::encoding::escaped;
use crate::model::user_id::localpart;
use serde_json::{Value, json};
use std::sync::Arc;

/// An account as a case sees it.
#[derive(Debug, Clone, Default)]
pub struct AccountView {
    /// The full Matrix ID, as the server spells it.
    pub user_id: String,
    /// The name that logs it in, as its proof showed: a localpart, a full Matrix ID, or neither.
    pub login_name: String,
    /// Its password; accounts that were given as an access token have none.
    pub password: Option<String>,
    /// The shared session's access token.
    pub token: Option<String>,
    /// The shared session's device.
    pub device_id: Option<String>,
    /// The login that proved it, while its session lives.
    pub proof: Option<Proof>,
    /// The logins by another name that were refused when it was proven.
    pub refused: Vec<Proof>,
}

/// The good login that proved an account. Cases that only look at such a login look at this one.
#[derive(Debug, Clone)]
pub struct Proof {
    /// Body of the request.
    pub body: Value,
    /// The exchange.
    pub exchange: Arc<Exchange>,
}

/// The body of a good login by password, which also asks for a refresh token.
pub fn good_login(user: &str, password: &str) -> Value {
    json!({
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user},
        "password": password,
        "refresh_token": true,
        "initial_device_display_name": "homespec",
    })
}

impl AccountView {
    /// The part between `@` and the first colon.
    pub fn localpart(&self) -> &str {
        localpart(&self.user_id)
    }

    /// The part behind the first colon.
    pub fn server_name(&self) -> &str {
        self.user_id.split_once(':').map_or("", |(_, server)| server)
    }

    /// The body of a login that proves it: the one that did, or one like it.
    pub fn login(&self) -> Option<Value> {
        let proof = self.proof.as_ref().map(|proof| proof.body.clone());
        proof.or_else(|| Some(good_login(&self.login_name, self.password.as_deref()?)))
    }

    /// The value of `$NAME.member` in a case; nothing if there is none.
    pub fn get(&self, member: &str) -> Option<Value> {
        if member == "login" {
            return self.login();
        }
        let text = match member {
            "user_id" => self.user_id.clone(),
            "user" => self.login_name.clone(),
            "localpart" => self.localpart().to_owned(),
            "server_name" => self.server_name().to_owned(),
            "password" => self.password.clone()?,
            "password_other_case" => other_case(self.password.as_deref()?),
            "password_shortened" => shortened(self.password.as_deref()?),
            "password_escaped" => escaped(self.password.as_deref()?),
            "token" => self.token.clone()?,
            "token_other_case" => token_in_other_case(self.token.as_deref()?),
            "device_id" => self.device_id.clone()?,
            _ => return None,
        };
        Some(json!(text))
    }
}

/// The same letters with upper and lower case exchanged; without letters, one is put behind.
pub fn other_case(password: &str) -> String {
    let swapped: String =
        password
            .chars()
            .map(|c| {
                if c.is_ascii_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() }
            })
            .collect();
    if swapped == password { format!("{password}a") } else { swapped }
}

/// A token with upper and lower case exchanged in the letters beyond `f`, since a server that keeps tokens as numbers may
/// read hexadecimal digits in either case; without such letters, one is put behind.
pub fn token_in_other_case(token: &str) -> String {
    let swapped: String = token
        .chars()
        .map(|c| match c {
            'g'..='z' => c.to_ascii_uppercase(),
            'G'..='Z' => c.to_ascii_lowercase(),
            other => other,
        })
        .collect();
    if swapped == token { format!("{token}z") } else { swapped }
}

/// Without its last character; of one character, another one.
pub fn shortened(password: &str) -> String {
    let mut characters = password.chars();
    characters.next_back();
    match characters.as_str() {
        "" if password == "x" => "y".to_owned(),
        "" => "x".to_owned(),
        rest => rest.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_passwords_are_wrong() {
        for password in ["Secret1", "1234", "x", "ÄB"] {
            assert_ne!(other_case(password), password);
            assert_ne!(shortened(password), password);
        }
    }
}
