//! From the text of a case file to [`CaseFile`], or to every fault in it.
//!
//! What can be seen in one file is checked here: shapes, words, references to nothing, steps
//! without expectations. What needs the register or the specification is checked by
//! [`crate::plan::lint`].
use super::ast::*;
use super::matcher::{Kind, Matcher, Pattern, Range, UrlRule};
use super::template;
use crate::diagnostic::Diagnostic;
use crate::outcome::Level;
use crate::source::Document;
use crate::strict::{Node, Reader, kind};
use crate::version::SpecVersion;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// What `$alice.…` may name, for any account name.
pub const ACCOUNT_MEMBERS: [&str; 12] = [
    "user_id",
    "user",
    "localpart",
    "server_name",
    "password",
    "password_other_case",
    "password_shortened",
    "login",
    "password_escaped",
    "token",
    "token_other_case",
    "device_id",
];
/// Of these, what only a shared session gives.
pub const SESSION_MEMBERS: [&str; 3] = ["token", "token_other_case", "device_id"];
/// What `$new.…` may name; `_2` to `_9` behind it give further ones.
pub const NEW_MEMBERS: [&str; 6] =
    ["device_id", "localpart", "password", "token", "text", "unicode"];
/// What `$server.…` may name.
pub const SERVER_MEMBERS: [&str; 4] = ["prefix", "name", "api", "scheme"];

const CASE_KEYS: [&str; 13] = [
    "id",
    "title",
    "checks",
    "needs",
    "impact",
    "wrong_passwords",
    "limits",
    "last",
    "each",
    "setup",
    "steps",
    "note",
    "values",
];
const STEP_KEYS: [&str; 29] = [
    "call",
    "method",
    "path",
    "params",
    "query",
    "headers",
    "api",
    "token",
    "authorization",
    "body",
    "raw",
    "type",
    "with",
    "without",
    "vary",
    "uia",
    "parallel",
    "repeat",
    "until",
    "within",
    "wait",
    "schema",
    "because",
    "must",
    "should",
    "may",
    "save",
    "note",
    "optional",
];
const EXPECT_KEYS: [&str; 4] = ["status", "headers", "body", "text"];

/// Reads one case file. `name` is how readers see it (`cases/device.yaml`); its stem is the area.
///
/// # Errors
/// Every fault of the file, each with its place.
pub fn case_file(document: Document) -> Result<CaseFile, Vec<Diagnostic>> {
    let area = stem(document.name());
    let (mut reader, root) = Reader::new(&document);
    let mut about = String::new();
    let mut cases = Vec::new();
    if reader.object(&root, "a case file", &["about", "let", "cases"]).is_some() {
        if let Some(node) = reader.required(&root, "a case file", "about") {
            about = reader.string(&node, "`about`").unwrap_or_default().to_owned();
        }
        let lets = named_values(&mut reader, root.member("let"), "`let`", "");
        if let Some(list) = reader.required(&root, "a case file", "cases") {
            for node in reader.list(&list, "`cases`") {
                cases.extend(read_case(&mut reader, &node, &area, document.name(), &lets));
            }
        }
    }
    let faults = reader.faults;
    if faults.is_empty() { Ok(CaseFile { area, about, cases, document }) } else { Err(faults) }
}

fn stem(name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    file.strip_suffix(".yaml").or_else(|| file.strip_suffix(".yml")).unwrap_or(file).to_owned()
}

type Values = Vec<(String, Value)>;

fn named_values(reader: &mut Reader, node: Option<Node>, what: &str, prefix: &str) -> Values {
    let Some(node) = node else { return Vec::new() };
    if !node.value.is_object() {
        reader.fault(&node.at, format!("{what} is a mapping of names to values"));
    }
    let mut values = Vec::new();
    for (name, value) in node.members() {
        if !template::is_name(name) || name.contains('.') {
            reader.fault_at_key(
                &value.at,
                format!("`{name}` is no name"),
                Some("names are lower-case letters, digits and `_`".to_owned()),
            );
        }
        check_syntax(reader, &value);
        values.push((format!("{prefix}{name}"), value.value.clone()));
    }
    values
}

fn check_syntax(reader: &mut Reader, node: &Node) {
    for (below, error) in template::syntax_errors(node.value) {
        reader.fault(&format!("{}{below}", node.at), error.to_string());
    }
}

/// A row of `each`: its name and what it changes.
struct Row<'d> {
    name: Option<String>,
    at: String,
    line: u32,
    values: Values,
    with: Option<Node<'d>>,
    without: Vec<String>,
    needs: Vec<Need>,
}

fn read_case<'d>(
    reader: &mut Reader<'d>,
    node: &Node<'d>,
    area: &str,
    file: &str,
    lets: &Values,
) -> Vec<Case> {
    if reader.object(node, "a case", &CASE_KEYS).is_none() {
        return Vec::new();
    }
    read_note(reader, node);
    let id = read_id(reader, node);
    let title = read_title(reader, node);
    let checks = read_checks(reader, node);
    let needs = read_needs(reader, node);
    let impact = match reader.required(node, "a case", "impact") {
        Some(node) => reader.word(&node, "impact", &Impact::ALL).unwrap_or(Impact::Reads),
        None => Impact::Reads,
    };
    let limits = match node.member("limits") {
        Some(node) => reader.word(
            &node,
            "way to deal with limits",
            &[("observe", Limits::Observe), ("wait", Limits::Wait)],
        ),
        None => None,
    };
    let wrong_passwords = match node.member("wrong_passwords") {
        Some(node) => reader.count(&node, "`wrong_passwords`").unwrap_or(1),
        None => u32::from(impact == Impact::LocksOut),
    };
    let last = node.member("last").and_then(|node| reader.boolean(&node, "`last`"));
    let values = named_values(reader, node.member("values"), "`values`", "");
    let (rows, each) = read_each(reader, node);
    let mut cases = Vec::new();
    for row in rows {
        let mut known = lets.clone();
        known.extend(values.clone());
        known.extend(row.values.clone());
        let setup = read_steps(reader, node.member("setup"), &checks, true, None);
        let Some(steps) = reader.required(node, "a case", "steps") else { break };
        let steps = read_steps(reader, Some(steps), &checks, false, Some(&row));
        let mut all_needs = needs.clone();
        all_needs.extend(row.needs);
        let case = Case {
            id: match &row.name {
                Some(name) => format!("{id}[{name}]"),
                None => id.clone(),
            },
            title: title.clone(),
            area: area.to_owned(),
            file: file.to_owned(),
            line: row.line,
            pointer: row.at,
            checks: checks.clone(),
            needs: all_needs,
            impact,
            wrong_passwords,
            limits: limits.unwrap_or(Limits::Wait),
            last: last.unwrap_or(false),
            each,
            values: known,
            setup,
            steps,
        };
        check_references(reader, &case);
        check_asserted(reader, &case);
        cases.push(case);
    }
    cases
}

