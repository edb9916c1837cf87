//! Reading registers; what applies; which watch counts.
use super::*;
use SpecVersion::{R, V};
use proptest::prelude::*;

/// One sound entry; `change` puts a line in, or another one in the place of `old`.
fn entry(old: &str, new: &str) -> String {
    let sound = "- id: a.b\n  group: g\n  level: MUST\n  mark: plain\n  since: v1.1\n  tier: T0\n  \
                 needs: [any]\n  title: t\n  source: s\n  url: https://example.org/#x\n  check: c\n";
    assert!(sound.contains(old), "{old}");
    sound.replacen(old, new, 1)
}

fn with(lines: &str) -> String {
    entry("  check: c\n", &format!("  check: c\n{lines}\n"))
}

fn requirement(text: &str) -> Requirement {
    Register::parse("r.yaml", text).unwrap().get("a.b").unwrap().clone()
}

/// The faults of a register, each as `line:column: message (help)`.
fn faults(text: &str) -> Vec<String> {
    let shown = |fault: &Diagnostic| match &fault.help {
        None => format!("{}:{}: {}", fault.line(), fault.column(), fault.message),
        Some(help) => {
            format!("{}:{}: {} ({help})", fault.line(), fault.column(), fault.message)
        }
    };
    Register::parse("r.yaml", text).unwrap_err().iter().map(shown).collect()
}

fn listed(entries: &[&str]) -> Listed {
    Listed::new(entries.iter().copied())
}

#[test]
fn the_bundled_register_is_sound() {
    let faults = Register::bundled().err().unwrap_or_default();
    assert!(faults.is_empty(), "{}", faults.iter().map(|f| f.render(false)).collect::<String>());
}

#[test]
fn an_entry_is_read_with_its_place() {
    let text = format!("# a comment\n{}", with("  untestable: u\n  standing: [{ rule: utf8 }]"));
    let read = requirement(&text);
    assert_eq!((read.level, read.mark, read.tier), (Level::Must, Mark::Plain, Tier::T0));
    assert_eq!(read.range(), VersionRange::since(V(1, 1)));
    assert_eq!(read.standing, [StandingCheck::Rule(Rule::Utf8)]);
    assert_eq!((read.untestable.as_deref(), read.line), (Some("u"), 2));
    assert!(!read.exclusive && !read.clarification && read.tightened.is_none());
}

#[test]
fn all_faults_are_told_with_their_places() {
    let text =
        with("  titel: x\n  until: soon\n  standing: [{ rule: utf9 }, { operation: login }]")
            .replace("  level: MUST\n", "  level: must\n")
            .replace("  source: s\n", "")
            .replace("[any]", "[any, acc]");
    assert_eq!(
        faults(&text),
        [
            "1:3: a requirement has no `source`",
            "3:10: `must` is not a value of `level` (did you mean `MUST`?)",
            "7:16: `acc` is not a word of `needs` (did you mean `acct`?)",
            "11:3: unknown key `titel` in a requirement (did you mean `title`?)",
            "12:10: `soon` is not a release; examples: v1.19, r0.6.1",
            "13:22: `utf9` is not a value of `rule` (did you mean `utf8`?)",
            "13:30: a watch has no `status`",
            "13:30: a watch has no `pointer`",
            "13:30: a watch has no `keyword`",
        ]
    );
}

#[test]
fn contradictions_are_refused() {
    let of = |text: &str| faults(text).concat();
    assert!(of(&entry("a.b", "A.b")).contains("dotted and in lower case"));
    assert!(of(&entry("a.b", "ab")).contains("dotted and in lower case"));
    assert!(of(&with("  until: r0.6.1")).contains("`until` comes before `since`"));
    assert!(of(&with("  tightened: v1.1")).contains("does not come after `since`"));
    assert!(of(&with("  relaxed: v1.2")).contains("only a MAY is relaxed"));
    assert!(of(&with("  clarification: true\n  until: v1.9")).contains("applies to every server"));
    assert!(of(&entry("https://example.org/#x", "https://example.org/")).contains("anchor"));
    let schema_should = entry("MUST\n  mark: plain", "SHOULD\n  mark: schema");
    assert!(of(&schema_should).contains("counts as MUST"));
    let may_of_security = entry("MUST\n  mark: plain", "MAY\n  mark: plain\n  security: true");
    assert!(of(&may_of_security).contains("no matter of security"));
    assert!(of("a: b").contains("a register must be a list"));
    let place = "[{ operation: x, status: 200, pointer: /a, keyword: enum }]";
    for (line, why) in [
        ("  informative: true\n  standing: [{ rule: utf8 }]", "a note has no standing check"),
        ("  informative: true\n  untestable: u", "a note needs no `untestable`"),
        ("  informative: true\n  warns: true\n  note: n", "cannot be broken"),
        ("  informative: true\n  works: login", "cannot be broken"),
        (&format!("  permits: {place}"), "only a note has `permits`"),
    ] {
        assert!(of(&with(line)).contains(why), "{line}");
    }
}

