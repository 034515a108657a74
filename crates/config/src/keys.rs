//! Every key of the configuration, in one table.
//!
//! One record a key: what it takes, its default, its bounds, what it means. The reader of the file, the suggestions
//! for a misspelt key, the JSON Schema, `explain` and the reference page are all made from it, so that they agree.

mod table;

use std::time::Duration;

pub use table::KEYS;

use crate::units::{ShownDuration, ShownSize};

/// A kind of table in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// What stands before the first table.
    Top,
    /// `[global]`.
    Global,
    /// `[admin]`.
    Admin,
    /// `[listener.NAME]`.
    Listener,
    /// `[listener.NAME.tls]`.
    Tls,
    /// `[[listener.NAME.tls.certificates]]`.
    Certificate,
    /// `[listener.NAME.tls.client-auth]`.
    ClientAuth,
    /// `[listener.NAME.hsts]`.
    Hsts,
    /// `[listener.NAME.proxy-protocol]`.
    ProxyProtocol,
    /// `[listener.NAME.access-log]`.
    AccessLog,
    /// `[[listener.NAME.route]]`.
    Route,
    /// `[pool.NAME]`.
    Pool,
    /// `[pool.NAME.tls]`.
    ServerTls,
    /// `[pool.NAME.send-proxy-protocol]`.
    SendProxyProtocol,
    /// `[pool.NAME.health]`.
    Health,
    /// `[pool.NAME.agent]`.
    Agent,
    /// `[pool.NAME.passive]`.
    Passive,
    /// `[pool.NAME.sticky]`.
    Sticky,
    /// `[pool.NAME.queue]`.
    Queue,
    /// `[pool.NAME.servers-from]`.
    ServersFrom,
    /// `[resolver]`.
    Resolver,
    /// `[pool.NAME.servers]`: one table, or one line, a server.
    Server,
    /// `[virtual-router.NAME]`.
    VirtualRouter,
    /// `[virtual-router.NAME.authentication]`.
    Authentication,
    /// `[virtual-router.NAME.announce]`.
    Announce,
    /// `[[virtual-router.NAME.route]]`.
    FollowingRoute,
    /// `[[virtual-router.NAME.rule]]`.
    FollowingRule,
    /// `[[virtual-router.NAME.track]]`.
    Track,
    /// `[[virtual-router.NAME.notify]]`.
    Notify,
    /// `[virtual-router.NAME.provider]`.
    Provider,
    /// `[pair]`.
    Pair,
}

impl Section {
    /// All of them, in the order of the reference.
    pub const ALL: [Self; 31] = [
        Self::Top,
        Self::Global,
        Self::Admin,
        Self::Listener,
        Self::Tls,
        Self::Certificate,
        Self::ClientAuth,
        Self::Hsts,
        Self::ProxyProtocol,
        Self::AccessLog,
        Self::Route,
        Self::Pool,
        Self::ServerTls,
        Self::SendProxyProtocol,
        Self::Health,
        Self::Agent,
        Self::Passive,
        Self::Sticky,
        Self::Queue,
        Self::Server,
        Self::ServersFrom,
        Self::Resolver,
        Self::VirtualRouter,
        Self::Authentication,
        Self::Announce,
        Self::FollowingRoute,
        Self::FollowingRule,
        Self::Track,
        Self::Notify,
        Self::Provider,
        Self::Pair,
    ];

