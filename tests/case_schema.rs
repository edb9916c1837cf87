//! `spec/case.schema.json` against the loader: both say the same of the shape of a case file.
//!
//! One file that uses every key of the format is changed in every place, in every way of a list;
//! each result goes through both. What needs more than the shape (which names have a value, which
//! requirements are decided) is the loader's alone and told apart by its words, see [`BEYOND`].
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
use homespec::case::load::case_file;
use homespec::yaml::document::Document;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A part of each fault of the loader that is no fault of shape.
const BEYOND: &[&str] = &[
    "has no value here",
    "refers to itself",
    "is not an account of this case",
    "no block decides",
    "is not in `checks`",
    "is not a value that an earlier step saves",
    "is not saved as a number",
    "does not say which requirement it decides",
    "has no parent in the body",
    "is not in the body",
    "two rows with the same name",
    "it is not clear which step this row changes",
    "`$` that starts no reference",
    "is not a reference",
    "without a closing",
    "not a regular expression",
];

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let path = root().join("spec/case.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
});

static VALIDATOR: LazyLock<jsonschema::Validator> =
    LazyLock::new(|| jsonschema::draft202012::new(&SCHEMA).unwrap());

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The faults of shape that the loader finds; none where it takes the file or finds others only.
fn faults_of_shape(file: &Value) -> Vec<String> {
    let text = serde_json::to_string_pretty(file).unwrap();
    let faults = match Document::parse("own.yaml", text).and_then(case_file) {
        Ok(_) => return Vec::new(),
        Err(faults) => faults,
    };
    let of_shape = |fault: &String| !BEYOND.iter().any(|words| fault.contains(words));
    faults.iter().map(|fault| fault.message.clone()).filter(of_shape).collect()
}

/// A file that uses every key.
fn whole() -> Value {
    let path = root().join("tests/case_schema/everything.yaml");
    Document::read(&path, "everything.yaml").unwrap().value().clone()
}

/// What is put in the place of everything.
fn unrelated_requests() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(-1),
        json!(1.5),
        json!(404),
        json!(600),
        json!(""),
        json!("x"),
        json!("/x"),
        json!("$greeting"),
        json!("4xx"),
        json!("6xx"),
        json!("+4xx"),
        json!("3s"),
        json!("+3s"),
        json!("3 s"),
        json!("off"),
        json!("should"),
        json!("what it should be"),
        json!("status"),
        json!("account x"),
        json!("account X"),
        json!("version 1.3"),
        json!("feature flying"),
        json!("7b7"),
        json!("wait"),
        json!("Kebab--case"),
        json!([]),
        json!(["x"]),
        json!(["x", "x"]),
        json!(["/x"]),
        json!([1]),
        json!([{}]),
        json!([{ "status": 200 }]),
        json!({}),
        json!({ "x": 1 }),
        json!({ "/x": 1 }),
        json!({ "status": 200 }),
        json!({ "min": 1 }),
        json!({ "min": "1" }),
        json!({ "min": 1, "max": 2, "type": "string" }),
        json!({ "type": "string", "present": true }),
        json!({ "in": [] }),
        json!({ "in": ["x"] }),
        json!({ "in": [404], "not": 403 }),
        json!({ "query": "x" }),
        json!({ "header": "x" }),
        json!({ "header": "x", "location": "y" }),
        json!({ "text": "x" }),
        json!({ "hex": "7" }),
        json!({ "hex": "  " }),
        json!({ "text": "x", "hex": "7b" }),
        json!({ "name": "x", "status": 200 }),
        json!({ "row": "x" }),
    ]
}

/// Keys that are put beside others, with a value that is right somewhere.
fn additions() -> Vec<(&'static str, Value)> {
    vec![
        ("unknown", json!(1)),
        ("status", json!(200)),
        ("one_of", json!([{ "name": "x", "status": 200 }])),
        ("req", json!("a.b")),
        ("call", json!("login")),
        ("path", json!("/x")),
        ("body", json!({})),
        ("raw", json!({ "text": "", "type": "x" })),
        ("type", json!("string")),
        ("token", json!("x")),
        ("authorization", json!("x")),
        ("parallel", json!(2)),
        ("until", json!({ "status": 429, "at_most": 3 })),
        ("within", json!("1s")),
        ("with", json!({ "/x": 1 })),
        ("without", json!(["/x"])),
        ("schema", json!("off")),
        ("because", json!("x")),
        ("should", json!({ "req": "c.d", "status": 200 })),
        ("optional", json!("x")),
        ("min", json!(1)),
        ("max", json!(1)),
        ("equals", json!(1)),
        ("note", json!("x")),
        ("hex", json!("7b")),
        ("Upper", json!(1)),
        ("/x", json!(1)),
        ("vary", json!(true)),
    ]
}

