//! Requests and connections wait for a place while all servers are full.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use common::Balancer;
use evenkeel_proxy::message::QueueSnapshot;
use evenkeel_testkit::{BOUND, Connection, HttpClient, Response, ToyServer};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Answers that may be given.
#[derive(Default)]
struct Allowed {
    count: Mutex<usize>,
    more: Condvar,
}

impl Allowed {
    fn allow(&self, more: usize) {
        *self.count.lock().unwrap() += more;
        self.more.notify_all();
    }

    fn wait(&self) {
        let count = self.count.lock().unwrap();
        let (mut count, timeout) = self.more.wait_timeout_while(count, BOUND, |count| *count == 0).unwrap();
        assert!(!timeout.timed_out());
        *count -= 1;
    }
}

/// A server that answers each request when it is allowed to.
fn slow() -> (ToyServer, Arc<Allowed>) {
    let allowed = Arc::new(Allowed::default());
    let told = allowed.clone();
    let server = ToyServer::start(move |mut connection: Connection| {
        while connection.read_head().is_ok_and(|head| !head.is_empty()) {
            told.wait();
            if connection.write(OK).is_err() {
                return;
            }
        }
    });
    (server, allowed)
}

fn config(listener: &str, pool: &str, most: &[u32]) -> String {
    let servers: String = most
        .iter()
        .enumerate()
        .map(|(index, most)| {
            format!("s{index} = {{ address = \"${{S{index}}}\", max-connections = {most} }}\n")
        })
        .collect();
    format!(
        "[listener.web]\nbind = \"${{BIND}}\"\npool = \"web\"\n{listener}\n[pool.web]\n{pool}\n\
         [pool.web.servers]\n{servers}"
    )
}

fn queue(balancer: &mut Balancer) -> QueueSnapshot {
    balancer.snapshot().pools.remove(0).queue
}

fn running(balancer: &mut Balancer, count: u64) {
    balancer.wait_until(|all| all.pools[0].servers.iter().map(|server| server.running).sum::<u64>() == count);
}

fn waiting(balancer: &mut Balancer, count: u64) {
    balancer.wait_until(|all| all.pools[0].queue.length == count);
}

fn ask(balancer: &Balancer, path: &str) -> HttpClient {
    let mut client = balancer.client();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap();
    client
}

fn refused(response: &Response, reason: &str) {
    assert_eq!((response.status, response.header("evenkeel-reason")), (503, Some(reason)));
    assert!(response.header("retry-after").is_some());
}

#[test]
fn requests_get_the_free_place_in_the_order_in_which_they_came() {
    let (server, allowed) = slow();
    let mut balancer = Balancer::start(&config("", "", &[1]), &[server.address()]);
    let mut clients = vec![ask(&balancer, "/0")];
    running(&mut balancer, 1);
    for place in 1..5 {
        clients.push(ask(&balancer, &format!("/{place}")));
        waiting(&mut balancer, place);
    }
    for client in &mut clients {
        allowed.allow(1);
        assert_eq!(client.response().unwrap().status, 200);
    }
    let seen = String::from_utf8(server.received().concat()).unwrap();
    let order: Vec<usize> = (0..5).map(|place| seen.find(&format!("GET /{place} ")).unwrap()).collect();
    // One connection, used again and again.
    assert_eq!(server.connections(), 1);
    assert!(order.is_sorted(), "{seen}");
    let queue = queue(&mut balancer);
    assert_eq!((queue.length, queue.limit, queue.queued_total), (0, 1000, 4));
    assert_eq!(queue.waits.buckets.iter().sum::<u64>(), 4);
    assert_eq!((queue.refused_total, queue.timed_out_total, queue.left_total), (0, 0, 0));
}

#[test]
fn a_full_queue_refuses_at_once_and_the_connection_goes_on() {
    let (server, allowed) = slow();
    let mut balancer = Balancer::start(&config("", "queue = { size = 1 }", &[1]), &[server.address()]);
    let mut first = ask(&balancer, "/first");
    running(&mut balancer, 1);
    let mut second = ask(&balancer, "/second");
    waiting(&mut balancer, 1);
    let mut third = balancer.client();
    let response = third.get("/third").unwrap();
    refused(&response, "queue-full");
    assert_eq!(response.header("retry-after"), Some("1"));
    allowed.allow(3);
    assert_eq!((first.response().unwrap().status, second.response().unwrap().status), (200, 200));
    assert_eq!(third.get("/again").unwrap().status, 200);
    assert_eq!(queue(&mut balancer).refused_total, 1);
}

