//! Causes that a baseline knows, and what it accepts as their consequences. Pure.
use super::Key;
use super::apply::Active;
use crate::model::run::Verdict;
use std::collections::{BTreeMap, BTreeSet};

/// The broken requirements of a run that a baseline knows in every way in which they are broken, each
/// with the consequences that its entries list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownCauses(BTreeMap<String, BTreeSet<String>>);

impl KnownCauses {
    /// From the findings of a run, each with its verdict.
    pub fn of<'k>(
        active: &Active<'_>,
        findings: impl IntoIterator<Item = (&'k Key, Verdict)>,
    ) -> KnownCauses {
        let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut news: BTreeSet<&str> = BTreeSet::new();
        for (key, _) in findings.into_iter().filter(|(_, verdict)| *verdict >= Verdict::Failed) {
            let mut entries = active.covering(key).peekable();
            if entries.peek().is_none() {
                news.insert(&key.requirement);
            }
            let listed = known.entry(key.requirement.clone()).or_default();
            listed.extend(entries.flat_map(|entry| entry.blocks.iter().cloned()));
        }
        known.retain(|cause, _| !news.contains(cause.as_str()));
        KnownCauses(known)
    }

    /// Whether every way in which this requirement is broken is known.
    pub fn is_known(&self, cause: &str) -> bool {
        self.0.contains_key(cause)
    }

    /// Whether an entry of the cause lists this consequence.
    pub fn accepts(&self, cause: &str, consequence: &str) -> bool {
        self.0.get(cause).is_some_and(|listed| listed.contains(consequence))
    }

    /// Whether this is a consequence of a known cause that no entry of it lists: it is judged on its own.
    pub fn leaves_out(&self, cause: &str, consequence: &str) -> bool {
        self.is_known(cause) && !self.accepts(cause, consequence)
    }
}
