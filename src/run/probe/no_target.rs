//! What stands in the way where there is nothing to test.
use super::VERSIONS;
use crate::http::discovery::{self, Delegation, NotDiscovered};
use crate::http::liveness::has_list;
use crate::http::message::{self, Exchange, Request, Response, TransportErrorKind};
use crate::http::sender::RequestSender;
use crate::model::reason::Reason;
use crate::redact::Redactor;

/// Why there is nothing to test.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NoTarget {
    /// Nothing answers there.
    #[error("{url} cannot be reached: {why}")]
    Unreachable {
        /// The homeserver's URL.
        url: String,
        /// The cause, and what to do where that is known.
        why: String,
    },
    /// The well-known file of a server name does not say where the homeserver is.
    #[error("no homeserver found for {name}: {why}")]
    NotDiscovered {
        /// The server name.
        name: String,
        /// The cause.
        why: NotDiscovered,
    },
    /// Something answers, but it is no homeserver.
    #[error("{url} does not look like a Matrix homeserver: {why}")]
    NotMatrix {
        /// The homeserver's URL.
        url: String,
        /// What it answers, and what to do where that is known.
        why: String,
    },
    /// A signal came before it was known.
    #[error("the run was stopped before the homeserver responded")]
    Interrupted,
    /// It was waited for and did not come.
    #[error("{last} (after waiting {seconds:.0} s)")]
    NotReady {
        /// How long it was waited for.
        seconds: f64,
        /// What was so at the end.
        last: Box<NoTarget>,
    },
}

impl NoTarget {
    /// The reason why everything is blocked.
    pub fn reason(&self) -> Reason {
        self.cause()(self.to_string())
    }

    fn cause(&self) -> fn(String) -> Reason {
        match self {
            NoTarget::Unreachable { .. } => Reason::Unreachable,
            NoTarget::NotDiscovered { .. } => Reason::NotDiscovered,
            NoTarget::NotMatrix { .. } => Reason::NotAHomeserver,
            NoTarget::Interrupted => Reason::StoppedWaiting,
            NoTarget::NotReady { last, .. } => last.cause(),
        }
    }

    /// A server may send back what it was sent, headers of the operator included.
    pub(super) fn redacted(self, redactor: &Redactor) -> NoTarget {
        match self {
            NoTarget::Unreachable { url, why } => {
                NoTarget::Unreachable { url, why: redactor.text(&why) }
            }
            NoTarget::NotMatrix { url, why } => {
                NoTarget::NotMatrix { url, why: redactor.text(&why) }
            }
            NoTarget::NotReady { seconds, last } => {
                NoTarget::NotReady { seconds, last: Box::new(last.redacted(redactor)) }
            }
            // What it says holds nothing of what was sent: no header of the operator was.
            other @ (NoTarget::NotDiscovered { .. } | NoTarget::Interrupted) => other,
        }
    }
}

/// What stands in the way of a target that gave no answer to the first request, or none that can be
/// used.
pub(super) async fn no_answer(
    sender: &RequestSender,
    other: Option<OtherScheme>,
    exchanges: &mut Vec<Exchange>,
) -> NoTarget {
    let url = sender.http.target().to_string();
    let trouble = match exchanges.last().map(|exchange| exchange.result.clone()) {
        Some(Ok(response)) => return not_matrix(sender, &[VERSIONS], &response, exchanges).await,
        Some(Err(trouble)) => trouble,
        None => return NoTarget::Interrupted,
    };
    use TransportErrorKind::{Closed, Protocol, Timeout};
    if matches!(trouble.kind, Closed | Protocol | Timeout) {
        let other = match (other, trouble.kind) {
            (Some(other), _) => other,
            // Nobody answered in time, and nobody was asked: the run was stopped.
            (None, Timeout) => return NoTarget::Unreachable { url, why: trouble.text },
            (None, _) => OtherScheme::request(sender).await,
        };
        let is_spoken = other.is_spoken();
        let advice = other.advice();
        exchanges.extend(other.exchange);
        if is_spoken {
            return NoTarget::Unreachable { url, why: advice };
        }
    }
    let why = match trouble.kind {
        Protocol => format!("its response is not valid HTTP ({trouble})"),
        Closed => format!("it closes the connection without a complete response ({trouble})"),
        _ => trouble.text,
    };
    NoTarget::Unreachable { url, why }
}

