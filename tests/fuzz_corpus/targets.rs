//! What is done with one input of each fuzz target, and what must hold then. The targets under
//! `fuzz/` call these functions, and so does `tests/fuzz_corpus.rs` with every file of the corpora.
//!
//! Each takes the bytes as they come and panics if a law is broken; bytes that are no input of its
//! kind are left. Nothing here sleeps, reads a file or opens a connection.
use homespec::case::ast::{Api, Case, StepTarget};
use homespec::case::suite::Suite;
use homespec::check::expect::judge;
use homespec::check::standing::{self, Context};
use homespec::http::message::{Exchange, Request, Response};
use homespec::http::rate_limit::retry_after;
use homespec::model::release::Listed;
use homespec::plan;
use homespec::plan::facts::{AccountFacts, Facts, Given};
use homespec::redact::{Heard, SecretKind, Vault};
use homespec::report::{self, Dialect, Format};
use homespec::requirements::Register;
use homespec::spec::Spec;
use homespec::yaml::diagnostic::Diagnostic;
use layer::{Layer, promised_layers};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

#[path = "../support/layer.rs"]
mod layer;

/// What a target does with the bytes that it is given.
pub type Trial = fn(&[u8]);

/// Every target by its name, which is also that of its corpus.
pub const ALL: [(&str, Trial); 5] = [
    ("cases", cases),
    ("spec", spec),
    ("redaction", redaction),
    ("answers", answers),
    ("runs", runs),
];

struct Bundled {
    suite: Suite,
    register: Register,
    v1: Spec,
    r0: Spec,
}

static BUNDLED: LazyLock<Bundled> = LazyLock::new(|| Bundled {
    suite: Suite::bundled().expect("the bundled cases are sound"),
    register: Register::bundled().expect("the bundled register is sound"),
    v1: Spec::bundled_v1().expect("the bundled files are sound"),
    r0: Spec::bundled_r0().expect("the bundled files are sound"),
});

/// Faults can be shown, and there are some where something was refused.
fn told(faults: &[Diagnostic]) {
    assert!(!faults.is_empty(), "refused without a reason");
    for fault in faults {
        assert!(!fault.render(false).is_empty() && !fault.render(true).is_empty());
    }
}

/// A case file: it is refused with reasons, or can be planned and judged by.
pub fn cases(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let suite = match Suite::from_texts([("fuzzed.yaml".to_owned(), text.to_owned())]) {
        Ok(suite) => suite,
        Err(faults) => return told(&faults),
    };
    let Bundled { register, v1, r0, .. } = &*BUNDLED;
    let faults = plan::lint(&suite, register, &[v1, r0]);
    if !faults.is_empty() {
        return told(&faults);
    }
    let selected: Vec<_> = suite.shared_cases().collect();
    for facts in [facts(0, false), facts(2, false), facts(2, true)] {
        let plan = plan::plan(&selected, register, v1, &facts);
        let _ = (plan.logins(), plan.requests(), plan.accounts());
    }
    let answer = answer(200, &[("content-type", "application/json")], b"{\"a\":[1,\"x\"]}");
    selected.iter().for_each(|case| judged(case, &answer));
}

fn judged(case: &Case, answer: &Response) {
    let scope = |_: &str| Some(json!("x"));
    for block in case.all_steps().flat_map(|step| &step.blocks) {
        // A reference to what only a list or an object has cannot be filled here.
        let _ = judge(block, &[answer], &scope);
    }
}

fn facts(given: usize, can_make: bool) -> Facts {
    let one = |index: usize| Given { password: true, disposable: index > 0 };
    Facts {
        listed: Listed::new(["v1.11"]),
        flows: vec!["m.login.password".to_owned()],
        features: BTreeSet::new(),
        providers: Vec::new(),
        capabilities: BTreeMap::new(),
        absent: BTreeSet::new(),
        token_lifetime: None,
        max_wait: std::time::Duration::from_secs(60),
        no_session: None,
        registers: can_make,
        api: Api::V3,
        accounts: AccountFacts {
            given: (0..given).map(one).collect(),
            can_make,
            made_password: true,
            refused: Vec::new(),
        },
        beyond: Vec::new(),
        operator: BTreeSet::new(),
        allowed: BTreeSet::new(),
    }
}

