//! Secrets of requests and responses: found by the name of their member or header, by their shape
//! in responses to logins, and by both in bodies that are not JSON.
use super::escapes::views;
use super::{RedactionError, SHORTEST, SHORTEST_LOOSE, SecretKind, SecretOrigin, Vault};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use regex::Regex;
use serde_json::Value;
use std::sync::LazyLock;

/// Which member of a JSON body, a query or a form holds which kind of secret; spelt in lower case
/// and without what joins words.
const MEMBERS: [(&str, SecretKind); 13] = [
    ("accesstoken", SecretKind::AccessToken),
    ("refreshtoken", SecretKind::RefreshToken),
    ("logintoken", SecretKind::LoginToken),
    ("token", SecretKind::LoginToken),
    ("registrationtoken", SecretKind::RegistrationToken),
    ("password", SecretKind::Password),
    ("newpassword", SecretKind::Password),
    ("oldpassword", SecretKind::Password),
    ("sharedsecret", SecretKind::SharedSecret),
    ("mac", SecretKind::SharedSecret),
    ("nonce", SecretKind::Nonce),
    ("session", SecretKind::UiaSession),
    ("cookie", SecretKind::Cookie),
];

/// Parts of the names of members and headers whose token-like values are secrets.
const TELLING: [&str; 9] =
    ["token", "password", "passwd", "secret", "session", "cookie", "credential", "apikey", "jwt"];

/// Members of the answers to logging in that hold no secret.
const HARMLESS: [&str; 6] = ["userid", "deviceid", "homeserver", "errcode", "error", "type"];

/// Parts of paths whose answers hold secrets, whatever their members are called.
const GIVES_TOKENS: [&str; 3] = ["/login", "/register", "/refresh"];

/// The shortest value that is taken for a token by its shape alone, in bytes.
const SHORTEST_SHAPE: usize = 16;

/// An answer as far as secrets may be in it.
#[derive(Debug)]
pub struct Heard<'a> {
    /// Path and query of the request.
    pub path: &'a str,
    /// True if the response says that the request succeeded.
    pub granted: bool,
    /// Its headers, names in lower case.
    pub headers: &'a [(String, String)],
    /// Its body, if it is JSON.
    pub json: Option<&'a Value>,
    /// Its body as it came.
    pub body: &'a [u8],
}

impl Vault {
    /// Remembers what a header of the operator's holds: its value, the credentials of `Basic` and
    /// `Bearer`, each cookie. Values such as `https` are secrets only in headers called like some.
    pub fn learn_given_header(&self, name: &str, value: &str) {
        let is_telling = tells(name) || name.eq_ignore_ascii_case("proxy-authorization");
        let is_telling = is_telling || name.eq_ignore_ascii_case("authorization");
        if is_telling || value.len() >= SHORTEST_LOOSE {
            self.learn(SecretKind::Header, value);
        }
        for part in credentials(value) {
            self.learn(SecretKind::Header, &part);
        }
        if let Some((user, password)) = basic(value) {
            self.note_login(&user, &password);
        }
        if name.eq_ignore_ascii_case("cookie") {
            for pair in value.split(';') {
                let (_, cookie) = pair.split_once('=').unwrap_or(("", pair));
                self.learn(SecretKind::Header, cookie.trim());
            }
        }
    }

    /// Remembers every secret of a request: in its headers, in its query, in its body.
    pub fn learn_request(&self, headers: &[(String, String)], path: &str, body: Option<&[u8]>) {
        self.learn_request_headers(headers);
        self.learn_query(SecretOrigin::Sent, path);
        let Some(body) = body else { return };
        match serde_json::from_slice(body) {
            Ok(json) => {
                self.learn_json(SecretOrigin::Sent, &json);
                self.learn_login(&json);
            }
            Err(_) => self.learn_text(SecretOrigin::Sent, body),
        }
    }

    fn learn_login(&self, json: &Value) {
        let text = |pointer: &str| json.pointer(pointer).and_then(Value::as_str);
        let user = text("/identifier/user").or_else(|| text("/user"));
        if let (Some(user), Some(password)) = (user, text("/password")) {
            self.note_login(user, password);
        }
    }

    pub(super) fn learn_request_headers(&self, headers: &[(String, String)]) {
        for (name, value) in headers {
            if name.eq_ignore_ascii_case("authorization") {
                self.learn_authorization(SecretOrigin::Sent, value);
            }
        }
    }

    /// Remembers every secret of an answer.
    pub fn learn_answer(&self, heard: &Heard<'_>) {
        for (name, value) in heard.headers {
            self.learn_answered_header(name, value);
        }
        match heard.json {
            Some(json) => {
                self.learn_json(SecretOrigin::Answered, json);
                let path = heard.path.split('?').next().unwrap_or_default();
                if GIVES_TOKENS.iter().any(|part| path.contains(part)) && heard.granted {
                    self.learn_shapes("", json);
                }
            }
            None => self.learn_text(SecretOrigin::Answered, heard.body),
        }
    }

