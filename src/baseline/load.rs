//! Reading a baseline file, and holding it against register and cases.
use super::{BLOCKED, Baseline, BlockedEntry, Entry, Key, Place, STANDING, ServerRange, TODO};
use crate::case::suite::Suite;
use crate::check::whole_run::CHECKS;
use crate::model::reason::ReasonCode;
use crate::requirements::Register;
use crate::yaml::diagnostic::{Diagnostic, did_you_mean};
use crate::yaml::document::de::{Text, checked, text, unknown, with_help};
use crate::yaml::document::{Document, Part};
use crate::yaml::reader::Reader;
use jiff::civil::Date;
use serde::{Deserialize, Deserializer};
use std::collections::HashMap;

/// The list of findings.
pub const ROOT: &str = "findings";
/// Parts outside cases in which a standing finding can occur.
const OUTSIDE: [&str; 5] = ["probe", "accounts", "operator", "sessions", "clean-up"];

/// Reads a baseline, strictly.
///
/// # Errors
/// Every fault of the file: an unknown key, an entry without reason or place, a date or a range that is none,
/// an entry that stands there twice, a requirement or a case that does not exist or has nothing to do with the other.
pub fn load(
    document: &Document,
    register: &Register,
    suite: &Suite,
) -> Result<Baseline, Vec<Diagnostic>> {
    let (reader, root) = Reader::new(document);
    let mut file = BaselineReader { reader, known: KnownIds::new(register, suite) };
    // An empty file, or one of comments alone, is a baseline that nothing was found for yet.
    let list = match root.value().is_null() {
        true => None,
        false => {
            file.reader.object(root, "a baseline", &[ROOT, BLOCKED]);
            match root.member(BLOCKED) {
                Some(_) => root.member(ROOT),
                None => file.reader.required(root, "a baseline", ROOT),
            }
        }
    };
    let blocked = file.blocked(root);
    let mut entries: Vec<(Entry, Part<'_>)> = Vec::new();
    if let Some(list) = list.filter(|list| !list.value().is_null()) {
        if !list.value().is_array() {
            file.reader.fault(list, format!("`{ROOT}` must be a list"));
        }
        for part in list.items() {
            if let Some(entry) = file.entry(part) {
                file.refuse_double(&entry, part, &entries);
                entries.push((entry, part));
            }
        }
    }
    let entries = entries.into_iter().map(|(entry, _)| entry).collect();
    file.reader.finish(Baseline { file: document.name().to_owned(), entries, blocked })
}

/// Warnings: entries that nobody has explained yet.
pub fn warnings(document: &Document, baseline: &Baseline) -> Vec<Diagnostic> {
    let entries = baseline.entries.iter().enumerate();
    let of_entries = entries.filter(|(_, entry)| entry.reason == TODO).map(|(index, entry)| {
        let text = format!("`{}` in `{}` has no reason yet", entry.key.requirement, entry.key.case);
        (format!("/{ROOT}/{index}/reason"), text)
    });
    let blocked = baseline.blocked.iter().enumerate();
    let of_blocked = blocked.filter(|(_, entry)| entry.reason == TODO).map(|(index, entry)| {
        let text = format!("blocked `{}` has no reason yet", entry.requirement);
        (format!("/{BLOCKED}/{index}/reason"), text)
    });
    let warning = |(pointer, text): (String, String)| {
        let help = "say why it is accepted, and until when";
        Diagnostic::at(document, &pointer, text).with_help(help).into_warning()
    };
    of_entries.chain(of_blocked).map(warning).collect()
}

struct KnownIds<'a> {
    register: &'a Register,
    checks: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> KnownIds<'a> {
    fn new(register: &'a Register, suite: &'a Suite) -> KnownIds<'a> {
        let of_files = suite
            .cases()
            .map(|case| (case.id.as_str(), case.checks.iter().map(String::as_str).collect()));
        let of_run = CHECKS.iter().map(|check| (check.id, vec![check.requirement]));
        KnownIds { register, checks: of_files.chain(of_run).collect() }
    }

    /// Requirements that a case decides. Rows that the server's specification makes are known by
    /// the case.
    fn checks(&self, case: &str) -> Option<&Vec<&'a str>> {
        let whole = || case.split_once('[').map(|(whole, _)| whole);
        self.checks.get(case).or_else(|| self.checks.get(whole()?))
    }

    fn near(&self, case: &str) -> Option<&'a str> {
        let mut ids: Vec<&str> = self.checks.keys().copied().chain([STANDING]).collect();
        // A map has no order, and of two that are as near the first is offered.
        ids.sort_unstable();
        did_you_mean(case, ids)
    }
}

