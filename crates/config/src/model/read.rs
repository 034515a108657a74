//! Reads each table of the file.

use std::num::NonZeroU32;

use evenkeel_traffic::name::{InvalidName, Name};
use evenkeel_traffic::pick::Weight;

use super::discovery::named_server;
use super::health::{agent, health, passive};
use super::route::route;
use super::{
    AccessLog, Admin, Count, Global, Host, Listener, Model, Pool, ProxyProtocol, Queue, Route, Server,
    ServerSettings, TypedServers,
};
use crate::keys::{Default, Section};
use crate::plan::{MOST_BINDS, MOST_SERVERS};
use crate::problems::{At, Problems, Span};
use crate::suggest::{nearest, one_of, quoted};
use crate::text::{Entry, Table, Value};

/// The most listeners, and the most pools.
pub(crate) const MOST_TABLES: usize = 1024;
/// The most routes of one listener: each request looks at them one by one.
pub(crate) const MOST_ROUTES: usize = 1024;

pub(super) fn model(document: &Table, host: &Host, problems: &mut Problems) -> Model {
    let mut model = Model::default();
    let top = Reader { section: Section::Top, table: document, name: None, span: None };
    top.check_keys(problems);
    if let Some(reader) = top.table("global", Section::Global, problems) {
        model.global = global(&reader, problems);
    }
    if let Some(reader) = top.table("admin", Section::Admin, problems) {
        model.admin = Some(Admin {
            bind: reader.address("bind", problems),
            token_file: reader.file("token-file", "is no absolute path", problems),
        });
    }
    for (name, reader) in top.named("listener", Section::Listener, problems) {
        model.listeners.push(listener(name, &reader, problems));
    }
    for (name, reader) in top.named("pool", Section::Pool, problems) {
        model.pools.push(pool(name, &reader, problems));
    }
    if let Some(reader) = top.table("resolver", Section::Resolver, problems) {
        model.resolver = reader.resolver(problems);
    }
    model.virtual_routers = super::virtual_router::read(&top, host, problems);
    if let Some(reader) = top.table("pair", Section::Pair, problems) {
        model.pair = Some(reader.pair(host, problems));
    }
    model
}

fn global(reader: &Reader<'_>, problems: &mut Problems) -> Global {
    let threads = reader.count_or_auto("threads", problems);
    let connections = reader.count_or_auto("max-connections", problems);
    // The bounds in the table of keys are within these types.
    Global {
        threads: narrow(threads, |count| u16::try_from(count).ok()),
        max_connections: narrow(connections, |count| u32::try_from(count).ok().and_then(NonZeroU32::new)),
        user: reader.user("user", problems),
        graceful_timeout: reader.time("graceful-timeout", problems),
        control_socket: reader.path("control-socket", problems),
        state_dir: reader.directory("state-dir", problems),
    }
}

fn narrow<T>(count: Option<At<Count<u64>>>, fit: impl Fn(u64) -> Option<T>) -> Option<At<Count<T>>> {
    let At { value, span } = count?;
    let value = match value {
        Count::Auto => Count::Auto,
        Count::Exactly(count) => Count::Exactly(fit(count)?),
    };
    Some(At { value, span })
}

fn listener(name: At<Name>, reader: &Reader<'_>, problems: &mut Problems) -> Listener {
    Listener {
        name,
        binds: reader.addresses("bind", MOST_BINDS, problems),
        mode: reader.word("mode", problems),
        pool: reader.name_of_pool("pool", problems),
        routes: routes(reader, problems),
        max_head_size: reader.size("max-head-size", problems),
        max_target_size: reader.size("max-target-size", problems),
        max_headers: reader.count("max-headers", problems),
        header_timeout: reader.time("header-timeout", problems),
        idle_timeout: reader.time("idle-timeout", problems),
        tunnel_timeout: reader.time("tunnel-timeout", problems),
        min_body_rate: reader.size("min-body-rate", problems),
        min_response_rate: reader.size("min-response-rate", problems),
        trusted_proxies: reader.networks("trusted-proxies", problems),
        forwarding_headers: reader.words("forwarding-headers", problems),
        underscore_headers: reader.word("underscore-headers", problems),
        http2: reader.flag("http2", problems),
        proxy_protocol: reader.table("proxy-protocol", Section::ProxyProtocol, problems).map(|proxy| {
            ProxyProtocol { from: proxy.networks("from", problems), mode: proxy.word("mode", problems) }
        }),
        tls: reader.table("tls", Section::Tls, problems).map(|tls| tls.tls(problems)),
        redirect_to_https: reader.flag("redirect-to-https", problems),
        hsts: reader.table("hsts", Section::Hsts, problems).map(|hsts| hsts.hsts(problems)),
        access_log: reader.table("access-log", Section::AccessLog, problems).map(|log| AccessLog {
            to: log.log_target("to", problems),
            format: log.word("format", problems),
        }),
        http_keys: reader.http_keys(),
    }
}

