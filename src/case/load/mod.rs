//! From the text of a case file to [`CaseFile`], or to every fault in it.
//!
//! What can be seen in one file is checked here: shapes, words, references to nothing, steps
//! without expectations. What needs the register or the specification is checked by
//! [`crate::plan::lint`].
mod case;
mod expect;
mod references;
mod step;

use super::ast::*;
use super::matcher::{Kind, Matcher, Pattern, Range, UrlRule};
use super::template;
use crate::diagnostic::Diagnostic;
use crate::outcome::Level;
use crate::source::Document;
use crate::strict::{Node, Reader, kind};
use crate::version::SpecVersion;
use case::read_case;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// What `$alice.…` may name, for any account name.
pub const ACCOUNT_MEMBERS: [&str; 11] = [
    "user_id",
    "localpart",
    "server_name",
    "password",
    "password_other_case",
    "password_shortened",
    "login",
    "password_escaped",
    "token",
    "token_other_case",
    "device_id",
];
/// Of these, what only a shared session gives.
pub const SESSION_MEMBERS: [&str; 3] = ["token", "token_other_case", "device_id"];
/// What `$new.…` may name; `_2` to `_9` behind it give further ones.
pub const NEW_MEMBERS: [&str; 6] =
    ["device_id", "localpart", "password", "token", "text", "unicode"];
/// What `$server.…` may name.
pub const SERVER_MEMBERS: [&str; 4] = ["prefix", "name", "api", "scheme"];

/// Reads one case file. `name` is how readers see it (`cases/device.yaml`); its stem is the area.
///
/// # Errors
/// Every fault of the file, each with its place.
pub fn case_file(document: Document) -> Result<CaseFile, Vec<Diagnostic>> {
    let area = stem(document.name());
    let (mut reader, root) = Reader::new(&document);
    let mut about = String::new();
    let mut cases = Vec::new();
    if reader.object(&root, "a case file", &["about", "let", "cases"]).is_some() {
        if let Some(node) = reader.required(&root, "a case file", "about") {
            about = reader.string(&node, "`about`").unwrap_or_default().to_owned();
        }
        let lets = named_values(&mut reader, root.member("let"), "`let`", "");
        if let Some(list) = reader.required(&root, "a case file", "cases") {
            for node in reader.list(&list, "`cases`") {
                cases.extend(read_case(&mut reader, &node, &area, document.name(), &lets));
            }
        }
    }
    let faults = reader.faults;
    if faults.is_empty() { Ok(CaseFile { area, about, cases, document }) } else { Err(faults) }
}

fn stem(name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    file.strip_suffix(".yaml").or_else(|| file.strip_suffix(".yml")).unwrap_or(file).to_owned()
}

type Values = Vec<(String, Value)>;

fn named_values(reader: &mut Reader, node: Option<Node>, what: &str, prefix: &str) -> Values {
    let Some(node) = node else { return Vec::new() };
    if !node.value.is_object() {
        reader.fault(&node.at, format!("{what} is a mapping of names to values"));
    }
    let mut values = Vec::new();
    for (name, value) in node.members() {
        if !template::is_name(name) || name.contains('.') {
            reader.fault_at_key(
                &value.at,
                format!("`{name}` is no name"),
                Some("names are lower-case letters, digits and `_`".to_owned()),
            );
        }
        check_syntax(reader, &value);
        values.push((format!("{prefix}{name}"), value.value.clone()));
    }
    values
}

fn check_syntax(reader: &mut Reader, node: &Node) {
    for (below, error) in template::syntax_errors(node.value) {
        reader.fault(&format!("{}{below}", node.at), error.to_string());
    }
}

/// A note is for whoever reads the file, and nothing follows from it.
fn read_note(reader: &mut Reader, node: &Node) {
    if let Some(note) = node.member("note") {
        reader.string(&note, "`note`");
    }
}

/// Whether a name is `new.…` with a known member, or one of its numbered siblings.
pub fn is_new(name: &str) -> bool {
    name.strip_prefix("new.").is_some_and(|member| {
        NEW_MEMBERS.iter().any(|known| {
            member.strip_prefix(known).is_some_and(|rest| {
                rest.is_empty()
                    || rest.strip_prefix('_').is_some_and(|n| {
                        n.len() == 1 && ('2'..='9').contains(&n.chars().next().unwrap_or('0'))
                    })
            })
        })
    })
}
