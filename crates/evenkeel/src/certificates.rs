//! Reads what TLS needs: certificates, keys, OCSP responses, authorities of clients. Whoever calls has the rights for it.
//!
//! Invariants: a file that cannot be used is told with its reason and what to do, and never with what it holds; everything
//! read has a bound.

mod servers;

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use evenkeel_config::plan::{CertificateFiles, Certificates, Listener, Plan, Pool, Tls, Trust};
use evenkeel_proxy::message as proxy;
use evenkeel_proxy::tls::acceptor;
use evenkeel_proxy::tls::examine::{self, Examined};
use evenkeel_proxy::tls::material::{Bytes, Certificate, Clients, Material, Secret, ServerMaterial};
use evenkeel_sys::secret;
use evenkeel_traffic::name::Name;

use crate::files::plain;

pub(crate) use servers::{FoundForPool, Roots, read_for_pool, roots_for};

/// Whose TLS needs a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    Listener(Name),
    Pool(Name),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener(name) => write!(f, "listener {name}"),
            Self::Pool(name) => write!(f, "pool {name}"),
        }
    }
}

/// The largest file of a certificate with its chain, or of an OCSP response, in bytes.
const LARGEST_CERTIFICATE: u64 = 256 * 1024;
/// The largest file of authorities or of revoked certificates, in bytes.
const LARGEST_LIST: u64 = 8 * 1024 * 1024;
/// The most certificates of one directory.
const MOST_IN_DIRECTORY: usize = 1024;
/// The most bytes of all files together: they travel in one message.
const LARGEST_TOGETHER: usize = 32 * 1024 * 1024;

/// Something that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// The file.
    pub(crate) file: PathBuf,
    /// What is wrong, and what to do.
    pub(crate) why: String,
    /// What was read before can stay in force.
    pub(crate) replaced: bool,
}

/// What was read for one listener.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// `None` when nothing could be used in place of something that is needed.
    pub(crate) material: Option<Material>,
    /// The certificates of `material` and what they say.
    pub(crate) examined: Vec<(PathBuf, Examined)>,
    /// What is wrong.
    pub(crate) troubles: Vec<Trouble>,
}

/// Reads what `listener` needs. What cannot be used is taken from `before`, if that has it.
pub(crate) fn read(listener: &Listener, tls: &Tls, before: Option<&Material>) -> Found {
    let mut found = Found::default();
    let mut certificates = Vec::new();
    let files = match files(&tls.certificates) {
        Ok(files) => files,
        Err((file, why)) => {
            // A directory that is gone takes no certificate out of force.
            let kept = before.map(|before| before.certificates.clone()).unwrap_or_default();
            found.troubles.push(Trouble { file, why, replaced: !kept.is_empty() });
            for certificate in kept {
                found.take(certificate, &mut certificates);
            }
            Vec::new()
        }
    };
    for files in files {
        let read = certificate(&files).and_then(|certificate| {
            examine::certificate(&certificate).map(|examined| (certificate, examined))
        });
        match read {
            Ok((certificate, examined)) => {
                found.examined.push((certificate.file.clone(), examined));
                certificates.push(certificate);
            }
            Err(why) => {
                let kept = before
                    .iter()
                    .flat_map(|before| &before.certificates)
                    .find(|kept| kept.file == files.certificate);
                found.troubles.push(Trouble { file: files.certificate, why, replaced: kept.is_some() });
                if let Some(kept) = kept {
                    found.take(kept.clone(), &mut certificates);
                }
            }
        }
    }
    let mut clients = None;
    if let Some(auth) = &tls.client_auth {
        let read = list(&auth.ca, "authorities").and_then(|ca| {
            let crl = auth.crl.as_deref().map(|path| list(path, "revoked certificates")).transpose()?;
            let clients = Clients { ca, crl };
            examine::clients(&clients, auth.required).map(|_| clients)
        });
        clients = read.map_or_else(
            |why| {
                let kept = before.and_then(|before| before.clients.clone());
                found.troubles.push(Trouble { file: auth.ca.clone(), why, replaced: kept.is_some() });
                kept
            },
            Some,
        );
    }
    if found.troubles.iter().all(|trouble| trouble.replaced) && !certificates.is_empty() {
        let material = Material { certificates, clients };
        match acceptor::check(&listener.name, listener, &material) {
            Ok(()) => found.material = Some(material),
            Err(why) => {
                let file = material.certificates.first().map(|first| first.file.clone()).unwrap_or_default();
                found.troubles.push(Trouble { file, why, replaced: false });
            }
        }
    }
    found
}

impl Found {
    fn take(&mut self, certificate: Certificate, certificates: &mut Vec<Certificate>) {
        if let Ok(examined) = examine::certificate(&certificate) {
            self.examined.push((certificate.file.clone(), examined));
            certificates.push(certificate);
        }
    }
}

