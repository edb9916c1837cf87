//! From an error of the HTTP library to a [`Trouble`]: where a request failed, in a reader's words.
use crate::wire::{Trouble, TroubleKind};
use rustls::CertificateError;
use rustls::pki_types::UnixTime;
use std::error::Error;
use std::io;

/// Where a request failed, and why.
pub(super) fn trouble(error: &reqwest::Error) -> Trouble {
    if let Some(tls) = causes(error).find_map(tls_error) {
        let kind = match tls {
            rustls::Error::InvalidMessage(_) => TroubleKind::Protocol,
            _ => TroubleKind::Tls,
        };
        return Trouble { kind, text: tls_words(tls) };
    }
    let text = innermost(error);
    let kind = if error.is_connect() {
        TroubleKind::Connect
    } else if error.is_timeout() {
        TroubleKind::Timeout
    } else if causes(error).any(is_closed) {
        TroubleKind::Closed
    } else {
        TroubleKind::Protocol
    };
    Trouble { kind, text }
}

/// The last cause in the chain: the only one that says what happened.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}

fn is_closed(cause: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    if let Some(io) = cause.downcast_ref::<io::Error>() {
        return matches!(
            io.kind(),
            ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof
        );
    }
    let text = cause.to_string();
    text.contains("connection closed") || text.contains("end of file")
}

/// An I/O error does not name what it wraps among its causes, and may wrap another.
fn tls_error<'e>(cause: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    match cause.downcast_ref::<io::Error>() {
        Some(io) => tls_error(io.get_ref()?),
        None => cause.downcast_ref(),
    }
}

fn tls_words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidMessage(_) => "what it answers is not TLS".to_owned(),
        rustls::Error::InvalidCertificate(why) => {
            format!("{}; --insecure tests it all the same", certificate_words(why))
        }
        other => format!("TLS failed: {other}"),
    }
}

/// How many names of a certificate are told.
const NAMES: usize = 3;

fn certificate_words(error: &CertificateError) -> String {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext, UnknownIssuer,
    };
    match error {
        Expired => "its certificate has expired".to_owned(),
        ExpiredContext { not_after, .. } => {
            format!("its certificate expired on {}", day(*not_after))
        }
        NotValidYet => "its certificate is not valid yet".to_owned(),
        NotValidYetContext { not_before, .. } => {
            format!("its certificate is not valid before {}", day(*not_before))
        }
        NotValidForName => "its certificate is for another name".to_owned(),
        NotValidForNameContext { presented, .. } if !presented.is_empty() => {
            let names: Vec<&str> = presented.iter().take(NAMES).map(|name| bare(name)).collect();
            format!("its certificate is for another name ({})", names.join(", "))
        }
        NotValidForNameContext { .. } => "its certificate is for no name".to_owned(),
        UnknownIssuer => {
            "its certificate is of an authority that is not trusted here: give that with --ca FILE"
                .to_owned()
        }
        other => format!("its certificate is refused ({other})"),
    }
}

/// Names come as `DnsName("other.example")`.
fn bare(name: &str) -> &str {
    name.split('"').nth(1).unwrap_or(name)
}

fn day(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| "a day long gone".to_owned(), |at| at.strftime("%F").to_string())
}
