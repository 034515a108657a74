//! The table of keys agrees with itself, with the guide and with the schema.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test ends where it fails, and reads the files it compares with"
)]

use std::path::Path;
use std::time::Duration;

use evenkeel_config::keys::{KEYS, Kind, Section};
use evenkeel_config::plan::{Mode, ProbeKind, Underscores, WhenAllDown};
use evenkeel_config::schema::json_schema;
use evenkeel_config::{load, reference};
use evenkeel_traffic::health::Initial;
use serde_json::Value;

#[path = "support/directory.rs"]
mod directory;
#[path = "support/text.rs"]
mod text;
use directory::Directory;
use text::Text;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_guide_holds_the_generated_reference() {
    let path = here().join("../../docs/guide/configuration.md");
    let page = reference::markdown();
    if std::env::var_os("EVENKEEL_REFRESH").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &page).unwrap();
    }
    let same = std::fs::read_to_string(&path).is_ok_and(|have| have == page);
    assert!(
        same,
        "docs/guide/configuration.md is not what the table of keys says; refresh it with \
         EVENKEEL_REFRESH=1 cargo test -p evenkeel-config --test reference"
    );
}

#[test]
fn every_key_is_described_once_and_has_an_example() {
    for key in KEYS {
        assert!(key.description.ends_with('.'), "{}", key.path());
        assert!(key.example.contains(key.name), "{}", key.path());
        assert_eq!(KEYS.iter().filter(|other| other.path() == key.path()).count(), 1, "{}", key.path());
        assert!(!key.path().contains('_'));
    }
}

