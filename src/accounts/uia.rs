//! Passing interactive authentication (Client-Server API, "User-Interactive Authentication API"):
//! which stage to answer next, from the challenge alone.
use crate::case::ast::Limits;
use crate::http::message::{Exchange, Request, Response};
use crate::http::sender::RequestSender;
use crate::model::reason::Reason;
use serde_json::{Value, json};

/// Credentials of the account that has to pass.
#[derive(Debug, Clone, Copy)]
pub struct UiaCredentials<'a> {
    /// Its localpart or full id, for the password stage; nothing while it is being registered.
    pub user: Option<&'a str>,
    /// Its password, if it is known.
    pub password: Option<&'a str>,
    /// A registration token, if one was given.
    pub registration_token: Option<&'a str>,
}

/// Reason why a challenge cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UiaRefusal {
    /// A stage that was answered is still open.
    #[error("the server did not accept the stage {0}")]
    NotAccepted(String),
    /// No flow has stages that homespec can answer.
    #[error("interactive auth offers only stages that homespec cannot pass: {}", .0.join("; "))]
    NotPassable(Vec<String>),
}

impl UiaRefusal {
    /// Returns true if it names a stage.
    pub fn names(&self, stage: &str) -> bool {
        match self {
            UiaRefusal::NotAccepted(name) => name == stage,
            UiaRefusal::NotPassable(flows) => flows.iter().any(|flow| flow.contains(stage)),
        }
    }
}

/// Reason why a call has no response of its own.
#[derive(Debug, thiserror::Error)]
pub enum UiaError {
    /// The response that it got is a challenge which cannot be answered.
    #[error("{0}")]
    Refused(UiaRefusal, Response),
    /// It got none.
    #[error("{}", .0.text())]
    NoResponse(Reason),
}

/// One pass through interactive auth: a response goes in, the `auth` of the next request comes out. There is at most one
/// for each type of stage that homespec can answer.
#[derive(Debug, Default)]
pub struct InteractiveAuth {
    /// The stages answered so far. One that comes back uncompleted was refused.
    tried: Vec<String>,
}

impl InteractiveAuth {
    /// The `auth` that answers the challenge in a response; none if the response is the call's own.
    pub fn answer(
        &mut self,
        response: &Response,
        credentials: UiaCredentials<'_>,
    ) -> Result<Option<Value>, UiaRefusal> {
        let Some(challenge) = response.json().ok().filter(|_| response.is_challenge()) else {
            return Ok(None);
        };
        let (stage, auth) = answer_challenge(challenge, credentials, &self.tried)?;
        self.tried.push(stage);
        Ok(Some(auth))
    }

    /// Returns true if stages were answered and a flow is completed by them: the server then owes
    /// the response to the call itself (Client-Server API, "User-interactive API in the REST API"),
    /// and asking on is its answer.
    pub fn is_finished(&self, response: &Response) -> bool {
        !self.tried.is_empty() && response.json().is_ok_and(completes_a_flow)
    }
}

/// Makes a call, with interactive auth where the server asks for it, until the response is the call's own; `exchanges` takes
/// what was sent.
pub async fn call(
    sender: &RequestSender,
    request: &Request,
    mut body: Value,
    credentials: UiaCredentials<'_>,
    exchanges: &mut Vec<Exchange>,
) -> Result<Response, UiaError> {
    let mut auth = InteractiveAuth::default();
    loop {
        let request = request.clone().json(&body);
        let response = sender.response(&request, Limits::Wait, exchanges).await;
        let response = response.map_err(UiaError::NoResponse)?;
        match auth.answer(&response, credentials) {
            Ok(Some(answer)) => insert(&mut body, "auth", answer),
            Ok(None) => return Ok(response),
            Err(why) => return Err(UiaError::Refused(why, response)),
        }
    }
}

/// The next stage to answer, and the `auth` member that does.
fn answer_challenge(
    challenge: &Value,
    credentials: UiaCredentials<'_>,
    tried: &[String],
) -> Result<(String, Value), UiaRefusal> {
    // A challenge that tells neither what is completed nor an error leaves the rest to be tried.
    let tells = ["completed", "errcode"].iter().any(|member| challenge.get(*member).is_some());
    let completed = match tells {
        true => strings(&challenge["completed"]),
        false => tried.iter().map(String::as_str).collect(),
    };
    if let Some(refused) = tried.iter().find(|stage| !completed.contains(&stage.as_str())) {
        return Err(UiaRefusal::NotAccepted(refused.clone()));
    }
    // The first stage of the shortest flow of which each open stage can be answered.
    let next = |flow: &Vec<&str>| {
        let open: Vec<_> = flow.iter().filter(|stage| !completed.contains(stage)).collect();
        let mut answers = Vec::new();
        for stage in &open {
            answers.push(((**stage).to_owned(), reply(stage, credentials)?));
        }
        Some((open.len(), answers.into_iter().next()?))
    };
    let flows = flows(challenge);
    let Some((_, (stage, mut auth))) = flows.iter().filter_map(next).min_by_key(|(open, _)| *open)
    else {
        return Err(match tried.last().filter(|_| !tells) {
            Some(last) => UiaRefusal::NotAccepted(last.clone()),
            None => UiaRefusal::NotPassable(flows.iter().map(|flow| flow.join(" + ")).collect()),
        });
    };
    if let Some(session) = challenge.get("session").and_then(Value::as_str) {
        insert(&mut auth, "session", json!(session));
    }
    Ok((stage, auth))
}

