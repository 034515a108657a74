//! What a reload changes about virtual routers while they run: advertisements never pause, and nobody is elected who need
//! not be.

use std::time::Duration;

use evenkeel_testkit::lab::{Capture, Frame, Probing};

use crate::pair::{ADDRESS, Node, Pair, ip, router};

/// Of the routers here, in every file unless it is the thing that changes.
const INTERVAL: Duration = Duration::from_millis(100);
const OTHER: &str = "10.99.0.51";

fn vrid(frame: &Frame) -> Option<u8> {
    frame.packet.vrrp().map(|vrrp| vrrp.vrid)
}

/// Waits for an advertisement of this router with this priority, behind the frames seen.
fn advertised(capture: &Capture, seen: usize, vrid: u8, priority: u8) -> usize {
    let fits = |frame: &Frame| {
        frame.packet.vrrp().is_some_and(|vrrp| vrrp.vrid == vrid && vrrp.priority == priority)
    };
    capture.wait_after(seen, fits).0
}

/// Nobody but `sender` advertised the router, nobody gave up, and no two advertisements were so far apart that another
/// could have come forward: three intervals.
fn never_paused(capture: &Capture, number: u8, sender: &str, interval: Duration) {
    let frames: Vec<Frame> =
        capture.frames().into_iter().filter(|frame| vrid(frame) == Some(number)).collect();
    for frame in &frames {
        let vrrp = frame.packet.vrrp().unwrap();
        assert!(vrrp.priority > 0 && vrrp.source == ip(sender), "{vrrp:?}");
    }
    let gaps = frames.windows(2).map(|two| two[1].at.saturating_duration_since(two[0].at));
    let longest = gaps.max().unwrap_or_default();
    println!("{} advertisements of {number}, {longest:?} apart at most", frames.len());
    assert!(longest < 3 * interval, "{longest:?}");
}

/// Both nodes with these lines, the first one active.
fn started(pair: &Pair, more: &str) -> (Node, Node) {
    let on_first = pair.first.watch_addresses();
    let first = Node::start(&pair.first, &router(150, more));
    on_first.wait_until(ip(ADDRESS), true);
    let second = Node::start(&pair.second, &router(100, more));
    second.wait_for("public: backup");
    (first, second)
}

fn no_election(first: &Node, second: &Node) {
    assert_eq!(first.router()["became_active_total"], 1);
    assert_eq!(second.router()["became_active_total"], 0);
}

#[test]
fn the_interval_becomes_longer_and_shorter() {
    let Some(pair) = Pair::start() else { return };
    let capture = pair.client.capture("eth0");
    let (first, second) = started(&pair, "");
    let slow = "advertisement-interval = \"300ms\"";
    first.reload(&router(150, slow));
    let seen = advertised(&capture, capture.frames().len(), 51, 150);
    let seen = advertised(&capture, seen, 51, 150);
    second.reload(&router(100, slow));
    let seen = advertised(&capture, seen, 51, 150);
    // Back, the backup first.
    second.reload(&router(100, ""));
    let seen = advertised(&capture, seen, 51, 150);
    let seen = advertised(&capture, seen, 51, 150);
    first.reload(&router(150, ""));
    advertised(&capture, advertised(&capture, seen, 51, 150), 51, 150);
    never_paused(&capture, 51, "10.99.0.1", 3 * INTERVAL);
    no_election(&first, &second);
}

