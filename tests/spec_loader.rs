//! The loader on small folders written for it (`tests/spec/`), on the bundled files, and, where
//! they are at hand, on the published ones.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
use homespec::spec::{
    Location, Operation, SchemaCheck, SchemaLocation, SchemaViolation, Security, Spec, describe,
    diff,
};
use homespec::yaml::diagnostic::Diagnostic;
use jsonschema::{Draft, Validator};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn manifest(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn load(dir: &Path) -> Spec {
    Spec::from_dir(dir).unwrap_or_else(|faults| panic!("{}", shown(&faults)))
}

fn swagger() -> Spec {
    load(&manifest("tests/spec/swagger"))
}

fn openapi() -> Spec {
    load(&manifest("tests/spec/openapi"))
}

fn bundled() -> [Spec; 2] {
    [Spec::bundled_v1(), Spec::bundled_r0()]
        .map(|spec| spec.unwrap_or_else(|faults| panic!("{}", shown(&faults))))
}

fn shown(faults: &[Diagnostic]) -> String {
    faults.iter().map(|f| f.render(false)).collect::<Vec<_>>().join("\n\n")
}

fn from_text(files: &[(&str, &str)]) -> Result<Spec, Vec<Diagnostic>> {
    let owned = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    Spec::from_files("a folder", owned)
}

fn operation<'s>(spec: &'s Spec, id: &str) -> &'s Operation {
    spec.operation(id).unwrap_or_else(|| panic!("no operation {id}"))
}

fn violations(spec: &Spec, id: &str, status: u16, body: Value) -> Vec<SchemaViolation> {
    match spec.check(id, status, &body) {
        SchemaCheck::Violations(violations) => violations,
        other => panic!("{other:?} for {body}"),
    }
}

/// Pointer and keyword of each violation.
fn places(violations: &[SchemaViolation]) -> Vec<(&str, &str)> {
    violations.iter().map(|v| (v.pointer.as_str(), v.keyword.as_str())).collect()
}

fn assert_valid(spec: &Spec, id: &str, status: u16, body: Value) {
    assert_eq!(spec.check(id, status, &body), SchemaCheck::Valid, "{body}");
}

// Swagger 2.0.

#[test]
fn the_version_token_of_old_base_paths_becomes_r0_and_only_there() {
    let spec = swagger();
    assert_eq!(operation(&spec, "sendLetter").path, "/_matrix/client/r0/letters/{letterId}");
    assert!(spec.is_r0());
    let twisted = r"swagger: '2.0'
basePath: /a%2F%CLIENT_MAJOR_VERSION%%2Fb
paths:
  /c: {get: {responses: {}}}
";
    let spec = from_text(&[("a.yaml", twisted)]).unwrap();
    assert_eq!(
        spec.operations().next().unwrap().path,
        "/a%2Fr0%2Fb/c",
        "nothing is percent-decoded"
    );
}

#[test]
fn operations_without_a_name_are_named_by_method_and_path() {
    let spec = swagger();
    let ids: Vec<_> = spec.operations().map(|o| o.id.as_str()).collect();
    assert_eq!(
        ids,
        ["sendLetter", "GET /_matrix/client/r0/letters", "POST /_matrix/client/r0/letters"]
    );
    assert_eq!(operation(&spec, ids[1]).to_string(), ids[1]);
}

#[test]
fn integer_statuses_are_statuses() {
    let spec = swagger();
    let statuses: Vec<_> = operation(&spec, "sendLetter").responses.keys().cloned().collect();
    assert_eq!(statuses, ["200", "403", "429"]);
}

#[test]
fn parameters_of_a_path_give_way_to_those_of_the_operation() {
    let spec = swagger();
    let parameters = &operation(&spec, "sendLetter").parameters;
    let all: Vec<_> =
        parameters.iter().map(|p| (p.name.as_str(), p.location, p.required)).collect();
    assert_eq!(all, [("letterId", Location::Path, true), ("mark", Location::Query, true)]);
    assert_eq!(*parameters[1].schema.value(), json!({"type": "string", "enum": ["red", "blue"]}));
}

#[test]
fn the_body_parameter_is_the_request() {
    let spec = swagger();
    let request = operation(&spec, "sendLetter").request.as_ref().unwrap();
    assert!(!request.required);
    assert_eq!(request.media_types, ["application/json"], "stands at the top of the file");
    let schema = request.schema.as_ref().unwrap();
    assert_eq!(schema.value()["required"], json!(["to"]));
    assert_eq!(schema.value().get("example"), None);
    assert_eq!(
        schema.value()["properties"]["weight"],
        json!({"type": "integer", "exclusiveMinimum": 0})
    );
    let request = operation(&spec, "POST /_matrix/client/r0/letters").request.as_ref().unwrap();
    assert!(request.required);
    assert_eq!(request.media_types, ["application/octet-stream"], "the operation's own");
}

#[test]
fn security_definitions_may_be_a_reference() {
    let spec = swagger();
    assert!(spec.notes().is_empty(), "{}", shown(spec.notes()));
    assert_eq!(operation(&spec, "sendLetter").security, Security::Required);
    assert_eq!(operation(&spec, "GET /_matrix/client/r0/letters").security, Security::None);
}

#[test]
fn version_marks_are_text() {
    for spec in [swagger(), openapi()] {
        assert_eq!(operation(&spec, "sendLetter").added_in.as_deref(), Some("1.10"));
    }
    assert!(operation(&swagger(), "sendLetter").deprecated);
}

