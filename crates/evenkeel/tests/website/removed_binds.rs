//! A bind that is removed, moved or stopped under load: whoever was connected is answered, whoever comes later is refused,
//! and nobody is reset.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use evenkeel_testkit::{BOUND, HttpClient, Signal, ToyServer, free_address};

use rustix::process::kill_process;

use crate::site::{Site, inodes};

/// Clients that connect as fast as they can, one request a connection.
const CLIENTS: usize = 8;

/// How often the address is given up under load.
const TURNS: usize = 15;

#[derive(Debug, Default)]
struct Seen {
    answered: u64,
    refused: u64,
    /// Of those who were connected.
    failed: Vec<String>,
}

/// One connection after the other until told to stop.
struct Hammer {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Seen>>,
}

impl Hammer {
    fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..CLIENTS)
            .map(|_| {
                let stop = stop.clone();
                std::thread::spawn(move || hammer(address, &stop))
            })
            .collect();
        Self { stop, clients }
    }

    fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for client in self.clients {
            let seen = client.join().unwrap();
            all.answered += seen.answered;
            all.refused += seen.refused;
            all.failed.extend(seen.failed);
        }
        all
    }
}

fn hammer(address: SocketAddr, stop: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while !stop.load(Ordering::Relaxed) {
        let mut client = match HttpClient::connect(address) {
            Ok(client) => client,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                seen.refused += 1;
                continue;
            }
            Err(error) => {
                seen.failed.push(format!("connect: {error}"));
                continue;
            }
        };
        match client.get("/") {
            Ok(response) if response.status == 200 => seen.answered += 1,
            other => seen.failed.push(format!("{other:?}")),
        }
    }
    seen
}

fn fixture(threads: usize) -> (Site, ToyServer, String, String, SocketAddr) {
    let server = ToyServer::named("one");
    let [stays, goes] = [free_address(), free_address()];
    let without = format!(
        "[global]\ncontrol-socket = \"${{CONTROL}}\"\nthreads = {threads}\n\
         [listener.stays]\nbind = \"{stays}\"\npool = \"one\"\n[pool.one.servers]\none = \"{}\"\n",
        server.address()
    );
    let with = format!("{without}[listener.goes]\nbind = \"{goes}\"\npool = \"one\"\n");
    (Site::of(&with, &[]), server, without, with, goes)
}

#[test]
fn whoever_was_connected_when_a_bind_is_removed_is_answered_and_nobody_is_reset() {
    for threads in [1, 3] {
        let (site, _server, without, with, goes) = fixture(threads);
        let hammer = Hammer::start(goes);
        for _ in 0..TURNS {
            let end = Instant::now() + BOUND;
            while !crate::site::fetch(goes, "/").is_ok_and(|body| body == "one") {
                assert!(Instant::now() < end, "it does not come back");
            }
            site.reload(&without);
            let later = HttpClient::connect(goes).err().map(|error| error.kind());
            assert_eq!(later, Some(ErrorKind::ConnectionRefused));
            site.reload(&with);
        }
        let seen = hammer.stop();
        println!(
            "{threads} workers, {TURNS} removals: {} answered, {} refused, {} failed",
            seen.answered,
            seen.refused,
            seen.failed.len()
        );
        assert!(seen.failed.is_empty(), "{:?}", &seen.failed[..seen.failed.len().min(5)]);
        assert!(seen.refused > 0);
    }
}

#[test]
fn whoever_was_connected_at_the_stop_is_answered_and_nobody_is_reset() {
    let (site, _server, _, _, goes) = fixture(2);
    let hammer = Hammer::start(goes);
    site.wait_until(|status| crate::site::of_listener(status, "goes", "requests_total") > 100);
    site.program.signal(Signal::TERM);
    assert_eq!(site.program.wait(BOUND), 0);
    let seen = hammer.stop();
    assert!(seen.failed.is_empty(), "{:?}", &seen.failed[..seen.failed.len().min(5)]);
    assert!(seen.answered > 100 && seen.refused > 0, "{seen:?}");
}

#[test]
fn a_role_that_dies_while_it_removes_a_bind_leaves_the_bind_in_use() {
    let (site, _server, without, _, goes) = fixture(2);
    let before = inodes(goes);
    kill_process(site.role("proxy"), Signal::STOP).unwrap();
    site.write(&without);
    std::thread::scope(|scope| {
        let reload = scope.spawn(|| site.command(&["reload"]));
        site.wait_until(|status| status["phase"] == "reloading");
        site.kill9("proxy");
        assert_eq!(reload.join().unwrap().status.code(), Some(5));
    });
    site.wait_until(|status| {
        crate::site::of_listener(status, "goes", "connections_total") == 0 && !status["traffic"].is_null()
    });
    assert_eq!(crate::site::fetch(goes, "/").unwrap(), "one");
    // The role may have retired those that were there: they were opened anew, as many as before.
    let after = inodes(goes);
    assert!(after.len() == before.len() && after.is_disjoint(&before), "{before:?} {after:?}");
}
