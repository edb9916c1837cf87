//! The address of a homeserver.
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use url::{Host, ParseError, Url};

/// The address of a homeserver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Behind an `http` or `https` URL; it may have a path.
    Web(Url),
    /// Behind a unix socket.
    Socket {
        /// The absolute path of the socket.
        path: PathBuf,
        /// The path before `/_matrix`: empty, or with a slash at its beginning and none at its end.
        prefix: String,
    },
}

impl Target {
    /// The base URL of requests, without a slash at its end. A socket has no host; the one here
    /// goes into the `Host` header.
    pub fn origin(&self) -> String {
        match self {
            Target::Web(url) => url.as_str().trim_end_matches('/').to_owned(),
            Target::Socket { prefix, .. } => format!("http://localhost{prefix}"),
        }
    }

    /// The URL of `path` below the target, as reports show it. That of a socket has the form
    /// `unix:SOCKET:PATH`.
    pub fn url_of(&self, path: &str) -> String {
        match self {
            Target::Web(_) => self.origin() + path,
            Target::Socket { path: socket, prefix } => {
                format!("unix:{}:{prefix}{path}", socket.display())
            }
        }
    }

    /// The scheme of the homeserver's URLs, as far as the target shows: `http` or `https`.
    pub fn scheme(&self) -> &str {
        match self {
            Target::Web(url) => url.scheme(),
            Target::Socket { .. } => "http",
        }
    }
}

impl fmt::Display for Target {
    /// As given, without a slash at its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Web(_) => f.write_str(&self.origin()),
            Target::Socket { .. } => f.write_str(self.url_of("").trim_end_matches(':')),
        }
    }
}

/// An invalid target, in a sentence without anything that may be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoTargetUrl(String);

impl FromStr for Target {
    type Err = NoTargetUrl;

    /// Reads `https://…`, `http://…`, `unix:/SOCKET` or `unix:/SOCKET:/PREFIX`.
    fn from_str(text: &str) -> Result<Target, NoTargetUrl> {
        let read = match text.strip_prefix("unix:") {
            Some(rest) => socket(rest),
            None => web(text).map(Target::Web),
        };
        read.map_err(|why| NoTargetUrl(refused(text, &why)))
    }
}

fn refused(text: &str, why: &str) -> String {
    // What stands before an @ may be a password.
    let shown = if text.contains('@') { "this".to_owned() } else { format!("`{text}`") };
    format!("{shown} is not a homeserver URL: {why}")
}

fn web(text: &str) -> Result<Url, String> {
    let url = match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        // `localhost:8008` reads like the scheme `localhost`.
        Ok(_) | Err(ParseError::RelativeUrlWithoutBase) => return Err(without_scheme(text)),
        Err(error) => return Err(error.to_string()),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it has a user name; give accounts with --accounts FILE".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has a query or a fragment".to_owned());
    }
    if let Some((base, _)) = url.as_str().split_once("/_matrix") {
        return Err(format!("homespec adds `/_matrix` and the rest itself; did you mean {base}?"));
    }
    Ok(url)
}

fn without_scheme(text: &str) -> String {
    const SCHEMES: &str = "it must begin with https://, http:// or unix:/";
    let scheme = if is_near(text) { "http" } else { "https" };
    let meant = format!("{scheme}://{text}");
    let is_host = |url: &Url| url.host_str().is_some_and(|host| !host.is_empty());
    match web(&meant).ok().filter(is_host) {
        Some(url) if !text.contains("://") && !text.starts_with('/') => {
            let is_a_name = scheme == "https" && url.path() == "/" && url.port().is_none();
            let or = format!(" Or --discover {text}, if that is a server name");
            format!(
                "{SCHEMES}; did you mean {meant}?{}",
                if is_a_name { or } else { String::new() }
            )
        }
        _ => SCHEMES.to_owned(),
    }
}

/// Returns true if a text without a scheme names this machine or an address, where TLS is rare.
fn is_near(text: &str) -> bool {
    match Url::parse(&format!("http://{text}")).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        None => false,
    }
}

