//! What changes in the TLS of a listener. Files are named; what they hold is told by whoever reads them.

use evenkeel_http::hsts::Hsts;

use super::Differences;
use super::shown::duration;
use crate::plan::{CertificateFiles, Certificates, ClientAuth, Listener, Tls};

pub(super) fn compare(old: &Listener, new: &Listener, differences: &mut Differences) {
    let (old, new) = match (&old.tls, &new.tls) {
        (Some(old), Some(new)) => (old, new),
        (None, Some(_)) => return differences.add("tls added for new connections".into()),
        (Some(_), None) => return differences.add("tls removed for new connections".into()),
        (None, None) => return,
    };
    differences.compare("tls.certificates", &certificates(old), &certificates(new));
    differences.compare("tls.strict-sni", &old.strict_sni, &new.strict_sni);
    differences.compare("tls.versions", &old.versions.join(", "), &new.versions.join(", "));
    differences.compare("tls.cipher-suites", &old.cipher_suites.join(", "), &new.cipher_suites.join(", "));
    differences.compare("tls.curves", &old.curves.join(", "), &new.curves.join(", "));
    let timeout = |tls: &Tls| duration(tls.handshake_timeout);
    differences.compare("tls.handshake-timeout", &timeout(old), &timeout(new));
    differences.compare("tls.max-handshakes", &old.max_handshakes, &new.max_handshakes);
    let auth = |tls: &Tls| tls.client_auth.as_ref().map_or_else(|| "none".into(), client_auth);
    differences.compare("tls.client-auth", &auth(old), &auth(new));
}

fn certificates(tls: &Tls) -> String {
    match &tls.certificates {
        Certificates::Directory(path) => format!("all in {}", path.display()),
        Certificates::Listed(list) => list.iter().map(files).collect::<Vec<_>>().join("; "),
    }
}

pub(super) fn files(files: &CertificateFiles) -> String {
    let more = [("key", &files.key), ("ocsp", &files.ocsp)];
    let more = more.iter().filter_map(|(name, path)| Some(format!(", {name} {}", path.as_ref()?.display())));
    format!("{}{}", files.certificate.display(), more.collect::<String>())
}

fn client_auth(auth: &ClientAuth) -> String {
    let mode = if auth.required { "require" } else { "request" };
    let crl = auth.crl.as_ref().map(|path| format!(", crl = {path:?}")).unwrap_or_default();
    format!("{{ ca = {:?}, mode = {mode:?}{crl} }}", auth.ca)
}

pub(super) fn hsts(hsts: Option<Hsts>) -> String {
    let Some(hsts) = hsts else { return "none".into() };
    let age = duration(std::time::Duration::from_secs(hsts.max_age));
    format!(
        "{{ max-age = \"{age}\", include-subdomains = {}, preload = {} }}",
        hsts.include_subdomains, hsts.preload
    )
}
