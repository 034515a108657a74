//! What the configuration means: every default filled in, every reference resolved.
//!
//! Immutable and complete; the planes of the program see this and never text. It travels between the program's
//! processes as JSON. Invariants, kept by `crate::lower`: names are unique within their kind, every pool that a
//! listener or rule names exists, no two listeners share a bind, every pool has at least one server or source of servers.

mod health;
mod pair;
mod protocol;
mod send_proxy;
mod server_tls;
mod source;
mod sticky;
mod telling;
mod tls;
mod track;
mod virtual_router;

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use evenkeel_http::hsts::Hsts;
use evenkeel_http::limits::Limits;
use evenkeel_traffic::address::Address;
use evenkeel_traffic::duty::Duty;
use evenkeel_traffic::name::Name;
use evenkeel_traffic::outlier;
use evenkeel_traffic::pick::{Balance, Priority, Weight};
use evenkeel_traffic::queue;
use evenkeel_traffic::route::Rule;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use health::{Agent, ExecProbe, GrpcProbe, HttpProbe, Probe, ProbeKind, TcpProbe, WhenAllDown};
pub use pair::Pair;
pub use protocol::Protocol;
pub use send_proxy::{Extensions, SendProxy};
pub use server_tls::{ServerTls, Trust};
pub use source::{
    Families, From, MOST_NAMESERVERS, MOST_SOURCES, Resolver, SERVERS_FROM, Source, Template, Url,
};
pub use sticky::Sticky;
pub use telling::{Notify, Provider, Target};
pub use tls::{CertificateFiles, Certificates, ClientAuth, Tls};
pub use track::{Bearing, Least, ProcessTrack, Script, Track, Tracked};
pub use virtual_router::{
    FollowingRoute, FollowingRule, MOST_FOLLOWERS, MOST_VIRTUAL_ROUTERS, VirtualRouter,
};

/// The most workers (threads that move traffic): one message to the proxy role carries the sockets of all of them.
pub const MOST_WORKERS: u16 = 128;
/// The most servers of one pool.
pub const MOST_SERVERS: usize = 4096;
/// The most servers of one source when the file says nothing.
pub const SERVERS_OF_A_SOURCE: &str = "256";
/// The most binds of all listeners together.
pub const MOST_BINDS: usize = 1024;
/// The most places to which access logs of all listeners together go: each has a thread that writes.
pub const MOST_LOGS: usize = 64;

/// A whole configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// `[global]`.
    pub global: Global,
    /// `[admin]`, when there is one.
    pub admin: Option<Admin>,
    /// `[listener.NAME]`, in file order.
    pub listeners: Vec<Listener>,
    /// `[pool.NAME]`, in file order.
    pub pools: Vec<Pool>,
    /// `[resolver]`.
    #[serde(default)]
    pub resolver: Resolver,
    /// `[virtual-router.NAME]`, in file order.
    #[serde(default)]
    pub virtual_routers: Vec<VirtualRouter>,
    /// `[pair]`; `None`: addresses move without their connections.
    #[serde(default)]
    pub pair: Option<Pair>,
}

/// `[global]`: what concerns the whole program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Global {
    /// `threads`: workers, 1 to [`MOST_WORKERS`]; `None` is `"auto"`, the usable CPUs.
    pub threads: Option<u16>,
    /// `max-connections`: client connections at once; `None` is `"auto"`, from the file limit.
    pub max_connections: Option<NonZeroU32>,
    /// `user`: whom the parts that touch traffic run as when started by root; `None` is `evenkeel` if there is such
    /// a user, else `nobody`.
    pub user: Option<String>,
    /// `graceful-timeout`: how long connections may take to end when the program stops.
    pub graceful_timeout: Duration,
    /// `control-socket`: where the command line reaches the running program.
    pub control_socket: PathBuf,
    /// `state-dir`: where runtime changes are kept; `None` is the usual place of the machine.
    pub state_dir: Option<PathBuf>,
}

/// `[admin]`: the API on a TCP address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admin {
    /// `bind`.
    pub bind: Address,
    /// `token-file`: what whoever steers over TCP must know; `None` lets nobody.
    pub token_file: Option<PathBuf>,
}

/// `[listener.NAME]`: where clients arrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Its name.
    pub name: Name,
    /// `bind`: one or more addresses.
    pub binds: Vec<Address>,
    /// `route`: the rules, in file order.
    pub rules: Vec<Rule>,
    /// `pool`: where goes what no rule takes; `None` answers 404 (HTTP) or closes (TCP).
    pub pool: Option<Name>,
    /// `mode` and what belongs to it.
    pub mode: Mode,
    /// `proxy-protocol`; `None` believes nobody.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// `tls`; `None` speaks plain text.
    pub tls: Option<Tls>,
    /// `access-log`; `None` writes none.
    pub access_log: Option<AccessLog>,
}

/// `proxy-protocol`: who may say for whom he speaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyProtocol {
    /// `from`.
    pub from: Vec<IpNet>,
    /// `mode = "required"`: they must.
    pub required: bool,
}

/// `access-log`: one line for each request (HTTP) or connection (TCP).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessLog {
    /// `to`.
    pub to: LogTarget,
    /// `format`.
    pub format: LogFormat,
}

/// Where lines of an access log go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogTarget {
    /// `"stdout"`: the program's standard output.
    Stdout,
    /// `"syslog"`: the machine's system log.
    Syslog,
    /// An absolute path: the end of this file.
    File(PathBuf),
}

