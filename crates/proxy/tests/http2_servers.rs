//! Servers that speak HTTP/2, behind a client of HTTP/1. What single frames do is in `http2_towards_servers`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::h2_server::{Call, H2Server, send};
use common::{Balancer, website};
use evenkeel_testkit::{BOUND, HttpClient, ToyServer, WebSocket, free_address};
use http::{HeaderMap, Response};
use tokio::sync::{Notify, Semaphore};

const H2: &str = "protocol = \"h2\"";

fn before(server: &H2Server) -> Balancer {
    Balancer::start(&website(1, "", H2), &[server.address()])
}

fn settings() -> h2::server::Builder {
    h2::server::Builder::new()
}

fn wait_for(what: impl Fn() -> bool) {
    let end = Instant::now() + BOUND;
    while !what() {
        assert!(Instant::now() < end, "never seen");
        std::thread::yield_now();
    }
}

#[test]
fn a_request_is_said_in_http2_and_its_response_in_http1() {
    let server = H2Server::start(settings(), |mut call: Call| async move {
        let content = call.content().await;
        let request = &call.request;
        let mut text = format!("{} {}\n", request.method(), request.uri());
        for (name, value) in request.headers() {
            text.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
        }
        text.push_str(&String::from_utf8(content).unwrap());
        let response = Response::builder().status(201).header("X-Seen", "yes").body(()).unwrap();
        call.answer(response, text).await;
    });
    let balancer = before(&server);
    let mut client = balancer.client();
    for _ in 0..2 {
        client
            .send(
                "POST /p?q HTTP/1.1\r\nHost: Example.com\r\nX-Odd-CASE: v\r\nConnection: keep-alive, x-mine\r\n\
                 X-Mine: 1\r\nContent-Length: 5\r\n\r\nhello",
            )
            .unwrap();
        let response = client.response().unwrap();
        assert_eq!(response.status_line, "HTTP/1.1 201 Created");
        assert_eq!(response.header("x-seen"), Some("yes"));
        assert_eq!(
            response.text(),
            "POST http://Example.com/p?q\nx-odd-case: v\ncontent-length: 5\nx-forwarded-for: 127.0.0.1\n\
             x-forwarded-proto: http\nx-forwarded-host: Example.com\nhello"
        );
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn where_no_content_may_be_the_connection_goes_on() {
    let server = H2Server::start(settings(), |call: Call| async move {
        let (status, length) = match call.request.uri().path() {
            "/none" => (204, None),
            "/unchanged" => (304, Some("5")),
            "/empty" => (200, None),
            _ => (200, Some("3")),
        };
        let mut response = Response::builder().status(status);
        if let Some(length) = length {
            response = response.header("content-length", length);
        }
        let content = if length == Some("3") && call.request.method() != "HEAD" { "abc" } else { "" };
        call.answer(response.body(()).unwrap(), content).await;
    });
    let balancer = before(&server);
    let mut client = balancer.client();
    assert_eq!(client.get("/none").unwrap().status, 204);
    assert_eq!(client.get("/unchanged").unwrap().header("content-length"), Some("5"));
    assert_eq!(client.get("/empty").unwrap().header("content-length"), Some("0"));
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(client.response_to_head().unwrap().header("content-length"), Some("3"));
    assert_eq!(client.get("/").unwrap().text(), "abc");
}

/// A server that sends every content back.
fn echo() -> H2Server {
    H2Server::start(settings(), |mut call: Call| async move {
        let mut sending = call.respond.send_response(Response::new(()), false).unwrap();
        while let Some(Ok(piece)) = call.request.body_mut().data().await {
            let length = piece.len();
            if !send(&mut sending, piece, false).await {
                return;
            }
            call.request.body_mut().flow_control().release_capacity(length).unwrap();
        }
        let trailers = call.request.body_mut().trailers().await.unwrap();
        // The other side may be gone by now.
        let _ = sending.send_trailers(trailers.unwrap_or_default());
    })
}

#[test]
fn long_content_goes_both_ways_at_once() {
    let server = echo();
    let balancer = before(&server);
    let mut client = balancer.client();
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    let mut writer = client.stream().try_clone().unwrap();
    let sent = content.clone();
    let thread = std::thread::spawn(move || {
        use std::io::Write;
        write!(writer, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", sent.len()).unwrap();
        writer.write_all(&sent).unwrap();
    });
    assert!(client.response().unwrap().body == content);
    thread.join().unwrap();
}

#[test]
fn trailers_go_both_ways() {
    let server = echo();
    let balancer = before(&server);
    let mut client = balancer.client();
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n")
        .unwrap();
    let response = client.response().unwrap();
    assert_eq!(response.text(), "abc");
    assert_eq!(response.trailers, [("x-sum".to_owned(), "1".to_owned())]);
}

/// A server that holds every answer until it is told, and says which connection each request came on.
fn holding(builder: &h2::server::Builder) -> (H2Server, Arc<AtomicUsize>, Arc<Semaphore>) {
    let (waiting, told) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (count, gate) = (waiting.clone(), told.clone());
    let server = H2Server::start(builder.clone(), move |call: Call| {
        let (count, gate) = (count.clone(), gate.clone());
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            gate.acquire().await.unwrap().forget();
            count.fetch_sub(1, Ordering::SeqCst);
            let text = call.connection.to_string();
            call.answer(Response::new(()), text).await;
        }
    });
    (server, waiting, told)
}

/// Sends so many requests at once, each on a connection of its own.
fn ask(balancer: &Balancer, count: usize) -> Vec<HttpClient> {
    let mut clients: Vec<HttpClient> = (0..count).map(|_| balancer.client()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    }
    clients
}

#[test]
fn a_hundred_requests_at_once_share_few_connections() {
    let (server, waiting, told) = holding(&settings());
    let balancer = before(&server);
    let clients = ask(&balancer, 100);
    wait_for(|| waiting.load(Ordering::SeqCst) == 100);
    told.add_permits(100);
    for mut client in clients {
        assert_eq!(client.response().unwrap().status, 200);
    }
    // Two workers.
    assert!(server.connections() <= 2, "{}", server.connections());
}

#[test]
fn no_connection_has_more_requests_than_its_server_allows() {
    let (server, waiting, told) = holding(settings().max_concurrent_streams(5));
    let balancer = Balancer::start_with_workers(&website(1, "", H2), &[server.address()], 1, 1000);
    let clients = ask(&balancer, 20);
    // h2 would refuse what is too much; it would come again on another connection, as a failure of the server.
    wait_for(|| waiting.load(Ordering::SeqCst) == 20);
    assert_eq!(server.connections(), 4);
    told.add_permits(20);
    let mut by_connection = [0; 4];
    for mut client in clients {
        by_connection[client.response().unwrap().text().parse::<usize>().unwrap()] += 1;
    }
    assert_eq!(by_connection, [5; 4]);
}

#[test]
fn a_response_that_is_reset_never_looks_whole() {
    let server = H2Server::start(settings(), |mut call: Call| async move {
        let mut sending = call.respond.send_response(Response::new(()), false).unwrap();
        sending.send_data(Bytes::from_static(b"part"), false).unwrap();
        // What was sent must arrive first.
        tokio::task::yield_now().await;
        let reason = if call.request.uri().path() == "/tidy" {
            h2::Reason::NO_ERROR
        } else {
            h2::Reason::INTERNAL_ERROR
        };
        sending.send_reset(reason);
    });
    let mut balancer =
        Balancer::start(&website(1, "", "protocol = \"h2\"\npassive = \"off\""), &[server.address()]);
    for path in ["/", "/tidy"] {
        assert!(balancer.client().get(path).is_err(), "{path}");
    }
    balancer.wait_until(|snapshot| snapshot.pools[0].servers[0].failures_total == 2);
}

#[test]
fn a_client_that_leaves_cancels_its_request_alone() {
    let (gone, seen) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (count, left) = (seen.clone(), gone.clone());
    let server = H2Server::start(settings(), move |mut call: Call| {
        let (count, left) = (count.clone(), left.clone());
        async move {
            if call.request.uri().path() == "/other" {
                left.notified().await;
                return call.answer(Response::new(()), "still here").await;
            }
            let reason = std::future::poll_fn(|cx| call.respond.poll_reset(cx)).await.unwrap();
            assert_eq!(reason, h2::Reason::CANCEL);
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let mut balancer = Balancer::start_with_workers(&website(1, "", H2), &[server.address()], 1, 100);
    let mut other = balancer.client();
    other.send("GET /other HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut client = balancer.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    balancer.wait_until(|snapshot| snapshot.pools[0].servers[0].running == 2);
    rustix::net::sockopt::set_socket_linger(client.stream(), Some(Duration::ZERO)).unwrap();
    drop(client);
    wait_for(|| seen.load(Ordering::SeqCst) == 1);
    gone.notify_one();
    assert_eq!(other.response().unwrap().text(), "still here");
    assert_eq!(server.connections(), 1);
}

#[test]
fn responses_that_nobody_reads_do_not_stop_others() {
    let server = H2Server::start(settings(), |mut call: Call| async move {
        if call.request.uri().path() == "/" {
            return call.answer(Response::new(()), "short").await;
        }
        let mut sending = call.respond.send_response(Response::new(()), false).unwrap();
        while send(&mut sending, Bytes::from_static(&[7; 100_000]), false).await {}
    });
    let balancer = Balancer::start_with_workers(&website(1, "", H2), &[server.address()], 1, 100);
    let mut lazy: Vec<HttpClient> = (0..30).map(|_| balancer.client()).collect();
    for client in &mut lazy {
        client.send("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        client.read_raw(1).unwrap();
    }
    let mut client = balancer.client();
    for _ in 0..5 {
        assert_eq!(client.get("/").unwrap().text(), "short");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_server_that_does_not_speak_http2_is_named() {
    let server = ToyServer::named("http1");
    let mut balancer =
        Balancer::start(&website(1, "", "protocol = \"h2\"\nretries = 0"), &[server.address()]);
    let response = balancer.client().get("/").unwrap();
    assert_eq!((response.status, response.header("evenkeel-reason")), (502, Some("bad-response")));
    let why = balancer.server("s0").last_failure.unwrap();
    assert!(why.starts_with("no HTTP/2 with 127.0.0.1:"), "{why}");
}

#[test]
fn connections_are_let_go_of_when_they_are_old_or_not_wanted_any_more() {
    let server = H2Server::named("hello");
    let mut balancer =
        Balancer::start(&website(1, "", "protocol = \"h2\"\nkeep-alive = \"50ms\""), &[server.address()]);
    assert_eq!(balancer.client().get("/").unwrap().text(), "hello");
    wait_for(|| server.ended() == 1);
    balancer.apply(&website(1, "", "protocol = \"h2\"\nkeep-alive = \"1h\""));
    assert_eq!(balancer.client().get("/").unwrap().text(), "hello");
    assert_eq!(balancer.server("s0").multiplexed, 1);
    balancer.apply(&website(1, "", ""));
    wait_for(|| server.ended() == 2);
}

#[test]
fn a_removed_server_finishes_what_it_is_doing() {
    let (server, waiting, told) = holding(&settings());
    let other = H2Server::named("other");
    let mut balancer =
        Balancer::start(&website(1, "", "protocol = \"h2\"\nkeep-alive = \"1h\""), &[server.address()]);
    let mut clients = ask(&balancer, 1);
    wait_for(|| waiting.load(Ordering::SeqCst) == 1);
    let moved = website(1, "", H2).replace("${S0}", &other.address().to_string());
    balancer.apply(&moved);
    assert_eq!(balancer.client().get("/").unwrap().text(), "other");
    assert_eq!(server.ended(), 0);
    told.add_permits(1);
    assert_eq!(clients[0].response().unwrap().text(), "0");
    wait_for(|| server.ended() == 1);
}

#[test]
fn websocket_is_carried_where_the_server_lets_it_through() {
    let server = H2Server::start(settings().enable_connect_protocol().clone(), |mut call: Call| async move {
        assert_eq!(call.request.method(), "CONNECT");
        assert_eq!(call.request.extensions().get::<h2::ext::Protocol>().unwrap().as_str(), "websocket");
        let mut sending = call.respond.send_response(Response::new(()), false).unwrap();
        // The client's frames are masked with a key of zero effect on the echo: they come back as they are.
        while let Some(Ok(piece)) = call.request.body_mut().data().await {
            let length = piece.len();
            send(&mut sending, unmasked(&piece), false).await;
            call.request.body_mut().flow_control().release_capacity(length).unwrap();
        }
        let _ = sending.send_data(Bytes::new(), true);
    });
    let balancer = before(&server);
    let mut socket = WebSocket::connect(balancer.address(), "/chat").unwrap();
    assert_eq!(socket.echo("hello").unwrap(), "hello");
    assert_eq!(socket.echo("again").unwrap(), "again");
    let plain = balancer.client().get("/");
    assert!(plain.is_err() || plain.unwrap().status != 101);
}

/// One short frame without its mask.
fn unmasked(frame: &[u8]) -> Bytes {
    let length = frame[1] & 0x7f;
    let (mask, text) = (&frame[2..6], &frame[6..6 + usize::from(length)]);
    let mut out = vec![frame[0], length];
    out.extend(text.iter().enumerate().map(|(place, byte)| byte ^ mask[place % 4]));
    out.into()
}

#[test]
fn websocket_is_refused_where_the_server_does_not() {
    let server = H2Server::named("hello");
    let balancer = before(&server);
    let mut client = balancer.client();
    client
        .send(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Key: abc\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        .unwrap();
    let response = client.response().unwrap();
    assert_eq!((response.status, response.header("evenkeel-reason")), (501, Some("upgrade-refused")));
    assert_eq!(client.get("/").unwrap().text(), "hello");
}

const CALL: &str = "POST /shop.Cart/Add HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nTE: trailers\r\n\
                    grpc-timeout: 5S\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n\0\0\0\0\0\r\n0\r\n\r\n";

#[test]
fn a_call_of_grpc_has_its_status_in_trailers_and_is_counted() {
    let server = H2Server::start(settings(), |mut call: Call| async move {
        assert_eq!(call.content().await, [0; 5]);
        let field = |name| call.request.headers().get(name).unwrap().to_str().unwrap();
        assert_eq!([field("te"), field("grpc-timeout")], ["trailers", "5S"]);
        let response = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        let mut sending = call.respond.send_response(response, false).unwrap();
        sending.send_data(Bytes::from_static(&[0; 5]), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "5".parse().unwrap());
        trailers.insert("grpc-message", "no such cart".parse().unwrap());
        sending.send_trailers(trailers).unwrap();
    });
    let mut balancer = before(&server);
    let mut client = balancer.client();
    client.send(CALL).unwrap();
    let response = client.response().unwrap();
    assert_eq!(response.body, [0; 5]);
    let trailer = |name: &str| response.trailers.iter().find(|(other, _)| other == name).unwrap().1.clone();
    assert_eq!([trailer("grpc-status"), trailer("grpc-message")], ["5", "no such cart"]);
    balancer.wait_until(|snapshot| {
        let calls = snapshot.pools[0].grpc_total.as_ref().unwrap();
        calls["NOT_FOUND"] == 1 && calls["OK"] == 0
    });
}

#[test]
fn a_call_that_we_answer_ourselves_gets_a_status_of_grpc() {
    let balancer = Balancer::start(&website(1, "", "protocol = \"h2\"\nretries = 0"), &[free_address()]);
    let mut client = balancer.client();
    client.send(CALL).unwrap();
    let response = client.response().unwrap();
    assert_eq!((response.status, response.header("grpc-status")), (200, Some("14")));
    assert_eq!(response.header("grpc-message"), Some("No server can take this request now."));
    assert_eq!(response.header("evenkeel-reason"), Some("no-server"));
}

/// What a health service says: how, and the number of its status.
fn health(number: u8) -> H2Server {
    H2Server::start(settings(), move |mut call: Call| async move {
        if call.request.uri().path() != "/grpc.health.v1.Health/Check" {
            return call.answer(Response::builder().status(503).body(()).unwrap(), "").await;
        }
        let known = call.content().await == b"\0\0\0\0\x0b\x0a\x09shop.Cart";
        let response = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        let mut sending = call.respond.send_response(response, false).unwrap();
        let status = if known { "0" } else { "5" };
        if known {
            sending.send_data(Bytes::copy_from_slice(&[0, 0, 0, 0, 2, 8, number]), false).unwrap();
        }
        sending
            .send_trailers(HeaderMap::from_iter([("grpc-status".parse().unwrap(), status.parse().unwrap())]))
            .unwrap();
    })
}

#[test]
fn the_health_service_of_grpc_decides() {
    let (well, ill) = (health(1), health(2));
    let checked = |service: &str| {
        let health = format!(
            "health = {{ grpc = \"{service}\", interval = \"20ms\", initial-state = \"down\", rise = 1 }}"
        );
        website(2, "", &format!("{H2}\npassive = \"off\"\n{health}"))
    };
    let mut balancer = Balancer::start(&checked("shop.Cart"), &[well.address(), ill.address()]);
    balancer.wait_until(|snapshot| {
        let [well, ill] = &snapshot.pools[0].servers[..] else { return false };
        let why = ill.why.as_deref().unwrap_or_default();
        well.state == "up" && ill.state == "down" && why.contains("its gRPC health service says NOT_SERVING")
    });
    balancer.apply(&checked("shop.Other"));
    balancer.wait_until(|snapshot| {
        let why = snapshot.pools[0].servers[0].why.as_deref().unwrap_or_default();
        why.contains("its gRPC health service answered NOT_FOUND")
    });
}

#[test]
fn a_check_over_http_speaks_what_the_pool_speaks() {
    let server = H2Server::start(settings(), |call: Call| async move {
        let status = if call.request.uri().path() == "/healthz" { 200 } else { 404 };
        call.answer(Response::builder().status(status).body(()).unwrap(), "ready").await;
    });
    let checked = |path: &str| {
        let health = format!(
            "health = {{ http = \"{path}\", body = \"ready\", interval = \"20ms\", initial-state = \"down\", rise = 1 }}"
        );
        website(1, "", &format!("{H2}\n{health}"))
    };
    let mut balancer = Balancer::start(&checked("/healthz"), &[server.address()]);
    balancer.wait_until(|snapshot| snapshot.pools[0].servers[0].state == "up");
    balancer.apply(&checked("/other"));
    balancer.wait_until(|snapshot| {
        snapshot.pools[0].servers[0]
            .why
            .as_deref()
            .unwrap_or_default()
            .contains("it answered 404 to GET /other")
    });
}
