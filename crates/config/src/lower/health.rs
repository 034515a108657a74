//! Makes checks of `health`, `agent` and `passive`, and refuses what does not go together.

use evenkeel_traffic::address::Address;
use evenkeel_traffic::health::{Initial, Timing};
use evenkeel_traffic::outlier;

use super::{HTTP, count, default, time};
use crate::keys::Section;
use crate::model::{Health, Passive, Pool, Server, WordOr};
use crate::plan::{self, ExecProbe, GrpcProbe, HttpProbe, Probe, ProbeKind, TcpProbe, WhenAllDown};
use crate::problems::{At, Problems};

/// Keys that mean something only with `http`.
const OF_HTTP: [&str; 5] = ["method", "host", "headers", "status", "body"];
/// Keys that mean nothing with `exec`, beside those.
const OF_CONNECTIONS: [&str; 2] = ["tls", "proxy-protocol"];
/// Keys that mean something only for a connection without `http`.
const OF_TCP: [&str; 2] = ["send", "expect"];

pub(super) fn probe(pool: &Pool, problems: &mut Problems) -> Option<Probe> {
    let health = pool.health.as_ref()?;
    let tls = super::server_tls::of_checks(pool, problems);
    let announced = super::send_proxy::of_checks(pool, problems);
    match &health.value {
        WordOr::Word(_) => Some(Probe {
            announced,
            tls,
            timing: timing(None, problems),
            port: None,
            kind: ProbeKind::Tcp(TcpProbe::default()),
        }),
        WordOr::Table(typed) => {
            mixed(typed, problems);
            unix_port(pool, typed, problems);
            Some(Probe {
                announced,
                tls,
                timing: timing(Some(typed), problems),
                port: typed.port.and_then(|port| u16::try_from(port.value).ok()),
                kind: kind(typed),
            })
        }
    }
}

fn kind(typed: &Health) -> ProbeKind {
    let text = |setting: &Option<At<String>>| setting.as_ref().map(|text| text.value.clone());
    if let Some((program, arguments)) = typed.exec.as_ref().and_then(|exec| exec.value.split_first()) {
        return ProbeKind::Exec(ExecProbe { program: program.into(), arguments: arguments.to_vec() });
    }
    if let Some(service) = text(&typed.grpc) {
        return ProbeKind::Grpc(GrpcProbe { service, host: text(&typed.host) });
    }
    let Some(target) = text(&typed.http) else {
        return ProbeKind::Tcp(TcpProbe {
            send: text(&typed.send).unwrap_or_default(),
            expect: text(&typed.expect).unwrap_or_default(),
        });
    };
    let known = |name: &str| default(Section::Health, name, HTTP).unwrap_or_default();
    ProbeKind::Http(HttpProbe {
        target,
        method: typed.method.map_or(known("method"), |method| method.value).to_owned(),
        host: text(&typed.host),
        headers: typed.headers.clone(),
        statuses: typed
            .status
            .clone()
            .unwrap_or_else(|| crate::model::statuses(known("status")).unwrap_or_default()),
        body: text(&typed.body),
    })
}

fn timing(typed: Option<&Health>, problems: &mut Problems) -> Timing {
    const SECTION: Section = Section::Health;
    let interval = time(typed.and_then(|typed| typed.interval), SECTION, "interval", HTTP);
    let fast = typed.and_then(|typed| typed.fast_interval);
    if let Some(fast) = fast.filter(|fast| fast.value > interval) {
        problems
            .error(fast.span, "`fast-interval` is longer than `interval`")
            .help("make it shorter: in doubt a server is looked at more often, not less");
    }
    let row = |setting, name| u16::try_from(count(setting, SECTION, name)).unwrap_or(1).max(1);
    Timing {
        interval,
        fast_interval: fast.map_or(interval / 2, |fast| fast.value),
        down_interval: typed.and_then(|typed| typed.down_interval).map_or(interval, |down| down.value),
        timeout: time(typed.and_then(|typed| typed.timeout), SECTION, "timeout", HTTP),
        rise: row(typed.and_then(|typed| typed.rise), "rise"),
        fall: row(typed.and_then(|typed| typed.fall), "fall"),
        initial: match typed.and_then(|typed| typed.initial_state).map(|word| word.value) {
            Some("down") => Initial::Down,
            Some("checking") => Initial::Checking,
            _ => Initial::Up,
        },
    }
}

