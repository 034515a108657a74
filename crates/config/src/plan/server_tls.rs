//! `tls` of a pool: how servers prove who they are, and who we are to them.
//!
//! Paths only: what the files hold is no part of a plan.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::keys::{CIPHER_SUITES, CURVES, TLS_VERSIONS};

/// `[pool.NAME.tls]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerTls {
    /// Who must have signed the certificates of servers.
    pub trust: Trust,
    /// `crl`: lists of revoked certificates; only with [`Trust::Authorities`].
    pub crl: Option<PathBuf>,
    /// `sni`: the name that is asked for; `None` is the host of the request.
    pub sni: Option<String>,
    /// `verify-name`: the name that certificates must be for; `None` is the one that is asked for.
    pub verify_name: Option<String>,
    /// `certificate` and `key`: what servers are shown; without an OCSP response.
    pub certificate: Option<super::CertificateFiles>,
    /// `versions`: of [`crate::keys::TLS_VERSIONS`], at least one, each once.
    pub versions: Vec<String>,
    /// `cipher-suites`: of [`crate::keys::CIPHER_SUITES`], at least one for each version.
    pub cipher_suites: Vec<String>,
    /// `curves`: of [`crate::keys::CURVES`], at least one that each version can use.
    pub curves: Vec<String>,
}

impl ServerTls {
    /// With whom is believed said, and everything else as it is by default.
    #[must_use]
    pub fn trusting(trust: Trust) -> Self {
        let all = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            trust,
            crl: None,
            sni: None,
            verify_name: None,
            certificate: None,
            versions: all(TLS_VERSIONS),
            cipher_suites: all(CIPHER_SUITES),
            curves: all(CURVES),
        }
    }
}

/// Whom we believe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// The authorities of the system.
    System,
    /// `ca`: those in this file.
    Authorities(PathBuf),
    /// `danger-accept-any-certificate`: anybody.
    Anybody,
}
