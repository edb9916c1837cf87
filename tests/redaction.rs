//! Whatever the secrets are and whatever a run holds: no report shows one, and every report is there.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
use homespec::model::run::*;
use homespec::redact::{RedactedRun, RedactionError, SecretKind, Vault};
use homespec::report::{self, Format, Publisher};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What a run is filled with. Every field of every part is given by one of these, by name: whoever
/// adds a field says here, as in the model, whose text it holds.
trait Filling {
    /// Text of a server, an operator or a file.
    fn untrusted(&mut self) -> UntrustedText;
    /// Text of ours, with the name of its field.
    fn ours(&mut self, field: &'static str) -> String;
    /// The length of a list; 0 or 1 for what may be absent.
    fn count(&mut self, most: usize) -> usize;
    /// One of these.
    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.count(all.len() - 1)]
    }
}

fn list<F: Filling, T>(f: &mut F, most: usize, make: impl Fn(&mut F) -> T) -> Vec<T> {
    (0..f.count(most)).map(|_| make(f)).collect()
}

fn maybe<F: Filling, T>(f: &mut F, make: impl Fn(&mut F) -> T) -> Option<T> {
    list(f, 1, make).pop()
}

fn run<F: Filling>(f: &mut F) -> Run {
    let cases = list(f, 3, case);
    let standing = list(f, 2, standing);
    let requirements = list(f, 4, requirement);
    Run {
        schema_version: SCHEMA_VERSION,
        complete: f.count(1) == 1,
        exit_status: f.one_of(&[0, 1, 5, 70, 130]),
        tool: Tool { name: f.ours("homespec"), version: f.ours("0.1.0") },
        target: Target {
            base_url: f.untrusted(),
            server: maybe(f, F::untrusted),
            versions: list(f, 2, F::untrusted),
            flows: list(f, 2, F::untrusted),
            api: f.ours("v3"),
            spec: f.untrusted(),
        },
        selection: RecordedSelection {
            cases: list(f, 1, F::untrusted),
            requirements: list(f, 1, F::untrusted),
            areas: list(f, 1, F::untrusted),
            levels: list(f, 2, level),
            skip: list(f, 1, F::untrusted),
            rerun: maybe(f, F::untrusted),
            available: 7,
            selected: f.count(7),
            evidence: list(f, 1, |f| f.ours("basic-case")),
        },
        started_at: f.ours("2026-01-02T03:04:05Z"),
        duration_ms: 2345,
        tally: cases.iter().map(|case| case.verdict).collect(),
        tally_requirements: RequirementTally::of(&requirements),
        limits_hit: list(f, 1, |f| LimitHit {
            operation: f.untrusted(),
            count: 3,
            retry_after_ms: 1000,
            waited_ms: 20,
            blocked: 1,
        }),
        not_cleaned_up: list(f, 2, F::untrusted),
        notes: list(f, 3, F::untrusted),
        no_usable_account: f.count(1) == 1,
        gateway: list(f, 1, |f| GatewayAnswers { operation: f.untrusted(), count: 4, all: 5 }),
        baseline: maybe(f, |f| BaselineOutcome {
            file: f.untrusted(),
            new: f.count(2),
            known: f.count(2),
            added: f.count(1),
            blocked: list(f, 1, |f| f.ours("login.get.public")),
            new_blocked: list(f, 1, |f| f.ours("login.get.public")),
            outdated: list(f, 2, |f| OutdatedEntry {
                requirement: f.ours("device.login.echo"),
                case: f.ours("device-id-is-kept"),
                place: f.untrusted(),
                why: f.one_of(&[Outdated::Fixed, Outdated::Expired]),
                text: f.untrusted(),
                reason: f.untrusted(),
                line: 4,
            }),
        }),
        required: list(f, 1, |f| Required {
            name: f.ours("refresh"),
            verdict: f.one_of(Verdict::ALL),
            text: f.untrusted(),
        }),
        cases,
        standing,
        requirements,
        support: list(f, 1, |f| Support {
            name: f.ours("probe"),
            exchanges: list(f, 2, |f| exchange(f, "probe#1")),
        }),
    }
}

fn level<F: Filling>(f: &mut F) -> Level {
    f.one_of(&[Level::May, Level::Should, Level::Must])
}

fn reason<F: Filling>(f: &mut F) -> RecordedReason {
    RecordedReason { code: f.ours("rate_limited").into(), text: f.untrusted() }
}

