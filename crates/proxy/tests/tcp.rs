//! TCP mode: bytes both ways, whatever they are.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use common::Balancer;
use evenkeel_testkit::{BOUND, Connection, ToyServer, free_address};

fn config(servers: usize, listener: &str) -> String {
    common::website(servers, &format!("mode = \"tcp\"\n{listener}"), "")
}

/// A server that reads to the end and then sends everything back.
fn reverser() -> ToyServer {
    ToyServer::start(|mut connection: Connection| {
        let bytes = connection.read_to_end().unwrap();
        connection.write(bytes).unwrap();
    })
}

#[test]
fn the_end_of_one_direction_leaves_the_other_open() {
    let server = reverser();
    let balancer = Balancer::start(&config(1, ""), &[server.address()]);
    let mut client = TcpStream::connect(balancer.address()).unwrap();
    client.set_read_timeout(Some(BOUND)).unwrap();
    client.write_all(b"hello").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
}

#[test]
fn the_server_may_speak_first() {
    let server = ToyServer::start(|mut connection: Connection| {
        connection.write("220 ready\r\n").unwrap();
        let _ = connection.read_to_end();
    });
    let balancer = Balancer::start(&config(1, ""), &[server.address()]);
    let mut client = TcpStream::connect(balancer.address()).unwrap();
    client.set_read_timeout(Some(BOUND)).unwrap();
    let mut greeting = [0; 11];
    client.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"220 ready\r\n");
}

#[test]
fn many_bytes_pass_unchanged_both_ways_at_once() {
    const LENGTH: usize = 20_000_000;
    let pattern = |index: usize| u8::try_from(index % 251).unwrap();
    let server = ToyServer::start(|mut connection: Connection| {
        loop {
            let bytes = connection.read_some().unwrap();
            if bytes.is_empty() || connection.write(bytes).is_err() {
                return;
            }
        }
    });
    let balancer = Balancer::start(&config(1, ""), &[server.address()]);
    let mut client = TcpStream::connect(balancer.address()).unwrap();
    client.set_read_timeout(Some(BOUND)).unwrap();
    let mut writer = client.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        let bytes: Vec<u8> = (0..LENGTH).map(pattern).collect();
        writer.write_all(&bytes).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    client.read_to_end(&mut back).unwrap();
    sender.join().unwrap();
    assert_eq!(back.len(), LENGTH);
    assert!(back.iter().enumerate().all(|(index, &byte)| byte == pattern(index)));
}

#[test]
fn a_server_that_refuses_is_skipped() {
    let server = reverser();
    let mut balancer = Balancer::start(&config(2, ""), &[free_address(), server.address()]);
    for _ in 0..4 {
        let mut client = TcpStream::connect(balancer.address()).unwrap();
        client.write_all(b"x").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut back = Vec::new();
        client.read_to_end(&mut back).unwrap();
        assert_eq!(back, b"x");
    }
    assert_eq!(balancer.server("s1").total, 4);
}

