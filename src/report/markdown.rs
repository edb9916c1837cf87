//! `report.md`: for a job summary or a comment on a forge. The answer first, then the numbers, then
//! only what is not passed.
use super::curl::{SECRETS_NOTE, curl};
use super::digest::{
    self, BODY_LIMIT, Exchanges, Issue, Place, ReasonGroup, SHOWN_LIMIT, Showing, VALUE_LIMIT,
};
use super::text::{count, cut, duration, one_line, safe_link, visible};
use crate::outcome::{
    Exchange, LimitHit, OutdatedEntry, Required, RequirementTally, RequirementVerdict, Run, Tally,
    UntrustedText, Verdict,
};

/// GitHub drops a whole summary over 1 MiB, so the report ends well before.
const LIMIT: usize = 900 * 1024;
/// Where the list of issues ends, so that there is room for what was not decided.
const ISSUES_LIMIT: usize = 700 * 1024;
/// What each list keeps free for its own end and for the headings after it.
const RESERVE: usize = 16 * 1024;

/// The run as Markdown (GitHub's flavour; plain CommonMark with tables suffices), under 900 KiB.
///
/// Whatever does not fit is counted (`N more …, see run.json`). Text that a server or a file wrote is
/// inert: no link, no mention, no markup.
pub fn markdown(run: &Run) -> String {
    let mut page = Page { text: String::new() };
    summary(&mut page, run);
    tables(&mut page, run);
    let exchanges = digest::exchanges(run);
    let all = digest::issues(run);
    for (title, gravity) in
        [("Broken", Verdict::Failed), ("Warned", Verdict::Warned), ("Observed", Verdict::Passed)]
    {
        let mut chosen: Vec<_> = all.iter().filter(|i| i.gravity == gravity).collect();
        chosen.sort_by_key(|issue| issue.is_known());
        issues(&mut page, title, &chosen, &exchanges);
    }
    reasons(
        &mut page,
        "Errored (a fault of homespec)",
        &digest::undecided(run, RequirementVerdict::Errored),
    );
    reasons(&mut page, "Blocked", &digest::undecided(run, RequirementVerdict::Blocked));
    reasons(&mut page, "Skipped", &digest::undecided(run, RequirementVerdict::Skipped));
    reasons(&mut page, "Untested", &digest::undecided(run, RequirementVerdict::Untested));
    remarks(&mut page, run);
    page.text
}

/// The report under construction.
struct Page {
    text: String,
}

impl Page {
    /// A block: a paragraph, heading, table or list, with a blank line before it.
    fn block(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(text.trim_end_matches('\n'));
        self.text.push('\n');
    }

    /// The items as blocks, as many as fit below `limit` bytes; says how many are left out.
    fn blocks<T>(&mut self, items: &[T], block: impl Fn(&T) -> String, limit: usize, noun: &str) {
        for (n, item) in items.iter().enumerate() {
            let text = block(item);
            if self.text.len() + text.len() + RESERVE > limit {
                let left = count(items.len() - n, &format!("more {noun}"));
                return self.block(&format!("{left}, see `run.json`."));
            }
            self.block(&text);
        }
    }

    /// A table with as many rows as fit; the cells are Markdown.
    fn table(&mut self, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
        let rule: Vec<String> = head
            .iter()
            .enumerate()
            .map(|(n, _)| if n == 0 { "---" } else { "--:" }.into())
            .collect();
        let head: Vec<String> = head.iter().map(|c| (*c).to_owned()).collect();
        let mut table = row(&head) + &row(&rule);
        let mut left = 0;
        for cells in rows {
            let line = row(&cells);
            if self.text.len() + table.len() + line.len() + RESERVE <= LIMIT {
                table.push_str(&line);
            } else {
                left += 1;
            }
        }
        self.block(&table);
        if left > 0 {
            self.block(&format!("{}, see `run.json`.", count(left, "more row")));
        }
    }
}

fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn summary(page: &mut Page, run: &Run) {
    let target = &run.target;
    page.block(&format!("# homespec: {}", prose(&digest::outcome(run))));
    page.block(&format!("**{}**", prose(&digest::sentence(run))));
    let flows = match target.flows.as_slice() {
        [] => "none listed".to_owned(),
        flows => flows.iter().take(SHOWN_LIMIT).map(|f| code(f)).collect::<Vec<_>>().join(", "),
    };
    let mut lines = vec![
        format!("- Target: {} ({})", code(&target.base_url), prose(&digest::server(run))),
        format!("- Login flows: {flows}"),
        format!("- Specification files: {}", prose(&target.spec)),
        format!(
            "- Run: {} {}, started {}, {}{}, exit status {}",
            prose(&run.tool.name),
            prose(&run.tool.version),
            prose(&run.started_at),
            duration(run.duration_ms),
            if run.complete { "" } else { ", **not complete**" },
            run.exit_status
        ),
    ];
    lines.extend(digest::selection(run).map(|s| format!("- Selection: {}", prose(&s))));
    lines.extend(digest::baseline(run).map(|s| format!("- Baseline: {}", prose(&s))));
    page.block(&lines.join("\n"));
    let required =
        |one: &Required| format!("- {} ({}): {}", code(&one.name), one.verdict, prose(&one.text));
    list(page, "Required", &run.required, required);
    let outdated = |entry: &OutdatedEntry| {
        let place = prose(&format!("{}, line {}", entry.place, entry.line));
        let accepted = prose(&cut(&entry.reason, VALUE_LIMIT));
        let (requirement, case) = (code(&entry.requirement), code(&entry.case));
        format!(
            "- {requirement} in {case} ({place}): {}. It was accepted for: {accepted}",
            prose(&entry.text)
        )
    };
    list(page, "Baseline out of date", digest::outdated_entries(run), outdated);
}

/// The order of verdicts in a table: what wants attention first.
const COLUMNS: [Verdict; 6] = [
    Verdict::Failed,
    Verdict::Errored,
    Verdict::Blocked,
    Verdict::Warned,
    Verdict::Passed,
    Verdict::Skipped,
];

fn tables(page: &mut Page, run: &Run) {
    let words = COLUMNS.map(Verdict::as_str);
    let head = [&[""], words.as_slice(), &["untested"]].concat();
    let rows = [
        ("Requirements that apply", requirement_cells(&digest::applicable(run))),
        ("All requirements", requirement_cells(&run.tally_requirements)),
        ("Cases", [case_cells(&run.tally), vec![String::new()]].concat()),
    ];
    page.table(&head, rows.into_iter().map(|(name, cells)| named(name.into(), cells)));

    page.block("## By area");
    let areas = digest::areas(run);
    let rows = areas.iter().map(|area| named(code_in_table(area.name), case_cells(&area.tally())));
    page.table(&[&["Area (cases)"], words.as_slice()].concat(), rows);
    let groups = digest::groups(run);
    let rows = groups.iter().map(|g| named(code_in_table(g.name), requirement_cells(&g.tally())));
    page.table(&[&["Group (requirements)"], words.as_slice(), &["untested"]].concat(), rows);
}

fn named(name: String, cells: Vec<String>) -> Vec<String> {
    [vec![name], cells].concat()
}

fn case_cells(tally: &Tally) -> Vec<String> {
    COLUMNS.iter().map(|v| number(tally.of(*v))).collect()
}

fn requirement_cells(tally: &RequirementTally) -> Vec<String> {
    let RequirementTally { passed, warned, failed, blocked, skipped, errored, untested } = *tally;
    [failed, errored, blocked, warned, passed, skipped, untested].map(number).to_vec()
}

/// A zero is left out, so that the eye finds what is there.
fn number(n: usize) -> String {
    if n == 0 { String::new() } else { n.to_string() }
}