#[test]
fn answers_without_a_schema_are_not_judged() {
    let spec = swagger();
    for status in [403, 418] {
        assert_eq!(spec.check("sendLetter", status, &json!(7)), SchemaCheck::NoSchema, "{status}");
    }
    assert_eq!(spec.check("nothing", 200, &json!({})), SchemaCheck::NoSchema);
    let page = spec.check("GET /_matrix/client/r0/letters", 200, &json!({}));
    assert_eq!(page, SchemaCheck::NoSchema, "the answer is no JSON");
}

#[test]
fn statuses_fall_back_to_their_class_and_to_the_default() {
    let spec = swagger();
    let id = "POST /_matrix/client/r0/letters";
    assert_eq!(places(&violations(&spec, id, 201, json!({}))), [("/id", "required")]);
    assert_eq!(places(&violations(&spec, id, 500, json!({}))), [("/errcode", "required")]);
}

#[test]
fn keywords_beside_a_reference_replace_those_of_its_target() {
    let spec = swagger();
    let request = operation(&spec, "sendLetter").request.as_ref().unwrap();
    let to = &request.schema.as_ref().unwrap().value()["properties"]["to"];
    assert_eq!(to["description"], "Who gets it, whatever it says.");
    assert_eq!(to["required"], json!(["name"]), "what is not replaced stays");

    // `properties` beside the reference takes the place of the target's, so `error` is free.
    let body = json!({"errcode": 1, "error": 2, "retry_after_ms": "soon"});
    assert_eq!(
        places(&violations(&spec, "sendLetter", 429, body)),
        [("/errcode", "type"), ("/retry_after_ms", "type")]
    );
}

#[test]
fn keywords_beside_a_reference_hold_in_both_formats() {
    let schema = "{$ref: 'b.yaml', required: [y], description: d}";
    let old = format!(
        "swagger: '2.0'\npaths: {{/x: {{get: {{operationId: x, responses: {{200: {{description: d, schema: {schema}}}}}}}}}}}\n"
    );
    let new = format!(
        "openapi: 3.1.0\npaths: {{/x: {{get: {{operationId: x, responses: {{200: {{description: d, content: {{application/json: {{schema: {schema}}}}}}}}}}}}}}}\n"
    );
    for text in [old, new] {
        let target = "{type: object, required: [x], properties: {y: {type: string}}}\n";
        let spec = from_text(&[("a.yaml", &text), ("b.yaml", target)])
            .unwrap_or_else(|f| panic!("{}", shown(&f)));
        assert_valid(&spec, "x", 200, json!({"y": "without x"}));
        assert_eq!(places(&violations(&spec, "x", 200, json!({"x": 1}))), [("/y", "required")]);
        assert_eq!(places(&violations(&spec, "x", 200, json!({"y": 1}))), [("/y", "type")]);
    }
}

#[test]
fn references_are_relative_to_the_file_that_they_stand_in() {
    let body = json!({"place": {"room": {"number": "12a"}, "other": 1}});
    let found = violations(&swagger(), "sendLetter", 200, body);
    assert_eq!(places(&found), [("/place/other", "type"), ("/place/room/number", "pattern")]);
    assert!(found[1].spec_file.ends_with("tests/spec/swagger/definitions/place/room.yaml"));
    assert_eq!(found[1].spec_line, 5);
    assert!(found[0].spec_file.ends_with("definitions/place/full.yaml"));
}

#[test]
fn whole_numbers_are_integers_however_they_are_written() {
    for spec in [swagger(), openapi()] {
        let body = |count: Value| json!({"sender": "@a:b", "count": count});
        assert_valid(&spec, "sendLetter", 200, body(json!(1.0)));
        let found = violations(&spec, "sendLetter", 200, body(json!(1.5)));
        assert_eq!(places(&found), [("/count", "type")]);
        assert_eq!(
            (found[0].expected.as_str(), found[0].actual.as_str()),
            ("an integer", "a fraction")
        );
    }
}

#[test]
fn examples_are_neither_read_nor_judged() {
    let text = r"swagger: '2.0'
paths:
  /x:
    get:
      operationId: x
      responses:
        200:
          description: d
          examples: {application/json: {$ref: nowhere.yaml}}
          schema: {type: object, example: {$ref: nowhere.yaml}, required: [a]}
";
    let spec = from_text(&[("a.yaml", text)]).unwrap_or_else(|f| panic!("{}", shown(&f)));
    assert_eq!(places(&violations(&spec, "x", 200, json!({}))), [("/a", "required")]);
}

#[test]
fn headers_of_answers_are_described() {
    for (spec, required) in [(swagger(), false), (openapi(), true)] {
        let header = &operation(&spec, "sendLetter").responses["200"].headers[0];
        assert_eq!((header.name.as_str(), header.required), ("Location", required));
        assert_eq!(header.schema.value()["type"], "string");
    }
}

// OpenAPI 3.1.

#[test]
fn the_base_path_is_that_of_the_nearest_server() {
    let spec = openapi();
    let path = |id: &str| operation(&spec, id).path.clone();
    assert_eq!(path("sendLetter"), "/_matrix/client/v3/letters");
    assert_eq!(path("allLetters"), "/_matrix/client/v1/admin/letters");
    assert_eq!(path("discoverLetters"), "/.well-known/matrix/letters");
    assert!(!spec.is_r0());
}

#[test]
fn security_is_none_optional_or_required() {
    let spec = openapi();
    let security = |id: &str| operation(&spec, id).security;
    assert_eq!(security("sendLetter"), Security::Required);
    assert_eq!(security("openLetter"), Security::Optional);
    assert_eq!(security("allLetters"), Security::None);
    assert_eq!(security("discoverLetters"), Security::Required);
    assert!(spec.notes().is_empty(), "{}", shown(spec.notes()));
}

