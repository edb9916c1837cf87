//! TLS of the client. Every configuration names its cryptography provider; nothing is installed for
//! the whole process, which belongs to the user of the library.
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use std::sync::Arc;

/// The certificates of servers that are accepted.
#[derive(Debug)]
pub(super) enum Trust {
    /// None: TLS is not used.
    Nothing,
    /// Any, unchecked.
    Anything,
    /// Those of the system's authorities and of these, and each of these itself.
    SystemAnd(Vec<CertificateDer<'static>>),
}

/// A TLS configuration could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum SetupError {
    /// The system has no certificates, and none are given.
    #[error("the system has no certificates")]
    NoCertificates,
    /// A given certificate is invalid, or cannot belong to an authority.
    #[error("one in it cannot be read as a certificate")]
    Unusable,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl From<Error> for SetupError {
    fn from(error: Error) -> SetupError {
        SetupError::Other(error.to_string())
    }
}

/// A configuration for HTTP/2 and HTTP/1.1, by TLS 1.2 or 1.3.
pub(super) fn config(trust: Trust) -> Result<ClientConfig, SetupError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?;
    let mut config = match trust {
        Trust::Nothing => {
            builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        }
        Trust::Anything => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AcceptAny))
            .with_no_client_auth(),
        Trust::SystemAnd(given) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier::new(given, provider)?))
            .with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The platform's verifier, and one for server certificates from `--ca`.
#[derive(Debug)]
struct Verifier {
    platform: rustls_platform_verifier::Verifier,
    given: Vec<CertificateDer<'static>>,
    /// Trusts only the given certificates; nothing if there are none.
    of_given: Option<Arc<WebPkiServerVerifier>>,
}

