//! Reading a baseline file, and holding it against register and cases.
use super::{Baseline, Entry, Key, Place, STANDING, ServerRange, TODO};
use crate::case::suite::Suite;
use crate::check::whole_run::CHECKS;
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::register::Register;
use crate::source::Document;
use crate::strict::{Node, Reader};
use jiff::civil::Date;
use std::collections::HashMap;

/// The one key of the file.
pub const ROOT: &str = "findings";
/// The keys of an entry.
pub const KEYS: [&str; 11] = [
    "requirement",
    "case",
    "pointer",
    "branch",
    "status",
    "operation",
    "seen_in",
    "reason",
    "issue",
    "server",
    "expires",
];
/// Where a standing finding can be seen outside cases.
const OUTSIDE: [&str; 4] = ["probe", "accounts", "sessions", "clean-up"];

/// Reads a baseline, strictly.
///
/// # Errors
/// Every fault of the file: a key that there is not, an entry without reason or place, a date or a range that is none,
/// an entry that stands there twice, a requirement or a case that does not exist or has nothing to do with the other.
pub fn load(
    document: &Document,
    register: &Register,
    suite: &Suite,
) -> Result<Baseline, Vec<Diagnostic>> {
    let (reader, root) = Reader::new(document);
    let mut file = File { reader, document, known: Known::new(register, suite) };
    // An empty file, or one of comments alone, is a baseline that nothing was found for yet.
    let list = match root.value.is_null() {
        true => None,
        false => {
            file.reader.object(&root, "a baseline", &[ROOT]);
            file.reader.required(&root, "a baseline", ROOT)
        }
    };
    let mut entries: Vec<(Entry, String)> = Vec::new();
    if let Some(list) = list.filter(|list| !list.value.is_null()) {
        if !list.value.is_array() {
            file.reader.fault(&list.at, format!("`{ROOT}` is a list"));
        }
        for node in list.items() {
            if let Some(entry) = file.entry(&node) {
                file.refuse_double(&entry, &node.at, &entries);
                entries.push((entry, node.at.clone()));
            }
        }
    }
    match file.reader.faults.is_empty() {
        true => Ok(Baseline {
            file: document.name().to_owned(),
            entries: entries.into_iter().map(|(entry, _)| entry).collect(),
        }),
        false => Err(file.reader.faults),
    }
}

/// What deserves a word and stops nothing: entries that nobody has explained yet.
pub fn warnings(document: &Document, baseline: &Baseline) -> Vec<Diagnostic> {
    let entries = baseline.entries.iter().enumerate();
    let unexplained = entries.filter(|(_, entry)| entry.reason == TODO);
    unexplained
        .map(|(index, entry)| {
            let text =
                format!("`{}` in `{}` has no reason yet", entry.key.requirement, entry.key.case);
            Diagnostic::at(document, &format!("/{ROOT}/{index}/reason"), text)
                .with_help("say why it is accepted, and until when")
                .as_warning()
        })
        .collect()
}

/// The ids that an entry may name.
struct Known<'a> {
    register: &'a Register,
    /// The requirements that each case decides.
    checks: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> Known<'a> {
    fn new(register: &'a Register, suite: &'a Suite) -> Known<'a> {
        let of_files = suite
            .cases()
            .map(|case| (case.id.as_str(), case.checks.iter().map(String::as_str).collect()));
        let of_run = CHECKS.iter().map(|check| (check.id, vec![check.requirement]));
        Known { register, checks: of_files.chain(of_run).collect() }
    }

    /// What a case decides. Rows that the server's specification makes are known by the case.
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

struct File<'d> {
    reader: Reader<'d>,
    document: &'d Document,
    known: Known<'d>,
}

impl<'d> File<'d> {
    fn entry(&mut self, node: &Node<'d>) -> Option<Entry> {
        const WHAT: &str = "an entry of a baseline";
        self.reader.object(node, WHAT, &KEYS)?;
        let requirement = self.id(node, "requirement");
        let case = self.id(node, "case");
        if let Some(requirement) = &requirement {
            self.refuse_unknown_requirement(node, requirement);
        }
        if let (Some(requirement), Some(case)) = (&requirement, &case) {
            self.refuse_unknown_case(node, requirement, case);
        }
        let place = self.place(node);
        let status = self.status(node);
        let operation = self.text(node, "operation");
        let is_standing = case.as_deref() == Some(STANDING);
        let seen_in = self.seen_in(node, is_standing);
        let reason = self.reader.required(node, WHAT, "reason");
        let reason = reason.and_then(|node| self.reader.string(&node, "`reason`"));
        let issue = self.issue(node);
        let (server, expires) = (self.server(node), self.expires(node));
        let key = Key { requirement: requirement?, case: case?, place: place?, status, operation };
        let (reason, line) = (reason?.to_owned(), self.reader.line(&node.at));
        Some(Entry { key, seen_in, reason, issue, server, expires, line })
    }

    fn text(&mut self, node: &Node<'d>, key: &str) -> Option<String> {
        let member = node.member(key)?;
        self.reader.string(&member, &format!("`{key}`")).map(str::to_owned)
    }

    fn id(&mut self, node: &Node<'d>, key: &str) -> Option<String> {
        let member = self.reader.required(node, "an entry of a baseline", key)?;
        self.reader.string(&member, &format!("`{key}`")).map(str::to_owned)
    }

