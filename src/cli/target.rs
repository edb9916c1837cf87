//! Words that say by which way the homeserver is reached, read into values. Pure; the errors are sentences for
//! whoever typed the words, and hold nothing that may be a secret.
use crate::http::target::Target;
use crate::redact::SecretString;
use crate::yaml::diagnostic::Diagnostic;
use std::net::{IpAddr, SocketAddr};
use url::{Host, Url};

/// Headers that follow from the request, or that cases are about, with what to do instead.
const NOT_THE_OPERATORS: [(&str, &str); 15] = [
    ("accept", SET_BY_HOMESPEC),
    ("content-length", SET_BY_HOMESPEC),
    ("content-type", SET_BY_HOMESPEC),
    ("origin", SET_BY_HOMESPEC),
    ("connection", OF_THE_CONNECTION),
    ("expect", OF_THE_CONNECTION),
    ("http2-settings", OF_THE_CONNECTION),
    ("keep-alive", OF_THE_CONNECTION),
    ("proxy-connection", OF_THE_CONNECTION),
    ("te", OF_THE_CONNECTION),
    ("trailer", OF_THE_CONNECTION),
    ("transfer-encoding", OF_THE_CONNECTION),
    ("upgrade", OF_THE_CONNECTION),
    (
        "host",
        "`Host` follows from the URL; to reach its name at another address, use --resolve HOST=ADDR",
    ),
    (
        "proxy-authorization",
        "the proxy's user and password are given with --proxy-auth-file FILE; here the homeserver \
         would get them",
    ),
];
const SET_BY_HOMESPEC: &str = "homespec sets it itself, and cases depend on it";
const OF_THE_CONNECTION: &str = "the HTTP library sets it for the connection";
const AUTHORIZATION: &str = "`Authorization` carries the access tokens of the cases, and requests without one are among \
     them; let this machine pass the front end by its address, or by another header";

/// Error in an option that describes the connection to the homeserver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // The sentences say it.
pub enum WayError {
    #[error("--discover: `{0}` is not a valid server name; example: example.org")]
    ServerName(String),
    #[error("--proxy must be http://HOST:PORT, https://HOST:PORT or socks5h://HOST:PORT")]
    Proxy,
    #[error(
        "--proxy: user and password do not stand in the URL, where others may read them; \
         put user:password into a file and name it with --proxy-auth-file FILE"
    )]
    ProxyPassword,
    #[error(
        "--resolve: `{0}` is not HOST=ADDR, e.g. hs.example=127.0.0.1 or hs.example=[::1]:8448"
    )]
    Resolve(String),
    #[error("--resolve: `{0}` names an address, and only names are looked up")]
    ResolvesAddress(String),
    #[error("--resolve: `{0}` has a port after the name; --resolve applies to every port")]
    ResolvesPort(String),
    #[error("--resolve gives {host} port {port}, the URL {of_url}; remove one of them")]
    TwoPorts { host: String, port: u16, of_url: u16 },
}

/// Reads a server name whose well-known file says where its homeserver is, into the target that has the
/// file.
pub fn server_name(text: &str) -> Result<Target, WayError> {
    let refused = || Err(WayError::ServerName(text.to_owned()));
    let Ok(url) = Url::parse(&format!("https://{text}")) else { return refused() };
    let has_host = url.host_str().is_some_and(|host| !host.is_empty());
    let only_a_name = !text.is_empty() && !text.contains(['/', '?', '#', '@', '\\', ' ']);
    if has_host && only_a_name { Ok(Target::Web(url)) } else { refused() }
}

/// Reads the URL of a proxy.
pub fn proxy(text: &str) -> Result<Url, WayError> {
    let url = Url::parse(text).map_err(|_| WayError::Proxy)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(WayError::ProxyPassword);
    }
    let known = matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h");
    let has_host = url.host_str().is_some_and(|host| !host.is_empty());
    if known && has_host { Ok(url) } else { Err(WayError::Proxy) }
}

/// Reads `HOST=ADDR`, where ADDR is `192.0.2.1`, `192.0.2.1:8448`, `2001:db8::1` or
/// `[2001:db8::1]:8448`. Without a port it is 0.
pub fn resolve(word: &str) -> Result<(String, SocketAddr), WayError> {
    let form = || WayError::Resolve(word.to_owned());
    let (host, address) = word.split_once('=').ok_or_else(form)?;
    let address = address_of(address).ok_or_else(form)?;
    match Host::parse(host) {
        Ok(Host::Domain(host)) => Ok((host, address)),
        Ok(_) => Err(WayError::ResolvesAddress(word.to_owned())),
        Err(_) if host.contains(':') => Err(WayError::ResolvesPort(word.to_owned())),
        Err(_) => Err(form()),
    }
}

fn address_of(text: &str) -> Option<SocketAddr> {
    let in_brackets = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let without_port = || in_brackets.unwrap_or(text).parse::<IpAddr>().ok();
    text.parse().ok().or_else(|| Some(SocketAddr::new(without_port()?, 0)))
}

