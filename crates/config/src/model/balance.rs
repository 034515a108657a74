//! Reads `balance`: a word, or a table such as `{ hash = { cookie = "id" }, bounded-load = 1.25 }`.

use evenkeel_traffic::pick::{Balance, Key, LARGEST_FACTOR, LEAST_FACTOR, WHOLE_ADDRESS};

use super::Setting;
use super::read::Reader;
use super::route::is_token;
use super::value::not;
use crate::keys::{BALANCE_WORDS, HASH_KEYS, HASH_NAMED, HASH_WORDS};
use crate::problems::{At, Problems, Span};
use crate::suggest::{nearest, one_of, quoted};
use crate::text::{Entry, Table, Text, Value};

/// The longest name of a header field, cookie or parameter that may decide, in bytes.
const LONGEST_NAME: usize = 256;

impl Reader<'_> {
    pub(super) fn balance(&self, name: &str, problems: &mut Problems) -> Setting<Balance> {
        let (entry, key) = self.given(name)?;
        let balance = match &entry.value {
            Value::Text(text) => word(text, entry.span, problems)?,
            Value::Table(table) => hash(table, entry.span, problems)?,
            _ => {
                not(entry, key, problems);
                return None;
            }
        };
        Some(At::new(balance, entry.span))
    }
}

fn word(text: &Text, span: Span, problems: &mut Problems) -> Option<Balance> {
    Some(match text.text.as_str() {
        "round-robin" => Balance::RoundRobin,
        "least-connections" => Balance::LeastConnections,
        "source" => Balance::SOURCE,
        "random-two" => Balance::RandomTwo,
        "peak-ewma" => Balance::PeakEwma,
        "first" => Balance::First,
        other => {
            let draft = problems.error(span, format!("unknown value {} for `balance`", quoted(other)));
            draft.help(match other {
                "leastconn" | "least_conn" => "did you mean `\"least-connections\"`?".into(),
                "roundrobin" => "did you mean `\"round-robin\"`?".into(),
                "random" => "did you mean `\"random-two\"`?".into(),
                "ip-hash" | "ip_hash" => "did you mean `\"source\"`?".into(),
                _ if HASH_WORDS.contains(&other) => format!("write `{{ hash = \"{other}\" }}`"),
                "hash" | "uri-hash" | "consistent-hash" => {
                    "write a table such as `{ hash = \"path\" }`".into()
                }
                _ => match nearest(other, BALANCE_WORDS.iter().copied()) {
                    Some(near) => format!("did you mean `\"{near}\"`?"),
                    None => format!("known: {}", one_of(BALANCE_WORDS.iter().copied())),
                },
            });
            return None;
        }
    })
}

fn hash(table: &Table, span: Span, problems: &mut Problems) -> Option<Balance> {
    for entry in &table.entries {
        let key = entry.key.value.as_str();
        if !HASH_KEYS.contains(&key) {
            let draft = problems
                .error(entry.key.span, format!("unknown key {} in a table of `balance`", quoted(key)));
            draft.help(match nearest(key, HASH_KEYS.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", one_of(HASH_KEYS.iter().copied())),
            });
        }
    }
    let bounded_load = table.find("bounded-load").and_then(|entry| factor(entry, problems));
    let ipv6_prefix = table.find("ipv6-prefix").and_then(|entry| prefix(entry, problems));
    let Some(entry) = table.find("hash") else {
        problems
            .error(span, "a table of `balance` needs `hash`")
            .help("write what decides, such as `{ hash = \"path\" }`");
        return None;
    };
    let key = key(entry, ipv6_prefix.unwrap_or(WHOLE_ADDRESS), problems)?;
    if let Some(entry) = table.find("ipv6-prefix")
        && !matches!(key, Key::Source { .. })
    {
        problems
            .error(entry.key.span, "`ipv6-prefix` means something with `hash = \"source\"` only")
            .help("remove it");
    }
    Some(Balance::Hash { key, bounded_load })
}

