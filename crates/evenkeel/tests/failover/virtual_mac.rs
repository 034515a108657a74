//! Addresses with a hardware address of their own.

use evenkeel_testkit::lab::Mac;

use crate::pair::{ADDRESS, Node, Pair, ip, router};

/// 00-00-5E-00-01-{VRID}, RFC 9568 §7.3.
const VIRTUAL: Mac = Mac([0, 0, 0x5e, 0, 1, 51]);

#[test]
fn the_hardware_address_moves_with_the_address_and_leaves_nothing_behind() {
    let Some(pair) = Pair::start() else { return };
    // Strict reverse paths everywhere, as many distributions set.
    pair.first.set("ipv4/conf/all/rp_filter", "1");
    let settings =
        |key: &str| pair.first.inside(|| std::fs::read_to_string(format!("/proc/sys/net/{key}")).unwrap());
    let keys = ["ipv4/conf/all/rp_filter", "ipv4/conf/eth0/rp_filter", "ipv4/conf/eth0/arp_ignore"];
    let before = keys.map(settings);
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let capture = pair.client.capture("eth0");
    let first = Node::start(&pair.first, &router(150, "virtual-mac = true"));
    on_first.wait_until(ip(ADDRESS), true);
    let second = Node::start(&pair.second, &router(100, "virtual-mac = true"));
    second.wait_for("public: backup");
    capture.wait_for(|frame| frame.packet.announces(ip(ADDRESS)) && frame.source == VIRTUAL);
    capture.wait_for(|frame| {
        frame.source == VIRTUAL
            && frame.packet.vrrp().is_some_and(|vrrp| vrrp.priority == 150 && vrrp.source == ip("10.99.0.1"))
    });
    let probe = pair.client.probe(
        ip(ADDRESS),
        evenkeel_testkit::lab::Probing::Echo,
        std::time::Duration::from_millis(20),
    );
    probe.wait_for_answer();
    assert_eq!(pair.client.neighbour(ip(ADDRESS)), Some(VIRTUAL));
    // The machine itself is where it was.
    let own = pair.client.probe(
        ip("10.99.0.1"),
        evenkeel_testkit::lab::Probing::Echo,
        std::time::Duration::from_millis(20),
    );
    own.wait_for_answer();
    assert_eq!(pair.client.neighbour(ip("10.99.0.1")), Some(pair.first.mac("eth0")));
    // A backup never shows the virtual hardware address.
    let of_backup = capture.frames().into_iter().any(|frame| {
        frame.source == VIRTUAL && frame.packet.vrrp().is_some_and(|vrrp| vrrp.source == ip("10.99.0.2"))
    });
    assert!(!of_backup);
    first.stop();
    on_second.wait_until(ip(ADDRESS), true);
    probe.wait_for_answer();
    assert_eq!(pair.client.neighbour(ip(ADDRESS)), Some(VIRTUAL));
    assert!(!pair.first.ip("-brief link").contains("vr4."));
    assert_eq!(keys.map(settings), before);
}

#[test]
fn an_ipv6_address_moves_with_its_hardware_address() {
    // 00-00-5E-00-02-{VRID}, RFC 9568 §7.3.
    const OVER_IPV6: Mac = Mac([0, 0, 0x5e, 0, 2, 51]);
    let Some(pair) = Pair::start() else { return };
    let address = ip("fd99::50");
    let more = "virtual-mac = true\naddresses = [\"fe80::50/64\", \"fd99::50/64\"]";
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let capture = pair.client.capture("eth0");
    let first = Node::start(&pair.first, &router(150, more));
    on_first.wait_until(address, true);
    let second = Node::start(&pair.second, &router(100, more));
    second.wait_for("public: backup");
    capture.wait_for(|frame| frame.packet.announces(address) && frame.source == OVER_IPV6);
    capture.wait_for(|frame| {
        frame.source == OVER_IPV6 && frame.packet.vrrp().is_some_and(|vrrp| vrrp.priority == 150)
    });
    let every = std::time::Duration::from_millis(20);
    let probe = pair.client.probe(address, evenkeel_testkit::lab::Probing::Echo, every);
    probe.wait_for_answer();
    assert_eq!(pair.client.neighbour(address), Some(OVER_IPV6));
    let own = pair.client.probe(ip("fd99::1"), evenkeel_testkit::lab::Probing::Echo, every);
    own.wait_for_answer();
    assert_eq!(pair.client.neighbour(ip("fd99::1")), Some(pair.first.mac("eth0")));
    first.stop();
    on_second.wait_until(address, true);
    probe.wait_for_answer();
    assert_eq!(pair.client.neighbour(address), Some(OVER_IPV6));
    assert!(!pair.first.ip("-brief link").contains("vr6."));
    assert!(pair.second.ip("-brief link").contains("vr6."));
}
