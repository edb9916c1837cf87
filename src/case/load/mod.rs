//! From the text of a case file to [`CaseFile`], or to every fault in it.
//!
//! What can be seen in one file is checked here: shapes, words, references to nothing, steps
//! without expectations. What needs the register or the specification is checked by
//! [`crate::plan::lint()`].
mod case;
mod expect;
mod references;
mod step;

use super::ast::CaseFile;
use super::template;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::document::de::Text;
use crate::yaml::document::{Document, Part};
use crate::yaml::reader::Reader;
use serde::Deserialize;
use serde_json::Value;

/// Members that `$alice.…` may name, for any account name.
#[rustfmt::skip]
pub const ACCOUNT_MEMBERS: [&str; 12] = [
    "user_id", "user", "localpart", "server_name", "password", "password_other_case", "password_shortened", "login",
    "password_escaped", "token", "token_other_case", "device_id",
];
/// Of these, what only a shared session gives.
pub const SESSION_MEMBERS: [&str; 3] = ["token", "token_other_case", "device_id"];
/// Members that `$new.…` may name; `_2` to `_9` behind it give further ones.
pub const NEW_MEMBERS: [&str; 6] =
    ["device_id", "localpart", "password", "token", "text", "unicode"];
/// Members that `$server.…` may name.
pub const SERVER_MEMBERS: [&str; 5] = ["prefix", "name", "api", "scheme", "origin"];

/// Reads one case file. `name` is how readers see it (`cases/device.yaml`); its stem is the area.
///
/// # Errors
/// Every fault of the file, each with its place.
pub fn case_file(document: Document) -> Result<CaseFile, Vec<Diagnostic>> {
    let area = stem(document.name());
    let (mut reader, root) = Reader::new(&document);
    let _: Option<WrittenFile> =
        reader.read(root, "a case file", &["about", "cases"], &["let", "cases"]);
    let lets = named_values(&mut reader, root.member("let"), "`let`");
    let mut cases = Vec::new();
    if let Some(list) = root.member("cases") {
        for part in reader.list(list, "`cases`") {
            let rows = case::read_case(&mut reader, part, &area, document.name(), &lets);
            cases.extend(rows.into_iter().map(std::sync::Arc::new));
        }
    }
    Ok(CaseFile { area, cases: reader.finish(cases)?, document })
}

/// Plain members of a case file; lists and values are read part by part.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct WrittenFile {
    about: Option<Text>,
}

fn stem(name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    file.strip_suffix(".yaml").or_else(|| file.strip_suffix(".yml")).unwrap_or(file).to_owned()
}

type Values = Vec<(String, Value)>;

fn named_values<'d>(reader: &mut Reader<'d>, part: Option<Part<'d>>, what: &str) -> Values {
    let Some(part) = part else { return Vec::new() };
    if !part.value().is_object() {
        reader.fault(part, format!("{what} must be a mapping of names to values"));
    }
    part.members().map(|(name, value)| named_value(reader, name, value)).collect()
}

fn named_value<'d>(reader: &mut Reader<'d>, name: &str, value: Part<'d>) -> (String, Value) {
    if !is_plain_name(name) {
        reader.add(value.key_fault(format!("`{name}` is not a name")).with_help(NAMES));
    }
    check_syntax(reader, value);
    (name.to_owned(), value.value().clone())
}

const NAMES: &str = "names are lower-case letters, digits and `_`";

fn is_plain_name(name: &str) -> bool {
    template::is_name(name) && !name.contains('.')
}

/// Records strings in a value that have a dollar and are no references.
fn check_syntax(reader: &mut Reader<'_>, part: Part<'_>) {
    let errors = template::syntax_errors(part.value());
    if errors.is_empty() {
        return;
    }
    let at = part.pointer();
    for (below, error) in errors {
        reader.fault(part.document().near(&format!("{at}{below}")), error.to_string());
    }
}

/// Returns true if a name is `new.…` with a known member, or one of its numbered siblings.
pub fn is_new(name: &str) -> bool {
    let Some(member) = name.strip_prefix("new.") else { return false };
    let numbered = member.rsplit_once('_').filter(|(_, n)| matches!(n.as_bytes(), [b'2'..=b'9']));
    NEW_MEMBERS.contains(&numbered.map_or(member, |(first, _)| first))
}