fn key(entry: &Entry, ipv6_prefix: u8, problems: &mut Problems) -> Option<Key> {
    match &entry.value {
        Value::Text(text) => match text.text.as_str() {
            "source" => return Some(Key::Source { ipv6_prefix }),
            "path" => return Some(Key::Path),
            "uri" => return Some(Key::Uri),
            "sni" => return Some(Key::Sni),
            other => {
                let draft = problems.error(entry.span, format!("unknown value {} for `hash`", quoted(other)));
                draft.help(if HASH_NAMED.contains(&other) {
                    format!("say which: `{{ {other} = \"NAME\" }}`")
                } else {
                    known_keys()
                });
            }
        },
        Value::Table(table) => return named(table, entry.span, problems),
        Value::Damaged => {}
        other => {
            problems.error(entry.span, format!("`hash` cannot be {}", other.kind())).help(known_keys());
        }
    }
    None
}

fn known_keys() -> String {
    "known: `\"source\"`, `\"path\"`, `\"uri\"`, `\"sni\"`, `{ header = \"NAME\" }`, `{ cookie = \"NAME\" }` and `{ query = \"NAME\" }`"
        .into()
}

fn named(table: &Table, span: Span, problems: &mut Problems) -> Option<Key> {
    let [entry] = table.entries.as_slice() else {
        problems
            .error(span, format!("`hash` is made of {} keys; one decides", table.entries.len()))
            .help(known_keys());
        return None;
    };
    let kind = entry.key.value.as_str();
    if !HASH_NAMED.contains(&kind) {
        problems.error(entry.key.span, format!("unknown key {} for `hash`", quoted(kind))).help(known_keys());
        return None;
    }
    let Value::Text(text) = &entry.value else {
        if !matches!(entry.value, Value::Damaged) {
            problems
                .error(entry.span, format!("`{kind}` cannot be {}", entry.value.kind()))
                .help(format!("write a name: `{{ {kind} = \"NAME\" }}`"));
        }
        return None;
    };
    let name = text.text.clone();
    // What clients send in a query is any printable text without the signs that end a name there.
    let parameter = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"&=#".contains(&byte))
    };
    let possible = if kind == "query" { parameter(&name) } else { is_token(&name) };
    if !possible || name.len() > LONGEST_NAME {
        let what = match kind {
            "header" => "name of a header field",
            "cookie" => "name of a cookie",
            _ => "name of a parameter",
        };
        problems
            .error(entry.span, format!("{} is no {what}", quoted(&name)))
            .help(format!("write its name alone, as clients send it, in at most {LONGEST_NAME} characters"));
        return None;
    }
    Some(match kind {
        "header" => Key::Header(name.to_ascii_lowercase()),
        "cookie" => Key::Cookie(name),
        _ => Key::Query(name),
    })
}

/// Reads `bounded-load` as hundredths.
fn factor(entry: &Entry, problems: &mut Problems) -> Option<u16> {
    let number = match &entry.value {
        Value::Float(number) => Some(*number),
        Value::Integer(number) => number.and_then(|number| u32::try_from(number).ok()).map(f64::from),
        Value::Text(text) if text.from_variable => text.text.parse().ok(),
        Value::Damaged => return None,
        _ => None,
    };
    let hundredths = (LEAST_FACTOR..=LARGEST_FACTOR).find(|&hundredths| {
        number.is_some_and(|number| (number * 100.0 - f64::from(hundredths)).abs() < 1e-6)
    });
    if hundredths.is_none() {
        problems
            .error(entry.span, "`bounded-load` is no factor that can be kept")
            .help("write a number from 1.01 to 10 with at most two digits after the point, such as `1.25`");
    }
    hundredths
}

fn prefix(entry: &Entry, problems: &mut Problems) -> Option<u8> {
    let number = match &entry.value {
        Value::Integer(number) => number.and_then(|number| u8::try_from(number).ok()),
        Value::Text(text) if text.from_variable => text.text.parse().ok(),
        Value::Damaged => return None,
        _ => None,
    };
    let bits = number.filter(|bits| (1..=WHOLE_ADDRESS).contains(bits));
    if bits.is_none() {
        problems
            .error(entry.span, "`ipv6-prefix` is no length of a prefix")
            .help("write a whole number from 1 to 128; `64` takes the clients of one network for one");
    }
    bits
}
