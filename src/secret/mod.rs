//! Secrets: wrapped where they enter, learnt where they cross the wire, and replaced by value in
//! everything that is shown or written.
//!
//! A secret has a name, `‹access_token 2›`: its kind, and its number in the order in which secrets
//! of that kind are first shown. So a name says nothing of when a secret was learnt, and two runs
//! that show the same show the same names.
mod learn;
mod redactor;
mod view;

pub use learn::Heard;
pub use redactor::Redactor;
pub use secrecy::{ExposeSecret, SecretString};

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// What a secret is; its stable name in reports is `‹KIND N›`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretKind {
    /// An account's password.
    Password,
    /// A token that allows registering.
    RegistrationToken,
    /// A secret shared with the server, or what is computed from it.
    SharedSecret,
    /// A header that the operator gave, or a credential inside it.
    Header,
    /// The user name and password of a proxy.
    Proxy,
    /// An access token.
    AccessToken,
    /// A refresh token.
    RefreshToken,
    /// A login token, single use.
    LoginToken,
    /// The session of an interactive authentication: whoever has it goes on with it.
    UiaSession,
    /// A cookie of the server.
    Cookie,
    /// A number used once.
    Nonce,
    /// Anything else of a server that is called or looks like a token.
    Token,
}

impl SecretKind {
    const ALL: [SecretKind; 12] = [
        SecretKind::Password,
        SecretKind::RegistrationToken,
        SecretKind::SharedSecret,
        SecretKind::Header,
        SecretKind::Proxy,
        SecretKind::AccessToken,
        SecretKind::RefreshToken,
        SecretKind::LoginToken,
        SecretKind::UiaSession,
        SecretKind::Cookie,
        SecretKind::Nonce,
        SecretKind::Token,
    ];

    fn word(self) -> &'static str {
        match self {
            SecretKind::Password => "password",
            SecretKind::RegistrationToken => "registration_token",
            SecretKind::SharedSecret => "shared_secret",
            SecretKind::Header => "header",
            SecretKind::Proxy => "proxy",
            SecretKind::AccessToken => "access_token",
            SecretKind::RefreshToken => "refresh_token",
            SecretKind::LoginToken => "login_token",
            SecretKind::UiaSession => "uia_session",
            SecretKind::Cookie => "cookie",
            SecretKind::Nonce => "nonce",
            SecretKind::Token => "token",
        }
    }
}

/// Who says that something is a secret: the first of these knows best of which kind it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// It was given by the operator, or made by the run.
    Ours,
    /// An answer held it.
    Answered,
    /// A request held it: cases send tokens where others belong.
    Sent,
}

/// The fewest bytes of a secret that is given. A shorter one would be found in every other word, so
/// nothing could keep it out of a report.
pub const SHORTEST: usize = 4;
/// The same for values that are secrets only by the name of the member that holds them: cases send
/// words such as `true` in such places. Shorter secrets are found only as they are written.
const SHORTEST_LOOSE: usize = 8;
/// The most that is kept of one secret, in bytes: more of a body is never shown.
const LONGEST: usize = 1 << 15;
/// The most that is learnt from one server, in bytes of secrets.
const MOST_LEARNT: usize = 1 << 18;

/// A secret text that is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
struct Hidden(Zeroizing<String>);

impl Hidden {
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

/// What is known of a secret.
struct Entry {
    /// Who says so, and what it is.
    kind: (Origin, SecretKind),
    /// Its place in the order of learning.
    order: usize,
    /// Its name, once it was needed.
    name: Option<String>,
}

#[derive(Default)]
struct Known {
    secrets: HashMap<Hidden, Entry>,
    counts: BTreeMap<SecretKind, usize>,
    /// Bytes of secrets that are not ours.
    learnt: usize,
}

/// Every secret, with the names that were given so far.
#[derive(Default)]
struct Names(Mutex<Known>);

impl Names {
    /// The name of a secret; the next free one of its kind, if it has none.
    fn of(&self, value: &str) -> String {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { secrets, counts, .. } = &mut *known;
        let Some(entry) = secrets.get_mut(value) else { return String::new() };
        let kind = entry.kind.1;
        let name = entry.name.get_or_insert_with(|| {
            let count = counts.entry(kind).or_default();
            *count += 1;
            format!("‹{} {count}›", kind.word())
        });
        name.clone()
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
        if value.len() + 1 >= SHORTEST {
            self.note(Origin::Ours, kind, value);
        }
    }

    fn note(&self, origin: Origin, kind: SecretKind, value: &str) {
        let mut known = self.names.0.lock().unwrap_or_else(PoisonError::into_inner);
        let order = known.secrets.len();
        let value = shortened(value);
        if let Some(entry) = known.secrets.get_mut(value) {
            entry.kind = entry.kind.min((origin, kind));
            return;
        }
        if origin != Origin::Ours {
            if known.learnt + value.len() > MOST_LEARNT {
                return;
            }
            known.learnt += value.len();
        }
        let entry = Entry { kind: (origin, kind), order, name: None };
        known.secrets.insert(Hidden(Zeroizing::new(value.to_owned())), entry);
    }

