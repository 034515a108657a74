//! Clients that take their response slowly, or not at all.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::{Balancer, website};
use evenkeel_testkit::http2::{Frame, PREFACE, fields, flag, kind, settings_payload};
use evenkeel_testkit::{Connection, HttpClient, ToyServer};

/// More than the kernel holds for a client that does not read.
const LENGTH: usize = 32 * 1024 * 1024;

fn server() -> ToyServer {
    ToyServer::start(|mut connection: Connection| {
        while connection.read_head().is_ok() {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
            // Whether the client takes it is not the server's to say.
            let _gone = connection.write(head).and_then(|()| connection.write(vec![b'x'; LENGTH]));
        }
    })
}

fn slow(balancer: &Balancer) -> HttpClient {
    let mut client = balancer.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    client
}

#[test]
fn who_takes_nothing_is_cut_and_counted() {
    let server = server();
    let mut balancer = Balancer::start(&website(1, "idle-timeout = \"300ms\"", ""), &[server.address()]);
    let _client = slow(&balancer);
    balancer.wait_until(|snapshot| snapshot.listeners[0].slow_readers_total == 1);
}

#[test]
fn who_takes_too_little_is_cut_though_it_never_pauses() {
    let server = server();
    let lines = "idle-timeout = \"2s\"\nmin-response-rate = \"1GiB\"";
    let mut balancer = Balancer::start(&website(1, lines, ""), &[server.address()]);
    let mut client = slow(&balancer);
    // It reads as long as it is let, in small pieces, each of which would renew a plain timeout.
    while client.read_raw(4096).is_ok_and(|bytes| !bytes.is_empty()) {
        balancer.snapshot();
    }
    balancer.wait_until(|snapshot| snapshot.listeners[0].slow_readers_total == 1);
}

#[test]
fn a_connection_of_http2_that_takes_nothing_leaves_nothing_in_the_kernel() {
    let server = server();
    let mut balancer = Balancer::start(&website(1, "idle-timeout = \"300ms\"", ""), &[server.address()]);
    let mut client = TcpStream::connect(balancer.address()).unwrap();
    // All windows are wide open, and it reads nothing.
    let mut bytes = PREFACE.to_vec();
    let wide = 1_u32 << 30;
    let get = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "test.example")];
    for frame in [
        Frame::new(kind::SETTINGS, 0, 0, settings_payload(&[(4, wide)])),
        Frame::new(kind::WINDOW_UPDATE, 0, 0, wide.to_be_bytes()),
        Frame::new(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, fields(get)),
    ] {
        bytes.extend(frame.bytes());
    }
    client.write_all(&bytes).unwrap();
    balancer.wait_until(|snapshot| snapshot.listeners[0].slow_readers_total == 1);
    balancer.wait_until(|snapshot| snapshot.listeners[0].connections == 0);
    // A proper end would lie behind what was not taken; this one is a reset.
    let mut bytes = vec![0; 64 * 1024];
    let end = loop {
        match client.read(&mut bytes) {
            Ok(1..) => {}
            end => break end,
        }
    };
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}
