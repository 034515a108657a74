//! Active and passive checks through a whole proxy role, with servers that misbehave.

#![expect(clippy::unwrap_used, reason = "what fails in a test's support fails the test")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use common::{Balancer, website};
use evenkeel_proxy::message::Snapshot;
use evenkeel_testkit::{Connection, HttpClient, ToyServer, free_address};

const FAST: &str = "interval = \"20ms\", timeout = \"5s\"";
const GOOD: u8 = 0;
const ERROR: u8 = 1;
const WRONG: u8 = 2;
const SILENT: u8 = 3;
const CUT: u8 = 4;

/// A server whose behaviour can be switched; it answers its name.
fn moody(name: &'static str) -> (ToyServer, Arc<AtomicU8>) {
    let mood = Arc::new(AtomicU8::new(GOOD));
    let shared = mood.clone();
    let server = ToyServer::start(move |mut connection: Connection| {
        while connection.read_head().is_ok() {
            let (status, body) = match shared.load(Ordering::SeqCst) {
                ERROR => (500, name),
                WRONG => (200, "?"),
                SILENT => {
                    // Until the other side gives up.
                    let _ = connection.read_to_end();
                    return;
                }
                CUT => return,
                _ => (200, name),
            };
            let length = body.len();
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}");
            if connection.write(answer).is_err() {
                return;
            }
        }
    });
    (server, mood)
}

fn state(snapshot: &Snapshot, name: &str) -> String {
    let mut servers = snapshot.pools.iter().flat_map(|pool| &pool.servers);
    servers.find(|server| server.name.as_str() == name).unwrap().state.clone()
}

fn wait_for(balancer: &mut Balancer, name: &str, wanted: &str) {
    balancer.wait_until(|snapshot| state(snapshot, name) == wanted);
}

fn answers(balancer: &Balancer, count: usize) -> Vec<String> {
    let mut client = balancer.client();
    (0..count).map(|_| client.get("/").unwrap().text()).collect()
}

#[test]
fn a_server_that_misbehaves_is_left_out_and_comes_back_by_itself() {
    let (good, _) = moody("good");
    let (bad, mood) = moody("bad");
    let health = "passive = \"off\"\nhealth = { http = \"/healthz\", body = \"d\", status = \"200-299\", interval = \"20ms\", timeout = \"200ms\" }";
    let mut balancer = Balancer::start(&website(2, "", health), &[good.address(), bad.address()]);
    for (trouble, why) in [
        (ERROR, "it answered 500 to GET /healthz"),
        (WRONG, "its answer 200 does not have the text of `body`"),
        (SILENT, "no whole answer from "),
        (CUT, "the server ended the connection before it answered"),
    ] {
        wait_for(&mut balancer, "s1", "up");
        mood.store(trouble, Ordering::SeqCst);
        wait_for(&mut balancer, "s1", "down");
        let shown = balancer.server("s1");
        assert!(shown.why.as_ref().unwrap().starts_with(why), "{shown:?}");
        assert!(shown.since.is_some());
        assert_eq!(answers(&balancer, 6), ["good"; 6]);
        mood.store(GOOD, Ordering::SeqCst);
    }
    wait_for(&mut balancer, "s1", "up");
    assert!(answers(&balancer, 4).contains(&"bad".to_owned()));
}

#[test]
fn a_check_asks_what_the_file_says() {
    let (server, _) = moody("good");
    let health = "health = { http = \"/up?x=1\", method = \"OPTIONS\", host = \"www.example.com\", headers = { x-check = \"yes\" } }";
    let _balancer = Balancer::start(&website(1, "", health), &[server.address()]);
    let asked = common::received(&server, "\r\n\r\n");
    assert_eq!(
        asked,
        "OPTIONS /up?x=1 HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\
         User-Agent: Evenkeel health check\r\nx-check: yes\r\n\r\n"
    );
}

#[test]
fn a_dialogue_is_held_on_another_port() {
    let (server, _) = moody("good");
    let oracle = ToyServer::start(|mut connection: Connection| {
        let heard = connection.read_some().unwrap_or_default();
        let answer: &[u8] = if heard == b"PING\r\n" { b"+PO" } else { b"-ERR" };
        let _ = connection.write(answer);
        let _ = connection.write("NG\r\n");
        let _ = connection.read_to_end();
    });
    let port = oracle.address().port();
    let pool = |expect: &str| {
        format!(
            "health = {{ port = {port}, send = \"PING\\r\\n\", expect = \"{expect}\", initial-state = \"checking\", \
             interval = \"20ms\", timeout = \"100ms\" }}"
        )
    };
    let mut balancer = Balancer::start(&website(1, "", &pool("+PONG")), &[server.address()]);
    wait_for(&mut balancer, "s0", "up");
    balancer.apply(&website(1, "", &pool("+OK")));
    wait_for(&mut balancer, "s0", "down");
    balancer.apply(&website(1, "", &pool("PONG\\r\\n")));
    wait_for(&mut balancer, "s0", "up");
}

#[test]
fn when_all_are_down_clients_are_refused_or_all_are_tried_and_it_shows() {
    let (server, mood) = moody("good");
    let health = |more: &str| {
        format!("passive = \"off\"\nhealth = {{ http = \"/\", body = \"good\", {FAST} }}\n{more}")
    };
    mood.store(WRONG, Ordering::SeqCst);
    let mut balancer = Balancer::start(&website(1, "", &health("")), &[server.address()]);
    wait_for(&mut balancer, "s0", "down");
    let answer = balancer.client().get("/").unwrap();
    assert_eq!((answer.status, answer.header("evenkeel-reason")), (503, Some("no-healthy-server")));
    assert_eq!(balancer.snapshot().pools[0].all_down.as_deref(), Some("refuse"));
    balancer.apply(&website(1, "", &health("when-all-down = \"try-all\"")));
    assert_eq!(balancer.server("s0").state, "down", "what is known survives a reload");
    assert_eq!(answers(&balancer, 1), ["?"]);
    assert_eq!(balancer.snapshot().pools[0].all_down.as_deref(), Some("try-all"));
    mood.store(GOOD, Ordering::SeqCst);
    wait_for(&mut balancer, "s0", "up");
    assert_eq!(balancer.snapshot().pools[0].all_down, None);
}

