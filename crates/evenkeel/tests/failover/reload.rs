//! Changes while addresses are held.

use crate::pair::{ADDRESS, Node, Pair, ip, router};

#[test]
fn addresses_and_priority_change_without_an_election() {
    let Some(pair) = Pair::start() else { return };
    let on_first = pair.first.watch_addresses();
    let first = Node::start(&pair.first, &router(150, ""));
    on_first.wait_until(ip(ADDRESS), true);
    let second = Node::start(&pair.second, &router(100, ""));
    second.wait_for("public: backup");
    let capture = pair.client.capture("eth0");

    first.reload(&router(140, "addresses = [\"10.99.0.50/24\", \"10.99.0.51/24\"]"));
    on_first.wait_until(ip("10.99.0.51"), true);
    capture.wait_for(|frame| frame.packet.announces(ip("10.99.0.51")));
    capture.wait_for(|frame| frame.packet.vrrp().is_some_and(|vrrp| vrrp.priority == 140));
    first.reload(&router(140, "addresses = [\"10.99.0.51/24\"]"));
    on_first.wait_until(ip(ADDRESS), false);
    // A new name is no reason for an election either.
    first.reload(&router(130, "addresses = [\"10.99.0.51/24\"]").replace("public", "renamed"));
    capture.wait_for(|frame| frame.packet.vrrp().is_some_and(|vrrp| vrrp.priority == 130));

    assert!(pair.first.holds(ip("10.99.0.51")));
    assert_eq!(first.router()["became_active_total"], 1);
    assert_eq!(second.router()["became_active_total"], 0);
    let released =
        capture.frames().into_iter().any(|frame| frame.packet.vrrp().is_some_and(|vrrp| vrrp.priority == 0));
    assert!(!released);
}

#[test]
fn the_role_comes_and_goes_with_the_virtual_routers() {
    let Some(pair) = Pair::start() else { return };
    let on_first = pair.first.watch_addresses();
    let first = Node::start(&pair.first, "");
    assert_eq!(first.status()["virtual_routers"], serde_json::Value::Null);
    first.reload(&router(150, ""));
    on_first.wait_until(ip(ADDRESS), true);
    let seen = first.seen();
    first.reload("");
    on_first.wait_until(ip(ADDRESS), false);
    first.wait_after(seen, "the ha role has ended: it ended by itself");
    first.stop();
}

#[test]
fn routes_and_rules_follow_the_address() {
    let Some(pair) = Pair::start() else { return };
    let on_first = pair.first.watch_addresses();
    let followers = "\
[[virtual-router.public.route]]
to = \"198.51.100.0/24\"
via = \"10.99.0.9\"
source = \"10.99.0.50\"
[[virtual-router.public.rule]]
from = \"10.99.0.50\"
table = 100
priority = 90";
    let first = Node::start(&pair.first, &router(150, followers));
    on_first.wait_until(ip(ADDRESS), true);
    let seen = first.seen();
    // The addresses come first; the status is answered behind all that belongs to them.
    first.router();
    assert!(pair.first.ip("route show 198.51.100.0/24").contains("via 10.99.0.9"));
    assert!(pair.first.ip("rule show priority 90").contains("from 10.99.0.50 lookup 100"));
    first.reload(&router(150, ""));
    first.router();
    assert_eq!(pair.first.ip("route show 198.51.100.0/24").trim(), "");
    assert_eq!(pair.first.ip("rule show priority 90").trim(), "");
    assert!(first.program.lines()[seen..].iter().all(|line| !line.contains("ERROR")));
    first.stop();
}
