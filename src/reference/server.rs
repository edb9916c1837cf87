//! From the socket to a handler and back.

use super::answer::{Answer, Outcome};
use super::house::{Call, Exchange, House};
use super::refusal::Refusal;
use super::release::Listed;
use super::route::{Found, Operation, find};
use super::store::{Account, Store};
use super::{Settings, account, client_data, device, discovery, login, page, session, sso, uia};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, Response};
use std::net::SocketAddr;
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
    #[error("`{0}` is no release of the specification: rX.Y.Z or vX.Y is expected")]
    Version(String),
    /// The system gives no random bytes for tokens.
    #[error("no random bytes: {0}")]
    Random(getrandom::Error),
}

/// A homeserver that runs. Dropping it stops it too, without waiting.
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
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
        format!("http://{}", self.addr)
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
    let listed = Listed::parse(&settings.versions).map_err(StartError::Version)?;
    let mut store = Store::new().map_err(StartError::Random)?;
    for (localpart, password) in &settings.users {
        store.accounts.insert(
            localpart.clone(),
            Account { password: Some(password.clone()), ..Account::default() },
        );
    }
    let address = settings.listen;
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    let house = House { settings, listed, base_url: format!("http://{addr}") };
    let shared = Arc::new(Shared { house, store: Mutex::new(store) });
    let app = Router::new().fallback(serve).with_state(shared);
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        let end = async move { drop(stopped.await) };
        // The only errors are those of accepting, which axum handles itself; there is nobody to tell either way.
        drop(axum::serve(listener, service).with_graceful_shutdown(end).await);
    });
    Ok(Running { addr, stop, task })
}

struct Shared {
    house: House,
    store: Mutex<Store>,
}

/// Answers one request.
async fn serve(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let house = &shared.house;
    let read = tokio::time::timeout(BODY_TIME, to_bytes(body, BODY_LIMIT)).await;
    let found =
        find(&parts.method, parts.uri.path(), &house.listed, |operation| exists(house, operation));
    let (operation, parameters) = match &found {
        Found::Operation(operation, parameters) | Found::OtherMethod(operation, parameters) => {
            (*operation, parameters.clone())
        }
        Found::Nothing => (Operation::Nothing, Vec::new()),
    };
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let mut call = Call {
        operation,
        parameters,
        query: query.into_owned().collect(),
        headers: parts.headers,
        body: Vec::new(),
        peer,
        path: parts.uri.path().to_owned(),
    };
    let mut answer = match read {
        Err(_) => Refusal::TooSlow.into(),
        Ok(Err(_)) => Refusal::TooLarge.into(),
        Ok(Ok(bytes)) => {
            call.body = bytes.into();
            respond(&shared, &call, &parts.method, &found)
        }
    };
    answer.finish();
    answer.into()
}

/// Whether the settings have an operation at all; one that is switched off is like one that never was.
fn exists(house: &House, operation: Operation) -> bool {
    let settings = &house.settings;
    match operation {
        Operation::GetToken => settings.get_token && settings.legacy,
        Operation::WellKnown => settings.well_known,
        Operation::AdminNonce | Operation::AdminRegister => settings.shared_secret.is_some(),
        Operation::SsoRedirect
        | Operation::SsoRedirectTo
        | Operation::SsoPage
        | Operation::SsoSubmit => settings.sso,
        Operation::Refresh => settings.access_lifetime.is_some(),
        _ => true,
    }
}

/// Answers a request that has been read.
fn respond(shared: &Shared, call: &Call, method: &Method, found: &Found) -> Answer {
    if method == Method::OPTIONS {
        // A preflight is answered for every path, and never reaches a handler.
        return Answer::empty();
    }
    let mut store = shared.store.lock().unwrap_or_else(PoisonError::into_inner);
    store.requests += 1;
    let mut x = Exchange { house: &shared.house, call, store: &mut store, now: Instant::now() };
    match found {
        Found::Operation(..) => dispatch(&mut x).unwrap_or_else(Answer::from),
        Found::OtherMethod(..) => Refusal::UnknownMethod.into(),
        Found::Nothing => Refusal::UnknownEndpoint.into(),
    }
}

/// Hands a request to its handler.
fn dispatch(x: &mut Exchange) -> Outcome {
    use Operation as O;
    match x.call.operation {
        O::Versions => discovery::versions(x),
        O::WellKnown => discovery::well_known(x),
        O::AuthMetadata => discovery::auth_metadata(x),
        O::Capabilities => discovery::capabilities(x),
        O::Flows => login::flows(x),
        O::Login => login::login(x),
        O::GetToken => login::get_token(x),
        O::Logout => session::logout(x),
        O::LogoutAll => session::logout_all(x),
        O::Refresh => session::refresh(x),
        O::Whoami => session::whoami(x),
        O::Devices => device::list(x),
        O::Device => device::get(x),
        O::RenameDevice => device::rename(x),
        O::DeleteDevice => device::delete(x),
        O::DeleteDevices => device::delete_many(x),
        O::Register => account::register(x),
        O::RegisterAvailable => account::available(x),
        O::ChangePassword => account::change_password(x),
        O::Deactivate => account::deactivate(x),
        O::Sync => client_data::sync(x),
        O::KeysUpload => client_data::keys_upload(x),
        O::KeysQuery => client_data::keys_query(x),
        O::SigningKeysUpload => client_data::signing_keys_upload(x),
        O::MakeFilter => client_data::make_filter(x),
        O::Filter => client_data::filter(x),
        O::AdminNonce => account::admin_nonce(x),
        O::AdminRegister => account::admin_register(x),
        O::LoginPage => Ok(Answer::html(200, page::LOGIN)),
        O::StagePage => uia::stage_page(x),
        O::StageSubmit => uia::stage_submit(x),
        O::SsoRedirect => sso::redirect(x),
        O::SsoRedirectTo => sso::redirect_to(x),
        O::SsoPage => sso::provider(x),
        O::SsoSubmit => sso::submit(x),
        O::Nothing => Err(Refusal::UnknownEndpoint.into()),
    }
}
