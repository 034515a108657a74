//! Decides what was meant: fills in defaults, resolves names, and refuses what cannot be.
//!
//! Invariants of the plan it makes: those of [`crate::plan`]. It makes none when a name or address is missing; whether
//! the plan is used is decided by the errors that were reported.

mod access_log;
mod binds;
mod discovery;
mod health;
mod pair;
mod programs;
mod protocol;
mod routes;
mod send_proxy;
mod server_tls;
mod servers;
mod sticky;
mod sync_group;
mod telling;
mod tls;
mod track;
mod virtual_router;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use evenkeel_http::limits::Limits;
use evenkeel_traffic::duty::Duty;
use evenkeel_traffic::name::Name;
use evenkeel_traffic::pick::{Balance, Weight};
use evenkeel_traffic::queue;

use crate::keys::{Default as KeyDefault, Section};
use crate::model::{Count, Listener, Model, Pool, Queue, Setting, TypedServers};
use crate::plan::{self, Forwarding, HttpMode, Mode, Plan, TcpMode, Underscores};
use crate::problems::{At, Problems};
use crate::suggest::{nearest, one_of, quoted};
use crate::units;

pub(crate) use programs::check as programs;

/// Makes the plan; `None` only when something in it is missing, which was then reported.
pub(crate) fn lower(model: &Model, problems: &mut Problems) -> Option<Plan> {
    let pools = PoolNames::new(model);
    let listeners: Vec<plan::Listener> =
        model.listeners.iter().filter_map(|typed| listener(typed, &pools, problems)).collect();
    let plan_pools: Vec<plan::Pool> = model.pools.iter().filter_map(|typed| pool(typed, problems)).collect();
    let virtual_routers = virtual_router::lower(model, &pools, problems);
    binds::check(model, problems);
    unused(model, problems);
    access_log::check(model, problems);
    servers::keys_of_connections(model, problems);
    server_tls::names(model, problems);
    sticky::check(model, problems);
    discovery::check(model, problems);
    let resolver = discovery::resolver(model, problems);
    let pair = pair::lower(model, virtual_routers.as_deref().unwrap_or_default(), problems);
    if model.listeners.len() != listeners.len() || model.pools.len() != plan_pools.len() {
        return None;
    }
    let global = &model.global;
    Some(Plan {
        global: plan::Global {
            threads: counted(global.threads),
            max_connections: counted(global.max_connections),
            user: global.user.as_ref().map(|user| user.value.clone()),
            graceful_timeout: time(global.graceful_timeout, Section::Global, "graceful-timeout", HTTP),
            control_socket: global.control_socket.as_ref().map_or_else(
                || default(Section::Global, "control-socket", HTTP).unwrap_or_default().into(),
                |path| path.value.clone(),
            ),
            state_dir: global.state_dir.as_ref().map(|path| path.value.clone()),
        },
        admin: match &model.admin {
            None => None,
            Some(admin) => Some(plan::Admin {
                bind: match &admin.bind {
                    Some(bind) => bind.value.clone(),
                    None => default(Section::Admin, "bind", HTTP)?.parse().ok()?,
                },
                token_file: admin.token_file.as_ref().map(|path| path.value.clone()),
            }),
        },
        listeners,
        pools: plan_pools,
        resolver,
        virtual_routers: virtual_routers?,
        pair,
    })
}

const HTTP: &str = "http";
const TCP: &str = "tcp";

fn counted<T: Copy>(setting: Setting<Count<T>>) -> Option<T> {
    match setting?.value {
        Count::Auto => None,
        Count::Exactly(count) => Some(count),
    }
}

/// The default of a key as the table of keys has it. That each is there and reads as its kind is tested for all.
fn default(section: Section, name: &str, mode: &str) -> Option<&'static str> {
    match section.key(name)?.default {
        KeyDefault::Value(value) => Some(value),
        KeyDefault::ByMode { http, tcp } => Some(if mode == TCP { tcp } else { http }),
        KeyDefault::Required | KeyDefault::Nothing(_) => None,
    }
}

fn time(setting: Setting<Duration>, section: Section, name: &str, mode: &str) -> Duration {
    let default =
        || default(section, name, mode).and_then(|text| units::duration(text).ok()).unwrap_or_default();
    setting.map_or_else(default, |setting| setting.value)
}

fn size(setting: Setting<u64>, section: Section, name: &str) -> u64 {
    let default = || default(section, name, HTTP).and_then(|text| units::size(text).ok()).unwrap_or_default();
    setting.map_or_else(default, |setting| setting.value)
}

fn count(setting: Setting<u64>, section: Section, name: &str) -> u64 {
    let default = || default(section, name, HTTP).and_then(|text| text.parse().ok()).unwrap_or_default();
    setting.map_or_else(default, |setting| setting.value)
}

/// The names of pools that may be referred to.
struct PoolNames(BTreeMap<String, Name>);

impl PoolNames {
    fn new(model: &Model) -> Self {
        Self(model.pools.iter().map(|pool| (pool.name.value.to_string(), pool.name.value.clone())).collect())
    }

