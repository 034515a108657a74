//! The records of virtual routers.

use std::time::Duration;

use evenkeel_failover::vrrp::params::{LONGEST_PREEMPT_DELAY, MOST_ANNOUNCEMENTS};

use super::{TIMEOUT_OR_NONE, key};
use crate::keys::{Default, Key, Kind, Section};

const TABLE: Kind = Kind::Count { least: 1, most: u32::MAX as u64, auto: false };

pub(super) const KEYS: &[Key] = &[
    key(
        Section::VirtualRouter,
        "interface",
        Kind::Interface,
        Default::Nothing("must be given, here or in `on.HOST`"),
    )
    .says(
        "The network interface on which the router advertises and holds its addresses. It may come and go.",
        "interface = \"eth0\"",
    ),
    key(
        Section::VirtualRouter,
        "vrid",
        Kind::Count { least: 1, most: 255, auto: false },
        Default::Nothing("must be given"),
    )
    .says(
        "The number of the virtual router, the same on all its nodes and used by no other router on the link.",
        "vrid = 51",
    ),
    key(
        Section::VirtualRouter,
        "priority",
        Kind::Count { least: 1, most: 255, auto: false },
        Default::Value("100"),
    )
    .says(
        "The node with the highest one holds the addresses. Give each node its own. 255 is for the node to which the \
         addresses belong: it takes them at once, and nothing lowers its priority.",
        "priority = 150",
    ),
    key(Section::VirtualRouter, "addresses", Kind::Prefixes, Default::Nothing("must be given")).says(
        "What moves: addresses with the length of their network, all of one family, in the same order on all nodes. \
         Without a length it is a single address (/32 or /128). The first of an IPv6 router must be link-local \
         (`fe80::…`), the same on all nodes. Whoever has put one of them on the interface: a node that must not hold it \
         removes it (not with priority 255).",
        "addresses = [\"192.168.1.100/24\"]",
    ),
    key(
        Section::VirtualRouter,
        "version",
        Kind::Count { least: 2, most: 3, auto: false },
        Default::Value("3"),
    )
    .says(
        "The version of VRRP, the same on all nodes: they do not understand each other otherwise. 2 is for IPv4 and whole \
         seconds only; keepalived speaks it unless told otherwise.",
        "version = 2",
    ),
    key(
        Section::VirtualRouter,
        "advertisement-interval",
        Kind::Time { least: Duration::from_millis(10), most: Duration::from_secs(255) },
        Default::Value("1s"),
    )
    .says(
        "How often the active node says that it is alive, in steps of 10 ms. Three missed ones and a little more, and the \
         next node takes over. With `version = 3` at most `\"40.95s\"`; with `version = 2` whole seconds.",
        "advertisement-interval = \"100ms\"",
    ),
    key(
        Section::VirtualRouter,
        "preempt",
        Kind::FlagOrTime { most: LONGEST_PREEMPT_DELAY },
        Default::Value("true"),
    )
    .says(
        "Whether a node takes the addresses from a living one of lower priority: at once, never, or after it has heard it \
         for this long.",
        "preempt = \"60s\"",
    ),
    key(Section::VirtualRouter, "peers", Kind::Ips, Default::Nothing("multicast")).says(
        "The other nodes, one by one, where the network carries no multicast. Only they are listened to then.",
        "peers = [\"192.168.1.12\"]",
    ),
    key(
        Section::VirtualRouter,
        "least-hop-limit",
        Kind::Count { least: 1, most: 255, auto: false },
        Default::Value("255"),
    )
    .says(
        "What must be left of the TTL or hop limit of a peer's advertisement. 255 keeps out everything that has crossed a \
         router; 254 lets one router be between the nodes. Only with `peers`.",
        "least-hop-limit = 254",
    ),
    key(
        Section::VirtualRouter,
        "source-address",
        Kind::Ip,
        Default::Nothing("the interface's own address; of IPv6 the link-local one"),
    )
    .says(
        "The address of this machine from which it advertises.",
        "source-address = \"192.168.1.11\"",
    ),
    key(
        Section::VirtualRouter,
        "checksum",
        Kind::Word(&["with-pseudo-header", "message-only"]),
        Default::Value("with-pseudo-header"),
    )
    .says(
        "What the checksum of version 3 over IPv4 covers. keepalived and FRRouting include the addresses, RFC 9568, Cisco \
         and Juniper do not. This is what is sent; both are understood.",
        "checksum = \"message-only\"",
    ),
    key(
        Section::VirtualRouter,
        "authentication",
        Kind::Table(Section::Authentication),
        Default::Nothing("none"),
    )
    .says("How advertisements prove that they come from a friend.", "authentication = { password = \"secret12\" }"),
    key(Section::VirtualRouter, "virtual-mac", Kind::Flag, Default::Value("false")).says(
        "The addresses live on an interface of their own, with the hardware address that the RFC reserves for the router, \
         so that neighbours need not learn a new one. Needs a network that lets a machine have more than one: many \
         hypervisors and clouds do not.",
        "virtual-mac = true",
    ),
    key(Section::VirtualRouter, "sync-group", Kind::Group, Default::Nothing("it moves alone")).says(
        "Virtual routers of one group are active on the same node: all of them or none. What one of them tracks counts for \
         all. The same on all nodes; the members of a group have the same priority on each.",
        "sync-group = \"firewall\"",
    ),
    key(
        Section::VirtualRouter,
        "announce",
        Kind::Table(Section::Announce),
        Default::Nothing("all defaults"),
    )
    .says("How neighbours are told where the addresses live.", "announce = { count = 3 }"),
    key(
        Section::VirtualRouter,
        "route",
        Kind::List(Section::FollowingRoute),
        Default::Nothing("no routes"),
    )
    .says("Routes that exist while the addresses are held.", "[[virtual-router.public.route]]"),
    key(
        Section::VirtualRouter,
        "rule",
        Kind::List(Section::FollowingRule),
        Default::Nothing("no rules"),
    )
    .says("Rules that exist while the addresses are held.", "[[virtual-router.public.rule]]"),
    key(
        Section::VirtualRouter,
        "on",
        Kind::Named(Section::VirtualRouter),
        Default::Nothing("the same on every host"),
    )
    .says(
        "Keys for the host of this name alone; they take the place of those above, so that all nodes may share one file. \
         The name is that of `hostname`, whole or up to its first dot.",
        "[virtual-router.public.on.balancer02]",
    ),
    key(Section::Authentication, "password", Kind::Text, Default::Nothing("no password")).says(
        "At most 8 bytes, sent in clear: it keeps out mistakes, not strangers. Only with `version = 2`.",
        "password = \"secret12\"",
    ),
    key(Section::Authentication, "keys", Kind::Secrets, Default::Nothing("no HMAC")).says(
        "Secrets of 32 to 64 bytes by number (1 to 255), at most 8, for an HMAC behind each advertisement as keepalived's \
         `auth_hmac` (2.4.2 and later). The clocks of the nodes must agree. Only with `peers`.",
        "keys = { 1 = \"a secret of 32 to 64 random bytes\" }",
    ),
    key(
        Section::Authentication,
        "active-key",
        Kind::Count { least: 1, most: 255, auto: false },
        Default::Nothing("the only key"),
    )
    .says("The number of the key that is used for sending; all are understood.", "active-key = 1"),
    key(
        Section::Authentication,
        "mode",
        Kind::Word(&["receive-only", "permissive", "enforce"]),
        Default::Value("enforce"),
    )
    .says(
        "How strict HMAC is, so that it can be introduced node by node: `\"receive-only\"` checks what comes with one and \
         sends none, `\"permissive\"` sends as well, `\"enforce\"` refuses what comes without.",
        "mode = \"permissive\"",
    ),
    key(
        Section::Authentication,
        "window",
        Kind::Time { least: Duration::from_secs(1), most: Duration::from_secs(3600) },
        Default::Nothing("three intervals, at least 5 s"),
    )
    .says("How far the clock of a sender may be from ours.", "window = \"10s\""),
    key(
        Section::Announce,
        "count",
        Kind::Count { least: 1, most: MOST_ANNOUNCEMENTS as u64, auto: false },
        Default::Value("5"),
    )
    .says("How often each address is announced when it has been taken over.", "count = 3"),
    key(Section::Announce, "again-after", TIMEOUT_OR_NONE, Default::Value("5s")).says(
        "When that is done a second time. `\"0s\"` does not.",
        "again-after = \"10s\"",
    ),
    key(Section::Announce, "refresh", TIMEOUT_OR_NONE, Default::Value("60s")).says(
        "How often each address is announced once more while it is held, at least `\"1s\"` apart. `\"0s\"` never does.",
        "refresh = \"5m\"",
    ),
    key(Section::FollowingRoute, "to", Kind::Network, Default::Required).says(
        "Where packets go. `0.0.0.0/0` and `::/0` are everywhere.",
        "to = \"0.0.0.0/0\"",
    ),
    key(
        Section::FollowingRoute,
        "via",
        Kind::Ip,
        Default::Nothing("the destination is on the interface's own network"),
    )
    .says("The router that takes them.", "via = \"192.168.1.1\""),
    key(Section::FollowingRoute, "source", Kind::Ip, Default::Nothing("the kernel chooses")).says(
        "The source of packets that this machine sends itself.",
        "source = \"192.168.1.100\"",
    ),
    key(Section::FollowingRoute, "table", TABLE, Default::Value("254")).says(
        "The routing table; 254 is the main one.",
        "table = 100",
    ),
    key(
        Section::FollowingRoute,
        "metric",
        Kind::Count { least: 0, most: u32::MAX as u64, auto: false },
        Default::Value("0"),
    )
    .says("Routes with less are preferred; 0 is the kernel's default.", "metric = 50"),
    key(Section::FollowingRule, "from", Kind::Network, Default::Nothing("any source")).says(
        "The source of the packets.",
        "from = \"192.168.1.100\"",
    ),
    key(Section::FollowingRule, "to", Kind::Network, Default::Nothing("any destination")).says(
        "Their destination.",
        "to = \"10.0.0.0/8\"",
    ),
    key(Section::FollowingRule, "table", TABLE, Default::Required).says(
        "The routing table that is asked for them.",
        "table = 100",
    ),
    key(
        Section::FollowingRule,
        "priority",
        Kind::Count { least: 1, most: 32_765, auto: false },
        Default::Required,
    )
    .says("Rules with less are asked first; the main table has 32766.", "priority = 100"),
];