fn pointers(value: &Value) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut below = |token: &str, inner: &Value| {
        let token = token.replace('~', "~0").replace('/', "~1");
        all.extend(pointers(inner).into_iter().map(|rest| format!("/{token}{rest}")));
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(key, inner)| below(key, inner)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, inner)| below(&at.to_string(), inner));
        }
        _ => {}
    }
    all
}

/// Every file that differs from `file` in one place at or below `root`, with what was done to it.
fn changed((root, file): &(String, Value)) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    let below = pointers(file.pointer(root).unwrap());
    for pointer in below.into_iter().map(|rest| format!("{root}{rest}")) {
        let mut put = |what: String, change: &dyn Fn(&mut Value)| {
            let mut copy = file.clone();
            change(copy.pointer_mut(&pointer).unwrap());
            all.push((format!("{pointer}: {what}"), copy));
        };
        for stranger in unrelated_requests() {
            put(format!("becomes {stranger}"), &|place| *place = stranger.clone());
        }
        let here = file.pointer(&pointer).unwrap();
        if let Value::Object(members) = here {
            for key in members.keys() {
                put(format!("loses `{key}`"), &|place| {
                    place.as_object_mut().map(|members| members.shift_remove(key));
                });
            }
            for (key, value) in additions() {
                put(format!("gains `{key}`"), &|place| {
                    place
                        .as_object_mut()
                        .map(|m: &mut Map<_, _>| m.insert(key.into(), value.clone()));
                });
            }
        }
    }
    all
}

#[test]
fn the_file_that_uses_everything_uses_everything() {
    assert_eq!(faults_of_shape(&whole()), Vec::<String>::new());
    let text = whole().to_string();
    let known = SCHEMA.pointer("/$defs").unwrap();
    for part in ["case", "row", "request_step", "operator_step", "block", "branch", "condition"] {
        let keys = known[part]["properties"].as_object().unwrap().keys();
        for key in keys {
            assert!(text.contains(&format!("\"{key}\"")), "no `{key}` of {part} is tried");
        }
    }
    let matchers = known["matcher"]["oneOf"][2]["properties"].as_object().unwrap();
    assert_eq!(matchers.len(), 17);
    for key in matchers.keys() {
        assert!(text.contains(&format!("{{\"{key}\"")), "no matcher `{key}` is tried");
    }
}

/// The file in small pieces, so that many changes are tried in little time: one file for each step
/// and for each matcher, and one with everything around the steps; each with the part to change.
fn pieces(file: &Value) -> Vec<(String, Value)> {
    let mut pieces = Vec::new();
    let plain = &file["cases"][1]["steps"];
    for case in file["cases"].as_array().unwrap() {
        for part in ["setup", "steps"] {
            let steps = case.get(part).and_then(Value::as_array);
            for step in steps.into_iter().flatten() {
                let mut alone = json!({
                    "about": "A step", "cases": [{
                        "id": "a-step", "title": "a step", "impact": "reads",
                        "checks": ["a.b", "c.d", "e.f"], "steps": plain
                    }]
                });
                alone["cases"][0][part] = json!([step]);
                pieces.extend(by_matcher(&format!("/cases/0/{part}/0"), &alone));
            }
        }
        let mut around = file.clone();
        around["cases"] = json!([case]);
        around["cases"][0]["steps"] = plain.clone();
        if let Some(setup) = around.pointer_mut("/cases/0/setup") {
            *setup = json!([{ "call": "login", "must": { "status": 200 } }]);
        }
        pieces.push((String::new(), around));
    }
    pieces
}

/// A file with one step, or one file for each matcher if its first block has many.
fn by_matcher(step: &str, file: &Value) -> Vec<(String, Value)> {
    let place = format!("{step}/must/body");
    let many = file.pointer(&place).and_then(Value::as_object).filter(|all| all.len() > 2);
    let Some(matchers) = many else { return vec![(step.to_owned(), file.clone())] };
    matchers
        .iter()
        .map(|(pointer, matcher)| {
            let mut file = file.clone();
            *file.pointer_mut(&place).unwrap() = json!({ pointer: matcher });
            (place.clone(), file)
        })
        .collect()
}

