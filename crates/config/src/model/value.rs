//! Reads single values: their type, their form and their bounds.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use evenkeel_traffic::address::{Address, InvalidAddress, LONGEST_UNIX_PATH};
use ipnet::IpNet;

use super::read::Reader;
use super::{Count, Setting};
use crate::keys::{Key, Kind, Section};
use crate::plan::LogTarget;
use crate::problems::{At, Problems, Span};
use crate::suggest::{nearest, one_of, quoted};
use crate::text::{Entry, Item, Text, Value};
use crate::units::{self, Invalid, ShownSize};

/// The longest path (`PATH_MAX` of Linux, less its final zero).
pub(super) const LONGEST_PATH: usize = 4095;
/// The most values of one list, where nothing else bounds it.
pub(crate) const MOST_VALUES: usize = 256;

/// A text and its place.
pub(super) type Word<'a> = At<&'a Text>;

impl<'a> Reader<'a> {
    /// The value of a key and what is known of the key.
    pub(super) fn given(&self, name: &str) -> Option<(&'a Entry, &'static Key)> {
        let entry = self.table.find(name)?;
        if matches!(entry.value, Value::Damaged) {
            return None;
        }
        Some((entry, self.section.key(name)?))
    }

    pub(super) fn time(&self, name: &str, problems: &mut Problems) -> Setting<Duration> {
        let (entry, key) = self.given(name)?;
        let Kind::Time { least, most } = key.kind else { return None };
        let Value::Text(text) = &entry.value else {
            not(entry, key, problems).help(quote_it(&entry.value, |number| format!("{number}s")));
            return None;
        };
        match units::duration(&text.text) {
            Ok(time) if time >= least && time <= most => Some(At::new(time, entry.span)),
            Ok(time) => {
                let bound = if time < least { ("short", least) } else { ("long", most) };
                problems
                    .error(entry.span, format!("`{name}` is too {}", bound.0))
                    .help(format!("it must be {}", key.kind.expectation()));
                None
            }
            Err(why) => {
                problems.error(entry.span, format!("{} is no duration", quoted(&text.text))).help(unit_help(
                    &text.text,
                    &why,
                    "s",
                    "`ms`, `s`, `m`, `h` and `d`, larger ones first",
                ));
                None
            }
        }
    }

    pub(super) fn size(&self, name: &str, problems: &mut Problems) -> Setting<u64> {
        let (entry, key) = self.given(name)?;
        let Kind::Size { least, most } = key.kind else { return None };
        let Value::Text(text) = &entry.value else {
            not(entry, key, problems).help(quote_it(&entry.value, |number| ShownSize(number).to_string()));
            return None;
        };
        match units::size(&text.text) {
            Ok(size) if size >= least && size <= most => Some(At::new(size, entry.span)),
            Ok(size) => {
                let bound = if size < least { "small" } else { "large" };
                problems
                    .error(entry.span, format!("`{name}` is too {bound}"))
                    .help(format!("it must be {}", key.kind.expectation()));
                None
            }
            Err(why) => {
                problems.error(entry.span, format!("{} is no size", quoted(&text.text))).help(unit_help(
                    &text.text,
                    &why,
                    "B",
                    "`B`, `KiB`, `MiB` and `GiB` (1 KiB is 1024 B)",
                ));
                None
            }
        }
    }

    pub(super) fn count(&self, name: &str, problems: &mut Problems) -> Setting<u64> {
        match self.count_or_auto(name, problems)? {
            At { value: Count::Exactly(count), span } => Some(At::new(count, span)),
            At { value: Count::Auto, .. } => None,
        }
    }

    pub(super) fn flag(&self, name: &str, problems: &mut Problems) -> Setting<bool> {
        let (entry, key) = self.given(name)?;
        let flag = match &entry.value {
            Value::Boolean(flag) => Some(*flag),
            Value::Text(text) if text.from_variable => text.text.parse().ok(),
            _ => None,
        };
        if flag.is_none() {
            not(entry, key, problems);
        }
        Some(At::new(flag?, entry.span))
    }