fn insert(value: &mut Value, name: &str, member: Value) {
    if let Some(members) = value.as_object_mut() {
        members.insert(name.to_owned(), member);
    }
}

fn completes_a_flow(challenge: &Value) -> bool {
    let completed = strings(&challenge["completed"]);
    let is_completed =
        |flow: &Vec<&str>| !flow.is_empty() && flow.iter().all(|stage| completed.contains(stage));
    flows(challenge).iter().any(is_completed)
}

/// The stages of each flow.
fn flows(challenge: &Value) -> Vec<Vec<&str>> {
    let flows = challenge["flows"].as_array().into_iter().flatten();
    flows.map(|flow| strings(&flow["stages"])).collect()
}

fn reply(stage: &str, credentials: UiaCredentials<'_>) -> Option<Value> {
    match stage {
        "m.login.dummy" => Some(json!({"type": stage})),
        "m.login.password" => Some(json!({
            "type": stage,
            "identifier": {"type": "m.id.user", "user": credentials.user?},
            "password": credentials.password?,
        })),
        "m.login.registration_token" => {
            Some(json!({"type": stage, "token": credentials.registration_token?}))
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
        let auth = answer_challenge(&challenge, ALICE, &[]).unwrap().1;
        assert_eq!(auth["type"], "m.login.password");
        assert_eq!(auth["session"], "s");
        assert_eq!(auth["identifier"]["user"], "alice");
    }

    #[test]
    fn a_second_stage_follows_the_first() {
        let challenge = json!({"completed": ["m.login.dummy"],
            "flows": [{"stages": ["m.login.dummy", "m.login.password"]}]});
        let auth = answer_challenge(&challenge, ALICE, &["m.login.dummy".to_owned()]).unwrap().1;
        assert_eq!(auth["type"], "m.login.password");
    }

    #[test]
    fn a_challenge_that_lists_nothing_as_completed_is_gone_on_with() {
        let challenge = json!({"flows": [{"stages": ["m.login.dummy", "m.login.password"]}]});
        let tried = ["m.login.dummy".to_owned()];
        assert_eq!(answer_challenge(&challenge, ALICE, &tried).unwrap().0, "m.login.password");
        let refused = json!({"errcode": "M_FORBIDDEN", "flows": challenge["flows"]});
        assert!(matches!(
            answer_challenge(&refused, ALICE, &tried),
            Err(UiaRefusal::NotAccepted(_))
        ));
        let both = ["m.login.dummy".to_owned(), "m.login.password".to_owned()];
        assert!(matches!(
            answer_challenge(&challenge, ALICE, &both),
            Err(UiaRefusal::NotAccepted(_))
        ));
    }

    #[test]
    fn a_flow_is_finished_when_each_of_its_stages_is_completed() {
        let flows =
            json!([{"stages": ["m.login.sso"]}, {"stages": ["m.login.dummy", "m.login.password"]}]);
        let after = |completed: Value| json!({"flows": flows, "completed": completed});
        assert!(!completes_a_flow(&after(json!([]))));
        assert!(!completes_a_flow(&after(json!(["m.login.dummy"]))));
        assert!(completes_a_flow(&after(json!(["m.login.dummy", "m.login.password"]))));
        assert!(!completes_a_flow(&json!({"flows": [{"stages": []}]})));
    }

    #[test]
    fn what_cannot_be_passed_is_named() {
        let challenge = json!({"flows": [{"stages": ["m.login.sso"]}]});
        assert!(answer_challenge(&challenge, ALICE, &[]).unwrap_err().names("m.login.sso"));
        let refused = json!({"flows": [{"stages": ["m.login.password"]}]});
        let tried = ["m.login.password".to_owned()];
        assert!(matches!(
            answer_challenge(&refused, ALICE, &tried),
            Err(UiaRefusal::NotAccepted(_))
        ));
    }
}
