//! Secrets: learnt where they enter or cross the wire, and replaced by value in all that is shown.
//!
//! A secret has a name, `‹access_token 2›`: its kind, and its number in the order in which secrets
//! of that kind are first shown. So a name says nothing of when a secret was learnt, and two runs
//! that show the same show the same names.
mod escapes;
mod learn;
mod needles;
mod redacted;
mod redactor;

pub use learn::Heard;
pub use redacted::RedactedRun;
pub use redactor::Redactor;
pub use secrecy::{ExposeSecret, SecretString};

use crate::model::words::words;
use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

words! {
    /// The kind of a secret; its stable name in reports is `‹KIND N›`.
    pub enum SecretKind {
        /// An account's password.
        Password = "password",
        /// A token that allows registering.
        RegistrationToken = "registration_token",
        /// A secret shared with the server, or what is computed from it.
        SharedSecret = "shared_secret",
        /// A header that the operator gave, or a credential inside it.
        Header = "header",
        /// The user name and password of a proxy.
        Proxy = "proxy",
        /// An access token.
        AccessToken = "access_token",
        /// A refresh token.
        RefreshToken = "refresh_token",
        /// A login token, single use.
        LoginToken = "login_token",
        /// The session of interactive auth, which lets its holder continue.
        UiaSession = "uia_session",
        /// A cookie of the server.
        Cookie = "cookie",
        /// A number used once.
        Nonce = "nonce",
        /// Anything else of a server that is called or looks like a token.
        Token = "token",
    }
}

/// The source of a secret; the first of these knows its kind best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum SecretOrigin {
    /// It was given by the operator, or created by the run.
    Ours,
    /// A response contained it.
    Answered,
    /// A request contained it: cases send tokens in other places too.
    Sent,
}

/// The fewest bytes of a secret that is given. A shorter one would be found in every other word, so
/// nothing could keep it out of a report.
pub const SHORTEST: usize = 4;
/// The same for values that are secrets only by the name of the member that holds them: cases send
/// words such as `true` in such places. Shorter secrets are not looked for in base64.
const SHORTEST_LOOSE: usize = 8;
/// The most that can be remembered, in bytes of all secrets together. The answers of a run are at
/// most half of it, so only a server that sends nothing but secrets reaches it; then nothing is shown.
const MOST: usize = 64 << 20;

/// Secrets cannot be redacted, so nothing may be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedactionError {
    /// Together they are longer than what can be remembered.
    #[error(
        "the secrets of this run are longer than {} MiB together, more than homespec keeps out of reports",
        MOST >> 20
    )]
    TooManySecrets,
    /// A search for secrets could not be built.
    #[error("a search for secrets could not be built ({0}); please report this internal error")]
    NoSearch(String),
}

/// A secret text that is wiped when the last copy is dropped.
#[derive(Clone, PartialEq, Eq)]
struct Hidden(Arc<Zeroizing<String>>);

