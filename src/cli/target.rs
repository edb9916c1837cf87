//! Words that say how the homeserver is reached, read into values. Pure; the errors are sentences for
//! whoever typed the words, and hold nothing that may be a secret.
use crate::diagnostic::Diagnostic;
use crate::run::target::Target;
use crate::secret::SecretString;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use url::{Host, ParseError, Url};

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
const OF_THE_CONNECTION: &str = "it is about the connection, which is the HTTP library's business";
const AUTHORIZATION: &str = "`Authorization` carries the access tokens of the cases, and requests without one are among \
     them; let this machine pass the front end by its address, or by another header";

/// Reads the homeserver's URL: `https://…`, `http://…`, `unix:/SOCKET` or `unix:/SOCKET:/PREFIX`.
pub fn target(text: &str) -> Result<Target, String> {
    match text.strip_prefix("unix:") {
        Some(rest) => socket(rest).map_err(|why| refused(text, &why)),
        None => web(text).map(Target::Web).map_err(|why| refused(text, &why)),
    }
}

fn refused(text: &str, why: &str) -> String {
    // What stands before an @ may be a password.
    let shown = if text.contains('@') { "this".to_owned() } else { format!("`{text}`") };
    format!("{shown} is no homeserver URL: {why}")
}

fn web(text: &str) -> Result<Url, String> {
    let url = match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        // `localhost:8008` reads like the scheme `localhost`.
        Ok(_) | Err(ParseError::RelativeUrlWithoutBase) => return Err(without_scheme(text)),
        Err(error) => return Err(error.to_string()),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user name; accounts are given with --accounts FILE".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has a query or a fragment".to_owned());
    }
    if let Some((base, _)) = url.as_str().split_once("/_matrix") {
        return Err(format!("`/_matrix` and what follows is added to it: did you mean {base}?"));
    }
    Ok(url)
}

fn without_scheme(text: &str) -> String {
    const SCHEMES: &str = "it begins with https://, http:// or unix:/";
    let scheme = if is_near(text) { "http" } else { "https" };
    let meant = format!("{scheme}://{text}");
    let is_host = |url: &Url| url.host_str().is_some_and(|host| !host.is_empty());
    match web(&meant).ok().filter(is_host) {
        Some(_) if !text.contains("://") && !text.starts_with('/') => {
            format!("{SCHEMES}; did you mean {meant}?")
        }
        _ => SCHEMES.to_owned(),
    }
}

/// Whether a text without a scheme names this machine or an address: hardly ever is there TLS.
fn is_near(text: &str) -> bool {
    match Url::parse(&format!("http://{text}")).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        None => false,
    }
}

fn socket(rest: &str) -> Result<Target, String> {
    // `unix:///path` is how others write it.
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (path, prefix) = rest.split_once(':').unwrap_or((rest, ""));
    if !Path::new(path).is_absolute() {
        return Err(
            "a socket is named by its absolute path, as in unix:/run/homeserver.sock".to_owned()
        );
    }
    let prefix = prefix.trim_end_matches('/');
    if !prefix.is_empty() && !prefix.starts_with('/') {
        return Err(
            "behind the colon stands a path, as in unix:/run/homeserver.sock:/prefix".to_owned()
        );
    }
    // The same rules, and the same encoding, as for a URL with a host.
    let whole = web(&format!("http://localhost{prefix}"))?;
    let prefix = whole.path().trim_end_matches('/').to_owned();
    Ok(Target::Socket { path: path.into(), prefix })
}

/// Reads a server name whose well-known file says where its homeserver is, into the target that has the
/// file.
pub fn server_name(text: &str) -> Result<Target, String> {
    let refused = || {
        Err(format!(
            "--discover: `{text}` is no server name; it is written as in @user:example.org"
        ))
    };
    let Ok(url) = Url::parse(&format!("https://{text}")) else { return refused() };
    let has_host = url.host_str().is_some_and(|host| !host.is_empty());
    let only_a_name = !text.is_empty() && !text.contains(['/', '?', '#', '@', '\\', ' ']);
    if has_host && only_a_name { Ok(Target::Web(url)) } else { refused() }
}

/// Reads the URL of a proxy.
pub fn proxy(text: &str) -> Result<Url, String> {
    const FORM: &str =
        "--proxy: it is written as http://HOST:PORT, https://HOST:PORT or socks5h://HOST:PORT";
    let url = Url::parse(text).map_err(|_| FORM.to_owned())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "--proxy: user and password do not stand in the URL, where others may read them; \
             put user:password into a file and name it with --proxy-auth-file FILE"
                .to_owned(),
        );
    }
    let known = matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h");
    let has_host = url.host_str().is_some_and(|host| !host.is_empty());
    if known && has_host { Ok(url) } else { Err(FORM.to_owned()) }
}

