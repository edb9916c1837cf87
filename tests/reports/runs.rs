//! Hand-written runs for the golden files.
use homespec::model::run::*;

/// Text of all the kinds that break reports.
pub const HOSTILE: &str = "]]> </script></pre><b>bold</b> \u{1b}[31mred\u{1b}[0m \u{1b}]0;title \u{fffe} \u{202e}\n\
    ::error::injected\n````\n| a | b | `code` ``` @alice [x](javascript:alert(1)) www.evil.example it's $HOME %0A";

const CLAUSE: &str = "https://spec.matrix.org/v1.19/client-server-api/";

fn texts(list: &[&str]) -> Vec<UntrustedText> {
    list.iter().map(|s| (*s).into()).collect()
}

fn reason(code: &str, text: &str) -> Option<RecordedReason> {
    Some(RecordedReason { code: code.into(), text: text.into() })
}

fn headers(list: &[(&str, &str)]) -> Vec<Header> {
    list.iter()
        .map(|(name, value)| Header { name: (*name).into(), value: (*value).into() })
        .collect()
}

fn login(id: &str, sent: &str, status: u16, body: &str) -> RecordedExchange {
    RecordedExchange {
        id: id.into(),
        operation: Some("login".into()),
        request: RecordedRequest {
            method: "POST".into(),
            url: "http://127.0.0.1:8008/_matrix/client/v3/login".into(),
            headers: headers(&[
                ("host", "127.0.0.1:8008"),
                ("user-agent", "homespec/0.1.0"),
                ("accept", "application/json"),
                ("origin", "https://homespec.example"),
                ("content-type", "application/json"),
            ]),
            body: Some(sent.into()),
        },
        response: Some(RecordedResponse {
            status,
            headers: headers(&[("content-type", "application/json"), ("server", "Example/1.0")]),
            body: body.into(),
            truncated: false,
        }),
        trouble: None,
        duration_ms: 41,
        shared: false,
    }
}

fn case(area: &str, line: u32, id: &str, title: &str, decisions: Vec<Decision>) -> CaseOutcome {
    CaseOutcome {
        id: id.into(),
        title: title.into(),
        area: area.into(),
        file: format!("cases/{area}.yaml"),
        line,
        impact: "session".into(),
        verdict: decisions.iter().map(|d| d.verdict).max().unwrap_or(Verdict::Passed),
        reason: decisions.iter().find_map(|d| d.reason.clone()),
        branch: decisions.iter().find_map(|d| d.branch.clone()),
        requirements: decisions.iter().map(|d| d.requirement.clone()).collect(),
        duration_ms: 87,
        decisions,
        findings: vec![],
        exchanges: vec![],
    }
}

fn decided(requirement: &str, verdict: Verdict) -> Decision {
    Decision { requirement: requirement.into(), verdict, reason: None, branch: None }
}

fn undecided(requirement: &str, verdict: Verdict, code: &str, text: &str) -> Decision {
    Decision { reason: reason(code, text), ..decided(requirement, verdict) }
}

fn finding(requirement: &str, level: Level, words: [&str; 4], exchange: &str) -> Finding {
    let [message, expected, actual, pointer] = words;
    Finding {
        requirement: requirement.into(),
        level,
        verdict: match level {
            Level::Must => Verdict::Failed,
            Level::Should => Verdict::Warned,
            Level::May => Verdict::Passed,
        },
        message: message.into(),
        expected: expected.into(),
        actual: actual.into(),
        pointer: pointer.into(),
        branch: None,
        exchange: Some(exchange.into()),
        file: "cases/device.yaml".into(),
        line: 12,
        known: false,
    }
}

fn requirement(
    id: &str,
    level: Level,
    mark: Mark,
    title: &str,
    fragment: &str,
) -> RequirementOutcome {
    RequirementOutcome {
        id: id.into(),
        level,
        mark,
        security: false,
        title: title.into(),
        source_url: format!("{CLAUSE}{fragment}"),
        applies: true,
        verdict: RequirementVerdict::Untested,
        reason: None,
        because: None,
        cases: vec![],
    }
}