    fn resolve(&self, typed: &At<String>, problems: &mut Problems) -> Option<Name> {
        let found = self.0.get(&typed.value).cloned();
        if found.is_none() && problems.full() {
            problems.error(typed.span, "there is no such pool").consequence();
        } else if found.is_none() {
            let known = || self.0.keys().map(String::as_str);
            let draft = problems.error(typed.span, format!("there is no pool {}", quoted(&typed.value)));
            draft.consequence().help(match nearest(&typed.value, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if self.0.is_empty() => "add a table `[pool.NAME]` with servers".into(),
                None => format!("known: {}", one_of(known().take(10))),
            });
        }
        found
    }
}

fn listener(typed: &Listener, pools: &PoolNames, problems: &mut Problems) -> Option<plan::Listener> {
    let name = &typed.name.value;
    let mode = typed
        .mode
        .map_or_else(|| default(Section::Listener, "mode", HTTP).unwrap_or(HTTP), |mode| mode.value);
    let pool = match &typed.pool {
        None => None,
        Some(pool) => pools.resolve(pool, problems),
    };
    let rules = routes::lower(typed, mode, pools, problems);
    if typed.pool.is_none()
        && typed.routes.is_empty()
        && typed.redirect_to_https.is_none_or(|flag| !flag.value)
    {
        let what = if mode == TCP { "closes every connection" } else { "answers 404 to everything" };
        problems
            .warning(typed.name.span, format!("listener `{name}` has neither a pool nor routes: it {what}"))
            .help("add `pool = \"NAME\"`")
            .consequence();
    }
    if mode == TCP {
        for key in &typed.http_keys {
            problems
                .error(key.span, format!("`{}` means nothing on a listener with `mode = \"tcp\"`", key.value))
                .help("remove it, or set `mode = \"http\"`");
        }
    }
    if typed.binds.is_empty() {
        return None;
    }
    let mode = if mode == TCP {
        Mode::Tcp(TcpMode { idle_timeout: time(typed.idle_timeout, Section::Listener, "idle-timeout", TCP) })
    } else {
        Mode::Http(http(typed, problems)?)
    };
    let binds = typed.binds.iter().map(|bind| bind.value.clone()).collect();
    tls::check(typed, problems);
    let tls = typed.tls.as_ref().and_then(|typed| tls::lower(typed, problems));
    let proxy_protocol = typed.proxy_protocol.as_ref().map(|typed| plan::ProxyProtocol {
        from: typed.from.clone().unwrap_or_default(),
        required: typed.mode.is_none_or(|mode| mode.value == "required"),
    });
    let access_log = typed.access_log.as_ref().and_then(access_log::lower);
    Some(plan::Listener { name: name.clone(), binds, rules, pool, mode, proxy_protocol, tls, access_log })
}

fn http(typed: &Listener, problems: &mut Problems) -> Option<HttpMode> {
    const SECTION: Section = Section::Listener;
    let head = size(typed.max_head_size, SECTION, "max-head-size");
    let target = size(typed.max_target_size, SECTION, "max-target-size");
    if target > head {
        let (given, other) = match (typed.max_target_size, typed.max_head_size) {
            (Some(given), other) => (given.span, other.map(|other| other.span)),
            (None, Some(given)) => (given.span, None),
            (None, None) => (typed.name.span, None),
        };
        let draft = problems.error(
            given,
            format!(
                "`max-target-size` ({}) is larger than `max-head-size` ({}), which it is a part of",
                units::ShownSize(target),
                units::ShownSize(head)
            ),
        );
        draft.help = Some("make `max-target-size` smaller, or `max-head-size` larger".into());
        if let Some(other) = other {
            draft.see(other, "the whole head");
        }
    }
    let words = typed
        .forwarding_headers
        .clone()
        .unwrap_or_else(|| default(SECTION, "forwarding-headers", HTTP).into_iter().collect());
    let underscores =
        typed.underscore_headers.map(|word| word.value).or(default(SECTION, "underscore-headers", HTTP));
    Some(HttpMode {
        limits: Limits {
            head_bytes: u32::try_from(head).ok()?,
            target_bytes: u32::try_from(target).ok()?,
            headers: u16::try_from(count(typed.max_headers, SECTION, "max-headers")).ok()?,
        },
        header_timeout: time(typed.header_timeout, SECTION, "header-timeout", HTTP),
        idle_timeout: time(typed.idle_timeout, SECTION, "idle-timeout", HTTP),
        tunnel_timeout: time(typed.tunnel_timeout, SECTION, "tunnel-timeout", HTTP),
        min_body_rate: size(typed.min_body_rate, SECTION, "min-body-rate"),
        min_response_rate: size(typed.min_response_rate, SECTION, "min-response-rate"),
        trusted_proxies: typed.trusted_proxies.clone().unwrap_or_default(),
        forwarding: Forwarding {
            x_forwarded: words.contains(&"x-forwarded"),
            forwarded: words.contains(&"forwarded"),
        },
        underscores: match underscores {
            Some("keep") => Underscores::Keep,
            Some("refuse") => Underscores::Refuse,
            _ => Underscores::Drop,
        },
        http2: typed.http2.is_none_or(|flag| flag.value),
        redirect: typed.redirect_to_https.is_some_and(|flag| flag.value),
        hsts: typed.hsts.as_ref().and_then(|typed| tls::hsts(typed, problems)),
    })
}

