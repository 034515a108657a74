//! The words of the file for versions, cipher suites and curves, as the library knows them.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs as crypto};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion, version};

/// The library with these suites and curves only.
pub(crate) fn provider(suites: &[String], curves: &[String]) -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: suites.iter().filter_map(|name| suite(name)).collect(),
        kx_groups: curves.iter().filter_map(|name| group(name)).collect(),
        ..crypto::default_provider()
    })
}

pub(crate) fn versions(names: &[String]) -> Vec<&'static SupportedProtocolVersion> {
    names.iter().filter_map(|name| one_version(name)).collect()
}

fn suite(name: &str) -> Option<SupportedCipherSuite> {
    crypto::ALL_CIPHER_SUITES.iter().find(|suite| suite.suite().as_str() == Some(name)).copied()
}

fn group(name: &str) -> Option<&'static dyn SupportedKxGroup> {
    Some(match name {
        "X25519MLKEM768" => crypto::kx_group::X25519MLKEM768,
        "X25519" => crypto::kx_group::X25519,
        "P-256" => crypto::kx_group::SECP256R1,
        "P-384" => crypto::kx_group::SECP384R1,
        _ => return None,
    })
}

fn one_version(name: &str) -> Option<&'static SupportedProtocolVersion> {
    match name {
        "1.2" => Some(&version::TLS12),
        "1.3" => Some(&version::TLS13),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_config::keys::{CIPHER_SUITES, CURVES, TLS_VERSIONS};

    use super::*;

    #[test]
    fn every_word_of_the_file_is_known_to_the_library() {
        for name in CIPHER_SUITES {
            assert!(suite(name).is_some(), "{name}");
        }
        for name in CURVES {
            assert!(group(name).is_some(), "{name}");
        }
        for name in TLS_VERSIONS {
            assert!(one_version(name).is_some(), "{name}");
        }
    }
}
