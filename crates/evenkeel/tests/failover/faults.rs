//! What may break, and who holds the address then.

use std::net::IpAddr;

use evenkeel_testkit::Signal;
use evenkeel_testkit::lab::{Packet, Silence};
use rustix::process::kill_process;

use crate::pair::{ADDRESS, Node, Pair, ip, router};

#[test]
fn the_node_with_the_higher_priority_holds_the_address_and_hands_it_over() {
    let Some(pair) = Pair::start() else { return };
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let capture = pair.client.capture("eth0");
    let second = Node::start(&pair.second, &router(100, ""));
    on_second.wait_until(ip(ADDRESS), true);
    let first = Node::start(&pair.first, &router(150, ""));
    on_first.wait_until(ip(ADDRESS), true);
    on_second.wait_until(ip(ADDRESS), false);
    assert_eq!(first.router()["state"], "active");
    let status = second.router();
    assert_eq!((&status["state"], &status["owner"]), (&"backup".into(), &"10.99.0.1".into()));
    // Five at once, as gratuitous ARP requests from the interface that holds the address.
    let mac = pair.first.mac("eth0");
    let mut seen = 0;
    for _ in 0..5 {
        let fits =
            |frame: &evenkeel_testkit::lab::Frame| frame.packet.announces(ip(ADDRESS)) && frame.source == mac;
        let (next, frame) = capture.wait_after(seen, fits);
        assert_eq!(frame.bytes.len(), 42);
        assert_eq!(frame.bytes[20..22], [0, 1]);
        seen = next;
    }
    first.stop();
    on_second.wait_until(ip(ADDRESS), true);
    assert!(!pair.first.holds(ip(ADDRESS)));
    // The last word of the first has priority 0.
    let released = capture.wait_for(|frame| {
        frame.packet.vrrp().is_some_and(|vrrp| vrrp.priority == 0 && vrrp.source == ip("10.99.0.1"))
    });
    assert_eq!(released.packet.vrrp().unwrap().hop_limit, 255);
    second.stop();
    assert!(!pair.second.holds(ip(ADDRESS)));
}

#[test]
fn a_killed_ha_role_comes_back_and_finds_its_address_where_it_left_it() {
    let Some(pair) = Pair::start() else { return };
    // Slow enough for the peer that a busy machine starts a process before it takes over.
    let slow = "advertisement-interval = \"1s\"";
    let first = Node::start(&pair.first, &router(150, slow));
    first.wait_for("public: active (was backup)");
    let second = Node::start(&pair.second, &router(100, slow));
    second.wait_for("public: backup");
    let watch = pair.first.watch_addresses();
    let seen = first.seen();
    kill_process(first.role("ha"), Signal::KILL).unwrap();
    let seen = first.wait_after(seen, "listening (was stopped): the addresses were here already");
    first.wait_after(seen, "active (was listening)");
    assert!(pair.first.holds(ip(ADDRESS)) && !pair.second.holds(ip(ADDRESS)));
    let lost: Vec<_> = watch.changes().into_iter().filter(|change| !change.held).collect();
    assert_eq!(lost, []);
    // It keeps what it needs and nothing else.
    let status = std::fs::read_to_string(format!("/proc/{}/status", first.role("ha"))).unwrap();
    for line in ["CapEff:\t0000000000003000", "CapPrm:\t0000000000003000", "CapBnd:\t0000000000000000"] {
        assert!(status.contains(line), "{line}\n{status}");
    }
    assert!(status.contains("NoNewPrivs:\t1") && !status.contains("Uid:\t0\t"));
}

#[test]
fn a_supervisor_that_is_killed_leaves_no_address_behind() {
    let Some(pair) = Pair::start() else { return };
    let on_first = pair.first.watch_addresses();
    let first = Node::start(&pair.first, &router(150, ""));
    on_first.wait_until(ip(ADDRESS), true);
    first.program.kill();
    on_first.wait_until(ip(ADDRESS), false);
}

