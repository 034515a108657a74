//! Looks names up: `/etc/hosts` first, then DNS.
//!
//! Invariants: an answer holds as long as its shortest-lived record, be it the name or an alias on the way to it, within
//! the bounds of the plan; one family that fails takes nothing from the other, and its addresses are missing, not gone; a
//! change of `/etc/resolv.conf` and `/etc/hosts` is noticed with the next look.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenkeel_config::found::{self, Found, List};
use evenkeel_config::plan::{Families, MOST_SERVERS, Resolver, Source};
use evenkeel_traffic::pick::{Priority, Weight};
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ProtocolConfig, ResolveHosts, ResolverConfig, ServerOrderingStrategy,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, TokioResolver, system_conf};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Look;

/// Targets of one service that are looked up at once.
const MOST_TARGETS_AT_ONCE: usize = 8;
/// The largest answer over UDP that is asked for (RFC 6891); larger ones come over TCP.
const LARGEST_DATAGRAM: u16 = 1232;
/// How long it holds that there is no record: negative answers have no time of their own here.
const NOTHING: Duration = Duration::from_secs(10);
/// Where the name servers of the machine stand.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Where names stand that need no name server.
const HOSTS: &str = "/etc/hosts";

/// What answers questions about names.
pub(super) struct Names {
    settings: Resolver,
    ready: Mutex<Option<Arc<Ready>>>,
}

/// A resolver, and what the files it was made of looked like.
struct Ready {
    resolver: Result<TokioResolver, String>,
    hosts: Hosts,
    stamps: [Stamp; 2],
}

/// When a file changed, and which file it is.
type Stamp = Option<(i64, i64, u64, u64)>;

fn stamp(path: &str) -> Stamp {
    let about = std::fs::metadata(path).ok()?;
    Some((about.mtime(), about.mtime_nsec(), about.len(), about.ino()))
}

/// The addresses of a name.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    pub(super) found: BTreeSet<IpAddr>,
    /// How long they hold.
    ttl: Option<Duration>,
    /// Why a family is missing.
    troubles: Vec<String>,
    /// The name is not known at all.
    unknown: bool,
}

impl Names {
    pub(super) fn new(settings: Resolver) -> Self {
        Self { settings, ready: Mutex::new(None) }
    }

    /// The resolver of this moment.
    fn ready(&self) -> Arc<Ready> {
        let stamps = [RESOLV_CONF, HOSTS].map(stamp);
        let mut ready = self.ready.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match ready.as_ref().filter(|ready| ready.stamps == stamps) {
            Some(kept) => kept.clone(),
            None => {
                let hosts = Hosts::from_system().unwrap_or_default();
                let new = Arc::new(Ready { resolver: resolver(&self.settings), hosts, stamps });
                *ready = Some(new.clone());
                new
            }
        }
    }

    /// The time that an answer is believed.
    fn bounded(&self, ttl: Option<Duration>) -> Duration {
        ttl.unwrap_or(NOTHING).clamp(self.settings.min_ttl, self.settings.max_ttl)
    }

    /// All addresses of a host. When nothing answered at all that is an error.
    pub(super) async fn addresses(&self, host: &str) -> Result<Addresses, String> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(Addresses {
                found: [ip].into(),
                ttl: Some(self.settings.max_ttl),
                ..Addresses::default()
            });
        }
        let name = Name::from_str(host).map_err(|error| format!("{host} is no name: {error}"))?;
        let wanted: &[RecordType] = match self.settings.families {
            Families::Both => &[RecordType::A, RecordType::AAAA],
            Families::Ipv4 => &[RecordType::A],
            Families::Ipv6 => &[RecordType::AAAA],
        };
        let ready = self.ready();
        let here = |kind: &RecordType| ready.hosts.lookup_static_host(&Query::query(name.clone(), *kind));
        let both = [RecordType::A, RecordType::AAAA];
        if both.iter().any(|kind| here(kind).is_some()) {
            let mut addresses = Addresses { ttl: Some(self.settings.max_ttl), ..Addresses::default() };
            for lookup in wanted.iter().filter_map(here) {
                addresses.found.extend(servers_of(&lookup));
            }
            return Ok(addresses);
        }
        let resolver = ready.resolver.as_ref().map_err(Clone::clone)?;
        let mut addresses = Addresses::default();
        // Both questions at once: a name server that is silent costs its timeout once.
        let ask = async |kind: RecordType| {
            if wanted.contains(&kind) { Some(resolver.lookup(name.clone(), kind).await) } else { None }
        };
        let (four, six) = tokio::join!(ask(RecordType::A), ask(RecordType::AAAA));
        for (kind, answer) in [("A", four), ("AAAA", six)] {
            match answer {
                Some(Ok(lookup)) => {
                    addresses.ttl = shorter(addresses.ttl, &lookup);
                    addresses.found.extend(servers_of(&lookup));
                }
                Some(Err(error)) if error.is_no_records_found() => addresses.unknown |= error.is_nx_domain(),
                Some(Err(error)) => addresses.troubles.push(format!("{host} {kind}: {}", plain(&error))),
                None => {}
            }
        }
        if addresses.found.is_empty() && !addresses.troubles.is_empty() {
            return Err(addresses.troubles.join("; "));
        }
        Ok(addresses)
    }
}

