//! Reads one `[[listener.NAME.route]]`.

use std::net::Ipv6Addr;

use evenkeel_traffic::route::{Conditions, HeaderCondition, HeaderExpectation, HostPattern};

use super::Route;
use super::read::Reader;
use super::value::{MOST_VALUES, Word, not};
use crate::problems::{Problems, Span};
use crate::suggest::quoted;
use crate::text::{Entry, Value};

/// The longest host name, in bytes (RFC 1035 §2.3.4, without the final dot).
const LONGEST_HOST: usize = 253;
/// The methods that RFC 9110 §9 and RFC 5789 name.
const COMMON_METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"];

pub(super) fn route(reader: &Reader<'_>, span: Span, problems: &mut Problems) -> Route {
    let texts = |name: &str, problems: &mut Problems| {
        reader.texts(name, false, MOST_VALUES, problems).unwrap_or_default()
    };
    let hosts = texts("host", problems).iter().filter_map(|text| host(text, problems)).collect();
    let names = texts("sni", problems).iter().filter_map(|text| host(text, problems)).collect();
    let paths = texts("path", problems).iter().filter_map(|text| path(text, true, problems)).collect();
    let path_prefixes =
        texts("path-prefix", problems).iter().filter_map(|text| path(text, false, problems)).collect();
    let methods = texts("method", problems).iter().filter_map(|text| method(text, problems)).collect();
    let conditions = Conditions {
        hosts,
        paths,
        path_prefixes,
        methods,
        headers: headers(reader, problems),
        sources: reader.networks("source", problems).unwrap_or_default(),
        names,
    };
    let has_conditions = reader.table.entries.iter().any(|entry| entry.key.value != "pool");
    let pool = reader.name_of_pool("pool", problems);
    let sni = reader.table.find("sni").map(|entry| entry.key.span);
    Route { span, conditions, has_conditions, pool, http_keys: reader.http_keys(), sni }
}

fn host(text: &Word<'_>, problems: &mut Problems) -> Option<HostPattern> {
    let typed = text.value.text.as_str();
    let (wildcard, name) = match typed.strip_prefix("*.") {
        Some(name) => (true, name),
        None => (false, typed),
    };
    match host_mistake(name, wildcard) {
        None if wildcard => Some(HostPattern::Below(format!(".{}", name.to_ascii_lowercase()))),
        None => Some(HostPattern::Exact(name.to_ascii_lowercase())),
        Some(cure) => {
            problems.error(text.span, format!("{} is no host name", quoted(typed))).help(cure);
            None
        }
    }
}

