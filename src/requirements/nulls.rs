//! Null in an answer: where it is, and where it breaks a client.
use crate::yaml::document::pointer_below;
use serde_json::Value;

/// What a client stores and sends, or shows that it is logged in by.
const SESSION: [&str; 5] =
    ["/user_id", "/device_id", "/access_token", "/refresh_token", "/login_token"];

/// What a client follows. It looks whether m.identity_server is there, and gives up if that has no
/// base_url (Client-Server API, "Well-known URIs").
const DISCOVERY: [&str; 4] = [
    "/m.homeserver",
    "/m.homeserver/base_url",
    "/m.identity_server",
    "/m.identity_server/base_url",
];

/// Returns true if clients use the member at this place of an operation's answer as it is, so that
/// null breaks them even where the published schema makes the member optional.
pub(crate) fn is_used(operation: &str, location: &str) -> bool {
    let in_login = location.strip_prefix("/well_known");
    match operation {
        "login" => {
            SESSION.contains(&location) || in_login.is_some_and(|at| DISCOVERY.contains(&at))
        }
        "register" | "refresh" | "generateLoginToken" => SESSION.contains(&location),
        "getWellknown" => DISCOVERY.contains(&location),
        _ => false,
    }
}

/// Returns the place of every null in a body, with `*` for the items of lists.
pub(crate) fn places_of_null(body: &Value) -> Vec<String> {
    let mut nulls = Vec::new();
    collect(body, String::new(), &mut nulls);
    nulls
}

fn collect(value: &Value, here: String, nulls: &mut Vec<String>) {
    match value {
        Value::Null => nulls.push(here),
        Value::Array(items) => {
            items.iter().for_each(|item| collect(item, format!("{here}/*"), nulls));
        }
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            collect(member, pointer_below(&here, name), nulls);
        }),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_null_is_found_with_its_place() {
        let body = json!({"a": null, "b": [1, null, {"c/d": null}], "e": {"f": {}}});
        let mut found = places_of_null(&body);
        found.sort();
        assert_eq!(found, ["/a", "/b/*", "/b/*/c~1d"]);
        assert_eq!(places_of_null(&Value::Null), [""]);
        assert!(places_of_null(&json!({"a": [0, "", false]})).is_empty());
    }
}
