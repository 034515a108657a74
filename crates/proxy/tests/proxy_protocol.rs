//! The PROXY protocol from proxies in front.

mod common;

use common::{Balancer, received, website};
use evenkeel_testkit::{BOUND, HttpClient, ToyServer};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

fn behind(server: &ToyServer, proxy: &str) -> Balancer {
    Balancer::start(&website(1, &format!("proxy-protocol = {proxy}"), ""), &[server.address()])
}

fn v2(command: u8, source: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([command, 0x11, 0, 12]);
    header.extend(source);
    header.extend([127, 0, 0, 1, 1, 0, 0, 80]);
    header
}

#[test]
fn the_client_that_a_proxy_names_is_the_client() {
    let v1 = b"PROXY TCP4 192.0.2.7 127.0.0.1 1000 80\r\n".to_vec();
    for (header, address) in
        [(v1, "192.0.2.7"), (v2(0x21, [192, 0, 2, 9]), "192.0.2.9"), (v2(0x20, [0; 4]), "127.0.0.1")]
    {
        let server = ToyServer::named("a");
        let balancer = behind(&server, "{ from = \"127.0.0.0/8\" }");
        let answer = balancer.raw([header.as_slice(), REQUEST.as_bytes()].concat());
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let got = received(&server, "\r\n\r\n");
        assert!(got.contains(&format!("\r\nX-Forwarded-For: {address}\r\n")), "{got}");
    }
}

#[test]
fn a_header_may_come_in_pieces() {
    let server = ToyServer::named("a");
    let balancer = behind(&server, "{ from = \"127.0.0.1\" }");
    let mut client = balancer.client();
    for piece in [v2(0x21, [192, 0, 2, 9]).as_slice(), REQUEST.as_bytes()].concat().chunks(1) {
        client.send(piece).unwrap();
    }
    assert_eq!(client.response().unwrap().status, 200);
    assert!(received(&server, "\r\n\r\n").contains("\r\nX-Forwarded-For: 192.0.2.9\r\n"));
}

#[test]
fn without_a_header_only_an_optional_one_lets_in() {
    let server = ToyServer::named("a");
    let mut required = behind(&server, "{ from = \"127.0.0.1\" }");
    let refused = |balancer: &Balancer, bytes: &[u8]| {
        let mut client = HttpClient::connect(balancer.address()).unwrap();
        let _reset = client.send(bytes);
        client.read_until_close().map_or(true, |bytes| bytes.is_empty())
    };
    assert!(refused(&required, REQUEST.as_bytes()));
    assert!(refused(&required, b"PROXY TCP4 nonsense\r\n"));
    required.wait_until(|snapshot| snapshot.listeners[0].proxy_headers_refused_total == 2);
    let optional = behind(&server, "{ from = \"127.0.0.1\", mode = \"optional\" }");
    assert!(optional.raw(REQUEST).starts_with("HTTP/1.1 200 "));
    assert!(refused(&optional, b"PROXY TCP4 nonsense\r\n"));
}

#[test]
fn nobody_else_speaks_for_others() {
    let server = ToyServer::named("a");
    let balancer = behind(&server, "{ from = \"192.0.2.0/24\" }");
    assert!(balancer.raw(REQUEST).starts_with("HTTP/1.1 200 "));
    let forged = balancer.raw(format!("PROXY TCP4 192.0.2.7 127.0.0.1 1000 80\r\n{REQUEST}"));
    assert!(forged.starts_with("HTTP/1.1 400 "), "{forged}");
    server.wait_until(|all| !all.is_empty(), BOUND);
    assert!(!String::from_utf8(server.received().concat()).unwrap().contains("192.0.2.7"));
}