    fn learn_answered_header(&self, name: &str, value: &str) {
        match name {
            "set-cookie" => {
                let pair = value.split(';').next().unwrap_or_default();
                let (_, cookie) = pair.split_once('=').unwrap_or(("", pair));
                self.note_named(SecretOrigin::Answered, SecretKind::Cookie, cookie.trim());
            }
            "location" | "content-location" | "refresh" | "link" => {
                self.learn_query(SecretOrigin::Answered, value);
            }
            "authorization" => self.learn_authorization(SecretOrigin::Answered, value),
            name if name.starts_with("access-control-") || name == "www-authenticate" => {}
            name if tells(name) && looks_like_token(value) => {
                self.note_named(SecretOrigin::Answered, SecretKind::Token, value);
            }
            _ => {}
        }
    }

    /// The parameters behind every `?` and `#` of an address.
    fn learn_query(&self, origin: SecretOrigin, address: &str) {
        for part in address.split(['?', '#']).skip(1) {
            for (name, value) in url::form_urlencoded::parse(part.as_bytes()) {
                self.learn_member(origin, &name, &value);
            }
        }
    }

    fn learn_authorization(&self, origin: SecretOrigin, value: &str) {
        let secret = value.split_once(' ').map_or(value, |(_, secret)| secret);
        self.note_named(origin, SecretKind::AccessToken, secret.trim());
        for part in credentials(value).into_iter().skip(1) {
            self.note_named(origin, SecretKind::Password, &part);
        }
    }