fn case<F: Filling>(f: &mut F) -> CaseOutcome {
    CaseOutcome {
        id: f.ours("device-id-is-kept"),
        title: f.ours("login keeps the device_id the client asked for"),
        area: f.ours("device"),
        file: f.ours("cases/device.yaml"),
        line: 12,
        impact: f.ours("session"),
        verdict: f.one_of(Verdict::ALL),
        reason: maybe(f, reason),
        branch: maybe(f, |f| f.ours("refused")),
        requirements: list(f, 2, |f| f.ours("device.login.echo")),
        duration_ms: 87,
        decisions: list(f, 2, |f| Decision {
            requirement: f.ours("device.login.echo"),
            verdict: f.one_of(Verdict::ALL),
            reason: maybe(f, reason),
            branch: maybe(f, |f| f.ours("refused")),
        }),
        findings: list(f, 2, finding),
        exchanges: list(f, 2, |f| exchange(f, "device-id-is-kept#1")),
    }
}

fn finding<F: Filling>(f: &mut F) -> Finding {
    Finding {
        requirement: f.ours("device.login.echo"),
        level: level(f),
        verdict: f.one_of(&[Verdict::Passed, Verdict::Warned, Verdict::Failed]),
        message: f.untrusted(),
        expected: f.untrusted(),
        actual: f.untrusted(),
        pointer: f.untrusted(),
        branch: maybe(f, |f| f.ours("refused")),
        exchange: maybe(f, |f| f.ours("device-id-is-kept#1")),
        file: f.ours("cases/device.yaml"),
        line: 14,
        known: f.count(1) == 1,
    }
}

fn exchange<F: Filling>(f: &mut F, id: &'static str) -> RecordedExchange {
    RecordedExchange {
        id: f.ours(id),
        operation: maybe(f, |f| f.ours("login")),
        request: RecordedRequest {
            method: f.untrusted(),
            url: f.untrusted(),
            headers: list(f, 2, header),
            body: maybe(f, F::untrusted),
        },
        response: maybe(f, |f| RecordedResponse {
            status: f.one_of(&[200, 401, 500]),
            headers: list(f, 2, header),
            body: f.untrusted(),
            truncated: f.count(1) == 1,
        }),
        trouble: maybe(f, F::untrusted),
        duration_ms: 41,
        shared: f.count(1) == 1,
    }
}

fn header<F: Filling>(f: &mut F) -> Header {
    Header { name: f.untrusted(), value: f.untrusted() }
}

fn standing<F: Filling>(f: &mut F) -> StandingOutcome {
    StandingOutcome {
        requirement: f.ours("error.shape"),
        verdict: f.one_of(Verdict::ALL),
        count: 2,
        observed: 30,
        findings: list(f, 2, finding),
        reason: maybe(f, reason),
    }
}

fn requirement<F: Filling>(f: &mut F) -> RequirementOutcome {
    let verdict = f.one_of(Verdict::ALL).into();
    RequirementOutcome {
        id: f.ours("device.login.echo"),
        level: level(f),
        mark: f.one_of(&[Mark::Plain, Mark::Soft, Mark::Derived, Mark::Schema]),
        security: f.count(1) == 1,
        title: f.ours("The device_id that the client asked for is the one in the answer."),
        source_url: f.ours("https://spec.matrix.org/v1.19/client-server-api/#login"),
        applies: f.count(3) > 0,
        verdict: if f.count(9) == 0 { RequirementVerdict::Untested } else { verdict },
        reason: maybe(f, reason),
        because: None,
        cases: list(f, 1, |f| f.ours("device-id-is-kept")),
    }
}

/// A mark of its own in every text, everything there once and as often as it can be.
#[derive(Default)]
struct Marks {
    untrusted: usize,
    ours: usize,
}

impl Filling for Marks {
    fn untrusted(&mut self) -> UntrustedText {
        self.untrusted += 1;
        format!("theirs-{}-", self.untrusted).into()
    }

    fn ours(&mut self, _: &'static str) -> String {
        self.ours += 1;
        format!("ours-{}-", self.ours)
    }

    fn count(&mut self, most: usize) -> usize {
        most
    }
}

#[test]
fn redaction_comes_to_every_untrusted_text_and_to_no_other() {
    let mut marks = Marks::default();
    let full = run(&mut marks);
    let mut met = Vec::new();
    let changed = full.map_untrusted_text(|text| {
        met.push(text.to_owned());
        Ok::<_, RedactionError>("gone".to_owned())
    });
    let text = report::json(&changed.unwrap()).unwrap();
    assert_eq!(met.len(), marks.untrusted);
    assert_eq!(met.iter().collect::<BTreeSet<_>>().len(), marks.untrusted, "each once");
    assert!(!text.contains("theirs-"));
    for number in 1..=marks.ours {
        assert!(text.contains(&format!("ours-{number}-")), "{number}");
    }
}

