//! Reads `health`, `agent` and `passive` of a pool.

use std::time::Duration;

use super::Setting;
use super::read::Reader;
use super::route::is_token;
use super::value::{MOST_VALUES, one_word};
use crate::keys::{Key, Kind, Section};
use crate::problems::{At, Problems, Span};
use crate::suggest::quoted;
use crate::text::{Entry, Value};

/// The most further header fields of a check.
const MOST_FIELDS: usize = 32;
/// The most words of `exec`: the program and its arguments.
const MOST_WORDS: usize = 64;
/// The longest text of a check, in bytes.
const LONGEST_TEXT: usize = 4096;

/// What was typed for a key that takes a word or a table.
#[derive(Debug)]
pub(crate) enum WordOr<T> {
    Word(&'static str),
    Table(Box<T>),
}

#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) http: Setting<String>,
    pub(crate) method: Setting<&'static str>,
    pub(crate) host: Setting<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) status: Option<Vec<(u16, u16)>>,
    pub(crate) body: Setting<String>,
    pub(crate) grpc: Setting<String>,
    pub(crate) exec: Setting<Vec<String>>,
    pub(crate) send: Setting<String>,
    pub(crate) expect: Setting<String>,
    pub(crate) tls: Setting<bool>,
    pub(crate) proxy_protocol: Setting<bool>,
    pub(crate) port: Setting<u64>,
    pub(crate) interval: Setting<Duration>,
    pub(crate) fast_interval: Setting<Duration>,
    pub(crate) down_interval: Setting<Duration>,
    pub(crate) timeout: Setting<Duration>,
    pub(crate) rise: Setting<u64>,
    pub(crate) fall: Setting<u64>,
    pub(crate) initial_state: Setting<&'static str>,
    /// The keys that are given, right or wrong.
    pub(crate) given: Vec<At<String>>,
}

#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) port: Setting<u64>,
    pub(crate) send: Setting<String>,
    pub(crate) interval: Setting<Duration>,
    pub(crate) timeout: Setting<Duration>,
}

#[derive(Debug)]
pub(crate) struct Passive {
    pub(crate) failures: Setting<u64>,
    pub(crate) server_errors: Setting<&'static str>,
    pub(crate) eject: Setting<Duration>,
    pub(crate) max_eject: Setting<Duration>,
    pub(crate) max_share: Setting<u64>,
}

pub(super) fn health(pool: &Reader<'_>, problems: &mut Problems) -> Setting<WordOr<Health>> {
    pool.word_or_table("health", problems, |reader, problems| Health {
        http: reader.target("http", problems),
        method: reader.word("method", problems),
        host: reader.host("host", problems),
        headers: reader.fields("headers", problems),
        status: reader.statuses("status", problems),
        body: reader.text("body", problems),
        grpc: reader.service("grpc", problems),
        exec: reader.command("exec", problems),
        send: reader.text("send", problems),
        expect: reader.text("expect", problems),
        tls: reader.flag("tls", problems),
        proxy_protocol: reader.flag("proxy-protocol", problems),
        port: reader.count("port", problems),
        interval: reader.time("interval", problems),
        fast_interval: reader.time("fast-interval", problems),
        down_interval: reader.time("down-interval", problems),
        timeout: reader.time("timeout", problems),
        rise: reader.count("rise", problems),
        fall: reader.count("fall", problems),
        initial_state: reader.word("initial-state", problems),
        given: reader.table.entries.iter().map(|entry| entry.key.clone()).collect(),
    })
}

pub(super) fn agent(pool: &Reader<'_>, problems: &mut Problems) -> Option<Agent> {
    pool.table("agent", Section::Agent, problems).map(|reader| Agent {
        port: reader.count("port", problems),
        send: reader.text("send", problems),
        interval: reader.time("interval", problems),
        timeout: reader.time("timeout", problems),
    })
}

pub(super) fn passive(pool: &Reader<'_>, problems: &mut Problems) -> Setting<WordOr<Passive>> {
    pool.word_or_table("passive", problems, |reader, problems| Passive {
        failures: reader.count("failures", problems),
        server_errors: reader.word("server-errors", problems),
        eject: reader.time("eject", problems),
        max_eject: reader.time("max-eject", problems),
        max_share: reader.count("max-share", problems),
    })
}

