//! Values as the file would write them.

use std::fmt::{self, Display};
use std::path::Path;
use std::time::Duration;

use evenkeel_traffic::route::{HeaderExpectation, HostPattern, Rule};

use crate::plan::{AccessLog, Forwarding, Pool, ProxyProtocol, SendProxy, Underscores};
use crate::units::{ShownDuration, ShownSize};

#[derive(PartialEq)]
pub(super) struct CountOrAuto<T>(pub(super) Option<T>);

impl<T: Display> Display for CountOrAuto<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("auto"),
            Some(count) => count.fmt(f),
        }
    }
}

pub(super) fn duration(duration: Duration) -> String {
    ShownDuration(duration).to_string()
}

pub(super) fn size(bytes: impl Into<u64>) -> String {
    ShownSize(bytes.into()).to_string()
}

pub(super) fn list<T: Display>(values: &[T]) -> String {
    if values.is_empty() {
        return "none".into();
    }
    values.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

pub(super) fn forwarding(forwarding: Forwarding) -> &'static str {
    match (forwarding.x_forwarded, forwarding.forwarded) {
        (true, true) => "x-forwarded, forwarded",
        (true, false) => "x-forwarded",
        (false, true) => "forwarded",
        (false, false) => "none",
    }
}

pub(super) fn underscores(underscores: Underscores) -> &'static str {
    match underscores {
        Underscores::Drop => "drop",
        Underscores::Keep => "keep",
        Underscores::Refuse => "refuse",
    }
}

pub(super) fn access_log(log: Option<&AccessLog>) -> String {
    log.map_or_else(|| "none".into(), |log| format!("{} ({})", log.to, log.format.name()))
}

pub(super) fn proxy_protocol(proxy: Option<&ProxyProtocol>) -> String {
    let mode = |required| if required { "required" } else { "optional" };
    proxy
        .map_or_else(|| "none".into(), |proxy| format!("{} from {}", mode(proxy.required), list(&proxy.from)))
}

/// A rule in one line: `host static.example.com, path-prefix /assets/ → pool static`.
pub(super) fn rule(rule: &Rule) -> String {
    let conditions = &rule.conditions;
    let mut parts = Vec::new();
    let mut add = |name: &str, values: Vec<String>| {
        if !values.is_empty() {
            parts.push(format!("{name} {}", values.join(" or ")));
        }
    };
    let host = |pattern: &HostPattern| match pattern {
        HostPattern::Exact(name) => name.clone(),
        HostPattern::Below(suffix) => format!("*{suffix}"),
    };
    add("host", conditions.hosts.iter().map(host).collect());
    add("path", conditions.paths.clone());
    add("path-prefix", conditions.path_prefixes.clone());
    add("method", conditions.methods.clone());
    for header in &conditions.headers {
        let expect = match &header.expect {
            HeaderExpectation::Equals(value) => format!("{} = {value:?}", header.name),
            HeaderExpectation::Present => format!("{} present", header.name),
            HeaderExpectation::Absent => format!("{} absent", header.name),
        };
        add("header", vec![expect]);
    }
    add("sni", conditions.names.iter().map(host).collect());
    add("source", conditions.sources.iter().map(ToString::to_string).collect());
    if parts.is_empty() {
        parts.push("everything".into());
    }
    format!("{} → pool {}", parts.join(", "), rule.pool)
}

/// A path, or what holds without one.
pub(super) fn path(path: Option<&Path>, without: &str) -> String {
    path.map_or_else(|| without.to_owned(), |path| path.display().to_string())
}

/// What servers are told before the first byte.
pub(super) fn send_proxy(pool: &Pool) -> String {
    match pool.send_proxy {
        None => "none".into(),
        Some(SendProxy::V1) => "v1".into(),
        Some(SendProxy::V2(extensions)) => {
            let words = [
                ("authority", extensions.authority),
                ("alpn", extensions.alpn),
                ("ssl", extensions.ssl),
                ("crc32c", extensions.checksum),
            ];
            let told: Vec<&str> =
                words.into_iter().filter(|(_, is_told)| *is_told).map(|(word, _)| word).collect();
            if told.is_empty() { "v2".into() } else { format!("v2 with {}", told.join(", ")) }
        }
    }
}
