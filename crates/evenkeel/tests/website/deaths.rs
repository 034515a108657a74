//! A server dies under load; the proxy role dies under load.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use evenkeel_testkit::{Load, Nginx, free_address, free_port, needs};

use crate::site::{LOAD, Site, fetch, inodes, of_server, url};

/// The longest pause that a client may see when the proxy role is killed: generous, for a machine that does a lot else.
const LONGEST_GAP: Duration = Duration::from_secs(2);

/// Times that the server is killed.
const DEATHS: usize = 2;

#[test]
fn a_killed_server_fails_no_request_and_takes_traffic_again_when_it_is_back() {
    if !needs("nginx") || !needs("wrk") {
        return;
    }
    let first = Nginx::start("webserver01", free_port());
    let mut second = Nginx::start("webserver02", free_port());
    let address = free_address();
    let site = Site::website(address, [first.address(), second.address()]);
    let load = Load::start(&url(address, "/"), 32, LOAD);
    site.wait_until(|status| of_server(status, "webserver02", "total") > 2000);
    for _ in 0..DEATHS {
        let missed = of_server(&site.status(), "webserver02", "connect_failures_total");
        second.kill9();
        // Some failures are enough for live traffic to leave it alone for a while (5 s, then 10 s).
        site.wait_until(|status| of_server(status, "webserver02", "connect_failures_total") > missed);
        let taken = of_server(&site.status(), "webserver02", "total");
        second.restart();
        site.wait_until(|status| of_server(status, "webserver02", "total") > taken + 2000);
    }
    let report = load.stop();
    assert_eq!(report.errors.total(), 0, "{report:?}\n{:#}", site.status());
    println!("a server killed and restarted {DEATHS} times: {} requests, 0 failed", report.requests);
    let names: Vec<String> = (0..4).map(|_| fetch(address, "/").unwrap()).collect();
    assert_eq!(names.iter().filter(|name| *name == "webserver02").count(), 2, "{names:?}");
}

/// What a client that connects and fetches in a loop has seen.
#[derive(Debug, Default)]
struct Seen {
    succeeded: u64,
    failed: u64,
    /// From one success to the next.
    longest_gap: Duration,
}

#[test]
fn a_killed_proxy_role_is_back_at_once_on_the_same_sockets() {
    if !needs("nginx") || !needs("wrk") {
        return;
    }
    let servers = ["webserver01", "webserver02"].map(|name| Nginx::start(name, free_port()));
    let address = free_address();
    let site = Site::website(address, [servers[0].address(), servers[1].address()]);
    let sockets = inodes(address);
    assert!(!sockets.is_empty());
    let load = Load::start(&url(address, "/"), 32, LOAD);
    site.wait_until(|status| of_server(status, "webserver02", "total") > 500);

    let stop = AtomicBool::new(false);
    let answered = AtomicU64::new(0);
    let seen = std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut seen = Seen::default();
            let mut last = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                match fetch(address, "/") {
                    Ok(_) => {
                        seen.succeeded = answered.fetch_add(1, Ordering::Relaxed) + 1;
                        seen.longest_gap = seen.longest_gap.max(last.elapsed());
                        last = Instant::now();
                    }
                    Err(_) => seen.failed += 1,
                }
            }
            seen
        });
        site.wait_until(|_| answered.load(Ordering::Relaxed) > 50);
        site.kill9("proxy");
        site.wait_until(|status| {
            status["roles"][0]["restarts"] == 1 && of_server(status, "webserver02", "total") > 500
        });
        stop.store(true, Ordering::Relaxed);
        client.join().unwrap()
    });
    println!("the proxy role killed: {seen:?}");
    assert!(seen.longest_gap < LONGEST_GAP, "{seen:?}");
    // Only what the dead process had accepted is lost, and this client has one connection at a time.
    assert!(seen.failed <= 1 && seen.succeeded > 0, "{seen:?}");
    assert_eq!(inodes(address), sockets);
    println!("the load meanwhile: {:?}", load.stop());
}