/// A folder of OpenAPI files, each behind a line `=== PATH`; what stands before the first is
/// `first.yaml`. It is refused with reasons, or bodies can be judged by it.
pub fn spec(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let spec = match Spec::from_files("fuzzed", files(text)) {
        Ok(spec) => spec,
        Err(faults) => return told(&faults),
    };
    let _ = spec.is_r0();
    spec.schema_locations();
    let bodies = [Value::Null, json!({}), json!({"a": [1, "x", null]}), json!([]), json!("x")];
    for operation in spec.operations() {
        let statuses = operation.responses.keys().filter_map(|status| status.parse().ok());
        for status in statuses.chain([200, 400, 599]) {
            for body in &bodies {
                let _ = spec.check(&operation.id, status, body);
            }
        }
    }
    let whole = spec.over(BUNDLED.v1.clone());
    assert!(BUNDLED.v1.operations().all(|operation| whole.operation(&operation.id).is_some()));
}

fn files(text: &str) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut current = "first.yaml".to_owned();
    for line in text.split_inclusive('\n') {
        match line.strip_prefix("=== ") {
            Some(path) => current = path.trim().to_owned(),
            None => files.entry(current.clone()).or_insert_with(String::new).push_str(line),
        }
    }
    files
}

/// Three lines and more: letters that say how a secret is written (`jupafh`, as many of them as are
/// promised, as [`Layer`] reads them; a `b` in front puts it into base64 behind a user name), the
/// secret, and the text around it, with `@@` where it stands.
///
/// The secret is gone, in that and in every other known way of writing it; all else is kept; and
/// what was replaced once stays as it is. A text without secrets is not changed.
pub fn redaction(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    left_alone(text);
    let mut lines = text.splitn(3, '\n');
    let (Some(ways), Some(secret), Some(around)) = (lines.next(), lines.next(), lines.next())
    else {
        return;
    };
    let ends_whole = secret.trim() == secret;
    if !ends_whole || secret.chars().filter(|c| c.is_ascii_alphanumeric()).count() < 8 {
        return;
    }
    let (before, after) = around.split_once("@@").unwrap_or((around, ""));
    let written = written(ways.as_bytes(), secret);
    let vault = Vault::default();
    vault.learn(SecretKind::AccessToken, secret);
    let login = json!({"user": "user", "password": secret}).to_string();
    vault.learn_request(&[], "/login", Some(login.as_bytes()));
    let redactor = vault.redactor();
    let shown = redactor.text(&format!("{before}<{written}>{after}"));
    assert_eq!(redactor.text(&shown), shown, "replacing twice is replacing once");
    let clean = |part: &str| redactor.text(part) == part;
    if clean(&format!("{before}<")) && clean(&format!(">{after}")) {
        assert_eq!(shown, format!("{before}<‹access_token 1›>{after}"));
    }
}

/// The secret in that way, as far as it is promised.
fn written(ways: &[u8], secret: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let (inner, rest) = match ways {
        [b'b', rest @ ..] => (STANDARD.encode(format!("user:{secret}")), rest),
        rest => (secret.to_owned(), rest),
    };
    let layer = |letter: &u8| Layer::ALL.iter().find(|(named, _)| named == letter);
    let layers = promised_layers(rest.iter().filter_map(layer).map(|(_, layer)| *layer));
    layers.iter().fold(inner, |text, layer| layer.write(&text))
}

/// Without the letters and digits that a secret of capitals needs in any way of writing it, a text
/// cannot hold it.
fn left_alone(text: &str) {
    static VAULT: LazyLock<Vault> = LazyLock::new(|| {
        let vault = Vault::default();
        vault.learn(SecretKind::Token, "ABCDEFFEDCBAABDFACEB");
        vault
    });
    let redactor = VAULT.redactor();
    let harmless = |c: &char| !c.is_ascii_uppercase() && !matches!(c, 'a'..='f' | '0'..='9');
    let text: String = text.chars().filter(harmless).collect();
    assert_eq!(redactor.text(&text), text);
}

