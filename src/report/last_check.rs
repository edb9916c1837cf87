//! The last check of what is about to be written or printed: whether it still holds a secret.
//!
//! It shares no code with the search that replaced the secrets, and reads the finished text.
use crate::model::run::Run;
use crate::redact::{RedactedRun, Secrets, names_in};
use aho_corasick::AhoCorasick;
use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};

/// A report that could not be made, so that nothing of it is written. No run can cause it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{report} cannot be rendered: {cause}; please report this internal error")]
pub struct RenderError {
    /// The name of its file.
    report: &'static str,
    /// What is wrong with its template or the values it was given.
    cause: String,
}

impl RenderError {
    pub(super) fn new(report: &'static str, cause: &dyn std::error::Error) -> RenderError {
        RenderError { report, cause: cause.to_string() }
    }
}

/// A report that is not shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Withheld {
    /// It would hold secrets, which were to be replaced before.
    #[error(
        "{report} is withheld: it would hold {}; please report this internal error",
        .secrets.join(", ")
    )]
    Leak {
        /// The report, by the name of its file or in words.
        report: String,
        /// The names of the secrets.
        secrets: Vec<String>,
    },
    /// It could not be looked through.
    #[error("{report} is withheld: it could not be checked for secrets ({why})")]
    NotChecked {
        /// The report.
        report: String,
        /// What went wrong.
        why: String,
    },
    /// It could not be rendered.
    #[error(transparent)]
    NotRendered(#[from] RenderError),
}

/// Makes the reports of one run, and looks through each before it is handed out.
pub struct Publisher<'r> {
    run: &'r RedactedRun,
    check: Result<LastCheck<'r>, String>,
    /// The run with its untrusted text made meaningless; made when it is first needed.
    blank: OnceCell<Run>,
}

