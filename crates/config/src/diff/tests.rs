use std::path::{Path, PathBuf};

use super::*;
use crate::{Source, load};

struct Text<'a>(&'a str);

impl Source for Text<'_> {
    fn read(&self, _: &Path) -> Result<String, String> {
        Ok(self.0.to_owned())
    }

    fn glob(&self, _: &str, _: &Path) -> Result<Vec<PathBuf>, String> {
        Ok(Vec::new())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

const BEFORE: &str = r#"
[global]
threads = 2

[listener.website]
bind = ["0.0.0.0:80", "0.0.0.0:8080"]
pool = "website"

[[listener.website.route]]
host = "*.example.com"
pool = "static"

[[listener.website.route]]
path = "/a"
pool = "static"

[listener.bytes]
bind = "0.0.0.0:81"
mode = "tcp"
pool = "static"

[pool.website]
retries = 1

[pool.website.servers]
webserver01 = "192.168.1.2:80"
webserver02 = "192.168.1.3:80"

[pool.static.servers]
cache01 = "192.168.1.5:80"
"#;

pub(super) fn plan(text: &str) -> Plan {
    load(Path::new("evenkeel.toml"), &Text(text)).unwrap_or_else(|report| panic!("{report}")).plan
}

/// What is told when `from` becomes `to` in [`BEFORE`].
fn told(from: &str, to: &str) -> Vec<String> {
    assert!(BEFORE.contains(from), "{from}");
    let changed = BEFORE.replacen(from, to, 1);
    diff(&plan(BEFORE), &plan(&changed)).iter().map(ToString::to_string).collect()
}

#[test]
fn the_same_configuration_differs_in_nothing() {
    assert_eq!(told("threads = 2", "threads = 2 # two"), [""; 0]);
    assert_eq!(told("retries = 1", "retries = 1\nbalance = \"round-robin\""), [""; 0]);
}

#[test]
fn what_needs_a_restart_says_so() {
    assert_eq!(
        told("threads = 2", "threads = 4"),
        ["global: threads changed from 2 to 4; takes effect at the next restart"]
    );
    assert_eq!(
        told("threads = 2", "threads = 2\nmax-connections = 10\nuser = \"www\"\ncontrol-socket = \"/run/x\""),
        [
            "global: max-connections changed from auto to 10; takes effect at the next restart",
            "global: user changed from the default user to www; takes effect at the next restart",
            "global: control-socket changed from /run/evenkeel/control.sock to /run/x; takes effect at the next restart",
        ]
    );
    assert_eq!(
        told("[global]", "[admin]\n[global]"),
        ["admin: added (127.0.0.1:8404); takes effect at the next restart"]
    );
    let difference = &diff(&plan(BEFORE), &plan(&BEFORE.replace("threads = 2", "")))[0];
    assert!(difference.needs_restart());
    assert_eq!(
        serde_json::to_value(difference).unwrap(),
        serde_json::json!({ "subject": "global", "change": "threads changed from 2 to auto", "needs-restart": true })
    );
}

#[test]
fn a_changed_graceful_timeout_needs_no_restart() {
    assert_eq!(
        told("threads = 2", "threads = 2\ngraceful-timeout = \"90s\""),
        ["global: graceful-timeout changed from 30s to 1m30s"]
    );
}

#[test]
fn servers_that_come_go_and_change_are_told() {
    assert_eq!(
        told("webserver01 =", "webserver03 = \"192.168.1.4:80\"\nwebserver01 ="),
        ["pool website: server webserver03 added (192.168.1.4:80, weight 1)"]
    );
    assert_eq!(
        told("webserver02 = \"192.168.1.3:80\"\n", ""),
        ["pool website: server webserver02 removed (192.168.1.3:80); what it is doing goes on until it ends"]
    );
    assert_eq!(
        told("\"192.168.1.3:80\"", "{ address = \"192.168.1.9:80\", weight = 3 }"),
        [
            "pool website: server webserver02: address changed from 192.168.1.3:80 to 192.168.1.9:80",
            "pool website: server webserver02: weight changed from 1 to 3",
        ]
    );
    assert_eq!(
        told(
            "webserver01 = \"192.168.1.2:80\"\nwebserver02 = \"192.168.1.3:80\"",
            "webserver02 = \"192.168.1.3:80\"\nwebserver01 = \"192.168.1.2:80\""
        ),
        ["pool website: servers take turns in another order"]
    );
}

#[test]
fn pools_that_come_go_and_change_are_told() {
    assert_eq!(told("retries = 1", ""), ["pool website: retries changed from 1 to 3"]);
    assert_eq!(
        told(
            "retries = 1",
            "retries = 1\nkeep-alive = \"0s\"\nconnect-timeout = \"250ms\"\nresponse-timeout = \"1h\""
        ),
        [
            "pool website: connect-timeout changed from 3s to 250ms",
            "pool website: response-timeout changed from 1m to 1h",
            "pool website: keep-alive changed from 4s to 0s",
        ]
    );
    assert_eq!(
        told("[pool.static.servers]", "[pool.spare.servers]\na = \"192.0.2.1:1\"\n[pool.static.servers]"),
        ["pool spare: added (1 server)"]
    );
    let with = BEFORE.to_owned() + "[pool.spare.servers]\na = \"192.0.2.1:1\"\n";
    let gone: Vec<_> = diff(&plan(&with), &plan(BEFORE)).iter().map(ToString::to_string).collect();
    assert_eq!(gone, ["pool spare: removed; what it is doing goes on until it ends"]);
}

#[test]
fn a_queue_that_changes_is_told() {
    assert_eq!(
        told("retries = 1", "retries = 1\nqueue = { size = 0 }"),
        ["pool website: queue size changed from 1000 to 0"]
    );
    assert_eq!(
        told("retries = 1", "retries = 1\nqueue = { timeout = \"250ms\" }"),
        ["pool website: queue timeout changed from 5s to 250ms"]
    );
}

#[test]
fn listeners_that_come_go_and_change_are_told() {
    assert_eq!(
        told("[\"0.0.0.0:80\", \"0.0.0.0:8080\"]", "[\"0.0.0.0:8080\", \"[::]:80\"]"),
        [
            "listener website: bind [::]:80 added",
            "listener website: bind 0.0.0.0:80 removed; connections that came through it go on until they end",
        ]
    );
    assert_eq!(
        told("mode = \"tcp\"\n", ""),
        ["listener bytes: mode changed from tcp to http for new connections"]
    );
    assert_eq!(
        told("mode = \"tcp\"", "mode = \"tcp\"\nidle-timeout = \"1m\""),
        ["listener bytes: idle-timeout changed from 10m to 1m"]
    );
    assert_eq!(
        told("[listener.bytes]", "[listener.numbers]"),
        [
            "listener numbers: added (bind 0.0.0.0:81)",
            "listener bytes: removed; connections that came through it go on until they end",
        ]
    );
    assert_eq!(
        told(
            "pool = \"website\"\n",
            "max-head-size = \"32KiB\"\nmax-headers = 64\nmin-body-rate = \"0B\"\nmin-response-rate = \"1KiB\"\ntrusted-proxies = \"10.0.0.0/8\"\n\
             forwarding-headers = [\"forwarded\"]\nunderscore-headers = \"keep\"\nmax-target-size = \"4KiB\"\n\
             header-timeout = \"1s\"\nidle-timeout = \"2s\"\ntunnel-timeout = \"3s\"\n"
        ),
        [
            "listener website: pool changed from website to none",
            "listener website: max-head-size changed from 16KiB to 32KiB",
            "listener website: max-target-size changed from 8KiB to 4KiB",
            "listener website: max-headers changed from 128 to 64",
            "listener website: header-timeout changed from 10s to 1s",
            "listener website: idle-timeout changed from 1m to 2s",
            "listener website: tunnel-timeout changed from 1h to 3s",
            "listener website: min-body-rate changed from 500B to 0B",
            "listener website: min-response-rate changed from 500B to 1KiB",
            "listener website: trusted-proxies changed from none to 10.0.0.0/8",
            "listener website: forwarding-headers changed from x-forwarded to forwarded",
            "listener website: underscore-headers changed from drop to keep",
        ]
    );
}

#[test]
fn routes_that_come_go_and_move_are_told() {
    assert_eq!(
        told("path = \"/a\"", "path = [\"/a\", \"/b\"]\nheader = { x-a = \"1\", x-b = true }"),
        [
            "listener website: route 2 added (path /a or /b, header x-a = \"1\", header x-b present → pool static)",
            "listener website: route 2 removed (path /a → pool static)",
        ]
    );
    let first = "[[listener.website.route]]\nhost = \"*.example.com\"\npool = \"static\"\n\n";
    let second = "[[listener.website.route]]\npath = \"/a\"\npool = \"static\"\n\n";
    assert_eq!(
        told(&format!("{first}{second}"), &format!("{second}{first}")),
        ["listener website: routes are in another order"]
    );
    assert_eq!(told(first, ""), ["listener website: route 1 removed (host *.example.com → pool static)"]);
    assert_eq!(
        told(first, &(first.to_owned() + "[[listener.website.route]]\npool = \"website\"\n")),
        ["listener website: route 2 added (everything → pool website)"]
    );
}

#[test]
fn an_access_log_that_comes_moves_or_goes_is_told() {
    let with = |log: &str| {
        format!(
            "[listener.a]\nbind = \"0.0.0.0:80\"\npool = \"p\"\n{log}\n[pool.p.servers]\ns = \"192.0.2.1:80\"\n"
        )
    };
    let plan = |log: &str| load(Path::new("evenkeel.toml"), &Text(&with(log))).unwrap().plan;
    let changes = |old: &str, new: &str| -> Vec<String> {
        diff(&plan(old), &plan(new)).iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        changes("", "access-log = { to = \"/var/log/a.log\" }"),
        ["listener a: access-log changed from none to /var/log/a.log (json)"]
    );
    assert_eq!(
        changes("access-log = { to = \"stdout\", format = \"common\" }", "access-log.to = \"syslog\""),
        ["listener a: access-log changed from stdout (common) to syslog (json)"]
    );
}

#[test]
fn stickiness_is_told_with_all_that_it_means() {
    assert_eq!(
        told("retries = 1", "retries = 1\nsticky = { cookie = \"LB\", key-file = \"/k\", max-age = \"1h\" }"),
        [
            "pool website: sticky changed from none to { cookie = \"LB\", key-file = \"/k\", same-site = \"lax\", \
             secure = \"auto\", max-age = \"1h\" }"
        ]
    );
}
