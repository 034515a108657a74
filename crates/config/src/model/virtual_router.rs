//! Reads `[virtual-router.NAME]`, with the keys for this host in the place of the general ones.

use std::net::IpAddr;
use std::time::Duration;

use evenkeel_failover::vrrp::params::{Address, MOST_ADDRESSES_V4, MOST_PEERS};
use evenkeel_traffic::name::{InvalidName, Name};
use ipnet::IpNet;

use super::read::Reader;
use super::value::{network, not};
use super::{Notify, Provider, Setting, Track};
use crate::keys::{Kind, Section};
use crate::plan::{MOST_FOLLOWERS, MOST_VIRTUAL_ROUTERS};
use crate::problems::{At, Problems, Span};
use crate::suggest::quoted;
use crate::text::{Entry, Table, Value};
use crate::units;

/// The longest name of an interface, in bytes (IFNAMSIZ with its zero).
const LONGEST_INTERFACE: usize = 15;

/// The name of the machine, if it has one.
#[derive(Debug, Default)]
pub(crate) struct Host(pub(crate) Option<String>);

impl Host {
    /// `name` is this machine: its whole name, or what stands before the first dot of it.
    fn is(&self, name: &str) -> bool {
        let Some(own) = &self.0 else { return false };
        let short = own.split('.').next().unwrap_or_default();
        name.eq_ignore_ascii_case(own) || name.eq_ignore_ascii_case(short)
    }
}

#[derive(Debug)]
pub(crate) struct VirtualRouter {
    pub(crate) name: At<Name>,
    pub(crate) interface: Setting<String>,
    pub(crate) vrid: Setting<u64>,
    pub(crate) priority: Setting<u64>,
    pub(crate) addresses: Vec<At<Address>>,
    pub(crate) version: Setting<u64>,
    pub(crate) interval: Setting<Duration>,
    pub(crate) preempt: Setting<FlagOr>,
    pub(crate) peers: Vec<At<IpAddr>>,
    pub(crate) least_hop_limit: Setting<u64>,
    pub(crate) source: Setting<IpAddr>,
    pub(crate) checksum: Setting<&'static str>,
    pub(crate) authentication: Option<Authentication>,
    pub(crate) virtual_mac: Setting<bool>,
    pub(crate) sync_group: Setting<Name>,
    pub(crate) announce: Announce,
    pub(crate) routes: Vec<FollowingRoute>,
    pub(crate) rules: Vec<FollowingRule>,
    pub(crate) track_proxy: Setting<bool>,
    pub(crate) tracks: Vec<Track>,
    pub(crate) notify: Vec<Notify>,
    pub(crate) provider: Option<Provider>,
    /// The keys that are given, right or wrong.
    pub(crate) given: Vec<At<String>>,
    /// What other hosts are given for `priority`, and where.
    pub(crate) other_priorities: Vec<At<u64>>,
}

/// A yes or no, or a time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FlagOr {
    Flag(bool),
    Time(Duration),
}

#[derive(Debug)]
pub(crate) struct Authentication {
    pub(crate) span: Span,
    pub(crate) password: Setting<String>,
    pub(crate) keys: Option<At<Vec<(u8, String)>>>,
    pub(crate) active_key: Setting<u64>,
    pub(crate) mode: Setting<&'static str>,
    pub(crate) window: Setting<Duration>,
}

#[derive(Debug, Default)]
pub(crate) struct Announce {
    pub(crate) count: Setting<u64>,
    pub(crate) again_after: Setting<Duration>,
    pub(crate) refresh: Setting<Duration>,
}

#[derive(Debug)]
pub(crate) struct FollowingRoute {
    pub(crate) to: Setting<IpNet>,
    pub(crate) via: Setting<IpAddr>,
    pub(crate) source: Setting<IpAddr>,
    pub(crate) table: Setting<u64>,
    pub(crate) metric: Setting<u64>,
}

#[derive(Debug)]
pub(crate) struct FollowingRule {
    pub(crate) span: Span,
    pub(crate) from: Setting<IpNet>,
    pub(crate) to: Setting<IpNet>,
    pub(crate) table: Setting<u64>,
    pub(crate) priority: Setting<u64>,
}