#[test]
fn a_source_without_route_is_reset() {
    let server = reverser();
    let config = "[listener.db]\nmode = \"tcp\"\nbind = \"${BIND}\"\n\
        [[listener.db.route]]\nsource = \"192.0.2.0/24\"\npool = \"db\"\n[pool.db.servers]\ns = \"${S0}\"\n";
    let balancer = Balancer::start(config, &[server.address()]);
    let mut client = TcpStream::connect(balancer.address()).unwrap();
    client.set_read_timeout(Some(BOUND)).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_silent_connection_is_cut_after_the_idle_timeout() {
    let server = reverser();
    let mut balancer = Balancer::start(&config(1, "idle-timeout = \"50ms\""), &[server.address()]);
    let mut client = TcpStream::connect(balancer.address()).unwrap();
    client.set_read_timeout(Some(BOUND)).unwrap();
    assert!(client.read(&mut [0]).is_err());
    balancer.wait_until(|snapshot| snapshot.connections == 0);
}

#[test]
fn a_reset_is_passed_on() {
    let server = ToyServer::start(|mut connection: Connection| {
        connection.read_exact(1).unwrap();
        connection.reset();
    });
    let balancer = Balancer::start(&config(1, ""), &[server.address()]);
    let mut client = TcpStream::connect(balancer.address()).unwrap();
    client.set_read_timeout(Some(BOUND)).unwrap();
    client.write_all(b"x").unwrap();
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

const HELLO: &[u8] = include_bytes!("../../http/src/tls_hello/vectors/openssl-tls13");

/// A hello of a real client, for a server of another name that is as long.
fn hello(name: &str) -> Vec<u8> {
    let at = HELLO.windows(15).position(|bytes| bytes == b"www.example.com").unwrap();
    let mut bytes = HELLO.to_vec();
    bytes[at..at + 15].copy_from_slice(name.as_bytes());
    bytes
}

/// Sends these pieces on a connection of its own, and says what came back.
fn exchange(balancer: &Balancer, pieces: &[&[u8]]) -> Vec<u8> {
    let mut client = TcpStream::connect(balancer.address()).unwrap();
    client.set_nodelay(true).unwrap();
    client.set_read_timeout(Some(BOUND)).unwrap();
    for piece in pieces {
        client.write_all(piece).unwrap();
    }
    client.shutdown(Shutdown::Write).unwrap();
    let mut back = Vec::new();
    client.read_to_end(&mut back).unwrap();
    back
}

#[test]
fn the_name_in_a_tls_hello_decides_and_every_byte_reaches_the_server() {
    let servers: Vec<ToyServer> = (0..3).map(|_| reverser()).collect();
    let addresses: Vec<_> = servers.iter().map(ToyServer::address).collect();
    let config = common::website(3, "mode = \"tcp\"", "balance = { hash = \"sni\" }");
    let mut balancer = Balancer::start(&config, &addresses);
    let totals = |balancer: &mut Balancer| -> Vec<u64> {
        balancer.snapshot().pools[0].servers.iter().map(|server| server.total).collect()
    };
    let mut chosen = Vec::new();
    for number in 0..12 {
        let name = format!("www{number:02}example.co");
        let bytes = [&hello(&name)[..], b"and what follows"].concat();
        let before = totals(&mut balancer);
        for (case, pieces) in [
            (name.clone(), vec![&bytes[..]]),
            (name.clone(), bytes.chunks(100).collect()),
            (name.to_uppercase(), vec![&bytes[..]]),
        ] {
            let upper = [&hello(&case)[..], b"and what follows"].concat();
            let (pieces, sent) = if case == name { (pieces, &bytes) } else { (vec![&upper[..]], &upper) };
            assert_eq!(&exchange(&balancer, &pieces), sent, "{case}");
        }
        let after = totals(&mut balancer);
        let grown: Vec<u64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
        chosen.push(grown.iter().position(|&grown| grown == 3).expect("all three at one server"));
    }
    assert!((0..3).all(|server| chosen.contains(&server)), "{chosen:?}");
}

#[test]
fn a_client_without_a_name_takes_turns() {
    let servers: Vec<ToyServer> = (0..3).map(|_| reverser()).collect();
    let addresses: Vec<_> = servers.iter().map(ToyServer::address).collect();
    let config = common::website(3, "mode = \"tcp\"", "balance = { hash = \"sni\" }");
    let mut balancer = Balancer::start(&config, &addresses);
    // Something else than TLS, the beginning of a hello, and nothing at all: each ends at once, and is passed on.
    for bytes in [b"SSH-2.0-x\r\n", &HELLO[..100], b""] {
        assert_eq!(exchange(&balancer, &[bytes]), bytes);
    }
    assert!(balancer.snapshot().pools[0].servers.iter().all(|server| server.total == 1));
}
