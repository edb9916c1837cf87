//! What the references of a case name while it runs.
use crate::accounts::account::AccountView;
use crate::accounts::random::{NoRandomSource, generate};
use crate::case::near_miss::NearMiss;
use crate::case::signing::Signing;
use crate::case::template::{self, FillError, Scope};
use crate::run::device_keys::{self, NoKeys};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// The values of one running case.
#[derive(Default)]
pub struct Variables {
    /// Those of the file, which may hold references.
    values: BTreeMap<String, Value>,
    /// Those that came in answers: a dollar in there is the server's, and refers to nothing.
    saved: BTreeMap<String, Value>,
    accounts: BTreeMap<String, AccountView>,
    fresh: RefCell<BTreeMap<String, Value>>,
    not_random: Cell<Option<NoRandomSource>>,
    /// `server.*` and `operator.*`.
    given: BTreeMap<String, Value>,
}

impl Variables {
    /// An environment with the case's own values and what the run gives.
    pub fn new(
        values: impl IntoIterator<Item = (String, Value)>,
        accounts: BTreeMap<String, AccountView>,
        given: BTreeMap<String, Value>,
    ) -> Self {
        let (values, saved) = (values.into_iter().collect(), BTreeMap::new());
        let (fresh, not_random) = Default::default();
        Variables { values, saved, accounts, fresh, not_random, given }
    }

    /// Keeps a value for later steps.
    pub fn save(&mut self, name: &str, value: Value) {
        self.saved.insert(name.to_owned(), value);
    }

    /// A value that was kept.
    pub fn saved(&self, name: &str) -> Option<&Value> {
        self.saved.get(name)
    }

    /// The account of that name.
    pub fn account(&self, name: &str) -> Option<&AccountView> {
        self.accounts.get(name)
    }

    /// Gives a value that was made up for this case, and not yet shown to anybody, another value.
    /// True if there was one.
    pub fn rename(&mut self, made_up: &str, value: &str) -> bool {
        let mut fresh = self.fresh.borrow_mut();
        let known = fresh.values_mut().find(|known| known.as_str() == Some(made_up));
        known.map(|known| *known = json!(value)).is_some()
    }

    /// Returns the error of the random source, if a value was needed and could not be made.
    pub fn not_random(&self) -> Option<NoRandomSource> {
        self.not_random.get()
    }

    /// A body with its references replaced, and its device keys made and signed. What came in
    /// answers is taken as it is.
    pub fn body(&self, body: &Value) -> Result<Value, FillError> {
        if let Some(Ok(signing)) = Signing::read(body) {
            return self.device_keys(signing);
        }
        Ok(match body {
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.body(item)).collect::<Result<_, _>>()?)
            }
            Value::Object(members) => {
                let member = |(key, value): (&String, &Value)| {
                    Ok((template::fill_text(key, self)?, self.body(value)?))
                };
                Value::Object(members.iter().map(member).collect::<Result<_, FillError>>()?)
            }
            other => template::fill(other, self)?,
        })
    }

    /// The same for the same device as long as the case runs: a request may be sent again.
    fn device_keys(&self, Signing { user, device }: Signing<'_>) -> Result<Value, FillError> {
        let text = |value: &Value| match template::fill(value, self)? {
            Value::String(text) => Ok(text),
            _ => Err(FillError::NotScalar("sign".to_owned())),
        };
        let (user, device) = (text(user)?, text(device)?);
        let name = format!("sign {user} {device}");
        if let Some(known) = self.fresh.borrow().get(&name) {
            return Ok(known.clone());
        }
        let keys = device_keys::signed(&user, &device).map_err(|why| {
            if let NoKeys::NoRandomSource(error) = why {
                self.not_random.set(Some(error));
            }
            FillError::Unresolved("sign".to_owned())
        })?;
        self.fresh.borrow_mut().insert(name, keys.clone());
        Ok(keys)
    }

    fn fresh(&self, member: &str) -> Option<Value> {
        if let Some(known) = self.fresh.borrow().get(member) {
            return Some(known.clone());
        }
        let value = generate(member).map(Value::String);
        let value = value.inspect_err(|error| self.not_random.set(Some(*error))).ok()?;
        self.fresh.borrow_mut().insert(member.to_owned(), value.clone());
        Some(value)
    }
}

impl Scope for Variables {
    fn get(&self, name: &str) -> Option<Value> {
        self.find(name, &[])
    }
}

impl Variables {
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
        if let Some(member) = name.strip_prefix("new.").filter(|member| !member.contains('.')) {
            return self.fresh(member);
        }
        if let Some(value) = self.given.get(name) {
            return Some(value.clone());
        }
        if let Some((base, miss)) = NearMiss::of(name) {
            let value = self.find(base, above)?;
            return Some(json!(miss.apply(value.as_str()?)));
        }
        let (account, member) = name.split_once('.')?;
        self.accounts.get(account)?.get(member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_values_stay_within_a_case_and_differ_by_number() {
        let variables = Variables::new([], BTreeMap::new(), BTreeMap::new());
        let (first, again) = (variables.get("new.device_id"), variables.get("new.device_id"));
        assert!(first.is_some() && first == again);
        assert_ne!(first, variables.get("new.device_id_2"));
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
        let variables = Variables::new(values, accounts, BTreeMap::new());
        assert_eq!(variables.get("row.user"), Some(json!("@al:x")));
        assert_eq!(["loop", "one", "two"].map(|name| variables.get(name)), [None, None, None]);
    }

    #[test]
    fn a_near_miss_is_of_whatever_has_a_value() {
        let mut variables = Variables::new(
            [("row.token".to_owned(), json!("$session"))],
            BTreeMap::new(),
            BTreeMap::new(),
        );
        variables.save("session", json!("abcdef"));
        for name in ["session.shortened", "row.token.shortened"] {
            assert_eq!(variables.get(name), Some(json!("abc")), "{name}");
        }
        assert!(variables.get("new.token.halved").is_some());
        assert_eq!(variables.get("nothing.halved"), None);
    }

    #[test]
    fn device_keys_are_signed_where_the_file_says_so_and_only_there() {
        let mut variables = Variables::new([], BTreeMap::new(), BTreeMap::new());
        let sign = json!({"sign": {"user": "@al:hs", "device": "$device"}});
        variables.save("device", json!("D"));
        variables.save("answer", sign.clone());
        let body = json!({"device_keys": sign, "${device}": ["$answer"]});
        let filled = variables.body(&body).unwrap();
        assert_eq!(filled["device_keys"]["device_id"], "D");
        assert_eq!(filled["D"], json!([{"sign": {"user": "@al:hs", "device": "$device"}}]));
        assert_eq!(variables.body(&body), Ok(filled), "a request that is repeated is the same");
    }

    /// Or a server could read other values of the run, or send the program round in circles.
    #[test]
    fn a_dollar_in_a_saved_value_is_a_dollar() {
        let mut variables = Variables::new([], BTreeMap::new(), BTreeMap::new());
        for (name, value) in [("a", "$b"), ("b", "$a"), ("c", "5$ ${new.token}")] {
            variables.save(name, json!(value));
            assert_eq!(variables.get(name), Some(json!(value)));
        }
        assert_eq!(template::fill(&json!("<${a}>"), &variables), Ok(json!("<$b>")));
    }
}