/// Says whether all that was read together is too much.
pub(crate) fn too_large(all: &proxy::Certificates) -> Option<String> {
    let of = |certificate: &Certificate| {
        certificate.chain.len()
            + certificate.key.0.len()
            + certificate.ocsp.as_ref().map_or(0, |bytes| bytes.0.len())
    };
    let of_clients = |clients: &Clients| clients.ca.len() + clients.crl.as_ref().map_or(0, String::len);
    let of_listener = |material: &Material| {
        material.certificates.iter().map(of).sum::<usize>() + material.clients.as_ref().map_or(0, of_clients)
    };
    let of_pool = |material: &ServerMaterial| {
        material.certificate.as_ref().map_or(0, of)
            + [&material.ca, &material.crl].into_iter().flatten().map(String::len).sum::<usize>()
    };
    let bytes = all.listeners.values().map(of_listener).sum::<usize>()
        + all.pools.values().chain(all.documents.values()).map(of_pool).sum::<usize>();
    (bytes > LARGEST_TOGETHER).then(|| {
        format!(
            "the files of all certificates have {} MiB together; {} MiB are allowed",
            bytes >> 20,
            LARGEST_TOGETHER >> 20
        )
    })
}

/// Everything that is wrong with the files that a plan names, errors first; those that have expired are doubts.
pub(crate) fn check(plan: &Plan) -> (Vec<Trouble>, Vec<Trouble>) {
    let (mut errors, mut doubts) = (Vec::new(), Vec::new());
    let roots = roots_for(plan, None);
    for pool in &plan.pools {
        let Some(tls) = &pool.tls else { continue };
        let found = match &roots {
            Ok(roots) => read_for_pool(tls, None, roots),
            // Only those who believe the system miss its authorities.
            Err(trouble) if tls.trust == Trust::System => FoundForPool::of(trouble),
            Err(_) => read_for_pool(tls, None, &Roots::default()),
        };
        let in_pool =
            |trouble: Trouble| Trouble { why: format!("pool {}: {}", pool.name, trouble.why), ..trouble };
        errors.extend(found.troubles.into_iter().map(in_pool));
        if let Some((file, why)) =
            found.examined.and_then(|(file, said)| Some((file, said.expired(SystemTime::now())?)))
        {
            let why = format!("the certificate {} is doubtful: {why}", file.display());
            doubts.push(in_pool(Trouble { file, why, replaced: true }));
        }
    }
    for (pool, tls) in plan.pools.iter().filter_map(|pool| Some((pool, pool.document_tls()?))) {
        let found = match &roots {
            Ok(roots) => read_for_pool(&tls, None, roots),
            Err(trouble) if tls.trust == Trust::System => FoundForPool::of(trouble),
            Err(_) => read_for_pool(&tls, None, &Roots::default()),
        };
        let in_pool =
            |trouble: Trouble| Trouble { why: format!("pool {}: {}", pool.name, trouble.why), ..trouble };
        errors.extend(found.troubles.into_iter().map(in_pool));
    }
    for listener in &plan.listeners {
        let Some(tls) = &listener.tls else { continue };
        let found = read(listener, tls, None);
        let in_listener = |trouble: Trouble| Trouble {
            why: format!("listener {}: {}", listener.name, trouble.why),
            ..trouble
        };
        errors.extend(found.troubles.into_iter().map(in_listener));
        for (file, examined) in found.examined {
            if let Some(why) = examined.expired(SystemTime::now()) {
                let why = format!("the certificate {} is doubtful: {why}", file.display());
                doubts.push(in_listener(Trouble { file, why, replaced: true }));
            }
        }
    }
    (errors, doubts)
}

/// The files of each certificate, in the order in which they count.
fn files(certificates: &Certificates) -> Result<Vec<CertificateFiles>, (PathBuf, String)> {
    let directory = match certificates {
        Certificates::Listed(list) => return Ok(list.clone()),
        Certificates::Directory(directory) => directory,
    };
    let failed = |why: String| (directory.clone(), format!("the directory {} {why}", directory.display()));
    let entries = std::fs::read_dir(directory)
        .map_err(|error| failed(format!("cannot be read: {}; make it, or mend its path", plain(&error))))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| failed(format!("cannot be read: {}", plain(&error))))?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let is = |extension: &str| path.extension().is_some_and(|found| found == extension);
        if hidden || !(is("pem") || is("crt")) {
            continue;
        }
        let beside = |extension| Some(path.with_extension(extension)).filter(|path| path.exists());
        found.push(CertificateFiles { key: beside("key"), ocsp: beside("ocsp"), certificate: path });
    }
    if found.is_empty() || found.len() > MOST_IN_DIRECTORY {
        return Err(failed(format!(
            "holds {} certificates (`NAME.pem` or `NAME.crt`); it must hold 1 to {MOST_IN_DIRECTORY}",
            found.len()
        )));
    }
    let is_default = |path: &Path| path.file_stem().is_some_and(|stem| stem == "default");
    found.sort_by(|a, b| {
        let rank = |files: &CertificateFiles| !is_default(&files.certificate);
        rank(a).cmp(&rank(b)).then_with(|| a.certificate.cmp(&b.certificate))
    });
    Ok(found)
}

