//! Which operation a method and a path mean, given the releases that are listed.
//!
//! The table is our own and not the web framework's router, because an answer without a handler (OPTIONS, 404, 405)
//! needs to know which operation was meant, and because which paths exist depends on the settings.

use super::release::{Listed, Release, r0, v1};
use axum::http::Method;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use std::borrow::Cow;

/// An operation of the homeserver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Operation {
    Versions,
    WellKnown,
    AuthMetadata,
    Capabilities,
    Flows,
    Login,
    GetToken,
    Logout,
    LogoutAll,
    Refresh,
    Whoami,
    Addresses,
    Devices,
    Device,
    RenameDevice,
    DeleteDevice,
    DeleteDevices,
    Register,
    RegisterAvailable,
    TokenValidity,
    ChangePassword,
    Deactivate,
    Sync,
    KeysUpload,
    KeysQuery,
    SigningKeysUpload,
    MakeFilter,
    Filter,
    DisplayName,
    SetDisplayName,
    AdminNonce,
    AdminRegister,
    AdminLock,
    AdminSuspension,
    AdminGetLock,
    AdminGetSuspension,
    AdminUser,
    AdminSuspensionOfSynapse,
    AdminDeactivate,
    LoginPage,
    StagePage,
    StageSubmit,
    SsoRedirect,
    SsoRedirectTo,
    CasRedirect,
    Media,
    WellKnownTarget,
    SsoPage,
    SsoSubmit,
    /// What no route matches, and a known path asked with another method.
    Nothing,
}

/// Where a path hangs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prefix {
    /// `/_matrix/client/v3`, and `/_matrix/client/r0` for what r0 had.
    Major,
    /// `/_matrix/client/v1`.
    One,
    /// The path is whole.
    Whole,
}

struct Route {
    operation: Operation,
    method: Method,
    prefix: Prefix,
    /// Segments after the prefix; `{}` takes one segment of any value.
    path: &'static str,
    since: Release,
}

const fn route(
    operation: Operation,
    method: Method,
    prefix: Prefix,
    path: &'static str,
    since: Release,
) -> Route {
    Route { operation, method, prefix, path, since }
}

