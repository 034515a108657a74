//! Who is believed to be a server, and what is said of one who is not.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// The authorities that the system trusts.
pub(super) fn of_system<'a>(
    certificates: impl Iterator<Item = CertificateDer<'a>>,
) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    // Systems bring along some that nobody can use.
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        return Err("the system trusts no authority: install the package `ca-certificates`, or name the authority of \
                    the servers with `ca`"
            .into());
    }
    Ok(roots)
}

/// Those of a file, as PEM.
pub(super) fn of_file(text: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(text.as_bytes()) {
        let root = root.map_err(|error| format!("`ca` is no PEM: {error}; copy the whole file again"))?;
        roots.add(root).map_err(|error| format!("`ca` holds a certificate that is no authority: {error}"))?;
    }
    if roots.is_empty() {
        return Err("`ca` holds no certificate: write those of the authorities as PEM".into());
    }
    Ok(roots)
}

/// Believes whom these authorities believe and have not `revoked`, under the name `expected`, or else the one that is asked for.
pub(super) fn verifier(
    roots: RootCertStore,
    revoked: Option<Vec<CertificateRevocationListDer<'static>>>,
    expected: Option<ServerName<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let mut builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    if let Some(lists) = revoked {
        // As for clients: what signs an authority is the operator's own choice.
        builder = builder.with_crls(lists).only_check_end_entity_revocation();
    }
    let verifier = builder.build().map_err(|error| format!("`ca` cannot be used: {error}"))?;
    Ok(match expected {
        None => verifier,
        Some(name) => Arc::new(Named { verifier, name }),
    })
}

/// Verifies under another name than the one that is asked for.
#[derive(Debug)]
struct Named {
    verifier: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verifier.verify_server_cert(certificate, chain, &self.name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Takes everybody who has the key of the certificate that he shows.
#[derive(Debug)]
pub(super) struct Anybody(pub(super) Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
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
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The one certificate that we have for servers that ask for one.
#[derive(Debug)]
pub(super) struct Shown(pub(super) Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.key.choose_scheme(schemes).map(|_| self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// What the operator reads about a certificate that does not hold.
pub(super) fn sentence(why: &CertificateError, name: &ServerName<'_>) -> String {
    match why {
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names = if presented.is_empty() { "no name".into() } else { presented.join(", ") };
            format!(
                "its certificate is for {names} and not for {}: say in `tls` of the pool what to ask for (`sni`) or what it must be \
                 for (`verify-name`)",
                expected.to_str()
            )
        }
        CertificateError::NotValidForName => format!(
            "its certificate is not for {}: say in `tls` of the pool what to ask for (`sni`) or what it must be for (`verify-name`)",
            name.to_str()
        ),
        // A bad signature: an authority of the same name is trusted, and has another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "nobody who is trusted has signed its certificate: name its authority with `ca` in `tls` of the pool".into()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired: renew it there".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate does not hold yet: look at the clocks".into()
        }
        CertificateError::Revoked => {
            "its authority has revoked its certificate (`crl` in `tls` of the pool): give it a new one".into()
        }
        CertificateError::UnknownRevocationStatus => "`crl` in `tls` of the pool has no list of the authority that has signed its \
             certificate: add it"
            .into(),
        // The library's word for one that calls itself an authority.
        other if other.to_string().contains("CaUsedAsEndEntity") => "its certificate is that of an authority (`CA:TRUE`), which \
             no server may show: make it one of its own, as with `openssl req -x509 -addext basicConstraints=CA:FALSE`"
            .into(),
        other => format!("its certificate does not hold: {other}"),
    }
}
