use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::message::{LastReload, PairStatus, Phase, RoleStatus, SourceStatus, VirtualRouters};
use evenkeel_proxy::message::{Http2Snapshot, QueueSnapshot};

fn status() -> Status {
    let mut latency = HistogramSnapshot { nanos: 62_000_500_000, ..HistogramSnapshot::default() };
    (latency.buckets[0], latency.buckets[3], latency.buckets[16]) = (2, 1, 1);
    let listener = ListenerSnapshot {
        name: "website".parse().unwrap(),
        binds: vec!["0.0.0.0:80".parse().unwrap()],
        mode: "http".into(),
        connections: 1,
        connections_total: 2,
        requests_total: 3,
        refused_total: 4,
        responses_total: BTreeMap::from([("2xx".into(), 5), ("5xx".into(), 6)]),
        answers_total: BTreeMap::from([("no-route".into(), 7), ("no-server".into(), 8)]),
        bytes_in_total: 9,
        bytes_out_total: 10,
        latency: latency.clone(),
        durations: latency.clone(),
        proxy_headers_refused_total: 45,
        silent_total: 48,
        slow_readers_total: 49,
        http2: Http2Snapshot {
            connections_total: 46,
            streams_total: 47,
            floods_total: BTreeMap::from([("resets".into(), 48)]),
        },
        tls: Some(TlsSnapshot {
            handshakes: 40,
            max_handshakes: 41,
            handshakes_total: 42,
            resumed_total: 43,
            failures_total: BTreeMap::from([("timeout".into(), 44)]),
        }),
    };
    let raw =
        ListenerSnapshot { name: "raw".parse().unwrap(), mode: "tcp".into(), tls: None, ..listener.clone() };
    let server = ServerSnapshot {
        name: "webserver01".parse().unwrap(),
        address: "192.0.2.1:80".parse().unwrap(),
        state: "down".into(),
        why: None,
        since: None,
        weight: 11,
        running: 12,
        total: 13,
        connect_failures_total: 14,
        failures_total: 15,
        opened_total: 16,
        reused_total: 17,
        idle: 18,
        multiplexed: 19,
        tls: Some(evenkeel_proxy::message::ServerTlsSnapshot {
            handshakes_total: 46,
            resumed_total: 47,
            failures_total: BTreeMap::from([("unverified".into(), 48)]),
        }),
        first_byte: latency.clone(),
        last_failure: None,
    };
    let second =
        ServerSnapshot { name: "webserver02".parse().unwrap(), state: "up".into(), ..server.clone() };
    let pool = PoolSnapshot {
        name: "website".parse().unwrap(),
        balance: "round-robin".into(),
        requests_total: 19,
        retries_total: 20,
        retries_denied_total: 21,
        all_down: Some("refuse".into()),
        sticky: Some(BTreeMap::from([("kept".into(), 30), ("moved".into(), 31)])),
        grpc_total: Some(BTreeMap::from([("OK".into(), 32)])),
        queue: QueueSnapshot {
            length: 31,
            limit: 32,
            queued_total: 33,
            refused_total: 34,
            timed_out_total: 35,
            left_total: 36,
            waits: latency,
        },
        servers: vec![server, second],
    };
    let log = LogSnapshot { to: "/var/log/\"a\\b\"\n.log".into(), lines_total: 22, dropped_total: 23 };
    let role = |name: &str, state| RoleStatus {
        name: name.into(),
        state,
        pid: None,
        uptime: None,
        restarts: 24,
        last_end: None,
    };
    Status {
        version: "0.1.0".into(),
        pid: 7,
        since: 1_000_000,
        uptime: 2,
        generation: 1,
        old_generations: Vec::new(),
        last_upgrade: None,
        phase: Phase::Running,
        config: "/etc/evenkeel/evenkeel.toml".into(),
        revision: 25,
        max_connections_from: "the file".into(),
        roles: vec![role("proxy", RoleState::Running), role("admin", RoleState::Waiting)],
        runtime_changes: Vec::new(),
        state_dir: None,
        alarms: Vec::new(),
        trial: None,
        last_reload: Some(LastReload { at: 1_000_007, succeeded: true, what: "done".into() }),
        certificates: vec![CertificateStatus {
            listener: Some("website".into()),
            pool: None,
            file: "/etc/www.pem".into(),
            names: vec!["www.example.com".into()],
            algorithm: Some("RSA".into()),
            not_after: Some(2_000_000),
            problem: Some("it has expired".into()),
        }],
        sources: vec![SourceStatus {
            pool: "website".parse().unwrap(),
            source: "servers-from".parse().unwrap(),
            from: "dns app.internal:80".into(),
            servers: Some(37),
            most: 256,
            problem: None,
            problem_since: None,
            changed_at: Some(1_000_038),
            changes_total: 39,
            looks_total: 40,
            failures_total: 41,
        }],
        traffic: Some(Snapshot {
            revision: 25,
            workers: 2,
            connections: 26,
            max_connections: 27,
            listeners: vec![listener, raw],
            pools: vec![pool],
            logs: vec![log],
            departing: Default::default(),
        }),
        traffic_missing: None,
        virtual_routers: Some(VirtualRouters {
            state: Some(evenkeel_ha::message::Snapshot {
                routers: vec![virtual_routers::tests::router()],
                ..Default::default()
            }),
            missing: None,
            transitions: Vec::new(),
            runtime_priorities: Vec::new(),
        }),
        pair: Some(PairStatus {
            peer: "10.0.0.12:7411".into(),
            bind: "0.0.0.0:7411".into(),
            handover_timeout: 600,
            state: evenkeel_pair::message::State {
                up: true,
                since: 1_000_050,
                sessions_total: 51,
                refused_total: [("key".to_owned(), 52)].into(),
                sent_total: 53,
                received_total: 54,
                ..Default::default()
            },
        }),
    }
}

