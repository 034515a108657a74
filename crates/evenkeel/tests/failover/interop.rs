//! With keepalived as the peer, each in both offices.

use std::net::IpAddr;
use std::time::Duration;

use evenkeel_testkit::{Keepalived, State, Variant, VrrpInstance, needs};

use crate::pair::{ADDRESS, Node, Pair, ip, router};

/// We are active, then it is, then we again; and each notices the end of the other.
fn take_turns(address: &str, more: &str, prepare: impl Fn(&mut VrrpInstance)) {
    if !needs("keepalived") {
        return;
    }
    let Some(pair) = Pair::start() else { return };
    let held = address.split('/').next().unwrap();
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let mut instance = VrrpInstance::new("public", 51, 100, address);
    prepare(&mut instance);

    let first = Node::start(&pair.first, &router(150, more));
    let keepalived = Keepalived::start(&pair.second, std::slice::from_ref(&instance));
    on_first.wait_until(ip(held), true);
    keepalived.wait_for_state("public", State::Backup);
    first.stop();
    keepalived.wait_for_state("public", State::Master);
    on_second.wait_until(ip(held), true);
    // It hears us before we take over, so we stay a backup until our own time is over.
    let first = Node::start(&pair.first, &router(150, more));
    first.wait_for("public: active (was backup)");
    keepalived.wait_for_state("public", State::Backup);
    on_second.wait_until(ip(held), false);
    assert!(pair.first.holds(ip(held)));

    instance.priority = 200;
    let seen = first.seen();
    keepalived.reload(&[instance]);
    let seen = first.wait_after(seen, "public: backup (was active)");
    on_first.wait_until(ip(held), false);
    keepalived.wait_for_state("public", State::Master);
    keepalived.stop();
    first.wait_after(seen, "public: active (was backup)");
    on_first.wait_until(ip(held), true);
    assert_eq!(first.router()["refused_total"], serde_json::json!({}));
}

#[test]
fn version_3_over_ipv4() {
    take_turns("10.99.0.50/24", "", |_| {});
}

#[test]
fn version_3_over_ipv6() {
    take_turns("fd99::50/64", "addresses = [\"fe80::50/64\", \"fd99::50/64\"]", |instance| {
        instance.addresses = vec!["fe80::50/64".into(), "fd99::50/64".into()];
    });
}

#[test]
fn version_3_to_peers() {
    take_turns("10.99.0.50/24", "peers = [\"10.99.0.2\"]", |instance| {
        instance.unicast = Some((ip("10.99.0.2"), vec![ip("10.99.0.1")]));
    });
}

#[test]
fn version_3_to_peers_over_ipv6() {
    // keepalived 2.2 sends to IPv6 peers with the kernel's hop limit.
    let more = "addresses = [\"fe80::50/64\", \"fd99::50/64\"]\npeers = [\"fd99::2\"]\nleast-hop-limit = 64";
    take_turns("fd99::50/64", more, |instance| {
        instance.addresses = vec!["fe80::50/64".into(), "fd99::50/64".into()];
        instance.unicast = Some((ip("fd99::2"), vec![ip("fd99::1")]));
    });
}

#[test]
fn version_2() {
    let more = "version = 2\nadvertisement-interval = \"1s\"";
    take_turns("10.99.0.50/24", more, |instance| {
        instance.variant = Variant::V2;
        instance.interval = Duration::from_secs(1);
    });
}

#[test]
fn version_2_with_a_password() {
    let more = "version = 2\nadvertisement-interval = \"1s\"\nauthentication = { password = \"secret12\" }";
    take_turns("10.99.0.50/24", more, |instance| {
        instance.variant = Variant::V2Pass("secret12".into());
        instance.interval = Duration::from_secs(1);
    });
}

#[test]
fn what_a_killed_keepalived_leaves_behind_is_removed_while_another_holds_it() {
    if !needs("keepalived") {
        return;
    }
    let Some(pair) = Pair::start() else { return };
    let address: IpAddr = ip(ADDRESS);
    let on_first = pair.first.watch_addresses();
    let second = Node::start(&pair.second, &router(150, ""));
    second.wait_for("public: active");
    pair.first.ip("address add 10.99.0.50/24 dev eth0");
    on_first.wait_until(address, true);
    let first = Node::start(&pair.first, &router(100, ""));
    on_first.wait_until(address, false);
    first.wait_for("was added by somebody else; it was removed");
}
