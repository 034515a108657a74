//! Calls of gRPC, HTTP/2 on both sides.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use common::h2_server::{Call, H2Server, send};
use common::{Balancer, website};
use evenkeel_testkit::BOUND;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::sync::Notify;

/// One message, wrapped as gRPC does it.
fn message(text: &str) -> Bytes {
    let mut wrapped = vec![0];
    wrapped.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
    wrapped.extend(text.as_bytes());
    wrapped.into()
}

fn status(number: &str) -> HeaderMap {
    HeaderMap::from_iter([("grpc-status".parse().unwrap(), number.parse().unwrap())])
}

fn grpc() -> Response<()> {
    Response::builder().header("content-type", "application/grpc").body(()).unwrap()
}

/// Does something with a connection of HTTP/2 to the balancer.
fn with_client<F: Future<Output = ()>>(balancer: &Balancer, work: impl FnOnce(SendRequest<Bytes>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(balancer.address()).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        tokio::time::timeout(BOUND, work(sender)).await.expect("in time");
    });
}

/// Begins a call.
async fn call(sender: &SendRequest<Bytes>, path: &str) -> (h2::client::ResponseFuture, SendStream<Bytes>) {
    let request = Request::post(format!("http://shop.example{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let mut sender = sender.clone().ready().await.unwrap();
    sender.send_request(request, false).unwrap()
}

/// The next so many bytes of content.
async fn read(body: &mut RecvStream, length: usize) -> Vec<u8> {
    let mut content = Vec::new();
    while content.len() < length {
        let piece = body.data().await.unwrap().unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        content.extend_from_slice(&piece);
    }
    content
}

/// Sends every message back as it comes, and the status OK at the end.
fn echo() -> H2Server {
    H2Server::start(h2::server::Builder::new(), |mut call: Call| async move {
        assert_eq!(call.request.headers()["te"], "trailers");
        let mut sending = call.respond.send_response(grpc(), false).unwrap();
        while let Some(Ok(piece)) = call.request.body_mut().data().await {
            call.request.body_mut().flow_control().release_capacity(piece.len()).unwrap();
            send(&mut sending, piece, false).await;
        }
        sending.send_trailers(status("0")).unwrap();
    })
}

#[test]
fn messages_stream_both_ways_while_the_call_is_open() {
    let server = echo();
    let mut balancer = Balancer::start(&website(1, "", "protocol = \"h2\""), &[server.address()]);
    with_client(&balancer, |sender| async move {
        let (response, mut sending) = call(&sender, "/shop.Cart/Watch").await;
        sending.send_data(message("first"), false).unwrap();
        let mut body = response.await.unwrap().into_body();
        assert_eq!(read(&mut body, 10).await, message("first"));
        // The answer to each comes before the next is sent.
        for text in ["second", "the third one"] {
            sending.send_data(message(text), false).unwrap();
            assert_eq!(read(&mut body, text.len() + 5).await, message(text));
        }
        sending.send_data(Bytes::new(), true).unwrap();
        assert!(body.data().await.is_none());
        assert_eq!(body.trailers().await.unwrap().unwrap()["grpc-status"], "0");
    });
    balancer.wait_until(|snapshot| snapshot.pools[0].grpc_total.as_ref().unwrap()["OK"] == 1);
}

#[test]
fn many_calls_on_one_connection_go_on_beside_each_other() {
    let server = echo();
    let balancer =
        Balancer::start_with_workers(&website(1, "", "protocol = \"h2\""), &[server.address()], 1, 100);
    with_client(&balancer, |sender| async move {
        let mut calls = Vec::new();
        for n in 0..100 {
            let (response, mut sending) = call(&sender, "/shop.Cart/Add").await;
            sending.send_data(message(&n.to_string()), true).unwrap();
            calls.push((n, response));
        }
        for (n, response) in calls.into_iter().rev() {
            let mut body = response.await.unwrap().into_body();
            let expected = message(&n.to_string());
            assert_eq!(read(&mut body, expected.len()).await, expected);
        }
    });
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_call_that_is_cancelled_is_cancelled_at_the_server() {
    let cancelled = Arc::new(Notify::new());
    let told = cancelled.clone();
    let server = H2Server::start(h2::server::Builder::new(), move |mut call: Call| {
        let told = told.clone();
        async move {
            let mut sending = call.respond.send_response(grpc(), false).unwrap();
            sending.send_data(message("begun"), false).unwrap();
            assert_eq!(poll_fn(|cx| sending.poll_reset(cx)).await.unwrap(), h2::Reason::CANCEL);
            told.notify_one();
        }
    });
    let balancer = Balancer::start(&website(1, "", "protocol = \"h2\""), &[server.address()]);
    with_client(&balancer, |sender| async move {
        let (response, mut sending) = call(&sender, "/shop.Cart/Watch").await;
        let mut body = response.await.unwrap().into_body();
        read(&mut body, 10).await;
        sending.send_reset(h2::Reason::CANCEL);
        cancelled.notified().await;
    });
}

#[test]
fn a_call_without_a_server_ends_with_its_head() {
    let balancer = Balancer::start(
        &website(1, "", "protocol = \"h2\"\nretries = 0"),
        &[evenkeel_testkit::free_address()],
    );
    with_client(&balancer, |sender| async move {
        let (response, mut sending) = call(&sender, "/shop.Cart/Add").await;
        sending.send_data(message("x"), true).unwrap();
        let response = response.await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["grpc-status"]),
            (200, &"14".parse().unwrap())
        );
        assert!(response.into_body().data().await.is_none());
    });
}
