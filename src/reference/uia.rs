//! User-interactive authentication: sessions that belong to one operation of one user, flows of stages in order.

use super::answer::{Answer, Body, Outcome, Stop};
use super::context::{Members, Owner, RequestContext, required, text};
use super::identity::{Identified, identify};
use super::page::{self, StageField};
use super::password::matches;
use super::policy::{
    CompletedStage, DeadToken, FailedStage, FinishedSession, OauthStage, OddText, PasswordFlows,
    SessionAlone, StageOrder, StageUsers, UnlistedStage,
};
use super::refusal::Refusal;
use super::route::Operation;
use super::store::{Passed, Pending};
use serde_json::{Value, json};
use url::form_urlencoded::{Serializer, parse};

/// The stage that takes a password.
pub(super) const PASSWORD: &str = "m.login.password";
/// The stage that is taken at an identity provider.
const SSO: &str = "m.login.sso";
/// The stage that asks for nothing.
pub(super) const DUMMY: &str = "m.login.dummy";
/// The stage that is taken on the account management pages.
pub(super) const OAUTH: &str = "m.oauth";
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
    let policy = &ctx.policy().uia;
    if auth.is_empty() && policy.empty_auth_passes {
        return Ok(());
    }
    let session = session_of(ctx, proof, auth)?;
    match text(auth, "type", Refusal::MemberWrongType)? {
        Some(stage) if passes_unlisted(policy.unlisted_stage, proof, stage)? => return Ok(()),
        Some(stage) => {
            if let Err(error) = try_stage(ctx, proof, &session, stage, auth)? {
                return Err(failed(ctx, proof, session, error).into());
            }
        }
        None => match policy.session_alone {
            SessionAlone::Read => {}
            SessionAlone::Refused => return Err(Refusal::MemberMissing.into()),
            SessionAlone::BeginsAnew => {
                if let Some(pending) = ctx.store.pending.get_mut(&session) {
                    pending.completed.clear();
                }
            }
            SessionAlone::Passes if auth.contains_key("session") => return Ok(()),
            SessionAlone::Passes => {}
        },
    }
    if !is_done(ctx, proof, &session) {
        return Err(challenge(ctx, proof, &session, None).into());
    }
    finish(ctx, &session);
    if policy.repeats_answers {
        ctx.store.passing = Some((session, proof.binding.clone()));
    }
    Ok(())
}

/// Whether a stage that no flow has authorises the call; by the book it fails like a wrong password.
fn passes_unlisted(policy: UnlistedStage, proof: &Proof, stage: &str) -> Result<bool, Refusal> {
    let unlisted = !proof.flows.iter().any(|flow| flow.contains(&stage));
    match policy {
        UnlistedStage::Refused if unlisted => Err(Refusal::MemberInvalid),
        UnlistedStage::Passes => Ok(unlisted),
        UnlistedStage::DummyPasses => Ok(unlisted && stage == DUMMY),
        UnlistedStage::Challenged | UnlistedStage::Refused => Ok(false),
    }
}

/// Ends a session that has authorised a call, unless it is good for more.
fn finish(ctx: &mut RequestContext, session: &str) {
    let (policy, operation) = (&ctx.policy().uia, ctx.call.operation);
    if policy.session_reusable {
        return;
    }
    match ctx.store.pending.get_mut(session) {
        Some(pending) if policy.finished != FinishedSession::Nothing => {
            pending.finished = Some(operation);
        }
        _ => drop(ctx.store.pending.remove(session)),
    }
}

/// The owner of a request whose access token has ended, by the interactive auth that comes with it; nothing by the book.
pub(super) fn owner_with_dead_token(
    ctx: &RequestContext,
    token: &str,
) -> Option<Result<Owner, Stop>> {
    let policy = ctx.policy().uia.dead_token;
    if policy == DeadToken::Refused || !ctx.store.dead.contains_key(token) {
        return None;
    }
    let body = ctx.object().ok()?;
    let session = body.get("auth")?.get("session")?.as_str()?;
    let user = ctx.store.pending.get(session)?.owner.clone()?;
    let flows: &[&[&str]] = &[&[PASSWORD]];
    let proof = Proof { binding: String::new(), owner: Some(&user), flows };
    if policy == DeadToken::Challenged {
        return Some(Err(challenge(ctx, &proof, session, None).into()));
    }
    let (device, token) = (String::new(), token.to_owned());
    Some(Ok(Owner { user, device, guest: false, token, service: false }))
}

