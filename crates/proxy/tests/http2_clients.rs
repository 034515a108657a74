//! Clients that speak HTTP/2, before servers of HTTP/1.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{Balancer, before, website};
use evenkeel_testkit::{BOUND, Connection, ToyServer};
use h2::client::{Builder, SendRequest};
use h2::ext::Protocol;
use h2::{Reason, RecvStream};
use http::{Method, Request, StatusCode};
use tokio::task::JoinHandle;

/// A connection, and what runs it.
struct Client {
    send: SendRequest<Bytes>,
    run: JoinHandle<Result<(), h2::Error>>,
}

async fn connect(address: SocketAddr, builder: &Builder) -> Client {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (send, connection) = builder.handshake(stream).await.unwrap();
    let run = tokio::spawn(connection);
    Client { send: send.ready().await.unwrap(), run }
}

/// Runs a test against its bound.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(BOUND, test).await }).expect("an end in time");
}

fn get(path: &str) -> Request<()> {
    Request::get(format!("http://a{path}")).body(()).unwrap()
}

/// The content, taken as it comes.
async fn content(body: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut all = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

#[test]
fn an_early_answer_is_whole_though_the_request_is_not() {
    let server = ToyServer::start(|mut connection: Connection| {
        connection.read_head().unwrap();
        let page = "x".repeat(5000);
        let _gone = connection.write(format!(
            "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 5000\r\n\r\n{page}"
        ));
        let _gone = connection.read_to_end();
    });
    let balancer = before(&server);
    run(async {
        // The answer has to wait for its window, and must not be lost when its request is given up meanwhile.
        let mut client = connect(balancer.address(), Builder::new().initial_window_size(100)).await;
        let request = Request::post("http://a/").body(()).unwrap();
        let (response, mut body) = client.send.send_request(request, false).unwrap();
        body.send_data(Bytes::from_static(b"some"), false).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert_eq!(content(&mut response.into_body()).await.unwrap().len(), 5000);
        let reset = poll_fn(|cx| body.poll_reset(cx)).await;
        assert_eq!(reset.unwrap(), Reason::NO_ERROR);
    });
}

#[test]
fn a_response_that_nobody_wants_any_more_ends_at_the_server() {
    let (ended, end) = mpsc::channel();
    let ended = std::sync::Mutex::new(ended);
    let server = ToyServer::start(move |mut connection: Connection| {
        connection.read_head().unwrap();
        connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").unwrap();
        // Nothing more is said: only a client that is seen to be gone ends this.
        let _cut = connection.read_to_end();
        ended.lock().unwrap().send(()).unwrap();
    });
    let balancer = before(&server);
    run(async {
        let mut client = connect(balancer.address(), &Builder::new()).await;
        let (response, mut request) = client.send.send_request(get("/"), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), "abc");
        request.send_reset(Reason::CANCEL);
        tokio::task::spawn_blocking(move || end.recv_timeout(BOUND)).await.unwrap().unwrap();
        // The connection is none the worse for it.
        let (again, _) = client.send.send_request(get("/"), true).unwrap();
        assert_eq!(again.await.unwrap().status(), StatusCode::OK);
    });
}

#[test]
fn a_page_is_no_websocket() {
    let server = ToyServer::named("page");
    let balancer = before(&server);
    run(async {
        let mut client = connect(balancer.address(), &Builder::new()).await;
        // The first response comes behind what the proxy says of itself.
        let (response, _) = client.send.send_request(get("/"), true).unwrap();
        assert_eq!(response.await.unwrap().status(), StatusCode::OK);
        assert!(client.send.is_extended_connect_protocol_enabled());
        let mut request = get("/chat");
        *request.method_mut() = Method::CONNECT;
        request.extensions_mut().insert(Protocol::from_static("websocket"));
        let (response, _stream) = client.send.send_request(request, false).unwrap();
        assert_eq!(response.await.unwrap().status(), StatusCode::BAD_GATEWAY);
    });
}

#[test]
fn what_http1_has_no_request_for_is_refused_and_counted() {
    let mut balancer = before(&ToyServer::named("never asked"));
    run(async {
        let mut client = connect(balancer.address(), &Builder::new()).await;
        let mut elsewhere = get("/");
        elsewhere.headers_mut().insert("host", "b".parse().unwrap());
        let (response, _) = client.send.send_request(elsewhere, true).unwrap();
        assert_eq!(response.await.unwrap().status(), StatusCode::BAD_REQUEST);
        let tunnel = Request::builder().method("CONNECT").uri("a:443").body(()).unwrap();
        let (response, _stream) = client.send.send_request(tunnel, false).unwrap();
        let response = response.await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers()["evenkeel-reason"].as_bytes()),
            (501, &b"connect-refused"[..])
        );
    });
    balancer.wait_until(|snapshot| snapshot.listeners[0].refused_total == 2);
}

#[test]
fn idle_connections_hear_of_the_end_after_other_changes() {
    let server = ToyServer::named("a");
    let mut balancer = before(&server);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let client = runtime.block_on(async {
        let mut client = connect(balancer.address(), &Builder::new()).await;
        let (response, _) = client.send.send_request(get("/"), true).unwrap();
        assert_eq!(response.await.unwrap().status(), StatusCode::OK);
        client
    });
    let mut http1 = balancer.client();
    assert_eq!(http1.get("/").unwrap().text(), "a");
    // Every change rings, and only the last ring is meant for them. A client of HTTP/1 is idle only when it has given its
    // buffers back, so changes come for longer than that takes.
    let end = Instant::now() + Duration::from_millis(250);
    while Instant::now() < end {
        balancer.apply(&website(1, "idle-timeout = \"50m\"", ""));
    }
    balancer.apply(&website(1, "idle-timeout = \"51m\"", ""));
    balancer.drain(BOUND);
    runtime.block_on(async {
        let ended = tokio::time::timeout(BOUND, client.run).await;
        ended.expect("an end in time").unwrap().unwrap();
    });
    assert!(http1.closed_silently());
    assert_eq!(balancer.drained(), 0);
}

#[test]
fn requests_of_one_connection_are_answered_beside_each_other() {
    let server = ToyServer::start(|mut connection: Connection| {
        while let Ok(head) = connection.read_head() {
            let length = head.len() % 7 + 1;
            let page = &"abcdefgh"[..length];
            connection.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{page}")).unwrap();
        }
    });
    let mut balancer = Balancer::start(&website(1, "", ""), &[server.address()]);
    run(async {
        let mut client = connect(balancer.address(), &Builder::new()).await;
        let waiting: Vec<_> =
            (0..100).map(|_| client.send.send_request(get("/same"), true).unwrap().0).collect();
        let mut pages = Vec::new();
        for response in waiting {
            pages.push(content(&mut response.await.unwrap().into_body()).await.unwrap());
        }
        assert!(pages.iter().all(|page| *page == pages[0] && !page.is_empty()));
    });
    assert_eq!(balancer.server("s0").total, 100);
}
