//! Values, places and faults of files.
use super::*;
use crate::bundled::{CASES, SPEC_R0, SPEC_V1};

const BUNDLES: [&[(&str, &str)]; 3] = [CASES, SPEC_R0, SPEC_V1];
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;

fn parse(text: &str) -> Document {
    Document::parse("a.yaml", text).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// The faults of a text, a line each.
fn faults(text: &str) -> Vec<String> {
    let faults = Document::parse("a.yaml", text).expect_err(text);
    faults.iter().map(ToString::to_string).collect()
}

/// The text at a pointer.
fn at<'d>(document: &'d Document, pointer: &str) -> &'d str {
    &document.text()[document.span(pointer).unwrap_or_else(|| panic!("{pointer}"))]
}

const CASE: &str = "\
about: Device ids  # a comment
cases:
  - id: kept
    200: {a/b: [1, \"é\", ~m], \"c~d\": ''}
    steps:
      - call: login
        text: |
          two
          lines

  - id: other
last: 1
";

#[test]
fn values_follow_the_core_schema() {
    let text = "[yes, no, on, 1, -2, +3, 0x1f, 0o17, 0b101, 017, 1_000, 1.5, .5, 1e3, -0x10, \
                ~, null, Null, True, FALSE, '1', \"true\", 12:30, 2026-11-21, v1.10, ., -a, +, 0x, inf, e5]";
    let expected = r#"["yes", "no", "on", 1, -2, 3, 31, 15, 5, "017", "1_000", 1.5, 0.5, 1000.0, -16,
                       null, null, null, true, false, "1", "true", "12:30", "2026-11-21", "v1.10", ".",
                       "-a", "+", "0x", "inf", "e5"]"#;
    assert_eq!(*parse(text).value(), serde_json::from_str::<Value>(expected).unwrap());
    assert_eq!(*parse("a:\nb: ''\n").value(), json!({"a": null, "b": ""}));
    assert_eq!(*parse("").value(), Value::Null);
}

#[test]
fn integer_keys_become_text() {
    assert_eq!(*parse("200: a\ntrue: b\n").value(), json!({"200": "a", "true": "b"}));
}

#[test]
fn every_part_has_its_place() {
    let document = parse(CASE);
    assert_eq!(at(&document, "/about"), "Device ids");
    assert_eq!(at(&document, "/cases/0/200/a~1b/1"), "\"é\"");
    assert_eq!(at(&document, "/cases/0/200/a~1b"), "[1, \"é\", ~m]");
    assert_eq!(at(&document, "/cases/0/200/c~0d"), "''");
    assert_eq!(at(&document, "/cases/1"), "id: other");
    assert!(at(&document, "/cases").ends_with("id: other"));
    assert_eq!(document.span("/cases/7"), None);
    assert_eq!(document.span("/about/x"), None);
}

#[test]
fn lines_fall_back_to_what_is_around() {
    let document = parse(CASE);
    assert_eq!(document.line("/cases/0/steps/0/text"), 7);
    assert_eq!(document.line("/cases/0/steps/0/missing/deeper"), 6);
    assert_eq!(document.line("/cases/1"), 11);
    assert_eq!(document.line("/last"), 12);
    assert_eq!(document.line(""), 1);
}

#[test]
fn faults_of_a_value_mark_the_scalar_or_the_key_of_a_container() {
    let document = parse(CASE);
    assert_eq!(Diagnostic::at(&document, "/last", "x").to_string(), "a.yaml:12:7: x");
    assert_eq!(Diagnostic::at(&document, "/cases", "x").to_string(), "a.yaml:2:1: x");
    let key = document.near("/last").key_fault("x");
    assert_eq!(key.to_string(), "a.yaml:12:1: x");
    let around = Diagnostic::at(&document, "/last/missing", "x");
    assert_eq!(around.to_string(), "a.yaml:12:1: x");
}

#[test]
fn duplicate_keys_are_shown_with_both_places() {
    let faults = Document::parse("a.yaml", "a: 1\nb:\n  200: x\n  \"200\": y\na: 2\n").unwrap_err();
    let shown: Vec<_> = faults.iter().map(|f| f.render(false)).collect();
    assert_eq!(faults[0].to_string(), "a.yaml:4:3: duplicate key `200`");
    assert_eq!(faults[1].to_string(), "a.yaml:5:1: duplicate key `a`");
    assert!(shown[0].contains("first written here") && shown[0].contains("200: x"), "{}", shown[0]);
    assert!(shown[1].contains("first written here") && shown[1].contains("a: 1"), "{}", shown[1]);
}

#[test]
fn what_a_file_may_not_hold_is_told_all_at_once() {
    let text = "a: &x {b: 1}\nc: *x\nd: !!str 5\ne: *nothing\n<<: {f: 1}\ng: .nan\nh: 18446744073709551616\ni: -.inf\nj: 1e999\n";
    let all = faults(text).join("\n");
    for part in [
        "a.yaml:1:4: anchor `&x`",
        "a.yaml:2:4: aliases",
        "a.yaml:3:4: tag `!!str`",
        "a.yaml:4:4: undefined alias `*nothing`",
        "a.yaml:5:1: merge key",
        "a.yaml:6:4: `.nan`",
        "a.yaml:7:4: `18446744073709551616` does not fit into 64 bits",
        "a.yaml:8:4: `-.inf`",
        "a.yaml:9:4: `1e999`",
    ] {
        assert!(all.contains(part), "{part} is missing in\n{all}");
    }
}

#[test]
fn what_cannot_be_read_on_stops_with_a_place() {
    assert!(
        faults("a: [1, 2\nb: 3\n")[0].starts_with("a.yaml:2:"),
        "{:?}",
        faults("a: [1, 2\nb: 3\n")
    );
    assert!(faults("a: 1\n---\nb: 2\n")[0].starts_with("a.yaml:2:1: a second document"));
    assert!(faults("? [a, b]\n: c\n")[0].contains("a key must be a word"));
    assert!(faults("a: b: c\n")[0].contains("not YAML"));
    assert!(faults(&("[".repeat(100) + &"]".repeat(100)))[0].contains("nested more than 64 deep"));
    assert!(faults(&"[".repeat(100_000))[0].contains("not YAML"));
    assert!(faults(&"- ".repeat(70))[0].contains("nested"));
    assert!(faults(&"x".repeat(MAX_BYTES + 1))[0].contains("larger than 1048576 bytes"));
}

#[test]
fn published_files_may_use_aliases_and_core_tags() {
    let text = "a: &x {b: [1]}\nc: *x\nd: !!str 5\n<<: 1\n";
    let document = Document::parse_lenient("p.yaml", text).unwrap();
    assert_eq!(*document.value(), json!({"a": {"b": [1]}, "c": {"b": [1]}, "d": "5", "<<": 1}));
    assert_eq!(document.line("/c"), 2);
    assert_eq!(document.line("/c/b/0"), 1, "what an alias stands for is where the anchor is");
    let refused =
        Document::parse_lenient("p.yaml", "a: &x [*x]\nb: !include y\nc: *z\n").unwrap_err();
    let refused: Vec<_> = refused.iter().map(ToString::to_string).collect();
    assert!(refused[0].starts_with("p.yaml:1:8: an alias inside"), "{refused:?}");
    assert!(refused[1].starts_with("p.yaml:2:4: tag `!include`"), "{refused:?}");
    assert!(refused[2].starts_with("p.yaml:3:4: undefined alias `*z`"), "{refused:?}");
}

#[test]
fn what_the_build_script_wrote_is_what_the_reader_gives() {
    let texts = crate::bundled::EVENTS.iter().map(|(text, _)| *text);
    assert_eq!(texts.clone().count(), BUNDLES.iter().map(|bundle| bundle.len()).sum::<usize>() + 1);
    for text in texts {
        let builder = |lenient| Builder::new("x.yaml".to_owned(), text.to_owned(), lenient);
        let written = builder(false).run().unwrap();
        for lenient in [false, true] {
            let scanned = builder(lenient).scan().unwrap();
            assert!(written.value() == scanned.value() && written.0.nodes == scanned.0.nodes);
        }
    }
}

#[test]
fn aliases_cannot_blow_up() {
    let mut text = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, of) in "bcdefghi".chars().zip("abcdefgh".chars()) {
        let row = vec![format!("*{of}"); 9].join(", ");
        text.push_str(&format!("{name}: &{name} [{row}]\n"));
    }
    let faults = Document::parse_lenient("p.yaml", text).unwrap_err();
    assert!(faults[0].message.contains("expand to too much"));
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1.0e9..1.0e9).prop_map(Value::from),
        "[ -~\n\tà-ÿ€]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("[ -~é]{1,8}", inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