/// A note is for whoever reads the file, and nothing follows from it.
fn read_note(reader: &mut Reader, node: &Node) {
    if let Some(note) = node.member("note") {
        reader.string(&note, "`note`");
    }
}

fn read_id(reader: &mut Reader, node: &Node) -> String {
    let Some(id_node) = reader.required(node, "a case", "id") else { return "?".to_owned() };
    let Some(id) = reader.string(&id_node, "`id`") else { return "?".to_owned() };
    let kebab = id.split('-').all(|part| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    });
    if !kebab {
        reader.fault_with_help(
            &id_node.at,
            format!("`{id}` is not a case id"),
            "ids are lower-case words joined by hyphens: `device-id-is-kept`",
        );
    }
    id.to_owned()
}

fn read_title(reader: &mut Reader, node: &Node) -> String {
    const LONGEST: usize = 90;
    let Some(title_node) = reader.required(node, "a case", "title") else { return String::new() };
    let Some(title) = reader.string(&title_node, "`title`") else { return String::new() };
    let mut words = title.split(|c: char| !c.is_alphabetic());
    if words.any(|word| ["should", "shouldn"].contains(&word.to_lowercase().as_str())) {
        reader.fault_with_help(
            &title_node.at,
            "a title says what is true of a server that passes, without \"should\"",
            "the level stands in the keyword of the block",
        );
    }
    if title.chars().count() > LONGEST {
        reader.fault(&title_node.at, format!("a title has at most {LONGEST} characters"));
    }
    title.to_owned()
}

fn read_checks(reader: &mut Reader, node: &Node) -> Vec<String> {
    let Some(list) = reader.required(node, "a case", "checks") else { return Vec::new() };
    let mut checks: Vec<String> = Vec::new();
    for item in reader.list(&list, "`checks`") {
        let Some(id) = reader.string(&item, "a requirement id") else { continue };
        if checks.iter().any(|other| other == id) {
            reader.fault(&item.at, format!("`{id}` stands twice in `checks`"));
        }
        checks.push(id.to_owned());
    }
    checks
}

fn read_needs(reader: &mut Reader, node: &Node) -> Vec<Need> {
    let Some(list) = node.member("needs") else { return Vec::new() };
    if list.value.as_array().is_some_and(Vec::is_empty) {
        return Vec::new();
    }
    reader.list(&list, "`needs`").iter().filter_map(|item| read_need(reader, item)).collect()
}

fn read_need(reader: &mut Reader, node: &Node) -> Option<Need> {
    const HELP: &str = "one of: flow TYPE, version RELEASE, before RELEASE, capability NAME, feature NAME, \
                        account NAME, account NAME disposable, session NAME, operator NAME";
    let text = reader.string(node, "a need")?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let account_name = |name: &str| template::is_name(name) && !name.contains('.');
    let need = match words.as_slice() {
        ["flow", flow] => Some(Need::Flow((*flow).to_owned())),
        ["version", version] => SpecVersion::parse(version).map(Need::Version),
        ["before", version] => SpecVersion::parse(version).map(Need::Before),
        ["capability", name] => Some(Need::Capability((*name).to_owned())),
        ["feature", name] => {
            let word = Node { value: &Value::String((*name).to_owned()), at: node.at.clone() };
            let found = Feature::ALL.iter().find(|(known, _)| known == name);
            if found.is_none() {
                let all: Vec<_> = Feature::ALL.iter().map(|(known, _)| *known).collect();
                let near = crate::diagnostic::did_you_mean(name, all.iter().copied());
                let help = near.map_or(format!("one of: {}", all.join(", ")), |near| {
                    format!("did you mean `{near}`?")
                });
                reader.fault_with_help(&word.at, format!("`{name}` is no feature"), help);
                return None;
            }
            found.map(|(_, feature)| Need::Feature(*feature))
        }
        ["account", name] if account_name(name) => {
            Some(Need::Account { name: (*name).to_owned(), disposable: false })
        }
        ["account", name, "disposable"] if account_name(name) => {
            Some(Need::Account { name: (*name).to_owned(), disposable: true })
        }
        ["session", name] if account_name(name) => Some(Need::Session((*name).to_owned())),
        ["operator", name] => {
            let given = OPERATOR_VALUES.iter().map(|(name, _)| *name);
            let all: Vec<&str> = given.chain(Act::ALL.iter().map(|(word, _)| *word)).collect();
            if !all.contains(name) {
                let help = match crate::diagnostic::did_you_mean(name, all.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("one of: {}", all.join(", ")),
                };
                let fault = format!("`{name}` is nothing that an operator gives");
                reader.fault_with_help(&node.at, fault, help);
                return None;
            }
            Some(Need::Operator((*name).to_owned()))
        }
        _ => None,
    };
    if need.is_none() {
        reader.fault_with_help(&node.at, format!("`{text}` is no need"), HELP);
    }
    need
}

fn read_each<'d>(reader: &mut Reader<'d>, case: &Node<'d>) -> (Vec<Row<'d>>, Option<Each>) {
    let plain = |reader: &Reader<'d>, values| Row {
        name: None,
        at: case.at.clone(),
        line: reader.line(&case.at),
        values,
        with: None,
        without: Vec::new(),
        needs: Vec::new(),
    };
    let Some(each) = case.member("each") else { return (vec![plain(reader, Vec::new())], None) };
    let word = each.value.as_str();
    if let Some((_, found, names)) = Each::ALL.iter().find(|(known, ..)| word == Some(*known)) {
        let value = |name: &&str| (format!("row.{name}"), Value::String(format!("{name}?")));
        return (vec![plain(reader, names.iter().map(value).collect())], Some(*found));
    }
    let mut rows: Vec<Row> = Vec::new();
    for node in reader.list(&each, "`each`") {
        let Some(row) = read_row(reader, &node) else { continue };
        if rows.iter().any(|other| other.name == row.name) {
            reader.fault(&node.at, "two rows of one name");
        }
        rows.push(row);
    }
    (rows, None)
}