#[test]
fn the_json_body_is_the_one_with_a_schema() {
    let spec = openapi();
    let request = operation(&spec, "sendLetter").request.as_ref().unwrap();
    assert!(request.required);
    assert_eq!(request.media_types, ["application/json", "text/plain"]);
    let schema = request.schema.as_ref().unwrap().value();
    assert_eq!(schema["required"], json!(["to"]));
    assert_eq!(schema["properties"]["old"]["deprecated"], true);
    assert_eq!(schema["properties"]["old"]["description"], "Use `to`, which does the same.");
}

#[test]
fn references_into_the_same_file_are_followed() {
    let body = json!({"sender": "@a:b", "abilities": {"write": {}, "fly": 7}});
    let found = violations(&openapi(), "sendLetter", 200, body);
    assert_eq!(
        places(&found),
        [("/abilities/write/enabled", "required")],
        "anything else may stand there"
    );
    assert_eq!((found[0].expected.as_str(), found[0].actual.as_str()), ("present", "absent"));
    let text = std::fs::read_to_string(manifest("tests/spec/openapi/letters.yaml")).unwrap();
    let line = text.lines().nth(found[0].spec_line as usize - 1).unwrap();
    assert_eq!(line.trim(), "required: [enabled]");
}

#[test]
fn custom_formats_are_asserted() {
    let spec = openapi();
    assert_valid(&spec, "sendLetter", 200, json!({"sender": "@a:b", "server": "[::1]:80"}));
    let found =
        violations(&spec, "sendLetter", 200, json!({"sender": "alice", "server": "no name"}));
    assert_eq!(
        places(&found),
        [("/sender", "format"), ("/sender", "pattern"), ("/server", "format")]
    );
    let words: Vec<_> = found.iter().map(|v| v.expected.as_str()).collect();
    assert_eq!(words, ["a Matrix user ID", "matching ^@", "a Matrix server name"]);
}

#[test]
fn violations_of_an_answer_never_quote_it() {
    let secret = "syt_c2VjcmV0";
    let body = json!({"sender": secret, "server": [secret], "count": secret, "stamps": [{"value": secret}, {"value": -1}, {}], "reply": secret});
    let found = violations(&openapi(), "sendLetter", 200, body);
    let shown = format!("{found:?}");
    assert!(!shown.contains(secret), "{shown}");
    assert_eq!(
        places(&found),
        [
            ("/count", "type"),
            ("/reply", "type"),
            ("/sender", "format"),
            ("/sender", "pattern"),
            ("/server", "type"),
            ("/stamps/0/value", "type"),
            ("/stamps/1/value", "minimum"),
            ("/stamps/2/value", "required")
        ]
    );
    let actual: Vec<_> = found.iter().map(|v| v.actual.as_str()).collect();
    assert_eq!(
        actual,
        [
            "a string",
            "a string",
            "another string",
            "another string",
            "an array",
            "a string",
            "a smaller number",
            "absent"
        ]
    );
    assert_eq!(found[6].expected, "at least 0");
    assert_eq!(found[7].location, "/stamps/*/value");
}

#[test]
fn null_is_told_from_other_wrong_types() {
    let found = violations(&openapi(), "sendLetter", 200, json!({"sender": null, "count": null}));
    assert_eq!(places(&found), [("/count", "null"), ("/sender", "null")]);
    assert_eq!((found[0].expected.as_str(), found[0].actual.as_str()), ("an integer", "null"));
}

#[test]
fn what_two_schemas_ask_for_is_told_once() {
    let found = violations(&openapi(), "sendLetter", 429, json!({"retry_after_ms": "soon"}));
    assert_eq!(places(&found), [("/errcode", "required"), ("/retry_after_ms", "type")]);
}

#[test]
fn schemas_that_hold_themselves_are_judged_to_any_depth() {
    let spec = openapi();
    let body = |reply: Value| json!({"sender": "@a:b", "reply": reply});
    assert_valid(
        &spec,
        "sendLetter",
        200,
        body(json!({"text": "a", "answer": {"text": "b", "older": [{"text": "c"}]}})),
    );
    let deep = json!({"text": "a", "answer": {"text": "b", "older": [{"text": "c", "answer": {"text": 4}}]}});
    let found = violations(&spec, "sendLetter", 200, body(deep));
    assert_eq!(places(&found), [("/reply/answer/older/0/answer/text", "type")]);
    assert!(found[0].spec_file.ends_with("definitions/letter.yaml"));
    assert_eq!(found[0].spec_line, 5);
}

#[test]
fn alternatives_are_one_finding() {
    let text = r"openapi: 3.1.0
paths:
  /x:
    get:
      operationId: x
      responses:
        '200':
          content:
            application/json:
              schema:
                properties:
                  a: {anyOf: [{type: string}, {type: 'null'}]}
                  b: {type: [string, 'null']}
                  c: {const: 1}
                additionalProperties: false
";
    let spec = from_text(&[("a.yaml", text)]).unwrap_or_else(|f| panic!("{}", shown(&f)));
    assert_valid(&spec, "x", 200, json!({"a": null, "b": null}));
    let found = violations(&spec, "x", 200, json!({"a": 1, "b": 1, "c": 2, "d": 1}));
    assert_eq!(
        places(&found),
        [("/a", "anyOf"), ("/b", "type"), ("/c", "const"), ("/d", "additionalProperties")]
    );
    assert_eq!((found[3].location.as_str(), found[3].actual.as_str()), ("/*", "present"));
    assert_eq!((found[1].expected.as_str(), found[1].spec_line), ("null or a string", 13));
}

// Faults.

