//! From the text of a register to its requirements, or to every fault in it.
use super::*;
use serde_json::Map;

/// Every key that an entry of the register may have.
const ENTRY_KEYS: &[&str] = &[
    "id",
    "group",
    "level",
    "mark",
    "since",
    "until",
    "exclusive",
    "clarification",
    "tightened",
    "relaxed",
    "warns",
    "note",
    "tier",
    "needs",
    "title",
    "source",
    "url",
    "check",
    "standing",
    "untestable",
];
const WATCH_KEYS: &[&str] = &["operation", "status", "pointer", "keyword"];

/// Reads entries and keeps what is wrong with them.
pub(super) struct Reader<'d> {
    pub(super) document: &'d Document,
    pub(super) faults: Vec<Diagnostic>,
}

/// A mapping of the file with its place.
#[derive(Clone, Copy)]
struct Fields<'d> {
    at: &'d str,
    map: &'d Map<String, Value>,
}

impl Fields<'_> {
    fn place(&self, key: &str) -> String {
        format!("{}/{key}", self.at)
    }
}

impl Reader<'_> {
    fn fault(&mut self, pointer: &str, message: impl Into<String>) {
        self.faults.push(Diagnostic::at(self.document, pointer, message));
    }

    pub(super) fn requirement(&mut self, at: &str, entry: &Value) -> Option<Requirement> {
        let Value::Object(map) = entry else {
            self.fault(at, "a requirement is a mapping");
            return None;
        };
        let fields = Fields { at, map };
        self.refuse_unknown(fields, ENTRY_KEYS);
        // Everything is read before anything is given up, so that all faults are told at once.
        let id = self.text(fields, "id");
        let group = self.text(fields, "group");
        let level =
            self.word(fields, "level", &[Level::Must, Level::Should, Level::May], Level::as_str);
        let marks = [Mark::Plain, Mark::Soft, Mark::Derived, Mark::Schema];
        let mark = self.word(fields, "mark", &marks, Mark::as_str);
        let since = self.release(fields, "since");
        let until = self.optional(fields, "until", Reader::release);
        let exclusive = self.flag(fields, "exclusive");
        let clarification = self.flag(fields, "clarification");
        let tightened = self.optional(fields, "tightened", Reader::release);
        let relaxed = self.optional(fields, "relaxed", Reader::release);
        let warns = self.flag(fields, "warns");
        let note = self.optional(fields, "note", Reader::text);
        let tier = self.word(fields, "tier", &Tier::ALL, Tier::as_str);
        let needs = self.needs(fields);
        let title = self.text(fields, "title");
        let source = self.text(fields, "source");
        let url = self.url(fields);
        let check = self.text(fields, "check");
        let standing = self.optional(fields, "standing", Reader::standing).unwrap_or_default();
        let untestable = self.optional(fields, "untestable", Reader::text);
        let requirement = Requirement {
            id: id?,
            group: group?,
            level: level?,
            mark: mark?,
            range: VersionRange { since: since?, until },
            exclusive,
            clarification,
            tightened,
            relaxed,
            warns,
            note,
            tier: tier?,
            needs,
            title: title?,
            source: source?,
            url: url?,
            check: check?,
            standing,
            untestable,
            line: self.document.line(at),
        };
        self.refuse_contradictions(fields, &requirement);
        Some(requirement)
    }

    fn refuse_unknown(&mut self, fields: Fields<'_>, known: &[&str]) {
        for key in fields.map.keys().filter(|key| !known.contains(&key.as_str())) {
            let fault = Diagnostic::at_key(
                self.document,
                &fields.place(key),
                format!("there is no key `{key}` here"),
            );
            self.faults.push(suggesting(fault, did_you_mean(key, known.iter().copied())));
        }
    }

    /// What no word by itself can tell.
    fn refuse_contradictions(&mut self, fields: Fields<'_>, requirement: &Requirement) {
        let VersionRange { since, until } = requirement.range;
        let is_id = |id: &str| {
            let part = |p: &str| {
                !p.is_empty()
                    && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            };
            id.contains('.') && id.split('.').all(part)
        };
        let later = |release: Option<SpecVersion>| release.is_none_or(|r| r > since);
        let is_must = requirement.level == Level::Must;
        let is_may = requirement.level == Level::May;
        let rules = [
            ("id", is_id(&requirement.id), "an id is dotted and in lower case"),
            ("mark", requirement.mark != Mark::Schema || is_must, "mark `schema` counts as MUST"),
            ("until", until.is_none_or(|u| u >= since), "`until` comes before `since`"),
            ("tightened", later(requirement.tightened), "`tightened` does not come after `since`"),
            ("tightened", requirement.tightened.is_none() || is_must, "only a MUST is tightened"),
            ("warns", !requirement.warns || is_must, "only a MUST has `warns`"),
            ("relaxed", later(requirement.relaxed), "`relaxed` does not come after `since`"),
            ("relaxed", requirement.relaxed.is_none() || is_may, "only a MAY is relaxed"),
            (
                "clarification",
                !requirement.clarification || (until.is_none() && !requirement.exclusive),
                "what only explains binds every server, so it has neither `until` nor `exclusive`",
            ),
        ];
        for (key, _, message) in rules.into_iter().filter(|(_, holds, _)| !holds) {
            self.fault(&fields.place(key), message);
        }
    }

    fn optional<T>(
        &mut self,
        fields: Fields<'_>,
        key: &str,
        read: fn(&mut Self, Fields<'_>, &str) -> Option<T>,
    ) -> Option<T> {
        fields.map.contains_key(key).then(|| read(self, fields, key)).flatten()
    }

    /// The value of a key that has to be there.
    fn value<'f>(&mut self, fields: Fields<'f>, key: &str) -> Option<&'f Value> {
        let value = fields.map.get(key);
        if value.is_none() {
            self.fault(fields.at, format!("`{key}` is missing"));
        }
        value
    }

    fn text(&mut self, fields: Fields<'_>, key: &str) -> Option<String> {
        match self.value(fields, key)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            _ => {
                self.fault(&fields.place(key), format!("`{key}` is a text that is not empty"));
                None
            }
        }
    }

    fn flag(&mut self, fields: Fields<'_>, key: &str) -> bool {
        match fields.map.get(key) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => {
                self.fault(&fields.place(key), format!("`{key}` is true or false"));
                false
            }
        }
    }

    fn release(&mut self, fields: Fields<'_>, key: &str) -> Option<SpecVersion> {
        let release = self.value(fields, key)?.as_str().and_then(SpecVersion::parse);
        if release.is_none() {
            self.fault(
                &fields.place(key),
                format!("`{key}` is a release, such as v1.19 or r0.6.1"),
            );
        }
        release
    }

    fn word<T: Copy>(
        &mut self,
        fields: Fields<'_>,
        key: &str,
        words: &[T],
        spelling: fn(T) -> &'static str,
    ) -> Option<T> {
        let value = self.value(fields, key)?.as_str();
        let word = words.iter().copied().find(|word| Some(spelling(*word)) == value);
        if word.is_none() {
            let all: Vec<&str> = words.iter().map(|word| spelling(*word)).collect();
            self.fault(&fields.place(key), format!("`{key}` is one of {}", all.join(", ")));
        }
        word
    }

    fn needs(&mut self, fields: Fields<'_>) -> Vec<String> {
        let Some(value) = self.value(fields, "needs") else { return Vec::new() };
        let Value::Array(words) = value else {
            self.fault(&fields.place("needs"), "`needs` is a list of words");
            return Vec::new();
        };
        let mut needs = Vec::with_capacity(words.len());
        for (index, word) in words.iter().enumerate() {
            match word.as_str() {
                Some(word) if NEEDS.iter().any(|(known, _)| *known == word) => {
                    needs.push(word.to_owned());
                }
                word => {
                    let place = format!("{}/{index}", fields.place("needs"));
                    let fault = Diagnostic::at(self.document, &place, "this is no word of `needs`");
                    let known = NEEDS.iter().map(|(word, _)| *word);
                    self.faults.push(suggesting(fault, did_you_mean(word.unwrap_or(""), known)));
                }
            }
        }
        needs
    }

    fn url(&mut self, fields: Fields<'_>) -> Option<String> {
        let text = self.text(fields, "url")?;
        let is_clause =
            url::Url::parse(&text).is_ok_and(|u| u.scheme() == "https" && u.fragment().is_some());
        if !is_clause {
            self.fault(&fields.place("url"), "`url` is an https URL with the anchor of the clause");
        }
        is_clause.then_some(text)
    }

    fn standing(&mut self, fields: Fields<'_>, key: &str) -> Option<Vec<Watch>> {
        let place = fields.place(key);
        let Value::Array(items) = self.value(fields, key)? else {
            self.fault(&place, "`standing` is a list of watches");
            return None;
        };
        let watches = items.iter().enumerate();
        Some(watches.filter_map(|(i, item)| self.watch(&format!("{place}/{i}"), item)).collect())
    }

    fn watch(&mut self, at: &str, item: &Value) -> Option<Watch> {
        let Value::Object(map) = item else {
            self.fault(at, "a watch is a mapping: `rule`, or a place in the schemas");
            return None;
        };
        let fields = Fields { at, map };
        match map.contains_key("rule") {
            true => self.rule(fields).map(Watch::Rule),
            false => self.schema_watch(fields).map(Watch::Schema),
        }
    }

    fn rule(&mut self, fields: Fields<'_>) -> Option<Rule> {
        self.refuse_unknown(fields, &["rule"]);
        let word = self.text(fields, "rule")?;
        match word.parse() {
            Ok(rule) => Some(rule),
            Err(error) => {
                let UnknownRule(word) = &error;
                let known = Rule::ALL.iter().map(|rule| rule.as_str());
                let near = did_you_mean(word, known);
                let fault = Diagnostic::at(self.document, &fields.place("rule"), error.to_string());
                self.faults.push(suggesting(fault, near));
                None
            }
        }
    }

    fn schema_watch(&mut self, fields: Fields<'_>) -> Option<SchemaWatch> {
        self.refuse_unknown(fields, WATCH_KEYS);
        let operation = self.text(fields, "operation");
        let status = self.status(fields);
        let pointer = self.pointer(fields);
        let keyword = self.keyword(fields);
        Some(SchemaWatch {
            operation: Some(operation?).filter(|operation| operation != "*"),
            status: status?,
            pointer: pointer?,
            keyword: keyword?,
        })
    }

    fn status(&mut self, fields: Fields<'_>) -> Option<Option<u16>> {
        let value = self.value(fields, "status")?;
        let number = || u16::try_from(value.as_u64()?).ok().filter(|n| (100..600).contains(n));
        let status = match value.as_str() {
            Some("*") => Some(None),
            _ => number().map(Some),
        };
        if status.is_none() {
            self.fault(&fields.place("status"), "`status` is an HTTP status or \"*\"");
        }
        status
    }

    fn pointer(&mut self, fields: Fields<'_>) -> Option<PointerPattern> {
        let pattern = self.value(fields, "pointer")?.as_str().and_then(PointerPattern::parse);
        if pattern.is_none() {
            let message = "`pointer` is a JSON Pointer, with `*` for any key and `**` at its end";
            self.fault(&fields.place("pointer"), message);
        }
        pattern
    }

    fn keyword(&mut self, fields: Fields<'_>) -> Option<Option<String>> {
        match self.value(fields, "keyword")?.as_str() {
            Some("*") => Some(None),
            Some(word) if KEYWORDS.contains(&word) => Some(Some(word.to_owned())),
            _ => {
                let message = format!("`keyword` is one of {}, \"*\"", KEYWORDS.join(", "));
                self.fault(&fields.place("keyword"), message);
                None
            }
        }
    }

    /// Makes a register of the requirements, each with its place in the file; what comes twice is
    /// a fault.
    pub(super) fn index(&mut self, entries: Vec<(usize, Requirement)>) -> Register {
        let mut positions = HashMap::with_capacity(entries.len());
        let mut rules = HashMap::new();
        let mut watched: HashMap<SchemaWatch, usize> = HashMap::new();
        let mut twice = Vec::new();
        for (position, (_, requirement)) in entries.iter().enumerate() {
            if let Some(first) = positions.insert(requirement.id.clone(), position) {
                twice.push((position, first, "this id comes a second time"));
            }
            for watch in &requirement.standing {
                let first = match watch {
                    Watch::Rule(rule) => rules.insert(*rule, position),
                    Watch::Schema(watch) => watched.insert(watch.clone(), position),
                };
                if let Some(first) = first {
                    twice.push((position, first, "it watches what is watched already"));
                }
            }
        }
        for (position, first, message) in twice {
            let place =
                |at: usize| format!("/{}/id", entries.get(at).map_or(0, |(index, _)| *index));
            let fault = Diagnostic::at(self.document, &place(position), message);
            self.faults.push(match self.document.part(&place(first)) {
                Some(first) => fault.with_other_label(first.label("first here")),
                None => fault,
            });
        }
        let requirements = entries.into_iter().map(|(_, requirement)| requirement).collect();
        Register { requirements, positions, rules, watches: by_specificity(watched) }
    }
}

/// The most specific first; the order among those that are alike does not matter, but stays the same.
fn by_specificity(watched: HashMap<SchemaWatch, usize>) -> Vec<(SchemaWatch, usize)> {
    let mut watches: Vec<(SchemaWatch, usize)> = watched.into_iter().collect();
    watches.sort_by_cached_key(|(watch, position)| (Reverse(watch.specificity()), *position));
    watches
}

/// Adds what was probably meant, if anything is near.
fn suggesting(fault: Diagnostic, near: Option<&str>) -> Diagnostic {
    match near {
        Some(near) => fault.with_help(format!("did you mean `{near}`?")),
        None => fault,
    }
}