#[test]
fn what_comes_twice_is_refused_with_both_places() {
    let watch = "  standing: [{ operation: x, status: 200, pointer: /a, keyword: type }]";
    let text = format!("{}{}", with(watch), with(watch));
    let faults = Register::parse("r.yaml", text).unwrap_err();
    let places: Vec<_> = faults.iter().map(|f| (f.line(), f.others.len())).collect();
    assert_eq!(places, [(13, 1), (13, 1)]);
    assert_eq!(faults[0].message, "duplicate id");
    assert_eq!(faults[1].message, "another requirement already watches this place");
}

#[test]
fn a_range_decides_what_applies() {
    let bounded = requirement(&with("  until: v1.9"));
    assert!(bounded.applies(&listed(&["v1.9", "v1.19"])), "what is still listed is still due");
    assert!(!bounded.applies(&listed(&["v1.10"])) && !bounded.applies(&listed(&["r0.6.1"])));
    let exclusive = requirement(&with("  until: v1.9\n  exclusive: true"));
    assert!(exclusive.applies(&listed(&["v1.1", "v1.9"])));
    assert!(!exclusive.applies(&listed(&["v1.9", "v1.19"])));
    let clarification = requirement(&with("  clarification: true"));
    assert!(clarification.applies(&listed(&["r0.0.1"])) && clarification.applies(&listed(&[])));
}

#[test]
fn the_level_decides_what_a_breach_means() {
    let old = listed(&["r0.6.1", "v1.3"]);
    let new = listed(&["v1.3", "v1.4"]);
    let must = requirement(&entry("plain", "soft"));
    assert_eq!(must.severity(&old), Severity::Fails);
    let tightened = requirement(&with("  tightened: v1.4"));
    assert_eq!(tightened.severity(&old), Severity::Warns);
    assert_eq!(tightened.severity(&new), Severity::Fails);
    let warns = requirement(&with("  warns: true"));
    assert_eq!(warns.severity(&new), Severity::Warns);
    let should = requirement(&entry("MUST", "SHOULD"));
    assert_eq!(should.severity(&new), Severity::Warns);
    let may = requirement(&entry("MUST", "MAY"));
    assert_eq!(may.severity(&old), Severity::Observes);
    let relaxed = requirement(&with("  relaxed: v1.4").replace("MUST", "MAY"));
    assert_eq!(relaxed.severity(&old), Severity::Warns);
    assert_eq!(relaxed.severity(&new), Severity::Observes);
}

