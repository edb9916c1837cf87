//! A step: its request, how it is sent, what is saved of the answer.
use super::case::{Row, pointers, read_with};
use super::expect::{read_blocks, status_pattern};
use super::*;

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

pub(super) fn read_steps<'d>(
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