/// A configuration in which this line stands where it belongs.
fn with(section: Section, line: &str) -> String {
    let pool = "[pool.website.servers]\nwebserver01 = \"192.168.1.2:80\"\n[pool.static.servers]\ncache01 = \"192.168.1.4:80\"\n";
    let listener = "[listener.website]\nbind = \"0.0.0.0:80\"\npool = \"website\"\n";
    let own = |key: &str| line.starts_with(key);
    match section {
        Section::Top => format!("{line}\n{listener}{pool}"),
        Section::Global => format!("[global]\n{line}\n{listener}{pool}"),
        Section::Admin => format!("[admin]\n{line}\n{listener}{pool}"),
        Section::Listener if own("bind") => format!("[listener.website]\npool = \"website\"\n{line}\n{pool}"),
        Section::Listener if own("redirect") => {
            format!("[listener.website]\nbind = \"0.0.0.0:80\"\n{line}\n{pool}")
        }
        Section::Listener if own("pool") => {
            format!("[listener.website]\nbind = \"0.0.0.0:80\"\n{line}\n{pool}")
        }
        Section::Listener => format!("{listener}{line}\n{pool}"),
        Section::Tls => {
            let files = if own("certificates") { "" } else { "certificates = \"/etc/evenkeel\"\n" };
            format!("{listener}[listener.website.tls]\n{files}{line}\n{pool}")
        }
        Section::Certificate => {
            let file = if own("certificate") { "" } else { "certificate = \"/etc/evenkeel/a.pem\"\n" };
            format!("{listener}[[listener.website.tls.certificates]]\n{file}{line}\n{pool}")
        }
        Section::ClientAuth => {
            let ca = if own("ca") { "" } else { "ca = \"/etc/evenkeel/ca.pem\"\n" };
            format!(
                "{listener}tls.certificates = \"/etc/evenkeel\"\n[listener.website.tls.client-auth]\n{ca}{line}\n{pool}"
            )
        }
        Section::Hsts => {
            let age = if own("max-age") { "" } else { "max-age = \"1d\"\n" };
            format!(
                "{listener}tls.certificates = \"/etc/evenkeel\"\n[listener.website.hsts]\n{age}{line}\n{pool}"
            )
        }
        Section::ProxyProtocol => {
            let from = if own("from") { "" } else { "from = \"192.0.2.1\"\n" };
            format!("{listener}[listener.website.proxy-protocol]\n{from}{line}\n{pool}")
        }
        Section::AccessLog => {
            let to = if own("to") { "" } else { "to = \"stdout\"\n" };
            format!("{listener}[listener.website.access-log]\n{to}{line}\n{pool}")
        }
        Section::Route if own("sni") => {
            format!("{listener}mode = \"tcp\"\n[[listener.website.route]]\n{line}\npool = \"static\"\n{pool}")
        }
        Section::Route if own("pool") => format!("{listener}[[listener.website.route]]\n{line}\n{pool}"),
        Section::Route => format!("{listener}[[listener.website.route]]\n{line}\npool = \"static\"\n{pool}"),
        Section::Pool if own("servers") => format!("{listener}[pool.website]\n{line}\n"),
        Section::Pool => format!("{listener}[pool.website]\n{line}\n{pool}"),
        Section::SendProxyProtocol => {
            format!("{listener}[pool.website.send-proxy-protocol]\n{line}\n{pool}")
        }
        Section::ServerTls => {
            let other = match (own("key"), own("crl")) {
                (true, _) => "certificate = \"/etc/evenkeel/a.pem\"\n",
                (_, true) => "ca = \"/etc/evenkeel/servers.pem\"\n",
                _ => "",
            };
            format!("{listener}[pool.website.tls]\n{other}{line}\n{pool}")
        }
        Section::Health if own("send") || own("expect") => {
            format!("{listener}[pool.website.health]\n{line}\n{pool}")
        }
        Section::Health if own("http") || own("grpc") || own("exec") => {
            format!("{listener}[pool.website.health]\n{line}\n{pool}")
        }
        Section::Health => format!("{listener}[pool.website.health]\nhttp = \"/\"\n{line}\n{pool}"),
        Section::Agent => {
            let port = if own("port") { "" } else { "port = 9000\n" };
            format!("{listener}[pool.website.agent]\n{port}{line}\n{pool}")
        }
        Section::Passive => format!("{listener}[pool.website.passive]\n{line}\n{pool}"),
        Section::Sticky => {
            let cookie = if own("cookie") { "" } else { "cookie = \"LB\"\n" };
            format!("{listener}[pool.website.sticky]\n{cookie}{line}\n{pool}")
        }
        Section::Queue => format!("{listener}[pool.website.queue]\n{line}\n{pool}"),
        Section::ServersFrom => {
            let given = ["dns", "file", "http"].into_iter().any(own);
            let source = if given { "" } else { "http = \"https://192.0.2.1/\"\n" };
            format!("{listener}[pool.website.servers-from]\n{source}{line}\n")
        }
        Section::Resolver => format!("{listener}{pool}[resolver]\n{line}\n"),
        Section::Pair => {
            let others: String = ["peer = \"10.0.0.12:7411\"\n", "key-file = \"/etc/evenkeel/pair.key\"\n"]
                .into_iter()
                .filter(|other| !own(&other[..4]))
                .collect();
            format!("{listener}{pool}[pair]\n{others}{line}\n")
        }
        Section::Server => {
            let address = if own("address") { "" } else { "address = \"192.168.1.2:80\"\n" };
            format!("{listener}[pool.website.servers.webserver01]\n{address}{line}\n")
        }
        Section::VirtualRouter
        | Section::Authentication
        | Section::Announce
        | Section::FollowingRoute
        | Section::FollowingRule
        | Section::Track
        | Section::Notify
        | Section::Provider => with_router(section, line),
    }
}