/// The list of versions asked for by the other of `http` and `https`, at the same host and port.
pub(super) struct OtherScheme {
    url: String,
    /// Nothing if there is no other scheme.
    pub(super) exchange: Option<Exchange>,
}

impl OtherScheme {
    pub(super) async fn request(sender: &RequestSender) -> OtherScheme {
        let request = Request::new(Some("getVersions"), "GET", VERSIONS);
        match sender.http.send_by_other_scheme(&request).await {
            Some((url, exchange)) => OtherScheme { url, exchange: Some(exchange) },
            None => OtherScheme { url: String::new(), exchange: None },
        }
    }

    fn response(&self) -> Option<&Response> {
        self.exchange.as_ref()?.result.as_ref().ok()
    }

    /// Whether a homeserver answers.
    pub(super) fn is_homeserver(&self) -> bool {
        self.response().is_some_and(|response| has_list(response, "versions"))
    }

    /// Whether the scheme is spoken there. An answer by TLS shows it; without TLS a web server answers 400, or leads to
    /// `https`, where it speaks TLS.
    fn is_spoken(&self) -> bool {
        let leads_to_tls = |response: &Response| {
            let location = response.header("location").unwrap_or_default();
            response.status == 400 || location.starts_with("https:")
        };
        self.response()
            .is_some_and(|response| self.url.starts_with("https:") || !leads_to_tls(response))
    }

    pub(super) fn advice(&self) -> String {
        match self.url.starts_with("https:") {
            true => format!("it speaks TLS: use {}", self.url),
            false => format!("it does not speak TLS: use {}", self.url),
        }
    }
}

/// What is answered in the place of a homeserver, with what to do about it.
pub(super) async fn not_matrix(
    sender: &RequestSender,
    asked: &[&str],
    response: &Response,
    exchanges: &mut Vec<Exchange>,
) -> NoTarget {
    let url = sender.http.target().to_string();
    // What web servers say to those that come without TLS.
    if response.status == 400 {
        let other = OtherScheme::request(sender).await;
        let (is_spoken, why) = (other.is_spoken(), other.advice());
        exchanges.extend(other.exchange);
        if is_spoken {
            return NoTarget::Unreachable { url, why };
        }
    }
    let delegation = discovery::delegation(&sender.http, exchanges).await;
    let asked: Vec<String> = asked.iter().map(|path| format!("GET {path}")).collect();
    let advice = match response.header("location").filter(|_| (300..400).contains(&response.status))
    {
        Some(location) => format!(
            "; it redirects to {}, and homespec follows no redirect: give the homeserver's own URL",
            message::clipped(&location)
        ),
        None if response.status == 429 => "; it limits everything: try again later".to_owned(),
        None if asks_for_basic(response) => BASIC.to_owned(),
        None if delegation.is_none() && response.is_page() => FRONT_END.to_owned(),
        None => String::new(),
    };
    let words = message::words(response);
    let elsewhere = delegation.map_or_else(String::new, |Delegation { name, url }| {
        let url = message::clipped(url.as_str().trim_end_matches('/'));
        format!("; its well-known file names {url} as the homeserver: use --discover {name}")
    });
    let why = format!("{} answered {words}{advice}{elsewhere}", asked.join(" and "));
    NoTarget::NotMatrix { url, why }
}

/// Whether an answer asks for a user and a password by HTTP Basic (RFC 7617).
fn asks_for_basic(response: &Response) -> bool {
    let challenges = response.header("www-authenticate").unwrap_or_default().to_ascii_lowercase();
    response.status == 401 && challenges.split(',').any(|one| one.trim().starts_with("basic"))
}

const BASIC: &str = "; a gateway in front of it asks for a user and a password (HTTP Basic), in the header that \
     carries access tokens: let it pass requests that have a header of its own, and give that with --header-file \
     FILE, as a line such as `X-Gate: SECRET`";

pub(super) const FRONT_END: &str =
    "; is that the homeserver's URL, and does the proxy in front of it pass /_matrix on?";
