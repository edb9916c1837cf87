//! The matrix as text: for a terminal, for programs, for a page. Pure, and the same for the same matrix.
use super::matrix::{FaultEnd, FaultOutcome, Matrix, QuirkOutcome, Red, Row};
use crate::reference::Kind;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The version of the JSON form. It changes when a member goes or means something else, not when one is added.
pub const SCHEMA_VERSION: u32 = 1;

/// The format of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A line a fault, a quirk and a requirement.
    Table,
    /// One object; `docs/proof.md` names its members.
    Json,
    /// Tables by requirement, fault and quirk.
    Markdown,
}

const KINDS: [Kind; 3] = [Kind::Behaviour, Kind::Data, Kind::Shape];

impl Matrix {
    /// The matrix as text, with a line feed at the end.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Table => table(self),
            Format::Json => format!("{:#}\n", json(self)),
            Format::Markdown => markdown(self),
        }
    }
}

impl Matrix {
    /// Differences between the `also` lists of faults and the result: `+` for a requirement that
    /// broke and is not listed, `-` for one that is listed and holds, then the correct list.
    pub fn proposals(&self) -> String {
        let by_hand = self.faults.iter().filter(|fault| fault.kind != Kind::Shape);
        let differ = by_hand.filter(|f| !(f.unexpected.is_empty() && f.unseen.is_empty()));
        let text: String = differ.map(proposal).collect();
        if text.is_empty() {
            "no `also` list differs from what was seen\n".to_owned()
        } else {
            text
        }
    }
}

fn proposal(fault: &FaultOutcome) -> String {
    let mut text = format!("{} breaks {}\n", fault.name, fault.requirement);
    for Red { requirement, verdict, why } in &fault.unexpected {
        let _ = writeln!(text, "  + {requirement}  {}: {why}", verdict.as_str());
    }
    for requirement in &fault.unseen {
        let _ = writeln!(text, "  - {requirement}");
    }
    let listed = fault.also.iter().copied().filter(|id| !fault.unseen.contains(id));
    let seen = fault.unexpected.iter().map(|red| red.requirement.as_str());
    let also: BTreeSet<&str> = listed.chain(seen).filter(|id| *id != fault.requirement).collect();
    let _ = writeln!(text, "  also: [{}]", also.into_iter().collect::<Vec<_>>().join(", "));
    text
}

fn table(matrix: &Matrix) -> String {
    let mut text = String::new();
    for fault in &matrix.faults {
        let FaultOutcome { name, requirement, verdict, .. } = fault;
        let (word, by) = match &fault.end {
            FaultEnd::Caught => ("caught", format!("{}: {}", verdict.as_str(), list(fault))),
            FaultEnd::Observed => ("observed", String::new()),
            FaultEnd::OutOfReach(why) => ("unshown", why.clone()),
            FaultEnd::Survived(why) => ("SURVIVED", format!("{} {why}", verdict.as_str())),
        };
        let _ = writeln!(text, "{word:10} {name} ({requirement}) {by}");
        reds(&mut text, "UNEXPECTED ", &fault.unexpected);
    }
    for quirk in &matrix.quirks {
        let word = if quirk.flagged.is_empty() { "accepted" } else { "FLAGGED" };
        let _ = writeln!(text, "{word:10} {} {}", quirk.name, changes(quirk, ", "));
        reds(&mut text, "", &quirk.flagged);
    }
    for row in &matrix.requirements {
        let word = if matrix.without_fault.contains(&row.requirement) { "NO FAULT" } else { "" };
        let by: Vec<&str> = row.caught_by.iter().map(String::as_str).collect();
        let Row { requirement, level, .. } = row;
        let counts = format!("{} of {} caught", row.caught(), row.total());
        let _ = writeln!(text, "{word:10} {level:6} {requirement}: {counts} {}", by.join(", "));
    }
    text.push('\n');
    text += &sum(matrix);
    text
}

fn reds(text: &mut String, word: &str, reds: &[Red]) {
    for Red { requirement, verdict, why } in reds {
        let _ = writeln!(text, "  {word}{requirement} {}: {why}", verdict.as_str());
    }
}

fn list(fault: &FaultOutcome) -> String {
    fault.caught_by.join(", ")
}

fn changes(quirk: &QuirkOutcome, between: &str) -> String {
    let one = |change: &super::matrix::Change| {
        format!("{} {}->{}", change.requirement, change.before.as_str(), change.after.as_str())
    };
    quirk.changed.iter().map(one).collect::<Vec<_>>().join(between)
}

/// The whole in a sentence.
fn sum(matrix: &Matrix) -> String {
    let ended = |word| matrix.ended(word);
    format!(
        "{} of {} faults caught, {} survived, {} observed, {} out of reach; {} of {} quirks accepted; {} decided rules \
         without a fault\n",
        ended("caught"),
        matrix.faults.len(),
        ended("survived"),
        ended("observed"),
        ended("out_of_reach"),
        matrix.accepted(),
        matrix.quirks.len(),
        matrix.without_fault.len()
    )
}