/// The same for the tables of a virtual router.
fn with_router(section: Section, line: &str) -> String {
    let own = |key: &str| line.starts_with(key);
    let least = ["interface = \"eth0\"", "vrid = 51", "addresses = [\"192.168.1.100/24\"]"];
    let key = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let mut router: Vec<&str> = least
        .into_iter()
        .filter(|given| section != Section::VirtualRouter || key(given) != key(line))
        .collect();
    let mut below = String::new();
    match section {
        Section::Authentication if own("password") => router.push("version = 2"),
        Section::Authentication => router.push("peers = \"192.168.1.12\""),
        Section::VirtualRouter if own("least-hop-limit") => router.push("peers = \"192.168.1.12\""),
        _ => {}
    }
    match section {
        Section::Authentication => {
            below = "[virtual-router.public.authentication]\n".into();
            if !own("password") && !own("keys") {
                below += "keys = { 1 = \"0123456789abcdef0123456789abcdef\" }\n";
            }
        }
        Section::Announce => below = "[virtual-router.public.announce]\n".into(),
        Section::FollowingRoute => {
            below = "[[virtual-router.public.route]]\n".into();
            if !own("to") {
                below += "to = \"10.0.0.0/8\"\n";
            }
        }
        Section::FollowingRule => {
            below = "[[virtual-router.public.rule]]\n".into();
            for (name, text) in [
                ("from", "from = \"192.168.1.100\""),
                ("table", "table = 100"),
                ("priority", "priority = 90"),
            ] {
                if !own(name) {
                    below += text;
                    below += "\n";
                }
            }
        }
        Section::Track => {
            below = "[[virtual-router.public.track]]\n".into();
            let whose =
                |owner: &str, keys: &[&str]| keys.iter().any(|key| own(key)).then(|| owner.to_owned());
            let of = whose("pool = \"website\"\n", &["least-servers", "least-share"])
                .or_else(|| whose("process = \"nginx\"\n", &["least-processes"]))
                .or_else(|| {
                    whose("script = \"/bin/true\"\n", &["user", "interval", "timeout", "rise", "fall"])
                })
                .or_else(|| whose("interface = \"eth1\"\n", &["priority", "effect"]));
            below += &of.unwrap_or_default();
        }
        Section::Notify => {
            below = "[[virtual-router.public.notify]]\n".into();
            if own("user") || own("timeout") {
                below += "script = \"/bin/true\"\n";
            } else if own("token-file") {
                below += "webhook = \"https://hooks.example.com\"\n";
            }
        }
        Section::Provider => {
            below = "[virtual-router.public.provider]\n".into();
            if !own("exec") {
                below += "exec = \"/bin/true\"\n";
            }
        }
        _ => router.push(line),
    }
    let site = if section == Section::Track || own("track") {
        "[listener.website]\nbind = \"0.0.0.0:80\"\npool = \"website\"\n[pool.website]\nhealth = \"tcp\"\n\
         [pool.website.servers]\nwebserver01 = \"192.168.1.2:80\"\nwebserver02 = \"192.168.1.3:80\"\n"
    } else {
        ""
    };
    if section != Section::VirtualRouter {
        below += line;
    }
    format!("[virtual-router.public]\n{}\n{below}\n{site}", router.join("\n"))
}

#[test]
fn every_example_of_a_key_loads() {
    for key in KEYS.iter().filter(|key| !matches!(key.kind, Kind::Table(_) | Kind::Named(_) | Kind::List(_)))
    {
        let text = with(key.section, key.example);
        if let Err(report) = load(Path::new("evenkeel.toml"), &Text(&text)) {
            panic!("{}:\n{report}", key.path());
        }
        let errors: Vec<String> = schema_errors(&text);
        assert!(errors.is_empty(), "{}: {errors:?}", key.path());
    }
}