    fn refuse_unknown_requirement(&mut self, node: &Node<'d>, id: &str) {
        if self.known.register.get(id).is_some() {
            return;
        }
        let near = self.known.register.closest(id).map(|near| format!("did you mean `{near}`?"));
        let help = near.unwrap_or_else(|| "`homespec list --requirements` has them all".to_owned());
        let at = format!("{}/requirement", node.at);
        self.reader.fault_with_help(&at, format!("there is no requirement `{id}`"), help);
    }

    /// A case that does not exist, or does not decide this: the entry could never cover anything.
    fn refuse_unknown_case(&mut self, node: &Node<'d>, requirement: &str, case: &str) {
        let at = format!("{}/case", node.at);
        let Some(found) = self.known.register.get(requirement) else { return };
        if case == STANDING {
            if found.standing.is_empty() {
                let text = format!("no standing check decides `{requirement}`");
                self.reader.fault_with_help(&at, text, "name the case that shows it");
            }
            return;
        }
        match self.known.checks(case) {
            Some(checks) if checks.contains(&requirement) => {}
            Some(checks) => {
                let help = format!("it decides: {}", checks.join(", "));
                let text = format!("`{case}` does not decide `{requirement}`");
                self.reader.fault_with_help(&at, text, help);
            }
            None => self.refuse_no_case(&at, case),
        }
    }

    fn refuse_no_case(&mut self, at: &str, case: &str) {
        let near = self.known.near(case).map(|near| format!("did you mean `{near}`?"));
        let help = near.unwrap_or_else(|| {
            "`homespec list` has them all; own cases are known if they are given beside the baseline".to_owned()
        });
        self.reader.fault_with_help(at, format!("there is no case `{case}`"), help);
    }

    fn place(&mut self, node: &Node<'d>) -> Option<Place> {
        match (node.member("pointer"), node.member("branch")) {
            (Some(pointer), None) => match pointer.value.as_str() {
                Some(text) => Some(Place::Pointer(text.to_owned())),
                None => {
                    self.reader.fault(&pointer.at, "`pointer` is a string");
                    None
                }
            },
            (None, Some(branch)) => {
                let name = self.reader.string(&branch, "`branch`")?;
                Some(Place::Branch(name.to_owned()))
            }
            (Some(_), Some(branch)) => {
                self.reader.fault(&branch.at, "an entry has a `pointer` or a `branch`, not both");
                None
            }
            (None, None) => {
                let help = "`at` of the finding in a report; `--update-baseline` writes it";
                let text = "an entry has a `pointer` or a `branch`";
                self.reader.fault_with_help(&node.at, text, help);
                None
            }
        }
    }

    fn status(&mut self, node: &Node<'d>) -> Option<u16> {
        let member = node.member("status")?;
        let status = member.value.as_u64().and_then(|status| u16::try_from(status).ok());
        let status = status.filter(|status| (100..600).contains(status));
        if status.is_none() {
            self.reader.fault(&member.at, "`status` is a status code, 100 to 599");
        }
        status
    }

    fn seen_in(&mut self, node: &Node<'d>, is_standing: bool) -> Option<String> {
        let member = node.member("seen_in")?;
        let name = self.reader.string(&member, "`seen_in`")?;
        if !is_standing {
            let text = format!("`seen_in` belongs to entries with `case: {STANDING}`");
            self.reader.fault(&member.at, text);
        } else if !OUTSIDE.contains(&name) && self.known.checks(name).is_none() {
            self.refuse_no_case(&member.at, name);
        }
        Some(name.to_owned())
    }

    fn issue(&mut self, node: &Node<'d>) -> Option<String> {
        let member = node.member("issue")?;
        let text = self.reader.string(&member, "`issue`")?;
        if !(text.starts_with("https://") || text.starts_with("http://")) {
            self.reader.fault(&member.at, "`issue` is a link, with https:// or http://");
        }
        Some(text.to_owned())
    }

    fn server(&mut self, node: &Node<'d>) -> Option<ServerRange> {
        let member = node.member("server")?;
        let text = self.reader.string(&member, "`server`")?;
        match ServerRange::parse(text) {
            Ok(range) => Some(range),
            Err(why) => {
                let help = "written as `Synapse`, `Synapse >=1.150, <1.170` or `>=1.150`";
                self.reader.fault_with_help(&member.at, format!("`server`: {why}"), help);
                None
            }
        }
    }

    fn expires(&mut self, node: &Node<'d>) -> Option<Date> {
        let member = node.member("expires")?;
        let text = self.reader.string(&member, "`expires`")?;
        // The parser would take much more, times and week dates among it.
        let is_plain = text.len() == "2027-01-31".len();
        let date = Some(text).filter(|_| is_plain).and_then(|text| text.parse().ok());
        if date.is_none() {
            let text = format!("`{text}` is no date");
            self.reader.fault_with_help(&member.at, text, "written as 2027-01-31");
        }
        date
    }

    fn refuse_double(&mut self, entry: &Entry, at: &str, earlier: &[(Entry, String)]) {
        let same =
            |(other, _): &&(Entry, String)| other.key == entry.key && other.server == entry.server;
        let Some((_, first)) = earlier.iter().find(same) else { return };
        let mut fault = Diagnostic::at(self.document, at, "this entry stands here twice");
        if let Some(span) = self.document.span(first) {
            fault = fault.with_other(span, "first written here");
        }
        self.reader.faults.push(fault.with_help("remove one of them"));
    }
}