#[test]
fn from_multicast_to_peers_and_back() {
    let Some(pair) = Pair::start() else { return };
    let capture = pair.first.capture("eth0");
    let (first, second) = started(&pair, "");
    // Who is told by name still hears what is said to all, and the other way round only after its own reload: so the
    // one that speaks is changed first, and its backup within the down interval is what `diff` warns of.
    let output = preview(&first, &router(150, "peers = [\"10.99.0.2\"]"));
    assert!(output.contains("until the other nodes have the same"), "{output}");
    first.reload(&router(150, "peers = [\"10.99.0.2\"]"));
    second.reload(&router(100, "peers = [\"10.99.0.1\"]"));
    let to_peer = |frame: &Frame| {
        frame.packet.vrrp().is_some_and(|vrrp| vrrp.destination == ip("10.99.0.2") && vrrp.priority == 150)
    };
    let (seen, _) = capture.wait_after(0, to_peer);
    first.reload(&router(150, "peers = [\"10.99.0.2\", \"10.99.0.9\"]"));
    let third = |frame: &Frame| frame.packet.vrrp().is_some_and(|vrrp| vrrp.destination == ip("10.99.0.9"));
    let (seen, _) = capture.wait_after(seen, third);
    capture.wait_after(seen, to_peer);
    let frames = capture.frames();
    let said: Vec<&Frame> = frames
        .iter()
        .filter(|frame| frame.packet.vrrp().is_some_and(|vrrp| vrrp.source == ip("10.99.0.1")))
        .collect();
    let longest = said.windows(2).map(|two| two[1].at.saturating_duration_since(two[0].at)).max().unwrap();
    println!("{} advertisements, {longest:?} apart at most", said.len());
    assert!(longest < 3 * INTERVAL && said.iter().all(|frame| frame.packet.vrrp().unwrap().priority == 150));
    assert_eq!(first.router()["became_active_total"], 1);
}

#[test]
fn keys_are_changed_in_three_steps_without_anybody_noticing() {
    let Some(pair) = Pair::start() else { return };
    let capture = pair.first.capture("eth0");
    let old = "1 = \"0123456789abcdef0123456789abcdef\"";
    let new = "2 = \"fedcba9876543210fedcba9876543210\"";
    let lines = |peer: u8, keys: &str, active: u8| {
        format!(
            "peers = [\"10.99.0.{peer}\"]\nauthentication = {{ keys = {{ {keys} }}, active-key = {active} }}"
        )
    };
    let on_first = pair.first.watch_addresses();
    let first = Node::start(&pair.first, &router(150, &lines(2, old, 1)));
    on_first.wait_until(ip(ADDRESS), true);
    let second = Node::start(&pair.second, &router(100, &lines(1, old, 1)));
    second.wait_for("public: backup");
    second.wait_heard();
    let both = format!("{old}, {new}");
    for (keys, active) in [(both.as_str(), 1), (both.as_str(), 2), (new, 2)] {
        for (node, priority, peer) in [(&first, 150, 2), (&second, 100, 1)] {
            node.reload(&router(priority, &lines(peer, keys, active)));
            let seen = capture.frames().len();
            advertised(&capture, advertised(&capture, seen, 51, 150), 51, 150);
        }
    }
    never_paused(&capture, 51, "10.99.0.1", INTERVAL);
    no_election(&first, &second);
    assert_eq!(second.router()["refused_total"], serde_json::json!({}));
}

#[test]
fn a_virtual_hardware_address_comes_and_goes_without_an_election() {
    let Some(pair) = Pair::start() else { return };
    let capture = pair.client.capture("eth0");
    let (first, second) = started(&pair, "");
    let probe = pair.client.probe(ip(ADDRESS), Probing::Echo, Duration::from_millis(5));
    probe.wait_for_answer();
    let virtual_mac = evenkeel_testkit::lab::Mac([0, 0, 0x5e, 0, 1, 51]);
    for (more, is_virtual) in [("virtual-mac = true", true), ("", false)] {
        let seen = capture.frames().len();
        first.reload(&router(150, more));
        let fits = |frame: &Frame| (frame.source == virtual_mac) == is_virtual;
        let (seen, _) = capture.wait_after(seen, |frame| frame.packet.announces(ip(ADDRESS)) && fits(frame));
        capture.wait_after(seen, |frame| vrid(frame) == Some(51) && fits(frame));
        second.reload(&router(100, more));
        assert_eq!(pair.first.ip("-brief link").contains("vr4."), is_virtual);
        probe.wait_for_answer();
    }
    println!("outages while the hardware address changed twice: {:?}", probe.stop().outages);
    never_paused(&capture, 51, "10.99.0.1", INTERVAL);
    no_election(&first, &second);
}

