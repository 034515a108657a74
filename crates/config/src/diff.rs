//! What changes between two plans, in sentences for the operator.
//!
//! Things are the same when their names are: a renamed server is one that went and one that came.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

use evenkeel_traffic::name::Name;
use serde::Serialize;

use crate::keys::Section;
use crate::plan::{Admin, Global, Listener, Mode, Plan, Pool, Server};

mod discovery;
mod effects;
mod health;
mod peer;
mod server_tls;
mod shown;
mod sticky;
mod tls;
mod virtual_router;

pub use effects::{Effect, Fate, Of, effects};
use shown::{CountOrAuto, access_log, duration, forwarding, list, rule, size, underscores};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// What changes: `global`, `admin`, `listener NAME`, `pool NAME`, `virtual-router NAME` or `pair`.
    pub subject: String,
    /// How it changes.
    pub change: String,
    /// It takes effect only when the program is started again.
    pub needs_restart: bool,
}

impl Difference {
    /// Says whether it takes effect only when the program is started again.
    #[must_use]
    pub fn needs_restart(&self) -> bool {
        self.needs_restart
    }
}

impl Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.change)?;
        if self.needs_restart { f.write_str("; takes effect at the next restart") } else { Ok(()) }
    }
}

/// Everything that differs, in the order of the file: global, admin, listeners, pools; what went away comes after what
/// is still there. Equal plans have no difference.
#[must_use]
pub fn diff(old: &Plan, new: &Plan) -> Vec<Difference> {
    let mut differences =
        Differences { subject: "global".into(), section: Section::Global, found: Vec::new() };
    global(&old.global, &new.global, &mut differences);
    differences.of("admin".into(), Section::Admin);
    match (&old.admin, &new.admin) {
        (Some(old), Some(new)) => {
            differences.compare("bind", &old.bind, &new.bind);
            let token = |admin: &Admin| shown::path(admin.token_file.as_deref(), "none");
            differences.compare("token-file", &token(old), &token(new));
        }
        (None, Some(new)) => differences.add_at_restart(format!("added ({})", new.bind)),
        (Some(old), None) => differences.add_at_restart(format!("removed ({})", old.bind)),
        (None, None) => {}
    }
    let paired = pair(&old.listeners, &new.listeners, |listener| &listener.name);
    for change in &paired {
        differences.of(format!("listener {}", change.name()), Section::Listener);
        match change {
            Pair::Added(new) => differences.add(format!("added (bind {})", list(&new.binds))),
            Pair::Removed(_) => {
                differences.add("removed; connections that came through it go on until they end".into());
            }
            Pair::Both(old, new) => listener(old, new, &mut differences),
        }
    }
    let paired = pair(&old.pools, &new.pools, |pool| &pool.name);
    for change in &paired {
        differences.of(format!("pool {}", change.name()), Section::Pool);
        match change {
            Pair::Added(new) => {
                let sources: Vec<String> = new.sources.iter().map(|source| source.from.to_string()).collect();
                let from =
                    if sources.is_empty() { String::new() } else { format!(", {}", sources.join(", ")) };
                differences.add(format!("added ({}{from})", servers(new.servers.len())));
            }
            Pair::Removed(_) => differences.add("removed; what it is doing goes on until it ends".into()),
            Pair::Both(old, new) => pool(old, new, &mut differences),
        }
    }
    differences.of("resolver".into(), Section::Resolver);
    discovery::resolver(&old.resolver, &new.resolver, &mut differences);
    virtual_router::compare(&old.virtual_routers, &new.virtual_routers, &mut differences);
    differences.of("pair".into(), Section::Pair);
    peer::compare(old.pair.as_ref(), new.pair.as_ref(), &mut differences);
    differences.found
}

/// The differences found so far, and what is being compared.
struct Differences {
    subject: String,
    section: Section,
    found: Vec<Difference>,
}

impl Differences {
    fn of(&mut self, subject: String, section: Section) {
        self.subject = subject;
        self.section = section;
    }

    fn add(&mut self, change: String) {
        self.found.push(Difference { subject: self.subject.clone(), change, needs_restart: false });
    }

    fn add_at_restart(&mut self, change: String) {
        self.found.push(Difference { subject: self.subject.clone(), change, needs_restart: true });
    }

    /// Compares the values of one key; the table of keys knows whether a change needs a restart.
    fn compare<T: PartialEq + Display + ?Sized>(&mut self, key: &str, old: &T, new: &T) {
        if old == new {
            return;
        }
        let change = format!("{key} changed from {old} to {new}");
        if self.section.key(key).is_some_and(|key| key.at_restart) {
            self.add_at_restart(change);
        } else {
            self.add(change);
        }
    }
}

