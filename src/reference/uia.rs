//! User-interactive authentication: sessions that belong to one operation of one user, flows of stages in order.

use super::answer::{Answer, Outcome, Stop};
use super::context::{Members, Owner, RequestContext, required, text};
use super::identity::{Identified, identify};
use super::page::{self, StageField};
use super::policy::{PasswordFlows, StageOrder, StageUsers};
use super::refusal::Refusal;
use super::route::Operation;
use super::store::Pending;
use serde_json::{Value, json};
use url::form_urlencoded::{Serializer, parse};

/// The stage that takes a password.
pub(super) const PASSWORD: &str = "m.login.password";
/// The stage that is taken at an identity provider.
const SSO: &str = "m.login.sso";
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
pub(super) fn pass(ctx: &mut RequestContext, proof: &Proof, body: &Members) -> Result<(), Stop> {
    let Some(auth) = body.get("auth") else {
        let session = begin(ctx, proof);
        return Err(challenge(ctx, proof, &session, None).into());
    };
    let Some(auth) = auth.as_object() else { return Err(Refusal::MemberWrongType.into()) };
    let session = match text(auth, "session", Refusal::MemberWrongType)? {
        Some(session) if known(ctx, proof, session) => session.to_owned(),
        Some(_) => {
            let session = begin(ctx, proof);
            let error = ("M_FORBIDDEN", "The session is not known, or belongs to another request");
            return Err(challenge(ctx, proof, &session, Some(error)).into());
        }
        None => begin(ctx, proof),
    };
    if let Some(stage) = text(auth, "type", Refusal::MemberWrongType)?
        && let Err(error) = try_stage(ctx, proof, &session, stage, auth)?
    {
        return Err(challenge(ctx, proof, &session, Some(error)).into());
    }
    let completed = completed(ctx, &session);
    let passed =
        |flow: &&[&str]| flow.iter().all(|stage| completed.iter().any(|done| done == stage));
    let policy = &ctx.policy().uia;
    let enough = !completed.is_empty() && policy.one_stage_is_enough;
    if (proof.flows.iter().any(passed) || enough) && !policy.never_done {
        if !policy.session_reusable {
            ctx.store.pending.remove(&session);
        }
        return Ok(());
    }
    Err(challenge(ctx, proof, &session, None).into())
}

/// Lets the request through when the user who asks proves the password.
pub(super) fn confirm(
    ctx: &mut RequestContext,
    owner: &Owner,
    binding: String,
    body: &Members,
) -> Result<(), Stop> {
    let flows: &[&[&str]] = match ctx.policy().uia.password_flows {
        PasswordFlows::Password => &[&[PASSWORD]],
        PasswordFlows::PasswordOrSso => &[&[PASSWORD], &[SSO]],
        PasswordFlows::UnknownOrPassword => &[&["org.example.stage", DUMMY], &[PASSWORD]],
    };
    pass(ctx, &Proof { binding, owner: Some(&owner.user), flows }, body)
}

/// Opens a session.
fn begin(ctx: &mut RequestContext, proof: &Proof) -> String {
    let session = ctx.store.token("session");
    let owner = proof.owner.map(str::to_owned);
    let pending = Pending { binding: proof.binding.clone(), owner, completed: Vec::new() };
    ctx.store.pending.insert(session.clone(), pending);
    session
}

fn known(ctx: &RequestContext, proof: &Proof, session: &str) -> bool {
    let any = ctx.policy().uia.session_for_any_request;
    let pending = ctx.store.pending.get(session);
    pending.is_some_and(|pending| any || pending.binding == proof.binding)
}

fn completed(ctx: &RequestContext, session: &str) -> Vec<String> {
    ctx.store.pending.get(session).map(|pending| pending.completed.clone()).unwrap_or_default()
}

/// The challenge; `error` says why the last stage failed.
fn challenge(
    ctx: &RequestContext,
    proof: &Proof,
    session: &str,
    error: Option<(&str, &str)>,
) -> Answer {
    let flows: Vec<Value> = proof.flows.iter().map(|stages| json!({"stages": stages})).collect();
    let mut answer = Answer::json(401, json!({"flows": flows, "params": {}, "session": session}));
    let done = completed(ctx, session);
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
    ctx: &mut RequestContext,
    proof: &Proof,
    session: &str,
    stage: &str,
    auth: &Members,
) -> Result<Result<(), StageError>, Refusal> {
    let done = completed(ctx, session);
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
    let order = ctx.policy().uia.order;
    let allowed = match order {
        StageOrder::AsListed => next,
        StageOrder::Any => next || listed,
        StageOrder::RefusedAndNoted => next || proof.flows.iter().any(all_before),
    };
    if !allowed {
        if listed && order == StageOrder::RefusedAndNoted {
            complete(ctx, session, stage);
        }
        return Ok(Err(("M_FORBIDDEN", "This stage is not the next one of a flow")));
    }
    let outcome = match stage {
        DUMMY => Ok(()),
        REGISTRATION_TOKEN => registration_token(ctx, auth)?,
        PASSWORD => password(ctx, proof, auth)?,
        _ => Err(("M_UNRECOGNIZED", "This stage is not known")),
    };
    if outcome.is_ok() {
        complete(ctx, session, stage);
    }
    Ok(outcome)
}

