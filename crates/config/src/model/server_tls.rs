//! Reads `tls` of a pool.

use std::net::IpAddr;
use std::path::PathBuf;

use super::Setting;
use super::read::Reader;
use super::sticky::is_domain;
use super::tls::NO_PATH;
use crate::problems::{Problems, Span};

#[derive(Debug)]
pub(crate) struct ServerTls {
    pub(crate) ca: Setting<PathBuf>,
    pub(crate) crl: Setting<PathBuf>,
    pub(crate) sni: Setting<String>,
    pub(crate) verify_name: Setting<String>,
    pub(crate) certificate: Setting<PathBuf>,
    pub(crate) key: Setting<PathBuf>,
    pub(crate) versions: Setting<Vec<&'static str>>,
    pub(crate) cipher_suites: Setting<Vec<&'static str>>,
    pub(crate) curves: Setting<Vec<&'static str>>,
    pub(crate) accept_any: Setting<bool>,
    /// Where the file names it.
    pub(crate) span: Option<Span>,
}

impl Reader<'_> {
    /// What was typed for a pool's `tls`, of which this is the table.
    pub(super) fn server_tls(&self, problems: &mut Problems) -> ServerTls {
        ServerTls {
            ca: self.file("ca", NO_PATH, problems),
            crl: self.file("crl", NO_PATH, problems),
            sni: self.checked("sni", problems, |name| {
                let wrong = "is no name that can be asked for";
                // RFC 6066 §3 knows no addresses.
                (!is_domain(name) || name.parse::<IpAddr>().is_ok())
                    .then(|| (wrong, "write a name such as `\"www.example.com\"`, without port".into()))
            }),
            verify_name: self.checked("verify-name", problems, |name| {
                let help = "write a name such as `\"www.example.com\"` or an IP address, without port";
                let is_name = is_domain(name) || name.parse::<IpAddr>().is_ok();
                (!is_name).then(|| ("is no name of a server", help.into()))
            }),
            certificate: self.file("certificate", NO_PATH, problems),
            key: self.file("key", NO_PATH, problems),
            versions: self.word_list("versions", problems),
            cipher_suites: self.word_list("cipher-suites", problems),
            curves: self.word_list("curves", problems),
            accept_any: self.flag("danger-accept-any-certificate", problems),
            span: self.span,
        }
    }
}
