//! The access log, as whoever reads it sees it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;

use common::{Balancer, website};
use evenkeel_testkit::{BOUND, Connection, TempDir, ToyServer, free_address, temp_dir};
use serde_json::Value;

const TO: &str = "/the/plan/only/names/it.log";

fn with(format: &str) -> String {
    format!("access-log = {{ to = \"{TO}\", format = \"{format}\" }}")
}

fn start(config: &str, server: &ToyServer, log: OwnedFd) -> Balancer {
    Balancer::start_with_files(config, &[server.address()], vec![(Path::new(TO), log)])
}

/// A balancer before a server, and the file that its log goes to.
fn logging(listener: &str, server: &ToyServer) -> (Balancer, TempDir) {
    let directory = temp_dir();
    let file = evenkeel_sys::output::open_log(&directory.path().join("log")).unwrap();
    (start(&website(1, listener, ""), server, file), directory)
}

/// The lines, once there are so many.
fn lines(directory: &TempDir, count: usize) -> Vec<String> {
    let end = std::time::Instant::now() + BOUND;
    loop {
        let text = std::fs::read_to_string(directory.path().join("log")).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if lines.len() >= count && text.ends_with('\n') {
            return lines;
        }
        assert!(std::time::Instant::now() < end, "never {count} lines: {text}");
        std::thread::yield_now();
    }
}