#[test]
fn an_error_on_the_way_ends_the_walk() {
    let refuse = |text: &str| match text {
        "theirs-9-" => Err(RedactionError::TooManySecrets),
        text => Ok(text.to_owned()),
    };
    let refused = run(&mut Marks::default()).map_untrusted_text(refuse);
    assert_eq!(refused.unwrap_err(), RedactionError::TooManySecrets);
}

/// A run of random size, with secrets in its text in the ways of writing that are promised.
struct Random<'s> {
    state: u64,
    secrets: &'s [String],
}

impl Random<'_> {
    fn below(&mut self, bound: usize) -> usize {
        // xorshift64
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as usize % bound.max(1)
    }

    fn piece(&mut self) -> String {
        const WORDS: [&str; 24] = [
            "status 200",
            "/flows/0/type",
            "M_FORBIDDEN",
            "{\"user_id\":\"@alice:hs\",\"n\":",
            "}",
            "http://hs.example/_matrix/client/v3/login?",
            "Bearer ",
            "\n",
            "  ",
            "]]></script>",
            "\u{1b}[31m",
            "%41",
            "\\u00e4",
            "&amp;",
            "````",
            "| a | b |",
            "‹access_token 1›",
            "é🦀",
            "passed",
            "MUST",
            "content-type",
            "alice",
            "…",
            "- item",
        ];
        if self.secrets.is_empty() || self.below(3) > 0 {
            return WORDS[self.below(WORDS.len())].to_owned();
        }
        let secret = &self.secrets[self.below(self.secrets.len())];
        match self.below(6) {
            0 | 1 => secret.clone(),
            2 => in_json(secret),
            3 => in_json(&in_json(secret)),
            4 => homespec::model::encoding::encode_segment(secret),
            _ => in_page(secret),
        }
    }
}

fn in_json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

fn in_page(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    escaped.replace('"', "&quot;").replace('\'', "&#39;")
}

impl Filling for Random<'_> {
    fn untrusted(&mut self) -> UntrustedText {
        let pieces = self.below(4);
        (0..pieces).map(|_| self.piece() + ";").collect::<String>().into()
    }

    fn ours(&mut self, field: &'static str) -> String {
        field.to_owned()
    }

    fn count(&mut self, most: usize) -> usize {
        self.below(most + 1)
    }
}

/// Everything that the program makes of a run, by name.
fn everything(reports: &Publisher<'_>) -> Vec<(String, Result<String, report::Withheld>)> {
    let formats = Format::ALL
        .map(|format| (format.to_string(), reports.render(format.as_str(), |r| format.render(r))));
    let terminal = [40, 80, 200].map(|width| {
        let text = reports
            .render("terminal", |run| Ok(report::terminal(run, &[], Some(width), width == 80)));
        (format!("terminal {width}"), text)
    });
    let annotations =
        reports.render("annotations", |run| Ok(report::github_annotations(run).join("\n")));
    let verbose = reports.render("verbose", |run| {
        let outside = run.support.iter().flat_map(|support| &support.exchanges);
        let inside = run.cases.iter().flat_map(|case| &case.exchanges);
        let lines = |exchange| report::exchange_text(exchange) + &report::curl(exchange);
        Ok(outside.chain(inside).map(lines).collect())
    });
    let more = [("annotations".to_owned(), annotations), ("verbose".to_owned(), verbose)];
    formats.into_iter().chain(terminal).chain(more).collect()
}

/// Makes everything of a random run with these secrets; gives how many reports were withheld.
fn withheld(seed: u64, secrets: &[String], are_words: bool) -> Vec<String> {
    let run = run(&mut Random { state: seed | 1, secrets });
    let vault = Vault::default();
    secrets.iter().for_each(|secret| vault.learn(SecretKind::Password, secret));
    let redacted = RedactedRun::new(run, &vault).unwrap();
    let secrets: Vec<&String> = secrets.iter().filter(|s| s.trim().len() >= 4).collect();
    let mut texts = String::new();
    let again = redacted.clone().into_run().map_untrusted_text(|text| {
        writeln!(texts, "{}", without_names(text)).unwrap();
        Ok::<_, RedactionError>(text.to_owned())
    });
    assert_eq!(again.unwrap(), *redacted);
    for secret in &secrets {
        for form in
            [secret.to_string(), in_json(secret), in_json(&in_json(secret)), in_page(secret)]
        {
            assert!(!texts.contains(&form), "{form:?} is in a text of the run: {texts}");
        }
    }
    let mut withheld = Vec::new();
    for (name, made) in everything(&Publisher::new(&redacted)) {
        match made {
            Err(why) => withheld.push(format!("seed {seed}: {name}: {why}")),
            Ok(text) if name == "json" => {
                assert_eq!(report::read(&text).unwrap(), *redacted, "it reads back");
            }
            Ok(text) if !are_words => {
                for secret in &secrets {
                    let forms = [secret.to_string(), in_json(secret), in_page(secret)];
                    let found = forms.iter().find(|form| text.contains(*form));
                    assert_eq!(found, None, "in {name}, seed {seed}");
                }
            }
            Ok(_) => {}
        }
    }
    withheld
}

