//! Picks the certificate for the name that a client asks for (SNI, RFC 6066 §3): the exact name, else a wildcard for
//! its first label, else the first certificate, unless unknown names are refused.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};

use super::examine::Examined;

/// Certificates for one name, the preferred first.
type Candidates = Vec<Arc<CertifiedKey>>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Chooser {
    exact: HashMap<String, Candidates>,
    /// By what follows the first label: `example.com` for `*.example.com`.
    below: HashMap<String, Candidates>,
    /// For every other name; empty when those are refused.
    other: Candidates,
}

impl Chooser {
    /// The first of `certificates` is for unknown names, unless `strict`.
    pub(crate) fn new(certificates: &[Examined], strict: bool) -> Self {
        let mut chooser = Self { exact: HashMap::new(), below: HashMap::new(), other: Vec::new() };
        for certificate in certificates {
            for name in &certificate.names {
                let place = match name.strip_prefix("*.") {
                    Some(rest) => chooser.below.entry(rest.to_owned()),
                    None => chooser.exact.entry(name.clone()),
                };
                place.or_default().push(certificate.key.clone());
            }
        }
        for candidates in chooser.exact.values_mut().chain(chooser.below.values_mut()) {
            // RSA costs the server most; the order of the file decides between equals.
            candidates.sort_by_key(|key| key.key.algorithm() == SignatureAlgorithm::RSA);
        }
        if let Some(first) = certificates.first().filter(|_| !strict) {
            let same_name =
                first.names.first().and_then(|name| chooser.candidates(&name.replacen('*', "x", 1)));
            let alone = || vec![first.key.clone()];
            let holds = |found: &&Candidates| found.iter().any(|key| Arc::ptr_eq(key, &first.key));
            chooser.other = same_name.filter(holds).cloned().unwrap_or_else(alone);
        }
        chooser
    }

    /// The certificates that have this name, in lower case.
    fn candidates(&self, name: &str) -> Option<&Candidates> {
        self.exact.get(name).or_else(|| self.below.get(name.split_once('.')?.1))
    }

    /// The certificate for a client that asks for `name` and understands these signatures.
    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let known = name.and_then(|name| match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => self.candidates(&name.to_ascii_lowercase()),
            false => self.candidates(name),
        });
        let candidates = known.unwrap_or(&self.other);
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        // A client that understands none is told so by the library.
        candidates.iter().find(fits).or(candidates.first()).cloned()
    }
}

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
    }
}