/// An entry as written: each member by itself is right.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct WrittenEntry {
    #[serde(deserialize_with = "text")]
    requirement: Option<String>,
    #[serde(deserialize_with = "text")]
    case: Option<String>,
    pointer: Option<String>,
    #[serde(deserialize_with = "text")]
    branch: Option<String>,
    #[serde(deserialize_with = "status")]
    status: Option<u16>,
    #[serde(deserialize_with = "text")]
    operation: Option<String>,
    blocks: Vec<Text>,
    #[serde(deserialize_with = "text")]
    seen_in: Option<String>,
    #[serde(deserialize_with = "text")]
    reason: Option<String>,
    #[serde(deserialize_with = "link")]
    issue: Option<String>,
    #[serde(deserialize_with = "server")]
    server: Option<ServerRange>,
    #[serde(deserialize_with = "date")]
    expires: Option<Date>,
}

/// A blocked requirement as written.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct WrittenBlocked {
    #[serde(deserialize_with = "text")]
    requirement: Option<String>,
    #[serde(deserialize_with = "reason_code")]
    reason_code: Option<ReasonCode>,
    #[serde(deserialize_with = "text")]
    reason: Option<String>,
    #[serde(deserialize_with = "date")]
    expires: Option<Date>,
}

/// The code of a reason that can be accepted by name.
fn reason_code<'d, D: Deserializer<'d>>(source: D) -> Result<Option<ReasonCode>, D::Error> {
    checked(source, |Text(word)| {
        let known = ReasonCode::ALL.iter().copied().find(|code| code.as_str() == word);
        let Some(code) = known else {
            let words = ReasonCode::ALL.iter().filter(|code| refusal(**code).is_none());
            return Err(unknown(
                &word,
                "a reason for blocked requirements",
                words.map(|c| c.as_str()),
            ));
        };
        match refusal(code) {
            Some((text, help)) => {
                Err(with_help(format!("`{word}` is never accepted by name: {text}"), help))
            }
            None => Ok(Some(code)),
        }
    })
}

/// Why a requirement that is not decided for such a reason is not accepted by name, and what to do.
fn refusal(code: ReasonCode) -> Option<(&'static str, &'static str)> {
    use ReasonCode as Code;
    Some(match code {
        Code::Because => (
            "it follows from a broken requirement",
            "list it under `blocks` of the entry for the cause; `--update-baseline` does",
        ),
        Code::Gateway => (
            "something in front of the homeserver answered",
            "repair what is in front, or test the homeserver without it",
        ),
        Code::Panic | Code::UnknownRequirement | Code::UnusableSchema => {
            ("it is an internal error of homespec", "please report it")
        }
        Code::Interrupted | Code::FailFast => ("the run did not end", "let it finish"),
        Code::Version
        | Code::Note
        | Code::NotOffered
        | Code::NotInSpec
        | Code::NotProvided
        | Code::NotAllowed
        | Code::NotWaited
        | Code::NotObserved
        | Code::Untestable
        | Code::NoCase
        | Code::NotSelected => ("nothing is blocked for it", "remove the entry"),
        Code::NoAccount
        | Code::Operator
        | Code::Account
        | Code::WrongPasswords
        | Code::Registration
        | Code::RateLimited
        | Code::Setup
        | Code::NotReached
        | Code::InteractiveAuth
        | Code::RefusedByPolicy
        | Code::NoAnswer
        | Code::Timeout
        | Code::Unreachable
        | Code::TargetLost
        | Code::TooLarge
        | Code::TooLong
        | Code::Compressed
        | Code::Request
        | Code::NotDiscovered
        | Code::NotAHomeserver
        | Code::NoRandomSource => return None,
    })
}