/// Reads all virtual routers.
pub(super) fn read(top: &Reader<'_>, host: &Host, problems: &mut Problems) -> Vec<VirtualRouter> {
    let named = top.named("virtual-router", Section::VirtualRouter, problems);
    if let Some((name, _)) = named.get(MOST_VIRTUAL_ROUTERS) {
        problems
            .error(name.span, format!("there are more than {MOST_VIRTUAL_ROUTERS} virtual routers"))
            .help("one virtual router may have many addresses");
    }
    named
        .into_iter()
        .take(MOST_VIRTUAL_ROUTERS)
        .map(|(name, reader)| {
            let (merged, other_priorities) = for_this_host(&reader, host, problems);
            let reader =
                Reader { table: &merged, section: reader.section, name: reader.name, span: reader.span };
            virtual_router(name, &reader, other_priorities, problems)
        })
        .collect()
}

/// The table with the keys of this host in their places. Those of other hosts are checked as well, so that the file is
/// right on every node or on none.
fn for_this_host(reader: &Reader<'_>, host: &Host, problems: &mut Problems) -> (Table, Vec<At<u64>>) {
    let (merged, others) = reader.on_this_host(host, problems);
    let mut other_priorities = Vec::new();
    for (name, special) in others {
        let other = virtual_router(name, &special, Vec::new(), problems);
        other_priorities.extend(other.priority);
    }
    (merged, other_priorities)
}

impl<'a> Reader<'a> {
    /// The table with the keys of `on` for this host in their places, and what `on` has for other hosts.
    pub(super) fn on_this_host(
        &self,
        host: &Host,
        problems: &mut Problems,
    ) -> (Table, Vec<(At<Name>, Reader<'a>)>) {
        let mut merged = Table { entries: self.table.entries.clone() };
        merged.entries.retain(|entry| entry.key.value != "on");
        let mut others = Vec::new();
        for (name, special) in self.named("on", self.section, problems) {
            if let Some(nested) = special.table.find("on") {
                problems.error(nested.key.span, "`on` stands inside of `on`").help(format!(
                    "write one table `{}.on.HOST]` for each host",
                    self.section.header().trim_end_matches(']')
                ));
            }
            if host.is(name.value.as_str()) {
                for entry in special.table.entries.iter().filter(|entry| entry.key.value != "on") {
                    merged.entries.retain(|general| general.key.value != entry.key.value);
                    merged.entries.push(Entry::clone(entry));
                }
            } else {
                others.push((name, special));
            }
        }
        (merged, others)
    }
}

fn virtual_router(
    name: At<Name>,
    reader: &Reader<'_>,
    other_priorities: Vec<At<u64>>,
    problems: &mut Problems,
) -> VirtualRouter {
    let announce = reader.table("announce", Section::Announce, problems);
    let authentication = reader.table("authentication", Section::Authentication, problems);
    VirtualRouter {
        interface: reader.interface("interface", problems),
        vrid: reader.count("vrid", problems),
        priority: reader.count("priority", problems),
        addresses: reader.prefixes("addresses", problems),
        version: reader.count("version", problems),
        interval: reader.time("advertisement-interval", problems),
        preempt: reader.flag_or_time("preempt", problems),
        peers: reader.ips("peers", problems),
        least_hop_limit: reader.count("least-hop-limit", problems),
        source: reader.ip("source-address", problems),
        checksum: reader.word("checksum", problems),
        authentication: authentication.map(|reader| Authentication {
            span: reader.span.unwrap_or(name.span),
            password: reader.text("password", problems),
            keys: reader.secrets("keys", problems),
            active_key: reader.count("active-key", problems),
            mode: reader.word("mode", problems),
            window: reader.time("window", problems),
        }),
        virtual_mac: reader.flag("virtual-mac", problems),
        sync_group: reader.group("sync-group", problems),
        announce: announce.map_or_else(Announce::default, |reader| Announce {
            count: reader.count("count", problems),
            again_after: reader.time("again-after", problems),
            refresh: reader.time("refresh", problems),
        }),
        routes: reader.followers("route", Section::FollowingRoute, problems, |reader, _, problems| {
            FollowingRoute {
                to: reader.network("to", problems),
                via: reader.ip("via", problems),
                source: reader.ip("source", problems),
                table: reader.count("table", problems),
                metric: reader.count("metric", problems),
            }
        }),
        rules: reader.followers("rule", Section::FollowingRule, problems, |reader, span, problems| {
            FollowingRule {
                span,
                from: reader.network("from", problems),
                to: reader.network("to", problems),
                table: reader.count("table", problems),
                priority: reader.count("priority", problems),
            }
        }),
        track_proxy: reader.flag("track-proxy", problems),
        tracks: super::track::tracks(reader, problems),
        notify: super::telling::notify(reader, problems),
        provider: super::telling::provider(reader, problems),
        given: reader.table.entries.iter().map(|entry| entry.key.clone()).collect(),
        other_priorities,
        name,
    }
}

impl<'a> Reader<'a> {
    /// The name of something that comes to be by being named.
    fn group(&self, name: &str, problems: &mut Problems) -> Setting<Name> {
        let (entry, key) = self.given(name)?;
        let Value::Text(text) = &entry.value else {
            not(entry, key, problems);
            return None;
        };
        match text.text.parse() {
            Ok(group) => Some(At::new(group, entry.span)),
            Err(why @ InvalidName) => {
                problems
                    .error(entry.span, format!("{} is no name for a group", quoted(&text.text)))
                    .help(why.to_string());
                None
            }
        }
    }

