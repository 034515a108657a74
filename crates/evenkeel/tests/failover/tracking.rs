//! What the nodes track decides who holds the address: the real program, in namespaces.

use std::fs;
use std::time::{Duration, Instant};

use evenkeel_testkit::lab::Probing;
use evenkeel_testkit::{BOUND, Signal, ToyServer, temp_dir};
use rustix::process::kill_process;

use crate::pair::{ADDRESS, Node, Pair, ip, router};

/// Asks again and again until it is so.
fn eventually(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < BOUND, "it did not become so");
    }
}

/// A listener with a pool of one server that nobody checks.
const TRAFFIC: &str = "[listener.website]\nbind = \"0.0.0.0:80\"\npool = \"website\"\n\
                       [pool.website]\npassive = \"off\"\n[pool.website.servers]\nhere = \"127.0.0.1:81\"\n";

#[test]
fn a_proxy_role_that_dies_gives_the_address_up_at_once_and_comes_back_when_it_is_well() {
    let Some(pair) = Pair::start() else { return };
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let first = Node::start(&pair.first, &(router(150, "") + TRAFFIC));
    on_first.wait_until(ip(ADDRESS), true);
    let second = Node::start(&pair.second, &(router(100, "") + TRAFFIC));
    second.wait_for("public: backup");
    let seen = first.seen();
    kill_process(first.role("proxy"), Signal::KILL).unwrap();
    // Either the other one takes it, or this one is well again before that.
    let (seen, _) = first.program.wait_for_line_after(
        seen,
        |line| line.contains("public: releasing (was active): something that it tracks has failed"),
        BOUND,
    );
    first.wait_after(seen, "public: active");
    on_first.wait_until(ip(ADDRESS), true);
    on_second.wait_until(ip(ADDRESS), false);
    let track = &first.router()["track"][0];
    assert_eq!((&track["name"], &track["state"]), (&"proxy role".into(), &"well".into()));
}

#[test]
fn a_proxy_role_that_hangs_gives_the_address_up_and_takes_it_back_when_it_runs_again() {
    let Some(pair) = Pair::start() else { return };
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let first = Node::start(&pair.first, &(router(150, "") + TRAFFIC));
    on_first.wait_until(ip(ADDRESS), true);
    let second = Node::start(&pair.second, &(router(100, "") + TRAFFIC));
    second.wait_for("public: backup");
    let probe = pair.client.probe(ip(ADDRESS), Probing::Echo, Duration::from_millis(5));
    probe.wait_for_answer();
    let proxy = first.role("proxy");
    kill_process(proxy, Signal::STOP).unwrap();
    on_second.wait_until(ip(ADDRESS), true);
    first.wait_for("the proxy role is not well: it hangs");
    first.wait_for("public: backup (was releasing): 10.99.0.2 has taken over, with priority 100");
    let snapshot = first.router();
    assert_eq!((&snapshot["effective_priority"], &snapshot["yielding"]), (&1.into(), &true.into()));
    assert_eq!(snapshot["track"][0]["effect"], "yield");
    kill_process(proxy, Signal::CONT).unwrap();
    on_first.wait_until(ip(ADDRESS), true);
    on_second.wait_until(ip(ADDRESS), false);
    let report = probe.stop();
    println!("outages while a hanging role handed over and took back: {:?}", report.outages);
}

#[test]
fn a_pool_that_only_one_node_sees_dead_moves_the_address() {
    let Some(pair) = Pair::start() else { return };
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    // High availability only: a service on each node itself, and no listener.
    let pool = "[pool.local]\nhealth = { http = \"/\", interval = \"100ms\", fall = 2, rise = 2 }\n\
                [pool.local.servers]\nhere = \"127.0.0.1:8081\"\n";
    let configuration = |priority| router(priority, "track = [{ pool = \"local\" }]") + pool;
    let service = |host: &evenkeel_testkit::lab::Host| {
        host.inside(|| {
            ToyServer::start_on("127.0.0.1:8081".parse().unwrap(), |mut connection| {
                while connection.read_head().is_ok() {
                    let _ = connection.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                }
            })
        })
    };
    let here = service(&pair.first);
    let _there = service(&pair.second);
    let first = Node::start(&pair.first, &configuration(150));
    on_first.wait_until(ip(ADDRESS), true);
    let second = Node::start(&pair.second, &configuration(100));
    second.wait_for("public: backup");
    drop(here);
    on_second.wait_until(ip(ADDRESS), true);
    on_first.wait_until(ip(ADDRESS), false);
    let track = &first.router()["track"][0];
    assert_eq!((&track["state"], &track["effect"]), (&"ill".into(), &"yield".into()));
    assert_eq!(track["why"], "0 of 1 servers take traffic, 1 are needed");
    let _again = service(&pair.first);
    on_first.wait_until(ip(ADDRESS), true);
    on_second.wait_until(ip(ADDRESS), false);
}