fn json(matrix: &Matrix) -> Value {
    let red = |red: &Red| json!({"requirement": red.requirement, "verdict": red.verdict.as_str(), "why": red.why});
    let reds = |reds: &[Red]| reds.iter().map(red).collect::<Vec<_>>();
    let fault = |fault: &FaultOutcome| {
        let why = match &fault.end {
            FaultEnd::OutOfReach(why) | FaultEnd::Survived(why) => Some(why),
            FaultEnd::Caught | FaultEnd::Observed => None,
        };
        json!({
            "name": fault.name, "kind": fault.kind.as_str(), "requirement": fault.requirement,
            "clause": fault.clause, "about": fault.about, "operation": fault.operation,
            "steady": fault.steady, "end": fault.end.as_str(), "why": why,
            "verdict": fault.verdict.as_str(), "caught_by": fault.caught_by,
            "unexpected": reds(&fault.unexpected),
        })
    };
    let quirk = |quirk: &QuirkOutcome| {
        let changed = quirk.changed.iter().map(|change| {
            json!({
                "requirement": change.requirement, "before": change.before.as_str(),
                "after": change.after.as_str(),
            })
        });
        json!({
            "name": quirk.name, "kind": quirk.kind.as_str(), "about": quirk.about,
            "flagged": reds(&quirk.flagged), "changed": changed.collect::<Vec<_>>(),
        })
    };
    let row = |row: &Row| {
        json!({
            "id": row.requirement, "level": row.level.as_str(), "decided": row.decided,
            "faults": row.faults, "ends": row.ends, "caught_by": row.caught_by,
        })
    };
    json!({
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")},
        "clean": matrix.is_clean(),
        "faults": matrix.faults.iter().map(fault).collect::<Vec<_>>(),
        "quirks": matrix.quirks.iter().map(quirk).collect::<Vec<_>>(),
        "requirements": matrix.requirements.iter().map(row).collect::<Vec<_>>(),
        "without_fault": matrix.without_fault,
    })
}

fn markdown(matrix: &Matrix) -> String {
    let mut text = sum(matrix);
    let of_requirements = matrix.requirements.iter().map(|row| {
        let count = |kind| row.of_kind(kind).to_string();
        let [behaviour, data, shape] = KINDS.map(count);
        let caught = format!("{}{}", row.caught(), not_caught(&row.ends));
        let id = code(&row.requirement);
        vec![id, row.level.to_string(), behaviour, data, shape, caught, catchers(row)]
    });
    section(
        &mut text,
        "By requirement",
        &["requirement", "level", "behaviour", "data", "shape", "caught", "by"],
        of_requirements,
    );
    let by_hand = matrix.faults.iter().filter(|fault| fault.kind != Kind::Shape).map(|fault| {
        let kind = fault.kind.as_str().to_owned();
        vec![code(fault.name), kind, code(fault.requirement), cell(fault.about), end(fault)]
    });
    section(
        &mut text,
        "Faults written by hand",
        &["fault", "kind", "breaks", "what it does", "end"],
        by_hand,
    );
    section(
        &mut text,
        "Faults made from schemas",
        &["operation", "faults", "caught", "requirements"],
        by_operation(matrix).into_iter(),
    );
    let quirks = matrix.quirks.iter().filter(|quirk| quirk.kind != Kind::Shape).map(|quirk| {
        let kind = quirk.kind.as_str().to_owned();
        let word = if quirk.flagged.is_empty() { "accepted" } else { "flagged" };
        vec![code(quirk.name), kind, cell(quirk.about), word.to_owned(), ways(quirk)]
    });
    section(
        &mut text,
        "Quirks",
        &["quirk", "kind", "what it does", "end", "verdicts that it changes"],
        quirks,
    );
    let made = || matrix.quirks.iter().filter(|quirk| quirk.kind == Kind::Shape);
    let accepted = made().filter(|quirk| quirk.flagged.is_empty()).count();
    let _ = writeln!(
        text,
        "\n{accepted} of {} quirks made from schemas, each an optional member that is absent, are accepted.",
        made().count()
    );
    text
}

