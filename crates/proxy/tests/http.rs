//! HTTP/1.1 through a balancer, as clients and servers see it.

mod common;

use std::time::Duration;

use common::{Balancer, before, received, website};
use evenkeel_testkit::{BOUND, Connection, ToyServer, WebSocket, websocket_echo};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A server that answers each request head with these bytes and keeps the connection.
fn answering(response: &'static str) -> ToyServer {
    ToyServer::start(
        move |mut connection: Connection| {
            while connection.read_head().is_ok() && connection.write(response).is_ok() {}
        },
    )
}

#[test]
fn requests_take_turns_over_the_servers() {
    let (a, b) = (ToyServer::named("a"), ToyServer::named("b"));
    let balancer = Balancer::start(&website(2, "", ""), &[a.address(), b.address()]);
    let mut client = balancer.client();
    let answers: Vec<String> = (0..4).map(|_| client.get("/").unwrap().text()).collect();
    assert_eq!(answers, ["a", "b", "a", "b"]);
    let others: Vec<String> = (0..4).map(|_| balancer.client().get("/").unwrap().text()).collect();
    assert_eq!(others, ["a", "b", "a", "b"]);
}

#[test]
fn both_connections_are_used_again() {
    let server = ToyServer::named("a");
    let mut balancer = before(&server);
    let mut client = balancer.client();
    for _ in 0..10 {
        assert_eq!(client.get("/").unwrap().text(), "a");
    }
    assert_eq!(server.connections(), 1);
    assert_eq!(balancer.server("s0").reused_total, 9);
    assert_eq!(balancer.server("s0").opened_total, 1);
}

