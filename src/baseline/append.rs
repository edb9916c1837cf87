//! Adding entries to a baseline file: text goes in at the end of the list, and every byte that was there stays, comments
//! and order included.
use super::BLOCKED;
use super::apply::Additions;
use super::load::ROOT;
use super::{Entry, Place};
use crate::yaml::document::Document;
use serde_json::Value;
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

/// The text of the file with these entries behind the others and further consequences in their entries; of no
/// file, if there is none yet.
///
/// # Errors
/// The list is written in a way that nothing can be put behind it, or into it.
pub fn added(document: Option<&Document>, additions: &Additions) -> Result<String, NoPlace> {
    let Some(document) = document.filter(|_| !additions.blocks.is_empty()) else {
        return appended(document, &additions.entries);
    };
    let mut text = document.text().to_owned();
    // From the end of the file on, so that the places before stay what they are.
    for (index, ids) in additions.blocks.iter().rev() {
        let (at, more) = further(document, *index, ids).ok_or(NoPlace)?;
        text.insert_str(at, &more);
    }
    let extended = Document::parse("baseline", text.as_str()).map_err(|_| NoPlace)?;
    match *extended.value() == with_blocks(document.value(), additions).ok_or(NoPlace)? {
        true => appended(Some(&extended), &additions.entries),
        false => Err(NoPlace),
    }
}

/// What the file has to say with further consequences.
fn with_blocks(value: &Value, additions: &Additions) -> Option<Value> {
    let mut value = value.clone();
    for (index, ids) in &additions.blocks {
        let entry = value.get_mut(ROOT)?.get_mut(*index)?.as_object_mut()?;
        let list = entry.entry("blocks").or_insert_with(|| Value::Array(Vec::new()));
        list.as_array_mut()?.extend(ids.iter().map(|id| Value::from(id.as_str())));
    }
    Some(value)
}

/// Where further consequences of an entry are put, and their text.
fn further(document: &Document, index: usize, ids: &[String]) -> Option<(usize, String)> {
    let text = document.text();
    let entry = format!("/{ROOT}/{index}");
    let column = |at: usize| {
        text.get(..at).map(|before| before.len() - before.rfind('\n').map_or(0, |n| n + 1))
    };
    let end_of_line = |at: usize| Some(text.get(at..)?.find('\n').map_or(text.len(), |n| at + n));
    let listed = document.value().pointer(&entry)?.get("blocks").and_then(Value::as_array);
    let Some(last) = listed.map(|list| list.len()) else {
        // Behind the first line, a list of its own.
        let first = document.span(&format!("{entry}/requirement"))?;
        let line = text.get(..first.start)?.rsplit('\n').next()?;
        let indent = line.find("requirement").or(line.find('"'))?;
        let items: String =
            ids.iter().map(|id| format!("\n{:indent$}  - {}", "", scalar(id))).collect();
        return Some((end_of_line(first.end)?, format!("\n{:indent$}blocks:{items}", "")));
    };
    let last = document.span(&format!("{entry}/blocks/{}", last.checked_sub(1)?))?;
    let before = text.get(..last.start)?.rsplit('\n').next()?;
    if before.trim_start().starts_with('-') && before.trim().len() == 1 {
        let indent = column(last.start)?.checked_sub(2)?;
        let items = ids.iter().map(|id| format!("\n{:indent$}- {}", "", scalar(id)));
        return Some((end_of_line(last.end)?, items.collect()));
    }
    Some((last.end, ids.iter().map(|id| format!(", {}", scalar(id))).collect()))
}

/// The text of the file with these entries behind the others; of no file, if there is none yet.
///
/// # Errors
/// The list is written in a way that nothing can be put behind it.
pub fn appended(document: Option<&Document>, entries: &[Entry]) -> Result<String, NoPlace> {
    let (before, indent, after) = match document {
        None => (format!("{HEAD}{ROOT}:\n"), 2, String::new()),
        Some(document) => begun(document)?,
    };
    let mut text = before;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    for entry in entries {
        text += &written(entry, indent);
    }
    text += &after;
    let before = document.map_or(0, |document| count(document.value()));
    let read = Document::parse("baseline", text.as_str()).map_err(|_| NoPlace)?;
    // Whatever stands around the list, the file has to say what it said and the new entries.
    let kept =
        document.and_then(|document| document.value().get(ROOT)).and_then(|list| list.as_array());
    let now = read.value().get(ROOT).and_then(|list| list.as_array());
    let stays = kept.is_none_or(|kept| now.is_some_and(|now| now.starts_with(kept)));
    let other = |value: &Value| value.get(BLOCKED).cloned();
    let others_stay = document.is_none_or(|one| other(one.value()) == other(read.value()));
    match stays && others_stay && count(read.value()) == before + entries.len() {
        true => Ok(text),
        false => Err(NoPlace),
    }
}

fn count(value: &Value) -> usize {
    value.get(ROOT).and_then(|list| list.as_array()).map_or(0, Vec::len)
}

/// The text that entries can be put behind, how far their dashes are indented, and what follows them.
fn begun(document: &Document) -> Result<(String, usize, String), NoPlace> {
    let text = document.text();
    if document.span(&format!("/{BLOCKED}")).is_some() {
        return before_blocked(document);
    }
    let (text, indent) = at_the_end(document, text)?;
    Ok((text, indent, String::new()))
}

/// The same of a file with blocked requirements: their list comes last.
fn before_blocked(document: &Document) -> Result<(String, usize, String), NoPlace> {
    let text = document.text();
    let key = format!("\n{BLOCKED}:");
    let start = match text.starts_with(key.trim_start()) {
        true => 0,
        false => text.find(&key).ok_or(NoPlace)? + 1,
    };
    let (before, after) = text.split_at_checked(start).ok_or(NoPlace)?;
    // Comments above the key belong to it.
    let lines: Vec<&str> = before.split_inclusive('\n').collect();
    let kept = lines.iter().rposition(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let head: String = lines.iter().take(kept.map_or(0, |at| at + 1)).copied().collect();
    let tail: String = lines.iter().skip(kept.map_or(0, |at| at + 1)).copied().collect();
    let part = Document::parse("baseline", head.as_str()).map_err(|_| NoPlace)?;
    let (head, indent) = at_the_end(&part, &head)?;
    Ok((head, indent, tail + after))
}

fn at_the_end(document: &Document, text: &str) -> Result<(String, usize), NoPlace> {
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
    if !entry.blocks.is_empty() {
        let _ = writeln!(text, "{:indent$}  blocks:", "");
    }
    for id in &entry.blocks {
        let _ = writeln!(text, "{:indent$}    - {}", "", scalar(id));
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
