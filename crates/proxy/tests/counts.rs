//! What a snapshot counts of requests and connections when they have ended.

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use common::{Balancer, website};
use evenkeel_proxy::message::HistogramSnapshot;
use evenkeel_testkit::{Connection, ToyServer, free_address};

fn count(histogram: &HistogramSnapshot) -> u64 {
    histogram.buckets.iter().sum()
}

#[test]
fn an_answer_of_ours_is_counted_by_its_reason_and_not_as_the_servers() {
    let server = ToyServer::start(|_: Connection| {});
    let mut balancer = Balancer::start(&website(1, "", ""), &[server.address()]);
    assert!(balancer.raw("nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
    assert_eq!(balancer.client().get("/").unwrap().status, 502);
    balancer.wait_until(|snapshot| {
        snapshot.listeners[0].responses_total["4xx"] + snapshot.listeners[0].responses_total["5xx"] == 2
    });
    let listener = balancer.snapshot().listeners.remove(0);
    let counted: Vec<_> = listener.answers_total.iter().filter(|(_, count)| **count > 0).collect();
    assert_eq!(counted, [(&"bad-request".to_owned(), &1), (&"server-closed".to_owned(), &1)]);
    assert_eq!((listener.responses_total["4xx"], listener.responses_total["5xx"]), (1, 1));
    // What was not understood has no time from its head.
    assert_eq!(count(&listener.latency), 1);
    assert_eq!(count(&balancer.server("s0").first_byte), 0);
}

#[test]
fn a_tunnel_counts_its_bytes_and_leaves_the_latency_alone() {
    let server = ToyServer::start(|mut connection: Connection| {
        connection.read_head().unwrap();
        connection
            .write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
            .unwrap();
        let bytes = connection.read_to_end().unwrap();
        connection.write(bytes).unwrap();
    });
    let mut balancer = common::before(&server);
    let mut client = balancer.client();
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    client.send(request).unwrap();
    assert_eq!(client.response_to_head().unwrap().status, 101);
    client.send("hello").unwrap();
    client.finish().unwrap();
    assert_eq!(client.read_until_close().unwrap(), b"hello");
    balancer.wait_until(|snapshot| snapshot.listeners[0].responses_total["1xx"] == 1);
    let listener = balancer.snapshot().listeners.remove(0);
    assert_eq!(listener.bytes_in_total, request.len() as u64 + 5);
    assert!(listener.bytes_out_total > 5);
    assert_eq!(count(&listener.latency), 0);
    assert_eq!(count(&balancer.server("s0").first_byte), 1);
}

#[test]
fn a_tcp_connection_counts_its_bytes_at_its_end() {
    let server = ToyServer::start(|mut connection: Connection| {
        connection.read_to_end().unwrap();
        connection.write("four").unwrap();
    });
    let mut balancer = Balancer::start(&website(1, "mode = \"tcp\"", ""), &[server.address()]);
    let mut client = TcpStream::connect(balancer.address()).unwrap();
    client.write_all(b"seven77").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "four");
    balancer.wait_until(|snapshot| snapshot.listeners[0].bytes_in_total > 0);
    let listener = balancer.snapshot().listeners.remove(0);
    assert_eq!((listener.bytes_in_total, listener.bytes_out_total), (7, 4));
    let reasons: Vec<&str> = listener.answers_total.keys().map(String::as_str).collect();
    let possible = [
        "no-healthy-server",
        "no-route",
        "no-server",
        "queue-full",
        "queue-timeout",
        "server-handshake",
        "server-unverified",
    ];
    assert_eq!(reasons, possible);
    assert_eq!(listener.answers_total.values().sum::<u64>(), 0);
}

#[test]
fn a_tcp_connection_without_a_server_is_counted_by_its_reason() {
    let mut balancer = Balancer::start(&website(1, "mode = \"tcp\"", ""), &[free_address()]);
    let mut client = TcpStream::connect(balancer.address()).unwrap();
    assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
    balancer.wait_until(|snapshot| snapshot.listeners[0].answers_total["no-server"] == 1);
}