fn issues(page: &mut Page, title: &str, issues: &[&Issue<'_>], exchanges: &Exchanges<'_>) {
    if issues.is_empty() {
        return;
    }
    page.block(&format!("## {title}: {}", count(issues.len(), "requirement")));
    let with_curl =
        issues.iter().any(|i| i.showings.iter().any(|s| s.exchange(exchanges).is_some()));
    if with_curl {
        page.block(SECRETS_NOTE);
    }
    page.blocks(issues, |i| issue(i, exchanges), ISSUES_LIMIT, "requirement");
}

fn issue(issue: &Issue<'_>, exchanges: &Exchanges<'_>) -> String {
    let known = if issue.is_known() { " (known)" } else { "" };
    let mut parts = vec![
        format!("### {}{known}", code(issue.id)),
        prose(&cut(issue.title(), VALUE_LIMIT)),
        format!("Level: {}. Clause: {}.", prose(&issue.level()), clause(issue)),
    ];
    let (known_ones, news): (Vec<_>, Vec<_>) = issue.showings.iter().partition(|s| s.is_known());
    let showings = news.into_iter().chain(known_ones);
    parts.extend(showings.take(SHOWN_LIMIT).map(|s| showing(s, exchanges)));
    if issue.showings.len() > SHOWN_LIMIT {
        let left = issue.showings.len() - SHOWN_LIMIT;
        parts.push(format!("{}, see `run.json`.", count(left, "more finding")));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

/// A link to the clause, if the register has one that can be followed.
fn clause(issue: &Issue<'_>) -> String {
    let url = issue.requirement.map_or("", |r| r.source_url.as_str());
    match safe_link(url) {
        Some(url) => format!("<{url}>"),
        None if url.is_empty() => "not in the register".into(),
        None => code(url),
    }
}

fn showing(showing: &Showing<'_>, exchanges: &Exchanges<'_>) -> String {
    let mut lines = vec![
        format!("**{}**", prose(&cut(showing.message(), VALUE_LIMIT))),
        String::new(),
        format!("- {}", source(showing)),
    ];
    if let Some(finding) = showing.finding {
        lines.push(format!("- expected: {}", code(&finding.expected)));
        lines.push(format!("- got: {}", code(&finding.actual)));
        lines.push(format!("- at: {}", code(&finding.pointer)));
        if finding.known {
            lines.push("- known: it stands in the baseline".into());
        }
    }
    lines.extend(showing.branch().map(|b| format!("- branch: {}", code(b))));
    let exchange = showing.exchange(exchanges).map(self::exchange);
    let missing = || showing.finding.and_then(|f| f.exchange.as_deref());
    match (exchange, missing()) {
        (Some(text), _) => lines.extend([String::new(), text]),
        (None, Some(id)) => lines.push(format!("- exchange: {}, not in this run", code(id))),
        (None, None) => {}
    }
    lines.join("\n")
}

fn source(showing: &Showing<'_>) -> String {
    let place = showing
        .file()
        .map(|(file, line)| format!(", expectation at {}", code(&format!("{file}:{line}"))))
        .unwrap_or_default();
    match showing.place {
        Place::Case(case) => format!("case: {}{place}", code(&case.id)),
        Place::Standing(s) => format!(
            "check on every answer: broken by {} of {}{place}",
            s.count,
            count(s.observed, "answer")
        ),
    }
}

/// Request, answer and the line that sends it again.
fn exchange(exchange: &Exchange) -> String {
    [
        format!("Exchange {}, {}:", code(&exchange.id), duration(exchange.duration_ms)),
        fence("http", &digest::sent(exchange)),
        fence("http", &digest::came(exchange)),
        fence("sh", &cut(&curl(exchange), BODY_LIMIT)),
    ]
    .join("\n\n")
}

/// How many different sentences of one reason are shown.
const TEXT_LIMIT: usize = 5;

fn reasons(page: &mut Page, title: &str, groups: &[ReasonGroup<'_>]) {
    if groups.is_empty() {
        return;
    }
    let requirements: usize = groups.iter().map(|g| g.requirements.len()).sum();
    let cases: usize = groups.iter().map(|g| g.cases.len()).sum();
    page.block(&format!("## {title}: {}", digest::requirements_and_cases(requirements, cases)));
    page.blocks(groups, reason, LIMIT, "reason");
}

fn reason(group: &ReasonGroup<'_>) -> String {
    let mut parts = vec![format!("### {}: {}", code(group.code), group.number())];
    let texts: Vec<String> =
        group.texts.iter().take(TEXT_LIMIT).map(|t| prose(&cut(t, VALUE_LIMIT))).collect();
    let more = group.texts.len().saturating_sub(TEXT_LIMIT);
    parts.push(texts.join("\n\n"));
    if more > 0 {
        parts.push(format!("{}, see `run.json`.", count(more, "more sentence")));
    }
    parts.extend(group.remedy().map(|r| format!("To decide it: {}.", prose(r))));
    let requirements = group.requirements.iter().map(|r| format!("{} ({})", code(&r.id), r.level));
    parts.push(unfold("Requirements", requirements.collect()));
    parts.push(unfold("Cases", group.cases.iter().map(|c| code(&c.id)).collect()));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

/// How many ids are listed in one place.
const ID_LIMIT: usize = 400;

fn unfold(title: &str, ids: Vec<String>) -> String {
    if ids.is_empty() {
        return String::new();
    }
    let shown = ids.iter().take(ID_LIMIT).cloned().collect::<Vec<_>>().join(", ");
    let more = match ids.len().saturating_sub(ID_LIMIT) {
        0 => String::new(),
        n => format!(", {n} more, see `run.json`"),
    };
    format!("<details><summary>{title}</summary>\n\n{shown}{more}\n\n</details>")
}

/// What the operator is to know beside the verdicts.
fn remarks(page: &mut Page, run: &Run) {
    list(page, "Rate limits met", &run.limits_hit, limit);
    let item = |text: &UntrustedText| format!("- {}", prose(&cut(text, VALUE_LIMIT)));
    list(page, "Not cleaned up", &run.not_cleaned_up, item);
    list(page, "Notes", &run.notes, item);
}

fn limit(hit: &LimitHit) -> String {
    let (operation, times) = (code(&hit.operation), count(hit.count, "time"));
    let (waited, cases) = (duration(hit.waited_ms), count(hit.blocked, "case"));
    format!("- {operation}: {times}, waited {waited}, {cases} blocked")
}

fn list<T>(page: &mut Page, title: &str, items: &[T], item: impl Fn(&T) -> String) {
    if !items.is_empty() {
        page.block(&format!("## {title}"));
        // A blank line between items is still one list.
        page.blocks(items, item, LIMIT, "item");
    }
}

/// Text as prose, on one line, with everything escaped that Markdown or a forge would act on.
pub(super) fn prose(text: &str) -> String {
    let text = one_line(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // An address or a mention is found after escapes are resolved; a comment cuts it in two.
            '@' | '#' if rest.peek().is_some() => {
                out.push(c);
                out.push_str("<!-- -->");
            }
            ':' if rest.peek() == Some(&'/') => out.push_str("&#58;"),
            '.' if ends_with_www(&out) => out.push_str("&#46;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' | '!' => {
                out.push('\\');
                out.push(c);
            }
            // At the start of a line these would begin a list, a heading or a rule.
            '-' | '+' | '=' | '#' if out.is_empty() => {
                out.push('\\');
                out.push(c);
            }
            '.' | ')' if is_list_number(&out, rest.peek()) => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// Whether a full stop here would make a forge take what follows for a web address.
fn ends_with_www(before: &str) -> bool {
    let tail = before.len().checked_sub(3).and_then(|start| before.get(start..));
    tail.is_some_and(|t| t.eq_ignore_ascii_case("www"))
}

/// Whether a full stop or bracket here would make a numbered list of the line.
fn is_list_number(before: &str, next: Option<&char>) -> bool {
    before.chars().all(|c| c.is_ascii_digit()) && next.is_none_or(|c| *c == ' ')
}

/// Text as a code span, on one line and cut; what Markdown or a forge would act on stays text in it.
fn code(text: &str) -> String {
    let text = one_line(&cut(text, VALUE_LIMIT));
    if text.is_empty() {
        return "(empty)".into();
    }
    let ticks = "`".repeat(longest_run(&text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

/// [`code`] for the cell of a table, where a pipe needs a backslash even in a code span.
pub(super) fn code_in_table(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// Text as a fenced block; the fence is longer than any run of backticks in the text.
fn fence(language: &str, text: &str) -> String {
    let text = visible(text);
    let ticks = "`".repeat(longest_run(&text).max(2) + 1);
    format!("{ticks}{language}\n{text}\n{ticks}")
}

/// The length of the longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_inert() {
        let cases = [
            ("a | b", r"a \| b"),
            ("<b>&", "&lt;b&gt;&amp;"),
            ("ask @alice", "ask @<!-- -->alice"),
            ("[x](http://evil)", r"\[x\](http&#58;//evil)"),
            ("www.evil.example", "www&#46;evil.example"),
            ("# no heading", "#<!-- --> no heading"),
            ("- no item", r"\- no item"),
            ("1. no item", r"1\. no item"),
            ("two\nlines", "two lines"),
        ];
        for (text, expected) in cases {
            assert_eq!(prose(text), expected);
        }
    }

    #[test]
    fn no_text_ends_its_own_fence_or_span() {
        assert_eq!(fence("http", "a\n````\nb"), "`````http\na\n````\nb\n`````");
        assert_eq!(code("a `` b"), "```a `` b```");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(code(""), "(empty)");
        assert_eq!(code_in_table("a|b"), "`a\\|b`");
    }
}