fn socket(rest: &str) -> Result<Target, String> {
    // Other programs write `unix:///path`.
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (path, prefix) = rest.split_once(':').unwrap_or((rest, ""));
    if !Path::new(path).is_absolute() {
        return Err("a socket needs its absolute path, as in unix:/run/homeserver.sock".to_owned());
    }
    let prefix = prefix.trim_end_matches('/');
    if !prefix.is_empty() && !prefix.starts_with('/') {
        return Err(
            "the part after the colon must be a path, as in unix:/run/homeserver.sock:/prefix"
                .to_owned(),
        );
    }
    // The same rules, and the same encoding, as for a URL with a host.
    let whole = web(&format!("http://localhost{prefix}"))?;
    let prefix = whole.path().trim_end_matches('/').to_owned();
    Ok(Target::Socket { path: path.into(), prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(prefix: &str) -> Target {
        Target::Socket { path: "/run/hs.sock".into(), prefix: prefix.to_owned() }
    }

    #[test]
    fn a_target_is_shown_as_it_is_typed() {
        let web = Target::Web("https://hs.example/matrix/".parse().unwrap());
        assert_eq!(web.to_string(), "https://hs.example/matrix");
        assert_eq!(web.url_of("/_matrix/x"), "https://hs.example/matrix/_matrix/x");
        assert_eq!(socket("").to_string(), "unix:/run/hs.sock");
        assert_eq!(socket("/a").to_string(), "unix:/run/hs.sock:/a");
        assert_eq!(socket("/a").url_of("/_matrix/x"), "unix:/run/hs.sock:/a/_matrix/x");
        assert_eq!(socket("/a").origin(), "http://localhost/a");
    }

    fn read(text: &str) -> String {
        match text.parse::<Target>() {
            Ok(target) => target.to_string(),
            Err(why) => panic!("{text}: {why}"),
        }
    }

    #[test]
    fn urls_and_sockets_are_read() {
        for (typed, shown) in [
            ("https://hs.example", "https://hs.example"),
            ("https://hs.example/matrix/", "https://hs.example/matrix"),
            ("HTTP://[::1]:8008", "http://[::1]:8008"),
            ("unix:/run/hs.sock", "unix:/run/hs.sock"),
            ("unix:///run/hs.sock", "unix:/run/hs.sock"),
            ("unix:/run/hs.sock:/matrix/", "unix:/run/hs.sock:/matrix"),
            ("unix:/run/hs.sock:", "unix:/run/hs.sock"),
        ] {
            assert_eq!(read(typed), shown);
        }
    }

    #[test]
    fn what_is_no_target_says_what_is_meant() {
        for (typed, words) in [
            ("matrix.org", "did you mean https://matrix.org? Or --discover matrix.org"),
            ("hs.example:8448/a", "did you mean https://hs.example:8448/a?"),
            ("localhost:8008", "did you mean http://localhost:8008?"),
            ("127.0.0.1:8008", "did you mean http://127.0.0.1:8008?"),
            ("[::1]:8008", "did you mean http://[::1]:8008?"),
            ("file:/etc/passwd", "begin with https://"),
            ("ftp://hs.example", "begin with https://"),
            ("/run/hs.sock", "unix:/"),
            ("", "begin with https://"),
            ("https://hs.example/?a", "a query"),
            ("https://hs.example/#a", "a fragment"),
            ("https://hs.example/_matrix/client", "did you mean https://hs.example?"),
            ("https://hs.example:99999", "port"),
            ("unix:hs.sock", "absolute path"),
            ("unix:/hs.sock:prefix", "a path"),
            ("unix:/hs.sock:/a?b", "a query"),
        ] {
            let why = typed.parse::<Target>().unwrap_err().to_string();
            assert!(why.contains(words), "{typed}: {why}");
        }
    }

    #[test]
    fn no_password_is_repeated() {
        for typed in ["https://a:hunter2@hs", "https://a:hunter2@hs:99999", "a:hunter2@hs"] {
            let why = typed.parse::<Target>().unwrap_err().to_string();
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