    pub(super) fn count_or_auto(&self, name: &str, problems: &mut Problems) -> Setting<Count<u64>> {
        let (entry, key) = self.given(name)?;
        let Kind::Count { least, most, auto } = key.kind else { return None };
        let number = match &entry.value {
            Value::Integer(number) => number.and_then(|number| u64::try_from(number).ok()),
            Value::Text(text) if auto && text.text == "auto" => {
                return Some(At::new(Count::Auto, entry.span));
            }
            Value::Text(text) if text.from_variable && text.text.parse::<i64>().is_ok() => {
                text.text.parse().ok()
            }
            Value::Text(text) => {
                let draft = not(entry, key, problems);
                if text.text.parse::<u64>().is_ok() {
                    draft.help(format!("write the number without quotes: `{name} = {}`", text.text));
                } else if auto && let Some(near) = nearest(&text.text, ["auto"]) {
                    draft.help(format!("did you mean \"{near}\"?"));
                }
                return None;
            }
            _ => {
                not(entry, key, problems);
                return None;
            }
        };
        match number {
            Some(number) if number >= least && number <= most => {
                Some(At::new(Count::Exactly(number), entry.span))
            }
            _ => {
                problems
                    .error(entry.span, format!("`{name}` is out of bounds"))
                    .help(format!("it must be {}", key.kind.expectation()));
                None
            }
        }
    }