impl Display for LogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::Syslog => f.write_str("syslog"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// What a line of an access log looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// `"json"`: one JSON object, with everything that is known.
    Json,
    /// `"common"`: the Common Log Format.
    Common,
    /// `"combined"`: the same with referer and user agent.
    Combined,
}

impl LogFormat {
    /// As the file names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Common => "common",
            Self::Combined => "combined",
        }
    }
}

/// `mode`: what is spoken on a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// HTTP: each request is routed by itself.
    Http(HttpMode),
    /// Bytes: each connection is routed by its source.
    Tcp(TcpMode),
}

/// Settings of a listener with `mode = "http"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpMode {
    /// `max-head-size`, `max-target-size`, `max-headers`.
    pub limits: Limits,
    /// `header-timeout`: from the first byte of a head (or the accept) to its last; then 408.
    pub header_timeout: Duration,
    /// `idle-timeout`: between two requests, and between two bytes that a client takes or gives.
    pub idle_timeout: Duration,
    /// `tunnel-timeout`: an upgraded connection with no byte in either direction.
    pub tunnel_timeout: Duration,
    /// `min-body-rate`: bytes per second that a client's body must average; 0 asks for none.
    pub min_body_rate: u64,
    /// `min-response-rate`: bytes per second that a client must take on average of a response that waits for it; 0 asks
    /// for none.
    pub min_response_rate: u64,
    /// `trusted-proxies`: whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// `forwarding-headers`: which ones are told to servers.
    pub forwarding: Forwarding,
    /// `underscore-headers`: what happens to fields with `_` in their name.
    pub underscores: Underscores,
    /// `http2`: clients may speak it.
    pub http2: bool,
    /// `redirect-to-https`: what no route takes is answered 308.
    pub redirect: bool,
    /// `hsts`; only with TLS.
    pub hsts: Option<Hsts>,
}

/// `forwarding-headers`: which headers tell a server about the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarding {
    /// `"x-forwarded"`: `X-Forwarded-For`, `-Proto` and `-Host`.
    pub x_forwarded: bool,
    /// `"forwarded"`: `Forwarded` (RFC 7239).
    pub forwarded: bool,
}

/// `underscore-headers`: a server that maps `-` to `_` (CGI, WSGI) cannot tell `X_User` from `X-User`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Underscores {
    /// `"drop"`: the field is not forwarded.
    Drop,
    /// `"keep"`: the field is forwarded.
    Keep,
    /// `"refuse"`: the request is answered 400.
    Refuse,
}

/// Settings of a listener with `mode = "tcp"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpMode {
    /// `idle-timeout`: no byte in either direction.
    pub idle_timeout: Duration,
}

/// `[pool.NAME]`: servers among which traffic is spread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its name.
    pub name: Name,
    /// `balance`.
    pub balance: Balance,
    /// `retries`: how many further tries a request or connection has after the first.
    pub retries: u8,
    /// `retry-budget`: retries for a hundred requests of the last ten seconds, 0 to 100; three are always allowed.
    pub retry_budget: u8,
    /// `connect-timeout`.
    pub connect_timeout: Duration,
    /// `response-timeout`: from the last byte of the request to the first of the response, and between two bytes of
    /// the response; then 504, or a cut connection.
    pub response_timeout: Duration,
    /// `keep-alive`: how long an unused connection to a server is kept; 0 keeps none.
    pub keep_alive: Duration,
    /// `max-idle-connections`: unused connections kept to each server, by each worker.
    pub max_idle: u32,
    /// `protocol`; `Auto` only with `tls`, `H1` with `send_proxy`.
    #[serde(default)]
    pub protocol: Protocol,
    /// `send-proxy-protocol`; with it `keep_alive` is zero.
    pub send_proxy: Option<SendProxy>,
    /// `tls`; `None` speaks plain text to servers.
    pub tls: Option<ServerTls>,
    /// `health`: how servers are checked, if they are.
    pub health: Option<Probe>,
    /// `agent`: what each server is asked for its wishes, if it is.
    pub agent: Option<Agent>,
    /// `passive`: how live traffic judges servers, if it does.
    pub passive: Option<outlier::Settings>,
    /// `slow-start`: how long a server that comes back takes to get its whole share; 0 gives it at once.
    pub slow_start: Duration,
    /// `when-all-down`.
    pub when_all_down: WhenAllDown,
    /// `sticky`; without it clients belong to no server.
    pub sticky: Option<Sticky>,
    /// `queue`: who waits while all servers are at their `max-connections`.
    pub queue: queue::Settings,
    /// `servers`, in file order, then those that were found.
    pub servers: Vec<Server>,
    /// Names in `servers`, and `servers-from`.
    #[serde(default)]
    pub sources: Vec<Source>,
}

/// One line of `[pool.NAME.servers]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its name, unique in its pool.
    pub name: Name,
    /// `address`.
    pub address: Address,
    /// `check-address`: where `health` asks instead.
    pub check_address: Option<Address>,
    /// `weight`.
    pub weight: Weight,
    /// `priority`; `backup = true` is the lowest.
    pub priority: Priority,
    /// `max-connections`: requests or connections running on it at once; `None` sets no bound.
    pub max_connections: Option<NonZeroU32>,
    /// `state`: what the operator wants of it.
    pub duty: Duty,
}

impl Plan {
    /// Where access logs go, each place once.
    #[must_use]
    pub fn log_targets(&self) -> BTreeSet<&LogTarget> {
        self.listeners.iter().filter_map(|listener| listener.access_log.as_ref()).map(|log| &log.to).collect()
    }

    /// The pool of this name.
    #[must_use]
    pub fn pool(&self, name: &Name) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.name == *name)
    }
}