fn routes(listener: &Reader<'_>, problems: &mut Problems) -> Vec<Route> {
    let Some(entry) = listener.table.find("route") else { return Vec::new() };
    let Value::Array(items) = &entry.value else {
        let draft =
            problems.error(entry.key.span, format!("`route` must be a list, not {}", entry.value.kind()));
        let name = listener.name.as_ref().map_or("NAME", Name::as_str);
        draft.help(format!("write `[[listener.{name}.route]]` with two brackets for each rule"));
        return Vec::new();
    };
    if items.len() > MOST_ROUTES {
        problems
            .error(
                entry.key.span,
                format!("there are {} routes; a listener may have {MOST_ROUTES}", items.len()),
            )
            .help("join rules that lead to the same pool: a condition may be a list");
    }
    let mut routes = Vec::new();
    for item in items.iter().take(MOST_ROUTES) {
        let Value::Table(table) = &item.value else {
            problems
                .error(item.span, format!("a route must be a table, not {}", item.value.kind()))
                .help("write `[[listener.NAME.route]]` and its conditions below");
            continue;
        };
        let reader =
            Reader { section: Section::Route, table, name: listener.name.clone(), span: Some(item.span) };
        reader.check_keys(problems);
        routes.push(route(&reader, item.span, problems));
    }
    routes
}

fn pool(name: At<Name>, reader: &Reader<'_>, problems: &mut Problems) -> Pool {
    let typed_servers = match reader.table.find("servers").map(|entry| &entry.value) {
        None => TypedServers::Missing,
        Some(Value::Table(table)) if table.entries.is_empty() => TypedServers::Empty,
        Some(_) => TypedServers::Some,
    };
    Pool {
        servers: servers(&name.value, reader, problems),
        servers_from: reader.table("servers-from", Section::ServersFrom, problems).map(|from| {
            let span = from.span.unwrap_or(name.span);
            from.servers_from(span, problems)
        }),
        typed_servers,
        name,
        retries: reader.count("retries", problems),
        retry_budget: reader.count("retry-budget", problems),
        balance: reader.balance("balance", problems),
        connect_timeout: reader.time("connect-timeout", problems),
        response_timeout: reader.time("response-timeout", problems),
        keep_alive: reader.time("keep-alive", problems),
        max_idle_connections: reader.count("max-idle-connections", problems),
        protocol: reader.word("protocol", problems),
        tls: reader.table("tls", Section::ServerTls, problems).map(|tls| tls.server_tls(problems)),
        send_proxy: super::send_proxy::send_proxy(reader, problems),
        health: health(reader, problems),
        agent: agent(reader, problems),
        passive: passive(reader, problems),
        slow_start: reader.time("slow-start", problems),
        when_all_down: reader.word("when-all-down", problems),
        sticky: reader.table("sticky", Section::Sticky, problems).map(|sticky| sticky.sticky(problems)),
        queue: reader.table("queue", Section::Queue, problems).map(|queue| Queue {
            size: queue.count("size", problems),
            timeout: queue.time("timeout", problems),
        }),
    }
}