/// Keeps what is answered to who has passed, where it is given again to who asks again.
pub(super) fn keep_answer(ctx: &mut RequestContext, outcome: &Outcome) {
    let passing = ctx.store.passing.take();
    if let (Some((session, binding)), Ok(Answer { body: Body::Json(body), .. })) =
        (passing, outcome)
    {
        ctx.store.answered.insert(session, Passed { binding, body: body.clone() });
    }
}

/// The session that a client goes on with, or a new one if it names none.
fn session_of(ctx: &mut RequestContext, proof: &Proof, auth: &Members) -> Result<String, Stop> {
    let Some(named) = text(auth, "session", Refusal::MemberWrongType)? else {
        return Ok(begin(ctx, proof));
    };
    let secrets = &ctx.policy().secrets;
    if secrets.odd_fails == Some(OddText::AuthSession) && OddText::is_odd(named) {
        return Err(Refusal::Failure.into());
    }
    let answered = secrets.session.find(named, ctx.store.answered.keys());
    if let Some(passed) = answered.and_then(|session| ctx.store.answered.get(session))
        && (passed.binding == proof.binding || ctx.policy().uia.session_for_any_user)
    {
        return Err(Answer::ok(passed.body.clone()).into());
    }
    let found = secrets.session.find(named, ctx.store.pending.keys());
    match found.filter(|session| known(ctx, proof, session)) {
        Some(session) => Ok(session.clone()),
        None if ctx.policy().uia.unknown_session_refused => Err(Refusal::AuthSessionUnknown.into()),
        None => {
            let session = begin(ctx, proof);
            let error = ("M_FORBIDDEN", "The session is not known, or belongs to another request");
            Err(challenge(ctx, proof, &session, Some(error)).into())
        }
    }
}

/// Whether the stages of a flow are completed.
fn is_done(ctx: &RequestContext, proof: &Proof, session: &str) -> bool {
    let policy = &ctx.policy().uia;
    let completed = completed(ctx, session);
    let passed =
        |flow: &&[&str]| flow.iter().all(|stage| completed.iter().any(|done| done == stage));
    let enough = !completed.is_empty() && policy.one_stage_is_enough;
    let never = policy.never_done || policy.never_done_for == Some(ctx.call.operation);
    (proof.flows.iter().any(passed) || enough) && !never
}

/// The challenge after a stage that failed: the session goes on, so that the client may try again.
fn failed(ctx: &mut RequestContext, proof: &Proof, session: String, error: StageError) -> Answer {
    let goes_on = match ctx.policy().uia.failed_stage {
        FailedStage::Nothing => return challenge(ctx, proof, &session, Some(error)),
        FailedStage::Untold => {
            let mut answer = challenge(ctx, proof, &session, Some(error));
            answer.remove("session");
            return answer;
        }
        FailedStage::EndsSession => session.clone(),
        FailedStage::OpensAnother => begin(ctx, proof),
    };
    ctx.store.pending.remove(&session);
    challenge(ctx, proof, &goes_on, Some(error))
}

/// Lets the request through when the user who asks proves the password.
pub(super) fn confirm(
    ctx: &mut RequestContext,
    owner: &Owner,
    binding: String,
    body: &Members,
) -> Result<(), Stop> {
    let policy = &ctx.policy().uia;
    let remembers = policy.not_asked_again && ctx.call.operation != Operation::GetToken;
    if remembers && !body.contains_key("auth") && ctx.store.confirmed.contains(&owner.token) {
        return Ok(());
    }
    let flows: &[&[&str]] = match policy.password_flows {
        _ if policy.oauth == OauthStage::Everywhere => &[&[PASSWORD], &[OAUTH]],
        PasswordFlows::Password => &[&[PASSWORD]],
        PasswordFlows::PasswordOrSso => &[&[PASSWORD], &[SSO]],
        PasswordFlows::UnknownOrPassword => &[&["org.example.stage", DUMMY], &[PASSWORD]],
    };
    pass(ctx, &Proof { binding, owner: Some(&owner.user), flows }, body)?;
    ctx.store.confirmed.insert(owner.token.clone());
    Ok(())
}

/// Opens a session.
fn begin(ctx: &mut RequestContext, proof: &Proof) -> String {
    let session = ctx.store.token("session");
    let owner = proof.owner.map(str::to_owned);
    let binding = proof.binding.clone();
    let pending = Pending { binding, owner, completed: Vec::new(), finished: None };
    ctx.store.pending.insert(session.clone(), pending);
    session
}

