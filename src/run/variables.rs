//! What the references of a case name while it runs.
use crate::accounts::account::AccountView;
use crate::accounts::random::generate;
use crate::case::template::{self, Scope};
use serde_json::{Value, json};
use std::cell::RefCell;
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
        Variables { values, saved, accounts, fresh: RefCell::default(), given }
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
            return Some(self.fresh(member));
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
