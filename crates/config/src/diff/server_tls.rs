//! What changes in the TLS of a pool. Files are named; what they hold is told by whoever reads them.

use super::Differences;
use super::tls::files;
use crate::plan::{Pool, ServerTls, Trust};

pub(super) fn compare(old: &Pool, new: &Pool, differences: &mut Differences) {
    let (old, new) = match (&old.tls, &new.tls) {
        (Some(old), Some(new)) => (old, new),
        (None, Some(_)) => return differences.add("tls added for new connections to servers".into()),
        (Some(_), None) => return differences.add("tls removed for new connections to servers".into()),
        (None, None) => return,
    };
    differences.compare("tls.trust", &trust(old), &trust(new));
    let crl =
        |tls: &ServerTls| tls.crl.as_ref().map_or_else(|| "none".into(), |path| path.display().to_string());
    differences.compare("tls.crl", &crl(old), &crl(new));
    let sni = |tls: &ServerTls| tls.sni.clone().unwrap_or_else(|| "the host of the request".into());
    differences.compare("tls.sni", &sni(old), &sni(new));
    let name = |tls: &ServerTls| tls.verify_name.clone().unwrap_or_else(|| "as sni".into());
    differences.compare("tls.verify-name", &name(old), &name(new));
    let certificate = |tls: &ServerTls| tls.certificate.as_ref().map_or_else(|| "none".into(), files);
    differences.compare("tls.certificate", &certificate(old), &certificate(new));
    differences.compare("tls.versions", &old.versions.join(", "), &new.versions.join(", "));
    differences.compare("tls.cipher-suites", &old.cipher_suites.join(", "), &new.cipher_suites.join(", "));
    differences.compare("tls.curves", &old.curves.join(", "), &new.curves.join(", "));
}

fn trust(tls: &ServerTls) -> String {
    match &tls.trust {
        Trust::System => "the system's authorities".into(),
        Trust::Authorities(path) => format!("ca {}", path.display()),
        Trust::Anybody => "anybody (danger-accept-any-certificate)".into(),
    }
}
