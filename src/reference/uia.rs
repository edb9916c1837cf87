//! User-interactive authentication: sessions that belong to one operation of one user, flows of stages in order.

use super::answer::{Answer, Outcome, Stop};
use super::house::{Exchange, Members, required, text};
use super::identity::{Identified, identify};
use super::page;
use super::refusal::Refusal;
use super::route::Operation;
use super::store::Pending;
use super::{fault, quirk};
use serde_json::{Value, json};

/// The stage that takes a password.
pub(super) const PASSWORD: &str = "m.login.password";
/// The stage that is taken at an identity provider.
pub(super) const SSO: &str = "m.login.sso";
/// The stage that asks for nothing.
pub(super) const DUMMY: &str = "m.login.dummy";
/// The stage that takes a registration token.
pub(super) const REGISTRATION_TOKEN: &str = "m.login.registration_token";

/// What a request must prove.
pub(super) struct Proof<'a> {
    /// The operation, with what it is done to: a session is good for this alone.
    pub(super) binding: String,
    /// The account that asks; `None` when it does not exist yet.
    pub(super) owner: Option<&'a str>,
    /// The flows, each a list of stages.
    pub(super) flows: &'a [&'a [&'a str]],
}

/// Lets the request through when it finishes a flow, else answers with the challenge. A finished session is forgotten,
/// so it authorises one call.
pub(super) fn pass(x: &mut Exchange, proof: &Proof, body: &Members) -> Result<(), Stop> {
    let Some(auth) = body.get("auth") else {
        let session = begin(x, proof);
        return Err(challenge(x, proof, &session, None).into());
    };
    let Some(auth) = auth.as_object() else { return Err(Refusal::MemberWrongType.into()) };
    let session = match text(auth, "session", Refusal::MemberWrongType)? {
        Some(session) if known(x, proof, session) => session.to_owned(),
        Some(_) => {
            let session = begin(x, proof);
            let error = ("M_FORBIDDEN", "The session is not known, or belongs to another request");
            return Err(challenge(x, proof, &session, Some(error)).into());
        }
        None => begin(x, proof),
    };
    if let Some(stage) = text(auth, "type", Refusal::MemberWrongType)?
        && let Err(error) = try_stage(x, proof, &session, stage, auth)?
    {
        return Err(challenge(x, proof, &session, Some(error)).into());
    }
    let completed = completed(x, &session);
    let passed =
        |flow: &&[&str]| flow.iter().all(|stage| completed.iter().any(|done| done == stage));
    let enough = !completed.is_empty() && x.has(fault::UIA_ONE_OF_FLOW);
    if (proof.flows.iter().any(passed) || enough) && !x.has(fault::UIA_NEVER_DONE) {
        if !x.has(fault::SESSION_REUSABLE) {
            x.store.pending.remove(&session);
        }
        return Ok(());
    }
    Err(challenge(x, proof, &session, None).into())
}

/// The flows where a password is asked for.
pub(super) fn password_flows(x: &Exchange) -> &'static [&'static [&'static str]] {
    if x.has(quirk::SSO_STAGE) {
        &[&[PASSWORD], &[SSO]]
    } else if x.has(quirk::TWO_FLOWS) {
        &[&["org.example.stage", DUMMY], &[PASSWORD]]
    } else {
        &[&[PASSWORD]]
    }
}

/// Opens a session.
fn begin(x: &mut Exchange, proof: &Proof) -> String {
    let session = x.store.token("session");
    let owner = proof.owner.map(str::to_owned);
    let pending = Pending { binding: proof.binding.clone(), owner, completed: Vec::new() };
    x.store.pending.insert(session.clone(), pending);
    session
}

fn known(x: &Exchange, proof: &Proof, session: &str) -> bool {
    let for_this = |binding: &str| binding == proof.binding || x.has(quirk::SESSION_FOR_ANY);
    x.store.pending.get(session).is_some_and(|pending| for_this(&pending.binding))
}

fn completed(x: &Exchange, session: &str) -> Vec<String> {
    x.store.pending.get(session).map(|pending| pending.completed.clone()).unwrap_or_default()
}

/// The challenge; `error` says why the last stage failed.
fn challenge(x: &Exchange, proof: &Proof, session: &str, error: Option<(&str, &str)>) -> Answer {
    let flows: Vec<Value> = proof.flows.iter().map(|stages| json!({"stages": stages})).collect();
    let mut answer = Answer::json(401, json!({"flows": flows, "params": {}, "session": session}));
    let done = completed(x, session);
    if !done.is_empty() {
        answer.put("completed", json!(done));
    }
    if let Some((errcode, error)) = error {
        answer.put("errcode", json!(errcode));
        answer.put("error", json!(error));
    }
    answer
}

/// The errcode and text of a stage that may be tried again.
type StageError = (&'static str, &'static str);