/// Two routers on one interface, with these addresses.
fn two(priority: u8, one: &[&str], other: &[&str]) -> String {
    let addresses = |list: &[&str]| {
        let quoted: Vec<String> = list.iter().map(|address| format!("\"{address}/24\"")).collect();
        format!("addresses = [{}]", quoted.join(", "))
    };
    let second =
        router(priority, &addresses(other)).replace("public", "other").replace("vrid = 51", "vrid = 52");
    router(priority, &addresses(one)) + &second
}

#[test]
fn an_address_moves_to_another_router_of_the_node_without_being_away() {
    let Some(pair) = Pair::start() else { return };
    let (on_first, capture) = (pair.first.watch_addresses(), pair.client.capture("eth0"));
    let moving = "10.99.0.60";
    let (before, after) = ((&[ADDRESS, moving][..], &[OTHER][..]), (&[ADDRESS][..], &[OTHER, moving][..]));
    let first = Node::start(&pair.first, &two(150, before.0, before.1));
    on_first.wait_until(ip(moving), true);
    on_first.wait_until(ip(OTHER), true);
    let second = Node::start(&pair.second, &two(100, before.0, before.1));
    second.wait_for("other: backup");
    let changes = on_first.changes().len();
    let told = preview(&first, &two(150, after.0, after.1));
    assert!(told.contains("10.99.0.60/24 comes from virtual router public"), "{told}");
    for file in [two(150, after.0, after.1), two(150, before.0, before.1)] {
        first.reload(&file);
        let seen = capture.frames().len();
        advertised(&capture, advertised(&capture, seen, 51, 150), 52, 150);
        assert!(pair.first.holds(ip(moving)));
    }
    // Its router is removed altogether, and another has it.
    first.reload(&router(150, "addresses = [\"10.99.0.50/24\", \"10.99.0.60/24\", \"10.99.0.51/24\"]"));
    second.reload(&router(100, "addresses = [\"10.99.0.50/24\", \"10.99.0.60/24\", \"10.99.0.51/24\"]"));
    let seen = capture.frames().len();
    advertised(&capture, advertised(&capture, seen, 51, 150), 51, 150);
    assert!(pair.first.holds(ip(OTHER)));
    let lost: Vec<_> = on_first.changes()[changes..].iter().filter(|change| !change.held).cloned().collect();
    assert!(lost.is_empty(), "{lost:?}");
    never_paused(&capture, 51, "10.99.0.1", INTERVAL);
}

#[test]
fn a_router_that_is_removed_hands_over_and_one_that_comes_back_meanwhile_goes_on() {
    let Some(pair) = Pair::start() else { return };
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let (both, one) = (two(150, &[ADDRESS], &[OTHER]), router(150, ""));
    let first = Node::start(&pair.first, &both);
    on_first.wait_until(ip(OTHER), true);
    let second = Node::start(&pair.second, &two(100, &[ADDRESS], &[OTHER]));
    second.wait_for("other: backup");
    let capture = pair.client.capture("eth0");
    let probe = pair.client.probe(ip(OTHER), Probing::Echo, Duration::from_millis(2));
    probe.wait_for_answer();
    let told = preview(&first, &one);
    assert!(told.contains("removed; 10.99.0.51/24 is handed over"), "{told}");
    first.reload(&one);
    advertised(&capture, 0, 52, 0);
    on_second.wait_until(ip(OTHER), true);
    on_first.wait_until(ip(OTHER), false);
    probe.wait_for_answer();
    println!("outages of a router that was removed: {:?}", probe.stop().outages);
    // The other one was not touched.
    never_paused(&capture, 51, "10.99.0.1", INTERVAL);
    // Back again: it waits, and takes over by its priority.
    first.reload(&both);
    on_first.wait_until(ip(OTHER), true);
    on_second.wait_until(ip(OTHER), false);
}

/// What `evenkeel diff` says of this file.
fn preview(node: &Node, configuration: &str) -> String {
    let output = node.preview(configuration);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
