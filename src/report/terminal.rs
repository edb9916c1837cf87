//! The summary at the end of a run on a terminal: one screen, the result first.
use super::digest::{self, Issue, ReasonGroup};
use super::text::{count, duration, fit, one_line};
use crate::model::run::{OutdatedEntry, Required, RequirementVerdict, Run, Verdict};
use anstyle::{AnsiColor, Style};
use std::path::PathBuf;

/// Lines of a screen; the summary has at most one fewer, for the prompt that follows.
const HEIGHT: usize = 24;
/// The most broken MUSTs in the list.
const BROKEN: usize = 8;
/// The most broken SHOULDs in the list.
const WARNED: usize = 3;
/// The most outdated baseline entries, and lacking required features, in their lists.
const LISTED: usize = 6;
/// The most reasons for blocked requirements in the list.
const BLOCKED: usize = 2;

/// The most lines of each note: the first may be the sentence that says why nothing was tested.
const NOTES: [usize; 2] = [5, 2];

/// The summary of a run: the target, the number of decided requirements, broken and blocked ones with
/// remedies, and the paths of the reports. Ends with a newline; at most 25 lines.
///
/// `width` is the width of the terminal in columns (less than 40 counts as 40); no line but those
/// with paths is longer. Without it the output is no terminal, and nothing is cut or left out. With
/// `color` the outcome is coloured; without it the text is plain.
pub fn terminal(run: &Run, paths: &[PathBuf], width: Option<usize>, color: bool) -> String {
    let page = Page { width: width.map(|width| width.max(40)), color };
    let head = head(run, &page);
    let tail = tail(run, paths, &page);
    // The lists in the middle get what is left, so that neither the answer nor the paths scroll away.
    let room = page.at_most(HEIGHT - 1).saturating_sub(head.len() + tail.len());
    let lines = [head, middle(run, &page, room), tail].concat();
    lines.join("\n") + "\n"
}

/// The width and colours of the output.
struct Page {
    /// None if the output is no terminal.
    width: Option<usize>,
    color: bool,
}

impl Page {
    /// Untrusted text, on one line that fits.
    fn line(&self, text: &str) -> String {
        let indent = text.chars().take_while(|c| *c == ' ').count();
        self.fitted(&format!("{}{}", " ".repeat(indent), one_line(text)))
    }

    fn fitted(&self, text: &str) -> String {
        self.width.map_or_else(|| text.to_owned(), |width| fit(text, width))
    }

    /// So many lines or entries on a terminal, else all there are.
    fn at_most(&self, number: usize) -> usize {
        self.width.map_or(usize::MAX, |_| number)
    }

    /// The same page without so many columns at the left.
    fn indented(&self, columns: usize) -> Page {
        Page { width: self.width.map(|width| width.saturating_sub(columns)), color: self.color }
    }

    fn styled(&self, style: Style, text: &str) -> String {
        let line = self.line(text);
        if self.color { format!("{style}{line}{style:#}") } else { line }
    }

    /// A text on as many lines as it needs, the words kept whole. No line begins with `::`: to GitHub
    /// Actions that is a command, and the words may be a server's.
    fn wrapped(&self, text: &str) -> Vec<String> {
        let text = one_line(text);
        let mut lines: Vec<String> = Vec::new();
        for word in text.split(' ') {
            let is_command = word.starts_with("::");
            let fits = |line: &str| {
                let length = line.chars().count() + 1 + word.chars().count();
                self.width.is_none_or(|width| length <= width)
            };
            match lines.last_mut() {
                Some(line) if fits(line) => {
                    line.push(' ');
                    line.push_str(word);
                }
                // A mark before it takes two columns.
                _ if is_command => {
                    lines.push(format!("· {}", self.indented(2).fitted(word)));
                }
                _ => lines.push(self.fitted(word)),
            }
        }
        lines
    }
}

/// The style of an outcome and of the headings of its kind.
fn style(verdict: Verdict) -> Style {
    let color = match verdict {
        Verdict::Passed => AnsiColor::Green,
        Verdict::Failed | Verdict::Errored => AnsiColor::Red,
        Verdict::Warned | Verdict::Blocked | Verdict::Skipped => AnsiColor::Yellow,
    };
    color.on_default().bold()
}

