//! Clients of an address that moves to another machine are asked to come again, and lose nothing by it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, mpsc};

use bytes::Bytes;
use common::Balancer;
use evenkeel_proxy::message::DepartingSnapshot;
use evenkeel_testkit::http2::{Http2, kind};
use evenkeel_testkit::{
    BOUND, Connection, HttpClient, ToyServer, WebSocket, free_address, free_port, websocket_echo,
};
use h2::client::SendRequest;
use http::{Request, StatusCode};
use tokio::task::JoinHandle;

const GOES: &str = "127.0.0.2";
const STAYS: &str = "127.0.0.3";

/// A balancer on all addresses of the machine, and where it is to be found under one of them.
fn on_all_addresses(listener: &str, server: &ToyServer) -> (Balancer, impl Fn(&str) -> SocketAddr) {
    let port = free_port();
    let config = format!(
        "[listener.web]\nbind = \"0.0.0.0:{port}\"\npool = \"web\"\n{listener}\n\
         [pool.web.servers]\ns0 = \"${{S0}}\"\n"
    );
    let mut balancer = Balancer::start(&config, &[server.address()]);
    balancer.departing(&[]);
    (balancer, move |address| SocketAddr::new(address.parse().unwrap(), port))
}

/// What is left, as (HTTP/1, HTTP/2, TCP, tunnels).
fn left(snapshot: &evenkeel_proxy::message::Snapshot) -> (u64, u64, u64, u64) {
    let left = &snapshot.departing;
    (left.http1, left.http2, left.tcp, left.tunnel)
}

fn is_told_to_close(client: &mut HttpClient) -> bool {
    let response = client.get("/").unwrap();
    assert_eq!(response.text(), "page");
    response.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
}

#[test]
fn the_next_response_closes_a_connection_to_the_address_that_goes_and_no_other() {
    let server = ToyServer::named("page");
    let (mut balancer, at) = on_all_addresses("", &server);
    let mut going = HttpClient::connect(at(GOES)).unwrap();
    let mut silent = HttpClient::connect(at(GOES)).unwrap();
    let mut staying = HttpClient::connect(at(STAYS)).unwrap();
    assert!(!is_told_to_close(&mut going) && !is_told_to_close(&mut staying));
    assert_eq!(balancer.snapshot().departing, DepartingSnapshot::default());
    balancer.departing(&[GOES]);
    balancer.wait_until(|snapshot| snapshot.connections == 3);
    let snapshot = balancer.snapshot();
    assert_eq!(
        snapshot.departing,
        DepartingSnapshot {
            addresses: vec![GOES.parse().unwrap()],
            http1: 2,
            ..DepartingSnapshot::default()
        }
    );
    assert!(is_told_to_close(&mut going));
    assert!(going.closed_silently());
    assert!(!is_told_to_close(&mut staying));
    // One that comes only now, and one that has said nothing so far, are answered as well.
    let mut late = HttpClient::connect(at(GOES)).unwrap();
    assert!(is_told_to_close(&mut late) && is_told_to_close(&mut silent));
    balancer.wait_until(|snapshot| left(snapshot) == (0, 0, 0, 0));
    assert!(!is_told_to_close(&mut staying));
}

#[test]
fn a_request_that_has_come_already_is_answered_before_the_connection_closes() {
    let server = ToyServer::named("page");
    let (mut balancer, at) = on_all_addresses("", &server);
    balancer.departing(&[GOES]);
    let mut client = HttpClient::connect(at(GOES)).unwrap();
    client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let answers = [client.response().unwrap(), client.response().unwrap()];
    assert_eq!(answers.each_ref().map(|answer| answer.header("connection")), [None, Some("close")]);
    assert!(answers.iter().all(|answer| answer.text() == "page") && client.closed_silently());
}

#[test]
fn an_answer_of_our_own_closes_as_well() {
    let port = free_port();
    let config = format!(
        "[listener.web]\nbind = \"0.0.0.0:{port}\"\npool = \"web\"\n[pool.web.servers]\ns0 = \"${{S0}}\"\n"
    );
    // Nobody listens there.
    let mut balancer = Balancer::start(&config, &[free_address()]);
    balancer.departing(&[]);
    let mut client = HttpClient::connect(SocketAddr::new(GOES.parse().unwrap(), port)).unwrap();
    let response = client.get("/").unwrap();
    assert_eq!((response.status, response.header("connection")), (503, None));
    balancer.departing(&[GOES]);
    let response = client.get("/").unwrap();
    assert_eq!((response.status, response.header("connection")), (503, Some("close")));
    assert!(client.closed_silently());
}

#[test]
fn a_connection_to_an_address_that_comes_back_goes_on() {
    let server = ToyServer::named("page");
    let (mut balancer, at) = on_all_addresses("", &server);
    let mut client = HttpClient::connect(at(GOES)).unwrap();
    assert!(!is_told_to_close(&mut client));
    balancer.departing(&[GOES, "2001:db8::1"]);
    balancer.departing(&["2001:db8::1"]);
    assert_eq!(left(&balancer.snapshot()), (0, 0, 0, 0));
    assert!(!is_told_to_close(&mut client));
    balancer.departing(&[]);
    assert_eq!(balancer.snapshot().departing, DepartingSnapshot::default());
    assert!(!is_told_to_close(&mut client));
}