fn json(directory: &TempDir, count: usize) -> Vec<Value> {
    lines(directory, count).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_request_is_told_with_its_server_bytes_and_timings() {
    let server = ToyServer::named("hello");
    let (balancer, directory) = logging(&with("json"), &server);
    let mut client = balancer.client();
    let request =
        "POST /a?b HTTP/1.1\r\nHost: x.example:80\r\nUser-Agent: me\r\nContent-Length: 3\r\n\r\nabc";
    client.send(request).unwrap();
    let response = client.response().unwrap();
    assert_eq!(response.text(), "hello");
    let line = &json(&directory, 1)[0];
    assert_eq!(line["listener"], "web");
    assert_eq!(line["client"], "127.0.0.1");
    assert_eq!((&line["method"], &line["target"]), (&"POST".into(), &"/a?b".into()));
    assert_eq!((&line["host"], &line["version"]), (&"x.example".into(), &"HTTP/1.1".into()));
    assert_eq!((&line["pool"], &line["server"]), (&"web".into(), &"s0".into()));
    assert_eq!(line["status"], 200);
    assert_eq!(line["bytes_in"], request.len());
    assert!(line["bytes_out"].as_u64().unwrap() > 5);
    assert_eq!((&line["retries"], &line["end"]), (&0.into(), &"done".into()));
    assert_eq!((&line["user_agent"], &line["referer"]), (&"me".into(), &Value::Null));
    assert_eq!(line["reason"], Value::Null);
    let millis = |name: &str| line[name].as_f64().unwrap();
    assert!(millis("connect_ms") > 0.0 && millis("connect_ms") <= millis("first_byte_ms"));
    assert!(millis("first_byte_ms") <= millis("total_ms"));
    assert_eq!(millis("queue_ms"), 0.0);
}

#[test]
fn the_line_of_a_request_that_waited_says_how_long() {
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let server = ToyServer::start(move |mut connection: Connection| {
        while connection.read_head().is_ok_and(|head| !head.is_empty()) {
            held.lock().unwrap().recv_timeout(BOUND).unwrap();
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
    });
    let directory = temp_dir();
    let file = evenkeel_sys::output::open_log(&directory.path().join("log")).unwrap();
    let config = format!(
        "[listener.web]\nbind = \"${{BIND}}\"\npool = \"web\"\n{}\n[pool.web]\nqueue.size = 1\n\
         [pool.web.servers]\ns0 = {{ address = \"${{S0}}\", max-connections = 1 }}\n",
        with("json")
    );
    let mut balancer = start(&config, &server, file);
    let (mut first, mut second) = (balancer.client(), balancer.client());
    first.send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    balancer.wait_until(|snapshot| snapshot.pools[0].servers[0].running == 1);
    second.send("GET /second HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    balancer.wait_until(|snapshot| snapshot.pools[0].queue.length == 1);
    assert_eq!(balancer.client().get("/third").unwrap().status, 503);
    hold.send(()).unwrap();
    hold.send(()).unwrap();
    assert_eq!((first.response().unwrap().status, second.response().unwrap().status), (200, 200));
    let lines = json(&directory, 3);
    let of = |target: &str| lines.iter().find(|line| line["target"] == target).unwrap();
    let queued = |target: &str| of(target)["queue_ms"].as_f64().unwrap();
    assert_eq!((queued("/first"), queued("/third")), (0.0, 0.0));
    assert!(queued("/second") > 0.0 && queued("/second") <= of("/second")["first_byte_ms"].as_f64().unwrap());
    assert_eq!(of("/third")["reason"], "queue-full");
}

#[test]
fn what_a_client_sends_cannot_forge_a_line() {
    let server = ToyServer::named("a");
    for format in ["json", "combined"] {
        let (balancer, directory) = logging(&with(format), &server);
        let mut client = balancer.client();
        client
            .send(
                b"GET /\"\\x HTTP/1.1\r\nHost: a\r\nUser-Agent: \"}\t\xff 1.2.3.4 - - \"GET\r\nReferer: \\\"\r\n\r\n",
            )
            .unwrap();
        assert_eq!(client.response().unwrap().status, 200);
        client.get("/second").unwrap();
        let lines = lines(&directory, 2);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].bytes().all(|byte| matches!(byte, b' '..=b'~')), "{lines:?}");
        if format == "json" {
            let line: Value = serde_json::from_str(&lines[0]).unwrap();
            assert_eq!(line["target"], "/\"\\x");
            assert_eq!(line["user_agent"], "\"}\t\u{ff} 1.2.3.4 - - \"GET");
        } else {
            assert!(
                lines[0].contains(r#""GET /\"\\x HTTP/1.1" 200 1 "\\\"" "\"}\x09\xff 1.2.3.4 - - \"GET""#),
                "{lines:?}"
            );
        }
    }
}

#[test]
fn our_own_answers_carry_their_reason() {
    let server = ToyServer::start(|_: Connection| {});
    let (balancer, directory) = logging(&with("json"), &server);
    assert!(balancer.raw("nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
    let mut client = balancer.client();
    assert_eq!(client.get("/gone").unwrap().status, 502);
    let lines = json(&directory, 2);
    assert_eq!((&lines[0]["status"], &lines[0]["reason"]), (&400.into(), &"bad-request".into()));
    assert_eq!((&lines[0]["method"], &lines[0]["pool"]), (&Value::Null, &Value::Null));
    assert_eq!((&lines[1]["status"], &lines[1]["reason"]), (&502.into(), &"server-closed".into()));
    assert_eq!((&lines[1]["target"], &lines[1]["server"]), (&"/gone".into(), &"s0".into()));
    // The one server was tried again as often as `retries` allows.
    assert_eq!((&lines[1]["retries"], &lines[1]["end"]), (&3.into(), &"done".into()));
}

#[test]
fn whoever_broke_off_is_named() {
    let server = ToyServer::start(|mut connection: Connection| {
        let head = connection.read_head().unwrap();
        if head.contains("/server") {
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").unwrap();
        } else {
            let _ = connection.read_to_end();
        }
    });
    let (balancer, directory) = logging(&with("json"), &server);
    let mut client = balancer.client();
    client.send("GET /server HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let _ = client.read_until_close();
    assert_eq!(json(&directory, 1)[0]["end"], "server-gone");
    let mut client = balancer.client();
    client.send("POST /client HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc").unwrap();
    server.wait_until(|all| all.iter().any(|bytes| bytes.ends_with(b"abc")), BOUND);
    drop(client);
    let line = &json(&directory, 2)[1];
    assert_eq!((&line["end"], &line["status"]), (&"client-gone".into(), &Value::Null));
}

#[test]
fn a_tcp_connection_has_a_line() {
    let server = ToyServer::start(|mut connection: Connection| {
        let bytes = connection.read_to_end().unwrap();
        connection.write(bytes.repeat(2)).unwrap();
    });
    let (balancer, directory) = logging(&format!("mode = \"tcp\"\n{}", with("json")), &server);
    let mut client = TcpStream::connect(balancer.address()).unwrap();
    client.write_all(b"hello").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    client.read_to_end(&mut Vec::new()).unwrap();
    let line = &json(&directory, 1)[0];
    assert_eq!((&line["bytes_in"], &line["bytes_out"]), (&5.into(), &10.into()));
    assert_eq!((&line["pool"], &line["server"]), (&"web".into(), &"s0".into()));
    assert_eq!((&line["end"], &line["status"]), (&"done".into(), &Value::Null));
}

#[test]
fn a_tcp_connection_without_a_server_says_so() {
    let server = ToyServer::named("a");
    let directory = temp_dir();
    let file = evenkeel_sys::output::open_log(&directory.path().join("log")).unwrap();
    let config = website(1, &format!("mode = \"tcp\"\n{}", with("json")), "retries = 0");
    let balancer = Balancer::start_with_files(&config, &[free_address()], vec![(Path::new(TO), file)]);
    drop(server);
    let mut client = TcpStream::connect(balancer.address()).unwrap();
    let _ = client.read_to_end(&mut Vec::new());
    assert_eq!(json(&directory, 1)[0]["reason"], "no-server");
}

#[test]
fn a_log_that_nobody_reads_costs_traffic_nothing() {
    let server = ToyServer::named("a");
    // Room for 64 KiB; nothing is taken out.
    let (_reader, pipe) = std::io::pipe().unwrap();
    let mut balancer = start(&website(1, &with("json"), ""), &server, pipe.into());
    let target = format!("/{}", "x".repeat(8000));
    let mut client = balancer.client();
    for _ in 0..400 {
        assert_eq!(client.get(&target).unwrap().text(), "a");
    }
    balancer.wait_until(|snapshot| snapshot.logs[0].dropped_total > 0);
    let log = &balancer.snapshot().logs[0];
    assert_eq!((log.to.as_str(), log.lines_total + log.dropped_total), (TO, 400));
    assert_eq!(client.get("/").unwrap().text(), "a");
}

#[test]
fn a_file_is_left_for_the_one_that_comes_after_it() {
    let server = ToyServer::named("a");
    let (mut balancer, directory) = logging(&with("json"), &server);
    let mut client = balancer.client();
    client.get("/before").unwrap();
    assert_eq!(lines(&directory, 1).len(), 1);
    let moved = directory.path().join("log.1");
    std::fs::rename(directory.path().join("log"), &moved).unwrap();
    let file = evenkeel_sys::output::open_log(&directory.path().join("log")).unwrap();
    balancer.give_file(Path::new(TO), file);
    // Messages are taken in their order.
    balancer.snapshot();
    client.get("/after").unwrap();
    assert_eq!(json(&directory, 1)[0]["target"], "/after");
    assert_eq!(std::fs::read_to_string(moved).unwrap().lines().count(), 1);
}

#[test]
fn a_log_can_be_taken_away_and_the_last_lines_are_written_at_the_end() {
    let server = ToyServer::named("a");
    let (mut balancer, directory) = logging(&with("common"), &server);
    let mut client = balancer.client();
    client.get("/logged").unwrap();
    // The line follows the response.
    balancer.wait_until(|snapshot| snapshot.logs.iter().any(|log| log.lines_total == 1));
    balancer.apply(&website(1, "", ""));
    client.get("/unlogged").unwrap();
    drop(balancer);
    let text = std::fs::read_to_string(directory.path().join("log")).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("\"GET /logged HTTP/1.1\" 200 1"), "{text}");
}

#[test]
fn a_log_that_a_new_plan_brings_has_the_next_request_of_a_connection_that_was_open() {
    let server = ToyServer::named("a");
    let directory = temp_dir();
    let file = evenkeel_sys::output::open_log(&directory.path().join("log")).unwrap();
    let mut balancer = Balancer::start(&website(1, "", ""), &[server.address()]);
    let mut client = balancer.client();
    client.get("/unlogged").unwrap();
    balancer.give_file(Path::new(TO), file);
    balancer.apply(&website(1, &with("json"), ""));
    client.get("/logged").unwrap();
    let lines = json(&directory, 1);
    assert_eq!((lines.len(), &lines[0]["target"]), (1, &Value::from("/logged")));
    assert_eq!(balancer.snapshot().listeners[0].connections_total, 1);
}