    pub(super) fn word(&self, name: &str, problems: &mut Problems) -> Setting<&'static str> {
        let (entry, key) = self.given(name)?;
        let Kind::Word(known) = key.kind else { return None };
        let Value::Text(text) = &entry.value else {
            not(entry, key, problems);
            return None;
        };
        one_word(name, text, entry.span, known, problems).map(|word| At::new(word, entry.span))
    }

    pub(super) fn words(&self, name: &str, problems: &mut Problems) -> Option<Vec<&'static str>> {
        let (_, key) = self.given(name)?;
        let Kind::Words(known) = key.kind else { return None };
        let texts = self.texts(name, true, MOST_VALUES, problems)?;
        Some(texts.iter().filter_map(|text| one_word(name, text.value, text.span, known, problems)).collect())
    }

    pub(super) fn address(&self, name: &str, problems: &mut Problems) -> Setting<Address> {
        let (entry, key) = self.given(name)?;
        let Value::Text(text) = &entry.value else {
            not(entry, key, problems);
            return None;
        };
        address(text, entry.span, self.section, problems)
    }

    pub(super) fn addresses(&self, name: &str, most: usize, problems: &mut Problems) -> Vec<At<Address>> {
        let texts = self.texts(name, false, most, problems).unwrap_or_default();
        texts.iter().filter_map(|text| address(text.value, text.span, self.section, problems)).collect()
    }

    pub(super) fn networks(&self, name: &str, problems: &mut Problems) -> Option<Vec<IpNet>> {
        let (_, key) = self.given(name)?;
        let Kind::Networks { may_be_empty } = key.kind else { return None };
        let texts = self.texts(name, may_be_empty, MOST_VALUES, problems)?;
        Some(texts.iter().filter_map(|text| network(text, problems)).collect())
    }

    pub(super) fn name_of_pool(&self, name: &str, problems: &mut Problems) -> Setting<String> {
        let (entry, key) = self.given(name)?;
        let Value::Text(text) = &entry.value else {
            not(entry, key, problems);
            return None;
        };
        Some(At::new(text.text.clone(), entry.span))
    }

    pub(super) fn log_target(&self, name: &str, problems: &mut Problems) -> Setting<LogTarget> {
        let (entry, key) = self.given(name)?;
        let Value::Text(text) = &entry.value else {
            not(entry, key, problems);
            return None;
        };
        let target = match text.text.as_str() {
            "stdout" => LogTarget::Stdout,
            "syslog" => LogTarget::Syslog,
            path if path.starts_with('/') && !path.ends_with('/') && !path.contains('\0') => {
                LogTarget::File(path.into())
            }
            other => {
                let draft =
                    problems.error(entry.span, format!("{} is no place for an access log", quoted(other)));
                draft.help(match nearest(other, ["stdout", "syslog"]) {
                    Some(near) => format!("did you mean `\"{near}\"`?"),
                    None => format!("it must be {}", key.kind.expectation()),
                });
                return None;
            }
        };
        Some(At::new(target, entry.span))
    }

    pub(super) fn user(&self, name: &str, problems: &mut Problems) -> Setting<String> {
        let (entry, key) = self.given(name)?;
        let Value::Text(text) = &entry.value else {
            not(entry, key, problems).help("write the name of the user, not its number");
            return None;
        };
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '$' | '@' | '\\');
        if text.text.is_empty()
            || text.text.len() > 64
            || text.text.starts_with('-')
            || !text.text.chars().all(fits)
        {
            problems
                .error(entry.span, format!("{} is no name of a user", quoted(&text.text)))
                .help("write the name of a user of this machine, or remove the line");
            return None;
        }
        Some(At::new(text.text.clone(), entry.span))
    }

    pub(super) fn directory(&self, name: &str, problems: &mut Problems) -> Setting<PathBuf> {
        self.absolute(name, "write the absolute path of a directory, without `/` at its end", problems)
    }

    fn absolute(&self, name: &str, help: &str, problems: &mut Problems) -> Setting<PathBuf> {
        let (entry, key) = self.given(name)?;
        let Value::Text(text) = &entry.value else {
            not(entry, key, problems);
            return None;
        };
        let path = text.text.as_str();
        let fits = path.starts_with('/') && !path.ends_with('/') && !path.contains('\0');
        if !fits || path.len() > LONGEST_PATH {
            problems.error(entry.span, format!("{} is no absolute path", quoted(path))).help(help);
            return None;
        }
        Some(At::new(path.into(), entry.span))
    }

    pub(super) fn path(&self, name: &str, problems: &mut Problems) -> Setting<PathBuf> {
        let (entry, key) = self.given(name)?;
        let Value::Text(text) = &entry.value else {
            not(entry, key, problems);
            return None;
        };
        let path = text.text.strip_prefix("unix:").unwrap_or(&text.text);
        if !Path::new(path).is_absolute() || path.len() > LONGEST_UNIX_PATH || path.contains('\0') {
            problems
                .error(entry.span, format!("{} cannot be the path of a socket", quoted(&text.text)))
                .help(format!("write an absolute path of at most {LONGEST_UNIX_PATH} bytes"));
            return None;
        }
        Some(At::new(PathBuf::from(path), entry.span))
    }

    /// The texts of a key that takes one or a list. What is no text is reported.
    pub(super) fn texts(
        &self,
        name: &str,
        may_be_empty: bool,
        most: usize,
        problems: &mut Problems,
    ) -> Option<Vec<Word<'a>>> {
        let (entry, key) = self.given(name)?;
        let items: &[Item] = match &entry.value {
            Value::Text(text) => return Some(vec![At::new(text, entry.span)]),
            Value::Array(items) => items,
            _ => {
                not(entry, key, problems);
                return None;
            }
        };
        if items.is_empty() && !may_be_empty {
            problems
                .error(entry.span, format!("`{name}` is an empty list"))
                .help(format!("write {}", key.kind.expectation()));
        }
        if items.len() > most {
            problems
                .error(entry.span, format!("`{name}` has {} values; {most} are allowed", items.len()))
                .help("shorten the list");
        }
        let mut texts = Vec::new();
        for item in items.iter().take(most) {
            match &item.value {
                Value::Text(text) => texts.push(At::new(text, item.span)),
                Value::Damaged => {}
                other => {
                    problems
                        .error(item.span, format!("`{name}` holds {} where a string is needed", other.kind()))
                        .help(format!("write {}", key.kind.expectation()));
                }
            }
        }
        Some(texts)
    }
}