#[test]
fn parts_are_walked_with_their_places() {
    let document = parse(CASE);
    let step = document.part("/cases/0/steps/0").unwrap();
    let names: Vec<_> = step.members().map(|(name, part)| (name, part.line())).collect();
    assert_eq!(names, [("call", 6), ("text", 7)]);
    assert_eq!(step.member("text").unwrap().value(), "two\nlines\n");
    assert_eq!(step.pointer(), "/cases/0/steps/0");
    let odd = document.part("/cases/0/200/a~1b/1").unwrap();
    assert_eq!((odd.pointer().as_str(), odd.value()), ("/cases/0/200/a~1b/1", &json!("é")));
    assert_eq!(document.root().member("cases").unwrap().items().count(), 2);
    assert_eq!(document.root().pointer(), "");
    assert!(document.root().items().next().is_none() && step.member("nothing").is_none());
}

/// All pointers of a value.
fn pointers(value: &Value, here: &str, all: &mut Vec<String>) {
    all.push(here.to_owned());
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(k, v)| pointers(v, &format!("{here}/{}", pointer_token(k)), all));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, v)| pointers(v, &format!("{here}/{i}"), all));
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn what_is_written_as_yaml_is_read_back(value in json_value()) {
        let mut written = Vec::new();
        pointers(&value, "", &mut written);
        // A merge key is refused.
        prop_assume!(!written.iter().any(|pointer| pointer.ends_with("/<<")));
        let text = serde_yaml::to_string(&value).unwrap();
        let document = Document::parse("a.yaml", text.as_str()).unwrap();
        prop_assert_eq!(document.value(), &serde_yaml::from_str::<Value>(&text).unwrap());
        let mut all = Vec::new();
        pointers(document.value(), "", &mut all);
        for pointer in all {
            let span = document.span(&pointer);
            prop_assert!(span.is_some_and(|s| s.start <= s.end && text.get(s).is_some()), "{}", pointer);
            let part = document.part(&pointer).unwrap();
            prop_assert_eq!(Some(part.value()), document.value().pointer(&pointer));
            prop_assert_eq!(part.pointer(), pointer);
        }
    }

    #[test]
    fn scalars_mean_what_they_mean_to_serde_yaml(text in "[-+.0-9a-fxoEinNtrulsTF_~:]{1,8}") {
        let text = format!("a: {text}\n");
        if let (Ok(ours), Ok(theirs)) = (Document::parse("a.yaml", text.as_str()), serde_yaml::from_str::<Value>(&text)) {
            prop_assert_eq!(ours.value(), &theirs);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[-?:,\\[\\]{}#&*!|>'\"%@` a\n\t~0é<]{0,40}") {
        for parsed in [Document::parse("a.yaml", text.as_str()), Document::parse_lenient("a.yaml", text.as_str())] {
            match parsed {
                Ok(document) => drop(document.line("/a/0")),
                Err(faults) => faults.iter().for_each(|f| drop(f.render(false))),
            }
        }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    One,
    Two,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Entry {
    name: Option<de::Text>,
    count: u16,
    words: Vec<Word>,
    inner: Option<Inner>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    least: bool,
    most: f64,
}

fn read(text: &str) -> (Option<Entry>, Vec<String>) {
    let document = parse(text);
    let (entry, faults) = document.root().read("an entry", &[]);
    let line = |fault: &Diagnostic| match &fault.help {
        Some(help) => format!("{fault} ({help})"),
        None => fault.to_string(),
    };
    (entry, faults.iter().map(line).collect())
}

#[test]
fn types_are_read_with_every_fault_at_its_place() {
    let (entry, faults) = read(
        "name: [hunter2]\ncuont: 1\ncount: -1\nwords: [one, thre, two, 5]\n\
         inner: {least: hunter2, most: 1}\n",
    );
    assert_eq!(
        faults,
        [
            "a.yaml:1:1: `name` must be a string, not a list",
            "a.yaml:2:1: unknown key `cuont` in an entry (did you mean `count`?)",
            "a.yaml:3:8: `count` must be a whole number",
            "a.yaml:4:14: `thre` is not a value of `words` (one of: one, two)",
            "a.yaml:4:25: an item of `words` must be one of one, two, not a number",
            "a.yaml:5:16: `least` must be true or false, not a string",
        ]
    );
    let entry = entry.unwrap();
    assert_eq!(entry.words, [Word::One, Word::Two], "the rest of a list is kept");
    assert!(entry.name.is_none() && entry.inner.is_none());
}

#[test]
fn what_is_right_is_read_and_what_is_missing_is_told() {
    let (entry, faults) = read("name: x\ncount: 7\nwords: [two]\ninner: {least: true, most: 2}\n");
    assert!(faults.is_empty(), "{faults:?}");
    let (entry, inner) = (entry.as_ref().unwrap(), entry.as_ref().unwrap().inner.as_ref().unwrap());
    assert_eq!((entry.count, &entry.words[..]), (7, &[Word::Two][..]));
    assert!(inner.least && inner.most == 2.0 && entry.name.as_ref().unwrap().0 == "x");
    assert_eq!(read("inner: {least: true}").1, ["a.yaml:1:1: `inner` has no `most`"]);
    assert_eq!(read("name: ''").1, ["a.yaml:1:7: `name` is empty"]);
    assert_eq!(read("name: null").1, ["a.yaml:1:7: `name` must be a string, not nothing"]);
    assert_eq!(read("[1]").1, ["a.yaml:1:1: an entry must be a mapping, not a list"]);
}

#[test]
fn a_part_that_is_all_wrong_does_not_take_forever() {
    let (_, faults) = read(&format!("words: [{}]", "x, ".repeat(50_000)));
    assert_eq!(faults.len(), 100);
}