/// Refuses a name with a port in `--resolve` and another one in the URL: the URL's would be taken.
pub fn check_ports(target: &Target, resolve: &[(String, SocketAddr)]) -> Result<(), WayError> {
    let Target::Web(url) = target else { return Ok(()) };
    let Some(port) = url.port() else { return Ok(()) };
    let differs = |(host, address): &&(String, SocketAddr)| {
        url.host_str() == Some(host) && address.port() != 0 && address.port() != port
    };
    match resolve.iter().find(differs) {
        Some((host, address)) => {
            let host = host.clone();
            Err(WayError::TwoPorts { host, port: address.port(), of_url: port })
        }
        None => Ok(()),
    }
}

/// Reads the headers of a file, one `Name: value` a line; empty lines and those that begin with `#` say
/// nothing. The faults quote no value.
pub fn headers(name: &str, text: &str) -> Result<Vec<(String, SecretString)>, Vec<Diagnostic>> {
    let (mut headers, mut faults) = (Vec::new(), Vec::new());
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match header(line) {
            Ok(header) => headers.push(header),
            Err(why) => faults.push(Diagnostic::in_file(format!("{name}:{}", at + 1), why)),
        }
    }
    if faults.is_empty() { Ok(headers) } else { Err(faults) }
}

fn header(line: &str) -> Result<(String, SecretString), String> {
    if line.starts_with([' ', '\t']) {
        return Err("a header must be on one line; this line begins with a space".to_owned());
    }
    let Some((name, value)) = line.split_once(':') else {
        return Err("a header must be `Name: value`".to_owned());
    };
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(is_token) {
        return Err("the part before the colon is not a valid header name".to_owned());
    }
    let value = value.trim();
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(format!("the value of `{name}` contains a control character"));
    }
    if name.eq_ignore_ascii_case("authorization") {
        return Err(AUTHORIZATION.to_owned());
    }
    let taken = NOT_THE_OPERATORS.iter().find(|(taken, _)| name.eq_ignore_ascii_case(taken));
    match taken {
        Some((_, why)) => Err(format!("`{name}` cannot be set: {why}")),
        None => Ok((name.to_owned(), value.to_owned().into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_names_have_no_path() {
        for typed in ["example.org", "example.org:8448", "[::1]:8448", "192.0.2.1"] {
            assert_eq!(server_name(typed).unwrap().to_string(), format!("https://{typed}"));
        }
        for typed in ["", "https://example.org", "example.org/a", "@a:example.org", "a b", ":1"] {
            assert!(server_name(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn a_proxys_password_is_neither_taken_nor_repeated() {
        let why = proxy("http://a:hunter2@proxy:3128").unwrap_err().to_string();
        assert!(why.contains("--proxy-auth-file") && !why.contains("hunter2"), "{why}");
    }

    #[test]
    fn proxies_are_http_or_socks() {
        for typed in ["http://proxy:3128", "https://proxy", "socks5://[::1]:1080", "socks5h://p"] {
            assert!(proxy(typed).is_ok(), "{typed}");
        }
        for typed in ["proxy:3128", "proxy", "ftp://proxy", "socks5:", ""] {
            assert!(proxy(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn addresses_come_with_and_without_a_port() {
        for (typed, host, address) in [
            ("hs=127.0.0.1", "hs", "127.0.0.1:0"),
            ("HS.example=127.0.0.1:8448", "hs.example", "127.0.0.1:8448"),
            ("hs=::1", "hs", "[::1]:0"),
            ("hs=[::1]", "hs", "[::1]:0"),
            ("hs=[::1]:8448", "hs", "[::1]:8448"),
        ] {
            assert_eq!(resolve(typed), Ok((host.to_owned(), address.parse().unwrap())));
        }
        for typed in ["hs", "hs=", "hs=there", "=127.0.0.1", "hs:443=127.0.0.1", "127.0.0.1=::1"] {
            assert!(resolve(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn two_ports_for_one_name_are_refused() {
        let one = [resolve("hs.example=127.0.0.1:9000").unwrap()];
        let check = |url: &str| check_ports(&url.parse().unwrap(), &one);
        assert!(check("https://hs.example:8448").is_err());
        assert!(check("https://hs.example:9000").is_ok());
        assert!(check("https://hs.example").is_ok());
        assert!(check("https://other.example:8448").is_ok());
    }

    #[test]
    fn headers_have_their_lines() {
        use crate::redact::ExposeSecret as _;
        let read = headers("h", "# for the gate\n\nX-Gate: a: b \r\nCookie: c=d\n").unwrap();
        let read: Vec<_> = read.iter().map(|(n, v)| (n.as_str(), v.expose_secret())).collect();
        assert_eq!(read, [("X-Gate", "a: b"), ("Cookie", "c=d")]);
        let faults = headers(
            "h",
            "\nX-Gate hunter2\n hunter2\nHost: hunter2\nauthorization: hunter2\nA b: hunter2\n\
             X-A: hunter2\u{1}\n",
        );
        let faults: Vec<String> = faults.unwrap_err().iter().map(ToString::to_string).collect();
        let wanted = [
            ("h:2", "Name: value"),
            ("h:3", "one line"),
            ("h:4", "--resolve"),
            ("h:5", "access tokens"),
            ("h:6", "not a valid header name"),
            ("h:7", "control character"),
        ];
        assert_eq!(faults.len(), wanted.len(), "{faults:?}");
        for (fault, (line, words)) in faults.iter().zip(wanted) {
            assert!(fault.contains(line) && fault.contains(words), "{fault}");
            assert!(!fault.contains("hunter2"), "{fault}");
        }
    }
}