fn global(old: &Global, new: &Global, differences: &mut Differences) {
    let user = |global: &Global| global.user.clone().unwrap_or_else(|| "the default user".into());
    differences.compare("threads", &CountOrAuto(old.threads), &CountOrAuto(new.threads));
    differences.compare(
        "max-connections",
        &CountOrAuto(old.max_connections),
        &CountOrAuto(new.max_connections),
    );
    differences.compare("user", &user(old), &user(new));
    differences.compare("graceful-timeout", &duration(old.graceful_timeout), &duration(new.graceful_timeout));
    let socket = |global: &Global| global.control_socket.display().to_string();
    differences.compare("control-socket", &socket(old), &socket(new));
    let state_dir = |global: &Global| shown::path(global.state_dir.as_deref(), "the usual place");
    differences.compare("state-dir", &state_dir(old), &state_dir(new));
}

fn listener(old: &Listener, new: &Listener, differences: &mut Differences) {
    for bind in new.binds.iter().filter(|bind| !old.binds.contains(bind)) {
        differences.add(format!("bind {bind} added"));
    }
    for bind in old.binds.iter().filter(|bind| !new.binds.contains(bind)) {
        differences
            .add(format!("bind {bind} removed; connections that came through it go on until they end"));
    }
    let pool = |listener: &Listener| listener.pool.as_ref().map_or("none".to_owned(), Name::to_string);
    differences.compare("pool", &pool(old), &pool(new));
    rules(old, new, differences);
    let log = |listener: &Listener| access_log(listener.access_log.as_ref());
    differences.compare("access-log", &log(old), &log(new));
    let proxy = |listener: &Listener| shown::proxy_protocol(listener.proxy_protocol.as_ref());
    differences.compare("proxy-protocol", &proxy(old), &proxy(new));
    tls::compare(old, new, differences);
    match (&old.mode, &new.mode) {
        (Mode::Tcp(old), Mode::Tcp(new)) => {
            differences.compare("idle-timeout", &duration(old.idle_timeout), &duration(new.idle_timeout));
        }
        (Mode::Http(old), Mode::Http(new)) => {
            let limits = (&old.limits, &new.limits);
            differences.compare("max-head-size", &size(limits.0.head_bytes), &size(limits.1.head_bytes));
            differences.compare(
                "max-target-size",
                &size(limits.0.target_bytes),
                &size(limits.1.target_bytes),
            );
            differences.compare("max-headers", &limits.0.headers, &limits.1.headers);
            differences.compare(
                "header-timeout",
                &duration(old.header_timeout),
                &duration(new.header_timeout),
            );
            differences.compare("idle-timeout", &duration(old.idle_timeout), &duration(new.idle_timeout));
            differences.compare(
                "tunnel-timeout",
                &duration(old.tunnel_timeout),
                &duration(new.tunnel_timeout),
            );
            differences.compare("min-body-rate", &size(old.min_body_rate), &size(new.min_body_rate));
            differences.compare(
                "min-response-rate",
                &size(old.min_response_rate),
                &size(new.min_response_rate),
            );
            differences.compare("trusted-proxies", &list(&old.trusted_proxies), &list(&new.trusted_proxies));
            differences.compare(
                "forwarding-headers",
                &forwarding(old.forwarding),
                &forwarding(new.forwarding),
            );
            differences.compare(
                "underscore-headers",
                &underscores(old.underscores),
                &underscores(new.underscores),
            );
            differences.compare("http2", &old.http2, &new.http2);
            differences.compare("redirect-to-https", &old.redirect, &new.redirect);
            differences.compare("hsts", &tls::hsts(old.hsts), &tls::hsts(new.hsts));
        }
        (Mode::Http(_), Mode::Tcp(_)) => {
            differences.add("mode changed from http to tcp for new connections".into());
        }
        (Mode::Tcp(_), Mode::Http(_)) => {
            differences.add("mode changed from tcp to http for new connections".into());
        }
    }
}

fn rules(old: &Listener, new: &Listener, differences: &mut Differences) {
    if old.rules == new.rules {
        return;
    }
    let before: Vec<String> = old.rules.iter().map(rule).collect();
    let after: Vec<String> = new.rules.iter().map(rule).collect();
    let (known, still) = (BTreeSet::from_iter(&before), BTreeSet::from_iter(&after));
    let mut moved = true;
    for (index, text) in after.iter().enumerate().filter(|(_, text)| !known.contains(text)) {
        differences.add(format!("route {} added ({text})", index + 1));
        moved = false;
    }
    for (index, text) in before.iter().enumerate().filter(|(_, text)| !still.contains(text)) {
        differences.add(format!("route {} removed ({text})", index + 1));
        moved = false;
    }
    if moved {
        differences.add("routes are in another order".into());
    }
}

