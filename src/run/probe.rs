//! What the target offers, asked before anything is planned.
use crate::accounts::pool::AccountPool;
use crate::accounts::random::{NoRandomSource, generate};
use crate::case::ast::{Api, Feature, Limits};
use crate::check::cause::{NOWHERE, is_absence};
use crate::http::liveness::{Control, has_list};
use crate::http::message;
use crate::http::message::{Exchange, Reply, Request, Response};
use crate::http::sender::RequestSender;
use crate::model::encoding::encode_segment;
use crate::model::reason::Reason;
use crate::model::release::Listed;
use crate::plan::Slot;
use crate::plan::facts::{self, AccountFacts, Allow, Facts, Provider};
use crate::plan::routes::Routes;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

mod login_tokens;
mod no_target;

pub use no_target::NoTarget;
use no_target::{FRONT_END, OtherScheme, no_answer, not_matrix};

/// What a look at the target's public answers found.
#[derive(Debug, Default)]
pub struct PublicProbe {
    /// What `/versions` lists.
    pub versions: Vec<String>,
    /// The login types, if there is a flow list.
    pub flows: Option<Vec<String>>,
    /// The identity providers of single sign-on.
    pub providers: Vec<Provider>,
    /// What of the server's lists is not looked at, in sentences.
    pub beyond: Vec<String>,
    /// Whether a flow says `get_login_token`.
    pub offers_login_tokens: bool,
    /// Which features were seen.
    pub features: BTreeSet<Feature>,
    /// The `Server` header.
    pub server: Option<String>,
    /// What was sent and what came back.
    pub exchanges: Vec<Exchange>,
    /// Of these, the homeserver's own answers: cases that ask the same judge them too.
    pub answered: Vec<Exchange>,
}

impl PublicProbe {
    /// Whether the flow list has this login type.
    pub fn offers(&self, flow: &str) -> bool {
        self.flows.iter().flatten().any(|offered| offered == flow)
    }
}

const VERSIONS: &str = "/_matrix/client/versions";
const METADATA: &str = "/_matrix/client/v1/auth_metadata";

/// Looks at the target with GETs alone; without credentials.
///
/// # Errors
/// There is no homeserver; what was sent is in the second part.
pub async fn look(
    sender: &RequestSender,
    api: Option<Api>,
) -> Result<PublicProbe, (NoTarget, Vec<Exchange>)> {
    let mut public = PublicProbe::default();
    match see(sender, api, &mut public).await {
        Ok(()) => Ok(public),
        Err(why) => Err((why.redacted(&sender.http.vault().redactor()), public.exchanges)),
    }
}

async fn see(
    sender: &RequestSender,
    api: Option<Api>,
    public: &mut PublicProbe,
) -> Result<(), NoTarget> {
    let versions = first_answer(sender, public).await?;
    public.versions = facts::versions(&versions);
    public.server = versions.header("server");
    let api = api.unwrap_or_else(|| facts::api(&Listed::new(public.versions.clone())));
    let path = format!("/_matrix/client/{}/login", api.as_str());
    let login = get_list(sender, public, "getLoginFlows", &path, "flows").await.ok();
    let shows_flows = login.as_ref().is_some_and(|response| has_list(response, "flows"));
    if !has_list(&versions, "versions") && !shows_flows {
        let asked = match &login {
            Some(login) if message::words(login) == message::words(&versions) => {
                vec![VERSIONS, &path]
            }
            _ => vec![VERSIONS],
        };
        return Err(not_matrix(sender, &asked, &versions, &mut public.exchanges).await);
    }
    public.beyond = facts::beyond(&versions, login.as_ref());
    public.flows = login.as_ref().and_then(facts::flows);
    public.providers = login.as_ref().map(facts::providers).unwrap_or_default();
    if !public.providers.is_empty() {
        public.features.insert(Feature::IdentityProviders);
    }
    if login.as_ref().is_some_and(facts::prefers_sso) {
        public.features.insert(Feature::OauthAware);
    }
    public.offers_login_tokens = login.as_ref().is_some_and(facts::offers_login_tokens);
    let oauth = get(sender, public, "getAuthMetadata", METADATA).await;
    let pages = [&login, &oauth.as_ref().ok().cloned()];
    if let [Some(login), Some(oauth)] = pages
        && login.is_page()
        && oauth.is_page()
    {
        front_end(sender, api, &path, public).await?;
    }
    if oauth
        .is_ok_and(|response| response.is_success() && response.json().is_ok_and(Value::is_object))
    {
        public.features.insert(Feature::Oauth);
    }
    // A server without the OAuth API has no other way in than the legacy API, whatever it answers.
    let listed = login.as_ref().is_some_and(|response| response.is_success());
    let legacy = listed || !public.features.contains(&Feature::Oauth);
    public.features.insert(if legacy { Feature::Legacy } else { Feature::NoLegacy });
    let controls = [("getVersions", VERSIONS, "versions", Some(&versions))]
        .into_iter()
        .chain([("getLoginFlows", path.as_str(), "flows", login.as_ref())])
        .filter_map(|(operation, path, list, response)| {
            let control = Control { request: Request::new(Some(operation), "GET", path), list };
            response.is_some_and(|response| control.is_met_by(response)).then_some(control)
        });
    sender.liveness.remember(controls.collect());
    Ok(())
}