/// The target and the result.
fn head(run: &Run, page: &Page) -> Vec<String> {
    let worst = match run.exit_status {
        0 => Verdict::Passed,
        1 => Verdict::Failed,
        70 => Verdict::Errored,
        _ => Verdict::Blocked,
    };
    // Every line begins with a word of ours, so that none can start a workflow command.
    let tool = format!("homespec {} on {}", run.tool.version, run.target.base_url);
    let server = format!("Server: {}", digest::server(run));
    let in_front = digest::gateway(run).map(|text| page.styled(style(Verdict::Blocked), &text));
    let mut lines: Vec<String> = in_front.into_iter().collect();
    lines.extend([page.line(&tool), page.line(&server)]);
    lines.extend(digest::selection(run).map(|s| page.line(&s)));
    lines.push(String::new());
    let took = if run.complete { "" } else { ", not complete" };
    let outcome = format!("{} ({}{took})", digest::outcome(run), duration(run.duration_ms));
    lines.push(page.styled(style(worst), &outcome));
    lines.extend(digest::baseline(run).map(|text| page.line(&format!("Baseline: {text}"))));
    lines.extend(page.wrapped(&digest::sentence(run)).into_iter().take(page.at_most(3)));
    if let Some(text) = digest::security_blocked(run) {
        lines.extend(shortened(page.wrapped(&text), page.at_most(2)));
    }
    lines
}

/// The first of these lines; the last of them says if there are more.
fn shortened(mut lines: Vec<String>, most: usize) -> Vec<String> {
    let is_cut = lines.len() > most;
    lines.truncate(most);
    if let Some(last) = lines.last_mut().filter(|_| is_cut) {
        while !last.ends_with(", ") && last.pop().is_some() {}
        last.push('…');
    }
    lines
}

/// Notes for the operator, and the paths of the reports.
fn tail(run: &Run, paths: &[PathBuf], page: &Page) -> Vec<String> {
    let mut lines = Vec::new();
    let shown = run.not_cleaned_up.len().min(page.at_most(1));
    for (at, one) in run.not_cleaned_up.iter().take(shown).enumerate() {
        let more =
            if at + 1 == shown { more(run.not_cleaned_up.len(), shown) } else { String::new() };
        lines.push(page.styled(style(Verdict::Warned), &format!("Not cleaned up: {one}{more}")));
    }
    let shown = run.notes.len().min(page.at_most(NOTES.len()));
    let limits = NOTES.into_iter().chain(std::iter::repeat(usize::MAX));
    for (at, (note, most)) in run.notes.iter().take(shown).zip(limits).enumerate() {
        let more = if at + 1 == shown { more(run.notes.len(), shown) } else { String::new() };
        let wrapped = page.wrapped(&format!("Note: {note}{more}"));
        lines.extend(wrapped.into_iter().take(page.at_most(most)));
    }
    let files: Vec<String> = paths.iter().map(|p| one_line(&p.to_string_lossy())).collect();
    if !files.is_empty() {
        lines.push(String::new());
        // Not cut: a path is there to be copied.
        lines.push(format!("Reports: {}", files.join(" ")));
    }
    lines
}

fn more(total: usize, shown: usize) -> String {
    match total.saturating_sub(shown) {
        0 => String::new(),
        n => format!(" (and {n} more)"),
    }
}

/// A heading with its list.
struct Section {
    heading: String,
    entries: Vec<Vec<String>>,
    /// The name of an entry; may be empty.
    noun: &'static str,
    /// The most entries.
    limit: usize,
    /// Lines that it gets before any other section gets more.
    floor: usize,
}

impl Section {
    /// The number of lines that it needs.
    fn wanted(&self) -> usize {
        let shown: usize = self.entries.iter().take(self.limit).map(Vec::len).sum();
        match self.entries.len() {
            0 => 0,
            n => 1 + shown + usize::from(n > self.limit),
        }
    }