    pub(super) fn interface(&self, name: &str, problems: &mut Problems) -> Setting<String> {
        let (entry, key) = self.given(name)?;
        let Value::Text(text) = &entry.value else {
            not(entry, key, problems);
            return None;
        };
        let text = &text.text;
        let fits = |c: char| !c.is_whitespace() && !c.is_control() && c != '/' && c != ':';
        if text.is_empty()
            || text.len() > LONGEST_INTERFACE
            || text.starts_with('.')
            || !text.chars().all(fits)
        {
            problems
                .error(entry.span, format!("{} cannot be the name of an interface", quoted(text)))
                .help("write a name as `ip link` shows it, such as `\"eth0\"`");
            return None;
        }
        Some(At::new(text.clone(), entry.span))
    }

    fn ip(&self, name: &str, problems: &mut Problems) -> Setting<IpAddr> {
        let (entry, key) = self.given(name)?;
        let Value::Text(text) = &entry.value else {
            not(entry, key, problems);
            return None;
        };
        ip(&text.text, entry.span, problems)
    }

    fn ips(&self, name: &str, problems: &mut Problems) -> Vec<At<IpAddr>> {
        let texts = self.texts(name, false, MOST_PEERS, problems).unwrap_or_default();
        texts.iter().filter_map(|text| ip(&text.value.text, text.span, problems)).collect()
    }

    fn prefixes(&self, name: &str, problems: &mut Problems) -> Vec<At<Address>> {
        let texts = self.texts(name, false, MOST_ADDRESSES_V4, problems).unwrap_or_default();
        texts.iter().filter_map(|text| prefix(&text.value.text, text.span, problems)).collect()
    }

    fn network(&self, name: &str, problems: &mut Problems) -> Setting<IpNet> {
        let (entry, key) = self.given(name)?;
        let Value::Text(text) = &entry.value else {
            not(entry, key, problems);
            return None;
        };
        network(&At::new(text, entry.span), problems).map(|network| At::new(network, entry.span))
    }

    fn flag_or_time(&self, name: &str, problems: &mut Problems) -> Setting<FlagOr> {
        let (entry, key) = self.given(name)?;
        let Kind::FlagOrTime { most } = key.kind else { return None };
        let value = match &entry.value {
            Value::Boolean(flag) => FlagOr::Flag(*flag),
            Value::Text(text) if text.from_variable && text.text.parse::<bool>().is_ok() => {
                FlagOr::Flag(text.text == "true")
            }
            Value::Text(text) => match units::duration(&text.text) {
                Ok(time) if time <= most => FlagOr::Time(time),
                Ok(_) => {
                    problems
                        .error(entry.span, format!("`{name}` is too long"))
                        .help(format!("it must be {}", key.kind.expectation()));
                    return None;
                }
                Err(_) => {
                    problems
                        .error(
                            entry.span,
                            format!("{} is neither a duration nor true or false", quoted(&text.text)),
                        )
                        .help(format!("it must be {}", key.kind.expectation()));
                    return None;
                }
            },
            _ => {
                not(entry, key, problems);
                return None;
            }
        };
        Some(At::new(value, entry.span))
    }

