//! What the target offers, asked before anything is planned.
use super::courier::Courier;
use super::desk::Desk;
use super::env::fresh_localpart;
use crate::case::ast::{Api, Feature, Limits};
use crate::facts::{self, AccountFacts, Allow, Facts};
use crate::outcome::Reason;
use crate::plan::Slot;
use crate::routes::Routes;
use crate::version::Listed;
use crate::wire::{Answer, Ask, Exchanged, Reply};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What a look at the target's public answers found.
#[derive(Debug, Default)]
pub struct Sighting {
    /// What `/versions` lists.
    pub versions: Vec<String>,
    /// The login types, if there is a flow list.
    pub flows: Option<Vec<String>>,
    /// Whether a flow says `get_login_token`.
    pub offers_login_tokens: bool,
    /// Which features were seen.
    pub features: BTreeSet<Feature>,
    /// The `Server` header.
    pub server: Option<String>,
    /// What was sent and what came back.
    pub exchanges: Vec<Exchanged>,
}

/// Why there is nothing to test.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    /// Nothing answers there.
    #[error("{url} cannot be reached: {why}")]
    Unreachable {
        /// The homeserver's URL.
        url: String,
        /// The cause.
        why: String,
    },
    /// Something answers, but it is no homeserver.
    #[error(
        "{url} does not look like a Matrix homeserver: GET /_matrix/client/versions answered {status} with {body}"
    )]
    NotMatrix {
        /// The homeserver's URL.
        url: String,
        /// The status.
        status: u16,
        /// What kind of body.
        body: String,
    },
}

/// Looks at the target with GETs alone; without credentials.
///
/// # Errors
/// There is no homeserver; what was sent is in the second part.
pub async fn look(
    courier: &Courier,
    api: Option<Api>,
) -> Result<Sighting, (NoTarget, Vec<Exchanged>)> {
    let mut sighting = Sighting::default();
    let url = courier.http.base().to_owned();
    let versions =
        match get(courier, &mut sighting, "getVersions", "/_matrix/client/versions").await {
            Ok(answer) => answer,
            Err(reason) => {
                let gone = NoTarget::Unreachable { url, why: reason.text };
                return Err((gone, sighting.exchanges));
            }
        };
    sighting.versions = facts::versions(&versions);
    sighting.server = versions.header("server");
    let api = api.unwrap_or_else(|| facts::api(&Listed::new(sighting.versions.clone())));
    let path = format!("/_matrix/client/{}/login", api.as_str());
    let login = get(courier, &mut sighting, "getLoginFlows", &path).await.ok();
    if !is_matrix(&versions) && !login.as_ref().is_some_and(is_matrix) {
        let gone =
            NoTarget::NotMatrix { url, status: versions.status, body: kind_of_body(&versions) };
        return Err((gone, sighting.exchanges));
    }
    sighting.flows = login.as_ref().and_then(facts::flows);
    sighting.offers_login_tokens = login.as_ref().is_some_and(facts::offers_login_tokens);
    let metadata = "/_matrix/client/v1/auth_metadata";
    let oauth = get(courier, &mut sighting, "getAuthMetadata", metadata).await;
    if oauth.is_ok_and(|answer| answer.status == 200 && answer.json().is_ok_and(Value::is_object)) {
        sighting.features.insert(Feature::Oauth);
    }
    // A server without the OAuth API has no other way in than the legacy API, whatever it answers.
    let listed = login.is_some_and(|answer| answer.status == 200);
    let legacy = listed || !sighting.features.contains(&Feature::Oauth);
    sighting.features.insert(if legacy { Feature::Legacy } else { Feature::NoLegacy });
    Ok(sighting)
}

/// What only requests beyond GET and an account show.
pub struct Beyond {
    /// Every feature that was seen, those of the sighting included.
    pub features: BTreeSet<Feature>,
    /// What `/capabilities` says.
    pub capabilities: BTreeMap<String, bool>,
    /// Why there was no session to look with though there is an account.
    pub no_session: Option<Reason>,
    /// Whether users can register; asked only where no way to make accounts was given.
    pub registers: bool,
    /// What was sent and what came back.
    pub exchanges: Vec<Exchanged>,
}