fn register() -> Vec<RequirementOutcome> {
    use Level::{May, Must, Should};
    use Mark::{Derived, Plain, Schema, Soft};
    let login = "#post_matrixclientv3login";
    vec![
        requirement(
            "device.login.echo",
            Must,
            Soft,
            "The device_id that the client asked for is the one in the answer.",
            login,
        ),
        requirement(
            "device.login.bound",
            Must,
            Derived,
            "The access token belongs to the device named in the answer.",
            login,
        ),
        requirement(
            "login.user.localpart",
            Must,
            Plain,
            "A localpart is accepted in the place of a full user id.",
            "#login",
        ),
        requirement(
            "login.password.unknown_user",
            Should,
            Plain,
            "An unknown user and a wrong password are refused alike.",
            "#login",
        ),
        requirement(
            "login.token.single_use",
            Must,
            Plain,
            "A login token works once.",
            "#token-based-login",
        ),
        requirement(
            "login.flows.order",
            May,
            Plain,
            "The flows come in no fixed order.",
            "#get_matrixclientv3login",
        ),
        requirement(
            "login.answer.schema",
            Must,
            Schema,
            "The answer to a login has the published shape.",
            login,
        ),
        requirement(
            "login.state",
            Must,
            Soft,
            "A login says nothing that it does not know.",
            "#login",
        ),
        requirement(
            "cors.allow_origin",
            Must,
            Soft,
            "Every answer lets any origin read it.",
            "#web-browser-clients",
        ),
        requirement(
            "rate_limit.errcode",
            Should,
            Soft,
            "A refusal for too many requests is a standard error.",
            "#rate-limiting",
        ),
        requirement(
            "refresh.rotate",
            Must,
            Plain,
            "A used refresh token is no longer good.",
            "#refreshing-access-tokens",
        ),
        requirement(
            "uia.session.secret",
            Must,
            Plain,
            "What a session was told stays in that session.",
            "#user-interactive-authentication-api",
        ),
    ]
}

fn with_reason(mut r: RequirementOutcome, code: &str, text: &str) -> RequirementOutcome {
    r.reason = reason(code, text);
    r
}

/// The register with the verdicts of the cases and standing checks, as a run fills it in.
fn rolled_up(cases: &[CaseOutcome], standing: &[StandingOutcome]) -> Vec<RequirementOutcome> {
    let fill = |mut r: RequirementOutcome| {
        let decisions: Vec<(&str, &Decision)> = cases
            .iter()
            .flat_map(|c| c.decisions.iter().map(|d| (c.id.as_str(), d)))
            .filter(|(_, d)| d.requirement == r.id)
            .collect();
        let watched = standing.iter().find(|s| s.requirement == r.id);
        let verdicts = decisions.iter().map(|(_, d)| d.verdict).chain(watched.map(|s| s.verdict));
        let Some(verdict) = verdicts.max() else {
            return with_reason(r, "untestable", "It cannot be seen from outside.");
        };
        r.verdict = verdict.into();
        r.cases = decisions.iter().map(|(id, _)| (*id).to_owned()).collect();
        r.cases.extend(watched.map(|_| "standing".to_owned()));
        let gravest = decisions.iter().find(|(_, d)| d.verdict == verdict && !verdict.is_decided());
        r.reason = gravest.and_then(|(_, d)| d.reason.clone());
        r.reason = r.reason.or_else(|| watched.and_then(|s| s.reason.clone()));
        r
    };
    register().into_iter().map(fill).collect()
}

fn run(exit_status: u8, cases: Vec<CaseOutcome>, standing: Vec<StandingOutcome>) -> Run {
    let requirements = rolled_up(&cases, &standing);
    Run {
        schema_version: SCHEMA_VERSION,
        complete: true,
        exit_status,
        tool: Tool { name: "homespec".into(), version: "0.1.0".into() },
        target: Target {
            base_url: "http://127.0.0.1:8008".into(),
            server: Some("Example/1.0".into()),
            versions: texts(&["r0.6.1", "v1.1", "v1.11"]),
            flows: texts(&["m.login.password", "m.login.token"]),
            api: "v3".into(),
            spec: "bundled v1".into(),
        },
        selection: RecordedSelection {
            available: cases.len(),
            selected: cases.len(),
            ..Default::default()
        },
        started_at: "2026-01-02T03:04:05Z".into(),
        duration_ms: 2_345,
        tally: cases.iter().map(|c| c.verdict).collect(),
        tally_requirements: RequirementTally::of(&requirements),
        limits_hit: vec![],
        not_cleaned_up: vec![],
        notes: vec![],
        no_usable_account: false,
        gateway: vec![],
        baseline: None,
        required: vec![],
        cases,
        standing,
        requirements,
        support: vec![],
    }
}

