//! References that name something, and requirements that a block decides.
use super::{ACCOUNT_MEMBERS, NEW_MEMBERS, SERVER_MEMBERS, SESSION_MEMBERS, is_new};
use crate::case::ast::*;
use crate::case::near_miss::NearMiss;
use crate::case::template;
use crate::yaml::diagnostic::did_you_mean;
use crate::yaml::document::Document;
use crate::yaml::reader::Reader;
use std::collections::{BTreeMap, BTreeSet};

/// Every reference names something that is known at its step.
pub(super) fn check_references(reader: &mut Reader<'_>, case: &Case, document: &Document) {
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
    check_circles(reader, case, document);
    let nested = case
        .values
        .iter()
        .flat_map(|(_, value)| template::references(value).into_iter().map(|(name, _)| name));
    for name in nested.collect::<Vec<_>>() {
        check_reference(reader, &name, &known, &case.pointer, document);
    }
    let mut saved: BTreeMap<&str, &Source> = BTreeMap::new();
    for step in case.all_steps() {
        check_numbers(reader, step, &saved, document);
        saved.extend(step.save.iter().map(|(name, source)| (name.as_str(), source)));
        for name in step.request_references() {
            check_reference(reader, &name, &known, &step.pointer, document);
        }
        known.extend(step.save.iter().map(|(name, _)| name.clone()));
        for block in &step.blocks {
            let expects = block.when.iter().chain(block.branches.iter().map(|b| &b.expect));
            for name in expects.flat_map(Expect::references).collect::<Vec<_>>() {
                check_reference(reader, &name, &known, &block.pointer, document);
            }
        }
        if let Some(account) = &step.uia
            && !known.contains(&format!("{account}.password"))
        {
            reader.fault_with_help(
                document.near(&step.pointer),
                format!("`uia: {account}` is not an account of this case"),
                format!("add `account {account}` to `needs`"),
            );
        }
    }
}

/// A wait and a count refer to what an earlier step saved, from where a number may be.
fn check_numbers(
    reader: &mut Reader<'_>,
    step: &Step,
    saved: &BTreeMap<&str, &Source>,
    document: &Document,
) {
    let wait = match &step.wait {
        Some(Wait::Saved(name)) => Some(("/wait", name)),
        Some(Wait::Fixed(_)) | None => None,
    };
    let count = step.at_most_saved.as_ref().map(|name| ("/until/at_most", name));
    for (below, name) in wait.into_iter().chain(count) {
        let (fault, help) = match saved.get(name.as_str()) {
            Some(source) if source.may_be_number() => continue,
            Some(_) => (
                format!("`${name}` is not saved as a number"),
                "save a `/pointer` into the body, `retry_after` or `served`".to_owned(),
            ),
            None => {
                let near = did_you_mean(name, saved.keys().copied());
                let help = match near {
                    Some(near) => format!("did you mean `${near}`?"),
                    None => format!("save it in an earlier step, such as `{name}: /expires_in_ms`"),
                };
                (format!("`${name}` is not a value that an earlier step saves"), help)
            }
        };
        reader.fault_with_help(document.near(&format!("{}{below}", step.pointer)), fault, help);
    }
}

/// A value that leads back to itself never ends.
fn check_circles(reader: &mut Reader<'_>, case: &Case, document: &Document) {
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
            let fault = format!("the value of `${name}` refers to itself");
            reader.fault(document.near(&case.pointer), fault);
        }
    }
}

fn check_reference(
    reader: &mut Reader<'_>,
    name: &str,
    known: &BTreeSet<String>,
    below: &str,
    document: &Document,
) {
    let has_value = |name: &str| known.contains(name) || is_new(name);
    if has_value(name) || NearMiss::of(name).is_some_and(|(base, _)| has_value(base)) {
        return;
    }
    let fresh: Vec<String> = NEW_MEMBERS.iter().map(|member| format!("new.{member}")).collect();
    let all = known.iter().chain(&fresh).map(String::as_str);
    let help = match did_you_mean(name, all) {
        Some(near) => format!("did you mean `${near}`?"),
        None => match name.split_once('.') {
            Some(("new", _)) => format!("`$new` has: {}", NEW_MEMBERS.join(", ")),
            Some(("operator", _)) => {
                let given = OPERATOR_VALUES.map(|(name, _)| format!("`operator {name}`"));
                format!("what an operator gives is listed in `needs`: {}", given.join(", "))
            }
            Some((account, member)) if SESSION_MEMBERS.contains(&member) => {
                format!("add `session {account}` to `needs`")
            }
            Some((account, _)) => format!("add `account {account}` to `needs`"),
            None => "save it in an earlier step".to_owned(),
        },
    };
    let fault = format!("`${name}` has no value here");
    let part = document.near(below);
    let written = template::references(part.value()).into_iter().find(|(known, _)| known == name);
    // A row may have brought it in: then it is not in the step.
    let at = written.map_or(part, |(_, inner)| document.near(&format!("{below}{inner}")));
    reader.fault_with_help(at, fault, help);
}

/// Every requirement of `checks` has a block that can decide it.
pub(super) fn check_asserted(reader: &mut Reader<'_>, case: &Case, document: &Document) {
    for check in &case.checks {
        let decided = case.steps.iter().flat_map(|s| &s.blocks).any(|block| block.req == *check);
        if !decided {
            reader.fault(document.near(&case.pointer), format!("no block decides `{check}`"));
        }
    }
}