/// Asks for the list of versions. If that takes long, the same is asked by the other of `http` and `https` meanwhile:
/// whoever does not speak the scheme may say nothing at all, until the time for the first question is over.
async fn first_answer(
    sender: &RequestSender,
    public: &mut PublicProbe,
) -> Result<Response, NoTarget> {
    let mut other = None;
    // Nothing if there is nothing left to wait for.
    let first = {
        let first = get_list(sender, public, "getVersions", VERSIONS, "versions");
        let meanwhile = async {
            // With the time for the question itself that is less than the time for the first one.
            tokio::time::sleep(sender.http.time_aside() / 2).await;
            OtherScheme::request(sender).await
        };
        tokio::pin!(first, meanwhile);
        loop {
            tokio::select! {
                first = &mut first => break Some(first),
                seen = &mut meanwhile, if other.is_none() => {
                    let is_homeserver = seen.is_homeserver();
                    other = Some(seen);
                    if is_homeserver {
                        break None;
                    }
                }
            }
        }
    };
    match (first, other) {
        (Some(Ok(response)), _) => Ok(response),
        (None, Some(other)) => {
            let url = sender.http.target().to_string();
            let why = other.advice();
            public.exchanges.extend(other.exchange);
            Err(NoTarget::Unreachable { url, why })
        }
        (_, other) => Err(no_answer(sender, other, &mut public.exchanges).await),
    }
}

/// A server with one page in a wrong place is tested. One that has pages for everything, and be it
/// with `/versions` passed on, has a front end that answers in its place.
async fn front_end(
    sender: &RequestSender,
    api: Api,
    login: &str,
    public: &mut PublicProbe,
) -> Result<(), NoTarget> {
    let whoami = format!("/_matrix/client/{}/account/whoami", api.as_str());
    let third = get(sender, public, "getTokenOwner", &whoami).await;
    let Some(page) = third.ok().filter(Response::is_page) else { return Ok(()) };
    let words = message::words(&page);
    let why = format!(
        "GET {VERSIONS} is a homeserver's, but GET {login}, {METADATA} and {whoami} are pages for browsers ({words}){FRONT_END}"
    );
    Err(NoTarget::NotMatrix { url: sender.http.target().to_string(), why })
}

/// What only requests beyond GET and an account show.
pub struct AuthenticatedProbe {
    /// Every feature that was seen, those of the public probe included.
    pub features: BTreeSet<Feature>,
    /// What `/capabilities` says.
    pub capabilities: BTreeMap<String, bool>,
    /// The operations by which cases look at sessions and devices, as far as they are absent or do not
    /// work.
    pub absent: BTreeSet<String>,
    /// Why there was no session to look with though there is an account.
    pub no_session: Option<Reason>,
    /// Lifetime of the access token of the first account's login, if that gave one.
    pub token_lifetime: Option<Duration>,
    /// Whether users can register; asked only where no way to make accounts was given.
    pub registers: bool,
    /// What was sent and what came back.
    pub exchanges: Vec<Exchange>,
}

impl AuthenticatedProbe {
    /// What is known without asking on.
    pub fn nothing(public: &PublicProbe) -> AuthenticatedProbe {
        AuthenticatedProbe {
            features: public.features.clone(),
            capabilities: BTreeMap::new(),
            absent: BTreeSet::new(),
            no_session: None,
            token_lifetime: None,
            registers: false,
            exchanges: Vec::new(),
        }
    }
}