fn pool(old: &Pool, new: &Pool, differences: &mut Differences) {
    differences.compare("balance", &old.balance, &new.balance);
    differences.compare("retries", &old.retries, &new.retries);
    differences.compare("retry-budget", &old.retry_budget, &new.retry_budget);
    differences.compare("connect-timeout", &duration(old.connect_timeout), &duration(new.connect_timeout));
    differences.compare("response-timeout", &duration(old.response_timeout), &duration(new.response_timeout));
    differences.compare("keep-alive", &duration(old.keep_alive), &duration(new.keep_alive));
    differences.compare("max-idle-connections", &old.max_idle, &new.max_idle);
    differences.compare("protocol", old.protocol.name(), new.protocol.name());
    differences.compare("send-proxy-protocol", &shown::send_proxy(old), &shown::send_proxy(new));
    server_tls::compare(old, new, differences);
    differences.compare("health", &health::probe(old), &health::probe(new));
    differences.compare("agent", &health::agent(old), &health::agent(new));
    differences.compare("passive", &health::passive(old), &health::passive(new));
    differences.compare("slow-start", &duration(old.slow_start), &duration(new.slow_start));
    differences.compare("when-all-down", health::when_all_down(old), health::when_all_down(new));
    differences.compare("sticky", &sticky::shown(old), &sticky::shown(new));
    differences.compare("queue size", &old.queue.size, &new.queue.size);
    differences.compare("queue timeout", &duration(old.queue.timeout), &duration(new.queue.timeout));
    discovery::compare(old, new, differences);
    let paired = pair(&old.servers, &new.servers, |server| &server.name);
    let mut same_names = true;
    for change in &paired {
        match change {
            Pair::Added(new) => {
                same_names = false;
                differences.add(format!(
                    "server {} added ({}, weight {})",
                    new.name,
                    new.address,
                    new.weight.value()
                ));
            }
            Pair::Removed(old) => {
                same_names = false;
                differences.add(format!(
                    "server {} removed ({}); what it is doing goes on until it ends",
                    old.name, old.address
                ));
            }
            Pair::Both(old, new) => server(old, new, differences),
        }
    }
    let names = |pool: &Pool| pool.servers.iter().map(|server| server.name.clone()).collect::<Vec<_>>();
    if same_names && names(old) != names(new) {
        differences.add("servers take turns in another order".into());
    }
}

fn servers(count: usize) -> String {
    if count == 1 { "1 server".into() } else { format!("{count} servers") }
}

fn server(old: &Server, new: &Server, differences: &mut Differences) {
    let name = &new.name;
    if old.address != new.address {
        differences.add(format!("server {name}: address changed from {} to {}", old.address, new.address));
    }
    let mut compare = |what: &str, old: String, new: String| {
        if old != new {
            differences.add(format!("server {name}: {what} changed from {old} to {new}"));
        }
    };
    let check = |server: &Server| {
        server.check_address.as_ref().map_or("the server's own".to_owned(), ToString::to_string)
    };
    compare("check-address", check(old), check(new));
    compare("priority", old.priority.0.to_string(), new.priority.0.to_string());
    let most = |server: &Server| server.max_connections.map_or("none".to_owned(), |most| most.to_string());
    compare("max-connections", most(old), most(new));
    compare("state", old.duty.word().into(), new.duty.word().into());
    if old.weight != new.weight {
        differences.add(format!(
            "server {name}: weight changed from {} to {}",
            old.weight.value(),
            new.weight.value()
        ));
    }
}

/// A thing in two plans.
enum Pair<'a, T> {
    Added(&'a T),
    Removed(&'a T),
    Both(&'a T, &'a T),
}

impl Pair<'_, Listener> {
    fn name(&self) -> &Name {
        match self {
            Self::Added(listener) | Self::Removed(listener) | Self::Both(listener, _) => &listener.name,
        }
    }
}

impl Pair<'_, Pool> {
    fn name(&self) -> &Name {
        match self {
            Self::Added(pool) | Self::Removed(pool) | Self::Both(pool, _) => &pool.name,
        }
    }
}

/// Pairs things by name: those of `new` in its order, then those that only `old` has.
fn pair<'a, T>(old: &'a [T], new: &'a [T], name: fn(&T) -> &Name) -> Vec<Pair<'a, T>> {
    let before: BTreeMap<&Name, &'a T> = old.iter().map(|thing| (name(thing), thing)).collect();
    let after: BTreeSet<&Name> = new.iter().map(name).collect();
    let kept = new.iter().map(|thing: &'a T| match before.get(name(thing)) {
        Some(old) => Pair::Both(*old, thing),
        None => Pair::Added(thing),
    });
    let gone = old.iter().filter(|thing| !after.contains(name(thing))).map(Pair::Removed);
    kept.chain(gone).collect()
}

#[cfg(test)]
mod tests;