#[test]
fn patterns_match_places() {
    let matches =
        |pattern: &str, pointer: &str| PointerPattern::parse(pattern).unwrap().matches(pointer);
    assert!(matches("", "") && !matches("", "/a"));
    assert!(matches("/a/*/b", "/a/0/b") && !matches("/a/*/b", "/a/0") && !matches("/a/*", "/a"));
    assert!(matches("/a/**", "/a") && matches("/a/**", "/a/b/c") && !matches("/a/**", "/ab"));
    assert!(matches("/**", "") && matches("/**", "/a/b"));
    assert!(matches("/a~1b", "/a~1b") && matches("/m.homeserver", "/m.homeserver"));
    for wrong in ["a", "/a/**/b", "**"] {
        assert_eq!(PointerPattern::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn the_most_specific_watch_counts() {
    // Each line is more specific than the ones after it.
    let order = [
        "operation: x, status: 200, pointer: /a/b, keyword: type",
        "operation: \"*\", status: \"*\", pointer: /a/b, keyword: type",
        "operation: x, status: 200, pointer: /a/b, keyword: \"*\"",
        "operation: \"*\", status: 200, pointer: /a/b, keyword: \"*\"",
        "operation: x, status: \"*\", pointer: /a/b, keyword: \"*\"",
        "operation: \"*\", status: \"*\", pointer: /a/b/**, keyword: \"*\"",
        "operation: x, status: 200, pointer: \"/a/*\", keyword: type",
        "operation: x, status: 200, pointer: \"/a/**\", keyword: type",
        "operation: x, status: 200, pointer: \"/*/b\", keyword: type",
        "operation: x, status: 200, pointer: \"/**\", keyword: type",
    ];
    let written = |from: usize| {
        let entries = order.iter().enumerate().skip(from).rev().map(|(i, watch)| {
            with(&format!("  standing: [{{ {watch} }}]")).replace("a.b", &format!("a.b{i}"))
        });
        Register::parse("r.yaml", entries.collect::<String>()).unwrap()
    };
    for from in 0..order.len() {
        let requirement_for_violation =
            written(from).requirement_for_violation("x", 200, "/a/b", "type").unwrap().id.clone();
        assert_eq!(requirement_for_violation, format!("a.b{from}"));
    }
}

#[test]
fn a_wrong_id_is_near_to_a_right_one() {
    let register = Register::bundled().unwrap();
    assert_eq!(register.closest("device.login.ecko"), Some("device.login.echo"));
    assert_eq!(register.closest("something else altogether"), None);
    assert!(register.get("device.login.ecko").is_none());
}

#[test]
fn rules_are_read_as_they_are_written() {
    for rule in Rule::ALL {
        let read = serde_yaml::from_str::<Rule>(rule.as_str());
        assert_eq!(read.ok(), Some(*rule));
    }
}

fn any_pattern() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec!["a", "b", "*"]);
    (prop::collection::vec(key, 0..4), any::<bool>()).prop_map(|(keys, below)| {
        let mut text: String = keys.iter().map(|key| format!("/{key}")).collect();
        text.push_str(if below { "/**" } else { "" });
        text
    })
}

fn any_watch() -> impl Strategy<Value = SchemaRule> {
    let word = |words: &[&str]| {
        prop::option::of(prop::sample::select(
            words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>(),
        ))
    };
    let status = prop::option::of(prop::sample::select(vec![200u16, 403]));
    (word(&["x", "y"]), status, any_pattern(), word(&["type", "required"])).prop_map(
        |(operation, status, pattern, keyword)| SchemaRule {
            operation,
            status,
            pointer: PointerPattern::parse(&pattern).unwrap(),
            keyword,
        },
    )
}

proptest! {
    /// No violation has two watches to choose from: this is what "exactly one id" rests on.
    #[test]
    fn watches_that_match_together_are_never_alike(
        one in any_watch(),
        other in any_watch(),
        keys in prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 0..4),
    ) {
        let pointer: String = keys.iter().map(|key| format!("/{key}")).collect();
        let both = one.matches("x", 200, &pointer, "type") && other.matches("x", 200, &pointer, "type");
        prop_assert!(!both || one == other || one.specificity() != other.specificity());
    }

    #[test]
    fn reading_never_panics(text in "\\PC{0,60}", line in "[a-z]{0,8}: [\\[\\]{}a-z0-9, .*/\"]{0,20}") {
        let _ = Register::parse("r.yaml", text);
        let _ = Register::parse("r.yaml", with(&format!("  {line}")));
    }

    #[test]
    fn a_newer_release_more_makes_nothing_milder_for_a_must(
        old in prop::collection::vec((0..20u32).prop_map(|y| V(1, y)), 1..4),
        new in (0..20u32).prop_map(|y| V(1, y)),
    ) {
        let tightened = requirement(&with("  tightened: v1.9"));
        let before = Listed::new(old.iter().map(SpecVersion::to_string));
        let after = Listed::new(old.iter().chain([&new]).map(SpecVersion::to_string));
        prop_assert!(tightened.severity(&before) <= tightened.severity(&after));
    }
}

#[test]
fn releases_before_the_common_number_are_older() {
    let old = requirement(&entry("since: v1.1", "since: r0.3.0"));
    assert_eq!(old.since, R(0, 3, 0));
    assert!(old.applies(&listed(&["v1.1"])) && !old.applies(&listed(&["r0.2.0"])));
}

#[test]
fn a_note_never_applies_and_permits_what_a_schema_forbids() {
    let permits = "  informative: true\n  permits: \
                   [{ operation: x, status: 200, pointer: /a/*, keyword: enum }]";
    let register = Register::parse("r.yaml", with(permits)).unwrap();
    let note = register.get("a.b").unwrap();
    assert!(note.informative && !note.applies(&listed(&["v1.19"])) && !note.applies(&listed(&[])));
    let place = ("x", 200, "/a/0");
    assert!(register.permits(place.0, place.1, place.2, "enum"));
    assert!(register.requirement_for_violation(place.0, place.1, place.2, "enum").is_none());
    assert!(!register.permits(place.0, place.1, place.2, "type"));
    let clarification = with("  informative: true\n  clarification: true");
    assert!(!requirement(&clarification).applies(&listed(&["v1.19"])));
}

#[test]
fn a_place_is_shown_as_it_is_read() {
    for text in ["", "/**", "/a", "/a/*/b", "/a~1b/*/**", "/m.x/c~0d"] {
        assert_eq!(PointerPattern::parse(text).unwrap().to_string(), text);
    }
}
