//! The end of the program while requests are under way.

use std::sync::{Arc, Condvar, Mutex};

use evenkeel_testkit::{BOUND, HttpClient, Load, Signal, ToyServer, free_address, needs};

use crate::site::{LOAD, Site, of_listener, url};

/// Requests under way.
const SLOW: u64 = 8;
/// What a slow response says.
const WHOLE: &str = "the first half and the second";

/// Lets all who wait pass, once it is opened.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn wait(&self) {
        let open = self.open.lock().unwrap();
        let _open = self.opened.wait_timeout_while(open, BOUND * 2, |open| !*open).unwrap();
    }
}

/// A server whose responses on `/slow` stop half-way until the gate is opened.
fn slow_server(gate: &Arc<Gate>) -> ToyServer {
    let gate = Arc::clone(gate);
    ToyServer::start(move |mut connection| {
        while let Ok(head) = connection.read_head() {
            let (first, second) = WHOLE.split_at(WHOLE.len() / 2);
            let start = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{first}", WHOLE.len());
            if connection.write(start).is_err() {
                return;
            }
            if head.starts_with("GET /slow ") {
                gate.wait();
            }
            if connection.write(second).is_err() {
                return;
            }
        }
    })
}

/// A site before a slow server, and clients that have the first byte of their slow responses.
fn site(
    gate: &Arc<Gate>,
    graceful_timeout: &str,
) -> (Site, ToyServer, Vec<HttpClient>, std::net::SocketAddr) {
    let server = slow_server(gate);
    let address = free_address();
    let site = Site::of(
        &format!(
            "[global]\ncontrol-socket = \"${{CONTROL}}\"\ngraceful-timeout = \"{graceful_timeout}\"\n\
             [listener.website]\nbind = \"{address}\"\npool = \"website\"\n\
             [pool.website.servers]\nslow = \"{}\"\n",
            server.address()
        ),
        &[],
    );
    let clients = (0..SLOW)
        .map(|_| {
            let mut client = HttpClient::connect(address).unwrap();
            client.send("GET /slow HTTP/1.1\r\nHost: test.example\r\n\r\n").unwrap();
            assert_eq!(client.stream().peek(&mut [0]).unwrap(), 1);
            client
        })
        .collect();
    (site, server, clients, address)
}

#[test]
fn responses_under_way_complete_before_the_end() {
    if !needs("wrk") {
        return;
    }
    let gate = Arc::new(Gate::default());
    let (site, _server, clients, address) = site(&gate, "60s");
    let load = Load::start(&url(address, "/fast"), 16, LOAD);
    site.wait_until(|status| of_listener(status, "website", "requests_total") > 500);
    site.program.signal(Signal::TERM);
    site.program.wait_for_line(|line| line.contains("stopping on SIGTERM"), BOUND);
    while HttpClient::connect(address).is_ok() {}
    gate.open();
    for mut client in clients {
        let response = client.response().unwrap();
        assert_eq!((response.status, response.text().as_str()), (200, WHOLE));
        assert!(client.closed_silently());
    }
    assert_eq!(site.program.wait(BOUND), 0);
    let lines = site.program.wait_for_end_of_output(BOUND);
    assert!(lines.iter().any(|line| line.contains("all connections have finished")), "{lines:#?}");
    let report = load.stop();
    // Connections are refused after the end; no request that was taken got a wrong answer.
    assert_eq!(report.errors.non_2xx, 0, "{report:?}");
    println!("stopped under load: {report:?}");
}

#[test]
fn what_takes_longer_than_graceful_timeout_is_cut() {
    let gate = Arc::new(Gate::default());
    let (site, _server, clients, _) = site(&gate, "300ms");
    site.program.signal(Signal::TERM);
    assert_eq!(site.program.wait(BOUND), 0);
    let lines = site.program.wait_for_end_of_output(BOUND);
    let cut = format!("{SLOW} connections were cut: graceful-timeout was over");
    assert!(lines.iter().any(|line| line.contains(&cut)), "{lines:#?}");
    for mut client in clients {
        client.response().unwrap_err();
    }
    gate.open();
}

#[test]
fn a_second_term_ends_at_once() {
    let gate = Arc::new(Gate::default());
    let (site, _server, clients, _) = site(&gate, "1h");
    site.program.signal(Signal::TERM);
    site.program.wait_for_line(|line| line.contains("stopping on SIGTERM"), BOUND);
    site.program.signal(Signal::TERM);
    site.program.wait_for_line(|line| line.contains("SIGTERM again: what is left is cut"), BOUND);
    assert_eq!(site.program.wait(BOUND), 0);
    for mut client in clients {
        client.response().unwrap_err();
    }
    gate.open();
}