/// The addresses of an answer at which a server can be.
fn servers_of(lookup: &Lookup) -> impl Iterator<Item = IpAddr> {
    let addresses = lookup.answers().iter().filter_map(|record| record.data.ip_addr());
    addresses.filter(|ip| found::is_of_a_server(*ip))
}

/// The time that the shortest-lived record of an answer holds, aliases among them, or that of before.
fn shorter(before: Option<Duration>, lookup: &Lookup) -> Option<Duration> {
    let own = lookup.answers().iter().map(|record| Duration::from_secs(record.ttl.into())).min();
    [before, own].into_iter().flatten().min()
}

/// An error of the library in words for the operator.
fn plain(error: &NetError) -> String {
    match error {
        NetError::Timeout => "no answer in time".into(),
        error => error.to_string(),
    }
}

fn resolver(settings: &Resolver) -> Result<TokioResolver, String> {
    let (config, mut options) = if settings.nameservers.is_empty() {
        system_conf::read_system_conf()
            .map_err(|error| format!("no name server in {RESOLV_CONF}: {error}"))?
    } else {
        let servers = settings.nameservers.iter().map(|server| nameserver(*server)).collect();
        (ResolverConfig::from_parts(None, Vec::new(), servers), Default::default())
    };
    options.timeout = settings.timeout;
    options.attempts = usize::from(settings.attempts.saturating_sub(1));
    // We keep what was found ourselves, and ask when it is over.
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.preserve_intermediates = true;
    options.edns0 = true;
    options.edns_payload_len = LARGEST_DATAGRAM;
    options.num_concurrent_reqs = 1;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
        .map_err(|error| format!("names cannot be looked up: {error}"))
}

fn nameserver(server: SocketAddr) -> NameServerConfig {
    let connection = |protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = server.port();
        connection
    };
    let connections = vec![connection(ProtocolConfig::Udp), connection(ProtocolConfig::Tcp)];
    NameServerConfig::new(server.ip(), true, connections)
}

/// The servers that a host name stands for.
pub(super) async fn hosts(names: &Names, host: &str, port: u16) -> Result<Look, String> {
    let Addresses { found, ttl, troubles, unknown } = names.addresses(host).await?;
    let empty = found.is_empty().then(|| nothing(host, unknown, "address"));
    let servers = found.into_iter().map(|ip| Found::at(SocketAddr::new(ip, port))).collect();
    Ok(Look {
        list: Some(List { servers, partial: !troubles.is_empty() }),
        trouble: (!troubles.is_empty()).then(|| troubles.join("; ")),
        empty,
        again: names.bounded(ttl),
    })
}

/// The servers that a name with SRV records stands for (RFC 2782).
pub(super) async fn services(names: &Arc<Names>, name: &str, source: &Source) -> Result<Look, String> {
    let asked = Name::from_str(name).map_err(|error| format!("{name} is no name: {error}"))?;
    let ready = names.ready();
    let resolver = ready.resolver.as_ref().map_err(Clone::clone)?;
    let mut unknown = false;
    let (records, mut ttl) = match resolver.lookup(asked, RecordType::SRV).await {
        Ok(lookup) => (records(&lookup), shorter(None, &lookup)),
        Err(error) if error.is_no_records_found() => {
            unknown = error.is_nx_domain();
            (Vec::new(), None)
        }
        Err(error) => return Err(format!("{name} SRV: {}", plain(&error))),
    };
    if records.len() > MOST_SERVERS {
        return Err(format!(
            "{name} has {} SRV records; a pool may have {MOST_SERVERS} servers",
            records.len()
        ));
    }
    let mut targets = targets(names, &records).await;
    let mut troubles = Vec::new();
    let mut by_host: BTreeMap<String, BTreeSet<IpAddr>> = BTreeMap::new();
    while let Some((host, addresses)) = targets.pop() {
        match addresses {
            Ok(addresses) => {
                ttl = [ttl, addresses.ttl].into_iter().flatten().min();
                troubles.extend(addresses.troubles);
                by_host.insert(host, addresses.found);
            }
            Err(why) => troubles.push(why),
        }
    }
    troubles.sort();
    Ok(Look {
        list: Some(List {
            servers: servers(&records, &by_host, source.template.priority),
            partial: !troubles.is_empty(),
        }),
        // One is enough to begin with.
        trouble: troubles.first().map(|first| match troubles.len() {
            1 => first.clone(),
            count => format!("{first}; and {} further", count - 1),
        }),
        empty: by_host
            .values()
            .all(BTreeSet::is_empty)
            .then(|| nothing(name, unknown, "SRV record with an address")),
        again: names.bounded(ttl),
    })
}