#[test]
fn all_faults_of_a_folder_are_told_at_once_with_their_places() {
    let faults = Spec::from_dir(&manifest("tests/spec/broken")).unwrap_err();
    let all: Vec<_> = faults.iter().map(ToString::to_string).collect();
    let expected = [
        ("double.yaml:3:1", "duplicate key `paths`"),
        ("faults.yaml:4:3", "`letters`: a path begins with a slash"),
        ("faults.yaml:7:5", "`pots` is not an HTTP method"),
        ("faults.yaml:10:20", "`operationId` is text"),
        ("faults.yaml:11:31", "`x-addedInMatrixVersion` is text"),
        ("faults.yaml:12:19", "`deprecated` is true or false"),
        ("faults.yaml:14:16", "`qeury`"),
        ("faults.yaml:15:11", "a parameter has `name` and `in`"),
        ("faults.yaml:17:9", "`20` is not a valid status"),
        ("faults.yaml:23:23", "`type` is one of"),
        ("faults.yaml:24:27", "`required` is a list of names"),
        ("faults.yaml:26:48", "`minLength` is"),
        ("faults.yaml:27:29", "no file `definitions/mising.yaml`"),
        ("faults.yaml:28:29", "nothing at `/nothing`"),
        ("faults.yaml:29:29", "is an address"),
        ("faults.yaml:31:22", "a schema is a mapping"),
        ("faults.yaml:34:23", "`enum` is a list of values"),
        ("faults.yaml:39:5", "an operation has `responses`"),
        ("faults.yaml:41:5", "two operations are named `sendLetter`"),
        ("definitions/noyaml.yaml:2:5", "not YAML"),
        ("notread.yaml:1:10", "openapi 3.0.3 is not read"),
    ];
    for (place, message) in expected {
        let found = all
            .iter()
            .any(|f| f.contains(&format!("/tests/spec/broken/{place}: ")) && f.contains(message));
        assert!(found, "{place} {message} is missing in\n{}", all.join("\n"));
    }
    let round = all.iter().filter(|f| f.contains("circular reference")).count();
    assert_eq!(round, 1, "{}", all.join("\n"));
    assert!(!all.iter().any(|f| f.contains("outside.yaml")), "is a warning:\n{}", all.join("\n"));
    assert_eq!(all.len(), expected.len() + round, "{}", all.join("\n"));
    assert!(faults.iter().any(|f| f.help.as_deref() == Some("did you mean `put`?")
        || f.help.as_deref() == Some("did you mean `post`?")));
    assert!(
        faults.iter().any(|f| f.help.as_deref() == Some("there is `definitions/missing.yaml`"))
    );
}

#[test]
fn an_operation_described_twice_names_both_places() {
    let put = |id: &str| {
        format!(
            "swagger: '2.0'\nbasePath: /_matrix/client/r0\npaths: {{'/a/{{{id}}}': {{put: {{operationId: {id}, responses: {{}}}}}}}}\n"
        )
    };
    let faults = from_text(&[("a.yaml", &put("x")), ("b.yaml", &put("y"))]).unwrap_err();
    assert_eq!(
        faults[0].to_string(),
        "b.yaml:3:20: duplicate operation PUT /_matrix/client/r0/a/{y}"
    );
    let shown = faults[0].render(false);
    assert!(shown.contains("a.yaml:3") && shown.contains("first here"), "{shown}");
}

#[test]
fn a_pattern_that_is_none_is_told_with_its_place() {
    let text = r"openapi: 3.1.0
paths:
  /x:
    get:
      responses:
        '200':
          content:
            application/json:
              schema: {properties: {a: {$ref: b.yaml}}}
";
    let faults =
        from_text(&[("a.yaml", text), ("b.yaml", "type: string\npattern: '(['\n")]).unwrap_err();
    assert!(faults[0].to_string().starts_with("b.yaml:2:10: not a schema"), "{}", shown(&faults));
}

#[test]
fn folders_without_openapi_files_are_refused() {
    let faults = from_text(&[("definitions/a.yaml", "type: object\n")]).unwrap_err();
    assert!(
        faults[0].to_string().starts_with("a folder: no OpenAPI document found"),
        "{}",
        shown(&faults)
    );
    let faults = Spec::from_dir(Path::new("no/such/folder")).unwrap_err();
    assert!(
        faults[0].to_string().starts_with("no/such/folder: the folder cannot be read"),
        "{}",
        shown(&faults)
    );
    let empty = tempfile::tempdir().unwrap();
    assert!(Spec::from_dir(empty.path()).is_err());
}

#[test]
fn files_that_are_no_text_and_links_out_of_the_folder() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(outside.path().join("secret.yaml"), "type: string\n").unwrap();
    std::fs::write(dir.path().join("a.yaml"), b"openapi: \xff\n").unwrap();
    std::fs::write(dir.path().join("b.yaml"), "openapi: 3.1.0\npaths: {/x: {get: {responses: {'200': {content: {application/json: {schema: {$ref: link.yaml}}}}}}}}\n").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(outside.path().join("secret.yaml"), dir.path().join("link.yaml"))
        .unwrap();
    let faults = Spec::from_dir(dir.path()).unwrap_err();
    let all = shown(&faults);
    assert!(all.contains("a.yaml") && all.contains("not UTF-8"), "{all}");
    assert!(all.contains("no file `link.yaml`"), "{all}");
}