/// A page as a strict reader understands it.
#[derive(Debug, Default)]
struct Read {
    /// Types by the name of the family.
    families: BTreeMap<String, String>,
    /// Values by name and sorted labels.
    series: BTreeMap<(String, Labelled), f64>,
}

type Labelled = BTreeMap<String, String>;

impl Read {
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let key = (name.to_owned(), labels);
        *self.series.get(&key).unwrap_or_else(|| panic!("no {key:?} in {:#?}", self.series))
    }

    /// Reads a page; panics at whatever the format does not allow.
    fn page(text: &str) -> Self {
        let mut read = Self::default();
        let mut current = None;
        let mut help = None;
        assert!(text.ends_with('\n'));
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, words) = rest.split_once(' ').unwrap();
                assert!(!words.is_empty() && !words.contains('\\'), "{line}");
                assert!(help.replace(name).is_none(), "HELP without TYPE before {line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(help.take(), Some(name), "TYPE comes right after HELP");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                assert!(read.families.insert(name.into(), kind.into()).is_none(), "{name} comes twice");
                current = Some((name, kind));
            } else {
                assert!(help.is_none(), "a sample between HELP and TYPE: {line}");
                let (family, kind) = current.unwrap();
                let (name, labels, value) = sample(line);
                let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("{line} in {family}"));
                match kind {
                    "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&suffix), "{line}"),
                    _ => assert_eq!(suffix, "", "{line}"),
                }
                assert_eq!(labels.contains_key("le"), suffix == "_bucket", "{line}");
                let series = (name.to_owned(), labels);
                assert!(read.series.insert(series, value).is_none(), "a series comes twice: {line}");
            }
        }
        assert!(help.is_none());
        read
    }
}

/// `name{label="value",…} number`.
fn sample(line: &str) -> (&str, Labelled, f64) {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    let end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = Labelled::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap();
            assert!(is_name(label), "{line}");
            let (value, after) = quoted(after);
            assert!(labels.insert(label.into(), value).is_none(), "a label comes twice: {line}");
            match after.strip_prefix(',') {
                Some(more) => rest = more,
                None => {
                    rest = after.strip_prefix('}').unwrap();
                    break;
                }
            }
        }
    }
    let number = rest.strip_prefix(' ').unwrap();
    let unsigned = number.strip_prefix('-').unwrap_or(number);
    assert!(unsigned.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.')), "{line}");
    (name, labels, number.parse().unwrap())
}