#[test]
fn tunnels_and_tcp_go_on_and_are_counted() {
    let server = websocket_echo();
    let (mut balancer, at) = on_all_addresses("", &server);
    let mut socket = WebSocket::connect(at(GOES), "/ws").unwrap();
    let mut other = WebSocket::connect(at(STAYS), "/ws").unwrap();
    balancer.departing(&[GOES]);
    assert_eq!(left(&balancer.snapshot()), (0, 0, 0, 1));
    assert_eq!((socket.echo("on").unwrap(), other.echo("and on").unwrap()), ("on".into(), "and on".into()));
    drop(socket);
    balancer.wait_until(|snapshot| left(snapshot) == (0, 0, 0, 0));
    assert_eq!(other.echo("still").unwrap(), "still");

    let echo = ToyServer::start(|mut connection: Connection| {
        while let Ok(bytes) = connection.read_some() {
            if bytes.is_empty() || connection.write(bytes).is_err() {
                return;
            }
        }
    });
    let (mut balancer, at) = on_all_addresses("mode = \"tcp\"", &echo);
    let mut client = TcpStream::connect(at(GOES)).unwrap();
    client.set_read_timeout(Some(BOUND)).unwrap();
    let mut echoes = |text: &[u8; 4]| {
        let mut back = [0; 4];
        client.write_all(text).unwrap();
        client.read_exact(&mut back).unwrap();
        back == *text
    };
    assert!(echoes(b"ping"));
    balancer.departing(&[GOES]);
    assert_eq!(left(&balancer.snapshot()), (0, 0, 1, 0));
    assert!(echoes(b"pong"));
}

/// A connection of HTTP/2, and what runs it.
struct Client {
    send: SendRequest<Bytes>,
    run: JoinHandle<Result<(), h2::Error>>,
}

async fn connect(address: SocketAddr) -> Client {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    let run = tokio::spawn(connection);
    Client { send: send.ready().await.unwrap(), run }
}

impl Client {
    async fn begin(&mut self) -> h2::RecvStream {
        let request = Request::get("http://a/").body(()).unwrap();
        let (response, _) = self.send.send_request(request, true).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body()
    }
}

async fn rest(mut body: h2::RecvStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(piece) = body.data().await {
        all.extend_from_slice(&piece.unwrap());
    }
    all
}

#[test]
fn http2_ends_with_its_last_stream_and_that_one_is_whole() {
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let server = ToyServer::start(move |mut connection: Connection| {
        while connection.read_head().is_ok() {
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf").unwrap();
            wait.lock().unwrap().recv_timeout(BOUND).unwrap();
            connection.write("done").unwrap();
        }
    });
    let (mut balancer, at) = on_all_addresses("", &server);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (mut going, mut idle, mut staying) = runtime.block_on(async {
        let bound = tokio::time::timeout(BOUND, async {
            let mut idle = connect(at(GOES)).await;
            let body = idle.begin().await;
            go_on.send(()).unwrap();
            assert_eq!(rest(body).await, b"halfdone");
            (connect(at(GOES)).await, idle, connect(at(STAYS)).await)
        });
        bound.await.unwrap()
    });
    let (under_way, other) = runtime.block_on(async { (going.begin().await, staying.begin().await) });
    balancer.wait_until(|snapshot| snapshot.connections == 3);
    balancer.departing(&[GOES]);
    // The idle one has nothing to wait for.
    runtime.block_on(async { tokio::time::timeout(BOUND, &mut idle.run).await.unwrap().unwrap().unwrap() });
    balancer.wait_until(|snapshot| left(snapshot) == (0, 1, 0, 0));
    runtime.block_on(async {
        let bound = tokio::time::timeout(BOUND, async {
            // Nobody has been told to go on so far; both end whole.
            go_on.send(()).unwrap();
            go_on.send(()).unwrap();
            assert_eq!(rest(under_way).await, b"halfdone");
            assert_eq!(rest(other).await, b"halfdone");
            going.run.await.unwrap().unwrap();
            go_on.send(()).unwrap();
            assert_eq!(rest(staying.begin().await).await, b"halfdone");
            // Whoever comes only now gets an answer before it is sent away.
            let mut late = connect(at(GOES)).await;
            go_on.send(()).unwrap();
            assert_eq!(rest(late.begin().await).await, b"halfdone");
            late.run.await.unwrap().unwrap();
        });
        bound.await.unwrap();
    });
    balancer.wait_until(|snapshot| left(snapshot) == (0, 0, 0, 0) && snapshot.connections == 1);
}

#[test]
fn connections_that_depart_still_hear_of_the_end() {
    let server = ToyServer::named("page");
    let (mut balancer, at) = on_all_addresses("idle-timeout = \"50m\"", &server);
    let mut http1 = HttpClient::connect(at(GOES)).unwrap();
    assert!(!is_told_to_close(&mut http1));
    // A client that never confirms what it is told.
    let mut http2 = Http2::connect(at(GOES)).unwrap();
    http2.greet(&[]).unwrap();
    balancer.departing(&[GOES]);
    assert!(http2.wait_for(kind::GOAWAY).unwrap().is_some());
    balancer.drain(BOUND);
    assert!(http1.closed_silently());
    assert_eq!(balancer.drained(), 0);
}
