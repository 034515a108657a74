//! Virtual routers that move together, and two that are crosswise: the real program, in namespaces.

use std::time::Duration;

use evenkeel_testkit::lab::{Cable, Host, Probing};
use serde_json::Value;

use crate::pair::{ADDRESS, Node, Pair, ip};

const INSIDE: &str = "10.98.0.50";

/// A second network behind both nodes, as behind a pair of firewalls: 10.98.0.1, .2 and the client's .9.
fn inside(pair: &Pair) -> Cable {
    let switch = pair.lab.switch("inside");
    let plug = |host: &Host, number: u8| {
        let cable = pair.lab.plug(host, "eth1", &switch);
        host.add_address("eth1", &format!("10.98.0.{number}/24"));
        cable
    };
    let cable = plug(&pair.first, 1);
    plug(&pair.second, 2);
    plug(&pair.client, 9);
    cable
}

fn firewall(priority: u8, more: &str) -> String {
    let member = |name: &str, interface: &str, vrid: u8, address: &str| {
        format!(
            "[virtual-router.{name}]\ninterface = \"{interface}\"\nvrid = {vrid}\npriority = {priority}\n\
             addresses = [\"{address}/24\"]\nadvertisement-interval = \"100ms\"\nsync-group = \"firewall\"\n"
        )
    };
    member("outside", "eth0", 51, ADDRESS) + &member("inside", "eth1", 52, INSIDE) + more
}

fn member(node: &Node, name: &str) -> Value {
    let status = node.status();
    let routers = status["virtual_routers"]["state"]["routers"].as_array().unwrap();
    routers.iter().find(|router| router["name"] == name).unwrap().clone()
}

#[test]
fn one_interface_that_fails_moves_both_addresses_and_both_come_back_together() {
    let Some(pair) = Pair::start() else { return };
    let cable = inside(&pair);
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let first = Node::start(&pair.first, &firewall(150, ""));
    on_first.wait_until(ip(ADDRESS), true);
    on_first.wait_until(ip(INSIDE), true);
    let second = Node::start(&pair.second, &firewall(100, ""));
    second.wait_for("inside: backup");
    let page = String::from_utf8(first.command(&["status"]).stdout).unwrap();
    assert!(page.contains("sync group firewall: outside, inside; active together"), "{page}");
    cable.cut();
    for address in [ADDRESS, INSIDE] {
        on_second.wait_until(ip(address), true);
        on_first.wait_until(ip(address), false);
    }
    assert_eq!(member(&first, "inside")["state"], "fault");
    assert_eq!(member(&first, "outside")["state"], "backup");
    first.wait_for("outside: backup (was active): the group it belongs to");
    cable.heal();
    for address in [ADDRESS, INSIDE] {
        on_first.wait_until(ip(address), true);
        on_second.wait_until(ip(address), false);
    }
}