fn status<'d, D: Deserializer<'d>>(source: D) -> Result<Option<u16>, D::Error> {
    checked(source, |status: u16| match status {
        100..600 => Ok(Some(status)),
        _ => Err("`status` is a status code, 100 to 599"),
    })
}

fn link<'d, D: Deserializer<'d>>(source: D) -> Result<Option<String>, D::Error> {
    checked(source, |Text(link)| {
        match link.starts_with("https://") || link.starts_with("http://") {
            true => Ok(Some(link)),
            false => Err("`issue` is a link, with https:// or http://"),
        }
    })
}

fn server<'d, D: Deserializer<'d>>(source: D) -> Result<Option<ServerRange>, D::Error> {
    const HELP: &str = "written as `Synapse`, `Synapse >=1.150, <1.170` or `>=1.150`";
    let fault = |why| with_help(format!("`server`: {why}"), HELP);
    checked(source, |Text(range)| ServerRange::parse(&range).map(Some).map_err(fault))
}

/// A day. The parser would take much more, times and week dates among it.
fn date<'d, D: Deserializer<'d>>(source: D) -> Result<Option<Date>, D::Error> {
    checked(source, |Text(date)| match date.parse() {
        Ok(day) if date.len() == "2027-01-31".len() => Ok(Some(day)),
        _ => Err(with_help(format!("`{date}` is not a date"), "written as 2027-01-31")),
    })
}

struct BaselineReader<'d> {
    reader: Reader<'d>,
    known: KnownIds<'d>,
}

impl<'d> BaselineReader<'d> {
    fn entry(&mut self, part: Part<'d>) -> Option<Entry> {
        const REQUIRED: [&str; 3] = ["requirement", "case", "reason"];
        let written: WrittenEntry =
            self.reader.read(part, "an entry of a baseline", &REQUIRED, &[])?;
        if let Some(requirement) = &written.requirement {
            self.refuse_unknown_requirement(part, requirement);
            if let Some(case) = &written.case {
                self.refuse_unknown_case(part, requirement, case);
            }
        }
        if let Some(seen_in) = &written.seen_in {
            self.refuse_unknown_part(part, seen_in, written.case.as_deref() == Some(STANDING));
        }
        let blocks: Vec<String> = written.blocks.into_iter().map(|Text(id)| id).collect();
        if let Some(list) = part.member("blocks") {
            for (item, id) in list.items().zip(&blocks) {
                self.refuse_unknown_id(item, id);
            }
        }
        let place = self.place(part, written.pointer, written.branch);
        let WrittenEntry { status, operation, seen_in, issue, server, expires, .. } = written;
        let (requirement, case) = (written.requirement?, written.case?);
        let key = Key { requirement, case, place: place?, status, operation };
        let (reason, line) = (written.reason?, part.line());
        Some(Entry { key, blocks, seen_in, reason, issue, server, expires, line })
    }