impl<'r> Publisher<'r> {
    /// For the reports of this run.
    pub fn new(run: &'r RedactedRun) -> Publisher<'r> {
        Publisher { run, check: LastCheck::new(run.secrets()), blank: OnceCell::new() }
    }

    /// What `render` makes of the run; `report` is what to call it.
    ///
    /// # Errors
    /// It holds a secret, or could not be rendered or looked through.
    pub fn render(
        &self,
        report: &str,
        render: impl Fn(&Run) -> Result<String, RenderError>,
    ) -> Result<String, Withheld> {
        let check = self
            .check
            .as_ref()
            .map_err(|why| Withheld::NotChecked { report: report.to_owned(), why: why.clone() })?;
        check.passed(report, render(self.run)?, || {
            render(self.blank.get_or_init(|| blank(self.run)))
        })
    }
}

/// Hands a text out that is no report of a run. `render` makes it, with what it is given over each
/// untrusted text in it, of which secrets are to be replaced already.
///
/// # Errors
/// It holds a secret, or could not be looked through.
pub fn checked(
    report: &str,
    secrets: &Secrets,
    render: impl Fn(&dyn Fn(&str) -> String) -> String,
) -> Result<String, Withheld> {
    let check = LastCheck::new(secrets)
        .map_err(|why| Withheld::NotChecked { report: report.to_owned(), why })?;
    check.passed(report, render(&str::to_owned), || Ok(render(&meaningless)))
}

/// Looks for secrets in finished texts.
struct LastCheck<'s> {
    secrets: &'s Secrets,
    /// Finds how secrets end: where many begin alike, as tokens do, their ends tell them apart.
    ends: AhoCorasick,
    /// For each end the secrets that have it, with their numbers.
    by_end: Vec<Vec<(usize, &'s str)>>,
}

/// How many bytes of its end a secret is found by.
const END: usize = 16;
/// Shorter secrets are looked for only as they stand: behind escapes, or over the end of a line, they
/// would be met by chance.
const SHORT: usize = 8;

/// A way to read the finished text.
type Reading = fn(&[u8]) -> Option<Vec<u8>>;

/// The ways to read a text beside the text itself: without the line breaks that reports put in the
/// place of spaces, and with one and two layers of escapes taken off.
const READINGS: [Reading; 3] = [joined, unescaped, |text| {
    let once = unescaped(text)?;
    Some(unescaped(&once).unwrap_or(once))
}];

impl<'s> LastCheck<'s> {
    fn new(secrets: &'s Secrets) -> Result<LastCheck<'s>, String> {
        let mut numbers: HashMap<&[u8], Vec<(usize, &str)>> = HashMap::new();
        for (number, secret) in secrets.values().enumerate() {
            let from = secret.len().saturating_sub(END);
            let end = secret.as_bytes().get(from..).unwrap_or_default();
            numbers.entry(end).or_default().push((number, secret));
        }
        let (patterns, by_end): (Vec<_>, Vec<_>) = numbers.into_iter().unzip();
        let ends = AhoCorasick::new(&patterns).map_err(|error| error.to_string())?;
        Ok(LastCheck { secrets, ends, by_end })
    }

    /// The text, if nothing is in it that is not in what `blank` makes, too. That is the same text
    /// without anything of others in it: a secret that is a word of ours, such as the password
    /// `password`, is in every report and gives nothing away there.
    fn passed(
        &self,
        report: &str,
        text: String,
        blank: impl FnOnce() -> Result<String, RenderError>,
    ) -> Result<String, Withheld> {
        let mut found = self.found(&text);
        if !found.is_empty() {
            let ours = self.found(&blank()?);
            found.retain(|place, count| ours.get(place).is_none_or(|ours| *count > *ours));
        }
        if found.is_empty() {
            return Ok(text);
        }
        let mut secrets: Vec<String> =
            found.keys().map(|(_, secret)| self.secrets.name(*secret)).collect();
        secrets.sort();
        secrets.dedup();
        Err(Withheld::Leak { report: report.to_owned(), secrets })
    }

    /// How often each secret is there, in each reading.
    fn found(&self, text: &str) -> BTreeMap<(usize, usize), usize> {
        let mut counts = BTreeMap::new();
        self.count(0, text.as_bytes(), &mut counts);
        for (number, reading) in READINGS.iter().enumerate() {
            // A reading that changes nothing is the text itself.
            let read = reading(text.as_bytes());
            self.count(number + 1, read.as_deref().unwrap_or(text.as_bytes()), &mut counts);
        }
        counts
    }

    fn count(&self, reading: usize, text: &[u8], counts: &mut BTreeMap<(usize, usize), usize>) {
        for end in self.ends.find_overlapping_iter(text) {
            let before = text.get(..end.end()).unwrap_or_default();
            let all = self.by_end.get(end.pattern().as_usize()).map_or(&[][..], Vec::as_slice);
            for (number, secret) in all {
                let counts_here = reading == 0 || secret.len() >= SHORT;
                if counts_here && before.ends_with(secret.as_bytes()) {
                    *counts.entry((reading, *number)).or_default() += 1;
                }
            }
        }
    }
}

/// With a space in the place of each line break and the indentation behind it; nothing, if there are
/// none.
fn joined(text: &[u8]) -> Option<Vec<u8>> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let mut all = lines.next()?.to_vec();
    let mut changed = false;
    for line in lines {
        all.push(b' ');
        all.extend_from_slice(line.trim_ascii_start());
        changed = true;
    }
    changed.then_some(all)
}

/// With a layer of escapes taken off, of whatever kind: JSON, Markdown, XML, HTML and percent; nothing,
/// if there are none.
fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    let mut rest = text;
    let mut changed = false;
    while let Some((first, tail)) = rest.split_first() {
        let next = rest.iter().skip(1).position(|b| matches!(b, b'\\' | b'%' | b'&'));
        let plain = next.map_or(rest.len(), |next| next + 1);
        match escape(*first, tail) {
            Some((meant, length)) => {
                all.extend_from_slice(meant.encode_utf8(&mut [0; 4]).as_bytes());
                rest = tail.get(length..).unwrap_or_default();
                changed = true;
            }
            None => match percent(*first, tail) {
                Some(byte) => {
                    all.push(byte);
                    rest = tail.get(2..).unwrap_or_default();
                    changed = true;
                }
                None => {
                    all.extend_from_slice(rest.get(..plain).unwrap_or_default());
                    rest = rest.get(plain..).unwrap_or_default();
                }
            },
        }
    }
    changed.then_some(all)
}

