//! What a client learns before it logs in: releases, the well-known file, OAuth metadata, capabilities.

use super::answer::{Answer, Outcome};
use super::context::{RequestContext, ServerContext};
use super::policy::{ModerationCapability, PasswordCapability};
use super::refusal::Refusal;
use super::release::v1;
use serde_json::{Map, Value, json};

/// `GET /versions`.
pub(super) fn versions(ctx: &mut RequestContext) -> Outcome {
    let features = json!({"org.example.homespec.reference": true});
    Ok(Answer::ok(json!({"versions": ctx.server.settings.versions, "unstable_features": features})))
}

/// The discovery document, also given in login answers.
pub(super) fn document(server: &ServerContext) -> Value {
    let below = server.policy.routes.base_url_below;
    json!({"m.homeserver": {"base_url": format!("{}{below}", server.base_url)}})
}

/// `GET /.well-known/matrix/client`.
pub(super) fn well_known(ctx: &mut RequestContext) -> Outcome {
    Ok(Answer::ok(document(ctx.server)))
}

/// `GET /v1/auth_metadata`.
pub(super) fn auth_metadata(ctx: &mut RequestContext) -> Outcome {
    if !ctx.server.settings.oauth {
        return Err(Refusal::NoOauth.into());
    }
    let base = &ctx.server.base_url;
    Ok(Answer::ok(json!({
        "issuer": format!("{base}/"),
        "authorization_endpoint": format!("{base}/oauth2/auth"),
        "token_endpoint": format!("{base}/oauth2/token"),
        "revocation_endpoint": format!("{base}/oauth2/revoke"),
        "registration_endpoint": format!("{base}/oauth2/clients/register"),
        "device_authorization_endpoint": format!("{base}/oauth2/device"),
        "response_types_supported": ["code"],
        "grant_types_supported":
            ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "response_modes_supported": ["query", "fragment"],
        "code_challenge_methods_supported": ["S256"],
        "account_management_uri": format!("{base}/account"),
        "account_management_actions_supported": ["org.matrix.profile"],
    })))
}

/// `GET /capabilities`.
pub(super) fn capabilities(ctx: &mut RequestContext) -> Outcome {
    let owner = ctx.owner()?;
    let mut capabilities = Map::new();
    let enabled = changes_password(ctx, &owner.user);
    capabilities.insert("m.change_password".to_owned(), json!({"enabled": enabled}));
    if let Some(moderation) = moderation(ctx, &owner.user) {
        capabilities.insert("m.account_moderation".to_owned(), moderation);
    }
    let rooms = json!({"default": "11", "available": {"11": "stable"}});
    capabilities.insert("m.room_versions".to_owned(), rooms);
    if ctx.server.listed.since(v1(7)) && ctx.server.settings.legacy {
        let settings = &ctx.server.settings;
        let enabled = settings.get_token && settings.login_tokens_allowed && !owner.guest;
        capabilities.insert("m.get_login_token".to_owned(), json!({"enabled": enabled}));
    }
    Ok(Answer::ok(json!({"capabilities": capabilities})))
}

/// Whether a user can change the password: one who has none cannot prove it.
fn changes_password(ctx: &RequestContext, user: &str) -> bool {
    let policy = &ctx.policy().password;
    let account = ctx.store.accounts.get(user);
    match policy.capability {
        PasswordCapability::Truthful => {
            policy.refused.is_none() && account.is_some_and(|account| account.password.is_some())
        }
        PasswordCapability::Enabled => true,
        PasswordCapability::Disabled => false,
    }
}

/// The capability to moderate accounts, which is left out for those who cannot.
fn moderation(ctx: &RequestContext, user: &str) -> Option<Value> {
    let policy = ctx.policy().administration.capability;
    let account = ctx.store.accounts.get(user);
    let administrator = account.is_some_and(|account| account.administrator);
    let told = ctx.server.listed.since(v1(18))
        && (administrator || policy == ModerationCapability::Everybody);
    let may = policy != ModerationCapability::Denied;
    told.then(|| json!({"lock": may, "suspend": may}))
}