fn known(ctx: &RequestContext, proof: &Proof, session: &str) -> bool {
    let policy = &ctx.policy().uia;
    ctx.store.pending.get(session).is_some_and(|pending| {
        if let Some(operation) = pending.finished {
            return goes_on(ctx, operation) && pending.owner.as_deref() == proof.owner;
        }
        policy.session_for_any_user
            || policy.session_for_any_request && pending.owner.as_deref() == proof.owner
            || pending.binding == proof.binding
    })
}

/// Whether a session that has authorised an operation is good for another call too.
fn goes_on(ctx: &RequestContext, finished: Operation) -> bool {
    let deletions = [Operation::DeleteDevice, Operation::DeleteDevices];
    let now = ctx.call.operation;
    match ctx.policy().uia.finished {
        FinishedSession::Nothing => false,
        FinishedSession::GetToken => now == Operation::GetToken && deletions.contains(&finished),
        FinishedSession::AnyCall => now != finished,
    }
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
    let params = params(ctx, proof);
    let mut answer =
        Answer::json(401, json!({"flows": flows, "params": params, "session": session}));
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

/// What a client has to know of the stages.
fn params(ctx: &RequestContext, proof: &Proof) -> Value {
    let asks = proof.flows.iter().any(|flow| flow.contains(&OAUTH));
    if !asks {
        return json!({});
    }
    let base = &ctx.server.base_url;
    match ctx.policy().uia.oauth {
        OauthStage::WithoutUrl => json!({OAUTH: {}}),
        OauthStage::None | OauthStage::Offered | OauthStage::Everywhere => {
            json!({OAUTH: {"url": format!("{base}/account?action=org.matrix.cross_signing_reset")}})
        }
    }
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
        return try_again(ctx, proof, session, stage, auth);
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
    let outcome = judge(ctx, proof, stage, auth)?;
    if outcome.is_ok() {
        complete(ctx, session, stage);
    }
    Ok(outcome)
}

/// Tries a stage that is completed: it cannot be retried, and stays completed whatever is sent.
fn try_again(
    ctx: &mut RequestContext,
    proof: &Proof,
    session: &str,
    stage: &str,
    auth: &Members,
) -> Result<Result<(), StageError>, Refusal> {
    match ctx.policy().uia.completed_stage {
        CompletedStage::StaysCompleted => Ok(Ok(())),
        CompletedStage::Refused => Err(Refusal::MemberInvalid),
        CompletedStage::Judged => {
            let outcome = judge(ctx, proof, stage, auth)?;
            if let (Err(_), Some(pending)) = (outcome, ctx.store.pending.get_mut(session)) {
                pending.completed.retain(|completed| completed != stage);
            }
            Ok(outcome)
        }
    }
}

/// Looks at what was sent for a stage.
fn judge(
    ctx: &RequestContext,
    proof: &Proof,
    stage: &str,
    auth: &Members,
) -> Result<Result<(), StageError>, Refusal> {
    match stage {
        DUMMY => Ok(Ok(())),
        REGISTRATION_TOKEN => registration_token(ctx, auth),
        PASSWORD => password(ctx, proof, auth),
        _ => Ok(Err(("M_UNRECOGNIZED", "This stage is not known"))),
    }
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
    let near = ctx.policy().secrets.registration;
    let kept = ctx.server.settings.registration_token.as_deref();
    let right = kept.is_some_and(|kept| near.takes(token, kept));
    let right = right && !ctx.store.registration_token_spent;
    Ok(if right { Ok(()) } else { Err(("M_FORBIDDEN", "The registration token is not right")) })
}

/// The password stage: the identifier object of login, and the password of the very user who asks.
fn password(
    ctx: &RequestContext,
    proof: &Proof,
    auth: &Members,
) -> Result<Result<(), StageError>, Refusal> {
    let policy = &ctx.policy().uia;
    if policy.missing_password_passes && !auth.contains_key("password") {
        return Ok(Ok(()));
    }
    let password =
        required(auth, "password", Refusal::PasswordMissing, Refusal::PasswordNotString)?;
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
    let account = ctx.store.accounts.get(&who);
    let right = account.is_some_and(|account| matches(policy.password_match, account, password))
        || policy.any_password;
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