/// The byte of a percent-escape, whose sign is `first`.
fn percent(first: u8, tail: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
    let is_escape = first == b'%' && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_escape { u8::from_str_radix(digits, 16).ok() } else { None }
}

/// The character of another escape, whose sign is `first`, and how many bytes behind that it takes.
fn escape(first: u8, tail: &[u8]) -> Option<(char, usize)> {
    const NAMED: [(&[u8], char); 9] = [
        (b"amp;", '&'),
        (b"lt;", '<'),
        (b"gt;", '>'),
        (b"quot;", '"'),
        (b"#39;", '\''),
        (b"#x27;", '\''),
        (b"#10;", '\n'),
        (b"#13;", '\r'),
        (b"#9;", '\t'),
    ];
    match (first, tail) {
        (b'&', _) => {
            let (name, meant) = NAMED.iter().find(|(name, _)| tail.starts_with(name))?;
            Some((*meant, name.len()))
        }
        (b'\\', [b'n', ..]) => Some(('\n', 1)),
        (b'\\', [b'r', ..]) => Some(('\r', 1)),
        (b'\\', [b't', ..]) => Some(('\t', 1)),
        (b'\\', [b'u', ..]) => {
            let digits = std::str::from_utf8(tail.get(1..5)?).ok()?;
            Some((char::from_u32(u32::from_str_radix(digits, 16).ok()?)?, 5))
        }
        (b'\\', [byte, ..]) if byte.is_ascii_punctuation() => Some((char::from(*byte), 1)),
        _ => None,
    }
}

/// The run with its untrusted text made meaningless.
fn blank(run: &Run) -> Run {
    let blank =
        run.clone().map_untrusted_text(|text| Ok::<_, std::convert::Infallible>(meaningless(text)));
    match blank {
        Ok(run) => run,
        Err(never) => match never {},
    }
}

/// A text of the same shape, so that a report of it has the same layout, with other letters and
/// digits. Names of secrets stay: they are words of ours, wherever they stand.
fn meaningless(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    let mut at = 0;
    for (start, end) in names_in(text) {
        all.extend(text.get(at..start).unwrap_or_default().chars().map(other));
        all.push_str(text.get(start..end).unwrap_or_default());
        at = end;
    }
    all.extend(text.get(at..).unwrap_or_default().chars().map(other));
    all
}