fn certificate(files: &CertificateFiles) -> Result<Certificate, String> {
    let file = &files.certificate;
    let (chain, key) = match &files.key {
        Some(key) => (text(public(file, "certificate", LARGEST_CERTIFICATE)?, file)?, private(key)?),
        None => {
            let both = private(file)?;
            (both.clone(), both)
        }
    };
    let ocsp =
        files.ocsp.as_deref().map(|path| public(path, "OCSP response", LARGEST_CERTIFICATE)).transpose()?;
    Ok(Certificate {
        file: file.clone(),
        key_file: files.key.as_ref().unwrap_or(file).clone(),
        chain,
        key: Secret(key),
        ocsp: ocsp.map(Bytes),
    })
}

fn list(path: &Path, what: &str) -> Result<String, String> {
    text(public(path, what, LARGEST_LIST)?, path)
}

fn private(path: &Path) -> Result<String, String> {
    text(secret::read_private_key(path)?, path)
}

fn text(bytes: Vec<u8>, path: &Path) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|_| {
        format!(
            "{} is no PEM text; convert DER with `openssl x509 -inform der` or `openssl pkey -inform der`",
            path.display()
        )
    })
}

/// A file that everybody may see.
fn public(path: &Path, what: &str, largest: u64) -> Result<Vec<u8>, String> {
    let failed = |why: String| format!("the {what} {} cannot be read: {why}", path.display());
    let about = std::fs::metadata(path)
        .map_err(|error| failed(format!("{}; put it there, or mend its path", plain(&error))))?;
    // Nobody waits for a pipe.
    if !about.is_file() {
        return Err(failed("it is no file".into()));
    }
    let file = std::fs::File::open(path)
        .map_err(|error| failed(format!("{}; let the user who starts Evenkeel read it", plain(&error))))?;
    let mut bytes = Vec::new();
    file.take(largest + 1).read_to_end(&mut bytes).map_err(|error| failed(plain(&error)))?;
    if bytes.len() as u64 > largest {
        return Err(failed(format!("it has more than {} KiB", largest / 1024)));
    }
    Ok(bytes)
}

/// What shows that a file has changed: which one it is, its size, and when it was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(PathBuf, Option<(u64, u64, u64, i64, i64, i64, i64)>);

/// The stamps of all files that the listeners and pools of a plan read.
pub(crate) fn stamps(plan: &Plan) -> Vec<Stamp> {
    let mut stamps = Vec::new();
    for tls in plan.listeners.iter().filter_map(|listener| listener.tls.as_ref()) {
        if let Certificates::Directory(directory) = &tls.certificates {
            stamps.push(stamp(directory));
        }
        for files in files(&tls.certificates).unwrap_or_default() {
            stamps.extend(
                [Some(&files.certificate), files.key.as_ref(), files.ocsp.as_ref()]
                    .into_iter()
                    .flatten()
                    .map(|path| stamp(path)),
            );
        }
        if let Some(auth) = &tls.client_auth {
            stamps.push(stamp(&auth.ca));
            stamps.extend(auth.crl.as_deref().map(stamp));
        }
    }
    for tls in plan.pools.iter().filter_map(|pool| pool.tls.as_ref()) {
        stamps.extend(servers::files(tls).iter().map(|path| stamp(path)));
    }
    for tls in plan.pools.iter().filter_map(Pool::document_tls) {
        stamps.extend(servers::files(&tls).iter().map(|path| stamp(path)));
    }
    stamps.sort();
    stamps.dedup();
    stamps
}

fn stamp(path: &Path) -> Stamp {
    let about = std::fs::metadata(path).ok().map(|about| {
        (
            about.dev(),
            about.ino(),
            about.size(),
            about.mtime(),
            about.mtime_nsec(),
            about.ctime(),
            about.ctime_nsec(),
        )
    });
    Stamp(path.to_owned(), about)
}

/// A day of Unix time, as `2026-11-22`.
pub(crate) fn date(seconds: u64) -> String {
    // Days since 0000-03-01, so that the day that leap years add is the last of its year (Hinnant's `civil_from_days`).
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_date() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(951_782_400), "2000-02-29");
        assert_eq!(date(1_795_390_384), "2026-11-22");
    }
}
