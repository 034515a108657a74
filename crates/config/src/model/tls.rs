//! Reads `tls` and `hsts` of a listener.

use std::path::PathBuf;
use std::time::Duration;

use super::Setting;
use super::read::Reader;
use super::value::{MOST_VALUES, not};
use crate::keys::Section;
use crate::problems::{At, Problems, Span};
use crate::suggest::quoted;
use crate::text::Value;

/// The most certificates of one list.
const MOST_CERTIFICATES: usize = 1024;

#[derive(Debug)]
pub(crate) struct Tls {
    pub(crate) certificates: Option<Certificates>,
    pub(crate) strict_sni: Setting<bool>,
    pub(crate) versions: Setting<Vec<&'static str>>,
    pub(crate) cipher_suites: Setting<Vec<&'static str>>,
    pub(crate) curves: Setting<Vec<&'static str>>,
    pub(crate) handshake_timeout: Setting<Duration>,
    pub(crate) max_handshakes: Setting<u64>,
    pub(crate) client_auth: Option<ClientAuth>,
    /// Where the file names it.
    pub(crate) span: Option<Span>,
}

#[derive(Debug)]
pub(crate) enum Certificates {
    Directory(PathBuf),
    Listed(Vec<Certificate>),
}

#[derive(Debug)]
pub(crate) struct Certificate {
    pub(crate) certificate: Setting<PathBuf>,
    pub(crate) key: Setting<PathBuf>,
    pub(crate) ocsp: Setting<PathBuf>,
}

#[derive(Debug)]
pub(crate) struct ClientAuth {
    pub(crate) ca: Setting<PathBuf>,
    pub(crate) mode: Setting<&'static str>,
    pub(crate) crl: Setting<PathBuf>,
}

#[derive(Debug)]
pub(crate) struct Hsts {
    pub(crate) max_age: Setting<Duration>,
    pub(crate) include_subdomains: Setting<bool>,
    pub(crate) preload: Setting<bool>,
    /// Where the file names it.
    pub(crate) span: Option<Span>,
}

/// What is said of a path that cannot be one.
pub(super) const NO_PATH: &str = "is no path of a file";

impl Reader<'_> {
    /// What was typed for a listener's `tls`, of which this is the table.
    pub(super) fn tls(&self, problems: &mut Problems) -> Tls {
        Tls {
            certificates: self.certificates(problems),
            strict_sni: self.flag("strict-sni", problems),
            versions: self.word_list("versions", problems),
            cipher_suites: self.word_list("cipher-suites", problems),
            curves: self.word_list("curves", problems),
            handshake_timeout: self.time("handshake-timeout", problems),
            max_handshakes: self.count("max-handshakes", problems),
            client_auth: self.table("client-auth", Section::ClientAuth, problems).map(|auth| ClientAuth {
                ca: auth.file("ca", NO_PATH, problems),
                mode: auth.word("mode", problems),
                crl: auth.file("crl", NO_PATH, problems),
            }),
            span: self.span,
        }
    }

    /// Words, at least one.
    pub(super) fn word_list(&self, name: &str, problems: &mut Problems) -> Setting<Vec<&'static str>> {
        let (entry, key) = self.given(name)?;
        if matches!(&entry.value, Value::Array(items) if items.is_empty()) {
            problems
                .error(entry.span, format!("`{name}` is an empty list"))
                .help(format!("write {}, or remove the line", key.kind.expectation()));
            return None;
        }
        let mut words = self.words(name, problems)?;
        let typed = if let Value::Array(items) = &entry.value { items.len() } else { 1 };
        if words.len() != typed {
            // What is unknown was reported; what the rest would mean without it is nobody's question.
            return None;
        }
        let mut seen = Vec::new();
        words.retain(|word| {
            !seen.contains(word) && {
                seen.push(*word);
                true
            }
        });
        Some(At::new(words, entry.span))
    }

    fn certificates(&self, problems: &mut Problems) -> Option<Certificates> {
        let (entry, key) = self.given("certificates")?;
        let items = match &entry.value {
            Value::Text(text) => {
                let path = text.text.trim_end_matches('/');
                if !text.text.starts_with('/') || path.is_empty() || path.contains('\0') {
                    problems
                        .error(entry.span, format!("{} is no path of a directory", quoted(&text.text)))
                        .help("write the absolute path of a directory with certificates");
                    return None;
                }
                return Some(Certificates::Directory(path.into()));
            }
            Value::Array(items) => items,
            _ => {
                not(entry, key, problems);
                return None;
            }
        };
        if items.is_empty() || items.len() > MOST_CERTIFICATES {
            problems
                .error(entry.span, format!("`certificates` has {} values", items.len()))
                .help(format!("write 1 to {MOST_CERTIFICATES} certificates, or put them into a directory"));
        }
        let mut listed = Vec::new();
        for item in items.iter().take(MOST_CERTIFICATES.max(MOST_VALUES)) {
            let Value::Table(table) = &item.value else {
                problems
                    .error(item.span, format!("a certificate must be a table, not {}", item.value.kind()))
                    .help("write `{ certificate = \"/etc/evenkeel/www.pem\", key = \"/etc/evenkeel/www.key\" }`");
                continue;
            };
            let reader = Reader { section: Section::Certificate, table, name: None, span: Some(item.span) };
            reader.check_keys(problems);
            listed.push(Certificate {
                certificate: reader.file("certificate", NO_PATH, problems),
                key: reader.file("key", NO_PATH, problems),
                ocsp: reader.file("ocsp", NO_PATH, problems),
            });
        }
        Some(Certificates::Listed(listed))
    }

    /// What was typed for a listener's `hsts`, of which this is the table.
    pub(super) fn hsts(&self, problems: &mut Problems) -> Hsts {
        Hsts {
            max_age: self.time("max-age", problems),
            include_subdomains: self.flag("include-subdomains", problems),
            preload: self.flag("preload", problems),
            span: self.span,
        }
    }
}
