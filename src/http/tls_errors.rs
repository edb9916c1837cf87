//! Errors of TLS as sentences that say what to do. The library's own texts name types of its source.
use crate::http::tls::{Refusal, webpki_error};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, Error, OtherError};

const NAMES: usize = 3;

/// Describes why there is no TLS session, and what to do.
pub(super) fn tls_words(error: &Error) -> String {
    match error {
        Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerSentOversizedRecord => "its response is not TLS".to_owned(),
        Error::InvalidCertificate(why) => {
            format!("{}, or use --insecure", certificate_words(why))
        }
        Error::AlertReceived(alert) => alert_words(*alert),
        Error::PeerIncompatible(_) => {
            "it has no TLS version or cipher in common with homespec; switch on TLS 1.2 or 1.3 there"
                .to_owned()
        }
        Error::NoApplicationProtocol => {
            "it speaks neither HTTP/1.1 nor HTTP/2 by ALPN; check that it is the homeserver's port"
                .to_owned()
        }
        Error::PeerMisbehaved(_) | Error::DecryptError | Error::NoCertificatesPresented => {
            "it violates the TLS protocol; check what serves TLS there".to_owned()
        }
        Error::UnsupportedNameType => {
            "a certificate cannot have the host in the URL as a name".to_owned()
        }
        _ => "TLS failed for a reason that the TLS library does not name".to_owned(),
    }
}

/// Explains the alert of a server that ended the handshake (RFC 8446, section 6).
fn alert_words(alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    let words = match alert {
        Alert::UnrecognisedName => {
            "it knows no site of this name; take the name in its configuration, with \
             --resolve NAME=ADDR where the DNS does not know it"
        }
        Alert::CertificateRequired | Alert::BadCertificate | Alert::NoCertificate => {
            "it asks for a client certificate, and homespec has none; let this machine pass without one"
        }
        Alert::AccessDenied => "it denies access by TLS; let this machine pass",
        Alert::ProtocolVersion | Alert::InsufficientSecurity | Alert::HandshakeFailure => {
            "it refuses every TLS version and cipher that homespec offers; switch on TLS 1.2 or 1.3 \
             there, and check that it has a certificate for this name"
        }
        Alert::NoApplicationProtocol => {
            "it speaks neither HTTP/1.1 nor HTTP/2 by ALPN; check that it is the homeserver's port"
        }
        Alert::InternalError => "its TLS fails with an internal error; look at its log",
        other => {
            let number = u8::from(other);
            return format!("it ends the TLS handshake with alert {number}; look at its log");
        }
    };
    words.to_owned()
}

/// Describes why a certificate is refused, and what to do; `, or use --insecure` follows.
fn certificate_words(error: &CertificateError) -> String {
    match refusal(error) {
        Some(refusal) => words(&refusal.error, Some(refusal)),
        None => words(error, None),
    }
}

fn refusal(error: &CertificateError) -> Option<&Refusal> {
    match error {
        CertificateError::Other(OtherError(inner)) => inner.downcast_ref(),
        _ => None,
    }
}