#[test]
fn a_minimal_file_has_the_documented_defaults() {
    let text = with(Section::Global, "")
        + "\n[listener.bytes]\nbind = \"0.0.0.0:81\"\nmode = \"tcp\"\npool = \"static\"\n[admin]\n";
    let plan =
        load(Path::new("evenkeel.toml"), &Text(&text)).unwrap_or_else(|report| panic!("{report}")).plan;
    assert_eq!(plan.global.threads, None);
    assert_eq!(plan.global.max_connections, None);
    assert_eq!(plan.global.user, None);
    assert_eq!(plan.global.graceful_timeout, Duration::from_secs(30));
    assert_eq!(plan.global.control_socket, Path::new("/run/evenkeel/control.sock"));
    assert_eq!(plan.admin.unwrap().bind.to_string(), "127.0.0.1:8404");
    let Mode::Http(http) = &plan.listeners[0].mode else { panic!("{:?}", plan.listeners) };
    assert_eq!(http.limits.head_bytes, 16_384);
    assert_eq!(http.limits.target_bytes, 8_192);
    assert_eq!(http.limits.headers, 128);
    assert_eq!(http.header_timeout, Duration::from_secs(10));
    assert_eq!(http.idle_timeout, Duration::from_secs(60));
    assert_eq!(http.tunnel_timeout, Duration::from_secs(3600));
    assert_eq!((http.min_body_rate, http.min_response_rate), (500, 500));
    assert!(http.trusted_proxies.is_empty());
    assert!(http.forwarding.x_forwarded && !http.forwarding.forwarded);
    assert_eq!(http.underscores, Underscores::Drop);
    assert!(plan.listeners[0].rules.is_empty());
    assert_eq!(plan.listeners[0].access_log, None);
    assert_eq!(plan.listeners[0].proxy_protocol, None);
    assert_eq!((plan.listeners[0].tls.as_ref(), http.redirect, http.hsts), (None, false, None));
    let Mode::Tcp(tcp) = &plan.listeners[1].mode else { panic!("{:?}", plan.listeners) };
    assert_eq!(tcp.idle_timeout, Duration::from_secs(600));
    let pool = &plan.pools[0];
    assert_eq!(pool.sticky, None);
    assert_eq!(pool.retries, 3);
    assert_eq!(pool.connect_timeout, Duration::from_secs(3));
    assert_eq!(pool.response_timeout, Duration::from_secs(60));
    assert_eq!(pool.keep_alive, Duration::from_secs(4));
    assert_eq!(pool.max_idle, 1024);
    assert_eq!((pool.queue.size, pool.queue.timeout), (1000, Duration::from_secs(5)));
    assert_eq!(pool.servers[0].weight.value(), 1);
    assert_eq!(pool.health, None);
    let passive = pool.passive.as_ref().unwrap();
    assert_eq!((passive.failures, passive.share, passive.server_errors), (5, 50, false));
    assert_eq!((passive.eject, passive.longest), (Duration::from_secs(5), Duration::from_secs(60)));
    assert_eq!((pool.slow_start, pool.when_all_down), (Duration::ZERO, WhenAllDown::Refuse));
}

#[test]
fn a_check_has_the_documented_defaults() {
    let text = with(Section::Health, "port = 8081");
    let plan =
        load(Path::new("evenkeel.toml"), &Text(&text)).unwrap_or_else(|report| panic!("{report}")).plan;
    let probe = plan.pools[0].health.as_ref().unwrap();
    let timing = probe.timing;
    assert_eq!(timing.interval, Duration::from_secs(2));
    assert_eq!(timing.fast_interval, Duration::from_secs(1));
    assert_eq!(timing.down_interval, Duration::from_secs(2));
    assert_eq!(timing.timeout, Duration::from_secs(2));
    assert_eq!((timing.rise, timing.fall, timing.initial), (2, 3, Initial::Up));
    assert_eq!(probe.port, Some(8081));
    let ProbeKind::Http(http) = &probe.kind else { panic!("{probe:?}") };
    assert_eq!((http.target.as_str(), http.method.as_str()), ("/", "GET"));
    assert_eq!((http.host.as_ref(), http.body.as_ref()), (None, None));
    assert_eq!(http.statuses, [(200, 399)]);
}

fn schema_errors(text: &str) -> Vec<String> {
    let document: Value = toml::from_str(text).unwrap();
    let validator = jsonschema::draft202012::new(&json_schema()).unwrap();
    validator.iter_errors(&document).map(|error| error.to_string()).collect()
}

#[test]
fn the_schema_is_one_by_its_own_rules() {
    assert!(jsonschema::meta::is_valid(&json_schema()));
    // Every key is in it, with its description.
    let schema = json_schema().to_string();
    for key in KEYS {
        assert!(schema.contains(&Value::from(key.description).to_string()), "{}", key.path());
    }
}

