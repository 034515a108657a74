//! Reads what TLS to servers needs: authorities, those of the system, and our own certificate.

use std::path::PathBuf;
use std::sync::Arc;

use evenkeel_config::plan::{Plan, Pool, ServerTls, Trust};
use evenkeel_proxy::tls::connector;
use evenkeel_proxy::tls::examine::{self, Examined};
use evenkeel_proxy::tls::material::{Bytes, ServerMaterial};

use super::{Trouble, certificate, list};

/// The most authorities of a system: those of Debian are some 150.
const MOST_ROOTS: usize = 4096;

/// What was read for one pool.
#[derive(Clone, Debug, Default)]
pub(crate) struct FoundForPool {
    /// `None` when nothing could be used in place of something that is needed.
    pub(crate) material: Option<ServerMaterial>,
    /// Our certificate and what it says.
    pub(crate) examined: Option<(PathBuf, Examined)>,
    /// What is wrong.
    pub(crate) troubles: Vec<Trouble>,
}

impl FoundForPool {
    /// Nothing but this trouble.
    pub(crate) fn of(trouble: &Trouble) -> Self {
        Self { troubles: vec![trouble.clone()], ..Self::default() }
    }
}

/// Reads what a pool needs. What cannot be used is taken from `before`, if that has it.
pub(crate) fn read_for_pool(tls: &ServerTls, before: Option<&ServerMaterial>, roots: &Roots) -> FoundForPool {
    let mut found =
        FoundForPool { troubles: roots.trouble_for(tls).into_iter().collect(), ..FoundForPool::default() };
    let roots = &roots.certificates;
    let mut material = ServerMaterial::default();
    if let Trust::Authorities(path) = &tls.trust {
        let read = || {
            let of = |path: &PathBuf, what| list(path, what).map_err(|why| (path.clone(), why));
            let with = |ca: &String, crl| {
                let alone = ServerMaterial { ca: Some(ca.clone()), crl, certificate: None };
                connector::check(tls, &alone, roots).map(|()| alone)
            };
            let ca = of(path, "authorities")?;
            let alone = with(&ca, None).map_err(|why| (path.clone(), why))?;
            let Some(path) = &tls.crl else { return Ok(alone) };
            let crl = of(path, "revoked certificates")?;
            with(&ca, Some(crl)).map_err(|why| (path.clone(), why))
        };
        // A list belongs to its authorities: both are kept, or none.
        let believed = read().or_else(|(file, why)| {
            let kept = before.filter(|before| before.ca.is_some()).cloned();
            found.troubles.push(Trouble { file, why, replaced: kept.is_some() });
            kept.ok_or(())
        });
        if let Ok(ServerMaterial { ca, crl, .. }) = believed {
            (material.ca, material.crl) = (ca, crl);
        }
    }
    if let Some(files) = &tls.certificate {
        let read = certificate(files)
            .and_then(|certificate| examine::certificate(&certificate).map(|said| (certificate, said)));
        let kept = |why| {
            let kept = before
                .and_then(|before| before.certificate.clone())
                .filter(|kept| kept.file == files.certificate);
            let file = files.certificate.clone();
            found.troubles.push(Trouble { file, why, replaced: kept.is_some() });
            let said = examine::certificate(kept.as_ref()?).ok()?;
            Some((kept?, said))
        };
        if let Some((certificate, said)) = read.map_or_else(kept, Some) {
            found.examined = Some((certificate.file.clone(), said));
            material.certificate = Some(certificate);
        }
    }
    if found.troubles.iter().all(|trouble| trouble.replaced) {
        match connector::check(tls, &material, roots) {
            Ok(()) => found.material = Some(material),
            Err(why) => {
                let file = files(tls).into_iter().next().unwrap_or_default();
                found.troubles.push(Trouble { file, why, replaced: false });
            }
        }
    }
    found
}

/// The authorities that the system trusts.
///
/// # Errors
/// When there are none.
fn system_roots() -> Result<Vec<Bytes>, Trouble> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let file = system_files().into_iter().next().unwrap_or_else(|| "/etc/ssl/certs".into());
        let first = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        let why = format!(
            "the system has no list of authorities that it trusts{first}: install the package `ca-certificates`, or name the \
             authority of the servers with `ca` in `tls` of the pool"
        );
        return Err(Trouble { file, why, replaced: false });
    }
    Ok(found.certs.into_iter().take(MOST_ROOTS).map(|certificate| Bytes(certificate.to_vec())).collect())
}

/// The authorities of the system.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roots {
    /// Empty when no pool believes them.
    pub(crate) certificates: Arc<Vec<Bytes>>,
    /// They are gone, and those of before stay.
    trouble: Option<Trouble>,
}

impl Roots {
    /// What a pool with this `tls` must be told of them.
    fn trouble_for(&self, tls: &ServerTls) -> Option<Trouble> {
        self.trouble.clone().filter(|_| tls.trust == Trust::System)
    }
}

/// The authorities of the system, if a pool of the plan, or whoever asks for its document, believes them. When they are gone, those of `before` stay.
///
/// # Errors
/// When there are none, and were none before.
pub(crate) fn roots_for(plan: &Plan, before: Option<&Arc<Vec<Bytes>>>) -> Result<Roots, Trouble> {
    let of_system = |tls: &ServerTls| tls.trust == Trust::System;
    let of_pool = |pool: &Pool| pool.tls.as_ref().is_some_and(of_system);
    let of_document = |pool: &Pool| pool.document_tls().as_ref().is_some_and(of_system);
    if !plan.pools.iter().any(|pool| of_pool(pool) || of_document(pool)) {
        return Ok(Roots::default());
    }
    match system_roots() {
        Ok(roots) => {
            let same = before.filter(|before| ***before == roots).cloned();
            Ok(Roots { certificates: same.unwrap_or_else(|| Arc::new(roots)), trouble: None })
        }
        Err(trouble) => match before.filter(|before| !before.is_empty()) {
            Some(before) => Ok(Roots {
                certificates: before.clone(),
                trouble: Some(Trouble { replaced: true, ..trouble }),
            }),
            None => Err(trouble),
        },
    }
}

/// The files that a pool needs.
pub(super) fn files(tls: &ServerTls) -> Vec<PathBuf> {
    let mut files = match &tls.trust {
        Trust::System => system_files(),
        Trust::Authorities(path) => vec![path.clone()],
        Trust::Anybody => Vec::new(),
    };
    files.extend(tls.crl.clone());
    if let Some(certificate) = &tls.certificate {
        files.push(certificate.certificate.clone());
        files.extend(certificate.key.clone());
    }
    files
}

/// Where the system keeps its authorities.
fn system_files() -> Vec<PathBuf> {
    let found = openssl_probe::probe();
    found.cert_file.into_iter().chain(found.cert_dir).collect()
}
