//! What operators do to the election, and what a client must not notice: processes that die and programs that come back.

use std::time::Duration;

use evenkeel_testkit::Signal;
use evenkeel_testkit::lab::Probing;
use rustix::process::kill_process;

use crate::pair::{ADDRESS, Node, Pair, ip, router};

/// The first node is active, the second follows it.
fn started(pair: &Pair, more: &str) -> (Node, Node) {
    let on_first = pair.first.watch_addresses();
    let first = Node::start(&pair.first, &router(150, more));
    on_first.wait_until(ip(ADDRESS), true);
    let second = Node::start(&pair.second, &router(100, more));
    second.wait_for("public: backup");
    second.wait_heard();
    (first, second)
}

fn text(output: &std::process::Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_node_that_is_released_takes_the_addresses_back_by_its_priority() {
    let Some(pair) = Pair::start() else { return };
    let (first, _second) = started(&pair, "");
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    text(&first.command(&["router", "failover", "public"]));
    on_first.wait_until(ip(ADDRESS), false);
    on_second.wait_until(ip(ADDRESS), true);
    assert_eq!(first.router()["standing_by"], true);
    assert_eq!(
        text(&first.command(&["router", "release", "public"])),
        "public: this node takes part with its full right again\n"
    );
    on_first.wait_until(ip(ADDRESS), true);
    on_second.wait_until(ip(ADDRESS), false);
    let told = text(&first.command(&["events", "--json"]));
    let steered: Vec<serde_json::Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|event: &serde_json::Value| event["kind"] == "virtual-router-steered")
        .collect();
    assert_eq!(steered.len(), 2, "{told}");
    assert!(steered.iter().all(|event| event["subject"] == "public" && event["by"].is_string()), "{told}");
    let again = text(&first.command(&["router", "release", "public"]));
    assert_eq!(again, "public: this node did not stand by, nothing has changed\n");
}

#[test]
fn a_node_that_does_not_preempt_stays_a_backup_when_it_is_released() {
    let Some(pair) = Pair::start() else { return };
    let (first, second) = started(&pair, "preempt = false");
    let on_second = pair.second.watch_addresses();
    text(&first.command(&["router", "failover", "public"]));
    on_second.wait_until(ip(ADDRESS), true);
    text(&first.command(&["router", "release", "public"]));
    assert_eq!(first.router()["standing_by"], false);
    // As many advertisements as make a down interval are not enough.
    let heard = || first.router()["received_total"].as_u64().unwrap();
    let before = heard();
    while heard() < before + 8 {}
    assert_eq!(first.router()["state"], "backup");
    assert_eq!(second.router()["state"], "active");
}

#[test]
fn a_priority_set_at_run_time_decides_the_election_until_it_is_reset() {
    let Some(pair) = Pair::start() else { return };
    let (_first, second) = started(&pair, "");
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    assert_eq!(
        text(&second.command(&["router", "priority", "public", "200"])),
        "public: priority 200 until Evenkeel ends; the file says 100\n"
    );
    on_second.wait_until(ip(ADDRESS), true);
    on_first.wait_until(ip(ADDRESS), false);
    // It is no difference to the file, is told, and outlives a reload and a process of the role.
    second.reload(&router(100, ""));
    let told = text(&second.command(&["diff"]));
    assert!(told.contains("runtime change: virtual router public: priority 200 instead of 100"), "{told}");
    assert!(text(&second.command(&["status"])).contains("priority 200 instead of 100"));
    let seen = second.seen();
    kill_process(second.role("ha"), Signal::KILL).unwrap();
    second.wait_after(seen, "the ha role is back");
    assert_eq!(second.router()["priority"], 200);
    assert_eq!(
        text(&second.command(&["router", "priority", "public", "--reset"])),
        "public: priority 100, as in the file\n"
    );
    on_first.wait_until(ip(ADDRESS), true);
    on_second.wait_until(ip(ADDRESS), false);
}

#[test]
fn a_priority_that_the_file_says_by_now_is_no_runtime_change() {
    let Some(pair) = Pair::start() else { return };
    let first = Node::start(&pair.first, &router(150, ""));
    text(&first.command(&["router", "priority", "public", "120"]));
    first.reload(&router(120, ""));
    assert!(!text(&first.command(&["diff"])).contains("runtime change"));
    let output = first.command(&["router", "priority", "private", "120"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("there is no virtual router `private`"));
}

#[test]
fn a_killed_ha_role_or_a_reload_moves_nothing() {
    let Some(pair) = Pair::start() else { return };
    let (first, _second) = started(&pair, "");
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let seen = first.seen();
    kill_process(first.role("ha"), Signal::KILL).unwrap();
    let seen = first.wait_after(seen, "the ha role is back");
    first.wait_after(seen, "public: active");
    first.reload(&router(150, ""));
    assert!(on_first.changes().iter().all(|change| change.held), "{:?}", on_first.changes());
    assert!(on_second.changes().is_empty(), "{:?}", on_second.changes());
}

#[test]
fn a_killed_supervisor_leaves_no_addresses_behind() {
    let Some(pair) = Pair::start() else { return };
    let (first, _second) = started(&pair, "");
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let probe = pair.client.probe(ip(ADDRESS), Probing::Echo, Duration::from_millis(2));
    probe.wait_for_answer();
    first.program.signal(Signal::KILL);
    on_second.wait_until(ip(ADDRESS), true);
    on_first.wait_until(ip(ADDRESS), false);
    // The roles have ended, or the output would go on.
    first.program.wait_for_end_of_output(evenkeel_testkit::BOUND);
    probe.wait_for_answer();
}

#[test]
fn an_orphan_whose_interface_dies_ends_all_the_same() {
    let Some(pair) = Pair::start() else { return };
    // Long enough that nobody has taken over before the interface is gone.
    let interval = "advertisement-interval = \"2s\"";
    let on_first = pair.first.watch_addresses();
    let first = Node::start(&pair.first, &router(150, interval));
    on_first.wait_until(ip(ADDRESS), true);
    let capture = pair.client.capture("eth0");
    first.program.signal(Signal::KILL);
    capture.wait_for(|frame| frame.packet.vrrp().is_some_and(|vrrp| vrrp.priority == 0));
    pair.first.ip("link set eth0 down");
    first.program.wait_for_end_of_output(evenkeel_testkit::BOUND);
    pair.first.ip("link set eth0 up");
    assert!(!pair.first.holds(ip(ADDRESS)));
}

#[test]
fn a_node_that_was_killed_finds_its_addresses_and_takes_them_from_the_other_one() {
    let Some(pair) = Pair::start() else { return };
    let (first, _second) = started(&pair, "");
    let on_second = pair.second.watch_addresses();
    first.program.signal_group(Signal::STOP);
    first.program.kill();
    on_second.wait_until(ip(ADDRESS), true);
    let on_first = pair.first.watch_addresses();
    let again = Node::start(&pair.first, &router(150, ""));
    again.wait_for("public: active");
    on_second.wait_until(ip(ADDRESS), false);
    // They were there all the time.
    assert!(on_first.changes().iter().all(|change| change.held), "{:?}", on_first.changes());
}