#[allow(deprecated, reason = "other verifiers than that of the TLS library may still use them")]
fn words(error: &CertificateError, refusal: Option<&Refusal>) -> String {
    use CertificateError as Certificate;
    match error {
        Certificate::Expired => "its certificate has expired; renew it".to_owned(),
        Certificate::ExpiredContext { not_after, .. } => format!(
            "its certificate expired on {}; renew it, check the clock of this machine",
            day(*not_after)
        ),
        Certificate::NotValidYet => {
            "its certificate is not valid yet; check the clocks of both machines".to_owned()
        }
        Certificate::NotValidYetContext { not_before, .. } => format!(
            "its certificate is not valid before {}; check the clocks of both machines",
            day(*not_before)
        ),
        Certificate::NotValidForName => "its certificate is for another name; use that in the URL, \
             with --resolve NAME=ADDR where the DNS does not know it"
            .to_owned(),
        Certificate::NotValidForNameContext { expected, presented } => {
            names_words(expected, presented)
        }
        Certificate::UnknownIssuer => issuer_words(refusal),
        Certificate::Revoked => "its certificate was revoked; get a new one".to_owned(),
        Certificate::BadSignature => "a signature of its certificate or with its key is wrong: the \
             certificate and the key that it uses do not belong together, or another authority of \
             the same name issued it; give it a matching pair, or the right authority with --ca FILE"
            .to_owned(),
        Certificate::BadEncoding => {
            "its certificate cannot be read; make a new one".to_owned()
        }
        Certificate::UnhandledCriticalExtension => "its certificate has a critical extension that \
             is not understood; make one without it"
            .to_owned(),
        Certificate::UnsupportedSignatureAlgorithm
        | Certificate::UnsupportedSignatureAlgorithmContext { .. }
        | Certificate::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "its certificate is signed by an algorithm that is not supported; make one with ECDSA \
             (P-256, P-384), Ed25519 or RSA (2048 bits or more) and SHA-256"
                .to_owned()
        }
        Certificate::InvalidPurpose | Certificate::InvalidPurposeContext { .. } => {
            "its certificate is not for servers; make one with the extended key usage serverAuth"
                .to_owned()
        }
        Certificate::UnknownRevocationStatus
        | Certificate::ExpiredRevocationList
        | Certificate::ExpiredRevocationListContext { .. }
        | Certificate::InvalidOcspResponse => "whether its certificate was revoked cannot be told; \
             look at its OCSP response"
            .to_owned(),
        Certificate::ApplicationVerificationFailure => {
            "the system refuses its certificate; look at its trust settings".to_owned()
        }
        Certificate::Other(OtherError(inner)) => match webpki_error(error) {
            Some(inner) => webpki_words(inner, refusal),
            // What the system's own verifier says, which is a sentence.
            None => format!("its certificate is refused ({inner}); make a new one"),
        },
        _ => "its certificate is refused; make a new one".to_owned(),
    }
}

fn names_words(expected: &ServerName<'_>, presented: &[String]) -> String {
    let expected = expected.to_str();
    if presented.is_empty() {
        return format!(
            "its certificate names no host; make one with {expected} as subjectAltName"
        );
    }
    let mut names: Vec<&str> = presented.iter().take(NAMES).map(|name| bare(name)).collect();
    if presented.len() > NAMES {
        names.push("…");
    }
    format!(
        "its certificate is for another name ({}), not for {expected}; use one of its names in \
         the URL, with --resolve NAME=ADDR where the DNS does not know it",
        names.join(", ")
    )
}

fn issuer_words(refusal: Option<&Refusal>) -> String {
    let self_signed = refusal.is_some_and(|refusal| refusal.self_signed);
    let given_others = refusal.is_some_and(|refusal| refusal.given_others);
    let words = match (self_signed, given_others) {
        (true, false) => {
            "its certificate is self-signed, and not trusted here; give it with --ca FILE"
        }
        (true, true) => "its certificate is self-signed, and not in the file of --ca; put it there",
        (false, false) => {
            "its certificate is from an authority that is not trusted here; give the certificate of \
             that authority with --ca FILE"
        }
        (false, true) => {
            "its certificate is from an authority that neither this system nor the file of --ca \
             knows; put the certificate of that authority there, let the server send its \
             intermediate certificates"
        }
    };
    words.to_owned()
}

/// The errors of webpki that rustls passes on as they are.
fn webpki_words(error: &webpki::Error, refusal: Option<&Refusal>) -> String {
    use webpki::Error as Pki;
    let words = match error {
        Pki::CaUsedAsEndEntity => match refusal {
            Some(Refusal { self_signed: true, .. }) => return issuer_words(refusal),
            _ => {
                "its certificate is that of an authority (CA:TRUE); give that very certificate with \
                 --ca FILE"
            }
        },
        Pki::EndEntityUsedAsCa | Pki::PathLenConstraintViolated => {
            "its certificate was issued by one that may not issue any (CA:FALSE, or too long a \
             chain); give the server's own certificate with --ca FILE"
        }
        Pki::NameConstraintViolation => {
            "its certificate is for a name that its authority may not vouch for; get one from another"
        }
        Pki::UnsupportedCertVersion => {
            "its certificate is of an old version of X.509; make one of version 3, as \
             `openssl req -x509` does"
        }
        Pki::UnsupportedCriticalExtension => {
            "its certificate has a critical extension that is not understood; make one without it"
        }
        Pki::EmptyEkuExtension => {
            "its certificate has no purpose; make one with the extended key usage serverAuth"
        }
        Pki::CertDistrusted => "its certificate is distrusted; get a new one",
        Pki::SignatureAlgorithmMismatch => {
            "its certificate names two different signature algorithms; make a new one"
        }
        Pki::MaximumPathBuildCallsExceeded
        | Pki::MaximumPathDepthExceeded
        | Pki::MaximumSignatureChecksExceeded
        | Pki::MaximumNameConstraintComparisonsExceeded => {
            "its chain of certificates is too long or too tangled; let the server send only what \
             leads to its authority"
        }
        _ => "its certificate cannot be used; make a new one, as `openssl req -x509` does",
    };
    words.to_owned()
}

