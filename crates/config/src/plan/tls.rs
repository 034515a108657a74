//! `tls`: what clients are told about who we are, and what is asked of them.
//!
//! Paths only: what the files hold is no part of a plan.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[listener.NAME.tls]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// `certificates`.
    pub certificates: Certificates,
    /// `strict-sni`: names that no certificate has are refused.
    pub strict_sni: bool,
    /// `versions`: of [`crate::keys::TLS_VERSIONS`], at least one, each once.
    pub versions: Vec<String>,
    /// `cipher-suites`: of [`crate::keys::CIPHER_SUITES`], at least one for each version.
    pub cipher_suites: Vec<String>,
    /// `curves`: of [`crate::keys::CURVES`], at least one that each version can use.
    pub curves: Vec<String>,
    /// `handshake-timeout`.
    pub handshake_timeout: Duration,
    /// `max-handshakes`: at once, all workers together.
    pub max_handshakes: NonZeroU32,
    /// `client-auth`; `None` asks clients for nothing.
    pub client_auth: Option<ClientAuth>,
}

/// `certificates`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certificates {
    /// A list, in file order; at least one.
    Listed(Vec<CertificateFiles>),
    /// All that are in a directory.
    Directory(PathBuf),
}

/// The files of one certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CertificateFiles {
    /// `certificate`: it and its chain.
    pub certificate: PathBuf,
    /// `key`; `None` is in the file of the certificate.
    pub key: Option<PathBuf>,
    /// `ocsp`.
    pub ocsp: Option<PathBuf>,
}

/// `client-auth`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientAuth {
    /// `ca`.
    pub ca: PathBuf,
    /// `mode = "require"`: nobody comes in without a certificate.
    pub required: bool,
    /// `crl`.
    pub crl: Option<PathBuf>,
}