/// Reports a value of the wrong type.
pub(super) fn not<'p>(
    entry: &Entry,
    key: &Key,
    problems: &'p mut Problems,
) -> &'p mut crate::problems::Draft {
    problems
        .error(entry.span, format!("`{}` cannot be {}", key.name, entry.value.kind()))
        .help(format!("it must be {}", key.kind.expectation()))
}

pub(super) fn one_word(
    name: &str,
    text: &Text,
    span: Span,
    known: &'static [&'static str],
    problems: &mut Problems,
) -> Option<&'static str> {
    let found = known.iter().find(|word| **word == text.text);
    if found.is_none() {
        let draft = problems.error(span, format!("unknown value {} for `{name}`", quoted(&text.text)));
        draft.help(match nearest(&text.text, known.iter().copied()) {
            Some(near) => format!("did you mean `\"{near}\"`?"),
            None => format!("known: {}", one_of(known.iter().copied())),
        });
    }
    found.copied()
}

/// A bare number needs a unit and quotes.
fn quote_it(value: &Value, shown: impl Fn(u64) -> String) -> String {
    let number = match value {
        Value::Integer(Some(number)) => u64::try_from(*number).ok(),
        _ => None,
    };
    match number {
        Some(number) => format!("write it with a unit and in quotes: `\"{}\"`", shown(number)),
        None => format!("write it with a unit and in quotes, such as `\"{}\"`", shown(30)),
    }
}

fn unit_help(text: &str, why: &Invalid, unit: &str, units: &str) -> String {
    match why {
        Invalid::NoUnit => format!("add the unit: `\"{text}{unit}\"`"),
        Invalid::Unit(unknown) => {
            let meant = match unknown.to_ascii_lowercase().as_str() {
                "sec" | "secs" | "second" | "seconds" => Some("s"),
                "min" | "mins" | "minute" | "minutes" => Some("m"),
                "hour" | "hours" => Some("h"),
                "msec" | "millis" | "milliseconds" => Some("ms"),
                "k" | "kb" | "kib" => Some("KiB"),
                "m" | "mb" | "mib" => Some("MiB"),
                "g" | "gb" | "gib" => Some("GiB"),
                "b" | "byte" | "bytes" => Some("B"),
                _ => None,
            };
            match meant.filter(|meant| units.contains(&format!("`{meant}`"))) {
                Some(meant) => format!("write `{meant}` for the unit: the units are {units}"),
                None => format!("the units are {units}"),
            }
        }
        Invalid::Order => format!("write each unit once: {units}"),
        Invalid::TooLarge => "write a smaller number".into(),
        Invalid::TooFine => "write fewer digits after the point".into(),
        Invalid::Other => format!("write a number and a unit, such as `\"30{unit}\"`; the units are {units}"),
    }
}

/// Reads an address; `section` says whether it is one to listen on or one of a server.
pub(super) fn address(
    text: &Text,
    span: Span,
    section: Section,
    problems: &mut Problems,
) -> Setting<Address> {
    let text = text.text.as_str();
    let address: Address = match text.parse() {
        Ok(address) => address,
        Err(why) => {
            let reason = if why == InvalidAddress::Other { String::new() } else { format!(": {why}") };
            let draft = problems.error(span, format!("{} is no address{reason}", quoted(text)));
            draft.help(address_help(text, why, section));
            return None;
        }
    };
    let Address::Tcp(socket) = &address else { return Some(At::new(address, span)) };
    if socket.ip().is_multicast() {
        problems
            .error(span, format!("{} is a multicast address; TCP has none", quoted(text)))
            .help("write the address of one machine");
        return None;
    }
    if section == Section::Server && socket.ip().is_unspecified() {
        problems
            .error(
                span,
                format!("{} is every address of a machine; a server needs one of its own", quoted(text)),
            )
            .help(format!(
                "write the server's address, or `\"127.0.0.1:{}\"` for this machine",
                socket.port()
            ));
        return None;
    }
    Some(At::new(address, span))
}