    /// At most `room` lines: the heading, whole entries, how many more there are.
    fn lines(&self, room: usize) -> Vec<String> {
        if self.entries.is_empty() || room == 0 {
            return Vec::new();
        }
        let mut lines = vec![self.heading.clone()];
        for (n, entry) in self.entries.iter().enumerate() {
            let left = self.entries.len() - n;
            let room_for_more = usize::from(left > 1);
            if lines.len() + entry.len() + room_for_more > room {
                if lines.len() < room {
                    let more = match self.noun {
                        "" => format!("{left} more"),
                        noun => count(left, &format!("more {noun}")),
                    };
                    lines.push(format!("  and {more}"));
                }
                break;
            }
            lines.extend(entry.iter().cloned());
        }
        lines
    }
}

/// Broken, errored, warned and blocked requirements, in at most `room` lines.
fn middle(run: &Run, page: &Page, room: usize) -> Vec<String> {
    use Verdict::{Blocked, Errored, Failed, Warned};
    let issues = digest::issues(run);
    let errored = digest::undecided(run, RequirementVerdict::Errored);
    let blocked = digest::undecided(run, RequirementVerdict::Blocked);
    // The first cause is always there, whole.
    let first = |(_, entries): &(String, Vec<Vec<String>>)| entries.first().map_or(0, Vec::len);
    let section = |verdict, (heading, entries): (String, Vec<_>), noun, limit, floor| {
        let heading = page.styled(style(verdict), &heading);
        Section { heading, entries, noun, limit: page.at_most(limit), floor }
    };
    let broken = |title, verdict| issue_list(run, (title, verdict), &issues, page);
    let open = |title, groups: &[_]| reason_list(title, groups, page);
    let causes = broken("Broken", Failed);
    let room_of_causes = (first(&causes) + 2).max(6);
    let sections = [
        section(Failed, lacking_list(run, page), "", LISTED, 3),
        section(Failed, outdated_list(run, page), "", LISTED, 3),
        section(Failed, causes, "", BROKEN, room_of_causes),
        section(Errored, open("Errored (internal error)", &errored), "reason", BLOCKED, 2),
        section(Warned, broken("Warned", Warned), "", WARNED, 1),
        section(Blocked, open("Blocked", &blocked), "reason", BLOCKED, 4),
    ];
    let room = room.saturating_sub(1);
    let mut shares: Vec<usize> = sections.iter().map(|s| s.wanted().min(s.floor)).collect();
    let mut left = room.saturating_sub(shares.iter().sum());
    for (share, section) in shares.iter_mut().zip(&sections) {
        let more = section.wanted().saturating_sub(*share).min(left);
        *share += more;
        left -= more;
    }
    let shared = sections.iter().zip(shares);
    let lines: Vec<String> =
        shared.flat_map(|(section, share)| section.lines(share)).take(room).collect();
    if lines.is_empty() { lines } else { [vec![String::new()], lines].concat() }
}

