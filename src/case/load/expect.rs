//! What a step expects of its answer.
use super::case::read_pointer;
use super::*;

const EXPECT_KEYS: [&str; 4] = ["status", "headers", "body", "text"];

pub(super) fn read_blocks<'d>(
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

pub(super) fn status_pattern(value: &Value) -> Option<StatusPattern> {
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

pub(super) fn check_pointer_key(reader: &mut Reader, pointer: &str, at: &str) {
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