#[test]
fn who_waits_too_long_is_told_so() {
    let (server, _) = slow();
    let mut balancer =
        Balancer::start(&config("", "queue = { timeout = \"50ms\" }", &[1]), &[server.address()]);
    let _first = ask(&balancer, "/first");
    running(&mut balancer, 1);
    refused(&ask(&balancer, "/second").response().unwrap(), "queue-timeout");
    let queue = queue(&mut balancer);
    assert_eq!((queue.length, queue.timed_out_total), (0, 1));
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_client_that_leaves_gives_its_place_up() {
    let (server, allowed) = slow();
    let mut balancer = Balancer::start(&config("", "queue = { size = 2 }", &[1]), &[server.address()]);
    let mut first = ask(&balancer, "/first");
    running(&mut balancer, 1);
    let gone = ask(&balancer, "/gone");
    waiting(&mut balancer, 1);
    let mut patient = ask(&balancer, "/patient");
    waiting(&mut balancer, 2);
    drop(gone);
    waiting(&mut balancer, 1);
    allowed.allow(2);
    assert_eq!((first.response().unwrap().status, patient.response().unwrap().status), (200, 200));
    assert_eq!(queue(&mut balancer).left_total, 1);
    assert!(!String::from_utf8(server.received().concat()).unwrap().contains("/gone"));
}

#[test]
fn more_places_or_servers_in_a_new_plan_let_them_in() {
    let ((one, _one_allowed), (other, _other_allowed)) = (slow(), slow());
    let mut balancer = Balancer::start(&config("", "", &[1]), &[one.address(), other.address()]);
    let _clients: Vec<HttpClient> = (0..3).map(|_| ask(&balancer, "/")).collect();
    waiting(&mut balancer, 2);
    balancer.apply(&config("", "", &[2]));
    running(&mut balancer, 2);
    waiting(&mut balancer, 1);
    balancer.apply(&config("", "", &[2, 1]));
    running(&mut balancer, 3);
    waiting(&mut balancer, 0);
    assert_eq!(balancer.server("s1").running, 1);
    assert_eq!(balancer.snapshot().pools[0].requests_total, 3, "routed again is not asked again");
}

#[test]
fn a_new_plan_may_send_them_elsewhere() {
    let (server, _) = slow();
    let other = ToyServer::named("other");
    let mut balancer = Balancer::start(&config("", "", &[1]), &[server.address(), other.address()]);
    let _first = ask(&balancer, "/");
    running(&mut balancer, 1);
    let mut second = ask(&balancer, "/");
    waiting(&mut balancer, 1);
    balancer.apply(
        "[listener.web]\nbind = \"${BIND}\"\npool = \"other\"\n[pool.other.servers]\ns1 = \"${S1}\"\n",
    );
    assert_eq!(second.response().unwrap().text(), "other");
}

#[test]
fn a_listener_that_is_removed_still_serves_those_who_wait() {
    let (server, allowed) = slow();
    let mut balancer = Balancer::start(&config("", "", &[1]), &[server.address()]);
    let mut first = ask(&balancer, "/first");
    running(&mut balancer, 1);
    let mut second = ask(&balancer, "/second");
    waiting(&mut balancer, 1);
    let elsewhere = evenkeel_testkit::free_address();
    let moved = config("", "retries = 1", &[1])
        .replace("[listener.web]\nbind = \"${BIND}\"", &format!("[listener.two]\nbind = \"{elsewhere}\""));
    balancer.apply(&moved);
    allowed.allow(2);
    assert_eq!((first.response().unwrap().status, second.response().unwrap().status), (200, 200));
}

/// A server whose checks pass as long as it is `well`, and whose other answers are held back.
fn checked(well: &Arc<AtomicBool>) -> ToyServer {
    let well = well.clone();
    ToyServer::start(move |mut connection: Connection| {
        while let Ok(head) = connection.read_head()
            && !head.is_empty()
        {
            if !head.starts_with("GET /check ") {
                drop(connection.read_to_end());
                return;
            }
            let status = if well.load(Ordering::SeqCst) { "200 OK" } else { "500 No" };
            if connection.write(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")).is_err() {
                return;
            }
        }
    })
}

const CHECK: &str = "health = { http = \"/check\", interval = \"20ms\", rise = 1, fall = 1 }";

#[test]
fn a_server_that_comes_back_lets_them_in_and_the_last_that_goes_sends_them_away() {
    let (good, bad) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let servers = [checked(&good), checked(&bad)];
    let mut balancer =
        Balancer::start(&config("", CHECK, &[1, 1]), &[servers[0].address(), servers[1].address()]);
    balancer.wait_until(|all| all.pools[0].servers[1].state == "down");
    let _first = ask(&balancer, "/");
    running(&mut balancer, 1);
    let _second = ask(&balancer, "/");
    waiting(&mut balancer, 1);
    bad.store(true, Ordering::SeqCst);
    running(&mut balancer, 2);
    let mut third = ask(&balancer, "/");
    waiting(&mut balancer, 1);
    good.store(false, Ordering::SeqCst);
    bad.store(false, Ordering::SeqCst);
    refused(&third.response().unwrap(), "no-healthy-server");
    refused(&balancer.client().get("/").unwrap(), "no-healthy-server");
}

#[test]
fn an_ejected_server_gets_nothing_of_what_waits_for_a_good_one() {
    let (server, allowed) = slow();
    let broken = ToyServer::start(|_: Connection| {});
    let pool = "balance = \"first\"\npassive = { failures = 1, eject = \"1h\", max-eject = \"1h\" }";
    let mut balancer = Balancer::start(&config("", pool, &[1, 1]), &[broken.address(), server.address()]);
    let mut first = ask(&balancer, "/first");
    running(&mut balancer, 1);
    balancer.wait_until(|all| all.pools[0].servers[0].state == "ejected");
    let mut second = ask(&balancer, "/second");
    waiting(&mut balancer, 1);
    allowed.allow(2);
    assert_eq!((first.response().unwrap().status, second.response().unwrap().status), (200, 200));
    assert_eq!(broken.connections(), 1);
}

#[test]
fn a_key_waits_for_any_server() {
    let ((one, one_allowed), (other, other_allowed)) = (slow(), slow());
    let pool = "balance = { hash = \"path\" }";
    let mut balancer = Balancer::start(&config("", pool, &[1, 1]), &[one.address(), other.address()]);
    let mut clients: Vec<HttpClient> = (0..3).map(|_| ask(&balancer, "/same")).collect();
    running(&mut balancer, 2);
    waiting(&mut balancer, 1);
    one_allowed.allow(3);
    other_allowed.allow(3);
    for client in &mut clients {
        assert_eq!(client.response().unwrap().status, 200);
    }
}

#[test]
fn many_clients_on_many_workers_share_few_places_and_nobody_is_forgotten() {
    for balance in ["round-robin", "least-connections", "random-two", "peak-ewma", "source", "first"] {
        let servers = [ToyServer::named("a"), ToyServer::named("b")];
        let addresses = [servers[0].address(), servers[1].address()];
        let pool = format!("balance = \"{balance}\"\nqueue = {{ timeout = \"20s\" }}");
        let mut balancer = Balancer::start_with_workers(&config("", &pool, &[1, 2]), &addresses, 4, 1000);
        let address = balancer.address();
        let clients: Vec<_> = (0..16)
            .map(|_| {
                std::thread::spawn(move || {
                    let mut client = HttpClient::connect(address).unwrap();
                    (0..25).all(|_| client.get("/").unwrap().status == 200)
                })
            })
            .collect();
        assert!(clients.into_iter().all(|client| client.join().unwrap()), "{balance}");
        running(&mut balancer, 0);
        let queue = queue(&mut balancer);
        assert_eq!((queue.length, queue.refused_total, queue.timed_out_total), (0, 0, 0), "{balance}");
    }
}

fn raw(balancer: &Balancer, bytes: &[u8]) -> TcpStream {
    let mut client = TcpStream::connect(balancer.address()).unwrap();
    client.set_read_timeout(Some(BOUND)).unwrap();
    client.write_all(bytes).unwrap();
    client
}

/// Says what it got so far, and waits for more.
fn echo() -> ToyServer {
    ToyServer::start(|mut connection: Connection| {
        while let Ok(bytes) = connection.read_some()
            && !bytes.is_empty()
            && connection.write(bytes).is_ok()
        {}
    })
}

#[test]
fn a_tcp_connection_waits_as_well() {
    let server = echo();
    let mut balancer = Balancer::start(&config("mode = \"tcp\"", "", &[1]), &[server.address()]);
    let first = raw(&balancer, b"one");
    running(&mut balancer, 1);
    let mut second = raw(&balancer, b"two");
    waiting(&mut balancer, 1);
    let gone = raw(&balancer, b"");
    waiting(&mut balancer, 2);
    drop(gone);
    waiting(&mut balancer, 1);
    drop(first);
    let mut back = [0; 3];
    second.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"two");
    balancer.wait_until(|all| all.listeners[0].durations.buckets.iter().sum::<u64>() == 2);
}

#[test]
fn a_tcp_connection_that_waited_too_long_or_finds_the_queue_full_is_reset() {
    let server = echo();
    let pool = "queue = { size = 1, timeout = \"100ms\" }";
    let mut balancer = Balancer::start(&config("mode = \"tcp\"", pool, &[1]), &[server.address()]);
    let _first = raw(&balancer, b"one");
    running(&mut balancer, 1);
    let mut second = raw(&balancer, b"two");
    assert_eq!(second.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    balancer.wait_until(|all| all.listeners[0].answers_total["queue-timeout"] == 1);
    balancer.apply(&config("mode = \"tcp\"", "queue = { size = 0 }", &[1]));
    let mut third = TcpStream::connect(balancer.address()).unwrap();
    third.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert!(third.read(&mut [0]).is_err());
    balancer.wait_until(|all| all.listeners[0].answers_total["queue-full"] == 1);
}