    /// What replaces all that is known so far. Names last as long as the vault.
    pub fn redactor(&self) -> Redactor {
        let mut last = self.redactor.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.names.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(redactor) = last.as_ref().filter(|last| last.len() == known.secrets.len()) {
            return redactor.clone();
        }
        let mut secrets: Vec<(usize, Hidden)> =
            known.secrets.iter().map(|(value, entry)| (entry.order, value.clone())).collect();
        drop(known);
        secrets.sort_by_key(|(order, _)| *order);
        let secrets = secrets.into_iter().map(|(_, value)| value).collect();
        last.insert(Redactor::new(secrets, self.names.clone())).clone()
    }
}

fn shortened(value: &str) -> &str {
    let end = (0..=value.len().min(LONGEST)).rev().find(|at| value.is_char_boundary(*at));
    value.get(..end.unwrap_or_default()).unwrap_or_default()
}

/// Where the names of secrets stand in a text: a password that is a word of its own name is not
/// replaced in there.
fn names_in(text: &str) -> Vec<(usize, usize)> {
    text.match_indices('‹')
        .filter_map(|(start, quote)| {
            let inside = text.get(start + quote.len()..)?;
            let length = inside.char_indices().take(32).find(|(_, c)| *c == '›')?.0;
            let (word, number) = inside.get(..length)?.split_once(' ')?;
            let is_name = SecretKind::ALL.iter().any(|kind| kind.word() == word)
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
            "pä/ss&quot;wo\n    rd 1",
            "pä/ss\\\\\\\"word\\n1",
            "PÄ/SS".to_lowercase().as_str(),
            "70c3a42f737322776f72642031",
        ] {
            let expected = if text == "pä/ss" { "pä/ss" } else { "‹password 1›" };
            assert_eq!(redactor.text(text), expected, "{text}");
        }
    }

    #[test]
    fn basic_credentials_are_found_wherever_they_begin() {
        use base64::Engine as _;
        use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
        let vault = Vault::default();
        vault.learn(SecretKind::Password, "hunter2~~?");
        let redactor = vault.redactor();
        for user in ["", "a", "ab", "abc", "abcd"] {
            let pair = format!("{user}:hunter2~~?");
            for text in [STANDARD.encode(&pair), URL_SAFE_NO_PAD.encode(&pair)] {
                let shown = redactor.text(&format!("Basic {text}!"));
                assert!(shown.ends_with("‹password 1›!"), "{text}: {shown}");
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
        vault.note(Origin::Answered, SecretKind::RefreshToken, "refresh-1234");
        assert_eq!(vault.redactor().text("refresh-1234"), "‹refresh_token 1›");
    }

    #[test]
    fn a_space_behind_a_backslash_hides_nothing_in_a_form() {
        let vault = Vault::default();
        vault.learn(SecretKind::AccessToken, "\\ &AAAA0a0a");
        let redactor = vault.redactor();
        for text in ["<%5C+%26amp%3BAAAA0a0a>", "<%5C+%26AAAA0a0a>", "<\\ &amp;AAAA0a0a>"] {
            assert_eq!(redactor.text(text), "<‹access_token 1›>", "{text}");
        }
    }

    #[test]
    fn what_reads_as_an_escape_in_a_secret_hides_nothing_in_another() {
        let vault = Vault::default();
        vault.learn(SecretKind::AccessToken, "41hn&&5df9hymymnkzwz\\");
        let redactor = vault.redactor();
        for text in ["<41hn&amp;&amp;5df9hymymnkzwz\\>", "<41hn%26%265df9hymymnkzwz%5C>"] {
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
        let shown = redactor.text("password, Password and pass word");
        assert_eq!(shown, "‹password 1›, ‹password 1› and ‹password 1›");
        assert_eq!(redactor.text(&shown), shown);
        assert!(redactor.found_in(&shown).is_empty());
    }

    #[test]
    fn short_secrets_are_found_only_as_they_are_written() {
        let vault = Vault::default();
        vault.learn(SecretKind::Password, "hush");
        let redactor = vault.redactor();
        assert_eq!(
            redactor.text("h ush HUSH hush h\n  ush"),
            "h ush HUSH ‹password 1› ‹password 1›"
        );
    }

    #[test]
    fn the_beginning_of_a_secret_in_front_of_an_ellipsis_goes_too() {
        let vault = Vault::default();
        vault.learn(SecretKind::AccessToken, "syt_abcdefghijkl");
        let redactor = vault.redactor();
        assert_eq!(redactor.text("\"syt_abcdefg… and so on"), "\"‹access_token 1›… and so on");
        assert_eq!(redactor.text("syt_abc..."), "syt_abc...");
    }

    #[test]
    fn very_long_secrets_have_one_name() {
        let vault = Vault::default();
        let long: String = (0..2000).map(|n| format!("{n}-")).collect();
        vault.learn(SecretKind::Token, &long);
        assert_eq!(vault.redactor().text(&format!("x{long}x")), "x‹token 1›x");
    }
}