/// Tries a stage and notes it as completed. The inner error may be retried, the outer one is a plain refusal.
fn try_stage(
    x: &mut Exchange,
    proof: &Proof,
    session: &str,
    stage: &str,
    auth: &Members,
) -> Result<Result<(), StageError>, Refusal> {
    let done = completed(x, session);
    if done.iter().any(|completed| completed == stage) {
        return Ok(Ok(()));
    }
    // A flow's stages are taken in order: this one must come next in a flow of which all others are done.
    let next = proof.flows.iter().any(|flow| {
        flow.get(done.len()).is_some_and(|expected| *expected == stage)
            && flow.iter().zip(&done).all(|(a, b)| a == b)
    });
    let listed = proof.flows.iter().any(|flow| flow.contains(&stage));
    let all_before = |flow: &&[&str]| {
        let mut before = flow.iter().take_while(|other| **other != stage);
        flow.contains(&stage) && before.all(|other| done.iter().any(|done| done == other))
    };
    let late = x.has(fault::UIA_ORDER_NOTED) && proof.flows.iter().any(all_before);
    let allowed = next || late || listed && x.has(fault::UIA_ANY_ORDER);
    if !allowed {
        if listed && x.has(fault::UIA_ORDER_NOTED) {
            complete(x, session, stage);
        }
        return Ok(Err(("M_FORBIDDEN", "This stage is not the next one of a flow")));
    }
    let outcome = match stage {
        DUMMY => Ok(()),
        REGISTRATION_TOKEN => registration_token(x, auth)?,
        PASSWORD => password(x, proof, auth)?,
        _ => Err(("M_UNRECOGNIZED", "This stage is not known")),
    };
    if outcome.is_ok() {
        complete(x, session, stage);
    }
    Ok(outcome)
}

fn complete(x: &mut Exchange, session: &str, stage: &str) {
    if let Some(pending) = x.store.pending.get_mut(session) {
        pending.completed.push(stage.to_owned());
    }
}

fn registration_token(x: &Exchange, auth: &Members) -> Result<Result<(), StageError>, Refusal> {
    let token = required(auth, "token", Refusal::MemberMissing, Refusal::MemberWrongType)?;
    let right = x.house.settings.registration_token.as_deref() == Some(token);
    Ok(if right { Ok(()) } else { Err(("M_FORBIDDEN", "The registration token is not right")) })
}

/// The password stage: the identifier object of login, and the password of the very user who asks.
fn password(
    x: &Exchange,
    proof: &Proof,
    auth: &Members,
) -> Result<Result<(), StageError>, Refusal> {
    let password =
        required(auth, "password", Refusal::PasswordMissing, Refusal::PasswordNotString)?;
    let who = match identify(x, auth)? {
        Identified::Local(user) => user,
        Identified::Stranger(
            Refusal::UnknownThirdParty | Refusal::UnknownLegacyThirdParty | Refusal::UnknownPhone,
        ) if !x.has(quirk::THIRD_PARTY_401) => {
            return Err(Refusal::UnknownThirdParty);
        }
        Identified::Stranger(_) => {
            return Ok(Err(("M_FORBIDDEN", "The user or the password is not right")));
        }
    };
    let kept = x.store.accounts.get(&who).and_then(|account| account.password.as_deref());
    let right = kept == Some(password) || x.has(fault::UIA_ANY_PASSWORD);
    let asks = proof.owner == Some(who.as_str())
        || x.has(fault::UIA_OTHER_USER)
        || x.call.operation == Operation::GetToken && x.has(fault::UIA_OTHER_USER_GETS_TOKEN)
        || !auth.contains_key("identifier") && x.has(fault::UIA_OTHER_USER_BY_USER);
    Ok(match (right, asks) {
        (true, true) => Ok(()),
        (true, false) => Err(("M_FORBIDDEN", "This is not the user who asks")),
        (false, _) => Err(("M_FORBIDDEN", "The user or the password is not right")),
    })
}

/// `GET /auth/{type}/fallback/web`: a page on which a person takes the stage.
pub(super) fn stage_page(x: &mut Exchange) -> Outcome {
    let Some(session) = x.call.query("session") else { return Err(Refusal::MemberMissing.into()) };
    match x.call.parameter(0) {
        SSO if x.has(quirk::SSO_STAGE) => Ok(super::sso::stage(x, session)),
        stage @ (PASSWORD | DUMMY | REGISTRATION_TOKEN) => Ok(page::stage(200, stage, session)),
        _ => Err(Refusal::UnknownEndpoint.into()),
    }
}

/// The stage `m.login.sso` of a session, taken by this user at the provider.
pub(super) fn stage_by_sso(x: &mut Exchange, session: &str, user: &str) -> Outcome {
    let owner = x.store.pending.get(session).and_then(|pending| pending.owner.as_deref());
    if owner != Some(user) {
        return Ok(page::stage(403, SSO, session));
    }
    complete(x, session, SSO);
    Ok(page::stage_done())
}

/// `POST` of that page's form: notes the stage as completed and shows the page that tells the client so.
pub(super) fn stage_submit(x: &mut Exchange) -> Outcome {
    let form: Vec<(String, String)> =
        url::form_urlencoded::parse(&x.call.body).into_owned().collect();
    let field =
        |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let stage = x.call.parameter(0).to_owned();
    let session =
        field("session").or_else(|| x.call.query("session").map(str::to_owned)).unwrap_or_default();
    let owner = x.store.pending.get(&session).map(|pending| pending.owner.clone());
    let right = match (stage.as_str(), owner) {
        (DUMMY, Some(_)) => true,
        (REGISTRATION_TOKEN, Some(_)) => field("token") == x.house.settings.registration_token,
        (PASSWORD, Some(Some(user))) => {
            let kept = x.store.accounts.get(&user).and_then(|account| account.password.clone());
            kept.is_some() && field("password") == kept
        }
        _ => false,
    };
    if !right {
        return Ok(page::stage(403, &stage, &session));
    }
    complete(x, &session, &stage);
    Ok(page::stage_done())
}
