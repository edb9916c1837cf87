//! What the references of a case name while it runs.
use crate::accounts::account::AccountView;
use crate::accounts::random::{NoRandomSource, generate};
use crate::case::template::{self, Scope};
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
        if let Some(member) = name.strip_prefix("new.") {
            return self.fresh(member);
        }
        if let Some(value) = self.given.get(name) {
            return Some(value.clone());
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
