//! The keys of `[resolver]` and of `[pool.NAME.servers-from]`.

use std::time::Duration;

use super::{TIMEOUT, key};
use crate::keys::{Default, Key, Kind, Section};
use crate::plan::{MOST_SERVERS, SERVERS_OF_A_SOURCE};

/// The longest time that an answer of DNS is believed.
const LONGEST_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// The shortest: a name server is asked at most so often for one name.
const SHORTEST_TTL: Duration = Duration::from_millis(100);

const TTL: Kind = Kind::Time { least: SHORTEST_TTL, most: LONGEST_TTL };

pub(super) const KEYS: &[Key] = &[
    key(
        Section::Top,
        "resolver",
        Kind::Table(Section::Resolver),
        Default::Nothing("the name servers of the machine"),
    )
    .says("How host names of servers are looked up.", "[resolver]"),
    key(
        Section::Resolver,
        "nameservers",
        Kind::Nameservers,
        Default::Nothing("those of `/etc/resolv.conf`"),
    )
    .says(
        "Name servers, at most 8, as IP addresses with or without a port (53). Without this key those of `/etc/resolv.conf` \
         are asked, with its search list, and a change of that file is noticed; with it names are taken as they are \
         written.",
        "nameservers = [\"192.0.2.53\", \"[2001:db8::53]:5353\"]",
    ),
    key(Section::Resolver, "timeout", TIMEOUT, Default::Value("2s")).says(
        "How long a name server may take for one answer.",
        "timeout = \"500ms\"",
    ),
    key(Section::Resolver, "attempts", Kind::Count { least: 1, most: 10, auto: false }, Default::Value("2")).says(
        "How often a question is asked before it has failed. A look-up that has failed changes nothing and is repeated after \
         a second, then after longer and longer pauses of up to 30 seconds.",
        "attempts = 3",
    ),
    key(Section::Resolver, "min-ttl", TTL, Default::Value("1s")).says(
        "An answer is kept at least so long, whatever its TTL says: it bounds how often the same is asked.",
        "min-ttl = \"5s\"",
    ),
    key(Section::Resolver, "max-ttl", TTL, Default::Value("5m")).says(
        "An answer is kept at most so long: it bounds how late a change is seen. May not be shorter than `min-ttl`.",
        "max-ttl = \"1m\"",
    ),
    key(Section::Resolver, "addresses", Kind::Word(&["both", "ipv4", "ipv6"]), Default::Value("both")).says(
        "Which addresses of a name become servers. A machine that has one of each is two servers with `\"both\"`.",
        "addresses = \"ipv4\"",
    ),
    key(
        Section::Pool,
        "servers-from",
        Kind::Table(Section::ServersFrom),
        Default::Nothing("the servers in `servers`"),
    )
    .says(
        "Where further servers come from while the program runs. What `servers` lists stays beside them.",
        "servers-from = { dns = \"_http._tcp.app.internal\" }",
    ),
    key(Section::ServersFrom, "dns", Kind::Origin, Default::Nothing("no name is looked up")).says(
        "A host name and a port: every address of the name (A, AAAA) is a server. Or a name with SRV records, without port, \
         such as `_http._tcp.app.internal`: every target is a server with the port, weight and priority that its record \
         says.",
        "dns = \"app.internal:8080\"",
    ),
    key(Section::ServersFrom, "file", Kind::File, Default::Nothing("no file is read")).says(
        "A file that lists servers, as JSON or one a line. It is read by the user whom `global.user` names.",
        "file = \"/etc/evenkeel/servers.json\"",
    ),
    key(Section::ServersFrom, "http", Kind::Url, Default::Nothing("nothing is asked")).says(
        "A URL with the scheme `http` or `https` that lists servers, as JSON or one a line.",
        "http = \"https://registry.internal/servers\"",
    ),
    key(Section::ServersFrom, "ca", Kind::File, Default::Nothing("the authorities that the system trusts")).says(
        "With `https`: a PEM file of authorities; the certificate of the host must be signed by one of them and be for its name.",
        "ca = \"/etc/evenkeel/registry-ca.pem\"",
    ),
    key(
        Section::ServersFrom,
        "interval",
        Kind::Time { least: Duration::from_millis(100), most: LONGEST_TTL },
        Default::Nothing("`\"1s\"` with `file`, `\"10s\"` with `http`"),
    )
    .says(
        "The pause between two looks at the file or two requests. With `dns` the TTL decides: see `[resolver]`.",
        "interval = \"5s\"",
    ),
    key(Section::ServersFrom, "timeout", TIMEOUT, Default::Value("5s")).says(
        "With `http`: how long a request may take in all.",
        "timeout = \"2s\"",
    ),
    key(
        Section::ServersFrom,
        "max-servers",
        Kind::Count { least: 1, most: MOST_SERVERS as u64, auto: false },
        Default::Value(SERVERS_OF_A_SOURCE),
    )
    .says(
        "The most servers. A longer list is refused as a whole: the last good one stays, with an alarm.",
        "max-servers = 1000",
    ),
    key(Section::ServersFrom, "may-be-empty", Kind::Flag, Default::Value("false")).says(
        "Whether a list without any server, or a name that does not exist any more, is believed. Without this it is taken for \
         a mistake: the last good list stays, with an alarm.",
        "may-be-empty = true",
    ),
];
