//! Baselines: findings that a project accepts for now; comparing runs.
//!
//! | module | what it does |
//! |---|---|
//! | [`load`] | reads a baseline file, strictly, and holds it against register and cases |
//! | [`apply`] | says of each finding of a run whether it is known, and of each entry whether it still holds |
//! | [`causes`] | says which causes are known, and what is accepted as their consequences |
//! | [`append`] | adds entries to the text of a file without touching the rest |
//!
//! All of it is pure; the command line reads and writes the file.
pub mod append;
pub mod apply;
pub mod causes;
pub mod compare;
pub mod load;
mod server;

pub use server::ServerRange;

use crate::model::reason::ReasonCode;
use jiff::civil::Date;
use std::fmt;

/// The word that stands for the checks on every answer where a case is named.
pub const STANDING: &str = "standing";
/// The operation of a request that no specification file describes.
pub const OTHER: &str = "other";
/// The list of a baseline with blocked requirements, and the word for it where a case is named.
pub const BLOCKED: &str = "blocked";
/// The reason of an entry that nobody has explained yet.
pub const TODO: &str = "TODO";

/// Everything that a project knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Baseline {
    /// The file, as given.
    pub file: String,
    /// In the order of the file.
    pub entries: Vec<Entry>,
    /// Blocked requirements that are accepted by name, in the order of the file.
    pub blocked: Vec<BlockedEntry>,
}

/// A blocked requirement that is accepted by name.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockedEntry {
    /// The requirement that cannot be decided.
    pub requirement: String,
    /// Why it is blocked: for another reason it is not accepted.
    pub code: ReasonCode,
    /// Reason why it is accepted.
    pub reason: String,
    /// The last day on which it holds, in UTC.
    pub expires: Option<Date>,
    /// Its line, from 1.
    pub line: u32,
}

/// One deviation that is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Findings that it covers.
    pub key: Key,
    /// For a cause: the requirements that are accepted as blocked because of it.
    pub blocks: Vec<String>,
    /// For a standing check: the case, or the part outside cases, that showed it.
    pub seen_in: Option<String>,
    /// Reason why it is accepted.
    pub reason: String,
    /// Link to its issue.
    pub issue: Option<String>,
    /// The servers that it is about; any, if not given.
    pub server: Option<ServerRange>,
    /// The last day on which it holds, in UTC.
    pub expires: Option<Date>,
    /// Its line, from 1.
    pub line: u32,
}

/// By what a finding is recognised: never by the words of a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The requirement that is broken.
    pub requirement: String,
    /// The case that shows it, its row included; [`STANDING`] for a check on every answer.
    pub case: String,
    /// Place in the response.
    pub place: Place,
    /// The status of the answer that shows it; any, if not given.
    pub status: Option<u16>,
    /// The operation whose answer shows it, [`OTHER`] for one that no file describes; any, if not given.
    pub operation: Option<String>,
}

/// Place of a finding in a response.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// As in a finding: `status`, `header NAME`, or a JSON Pointer, with `*` for any key and any index.
    Pointer(String),
    /// The branch that was taken and deserves a warning.
    Branch(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Pointer(pointer) if pointer.is_empty() => f.write_str("the whole body"),
            Place::Pointer(pointer) => write!(f, "pointer {pointer}"),
            Place::Branch(branch) => write!(f, "branch {branch}"),
        }
    }
}

impl Key {
    /// Its place in words, next to requirement and case.
    pub fn place_in_words(&self) -> String {
        let mut text = self.place.to_string();
        if let Some(operation) = &self.operation {
            text += &format!(", operation {operation}");
        }
        if let Some(status) = self.status {
            text += &format!(", status {status}");
        }
        text
    }

    /// Returns true if this key of an entry covers that of a finding: a part that it leaves out
    /// matches any.
    pub fn covers(&self, found: &Key) -> bool {
        let any_or = |mine: bool, same: bool| !mine || same;
        self.requirement == found.requirement
            && self.case == found.case
            && self.place.covers(&found.place)
            && any_or(self.status.is_some(), self.status == found.status)
            && any_or(self.operation.is_some(), self.operation == found.operation)
    }
}

impl Place {
    fn covers(&self, found: &Place) -> bool {
        match (self, found) {
            (Place::Branch(mine), Place::Branch(found)) => mine == found,
            (Place::Pointer(mine), Place::Pointer(found)) => covers_pointer(mine, found),
            _ => false,
        }
    }
}

/// An index of a list is any index, on both sides: findings name none.
fn covers_pointer(pattern: &str, pointer: &str) -> bool {
    let tokens = |text: &'_ str| -> Vec<String> {
        without_indices(text).split('/').map(str::to_owned).collect()
    };
    let (mine, found) = (tokens(pattern), tokens(pointer));
    mine.len() == found.len()
        && mine.iter().zip(&found).all(|(mine, found)| mine == found || mine == "*")
}

pub use crate::check::tally::without_indices;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(pointer: &str) -> Key {
        Key {
            requirement: "device.login.echo".into(),
            case: "device-id-is-kept".into(),
            place: Place::Pointer(pointer.into()),
            status: None,
            operation: None,
        }
    }

    #[test]
    fn what_a_key_leaves_out_is_any() {
        let found = Key { status: Some(403), operation: Some("login".into()), ..key("status") };
        assert!(key("status").covers(&found));
        assert!(Key { status: Some(403), ..key("status") }.covers(&found));
        assert!(!Key { status: Some(500), ..key("status") }.covers(&found));
        assert!(!Key { operation: Some("logout".into()), ..key("status") }.covers(&found));
        assert!(!Key { case: "another".into(), ..key("status") }.covers(&found));
    }

    #[test]
    fn a_star_covers_one_key_and_no_more() {
        assert!(key("/devices/*/device_id").covers(&key("/devices/3/device_id")));
        assert!(!key("/devices/*").covers(&key("/devices/3/device_id")));
        assert!(key("/devices/0").covers(&key("/devices/*")), "an entry of an earlier homespec");
        assert!(!key("/devices/a").covers(&key("/devices/b")));
        assert!(key("").covers(&key("")));
        assert!(!key("").covers(&key("status")));
        assert_eq!(without_indices("/devices/12/device_id"), "/devices/*/device_id");
        assert_eq!(without_indices("header Retry-After"), "header Retry-After");
        assert_eq!(without_indices(""), "");
    }

    #[test]
    fn a_branch_and_a_pointer_are_never_the_same() {
        let branch = Key { place: Place::Branch("status".into()), ..key("") };
        assert!(!branch.covers(&key("status")) && !key("status").covers(&branch));
        assert_eq!(branch.place_in_words(), "branch status");
    }
}