/// Asks on: whether login tokens can be had, and `with_session`, which the first account gives, what
/// that account may do.
pub async fn ask_on(
    sender: &RequestSender,
    pool: &AccountPool,
    routes: &dyn Routes,
    public: &PublicProbe,
    accounts: &AccountFacts,
    with_session: bool,
    looks_for_observers: bool,
) -> AuthenticatedProbe {
    let mut authenticated = AuthenticatedProbe::nothing(public);
    if !accounts.can_make {
        match registers(sender, routes, &mut authenticated.exchanges).await {
            Ok(registers) => authenticated.registers = registers,
            Err(error) => authenticated.no_session = Some(error.into()),
        }
    }
    let mut endpoint_asks = false;
    if authenticated.features.contains(&Feature::Legacy) {
        let request =
            Request::new(Some("generateLoginToken"), "POST", "/_matrix/client/v1/login/get_token")
                .json(&json!({}));
        let there = sender.response(&request, Limits::Wait, &mut authenticated.exchanges).await;
        // Without a token the endpoint, where it is there, asks for one.
        endpoint_asks = there.is_ok_and(|response| response.status == 401);
        let there = public.offers_login_tokens || endpoint_asks;
        authenticated.features.insert(if there { Feature::GetToken } else { Feature::NoGetToken });
        // Who cannot make accounts at will may not be able to spare logins either.
        if !public.offers(login_tokens::TYPE) && (there || accounts.can_make) {
            let exchanges = &mut authenticated.exchanges;
            match login_tokens::are_taken(sender, routes, there, exchanges).await {
                Ok(false) => {}
                Ok(true) => _ = authenticated.features.insert(Feature::LoginToken),
                Err(error) => authenticated.no_session = Some(error.into()),
            }
        }
    }
    let flows = public.flows.as_deref().unwrap_or_default();
    let can_log_in =
        flows.iter().any(|flow| flow == "m.login.password") || !accounts.has_password(0);
    // An account that is made has a session from its registration, with or without that flow.
    let usable = with_session && accounts.main() > 0 && (can_log_in || accounts.can_make);
    if !usable {
        // What only a session shows is unknown, not absent, if it is for want of a good account.
        authenticated.no_session = accounts.why_refused(|_| accounts.main() == 0).cloned();
        return authenticated;
    }
    let (token, device) = match pool.account(&Slot::Main(0), true, true).await {
        Ok(view) => (view.token, view.device_id),
        Err(reason) => {
            authenticated.no_session = Some(reason);
            (None, None)
        }
    };
    let Some(token) = token else { return authenticated };
    if looks_for_observers {
        let observers = observers(routes, &token, device.as_deref());
        let exchanges = &mut authenticated.exchanges;
        authenticated.absent = absent(sender, observers, exchanges).await;
    }
    if pool.has_refresh_token(&Slot::Main(0)).await {
        authenticated.features.insert(Feature::Refresh);
    }
    authenticated.token_lifetime = pool.token_lifetime(&Slot::Main(0)).await;
    if let Some(route) = routes.route("deleteDevice", None) {
        // Nothing can be deleted by this: there is no such device, and no proof is given.
        let path = route.path.replace("{deviceId}", "homespec-no-such-device");
        let request = Request::new(Some("deleteDevice"), &route.method, &path)
            .bearer(&token)
            .json(&json!({}));
        let challenge = sender.response(&request, Limits::Wait, &mut authenticated.exchanges).await;
        if challenge.is_ok_and(|response| offers_password_stage(&response)) {
            authenticated.features.insert(Feature::UiaPassword);
        }
    }
    if let Some(route) = routes.route("getCapabilities", None) {
        let request =
            Request::new(Some("getCapabilities"), &route.method, &route.path).bearer(&token);
        if let Ok(response) =
            sender.response(&request, Limits::Wait, &mut authenticated.exchanges).await
        {
            authenticated.capabilities = facts::capabilities(&response);
            let denied = authenticated.capabilities.get("m.get_login_token") == Some(&false);
            if denied && endpoint_asks && authenticated.features.remove(&Feature::GetToken) {
                authenticated.features.insert(Feature::GetTokenDenied);
            }
        }
    }
    authenticated
}

/// Requests for what cases look at sessions and devices by, by operation.
fn observers(routes: &dyn Routes, token: &str, device: Option<&str>) -> Vec<Request> {
    // A path that ends in nothing is another one.
    let device = device.filter(|id| !id.is_empty());
    let observer = |operation: &&str| {
        let route = routes.route(operation, None)?;
        let path = match device {
            Some(device) => route.path.replace("{deviceId}", &encode_segment(device)),
            None => route.path,
        };
        let is_whole = !path.contains('{');
        is_whole.then(|| Request::new(Some(operation), &route.method, &path).bearer(token))
    };
    ["getTokenOwner", "getDevices", "getDevice", "getCapabilities"]
        .iter()
        .filter_map(observer)
        .collect()
}