fn read_row<'d>(reader: &mut Reader<'d>, node: &Node<'d>) -> Option<Row<'d>> {
    if !node.value.is_object() {
        reader.fault(&node.at, format!("a row is a mapping, not {}", kind(node.value)));
        return None;
    }
    read_note(reader, node);
    let name = reader.required(node, "a row", "row")?;
    let name = reader.string(&name, "`row`")?.to_owned();
    let mut values = vec![("row.row".to_owned(), Value::String(name.clone()))];
    for (key, value) in node.members() {
        if ["row", "with", "without", "needs", "note"].contains(&key) {
            continue;
        }
        if !template::is_name(key) || key.contains('.') {
            reader.fault_at_key(&value.at, format!("`{key}` is no name"), None);
        }
        check_syntax(reader, &value);
        values.push((format!("row.{key}"), value.value.clone()));
    }
    Some(Row {
        name: Some(name),
        at: node.at.clone(),
        line: reader.line(&node.at),
        values,
        with: read_with(reader, node),
        without: pointers(reader, node.member("without")),
        needs: read_needs(reader, node),
    })
}

/// What `with` sets: members of a body by JSON Pointer.
fn read_with<'d>(reader: &mut Reader, node: &Node<'d>) -> Option<Node<'d>> {
    let with = node.member("with")?;
    if !with.value.is_object() {
        let found = kind(with.value);
        reader.fault(&with.at, format!("`with` maps JSON Pointers to values; this is {found}"));
    }
    for (pointer, value) in with.members() {
        check_pointer_key(reader, pointer, &value.at);
    }
    Some(with)
}

fn pointers(reader: &mut Reader, node: Option<Node>) -> Vec<String> {
    let Some(node) = node else { return Vec::new() };
    reader.list(&node, "`without`").iter().filter_map(|item| read_pointer(reader, item)).collect()
}

fn read_pointer(reader: &mut Reader, node: &Node) -> Option<String> {
    let text = node.value.as_str();
    match text {
        Some(text) if text.is_empty() || text.starts_with('/') => Some(text.to_owned()),
        _ => {
            reader.fault_with_help(
                &node.at,
                "a JSON Pointer is expected here",
                "it starts with a slash: `/identifier/user`",
            );
            None
        }
    }
}

fn read_steps<'d>(
    reader: &mut Reader<'d>,
    node: Option<Node<'d>>,
    checks: &[String],
    is_setup: bool,
    row: Option<&Row<'d>>,
) -> Vec<Step> {
    let Some(node) = node else { return Vec::new() };
    let nodes = reader.list(&node, if is_setup { "`setup`" } else { "`steps`" });
    let varied = row.and_then(|row| varied_step(reader, row, &nodes));
    let mut steps = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let change = row.filter(|_| varied == Some(index));
        steps.extend(read_step(reader, node, checks, is_setup, change));
    }
    steps
}

/// Which step a row changes: the one marked `vary`, or the only one with a body.
fn varied_step(reader: &mut Reader, row: &Row, steps: &[Node]) -> Option<usize> {
    if row.with.is_none() && row.without.is_empty() {
        return None;
    }
    let marked: Vec<_> = steps.iter().positions(|step| step.member("vary").is_some());
    let bodies: Vec<_> = steps.iter().positions(|step| step.member("body").is_some());
    match (marked.as_slice(), bodies.as_slice()) {
        ([one], _) => Some(*one),
        ([], [one]) => Some(*one),
        _ => {
            reader.fault_with_help(
                &row.at,
                "it is not clear which step this row changes",
                "write `vary: true` at one step with a body",
            );
            None
        }
    }
}

trait Positions: Iterator + Sized {
    fn positions(self, keep: impl Fn(Self::Item) -> bool) -> Vec<usize> {
        self.enumerate().filter_map(|(at, item)| keep(item).then_some(at)).collect()
    }
}
impl<I: Iterator> Positions for I {}

fn read_step<'d>(
    reader: &mut Reader<'d>,
    node: &Node<'d>,
    checks: &[String],
    is_setup: bool,
    row: Option<&Row<'d>>,
) -> Option<Step> {
    if node.member("operator").is_some() {
        return read_operator_step(reader, node);
    }
    reader.object(node, "a step", &STEP_KEYS)?;
    read_note(reader, node);
    if let Some(vary) = node.member("vary")
        && vary.value != &Value::Bool(true)
    {
        reader.fault(&vary.at, "`vary` can only be `true`");
    }
    let target = read_target(reader, node)?;
    let step = Step {
        pointer: node.at.clone(),
        line: reader.line(&node.at),
        target,
        params: named_strings(reader, node, "params"),
        query: named_strings(reader, node, "query"),
        headers: named_strings(reader, node, "headers"),
        api: node.member("api").and_then(|node| {
            reader.word(&node, "path prefix", &[("r0", Api::R0), ("v3", Api::V3)])
        }),
        auth: read_auth(reader, node),
        body: read_body(reader, node, row),
        media_type: read_media_type(reader, node),
        uia: node.member("uia").and_then(|node| reader.string(&node, "`uia`")).map(str::to_owned),
        send: read_send(reader, node),
        wait: node.member("wait").and_then(|node| duration(reader, &node)),
        within: node.member("within").and_then(|node| duration(reader, &node)),
        optional: read_optional(reader, node, is_setup),
        schema_off: read_schema_off(reader, node),
        blocks: read_blocks(reader, node, checks, is_setup),
        save: read_save(reader, node),
    };
    if step.within.is_some() && step.send != Send::Once {
        reader.fault(&node.at, "`within` stands only at a step that is sent once");
    }
    if step.blocks.is_empty() && !is_setup && step.save.is_empty() {
        reader.fault_with_help(
            &node.at,
            "this step expects nothing",
            "give it a `must`, `should` or `may` block, or move it to `setup`",
        );
    }
    Some(step)
}

