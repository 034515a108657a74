//! The shares of real connections are those of the weights, for every algorithm.
//!
//! Servers have the weights 1, 2 and 3. Where nothing is left to chance the counts are exact; where a hash decides they
//! are the same in every run, and as far from their share as so many throws of a die may be; where chance
//! decides, the bound is one that two choices miss once in millions of runs.

#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a test that cannot go on has failed; small numbers"
)]

mod common;

use std::io::Write;
use std::net::TcpStream;

use common::Balancer;
use evenkeel_testkit::ToyServer;

const WEIGHTS: [u64; 3] = [1, 2, 3];
const REQUESTS: u64 = 300;

fn start(servers: &[ToyServer], listener: &str, balance: &str) -> Balancer {
    let addresses: Vec<_> = servers.iter().map(ToyServer::address).collect();
    let lines: String = WEIGHTS
        .iter()
        .enumerate()
        .map(|(index, weight)| {
            format!("s{index} = {{ address = \"${{S{index}}}\", weight = {weight}, max-connections = 60 }}\n")
        })
        .collect();
    let config = format!(
        "[listener.web]\nbind = \"${{BIND}}\"\npool = \"web\"\n{listener}\n\
         [pool.web]\nbalance = {balance}\n[pool.web.servers]\n{lines}"
    );
    Balancer::start(&config, &addresses)
}

fn named() -> Vec<ToyServer> {
    (0..3).map(|index| ToyServer::named(&index.to_string())).collect()
}

fn totals(balancer: &mut Balancer) -> Vec<u64> {
    balancer.snapshot().pools[0].servers.iter().map(|server| server.total).collect()
}

/// Sends all requests, one after the other, each with another path, source and so on.
fn requests(balancer: &mut Balancer) -> Vec<u64> {
    let mut client = balancer.client();
    for number in 0..REQUESTS {
        let request = format!(
            "GET /{number}?id={number} HTTP/1.1\r\nHost: a\r\nCookie: id={number}\r\nX-User: {number}\r\n\
             X-Forwarded-For: 10.0.{}.{}\r\n\r\n",
            number / 256,
            number % 256
        );
        client.send(request).unwrap();
        assert_eq!(client.response().unwrap().status, 200);
    }
    totals(balancer)
}

/// Five standard deviations of how often one of `REQUESTS` throws falls on a server.
fn near_its_share(found: &[u64]) -> bool {
    found.iter().zip(WEIGHTS).all(|(&found, weight)| {
        let share = weight as f64 / 6.0;
        let expected = REQUESTS as f64 * share;
        (found as f64 - expected).abs() <= 5.0 * (expected * (1.0 - share)).sqrt()
    })
}

#[test]
fn round_robin_gives_exact_shares() {
    let servers = named();
    let mut balancer = start(&servers, "", "\"round-robin\"");
    assert_eq!(requests(&mut balancer), [50, 100, 150]);
}

#[test]
fn every_key_of_a_hash_gives_near_shares() {
    let servers = named();
    let trusting = "trusted-proxies = \"127.0.0.0/8\"";
    for key in [
        "\"source\"",
        "\"path\"",
        "\"uri\"",
        "{ header = \"x-user\" }",
        "{ cookie = \"id\" }",
        "{ query = \"id\" }",
    ] {
        let mut balancer = start(&servers, trusting, &format!("{{ hash = {key} }}"));
        let found = requests(&mut balancer);
        assert!(near_its_share(&found), "{key}: {found:?}");
    }
    let mut balancer = start(&servers, trusting, "\"source\"");
    let found = requests(&mut balancer);
    assert!(near_its_share(&found), "{found:?}");
}

/// Opens connections that stay, and says how many each server has.
fn held(balancer: &mut Balancer, count: usize, says: &[u8]) -> Vec<u64> {
    let clients: Vec<TcpStream> = (0..count)
        .map(|number| {
            let mut client = TcpStream::connect(balancer.address()).unwrap();
            client.write_all(says).unwrap();
            // One after the other: what runs decides where the next goes.
            balancer.wait_until(|snapshot| {
                snapshot.pools[0].servers.iter().map(|server| server.running).sum::<u64>() > number as u64
            });
            client
        })
        .collect();
    let running = balancer.snapshot().pools[0].servers.iter().map(|server| server.running).collect();
    drop(clients);
    running
}

fn silent() -> Vec<ToyServer> {
    (0..3).map(|_| ToyServer::start(|mut connection| drop(connection.read_to_end()))).collect()
}

#[test]
fn least_connections_fills_servers_by_their_weights() {
    let servers = silent();
    let mut balancer = start(&servers, "mode = \"tcp\"", "\"least-connections\"");
    assert_eq!(held(&mut balancer, 60, b""), [10, 20, 30]);
}

#[test]
fn first_fills_one_server_after_the_other() {
    let servers = silent();
    let mut balancer = start(&servers, "mode = \"tcp\"", "\"first\"");
    assert_eq!(held(&mut balancer, 70, b""), [60, 10, 0]);
}

#[test]
fn two_choices_keep_what_runs_near_the_weights() {
    let servers = silent();
    let mut balancer = start(&servers, "mode = \"tcp\"", "\"random-two\"");
    let found = held(&mut balancer, 60, b"");
    // The better of two: a server that has more than its share loses against any other, so it grows only when it is
    // drawn twice. From 60 throws that is less than half of one's share, and far less for all but the smallest.
    for (found, expected) in found.iter().zip([10_u64, 20, 30]) {
        assert!(found.abs_diff(expected) <= 5, "{found} instead of {expected}");
    }
}

#[test]
fn a_bound_on_the_load_holds_while_connections_stay() {
    let servers = silent();
    let mut balancer = start(&servers, "mode = \"tcp\"", "{ hash = \"source\", bounded-load = 1.25 }");
    let mut found = held(&mut balancer, 60, b"");
    // One source, so one server is wanted; it may have 1.25 times its share of 60, rounded up, and so may the next.
    for (found, weight) in found.iter().zip(WEIGHTS) {
        assert!(*found <= (60 * weight * 125).div_ceil(600), "{found} with weight {weight}");
    }
    found.sort_unstable();
    assert_eq!(found.iter().sum::<u64>(), 60);
}

#[test]
fn peak_ewma_keeps_what_runs_near_the_weights_while_all_are_equally_fast() {
    // Nobody has answered yet, so the same is believed of all. Once they have, shares follow their speed as well.
    let servers = silent();
    let mut balancer = start(&servers, "", "\"peak-ewma\"");
    let found = held(&mut balancer, 60, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for (found, expected) in found.iter().zip([10_u64, 20, 30]) {
        assert!(found.abs_diff(expected) <= 5, "{found} instead of {expected}");
    }
}