/// Every operation. `GET /login` became an endpoint of the files with r0.4.0 only, but servers have had it since before
/// r0.0.0 and no client logs in without it; it is served for every list.
static ROUTES: &[Route] = {
    use Operation as O;
    use Prefix::{Major, One, Whole};
    &[
        route(O::Versions, Method::GET, Whole, "/_matrix/client/versions", r0(0)),
        route(O::WellKnown, Method::GET, Whole, "/.well-known/matrix/client", r0(0)),
        route(O::AuthMetadata, Method::GET, One, "/auth_metadata", v1(15)),
        route(O::Capabilities, Method::GET, Major, "/capabilities", r0(5)),
        route(O::Flows, Method::GET, Major, "/login", r0(0)),
        route(O::Login, Method::POST, Major, "/login", r0(0)),
        route(O::GetToken, Method::POST, One, "/login/get_token", v1(7)),
        route(O::Logout, Method::POST, Major, "/logout", r0(1)),
        route(O::LogoutAll, Method::POST, Major, "/logout/all", r0(4)),
        route(O::Refresh, Method::POST, Major, "/refresh", v1(3)),
        route(O::Whoami, Method::GET, Major, "/account/whoami", r0(3)),
        route(O::Addresses, Method::GET, Major, "/account/3pid", r0(0)),
        route(O::Devices, Method::GET, Major, "/devices", r0(3)),
        route(O::Device, Method::GET, Major, "/devices/{}", r0(3)),
        route(O::RenameDevice, Method::PUT, Major, "/devices/{}", r0(3)),
        route(O::DeleteDevice, Method::DELETE, Major, "/devices/{}", r0(3)),
        route(O::DeleteDevices, Method::POST, Major, "/delete_devices", r0(4)),
        route(O::Register, Method::POST, Major, "/register", r0(0)),
        route(O::RegisterAvailable, Method::GET, Major, "/register/available", r0(3)),
        route(
            O::TokenValidity,
            Method::GET,
            One,
            "/register/m.login.registration_token/validity",
            v1(2),
        ),
        route(O::ChangePassword, Method::POST, Major, "/account/password", r0(0)),
        route(O::Deactivate, Method::POST, Major, "/account/deactivate", r0(2)),
        route(O::Sync, Method::GET, Major, "/sync", r0(0)),
        route(O::KeysUpload, Method::POST, Major, "/keys/upload", r0(3)),
        route(O::KeysQuery, Method::POST, Major, "/keys/query", r0(3)),
        route(O::SigningKeysUpload, Method::POST, Major, "/keys/device_signing/upload", v1(1)),
        route(O::MakeFilter, Method::POST, Major, "/user/{}/filter", r0(0)),
        route(O::Filter, Method::GET, Major, "/user/{}/filter/{}", r0(0)),
        route(O::DisplayName, Method::GET, Major, "/profile/{}/displayname", r0(0)),
        route(O::SetDisplayName, Method::PUT, Major, "/profile/{}/displayname", r0(0)),
        route(O::AdminNonce, Method::GET, Whole, "/_synapse/admin/v1/register", r0(0)),
        route(O::AdminRegister, Method::POST, Whole, "/_synapse/admin/v1/register", r0(0)),
        route(O::AdminLock, Method::PUT, One, "/admin/lock/{}", v1(18)),
        route(O::AdminSuspension, Method::PUT, One, "/admin/suspend/{}", v1(18)),
        route(O::AdminGetLock, Method::GET, One, "/admin/lock/{}", v1(18)),
        route(O::AdminGetSuspension, Method::GET, One, "/admin/suspend/{}", v1(18)),
        route(O::AdminUser, Method::PUT, Whole, "/_synapse/admin/v2/users/{}", r0(0)),
        route(
            O::AdminSuspensionOfSynapse,
            Method::PUT,
            Whole,
            "/_synapse/admin/v1/suspend/{}",
            r0(0),
        ),
        route(O::AdminDeactivate, Method::POST, Whole, "/_synapse/admin/v1/deactivate/{}", r0(0)),
        route(O::LoginPage, Method::GET, Whole, "/_matrix/static/client/login/", r0(0)),
        route(O::StagePage, Method::GET, Major, "/auth/{}/fallback/web", r0(0)),
        route(O::StageSubmit, Method::POST, Major, "/auth/{}/fallback/web", r0(0)),
        route(O::SsoRedirect, Method::GET, Major, "/login/sso/redirect", r0(5)),
        route(O::SsoRedirectTo, Method::GET, Major, "/login/sso/redirect/{}", v1(1)),
        route(O::CasRedirect, Method::GET, Major, "/login/cas/redirect", r0(3)),
        route(O::Media, Method::GET, Whole, "/_matrix/media/v3/download/{}/{}", r0(0)),
        route(O::WellKnownTarget, Method::GET, Whole, "/_reference/well-known", r0(0)),
        route(O::SsoPage, Method::GET, Whole, "/_reference/sso", r0(0)),
        route(O::SsoSubmit, Method::POST, Whole, "/_reference/sso", r0(0)),
    ]
};

/// What a method and a path lead to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The operation, with the decoded values of the `{}` segments.
    Operation(Operation, Vec<String>),
    /// The path is known under other methods: the first operation there, and all methods as `Allow` lists them.
    OtherMethod(Operation, Vec<String>, String),
    /// No such path.
    Nothing,
}

impl Found {
    /// The operation; of a path that is known under other methods, the first that it has.
    pub(super) fn operation(&self) -> Operation {
        match self {
            Self::Operation(operation, _) | Self::OtherMethod(operation, _, _) => *operation,
            Self::Nothing => Operation::Nothing,
        }
    }

    /// The decoded values of the `{}` segments.
    pub(super) fn parameters(&self) -> Vec<String> {
        match self {
            Self::Operation(_, parameters) | Self::OtherMethod(_, parameters, _) => {
                parameters.clone()
            }
            Self::Nothing => Vec::new(),
        }
    }
}