/// The text without the names that stand for secrets.
fn without_names(text: &str) -> String {
    let (mut shown, mut at) = (String::new(), 0);
    for (start, end) in homespec::redact::names_in(text) {
        shown += &text[at..start];
        shown.push('\u{1}');
        at = end;
    }
    shown + &text[at..]
}

/// Words that our own reports are made of.
const OUR_WORDS: [&str; 44] = [
    "MUST",
    "SHOULD",
    "passed",
    "failed",
    "warned",
    "blocked",
    "skipped",
    "errored",
    "untested",
    "MAY",
    "login",
    "case",
    "true",
    "false",
    "null",
    "alice",
    "password",
    "status",
    "homespec",
    "level",
    "levels",
    "verdict",
    "requirement",
    "device.login.echo",
    "device-id-is-kept",
    "cases/device.yaml",
    "error",
    "standing",
    "Baseline",
    "fixed",
    "expired",
    "probe",
    "curl",
    "access_token",
    "access_token 1",
    "content-type",
    "Content-Type",
    "2026",
    "span",
    "details",
    "testcase",
    "&quot;",
    "----",
    "rate_limited",
];

/// How many runs each property tries: 200, or 5,000 with `HOMESPEC_TESTS=full`. None may be withheld, which is stricter
/// than the one in a thousand that is promised.
fn config() -> ProptestConfig {
    let is_full = std::env::var("HOMESPEC_TESTS").is_ok_and(|tests| tests == "full");
    let cases = if is_full { 5_000 } else { 200 };
    ProptestConfig { failure_persistence: None, cases, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    /// Secrets that are words of ours withhold nothing.
    #[test]
    fn words_of_ours_may_be_secrets(
        words in prop::sample::subsequence(OUR_WORDS.to_vec(), 1..6), seed: u64,
    ) {
        let secrets: Vec<String> = words.into_iter().map(str::to_owned).collect();
        prop_assert_eq!(withheld(seed, &secrets, true), Vec::<String>::new());
    }

    /// Random secrets are in no report, and each report is there.
    #[test]
    fn random_secrets_are_in_no_report(
        secrets in prop::collection::vec(
            prop_oneof![
                "syt_[a-zA-Z0-9_-]{12,40}", "[ -~]{8,24}", "[a-zA-Z0-9\"\\\\%&<>'\n\té🦀 -]{8,40}",
                " {4,12}", "\n +", " [a-z0-9]{12} ", "eyJhbGciOiJIUzI1NiJ9\\.[a-zA-Z0-9_-]{300}",
            ],
            0..8,
        ),
        seed: u64,
    ) {
        // What is punctuation alone may be met in our own text.
        prop_assume!(secrets.iter().all(|s| {
            s.trim().is_empty() || s.bytes().filter(u8::is_ascii_alphanumeric).count() >= 4
        }));
        prop_assert_eq!(withheld(seed, &secrets, false), Vec::<String>::new());
    }
}

#[test]
fn secrets_that_are_many_or_long_are_in_no_report() {
    let many: Vec<String> = (1..=1000_u64)
        .map(|n| format!("secret{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect();
    let long: Vec<String> = (0..3).map(|n| format!("{n}long-").repeat(17_000)).collect();
    for seed in 1..9 {
        assert_eq!(withheld(seed * 7919, &many, false), Vec::<String>::new());
        assert_eq!(withheld(seed * 104_729, &long, false), Vec::<String>::new());
    }
}

#[test]
fn a_run_with_more_secrets_than_can_be_known_is_shown_in_no_way() {
    let vault = Vault::default();
    for n in 0..65 {
        vault.learn(SecretKind::AccessToken, &format!("{n:08}").repeat(1 << 17));
    }
    let refused = RedactedRun::new(run(&mut Marks::default()), &vault);
    assert_eq!(refused.unwrap_err(), RedactionError::TooManySecrets);
}