const SENT: &str = r#"{"type":"m.login.password","identifier":{"type":"m.id.user","user":"alice"},"password":"‹password 1›","device_id":"HOMESPEC1"}"#;

/// All that was tested passed.
pub fn clean() -> Run {
    let mut echo = case(
        "device",
        3,
        "device-id-is-kept",
        "login keeps the device_id the client asked for",
        vec![
            decided("device.login.echo", Verdict::Passed),
            decided("device.login.bound", Verdict::Passed),
        ],
    );
    let answer = r#"{"user_id":"@alice:localhost","access_token":"‹access_token 1›","device_id":"HOMESPEC1"}"#;
    echo.exchanges = vec![login("device-id-is-kept#1", SENT, 200, answer)];
    let mut reused = decided("login.user.localpart", Verdict::Passed);
    reused.branch = Some("localpart".into());
    let by_localpart = case(
        "identifier",
        20,
        "login-by-localpart",
        "a localpart is enough to log in",
        vec![reused],
    );
    let cors = StandingOutcome {
        requirement: "cors.allow_origin".into(),
        verdict: Verdict::Passed,
        count: 0,
        observed: 7,
        findings: vec![],
        reason: None,
    };
    run(0, vec![echo, by_localpart], vec![cors])
}

/// Every verdict, several findings, and a server that does its worst to break the reports.
pub fn every_verdict() -> Run {
    let passed = case(
        "flows",
        3,
        "flows-are-listed",
        "the login types are listed",
        vec![decided("login.state", Verdict::Passed)],
    );
    let cases = vec![
        passed,
        broken_device(),
        warned_user(),
        blocked_login(),
        skipped_token(),
        warned_branch(),
        errored_refresh(),
        observed_flows(),
    ];
    let mut run = run(1, cases, vec![broken_cors(), broken_schema(), unseen_limit()]);
    run.selection.areas = texts(&["device", "identifier"]);
    run.selection.available = 120;
    run.target.server = Some(format!("Hostile/1.0 {HOSTILE}").into());
    run.limits_hit = vec![LimitHit {
        operation: "login".into(),
        count: 3,
        retry_after_ms: 328_000,
        waited_ms: 61_000,
        blocked: 1,
    }];
    run.not_cleaned_up =
        vec![format!("a session of @alice:localhost: the logout gave 500 {HOSTILE}").into()];
    run.notes = texts(&["With a second account 4 more requirements could be decided."]);
    let mut probe = login("probe#1", "", 200, "{}");
    probe.request.method = "GET".into();
    probe.request.body = None;
    run.support = vec![Support { name: "probe".into(), exchanges: vec![probe] }];
    run
}

fn broken_device() -> CaseOutcome {
    let decisions = vec![
        decided("device.login.echo", Verdict::Failed),
        decided("device.login.bound", Verdict::Failed),
    ];
    let mut case = case(
        "device",
        3,
        "device-id-is-kept",
        "login keeps the device_id the client asked for",
        decisions,
    );
    let answer = format!(
        "{{\"user_id\":\"@alice:localhost\",\"access_token\":\"‹access_token 2›\",\"device_id\":\"{HOSTILE}\"}}"
    );
    case.exchanges = vec![login("device-id-is-kept#1", SENT, 200, &answer)];
    let echo = "the device_id of the answer is not the one that was asked for";
    case.findings = vec![
        finding(
            "device.login.echo",
            Level::Must,
            [echo, "\"HOMESPEC1\"", HOSTILE, "/device_id"],
            "device-id-is-kept#1",
        ),
        finding(
            "device.login.bound",
            Level::Must,
            [HOSTILE, "the same device", "another", "/device_id"],
            "device-id-is-kept#2",
        ),
    ];
    let mut second = case.exchanges[0].clone();
    second.id = "device-id-is-kept#2".into();
    second.request.body = Some("\u{fffd}\u{fffd}{".into());
    second.response = None;
    second.trouble = Some("the connection was closed before an answer came".into());
    case.exchanges.push(second);
    case
}