#[test]
fn a_reference_out_of_the_folder_is_noted_and_accepts_anything() {
    let text = r"openapi: 3.1.0
paths:
  /x:
    get:
      operationId: x
      responses:
        '200':
          content:
            application/json:
              schema: {$ref: ../identity/a.yaml, required: [a]}
";
    let spec = from_text(&[("a.yaml", text)]).unwrap_or_else(|f| panic!("{}", shown(&f)));
    assert_eq!(spec.notes().len(), 1);
    assert!(
        spec.notes()[0]
            .to_string()
            .starts_with("a.yaml:10:30: `../identity/a.yaml` is outside the folder"),
        "{}",
        spec.notes()[0]
    );
    assert_eq!(
        places(&violations(&spec, "x", 200, json!({}))),
        [("/a", "required")],
        "what stands beside it holds"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn damaged_folders_give_faults_and_no_panic(at in 0usize..1_000, kind in 0u8..4, file in 0usize..6) {
        let mut files = Vec::new();
        for path in ["letters.yaml", "definitions/security.yaml", "definitions/reader.yaml", "definitions/errors/error.yaml", "definitions/errors/rate_limited.yaml", "definitions/place/full.yaml", "definitions/place/room.yaml"] {
            let text = std::fs::read_to_string(manifest("tests/spec/swagger").join(path)).unwrap();
            files.push((path.to_owned(), text));
        }
        let text = &mut files[file].1;
        let mut lines: Vec<&str> = text.lines().collect();
        let at = at % lines.len();
        let line = lines[at];
        let (head, tail) = line.split_once(':').unwrap_or((line, ""));
        let changed = match kind {
            0 => String::new(),
            1 => head.to_owned(),
            2 => format!("{head}: 7"),
            _ => format!("{head}: [{}]", tail.trim()),
        };
        lines[at] = &changed;
        *text = lines.join("\n");
        if let Err(faults) = Spec::from_files("a folder", files) {
            prop_assert!(!faults.is_empty());
            prop_assert!(faults.iter().all(|f| !f.render(false).is_empty()));
        }
    }
}

#[test]
fn schemas_that_grow_without_end_are_refused() {
    let mut files = vec![("a.yaml".to_owned(), "openapi: 3.1.0\npaths: {/x: {get: {responses: {'200': {content: {application/json: {schema: {$ref: d/0.yaml}}}}}}}}\n".to_owned())];
    for i in 0..20 {
        let next = format!("{{$ref: {}.yaml}}", i + 1);
        files.push((
            format!("d/{i}.yaml"),
            format!("properties: {{a: {next}, b: {next}, c: {next}}}\n"),
        ));
    }
    files.push(("d/20.yaml".to_owned(), "type: string\n".to_owned()));
    let faults = Spec::from_files("a folder", files).unwrap_err();
    assert!(faults.iter().all(|f| f.message.contains("too large")), "{}", shown(&faults));
}

// One specification over another, and their differences.

#[test]
fn a_folder_stands_over_the_bundled_files() {
    let spec = swagger().over(openapi());
    let send = operation(&spec, "sendLetter");
    assert_eq!(send.path, "/_matrix/client/r0/letters/{letterId}", "the folder's own");
    assert_eq!(
        operation(&spec, "openLetter").path,
        "/_matrix/client/v3/letters/open",
        "which it lacks"
    );
    assert!(spec.name().ends_with("tests/spec/swagger"));
}

#[test]
fn operations_without_a_name_take_it_from_what_they_stand_over() {
    let old = r"swagger: '2.0'
basePath: /_matrix/client/%CLIENT_MAJOR_VERSION%
paths:
  '/devices/{id}': {get: {responses: {200: {description: d, schema: {required: [old]}}}}}
";
    let new = r"openapi: 3.1.0
servers: [{url: /_matrix/client/v3}]
paths:
  '/devices/{deviceId}': {get: {operationId: getDevice, responses: {}}}
  /devices: {get: {operationId: getDevices, responses: {}}}
";
    let spec = from_text(&[("a.yaml", old)]).unwrap().over(from_text(&[("a.yaml", new)]).unwrap());
    assert_eq!(operation(&spec, "getDevice").path, "/_matrix/client/r0/devices/{id}");
    assert_eq!(places(&violations(&spec, "getDevice", 200, json!({}))), [("/old", "required")]);
    assert_eq!(spec.operations().count(), 2);
}

/// A document with one operation; `what` is replaced by `with` in it.
fn variant(what: &str, with: &str) -> Spec {
    let text = r"openapi: 3.1.0
servers: [{url: /_matrix/client/v3}]
paths:
  /a/{b}:
    post:
      operationId: a
      summary: S
      security: [{t: []}]
      parameters:
        - {in: path, name: b, required: true, schema: {type: string}}
        - {in: query, name: q, schema: {type: string, enum: [x, y]}}
      requestBody: {required: true, content: {application/json: {schema: {type: object, required: [r], properties: {r: {type: string, description: D}}}}}}
      responses:
        '200':
          description: D
          headers: {Location: {schema: {type: string}}}
          content: {application/json: {schema: {type: object, properties: {u: {type: string, format: uri, pattern: '^h'}, v: {type: array, items: {type: integer}}, w: {additionalProperties: {type: string}}}, required: [u]}}}
        '404': {description: D}
components: {securitySchemes: {t: {type: http}}}
";
    assert!(text.contains(what), "{what}");
    from_text(&[("a.yaml", &text.replace(what, with))])
        .unwrap_or_else(|f| panic!("{with}: {}", shown(&f)))
}

#[test]
fn every_difference_in_structure_is_found_and_none_in_words() {
    let base = variant("S", "S");
    for (what, with) in [
        ("summary: S", "summary: T"),
        ("description: D", "description: E"),
        ("{b}", "{c}\n    x-y"),
        ("[x, y]", "[y, x]"),
        ("required: [u]", "title: T, required: [u]"),
    ] {
        // The names in braces do not matter, nor does the order of an enumeration.
        let with = with.replace("\n    x-y", "");
        assert_eq!(diff(&base, &variant(what, &with)).differences, [], "{what} → {with}");
    }
    let changes = [
        ("post:", "put:", "method", "POST", "PUT"),
        ("client/v3", "client/v1", "path", "/_matrix/client/v3/a/{}", "/_matrix/client/v1/a/{}"),
        ("[{t: []}]", "[{}, {t: []}]", "security", "required", "optional"),
        ("name: q,", "name: q, required: true,", "query parameter `q`", "optional", "required"),
        ("enum: [x, y]", "enum: [x]", "query parameter `q`, enum", "\"x\", \"y\"", "\"x\""),
        (
            "requestBody: {required: true",
            "requestBody: {required: false",
            "request body",
            "required",
            "optional",
        ),
        (
            "required: [r], ",
            "",
            "request body, /r, member",
            "documented and required",
            "documented",
        ),
        (
            "r: {type: string",
            "r: {type: [string, 'null']",
            "request body, /r, type",
            "string",
            "\"null\", \"string\"",
        ),
        ("'404':", "'403':", "answer 404", "without a schema", "absent"),
        ("format: uri", "format: email", "answer 200, /u, format", "uri", "email"),
        ("'^h'", "'^i'", "answer 200, /u, pattern", "^h", "^i"),
        ("required: [u]", "required: [u, z]", "answer 200, /z, member", "absent", "required"),
        (
            "items: {type: integer}",
            "items: {type: string}",
            "answer 200, /v/*, type",
            "integer",
            "string",
        ),
        (
            "v: {type: array, items: {type: integer}}, ",
            "",
            "answer 200, /v, member",
            "documented",
            "absent",
        ),
        (
            "additionalProperties: {type: string}",
            "additionalProperties: false",
            "answer 200, /w/*, member",
            "absent",
            "refused",
        ),
        (
            "headers: {Location: {schema: {type: string}}}",
            "headers: {}",
            "answer 200, header `location`",
            "optional",
            "absent",
        ),
    ];
    for (what, with, place, ours, theirs) in changes {
        let other = variant(what, with);
        let found = diff(&base, &other).differences;
        let expected = (place, ours, theirs);
        let found: Vec<_> =
            found.iter().map(|d| (d.what.as_str(), d.ours.as_str(), d.theirs.as_str())).collect();
        assert!(found.contains(&expected), "{what} → {with}: {found:?}");
        let back = diff(&other, &base).differences;
        assert_eq!(back.len(), found.len(), "{what} → {with} the other way round");
    }
}

#[test]
fn all_of_one_schema_is_that_schema() {
    let plain = variant("S", "S");
    let wrapped = variant(
        "u: {type: string, format: uri, pattern: '^h'}",
        "u: {description: D, allOf: [{type: string, format: uri}, {pattern: '^h', type: string}]}",
    );
    assert_eq!(diff(&plain, &wrapped).differences, []);
}

#[test]
fn a_description_lists_operations_and_differences() {
    let (ours, theirs) = (variant("S", "S"), variant("format: uri", "format: email"));
    let text = describe(&ours, &theirs);
    let expected = "a folder: 1 operation\n  a  POST   /_matrix/client/v3/a/{b}\n\n1 structural difference to a folder in the 1 operation that both have:\n  a\n    answer 200, /u, format: uri here, email there\n";
    assert_eq!(text, expected);
    let text = describe(&swagger(), &openapi());
    assert!(text.contains("Only here: GET /_matrix/client/r0/letters, POST "), "{text}");
    assert!(
        text.contains("tests/spec/openapi: openLetter, allLetters, discoverLetters\n"),
        "{text}"
    );
}

// The bundled files.

#[test]
fn bundled_files_load_and_all_their_schemas_can_be_used() {
    for spec in bundled() {
        spec.compile().unwrap_or_else(|faults| panic!("{}", shown(&faults)));
        assert!(spec.operations().all(|o| o.file.starts_with("spec/")), "{}", spec.name());
        for id in ["getLoginFlows", "login", "logout", "getTokenOwner", "getVersions"] {
            operation(&spec, id);
        }
    }
    let [v1, r0] = bundled();
    assert_eq!((v1.name(), r0.name()), ("bundled v1", "bundled r0"));
    assert!(!v1.is_r0() && r0.is_r0());
}

#[test]
fn every_bundled_file_is_in_the_program() {
    // The program's list is made by the build script; a file that is read through no reference and
    // describes no operation would not be missed otherwise.
    for (folder, spec) in [("spec/v1", Spec::bundled_v1()), ("spec/r0", Spec::bundled_r0())] {
        let (from_disk, spec) = (load(&manifest(folder)), spec.unwrap());
        let ids = |s: &Spec| s.operations().map(|o| o.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&from_disk), ids(&spec));
        let found = diff(&spec, &from_disk);
        assert_eq!(found.differences, []);
    }
}

