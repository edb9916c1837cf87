//! Connections, routes, and requests whatever they ask for.

use super::super::refusal::Refusal;
use super::super::route::Operation;

/// How answers are sent.
#[derive(Debug, Clone, Default)]
pub struct ConnectionPolicy {
    /// Every seventh answer takes half a second.
    pub slow: bool,
    pub http_1_0: bool,
    /// What comes before each path; the rest of the host is a web server's.
    pub base_path: &'static str,
    /// Every eleventh request is refused and may come again at once.
    pub throttled: bool,
    /// The same for the first request to each operation.
    pub first_throttled: bool,
    pub gateway: Gateway,
}

/// Requests that something in front of the homeserver answers in its stead, with a page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Gateway {
    #[default]
    None,
    OneOperation(Operation),
    /// Every n-th request.
    EveryNth(u64),
    /// Every request but health checks (`GET /versions`).
    All,
}

impl Gateway {
    /// Whether it answers the `number`-th request, counted from 1.
    pub fn answers(self, operation: Operation, number: u64) -> bool {
        match self {
            Self::None => false,
            Self::OneOperation(broken) => operation == broken,
            Self::EveryNth(step) => number.is_multiple_of(step),
            Self::All => operation != Operation::Versions,
        }
    }
}

/// Which paths there are, and what runs for them.
#[derive(Debug, Clone, Default)]
pub struct RoutePolicy {
    pub missing: MissingPaths,
    /// Operations that are not there though a listed release has them.
    pub absent: Vec<Operation>,
    pub other_methods: OtherMethods,
    /// Unknown paths below `/login` are taken for it.
    pub below_login_is_login: bool,
    pub no_refresh: bool,
    /// Why get_token is refused where it is switched off, if not as an unknown path.
    pub get_token_off: Option<Refusal>,
    pub options: OptionsLogic,
    pub well_known_redirects: bool,
    /// What stands behind the address of the homeserver in `base_url`: nothing by the book.
    pub base_url_below: &'static str,
    pub login_page: LoginPage,
    pub decoding: PathDecoding,
}

/// How percent signs in paths are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PathDecoding {
    #[default]
    ById,
    /// Before the path is taken apart.
    WholePath,
    Never,
    Twice,
    /// As in a form: a plus sign is a blank.
    PlusIsBlank,
    Latin1,
}

/// Paths that are not there though a listed release has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MissingPaths {
    #[default]
    None,
    R0,
    R0ExceptLogin,
    V3LogoutAll,
    V3Whoami,
    RegisterAvailable,
    TokenValidity,
}

impl MissingPaths {
    pub fn include(self, path: &str) -> bool {
        let r0 = path.strip_prefix("/_matrix/client/r0/");
        match self {
            Self::None => false,
            Self::R0 => r0.is_some(),
            Self::R0ExceptLogin => r0.is_some_and(|rest| rest != "login"),
            Self::V3LogoutAll => path == "/_matrix/client/v3/logout/all",
            Self::V3Whoami => path == "/_matrix/client/v3/account/whoami",
            Self::RegisterAvailable => path.ends_with("/register/available"),
            Self::TokenValidity => path.ends_with("/validity"),
        }
    }
}

/// What is done with methods that a path does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OtherMethods {
    #[default]
    Refused,
    /// PUT logs in.
    RunLogin,
    /// GET logs out.
    RunLogout,
}

/// What OPTIONS does beside answering.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OptionsLogic {
    #[default]
    None,
    AsksForToken,
    LogsOut,
    LogsOutAll,
    Refreshes,
    LogsIn,
}

/// The login page for browsers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LoginPage {
    #[default]
    Current,
    /// It knows only `window.onLogin`, the name of the callback before v1.12.
    FormerCallback,
    RefusesParameters,
}

/// Requests, whatever they ask for.
#[derive(Debug, Clone, Default)]
pub struct RequestPolicy {
    pub bodies_need_content_type: bool,
    pub login_limit: LoginLimit,
    pub form_data: FormData,
}

/// Bodies that are sent as `multipart/form-data`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FormData {
    /// Their media type is not looked at.
    #[default]
    Read,
    /// 415, with nothing else in the answer.
    RefusedBare,
    Refused,
    Fails,
}

/// What becomes of the limit on logins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LoginLimit {
    #[default]
    Recovers,
    None,
    /// Who was once refused stays refused.
    Forever,
    /// Who is refused stays so for some seconds, though less than one is said.
    LongerThanSaid,
}

/// How access tokens are read and believed.
#[derive(Debug, Clone, Default)]
pub struct AuthenticationPolicy {
    /// The operation that does not look at the Authorization header.
    pub header_unread_by: Option<Operation>,
    pub query: QueryToken,
    pub accepts: AcceptedTokens,
    /// Of sessions that were ended only whoami knows.
    pub ended_known_to_whoami_alone: bool,
    pub expired: ExpiredTokens,
    /// Each use of an access token begins its lifetime anew.
    pub use_renews: bool,
}

/// Access tokens whose time is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExpiredTokens {
    #[default]
    Refused,
    Good,
    /// Only whoami knows.
    KnownToWhoamiAlone,
}

/// The `access_token` parameter, on servers that list a release with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QueryToken {
    #[default]
    Read,
    Unread,
    ReadByWhoamiAlone,
    Forbidden,
    /// One that was never issued is refused with 403.
    ForbiddenIfUnknown,
}

/// What is taken for an access token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AcceptedTokens {
    #[default]
    AccessTokens,
    LoginTokensToo,
    RefreshTokensToo,
    /// Access tokens without regard to case.
    AnyCase,
}

/// Single sign-on.
#[derive(Debug, Clone, Default)]
pub struct SsoPolicy {
    pub cas: bool,
    pub provider_icon: bool,
    pub oauth_aware_preferred: bool,
    pub refused: RefusedRedirects,
}

/// Redirects to the provider that are refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RefusedRedirects {
    #[default]
    None,
    WithAction,
    WithActionRegister,
    WithActionToProvider,
    WithoutProvider,
}