/// A step that is no request: something that the operator does.
fn read_operator_step<'d>(reader: &mut Reader<'d>, node: &Node<'d>) -> Option<Step> {
    reader.object(node, "an operator step", &["operator", "params", "note"])?;
    read_note(reader, node);
    let act = node.member("operator")?;
    let act = reader.word(&act, "act of an operator", &Act::ALL)?;
    Some(Step {
        pointer: node.at.clone(),
        line: reader.line(&node.at),
        target: Target::Operator(act),
        params: named_strings(reader, node, "params"),
        query: Vec::new(),
        headers: Vec::new(),
        api: None,
        auth: Auth::None,
        body: Body::None,
        media_type: MediaType::Json,
        uia: None,
        send: Send::Once,
        wait: None,
        within: None,
        optional: None,
        schema_off: None,
        blocks: Vec::new(),
        save: Vec::new(),
    })
}

fn read_target<'d>(reader: &mut Reader<'d>, node: &Node<'d>) -> Option<Target> {
    match (node.member("call"), node.member("method"), node.member("path")) {
        (Some(call), None, None) => Some(Target::Call(reader.string(&call, "`call`")?.to_owned())),
        (None, Some(method), Some(path)) => {
            check_syntax(reader, &method);
            check_syntax(reader, &path);
            let method = reader.string(&method, "`method`")?.to_owned();
            let path_text = reader.string(&path, "`path`")?.to_owned();
            if !path_text.starts_with(['/', '$']) {
                reader.fault(&path.at, "a path starts with a slash");
            }
            Some(Target::Raw { method, path: path_text })
        }
        _ => {
            reader.fault_with_help(
                &node.at,
                "a step says what it calls",
                "`call` with an operation, `method` with `path` for what no file describes, or `operator`",
            );
            None
        }
    }
}

fn named_strings<'d>(reader: &mut Reader<'d>, step: &Node<'d>, key: &str) -> Values {
    let Some(node) = step.member(key) else { return Vec::new() };
    if !node.value.is_object() {
        reader.fault(&node.at, format!("`{key}` is a mapping, not {}", kind(node.value)));
    }
    let mut values = Vec::new();
    for (name, value) in node.members() {
        if value.value.is_object() || value.value.is_array() || value.value.is_null() {
            reader.fault(&value.at, format!("a value in `{key}` is a scalar"));
        }
        check_syntax(reader, &value);
        values.push((name.to_owned(), value.value.clone()));
    }
    values
}

fn read_auth<'d>(reader: &mut Reader<'d>, step: &Node<'d>) -> Auth {
    let (token, raw) = (step.member("token"), step.member("authorization"));
    if let (Some(token), Some(_)) = (&token, &raw) {
        reader.fault(&token.at, "`token` and `authorization` exclude each other");
    }
    if let Some(node) = raw {
        check_syntax(reader, &node);
        reader.string(&node, "`authorization`");
        return Auth::Raw(node.value.clone());
    }
    let Some(node) = token else { return Auth::None };
    check_syntax(reader, &node);
    if node.value.is_object() {
        reader.object(&node, "`token`", &["query"]);
        let Some(query) = reader.required(&node, "`token`", "query") else { return Auth::None };
        reader.string(&query, "`query`");
        return Auth::Query(query.value.clone());
    }
    reader.string(&node, "`token`");
    Auth::Bearer(node.value.clone())
}

fn read_body<'d>(reader: &mut Reader<'d>, step: &Node<'d>, row: Option<&Row<'d>>) -> Body {
    let (body, raw) = (step.member("body"), step.member("raw"));
    if let (Some(_), Some(raw)) = (&body, &raw) {
        reader.fault(&raw.at, "`body` and `raw` exclude each other");
    }
    let with = read_with(reader, step);
    let without = pointers(reader, step.member("without"));
    let Some(node) = body else {
        for key in ["with", "without"] {
            if let Some(node) = step.member(key) {
                let fault = format!("`{key}` changes a `body`, and there is none");
                reader.fault_at_key(&node.at, fault, None);
            }
        }
        return raw.map_or(Body::None, |node| read_raw(reader, &node));
    };
    check_syntax(reader, &node);
    let mut value = node.value.clone();
    change(reader, &mut value, with, &without, &node.at);
    if let Some(row) = row {
        change(reader, &mut value, row.with.clone(), &row.without, &row.at);
    }
    Body::Json(value)
}

fn read_raw<'d>(reader: &mut Reader<'d>, node: &Node<'d>) -> Body {
    if reader.object(node, "`raw`", &["text", "hex", "type"]).is_none() {
        return Body::None;
    }
    match (node.member("text"), node.member("hex")) {
        (Some(text), None) => {
            check_syntax(reader, &text);
            match text.value.as_str() {
                Some(value) => Body::Text(value.to_owned()),
                None => {
                    reader.fault(&text.at, "`text` is a string");
                    Body::None
                }
            }
        }
        (None, Some(hex)) => {
            let bytes = reader.string(&hex, "`hex`").and_then(from_hex);
            if bytes.is_none() {
                reader.fault(&hex.at, "`hex` is an even number of hexadecimal digits");
            }
            Body::Bytes(bytes.unwrap_or_default())
        }
        _ => {
            reader.fault(&node.at, "`raw` has either `text` or `hex`");
            Body::None
        }
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16))
        .collect::<Option<_>>()?;
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect()
}

/// Sets and drops members of a body by JSON Pointer.
fn change(reader: &mut Reader, body: &mut Value, with: Option<Node>, without: &[String], at: &str) {
    for (pointer, value) in with.iter().flat_map(Node::members) {
        check_syntax(reader, &value);
        let is_pointer = pointer.is_empty() || pointer.starts_with('/');
        if is_pointer && !set(body, pointer, value.value.clone()) {
            reader.fault_at_key(&value.at, format!("`{pointer}` has no parent in the body"), None);
        }
    }
    for pointer in without {
        if !drop_member(body, pointer) {
            reader.fault(at, format!("`{pointer}` is not in the body"));
        }
    }
}

