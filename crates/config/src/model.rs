//! What was typed: the settings of each table as typed values with their places, nothing filled in.
//!
//! Reading a value checks the value alone (its type, its form, its bounds). What it means together with others is
//! decided by [`crate::lower`]. A setting that was given and is wrong was reported and reads as not given.

mod balance;
mod discovery;
mod health;
mod pair;
mod read;
mod route;
mod send_proxy;
mod server_tls;
mod sticky;
mod telling;
mod tls;
mod track;
mod value;
mod virtual_router;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use evenkeel_traffic::address::Address;
use evenkeel_traffic::name::Name;
use evenkeel_traffic::pick::{Balance, Weight};
use evenkeel_traffic::route::Conditions;
use ipnet::IpNet;

use crate::plan::{From, LogTarget};
pub(crate) use discovery::{Resolver, ServersFrom};
pub(crate) use health::{Agent, Health, Passive, WordOr, statuses};
pub(crate) use pair::Pair;
pub(crate) use send_proxy::SendProxy;
pub(crate) use server_tls::ServerTls;
pub(crate) use sticky::Sticky;
pub(crate) use telling::{Notify, Provider};
pub(crate) use tls::{Certificates, Hsts, Tls};
pub(crate) use track::Track;
pub(crate) use virtual_router::{FlagOr, FollowingRoute, FollowingRule, Host, VirtualRouter};

use crate::problems::{At, Problems, Span};
use crate::text::Table;

/// A setting with its place; `None` when it is not given or wrong.
pub(crate) type Setting<T> = Option<At<T>>;

/// A number, or `"auto"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count<T> {
    Auto,
    Exactly(T),
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) global: Global,
    pub(crate) admin: Option<Admin>,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) pools: Vec<Pool>,
    pub(crate) resolver: Resolver,
    pub(crate) virtual_routers: Vec<VirtualRouter>,
    pub(crate) pair: Option<Pair>,
}

#[derive(Debug, Default)]
pub(crate) struct Global {
    pub(crate) threads: Setting<Count<u16>>,
    pub(crate) max_connections: Setting<Count<NonZeroU32>>,
    pub(crate) user: Setting<String>,
    pub(crate) graceful_timeout: Setting<Duration>,
    pub(crate) control_socket: Setting<PathBuf>,
    pub(crate) state_dir: Setting<PathBuf>,
}

#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) bind: Setting<Address>,
    pub(crate) token_file: Setting<PathBuf>,
}

#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) name: At<Name>,
    pub(crate) binds: Vec<At<Address>>,
    pub(crate) mode: Setting<&'static str>,
    pub(crate) pool: Setting<String>,
    pub(crate) routes: Vec<Route>,
    pub(crate) max_head_size: Setting<u64>,
    pub(crate) max_target_size: Setting<u64>,
    pub(crate) max_headers: Setting<u64>,
    pub(crate) header_timeout: Setting<Duration>,
    pub(crate) idle_timeout: Setting<Duration>,
    pub(crate) tunnel_timeout: Setting<Duration>,
    pub(crate) min_body_rate: Setting<u64>,
    pub(crate) min_response_rate: Setting<u64>,
    pub(crate) trusted_proxies: Option<Vec<IpNet>>,
    pub(crate) forwarding_headers: Option<Vec<&'static str>>,
    pub(crate) underscore_headers: Setting<&'static str>,
    pub(crate) http2: Setting<bool>,
    pub(crate) proxy_protocol: Option<ProxyProtocol>,
    pub(crate) tls: Option<Tls>,
    pub(crate) redirect_to_https: Setting<bool>,
    pub(crate) hsts: Option<Hsts>,
    pub(crate) access_log: Option<AccessLog>,
    /// The keys that are given and mean something with `mode = "http"` only.
    pub(crate) http_keys: Vec<At<&'static str>>,
}

#[derive(Debug)]
pub(crate) struct ProxyProtocol {
    pub(crate) from: Option<Vec<IpNet>>,
    pub(crate) mode: Setting<&'static str>,
}

#[derive(Debug)]
pub(crate) struct AccessLog {
    pub(crate) to: Setting<LogTarget>,
    pub(crate) format: Setting<&'static str>,
}

#[derive(Debug)]
pub(crate) struct Route {
    /// Its header or braces.
    pub(crate) span: Span,
    pub(crate) conditions: Conditions,
    /// It has conditions, right or wrong.
    pub(crate) has_conditions: bool,
    pub(crate) pool: Setting<String>,
    /// The keys that are given and mean something with `mode = "http"` only.
    pub(crate) http_keys: Vec<At<&'static str>>,
    /// Where `sni` is given, which means something with `mode = "tcp"` only.
    pub(crate) sni: Option<Span>,
}

#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) name: At<Name>,
    pub(crate) retries: Setting<u64>,
    pub(crate) retry_budget: Setting<u64>,
    pub(crate) balance: Setting<Balance>,
    pub(crate) connect_timeout: Setting<Duration>,
    pub(crate) response_timeout: Setting<Duration>,
    pub(crate) keep_alive: Setting<Duration>,
    pub(crate) max_idle_connections: Setting<u64>,
    pub(crate) protocol: Setting<&'static str>,
    pub(crate) tls: Option<ServerTls>,
    pub(crate) send_proxy: Setting<WordOr<SendProxy>>,
    pub(crate) health: Setting<WordOr<Health>>,
    pub(crate) agent: Option<Agent>,
    pub(crate) passive: Setting<WordOr<Passive>>,
    pub(crate) slow_start: Setting<Duration>,
    pub(crate) when_all_down: Setting<&'static str>,
    pub(crate) sticky: Option<Sticky>,
    pub(crate) queue: Option<Queue>,
    pub(crate) servers: Vec<Server>,
    pub(crate) servers_from: Option<ServersFrom>,
    /// Whether `servers` is given, and whether anything is in it.
    pub(crate) typed_servers: TypedServers,
}

#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) size: Setting<u64>,
    pub(crate) timeout: Setting<Duration>,
}

/// What was typed for `servers`, right or wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TypedServers {
    Missing,
    Empty,
    Some,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: At<Name>,
    pub(crate) settings: ServerSettings,
}

#[derive(Debug, Default)]
pub(crate) struct ServerSettings {
    pub(crate) address: Setting<Address>,
    /// `address`, when it is a name.
    pub(crate) origin: Setting<From>,
    pub(crate) check_address: Setting<Address>,
    pub(crate) weight: Setting<Weight>,
    pub(crate) max_connections: Setting<u64>,
    pub(crate) backup: Setting<bool>,
    pub(crate) priority: Setting<u64>,
    pub(crate) duty: Setting<&'static str>,
}

/// Reads a whole document.
pub(crate) fn read(document: &Table, host: &Host, problems: &mut Problems) -> Model {
    read::model(document, host, problems)
}