/// An answer: `OPERATION STATUS` in the first line, headers, an empty line, the body. Whatever it
/// is, it can be read, learnt from and judged, and what was learnt does not stay in it.
pub fn answers(data: &[u8]) {
    let (head, body) = match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&data[..at], &data[at + 2..]),
        None => (data, &[][..]),
    };
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let (name, status) = lines.next().and_then(|line| line.split_once(' ')).unwrap_or_default();
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
    let Bundled { suite, register, v1, .. } = &*BUNDLED;
    let operation = v1.operation(name);
    let answer = answer(status.trim().parse().unwrap_or(200), &headers, body);
    read(&answer);
    let path = operation.map_or("/_matrix/client/v3/unknown", |operation| &operation.path);
    let method = operation.map_or("GET", |operation| &operation.method);
    let exchanged = Exchange {
        request: Request::new(operation.map(|operation| operation.id.as_str()), method, path),
        url: format!("http://127.0.0.1{path}"),
        sent_headers: Vec::new(),
        result: Ok(answer.clone()),
        duration: Duration::ZERO,
        shared: false,
    };
    let listed = Listed::new(["v1.11"]);
    for seen in standing::observe(Context { register, spec: v1, listed: &listed }, &exchanged) {
        let id = &seen.requirement.id;
        assert!(register.get(id).is_some(), "{id} is unknown");
    }
    let calls = |case: &&Case| {
        case.steps.iter().any(|step| matches!(&step.target, StepTarget::Call(id) if id == name))
    };
    suite.cases().filter(calls).take(20).for_each(|case| judged(case, &answer));
    learnt(path, &answer);
}

fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Response {
    let header =
        |(name, value): &(&str, &str)| (name.trim().to_ascii_lowercase(), value.trim().to_owned());
    Response::new(status, headers.iter().map(header).collect(), body.to_vec(), false)
}

fn read(answer: &Response) {
    let wait = retry_after(answer, SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000));
    let bounds = Duration::from_millis(100)..=Duration::from_secs(24 * 3600);
    assert!(wait.is_none_or(|wait| bounds.contains(&wait)));
    assert!(answer.json().is_err() || !answer.is_page());
    assert!(!answer.is_challenge() || answer.status == 401);
    let _ = (answer.text(), answer.text_at("/errcode"), answer.coding());
}

fn learnt(path: &str, answer: &Response) {
    let vault = Vault::default();
    let (headers, body) = (&answer.headers, &answer.body);
    vault.learn_answer(&Heard { path, granted: true, headers, json: answer.json().ok(), body });
    let redactor = vault.redactor();
    let shown = redactor.text(&answer.text());
    assert_eq!(redactor.text(&shown), shown, "it still holds a secret");
}

/// A `run.json`: it is refused in words, or reads back as it was written, and every other report
/// can be made of it.
pub fn runs(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let run = match report::read(text) {
        Ok(run) => run,
        Err(refused) => return assert!(!refused.to_string().is_empty()),
    };
    assert_eq!(report::read(&report::json(&run).unwrap()).ok().as_ref(), Some(&run));
    for format in Format::ALL {
        assert!(!format.render(&run).unwrap().is_empty());
    }
    for dialect in [Dialect::Common, Dialect::Strict] {
        let xml = report::junit(&run, dialect);
        assert!(roxmltree::Document::parse(&xml).is_ok(), "{xml}");
    }
    let summary = report::terminal(&run, &[], Some(80), false);
    assert!(summary.chars().all(|c| c == '\n' || !c.is_control()), "{summary:?}");
    for line in report::github_annotations(&run) {
        assert!(!line.contains(['\n', '\r']), "{line:?}");
    }
}