fn address_help(text: &str, why: InvalidAddress, section: Section) -> String {
    let port = match section {
        Section::Admin => 8404,
        Section::Pair => 7411,
        _ => 80,
    };
    match why {
        InvalidAddress::NoPort if text.parse::<std::net::Ipv6Addr>().is_ok() => {
            format!("write it in brackets with a port: `\"[{text}]:{port}\"`")
        }
        InvalidAddress::NoPort if text.starts_with(['/', '.']) => format!("write `\"unix:{text}\"` for a unix socket"),
        InvalidAddress::NoPort if text.trim_matches(['[', ']']).parse::<IpAddr>().is_err() => {
            "write an IP address and a port such as `\"192.0.2.1:80\"`".into()
        }
        InvalidAddress::NoPort => format!("add the port: `\"{text}:{port}\"`"),
        InvalidAddress::Port if text.starts_with("*:") || text.starts_with(':') => every_address(text),
        InvalidAddress::Port => "write a port from 1 to 65535".into(),
        InvalidAddress::HostName if section == Section::Server => {
            "write an IP address, or a host name of letters, digits and `-` such as `\"web.example.com:80\"`".into()
        }
        InvalidAddress::HostName => format!(
            "write an IP address of this machine, or `\"0.0.0.0:{0}\"` and `\"[::]:{0}\"` for all of them",
            text.rsplit_once(':').map_or("80", |(_, port)| port)
        ),
        InvalidAddress::UnixPath => "write it such as `\"unix:/run/app.sock\"`".into(),
        InvalidAddress::Other if text.starts_with('/') => format!("write `\"unix:{text}\"` for a unix socket"),
        InvalidAddress::Other if text.starts_with("*:") || text.starts_with(':') => every_address(text),
        InvalidAddress::Other if text.contains("://") => "write only the address and the port, without a scheme".into(),
        InvalidAddress::Other => {
            "write an IP address and a port such as `\"192.0.2.1:80\"` or `\"[2001:db8::1]:80\"`, or `\"unix:/run/app.sock\"`"
                .into()
        }
    }
}

fn every_address(text: &str) -> String {
    let port = text.rsplit_once(':').map_or("80", |(_, port)| port);
    let port = if port.parse::<u16>().is_ok_and(|port| port > 0) { port } else { "80" };
    format!("write `\"0.0.0.0:{port}\"` for every IPv4 address, `\"[::]:{port}\"` for every IPv6 address")
}

/// Reads a network or a single address.
pub(super) fn network(text: &Word<'_>, problems: &mut Problems) -> Option<IpNet> {
    let typed = text.value.text.as_str();
    let network = match typed.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => match typed.parse::<IpNet>() {
            Ok(network) => network,
            Err(_) => {
                let draft = problems.error(text.span, format!("{} is no network", quoted(typed)));
                let without_port = typed.parse::<std::net::SocketAddr>().ok();
                draft.help(match without_port {
                    Some(socket) => format!("write it without the port: `\"{}\"`", socket.ip()),
                    None => "write a network such as `\"192.0.2.0/24\"` or `\"2001:db8::/32\"`, or a single address".into(),
                });
                return None;
            }
        },
    };
    if network.addr() != network.network() {
        problems.error(text.span, format!("{} has bits set beyond its prefix", quoted(typed))).help(format!(
            "write `\"{}\"` for the network, or `\"{}\"` for the one address",
            network.trunc(),
            network.addr()
        ));
        return None;
    }
    if let IpNet::V6(mapped) = network
        && let Some(plain) = mapped.addr().to_ipv4_mapped()
    {
        let prefix = mapped.prefix_len().saturating_sub(96);
        problems
            .error(text.span, format!("{} is an IPv4 network in IPv6 clothing", quoted(typed)))
            .help(format!("write `\"{plain}/{prefix}\"`: clients on IPv4 are always compared as IPv4"));
        return None;
    }
    Some(network)
}