#[test]
fn two_nodes_that_are_equally_ill_leave_the_address_where_it_is() {
    let Some(pair) = Pair::start() else { return };
    let directory = temp_dir();
    let (here, there) = (directory.path().join("first"), directory.path().join("second"));
    let track = |file: &std::path::Path| format!("track = [{{ file = {file:?}, interval = \"100ms\" }}]");
    let on_first = pair.first.watch_addresses();
    let first = Node::start(&pair.first, &router(150, &track(&here)));
    on_first.wait_until(ip(ADDRESS), true);
    let second = Node::start(&pair.second, &router(100, &track(&there)));
    second.wait_for("public: backup");
    let (seen, changes) = (first.seen(), on_first.changes().len());
    fs::write(&there, "1\n").unwrap();
    eventually(|| second.router()["effective_priority"] == 1);
    fs::write(&here, "1\n").unwrap();
    let seen = first.wait_after(seen, "public: releasing (was active)");
    first.wait_after(seen, "public: active (was releasing): no other router has taken over");
    assert_eq!(first.router()["effective_priority"], 1);
    assert_eq!(second.router()["state"], "backup");
    assert_eq!(on_first.changes().len(), changes);
    // Who is well first takes it.
    fs::remove_file(&there).unwrap();
    on_first.wait_until(ip(ADDRESS), false);
    second.wait_for("public: active");
}

#[test]
fn weights_of_interfaces_files_and_scripts_change_the_priority_by_what_status_says() {
    let Some(pair) = Pair::start() else { return };
    let directory = temp_dir();
    let file = directory.path().join("weight");
    fs::write(&file, "2\n").unwrap();
    let track = format!(
        "track = [{{ interface = \"eth7\", priority = -20 }}, {{ file = {file:?}, priority = -5, interval = \"100ms\" }}, \
         {{ script = \"/bin/false\", priority = -7, user = \"root\" }}, {{ process = \"no-such-name\", priority = 3 }}]"
    );
    let first = Node::start(&pair.first, &router(150, &track));
    let effective = || first.router()["effective_priority"].clone();
    // 150 - 20 - 2 x 5 - 7: the process is not there and adds nothing.
    eventually(|| effective() == 113);
    let parts: Vec<i64> = first.router()["track"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["priority"].as_i64().unwrap())
        .collect();
    assert_eq!(parts, [-20, -10, -7, 0]);
    fs::remove_file(&file).unwrap();
    pair.lab.plug(&pair.first, "eth7", &pair.switch);
    eventually(|| effective() == 143);
    let page = first.command(&["status"]);
    let page = String::from_utf8(page.stdout).unwrap();
    assert!(
        page.contains("public tracks script /bin/false: ill, -7 to its priority: it ended with exit code 1"),
        "{page}"
    );
}

#[test]
fn a_stop_of_the_active_node_is_not_noticed_by_a_client() {
    let Some(pair) = Pair::start() else { return };
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let first = Node::start(&pair.first, &(router(150, "") + TRAFFIC));
    on_first.wait_until(ip(ADDRESS), true);
    let second = Node::start(&pair.second, &(router(100, "") + TRAFFIC));
    second.wait_for("public: backup");
    // One whose listeners are not up yet lets the first one wait in vain, which is right.
    second.wait_for("the proxy role is well");
    second.wait_heard();
    let probe = pair.client.probe(ip(ADDRESS), Probing::Echo, Duration::from_millis(2));
    probe.wait_for_answer();
    first.stop();
    on_second.wait_until(ip(ADDRESS), true);
    assert!(!pair.first.holds(ip(ADDRESS)));
    probe.wait_for_answer();
    let report = probe.stop();
    println!("outages of a stop: {:?}", report.outages);
    // The other one held the address before this one let go.
    let said = first.program.lines();
    let handed_over = |line: &String| line.contains("stopped (was releasing): 10.99.0.2 has taken over");
    assert!(said.iter().any(handed_over), "{said:#?}\nthe other: {:#?}", second.program.lines());
}
