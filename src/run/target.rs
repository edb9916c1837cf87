//! Where the homeserver is, as a value.
use std::fmt;
use std::path::PathBuf;
use url::Url;

/// Where a homeserver is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Behind an `http` or `https` URL; it may have a path.
    Web(Url),
    /// Behind a unix socket.
    Socket {
        /// Where the socket lies, as an absolute path.
        path: PathBuf,
        /// What stands before `/_matrix`: empty, or a path that begins with a slash and ends
        /// without one.
        prefix: String,
    },
}

impl Target {
    /// The URL below which requests are sent, without a slash at its end. Behind a socket there is no
    /// host to name; what stands there goes into the `Host` header.
    pub fn origin(&self) -> String {
        match self {
            Target::Web(url) => url.as_str().trim_end_matches('/').to_owned(),
            Target::Socket { prefix, .. } => format!("http://localhost{prefix}"),
        }
    }

    /// The URL of what lies at `path` below the target, as reports show it. That of a socket has the
    /// form `unix:SOCKET:PATH`.
    pub fn url_of(&self, path: &str) -> String {
        match self {
            Target::Web(_) => self.origin() + path,
            Target::Socket { path: socket, prefix } => {
                format!("unix:{}:{prefix}{path}", socket.display())
            }
        }
    }

    /// `http` or `https`: what a URL of this homeserver begins with, as far as can be told from here.
    pub fn scheme(&self) -> &str {
        match self {
            Target::Web(url) => url.scheme(),
            Target::Socket { .. } => "http",
        }
    }
}

impl fmt::Display for Target {
    /// As it is typed, without a slash at its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Web(_) => f.write_str(&self.origin()),
            Target::Socket { .. } => f.write_str(self.url_of("").trim_end_matches(':')),
        }
    }
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
}