/// Bodies that resemble what the answers of a specification hold: known names, any values.
fn bodies(spec: &Spec) -> impl Strategy<Value = Value> + use<> {
    let tokens = spec
        .schema_locations()
        .into_iter()
        .flat_map(|l| l.pointer.split('/').map(str::to_owned).collect::<Vec<_>>());
    let names: BTreeSet<_> = tokens.filter(|t| !t.is_empty()).collect();
    let names = prop::sample::select(names.into_iter().collect::<Vec<_>>());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2i64..3).prop_map(Value::from),
        Just(json!(1.0)),
        Just(json!(1.5)),
        prop::sample::select(vec![
            "",
            "@a:b",
            "alice",
            "https://example.org/",
            "m.login.password",
            "M_UNKNOWN"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 8, move |inner| {
        let members = prop::collection::btree_map(names.clone(), inner.clone(), 0..8);
        prop_oneof![
            3 => members.prop_map(|map| Value::Object(map.into_iter().collect())),
            1 => prop::collection::vec(inner, 0..4).prop_map(Value::from),
        ]
    })
}

#[test]
fn every_violation_is_where_the_schemas_say_one_can_be() {
    for spec in bundled() {
        let known: BTreeSet<SchemaLocation> = spec.schema_locations().into_iter().collect();
        assert!(known.len() > 100);
        TestRunner::deterministic()
            .run(&bodies(&spec), |body| {
                for operation in spec.operations() {
                    for status in operation.responses.keys() {
                        let SchemaCheck::Violations(found) =
                            spec.check(&operation.id, status.parse().unwrap_or(299), &body)
                        else {
                            continue;
                        };
                        for v in found {
                            let location = SchemaLocation {
                                operation: operation.id.clone(),
                                status: status.clone(),
                                pointer: v.location.clone(),
                                keyword: v.keyword.clone(),
                            };
                            prop_assert!(known.contains(&location), "{location:?} for {body}");
                            prop_assert!(
                                v.spec_file.starts_with("spec/") && v.spec_line > 1,
                                "{v:?}"
                            );
                        }
                    }
                }
                Ok(())
            })
            .unwrap();
        let keywords: BTreeSet<_> = known.iter().map(|l| l.keyword.as_str()).collect();
        assert!(["null", "required", "type"].iter().all(|k| keywords.contains(k)));
    }
}

