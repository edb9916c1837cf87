//! A case with its rows.
use super::expect::check_pointer_key;
use super::references::{check_asserted, check_references};
use super::step::read_steps;
use super::*;

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

/// A row of `each`: its name and what it changes.
pub(super) struct Row<'d> {
    name: Option<String>,
    pub(super) at: String,
    line: u32,
    values: Values,
    pub(super) with: Option<Node<'d>>,
    pub(super) without: Vec<String>,
    needs: Vec<Need>,
}

pub(super) fn read_case<'d>(
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
pub(super) fn read_with<'d>(reader: &mut Reader, node: &Node<'d>) -> Option<Node<'d>> {
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

pub(super) fn pointers(reader: &mut Reader, node: Option<Node>) -> Vec<String> {
    let Some(node) = node else { return Vec::new() };
    reader.list(&node, "`without`").iter().filter_map(|item| read_pointer(reader, item)).collect()
}

pub(super) fn read_pointer(reader: &mut Reader, node: &Node) -> Option<String> {
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
