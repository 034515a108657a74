//! Checks in one line each, as the file would write them.

use evenkeel_traffic::health::Initial;

use super::shown::duration;
use crate::plan::{Pool, ProbeKind, WhenAllDown};

/// `{ http = "/healthz", interval = "2s", … }`, with everything that it means; `none` without a check.
pub(super) fn probe(pool: &Pool) -> String {
    let Some(probe) = &pool.health else { return "none".into() };
    let mut parts = Vec::new();
    match &probe.kind {
        ProbeKind::Http(http) => {
            parts.push(format!("http = {:?}", http.target));
            parts.push(format!("method = {:?}", http.method));
            parts.extend(http.host.iter().map(|host| format!("host = {host:?}")));
            if !http.headers.is_empty() {
                let fields: Vec<String> =
                    http.headers.iter().map(|(name, value)| format!("{name} = {value:?}")).collect();
                parts.push(format!("headers = {{ {} }}", fields.join(", ")));
            }
            let range = |(first, last): &(u16, u16)| match first == last {
                true => first.to_string(),
                false => format!("{first}-{last}"),
            };
            let ranges: Vec<String> = http.statuses.iter().map(range).collect();
            parts.push(format!("status = {:?}", ranges.join(",")));
            parts.extend(http.body.iter().map(|body| format!("body = {body:?}")));
        }
        ProbeKind::Grpc(grpc) => {
            parts.push(format!("grpc = {:?}", grpc.service));
            parts.extend(grpc.host.iter().map(|host| format!("host = {host:?}")));
        }
        ProbeKind::Exec(exec) => {
            let program = exec.program.display().to_string();
            let words = std::iter::once(&program).chain(&exec.arguments).map(|word| format!("{word:?}"));
            parts.push(format!("exec = [{}]", words.collect::<Vec<_>>().join(", ")));
        }
        ProbeKind::Tcp(tcp) => {
            parts.push("tcp".into());
            let dialogue = [("send", &tcp.send), ("expect", &tcp.expect)];
            let given = dialogue.iter().filter(|(_, text)| !text.is_empty());
            parts.extend(given.map(|(name, text)| format!("{name} = {text:?}")));
        }
    }
    if pool.tls.is_some() && !matches!(probe.kind, ProbeKind::Exec(_)) {
        parts.push(format!("tls = {}", probe.tls));
    }
    if pool.send_proxy.is_some() && !matches!(probe.kind, ProbeKind::Exec(_)) {
        parts.push(format!("proxy-protocol = {}", probe.announced));
    }
    parts.extend(probe.port.map(|port| format!("port = {port}")));
    let timing = &probe.timing;
    for (name, time) in [
        ("interval", timing.interval),
        ("fast-interval", timing.fast_interval),
        ("down-interval", timing.down_interval),
        ("timeout", timing.timeout),
    ] {
        parts.push(format!("{name} = \"{}\"", duration(time)));
    }
    parts.push(format!("rise = {}, fall = {}", timing.rise, timing.fall));
    let initial = match timing.initial {
        Initial::Up => "up",
        Initial::Down => "down",
        Initial::Checking => "checking",
    };
    parts.push(format!("initial-state = {initial:?}"));
    format!("{{ {} }}", parts.join(", "))
}

pub(super) fn agent(pool: &Pool) -> String {
    let Some(agent) = &pool.agent else { return "none".into() };
    let send = if agent.send.is_empty() { String::new() } else { format!(", send = {:?}", agent.send) };
    format!(
        "{{ port = {}{send}, interval = \"{}\", timeout = \"{}\" }}",
        agent.port,
        duration(agent.interval),
        duration(agent.timeout)
    )
}

pub(super) fn passive(pool: &Pool) -> String {
    let Some(passive) = &pool.passive else { return "off".into() };
    let errors = if passive.server_errors { "count" } else { "ignore" };
    format!(
        "{{ failures = {}, server-errors = {errors:?}, eject = \"{}\", max-eject = \"{}\", max-share = {} }}",
        passive.failures,
        duration(passive.eject),
        duration(passive.longest),
        passive.share
    )
}

pub(super) fn when_all_down(pool: &Pool) -> &'static str {
    match pool.when_all_down {
        WhenAllDown::Refuse => "refuse",
        WhenAllDown::TryAll => "try-all",
    }
}