fn servers(pool: &Name, reader: &Reader<'_>, problems: &mut Problems) -> Vec<Server> {
    let Some(entry) = reader.table.find("servers") else { return Vec::new() };
    let Value::Table(table) = &entry.value else {
        problems
            .error(entry.key.span, format!("`servers` must be a table, not {}", entry.value.kind()))
            .help(format!("write `[pool.{pool}.servers]` and a line `NAME = \"ADDRESS\"` for each server"));
        return Vec::new();
    };
    if table.entries.len() > MOST_SERVERS {
        problems
            .error(
                entry.key.span,
                format!("there are {} servers; a pool may have {MOST_SERVERS}", table.entries.len()),
            )
            .help("split the pool");
    }
    let mut servers = Vec::new();
    for entry in table.entries.iter().take(MOST_SERVERS) {
        let name = name(entry, "server", problems);
        let mut server = ServerSettings::default();
        match &entry.value {
            Value::Table(table) => {
                let reader = Reader {
                    section: Section::Server,
                    table,
                    name: name.clone(),
                    span: Some(entry.key.span),
                };
                reader.check_keys(problems);
                server.weight = reader.count("weight", problems).and_then(|weight| {
                    let number = u16::try_from(weight.value).ok()?;
                    Some(At::new(Weight::try_from(number).ok()?, weight.span))
                });
                server.origin = reader.given("address").and_then(|(entry, _)| match &entry.value {
                    Value::Text(text) => named_server(text, entry.span),
                    _ => None,
                });
                if server.origin.is_none() {
                    server.address = reader.address("address", problems);
                }
                server.check_address = reader.address("check-address", problems);
                server.max_connections = reader.count("max-connections", problems);
                server.backup = reader.flag("backup", problems);
                server.priority = reader.count("priority", problems);
                server.duty = reader.word("state", problems);
            }
            Value::Text(text) => match named_server(text, entry.span) {
                Some(origin) => server.origin = Some(origin),
                None => server.address = super::value::address(text, entry.span, Section::Server, problems),
            },
            Value::Damaged => {}
            other => {
                problems
                    .error(entry.span, format!("a server must be an address or a table, not {}", other.kind()))
                    .help("write `NAME = \"192.0.2.1:80\"` or `NAME = { address = \"192.0.2.1:80\", weight = 2 }`");
            }
        }
        if let Some(name) = name {
            servers.push(Server { name: At::new(name, entry.key.span), settings: server });
        }
    }
    servers
}

/// The name that a key gives to a thing.
fn name(entry: &Entry, kind: &str, problems: &mut Problems) -> Option<Name> {
    match entry.key.value.parse() {
        Ok(name) => Some(name),
        Err(why @ InvalidName) => {
            problems
                .error(entry.key.span, format!("{} is no name for a {kind}", quoted(&entry.key.value)))
                .help(why.to_string());
            None
        }
    }
}

/// A table of the file together with what may stand in it.
pub(super) struct Reader<'a> {
    pub(super) section: Section,
    pub(super) table: &'a Table,
    /// The name that its header gives.
    pub(super) name: Option<Name>,
    /// Where its header names it; `None` for the whole document.
    pub(super) span: Option<Span>,
}

impl<'a> Reader<'a> {
    /// Reports keys that are unknown and keys that are missing.
    pub(super) fn check_keys(&self, problems: &mut Problems) {
        for entry in &self.table.entries {
            if self.section.key(&entry.key.value).is_none() {
                self.unknown_key(entry, problems);
            }
        }
        let Some(span) = self.span else { return };
        for key in self.section.keys().filter(|key| matches!(key.default, Default::Required)) {
            // A pool without servers gets a better message from `lower`.
            let misspelt = |entry: &Entry| {
                let typed = entry.key.value.as_str();
                self.section.key(typed).is_none() && self.nearest_key(typed) == Some(key.name)
            };
            let given = self.table.find(key.name).is_some() || self.table.entries.iter().any(misspelt);
            if key.name != "servers" && !given {
                problems
                    .error(span, format!("{} has no `{}`", self.described(), key.name))
                    .help(format!("add a line such as `{}`", key.example))
                    .consequence();
            }
        }
    }

    fn unknown_key(&self, entry: &Entry, problems: &mut Problems) {
        if problems.full() {
            problems.error(entry.key.span, "unknown key");
            return;
        }
        let key = entry.key.value.as_str();
        let place = match self.section {
            Section::Top => "at the top of a file",
            section => section.header(),
        };
        let draft = problems.error(entry.key.span, format!("unknown key {} in {place}", quoted(key)));
        if self.section == Section::Top {
            draft.message(if matches!(entry.value, Value::Table(_)) {
                format!("unknown table {}", quoted(key))
            } else {
                format!("unknown key {} before the first table", quoted(key))
            });
        }
        let elsewhere: Vec<&str> =
            Section::ALL
                .into_iter()
                .filter(|section| section.key(key).is_some())
                .map(|section| {
                    if section == Section::Top { "the file before its first table" } else { section.header() }
                })
                .collect();
        let help = match self.nearest_key(key) {
            _ if !elsewhere.is_empty() => format!("`{key}` belongs in {}", elsewhere.join(" or ")),
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known here: {}", one_of(self.section.keys().map(|key| key.name))),
        };
        draft.help(help);
        if self.section == Section::Top {
            // Behind a broken header its keys seem to stand here.
            draft.consequence();
        }
    }

