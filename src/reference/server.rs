//! From the socket to a handler and back.

use super::answer::{Answer, Outcome};
use super::catalogue::{Catalogue, Fault, Quirk};
use super::context::{Call, RequestContext, ServerContext};
use super::edit::{Edit, Situation};
use super::fault::FaultFileError;
use super::layer::Layer;
use super::path::misread;
use super::policy::{FormData, LoginPage, LoginTokenUses, OptionsLogic, OtherMethods, Policy};
use super::quirk;
use super::refusal::Refusal;
use super::release::Listed;
use super::route::{Found, Operation, find};
use super::settings::Settings;
use super::store::{Access, Account, Device, Store};
use super::{
    account, admin, behaviour, client_data, device, discovery, login, login_token, page, profile,
    register, session, sso, uia,
};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Response, Uri, Version, header};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The largest body read, in bytes.
const BODY_LIMIT: usize = 1 << 20;
/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);
/// How long open connections may delay [`Running::stop`].
const STOP_TIME: Duration = Duration::from_secs(1);

/// Why the homeserver did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address of the settings.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// An entry of the version list is no release.
    #[error("`{0}` is not a release; expected rX.Y.Z or vX.Y")]
    Version(String),
    /// A fault or a quirk is asked for that there is not.
    #[error("there is no {kind} named `{name}`{}", nearest_hint(.nearest))]
    Unknown {
        /// `fault` or `quirk`.
        kind: &'static str,
        /// The name that was asked for.
        name: String,
        /// Names that are like it, the likest first; empty if none is.
        nearest: Vec<&'static str>,
    },
    /// A fault or a quirk is asked for in front of another homeserver that is the reference homeserver's own doing.
    #[error(
        "the {kind} `{name}` is the reference homeserver's own behaviour; in front of another homeserver only answers can \
         be changed, and `homespec list --{kind}s` says which {kind}s do that (data, shape)"
    )]
    Behaviour {
        /// `fault` or `quirk`.
        kind: &'static str,
        /// The name that was asked for.
        name: String,
    },
    /// There can be no client for the homeserver behind.
    #[error("cannot prepare requests to {url}: {source}")]
    Client {
        /// Where it is.
        url: String,
        /// What the HTTP or TLS library said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file of faults cannot be read.
    #[error(transparent)]
    Faults(#[from] &'static FaultFileError),
    /// The system gives no random bytes for tokens.
    #[error("no random bytes: {0}")]
    Random(getrandom::Error),
}

fn nearest_hint(nearest: &[&str]) -> String {
    if nearest.is_empty() {
        String::new()
    } else {
        format!("; did you mean {}?", nearest.join(" or "))
    }
}

/// Faults and quirks that are switched on, in the order of the tables.
pub(super) struct Chosen {
    faults: Vec<&'static Fault>,
    quirks: Vec<&'static Quirk>,
}

impl Chosen {
    /// Those of these names.
    ///
    /// # Errors
    /// There is none of a name.
    pub(super) fn new(
        faults: &[String],
        quirks: &[String],
        catalogue: Catalogue,
    ) -> Result<Self, StartError> {
        // The file of faults is read only if one is asked for.
        let all = if faults.is_empty() { None } else { Some(catalogue.all_faults()?) };
        let of_faults = all.into_iter().flatten();
        let of_quirks = catalogue.all_quirks();
        Ok(Self {
            faults: named("fault", faults, of_faults, |fault| fault.name)?,
            quirks: named("quirk", quirks, of_quirks, |quirk| quirk.name)?,
        })
    }

    /// The same, unless one of them is more than edits of answers.
    pub(super) fn edits_alone(self) -> Result<Self, StartError> {
        let fault = self.faults.iter().find(|fault| !fault.kind.is_edit());
        let quirk = self.quirks.iter().find(|quirk| !quirk.kind().is_edit());
        let fault = fault.map(|fault| ("fault", fault.name));
        match fault.or_else(|| quirk.map(|quirk| ("quirk", quirk.name))) {
            Some((kind, name)) => Err(StartError::Behaviour { kind, name: name.to_owned() }),
            None => Ok(self),
        }
    }

    /// Their edits, in the order in which they are made.
    pub(super) fn edits(&self) -> impl Iterator<Item = &'static Edit> {
        let of_faults = self.faults.iter().flat_map(|fault| fault.edits);
        of_faults.chain(self.quirks.iter().flat_map(|quirk| quirk.edits))
    }
}