/// The value at a reference with all references in it resolved, what stands beside one over its
/// target. A second way to do what the loader does, on `serde_yaml`'s values; nothing that the
/// bundled files hold goes round in a circle.
fn resolved(folder: &Path, file: &str, value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| resolved(folder, file, item)).collect(),
        Value::Object(map) => {
            let Some(reference) = map.get("$ref").and_then(Value::as_str) else {
                return map.iter().map(|(k, v)| (k.clone(), resolved(folder, file, v))).collect();
            };
            let (path, pointer) = reference.split_once('#').unwrap_or((reference, ""));
            let base = Path::new(file).parent().unwrap();
            let path = if path.is_empty() { PathBuf::from(file) } else { base.join(path) };
            let target = resolved(
                folder,
                path.to_str().unwrap(),
                yaml(&folder.join(&path)).pointer(pointer).unwrap(),
            );
            let mut merged = target.as_object().unwrap().clone();
            for (key, value) in map.iter().filter(|(key, _)| *key != "$ref") {
                merged.insert(key.clone(), resolved(folder, file, value));
            }
            Value::Object(merged)
        }
        scalar => scalar.clone(),
    }
}

fn yaml(path: &Path) -> Value {
    serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Validators for all answers of a folder, made without the loader: (method, path, status).
fn validators(folder: &Path) -> Vec<(String, String, u16, Validator)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Some(file) = path.file_name().and_then(|n| n.to_str()).filter(|n| n.ends_with(".yaml"))
        else {
            continue;
        };
        for (path, item) in yaml(&path)["paths"].as_object().unwrap() {
            for (method, operation) in
                item.as_object().unwrap().iter().filter(|(m, _)| *m != "parameters")
            {
                for (status, answer) in operation["responses"].as_object().unwrap() {
                    let media = &answer["content"]["application/json"];
                    let Some(schema) = media.get("schema").or_else(|| answer.get("schema")) else {
                        continue;
                    };
                    let schema = resolved(folder, file, schema);
                    let validator = jsonschema::options()
                        .with_draft(Draft::Draft202012)
                        .should_validate_formats(true)
                        .with_format("mx-user-id", |s: &str| s.starts_with('@') && s.contains(':'))
                        .build(&schema)
                        .unwrap_or_else(|e| panic!("{file} {path} {method} {status}: {e}"));
                    all.push((
                        method.to_uppercase(),
                        path.clone(),
                        status.parse().unwrap(),
                        validator,
                    ));
                }
            }
        }
    }
    all
}

#[test]
fn bodies_are_judged_as_by_a_validator_made_without_the_loader() {
    for (spec, folder) in bundled().iter().zip(["spec/v1", "spec/r0"]) {
        let validators: Vec<_> = validators(&manifest(folder))
            .into_iter()
            .map(|(method, path, status, validator)| {
                let is_it = |o: &&Operation| o.method == method && o.path.ends_with(&path);
                let shortest = spec.operations().filter(is_it).min_by_key(|o| o.path.len());
                (
                    shortest.unwrap_or_else(|| panic!("{method} {path}")).id.clone(),
                    status,
                    validator,
                )
            })
            .collect();
        let answers = spec.operations().flat_map(|o| o.responses.values());
        assert_eq!(validators.len(), answers.filter(|r| r.schema.is_some()).count());
        let mut valid = BTreeSet::new();
        let mut runner = TestRunner::deterministic();
        let judged = runner.run(&bodies(spec), |body| {
            for (id, status, validator) in &validators {
                let check = spec.check(id, *status, &body);
                prop_assert!(check != SchemaCheck::NoSchema);
                prop_assert_eq!(
                    check == SchemaCheck::Valid,
                    validator.is_valid(&body),
                    "{} {} {}",
                    id,
                    status,
                    body
                );
            }
            Ok(())
        });
        judged.unwrap();
        let good = json!({"errcode": "M_UNKNOWN", "versions": [], "flows": [], "capabilities": {}, "user_id": "@a:b", "access_token": "t", "device_id": "D"});
        for (id, status, validator) in &validators {
            assert_eq!(
                spec.check(id, *status, &good) == SchemaCheck::Valid,
                validator.is_valid(&good),
                "{id} {status}"
            );
            valid.extend(validator.is_valid(&good).then_some(id));
        }
        assert!(valid.len() > 10, "{valid:?}");
    }
}

