//! Clients and servers that break the rules, by mistake or on purpose.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Balancer, before, received, website};
use evenkeel_testkit::{Connection, ToyServer};

fn server() -> ToyServer {
    ToyServer::named("server")
}

/// The status, reason code and `Connection` of the answer to these bytes, which must end the connection.
fn refused(balancer: &Balancer, bytes: &str) -> (u16, String) {
    let mut client = balancer.client();
    client.send(bytes).unwrap();
    let answer = client.response().unwrap();
    assert_eq!(answer.header("connection"), Some("close"), "{bytes:?}");
    assert!(client.closed_silently(), "something follows the answer to {bytes:?}");
    (answer.status, answer.header("evenkeel-reason").unwrap_or("none").to_owned())
}

/// Every row of the table of request smuggling: refused with 400, closed, and nothing reaches the server.
#[test]
fn ambiguous_requests_are_refused_and_never_forwarded() {
    let server = server();
    let balancer = before(&server);
    for (lines, code) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "bad-framing"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "bad-framing"),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", "bad-framing"),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", "bad-framing"),
        ("Content-Length: 5, 5\r\n", "bad-framing"),
        ("Content-Length: +5\r\n", "bad-framing"),
        ("Content-Length: \r\n", "bad-framing"),
        ("Content-Length: 18446744073709551616\r\n", "bad-framing"),
        ("Transfer-Encoding: xchunked\r\n", "bad-framing"),
        ("Transfer-Encoding: chunked, chunked\r\n", "bad-framing"),
        ("Transfer-Encoding:\tchunked\r\nTransfer-Encoding: identity\r\n", "bad-framing"),
        ("Transfer-Encoding : chunked\r\n", "bad-request"),
        ("X: a\r\n folded\r\n", "bad-request"),
        ("X: bare\rreturn\r\n", "bad-request"),
        ("X: nul\0byte\r\n", "bad-request"),
        ("X: bare line feed\n", "bad-line-end"),
        ("Host: other\r\n", "bad-host"),
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\nhello");
        assert_eq!(refused(&balancer, &request), (400, code.into()), "{lines:?}");
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(refused(&balancer, old), (400, "bad-framing".into()));
    assert_eq!(server.connections(), 0, "something reached the server");
}

#[test]
fn broken_chunks_are_refused_as_far_as_they_are_seen() {
    let server = server();
    let balancer = before(&server);
    for body in [
        "5\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "0\r\nContent-Length: 5\r\n\r\n",
        "0\r\nX: a\n\r\n",
        "ffffffffffffffff1\r\n",
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        assert_eq!(refused(&balancer, &request), (400, "bad-chunk".into()), "{body:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_chunk_that_breaks_later_ends_both_connections() {
    let server = ToyServer::start(|mut connection: Connection| {
        let _ = connection.read_to_end();
    });
    let balancer = before(&server);
    let mut client = balancer.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").unwrap();
    received(&server, "5\r\nhello\r\n");
    client.send("x\r\nGET /smuggled HTTP/1.1\r\n\r\n").unwrap();
    let answer = client.response().unwrap();
    assert_eq!((answer.status, answer.header("evenkeel-reason")), (400, Some("bad-chunk")));
    assert!(!String::from_utf8_lossy(&server.received().concat()).contains("smuggled"));
}

#[test]
fn what_is_not_for_us_has_its_own_answer() {
    let server = server();
    let balancer = before(&server);
    for (bytes, status, code) in [
        ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501, "connect-refused"),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, "unknown-version"),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "unknown-version"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            501,
            "unknown-transfer-coding",
        ),
        ("\u{16}\u{3}\u{1}\u{2}", 400, "bad-request"),
        ("GET / HTTP/1.1\r\n\r\n", 400, "bad-host"),
        ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-host"),
        ("GET /\u{e4} HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request"),
    ] {
        assert_eq!(refused(&balancer, bytes), (status, code.into()), "{bytes:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn limits_have_the_answers_that_clients_know() {
    let server = server();
    let limits = "max-head-size = \"2KiB\"\nmax-target-size = \"1KiB\"\nmax-headers = 10";
    let balancer = Balancer::start(&website(1, limits, ""), &[server.address()]);
    let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(1024));
    assert_eq!(refused(&balancer, &target), (414, "target-too-long".into()));
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(2048));
    assert_eq!(refused(&balancer, &head), (431, "head-too-large".into()));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(10));
    assert_eq!(refused(&balancer, &many), (431, "too-many-headers".into()));
    let endless = format!("GET /{}", "x".repeat(70_000));
    assert_eq!(refused(&balancer, &endless).0, 414);
}

