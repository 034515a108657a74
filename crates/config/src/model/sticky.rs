//! Reads `sticky` of a pool.

use std::path::PathBuf;
use std::time::Duration;

use evenkeel_traffic::sticky::Secure;

use super::Setting;
use super::read::Reader;
use super::route::is_token;
use super::value::{LONGEST_PATH, not};
use crate::keys::Kind;
use crate::problems::{At, Problems};
use crate::suggest::quoted;
use crate::text::Value;

/// The longest name of the cookie, in bytes: it travels with each request.
const LONGEST_COOKIE_NAME: usize = 64;
/// The longest domain (RFC 1035 §2.3.4), in bytes.
const LONGEST_DOMAIN: usize = 253;

#[derive(Debug)]
pub(crate) struct Sticky {
    pub(crate) cookie: Setting<String>,
    pub(crate) key_file: Setting<PathBuf>,
    pub(crate) same_site: Setting<&'static str>,
    pub(crate) secure: Setting<Secure>,
    pub(crate) max_age: Setting<Duration>,
    pub(crate) domain: Setting<String>,
}

/// RFC 1123 §2.1.
pub(super) fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        edge(label.as_bytes().first())
            && edge(label.as_bytes().last())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.len() <= LONGEST_DOMAIN && text.split('.').all(label)
}

impl Reader<'_> {
    /// What was typed for a pool's `sticky`, of which this is the table.
    pub(super) fn sticky(&self, problems: &mut Problems) -> Sticky {
        Sticky {
            cookie: self.checked("cookie", problems, |name| {
                (!is_token(name) || name.len() > LONGEST_COOKIE_NAME).then(|| {
                    let help = format!("write a name of at most {LONGEST_COOKIE_NAME} letters, digits, `-` and `_`");
                    ("is no name of a cookie", help)
                })
            }),
            key_file: self.file("key-file", "is no path of a key file", problems),
            same_site: self.word("same-site", problems),
            secure: self.secure(problems),
            max_age: self.time("max-age", problems),
            domain: self.checked("domain", problems, |domain| {
                (!is_domain(domain)).then(|| {
                    let help = "write a domain such as `\"example.com\"`, without a dot in front; hosts below it are meant anyway";
                    ("is no domain", help.into())
                })
            }),
        }
    }

    /// The absolute path of a file.
    pub(super) fn file(&self, name: &str, wrong: &'static str, problems: &mut Problems) -> Setting<PathBuf> {
        let path = self.checked(name, problems, |path| {
            let fits = path.starts_with('/') && !path.ends_with('/') && !path.contains('\0');
            (!fits || path.len() > LONGEST_PATH).then(|| (wrong, "write the absolute path of a file".into()))
        })?;
        Some(At::new(path.value.into(), path.span))
    }

    /// A text with which `wrong` finds nothing wrong.
    pub(super) fn checked(
        &self,
        name: &str,
        problems: &mut Problems,
        wrong: impl FnOnce(&str) -> Option<(&'static str, String)>,
    ) -> Setting<String> {
        let (entry, key) = self.given(name)?;
        let Value::Text(text) = &entry.value else {
            not(entry, key, problems);
            return None;
        };
        if let Some((what, help)) = wrong(&text.text) {
            problems.error(entry.span, format!("{} {what}", quoted(&text.text))).help(help);
            return None;
        }
        Some(At::new(text.text.clone(), entry.span))
    }

    fn secure(&self, problems: &mut Problems) -> Setting<Secure> {
        let (entry, key) = self.given("secure")?;
        let Kind::FlagOr(words) = key.kind else { return None };
        let secure = match &entry.value {
            Value::Boolean(true) => Secure::Always,
            Value::Boolean(false) => Secure::Never,
            Value::Text(text) if text.from_variable && text.text == "true" => Secure::Always,
            Value::Text(text) if text.from_variable && text.text == "false" => Secure::Never,
            Value::Text(text) if words.contains(&text.text.as_str()) => Secure::Auto,
            Value::Text(text) => {
                problems
                    .error(entry.span, format!("unknown value {} for `secure`", quoted(&text.text)))
                    .help(format!("it must be {}", key.kind.expectation()));
                return None;
            }
            _ => {
                not(entry, key, problems);
                return None;
            }
        };
        Some(At::new(secure, entry.span))
    }
}