/// Another character of the same kind and size; the same one, if it has no meaning of its own.
fn other(c: char) -> char {
    let shifted = |first: u8, count: u8, by: u8| {
        u8::try_from(c).map_or(c, |byte| char::from(first + (byte - first + by) % count))
    };
    match c {
        'a'..='z' => shifted(b'a', 26, 13),
        'A'..='Z' => shifted(b'A', 26, 13),
        '0'..='9' => shifted(b'0', 10, 5),
        c if c.is_ascii() || !c.is_alphanumeric() => c,
        // Its neighbour has as many bytes.
        c => char::from_u32(u32::from(c) ^ 1).filter(|other| other.is_alphanumeric()).unwrap_or(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::{SecretKind, Vault};
    use crate::report::template::{Template, environment};
    use minijinja::context;

    fn secrets(values: &[&str]) -> Secrets {
        let vault = Vault::default();
        values.iter().for_each(|value| vault.learn(SecretKind::Token, value));
        vault.secrets().unwrap()
    }

    fn names(secrets: &Secrets, text: &str) -> Vec<String> {
        match checked("x", secrets, |_| text.to_owned()) {
            // What is there in the blank text, too, is ours: here the blank text is empty.
            Ok(_) => match LastCheck::new(secrets)
                .unwrap()
                .passed("x", text.into(), || Ok(String::new()))
            {
                Ok(_) => Vec::new(),
                Err(Withheld::Leak { secrets, .. }) => secrets,
                Err(other) => panic!("{other}"),
            },
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn secrets_are_found_in_the_ways_in_which_reports_write_them() {
        let secrets = secrets(&["p\"a<s>s & 'w%rd\\ ä"]);
        for text in [
            "p\"a<s>s & 'w%rd\\ ä",
            "p\\\"a<s>s & 'w%rd\\\\ ä",
            "p\\\\\\\"a<s>s & 'w%rd\\\\\\\\ \\u00e4",
            "p&quot;a&lt;s&gt;s &amp; &#x27;w%rd\\ ä",
            "p&amp;quot;a&amp;lt;s&amp;gt;s &amp;amp; &amp;#39;w%rd\\ ä",
            "p%22a%3Cs%3Es%20%26%20%27w%25rd%5C%20%C3%A4",
            "p\"a<s>s &\n      'w%rd\\ ä",
        ] {
            assert_eq!(names(&secrets, &format!("x{text}x")), ["‹token 1›"], "{text}");
        }
        assert!(names(&secrets, "p\"a<s>s & 'w%rd ä").is_empty());
    }

    #[test]
    fn many_that_end_alike_are_told_apart() {
        let values: Vec<String> = (0..50).map(|n| format!("{n:02}{}", "x".repeat(40))).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let secrets = secrets(&values);
        assert_eq!(names(&secrets, &format!("a{}", values[7])), ["‹token 1›"]);
        assert!(names(&secrets, &"x".repeat(100)).is_empty());
    }

    #[test]
    fn words_of_ours_are_counted() {
        let secrets = secrets(&["password", "level"]);
        let checked = |other: &str| {
            checked("x", &secrets, |show| format!("password: {}; level password", show(other)))
        };
        assert!(checked("‹password 1› and alice").is_ok());
        let leak = checked("a password").unwrap_err();
        assert!(leak.to_string().contains("x is withheld: it would hold ‹token"), "{leak}");
    }

    static BROKEN: Template = Template::new("report.html", || environment(str::to_owned));

    #[test]
    fn what_cannot_be_rendered_is_withheld_with_one_sentence() {
        let run: Run =
            serde_json::from_str(include_str!("../../tests/golden/clean.run.json")).unwrap();
        // A secret that is a word of ours, so that the blank run is rendered, too.
        let vault = Vault::default();
        vault.learn(SecretKind::Password, "clean page");
        let spec = run.target.spec.clone();
        let run = RedactedRun::new(run, &vault).unwrap();
        let reports = Publisher::new(&run);
        let broken = || BROKEN.render(context! {});
        let blank_is_broken = |run: &Run| match run.target.spec == spec {
            true => Ok("a clean page".to_owned()),
            false => broken(),
        };
        let withheld = [
            reports.render("report.html", |_| broken()).unwrap_err(),
            reports.render("report.html", blank_is_broken).unwrap_err(),
        ];
        for why in withheld {
            assert!(matches!(why, Withheld::NotRendered(_)), "{why}");
            let why = why.to_string();
            let said = "report.html cannot be rendered: ";
            assert!(why.starts_with(said) && !why.contains('\n'), "{why}");
        }
    }

    #[test]
    fn a_meaningless_text_has_the_shape_of_the_first() {
        assert_eq!(meaningless("Ab1: \"ä\"\n‹token 1›z"), "No6: \"å\"\n‹token 1›m");
    }
}
