//! Says whether a certificate can be used with its key, and what it says; if not, why and what to do. Tells nothing of
//! what a key holds.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, SignatureAlgorithm};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::material::{Certificate, Clients};

/// A certificate that can be used.
#[derive(Clone, Debug)]
pub struct Examined {
    /// The names and patterns (`*.example.com`) that it is for, in lower case.
    pub names: Vec<String>,
    /// Whose it is.
    pub subject: String,
    /// From when on it holds, in seconds of Unix time.
    pub not_before: u64,
    /// Until when it holds, in seconds of Unix time.
    pub not_after: u64,
    /// `RSA`, `ECDSA` or another.
    pub algorithm: &'static str,
    pub(crate) key: Arc<CertifiedKey>,
}

impl Examined {
    /// What is wrong with its time, if anything is.
    #[must_use]
    pub fn expired(&self, now: SystemTime) -> Option<String> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if now > self.not_after {
            let days = Duration::from_secs(now - self.not_after).as_secs() / 86_400;
            return Some(format!("it has expired {days} days ago: renew it"));
        }
        (now < self.not_before).then(|| "it does not hold yet: look at the clock, or wait".to_owned())
    }
}

/// Examines a certificate and its key. An expired one can be used: no client would be better off without it.
///
/// # Errors
/// Why it cannot be used, naming the file, and what to do.
pub fn certificate(material: &Certificate) -> Result<Examined, String> {
    let file = material.file.display();
    let chain = CertificateDer::pem_slice_iter(material.chain.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("the certificate {file} is no PEM: {error}; copy the whole file again"))?;
    let mut chain = chain;
    // Some authorities repeat the certificate at the head of its chain.
    chain.dedup();
    let Some(first) = chain.first() else {
        return Err(format!(
            "the certificate {file} holds none: a PEM file has a line `-----BEGIN CERTIFICATE-----`; convert DER with \
             `openssl x509 -inform der`"
        ));
    };
    let facts = facts(first).map_err(|why| format!("the certificate {file} cannot be understood: {why}"))?;
    let key_file = material.key_file.display();
    let key = PrivateKeyDer::from_pem_slice(material.key.0.as_bytes()).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound if material.key.0.contains("ENCRYPTED") => {
            format!("the key {key_file} has a passphrase: take it away with `openssl pkey -in {key_file}`")
        }
        rustls::pki_types::pem::Error::NoItemsFound if material.key_file == material.file => {
            format!("the certificate {file} comes without a key: name the file with `key = \"…\"`")
        }
        rustls::pki_types::pem::Error::NoItemsFound => {
            format!("the key {key_file} holds none: a PEM file has a line `-----BEGIN PRIVATE KEY-----`")
        }
        // Says at most which marker is missing, never what stands between them.
        _ => format!("the key {key_file} is no PEM: copy the whole file again"),
    })?;
    if material.key.0.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(format!(
            "the key {key_file} has a passphrase: take it away with `openssl pkey -in {key_file}`"
        ));
    }
    let key = super::provider().key_provider.load_private_key(key).map_err(|_| {
        format!("the key {key_file} is of no kind that is known: use RSA of 2048 bits or more, P-256, P-384 or Ed25519")
    })?;
    let mut certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // Unknown: the library cannot tell for this kind of key.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(_) => {
            return Err(format!(
                "the key {key_file} does not belong to the certificate {file}: take the one that it was requested with"
            ));
        }
    }
    certified.ocsp = material.ocsp.as_ref().map(|bytes| bytes.0.clone());
    let algorithm = match certified.key.algorithm() {
        SignatureAlgorithm::RSA => "RSA",
        SignatureAlgorithm::ECDSA => "ECDSA",
        SignatureAlgorithm::ED25519 => "Ed25519",
        _ => "other",
    };
    let Facts { names, subject, not_before, not_after } = facts;
    Ok(Examined { names, subject, not_before, not_after, algorithm, key: Arc::new(certified) })
}

/// What a certificate says.
struct Facts {
    names: Vec<String>,
    subject: String,
    not_before: u64,
    not_after: u64,
}

/// What a certificate says; without its key.
fn facts(der: &CertificateDer<'_>) -> Result<Facts, String> {
    let (_, parsed) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
    let mut names = Vec::new();
    if let Ok(Some(alternative)) = parsed.subject_alternative_name() {
        for name in &alternative.value.general_names {
            if let GeneralName::DNSName(name) = name {
                names.push(name.to_ascii_lowercase());
            }
        }
    }
    let common = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    // Browsers look at alternative names only, but a certificate of one's own authority may have none.
    names.extend(common.filter(|_| names.is_empty()).map(str::to_ascii_lowercase));
    let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap_or(0);
    Ok(Facts {
        names,
        subject: parsed.subject().to_string(),
        not_before: seconds(parsed.validity().not_before),
        not_after: seconds(parsed.validity().not_after),
    })
}

/// The lists of revoked certificates in a text.
pub(super) fn revoked(text: &str, key: &str) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let lists = CertificateRevocationListDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("`{key}` is no PEM: {error}; copy the whole file again"))?;
    if lists.is_empty() {
        return Err(format!(
            "`{key}` holds no list: a PEM file has a line `-----BEGIN X509 CRL-----`; convert DER with `openssl crl -inform der`"
        ));
    }
    Ok(lists)
}

/// Examines the authorities of clients.
///
/// # Errors
/// Why they cannot be used, and what to do.
pub fn clients(clients: &Clients, required: bool) -> Result<Arc<dyn ClientCertVerifier>, String> {
    verifier(clients, required, super::provider())
}

pub(crate) fn verifier(
    clients: &Clients,
    required: bool,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(clients.ca.as_bytes()) {
        let root =
            root.map_err(|error| format!("`client-auth.ca` is no PEM: {error}; copy the whole file again"))?;
        roots
            .add(root)
            .map_err(|error| format!("`client-auth.ca` holds a certificate that is no authority: {error}"))?;
    }
    if roots.is_empty() {
        return Err("`client-auth.ca` holds no certificate: write those of the authorities as PEM".into());
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if let Some(text) = &clients.crl {
        let lists = revoked(text, "client-auth.crl")?;
        // What signs an authority is the operator's own choice; what an authority signed may be revoked.
        builder = builder.with_crls(lists).only_check_end_entity_revocation();
    }
    if !required {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|error| format!("`client-auth` cannot be used: {error}"))
}