/// A heading and a table; nothing if it has no rows.
fn section(text: &mut String, title: &str, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    let _ = writeln!(text, "\n### {title}\n\n| {} |", head.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(head.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
}

fn code(word: &str) -> String {
    format!("`{word}`")
}

/// A text of the tables of faults as one cell.
fn cell(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace('<', "\\<").replace('*', "\\*")
}

/// The results of faults that were not caught, in brackets.
fn not_caught(ends: &BTreeMap<&'static str, usize>) -> String {
    let others = ends.iter().filter(|(word, _)| **word != FaultEnd::Caught.as_str());
    let words: Vec<String> =
        others.map(|(word, count)| format!("{count} {}", word.replace('_', " "))).collect();
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
}

/// The cases without their rows, which are the same question.
fn catchers(row: &Row) -> String {
    let of_case = |id: &String| match id.starts_with("standing::") {
        true => "standing".to_owned(),
        false => code(id.split('[').next().unwrap_or_default()),
    };
    row.caught_by
        .iter()
        .map(of_case)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
        .join(", ")
}

/// The result of a fault; if it was caught, the verdict.
fn end(fault: &FaultOutcome) -> String {
    match &fault.end {
        FaultEnd::Caught => fault.verdict.as_str().to_owned(),
        FaultEnd::Observed => "observed".to_owned(),
        FaultEnd::OutOfReach(why) => format!("out of reach: {}", cell(why)),
        FaultEnd::Survived(why) => format!("survived: {}", cell(why)),
    }
}

/// From which verdict to which, and how often: ids are too many where a server offers little.
fn ways(quirk: &QuirkOutcome) -> String {
    if !quirk.steady {
        return "as the order of the requests has it".to_owned();
    }
    let mut ways: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for change in &quirk.changed {
        let way = (change.before.as_str(), change.after.as_str());
        ways.entry(way).or_default().push(&change.requirement);
    }
    let of_way = |((before, after), ids): (&(&str, &str), &Vec<&str>)| match ids.as_slice() {
        few if few.len() <= 3 => {
            let ids: Vec<String> = few.iter().map(|id| code(id)).collect();
            format!("{before} to {after}: {}", ids.join(", "))
        }
        many => format!("{before} to {after}: {}", many.len()),
    };
    ways.iter().map(of_way).collect::<Vec<_>>().join("; ")
}

fn by_operation(matrix: &Matrix) -> Vec<Vec<String>> {
    let mut operations: BTreeMap<&str, Vec<&FaultOutcome>> = BTreeMap::new();
    for fault in &matrix.faults {
        if let Some(operation) = fault.operation {
            operations.entry(operation).or_default().push(fault);
        }
    }
    let row = |(operation, faults): (&str, Vec<&FaultOutcome>)| {
        let mut ends: BTreeMap<&'static str, usize> = BTreeMap::new();
        for fault in &faults {
            *ends.entry(fault.end.as_str()).or_default() += 1;
        }
        let caught = ends.get(FaultEnd::Caught.as_str()).copied().unwrap_or(0);
        let broken: BTreeSet<&str> = faults.iter().map(|fault| fault.requirement).collect();
        let broken: Vec<String> = broken.into_iter().map(code).collect();
        let caught = format!("{caught}{}", not_caught(&ends));
        vec![code(operation), faults.len().to_string(), caught, broken.join(", ")]
    };
    operations.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::run::{Level, RequirementVerdict};
    use crate::reference::faults;

    fn matrix() -> Matrix {
        let of = |name: &str, end: FaultEnd| {
            let fault = faults().unwrap().iter().find(|fault| fault.name == name).unwrap();
            FaultOutcome {
                caught_by: vec!["good-login[b]".to_owned(), "standing::x".to_owned()],
                verdict: RequirementVerdict::Failed,
                ..FaultOutcome::of(fault, end)
            }
        };
        let survivor = of("login-202", FaultEnd::Survived("a | b".to_owned()));
        let row = Row::new("login.post.ok.status", Level::Must, true);
        let faults = vec![of("login-201", FaultEnd::Caught), survivor];
        Matrix::of(faults, Vec::new(), vec![row], &|_| true)
    }

    #[test]
    fn the_table_says_what_caught_a_fault_and_what_survived() {
        let text = matrix().render(Format::Table);
        let caught =
            "caught     login-201 (login.post.ok.status) failed: good-login[b], standing::x";
        assert!(text.contains(caught), "{text}");
        assert!(
            text.contains("SURVIVED   login-202 (login.post.ok.status) failed a | b"),
            "{text}"
        );
        assert!(text.contains("MUST   login.post.ok.status: 1 of 2 caught"), "{text}");
    }

    #[test]
    fn json_has_a_version_and_a_row_for_each_thing() {
        let value = json(&matrix());
        assert_eq!(value["schema_version"], SCHEMA_VERSION);
        assert_eq!(value["clean"], false);
        assert_eq!(value["faults"][1]["end"], "survived");
        assert_eq!(value["requirements"][0]["faults"], json!({"data": 2}));
        assert_eq!(value["requirements"][0]["ends"], json!({"caught": 1, "survived": 1}));
    }

    #[test]
    fn markdown_keeps_its_cells_apart() {
        let text = matrix().render(Format::Markdown);
        let row = "| `login.post.ok.status` | MUST | 0 | 2 | 0 | 1 (1 survived) | `good-login`, standing |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("survived: a \\| b |"), "{text}");
    }
}
