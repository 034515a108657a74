use evenkeel_proxy::message::{PoolSnapshot, QueueSnapshot, ServerSnapshot};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A proxy role with one server, on which so many requests run, of so many ever.
fn snapshot(sticky: bool, running: u64, total: u64) -> Snapshot {
    let server = ServerSnapshot {
        name: name("a"),
        address: "192.0.2.1:80".parse().unwrap(),
        state: "drain".into(),
        why: None,
        since: None,
        weight: 1,
        running,
        total,
        connect_failures_total: 0,
        failures_total: 0,
        opened_total: 0,
        reused_total: 0,
        tls: None,
        idle: 0,
        multiplexed: 0,
        first_byte: Default::default(),
        last_failure: None,
    };
    let pool = PoolSnapshot {
        name: name("web"),
        balance: "round-robin".into(),
        requests_total: 0,
        retries_total: 0,
        retries_denied_total: 0,
        all_down: None,
        sticky: sticky.then(Default::default),
        grpc_total: None,
        queue: QueueSnapshot::default(),
        servers: vec![server],
    };
    Snapshot { pools: vec![pool], ..Snapshot::default() }
}

fn leaving(within: Duration, now: Instant) -> Leaving {
    let mut leaving = Leaving::default();
    leaving.follow((&name("web"), &name("a")), true, Some(within), now);
    leaving
}

fn why(gone: &[(Name, Name, String)]) -> Option<&str> {
    gone.first().map(|(_, _, why)| why.as_str())
}

#[test]
fn a_server_goes_when_its_last_request_has_ended() {
    let now = Instant::now();
    let mut leaving = leaving(60 * SECOND, now);
    assert_eq!(leaving.deadline(), Some(now + PAUSE));
    assert_eq!(leaving.seen(&snapshot(false, 2, 9), now + SECOND), []);
    assert_eq!(leaving.seen(&snapshot(false, 1, 9), now + 2 * SECOND), []);
    let gone = leaving.seen(&snapshot(false, 0, 9), now + 3 * SECOND);
    assert_eq!(why(&gone), Some("nothing runs on it any more"));
    // It is told once.
    assert_eq!(leaving.seen(&snapshot(false, 0, 9), now + 4 * SECOND), []);
}

#[test]
fn at_the_bound_it_goes_and_what_runs_is_named() {
    let now = Instant::now();
    let mut leaving = leaving(5 * SECOND, now);
    assert_eq!(leaving.seen(&snapshot(false, 2, 9), now + 4 * SECOND), []);
    let gone = leaving.seen(&snapshot(false, 2, 9), now + 5 * SECOND);
    assert_eq!(why(&gone), Some("5 s are over; 2 requests still run on it and go on until they end"));
}

#[test]
fn in_a_sticky_pool_it_goes_once_its_clients_have_stayed_away() {
    let now = Instant::now();
    let mut leaving = leaving(60 * SECOND, now);
    assert_eq!(leaving.seen(&snapshot(true, 0, 9), now), []);
    assert_eq!(leaving.seen(&snapshot(true, 0, 9), now + 9 * SECOND), []);
    // Somebody came: it begins anew.
    assert_eq!(leaving.seen(&snapshot(true, 0, 10), now + 10 * SECOND), []);
    assert_eq!(leaving.seen(&snapshot(true, 0, 10), now + 19 * SECOND), []);
    assert_eq!(leaving.seen(&snapshot(true, 0, 10), now + 20 * SECOND).len(), 1);
}

#[test]
fn whoever_is_called_back_does_not_go() {
    let now = Instant::now();
    let mut leaving = leaving(5 * SECOND, now);
    leaving.follow((&name("web"), &name("a")), false, None, now);
    assert_eq!(leaving.seen(&snapshot(false, 0, 9), now + SECOND), []);
    assert_eq!((leaving.overdue(now + 60 * SECOND), leaving.deadline()), (Vec::new(), None));
}

#[test]
fn without_a_proxy_role_the_bound_holds_all_the_same() {
    let now = Instant::now();
    let mut leaving = leaving(5 * SECOND, now);
    assert_eq!(leaving.overdue(now + 5 * SECOND), []);
    assert_eq!(leaving.overdue(now + 6 * SECOND).len(), 1);
}