    fn nearest_key(&self, typed: &str) -> Option<&'static str> {
        nearest(typed, self.section.keys().map(|key| key.name))
    }

    /// What the table is, for a message.
    fn described(&self) -> String {
        let name = self.name.as_ref().map(Name::to_string).unwrap_or_default();
        match self.section {
            Section::Top => "the file".into(),
            Section::Global => "[global]".into(),
            Section::Admin => "[admin]".into(),
            Section::Listener => format!("listener `{name}`"),
            Section::Tls => "this `tls`".into(),
            Section::Certificate => "this certificate".into(),
            Section::ClientAuth => "this `client-auth`".into(),
            Section::Hsts => "this `hsts`".into(),
            Section::ProxyProtocol => "this `proxy-protocol`".into(),
            Section::AccessLog => "this access log".into(),
            Section::Route => format!("this route of listener `{name}`"),
            Section::Pool => format!("pool `{name}`"),
            Section::ServerTls => "this `tls`".into(),
            Section::SendProxyProtocol => "this `send-proxy-protocol`".into(),
            Section::Health => format!("the check of pool `{name}`"),
            Section::Agent => "this agent".into(),
            Section::Passive => format!("`passive` of pool `{name}`"),
            Section::Sticky => "this `sticky`".into(),
            Section::Queue => "this queue".into(),
            Section::ServersFrom => "this `servers-from`".into(),
            Section::Resolver => "[resolver]".into(),
            Section::Server => format!("server `{name}`"),
            Section::VirtualRouter => format!("virtual router `{name}`"),
            Section::Authentication => "this authentication".into(),
            Section::Announce => "this `announce`".into(),
            Section::FollowingRoute => format!("this route of virtual router `{name}`"),
            Section::FollowingRule => format!("this rule of virtual router `{name}`"),
            Section::Track => "this `track`".into(),
            Section::Notify => "this `notify`".into(),
            Section::Provider => "this `provider`".into(),
            Section::Pair => "[pair]".into(),
        }
    }

    /// The keys that are given and need `mode = "http"`.
    pub(super) fn http_keys(&self) -> Vec<At<&'static str>> {
        let given = |entry: &Entry| {
            let key = self.section.key(&entry.key.value).filter(|key| key.http_only)?;
            Some(At::new(key.name, entry.key.span))
        };
        self.table.entries.iter().filter_map(given).collect()
    }

    /// A single table below this one.
    pub(super) fn table(&self, key: &str, section: Section, problems: &mut Problems) -> Option<Reader<'a>> {
        let entry = self.table.find(key)?;
        let Value::Table(table) = &entry.value else {
            problems
                .error(entry.key.span, format!("`{key}` must be a table, not {}", entry.value.kind()))
                .help(format!("write `{}` and its keys below", section.header()));
            return None;
        };
        let reader = Reader { section, table, name: None, span: Some(entry.key.span) };
        reader.check_keys(problems);
        Some(reader)
    }

    /// The tables by name below this one.
    pub(super) fn named(
        &self,
        key: &str,
        section: Section,
        problems: &mut Problems,
    ) -> Vec<(At<Name>, Reader<'a>)> {
        let Some(entry) = self.table.find(key) else { return Vec::new() };
        let Value::Table(tables) = &entry.value else {
            problems
                .error(
                    entry.key.span,
                    format!("`{key}` must hold tables by name, not {}", entry.value.kind()),
                )
                .help(format!("write `{}`, with a name of yours for NAME", section.header()));
            return Vec::new();
        };
        if tables.entries.len() > MOST_TABLES {
            problems
                .error(
                    entry.key.span,
                    format!("there are {} of `{key}`; {MOST_TABLES} are allowed", tables.entries.len()),
                )
                .help("split the configuration over several programs");
        }
        let mut readers = Vec::new();
        for entry in tables.entries.iter().take(MOST_TABLES) {
            let Value::Table(table) = &entry.value else {
                let draft = problems.error(
                    entry.key.span,
                    format!(
                        "{} must be a table of its own, not {}",
                        quoted(&entry.key.value),
                        entry.value.kind()
                    ),
                );
                draft.help(match section.key(&entry.key.value) {
                    Some(_) => format!(
                        "`{}` belongs in {}: the {key} needs a name",
                        entry.key.value,
                        section.header()
                    ),
                    None => format!("write `[{key}.{}]` and its keys below", entry.key.value),
                });
                continue;
            };
            let name = name(entry, key, problems);
            let reader = Reader { section, table, name: name.clone(), span: Some(entry.key.span) };
            reader.check_keys(problems);
            if let Some(name) = name {
                readers.push((At::new(name, entry.key.span), reader));
            }
        }
        readers
    }
}