/// The value up to its closing quote, and what follows that.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match chars.next().unwrap().1 {
                'n' => '\n',
                same @ ('\\' | '"') => same,
                other => panic!("an escape of {other:?}"),
            }),
            plain => value.push(plain),
        }
    }
    panic!("no closing quote: {text}");
}

#[test]
fn every_fact_is_on_the_page() {
    let page = Read::page(&render(&status()));
    let website = ("listener", "website");
    let webserver = [("pool", "website"), ("server", "webserver01")];
    let public = ("virtual_router", "public");
    let source = [("pool", "website"), ("source", "servers-from")];
    let expected: &[(&str, &Labels<'_>, f64)] = &[
        ("evenkeel_build_info", &[("version", "0.1.0")], 1.0),
        ("evenkeel_start_time_seconds", &[], 1_000_000.0),
        ("evenkeel_generation", &[], 1.0),
        ("evenkeel_old_generations", &[], 0.0),
        ("evenkeel_plan_revision", &[], 25.0),
        ("evenkeel_role_running", &[("role", "proxy")], 1.0),
        ("evenkeel_role_running", &[("role", "admin")], 0.0),
        ("evenkeel_role_restarts_total", &[("role", "proxy")], 24.0),
        ("evenkeel_last_reload_succeeded", &[], 1.0),
        ("evenkeel_last_reload_timestamp_seconds", &[], 1_000_007.0),
        ("evenkeel_proxy_answers", &[], 1.0),
        ("evenkeel_workers", &[], 2.0),
        ("evenkeel_connections", &[], 26.0),
        ("evenkeel_connections_limit", &[], 27.0),
        ("evenkeel_log_lines_total", &[("to", "/var/log/\"a\\b\"\n.log")], 22.0),
        ("evenkeel_log_lines_dropped_total", &[("to", "/var/log/\"a\\b\"\n.log")], 23.0),
        ("evenkeel_listener_connections", &[website], 1.0),
        ("evenkeel_listener_connections_total", &[website], 2.0),
        ("evenkeel_listener_requests_total", &[website], 3.0),
        ("evenkeel_listener_responses_total", &[website, ("class", "5xx")], 6.0),
        ("evenkeel_listener_own_answers_total", &[website, ("reason", "no-server")], 8.0),
        ("evenkeel_listener_own_answers_total", &[("listener", "raw"), ("reason", "no-route")], 7.0),
        ("evenkeel_listener_in_bytes_total", &[website], 9.0),
        ("evenkeel_listener_out_bytes_total", &[website], 10.0),
        ("evenkeel_certificate_not_after_seconds", &[website, ("file", "/etc/www.pem")], 2_000_000.0),
        ("evenkeel_certificate_problem", &[website, ("file", "/etc/www.pem")], 1.0),
        ("evenkeel_listener_proxy_headers_refused_total", &[website], 45.0),
        ("evenkeel_listener_silent_connections_total", &[website], 48.0),
        ("evenkeel_listener_slow_readers_total", &[website], 49.0),
        ("evenkeel_listener_http2_connections_total", &[website], 46.0),
        ("evenkeel_listener_http2_streams_total", &[website], 47.0),
        ("evenkeel_listener_http2_floods_total", &[website, ("reason", "resets")], 48.0),
        ("evenkeel_listener_tls_handshakes", &[website], 40.0),
        ("evenkeel_listener_tls_handshakes_limit", &[website], 41.0),
        ("evenkeel_listener_tls_handshakes_total", &[website], 42.0),
        ("evenkeel_listener_tls_resumed_total", &[website], 43.0),
        ("evenkeel_listener_tls_failures_total", &[website, ("reason", "timeout")], 44.0),
        ("evenkeel_pool_requests_total", &[webserver[0]], 19.0),
        ("evenkeel_pool_retries_total", &[webserver[0]], 20.0),
        ("evenkeel_pool_retries_denied_total", &[webserver[0]], 21.0),
        ("evenkeel_pool_all_down", &[webserver[0]], 1.0),
        ("evenkeel_pool_sticky_requests_total", &[webserver[0], ("outcome", "moved")], 31.0),
        ("evenkeel_pool_grpc_calls_total", &[webserver[0], ("status", "OK")], 32.0),
        ("evenkeel_pool_queue_length", &[webserver[0]], 31.0),
        ("evenkeel_pool_queue_limit", &[webserver[0]], 32.0),
        ("evenkeel_pool_queued_total", &[webserver[0]], 33.0),
        ("evenkeel_pool_queue_refused_total", &[webserver[0]], 34.0),
        ("evenkeel_pool_queue_timeouts_total", &[webserver[0]], 35.0),
        ("evenkeel_pool_queue_left_total", &[webserver[0]], 36.0),
        ("evenkeel_server_weight", &webserver, 11.0),
        ("evenkeel_server_running", &webserver, 12.0),
        ("evenkeel_server_requests_total", &webserver, 13.0),
        ("evenkeel_server_connect_failures_total", &webserver, 14.0),
        ("evenkeel_server_failures_total", &webserver, 15.0),
        ("evenkeel_server_opened_total", &webserver, 16.0),
        ("evenkeel_server_reused_total", &webserver, 17.0),
        ("evenkeel_server_idle_connections", &webserver, 18.0),
        ("evenkeel_server_multiplexed_connections", &webserver, 19.0),
        ("evenkeel_server_tls_handshakes_total", &webserver, 46.0),
        ("evenkeel_server_tls_resumed_total", &webserver, 47.0),
        ("evenkeel_server_tls_failures_total", &[webserver[0], webserver[1], ("reason", "unverified")], 48.0),
        ("evenkeel_server_state", &[webserver[0], webserver[1], ("state", "down")], 1.0),
        ("evenkeel_server_state", &[webserver[0], webserver[1], ("state", "up")], 0.0),
        ("evenkeel_source_up", &source, 1.0),
        ("evenkeel_source_servers", &source, 37.0),
        ("evenkeel_source_changed_timestamp_seconds", &source, 1_000_038.0),
        ("evenkeel_pair_up", &[], 1.0),
        ("evenkeel_pair_changed_timestamp_seconds", &[], 1_000_050.0),
        ("evenkeel_pair_sessions_total", &[], 51.0),
        ("evenkeel_pair_refused_total", &[("reason", "key")], 52.0),
        ("evenkeel_pair_refused_total", &[("reason", "version")], 0.0),
        ("evenkeel_pair_sent_total", &[], 53.0),
        ("evenkeel_pair_received_total", &[], 54.0),
        ("evenkeel_source_changes_total", &source, 39.0),
        ("evenkeel_source_looks_total", &source, 40.0),
        ("evenkeel_source_failures_total", &source, 41.0),
        ("evenkeel_virtual_router_priority", &[public], 130.0),
        ("evenkeel_virtual_router_yielding", &[public], 0.0),
        ("evenkeel_virtual_router_track_well", &[public, ("track", "interface eth1")], 0.0),
        ("evenkeel_virtual_router_track_priority", &[public, ("track", "interface eth1")], -20.0),
        ("evenkeel_virtual_router_addresses_held", &[public], 1.0),
        ("evenkeel_virtual_router_since_seconds", &[public], 1_007_200.0),
        ("evenkeel_virtual_router_down_interval_seconds", &[public], 3.5),
        ("evenkeel_virtual_router_alarm", &[public, ("kind", "equal-priority")], 1.0),
        ("evenkeel_virtual_router_sent_total", &[public], 9.0),
        ("evenkeel_virtual_router_released_total", &[public], 1.0),
        ("evenkeel_virtual_router_received_total", &[public], 2.0),
        ("evenkeel_virtual_router_refused_total", &[public, ("reason", "checksum")], 8.0),
        ("evenkeel_virtual_router_became_active_total", &[public], 3.0),
        ("evenkeel_virtual_router_dual_owner_total", &[public], 4.0),
        ("evenkeel_virtual_router_dual_owner_seconds_total", &[public], 0.25),
        ("evenkeel_virtual_router_announced_total", &[public], 5.0),
        ("evenkeel_virtual_router_stalled_total", &[public], 6.0),
        ("evenkeel_virtual_router_repaired_total", &[public], 7.0),
        ("evenkeel_virtual_router_notify_waiting", &[public, ("target", "script /bin/tell")], 2.0),
        ("evenkeel_virtual_router_notify_delivered_total", &[public, ("target", "script /bin/tell")], 11.0),
        ("evenkeel_virtual_router_notify_failed_total", &[public, ("target", "script /bin/tell")], 12.0),
        ("evenkeel_virtual_router_notify_dropped_total", &[public, ("target", "script /bin/tell")], 13.0),
        ("evenkeel_virtual_router_provider_confirmed", &[public], 1.0),
        ("evenkeel_virtual_router_provider_confirmed_total", &[public], 14.0),
        ("evenkeel_virtual_router_provider_failed_total", &[public], 15.0),
        ("evenkeel_virtual_router_handover_flows", &[public, ("direction", "giving")], 16.0),
        ("evenkeel_virtual_router_events_dropped_total", &[], 0.0),
        ("evenkeel_virtual_router_state", &[public, ("state", "active")], 1.0),
        ("evenkeel_virtual_router_state", &[public, ("state", "backup")], 0.0),
    ];
    for (name, labels, value) in expected {
        assert_eq!(page.value(name, labels).to_bits(), value.to_bits(), "{name} {labels:?}");
    }
    // What else there is are histograms, which have a test of their own.
    let named: BTreeSet<&str> = expected.iter().map(|(name, ..)| *name).collect();
    for (name, kind) in &page.families {
        assert!(kind == "histogram" || named.contains(name.as_str()), "{name} is not looked at");
    }
}

#[test]
fn buckets_count_up_to_the_count() {
    let page = Read::page(&render(&status()));
    let of_server = [("pool", "website"), ("server", "webserver02")];
    for (name, labels) in [
        ("evenkeel_listener_request_seconds", &[("listener", "website")][..]),
        ("evenkeel_listener_connection_seconds", &[("listener", "raw")][..]),
        ("evenkeel_pool_queue_seconds", &of_server[..1]),
        ("evenkeel_server_first_byte_seconds", &of_server[..]),
    ] {
        let bucket = |bound: &str| {
            let labels: Vec<_> = labels.iter().copied().chain([("le", bound)]).collect();
            page.value(&format!("{name}_bucket"), &labels)
        };
        let bounds = [
            "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5",
            "5", "10", "30", "60", "+Inf",
        ];
        let counts = bounds.map(|bound| bucket(bound).to_string()).join(" ");
        assert_eq!(counts, "2 2 2 3 3 3 3 3 3 3 3 3 3 3 3 3 4");
        assert_eq!(page.value(&format!("{name}_count"), labels).to_string(), "4");
        assert_eq!(page.value(&format!("{name}_sum"), labels).to_string(), "62.0005");
    }
    // Connections are no requests, and requests no connections.
    for (family, other) in
        [("evenkeel_listener_request_seconds", "raw"), ("evenkeel_listener_connection_seconds", "website")]
    {
        assert!(!page.series.keys().any(|(name, labels)| {
            name.starts_with(family) && labels.get("listener").is_some_and(|name| name == other)
        }));
    }
}

#[test]
fn without_the_proxy_role_the_rest_is_shown() {
    let page = Read::page(&render(&Status { traffic: None, last_reload: None, ..status() }));
    assert_eq!(page.value("evenkeel_proxy_answers", &[]).to_string(), "0");
    assert_eq!(page.value("evenkeel_role_restarts_total", &[("role", "proxy")]).to_string(), "24");
    assert!(!page.families.contains_key("evenkeel_connections"), "nothing is said of what is not known");
}

#[test]
fn the_guide_lists_every_family_with_its_type() {
    let guide = include_str!("../../../../docs/guide/metrics.md");
    let listed: BTreeMap<String, String> = guide
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let name = cells.get(1)?.strip_prefix('`')?.strip_suffix('`')?;
            name.starts_with("evenkeel_").then(|| (name.to_owned(), (*cells.get(2).unwrap()).to_owned()))
        })
        .collect();
    assert_eq!(listed, Read::page(&render(&status())).families);
}
