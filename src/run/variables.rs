//! What the references of a case name while it runs.
use crate::case::template::{self, Scope};
use crate::model::encoding::escaped;
use crate::http::message::Exchanged;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
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
    /// What was sent.
    pub body: Value,
    /// The exchange.
    pub exchanged: Arc<Exchanged>,
}

/// The localpart of a full Matrix ID, or of what is one already.
pub fn localpart(user: &str) -> &str {
    user.trim_start_matches('@').split(':').next().unwrap_or_default()
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

    fn get(&self, member: &str) -> Option<Value> {
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

/// The values of one running case.
#[derive(Default)]
pub struct Env {
    /// Those of the file, which may hold references.
    values: BTreeMap<String, Value>,
    /// Those that came in answers: a dollar in there is the server's, and refers to nothing.
    saved: BTreeMap<String, Value>,
    accounts: BTreeMap<String, AccountView>,
    fresh: RefCell<BTreeMap<String, Value>>,
    /// `server.*` and `operator.*`.
    given: BTreeMap<String, Value>,
}

impl Env {
    /// An environment with the case's own values and what the run gives.
    pub fn new(
        values: impl IntoIterator<Item = (String, Value)>,
        accounts: BTreeMap<String, AccountView>,
        given: BTreeMap<String, Value>,
    ) -> Self {
        let (values, saved) = (values.into_iter().collect(), BTreeMap::new());
        Env { values, saved, accounts, fresh: RefCell::default(), given }
    }

    /// Keeps a value for later steps.
    pub fn save(&mut self, name: &str, value: Value) {
        self.saved.insert(name.to_owned(), value);
    }

    /// The account of that name.
    pub fn account(&self, name: &str) -> Option<&AccountView> {
        self.accounts.get(name)
    }

    /// Gives a value that was made up for this case, and not yet shown to anybody, another value.
    /// Whether there was one.
    pub fn rename(&mut self, made_up: &str, value: &str) -> bool {
        let mut fresh = self.fresh.borrow_mut();
        let known = fresh.values_mut().find(|known| known.as_str() == Some(made_up));
        known.map(|known| *known = json!(value)).is_some()
    }

    fn fresh(&self, member: &str) -> Value {
        let mut fresh = self.fresh.borrow_mut();
        fresh.entry(member.to_owned()).or_insert_with(|| json!(generate(member))).clone()
    }
}

impl Scope for Env {
    fn get(&self, name: &str) -> Option<Value> {
        self.find(name, &[])
    }
}

impl Env {
    /// The value of a name that stands in the values of those `above`. A cycle ends as unresolved.
    fn find(&self, name: &str, above: &[&str]) -> Option<Value> {
        if let Some(value) = self.saved.get(name) {
            return Some(value.clone());
        }
        if let Some(value) = self.values.get(name) {
            if above.contains(&name) {
                return None;
            }
            let path = [above, &[name]].concat();
            return template::fill(value, &|inner: &str| self.find(inner, &path)).ok();
        }
        if let Some(member) = name.strip_prefix("new.") {
            return Some(self.fresh(member));
        }
        if let Some(value) = self.given.get(name) {
            return Some(value.clone());
        }
        let (account, member) = name.split_once('.')?;
        self.accounts.get(account)?.get(member)
    }
}

/// How every localpart begins that a run makes up.
pub const FRESH: &str = "homespec-";

/// A made-up value: always with a capital and a small letter where the kind allows both, so that a server that folds
/// one into the other shows in every run.
fn generate(member: &str) -> String {
    let kind = member.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
    match kind {
        "device_id" => format!("Hs{}", random_text(8, MIXED)),
        "localpart" => format!("{FRESH}{}", random_text(10, LOWER)),
        "password" => format!("Pw.{}", random_text(20, MIXED)),
        "token" => format!("hsUnknown_{}", random_text(32, MIXED)),
        "unicode" => format!("Grüße 你好 𐍈 {}", random_text(6, MIXED)),
        _ => format!("Homespec {}", random_text(8, MIXED)),
    }
}

const MIXED: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
const LOWER: &[u8] = b"abcdefghijkmnopqrstuvwxyz23456789";

/// So many characters of an alphabet, from the system's random source.
pub fn random_text(length: usize, alphabet: &[u8]) -> String {
    let mut bytes = vec![0; length];
    if getrandom::fill(&mut bytes).is_err() {
        // Without a random source uniqueness within the run is all that can be had.
        static COUNTER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let count = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_le_bytes();
        for (byte, part) in bytes.iter_mut().zip(count.iter().cycle()) {
            *byte = *part;
        }
    }
    bytes
        .iter()
        .map(|byte| {
            char::from(alphabet.get(usize::from(*byte) % alphabet.len()).copied().unwrap_or(b'x'))
        })
        .collect()
}

/// A localpart that no other run uses.
pub fn fresh_localpart() -> String {
    generate("localpart")
}

/// A password that no other run uses.
pub fn fresh_password() -> String {
    generate("password")
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

    #[test]
    fn new_values_stay_within_a_case_and_differ_by_number() {
        let env = Env::new([], BTreeMap::new(), BTreeMap::new());
        let (first, again) = (env.get("new.device_id"), env.get("new.device_id"));
        assert!(first.is_some() && first == again);
        assert_ne!(first, env.get("new.device_id_2"));
    }

    #[test]
    fn values_may_refer_to_others_but_not_to_themselves() {
        let values = [
            ("row.user".to_owned(), json!("@${alice.localpart}:x")),
            ("loop".to_owned(), json!("$loop")),
            ("one".to_owned(), json!({"a": "$two"})),
            ("two".to_owned(), json!(["$one"])),
        ];
        let alice = AccountView { user_id: "@al:hs".to_owned(), ..AccountView::default() };
        let accounts = BTreeMap::from([("alice".to_owned(), alice)]);
        let env = Env::new(values, accounts, BTreeMap::new());
        assert_eq!(env.get("row.user"), Some(json!("@al:x")));
        assert_eq!(["loop", "one", "two"].map(|name| env.get(name)), [None, None, None]);
    }

    /// Or a server could read other values of the run, or send the program round in circles.
    #[test]
    fn a_dollar_in_a_saved_value_is_a_dollar() {
        let mut env = Env::new([], BTreeMap::new(), BTreeMap::new());
        for (name, value) in [("a", "$b"), ("b", "$a"), ("c", "5$ ${new.token}")] {
            env.save(name, json!(value));
            assert_eq!(env.get(name), Some(json!(value)));
        }
        assert_eq!(template::fill(&json!("<${a}>"), &env), Ok(json!("<$b>")));
    }
}