/// Asks on: whether login tokens can be had, and with the first account what it may do.
pub async fn ask_on(
    courier: &Courier,
    desk: &Desk,
    routes: &dyn Routes,
    sighting: &Sighting,
    accounts: &AccountFacts,
) -> Beyond {
    let mut beyond = Beyond {
        features: sighting.features.clone(),
        capabilities: BTreeMap::new(),
        no_session: None,
        registers: false,
        exchanges: Vec::new(),
    };
    beyond.registers =
        !accounts.can_make && registers(courier, routes, &mut beyond.exchanges).await;
    let mut endpoint_asks = false;
    if beyond.features.contains(&Feature::Legacy) {
        let ask =
            Ask::new(Some("generateLoginToken"), "POST", "/_matrix/client/v1/login/get_token")
                .json(&json!({}));
        let there = answer(courier, &ask, &mut beyond.exchanges).await;
        // Without a token the endpoint, where it is there, asks for one.
        endpoint_asks = there.is_ok_and(|answer| answer.status == 401);
        let there = sighting.offers_login_tokens || endpoint_asks;
        beyond.features.insert(if there { Feature::GetToken } else { Feature::NoGetToken });
    }
    let flows = sighting.flows.as_deref().unwrap_or_default();
    let can_log_in =
        flows.iter().any(|flow| flow == "m.login.password") || !accounts.has_password(0);
    // An account that is made has a session from its registration, with or without that flow.
    let usable = accounts.main() > 0 && (can_log_in || accounts.can_make);
    if !usable {
        return beyond;
    }
    let token = match desk.account(&Slot::Main(0), true, true).await {
        Ok(view) => view.token,
        Err(reason) => {
            beyond.no_session = Some(reason);
            None
        }
    };
    let Some(token) = token else { return beyond };
    if desk.has_refresh_token(&Slot::Main(0)).await {
        beyond.features.insert(Feature::Refresh);
    }
    if let Some(route) = routes.route("deleteDevice", None) {
        // Nothing can be deleted by this: there is no such device, and no proof is given.
        let path = route.path.replace("{deviceId}", "homespec-no-such-device");
        let ask =
            Ask::new(Some("deleteDevice"), &route.method, &path).bearer(&token).json(&json!({}));
        let challenge = answer(courier, &ask, &mut beyond.exchanges).await;
        if challenge.is_ok_and(|answer| offers_password_stage(&answer)) {
            beyond.features.insert(Feature::UiaPassword);
        }
    }
    if let Some(route) = routes.route("getCapabilities", None) {
        let ask = Ask::new(Some("getCapabilities"), &route.method, &route.path).bearer(&token);
        if let Ok(answer) = answer(courier, &ask, &mut beyond.exchanges).await {
            beyond.capabilities = facts::capabilities(&answer);
            let denied = beyond.capabilities.get("m.get_login_token") == Some(&false);
            if denied && endpoint_asks && beyond.features.remove(&Feature::GetToken) {
                beyond.features.insert(Feature::GetTokenDenied);
            }
        }
    }
    beyond
}

/// Whether users can register: a name that nobody has is then available. Unlike a registration
/// without proof, this question cannot make an account anywhere.
async fn registers(courier: &Courier, routes: &dyn Routes, exchanges: &mut Vec<Exchanged>) -> bool {
    let Some(route) = routes.route("checkUsernameAvailability", None) else { return false };
    let path = format!("{}?username={}", route.path, fresh_localpart());
    let ask = Ask::new(Some("checkUsernameAvailability"), &route.method, &path);
    let delivered = courier.deliver(&ask, Limits::Observe).await;
    exchanges.extend(delivered.exchanges);
    matches!(delivered.reply, Reply::Answer(answer) if answer.status == 200)
}

/// Facts from what was seen.
pub fn facts(
    sighting: &Sighting,
    beyond: Option<&Beyond>,
    api: Option<Api>,
    accounts: AccountFacts,
    operator: BTreeSet<String>,
    allowed: BTreeSet<Allow>,
) -> Facts {
    let listed = Listed::new(sighting.versions.clone());
    let features = beyond.map_or(&sighting.features, |beyond| &beyond.features);
    Facts {
        api: api.unwrap_or_else(|| facts::api(&listed)),
        listed,
        flows: sighting.flows.clone().unwrap_or_default(),
        features: features.clone(),
        capabilities: beyond.map(|beyond| beyond.capabilities.clone()).unwrap_or_default(),
        no_session: beyond.and_then(|beyond| beyond.no_session.clone()),
        registers: beyond.is_some_and(|beyond| beyond.registers),
        accounts,
        operator,
        allowed,
    }
}

async fn get(
    courier: &Courier,
    sighting: &mut Sighting,
    operation: &str,
    path: &str,
) -> Result<Answer, Reason> {
    answer(courier, &Ask::new(Some(operation), "GET", path), &mut sighting.exchanges).await
}

async fn answer(
    courier: &Courier,
    ask: &Ask,
    exchanges: &mut Vec<Exchanged>,
) -> Result<Answer, Reason> {
    let delivered = courier.deliver(ask, Limits::Wait).await;
    exchanges.extend(delivered.exchanges);
    match delivered.reply {
        Reply::Answer(answer) => Ok(answer),
        Reply::Dropped(text) => Err(Reason { code: "no_answer".to_owned(), text }),
        Reply::Undecided(reason) => Err(reason),
    }
}

/// Whether only a homeserver answers like this.
fn is_matrix(answer: &Answer) -> bool {
    answer.json().is_ok_and(|body| {
        ["versions", "flows", "errcode"].iter().any(|key| body.get(key).is_some())
    })
}

/// Whether a challenge has a flow of the password stage alone.
fn offers_password_stage(answer: &Answer) -> bool {
    let flows = answer.json().ok().and_then(|body| body.get("flows")?.as_array());
    answer.is_challenge()
        && flows.into_iter().flatten().any(|flow| {
            flow.get("stages").is_some_and(|stages| *stages == json!(["m.login.password"]))
        })
}

fn kind_of_body(answer: &Answer) -> String {
    match (answer.json(), answer.header("content-type")) {
        (Ok(_), _) => "JSON that is not Matrix's".to_owned(),
        (Err(_), _) if answer.body.is_empty() => "an empty body".to_owned(),
        (Err(_), Some(media_type)) => media_type,
        (Err(_), None) => "a body that is not JSON".to_owned(),
    }
}