#[test]
fn each_fault_of_a_cable_moves_the_address_and_one_owner_is_left_after() {
    let Some(pair) = Pair::start() else { return };
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let first = Node::start(&pair.first, &router(150, ""));
    let _second = Node::start(&pair.second, &router(100, ""));
    on_first.wait_until(ip(ADDRESS), true);
    let cable = &pair.first_cable;
    let faults: [(&dyn Fn(), bool); 3] = [
        (&|| cable.cut(), false),
        (&|| cable.disable(), false),
        // Nobody notices at the first node, so both hold the address.
        (&|| cable.silence(Silence::Both), true),
    ];
    for (fault, stays) in faults {
        fault();
        on_second.wait_until(ip(ADDRESS), true);
        if !stays {
            on_first.wait_until(ip(ADDRESS), false);
        }
        cable.heal();
        on_first.wait_until(ip(ADDRESS), true);
        on_second.wait_until(ip(ADDRESS), false);
    }
    assert!(first.router()["dual_owner_total"].as_u64().unwrap() > 0);
}

#[test]
fn an_interface_that_goes_and_comes_back_is_used_again() {
    let Some(pair) = Pair::start() else { return };
    let first = Node::start(&pair.first, &router(150, ""));
    first.wait_for("public: active");
    let on_second = pair.second.watch_addresses();
    let _second = Node::start(&pair.second, &router(100, ""));
    let seen = first.seen();
    pair.first.ip("link del eth0");
    let seen = first.wait_after(seen, "there is no interface `eth0`");
    on_second.wait_until(ip(ADDRESS), true);
    pair.lab.plug(&pair.first, "eth0", &pair.switch);
    let seen = first.wait_after(seen, "has no IPv4 address of its own to send from");
    pair.first.add_address("eth0", "10.99.0.1/24");
    first.wait_after(seen, "public: active (was backup)");
    on_second.wait_until(ip(ADDRESS), false);
    assert!(pair.first.holds(ip(ADDRESS)));
}

#[test]
fn another_primary_address_becomes_the_source() {
    let Some(pair) = Pair::start() else { return };
    pair.first.set("ipv4/conf/all/promote_secondaries", "1");
    let first = Node::start(&pair.first, &router(150, ""));
    first.wait_for("public: active");
    let capture = pair.client.capture("eth0");
    let from = |source: &str| {
        let source = ip(source);
        capture.wait_for(move |frame| frame.packet.vrrp().is_some_and(|vrrp| vrrp.source == source));
    };
    from("10.99.0.1");
    pair.first.add_address("eth0", "10.99.0.7/24");
    pair.first.ip("address del 10.99.0.1/24 dev eth0");
    from("10.99.0.7");
    assert!(pair.first.holds(ip(ADDRESS)));
    assert_eq!(first.router()["source"], "10.99.0.7");
}

#[test]
fn neighbours_over_ipv6_are_told_to_forget_what_they_knew() {
    let Some(pair) = Pair::start() else { return };
    let capture = pair.client.capture("eth0");
    let first = Node::start(&pair.first, &router(150, "addresses = [\"fe80::50/64\", \"fd99::50/64\"]"));
    for address in ["fe80::50", "fd99::50"] {
        let frame = capture.wait_for(|frame| frame.packet.announces(ip(address)));
        let Packet::NeighbourAdvertisement(said) = frame.packet else { panic!("{frame:?}") };
        assert_eq!((IpAddr::V6(said.source), IpAddr::V6(said.destination)), (ip(address), ip("ff02::1")));
        // Override; not solicited; no router, because this host forwards nothing (RFC 4861 §4.4).
        assert_eq!((said.flags, said.hop_limit), (0x20, 255));
        assert_eq!(said.mac, Some(pair.first.mac("eth0")));
    }
    // Usable at once: without duplicate address detection.
    assert!(!pair.first.ip("-6 address show dev eth0").contains("tentative"));
    first.stop();
    assert!(!pair.first.holds(ip("fd99::50")) && !pair.first.holds(ip("fe80::50")));
}