/// Why there is no server.
fn nothing(name: &str, unknown: bool, what: &str) -> String {
    if unknown { format!("{name} does not exist (NXDOMAIN)") } else { format!("{name} has no {what}") }
}

/// The records in an order that does not depend on that of the answer.
fn records(lookup: &Lookup) -> Vec<SRV> {
    let mut records: Vec<SRV> = lookup
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            // `.`: the service is decidedly not there.
            RData::SRV(srv) if !srv.target.is_root() && srv.port > 0 => Some(srv.clone()),
            _ => None,
        })
        .collect();
    records.sort_by(|a, b| (a.priority, &a.target, a.port).cmp(&(b.priority, &b.target, b.port)));
    records
}

/// Looks up what the records point to, each once.
async fn targets(names: &Arc<Names>, records: &[SRV]) -> Vec<(String, Result<Addresses, String>)> {
    let hosts: BTreeSet<String> = records.iter().map(|record| record.target.to_ascii()).collect();
    let at_once = Arc::new(Semaphore::new(MOST_TARGETS_AT_ONCE));
    let mut tasks = JoinSet::new();
    for host in hosts {
        let (names, at_once) = (names.clone(), at_once.clone());
        tasks.spawn(async move {
            let _permit = at_once.acquire().await;
            let addresses = names.addresses(&host).await;
            (host, addresses)
        });
    }
    tasks.join_all().await
}

/// Servers of SRV records: the lowest number is the highest rank, and weights are brought to our scale.
fn servers(records: &[SRV], by_host: &BTreeMap<String, BTreeSet<IpAddr>>, usual: Priority) -> Vec<Found> {
    let ranks: BTreeSet<u16> = records.iter().map(|record| record.priority).collect();
    let heaviest = records.iter().map(|record| record.weight).max().unwrap_or(0);
    let mut found = Vec::new();
    for record in records {
        let below = ranks.iter().position(|rank| *rank == record.priority).unwrap_or(0);
        let priority = usual.0.saturating_sub(u8::try_from(below).unwrap_or(u8::MAX));
        for ip in by_host.get(&record.target.to_ascii()).into_iter().flatten() {
            found.push(Found {
                weight: Some(scaled(record.weight, heaviest)),
                priority: Some(Priority(priority)),
                ..Found::at(SocketAddr::new(*ip, record.port))
            });
        }
    }
    found
}

/// A weight of 0 is a very small chance of being chosen (RFC 2782), not none.
fn scaled(weight: u16, heaviest: u16) -> Weight {
    let most = u32::from(Weight::MOST);
    let (weight, heaviest) = (u32::from(weight), u32::from(heaviest));
    let fits = if heaviest <= most { weight } else { weight * most / heaviest };
    u16::try_from(fits.max(1)).ok().and_then(|fits| Weight::try_from(fits).ok()).unwrap_or(Weight::ONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(priority: u16, weight: u16, target: &str) -> SRV {
        SRV::new(priority, weight, 80, Name::from_str(target).unwrap())
    }

    fn at(host: &str, ip: &str) -> (String, BTreeSet<IpAddr>) {
        (host.into(), [ip.parse().unwrap()].into())
    }

    #[test]
    fn ranks_and_weights_of_records_become_ours() {
        let records =
            [record(10, 0, "a."), record(10, 60, "b."), record(20, 5, "c."), record(20, 5, "gone.")];
        let hosts = [at("a.", "192.0.2.1"), at("b.", "192.0.2.2"), at("c.", "192.0.2.3")].into();
        let found = servers(&records, &hosts, Priority::USUAL);
        let told: Vec<_> = found
            .iter()
            .map(|found| {
                (found.address.to_string(), found.weight.unwrap().value(), found.priority.unwrap().0)
            })
            .collect();
        let expected = [("192.0.2.1:80", 1, 100), ("192.0.2.2:80", 60, 100), ("192.0.2.3:80", 5, 99)];
        assert_eq!(told, expected.map(|(address, weight, rank)| (address.to_owned(), weight, rank)));
    }

    #[test]
    fn large_weights_keep_their_relation() {
        // 256 of 65535 parts each: 65535 → 256, 32768 → 128, 100 → 0.39, which is at least 1.
        assert_eq!(scaled(65535, 65535).value(), 256);
        assert_eq!(scaled(32768, 65535).value(), 128);
        assert_eq!(scaled(100, 65535).value(), 1);
        assert_eq!(scaled(100, 200).value(), 100);
    }

    #[test]
    fn a_time_to_live_stays_within_its_bounds() {
        let names = Names::new(Resolver::default());
        let seconds = Duration::from_secs;
        assert_eq!(names.bounded(Some(seconds(0))), seconds(1));
        assert_eq!(names.bounded(Some(seconds(30))), seconds(30));
        assert_eq!(names.bounded(Some(seconds(86_400))), seconds(300));
        assert_eq!(names.bounded(None), seconds(10));
    }
}
