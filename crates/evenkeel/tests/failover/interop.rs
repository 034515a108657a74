//! With keepalived as the peer, each in both offices, with exactly the files of `examples/interop`.

use std::net::IpAddr;
use std::path::Path;

use evenkeel_testkit::{Keepalived, Signal, State, needs};
use rustix::process::kill_process;

use crate::pair::{ADDRESS, Node, Pair, ip, router};

/// A file of `examples/interop` with the addresses of the lab.
fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/interop").join(name);
    let names = [
        ("192.168.1.100", "10.99.0.50"),
        ("192.168.1.11", "10.99.0.1"),
        ("192.168.1.12", "10.99.0.2"),
        ("fe80::100", "fe80::50"),
        ("2001:db8::100", "fd99::50"),
        ("2001:db8::11", "fd99::1"),
        ("2001:db8::12", "fd99::2"),
    ];
    let text = std::fs::read_to_string(path).unwrap();
    names.iter().fold(text, |text, (from, to)| text.replace(from, to))
}

/// Kills every process of the node at once; the addresses stay.
fn kill(node: &Node) {
    let roles: Vec<_> = ["ha", "proxy", "admin"].map(|name| node.role(name)).into_iter().collect();
    node.program.signal(Signal::STOP);
    for role in roles {
        kill_process(role, Signal::KILL).unwrap();
    }
    node.program.kill();
}

/// Each is active and each is the backup; each takes over when the other stops, is killed, or has less priority; and
/// after each turn one of them holds the address.
fn take_turns(name: &str, held: &str) {
    if !needs("keepalived") {
        return;
    }
    let Some(pair) = Pair::start() else { return };
    let held = ip(held);
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let (ours, theirs) = (example(&format!("{name}.toml")), example(&format!("{name}.conf")));
    let first_alone = |keepalived: &Keepalived| {
        on_first.wait_until(held, true);
        keepalived.wait_for_state("public", State::Backup);
        on_second.wait_until(held, false);
        assert!(pair.first.holds(held));
    };
    let second_has = |keepalived: &Keepalived| {
        keepalived.wait_for_state("public", State::Master);
        on_second.wait_until(held, true);
    };

    let first = Node::start(&pair.first, &ours);
    on_first.wait_until(held, true);
    let keepalived = Keepalived::start_with(&pair.second, &theirs, &["public"]);
    first_alone(&keepalived);
    first.stop();
    second_has(&keepalived);
    assert!(!pair.first.holds(held));
    // It is active, and we take the address back.
    let first = Node::start(&pair.first, &ours);
    first_alone(&keepalived);
    kill(&first);
    second_has(&keepalived);
    // What we left behind is ours again, and it is told to go.
    let first = Node::start(&pair.first, &ours);
    first_alone(&keepalived);

    let seen = first.seen();
    let higher = theirs.replace("priority 100", "priority 200");
    keepalived.reload_with(&higher);
    let seen = first.wait_after(seen, "public: backup (was releasing)");
    on_first.wait_until(held, false);
    second_has(&keepalived);
    keepalived.stop();
    let seen = first.wait_after(seen, "public: active (was backup)");
    on_first.wait_until(held, true);
    assert!(!pair.second.holds(held));
    let keepalived = Keepalived::start_with(&pair.second, &higher, &["public"]);
    let seen = first.wait_after(seen, "public: backup (was releasing)");
    second_has(&keepalived);
    on_first.wait_until(held, false);
    keepalived.kill9();
    first.wait_after(seen, "public: active (was backup)");
    on_first.wait_until(held, true);
    assert_eq!(first.router()["refused_total"], serde_json::json!({}));
}

#[test]
fn version_2() {
    take_turns("version-2", "10.99.0.50");
}

#[test]
fn version_2_with_a_password() {
    take_turns("version-2-password", "10.99.0.50");
}

#[test]
fn version_3() {
    take_turns("version-3", "10.99.0.50");
}

#[test]
fn version_3_with_both_checksums() {
    take_turns("version-3-message-only", "10.99.0.50");
}

#[test]
fn version_3_to_peers() {
    take_turns("version-3-peers", "10.99.0.50");
}

#[test]
fn version_3_over_ipv6() {
    take_turns("version-3-ipv6", "fd99::50");
}

#[test]
fn version_3_to_peers_over_ipv6() {
    take_turns("version-3-ipv6-peers", "fd99::50");
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