/// Reads `HOST=ADDR`, where ADDR is `192.0.2.1`, `192.0.2.1:8448`, `2001:db8::1` or
/// `[2001:db8::1]:8448`. Without a port it is 0.
pub fn resolve(word: &str) -> Result<(String, SocketAddr), String> {
    let refused = |why: &str| format!("--resolve: `{word}` {why}");
    let form = || refused("is not HOST=ADDR, e.g. hs.example=127.0.0.1 or hs.example=[::1]:8448");
    let (host, address) = word.split_once('=').ok_or_else(form)?;
    let address = address_of(address).ok_or_else(form)?;
    match Host::parse(host) {
        Ok(Host::Domain(host)) => Ok((host, address)),
        Ok(_) => Err(refused("names an address, and only names are looked up")),
        Err(_) if host.contains(':') => {
            Err(refused("has a port beside the name; it holds for every port of it"))
        }
        Err(_) => Err(form()),
    }
}

fn address_of(text: &str) -> Option<SocketAddr> {
    let in_brackets = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let without_port = || in_brackets.unwrap_or(text).parse::<IpAddr>().ok();
    text.parse().ok().or_else(|| Some(SocketAddr::new(without_port()?, 0)))
}

/// Whether a name is to be found at a port though the URL says another one: the URL's would be taken.
pub fn check_ports(target: &Target, resolve: &[(String, SocketAddr)]) -> Result<(), String> {
    let Target::Web(url) = target else { return Ok(()) };
    let Some(port) = url.port() else { return Ok(()) };
    let differs = |(host, address): &&(String, SocketAddr)| {
        url.host_str() == Some(host) && address.port() != 0 && address.port() != port
    };
    match resolve.iter().find(differs) {
        Some((host, address)) => Err(format!(
            "--resolve: {host} is to be found at port {}, and the URL says {port}; leave one of them out",
            address.port()
        )),
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
        return Err("a header stands on one line; this one begins with a space".to_owned());
    }
    let Some((name, value)) = line.split_once(':') else {
        return Err("a header is written as `Name: value`".to_owned());
    };
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(is_token) {
        return Err("what stands before the colon is no header name".to_owned());
    }
    let value = value.trim();
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(format!("the value of `{name}` holds a control character"));
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

    fn read(text: &str) -> String {
        match target(text) {
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
            ("matrix.org", "did you mean https://matrix.org?"),
            ("hs.example:8448/a", "did you mean https://hs.example:8448/a?"),
            ("localhost:8008", "did you mean http://localhost:8008?"),
            ("127.0.0.1:8008", "did you mean http://127.0.0.1:8008?"),
            ("[::1]:8008", "did you mean http://[::1]:8008?"),
            ("file:/etc/passwd", "begins with https://"),
            ("ftp://hs.example", "begins with https://"),
            ("/run/hs.sock", "unix:/"),
            ("", "begins with https://"),
            ("https://hs.example/?a", "a query"),
            ("https://hs.example/#a", "a fragment"),
            ("https://hs.example/_matrix/client", "did you mean https://hs.example?"),
            ("https://hs.example:99999", "port"),
            ("unix:hs.sock", "absolute path"),
            ("unix:/hs.sock:prefix", "a path"),
            ("unix:/hs.sock:/a?b", "a query"),
        ] {
            let why = target(typed).unwrap_err();
            assert!(why.contains(words), "{typed}: {why}");
        }
    }

    #[test]
    fn no_password_is_repeated() {
        for typed in ["https://a:hunter2@hs", "https://a:hunter2@hs:99999", "a:hunter2@hs"] {
            let why = target(typed).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
        let why = proxy("http://a:hunter2@proxy:3128").unwrap_err();
        assert!(why.contains("--proxy-auth-file") && !why.contains("hunter2"), "{why}");
    }

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
        let check = |url: &str| check_ports(&target(url).unwrap(), &one);
        assert!(check("https://hs.example:8448").is_err());
        assert!(check("https://hs.example:9000").is_ok());
        assert!(check("https://hs.example").is_ok());
        assert!(check("https://other.example:8448").is_ok());
    }

    #[test]
    fn headers_have_their_lines() {
        use crate::secret::ExposeSecret as _;
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
            ("h:6", "no header name"),
            ("h:7", "control character"),
        ];
        assert_eq!(faults.len(), wanted.len(), "{faults:?}");
        for (fault, (line, words)) in faults.iter().zip(wanted) {
            assert!(fault.contains(line) && fault.contains(words), "{fault}");
            assert!(!fault.contains("hunter2"), "{fault}");
        }
    }
}
