//! Passing interactive authentication (Client-Server API, "User-Interactive Authentication API"):
//! which stage to answer next, from the challenge alone.
use serde_json::{Value, json};

/// What is known of the account that has to pass.
#[derive(Debug, Clone, Copy)]
pub struct UiaCredentials<'a> {
    /// Its localpart or full id, for the password stage; nothing while it is being registered.
    pub user: Option<&'a str>,
    /// Its password, if it is known.
    pub password: Option<&'a str>,
    /// A registration token, if one was given.
    pub registration_token: Option<&'a str>,
}

/// The `auth` member that answers a challenge, or why there is none, for a reader.
///
/// `tried` are the stages answered so far; a stage that comes back uncompleted was refused.
pub fn answer_challenge(
    challenge: &Value,
    prover: UiaCredentials<'_>,
    tried: &[String],
) -> Result<Value, String> {
    // A challenge that tells neither what is completed nor an error leaves the rest to be tried.
    let tells = ["completed", "errcode"].iter().any(|member| challenge.get(*member).is_some());
    let completed = match tells {
        true => strings(&challenge["completed"]),
        false => tried.iter().map(String::as_str).collect(),
    };
    let not_accepted = |stage: &String| format!("the server did not accept the stage {stage}");
    if let Some(refused) = tried.iter().find(|stage| !completed.contains(&stage.as_str())) {
        return Err(not_accepted(refused));
    }
    let flows: Vec<Vec<&str>> = challenge["flows"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|flow| strings(&flow["stages"]))
        .collect();
    let open = |flow: &Vec<&str>| -> Option<Vec<String>> {
        let stages: Vec<_> = flow
            .iter()
            .filter(|stage| !completed.contains(stage))
            .map(|s| (*s).to_owned())
            .collect();
        stages.iter().all(|stage| reply(stage, prover).is_some()).then_some(stages)
    };
    let mut ways: Vec<_> =
        flows.iter().filter_map(open).filter(|stages| !stages.is_empty()).collect();
    ways.sort_by_key(Vec::len);
    let Some(stage) = ways.first().and_then(|stages| stages.first()) else {
        if let Some(last) = tried.last().filter(|_| !tells) {
            return Err(not_accepted(last));
        }
        let offered: Vec<_> = flows.iter().map(|stages| stages.join(" + ")).collect();
        return Err(format!(
            "interactive authentication offers only what homespec cannot pass: {}",
            offered.join("; ")
        ));
    };
    let mut auth =
        reply(stage, prover).ok_or_else(|| format!("the stage {stage} has no answer"))?;
    let session = challenge.get("session").and_then(Value::as_str);
    if let (Some(session), Some(members)) = (session, auth.as_object_mut()) {
        members.insert("session".to_owned(), json!(session));
    }
    Ok(auth)
}

/// The stage that an `auth` of [`answer_challenge`] completes.
pub fn stage_of(auth: &Value) -> Option<String> {
    auth.get("type")?.as_str().map(str::to_owned)
}

/// The body of the request that was challenged, with an `auth` of [`answer_challenge`].
pub fn with_auth(mut body: Value, auth: Value) -> Value {
    if let Some(members) = body.as_object_mut() {
        members.insert("auth".to_owned(), auth);
    }
    body
}

/// Whether a challenge names a flow as completed: the server then owes the answer to the call itself (Client-Server API,
/// "User-interactive API in the REST API"), and asking on is its answer.
pub fn is_finished(challenge: &Value) -> bool {
    let completed = strings(&challenge["completed"]);
    let flows = challenge["flows"].as_array().into_iter().flatten();
    flows
        .map(|flow| strings(&flow["stages"]))
        .any(|stages| !stages.is_empty() && stages.iter().all(|stage| completed.contains(stage)))
}

fn reply(stage: &str, prover: UiaCredentials<'_>) -> Option<Value> {
    match stage {
        "m.login.dummy" => Some(json!({"type": stage})),
        "m.login.password" => Some(json!({
            "type": stage,
            "identifier": {"type": "m.id.user", "user": prover.user?},
            "password": prover.password?,
        })),
        "m.login.registration_token" => {
            Some(json!({"type": stage, "token": prover.registration_token?}))
        }
        _ => None,
    }
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: UiaCredentials<'_> =
        UiaCredentials { user: Some("alice"), password: Some("pw"), registration_token: None };

    #[test]
    fn the_shortest_flow_that_can_be_passed_is_taken() {
        let challenge = json!({"session": "s", "flows": [
            {"stages": ["m.login.recaptcha"]},
            {"stages": ["m.login.dummy", "m.login.password"]},
            {"stages": ["m.login.password"]},
        ]});
        let auth = answer_challenge(&challenge, ALICE, &[]).unwrap();
        assert_eq!(auth["type"], "m.login.password");
        assert_eq!(auth["session"], "s");
        assert_eq!(auth["identifier"]["user"], "alice");
    }

    #[test]
    fn a_second_stage_follows_the_first() {
        let challenge = json!({"completed": ["m.login.dummy"],
            "flows": [{"stages": ["m.login.dummy", "m.login.password"]}]});
        let auth = answer_challenge(&challenge, ALICE, &["m.login.dummy".to_owned()]).unwrap();
        assert_eq!(auth["type"], "m.login.password");
    }

    #[test]
    fn a_challenge_that_lists_nothing_as_completed_is_gone_on_with() {
        let challenge = json!({"flows": [{"stages": ["m.login.dummy", "m.login.password"]}]});
        let tried = ["m.login.dummy".to_owned()];
        assert_eq!(
            answer_challenge(&challenge, ALICE, &tried).unwrap()["type"],
            "m.login.password"
        );
        let refused = json!({"errcode": "M_FORBIDDEN", "flows": challenge["flows"]});
        assert!(answer_challenge(&refused, ALICE, &tried).unwrap_err().contains("did not accept"));
        let both = ["m.login.dummy".to_owned(), "m.login.password".to_owned()];
        assert!(answer_challenge(&challenge, ALICE, &both).unwrap_err().contains("did not accept"));
    }

    #[test]
    fn a_flow_is_finished_when_each_of_its_stages_is_completed() {
        let flows =
            json!([{"stages": ["m.login.sso"]}, {"stages": ["m.login.dummy", "m.login.password"]}]);
        let after = |completed: Value| json!({"flows": flows, "completed": completed});
        assert!(!is_finished(&after(json!([]))));
        assert!(!is_finished(&after(json!(["m.login.dummy"]))));
        assert!(is_finished(&after(json!(["m.login.dummy", "m.login.password"]))));
        assert!(!is_finished(&json!({"flows": [{"stages": []}]})));
    }

    #[test]
    fn what_cannot_be_passed_is_named() {
        let challenge = json!({"flows": [{"stages": ["m.login.sso"]}]});
        assert!(answer_challenge(&challenge, ALICE, &[]).unwrap_err().contains("m.login.sso"));
        let refused = json!({"flows": [{"stages": ["m.login.password"]}]});
        let tried = ["m.login.password".to_owned()];
        assert!(answer_challenge(&refused, ALICE, &tried).unwrap_err().contains("did not accept"));
    }
}