impl Verifier {
    fn new(
        given: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Verifier, SetupError> {
        let mut roots = RootCertStore::empty();
        for certificate in &given {
            roots.add(certificate.clone()).map_err(|_| SetupError::Unusable)?;
        }
        let of_given = match given.is_empty() {
            true => None,
            false => Some(
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                    .build()
                    .map_err(|error| SetupError::Other(error.to_string()))?,
            ),
        };
        let platform = match given.is_empty() {
            true => rustls_platform_verifier::Verifier::new(provider),
            false => rustls_platform_verifier::Verifier::new_with_extra_roots(
                given.iter().cloned(),
                provider,
            ),
        };
        let platform = platform.map_err(|error| match error {
            Error::General(text) if text.contains("No CA certificates") => {
                SetupError::NoCertificates
            }
            other => other.into(),
        })?;
        Ok(Verifier { platform, given, of_given })
    }

    /// Checks a server certificate that is byte for byte one of the given ones, such as one of
    /// `openssl req -x509`: an authority's by its extensions, and still the server's own. The user
    /// trusts it, so it needs no issuer. Dates and name are checked here, and its key by the
    /// signature of the handshake. Returns nothing for any other certificate.
    fn verify_given(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Option<Result<ServerCertVerified, Error>> {
        let verifier = self.of_given.as_ref()?;
        self.given.iter().find(|given| given.as_ref() == leaf.as_ref())?;
        Some(match verifier.verify_server_cert(leaf, intermediates, name, &[], now) {
            // webpki checks the dates before the issuer, and the name after that.
            Err(Error::InvalidCertificate(why)) if lacks_only_issuer_or_name(&why) => {
                has_name(leaf, name).map(|()| ServerCertVerified::assertion())
            }
            other => other,
        })
    }
}

fn lacks_only_issuer_or_name(error: &CertificateError) -> bool {
    use CertificateError::{NotValidForNameContext, UnknownIssuer};
    matches!(error, UnknownIssuer | NotValidForNameContext { .. })
        || matches!(webpki_error(error), Some(webpki::Error::CaUsedAsEndEntity))
}

/// Returns true if a trusted server certificate is for this name. Without any `subjectAltName`, its
/// common name counts, as in curl: `openssl req -x509 -subj /CN=NAME` creates such certificates.
fn has_name(leaf: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
    let refused = match verify_server_name(&ParsedCertificate::try_from(leaf)?, name) {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    let Error::InvalidCertificate(CertificateError::NotValidForNameContext { expected, presented }) =
        &refused
    else {
        return Err(refused);
    };
    if !presented.is_empty() {
        return Err(refused);
    }
    let Some(common) = subject_of(leaf).as_deref().and_then(common_name) else {
        return Err(refused);
    };
    if common.eq_ignore_ascii_case(&name.to_str()) {
        return Ok(());
    }
    let (expected, presented) = (expected.clone(), vec![common]);
    Err(CertificateError::NotValidForNameContext { expected, presented }.into())
}

fn subject_of(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    Some(certificate.subject().to_vec())
}

/// The last common name (OID 2.5.4.3) of a name in DER, without the head of its outer sequence.
fn common_name(mut name: &[u8]) -> Option<String> {
    const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    let mut found = None;
    while !name.is_empty() {
        let (mut set, rest) = element(name)?;
        name = rest;
        while !set.is_empty() {
            let (attribute, rest) = element(set)?;
            set = rest;
            let (oid, value) = element(attribute)?;
            if oid == COMMON_NAME {
                found = String::from_utf8(element(value)?.0.to_vec()).ok();
            }
        }
    }
    found
}

/// The content of the first element of some DER, and what follows it.
fn element(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match der.get(1..)? {
        [0x81, length, rest @ ..] => (usize::from(*length), rest),
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        [length @ 0..=0x7f, rest @ ..] => (usize::from(*length), rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// A refused certificate, with details for the message.
#[derive(Debug, thiserror::Error)]
#[error("the certificate is refused")]
pub(super) struct Refusal {
    /// The verifier's error.
    pub error: CertificateError,
    /// True if its issuer is its own subject.
    pub self_signed: bool,
    /// True if `--ca` was given and it is not among those certificates.
    pub given_others: bool,
}

impl Refusal {
    fn of(
        error: CertificateError,
        leaf: &CertificateDer<'_>,
        given: &[CertificateDer<'_>],
    ) -> Self {
        let self_signed = webpki::EndEntityCert::try_from(leaf)
            .is_ok_and(|certificate| certificate.issuer() == certificate.subject());
        let is_given = given.iter().any(|one| one.as_ref() == leaf.as_ref());
        Refusal { error, self_signed, given_others: !given.is_empty() && !is_given }
    }
}

/// The webpki error inside an error without a rustls variant.
pub(super) fn webpki_error(error: &CertificateError) -> Option<&webpki::Error> {
    match error {
        CertificateError::Other(OtherError(inner)) => inner.downcast_ref(),
        _ => None,
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let by_platform = self.platform.verify_server_cert(leaf, intermediates, name, ocsp, now);
        let verified = match by_platform {
            Ok(verified) => return Ok(verified),
            Err(error) => self.verify_given(leaf, intermediates, name, now).unwrap_or(Err(error)),
        };
        verified.map_err(|error| match error {
            Error::InvalidCertificate(why) => {
                let refusal = Refusal::of(why, leaf, &self.given);
                CertificateError::Other(OtherError(Arc::new(refusal))).into()
            }
            other => other,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.platform.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.platform.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.platform.supported_verify_schemes()
    }
}

/// Accepts every certificate, for `--insecure`.
#[derive(Debug)]
struct AcceptAny;

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    /// All schemes: no signature is checked.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        use SignatureScheme as Scheme;
        vec![
            Scheme::ED25519,
            Scheme::ECDSA_NISTP256_SHA256,
            Scheme::ECDSA_NISTP384_SHA384,
            Scheme::ECDSA_NISTP521_SHA512,
            Scheme::RSA_PSS_SHA256,
            Scheme::RSA_PSS_SHA384,
            Scheme::RSA_PSS_SHA512,
            Scheme::RSA_PKCS1_SHA256,
            Scheme::RSA_PKCS1_SHA384,
            Scheme::RSA_PKCS1_SHA512,
            Scheme::ED448,
            Scheme::ECDSA_SHA1_Legacy,
            Scheme::RSA_PKCS1_SHA1,
        ]
    }
}