/// What to do about a host that cannot be asked for; `None` when it can.
fn host_mistake(name: &str, wildcard: bool) -> Option<String> {
    if let Some(inside) = name.strip_prefix('[') {
        let address = inside.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
        return (!address || wildcard)
            .then(|| "write an IPv6 address in brackets without a port: `\"[2001:db8::1]\"`".into());
    }
    if name.contains("://") || name.contains('/') {
        return Some("write only the host, without scheme and path; `path-prefix` asks for a path".into());
    }
    if name.parse::<Ipv6Addr>().is_ok() {
        return Some(format!("write the IPv6 address in brackets: `\"[{name}]\"`"));
    }
    if let Some((host, _)) = name.split_once(':') {
        return Some(format!("write it without the port: `\"{host}\"`"));
    }
    if name == "*" {
        return Some("leave `host` out to take every host".into());
    }
    if name.contains('*') {
        return Some("`*` may stand only for whole labels in front: `\"*.example.com\"`".into());
    }
    if name.ends_with('.') && name.len() > 1 {
        return Some(format!("write it without the final dot: `\"{}\"`", name.trim_end_matches('.')));
    }
    if !name.is_ascii() {
        return Some("write the name as clients send it, in Punycode: `\"xn--…\"`".into());
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if name.len() > LONGEST_HOST || !name.split('.').all(label) {
        return Some(
            "a host name has letters, digits, `-` and `_`, in parts of 1 to 63 characters with dots between"
                .into(),
        );
    }
    None
}

/// Reads a path; `star` says whether `*` (of `OPTIONS *`) may stand for one.
fn path(text: &Word<'_>, star: bool, problems: &mut Problems) -> Option<String> {
    let typed = text.value.text.as_str();
    if star && typed == "*" {
        return Some(typed.to_owned());
    }
    let cure = if !typed.starts_with('/') {
        if star {
            format!("a path starts with `/`: `\"/{typed}\"`")
        } else {
            format!("a prefix starts with `/`: `\"/{typed}\"`")
        }
    } else if typed.contains('?') {
        "write it without the query: a route looks at the path alone".into()
    } else if typed.contains('#') {
        "write it without `#…`: clients never send it".into()
    } else if let Some(c) = typed.chars().find(|&c| !c.is_ascii_graphic()) {
        let mut bytes = [0; 4];
        let encoded: String = c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect();
        format!("write it as clients send it, percent-encoded: `{encoded}` for {}", quoted(&c.to_string()))
    } else if typed.ends_with('*') && !star {
        "leave out the `*`: a prefix takes whatever follows".into()
    } else if typed.ends_with("/*") {
        format!("a path is compared exactly; write `path-prefix = \"{}\"`", typed.trim_end_matches('*'))
    } else {
        return Some(typed.to_owned());
    };
    problems.error(text.span, format!("{} cannot be a path to ask for", quoted(typed))).help(cure);
    None
}

fn method(text: &Word<'_>, problems: &mut Problems) -> Option<String> {
    let typed = text.value.text.as_str();
    if !is_token(typed) {
        problems
            .error(text.span, format!("{} is no method", quoted(typed)))
            .help("write one word such as `\"GET\"`");
        return None;
    }
    let upper = typed.to_ascii_uppercase();
    if upper != typed && COMMON_METHODS.contains(&upper.as_str()) {
        problems
            .warning(text.span, format!("clients send {upper}, and {} is another method", quoted(typed)))
            .help(format!("write `\"{upper}\"`: upper and lower case differ (RFC 9110 §9.1)"));
    }
    Some(typed.to_owned())
}

fn headers(reader: &Reader<'_>, problems: &mut Problems) -> Vec<HeaderCondition> {
    let Some((entry, key)) = reader.given("header") else { return Vec::new() };
    let Value::Table(table) = &entry.value else {
        not(entry, key, problems);
        return Vec::new();
    };
    if table.entries.is_empty() {
        problems.error(entry.span, "`header` is empty").help(format!("write {}", key.kind.expectation()));
    }
    if table.entries.len() > MOST_VALUES {
        problems
            .error(
                entry.span,
                format!("`header` has {} fields; {MOST_VALUES} are allowed", table.entries.len()),
            )
            .help("ask for fewer");
    }
    let mut conditions: Vec<HeaderCondition> = Vec::new();
    for entry in table.entries.iter().take(MOST_VALUES) {
        let Some(condition) = header(entry, problems) else { continue };
        if conditions.iter().any(|earlier| earlier.name == condition.name) {
            problems
                .error(
                    entry.key.span,
                    format!("the header field {} is asked for twice", quoted(&entry.key.value)),
                )
                .help("upper and lower case are the same in names of header fields; remove one");
            continue;
        }
        conditions.push(condition);
    }
    conditions
}

fn header(entry: &Entry, problems: &mut Problems) -> Option<HeaderCondition> {
    let name = entry.key.value.as_str();
    if !is_token(name) {
        problems
            .error(entry.key.span, format!("{} is no name of a header field", quoted(name)))
            .help("a name has letters, digits and `-`, and no colon");
        return None;
    }
    let expect = match &entry.value {
        Value::Boolean(true) => HeaderExpectation::Present,
        Value::Boolean(false) => HeaderExpectation::Absent,
        Value::Text(text) => {
            let value = text.text.as_str();
            if value.trim_matches([' ', '\t']) != value || value.chars().any(|c| c.is_control() && c != '\t')
            {
                problems
                    .error(entry.span, format!("no header field can have the value {}", quoted(value)))
                    .help("write it without space at its ends and without control characters");
                return None;
            }
            HeaderExpectation::Equals(value.to_owned())
        }
        Value::Damaged => return None,
        other => {
            problems
                .error(entry.span, format!("a header field cannot be asked to be {}", other.kind()))
                .help("write a text for exactly this value, `true` for any value, `false` for absence");
            return None;
        }
    };
    Some(HeaderCondition { name: name.to_ascii_lowercase(), expect })
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}