#[test]
fn a_server_that_is_not_known_to_work_takes_nothing() {
    let (good, _) = moody("good");
    let silent = ToyServer::start(|mut connection: Connection| {
        let _ = connection.read_to_end();
    });
    let health =
        "health = { http = \"/\", initial-state = \"checking\", interval = \"20ms\", timeout = \"1h\" }";
    let mut balancer = Balancer::start(&website(2, "", health), &[good.address(), silent.address()]);
    wait_for(&mut balancer, "s0", "up");
    assert_eq!(answers(&balancer, 6), ["good"; 6]);
    assert_eq!(balancer.server("s1").state, "checking");
    assert_eq!(balancer.server("s1").total, 0);
}

#[test]
fn live_traffic_ejects_a_server_and_one_request_brings_it_back() {
    let (good, _) = moody("good");
    let (bad, mood) = moody("bad");
    let passive = "passive = { failures = 2, eject = \"300ms\", server-errors = \"count\" }";
    let mut balancer = Balancer::start(&website(2, "", passive), &[good.address(), bad.address()]);
    mood.store(ERROR, Ordering::SeqCst);
    let mut client = balancer.client();
    while balancer.server("s1").state != "ejected" {
        client.get("/").unwrap();
    }
    let why = balancer.server("s1").why.unwrap();
    assert!(why.starts_with("2 failures in a row, the last: it answered 500; on probation in "), "{why}");
    mood.store(GOOD, Ordering::SeqCst);
    wait_for(&mut balancer, "s1", "probation");
    assert!(answers(&balancer, 4).contains(&"bad".to_owned()));
    assert_eq!(balancer.server("s1").state, "up");
}

#[test]
fn a_server_that_cannot_be_reached_is_ejected_and_the_last_one_never() {
    let (good, _) = moody("good");
    let nobody = free_address();
    let passive = "passive = { failures = 1, eject = \"1h\", max-eject = \"1h\", max-share = 100 }";
    let mut balancer = Balancer::start(&website(2, "", passive), &[nobody, good.address()]);
    assert_eq!(answers(&balancer, 4), ["good"; 4]);
    let shown = balancer.server("s0");
    assert_eq!((shown.state.as_str(), shown.connect_failures_total), ("ejected", 1));
    balancer.apply(&website(1, "", passive));
    assert_eq!(balancer.server("s0").state, "ejected", "a reload does not forget");
    let answer = balancer.client().get("/").unwrap();
    assert_eq!(answer.header("evenkeel-reason"), Some("no-server"));
}

#[test]
fn a_server_that_comes_back_starts_slowly() {
    let (good, _) = moody("good");
    let (bad, mood) = moody("bad");
    let health = format!("slow-start = \"1h\"\nhealth = {{ http = \"/\", body = \"d\", {FAST} }}");
    mood.store(WRONG, Ordering::SeqCst);
    let mut balancer = Balancer::start(&website(2, "", &health), &[good.address(), bad.address()]);
    wait_for(&mut balancer, "s1", "down");
    mood.store(GOOD, Ordering::SeqCst);
    wait_for(&mut balancer, "s1", "slow-start");
    // A tenth of the half that is its share: some 10 of 200, never the 100 of a whole one.
    let slow = answers(&balancer, 200).iter().filter(|answer| *answer == "bad").count();
    assert!((1..=30).contains(&slow), "{slow}");
}

#[test]
fn a_tcp_pool_is_checked_and_refuses_as_well() {
    let nobody = free_address();
    let config = "[listener.web]\nbind = \"${BIND}\"\nmode = \"tcp\"\npool = \"web\"\n\
                  [pool.web]\nhealth = { interval = \"20ms\" }\n[pool.web.servers]\ns0 = \"${S0}\"\n";
    let mut balancer = Balancer::start(config, &[nobody]);
    wait_for(&mut balancer, "s0", "down");
    let why = balancer.server("s0").why.unwrap();
    assert!(why.starts_with(&format!("cannot connect to {nobody}: ")), "{why}");
    // Reset, not closed in order; that may come before the client has set its socket up.
    let heard = HttpClient::connect(balancer.address()).and_then(|mut client| client.read_until_close());
    assert!(heard.is_err(), "{heard:?}");
}

/// A server in slow start is beyond its share most of the time; alone it must take everything all the same, whatever
/// the algorithm remembers of the look that passed it over.
#[test]
fn the_only_server_takes_all_even_in_slow_start() {
    for balance in ["round-robin", "least-connections", "random-two", "peak-ewma", "source", "first"] {
        let (server, mood) = moody("good");
        let health = format!(
            "balance = \"{balance}\"\nslow-start = \"1h\"\nhealth = {{ http = \"/\", body = \"d\", {FAST} }}"
        );
        let mut balancer = Balancer::start(&website(1, "", &health), &[server.address()]);
        wait_for(&mut balancer, "s0", "up");
        mood.store(WRONG, Ordering::SeqCst);
        wait_for(&mut balancer, "s0", "down");
        mood.store(GOOD, Ordering::SeqCst);
        wait_for(&mut balancer, "s0", "slow-start");
        assert_eq!(answers(&balancer, 50), ["good"; 50], "{balance}");
    }
}