fn split_pointer(pointer: &str) -> Option<(&str, String)> {
    let (parent, last) = pointer.rsplit_once('/')?;
    Some((parent, last.replace("~1", "/").replace("~0", "~")))
}

fn set(body: &mut Value, pointer: &str, value: Value) -> bool {
    if pointer.is_empty() {
        *body = value;
        return true;
    }
    let Some((parent, key)) = split_pointer(pointer) else { return false };
    match body.pointer_mut(parent) {
        Some(Value::Object(members)) => {
            members.insert(key, value);
            true
        }
        _ => false,
    }
}

fn drop_member(body: &mut Value, pointer: &str) -> bool {
    let Some((parent, key)) = split_pointer(pointer) else { return false };
    match body.pointer_mut(parent) {
        Some(Value::Object(members)) => members.shift_remove(&key).is_some(),
        _ => false,
    }
}

fn read_media_type<'d>(reader: &mut Reader<'d>, step: &Node<'d>) -> MediaType {
    let inside = step.member("raw").and_then(|raw| raw.member("type"));
    if let (Some(_), Some(inside)) = (step.member("type"), &inside) {
        reader.fault(&inside.at, "`type` stands at the step already");
    }
    let Some(node) = step.member("type").or(inside) else { return MediaType::Json };
    match reader.string(&node, "`type`") {
        Some("none") => MediaType::None,
        Some(text) => MediaType::Given(text.to_owned()),
        None => MediaType::Json,
    }
}

fn read_send<'d>(reader: &mut Reader<'d>, step: &Node<'d>) -> Send {
    let (parallel, repeat, until) =
        (step.member("parallel"), step.member("repeat"), step.member("until"));
    match (parallel, repeat, until) {
        (None, None, None) => Send::Once,
        (Some(node), None, None) => Send::Parallel(reader.count(&node, "`parallel`").unwrap_or(1)),
        (None, Some(node), None) => Send::Repeat(reader.count(&node, "`repeat`").unwrap_or(1)),
        (None, None, Some(node)) => read_until(reader, &node).unwrap_or(Send::Once),
        _ => {
            reader.fault(&step.at, "`parallel`, `repeat` and `until` exclude each other");
            Send::Once
        }
    }
}

fn read_until<'d>(reader: &mut Reader<'d>, node: &Node<'d>) -> Option<Send> {
    reader.object(node, "`until`", &["status", "at_most"])?;
    let status_node = reader.required(node, "`until`", "status");
    let at_most = reader.required(node, "`until`", "at_most");
    let at_most = at_most.and_then(|node| reader.count(&node, "`at_most`"));
    let status_node = status_node?;
    let Some(StatusPattern::Exact(status)) = status_pattern(status_node.value) else {
        reader.fault(&status_node.at, "`until` waits for one status, such as 429");
        return None;
    };
    Some(Send::Until { status, at_most: at_most? })
}

/// `2s`, `300ms`.
fn duration(reader: &mut Reader, node: &Node) -> Option<Duration> {
    let parsed = node.value.as_str().and_then(|text| {
        let (number, unit) = match text.strip_suffix("ms") {
            Some(number) => (number, 1),
            None => (text.strip_suffix('s')?, 1000),
        };
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse::<u32>().ok().filter(|_| digits)?;
        Some(Duration::from_millis(u64::from(number) * unit))
    });
    if parsed.is_none() {
        reader.fault(&node.at, "a time is written as `2s` or `300ms`");
    }
    parsed
}

fn read_optional(reader: &mut Reader, step: &Node, is_setup: bool) -> Option<String> {
    let node = step.member("optional")?;
    if !is_setup {
        reader.fault_at_key(&node.at, "`optional` stands only in `setup`", None);
    }
    reader.string(&node, "`optional`").map(str::to_owned)
}

fn read_schema_off<'d>(reader: &mut Reader<'d>, step: &Node<'d>) -> Option<String> {
    let Some(schema) = step.member("schema") else {
        if let Some(because) = step.member("because") {
            reader.fault_at_key(&because.at, "`because` is the reason of `schema: off`", None);
        }
        return None;
    };
    if schema.value.as_str() != Some("off") {
        reader.fault(&schema.at, "`schema` can only be `off`");
    }
    let Some(because) = step.member("because") else {
        reader.fault_with_help(&schema.at, "`schema: off` needs a reason", "say why in `because`");
        return None;
    };
    reader.string(&because, "`because`").map(str::to_owned)
}

fn read_blocks<'d>(
    reader: &mut Reader<'d>,
    step: &Node<'d>,
    checks: &[String],
    is_setup: bool,
) -> Vec<Block> {
    let levels = [("must", Level::Must), ("should", Level::Should), ("may", Level::May)];
    let mut blocks = Vec::new();
    for (key, level) in levels {
        let Some(node) = step.member(key) else { continue };
        if is_setup && level != Level::Must {
            reader.fault_at_key(&node.at, format!("`setup` has only `must`, not `{key}`"), None);
        }
        let nodes = match node.value {
            Value::Array(_) => reader.list(&node, &format!("`{key}`")),
            _ => vec![node],
        };
        for node in nodes {
            blocks.extend(read_block(reader, &node, level, checks, is_setup));
        }
    }
    blocks
}

fn read_block<'d>(
    reader: &mut Reader<'d>,
    node: &Node<'d>,
    level: Level,
    checks: &[String],
    is_setup: bool,
) -> Option<Block> {
    const KEYS: [&str; 8] = ["req", "if", "exactly", "one_of", "status", "headers", "body", "text"];
    reader.object(node, "a block", &KEYS)?;
    let req = read_req(reader, node, checks, is_setup);
    let when = match node.member("if") {
        Some(node) => {
            reader.object(&node, "`if`", &EXPECT_KEYS)?;
            let when = read_expect(reader, &node);
            if when.is_none() {
                reader
                    .fault(&node.at, "this `if` asks for nothing: it would hold for every answer");
            }
            when
        }
        None => None,
    };
    let exactly = match node.member("exactly") {
        Some(node) => reader.count(&node, "`exactly`"),
        None => None,
    };
    let plain = read_expect(reader, node);
    let branches = match (node.member("one_of"), plain) {
        (Some(list), None) => read_branches(reader, &list),
        (None, Some(expect)) => vec![Branch { name: None, warn: None, expect }],
        (Some(list), Some(_)) => {
            reader.fault(&list.at, "`one_of` stands alone: its branches say what is expected");
            Vec::new()
        }
        (None, None) => {
            reader.fault_with_help(
                &node.at,
                "this block expects nothing",
                "give it `status`, `headers`, `body`, `text` or `one_of`",
            );
            Vec::new()
        }
    };
    Some(Block {
        level,
        req,
        when,
        exactly,
        branches,
        pointer: node.at.clone(),
        line: reader.line(&node.at),
    })
}