fn pool(typed: &Pool, problems: &mut Problems) -> Option<plan::Pool> {
    const SECTION: Section = Section::Pool;
    let name = &typed.name.value;
    let cure = match typed.typed_servers {
        _ if typed.servers_from.is_some() => None,
        TypedServers::Missing => Some(format!(
            "add `[pool.{name}.servers]` and a line such as `webserver01 = \"192.168.1.2:80\"`, or remove the pool"
        )),
        TypedServers::Empty => {
            Some(format!("add a line such as `webserver01 = \"192.168.1.2:80\"` to `[pool.{name}.servers]`"))
        }
        TypedServers::Some => None,
    };
    if let Some(cure) = cure {
        problems.error(typed.name.span, format!("pool `{name}` has no server")).help(cure).consequence();
    }
    let sources = discovery::sources(typed, problems);
    let servers: Vec<plan::Server> = typed
        .servers
        .iter()
        .filter_map(|server| {
            Some(plan::Server {
                name: server.name.value.clone(),
                address: server.settings.address.as_ref()?.value.clone(),
                check_address: server.settings.check_address.as_ref().map(|address| address.value.clone()),
                weight: server.settings.weight.map_or(Weight::ONE, |weight| weight.value),
                priority: servers::priority(server, problems),
                max_connections: server
                    .settings
                    .max_connections
                    .and_then(|most| NonZeroU32::new(u32::try_from(most.value).ok()?)),
                duty: server.settings.duty.and_then(|word| Duty::of_word(word.value)).unwrap_or_default(),
            })
        })
        .collect();
    if !servers.is_empty()
        && servers.len() == typed.servers.len()
        && servers.iter().all(|s| s.weight.value() == 0)
    {
        problems
            .warning(
                typed.name.span,
                format!("every server of pool `{name}` has weight 0: none takes traffic"),
            )
            .help("give at least one server a weight above 0");
    }
    servers::check(typed, problems);
    let balance = typed.balance.as_ref().map_or_else(Balance::default, |balance| balance.value.clone());
    let complete = typed
        .servers
        .iter()
        .all(|server| server.settings.address.is_some() || server.settings.origin.is_some());
    if (servers.is_empty() && sources.is_empty()) || !complete {
        return None;
    }
    Some(plan::Pool {
        name: name.clone(),
        balance,
        retries: u8::try_from(count(typed.retries, SECTION, "retries")).ok()?,
        retry_budget: u8::try_from(count(typed.retry_budget, SECTION, "retry-budget")).ok()?,
        connect_timeout: time(typed.connect_timeout, SECTION, "connect-timeout", HTTP),
        response_timeout: time(typed.response_timeout, SECTION, "response-timeout", HTTP),
        keep_alive: match &typed.send_proxy {
            Some(_) => Duration::ZERO,
            None => time(typed.keep_alive, SECTION, "keep-alive", HTTP),
        },
        protocol: protocol::lower(typed, problems),
        send_proxy: send_proxy::lower(typed, problems),
        max_idle: u32::try_from(count(typed.max_idle_connections, SECTION, "max-idle-connections")).ok()?,
        tls: typed.tls.as_ref().and_then(|typed| server_tls::lower(typed, problems)),
        health: health::probe(typed, problems),
        agent: health::agent(typed, problems),
        passive: health::passive(typed, problems),
        slow_start: time(typed.slow_start, SECTION, "slow-start", HTTP),
        when_all_down: health::when_all_down(typed),
        sticky: typed.sticky.as_ref().and_then(|typed| sticky::lower(typed, problems)),
        queue: queue(typed.queue.as_ref())?,
        servers,
        sources,
    })
}

fn queue(typed: Option<&Queue>) -> Option<queue::Settings> {
    const SECTION: Section = Section::Queue;
    Some(queue::Settings {
        size: u32::try_from(count(typed.and_then(|typed| typed.size), SECTION, "size")).ok()?,
        timeout: time(typed.and_then(|typed| typed.timeout), SECTION, "timeout", HTTP),
    })
}

/// Warns of pools that nobody refers to.
fn unused(model: &Model, problems: &mut Problems) {
    let used: BTreeSet<&str> = model
        .listeners
        .iter()
        .flat_map(|listener| {
            listener.pool.iter().chain(listener.routes.iter().filter_map(|r| r.pool.as_ref()))
        })
        .map(|pool| pool.value.as_str())
        .chain(track::pools(model))
        .collect();
    for pool in &model.pools {
        if !used.contains(pool.name.value.as_str()) {
            problems
                .warning(pool.name.span, format!("nothing sends traffic to pool `{}`", pool.name.value))
                .help("name it as the `pool` of a listener or route, or remove it")
                .consequence();
        }
    }
}