fn issue_list(
    run: &Run,
    (title, verdict): (&str, Verdict),
    issues: &[Issue<'_>],
    page: &Page,
) -> (String, Vec<Vec<String>>) {
    let all: Vec<&Issue<'_>> = issues.iter().filter(|i| i.severity == verdict).collect();
    let heading = format!("{title}: {}", digest::issue_count(run, verdict, &all));
    let (known, new): (Vec<_>, Vec<_>) = all.into_iter().partition(|i| i.is_known());
    let heading = match known.len() {
        0 => heading,
        n if new.is_empty() => format!("{heading}, {}", if n == 1 { "known" } else { "all known" }),
        n => format!("{heading}, {n} of them known"),
    };
    // Known issues scroll away first.
    (heading, new.into_iter().chain(known).map(|i| issue_lines(i, page)).collect())
}

/// The lines of a finding, and one with what could not be decided because of it.
fn issue_lines(issue: &Issue<'_>, page: &Page) -> Vec<String> {
    let follow = digest::consequences_in_words(&issue.consequences);
    let follow = follow.map(|text| page.line(&format!("    {text}")));
    let message = issue.first().map_or("", |s| s.message());
    let known = if issue.is_known() { " (known)" } else { "" };
    let text = format!("{} {}{known}: {message}", issue.level_word(), issue.id);
    let lines = match issue.severity {
        Verdict::Failed => cause_lines(&text, page),
        _ => vec![page.line(&format!("  {text}"))],
    };
    lines.into_iter().chain(follow).collect()
}

/// The most lines of what is broken, unless what was expected needs more.
const CAUSE_LINES: usize = 2;

/// A broken requirement on as many lines as it needs: what was expected is never cut, what came is cut
/// at the end.
fn cause_lines(text: &str, page: &Page) -> Vec<String> {
    let lines = page.indented(4).wrapped(text);
    let expected =
        text.rfind(", got ").map_or(0, |at| text.get(..at).map_or(0, |t| t.chars().count()));
    let mut length = 0;
    let needed = lines.iter().take_while(|line| {
        length += line.chars().count() + 1;
        length <= expected
    });
    let most = page.at_most(CAUSE_LINES.max(needed.count() + 1));
    let is_cut = lines.len() > most;
    let mut lines: Vec<String> = lines.into_iter().take(most).collect();
    if let Some(last) = lines.last_mut().filter(|_| is_cut) {
        *last = page.indented(4).fitted(&format!("{last} …"));
    }
    let indent =
        |(at, line): (usize, String)| format!("{}{line}", if at == 0 { "  " } else { "    " });
    lines.into_iter().enumerate().map(indent).collect()
}

fn lacking_list(run: &Run, page: &Page) -> (String, Vec<Vec<String>>) {
    let lacking = digest::lacking(run);
    let heading = format!("Missing required features: {}", lacking.len());
    let entry = |one: &&Required| vec![page.line(&format!("  {}: {}", one.name, one.text))];
    (heading, lacking.iter().map(entry).collect())
}

fn outdated_list(run: &Run, page: &Page) -> (String, Vec<Vec<String>>) {
    let outdated = digest::outdated_entries(run);
    let number = match outdated.len() {
        1 => "1 entry".to_owned(),
        n => format!("{n} entries"),
    };
    let heading =
        format!("Baseline out of date: {number}; remove fixed entries, fix or renew expired ones");
    let entry = |one: &OutdatedEntry| {
        let OutdatedEntry { why, requirement, case, place, .. } = one;
        vec![page.line(&format!("  {} {requirement} in {case} ({place})", why.as_str()))]
    };
    (heading, outdated.iter().map(entry).collect())
}

fn reason_list(title: &str, groups: &[ReasonGroup<'_>], page: &Page) -> (String, Vec<Vec<String>>) {
    let number: usize = groups.iter().map(|g| g.requirements.len()).sum();
    let heading = format!("{title}: {}", count(number, "requirement"));
    (heading, groups.iter().map(|g| reason_lines(g, page)).collect())
}

/// A line with the reason and one with the remedy.
fn reason_lines(group: &ReasonGroup<'_>, page: &Page) -> Vec<String> {
    if let Some(cause) = group.cause() {
        return vec![page.line(&format!("  {} because of {cause}", group.requirements.len()))];
    }
    let text = group.texts.first().copied().unwrap_or("no reason was recorded");
    let shown = page.at_most(1).min(group.texts.len());
    let more = more(group.texts.len(), shown.max(1));
    let first = format!("  {} {}: {text}{more}", group.requirements.len(), group.code);
    let further =
        group.texts.iter().take(shown).skip(1).map(|text| page.line(&format!("    {text}")));
    let remedy = group.remedy.map(|r| page.line(&format!("    {r}")));
    [page.line(&first)].into_iter().chain(further).chain(remedy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_begins_with_a_workflow_command() {
        let page = Page { width: Some(12), color: false };
        for text in ["answered ::error::b and ::warning::c", "::error::b", "a ::stop::", ""] {
            let lines = page.wrapped(text);
            assert!(lines.iter().all(|line| !line.trim_start().starts_with("::")), "{lines:?}");
        }
    }
}