#[test]
fn what_one_member_tracks_counts_for_all_and_a_failover_on_command_moves_all() {
    let Some(pair) = Pair::start() else { return };
    let _cable = inside(&pair);
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let directory = evenkeel_testkit::temp_dir();
    let file = directory.path().join("ill");
    let track = format!("track = [{{ file = {file:?}, interval = \"100ms\" }}]");
    let first = Node::start(&pair.first, &firewall(150, &track));
    on_first.wait_until(ip(ADDRESS), true);
    on_first.wait_until(ip(INSIDE), true);
    let second = Node::start(&pair.second, &firewall(100, ""));
    second.wait_for("inside: backup");
    let outside = pair.client.probe(ip(ADDRESS), Probing::Echo, Duration::from_millis(5));
    outside.wait_for_answer();
    std::fs::write(&file, "1\n").unwrap();
    for address in [ADDRESS, INSIDE] {
        on_second.wait_until(ip(address), true);
        on_first.wait_until(ip(address), false);
    }
    // Only `inside` names the file.
    for name in ["outside", "inside"] {
        let router = member(&first, name);
        assert_eq!((&router["effective_priority"], &router["yielding"]), (&1.into(), &true.into()), "{name}");
    }
    std::fs::remove_file(&file).unwrap();
    for address in [ADDRESS, INSIDE] {
        on_first.wait_until(ip(address), true);
        on_second.wait_until(ip(address), false);
    }
    let output = first.command(&["router", "failover", "inside"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("inside: 10.98.0.2 is active now"), "{text} {:?}", output.stderr);
    for address in [ADDRESS, INSIDE] {
        on_second.wait_until(ip(address), true);
        on_first.wait_until(ip(address), false);
    }
    outside.wait_for_answer();
    println!("outages of the other member while its group moved: {:?}", outside.stop().outages);
}

#[test]
fn a_priority_for_one_member_is_that_of_all_and_moves_all() {
    let Some(pair) = Pair::start() else { return };
    let _cable = inside(&pair);
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let _first = Node::start(&pair.first, &firewall(150, ""));
    on_first.wait_until(ip(INSIDE), true);
    let second = Node::start(&pair.second, &firewall(100, ""));
    second.wait_for("outside: backup");
    second.wait_for("inside: backup");
    let output = second.command(&["router", "priority", "inside", "200"]);
    assert!(output.status.success(), "{output:?}");
    for address in [ADDRESS, INSIDE] {
        on_second.wait_until(ip(address), true);
        on_first.wait_until(ip(address), false);
    }
    for name in ["outside", "inside"] {
        assert_eq!(member(&second, name)["effective_priority"], 200, "{name}");
    }
    assert!(second.command(&["router", "priority", "outside", "--reset"]).status.success());
    for address in [ADDRESS, INSIDE] {
        on_first.wait_until(ip(address), true);
        on_second.wait_until(ip(address), false);
    }
}

#[test]
fn a_member_that_a_reload_adds_or_removes_leaves_the_others_where_they_are() {
    let Some(pair) = Pair::start() else { return };
    let _cable = inside(&pair);
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let both = firewall(150, "");
    let (outside, _) = both.split_once("[virtual-router.inside]").unwrap();
    let first = Node::start(&pair.first, outside);
    on_first.wait_until(ip(ADDRESS), true);
    let second = Node::start(&pair.second, &firewall(100, ""));
    second.wait_for("outside: backup");
    let became = || member(&first, "outside")["became_active_total"].clone();
    first.reload(&both);
    on_first.wait_until(ip(INSIDE), true);
    assert_eq!((became(), member(&second, "outside")["became_active_total"].clone()), (1.into(), 0.into()));
    first.reload(outside);
    // Its place at the other node is taken as soon as this one has said that it leaves.
    on_first.wait_until(ip(INSIDE), false);
    assert!(pair.first.holds(ip(ADDRESS)));
    assert_eq!(became(), 1);
    assert!(on_second.changes().iter().all(|change| change.address != ip(ADDRESS)));
}

#[test]
fn crosswise_routers_each_live_on_their_own_node_and_meet_on_the_one_that_is_left() {
    let Some(pair) = Pair::start() else { return };
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/active-active.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let names = [
        ("192.168.1.100", ADDRESS),
        ("192.168.1.101", "10.99.0.51"),
        // The servers are not what this is about.
        ("192.168.1.2:80", "127.0.0.1:81"),
        ("192.168.1.3:80", "127.0.0.1:82"),
    ];
    let text = names.iter().fold(text, |text, (from, to)| text.replace(from, to));
    // All hosts of the lab have the name of this machine.
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let of_second = text.replace("on.balancer02", &format!("on.{}", host.trim()));
    let addresses = [ip(ADDRESS), ip("10.99.0.51")];
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let first = Node::start(&pair.first, &text);
    addresses.iter().for_each(|address| on_first.wait_until(*address, true));
    let second = Node::start(&pair.second, &of_second);
    on_second.wait_until(addresses[1], true);
    on_first.wait_until(addresses[1], false);
    assert!(pair.first.holds(addresses[0]) && !pair.second.holds(addresses[0]));
    first.stop();
    on_second.wait_until(addresses[0], true);
    assert!(pair.second.holds(addresses[1]));
    drop(second);
}
