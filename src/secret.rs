//! Secrets: wrapped where they enter, and replaced by value in everything that is shown or written.
use crate::encoding::{encode_segment, escaped};
use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Mutex, PoisonError};

pub use secrecy::{ExposeSecret, SecretString};

/// What a secret is; its stable name in reports is `‹KIND N›`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretKind {
    /// An account's password.
    Password,
    /// An access token.
    AccessToken,
    /// A refresh token.
    RefreshToken,
    /// A login token, single use.
    LoginToken,
    /// A token that allows registering.
    RegistrationToken,
    /// A secret shared with the server, or what is computed from it.
    SharedSecret,
    /// A header that the operator gave.
    Header,
}

impl SecretKind {
    fn word(self) -> &'static str {
        match self {
            SecretKind::Password => "password",
            SecretKind::AccessToken => "access_token",
            SecretKind::RefreshToken => "refresh_token",
            SecretKind::LoginToken => "login_token",
            SecretKind::RegistrationToken => "registration_token",
            SecretKind::SharedSecret => "shared_secret",
            SecretKind::Header => "header",
        }
    }
}

/// Which member of a JSON body holds which kind of secret.
const MEMBERS: [(&str, SecretKind); 9] = [
    ("access_token", SecretKind::AccessToken),
    ("refresh_token", SecretKind::RefreshToken),
    ("login_token", SecretKind::LoginToken),
    ("loginToken", SecretKind::LoginToken),
    ("password", SecretKind::Password),
    ("new_password", SecretKind::Password),
    ("token", SecretKind::LoginToken),
    ("mac", SecretKind::SharedSecret),
    ("registration_token", SecretKind::RegistrationToken),
];

/// Shorter values are not replaced: they would be found in ordinary words.
const SHORTEST: usize = 4;
/// The same for values that are secrets only by the name of the member that holds them: cases send
/// words such as `true` in such places.
const SHORTEST_BY_NAME: usize = 8;

#[derive(Default)]
struct Known {
    names: HashMap<String, String>,
    counts: BTreeMap<SecretKind, usize>,
}

/// Every secret of a run. What was once a secret stays one.
#[derive(Default)]
pub struct Vault {
    known: Mutex<Known>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl Vault {
    /// Remembers a secret under the next free name of its kind, unless it is known.
    pub fn learn(&self, kind: SecretKind, value: &str) {
        if value.len() < SHORTEST {
            return;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.names.contains_key(value) {
            return;
        }
        let count = known.counts.entry(kind).or_default();
        *count += 1;
        let name = format!("‹{} {}›", kind.word(), count);
        known.names.insert(value.to_owned(), name);
    }

    /// Remembers every secret of a JSON body, by the names of its members, at any depth.
    pub fn learn_json(&self, body: &Value) {
        match body {
            Value::Object(members) => {
                for (key, value) in members {
                    let kind = MEMBERS.iter().find(|(name, _)| name == key).map(|(_, kind)| *kind);
                    if let (Some(kind), Some(text)) = (kind, value.as_str())
                        && text.len() >= SHORTEST_BY_NAME
                    {
                        self.learn(kind, text);
                    }
                    self.learn_json(value);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn_json(item)),
            _ => {}
        }
    }

    /// Remembers what an `Authorization` header holds.
    pub fn learn_authorization(&self, value: &str) {
        let secret = value.split_once(' ').map_or(value, |(_, secret)| secret);
        let secret = secret.trim();
        if secret.len() >= SHORTEST_BY_NAME {
            self.learn(SecretKind::AccessToken, secret);
        }
    }

    /// What replaces all that is known so far.
    pub fn redactor(&self) -> Redactor {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pairs: Vec<(String, String)> = known
            .names
            .iter()
            .flat_map(|(value, name)| {
                encodings(value).into_iter().map(|encoded| (encoded, name.clone()))
            })
            .collect();
        pairs.sort();
        pairs.dedup_by(|a, b| a.0 == b.0);
        let (patterns, names): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&patterns)
            .ok()
            .filter(|_| !patterns.is_empty());
        Redactor { finder, names }
    }
}

/// The forms in which a secret may appear: as it is, inside JSON, in a URL, in base64.
fn encodings(value: &str) -> Vec<String> {
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    let segment = encode_segment(value);
    let form: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let mut all = vec![value.to_owned(), escaped(value)];
    all.extend(in_json(value));
    all.extend([lower_escapes(&segment), segment, lower_escapes(&form), form]);
    let engines = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD];
    all.extend(engines.iter().map(|engine| engine.encode(value)));
    all.retain(|form| form.len() >= SHORTEST);
    all
}

/// The inside of a JSON string as libraries write it: with and without an escaped slash, and with
/// what is not ASCII as it is or as `\u` escapes in either case.
fn in_json(value: &str) -> Vec<String> {
    let quoted = Value::String(value.to_owned()).to_string();
    let inside = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let plain = inside.unwrap_or(value).to_owned();
    let slashed = plain.replace('/', "\\/");
    let mut all = Vec::new();
    for text in [plain, slashed] {
        all.push(ascii(&text, |unit| format!("\\u{unit:04x}")));
        all.push(ascii(&text, |unit| format!("\\u{unit:04X}")));
        all.push(text);
    }
    all
}

/// The text with everything beyond ASCII escaped, unit by unit of UTF-16.
fn ascii(text: &str, escape: impl Fn(u16) -> String) -> String {
    text.encode_utf16()
        .map(|unit| match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
            _ => escape(unit),
        })
        .collect()
}