impl Hidden {
    fn new(text: &str) -> Hidden {
        Hidden(Arc::new(Zeroizing::new(text.to_owned())))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::hash::Hash for Hidden {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Borrow<str> for Hidden {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

struct SecretEntry {
    value: Hidden,
    kind: (SecretOrigin, SecretKind),
    name: Option<String>,
}

#[derive(Default)]
struct KnownSecrets {
    /// In the order of learning.
    secrets: Vec<SecretEntry>,
    numbers: HashMap<Hidden, usize>,
    /// `user:password`, with the number of the password: so it stands in base64.
    logins: Vec<(Hidden, usize)>,
    login_texts: HashSet<Hidden>,
    counts: BTreeMap<SecretKind, usize>,
    size: usize,
    /// The error, if not all secrets are known.
    fault: Option<RedactionError>,
}

impl KnownSecrets {
    /// Returns false, and remembers it, if this number of bytes does not fit.
    fn has_room(&mut self, bytes: usize) -> bool {
        self.size = self.size.saturating_add(bytes);
        if self.size > MOST {
            self.fault.get_or_insert(RedactionError::TooManySecrets);
        }
        self.fault.is_none()
    }
}

/// Every secret, with the names that were given so far.
#[derive(Default)]
struct Names(Mutex<KnownSecrets>);

impl Names {
    fn known(&self) -> MutexGuard<'_, KnownSecrets> {
        // What a panic left is whole: nothing in here is changed in two steps that could part.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of a secret by its number; the next free one of its kind, if it has none.
    fn of(&self, secret: usize) -> String {
        let mut known = self.known();
        let KnownSecrets { secrets, counts, .. } = &mut *known;
        match secrets.get_mut(secret) {
            Some(entry) => {
                let kind = entry.kind.1;
                let name = entry.name.get_or_insert_with(|| {
                    let count = counts.entry(kind).or_default();
                    *count += 1;
                    format!("‹{} {count}›", kind.as_str())
                });
                name.clone()
            }
            // No number is without a secret; if one were, the secret would go all the same.
            None => "‹secret›".to_owned(),
        }
    }
}

/// Every secret of a run. What was once a secret stays one.
#[derive(Default)]
pub struct Vault {
    names: Arc<Names>,
    /// The last one that was made: it serves until more is learnt.
    redactor: Mutex<Option<Redactor>>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl Vault {
    /// Remembers a secret that was given or made. What is two bytes shorter than [`SHORTEST`] is left,
    /// because it would be found in ordinary words: whoever reads secrets from files refuses it. One
    /// byte shorter is a wrong password that is made of a right one.
    pub fn learn(&self, kind: SecretKind, value: &str) {
        self.note(SecretOrigin::Ours, kind, value);
    }

    fn note(&self, origin: SecretOrigin, kind: SecretKind, value: &str) {
        // White space alone gives nothing away, and is in every report.
        if value.len() < needles::FEWEST || value.trim().is_empty() {
            return;
        }
        let mut known = self.names.known();
        if let Some(number) = known.numbers.get(value).copied() {
            if let Some(entry) = known.secrets.get_mut(number) {
                entry.kind = entry.kind.min((origin, kind));
            }
            return;
        }
        if known.has_room(value.len()) {
            let number = known.secrets.len();
            let value = Hidden::new(value);
            known.numbers.insert(value.clone(), number);
            known.secrets.push(SecretEntry { value, kind: (origin, kind), name: None });
        }
    }

    /// Remembers that a password, which is known, belongs to a user.
    fn note_login(&self, user: &str, password: &str) {
        let mut known = self.names.known();
        let text = Hidden::new(&format!("{user}:{password}"));
        let Some(number) = known.numbers.get(password).copied() else { return };
        if !known.login_texts.contains(&text) && known.has_room(text.as_str().len()) {
            known.login_texts.insert(text.clone());
            known.logins.push((text, number));
        }
    }

    /// Remembers that not everything that is a secret can be known.
    fn fail(&self, why: RedactionError) {
        self.names.known().fault.get_or_insert(why);
    }

    /// Returns the redactor for all secrets known so far. Names last as long as the vault.
    pub fn redactor(&self) -> Redactor {
        let mut last = self.redactor.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.names.known();
        if let Some(why) = &known.fault {
            return Redactor::broken(why.clone());
        }
        let size = (known.secrets.len(), known.logins.len());
        if let Some(redactor) = last.as_ref().filter(|last| last.knows(size)) {
            return redactor.clone();
        }
        let secrets: Vec<Hidden> = known.secrets.iter().map(|entry| entry.value.clone()).collect();
        let logins = known.logins.clone();
        drop(known);
        last.insert(Redactor::new(&secrets, &logins, self.names.clone())).clone()
    }

    /// All secrets known so far, for the final check.
    ///
    /// # Errors
    /// Not all secrets are known.
    pub fn secrets(&self) -> Result<Secrets, RedactionError> {
        let known = self.names.known();
        match &known.fault {
            Some(why) => Err(why.clone()),
            None => {
                let values = known.secrets.iter().map(|entry| entry.value.clone()).collect();
                Ok(Secrets { values, names: self.names.clone() })
            }
        }
    }
}

/// The secrets of a run, by number.
#[derive(Clone, Default)]
pub struct Secrets {
    values: Vec<Hidden>,
    names: Arc<Names>,
}

impl Secrets {
    /// Each of them.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &str> {
        self.values.iter().map(Hidden::as_str)
    }

    /// The name of one.
    pub fn name(&self, number: usize) -> String {
        self.names.of(number)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.values.len())
    }
}

/// The places of secret names in a text, in order: a password that is a word of its own name is not
/// replaced in there.
pub fn names_in(text: &str) -> Vec<(usize, usize)> {
    text.match_indices('‹')
        .filter_map(|(start, quote)| {
            let inside = text.get(start + quote.len()..)?;
            let length = inside.char_indices().take(32).find(|(_, c)| *c == '›')?.0;
            let (word, number) = inside.get(..length)?.split_once(' ')?;
            let is_name = SecretKind::ALL.iter().any(|kind| kind.as_str() == word)
                && number.bytes().all(|byte| byte.is_ascii_digit());
            is_name.then_some((start, start + quote.len() + length + '›'.len_utf8()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_keeps_its_name_in_every_encoding() {
        let vault = Vault::default();
        vault.learn(SecretKind::Password, "pä/ss\"word 1");
        let redactor = vault.redactor();
        for text in [
            "pä/ss\"word 1",
            "p\\u00e4/ss\\\"word 1",
            "p%C3%A4%2Fss%22word%201",
            "p%C3%A4%2Fss%22word+1",
            "pä\\/ss\\\"word 1",
            "p\\u00E4\\/ss\\\"word 1",
            "p%c3%a4%2fss%22word+1",
            "p%C3%A4/ss%22w%6Frd%201",
            "pä/ss&quot;word 1",
            "pä/ss\\\\\\\"word 1",
            "p%25C3%25A4%252Fss%2522word%25201",
            "cMOkL3NzIndvcmQgMQ==",
        ] {
            assert_eq!(redactor.text(text), "‹password 1›", "{text}");
        }
    }

    #[test]
    fn basic_credentials_are_found_in_both_alphabets() {
        use base64::Engine as _;
        use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
        let vault = Vault::default();
        let body = br#"{"identifier":{"type":"m.id.user","user":"alice"},"password":"hush~~?"}"#;
        vault.learn(SecretKind::Password, "hush~~?");
        vault.learn_request(&[], "/login", Some(body));
        let redactor = vault.redactor();
        for pair in ["alice:hush~~?", "alice:hush~~?"] {
            for text in [STANDARD.encode(pair), URL_SAFE_NO_PAD.encode(pair)] {
                let shown = redactor.text(&format!("Basic {text}!"));
                assert_eq!(shown, "Basic ‹password 1›!", "{text}");
            }
        }
    }

    #[test]
    fn names_are_given_in_the_order_of_showing_and_last() {
        let vault = Vault::default();
        vault.learn(SecretKind::AccessToken, "token-first");
        vault.learn(SecretKind::AccessToken, "token-second");
        assert_eq!(vault.redactor().text("token-second"), "‹access_token 1›");
        assert_eq!(
            vault.redactor().text("token-first token-second"),
            "‹access_token 2› ‹access_token 1›"
        );
    }

    #[test]
    fn who_knows_best_says_what_a_secret_is() {
        let vault = Vault::default();
        vault.learn_request_headers(&[(
            "authorization".to_owned(),
            "Bearer refresh-1234".to_owned(),
        )]);
        vault.note(SecretOrigin::Answered, SecretKind::RefreshToken, "refresh-1234");
        assert_eq!(vault.redactor().text("refresh-1234"), "‹refresh_token 1›");
    }

    #[test]
    fn what_looks_like_an_escape_in_a_secret_hides_nothing() {
        let vault = Vault::default();
        vault.learn(SecretKind::AccessToken, "\\ &AAAA%41a\\");
        let redactor = vault.redactor();
        for text in [
            "<%5C+%26AAAA%2541a%5C>",
            "<\\ &amp;AAAA%41a\\>",
            "<\\\\ &AAAA%41a\\\\>",
            "<%5C%5C+%26AAAA%2541a%5C%5C>",
        ] {
            assert_eq!(redactor.text(text), "<‹access_token 1›>", "{text}");
        }
    }

    #[test]
    fn overlapping_secrets_leave_nothing() {
        let vault = Vault::default();
        for value in ["secret", "secret-longer", "ngerous", "a"] {
            vault.learn(SecretKind::Password, value);
        }
        let redactor = vault.redactor();
        assert_eq!(redactor.text("a secret-longer"), "a ‹password 1›");
        assert_eq!(redactor.text("secret-longerous"), "‹password 1›‹password 2›");
    }

    #[test]
    fn a_word_of_a_name_may_be_a_secret() {
        let vault = Vault::default();
        vault.learn(SecretKind::Password, "password");
        let redactor = vault.redactor();
        let shown = redactor.text("password, Password and ‹password 9›");
        assert_eq!(shown, "‹password 1›, Password and ‹password 9›");
        assert_eq!(redactor.text(&shown), shown);
    }

    #[test]
    fn white_space_alone_is_no_secret_and_goes_from_the_ends_of_others() {
        let vault = Vault::default();
        for value in ["    \n ", " spaces at both ends "] {
            vault.learn(SecretKind::Password, value);
        }
        let redactor = vault.redactor();
        assert_eq!(redactor.text("a     \n b"), "a     \n b");
        assert_eq!(redactor.text("<spaces at both ends>"), "<‹password 1›>");
        assert_eq!(redactor.text("< spaces at both ends >"), "<‹password 1›>");
    }

    #[test]
    fn the_beginning_of_a_secret_in_front_of_an_ellipsis_goes_too() {
        let vault = Vault::default();
        vault.learn(SecretKind::AccessToken, "syt_abcdefghijkl");
        vault.learn(SecretKind::Token, "dots....dots");
        let redactor = vault.redactor();
        assert_eq!(redactor.text("\"syt_abcdefg… and so on"), "\"‹access_token 1›… and so on");
        assert_eq!(redactor.text("syt_abc..."), "syt_abc...");
        assert_eq!(redactor.text("<dots....d…>"), "<‹token 1›…>");
        assert_eq!(redactor.text("<dots.......>"), "<‹token 1›...>");
    }

    #[test]
    fn very_long_secrets_have_one_name() {
        let vault = Vault::default();
        let long: String = (0..20_000).map(|n| format!("{n}-")).collect();
        vault.learn(SecretKind::Token, &long);
        assert_eq!(vault.redactor().text(&format!("x{long}x")), "x‹token 1›x");
    }

    #[test]
    fn a_vault_that_is_full_says_so_and_shows_nothing() {
        let vault = Vault::default();
        vault.learn(SecretKind::Password, "hunter22");
        for at in 0..=MOST >> 20 {
            vault.note(
                SecretOrigin::Answered,
                SecretKind::Token,
                &format!("{at}{}", "x".repeat(1 << 20)),
            );
        }
        assert_eq!(vault.secrets().unwrap_err(), RedactionError::TooManySecrets);
        assert_eq!(
            vault.redactor().redacted("harmless").unwrap_err(),
            RedactionError::TooManySecrets
        );
        assert!(vault.redactor().text("hunter22").starts_with("(withheld: "));
    }
}
