//! Whether two runs are the same but for times and generated values.
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

/// The shortest word that may be a generated value.
const SHORTEST: usize = 6;
/// Members of answers that are times, or come and go with them.
const TIMES: [&str; 3] = ["last_seen_ts", "last_seen_ip", "expires_in_ms"];
/// How many differences are told.
const MOST: usize = 20;

/// Where two `run.json` differ, apart from times (`started_at`, every `duration_ms`, `Date` headers, when a device was
/// last seen, how long a token lives), the address of the server, and generated values. Those are words of letters and digits, of six characters
/// or more, that stand in for each other one to one throughout both files: a device id of the one run is always the
/// same device id of the other. A verdict, the name of a secret or an order that changed is no such thing, because the
/// words of it stand elsewhere as well. Lists of devices, which servers order by their ids, are compared as sets.
pub fn differences(one: &Path, other: &Path) -> Vec<String> {
    let (one, other) = (normalised(one), normalised(other));
    let (lines, others) = (one.lines().count(), other.lines().count());
    let mut renaming = Renaming::default();
    let pairs: Vec<(&str, &str)> = one.lines().zip(other.lines()).collect();
    // The lists come last: then it is known which device is which.
    let (lists, rest): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(line, _)| is_list(line));
    let differs = rest.into_iter().filter(|(a, b)| !renaming.fits(a, b)).collect::<Vec<_>>();
    let lists = lists.into_iter().filter(|(a, b)| renaming.entries(a) != sorted_entries(b));
    let tell = |(a, b): (&str, &str)| format!("  {}\n  {}", a.trim(), b.trim());
    let mut found: Vec<String> = differs.into_iter().chain(lists).map(tell).take(MOST).collect();
    if lines != others {
        found.push(format!("{lines} and {others} lines"));
    }
    found
}

fn normalised(path: &Path) -> String {
    let mut run: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let url = run["target"]["base_url"].as_str().unwrap().to_owned();
    let address = url.rsplit("//").next().unwrap().to_owned();
    without_times(&mut run);
    // Base64 is more than one word.
    let key = regex::Regex::new(r#"(ed25519:[^"\\]*\\?":\s?\\?")[A-Za-z0-9+/]+"#).unwrap();
    let text = serde_json::to_string_pretty(&run).unwrap().replace(&address, "homeserver");
    key.replace_all(&text, "${1}KEY").into_owned()
}

fn without_times(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|key, _| !TIMES.contains(&key.as_str()));
            let is_date = members.get("name").is_some_and(|name| name == "date");
            for (key, value) in members {
                match key.as_str() {
                    "duration_ms" | "started_at" => *value = Value::Null,
                    "value" if is_date => *value = Value::Null,
                    "body" => without_times_in_text(value),
                    _ => without_times(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_times),
        _ => {}
    }
}

/// The same inside a body that is JSON.
fn without_times_in_text(body: &mut Value) {
    let text = body.as_str().unwrap_or_default();
    let Ok(mut inside) = serde_json::from_str::<Value>(text) else { return };
    if !TIMES.iter().any(|time| text.contains(time)) {
        return;
    }
    without_times(&mut inside);
    *body = inside.to_string().into();
}

/// Whether a line is a body with a list of devices.
fn is_list(line: &str) -> bool {
    line.contains(r#""{\"devices\":["#)
}

/// The entries of such a line, sorted.
fn sorted_entries(line: &str) -> Vec<String> {
    let inside = line.split("[{").nth(1).and_then(|rest| rest.split("}]").next());
    let mut entries: Vec<String> =
        inside.unwrap_or_default().split("},{").map(str::to_owned).collect();
    entries.sort();
    entries
}

/// Which word of the one stands for which of the other, and back.
#[derive(Default)]
struct Renaming {
    there: HashMap<String, String>,
    back: HashMap<String, String>,
}

impl Renaming {
    /// Whether two lines are the same under the renaming, which grows with them.
    fn fits(&mut self, one: &str, other: &str) -> bool {
        let (ones, others) = (words(one), words(other));
        ones.len() == others.len() && ones.iter().zip(&others).all(|(a, b)| self.stands_for(a, b))
    }

    /// The entries of a list in the words of the other run, sorted.
    fn entries(&self, line: &str) -> Vec<String> {
        let renamed = |word| self.there.get(word).map_or(word, String::as_str);
        let line: String = words(line).into_iter().map(renamed).collect();
        sorted_entries(&line)
    }

    fn stands_for(&mut self, one: &str, other: &str) -> bool {
        if one != other && (one.len() < SHORTEST || other.len() < SHORTEST) {
            return false;
        }
        let there = self.there.entry(one.to_owned()).or_insert_with(|| other.to_owned());
        let back = self.back.entry(other.to_owned()).or_insert_with(|| one.to_owned());
        there == other && back == one
    }
}

/// Runs of letters and digits, and what stands between them.
fn words(line: &str) -> Vec<&str> {
    line.split_inclusive(|c: char| !c.is_ascii_alphanumeric())
        .flat_map(|part| match part.char_indices().next_back() {
            Some((at, last)) if !last.is_ascii_alphanumeric() => vec![&part[..at], &part[at..]],
            _ => vec![part],
        })
        .collect()
}