fn disagreement(what: &str, file: &Value) -> Option<String> {
    let by_loader = faults_of_shape(file);
    match (by_loader.first(), VALIDATOR.is_valid(file)) {
        (Some(fault), true) => Some(format!("{what}: only the loader: {fault}")),
        (None, false) => Some(format!("{what}: only the schema, in\n{file}")),
        _ => None,
    }
}

fn disagreements_in(files: &[(String, Value)]) -> Vec<String> {
    files.iter().filter_map(|(what, file)| disagreement(what, file)).collect()
}

#[test]
fn schema_and_loader_say_the_same_of_every_shape() {
    // Each time one of so many changes in every place; all of them where there is time for it.
    let full = std::env::var("HOMESPEC_TESTS").is_ok_and(|tests| tests == "full");
    let every = if full { 1 } else { 3 };
    let changes = pieces(&whole()).into_iter().flat_map(|piece| changed(&piece));
    let all: Vec<(String, Value)> = changes.step_by(every).collect();
    assert!(all.len() > 5_000, "only {} files", all.len());
    let half = all.len() / 2;
    let mut disagreements: Vec<String> = std::thread::scope(|scope| {
        let first = scope.spawn(|| disagreements_in(&all[..half]));
        let second = disagreements_in(&all[half..]);
        first.join().unwrap().into_iter().chain(second).collect()
    });
    let count = disagreements.len();
    disagreements.truncate(40);
    assert!(count == 0, "{count} disagreements\n{}", disagreements.join("\n"));
}

#[test]
fn every_bundled_file_is_of_the_shape() {
    let mut seen = 0;
    for entry in std::fs::read_dir(root().join("cases")).unwrap() {
        let path = entry.unwrap().path();
        let document = Document::read(&path, path.display().to_string()).unwrap();
        let faults: Vec<String> = VALIDATOR
            .iter_errors(document.value())
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{}:\n{}", path.display(), faults.join("\n"));
        seen += 1;
    }
    assert!(seen > 10);
}

#[test]
fn every_word_of_the_program_is_in_the_schema() {
    use homespec::case::ast::{Feature, Impact};
    use strum::VariantArray as _;
    let of = |need: &str| VALIDATOR.is_valid(&file_with("needs", json!([need])));
    for feature in Feature::VARIANTS.iter().map(|feature| feature.as_str()) {
        assert!(of(&format!("feature {feature}")), "{feature}");
    }
    assert!(!of("feature flying"));
    for impact in Impact::VARIANTS {
        let word = json!(impact.to_string());
        assert!(VALIDATOR.is_valid(&file_with("impact", word)), "{impact}");
    }
}

/// The plain case of the file that uses everything, with one member set.
fn file_with(key: &str, value: Value) -> Value {
    let mut case = whole()["cases"][1].clone();
    case[key] = value;
    json!({ "about": "x", "cases": [case] })
}

/// So that an editor has something to say at every key.
#[test]
fn every_key_is_described() {
    fn look(schema: &Value, at: &str, silent: &mut Vec<String>) {
        match schema {
            Value::Object(members) => {
                for (key, inner) in members {
                    let below = format!("{at}/{key}");
                    let named = ["properties", "$defs"].contains(&key.as_str());
                    for (name, of_key) in
                        named.then(|| inner.as_object()).flatten().into_iter().flatten()
                    {
                        if !describes(of_key) && !at.contains("setup_step") {
                            silent.push(format!("{below}/{name}"));
                        }
                    }
                    look(inner, &below, silent);
                }
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(n, i)| look(i, &format!("{at}/{n}"), silent));
            }
            _ => {}
        }
    }
    fn describes(schema: &Value) -> bool {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let target = reference.and_then(|to| SCHEMA.pointer(to.trim_start_matches('#')));
        schema.get("description").is_some() || target.is_some_and(describes)
    }
    let mut silent = Vec::new();
    look(&SCHEMA, "", &mut silent);
    // These say only that something is there; or are described where they stand.
    silent.retain(|place| {
        !["/$defs/asks", "/raw/required"].iter().any(|known| place.ends_with(known))
            && !place.contains("/allOf/")
            && !place.contains("/source/")
            && !place.contains("/status/")
    });
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}