/// What only the whole configuration shows, or what a form cannot say.
const BEYOND_A_SCHEMA: &[&str] = &[
    "admin-not-loopback",
    "agent-of-unix",
    "balance-bounded-load-too-fine",
    "balance-prefix-without-source",
    "bind-like-admin",
    "bind-like-control-socket",
    "bind-multicast",
    "bind-of-two-listeners",
    "bind-port-too-large",
    "bind-twice-in-one-listener",
    "duration-too-long",
    "duration-too-short",
    "duration-wrong-order",
    "exec-changeable",
    "exec-relative",
    "exec-with-http",
    "health-body-of-head",
    "health-fast-is-slow",
    "health-host-impossible",
    "health-port-of-unix",
    "health-send-with-http",
    "health-status-without-http",
    "notify-mistakes",
    "pair-bind-of-other-family",
    "pair-over-unix",
    "pair-with-itself",
    "pair-with-virtual-address",
    "pair-without-key",
    "passive-eject-too-long",
    "pool-tls-crl",
    "pool-tls-wrong",
    "send-proxy-wrong",
    "pool-unknown",
    "pool-unknown-unlike-any",
    "resolver-ttl-order",
    "route-host-impossible",
    "route-host-with-port",
    "route-path-impossible",
    "route-pool-unknown",
    "route-sni-with-http",
    "route-source-impossible",
    "server-backup-and-priority",
    "server-name-with-check-address",
    "server-service-with-weight",
    "server-wildcard",
    "servers-from-ca-without-https",
    "servers-from-misplaced-keys",
    "size-too-large",
    "size-too-small",
    "sticky-max-age-too-fine",
    "sticky-none-not-secure",
    "sticky-prefix",
    "target-larger-than-head",
    "track-key-of-others",
    "track-more-servers-than-there-are",
    "track-nothing",
    "track-priority-and-effect",
    "track-process-path",
    "track-script-changeable",
    "track-twice",
    "track-two-things",
    "track-unknown-listener",
    "track-unknown-pool",
    "tls-curves-without-1-2",
    "tls-hsts-without-tls",
    "tls-redirect-with-pool",
    "tls-redirect-with-tls",
    "tls-suites-without-1-3",
    "tls-versions-empty",
    "trusted-proxies-host-bits",
    "trusted-proxies-mapped",
    "user-impossible",
    "variable-holds-nonsense",
    "variable-in-default",
    "variable-in-escaped-string",
    "variable-name-impossible",
    "variable-unclosed",
    "variable-unset",
    "virtual-router-address-with-port",
    "virtual-router-first-not-link-local",
    "virtual-router-fraction-with-version-2",
    "virtual-router-hop-limit-with-multicast",
    "virtual-router-interval-between-hundredths",
    "virtual-router-keys-without-active",
    "virtual-router-mac-with-peers",
    "sync-group-unlike-members",
    "virtual-router-on-in-on",
    "virtual-router-password-too-long",
    "virtual-router-password-with-version-3",
    "virtual-router-route-of-other-family",
    "virtual-router-rule-for-everything",
    "virtual-router-same-address",
    "virtual-router-same-number",
    "virtual-router-short-key",
    "virtual-router-two-families",
    "virtual-router-without-anything",
];

#[test]
fn the_schema_agrees_with_the_reader() {
    let root = here().join("tests/golden");
    let mut seen = 0;
    let mut different = Vec::new();
    for entry in std::fs::read_dir(&root).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(stem) = name.strip_suffix(".toml") else { continue };
        let text = std::fs::read_to_string(root.join(&name)).unwrap();
        if toml::from_str::<Value>(&text).is_err() {
            continue;
        }
        let variables = [("PORT", "8080"), ("BROKEN", "not an address"), ("EMPTY", "")].into_iter().collect();
        let loads = load(Path::new(&name), &Directory { root: root.clone(), variables }).is_ok();
        let errors = schema_errors(&text);
        if loads {
            assert!(errors.is_empty(), "{name} loads, but: {errors:?}");
        } else {
            if errors.is_empty() != BEYOND_A_SCHEMA.contains(&stem) {
                different.push(format!("{name}: {errors:?}"));
            }
        }
        seen += 1;
    }
    assert!(different.is_empty(), "{different:#?}");
    assert!(seen > 70, "{seen}");
}

#[test]
fn every_example_is_valid() {
    let root = here().join("../../examples");
    let mut files: Vec<_> = ["", "include", "include/conf.d"]
        .iter()
        .flat_map(|directory| std::fs::read_dir(root.join(directory)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(files.len() >= 9, "{files:?}");
    for file in files {
        let errors = schema_errors(&std::fs::read_to_string(&file).unwrap());
        assert!(errors.is_empty(), "{}: {errors:?}", file.display());
    }
}
