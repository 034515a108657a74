//! Requests and connections reach the servers that the algorithm of their pool chooses.

mod common;

use common::{Balancer, website};
use evenkeel_testkit::{Connection, ToyServer};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn servers(count: usize) -> Vec<ToyServer> {
    let serve = |mut connection: Connection| {
        while connection.read_head().is_ok_and(|head| !head.is_empty()) && connection.write(OK).is_ok() {}
    };
    (0..count).map(|_| ToyServer::start(serve)).collect()
}

fn start(servers: &[ToyServer], pool: &str) -> Balancer {
    let addresses: Vec<_> = servers.iter().map(ToyServer::address).collect();
    Balancer::start(&website(servers.len(), "", pool), &addresses)
}

/// How many requests each server has got.
fn totals(balancer: &mut Balancer) -> Vec<u64> {
    balancer.snapshot().pools[0].servers.iter().map(|server| server.total).collect()
}

fn get(balancer: &Balancer, target: &str, field: &str) {
    let answer =
        balancer.raw(format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{field}\r\n"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn every_algorithm_serves_and_is_shown_as_the_file_writes_it() {
    let servers = servers(3);
    for balance in [
        "\"least-connections\"",
        "\"source\"",
        "\"random-two\"",
        "\"peak-ewma\"",
        "\"first\"",
        "{ hash = \"uri\", bounded-load = 1.25 }",
    ] {
        let addresses: Vec<_> = servers.iter().map(ToyServer::address).collect();
        let config = website(3, "", &format!("balance = {balance}"));
        let mut balancer = Balancer::start(&config, &addresses);
        for _ in 0..12 {
            get(&balancer, "/", "");
        }
        assert_eq!(totals(&mut balancer).iter().sum::<u64>(), 12, "{balance}");
        assert_eq!(balancer.snapshot().pools[0].balance, balance.trim_matches('"'));
    }
}

#[test]
fn an_idle_least_connections_pool_takes_turns() {
    let servers = servers(3);
    let mut balancer = start(&servers, "balance = \"least-connections\"");
    for _ in 0..9 {
        get(&balancer, "/", "");
        balancer.wait_until(|snapshot| snapshot.pools[0].servers.iter().all(|server| server.running == 0));
    }
    assert_eq!(totals(&mut balancer), [3, 3, 3]);
}

#[test]
fn one_key_reaches_one_server() {
    let servers = servers(3);
    for (key, target, field) in [
        ("{ cookie = \"id\" }", "/", "Cookie: a=1; id=7\r\n"),
        ("{ header = \"X-User\" }", "/", "x-user: 7\r\n"),
        ("{ query = \"id\" }", "/?a=1&id=7", ""),
        ("\"path\"", "/7", ""),
        ("\"source\"", "/", ""),
    ] {
        let mut balancer = start(&servers, &format!("balance = {{ hash = {key} }}"));
        for _ in 0..6 {
            get(&balancer, target, field);
        }
        let mut totals = totals(&mut balancer);
        totals.sort_unstable();
        assert_eq!(totals, [0, 0, 6], "{key}");
    }
}

#[test]
fn a_request_without_the_key_takes_turns() {
    let servers = servers(3);
    let mut balancer = start(&servers, "balance = { hash = { cookie = \"id\" } }");
    for _ in 0..6 {
        get(&balancer, "/", "");
    }
    assert_eq!(totals(&mut balancer), [2, 2, 2]);
}

#[test]
fn a_key_whose_server_is_gone_goes_elsewhere_and_the_others_stay() {
    let mut list = servers(3);
    let mut balancer = start(&list, "balance = { hash = \"path\" }");
    let map = |balancer: &mut Balancer, path: usize| {
        let before = totals(balancer);
        get(balancer, &format!("/{path}"), "");
        let after = totals(balancer);
        (0..3).find(|&index| after[index] > before[index]).unwrap()
    };
    let before: Vec<usize> = (0..30).map(|path| map(&mut balancer, path)).collect();
    assert!((0..3).all(|index| before.contains(&index)), "{before:?}");
    drop(list.remove(1));
    for (path, &server) in before.iter().enumerate() {
        let now = map(&mut balancer, path);
        assert!(if server == 1 { now != 1 } else { now == server }, "/{path}: {server} then {now}");
    }
}

#[test]
fn a_backup_takes_only_when_the_others_cannot() {
    let mut list = servers(2);
    let addresses: Vec<_> = list.iter().map(ToyServer::address).collect();
    let config = "[listener.web]\nbind = \"${BIND}\"\npool = \"web\"\n[pool.web.servers]\n\
                  s0 = \"${S0}\"\ns1 = { address = \"${S1}\", backup = true }\n";
    let mut balancer = Balancer::start(config, &addresses);
    for _ in 0..4 {
        get(&balancer, "/", "");
    }
    assert_eq!(totals(&mut balancer), [4, 0]);
    drop(list.remove(0));
    get(&balancer, "/", "");
    assert_eq!(totals(&mut balancer)[1], 1);
}

#[test]
fn a_full_server_passes_what_is_more_to_the_next() {
    // These take requests and never answer.
    let list: Vec<ToyServer> =
        (0..2).map(|_| ToyServer::start(|mut connection| drop(connection.read_to_end()))).collect();
    let addresses: Vec<_> = list.iter().map(ToyServer::address).collect();
    let config = "[listener.web]\nbind = \"${BIND}\"\npool = \"web\"\n[pool.web]\nbalance = \"first\"\nqueue.size = 0\n\
                  [pool.web.servers]\ns0 = { address = \"${S0}\", max-connections = 2 }\n\
                  s1 = { address = \"${S1}\", max-connections = 1 }\n";
    let mut balancer = Balancer::start(config, &addresses);
    let mut clients = Vec::new();
    for expected in [[1, 0], [2, 0], [2, 1]] {
        let mut client = balancer.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        clients.push(client);
        balancer.wait_until(|snapshot| {
            snapshot.pools[0].servers.iter().map(|server| server.running).eq(expected)
        });
    }
    let answer = balancer.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.to_lowercase().contains("evenkeel-reason: queue-full"), "{answer}");
}

#[test]
fn unused_connections_of_all_servers_are_no_more_than_there_may_be_clients() {
    let servers = [ToyServer::named("a"), ToyServer::named("b"), ToyServer::named("c")];
    let addresses: Vec<_> = servers.iter().map(ToyServer::address).collect();
    let mut balancer = Balancer::start_with_workers(&website(3, "", ""), &addresses, 1, 2);
    let mut client = balancer.client();
    for _ in 0..3 {
        client.get("/").unwrap();
    }
    // One each, and a second later the oldest of them is closed.
    let idle = |snapshot: &evenkeel_proxy::message::Snapshot| -> u64 {
        snapshot.pools[0].servers.iter().map(|server| server.idle).sum()
    };
    balancer.wait_until(|snapshot| idle(snapshot) == 2);
    assert_eq!(client.get("/").unwrap().status, 200);
}