/// The policy with what the faults and the quirks of these names change in it.
fn policy(faults: &[String], quirks: &[String]) -> Policy {
    let mut policy = Policy::default();
    quirks.iter().for_each(|quirk| quirk::apply(quirk, &mut policy));
    for change in faults.iter().filter_map(|fault| behaviour::behaviour(fault)) {
        change(&mut policy);
    }
    policy
}

/// Those with the wanted names; a name that there is not is refused, with up to three that are like it.
fn named<T: 'static>(
    kind: &'static str,
    wanted: &[String],
    all: impl Iterator<Item = &'static T>,
    name_of: fn(&'static T) -> &'static str,
) -> Result<Vec<&'static T>, StartError> {
    let all: Vec<&'static T> = all.collect();
    let is_known = |name: &&String| all.iter().any(|one| name_of(one) == name.as_str());
    let Some(name) = wanted.iter().find(|name| !is_known(name)) else {
        let is_wanted = |one: &&'static T| wanted.iter().any(|name| name == name_of(one));
        return Ok(all.into_iter().filter(is_wanted).collect());
    };
    let mut like: Vec<(f64, &'static str)> = all
        .iter()
        .map(|one| (strsim::jaro_winkler(name, name_of(one)), name_of(one)))
        .filter(|(like, _)| *like > 0.8)
        .collect();
    like.sort_by(|a, b| b.0.total_cmp(&a.0));
    let nearest = like.into_iter().take(3).map(|(_, name)| name).collect();
    Err(StartError::Unknown { kind, name: name.clone(), nearest })
}

/// A homeserver that runs, or the layer in front of another one. Dropping it stops it too, without waiting.
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
    /// What comes before each path.
    base_path: &'static str,
    changed: Arc<AtomicU64>,
    /// Its end, sent or dropped, tells the server to stop.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// The address that it listens on, with the real port.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base URL for clients, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.addr, self.base_path)
    }

    /// How many answers faults and quirks have edited so far.
    pub fn changed(&self) -> u64 {
        self.changed.load(Ordering::Relaxed)
    }

    /// Stops listening, lets requests in flight finish for up to a second, and ends.
    pub async fn stop(self) {
        let Self { stop, mut task, .. } = self;
        drop(stop);
        if tokio::time::timeout(STOP_TIME, &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// Starts a homeserver on the running tokio runtime. It listens when this returns.
///
/// # Errors
/// [`StartError`], with nothing left running.
pub async fn start(settings: Settings) -> Result<Running, StartError> {
    let chosen = Chosen::new(&settings.faults, &settings.quirks, settings.catalogue)?;
    let layer = Layer::of(chosen.edits());
    let settings = quirk::adjust(settings);
    let policy = policy(&settings.faults, &settings.quirks);
    let listed = Listed::parse(&settings.versions).map_err(StartError::Version)?;
    let mut store = Store::new().map_err(StartError::Random)?;
    for (localpart, password) in &settings.users {
        store.accounts.insert(
            localpart.clone(),
            Account { password: Some(password.clone()), ..Account::default() },
        );
    }
    if let Some(token) = &settings.admin_token {
        add_administrator(&mut store, token);
    }
    if let Some(service) = &settings.appservice {
        store.accounts.insert(service.sender.clone(), Account::default());
    }
    let (listener, addr) = listen(settings.listen).await?;
    let base_path = policy.connection.base_path;
    let base_url = format!("http://{addr}{base_path}");
    let server = ServerContext { settings, policy, listed, base_url };
    let changed = layer.counter();
    let shared =
        Arc::new(Shared { server, store: Mutex::new(store), layer, answered: AtomicU64::new(0) });
    let app = Router::new().fallback(serve).with_state(shared);
    Ok(Running { base_path, ..run(listener, addr, app, changed) })
}

/// Makes the account of the administrator, whose session is that of the token.
fn add_administrator(store: &mut Store, token: &str) {
    let (user, device) = ("server-admin".to_owned(), "ADMIN".to_owned());
    let devices = BTreeMap::from([(device.clone(), Device::default())]);
    let account = Account { administrator: true, devices, ..Account::default() };
    store.accounts.insert(user.clone(), account);
    store.access.insert(token.to_owned(), Access::unlimited(user, device));
}

/// Listens; gives the address with the real port too.
pub(super) async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    Ok((listener, addr))
}

/// Serves until the value that it gives is stopped or dropped.
pub(super) fn run(
    listener: TcpListener,
    addr: SocketAddr,
    app: Router,
    changed: Arc<AtomicU64>,
) -> Running {
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        let end = async move { drop(stopped.await) };
        // The only errors are those of accepting, which axum handles itself; there is nobody to tell either way.
        drop(axum::serve(listener, service).with_graceful_shutdown(end).await);
    });
    Running { addr, base_path: "", changed, stop, task }
}

