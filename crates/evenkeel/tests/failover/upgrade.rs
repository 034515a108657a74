//! Another program takes over on a node that holds addresses: nobody on the link notices.

use std::time::Duration;

use evenkeel_testkit::lab::{Capture, Probing};
use evenkeel_testkit::{BOUND, Signal};

use crate::pair::{ADDRESS, Node, Pair, ip, router};

const EVERY: Duration = Duration::from_millis(5);

/// Priority 0 was said by somebody.
fn was_released(capture: &Capture) -> bool {
    capture.frames().iter().any(|frame| frame.packet.vrrp().is_some_and(|vrrp| vrrp.priority == 0))
}

fn upgrade(node: &Node) {
    let output = node.command(&["upgrade"]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn an_upgrade_of_the_active_node_costs_no_packet_and_no_election() {
    let Some(pair) = Pair::start() else { return };
    let first = Node::start(&pair.first, &router(150, ""));
    first.wait_for("public: active (was backup)");
    let second = Node::start(&pair.second, &router(100, ""));
    second.wait_for("public: backup");
    second.wait_heard();
    // What belongs to the beginning is over: both rounds of announcements.
    let capture = pair.client.capture("eth0");
    let watch = pair.first.watch_addresses();
    let probe = pair.client.probe(ip(ADDRESS), Probing::Echo, EVERY);
    probe.wait_for_answer();
    let (since, pid) = (first.router()["since"].clone(), first.program.id());
    for generation in [2, 3] {
        let seen = second.seen();
        let heard = capture.frames().len();
        if generation == 2 {
            upgrade(&first);
        } else {
            let seen = first.seen();
            first.program.signal(Signal::USR2);
            first.program.wait_for_line_after(seen, |line| line.contains("upgrade done: "), BOUND);
        }
        assert_eq!(first.status()["generation"], generation);
        // Some intervals more: longer than the other node would wait.
        let mut heard = heard;
        for _ in 0..6 {
            let (next, _) = capture.wait_after(heard, |frame| {
                frame.packet.vrrp().is_some_and(|vrrp| vrrp.source == ip("10.99.0.1") && vrrp.priority == 150)
            });
            heard = next;
        }
        let moved = second.program.lines()[seen..].iter().any(|line| line.contains("public: "));
        assert!(!moved, "{:?}", &second.program.lines()[seen..]);
    }
    let report = probe.stop();
    assert_eq!((report.answered, report.outages.len()), (report.sent, 0), "{report:?}");
    println!("2 upgrades of the active node: {} echoes, each {EVERY:?}, all answered", report.sent);
    assert!(!was_released(&capture));
    let lost: Vec<_> = watch.changes().into_iter().filter(|change| !change.held).collect();
    assert_eq!(lost, []);
    let (state, other) = (first.router(), second.router());
    assert_eq!((&state["state"], &state["became_active_total"]), (&"active".into(), &1.into()));
    assert_eq!(state["since"], since, "it is active since then");
    assert_eq!(state["released_total"], 0);
    assert_eq!((&other["state"], &other["became_active_total"]), (&"backup".into(), &0.into()));
    assert_eq!(first.program.id(), pid);
    // And it can still hand over.
    first.stop();
    second.wait_for("active (was backup)");
    assert!(pair.second.holds(ip(ADDRESS)) && !pair.first.holds(ip(ADDRESS)));
}

#[test]
fn what_operators_asked_of_a_router_outlives_an_upgrade() {
    let Some(pair) = Pair::start() else { return };
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let first = Node::start(&pair.first, &router(150, ""));
    on_first.wait_until(ip(ADDRESS), true);
    let second = Node::start(&pair.second, &router(100, ""));
    second.wait_for("public: backup");
    assert!(first.command(&["router", "failover", "public"]).status.success());
    on_second.wait_until(ip(ADDRESS), true);
    assert!(second.command(&["router", "priority", "public", "120"]).status.success());
    let capture = pair.client.capture("eth0");
    upgrade(&first);
    upgrade(&second);
    // The one that stands by would be active by its priority; some intervals show that it is not.
    let mut seen = 0;
    for _ in 0..10 {
        let (next, _) = capture.wait_after(seen, |frame| {
            frame.packet.vrrp().is_some_and(|vrrp| vrrp.source == ip("10.99.0.2") && vrrp.priority == 120)
        });
        seen = next;
    }
    let (state, other) = (first.router(), second.router());
    assert_eq!((&state["state"], &state["standing_by"]), (&"backup".into(), &true.into()));
    assert_eq!((&other["state"], &other["effective_priority"]), (&"active".into(), &120.into()));
    let told = second.status()["virtual_routers"]["runtime_priorities"].clone();
    assert_eq!((&told[0]["priority"], &told[0]["configured"]), (&120.into(), &100.into()));
    assert!(first.command(&["router", "release", "public"]).status.success());
    on_first.wait_until(ip(ADDRESS), true);
}

#[test]
fn a_virtual_hardware_address_stays_through_an_upgrade() {
    let Some(pair) = Pair::start() else { return };
    let first = Node::start(&pair.first, &router(150, "virtual-mac = true"));
    first.wait_for("public: active (was backup)");
    let probe = pair.client.probe(ip(ADDRESS), Probing::Echo, EVERY);
    probe.wait_for_answer();
    let capture = pair.client.capture("eth0");
    upgrade(&first);
    let mut seen = 0;
    for _ in 0..6 {
        let (next, frame) = capture.wait_after(seen, |frame| frame.packet.vrrp().is_some());
        assert_eq!(frame.source.0, [0, 0, 0x5e, 0, 1, 51], "it is always said from the virtual address");
        seen = next;
    }
    let report = probe.stop();
    assert_eq!((report.answered, report.outages.len()), (report.sent, 0), "{report:?}");
    assert!(!was_released(&capture));
    first.stop();
    assert!(!pair.first.ip("-brief link").contains("vr4."));
}