fn read_req<'d>(
    reader: &mut Reader<'d>,
    block: &Node<'d>,
    checks: &[String],
    is_setup: bool,
) -> String {
    match (block.member("req"), checks) {
        (Some(node), _) if is_setup => {
            reader.fault(&node.at, "`setup` decides nothing: a block there has no `req`");
            String::new()
        }
        _ if is_setup => String::new(),
        (Some(node), _) => {
            let req = reader.string(&node, "`req`").unwrap_or_default();
            if !req.is_empty() && !checks.iter().any(|check| check == req) {
                let near = crate::diagnostic::did_you_mean(req, checks.iter().map(String::as_str));
                let help = near.map_or("add it to `checks`".to_owned(), |near| {
                    format!("did you mean `{near}`? Otherwise add it to `checks`")
                });
                reader.fault_with_help(&node.at, format!("`{req}` is not in `checks`"), help);
            }
            req.to_owned()
        }
        (None, [one]) => one.clone(),
        (None, _) => {
            reader.fault_with_help(
                &block.at,
                "this block does not say which requirement it decides",
                "with several in `checks`, each block names its own in `req`",
            );
            String::new()
        }
    }
}

fn read_branches<'d>(reader: &mut Reader<'d>, list: &Node<'d>) -> Vec<Branch> {
    const KEYS: [&str; 6] = ["name", "warn", "status", "headers", "body", "text"];
    let mut branches = Vec::new();
    for node in reader.list(list, "`one_of`") {
        if reader.object(&node, "a branch", &KEYS).is_none() {
            continue;
        }
        let name = reader
            .required(&node, "a branch", "name")
            .and_then(|node| reader.string(&node, "`name`").map(str::to_owned));
        let warn =
            node.member("warn").and_then(|node| reader.string(&node, "`warn`").map(str::to_owned));
        let expect = read_expect(reader, &node);
        if expect.is_none() {
            reader.fault(&node.at, "this branch expects nothing: it would take every answer");
        }
        branches.push(Branch { name, warn, expect: expect.unwrap_or_default() });
    }
    branches
}

fn read_expect<'d>(reader: &mut Reader<'d>, node: &Node<'d>) -> Option<Expect> {
    let keys = EXPECT_KEYS.iter().filter_map(|key| node.member(key));
    if keys.count() == 0 {
        return None;
    }
    Some(Expect {
        status: node.member("status").and_then(|node| read_status(reader, &node)),
        headers: node
            .member("headers")
            .map(|node| named_matchers(reader, &node, "`headers`"))
            .unwrap_or_default(),
        body: node
            .member("body")
            .map(|node| pointed_matchers(reader, &node, "`body`"))
            .unwrap_or_default(),
        text: node.member("text").and_then(|node| read_matcher(reader, &node)),
    })
}

fn read_status(reader: &mut Reader, node: &Node) -> Option<StatusRule> {
    let rule = |any_of, negated| Some(StatusRule { any_of, negated });
    if let Some(members) = node.value.as_object() {
        let only = members.iter().next().filter(|_| members.len() == 1);
        return match only {
            Some((key, Value::Array(items))) if key == "in" => {
                let any_of: Option<Vec<_>> = items.iter().map(status_pattern).collect();
                let known = any_of.filter(|any_of| !any_of.is_empty());
                if known.is_none() {
                    reader.fault(&node.at, "`in` lists statuses such as 403 or 4xx");
                }
                rule(known?, false)
            }
            Some((key, value)) if key == "not" => {
                let pattern = status_pattern(value);
                if pattern.is_none() {
                    reader.fault(&node.at, "`not` has a status such as 403 or 4xx");
                }
                rule(vec![pattern?], true)
            }
            _ => {
                reader.fault(&node.at, "a status is 403, 4xx, `{ in: [...] }` or `{ not: 404 }`");
                None
            }
        };
    }
    let pattern = status_pattern(node.value);
    if pattern.is_none() {
        reader.fault(&node.at, "a status is 403, 4xx, `{ in: [...] }` or `{ not: 404 }`");
    }
    rule(vec![pattern?], false)
}

fn status_pattern(value: &Value) -> Option<StatusPattern> {
    if let Some(status) = value.as_u64() {
        let status = u16::try_from(status).ok()?;
        return (100..600).contains(&status).then_some(StatusPattern::Exact(status));
    }
    let class = value.as_str()?.strip_suffix("xx")?;
    let classes = ["1", "2", "3", "4", "5"];
    let at = classes.iter().position(|known| *known == class)?;
    Some(StatusPattern::Class(u16::try_from(at + 1).ok()?))
}

fn named_matchers(reader: &mut Reader, node: &Node, what: &str) -> Vec<(String, Matcher)> {
    if node.value.as_object().is_none_or(|members| members.is_empty()) {
        reader.fault(&node.at, format!("{what} is a mapping with at least one member"));
    }
    let mut matchers = Vec::new();
    for (name, value) in node.members() {
        if let Some(matcher) = read_matcher(reader, &value) {
            matchers.push((name.to_owned(), matcher));
        }
    }
    matchers
}

fn check_pointer_key(reader: &mut Reader, pointer: &str, at: &str) {
    if !(pointer.is_empty() || pointer.starts_with('/')) {
        let fault = format!("`{pointer}` is not a JSON Pointer");
        reader.fault_at_key(at, fault, Some(format!("did you mean `/{pointer}`?")));
    }
}

fn pointed_matchers(reader: &mut Reader, node: &Node, what: &str) -> Vec<(String, Matcher)> {
    for (pointer, value) in node.members() {
        check_pointer_key(reader, pointer, &value.at);
        if let Err(error) = template::pieces(pointer) {
            reader.fault_at_key(&value.at, error.to_string(), None);
        }
    }
    named_matchers(reader, node, what)
}