struct Shared {
    server: ServerContext,
    store: Mutex<Store>,
    layer: Layer,
    answered: AtomicU64,
}

/// Answers one request in the manner that quirks of the connection ask for.
async fn serve(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let server = &shared.server;
    let number = shared.answered.fetch_add(1, Ordering::Relaxed) + 1;
    if server.policy.connection.slow && number.is_multiple_of(7) {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let (mut parts, body) = request.into_parts();
    match below_base(&parts.uri, server.policy.connection.base_path) {
        Some(uri) => parts.uri = uri,
        None => return Answer::html(404, "<h1>Not found</h1>").into(),
    }
    let mut response: Response<Body> = answer(&shared, peer, parts, body, number).await.into();
    if server.policy.connection.http_1_0 {
        *response.version_mut() = Version::HTTP_10;
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The URI without the base path, if it has that.
fn below_base(uri: &Uri, base_path: &str) -> Option<Uri> {
    if base_path.is_empty() {
        return Some(uri.clone());
    }
    let below = uri.path_and_query()?.as_str().strip_prefix(base_path)?;
    below.starts_with('/').then(|| below.parse().ok())?
}

/// Answers one request.
async fn answer(
    shared: &Shared,
    peer: SocketAddr,
    parts: Parts,
    body: Body,
    number: u64,
) -> Answer {
    let read = tokio::time::timeout(BODY_TIME, to_bytes(body, BODY_LIMIT)).await;
    let method = parts.method;
    let (found, handled) = look_up(&shared.server, &method, parts.uri.path());
    if shared.server.policy.connection.gateway.answers(found.operation(), number) {
        return page::gateway();
    }
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let mut call = Call {
        operation: found.operation(),
        parameters: found.parameters(),
        query: query.into_owned().collect(),
        headers: parts.headers,
        body: Vec::new(),
        peer,
        path: parts.uri.path().to_owned(),
    };
    let form_data = match is_form_data(&call) {
        true => shared.server.policy.requests.form_data,
        false => FormData::Read,
    };
    let mut answer = match read {
        Err(_) => Refusal::TooSlow.into(),
        Ok(Err(_)) => Refusal::TooLarge.into(),
        Ok(Ok(_)) if form_data == FormData::RefusedBare => return Answer::bare(415),
        Ok(Ok(_)) if form_data == FormData::Refused => Refusal::MediaType.into(),
        Ok(Ok(_)) if form_data == FormData::Fails => Refusal::Failure.into(),
        Ok(Ok(bytes)) => {
            call.body = bytes.into();
            respond(shared, &call, &handled, &found)
        }
    };
    answer.finish();
    let situation = Situation::of(&found, &method, &call.headers);
    shared.layer.apply(situation, &call.headers, &mut answer);
    let races = shared.server.policy.login_tokens.uses == LoginTokenUses::OnceButForRaces;
    if call.operation == Operation::Login && races {
        // Longer than a used token goes on working, so that only logins at the same time get through.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    answer
}

/// Whether the body is sent as that of a form with files.
fn is_form_data(call: &Call) -> bool {
    let media_type = call.header("content-type").map(str::to_ascii_lowercase);
    media_type.is_some_and(|media_type| media_type.starts_with("multipart/form-data"))
}

/// The operation, and the method to answer by: those of the request, unless another one is run in its stead.
fn look_up(server: &ServerContext, method: &Method, path: &str) -> (Found, Method) {
    let find = |method: &Method, path: &str| {
        find(method, path, &server.listed, |operation| exists(server, operation))
    };
    let policy = &server.policy.routes;
    let Some(path) = misread(policy.decoding, path) else {
        return (Found::Nothing, method.clone());
    };
    let path = path.as_ref();
    let found = if policy.missing.include(path) { Found::Nothing } else { find(method, path) };
    let stand_in = match found {
        Found::OtherMethod(Operation::Flows | Operation::Login, ..)
            if method == Method::PUT && policy.other_methods == OtherMethods::RunLogin =>
        {
            Some((Method::POST, path))
        }
        Found::OtherMethod(Operation::Logout | Operation::LogoutAll, ..)
            if method == Method::GET && policy.other_methods == OtherMethods::RunLogout =>
        {
            Some((Method::POST, path))
        }
        Found::Nothing if policy.below_login_is_login => path
            .find("/login/")
            .and_then(|at| path.get(..at + "/login".len()))
            .map(|shorter| (method.clone(), shorter)),
        _ => None,
    };
    match stand_in {
        Some((method, path)) => (find(&method, path), method),
        None => (found, method.clone()),
    }
}

/// Whether the settings have an operation at all; one that is switched off is like one that never was.
fn exists(server: &ServerContext, operation: Operation) -> bool {
    let (settings, policy) = (&server.settings, &server.policy);
    if policy.routes.absent.contains(&operation) {
        return false;
    }
    match operation {
        Operation::GetToken => settings.get_token && settings.legacy,
        Operation::WellKnown => settings.well_known,
        Operation::AdminNonce | Operation::AdminRegister => settings.shared_secret.is_some(),
        Operation::AdminLock
        | Operation::AdminSuspension
        | Operation::AdminGetLock
        | Operation::AdminGetSuspension
        | Operation::AdminUser
        | Operation::AdminSuspensionOfSynapse
        | Operation::AdminDeactivate => settings.admin_token.is_some(),
        Operation::SsoRedirect
        | Operation::SsoRedirectTo
        | Operation::SsoPage
        | Operation::SsoSubmit => settings.sso,
        Operation::CasRedirect => policy.sso.cas,
        Operation::Media => policy.sso.provider_icon,
        Operation::WellKnownTarget => policy.routes.well_known_redirects,
        Operation::Refresh => settings.access_lifetime.is_some() && !policy.routes.no_refresh,
        _ => true,
    }
}

/// Answers a request that has been read.
fn respond(shared: &Shared, call: &Call, method: &Method, found: &Found) -> Answer {
    let server = &shared.server;
    let mut store = shared.store.lock().unwrap_or_else(PoisonError::into_inner);
    let mut ctx = RequestContext { server, call, store: &mut store, now: Instant::now() };
    if method == Method::OPTIONS {
        return preflight(&mut ctx);
    }
    ctx.store.requests += 1;
    let policy = &server.policy.connection;
    let first = policy.first_throttled
        && matches!(found, Found::Operation(..))
        && ctx.store.asked.insert(call.operation);
    if first || policy.throttled && ctx.store.requests.is_multiple_of(11) {
        let mut answer = Answer::limited(20);
        answer.set("retry-after", "0");
        return answer;
    }
    match found {
        Found::Operation(..) => {
            let outcome = dispatch(&mut ctx);
            uia::keep_answer(&mut ctx, &outcome);
            outcome.unwrap_or_else(Answer::from)
        }
        Found::OtherMethod(_, _, allowed) => {
            let mut answer = Answer::from(Refusal::UnknownMethod);
            answer.set("allow", allowed);
            answer
        }
        Found::Nothing => nothing(server, call).into(),
    }
}

/// Answers OPTIONS, on every path alike, and runs nothing.
fn preflight(ctx: &mut RequestContext) -> Answer {
    use Operation as O;
    let run = |outcome: Outcome| outcome.unwrap_or_else(|_| Answer::empty());
    match (ctx.policy().routes.options, ctx.call.operation) {
        (
            OptionsLogic::AsksForToken,
            O::Whoami
            | O::Devices
            | O::Device
            | O::Logout
            | O::LogoutAll
            | O::Capabilities
            | O::GetToken,
        ) => ctx.owner().map_or_else(Answer::from, |_| Answer::empty()),
        (OptionsLogic::LogsOut, O::Logout) => run(session::logout(ctx)),
        (OptionsLogic::LogsOutAll, O::LogoutAll) => run(session::logout_all(ctx)),
        (OptionsLogic::Refreshes, O::Refresh) => run(session::refresh(ctx)),
        (OptionsLogic::LogsIn, O::Flows | O::Login) => run(login::login(ctx)),
        _ => Answer::empty(),
    }
}

/// The refusal of a path that is not there.
fn nothing(server: &ServerContext, call: &Call) -> Refusal {
    let get_token = call.path == "/_matrix/client/v1/login/get_token";
    let refusal = server.policy.routes.get_token_off.filter(|_| get_token);
    refusal.unwrap_or(Refusal::UnknownEndpoint)
}

/// Hands a request to its handler.
fn dispatch(ctx: &mut RequestContext) -> Outcome {
    use Operation as O;
    match ctx.call.operation {
        O::Versions => discovery::versions(ctx),
        O::WellKnown if ctx.policy().routes.well_known_redirects => {
            Ok(Answer::redirect(format!("{}/_reference/well-known", ctx.server.base_url)))
        }
        O::WellKnown | O::WellKnownTarget => discovery::well_known(ctx),
        O::AuthMetadata => discovery::auth_metadata(ctx),
        O::Capabilities => discovery::capabilities(ctx),
        O::Flows => login::flows(ctx),
        O::Login => login::login(ctx),
        O::GetToken => login_token::get_token(ctx),
        O::Logout => session::logout(ctx),
        O::LogoutAll => session::logout_all(ctx),
        O::Refresh => session::refresh(ctx),
        O::Whoami => session::whoami(ctx),
        O::Addresses => account::addresses(ctx),
        O::Devices => device::list(ctx),
        O::Device => device::get(ctx),
        O::RenameDevice => device::rename(ctx),
        O::DeleteDevice => device::delete(ctx),
        O::DeleteDevices => device::delete_many(ctx),
        O::Register => register::register(ctx),
        O::RegisterAvailable => register::available(ctx),
        O::TokenValidity => register::validity(ctx),
        O::ChangePassword => account::change_password(ctx),
        O::Deactivate => account::deactivate(ctx),
        O::Sync => client_data::sync(ctx),
        O::KeysUpload => client_data::keys_upload(ctx),
        O::KeysQuery => client_data::keys_query(ctx),
        O::SigningKeysUpload => client_data::signing_keys_upload(ctx),
        O::MakeFilter => client_data::make_filter(ctx),
        O::Filter => client_data::filter(ctx),
        O::DisplayName => profile::display_name(ctx),
        O::SetDisplayName => profile::rename(ctx),
        O::AdminNonce => account::admin_nonce(ctx),
        O::AdminRegister => account::admin_register(ctx),
        O::AdminLock => admin::put_lock(ctx),
        O::AdminSuspension => admin::put_suspension(ctx),
        O::AdminGetLock => admin::get_lock(ctx),
        O::AdminGetSuspension => admin::get_suspension(ctx),
        O::AdminUser => admin::put_user(ctx),
        O::AdminSuspensionOfSynapse => admin::put_suspension_of_synapse(ctx),
        O::AdminDeactivate => admin::deactivate(ctx),
        O::LoginPage => login_page(ctx),
        O::StagePage => uia::stage_page(ctx),
        O::StageSubmit => uia::stage_submit(ctx),
        O::SsoRedirect => sso::redirect(ctx),
        O::SsoRedirectTo => sso::redirect_to(ctx),
        O::CasRedirect => sso::redirect(ctx),
        O::Media => sso::icon(ctx),
        O::SsoPage => sso::provider(ctx),
        O::SsoSubmit => sso::submit(ctx),
        O::Nothing => Err(Refusal::UnknownEndpoint.into()),
    }
}

/// `GET /_matrix/static/client/login/`: the page for clients without a login of their own.
fn login_page(ctx: &RequestContext) -> Outcome {
    let policy = ctx.policy().routes.login_page;
    if policy == LoginPage::RefusesParameters && !ctx.call.query.is_empty() {
        return Err(Refusal::MemberInvalid.into());
    }
    let api = if ctx.server.listed.v3_paths() { "v3" } else { "r0" };
    Ok(page::login(api, policy == LoginPage::FormerCallback))
}