/// Reports keys of the other kind of check.
fn mixed(typed: &Health, problems: &mut Problems) {
    let given = |name: &str| typed.given.iter().any(|key| key.value == name);
    let (http, grpc, exec) = (given("http"), given("grpc"), given("exec"));
    for key in &typed.given {
        let name = key.value.as_str();
        if exec
            && (name == "http"
                || name == "grpc"
                || OF_HTTP.contains(&name)
                || OF_TCP.contains(&name)
                || OF_CONNECTIONS.contains(&name))
        {
            problems
                .error(key.span, format!("`{name}` means nothing together with `exec`"))
                .help("the exit code of the program decides alone: remove the key, or `exec`");
            continue;
        }
        if grpc && (name == "http" || OF_TCP.contains(&name) || (OF_HTTP.contains(&name) && name != "host")) {
            problems
                .error(key.span, format!("`{name}` means nothing together with `grpc`"))
                .help("the status that the server gives decides alone: remove the key, or `grpc`");
            continue;
        }
        if !http && !grpc && OF_HTTP.contains(&name) {
            problems
                .error(key.span, format!("`{name}` means nothing without `http`"))
                .help("add `http = \"/\"`, or remove the key");
        }
        if http && OF_TCP.contains(&name) {
            problems
                .error(key.span, format!("`{name}` means nothing together with `http`"))
                .help("use `body` and `status` to say what the answer must be, or remove `http`");
        }
    }
    if typed.method.is_some_and(|method| method.value == "HEAD")
        && let Some(body) = &typed.body
    {
        problems
            .error(body.span, "an answer to `HEAD` has no body")
            .help("remove `body`, or set `method = \"GET\"`");
    }
}

/// A unix socket has no port that another could stand for.
fn unix_port(pool: &Pool, typed: &Health, problems: &mut Problems) {
    let Some(port) = &typed.port else { return };
    let unix = pool.servers.iter().find(|server| is_unix(server) && server.settings.check_address.is_none());
    if let Some(server) = unix {
        problems
            .error(port.span, format!("server `{}` is a unix socket and has no ports", server.name.value))
            .help("remove `port`, give the server a `check-address`, or put it into a pool of its own");
    }
}

fn is_unix(server: &Server) -> bool {
    server.settings.address.as_ref().is_some_and(|address| matches!(address.value, Address::Unix(_)))
}

pub(super) fn agent(pool: &Pool, problems: &mut Problems) -> Option<plan::Agent> {
    const SECTION: Section = Section::Agent;
    let typed = pool.agent.as_ref()?;
    let port = typed.port?;
    if let Some(server) = pool.servers.iter().find(|server| is_unix(server)) {
        problems
            .error(port.span, format!("server `{}` is a unix socket and has no ports", server.name.value))
            .help("put the server into a pool without `agent`");
    }
    Some(plan::Agent {
        port: u16::try_from(port.value).ok()?,
        send: typed.send.as_ref().map(|send| send.value.clone()).unwrap_or_default(),
        interval: time(typed.interval, SECTION, "interval", HTTP),
        timeout: time(typed.timeout, SECTION, "timeout", HTTP),
    })
}

pub(super) fn passive(pool: &Pool, problems: &mut Problems) -> Option<outlier::Settings> {
    const SECTION: Section = Section::Passive;
    let typed: Option<&Passive> = match pool.passive.as_ref().map(|passive| &passive.value) {
        Some(WordOr::Word("off")) => return None,
        Some(WordOr::Table(typed)) => Some(typed),
        Some(WordOr::Word(_)) | None => None,
    };
    let eject = time(typed.and_then(|typed| typed.eject), SECTION, "eject", HTTP);
    let given = typed.and_then(|typed| typed.max_eject);
    let longest = time(given, SECTION, "max-eject", HTTP);
    if longest < eject
        && let Some(span) = given.or(typed.and_then(|typed| typed.eject)).map(|time| time.span)
    {
        problems
            .error(span, "`eject` is longer than `max-eject`")
            .help("make `max-eject` at least as long as `eject` (`\"60s\"` unless given)");
    }
    Some(outlier::Settings {
        failures: u16::try_from(count(typed.and_then(|typed| typed.failures), SECTION, "failures"))
            .unwrap_or(1)
            .max(1),
        eject,
        longest,
        share: u8::try_from(count(typed.and_then(|typed| typed.max_share), SECTION, "max-share"))
            .unwrap_or(100),
        server_errors: typed.and_then(|typed| typed.server_errors).is_some_and(|word| word.value == "count"),
    })
}

pub(super) fn when_all_down(pool: &Pool) -> WhenAllDown {
    match pool.when_all_down.map(|word| word.value) {
        Some("try-all") => WhenAllDown::TryAll,
        _ => WhenAllDown::Refuse,
    }
}
