//! All faults that are written by hand, as `faults.yaml` has them: ways in which the homeserver can be told to break one
//! requirement, while everything else stays by the book.
//!
//! They are written from the clauses of the specification. To add one, write it into its area from the clause alone,
//! without looking at a case: edits where the finished answer can simply be changed, else an entry in `behaviour.rs`.
//! Think of every requirement that an observer then sees broken, and name them in `also`. A test walks over the surface
//! with each fault and wants to see it; where the walk does not lead past the new one, lengthen it.

use super::behaviour::behaviour;
use super::catalogue::{Catalogue, Fault, Kind, Need};
use super::edit::{Change, Edit, Turn, When, keep};
use super::route::Operation;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use thiserror::Error;

const FILE: &str = include_str!("faults.yaml");

/// Why the file of faults cannot be read.
#[derive(Debug, Error)]
pub enum FaultFileError {
    /// It is not YAML.
    #[error("faults.yaml: {0}")]
    Yaml(#[from] serde_yaml::Error),
    /// It is YAML of another form.
    #[error("faults.yaml: {0}")]
    Form(#[from] serde_json::Error),
    /// A fault names a group that there is not.
    #[error("faults.yaml: `{fault}` names `${group}`, which is not a group")]
    Group {
        /// The fault.
        fault: String,
        /// The name of the group.
        group: String,
    },
    /// A fault has no edits, and nothing says what it changes in the policy.
    #[error("faults.yaml: `{0}` has no edits and no entry in behaviour.rs")]
    Nothing(String),
}

/// All faults, by area.
///
/// # Errors
/// The file of faults, read when this is first called, is wrong; a test shows that it is not.
pub fn faults() -> Result<&'static [Fault], &'static FaultFileError> {
    static ALL: LazyLock<Result<Vec<Fault>, FaultFileError>> = LazyLock::new(|| read(FILE));
    ALL.as_ref().map(Vec::as_slice)
}

impl Catalogue {
    /// The faults of the file and these.
    ///
    /// # Errors
    /// As [`faults`].
    pub fn all_faults(
        self,
    ) -> Result<impl Iterator<Item = &'static Fault>, &'static FaultFileError> {
        Ok(faults()?.iter().chain(self.faults))
    }
}

fn read(text: &str) -> Result<Vec<Fault>, FaultFileError> {
    // By way of JSON, so that values are what the schema of the file says and no tags of YAML.
    let value: Value = serde_yaml::from_str(text)?;
    let file: FaultFile = serde_json::from_value(value)?;
    let groups = Groups { ids: file.groups, operations: file.operations };
    let entries = file.areas.into_iter().flat_map(|area| area.faults);
    entries.map(|entry| entry.fault(&groups)).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultFile {
    groups: BTreeMap<String, IdGroup>,
    operations: BTreeMap<String, Vec<Operation>>,
    areas: Vec<Area>,
}

/// Requirements that break together, because they are all seen through the same answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdGroup {
    #[serde(rename = "about")]
    _about: String,
    ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Area {
    #[serde(rename = "area")]
    _area: String,
    faults: Vec<FaultEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultEntry {
    id: String,
    breaks: String,
    #[serde(default)]
    also: Vec<String>,
    clause: String,
    about: String,
    #[serde(default)]
    needs: Need,
    #[serde(default)]
    sometimes: bool,
    #[serde(default)]
    edits: Vec<EditEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditEntry {
    /// All if absent.
    #[serde(default)]
    of: Operations,
    when: When,
    #[serde(default)]
    turn: Turn,
    changes: Vec<Change>,
}

/// Operations by their names, or by that of a group, with a dollar before it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Operations {
    Listed(Vec<Operation>),
    Group(String),
}

impl Default for Operations {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

struct Groups {
    ids: BTreeMap<String, IdGroup>,
    operations: BTreeMap<String, Vec<Operation>>,
}

impl FaultEntry {
    fn fault(self, groups: &Groups) -> Result<Fault, FaultFileError> {
        let mut also = Vec::new();
        for id in self.also {
            let Some(group) = id.strip_prefix('$') else {
                also.push(keep(id));
                continue;
            };
            let unknown = || FaultFileError::Group { fault: self.id.clone(), group: group.into() };
            let group = groups.ids.get(group).ok_or_else(unknown)?;
            also.extend(group.ids.iter().map(|id| keep(id.clone())));
        }
        if self.edits.is_empty() && behaviour(&self.id).is_none() {
            return Err(FaultFileError::Nothing(self.id));
        }
        let edits = self.edits.into_iter().map(|edit| edit.edit(&self.id, groups));
        let edits = edits.collect::<Result<Vec<Edit>, FaultFileError>>()?;
        Ok(Fault {
            name: keep(self.id),
            requirement: keep(self.breaks),
            also: also.leak(),
            clause: keep(self.clause),
            about: keep(self.about),
            kind: if edits.is_empty() { Kind::Behaviour } else { Kind::Data },
            needs: self.needs,
            mild: false,
            place: None,
            sometimes: self.sometimes,
            edits: edits.leak(),
        })
    }
}

impl EditEntry {
    fn edit(self, fault: &str, groups: &Groups) -> Result<Edit, FaultFileError> {
        let on = match &self.of {
            Operations::Listed(operations) => operations.clone(),
            Operations::Group(name) => {
                let name = name.trim_start_matches('$');
                let unknown =
                    || FaultFileError::Group { fault: fault.to_owned(), group: name.to_owned() };
                groups.operations.get(name).ok_or_else(unknown)?.clone()
            }
        };
        let EditEntry { when, turn, changes, .. } = self;
        Ok(Edit { on: on.leak(), when, turn, changes: changes.leak() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behaviour;
    use std::collections::BTreeSet;
    use std::collections::HashSet;

    fn file() -> Value {
        serde_yaml::from_str(FILE).unwrap()
    }

    #[test]
    fn the_file_has_the_form_of_its_schema() {
        let schema: Value = serde_json::from_str(include_str!("faults.schema.json")).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&file())
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}", errors.join("\n"));
    }

    #[test]
    fn the_file_can_be_read() {
        assert!(faults().unwrap().len() > 700);
    }

    #[test]
    fn texts_of_edits_are_json() {
        let of_quirks = super::super::quirks().iter().flat_map(|quirk| quirk.edits);
        let edits = faults().unwrap().iter().flat_map(|fault| fault.edits).chain(of_quirks);
        for change in edits.flat_map(|edit| edit.changes) {
            if let Change::Put(_, text) | Change::Replace(_, text) | Change::Push(_, text) = change
            {
                assert!(serde_json::from_str::<Value>(text).is_ok(), "{text}");
            }
        }
    }

    #[test]
    fn what_is_wrong_with_the_file_is_said() {
        let of = |faults: &str| {
            read(&format!(
                "groups: {{}}\noperations: {{}}\nareas: [{{ area: a, faults: [{faults}] }}]"
            ))
            .unwrap_err()
            .to_string()
        };
        let entry = "id: x, breaks: a.b, clause: c, about: d";
        assert!(of(&format!("{{ {entry} }}")).contains("`x` has no edits"));
        assert!(of(&format!("{{ {entry}, also: [$none] }}")).contains("`$none`"));
        assert!(of(&format!("{{ {entry}, edit: [] }}")).contains("unknown field `edit`"));
        let edit = "when: always, changes: [{ bytes: { type: a/b, hex: 1g } }]";
        assert!(of(&format!("{{ {entry}, edits: [{{ {edit} }}] }}")).contains("hexadecimal"));
        assert!(of("[").contains("faults.yaml: "));
    }

    #[test]
    fn every_change_of_the_policy_belongs_to_a_fault() {
        let all = faults().unwrap().iter().filter(|fault| fault.kind == Kind::Behaviour);
        let names: BTreeSet<&str> = all.map(|fault| fault.name).collect();
        let of_tables = behaviour::names();
        assert_eq!(of_tables.len(), names.len(), "one twice");
        assert_eq!(names, of_tables.into_iter().collect());
    }

    #[test]
    fn every_group_is_used() {
        for group in file()["groups"].as_object().unwrap().keys() {
            assert!(FILE.contains(&format!("[${group}")), "{group}");
        }
        for group in file()["operations"].as_object().unwrap().keys() {
            assert!(FILE.contains(&format!("of: ${group}")), "{group}");
        }
    }

    #[test]
    fn names_are_unique_and_kebab_case() {
        let mut seen = HashSet::new();
        for fault in faults().unwrap() {
            assert!(seen.insert(fault.name), "{} twice", fault.name);
            assert!(
                fault
                    .name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{}",
                fault.name
            );
            assert!(!fault.clause.is_empty() && !fault.about.is_empty(), "{}", fault.name);
        }
        for quirk in super::super::quirks() {
            assert!(seen.insert(quirk.name), "{} twice", quirk.name);
        }
    }

    /// The ids of the register, read as text: this module uses nothing of the rest of the crate.
    #[test]
    fn requirements_are_in_the_register() {
        let path =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/requirements.yaml");
        let Ok(register) = std::fs::read_to_string(path) else { return };
        let ids: HashSet<&str> = register
            .lines()
            .filter_map(|line| line.trim_start_matches(['-', ' ']).strip_prefix("id:"))
            .map(|id| id.trim().trim_matches('"'))
            .collect();
        for fault in faults().unwrap() {
            for id in std::iter::once(&fault.requirement).chain(fault.also) {
                assert!(ids.contains(id), "{}: no requirement {id}", fault.name);
            }
        }
        for quirk in super::super::quirks() {
            for id in quirk.changes {
                assert!(ids.contains(id), "{}: no requirement {id}", quirk.name);
            }
        }
    }
}