/// The operations that are absent or do not work: each is asked twice, with other requests in between.
async fn absent(
    sender: &RequestSender,
    requests: Vec<Request>,
    exchanges: &mut Vec<Exchange>,
) -> BTreeSet<String> {
    let mut suspects: Vec<(Request, Vec<Response>)> = Vec::new();
    let mut silent: BTreeSet<String> = BTreeSet::new();
    for request in requests {
        match sender.response(&request, Limits::Wait, exchanges).await {
            Ok(response) if is_suspect(&response) => suspects.push((request, vec![response])),
            Ok(_) => {}
            // Such a request was sent twice already.
            Err(Reason::Gateway { .. } | Reason::NoAnswer(_)) => silent.extend(request.operation),
            Err(_) => {}
        }
    }
    if suspects.is_empty() {
        return silent;
    }
    let path = format!("/_matrix/client/{}/{NOWHERE}", Api::V3.as_str());
    let nowhere = Request::new(None, "GET", &path);
    let nowhere = sender.response(&nowhere, Limits::Wait, exchanges).await.ok();
    for (request, responses) in &mut suspects {
        responses.extend(sender.response(request, Limits::Wait, exchanges).await.ok());
    }
    let nowhere: Vec<&Response> = nowhere.iter().collect();
    let is_absent = |(_, responses): &(Request, Vec<Response>)| {
        let shows = |response: &Response| is_failure(response) || is_absence(response, &nowhere);
        responses.len() == 2 && responses.iter().all(shows)
    };
    let absent = suspects.into_iter().filter(is_absent);
    absent.filter_map(|(request, _)| request.operation).chain(silent).collect()
}

/// Whether an answer may say that there is no such operation, or that it does not work.
fn is_suspect(response: &Response) -> bool {
    matches!(response.status, 400 | 404 | 405) || is_failure(response)
}

/// Whether an answer is an error that no homeserver means to give.
fn is_failure(response: &Response) -> bool {
    let is_none_of_matrix = response.text_at("/errcode").is_none();
    response.status >= 500 || response.status >= 400 && is_none_of_matrix
}

/// Whether users can register: a name that nobody has is then available. Unlike a registration
/// without proof, this question cannot make an account anywhere.
async fn registers(
    sender: &RequestSender,
    routes: &dyn Routes,
    exchanges: &mut Vec<Exchange>,
) -> Result<bool, NoRandomSource> {
    let Some(route) = routes.route("checkUsernameAvailability", None) else { return Ok(false) };
    let path = format!("{}?username={}", route.path, generate("localpart")?);
    let request = Request::new(Some("checkUsernameAvailability"), &route.method, &path);
    let response = sender.response(&request, Limits::Observe, exchanges).await;
    Ok(response.is_ok_and(|response| response.is_success()))
}

/// Facts from what was seen.
pub fn facts(
    public: &PublicProbe,
    authenticated: Option<&AuthenticatedProbe>,
    api: Option<Api>,
    accounts: AccountFacts,
    operator: BTreeSet<String>,
    allowed: BTreeSet<Allow>,
    max_wait: Duration,
) -> Facts {
    let listed = Listed::new(public.versions.clone());
    let features = authenticated.map_or(&public.features, |authenticated| &authenticated.features);
    Facts {
        api: api.unwrap_or_else(|| facts::api(&listed)),
        listed,
        flows: public.flows.clone().unwrap_or_default(),
        providers: public.providers.clone(),
        features: features.clone(),
        capabilities: authenticated
            .map(|authenticated| authenticated.capabilities.clone())
            .unwrap_or_default(),
        absent: authenticated.map(|authenticated| authenticated.absent.clone()).unwrap_or_default(),
        token_lifetime: authenticated.and_then(|authenticated| authenticated.token_lifetime),
        max_wait,
        no_session: authenticated.and_then(|authenticated| authenticated.no_session.clone()),
        registers: authenticated.is_some_and(|authenticated| authenticated.registers),
        accounts,
        beyond: public.beyond.clone(),
        operator,
        allowed,
    }
}

/// Asks for what the plan depends on, and once more if a success lacks the list: one answer that is wrong
/// must not make the rest of a run small. Both are for the cases to judge.
async fn get_list(
    sender: &RequestSender,
    public: &mut PublicProbe,
    operation: &str,
    path: &str,
    list: &str,
) -> Result<Response, Reason> {
    let first = get(sender, public, operation, path).await?;
    if !first.is_success() || first.json().is_err() || has_list(&first, list) {
        return Ok(first);
    }
    let again = get(sender, public, operation, path).await;
    Ok(again.ok().filter(|again| has_list(again, list)).unwrap_or(first))
}

async fn get(
    sender: &RequestSender,
    public: &mut PublicProbe,
    operation: &str,
    path: &str,
) -> Result<Response, Reason> {
    let sent = sender.send(&Request::new(Some(operation), "GET", path), Limits::Wait).await;
    if let Reply::Response(_) = sent.reply {
        public.answered.extend(sent.exchanges.get(sent.shown).map(Exchange::again));
    }
    public.exchanges.extend(sent.exchanges);
    sent.reply.response()
}

/// Whether a challenge has a flow of the password stage alone.
fn offers_password_stage(response: &Response) -> bool {
    let flows = response.json().ok().and_then(|body| body.get("flows")?.as_array());
    response.is_challenge()
        && flows.into_iter().flatten().any(|flow| {
            flow.get("stages").is_some_and(|stages| *stages == json!(["m.login.password"]))
        })
}