/// Names come as `DnsName("other.example")` and `IpAddress(192.0.2.1)`, or as they are.
fn bare(name: &str) -> &str {
    let inside = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.map_or(name, |inside| inside.trim_matches('"'))
}

fn day(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let at = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    at.map_or_else(|| "a day out of range".to_owned(), |at| at.strftime("%F").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn other(error: impl std::error::Error + Send + Sync + 'static) -> CertificateError {
        CertificateError::Other(OtherError(Arc::new(error)))
    }

    #[test]
    fn a_refused_certificate_is_a_sentence_without_names_of_types() {
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_700_000_000));
        let name = |presented: &[&str]| CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("hs.example").unwrap(),
            presented: presented.iter().map(|name| (*name).to_owned()).collect(),
        };
        for (error, words) in [
            (CertificateError::ExpiredContext { time: at, not_after: at }, "expired on 2023-11-14"),
            (
                CertificateError::NotValidYetContext { time: at, not_before: at },
                "not valid before 2023-11-14",
            ),
            (name(&[r#"DnsName("a.example")"#, "IpAddress(192.0.2.1)"]), "(a.example, 192.0.2.1)"),
            (name(&[]), "hs.example as subjectAltName"),
            (CertificateError::UnknownIssuer, "--ca FILE"),
            (CertificateError::Revoked, "revoked"),
            (CertificateError::BadSignature, "do not belong together"),
            (CertificateError::BadEncoding, "cannot be read"),
            (CertificateError::InvalidPurpose, "serverAuth"),
            (CertificateError::UnhandledCriticalExtension, "critical extension"),
            (CertificateError::ApplicationVerificationFailure, "the system refuses"),
            (CertificateError::InvalidOcspResponse, "OCSP"),
            (other(webpki::Error::CaUsedAsEndEntity), "that very certificate with --ca FILE"),
            (other(webpki::Error::UnsupportedCertVersion), "version 3"),
            (other(webpki::Error::BadDer), "cannot be used"),
            (other(std::io::Error::other("the keychain is locked")), "(the keychain is locked)"),
        ] {
            let said = tls_words(&Error::InvalidCertificate(error));
            assert!(said.contains(words) && said.ends_with(", or use --insecure"), "{said}");
            for type_name in ["Error", "DnsName", "IpAddress", "Context", "UsedAs", "OtherError"] {
                assert!(!said.contains(type_name), "{said}");
            }
        }
    }

    #[test]
    fn a_self_signed_certificate_is_told_from_an_authority_s() {
        let said = |self_signed, given_others| {
            let error = webpki::Error::CaUsedAsEndEntity;
            certificate_words(&other(Refusal { error: other(error), self_signed, given_others }))
        };
        assert!(said(true, false).contains("self-signed, and not trusted here"));
        assert!(said(true, true).contains("not in the file of --ca"));
        assert!(said(false, true).contains("that of an authority"));
    }

    #[test]
    fn an_alert_says_what_the_server_wants() {
        let said = |alert| tls_words(&Error::AlertReceived(alert));
        assert!(said(AlertDescription::UnrecognisedName).contains("--resolve"));
        assert!(said(AlertDescription::CertificateRequired).contains("client certificate"));
        assert!(said(AlertDescription::Unknown(200)).contains("alert 200"));
    }
}