#[test]
fn a_head_that_does_not_come_to_an_end_is_given_up() {
    let server = server();
    let mut balancer = Balancer::start(&website(1, "header-timeout = \"50ms\"", ""), &[server.address()]);
    let mut slow = balancer.client();
    slow.send("GET / HTTP/1.1\r\nHost: a\r\n").unwrap();
    let answer = slow.response().unwrap();
    assert_eq!((answer.status, answer.header("evenkeel-reason")), (408, Some("header-timeout")));
    assert!(slow.closed_silently());
    // A client that never said anything is not answered either, but counted.
    let mut silent = balancer.client();
    assert!(silent.closed_silently());
    balancer.wait_until(|snapshot| snapshot.listeners[0].silent_total == 1);
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let server = server();
    let balancer = Balancer::start(&website(1, "idle-timeout = \"50ms\"", ""), &[server.address()]);
    let mut client = balancer.client();
    assert_eq!(client.get("/").unwrap().text(), "server");
    assert!(client.closed_silently());
}

#[test]
fn a_body_that_stalls_is_given_up() {
    let server = ToyServer::start(|mut connection: Connection| {
        let _ = connection.read_to_end();
    });
    let balancer = Balancer::start(&website(1, "idle-timeout = \"50ms\"", ""), &[server.address()]);
    let mut client = balancer.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell").unwrap();
    let answer = client.response().unwrap();
    assert_eq!((answer.status, answer.header("evenkeel-reason")), (408, Some("body-too-slow")));
}

#[test]
fn underscore_fields_can_be_refused() {
    let server = server();
    let balancer = Balancer::start(&website(1, "underscore-headers = \"refuse\"", ""), &[server.address()]);
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX_User: root\r\n\r\n";
    assert_eq!(refused(&balancer, request), (400, "underscore-header".into()));
}

#[test]
fn responses_that_cannot_be_understood_become_502() {
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "\r\n\r\n",
    ] {
        let server = ToyServer::start(move |mut connection: Connection| {
            let _ = connection.read_head();
            let _ = connection.write(response);
            let _ = connection.read_to_end();
        });
        let balancer = before(&server);
        let answer = balancer.client().get("/").unwrap();
        assert_eq!(
            (answer.status, answer.header("evenkeel-reason")),
            (502, Some("bad-response")),
            "{response:?}"
        );
    }
}

#[test]
fn endless_interim_responses_are_cut_off() {
    let server = ToyServer::start(|mut connection: Connection| {
        let _ = connection.read_head();
        while connection.write("HTTP/1.1 103 Early Hints\r\n\r\n").is_ok() {}
    });
    let balancer = before(&server);
    let answer = balancer.client().get("/").unwrap();
    assert_eq!(answer.status, 502);
}

#[test]
fn bytes_behind_a_response_are_never_taken_for_the_next_one() {
    let server = ToyServer::start(|mut connection: Connection| {
        while connection.read_head().is_ok() {
            let poisoned = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
            let _ = connection.write(poisoned);
        }
    });
    let balancer = before(&server);
    let mut client = balancer.client();
    for _ in 0..3 {
        assert_eq!(client.get("/").unwrap().text(), "ok");
    }
    assert_eq!(server.connections(), 3);
}

#[test]
fn a_response_that_breaks_off_is_not_made_to_look_whole() {
    let counted = ToyServer::start(|mut connection: Connection| {
        let _ = connection.read_head();
        let _ = connection.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    });
    let balancer = before(&counted);
    assert!(balancer.client().get("/").is_err());
    let until_close = ToyServer::start(|mut connection: Connection| {
        let _ = connection.read_head();
        let _ = connection.write("HTTP/1.1 200 OK\r\n\r\nhello");
        connection.reset();
    });
    let balancer = before(&until_close);
    let mut client = balancer.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert!(client.read_until_close().is_err(), "a reset must be told on");
}

#[test]
fn a_silent_server_is_given_up_with_504() {
    let server = ToyServer::start(|mut connection: Connection| {
        let _ = connection.read_to_end();
    });
    let balancer = Balancer::start(&website(1, "", "response-timeout = \"50ms\""), &[server.address()]);
    let answer = balancer.client().get("/").unwrap();
    assert_eq!((answer.status, answer.header("evenkeel-reason")), (504, Some("response-timeout")));
}
