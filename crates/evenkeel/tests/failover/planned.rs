//! Planned changes of the active node, as operators make them.

use std::time::Duration;

use evenkeel_testkit::lab::Probing;

use crate::pair::{ADDRESS, Node, Pair, ip, router};

#[test]
fn a_failover_on_command_is_not_noticed_and_stays() {
    let Some(pair) = Pair::start() else { return };
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let first = Node::start(&pair.first, &router(150, ""));
    on_first.wait_until(ip(ADDRESS), true);
    let second = Node::start(&pair.second, &router(100, ""));
    second.wait_for("public: backup");
    let probe = pair.client.probe(ip(ADDRESS), Probing::Echo, Duration::from_millis(2));
    probe.wait_for_answer();
    let output = first.command(&["router", "failover", "public"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.starts_with("public: 10.99.0.2 is active now"), "{text}");
    on_first.wait_until(ip(ADDRESS), false);
    // It has the higher priority and does not come back; back it goes the same way.
    let status = first.router();
    assert_eq!((&status["state"], &status["standing_by"]), (&"backup".into(), &true.into()));
    let output = second.command(&["router", "failover", "public", "--json"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap().matches("10.99.0.1").count(), 1);
    on_second.wait_until(ip(ADDRESS), false);
    assert_eq!(first.router()["standing_by"], false);
    probe.wait_for_answer();
    let report = probe.stop();
    println!("outages of two failovers on command: {:?}", report.outages);
}

#[test]
fn a_failover_that_nobody_takes_is_refused_and_changes_nothing() {
    let Some(pair) = Pair::start() else { return };
    let on_first = pair.first.watch_addresses();
    let first = Node::start(&pair.first, &router(150, ""));
    on_first.wait_until(ip(ADDRESS), true);
    let changes = on_first.changes().len();
    let output = first.command(&["router", "failover", "public"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && text.contains("no other node took over, so public stays active here"),
        "{text}"
    );
    assert_eq!(on_first.changes().len(), changes);
    let output = first.command(&["router", "failover", "private"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("there is no virtual router `private`"));
}

#[test]
fn a_failover_is_asked_for_where_the_addresses_are() {
    let Some(pair) = Pair::start() else { return };
    let on_first = pair.first.watch_addresses();
    let _first = Node::start(&pair.first, &router(150, ""));
    on_first.wait_until(ip(ADDRESS), true);
    let second = Node::start(&pair.second, &router(100, ""));
    second.wait_for("public: backup");
    second.wait_heard();
    let output = second.command(&["router", "failover", "public"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("public is not active here, but backup; 10.99.0.1 is active: ask there"), "{text}");
}