/// Finds the operation. HEAD is GET. `exists` says of an operation whether the settings have it at all.
pub(super) fn find(
    method: &Method,
    path: &str,
    listed: &Listed,
    exists: impl Fn(Operation) -> bool,
) -> Found {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let mut other = Found::Nothing;
    for route in ROUTES.iter().filter(|route| listed.since(route.since) && exists(route.operation))
    {
        let Some(rest) = after_prefix(route, path, listed) else { continue };
        let Some(parameters) = captures(route.path, rest) else { continue };
        if route.method == *method {
            return Found::Operation(route.operation, parameters);
        }
        match &mut other {
            Found::OtherMethod(_, _, allowed) => {
                allowed.push_str(", ");
                allowed.push_str(route.method.as_str());
            }
            _ => other = Found::OtherMethod(route.operation, parameters, route.method.to_string()),
        }
    }
    other
}

/// What follows the route's prefix in the path, if the path has it and the list owes it.
fn after_prefix<'a>(route: &Route, path: &'a str, listed: &Listed) -> Option<&'a str> {
    let v3 = |prefix| path.strip_prefix(prefix).filter(|_| listed.v3_paths());
    match route.prefix {
        Prefix::Whole => Some(path),
        Prefix::One => v3("/_matrix/client/v1"),
        Prefix::Major => v3("/_matrix/client/v3").or_else(|| {
            path.strip_prefix("/_matrix/client/r0")
                .filter(|_| listed.r0_paths() && route.since < v1(0))
        }),
    }
}

/// The values of the `{}` segments, if the rest of the path has the pattern's form.
fn captures(pattern: &str, rest: &str) -> Option<Vec<String>> {
    let (mut wanted, mut given) = (pattern.split('/'), rest.split('/'));
    let mut values = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(values),
            (Some("{}"), Some(segment)) if !segment.is_empty() => values.push(decode(segment)?),
            (Some(literal), Some(segment)) if literal == segment => {}
            _ => return None,
        }
    }
}

/// Undoes percent-encoding of a path segment; a percent sign without two digits stands for itself. Bytes that are not
/// UTF-8 match nothing.
fn decode(segment: &str) -> Option<String> {
    percent_decode_str(segment).decode_utf8().ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> Listed {
        Listed::parse(&text.split(',').map(str::to_owned).collect::<Vec<_>>()).unwrap()
    }

    fn find_in(list: &str, method: Method, path: &str) -> Found {
        find(&method, path, &listed(list), |_| true)
    }

    #[test]
    fn paths_exist_by_the_releases_listed() {
        let v3 = "/_matrix/client/v3/login";
        assert_eq!(find_in("v1.19", Method::POST, v3), Found::Operation(Operation::Login, vec![]));
        assert_eq!(find_in("r0.6.1", Method::POST, v3), Found::Nothing);
        let both = "r0.6.1,v1.19";
        assert_eq!(find_in(both, Method::POST, "/_matrix/client/r0/refresh"), Found::Nothing);
        assert_eq!(
            find_in(both, Method::POST, "/_matrix/client/v3/refresh"),
            Found::Operation(Operation::Refresh, vec![])
        );
        assert_eq!(
            find_in("v1.6", Method::POST, "/_matrix/client/v1/login/get_token"),
            Found::Nothing
        );
    }

    #[test]
    fn other_methods_are_told_from_other_paths() {
        let found = find_in("v1.19", Method::PUT, "/_matrix/client/v3/login");
        assert_eq!(found, Found::OtherMethod(Operation::Flows, vec![], "GET, POST".into()));
        assert_eq!(find_in("v1.19", Method::GET, "/_matrix/client/v3/login/"), Found::Nothing);
        assert_eq!(find_in("v1.19", Method::GET, "/_matrix/client/v3/devices/"), Found::Nothing);
    }

    #[test]
    fn parameters_are_decoded() {
        let found = find_in("v1.19", Method::GET, "/_matrix/client/v3/devices/a%2Fb+%C3%A9%zz");
        assert_eq!(found, Found::Operation(Operation::Device, vec!["a/b+é%zz".into()]));
        assert_eq!(find_in("v1.19", Method::GET, "/_matrix/client/v3/devices/%ff"), Found::Nothing);
    }
}
