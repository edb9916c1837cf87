//! Annotations for GitHub Actions: workflow commands on standard output.
use super::digest::{self, Occurrence};
use super::text::{cut, visible};
use crate::model::run::{CaseOutcome, OutdatedEntry, Run, Verdict};

/// GitHub keeps ten annotations of a kind for each step and silently drops the rest.
const LIMIT: usize = 9;
const MESSAGE_LIMIT: usize = 600;

/// At most nine workflow commands for the most severe findings, and a tenth that says how many more
/// there are: `::error` for a broken MUST and for internal errors, `::warning` for a broken SHOULD.
/// Known findings are left out. Each is one line; no text in it can start another command.
pub fn github_annotations(run: &Run) -> Vec<String> {
    let all: Vec<String> = errors(run).chain(of_severity(run, Verdict::Warned)).collect();
    let left = all.len().saturating_sub(LIMIT);
    let more =
        (left > 0).then(|| format!("::notice title=homespec::and {left} more, see the report"));
    all.into_iter().take(LIMIT).chain(more).collect()
}

fn errors(run: &Run) -> impl Iterator<Item = String> {
    let own = run.cases.iter().filter(|c| c.verdict == Verdict::Errored).map(internal_error);
    let lacking = digest::lacking(run).into_iter().filter(|one| one.verdict == Verdict::Failed);
    let lacking =
        lacking.map(|one| command("error", None, &format!("required: {}", one.name), &one.text));
    lacking.chain(outdated(run)).chain(of_severity(run, Verdict::Failed)).chain(own)
}

fn outdated(run: &Run) -> impl Iterator<Item = String> {
    let entry = |entry: &OutdatedEntry, file: &str| {
        let title = format!("baseline: {}", entry.why.as_str());
        command("error", Some((file, entry.line)), &title, &digest::outdated(entry))
    };
    let baseline = run.baseline.iter();
    baseline.flat_map(move |b| b.outdated.iter().map(move |one| entry(one, &b.file)))
}

/// One annotation for each requirement, at the place of its first unknown occurrence.
fn of_severity(run: &Run, severity: Verdict) -> Vec<String> {
    let command = if severity == Verdict::Failed { "error" } else { "warning" };
    let annotation = |issue: &digest::Issue<'_>| {
        let occurrence = issue.occurrences.iter().find(|s| !s.is_known())?;
        let title = format!("{} ({})", issue.id, issue.level_word());
        Some(self::command(command, occurrence.file(), &title, &message(occurrence)))
    };
    digest::issues(run).iter().filter(|i| i.severity == severity).filter_map(annotation).collect()
}

fn message(occurrence: &Occurrence<'_>) -> String {
    match occurrence.finding {
        Some(f) => format!("{}\nexpected: {}\ngot: {}", f.message, f.expected, f.actual),
        None => occurrence.message().to_owned(),
    }
}

fn internal_error(case: &CaseOutcome) -> String {
    let text = case.reason.as_ref().map_or("no reason was recorded", |r| &r.text);
    command("error", Some((&case.file, case.line)), &format!("{} (errored)", case.id), text)
}

fn command(name: &str, place: Option<(&str, u32)>, title: &str, message: &str) -> String {
    let place = place.map(|(file, line)| format!("file={},line={line},", property(file)));
    let message = visible(message);
    format!(
        "::{name} {}title={}::{}",
        place.unwrap_or_default(),
        property(title),
        data(&cut(&message, MESSAGE_LIMIT))
    )
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(&visible(text)).replace(':', "%3A").replace(',', "%2C")
}