impl<'a> Reader<'a> {
    pub(super) fn word_or_table<T>(
        &self,
        name: &str,
        problems: &mut Problems,
        read: impl FnOnce(&Reader<'a>, &mut Problems) -> T,
    ) -> Setting<WordOr<T>> {
        let (entry, key) = self.given(name)?;
        let Kind::WordOrTable(words, section) = key.kind else { return None };
        let value = match &entry.value {
            Value::Text(text) => WordOr::Word(one_word(name, text, entry.span, words, problems)?),
            Value::Table(table) => {
                let reader = Reader { section, table, name: self.name.clone(), span: Some(entry.key.span) };
                reader.check_keys(problems);
                WordOr::Table(Box::new(read(&reader, problems)))
            }
            _ => {
                super::value::not(entry, key, problems);
                return None;
            }
        };
        Some(At::new(value, entry.key.span))
    }

    fn any_text(&self, name: &str, problems: &mut Problems) -> Option<(&'a str, Span, &'static Key)> {
        let (entry, key) = self.given(name)?;
        let Value::Text(text) = &entry.value else {
            super::value::not(entry, key, problems);
            return None;
        };
        Some((text.text.as_str(), entry.span, key))
    }

    pub(super) fn text(&self, name: &str, problems: &mut Problems) -> Setting<String> {
        let (text, span, _) = self.any_text(name, problems)?;
        if text.is_empty() || text.len() > LONGEST_TEXT {
            problems
                .error(span, format!("`{name}` must have 1 to {LONGEST_TEXT} bytes"))
                .help("leave the key out to ask for nothing");
            return None;
        }
        Some(At::new(text.to_owned(), span))
    }

    /// The name of a service of gRPC; empty for all of them.
    fn service(&self, name: &str, problems: &mut Problems) -> Setting<String> {
        let (text, span, key) = self.any_text(name, problems)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/');
        if text.len() > 255 || !text.chars().all(fits) {
            problems
                .error(span, format!("{} is no name of a service", quoted(text)))
                .help(format!("write {}", key.kind.expectation()));
            return None;
        }
        Some(At::new(text.to_owned(), span))
    }

    /// An absolute path and words that follow it.
    pub(super) fn command(&self, name: &str, problems: &mut Problems) -> Setting<Vec<String>> {
        let (entry, key) = self.given(name)?;
        let texts = self.texts(name, false, MOST_WORDS, problems)?;
        let words: Vec<String> = texts.iter().map(|text| text.value.text.clone()).collect();
        let program = words.first()?;
        if !program.starts_with('/') || program.ends_with('/') {
            problems
                .error(entry.span, format!("{} is no absolute path of a program", quoted(program)))
                .help(format!("write {}; no shell splits it or looks for it", key.kind.expectation()));
            return None;
        }
        if words.iter().any(|word| word.len() > LONGEST_TEXT || word.contains('\0')) {
            problems
                .error(entry.span, format!("`{name}` has a word that cannot be given to a program"))
                .help(format!("a word has at most {LONGEST_TEXT} bytes and no zero byte"));
            return None;
        }
        Some(At::new(words, entry.span))
    }

    fn target(&self, name: &str, problems: &mut Problems) -> Setting<String> {
        let (text, span, key) = self.any_text(name, problems)?;
        let clean = text.chars().all(|c| c.is_ascii_graphic() && c != '#');
        if !text.starts_with('/') || !clean || text.len() > LONGEST_TEXT {
            problems
                .error(span, format!("{} is no path to ask for", quoted(text)))
                .help(format!("write {}, percent-encoded as a client would send it", key.kind.expectation()));
            return None;
        }
        Some(At::new(text.to_owned(), span))
    }

    fn host(&self, name: &str, problems: &mut Problems) -> Setting<String> {
        let (text, span, key) = self.any_text(name, problems)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '[' | ']');
        if text.is_empty() || text.len() > 255 || !text.chars().all(fits) {
            problems
                .error(span, format!("{} is no host", quoted(text)))
                .help(format!("write {}", key.kind.expectation()));
            return None;
        }
        Some(At::new(text.to_owned(), span))
    }

    fn fields(&self, name: &str, problems: &mut Problems) -> Vec<(String, String)> {
        let Some((entry, key)) = self.given(name) else { return Vec::new() };
        let Value::Table(table) = &entry.value else {
            super::value::not(entry, key, problems);
            return Vec::new();
        };
        if table.entries.is_empty() || table.entries.len() > MOST_FIELDS {
            problems
                .error(entry.span, format!("`{name}` must have 1 to {MOST_FIELDS} fields"))
                .help(format!("write {}", key.kind.expectation()));
        }
        table.entries.iter().take(MOST_FIELDS).filter_map(|entry| field(entry, problems)).collect()
    }

    fn statuses(&self, name: &str, problems: &mut Problems) -> Option<Vec<(u16, u16)>> {
        let (_, key) = self.given(name)?;
        let texts = self.texts(name, false, MOST_VALUES, problems)?;
        let mut ranges = Vec::new();
        for text in texts {
            match statuses(&text.value.text) {
                Some(found) => ranges.extend(found),
                None => {
                    problems
                        .error(text.span, format!("{} are no status codes", quoted(&text.value.text)))
                        .help(format!("write {}, from 100 to 599", key.kind.expectation()));
                }
            }
        }
        (!ranges.is_empty()).then_some(ranges)
    }
}

/// Reads `200-299,304`.
pub(crate) fn statuses(text: &str) -> Option<Vec<(u16, u16)>> {
    let code =
        |text: &str| text.parse::<u16>().ok().filter(|code| (100..=599).contains(code) && text.len() == 3);
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (code(first)?, code(last)?);
        (first <= last).then_some((first, last))
    };
    text.split(',').map(|part| range(part.trim())).collect()
}

fn field(entry: &Entry, problems: &mut Problems) -> Option<(String, String)> {
    let name = entry.key.value.as_str();
    // What says where the message ends and where it goes is written by the check itself.
    let own = ["host", "content-length", "transfer-encoding", "connection"];
    if !is_token(name) || own.iter().any(|own| name.eq_ignore_ascii_case(own)) {
        problems
            .error(entry.key.span, format!("{} cannot be a header field of a check", quoted(name)))
            .help("a name has letters, digits and `-`; `Host` is the key `host`, and framing is not yours to choose");
        return None;
    }
    match &entry.value {
        Value::Text(text) if text.text.len() <= LONGEST_TEXT && !text.text.chars().any(char::is_control) => {
            Some((name.to_owned(), text.text.trim().to_owned()))
        }
        Value::Damaged => None,
        _ => {
            problems
                .error(entry.span, format!("no header field can have the value of `{name}`"))
                .help("write a text without control characters");
            None
        }
    }
}