#[test]
fn another_workers_idle_connection_is_taken_before_a_new_one_is_opened() {
    let server = ToyServer::named("a");
    let mut balancer = Balancer::start_with_workers(&website(1, "", ""), &[server.address()], 4, 100);
    for _ in 0..40 {
        // Each connection is hashed to some worker by the kernel.
        assert_eq!(balancer.client().get("/").unwrap().text(), "a");
        balancer.wait_until(|snapshot| snapshot.pools[0].servers[0].idle == 1);
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn the_server_sees_the_request_as_it_was_sent_and_who_sent_it() {
    let server = answering(OK);
    let balancer = before(&server);
    let mut client = balancer.client();
    client
        .send("GET /p?q HTTP/1.1\r\nhost: Example.com\r\nX-Odd-CASE: v\r\nConnection: keep-alive\r\n\r\n")
        .unwrap();
    assert_eq!(client.response().unwrap().text(), "ok");
    assert_eq!(
        received(&server, "\r\n\r\n"),
        "GET /p?q HTTP/1.1\r\nhost: Example.com\r\nX-Odd-CASE: v\r\nX-Forwarded-For: 127.0.0.1\r\n\
         X-Forwarded-Proto: http\r\nX-Forwarded-Host: Example.com\r\n\r\n"
    );
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = ToyServer::start(|mut connection: Connection| {
        while let Ok(head) = connection.read_head() {
            let path = head.split(' ').nth(1).unwrap().to_owned();
            let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len());
            connection.write(response).unwrap();
        }
    });
    let balancer = before(&server);
    let mut client = balancer.client();
    let requests: String = (0..20).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    client.send(requests).unwrap();
    for n in 0..20 {
        assert_eq!(client.response().unwrap().text(), format!("/{n}"));
    }
}

#[test]
fn bodies_of_every_framing_pass_unchanged() {
    let server = ToyServer::start(|mut connection: Connection| {
        while let Ok(head) = connection.read_head() {
            let response = match head.split(' ').nth(1).unwrap() {
                "/chunked" => {
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"
                }
                "/close" => "HTTP/1.1 200 OK\r\n\r\nuntil the end",
                "/empty" => "HTTP/1.1 204 No Content\r\n\r\n",
                "/unchanged" => "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
                _ => "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            };
            connection.write(response).unwrap();
            if response.ends_with("end") {
                return;
            }
        }
    });
    let balancer = before(&server);
    let mut client = balancer.client();
    assert_eq!(client.get("/counted").unwrap().text(), "abc");
    client.send("GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n";
    assert_eq!(client.read_raw(raw.len()).unwrap(), raw.as_bytes());
    assert_eq!(client.get("/empty").unwrap().status, 204);
    assert_eq!(client.get("/unchanged").unwrap().header("content-length"), Some("5"));
    client.send("HEAD /head HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    // A toy server that sends a body after HEAD breaks its own connection, not the client's.
    assert_eq!(client.response_to_head().unwrap().header("content-length"), Some("3"));
    let last = client.get("/close").unwrap();
    assert_eq!((last.text().as_str(), last.until_close), ("until the end", true));
    assert_eq!(last.header("connection"), Some("close"));
}

#[test]
fn a_request_body_of_either_framing_reaches_the_server() {
    let server = ToyServer::start(|mut connection: Connection| {
        let _ = connection.read_head();
        let body = connection.read_exact(11).unwrap();
        let text = String::from_utf8_lossy(&body).into_owned();
        connection
            .write(format!("HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: close\r\n\r\n{text}"))
            .unwrap();
    });
    let balancer = before(&server);
    let mut client = balancer.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello").unwrap();
    client.send(" world").unwrap();
    assert_eq!(client.response().unwrap().text(), "hello world");
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n").unwrap();
    client.send("x\r\n0\r\n\r\n").unwrap();
    assert_eq!(client.response().unwrap().text(), "1\r\nx\r\n0\r\n\r\n");
}

#[test]
fn an_old_client_gets_what_it_understands() {
    let server =
        answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    let balancer = before(&server);
    let text = balancer.raw("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(text, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcde");
    let server = answering(OK);
    let text = before(&server).raw("GET / HTTP/1.0\r\n\r\n");
    assert!(text.contains("Connection: close\r\n"), "{text}");
}

#[test]
fn an_old_client_may_keep_its_connection() {
    let server = answering(OK);
    let balancer = before(&server);
    let mut client = balancer.client();
    for _ in 0..2 {
        client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap();
        assert_eq!(client.response().unwrap().header("connection"), Some("keep-alive"));
    }
}

#[test]
fn a_client_that_expects_100_gets_it_from_the_server_before_it_sends() {
    let server = ToyServer::start(|mut connection: Connection| {
        let head = connection.read_head().unwrap();
        assert!(head.contains("Expect: 100-continue\r\n"));
        connection.write("HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        connection.read_exact(5).unwrap();
        connection.write(OK).unwrap();
        let _ = connection.read_to_end();
    });
    let balancer = before(&server);
    let mut client = balancer.client();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").unwrap();
    assert_eq!(client.any_response().unwrap().status, 100);
    client.send("hello").unwrap();
    assert_eq!(client.response().unwrap().text(), "ok");
}

#[test]
fn interim_responses_pass() {
    let server = answering(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let balancer = before(&server);
    let mut client = balancer.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let hint = client.any_response().unwrap();
    assert_eq!((hint.status, hint.header("link")), (103, Some("</a>")));
    assert_eq!(client.any_response().unwrap().text(), "ok");
}

#[test]
fn an_early_response_ends_the_connection_after_it_was_read() {
    let server = ToyServer::start(|mut connection: Connection| {
        let _ = connection.read_head();
        connection
            .write("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
            .unwrap();
    });
    let balancer = before(&server);
    let mut client = balancer.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n").unwrap();
    let answer = client.response().unwrap();
    assert_eq!((answer.status, answer.header("connection")), (413, Some("close")));
    // The rest of the body is taken for a while, so that no reset overtakes the response.
    let _sent = client.send(vec![0; 100_000]);
    assert!(client.closed_silently());
}

#[test]
fn a_client_that_ends_its_direction_still_gets_its_answer() {
    let server = answering(OK);
    let balancer = before(&server);
    let mut client = balancer.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    client.finish().unwrap();
    assert_eq!(client.response().unwrap().text(), "ok");
    assert!(client.closed_silently());
}

#[test]
fn a_client_that_is_gone_frees_its_server() {
    let server = ToyServer::start(|mut connection: Connection| {
        let _ = connection.read_to_end();
    });
    let mut balancer = before(&server);
    let mut client = balancer.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    received(&server, "\r\n\r\n");
    rustix::net::sockopt::set_socket_linger(client.stream(), Some(Duration::ZERO)).unwrap();
    drop(client);
    balancer.wait_until(|snapshot| snapshot.connections == 0 && snapshot.pools[0].servers[0].running == 0);
}

#[test]
fn a_websocket_passes_both_ways() {
    let server = websocket_echo();
    let mut balancer = before(&server);
    let mut socket = WebSocket::connect(balancer.address(), "/ws").unwrap();
    for text in ["one", "two", &"long".repeat(50_000)] {
        assert_eq!(socket.echo(text).unwrap(), text);
    }
    drop(socket);
    balancer.wait_until(|snapshot| snapshot.connections == 0);
}

#[test]
fn bytes_behind_an_upgrade_wait_for_the_servers_consent() {
    let server = ToyServer::start(|mut connection: Connection| {
        let _ = connection.read_head();
        connection.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").unwrap();
        let _ = connection.read_head();
        connection.write(OK).unwrap();
        let _ = connection.read_to_end();
    });
    let balancer = before(&server);
    let mut client = balancer.client();
    client
        .send(
            "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\
             GET /next HTTP/1.1\r\nHost: a\r\nX_Smuggled: 1\r\n\r\n",
        )
        .unwrap();
    assert_eq!(client.response().unwrap().status, 403);
    assert_eq!(client.response().unwrap().text(), "ok");
    // What followed was parsed as a request of its own: its underscore field is gone.
    let all = received(&server, "X-Forwarded-Host: a\r\n\r\n");
    assert!(all.contains("GET /next") && !all.contains("X_Smuggled"), "{all}");
}

#[test]
fn bytes_behind_an_agreed_upgrade_go_through() {
    let server = ToyServer::start(|mut connection: Connection| {
        let _ = connection.read_head();
        connection
            .write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhi")
            .unwrap();
        let bytes = connection.read_exact(5).unwrap();
        connection.write(bytes).unwrap();
        let rest = connection.read_to_end().unwrap();
        connection.write(rest).unwrap();
    });
    let balancer = before(&server);
    let mut client = balancer.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nfirst").unwrap();
    assert_eq!(client.any_response().unwrap().status, 101);
    assert_eq!(client.read_raw(7).unwrap(), b"hifirst");
    client.send("last").unwrap();
    client.finish().unwrap();
    assert_eq!(client.read_until_close().unwrap(), b"last");
}

#[test]
fn routes_choose_the_pool_and_no_route_says_so() {
    let (a, b) = (ToyServer::named("a"), ToyServer::named("b"));
    let config = "[listener.web]\nbind = \"${BIND}\"\n\
        [[listener.web.route]]\nhost = \"static.example.com\"\npath-prefix = \"/assets\"\npool = \"a\"\n\
        [[listener.web.route]]\nmethod = \"POST\"\nheader = { x-canary = \"yes\" }\npool = \"b\"\n\
        [pool.a.servers]\na = \"${S0}\"\n[pool.b.servers]\nb = \"${S1}\"\n";
    let balancer = Balancer::start(config, &[a.address(), b.address()]);
    let mut client = balancer.client();
    client.send("GET /assets/x HTTP/1.1\r\nHost: STATIC.example.com:80\r\n\r\n").unwrap();
    assert_eq!(client.response().unwrap().text(), "a");
    client.send("POST / HTTP/1.1\r\nHost: x\r\nX-Canary: yes\r\n\r\n").unwrap();
    assert_eq!(client.response().unwrap().text(), "b");
    let none = client.get("/").unwrap();
    assert_eq!((none.status, none.header("evenkeel-reason")), (404, Some("no-route")));
    // The connection goes on after an answer of ours.
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc").unwrap();
    assert_eq!(client.response().unwrap().status, 404);
    client.send("GET /assets HTTP/1.1\r\nHost: static.example.com\r\n\r\n").unwrap();
    assert_eq!(client.response().unwrap().text(), "a");
}

#[test]
fn the_source_behind_a_trusted_proxy_is_routed_and_told() {
    let (near, far) = (answering(OK), ToyServer::named("far"));
    let config = "[listener.web]\nbind = \"${BIND}\"\npool = \"far\"\ntrusted-proxies = [\"127.0.0.0/8\"]\n\
        forwarding-headers = [\"x-forwarded\", \"forwarded\"]\n\
        [[listener.web.route]]\nsource = \"198.51.100.0/24\"\npool = \"near\"\n\
        [pool.near.servers]\nn = \"${S0}\"\n[pool.far.servers]\nf = \"${S1}\"\n";
    let balancer = Balancer::start(config, &[near.address(), far.address()]);
    let mut client = balancer.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n").unwrap();
    assert_eq!(client.response().unwrap().text(), "ok");
    let text = received(&near, "\r\n\r\n");
    assert!(text.contains("X-Forwarded-For: 198.51.100.7, 127.0.0.1\r\n"), "{text}");
    assert!(text.contains("Forwarded: for=127.0.0.1;proto=http;host=\"a\"\r\n"), "{text}");
    assert_eq!(client.get("/").unwrap().text(), "far");
}

#[test]
fn servers_and_listeners_may_be_unix_sockets_or_ipv6() {
    let dir = evenkeel_testkit::temp_dir();
    let (front, back) = (dir.path().join("front.sock"), dir.path().join("back.sock"));
    let listener = std::os::unix::net::UnixListener::bind(&back).unwrap();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
                stream.write_all(OK.as_bytes()).unwrap();
            }
        }
    });
    let six = std::net::TcpListener::bind("[::1]:0").unwrap().local_addr().unwrap();
    let config = format!(
        "[listener.web]\nbind = [\"unix:{}\", \"{six}\"]\npool = \"web\"\n[pool.web.servers]\nu = \"unix:{}\"\n",
        front.display(),
        back.display()
    );
    let _balancer = Balancer::start(&config, &[]);
    let mut over_six = evenkeel_testkit::HttpClient::connect(six).unwrap();
    assert_eq!(over_six.get("/").unwrap().text(), "ok");
    use std::io::{Read, Write};
    let mut local = std::os::unix::net::UnixStream::connect(&front).unwrap();
    local.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    local.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("Connection: close\r\n\r\nok"), "{text}");
}

#[test]
fn drain_finishes_what_is_under_way_and_closes_what_is_idle() {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let server = ToyServer::start(move |mut connection: Connection| {
        while let Ok(head) = connection.read_head() {
            if head.starts_with("GET /slow") {
                let _ = wait.lock().unwrap().recv_timeout(BOUND);
            }
            if connection.write(OK).is_err() {
                return;
            }
        }
    });
    let mut balancer = before(&server);
    let mut idle = balancer.client();
    assert_eq!(idle.get("/").unwrap().text(), "ok");
    let mut busy = balancer.client();
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    server.wait_until(|all| all.iter().any(|bytes| bytes.windows(5).any(|w| w == b"/slow")), BOUND);
    balancer.drain(BOUND);
    assert!(idle.closed_silently());
    release.send(()).unwrap();
    assert_eq!(busy.response().unwrap().header("connection"), Some("close"));
    assert!(busy.closed_silently());
    assert_eq!(balancer.drained(), 0);
}

#[test]
fn drain_cuts_what_does_not_end() {
    let server = ToyServer::start(|mut connection: Connection| {
        let _ = connection.read_to_end();
    });
    let mut balancer = before(&server);
    let mut client = balancer.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    received(&server, "\r\n\r\n");
    balancer.drain(Duration::from_millis(10));
    assert_eq!(balancer.drained(), 1);
    assert!(client.closed_silently());
}

#[test]
fn at_the_connection_limit_clients_wait_for_a_place() {
    let server = ToyServer::named("a");
    let mut balancer = Balancer::start_with_workers(&website(1, "", ""), &[server.address()], 1, 2);
    let (mut one, mut two) = (balancer.client(), balancer.client());
    assert_eq!(one.get("/").unwrap().text(), "a");
    assert_eq!(two.get("/").unwrap().text(), "a");
    let mut three = balancer.client();
    three.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    balancer.wait_until(|snapshot| snapshot.connections == 2);
    drop(one);
    assert_eq!(three.response().unwrap().text(), "a");
}

/// While a client waits, its connection is looked at for a break; what it sends meanwhile must stay where it is.
#[test]
fn a_request_that_arrives_while_another_is_answered_is_not_touched() {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let server = ToyServer::start(move |mut connection: Connection| {
        while let Ok(head) = connection.read_head() {
            if head.starts_with("GET /slow") {
                let _ = wait.lock().unwrap().recv_timeout(BOUND);
            }
            let path = head.split(' ').nth(1).unwrap_or_default();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len());
            if connection.write(answer).is_err() {
                return;
            }
        }
    });
    let balancer = before(&server);
    let mut client = balancer.client();
    for turn in 0..20 {
        client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        for byte in format!("GET /{turn} HTTP/1.1\r\nHost: a\r\n\r\n").bytes() {
            client.send([byte]).unwrap();
        }
        release.send(()).unwrap();
        assert_eq!(client.response().unwrap().text(), "/slow");
        assert_eq!(client.response().unwrap().text(), format!("/{turn}"));
    }
}
