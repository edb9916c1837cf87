//! Single sign-on with a built-in identity provider that believes whatever name it is told. For tests only.

use super::answer::{Answer, Outcome};
use super::context::RequestContext;
use super::fault;
use super::page;
use super::refusal::Refusal;
use super::route::Operation;
use super::store::Account;
use std::time::Duration;
use url::Url;
use url::form_urlencoded::{Serializer, parse};

/// A login token that a browser carries home is good for five seconds, as the specification advises.
const LIFETIME: Duration = Duration::from_secs(5);

/// The media id of the provider's icon.
pub(super) const ICON: &str = "house";

/// `GET /login/sso/redirect`: to the provider.
pub(super) fn redirect(ctx: &mut RequestContext) -> Outcome {
    let (action, generic) =
        (ctx.call.query("action"), ctx.call.operation == Operation::SsoRedirect);
    let refused = action.is_some() && ctx.has(fault::SSO_ACTION_REFUSED)
        || action == Some("register") && ctx.has(fault::SSO_REGISTER_REFUSED)
        || action.is_some() && !generic && ctx.has(fault::SSO_PROVIDER_ACTION_REFUSED)
        || generic && ctx.has(fault::SSO_GENERIC_REFUSED);
    if refused {
        return Err(Refusal::MemberInvalid.into());
    }
    let target = ctx.call.query("redirectUrl").ok_or(Refusal::MemberMissing)?;
    let query = Serializer::new(String::new()).append_pair("redirectUrl", target).finish();
    Ok(Answer::redirect(format!("{}/_reference/sso?{query}", ctx.server.base_url)))
}

/// `GET /login/sso/redirect/{idpId}`.
pub(super) fn redirect_to(ctx: &mut RequestContext) -> Outcome {
    if ctx.call.parameter(0) == "house" {
        redirect(ctx)
    } else {
        Err(Refusal::UnknownEndpoint.into())
    }
}

/// The fallback page of the stage `m.login.sso`: to the provider, as at login.
pub(super) fn stage(ctx: &RequestContext, session: &str) -> Answer {
    let query = Serializer::new(String::new()).append_pair("session", session).finish();
    Answer::redirect(format!("{}/_reference/sso?{query}", ctx.server.base_url))
}

/// `GET /_matrix/media/v3/download/{serverName}/{mediaId}`: the icon of the provider, for everybody, since who has
/// not logged in has no token.
pub(super) fn icon(ctx: &mut RequestContext) -> Outcome {
    let settings = &ctx.server.settings;
    if ctx.call.parameter(0) != settings.server_name || ctx.call.parameter(1) != ICON {
        return Err(Refusal::UnknownEndpoint.into());
    }
    Ok(page::icon())
}

/// The provider's page.
pub(super) fn provider(ctx: &mut RequestContext) -> Outcome {
    let query = |name: &str| ctx.call.query(name).unwrap_or_default();
    Ok(page::provider(query("redirectUrl"), query("session")))
}

/// The provider's form: makes the account if need be, and sends the browser home with a login token; or completes the
/// stage of interactive auth that it was asked for.
pub(super) fn submit(ctx: &mut RequestContext) -> Outcome {
    let form: Vec<(String, String)> = parse(&ctx.call.body).into_owned().collect();
    let field =
        |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let user = field("user").ok_or(Refusal::MemberMissing)?;
    if let Some(session) = field("session").filter(|session| !session.is_empty()) {
        return super::uia::stage_by_sso(ctx, session, user);
    }
    let mut target =
        Url::parse(field("redirectUrl").unwrap_or_default()).map_err(|_| Refusal::MemberInvalid)?;
    if !ctx.store.accounts.contains_key(user) {
        super::account::check_free(ctx, user)?;
        ctx.store.accounts.insert(user.to_owned(), Account::default());
    }
    let token = ctx.store.login_token(user, ctx.now, LIFETIME);
    let kept: Vec<(String, String)> = target
        .query_pairs()
        .filter(|(name, _)| name != "loginToken")
        .map(|(k, v)| (k.into(), v.into()))
        .collect();
    target.query_pairs_mut().clear().extend_pairs(kept).append_pair("loginToken", &token);
    Ok(Answer::redirect(target.into()))
}
