//! Conversion of errors of the HTTP library to [`TransportError`].
use crate::http::message::{TransportError, TransportErrorKind};
use crate::http::tls_errors::tls_words;
use std::error::Error;
use std::io;

pub(super) fn trouble(error: &reqwest::Error) -> TransportError {
    if let Some(tls) = causes(error).find_map(tls_error) {
        let kind = match tls {
            rustls::Error::InvalidMessage(_)
            | rustls::Error::InappropriateMessage { .. }
            | rustls::Error::InappropriateHandshakeMessage { .. }
            | rustls::Error::PeerSentOversizedRecord => TransportErrorKind::Protocol,
            _ => TransportErrorKind::Tls,
        };
        return TransportError { kind, text: tls_words(tls) };
    }
    let text = innermost(error);
    // A handshake without a response is a timeout.
    let kind = if error.is_timeout() {
        TransportErrorKind::Timeout
    } else if error.is_connect() {
        TransportErrorKind::Connect
    } else if causes(error).any(is_closed) {
        TransportErrorKind::Closed
    } else {
        TransportErrorKind::Protocol
    };
    TransportError { kind, text }
}

/// The last cause in the chain, the only one with details.
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