    fn secrets(&self, name: &str, problems: &mut Problems) -> Option<At<Vec<(u8, String)>>> {
        let (entry, key) = self.given(name)?;
        let Value::Table(table) = &entry.value else {
            not(entry, key, problems);
            return None;
        };
        let mut secrets = Vec::new();
        for entry in &table.entries {
            let id = entry.key.value.parse::<u8>().ok().filter(|id| *id > 0);
            match (id, &entry.value) {
                (Some(id), Value::Text(text)) => secrets.push((id, text.text.clone())),
                (_, Value::Damaged) => {}
                (None, _) => {
                    problems
                        .error(entry.key.span, format!("{} is no number of a key", quoted(&entry.key.value)))
                        .help("number the keys from 1 to 255, the same on all nodes");
                }
                (Some(_), other) => {
                    problems
                        .error(entry.span, format!("a secret cannot be {}", other.kind()))
                        .help(format!("it must be {}", key.kind.expectation()));
                }
            }
        }
        Some(At::new(secrets, entry.key.span))
    }

    pub(super) fn followers<T>(
        &self,
        name: &str,
        section: Section,
        problems: &mut Problems,
        read: impl Fn(&Reader<'a>, Span, &mut Problems) -> T,
    ) -> Vec<T> {
        let Some((entry, key)) = self.given(name) else { return Vec::new() };
        let Value::Array(items) = &entry.value else {
            not(entry, key, problems)
                .help(format!("write `{}` with two brackets for each", section.header()));
            return Vec::new();
        };
        if items.len() > MOST_FOLLOWERS {
            problems
                .error(
                    entry.key.span,
                    format!("there are {} of `{name}`; {MOST_FOLLOWERS} are allowed", items.len()),
                )
                .help("shorten the list");
        }
        let mut found = Vec::new();
        for item in items.iter().take(MOST_FOLLOWERS) {
            let Value::Table(table) = &item.value else {
                problems
                    .error(item.span, format!("a {name} must be a table, not {}", item.value.kind()))
                    .help(format!("write `{}` and its keys below", section.header()));
                continue;
            };
            let reader = Reader { section, table, name: self.name.clone(), span: Some(item.span) };
            reader.check_keys(problems);
            found.push(read(&reader, item.span, problems));
        }
        found
    }
}

fn ip(text: &str, span: Span, problems: &mut Problems) -> Setting<IpAddr> {
    let Ok(ip) = text.parse::<IpAddr>() else {
        let draft = problems.error(span, format!("{} is no IP address", quoted(text)));
        let bare = text.parse::<std::net::SocketAddr>().map(|socket| socket.ip());
        let bare = bare.or_else(|_| text.parse::<IpNet>().map(|network| network.addr()));
        draft.help(match bare {
            Ok(ip) => format!("write only the address: `\"{ip}\"`"),
            Err(_) => "write an address such as `\"192.0.2.11\"` or `\"fe80::11\"`".into(),
        });
        return None;
    };
    Some(At::new(ip, span))
}

fn prefix(text: &str, span: Span, problems: &mut Problems) -> Setting<Address> {
    let typed = text.parse::<IpAddr>().map(IpNet::from).ok().or_else(|| text.parse::<IpNet>().ok());
    let Some(typed) = typed else {
        let draft =
            problems.error(span, format!("{} is no address with the length of its network", quoted(text)));
        draft.help("write an address such as `\"192.0.2.100/24\"`");
        return None;
    };
    Some(At::new(Address { ip: typed.addr(), prefix: typed.prefix_len() }, span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_by_its_whole_and_its_short_name() {
        let host = Host(Some("balancer02.example.com".into()));
        assert!(host.is("balancer02") && host.is("Balancer02.example.com"));
        assert!(!host.is("balancer0") && !host.is("example.com") && !Host(None).is(""));
    }
}
