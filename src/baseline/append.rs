//! Adding entries to a baseline file: text goes in at the end of the list, and every byte that was there stays, comments
//! and order included.
use super::load::ROOT;
use super::{Entry, Place};
use crate::yaml::document::Document;
use std::fmt::Write as _;

/// Header of a new file.
const HEAD: &str = "# Deviations that are known and accepted for now: see docs/baseline.md of homespec.\n\
                    # `homespec run URL --baseline FILE --update-baseline` adds to it.\n";

/// Reason why entries cannot be added.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "entries can only be added where `{ROOT}:` is a list with an entry a line and a dash before each; write it so, or \
     empty the file"
)]
pub struct NoPlace;

/// The text of the file with these entries behind the others; of no file, if there is none yet.
///
/// # Errors
/// The list is written in a way that nothing can be put behind it.
pub fn appended(document: Option<&Document>, entries: &[Entry]) -> Result<String, NoPlace> {
    let (mut text, indent) = match document {
        None => (format!("{HEAD}{ROOT}:\n"), 2),
        Some(document) => begun(document)?,
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    for entry in entries {
        text += &written(entry, indent);
    }
    let before = document.map_or(0, |document| count(document.value()));
    let read = Document::parse("baseline", text.as_str()).map_err(|_| NoPlace)?;
    // Whatever stands behind the list, the file has to say what it said and the new entries.
    let kept =
        document.and_then(|document| document.value().get(ROOT)).and_then(|list| list.as_array());
    let now = read.value().get(ROOT).and_then(|list| list.as_array());
    let stays = kept.is_none_or(|kept| now.is_some_and(|now| now.starts_with(kept)));
    match stays && count(read.value()) == before + entries.len() {
        true => Ok(text),
        false => Err(NoPlace),
    }
}

fn count(value: &serde_json::Value) -> usize {
    value.get(ROOT).and_then(|list| list.as_array()).map_or(0, Vec::len)
}

/// The text that entries can be put behind, and how far their dashes are indented.
fn begun(document: &Document) -> Result<(String, usize), NoPlace> {
    let text = document.text();
    if document.value().is_null() {
        // An empty file, or comments alone.
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return Ok((format!("{text}{gap}{ROOT}:\n"), 2));
    }
    let list = document.span(&format!("/{ROOT}")).ok_or(NoPlace)?;
    let Some(first) = document.span(&format!("/{ROOT}/0")) else {
        // `findings: []`, or nothing behind the colon, in which case there is nothing to take out.
        let (head, tail) = (text.get(..list.start).ok_or(NoPlace)?, text.get(list.end..));
        let nothing = matches!(text.get(list), Some("[]" | "null" | "~"));
        let without = format!("{}{}", head.trim_end_matches(' '), tail.ok_or(NoPlace)?);
        return Ok((if nothing { without } else { text.to_owned() }, 2));
    };
    let line = text.get(..first.start).and_then(|before| before.rsplit('\n').next());
    let indent = line.ok_or(NoPlace)?.find('-').ok_or(NoPlace)?;
    Ok((text.to_owned(), indent))
}

fn written(entry: &Entry, indent: usize) -> String {
    let key = &entry.key;
    let mut members = vec![("requirement", scalar(&key.requirement)), ("case", scalar(&key.case))];
    members.push(match &key.place {
        Place::Pointer(pointer) => ("pointer", scalar(pointer)),
        Place::Branch(branch) => ("branch", scalar(branch)),
    });
    members.extend(key.operation.iter().map(|operation| ("operation", scalar(operation))));
    members.extend(key.status.map(|status| ("status", status.to_string())));
    members.extend(entry.seen_in.iter().map(|name| ("seen_in", scalar(name))));
    members.push(("reason", scalar(&entry.reason)));
    let mut text = String::new();
    for (at, (name, value)) in members.iter().enumerate() {
        let dash = if at == 0 { "- " } else { "  " };
        let _ = writeln!(text, "{:indent$}{dash}{name}: {value}", "");
    }
    text
}

/// A string as a YAML scalar: plain where nobody could take it for something else, else quoted as in JSON.
fn scalar(text: &str) -> String {
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._*[]~ -".contains(c);
    let word = text.to_ascii_lowercase();
    let is_other = matches!(
        word.as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    match first && text.chars().all(plain) && !text.ends_with(' ') && !is_other {
        true => text.to_owned(),
        false => serde_json::Value::from(text).to_string(),
    }
}
