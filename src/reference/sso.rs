//! Single sign-on with a built-in identity provider that believes whatever name it is told. For tests only.

use super::answer::{Answer, Outcome};
use super::context::{RequestContext, ServerContext};
use super::page;
use super::policy::RefusedRedirects;
use super::refusal::Refusal;
use super::release::v1;
use super::route::Operation;
use super::store::Account;
use super::{uia, user_name};
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;
use url::form_urlencoded::{Serializer, parse};

/// A login token that a browser carries home is good for five seconds, as the specification advises.
const LIFETIME: Duration = Duration::from_secs(5);

/// The media id of the provider's icon.
const ICON: &str = "house";

/// The login type, as `GET /login` lists it.
pub(super) fn flow(server: &ServerContext) -> Value {
    let policy = &server.policy.sso;
    let mut flow = serde_json::Map::new();
    flow.insert("type".to_owned(), json!("m.login.sso"));
    if server.listed.since(v1(1)) {
        let mut provider = json!({"id": "house", "name": "The house", "brand": "house"});
        if let Some(members) = provider.as_object_mut().filter(|_| policy.provider_icon) {
            let icon = format!("mxc://{}/{ICON}", server.settings.server_name);
            members.insert("icon".to_owned(), json!(icon));
        }
        flow.insert("identity_providers".to_owned(), json!([provider]));
    }
    if server.listed.since(v1(18)) && policy.oauth_aware_preferred {
        flow.insert("oauth_aware_preferred".to_owned(), json!(true));
    }
    Value::Object(flow)
}

/// `GET /login/sso/redirect`: to the provider.
pub(super) fn redirect(ctx: &mut RequestContext) -> Outcome {
    let (action, generic) =
        (ctx.call.query("action"), ctx.call.operation == Operation::SsoRedirect);
    let refused = match ctx.policy().sso.refused {
        RefusedRedirects::None => false,
        RefusedRedirects::WithAction => action.is_some(),
        RefusedRedirects::WithActionRegister => action == Some("register"),
        RefusedRedirects::WithActionToProvider => action.is_some() && !generic,
        RefusedRedirects::WithoutProvider => generic,
    };
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
        return uia::stage_by_sso(ctx, session, user);
    }
    let mut target =
        Url::parse(field("redirectUrl").unwrap_or_default()).map_err(|_| Refusal::MemberInvalid)?;
    if !ctx.store.accounts.contains_key(user) {
        user_name::check_free(ctx, user)?;
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