fn warned_user() -> CaseOutcome {
    let id = "unknown-user-looks-the-same";
    let title = "an unknown user is refused like a wrong password";
    let decision = decided("login.password.unknown_user", Verdict::Warned);
    let mut case = case("password", 30, id, title, vec![decision]);
    let words = ["the errcodes differ", "M_FORBIDDEN", "M_NOT_FOUND", "/errcode"];
    let mut finding = finding(
        "login.password.unknown_user",
        Level::Should,
        words,
        "unknown-user-looks-the-same#1",
    );
    finding.file = "cases/password.yaml".into();
    finding.line = 41;
    case.findings = vec![finding];
    let mut exchange = login(
        "unknown-user-looks-the-same#1",
        "{\"user\":\"o'neill\"}",
        404,
        "{\"errcode\":\"M_NOT_FOUND\"}",
    );
    exchange.response.as_mut().unwrap().truncated = true;
    case.exchanges = vec![exchange];
    case
}

fn blocked_login() -> CaseOutcome {
    let text = "The server asked for 328 s of patience, more than --max-wait allows.";
    let decision = undecided("login.user.localpart", Verdict::Blocked, "rate_limited", text);
    case("identifier", 20, "login-by-localpart", "a localpart is enough to log in", vec![decision])
}

fn skipped_token() -> CaseOutcome {
    let text = "The server does not offer m.login.token.";
    let decision = undecided("login.token.single_use", Verdict::Skipped, "not_offered", text);
    case(
        "login_token",
        8,
        "login-token-once",
        "a login token is good for one login",
        vec![decision],
    )
}

fn warned_branch() -> CaseOutcome {
    let text = "The earlier token stays good; the specification can be read either way.";
    let mut decision = undecided("login.state", Verdict::Warned, "branch", text);
    decision.branch = Some("earlier-token-stays".into());
    case(
        "device",
        55,
        "device-reuse",
        "a device that is used again gets a new token",
        vec![decision],
    )
}

fn errored_refresh() -> CaseOutcome {
    let text = "The step saved nothing under the name that a later step reads.";
    let decision = undecided("refresh.rotate", Verdict::Errored, "internal", text);
    case("refresh", 5, "refresh-rotates", "a refresh token is good once", vec![decision])
}

fn observed_flows() -> CaseOutcome {
    let mut case = case(
        "flows",
        40,
        "flows-in-any-order[token first]",
        "the flows may come in any order",
        vec![decided("login.flows.order", Verdict::Passed)],
    );
    let words = ["the order differs between two answers", "any order", "two orders", "/flows"];
    let mut finding = finding("login.flows.order", Level::May, words, "nowhere#1");
    finding.file = "cases/flows.yaml".into();
    case.findings = vec![finding];
    case
}

fn broken_cors() -> StandingOutcome {
    let words =
        ["the header is missing", "*", "no such header", "header access-control-allow-origin"];
    let mut finding = finding("cors.allow_origin", Level::Must, words, "probe#1");
    finding.file = "spec/requirements.yaml".into();
    finding.line = 900;
    StandingOutcome {
        requirement: "cors.allow_origin".into(),
        verdict: Verdict::Failed,
        count: 9,
        observed: 11,
        findings: vec![finding],
        reason: None,
    }
}

fn broken_schema() -> StandingOutcome {
    let words = ["the field has another type", "a string", "a number", "/user_id"];
    let mut known = finding("login.answer.schema", Level::Must, words, "device-id-is-kept#1");
    known.file = "spec/v1/login.yaml".into();
    known.line = 77;
    known.known = true;
    StandingOutcome {
        requirement: "login.answer.schema".into(),
        verdict: Verdict::Failed,
        count: 1,
        observed: 4,
        findings: vec![known],
        reason: None,
    }
}