/// `%C3` as `%c3`; what is not escaped stays as it is.
fn lower_escapes(text: &str) -> String {
    let mut left = 0;
    text.chars()
        .map(|c| {
            let inside = left > 0;
            left = if c == '%' { 2 } else { usize::saturating_sub(left, 1) };
            if inside { c.to_ascii_lowercase() } else { c }
        })
        .collect()
}

/// Replaces secrets by their names.
#[derive(Debug, Clone)]
pub struct Redactor {
    finder: Option<AhoCorasick>,
    names: Vec<String>,
}

impl Redactor {
    /// The text with every secret replaced.
    pub fn text(&self, text: &str) -> String {
        match &self.finder {
            Some(finder) => finder.replace_all(text, &self.names),
            None => text.to_owned(),
        }
    }

    /// Whether a text still holds a secret.
    pub fn finds_in(&self, text: &str) -> bool {
        self.finder.as_ref().is_some_and(|finder| finder.is_match(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_keeps_its_name_in_every_encoding() {
        let vault = Vault::default();
        vault.learn(SecretKind::Password, "pä/ss\"word 1");
        vault.learn_json(&json!({"x": [{"access_token": "syt_abcdef"}]}));
        vault.learn(SecretKind::AccessToken, "syt_abcdef");
        let redactor = vault.redactor();
        for text in [
            "pä/ss\"word 1",
            "p\\u00e4/ss\\\"word 1",
            "p%C3%A4%2Fss%22word%201",
            "p%C3%A4%2Fss%22word+1",
            "pä\\/ss\\\"word 1",
            "p\\u00E4\\/ss\\\"word 1",
            "p%c3%a4%2fss%22word+1",
        ] {
            assert_eq!(redactor.text(text), "‹password 1›", "{text}");
        }
        assert_eq!(redactor.text("Bearer syt_abcdef."), "Bearer ‹access_token 1›.");
    }

    #[test]
    fn the_longest_secret_wins_and_short_ones_are_left() {
        let vault = Vault::default();
        vault.learn(SecretKind::Password, "secret");
        vault.learn(SecretKind::Password, "secret-longer");
        vault.learn(SecretKind::Password, "a");
        assert_eq!(vault.redactor().text("a secret-longer"), "a ‹password 2›");
    }
}