const MATCHERS: [&str; 19] = [
    "equals",
    "not",
    "type",
    "pattern",
    "in",
    "min",
    "max",
    "length",
    "present",
    "contains",
    "every",
    "some",
    "members",
    "unique",
    "url",
    "when_present",
    "all",
    "media_type",
    "tokens_include",
];

/// Reads one matcher: a scalar is equality, a mapping exactly one matcher, a bare list nothing.
fn read_matcher(reader: &mut Reader, node: &Node) -> Option<Matcher> {
    let members = match node.value {
        Value::Object(members) => members,
        Value::Array(_) => {
            reader.fault_with_help(
                &node.at,
                "a bare list is no matcher",
                "write `{ equals: [...] }`, `{ in: [...] }` or `{ contains: ... }`",
            );
            return None;
        }
        _ => {
            check_syntax(reader, node);
            return Some(Matcher::Equals(node.value.clone()));
        }
    };
    reader.object(node, "a matcher", &MATCHERS)?;
    let bounds = members.keys().all(|key| key == "min" || key == "max");
    if bounds && !members.is_empty() {
        return read_range(reader, node).map(Matcher::Range);
    }
    let Some((key, _)) = members.iter().next().filter(|_| members.len() == 1) else {
        reader.fault_with_help(
            &node.at,
            "a mapping is exactly one matcher",
            "join several with `{ all: [...] }`; a mapping to compare with is `{ equals: {...} }`",
        );
        return None;
    };
    let inner = node.member(key)?;
    read_operator(reader, key, &inner)
}

fn read_operator(reader: &mut Reader, key: &str, node: &Node) -> Option<Matcher> {
    let boxed = |reader: &mut Reader| read_matcher(reader, node).map(Box::new);
    match key {
        "equals" => {
            check_syntax(reader, node);
            Some(Matcher::Equals(node.value.clone()))
        }
        "not" => boxed(reader).map(Matcher::Not),
        "contains" => boxed(reader).map(Matcher::Contains),
        "every" => boxed(reader).map(Matcher::Every),
        "some" => boxed(reader).map(Matcher::Some),
        "when_present" => boxed(reader).map(Matcher::WhenPresent),
        "type" => reader.word(node, "kind of value", &Kind::ALL).map(Matcher::Type),
        "present" => reader.boolean(node, "`present`").map(Matcher::Present),
        "media_type" => reader
            .string(node, "`media_type`")
            .map(|text| Matcher::MediaType(text.to_ascii_lowercase())),
        "pattern" => {
            let text = reader.string(node, "`pattern`")?;
            match Pattern::new(text) {
                Ok(pattern) => Some(Matcher::Pattern(pattern)),
                Err(error) => {
                    reader.fault(&node.at, format!("not a regular expression: {error}"));
                    None
                }
            }
        }
        "in" => {
            check_syntax(reader, node);
            let items = reader.list(node, "`in`");
            Some(Matcher::In(items.iter().map(|item| item.value.clone()).collect()))
        }
        "all" => {
            let items = reader.list(node, "`all`");
            let all: Vec<_> = items.iter().filter_map(|item| read_matcher(reader, item)).collect();
            (all.len() == items.len()).then_some(Matcher::All(all))
        }
        "length" => match node.value.as_u64() {
            Some(size) => {
                let size = Some(size as f64);
                Some(Matcher::Length(Range { min: size, max: size }))
            }
            None => {
                reader.object(node, "`length`", &["min", "max"])?;
                read_range(reader, node).map(Matcher::Length)
            }
        },
        "members" => Some(Matcher::Members(pointed_matchers(reader, node, "`members`"))),
        "unique" => match node.value {
            Value::Bool(true) => Some(Matcher::Unique(None)),
            _ => read_pointer(reader, node).map(|pointer| Matcher::Unique(Some(pointer))),
        },
        "url" => read_url(reader, node).map(Matcher::Url),
        "tokens_include" => {
            let items = reader.list(node, "`tokens_include`");
            let tokens: Option<Vec<String>> = items
                .iter()
                .map(|item| reader.string(item, "a token").map(str::to_owned))
                .collect();
            tokens.map(Matcher::TokensInclude)
        }
        _ => None,
    }
}

fn read_range(reader: &mut Reader, node: &Node) -> Option<Range> {
    let mut bound = |key: &str| match node.member(key) {
        None => Some(None),
        Some(node) if node.value.is_number() => Some(node.value.as_f64()),
        Some(node) => {
            reader.fault(&node.at, format!("`{key}` is a number"));
            None
        }
    };
    let (min, max) = (bound("min")?, bound("max")?);
    if min.is_none() && max.is_none() {
        reader.fault(&node.at, "`min` or `max` is missing");
        return None;
    }
    Some(Range { min, max })
}

fn read_url(reader: &mut Reader, node: &Node) -> Option<UrlRule> {
    if node.value.as_str() == Some("absolute") {
        return Some(UrlRule::default());
    }
    reader.object(node, "`url`", &["schemes", "query", "fragment"])?;
    let mut rule = UrlRule::default();
    if let Some(list) = node.member("schemes") {
        for item in reader.list(&list, "`schemes`") {
            rule.schemes.extend(reader.string(&item, "a scheme").map(str::to_owned));
        }
    }
    for (key, forbidden) in [("query", &mut rule.no_query), ("fragment", &mut rule.no_fragment)] {
        if let Some(node) = node.member(key) {
            *forbidden = reader.boolean(&node, &format!("`{key}`")) == Some(false);
        }
    }
    Some(rule)
}

fn read_save<'d>(reader: &mut Reader<'d>, step: &Node<'d>) -> Vec<(String, Source)> {
    let Some(node) = step.member("save") else { return Vec::new() };
    if node.value.as_object().is_none_or(|members| members.is_empty()) {
        reader.fault(&node.at, "`save` maps names to places in the answer");
    }
    let mut saved = Vec::new();
    for (name, value) in node.members() {
        if !template::is_name(name) || name.contains('.') {
            reader.fault_at_key(&value.at, format!("`{name}` is no name"), None);
        }
        if let Some(source) = read_source(reader, &value) {
            saved.push((name.to_owned(), source));
        }
    }
    saved
}