#[test]
fn checks_run_from_many_threads() {
    let [spec, _] = bundled();
    let body = json!({"user_id": "alice"});
    let alone = spec.check("login", 200, &body);
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| spec.check("login", 200, &body))).collect();
        threads.into_iter().for_each(|t| assert_eq!(t.join().unwrap(), alone));
    });
}

// The published files.

fn upstream(release: &str) -> Spec {
    let dir = std::env::var_os("HOMESPEC_UPSTREAM_SPEC")
        .expect("names the folder with the published files");
    load(&PathBuf::from(dir).join(release))
}

/// Release and number of operations.
const RELEASES: [(&str, usize); 12] = [
    ("r0.0.1", 4),
    ("r0.3.0", 13),
    ("r0.4.0", 20),
    ("r0.5.0", 22),
    ("r0.6.1", 22),
    ("v1.1", 23),
    ("v1.3", 24),
    ("v1.7", 25),
    ("v1.8", 25),
    ("v1.11", 25),
    ("v1.15", 26),
    ("v1.19", 26),
];

#[test]
#[ignore = "needs HOMESPEC_UPSTREAM_SPEC: a folder with the published files of twelve releases"]
fn published_folders_load_as_they_are() {
    let [v1, r0] = bundled();
    for (release, operations) in RELEASES {
        let spec = upstream(release);
        assert_eq!(spec.operations().count(), operations, "{release}");
        assert_eq!(spec.is_r0(), release.starts_with('r'), "{release}");
        let rooted = |o: &Operation| {
            ["/_matrix/client/", "/.well-known/"].iter().any(|p| o.path.starts_with(p))
        };
        assert!(spec.operations().all(rooted), "{release}");
        assert!(spec.schema_locations().len() > 20, "{release}");
        let under = if spec.is_r0() { &r0 } else { &v1 };
        let spec = spec.over(under.clone());
        assert!(operation(&spec, "login").file.contains(release), "{release}");
    }
}

#[test]
#[ignore = "needs HOMESPEC_UPSTREAM_SPEC: a folder with the published files of twelve releases"]
fn bundled_files_have_the_structure_of_the_published_ones() {
    let [v1, r0] = bundled();
    for (ours, release) in [(v1, "v1.19"), (r0, "r0.5.0")] {
        let found = diff(&ours, &upstream(release));
        assert_eq!(found.differences, [], "{release}");
        assert_eq!(found.only_ours, Vec::<String>::new(), "{release}");
    }
}

#[test]
#[ignore = "needs HOMESPEC_UPSTREAM_SPEC: a folder with the published files of twelve releases"]
fn published_files_have_the_value_that_serde_yaml_reads() {
    let root = PathBuf::from(
        std::env::var_os("HOMESPEC_UPSTREAM_SPEC")
            .expect("names the folder with the published files"),
    );
    assert!(compare_below(&root) > 300);
}

#[test]
fn bundled_files_have_the_value_that_serde_yaml_reads() {
    assert!(compare_below(&manifest("spec")) + compare_below(&manifest("tests/spec/swagger")) > 20);
}

/// Compares all YAML files below a folder; how many there are.
fn compare_below(folder: &Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            count += compare_below(&path);
        } else if path.extension().is_some_and(|e| e == "yaml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let ours = homespec::yaml::document::Document::parse_lenient("f", text.as_str());
            let ours = ours.unwrap_or_else(|f| panic!("{}: {}", path.display(), shown(&f)));
            assert_eq!(
                *ours.value(),
                serde_yaml::from_str::<Value>(&text).unwrap(),
                "{}",
                path.display()
            );
            count += 1;
        }
    }
    count
}

#[test]
fn faults_where_no_needed_operation_is_are_warnings() {
    let document = |path: &str, id: &str, more: &str| {
        format!(
            "swagger: '2.0'\nbasePath: /_matrix/client/r0\npaths: {{'{path}': {{get: {{operationId: {id}, responses: {{}}{more}}}}}}}\n"
        )
    };
    let broken = ", parameters: [{$ref: 'no/such.yaml'}]";
    let load = |files: &[(&str, String)]| {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Spec::from_dir_for(folder.path(), &|operation| operation.id == "needed")
    };
    let needed = ("a.yaml", document("/a", "needed", ""));
    let (spec, warnings) = load(&[
        needed.clone(),
        ("b.yaml", document("/b", "b", broken)),
        ("c.yaml", document("/c", "c", "")),
        ("d.yaml", document("/c", "d", "")),
    ])
    .unwrap_or_else(|faults| panic!("{}", shown(&faults)));
    let ids: Vec<&str> = spec.operations().map(|operation| operation.id.as_str()).collect();
    assert_eq!(ids, ["needed", "c"]);
    let files: BTreeSet<&str> =
        warnings.iter().map(|fault| fault.name.rsplit('/').next().unwrap()).collect();
    assert_eq!(files, BTreeSet::from(["b.yaml", "d.yaml"]), "{}", shown(&warnings));
    // A file that is needed, or that may be, counts.
    for bad in [
        vec![("a.yaml", document("/a", "needed", broken))],
        vec![needed.clone(), ("b.yaml", document("/a", "b", "")), ("c.yaml", "a: [".to_owned())],
    ] {
        assert!(load(&bad).is_err(), "{bad:?}");
    }
    let (spec, warnings) = load(&[needed]).unwrap();
    assert!(warnings.is_empty() && spec.operation("needed").is_some());
}