fn unseen_limit() -> StandingOutcome {
    StandingOutcome {
        requirement: "rate_limit.errcode".into(),
        verdict: Verdict::Skipped,
        count: 0,
        observed: 0,
        findings: vec![],
        reason: reason("not_observed", "No answer of this run was 429."),
    }
}

/// Stopped by hand before anything was decided.
pub fn interrupted() -> Run {
    let text = "The run was interrupted before this case.";
    let decision = undecided("device.login.echo", Verdict::Blocked, "interrupted", text);
    let title = "login keeps the device_id the client asked for";
    let mut run =
        run(130, vec![case("device", 3, "device-id-is-kept", title, vec![decision])], vec![]);
    run.complete = false;
    run.target.server = None;
    run.target.versions = vec![];
    run.target.flows = vec![];
    run.duration_ms = 125_000;
    run
}

/// What [`clean`] is beside a baseline with an entry of each kind and two things required. The texts are hostile.
pub fn gated() -> Run {
    let outdated = |why: Outdated, line: u32| OutdatedEntry {
        requirement: "device.login.echo".into(),
        case: "device-id-is-kept".into(),
        place: "pointer /device_id".into(),
        why,
        text: "what is to be done".into(),
        reason: HOSTILE.into(),
        line,
    };
    let required = |name: &str, verdict: Verdict| Required {
        name: name.into(),
        verdict,
        text: format!("a sentence {HOSTILE}").into(),
    };
    let mut run = clean();
    run.exit_status = 1;
    run.selection.rerun = Some("earlier.json".into());
    run.baseline = Some(BaselineOutcome {
        file: "known.yaml".into(),
        new: 0,
        known: 2,
        added: 1,
        blocked: vec![],
        new_blocked: vec![],
        outdated: vec![outdated(Outdated::Fixed, 3), outdated(Outdated::Expired, 9)],
    });
    run.required = vec![
        required("password", Verdict::Passed),
        required("refresh", Verdict::Failed),
        required("uia_password", Verdict::Blocked),
    ];
    run
}

/// Requirements whose cases do not agree, of each kind of concern, with causes; and some that do not apply.
pub fn crossed() -> Run {
    use Verdict::{Blocked, Failed, Skipped, Warned};
    let because = |id: &str| {
        undecided(id, Blocked, "because:device.login.bound", "device.login.bound is broken")
    };
    let limited = |id: &str| undecided(id, Blocked, "rate_limited", "the server limits login");
    let rows = [
        vec![decided("device.login.echo", Failed), decided("device.login.bound", Failed)],
        vec![decided("device.login.echo", Warned), decided("login.password.unknown_user", Warned)],
        vec![decided("rate_limit.errcode", Warned), limited("login.password.unknown_user")],
        vec![decided("login.state", Warned), decided("uia.session.secret", Failed)],
        vec![because("login.user.localpart"), limited("login.token.single_use")],
        vec![undecided("refresh.rotate", Skipped, "version", "it is not part of a release")],
        vec![limited("login.answer.schema")],
    ];
    let words = ["the answer is wrong", "right", "wrong", "/x"];
    let cases = rows.into_iter().zip(1..).map(|(decisions, n)| {
        let found = decisions.iter().filter(|d| matches!(d.verdict, Failed | Warned)).map(|d| {
            let level = if d.verdict == Failed { Level::Must } else { Level::Should };
            finding(&d.requirement, level, words, "nowhere#1")
        });
        let findings = found.collect();
        CaseOutcome { findings, ..case("device", n, &format!("case-{n}"), "a title", decisions) }
    });
    let mut run = run(1, cases.collect(), vec![]);
    for one in &mut run.requirements {
        one.because = one.reason.as_ref().and_then(RecordedReason::because).map(str::to_owned);
        one.security = ["uia.session.secret", "login.token.single_use"].contains(&one.id.as_str());
        // The server lists nothing that has them, whatever a case said.
        one.applies = !["refresh.rotate", "login.answer.schema"].contains(&one.id.as_str());
    }
    run.tally_requirements = RequirementTally::of(&run.requirements);
    run
}