fn read_source(reader: &mut Reader, node: &Node) -> Option<Source> {
    const HELP: &str = "`/pointer`, `status`, `{ header: NAME }` or `{ location: PARAMETER }`";
    let source = match node.value {
        Value::String(text) if text == "status" => Some(Source::Status),
        Value::String(text) if text.is_empty() || text.starts_with('/') => {
            Some(Source::Body(text.clone()))
        }
        Value::Object(members) => {
            let only = members.iter().next().filter(|_| members.len() == 1);
            match only.map(|(key, value)| (key.as_str(), value.as_str())) {
                Some(("header", Some(name))) => Some(Source::Header(name.to_ascii_lowercase())),
                Some(("location", Some(name))) => Some(Source::Location(name.to_owned())),
                _ => None,
            }
        }
        _ => None,
    };
    if source.is_none() {
        reader.fault_with_help(&node.at, "no place in an answer", HELP);
    }
    source
}

/// Every reference names something that is known at its step.
fn check_references(reader: &mut Reader, case: &Case) {
    let mut known: BTreeSet<String> = case.values.iter().map(|(name, _)| name.clone()).collect();
    known.extend(SERVER_MEMBERS.iter().map(|member| format!("server.{member}")));
    for need in &case.needs {
        match need {
            Need::Account { name, .. } => {
                let members = ACCOUNT_MEMBERS.iter().filter(|m| !SESSION_MEMBERS.contains(m));
                known.extend(members.map(|member| format!("{name}.{member}")));
            }
            Need::Session(name) => {
                known.extend(ACCOUNT_MEMBERS.iter().map(|member| format!("{name}.{member}")));
            }
            Need::Operator(name) => {
                let values = OPERATOR_VALUES.iter().filter(|(known, _)| known == name);
                let members = values.flat_map(|(_, members)| *members);
                known.extend(members.map(|member| format!("operator.{name}.{member}")));
            }
            _ => {}
        }
    }
    check_circles(reader, case);
    let nested = case
        .values
        .iter()
        .flat_map(|(_, value)| template::references(value).into_iter().map(|(name, _)| name));
    for name in nested.collect::<Vec<_>>() {
        check_reference(reader, &name, &known, &case.pointer);
    }
    for step in case.all_steps() {
        for name in step.request_references() {
            check_reference(reader, &name, &known, &step.pointer);
        }
        known.extend(step.save.iter().map(|(name, _)| name.clone()));
        for block in &step.blocks {
            let expects = block.when.iter().chain(block.branches.iter().map(|b| &b.expect));
            for name in expects.flat_map(Expect::references).collect::<Vec<_>>() {
                check_reference(reader, &name, &known, &block.pointer);
            }
        }
        if let Some(account) = &step.uia
            && !known.contains(&format!("{account}.password"))
        {
            reader.fault_with_help(
                &step.pointer,
                format!("`uia: {account}` names no account of this case"),
                format!("add `account {account}` to `needs`"),
            );
        }
    }
}

/// A value that leads back to itself never ends.
fn check_circles(reader: &mut Reader, case: &Case) {
    let inner = |name: &str| {
        let value = case.values.iter().find(|(known, _)| known == name);
        let found = value.map(|(_, value)| template::references(value)).unwrap_or_default();
        found.into_iter().map(|(name, _)| name)
    };
    for (name, _) in &case.values {
        let (mut met, mut open) = (BTreeSet::new(), vec![name.clone()]);
        while let Some(next) = open.pop() {
            open.extend(inner(&next).filter(|found| met.insert(found.clone())));
        }
        if met.contains(name) {
            let fault = format!("the value of `${name}` leads back to itself");
            reader.fault(&case.pointer, fault);
        }
    }
}

fn check_reference(reader: &mut Reader, name: &str, known: &BTreeSet<String>, below: &str) {
    if known.contains(name) || is_new(name) {
        return;
    }
    let fresh: Vec<String> = NEW_MEMBERS.iter().map(|member| format!("new.{member}")).collect();
    let all = known.iter().chain(&fresh).map(String::as_str);
    let help = match crate::diagnostic::did_you_mean(name, all) {
        Some(near) => format!("did you mean `${near}`?"),
        None => match name.split_once('.') {
            Some(("new", _)) => format!("`$new` has: {}", NEW_MEMBERS.join(", ")),
            Some(("operator", _)) => {
                let given = OPERATOR_VALUES.map(|(name, _)| format!("`operator {name}`"));
                format!("what an operator gives stands in `needs`: {}", given.join(", "))
            }
            Some((account, member)) if SESSION_MEMBERS.contains(&member) => {
                format!("add `session {account}` to `needs`")
            }
            Some((account, _)) => format!("add `account {account}` to `needs`"),
            None => "save it in an earlier step".to_owned(),
        },
    };
    let fault = format!("`${name}` has no value here");
    let written = reader.node(below).and_then(|node| {
        let found = template::references(node.value);
        found.into_iter().find(|(known, _)| known == name).map(|(_, pointer)| pointer)
    });
    // A row may have brought it in: then it does not stand in the step.
    let at = format!("{below}{}", written.unwrap_or_default());
    reader.fault_with_help(&at, fault, help);
}

/// Whether a name is `new.…` with a known member, or one of its numbered siblings.
pub fn is_new(name: &str) -> bool {
    name.strip_prefix("new.").is_some_and(|member| {
        NEW_MEMBERS.iter().any(|known| {
            member.strip_prefix(known).is_some_and(|rest| {
                rest.is_empty()
                    || rest.strip_prefix('_').is_some_and(|n| {
                        n.len() == 1 && ('2'..='9').contains(&n.chars().next().unwrap_or('0'))
                    })
            })
        })
    })
}

/// Every requirement of `checks` has a block that can decide it.
fn check_asserted(reader: &mut Reader, case: &Case) {
    for check in &case.checks {
        let decided = case.steps.iter().flat_map(|s| &s.blocks).any(|block| block.req == *check);
        if !decided {
            reader.fault(&case.pointer, format!("no block decides `{check}`"));
        }
    }
}
