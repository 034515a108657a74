//! Where servers of a pool come from when the file does not list them: names in DNS, a file, a document over HTTP.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use evenkeel_traffic::duty::Duty;
use evenkeel_traffic::name::Name;
use evenkeel_traffic::pick::{Priority, Weight};
use serde::{Deserialize, Serialize};

use super::{Pool, ServerTls, Trust};

/// The most sources of all pools together: each has a task that looks.
pub const MOST_SOURCES: usize = 1024;
/// The most name servers.
pub const MOST_NAMESERVERS: usize = 8;

/// The name of the source that `servers-from` is; one in `servers` has the name that stands there.
pub const SERVERS_FROM: &str = "servers-from";

/// `[resolver]`: how names are looked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolver {
    /// `nameservers`; empty asks those of `/etc/resolv.conf`.
    pub nameservers: Vec<SocketAddr>,
    /// `timeout`: how long one question to one name server may take.
    pub timeout: Duration,
    /// `attempts`: how often a question is asked, 1 to 10.
    pub attempts: u8,
    /// `min-ttl`: an answer holds at least so long.
    pub min_ttl: Duration,
    /// `max-ttl`: and at most so long.
    pub max_ttl: Duration,
    /// `addresses`: the families that are asked for.
    pub families: Families,
}

impl Default for Resolver {
    fn default() -> Self {
        Self {
            nameservers: Vec::new(),
            timeout: Duration::from_secs(2),
            attempts: 2,
            min_ttl: Duration::from_secs(1),
            max_ttl: Duration::from_secs(300),
            families: Families::Both,
        }
    }
}

/// Which addresses of a name become servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Families {
    /// `"both"`.
    Both,
    /// `"ipv4"`: A records.
    Ipv4,
    /// `"ipv6"`: AAAA records.
    Ipv6,
}

impl Families {
    /// As the file names it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }

    /// The one of this word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Both, Self::Ipv4, Self::Ipv6].into_iter().find(|families| families.word() == word)
    }
}

/// One source of servers of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// [`SERVERS_FROM`], or the name of the entry in `servers`.
    pub name: Name,
    /// What is looked at.
    pub from: From,
    /// `max-servers`: more are refused, and what was known stays.
    pub most: usize,
    /// `may-be-empty`: an answer without a server is believed.
    pub may_be_empty: bool,
    /// What the servers found have when the source does not say.
    pub template: Template,
}

impl Pool {
    /// With what the document of the pool is asked for, when that is done over TLS.
    #[must_use]
    pub fn document_tls(&self) -> Option<ServerTls> {
        self.sources.iter().find_map(|source| match &source.from {
            From::Http { trust: Some(trust), .. } => Some(ServerTls::trusting(trust.clone())),
            _ => None,
        })
    }
}

/// What a source looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum From {
    /// A host name: each of its addresses is a server.
    Names {
        /// The name.
        host: String,
        /// The port of all servers.
        port: u16,
    },
    /// A name with SRV records (RFC 2782): each target is a server, with its port, priority and weight.
    Services {
        /// The name, such as `_http._tcp.example.com`.
        name: String,
    },
    /// A document in a file.
    File {
        /// `file`.
        path: PathBuf,
        /// `interval`: the pause between two looks.
        interval: Duration,
    },
    /// A document over HTTP, or over HTTPS.
    Http {
        /// `http`.
        url: Url,
        /// `interval`: the pause between two requests.
        interval: Duration,
        /// `timeout`: from the look-up of the host to the last byte of the document.
        timeout: Duration,
        /// `ca`: who must have signed the certificate of the host; `None` with the scheme `http`.
        trust: Option<Trust>,
    },
}

/// A URL with the scheme `http` or `https`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Url {
    /// The scheme is `https`.
    pub secure: bool,
    /// The host: a name or an IP address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Path and query.
    pub target: String,
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.target)
    }
}

impl Url {
    /// The port of a URL that names none.
    #[must_use]
    pub fn usual_port(secure: bool) -> u16 {
        if secure { 443 } else { 80 }
    }

    /// Host and port as `Host` has them.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == Self::usual_port(self.secure) { host } else { format!("{host}:{}", self.port) }
    }
}

/// As an operator would say it: `dns app.internal:80`, `file /etc/evenkeel/servers.json`.
impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Names { host, port } => write!(f, "dns {host}:{port}"),
            Self::Services { name } => write!(f, "dns {name}"),
            Self::File { path, .. } => write!(f, "file {}", path.display()),
            Self::Http { url, .. } => url.fmt(f),
        }
    }
}

impl From {
    /// It is looked up in DNS.
    #[must_use]
    pub fn is_dns(&self) -> bool {
        matches!(self, Self::Names { .. } | Self::Services { .. })
    }
}

/// Settings of servers that a source finds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// What their names begin with; without it they are called after their address alone.
    pub prefix: Option<Name>,
    /// `weight`.
    pub weight: Weight,
    /// `priority` or `backup`.
    pub priority: Priority,
    /// `max-connections`.
    pub max_connections: Option<NonZeroU32>,
    /// `state`.
    pub duty: Duty,
}

impl Default for Template {
    fn default() -> Self {
        Self {
            prefix: None,
            weight: Weight::ONE,
            priority: Priority::USUAL,
            max_connections: None,
            duty: Duty::Ready,
        }
    }
}