    /// Every secret of a JSON value, by the names of its members, at any depth.
    fn learn_json(&self, origin: SecretOrigin, json: &Value) {
        match json {
            Value::Object(members) => {
                for (name, value) in members {
                    if let Some(text) = value.as_str() {
                        self.learn_member(origin, name, text);
                    }
                    self.learn_json(origin, value);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn_json(origin, item)),
            _ => {}
        }
    }

    fn learn_member(&self, origin: SecretOrigin, name: &str, value: &str) {
        let word = joined(name);
        match MEMBERS.iter().find(|(member, _)| *member == word) {
            Some((_, kind)) => self.note_named(origin, *kind, value),
            None if tells(&word) && looks_like_token(value) => {
                self.note_named(origin, SecretKind::Token, value);
            }
            None => {}
        }
    }

    /// Everything that looks like a token, in an answer that gives some.
    fn learn_shapes(&self, name: &str, json: &Value) {
        match json {
            Value::String(text) => {
                let has_shape = text.len() >= SHORTEST_SHAPE
                    && looks_like_token(text)
                    && !text.contains([':', '@', '/']);
                if has_shape && !HARMLESS.contains(&joined(name).as_str()) {
                    self.note_named(SecretOrigin::Answered, SecretKind::Token, text);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn_shapes(name, item)),
            Value::Object(members) => {
                members.iter().for_each(|(name, value)| self.learn_shapes(name, value));
            }
            _ => {}
        }
    }

    /// Secrets of a body that is no JSON, or that ends too early to be some: what stands behind a
    /// telling name and looks like a token.
    fn learn_text(&self, origin: SecretOrigin, body: &[u8]) {
        static NAMED: LazyLock<Result<Regex, regex::Error>> = LazyLock::new(|| {
            let telling =
                "token|password|passwd|secret|session|nonce|cookie|credential|api[_-]?key|jwt|mac";
            let quote = r#"["'\\]*"#;
            Regex::new(&format!(
                r#"(?i)([a-z0-9_.-]{{0,64}}(?:{telling})[a-z0-9_-]{{0,64}}){quote}\s*(?:value\s*)?[:=>]\s*{quote}([^\s"'\\<>&,;{{}}()]{{8,}})"#
            ))
        });
        let named = match &*NAMED {
            Ok(named) => named,
            Err(why) => return self.fail(RedactionError::NoSearch(why.to_string())),
        };
        views(&String::from_utf8_lossy(body), &mut |view| {
            for found in named.captures_iter(&String::from_utf8_lossy(&view.bytes)) {
                let (_, [name, value]) = found.extract();
                if looks_like_token(value) {
                    self.learn_member(origin, name, value);
                }
            }
        });
    }

    /// Cases send words such as `true` where tokens belong: those are left.
    fn note_named(&self, origin: SecretOrigin, kind: SecretKind, value: &str) {
        // No header can carry control characters, and no server makes tokens of them. Whoever sends some there
        // wants to see what becomes of them in a report.
        let is_token = kind == SecretKind::Password || !value.contains(char::is_control);
        if value.len() >= SHORTEST_LOOSE && is_token {
            self.note(origin, kind, value);
        }
    }
}

/// A name in lower case, without what joins words.
fn joined(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_ascii_alphanumeric());
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

fn tells(name: &str) -> bool {
    let word = joined(name);
    TELLING.iter().any(|part| word.contains(part))
}

/// Returns true for one long word with a digit in it that is not an address.
fn looks_like_token(value: &str) -> bool {
    value.len() >= SHORTEST_LOOSE
        && value.bytes().any(|byte| byte.is_ascii_digit())
        && !value.contains("://")
        && !value.contains(char::is_whitespace)
        && !value.starts_with("m.")
}

/// The secrets inside an `Authorization` header: the part after the scheme, and the password of
/// `Basic`.
fn credentials(value: &str) -> Vec<String> {
    let Some((_, secret)) = value.split_once(' ') else { return Vec::new() };
    let mut all = vec![secret.trim().to_owned()];
    all.extend(basic(value).map(|(_, password)| password).filter(|p| p.len() >= SHORTEST));
    all
}

/// User and password of `Basic` (RFC 7617, section 2).
fn basic(value: &str) -> Option<(String, String)> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let (scheme, secret) = value.split_once(' ')?;
    let pair =
        LENIENT.decode(secret.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let pair = String::from_utf8_lossy(&pair).into_owned();
    let (user, password) = pair.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn heard(path: &str, headers: &[(&str, &str)], body: &str) -> Vault {
        let vault = Vault::default();
        let headers: Vec<_> =
            headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let json = serde_json::from_str(body).ok();
        vault.learn_answer(&Heard {
            path,
            granted: true,
            headers: &headers,
            json: json.as_ref(),
            body: body.as_bytes(),
        });
        vault
    }

    #[test]
    fn tokens_are_known_by_what_holds_them() {
        for (body, kind) in [
            (json!({"x": [{"access_token": "marker-1234"}]}).to_string(), "access_token"),
            (json!({"accessToken": "marker-1234"}).to_string(), "access_token"),
            (json!({"x_csrf_token": "marker-1234"}).to_string(), "token"),
            ("{\"access_token\": \"marker-1234\", \"dev".to_owned(), "access_token"),
            ("{\"refresh_token\": \"marker-1234".to_owned(), "refresh_token"),
            ("<p>access_token=marker-1234</p>".to_owned(), "access_token"),
            ("<login_token>marker-1234</login_token>".to_owned(), "login_token"),
            ("&quot;password&quot;: &quot;marker-1234&quot;".to_owned(), "password"),
            ("{\\\"session\\\":\\\"marker-1234\\\"".to_owned(), "uia_session"),
            ("a?loginToken%3Dmarker-1234".to_owned(), "login_token"),
        ] {
            let shown = heard("getVersions", &[], &body).redactor().text("marker-1234");
            assert_eq!(shown, format!("‹{kind} 1›"), "{body}");
        }
    }

    #[test]
    fn headers_hold_tokens() {
        for header in [
            ("set-cookie", "sid=marker-1234; Path=/"),
            ("x-auth-token", "marker-1234"),
            ("location", "http://x/?a=b&loginToken=marker-1234"),
            ("location", "http://x/#access_token=marker-1234"),
        ] {
            let shown = heard("x", &[header], "").redactor().text("marker-1234");
            assert_ne!(shown, "marker-1234", "{header:?}");
        }
    }

    #[test]
    fn logging_in_gives_tokens_under_any_name() {
        let body = json!({"bearer": "marker-1234567890", "user_id": "@marker-2234567890:x",
            "device_id": "marker-3234567890", "home_server": "marker-4234567890.example"});
        let redactor = heard("/_matrix/client/v3/login", &[], &body.to_string()).redactor();
        assert_eq!(redactor.text("marker-1234567890"), "‹token 1›");
        for word in ["marker-2234567890", "marker-3234567890", "marker-4234567890"] {
            assert_eq!(redactor.text(word), word);
        }
    }

    #[test]
    fn words_are_no_secrets() {
        let body = json!({"token_type": "Bearer", "token": "true", "type": "m.login.token",
            "token_endpoint": "https://x.example/oauth2/token", "error": "Invalid password given"});
        for body in [body.to_string(), "Invalid password: authentication failed".to_owned()] {
            let redactor = heard("getLoginFlows", &[], &body).redactor();
            assert_eq!(redactor.text(&body), body);
        }
    }

    #[test]
    fn headers_of_the_operator_are_taken_apart() {
        let vault = Vault::default();
        vault.learn_given_header("Authorization", "Basic dXNlcjpodW50ZXIy");
        vault.learn_given_header("Cookie", "a=marker1; b=marker2");
        vault.learn_given_header("X-Forwarded-Proto", "https");
        let redactor = vault.redactor();
        for secret in ["dXNlcjpodW50ZXIy", "hunter2", "marker1", "marker2"] {
            assert_ne!(redactor.text(secret), secret);
        }
        assert_eq!(redactor.text("https://x"), "https://x");
    }
}