    /// How the file writes it.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Top => "top of the file",
            Self::Global => "[global]",
            Self::Admin => "[admin]",
            Self::Listener => "[listener.NAME]",
            Self::Tls => "[listener.NAME.tls]",
            Self::Certificate => "[[listener.NAME.tls.certificates]]",
            Self::ClientAuth => "[listener.NAME.tls.client-auth]",
            Self::Hsts => "[listener.NAME.hsts]",
            Self::ProxyProtocol => "[listener.NAME.proxy-protocol]",
            Self::AccessLog => "[listener.NAME.access-log]",
            Self::Route => "[[listener.NAME.route]]",
            Self::Pool => "[pool.NAME]",
            Self::ServerTls => "[pool.NAME.tls]",
            Self::SendProxyProtocol => "[pool.NAME.send-proxy-protocol]",
            Self::Health => "[pool.NAME.health]",
            Self::Agent => "[pool.NAME.agent]",
            Self::Passive => "[pool.NAME.passive]",
            Self::Sticky => "[pool.NAME.sticky]",
            Self::Queue => "[pool.NAME.queue]",
            Self::Server => "[pool.NAME.servers]",
            Self::ServersFrom => "[pool.NAME.servers-from]",
            Self::Resolver => "[resolver]",
            Self::VirtualRouter => "[virtual-router.NAME]",
            Self::Authentication => "[virtual-router.NAME.authentication]",
            Self::Announce => "[virtual-router.NAME.announce]",
            Self::FollowingRoute => "[[virtual-router.NAME.route]]",
            Self::FollowingRule => "[[virtual-router.NAME.rule]]",
            Self::Track => "[[virtual-router.NAME.track]]",
            Self::Notify => "[[virtual-router.NAME.notify]]",
            Self::Provider => "[virtual-router.NAME.provider]",
            Self::Pair => "[pair]",
        }
    }

    /// Its name in a dotted path, such as `listener.route`.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Top => "",
            Self::Global => "global",
            Self::Admin => "admin",
            Self::Listener => "listener",
            Self::Tls => "listener.tls",
            Self::Certificate => "listener.tls.certificate",
            Self::ClientAuth => "listener.tls.client-auth",
            Self::Hsts => "listener.hsts",
            Self::ProxyProtocol => "listener.proxy-protocol",
            Self::AccessLog => "listener.access-log",
            Self::Route => "listener.route",
            Self::Pool => "pool",
            Self::ServerTls => "pool.tls",
            Self::SendProxyProtocol => "pool.send-proxy-protocol",
            Self::Health => "pool.health",
            Self::Agent => "pool.agent",
            Self::Passive => "pool.passive",
            Self::Sticky => "pool.sticky",
            Self::Queue => "pool.queue",
            Self::Server => "pool.servers",
            Self::ServersFrom => "pool.servers-from",
            Self::Resolver => "resolver",
            Self::VirtualRouter => "virtual-router",
            Self::Authentication => "virtual-router.authentication",
            Self::Announce => "virtual-router.announce",
            Self::FollowingRoute => "virtual-router.route",
            Self::FollowingRule => "virtual-router.rule",
            Self::Track => "virtual-router.track",
            Self::Notify => "virtual-router.notify",
            Self::Provider => "virtual-router.provider",
            Self::Pair => "pair",
        }
    }

    /// One sentence or two on what it is for.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::Top => "Keys that stand before the first table.",
            Self::Global => "What concerns the whole program. Every key is optional, and so is the table.",
            Self::Admin => {
                "The API on a TCP address or a further unix socket. Without this table only the control socket serves it."
            }
            Self::Listener => "Where clients arrive, what is spoken there, and which pool they are sent to.",
            Self::Tls => {
                "TLS to the clients of a listener. Without this table they are spoken to in plain text. Files are read by the \
                 supervisor, watched, and put in force within two seconds of a change; one that cannot be used leaves the last \
                 good one in force, and `status` says why."
            }
            Self::Certificate => {
                "A certificate with its chain and its key. In one line: `certificates = [{ certificate = \"/etc/evenkeel/www.pem\", \
                 key = \"/etc/evenkeel/www.key\" }]`."
            }
            Self::ClientAuth => {
                "Certificates of clients. What one says about its client goes to servers in `Client-Cert-Subject`, \
                 `Client-Cert-San` and `Client-Cert-Fingerprint`; clients cannot send these themselves."
            }
            Self::Hsts => {
                "`Strict-Transport-Security` in every answer over TLS (RFC 6797), unless the server has sent it: browsers then \
                 come over TLS only, for so long. In one line: `hsts = { max-age = \"365d\" }`."
            }
            Self::ProxyProtocol => {
                "The PROXY protocol (versions 1 and 2): proxies in front say who the client is, before its own bytes. In one line: \
                 `proxy-protocol = { from = \"192.0.2.0/24\" }`."
            }
            Self::AccessLog => {
                "The access log of a listener: one line for each request (HTTP) or connection (TCP), when it has \
                 ended. Without this table none is written. In one line: `access-log = { to = \"stdout\" }`."
            }
            Self::Route => {
                "A rule of a listener. The first rule in file order whose conditions all hold takes the request; the \
                 values of one condition are alternatives. A rule without conditions takes everything."
            }
            Self::Pool => "Servers among which traffic is spread, and how they are spoken to.",
            Self::ServerTls => {
                "TLS to the servers of a pool. Their certificates are verified; a server whose certificate does not hold gets no \
                 traffic. The handshake is part of `connect-timeout`. Files are read, watched and replaced as those of listeners."
            }
            Self::SendProxyProtocol => {
                "What servers are told about the client before its first byte: `send-proxy-protocol = \"v2\"`, or a table to say more."
            }
            Self::Health => {
                "How the servers of a pool are checked: `health = { http = \"/healthz\" }`, or `health = \"tcp\"`. Without \
                 `http` a check only opens a connection, and holds a dialogue when `send` or `expect` is given; with `exec` a \
                 program decides."
            }
            Self::Agent => {
                "A program on each server that is asked how much traffic the server wants, beside `health` and whatever that \
                 finds. It answers one line of words, as the agents of HAProxy do: see the page on health. Without this \
                 table no agent is asked."
            }
            Self::Passive => {
                "How live traffic judges the servers of a pool: one that fails several times in a row takes no traffic for \
                 a while, then one request decides. It is on unless `passive = \"off\"`."
            }
            Self::Sticky => {
                "Sticky sessions: a client that was answered by a server of the pool comes back to it, by a cookie. In one \
                 line: `sticky = { cookie = \"EVENKEEL\" }`."
            }
            Self::Queue => {
                "Where requests (HTTP) and connections (TCP) wait while every server of a pool that may take traffic runs \
                 its `max-connections`. In one line: `queue = { size = 100, timeout = \"2s\" }`."
            }
            Self::Server => {
                "The servers of a pool, in the order in which they take turns: `NAME = \"ADDRESS\"`, or \
                 `NAME = { address = \"ADDRESS\", … }`."
            }
            Self::ServersFrom => {
                "Where servers of a pool come from when the file does not list them: exactly one of `dns`, `file` and `http`. They \
                 are followed while the program runs. In one line: `servers-from = { dns = \"app.internal:8080\" }`."
            }
            Self::Resolver => {
                "How host names are looked up that stand as addresses of servers, in `dns`, or in the URL of `http`. \
                 `/etc/hosts` is asked first."
            }
            Self::VirtualRouter => {
                "Addresses that move between machines (VRRP). The node with the highest priority that is well holds them; when \
                 it dies, the next one takes them over. Number and addresses are the same on all nodes. Keys that differ \
                 from node to node may stand in `[virtual-router.NAME.on.HOST]`."
            }
            Self::Authentication => {
                "How advertisements prove that they come from a friend: a `password` with `version = 2`, or `keys` with \
                 `peers`. Without this table they do not."
            }
            Self::Announce => {
                "How neighbours are told where the addresses live: gratuitous ARP for IPv4, unsolicited neighbour \
                 advertisements for IPv6."
            }
            Self::FollowingRoute => "A route that exists while this machine holds the addresses.",
            Self::FollowingRule => {
                "A rule that exists while this machine holds the addresses: it says which routing table is asked for some \
                 packets."
            }
            Self::Track => {
                "Something that must be well for this node to hold the addresses: `track = [{ pool = \"website\" }]`. Each says \
                 one thing to look at and, with `priority` or `effect`, what follows while it is not well. What each does at \
                 the moment stands in `evenkeel status` and in `GET /v1/virtual-routers`."
            }
            Self::Notify => {
                "A program or a web address that is told each change of state of the virtual router, as JSON, in order and \
                 until it confirms: `notify = [{ script = \"/usr/local/bin/on-change\" }]`. The election never waits for it."
            }
            Self::Provider => {
                "A program that makes the addresses reach this node where announcing them to the neighbours does not: the API of \
                 a cloud, a BGP daemon. It is called until it confirms, beside the interface, which holds the addresses as ever."
            }
            Self::Pair => {
                "The link to the other node of the pair: encrypted, and nobody without the key is heard. With it a planned move of \
                 virtual addresses keeps the connections. Both nodes have this table, each with the other's address and the same key."
            }
        }
    }

    /// The keys of this section, in the order of the reference.
    pub fn keys(self) -> impl Iterator<Item = &'static Key> {
        KEYS.iter().filter(move |key| key.section == self)
    }

    /// The key of this name.
    #[must_use]
    pub fn key(self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name == name)
    }
}