fn complete(ctx: &mut RequestContext, session: &str, stage: &str) {
    if let Some(pending) = ctx.store.pending.get_mut(session) {
        pending.completed.push(stage.to_owned());
    }
}

fn registration_token(
    ctx: &RequestContext,
    auth: &Members,
) -> Result<Result<(), StageError>, Refusal> {
    let token = required(auth, "token", Refusal::MemberMissing, Refusal::MemberWrongType)?;
    let right = ctx.server.settings.registration_token.as_deref() == Some(token);
    Ok(if right { Ok(()) } else { Err(("M_FORBIDDEN", "The registration token is not right")) })
}

/// The password stage: the identifier object of login, and the password of the very user who asks.
fn password(
    ctx: &RequestContext,
    proof: &Proof,
    auth: &Members,
) -> Result<Result<(), StageError>, Refusal> {
    let password =
        required(auth, "password", Refusal::PasswordMissing, Refusal::PasswordNotString)?;
    let policy = &ctx.policy().uia;
    let who = match identify(ctx, &policy.identification, auth)? {
        Identified::Local(user) => user,
        Identified::Stranger(
            Refusal::UnknownThirdParty | Refusal::UnknownLegacyThirdParty | Refusal::UnknownPhone,
        ) if !policy.unknown_address_is_challenged => {
            return Err(Refusal::UnknownThirdParty);
        }
        Identified::Stranger(_) => {
            return Ok(Err(("M_FORBIDDEN", "The user or the password is not right")));
        }
    };
    let kept = ctx.store.accounts.get(&who).and_then(|account| account.password.as_deref());
    let right = kept == Some(password) || policy.any_password;
    let taken = match policy.users {
        StageUsers::WhoAsks => false,
        StageUsers::Anybody => true,
        StageUsers::AnybodyAtGetToken => ctx.call.operation == Operation::GetToken,
        StageUsers::AnybodyByUserMember => !auth.contains_key("identifier"),
    };
    let asks = proof.owner == Some(who.as_str()) || taken;
    Ok(match (right, asks) {
        (true, true) => Ok(()),
        (true, false) => Err(("M_FORBIDDEN", "This is not the user who asks")),
        (false, _) => Err(("M_FORBIDDEN", "The user or the password is not right")),
    })
}

/// `GET /auth/{type}/fallback/web`: a page on which a person takes the stage.
pub(super) fn stage_page(ctx: &mut RequestContext) -> Outcome {
    let Some(session) = ctx.call.query("session") else {
        return Err(Refusal::MemberMissing.into());
    };
    match ctx.call.parameter(0) {
        SSO if ctx.policy().uia.password_flows == PasswordFlows::PasswordOrSso => {
            let query = Serializer::new(String::new()).append_pair("session", session).finish();
            let base = &ctx.server.base_url;
            Ok(Answer::redirect(format!("{base}/_reference/sso?{query}")))
        }
        stage @ (PASSWORD | DUMMY | REGISTRATION_TOKEN) => {
            Ok(page::stage(200, field(stage), session))
        }
        _ => Err(Refusal::UnknownEndpoint.into()),
    }
}

/// What a person fills in for a stage.
fn field(stage: &str) -> StageField {
    match stage {
        PASSWORD => StageField::Password,
        REGISTRATION_TOKEN => StageField::Token,
        _ => StageField::Nothing,
    }
}

/// The stage `m.login.sso` of a session, taken by this user at the provider.
pub(super) fn stage_by_sso(ctx: &mut RequestContext, session: &str, user: &str) -> Outcome {
    let owner = ctx.store.pending.get(session).and_then(|pending| pending.owner.as_deref());
    if owner != Some(user) {
        return Ok(page::stage(403, field(SSO), session));
    }
    complete(ctx, session, SSO);
    Ok(page::stage_done())
}

/// `POST` of that page's form: notes the stage as completed and shows the page that tells the client so.
pub(super) fn stage_submit(ctx: &mut RequestContext) -> Outcome {
    let form: Vec<(String, String)> = parse(&ctx.call.body).into_owned().collect();
    let given =
        |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let stage = ctx.call.parameter(0).to_owned();
    let session = given("session")
        .or_else(|| ctx.call.query("session").map(str::to_owned))
        .unwrap_or_default();
    let owner = ctx.store.pending.get(&session).map(|pending| pending.owner.clone());
    let right = match (stage.as_str(), owner) {
        (DUMMY, Some(_)) => true,
        (REGISTRATION_TOKEN, Some(_)) => given("token") == ctx.server.settings.registration_token,
        (PASSWORD, Some(Some(user))) => {
            let kept = ctx.store.accounts.get(&user).and_then(|account| account.password.clone());
            kept.is_some() && given("password") == kept
        }
        _ => false,
    };
    if !right {
        return Ok(page::stage(403, field(&stage), &session));
    }
    complete(ctx, &session, &stage);
    Ok(page::stage_done())
}
