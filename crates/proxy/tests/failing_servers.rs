//! Servers that die: what the client notices, and what is never sent twice.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Balancer, before, website};
use evenkeel_testkit::{Connection, HttpClient, ToyServer, free_address};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";

#[test]
fn a_server_that_refuses_is_skipped() {
    let good = ToyServer::named("good");
    let mut balancer =
        Balancer::start(&website(3, "", ""), &[free_address(), good.address(), free_address()]);
    let mut client = balancer.client();
    for _ in 0..6 {
        assert_eq!(client.get("/").unwrap().text(), "good");
    }
    client.send(POST).unwrap();
    assert_eq!(client.response().unwrap().status, 200);
    let dead = balancer.server("s0");
    assert!(dead.connect_failures_total > 0);
    assert!(dead.last_failure.unwrap().contains("refused"));
}

#[test]
fn without_any_server_the_answer_is_503_and_the_connection_goes_on() {
    let balancer = Balancer::start(&website(2, "", "retries = 1"), &[free_address(), free_address()]);
    let mut client = balancer.client();
    for _ in 0..2 {
        let answer = client.get("/").unwrap();
        assert_eq!((answer.status, answer.header("evenkeel-reason")), (503, Some("no-server")));
    }
    client.send(POST).unwrap();
    assert_eq!(client.response().unwrap().status, 503);
}

#[test]
fn a_server_of_weight_zero_takes_nothing() {
    let (a, b) = (ToyServer::named("a"), ToyServer::named("b"));
    let config = "[listener.web]\nbind = \"${BIND}\"\npool = \"web\"\n[pool.web.servers]\n\
        a = { address = \"${S0}\", weight = 0 }\nb = { address = \"${S1}\", weight = 3 }\n";
    let balancer = Balancer::start(config, &[a.address(), b.address()]);
    let mut client = balancer.client();
    for _ in 0..5 {
        assert_eq!(client.get("/").unwrap().text(), "b");
    }
}

/// A server whose first connection answers once and then ends as `end` says when the next request comes.
fn closes_after_one(end: fn(Connection)) -> ToyServer {
    ToyServer::start(move |mut connection: Connection| {
        if connection.index == 0 {
            connection.read_head().unwrap();
            connection.write(OK).unwrap();
            connection.read_head().unwrap();
            end(connection);
            return;
        }
        while connection.read_head().is_ok() {
            if connection.write(OK).is_err() {
                return;
            }
        }
    })
}

#[test]
fn a_used_connection_that_ends_is_replaced_without_notice() {
    for end in [drop as fn(Connection), Connection::reset] {
        let server = closes_after_one(end);
        let mut balancer = before(&server);
        let mut client = balancer.client();
        assert_eq!(client.get("/").unwrap().text(), "ok");
        assert_eq!(client.get("/").unwrap().text(), "ok");
        assert_eq!(server.connections(), 2);
        assert_eq!(balancer.server("s0").failures_total, 0, "an idle close is no failure of the server");
    }
}

#[test]
fn what_may_have_been_done_is_never_sent_again() {
    let server = closes_after_one(Connection::reset);
    let balancer = before(&server);
    let mut client = balancer.client();
    assert_eq!(client.get("/").unwrap().text(), "ok");
    client.send(POST).unwrap();
    let answer = client.response().unwrap();
    assert_eq!((answer.status, answer.header("evenkeel-reason")), (502, Some("server-closed")));
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_post_goes_over_a_new_connection_when_the_old_one_has_ended_before() {
    let server = ToyServer::start(|mut connection: Connection| {
        // One request a connection, ended in order, without having said so.
        connection.read_head().unwrap();
        connection.write(OK).unwrap();
    });
    let balancer = before(&server);
    let mut client = balancer.client();
    for _ in 0..50 {
        client.send(POST).unwrap();
        // The server's end of the connection may still be under way when the next request comes; then nobody can know
        // and 502 is right. What must never happen is a request sent twice.
        let status = client.response().unwrap().status;
        assert!(matches!(status, 200 | 502), "{status}");
    }
    assert!(server.connections() <= 50);
}

#[test]
fn an_idempotent_request_is_sent_to_another_server_when_one_dies_under_it() {
    let dying = ToyServer::start(|mut connection: Connection| {
        let _ = connection.read_head();
    });
    let good = ToyServer::named("good");
    let mut balancer = Balancer::start(&website(2, "", ""), &[dying.address(), good.address()]);
    let mut client = balancer.client();
    for _ in 0..4 {
        assert_eq!(client.get("/").unwrap().text(), "good");
    }
    assert!(balancer.server("s0").failures_total > 0);
}

#[test]
fn a_small_put_is_sent_again_with_its_body() {
    let tries = std::sync::Arc::new(AtomicUsize::new(0));
    let seen = tries.clone();
    let server = ToyServer::start(move |mut connection: Connection| {
        let _ = connection.read_head();
        let body = connection.read_exact(5).unwrap();
        if seen.fetch_add(1, Ordering::SeqCst) == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        let _ = connection.write(format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{text}"));
    });
    let balancer = before(&server);
    let mut client = balancer.client();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").unwrap();
    assert_eq!(client.response().unwrap().text(), "hello");
    assert_eq!(tries.load(Ordering::SeqCst), 2);
}

#[test]
fn tries_are_bounded() {
    let dying = ToyServer::start(|mut connection: Connection| {
        let _ = connection.read_head();
    });
    let balancer = Balancer::start(&website(1, "", "retries = 2"), &[dying.address()]);
    assert_eq!(balancer.client().get("/").unwrap().status, 502);
    assert_eq!(dying.connections(), 3);
}

#[test]
fn a_reload_under_a_request_leaves_it_alone_and_changes_the_next() {
    let (a, b) = (ToyServer::named("a"), ToyServer::named("b"));
    let mut balancer = Balancer::start(&website(1, "", ""), &[a.address(), b.address()]);
    let mut client = balancer.client();
    assert_eq!(client.get("/").unwrap().text(), "a");
    balancer.apply(&website(2, "", ""));
    let answers: Vec<String> = (0..4).map(|_| client.get("/").unwrap().text()).collect();
    assert!(answers.contains(&"a".into()) && answers.contains(&"b".into()), "{answers:?}");
    let snapshot = balancer.snapshot();
    assert_eq!(snapshot.listeners[0].connections_total, 1, "the listener's counters go on");
    assert_eq!(balancer.server("s0").total + balancer.server("s1").total, 5, "and the servers'");
}

#[test]
fn a_removed_listener_takes_nothing_more_and_lets_its_connections_end() {
    let server = ToyServer::named("a");
    let mut balancer = before(&server);
    let mut client = balancer.client();
    assert_eq!(client.get("/").unwrap().text(), "a");
    balancer.apply("[pool.web.servers]\ns0 = \"${S0}\"\n");
    assert!(client.closed_silently());
    assert!(HttpClient::connect(balancer.address()).is_err());
    balancer.apply(&website(1, "", ""));
    assert_eq!(balancer.client().get("/").unwrap().text(), "a");
}