/// What is known of one key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Where it stands.
    pub section: Section,
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds without it.
    pub default: Default,
    /// It means something only on listeners with `mode = "http"`.
    pub http_only: bool,
    /// A change takes effect only when the program is started again.
    pub at_restart: bool,
    /// What it means: one paragraph of Markdown.
    pub description: &'static str,
    /// A line as it stands in a file.
    pub example: &'static str,
}

/// The cipher suites that are known, as the file names them: those of TLS 1.3 first, and of each version the cheapest.
pub const CIPHER_SUITES: &[&str] = &[
    "TLS13_AES_128_GCM_SHA256",
    "TLS13_AES_256_GCM_SHA384",
    "TLS13_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];
/// The key exchanges that are known, the preferred one first.
pub const CURVES: &[&str] = &["X25519MLKEM768", "X25519", "P-256", "P-384"];
/// The versions of the PROXY protocol that servers can be told.
pub const PROXY_VERSIONS: &[&str] = &["v1", "v2"];
/// What version 2 can tell beside the addresses.
pub const PROXY_EXTENSIONS: &[&str] = &["authority", "alpn", "ssl", "crc32c"];
/// The versions of TLS that are known.
pub const TLS_VERSIONS: &[&str] = &["1.2", "1.3"];

/// The algorithms that are a single word.
pub const BALANCE_WORDS: &[&str] =
    &["round-robin", "least-connections", "source", "random-two", "peak-ewma", "first"];
/// What may stand in the table of `balance`.
pub const HASH_KEYS: &[&str] = &["hash", "bounded-load", "ipv6-prefix"];
/// The keys of a hash that are a single word.
pub const HASH_WORDS: &[&str] = &["source", "path", "uri", "sni"];
/// The keys of a hash that need a name.
pub const HASH_NAMED: &[&str] = &["header", "cookie", "query"];

/// What a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// One table.
    Table(Section),
    /// Tables by name.
    Named(Section),
    /// A list of tables.
    List(Section),
    /// A whole number.
    Count {
        /// The smallest.
        least: u64,
        /// The largest.
        most: u64,
        /// `"auto"` is taken as well.
        auto: bool,
    },
    /// `true` or `false`.
    Flag,
    /// `true`, `false` or one of these words.
    FlagOr(&'static [&'static str]),
    /// An algorithm: a word, or a table with a key and settings.
    Balance,
    /// A duration.
    Time {
        /// The shortest.
        least: Duration,
        /// The longest.
        most: Duration,
    },
    /// A size in bytes.
    Size {
        /// The smallest.
        least: u64,
        /// The largest.
        most: u64,
    },
    /// One of these words, or one table.
    WordOrTable(&'static [&'static str], Section),
    /// A program with its arguments.
    Command,
    /// Any text that is not empty.
    Text,
    /// A path with an optional query.
    Target,
    /// A value of the header field `Host`.
    Host,
    /// Header fields and their values.
    Fields,
    /// The name of a service of gRPC, or nothing.
    Service,
    /// Status codes and ranges of them, one or a list.
    Statuses,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Any of these words, one or a list.
    Words(&'static [&'static str]),
    /// An address of a server or of the API.
    Address,
    /// Addresses, one or a list.
    Addresses,
    /// Networks or single addresses without port, one or a list.
    Networks {
        /// A list may be empty.
        may_be_empty: bool,
    },
    /// The name of a pool.
    Pool,
    /// The name of a listener.
    Listener,
    /// The name of a group, which comes to be by being named.
    Group,
    /// What changes a priority.
    Weight,
    /// The name of a user of the system.
    User,
    /// An absolute path.
    Path,
    /// Where an access log goes.
    LogTarget,
    /// The absolute path of a file.
    File,
    /// The absolute path of a directory, or a list of tables.
    DirectoryOrList(Section),
    /// The name of a cookie.
    Cookie,
    /// A domain without a dot in front.
    Domain,
    /// Patterns of file names, one or a list.
    Globs,
    /// Host names or `*.` patterns, one or a list.
    Hosts,
    /// Paths of requests, one or a list.
    Paths,
    /// Methods of requests, one or a list.
    Methods,
    /// Header fields and what is asked of them.
    Headers,
    /// The name of a network interface.
    Interface,
    /// An IP address without port.
    Ip,
    /// IP addresses without port, one or a list.
    Ips,
    /// IP addresses with the length of their network, one or a list.
    Prefixes,
    /// One network.
    Network,
    /// `true`, `false` or a duration.
    FlagOrTime {
        /// The longest.
        most: Duration,
    },
    /// Numbers and secrets.
    Secrets,
    /// An address or a name of a server.
    ServerAddress,
    /// A name that is looked up: with a port, or with SRV records.
    Origin,
    /// A URL with the scheme `http`.
    Url,
    /// IP addresses with or without port, one or a list.
    Nameservers,
}

