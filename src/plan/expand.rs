//! One case for each operation or identity provider, where a case asks for that.
use crate::case::ast::{Case, Each, Feature};
use crate::plan::facts::Facts;
use crate::plan::releases;
use crate::spec::{Operation, Spec};
use serde_json::Value;
use std::sync::Arc;

/// A row of each thing that a case asks for, by its name and its values; none where it asks for none.
type Rows = Vec<(String, Vec<(&'static str, String)>)>;

/// A case for each operation that is to be expected of this server, or for each identity provider of
/// it, where it asks for that; else, or if there are none, the case itself.
pub fn expand(case: &Arc<Case>, spec: &Spec, facts: &Facts) -> Vec<Arc<Case>> {
    let rows = match case.each {
        None => Rows::new(),
        Some(Each::Operations) => operation_rows(spec, facts),
        // Named by number: what a server calls them is no name for a case.
        Some(Each::IdentityProviders) => {
            numbered("provider", facts.providers.iter().map(|provider| provider.id.clone()))
        }
        Some(Each::ProviderIcons) => {
            numbered("media", facts.providers.iter().filter_map(|provider| provider.icon.clone()))
        }
    };
    if rows.is_empty() {
        return vec![case.clone()];
    }
    let row = |(name, values): (String, Vec<(&str, String)>)| {
        let mut row = Case { id: format!("{}[{name}]", case.id), each: None, ..(**case).clone() };
        for (name, value) in values {
            let name = format!("row.{name}");
            row.values.retain(|(known, _)| *known != name);
            row.values.push((name, Value::String(value)));
        }
        Arc::new(row)
    };
    rows.into_iter().map(row).collect()
}

fn numbered(value: &'static str, all: impl Iterator<Item = String>) -> Rows {
    all.enumerate().map(|(at, one)| ((at + 1).to_string(), vec![(value, one)])).collect()
}

fn operation_rows(spec: &Spec, facts: &Facts) -> Rows {
    let mut operations: Vec<_> =
        spec.operations().filter(|operation| is_offered(operation, facts)).collect();
    operations.sort_by(|a, b| a.id.cmp(&b.id));
    operations
        .into_iter()
        .map(|operation| {
            let mut path = operation.path.clone();
            for name in names_in(&operation.path) {
                path = path.replace(&format!("{{{name}}}"), "homespec");
            }
            let values = vec![
                ("operation", operation.id.clone()),
                ("method", operation.method.clone()),
                ("path", path),
            ];
            (operation.id.clone(), values)
        })
        .collect()
}

/// Returns true if this server should have an operation: part of a release that it lists, and
/// not one of the optional ones that the probe did not see.
fn is_offered(operation: &Operation, facts: &Facts) -> bool {
    let feature = |feature| facts.features.contains(&feature);
    let flow = |flow: &str| facts.flows.iter().any(|offered| offered == flow);
    let optional = match operation.id.as_str() {
        "generateLoginToken" => feature(Feature::GetToken),
        "refresh" => feature(Feature::Refresh),
        "getAuthMetadata" => feature(Feature::Oauth),
        "redirectToSSO" | "redirectToIdP" => flow("m.login.sso"),
        "getWellknown" => false,
        "getLoginFlows" | "login" => feature(Feature::Legacy),
        _ => true,
    };
    optional && releases::since(operation).is_none_or(|release| facts.listed.has_at_least(release))
}

pub(super) fn names_in(path: &str) -> Vec<String> {
    path.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}').map(|(name, _)| name.to_owned()))
        .collect()
}