    /// The requirements that are accepted as blocked.
    fn blocked(&mut self, root: Part<'d>) -> Vec<BlockedEntry> {
        const REQUIRED: [&str; 3] = ["requirement", "reason_code", "reason"];
        const WHAT: &str = "a blocked requirement";
        let Some(list) = root.member(BLOCKED).filter(|list| !list.value().is_null()) else {
            return Vec::new();
        };
        if !list.value().is_array() {
            self.reader.fault(list, format!("`{BLOCKED}` must be a list"));
        }
        let mut entries: Vec<(BlockedEntry, Part<'d>)> = Vec::new();
        for part in list.items() {
            let Some(written) = self.reader.read::<WrittenBlocked>(part, WHAT, &REQUIRED, &[])
            else {
                continue;
            };
            if let Some(requirement) = &written.requirement {
                self.refuse_unknown_requirement(part, requirement);
            }
            let WrittenBlocked { requirement, reason_code, reason, expires } = written;
            let (Some(requirement), Some(code), Some(reason)) = (requirement, reason_code, reason)
            else {
                continue;
            };
            let line = part.line();
            let entry = BlockedEntry { requirement, code, reason, expires, line };
            let same = |other: &BlockedEntry| {
                (&other.requirement, other.code) == (&entry.requirement, entry.code)
            };
            if let Some((_, first)) = entries.iter().find(|(other, _)| same(other)) {
                let fault = part.fault("duplicate entry").with_help("remove one of them");
                self.reader.add(fault.with_other_label(first.label("first written here")));
            }
            entries.push((entry, part));
        }
        entries.into_iter().map(|(entry, _)| entry).collect()
    }

    fn refuse_unknown_requirement(&mut self, entry: Part<'d>, id: &str) {
        self.refuse_unknown_id(entry.nearest("requirement"), id);
    }

    fn refuse_unknown_id(&mut self, part: Part<'d>, id: &str) {
        if self.known.register.get(id).is_some() {
            return;
        }
        let near = self.known.register.closest(id).map(|near| format!("did you mean `{near}`?"));
        let help = near.unwrap_or_else(|| "`homespec list --requirements` has them all".to_owned());
        let message = format!("unknown requirement `{id}`");
        self.reader.fault_with_help(part, message, help);
    }

    /// A case that does not exist, or does not decide this: the entry could never cover anything.
    fn refuse_unknown_case(&mut self, entry: Part<'d>, requirement: &str, case: &str) {
        let part = entry.nearest("case");
        let Some(found) = self.known.register.get(requirement) else { return };
        // What decided a note before it was one may be gone; its entry stays valid, and covers nothing.
        if found.informative {
            return;
        }
        if case == STANDING {
            if found.standing.is_empty() {
                let text = format!("no standing check decides `{requirement}`");
                self.reader.fault_with_help(part, text, "name the case that shows it");
            }
            return;
        }
        match self.known.checks(case) {
            Some(checks) if checks.contains(&requirement) => {}
            Some(checks) => {
                let help = format!("it decides: {}", checks.join(", "));
                let text = format!("`{case}` does not decide `{requirement}`");
                self.reader.fault_with_help(part, text, help);
            }
            None => self.refuse_no_case(part, case),
        }
    }

    fn refuse_no_case(&mut self, part: Part<'d>, case: &str) {
        let near = self.known.near(case).map(|near| format!("did you mean `{near}`?"));
        let help = near.unwrap_or_else(|| {
            "`homespec list` has them all; for your own cases, give their folder too".to_owned()
        });
        self.reader.fault_with_help(part, format!("unknown case `{case}`"), help);
    }

    fn refuse_unknown_part(&mut self, entry: Part<'d>, name: &str, is_standing: bool) {
        let part = entry.nearest("seen_in");
        if !is_standing {
            let text = format!("`seen_in` is only for entries with `case: {STANDING}`");
            self.reader.fault(part, text);
        } else if !OUTSIDE.contains(&name) && self.known.checks(name).is_none() {
            self.refuse_no_case(part, name);
        }
    }

    fn place(
        &mut self,
        entry: Part<'d>,
        pointer: Option<String>,
        branch: Option<String>,
    ) -> Option<Place> {
        match (entry.member("pointer"), entry.member("branch")) {
            (Some(_), None) => pointer.map(Place::Pointer),
            (None, Some(_)) => branch.map(Place::Branch),
            (Some(_), Some(branch)) => {
                self.reader.fault(branch, "an entry has a `pointer` or a `branch`, not both");
                None
            }
            (None, None) => {
                let help = "`at` of the finding in a report; `--update-baseline` writes it";
                let text = "an entry has a `pointer` or a `branch`";
                self.reader.fault_with_help(entry, text, help);
                None
            }
        }
    }

    fn refuse_double(&mut self, entry: &Entry, part: Part<'d>, earlier: &[(Entry, Part<'d>)]) {
        let same = |(other, _): &&(Entry, Part<'_>)| {
            other.key == entry.key && other.server == entry.server
        };
        let Some((_, first)) = earlier.iter().find(same) else { return };
        let fault = part.fault("duplicate entry").with_help("remove one of them");
        self.reader.add(fault.with_other_label(first.label("first written here")));
    }
}