/// What holds when a key is not given.
#[derive(Clone, Copy, Debug)]
pub enum Default {
    /// It must be given.
    Required,
    /// Nothing; the words say what that means.
    Nothing(&'static str),
    /// This value, as the file would write it, without quotes.
    Value(&'static str),
    /// It depends on the listener's `mode`.
    ByMode {
        /// With `mode = "http"`.
        http: &'static str,
        /// With `mode = "tcp"`.
        tcp: &'static str,
    },
}

impl Key {
    /// The dotted path, such as `listener.header-timeout`.
    #[must_use]
    pub fn path(&self) -> String {
        match self.section.path() {
            "" => self.name.to_owned(),
            section => format!("{section}.{}", self.name),
        }
    }

    /// The default as it is told to a reader, in Markdown.
    #[must_use]
    pub fn shown_default(&self) -> String {
        match self.default {
            Default::Required => "required".to_owned(),
            Default::Nothing(meaning) => meaning.to_owned(),
            Default::Value(value) => format!("`{}`", self.literal(value)),
            Default::ByMode { http, tcp } => {
                format!(
                    "`{}` with `mode = \"http\"`, `{}` with `mode = \"tcp\"`",
                    self.literal(http),
                    self.literal(tcp)
                )
            }
        }
    }

    /// A default's value as TOML.
    fn literal(&self, value: &str) -> String {
        match self.kind {
            Kind::Count { .. } if value.bytes().all(|byte| byte.is_ascii_digit()) => value.to_owned(),
            Kind::Flag | Kind::FlagOrTime { .. } => value.to_owned(),
            Kind::Words(_) => format!("[\"{value}\"]"),
            _ => format!("\"{value}\""),
        }
    }
}

impl Kind {
    /// What it takes, for a message: `… must be a duration such as "30s"`.
    #[must_use]
    pub fn expectation(&self) -> String {
        match self {
            Self::Table(_) => "a table".into(),
            Self::Named(section) => format!("a table of tables: {}", section.header()),
            Self::List(section) => format!("a list of tables: {}", section.header()),
            Self::Count { least, most, auto } => {
                let auto = if *auto { ", or `\"auto\"`" } else { "" };
                format!("a whole number from {least} to {most}{auto}")
            }
            Self::Flag => "`true` or `false`".into(),
            Self::FlagOr(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                format!("`true`, `false` or {}", crate::suggest::one_of(words.iter().map(String::as_str)))
            }
            Self::Balance => {
                let words: Vec<String> = BALANCE_WORDS.iter().map(|word| format!("\"{word}\"")).collect();
                format!(
                    "{} or a table such as `{{ hash = \"path\" }}`",
                    crate::suggest::one_of(words.iter().map(String::as_str))
                )
            }
            Self::Time { least, most } => {
                format!("a duration from `\"{}\"` to `\"{}\"`", ShownDuration(*least), ShownDuration(*most))
            }
            Self::Size { least, most } => {
                format!("a size from `\"{}\"` to `\"{}\"`", ShownSize(*least), ShownSize(*most))
            }
            Self::WordOrTable(words, section) => {
                let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                format!(
                    "{}, or a table with the keys of {}",
                    crate::suggest::one_of(words.iter().map(String::as_str)),
                    section.header()
                )
            }
            Self::Command => {
                "the absolute path of a program, or a list of it and its arguments such as `[\"/usr/local/bin/check\", \"-q\"]`".into()
            }
            Self::Text => "a text".into(),
            Self::Target => "a path such as `\"/healthz\"`".into(),
            Self::Host => "a host name such as `\"www.example.com\"`".into(),
            Self::Fields => "a table of names and values such as `{ x-check = \"evenkeel\" }`".into(),
            Self::Service => "the name of a service such as `\"shop.Cart\"`, or `\"\"`".into(),
            Self::Statuses => "status codes such as `\"200\"` or `\"200-299,304\"`, or a list of them".into(),
            Self::Word(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                crate::suggest::one_of(words.iter().map(String::as_str))
            }
            Self::Words(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                format!("a list of {}", crate::suggest::one_of(words.iter().map(String::as_str)))
            }
            Self::Address => "an address such as `\"192.0.2.1:80\"`, `\"[2001:db8::1]:80\"` or `\"unix:/run/app.sock\"`".into(),
            Self::Addresses => {
                "an address or a list of addresses such as `\"0.0.0.0:80\"`, `\"[::]:80\"` or `\"unix:/run/web.sock\"`".into()
            }
            Self::Networks { .. } => {
                "a network or a list of networks such as `\"192.0.2.0/24\"`, `\"2001:db8::/32\"` or `\"192.0.2.1\"`".into()
            }
            Self::Pool => "the name of a pool".into(),
            Self::Listener => "the name of a listener".into(),
            Self::Group => "a name".into(),
            Self::Weight => "a whole number from -253 to 253, and not 0".into(),
            Self::User => "the name of a user".into(),
            Self::Path => "an absolute path".into(),
            Self::LogTarget => "`\"stdout\"`, `\"syslog\"` or the absolute path of a file".into(),
            Self::File => "the absolute path of a file".into(),
            Self::DirectoryOrList(section) => {
                format!("the absolute path of a directory, or a list of tables: {}", section.header())
            }
            Self::Cookie => "the name of a cookie such as `\"EVENKEEL\"`".into(),
            Self::Domain => "a domain such as `\"example.com\"`".into(),
            Self::Globs => "a file name or pattern such as `\"conf.d/*.toml\"`, or a list of them".into(),
            Self::Hosts => "a host name such as `\"www.example.com\"` or `\"*.example.com\"`, or a list of them".into(),
            Self::Paths => "a path such as `\"/assets/\"`, or a list of them".into(),
            Self::Methods => "a method such as `\"GET\"`, or a list of them".into(),
            Self::Headers => {
                "a table such as `{ x-version = \"2\" }`, where `true` asks for any value and `false` for none".into()
            }
            Self::Interface => "the name of a network interface such as `\"eth0\"`".into(),
            Self::Ip => "an IP address such as `\"192.0.2.11\"` or `\"fe80::11\"`".into(),
            Self::Ips => "an IP address or a list of them such as `[\"192.0.2.11\", \"192.0.2.12\"]`".into(),
            Self::Prefixes => {
                "an address with the length of its network such as `\"192.0.2.100/24\"`, or a list of them".into()
            }
            Self::Network => "a network such as `\"192.0.2.0/24\"` or a single address".into(),
            Self::FlagOrTime { most } => {
                format!("`true`, `false` or a duration up to `\"{}\"`", ShownDuration(*most))
            }
            Self::ServerAddress => {
                "an address such as `\"192.0.2.1:80\"`, `\"[2001:db8::1]:80\"` or `\"unix:/run/app.sock\"`, or a name such as \
                 `\"app.internal:80\"`"
                    .into()
            }
            Self::Origin => {
                "a host name with a port such as `\"app.internal:8080\"`, or a name with SRV records such as \
                 `\"_http._tcp.app.internal\"`"
                    .into()
            }
            Self::Url => "a URL such as `\"https://registry.internal/servers\"`".into(),
            Self::Nameservers => {
                "an IP address with or without a port such as `\"192.0.2.53\"` or `\"192.0.2.53:5353\"`, or a list of them".into()
            }
            Self::Secrets => {
                "a table of numbers and secrets such as `{ 1 = \"32 to 64 bytes that nobody guesses ...\" }`".into()
            }
        }
    }
}
