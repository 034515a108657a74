//! Decides what `tls` and `hsts` mean, and refuses combinations with which no client could come in.

use std::num::NonZeroU32;

use evenkeel_http::hsts::Hsts;

use super::{count, time};
use crate::keys::{CIPHER_SUITES, CURVES, Section, TLS_VERSIONS};
use crate::model::{self, Listener, Setting};
use crate::plan::{CertificateFiles, Certificates, ClientAuth, Tls};
use crate::problems::{At, Problems};

/// `None` when something is missing or wrong, which was reported.
pub(super) fn lower(typed: &model::Tls, problems: &mut Problems) -> Option<Tls> {
    const SECTION: Section = Section::Tls;
    let Spoken { versions, cipher_suites, curves } =
        spoken(typed.versions.as_ref(), typed.cipher_suites.as_ref(), typed.curves.as_ref(), problems);
    let client_auth = match &typed.client_auth {
        None => None,
        Some(auth) => Some(ClientAuth {
            ca: auth.ca.as_ref()?.value.clone(),
            required: auth.mode.is_none_or(|mode| mode.value == "require"),
            crl: auth.crl.as_ref().map(|path| path.value.clone()),
        }),
    };
    Some(Tls {
        certificates: certificates(typed.certificates.as_ref()?)?,
        strict_sni: typed.strict_sni.is_some_and(|flag| flag.value),
        versions,
        cipher_suites,
        curves,
        handshake_timeout: time(typed.handshake_timeout, SECTION, "handshake-timeout", super::HTTP),
        max_handshakes: NonZeroU32::new(
            u32::try_from(count(typed.max_handshakes, SECTION, "max-handshakes")).ok()?,
        )?,
        client_auth,
    })
}

/// What is spoken, defaults filled in.
pub(super) struct Spoken {
    pub(super) versions: Vec<String>,
    pub(super) cipher_suites: Vec<String>,
    pub(super) curves: Vec<String>,
}

/// Fills in defaults, and reports lists with which a version could not be spoken.
pub(super) fn spoken(
    versions: Option<&At<Vec<&'static str>>>,
    typed_suites: Option<&At<Vec<&'static str>>>,
    typed_curves: Option<&At<Vec<&'static str>>>,
    problems: &mut Problems,
) -> Spoken {
    let versions = words(versions, TLS_VERSIONS);
    let cipher_suites = words(typed_suites, CIPHER_SUITES);
    let curves = words(typed_curves, CURVES);
    for version in &versions {
        let fits = |suite: &String| suite.starts_with("TLS13_") == (version == "1.3");
        if let Some(list) = typed_suites.filter(|_| !cipher_suites.iter().any(fits)) {
            let draft = problems
                .error(list.span, format!("no cipher suite is for TLS {version}, which is to be spoken"));
            draft.help(match version.as_str() {
                "1.3" => "add one whose name starts with `TLS13_`, or write `versions = [\"1.2\"]`",
                _ => "add one whose name starts with `TLS_`, or write `versions = [\"1.3\"]`",
            });
        }
    }
    if let Some(list) = typed_curves
        && versions.iter().any(|version| version == "1.2")
        && curves.iter().all(|curve| curve.contains("MLKEM"))
    {
        problems
            .error(list.span, "no curve is for TLS 1.2, which is to be spoken")
            .help("add `\"X25519\"`, or write `versions = [\"1.3\"]`");
    }
    Spoken { versions, cipher_suites, curves }
}

fn words(typed: Option<&At<Vec<&'static str>>>, all: &[&str]) -> Vec<String> {
    let words = typed.map_or(all, |typed| typed.value.as_slice());
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn certificates(typed: &model::Certificates) -> Option<Certificates> {
    Some(match typed {
        model::Certificates::Directory(path) => Certificates::Directory(path.clone()),
        model::Certificates::Listed(list) => Certificates::Listed(
            list.iter()
                .map(|files| {
                    let path = |setting: &Setting<std::path::PathBuf>| {
                        setting.as_ref().map(|path| path.value.clone())
                    };
                    Some(CertificateFiles {
                        certificate: path(&files.certificate)?,
                        key: path(&files.key),
                        ocsp: path(&files.ocsp),
                    })
                })
                .collect::<Option<_>>()?,
        ),
    })
}

/// Reports what contradicts itself on a listener.
pub(super) fn check(typed: &Listener, problems: &mut Problems) {
    if let (Some(hsts), None) = (&typed.hsts, &typed.tls)
        && let Some(span) = hsts.span
    {
        problems
            .error(span, "`hsts` on a listener without `tls`")
            .label("browsers believe it only over TLS (RFC 6797 §8.1)")
            .help(
                "move it to the listener with `tls`; here `redirect-to-https = true` brings browsers there",
            );
    }
    let Some(redirect) = typed.redirect_to_https.filter(|flag| flag.value) else { return };
    if let Some(span) = typed.tls.as_ref().and_then(|tls| tls.span) {
        problems
            .error(redirect.span, "`redirect-to-https` on a listener that has `tls` goes round in circles")
            .see(span, "its clients come over TLS already")
            .help("remove it, or give plain text a listener of its own");
    }
    if let Some(pool) = &typed.pool {
        problems
            .error(pool.span, "`pool` means nothing on a listener with `redirect-to-https`")
            .see(redirect.span, "what no route takes is redirected")
            .help("remove `pool`, or make it a route");
    }
}

/// `None` when `max-age` is missing or wrong, which was reported.
pub(super) fn hsts(typed: &model::Hsts, problems: &mut Problems) -> Option<Hsts> {
    let age = typed.max_age?;
    if age.value.subsec_nanos() > 0 {
        problems
            .error(age.span, "`max-age` has a part of a second")
            .help("browsers count in whole seconds: round it");
    }
    Some(Hsts {
        max_age: age.value.as_secs(),
        include_subdomains: typed.include_subdomains.is_some_and(|flag| flag.value),
        preload: typed.preload.is_some_and(|flag| flag.value),
    })
}
