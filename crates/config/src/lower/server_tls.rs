//! Decides what `tls` of a pool means, and what its checks speak.

use super::tls::{Spoken, spoken};
use super::{HTTP, TCP};
use crate::model::{self, Model, Pool, WordOr};
use crate::plan::{CertificateFiles, ServerTls, Trust};
use crate::problems::Problems;

/// `None` when something is missing or wrong, which was reported.
pub(super) fn lower(typed: &model::ServerTls, problems: &mut Problems) -> Option<ServerTls> {
    let Spoken { versions, cipher_suites, curves } =
        spoken(typed.versions.as_ref(), typed.cipher_suites.as_ref(), typed.curves.as_ref(), problems);
    let any = typed.accept_any.filter(|flag| flag.value);
    if let Some(any) = any {
        let pointless = [
            ("crl", typed.crl.as_ref().map(|crl| crl.span)),
            ("ca", typed.ca.as_ref().map(|ca| ca.span)),
            ("verify-name", typed.verify_name.as_ref().map(|name| name.span)),
        ];
        for (name, span) in pointless.into_iter().filter_map(|(name, span)| Some((name, span?))) {
            problems
                .error(any.span, format!("`{name}` means nothing with `danger-accept-any-certificate`"))
                .see(span, "nothing is compared with this")
                .help("remove `danger-accept-any-certificate`: servers are then verified");
        }
        problems
            .warning(any.span, "the servers of this pool are not verified: anybody in between can be one")
            .help("name the authority that has signed their certificates with `ca = \"/etc/…/ca.pem\"`");
    }
    if let (Some(crl), None, None) = (&typed.crl, &typed.ca, any) {
        problems
            .error(crl.span, "`crl` without `ca`")
            .label("authorities that the system trusts would all need their lists in it")
            .help("name the authority of the servers with `ca = \"/etc/…/ca.pem\"`, or remove `crl`");
    }
    if let (Some(key), None) = (&typed.key, &typed.certificate) {
        problems.error(key.span, "`key` without `certificate`").help(
            "name the file of its certificate with `certificate = \"/etc/…/client.pem\"`, or remove `key`",
        );
    }
    Some(ServerTls {
        trust: match (any, &typed.ca) {
            (Some(_), _) => Trust::Anybody,
            (None, Some(ca)) => Trust::Authorities(ca.value.clone()),
            (None, None) => Trust::System,
        },
        crl: typed.crl.as_ref().map(|crl| crl.value.clone()),
        sni: typed.sni.as_ref().map(|name| name.value.to_ascii_lowercase()),
        verify_name: typed.verify_name.as_ref().map(|name| name.value.to_ascii_lowercase()),
        certificate: typed.certificate.as_ref().map(|certificate| CertificateFiles {
            certificate: certificate.value.clone(),
            key: typed.key.as_ref().map(|key| key.value.clone()),
            ocsp: None,
        }),
        versions,
        cipher_suites,
        curves,
    })
}

/// Whether checks of the pool speak TLS.
pub(super) fn of_checks(pool: &Pool, problems: &mut Problems) -> bool {
    let typed = match pool.health.as_ref().map(|health| &health.value) {
        Some(WordOr::Table(health)) => health.tls,
        _ => None,
    };
    if let Some(typed) = typed.filter(|typed| typed.value && pool.tls.is_none()) {
        problems
            .error(typed.span, "`tls` of a check in a pool without `tls`")
            .help("add `[pool.NAME.tls]`, which says whom to believe, or remove the line");
    }
    typed.map_or(pool.tls.is_some(), |typed| typed.value)
}

/// Warns of pools whose servers are asked for no name although they may need one.
pub(super) fn names(model: &Model, problems: &mut Problems) {
    let of_tcp = |name: &str| {
        let is_tcp = |mode: Option<&str>| mode.unwrap_or(HTTP) == TCP;
        model.listeners.iter().filter(|listener| is_tcp(listener.mode.map(|mode| mode.value))).any(
            |listener| {
                let routes = listener.routes.iter().filter_map(|route| route.pool.as_ref());
                listener.pool.iter().chain(routes).any(|pool| pool.value == name)
            },
        )
    };
    for pool in &model.pools {
        let Some(tls) = &pool.tls else { continue };
        let named =
            tls.sni.is_some() || tls.verify_name.is_some() || tls.accept_any.is_some_and(|flag| flag.value);
        if let (false, Some(span)) = (named || !of_tcp(pool.name.value.as_str()), tls.span) {
            problems
                .warning(span, "a listener with `mode = \"tcp\"` sends here, where nobody sees a `Host`")
                .label("the certificates must be for the IP addresses of the servers")
                .help("add `sni = \"NAME\"`, the name that the certificates are for");
        }
    }
}
