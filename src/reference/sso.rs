//! Single sign-on with a built-in identity provider that believes whatever name it is told. For tests only.

use super::answer::{Answer, Outcome};
use super::fault;
use super::house::Exchange;
use super::page;
use super::refusal::Refusal;
use super::route::Operation;
use super::store::Account;
use std::time::Duration;
use url::Url;
use url::form_urlencoded::{Serializer, parse};

/// A login token that a browser carries home is good for five seconds, as the specification advises.
const LIFETIME: Duration = Duration::from_secs(5);

/// `GET /login/sso/redirect`: to the provider.
pub(super) fn redirect(x: &mut Exchange) -> Outcome {
    let refused = x.call.query("action").is_some() && x.has(fault::SSO_ACTION_REFUSED)
        || x.call.query("action") == Some("register") && x.has(fault::SSO_REGISTER_REFUSED)
        || x.call.operation == Operation::SsoRedirect && x.has(fault::SSO_GENERIC_REFUSED);
    if refused {
        return Err(Refusal::MemberInvalid.into());
    }
    let target = x.call.query("redirectUrl").ok_or(Refusal::MemberMissing)?;
    let query = Serializer::new(String::new()).append_pair("redirectUrl", target).finish();
    Ok(Answer::redirect(format!("{}/_reference/sso?{query}", x.house.base_url)))
}

/// `GET /login/sso/redirect/{idpId}`.
pub(super) fn redirect_to(x: &mut Exchange) -> Outcome {
    if x.call.parameter(0) == "house" { redirect(x) } else { Err(Refusal::UnknownEndpoint.into()) }
}

/// The provider's page.
pub(super) fn provider(x: &mut Exchange) -> Outcome {
    Ok(page::provider(x.call.query("redirectUrl").unwrap_or_default()))
}

/// The provider's form: makes the account if need be, and sends the browser home with a login token.
pub(super) fn submit(x: &mut Exchange) -> Outcome {
    let form: Vec<(String, String)> = parse(&x.call.body).into_owned().collect();
    let field =
        |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let user = field("user").ok_or(Refusal::MemberMissing)?;
    let mut target =
        Url::parse(field("redirectUrl").unwrap_or_default()).map_err(|_| Refusal::MemberInvalid)?;
    if !x.store.accounts.contains_key(user) {
        super::account::check_free(x, user)?;
        x.store.accounts.insert(user.to_owned(), Account::default());
    }
    let token = x.store.login_token(user, x.now, LIFETIME);
    let kept: Vec<(String, String)> = target
        .query_pairs()
        .filter(|(name, _)| name != "loginToken")
        .map(|(k, v)| (k.into(), v.into()))
        .collect();
    target.query_pairs_mut().clear().extend_pairs(kept).append_pair("loginToken", &token);
    Ok(Answer::redirect(target.into()))
}
