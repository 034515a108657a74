//! A planned failover between two programs that are linked: connections go on where they are.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use evenkeel_testkit::lab::Host;
use evenkeel_testkit::{Keepalived, State, needs, temp_dir};
use serde_json::Value;

use crate::pair::{ADDRESS, Node, Pair, ip, router};

const BOUND: Duration = Duration::from_secs(20);
/// Where clients connect to.
const PORT: u16 = 9000;

/// A server behind both nodes that says back what it hears.
fn echo_server(host: &Host) {
    let listener = host.inside(|| TcpListener::bind(("10.99.0.9", 9001)).unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut bytes = [0; 64];
                while let Ok(count @ 1..) = stream.read(&mut bytes) {
                    if stream.write_all(&bytes[..count]).is_err() {
                        break;
                    }
                }
            });
        }
    });
}

struct Client(TcpStream);

impl Client {
    fn connect(host: &Host) -> Self {
        let stream = host.inside(|| TcpStream::connect((ip(ADDRESS), PORT)).unwrap());
        stream.set_read_timeout(Some(BOUND)).unwrap();
        let mut client = Self(stream);
        client.echo();
        client
    }

    fn echo(&mut self) {
        let mut bytes = [0; 5];
        self.0.write_all(b"hello").unwrap();
        self.0.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"hello");
    }
}

/// Without a link to the other node.
fn alone(priority: u8) -> String {
    format!(
        "[listener.echo]\nbind = \"0.0.0.0:{PORT}\"\nmode = \"tcp\"\npool = \"echo\"\n\
         [pool.echo]\nservers = {{ echo = \"10.99.0.9:9001\" }}\n{}",
        router(priority, "")
    )
}

fn configuration(priority: u8, peer: &str, key: &Path) -> String {
    format!("{}[pair]\npeer = \"{peer}:7411\"\nkey-file = {key:?}\n", alone(priority))
}

/// A file with a key; its name is part of it.
fn key(directory: &Path, name: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, format!("a secret that has thirty-two bytes at least: {name}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// Waits until its status is so.
fn wait(node: &Node, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let begun = std::time::Instant::now();
    loop {
        let status = node.status();
        if fits(&status) {
            return status;
        }
        assert!(begun.elapsed() < BOUND, "{what}: {status:#}\n{:#?}", node.program.lines());
    }
}

/// Answers every request with `ok`.
fn web_server(host: &Host) {
    let listener = host.inside(|| TcpListener::bind(("10.99.0.9", 9001)).unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut seen = Vec::new();
                let mut bytes = [0; 1024];
                while let Ok(count @ 1..) = stream.read(&mut bytes) {
                    seen.extend_from_slice(&bytes[..count]);
                    if seen.ends_with(b"\r\n\r\n") {
                        seen.clear();
                        let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                    }
                }
            });
        }
    });
}

/// One request on a connection that stays; the head of the response, in lower case.
fn request(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(b"\r\n\r\nok") {
        stream.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    String::from_utf8(seen).unwrap().to_ascii_lowercase()
}

fn linked(node: &Node) {
    wait(node, "linked", |status| status["pair"]["state"]["up"] == true);
}

fn handover(status: &Value) -> &Value {
    &status["virtual_routers"]["state"]["routers"][0]["handover"]
}

fn fail_over(node: &Node) -> String {
    let output = node.command(&["router", "failover", "public"]);
    assert!(output.status.success(), "{output:?}\n{:#?}", node.program.lines());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn connections_go_on_through_planned_failovers_back_and_forth() {
    let Some(pair) = Pair::start() else { return };
    let directory = temp_dir();
    let key = key(directory.path(), "pair.key");
    echo_server(&pair.client);

    let on_first = pair.first.watch_addresses();
    let first = Node::start(&pair.first, &configuration(150, "10.99.0.2", &key));
    on_first.wait_until(ip(ADDRESS), true);
    let second = Node::start(&pair.second, &configuration(100, "10.99.0.1", &key));
    second.wait_for("public: backup");
    second.wait_heard();
    linked(&first);
    linked(&second);

    let mut old = Client::connect(&pair.client);
    fail_over(&first);
    old.echo();
    let mut new = Client::connect(&pair.client);
    let status = wait(&first, "one is left", |status| handover(status)["giving"] == 1);
    assert_eq!(status["virtual_routers"]["state"]["routers"][0]["state"], "backup");
    wait(&second, "one is passed on", |status| handover(status)["passing"] == 1);

    // At once back: each has connections of its own.
    fail_over(&second);
    old.echo();
    new.echo();
    let mut third = Client::connect(&pair.client);
    wait(&second, "one is left there", |status| handover(status)["giving"] == 1);
    drop(new);
    wait(&second, "nothing is left", |status| handover(status)["giving"].is_null());
    wait(&first, "nothing is passed on", |status| handover(status)["passing"].is_null());
    old.echo();
    third.echo();

    // The high availability role of the other node dies: the next move has a new session.
    rustix::process::kill_process(second.role("ha"), rustix::process::Signal::KILL).unwrap();
    wait(&second, "it is back", |status| {
        status["virtual_routers"]["state"]["routers"][0]["state"] == "backup"
    });
    second.wait_heard();
    linked(&second);
    linked(&first);
    fail_over(&first);
    old.echo();
    third.echo();
    wait(&first, "both are left", |status| handover(status)["giving"] == 2);
}

#[test]
fn a_machine_can_be_emptied_by_a_script() {
    let Some(pair) = Pair::start() else { return };
    let directory = temp_dir();
    let key = key(directory.path(), "pair.key");
    web_server(&pair.client);
    let http = |priority, peer| configuration(priority, peer, &key).replace("mode = \"tcp\"\n", "");

    let on_first = pair.first.watch_addresses();
    let first = Node::start(&pair.first, &http(150, "10.99.0.2"));
    on_first.wait_until(ip(ADDRESS), true);
    let second = Node::start(&pair.second, &http(100, "10.99.0.1"));
    second.wait_for("public: backup");
    second.wait_heard();
    linked(&first);
    linked(&second);

    let mut kept = pair.client.inside(|| TcpStream::connect((ip(ADDRESS), PORT)).unwrap());
    kept.set_read_timeout(Some(BOUND)).unwrap();
    assert!(!request(&mut kept).contains("connection: close"));

    let output = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| first.command(&["router", "failover", "--all", "--wait"]));
        let status = wait(&first, "one is left", |status| status["traffic"]["departing"]["http1"] == 1);
        assert_eq!(status["traffic"]["departing"]["addresses"][0], ADDRESS);
        // Counted for the last time: what ends from here on has been told of.
        first.wait_for("the addresses have moved; 1 connection");
        // It goes on, and the next response is the last.
        assert!(request(&mut kept).contains("connection: close"));
        assert_eq!(kept.read(&mut [0]).unwrap(), 0);
        waiting.join().unwrap()
    });
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("public: 10.99.0.2 is active now; 1 connection goes on here until it ends\n"),
        "{text}"
    );
    assert!(text.ends_with("no connection is left here\n"), "{text}");
    let again = first.command(&["router", "failover", "--all", "--wait"]);
    assert_eq!(
        String::from_utf8(again.stdout).unwrap(),
        "no virtual router is active here\nno connection is left here\n"
    );

    // The other one gives them back and ends.
    let stopped = second.command(&["stop", "--handover"]);
    assert!(stopped.status.success(), "{stopped:?}");
    on_first.wait_until(ip(ADDRESS), true);
    let mut new = pair.client.inside(|| TcpStream::connect((ip(ADDRESS), PORT)).unwrap());
    new.set_read_timeout(Some(BOUND)).unwrap();
    request(&mut new);

    // Now nobody would take them: the program goes on.
    let refused = first.command(&["stop", "--handover"]);
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");
    assert!(String::from_utf8(refused.stderr).unwrap().contains("`evenkeel stop` stops it all the same"));
    request(&mut new);
}

#[test]
fn a_wrong_key_is_an_alarm_and_addresses_move_without_connections() {
    let Some(pair) = Pair::start() else { return };
    let directory = temp_dir();
    let keys = ["one", "other"].map(|name| key(directory.path(), name));
    let on_first = pair.first.watch_addresses();
    let first = Node::start(&pair.first, &configuration(150, "10.99.0.2", &keys[0]));
    on_first.wait_until(ip(ADDRESS), true);
    let second = Node::start(&pair.second, &configuration(100, "10.99.0.1", &keys[1]));
    second.wait_for("public: backup");
    second.wait_heard();
    let status = wait(&first, "an alarm", |status| status["pair"]["state"]["alarm"].is_string());
    assert!(status["alarms"].to_string().contains("`key-file` must hold the same"), "{status:#}");
    let on_second = pair.second.watch_addresses();
    fail_over(&first);
    on_second.wait_until(ip(ADDRESS), true);
    first.wait_for("connections are not kept");

    // The right key, and a reload.
    std::fs::copy(&keys[0], &keys[1]).unwrap();
    second.reload(&configuration(100, "10.99.0.1", &keys[1]));
    linked(&first);
    wait(&first, "no alarm", |status| status["alarms"].as_array().unwrap().is_empty());
}

/// One line of the command and one of the log say why, in the same words.
fn says_why(node: &Node) {
    const WHY: &str = "connections are not kept: there is no link to the other node";
    let said = fail_over(node);
    assert_eq!(said.matches(WHY).count(), 1, "{said}");
    node.wait_for(WHY);
    let lines = node.program.lines();
    assert_eq!(lines.iter().filter(|line| line.contains(WHY)).count(), 1, "{lines:#?}");
    node.wait_for("public: backup (was releasing): 10.99.0.2 has taken over");
}

#[test]
fn a_peer_that_has_no_pair_takes_the_addresses_before_they_are_let_go() {
    let Some(pair) = Pair::start() else { return };
    let directory = temp_dir();
    echo_server(&pair.client);
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let linked = configuration(150, "10.99.0.2", &key(directory.path(), "pair.key"));
    let first = Node::start(&pair.first, &linked);
    on_first.wait_until(ip(ADDRESS), true);
    let second = Node::start(&pair.second, &alone(100));
    second.wait_for("public: backup");
    second.wait_for("the proxy role is well");
    second.wait_heard();
    Client::connect(&pair.client);
    says_why(&first);
    on_second.wait_until(ip(ADDRESS), true);
    on_first.wait_until(ip(ADDRESS), false);
    Client::connect(&pair.client);
}

#[test]
fn keepalived_as_the_peer_takes_the_addresses_before_they_are_let_go() {
    if !needs("keepalived") {
        return;
    }
    let Some(pair) = Pair::start() else { return };
    let directory = temp_dir();
    let (on_first, on_second) = (pair.first.watch_addresses(), pair.second.watch_addresses());
    let first =
        Node::start(&pair.first, &configuration(150, "10.99.0.2", &key(directory.path(), "pair.key")));
    on_first.wait_until(ip(ADDRESS), true);
    let text = "global_defs {\n vrrp_version 3\n}\nvrrp_instance public {\n state BACKUP\n interface eth0\n \
                virtual_router_id 51\n priority 100\n advert_int 0.1\n virtual_ipaddress {\n 10.99.0.50/24\n }\n}\n";
    let keepalived = Keepalived::start_with(&pair.second, text, &["public"]);
    keepalived.wait_for_state("public", State::Backup);
    says_why(&first);
    keepalived.wait_for_state("public", State::Master);
    on_second.wait_until(ip(ADDRESS), true);
    on_first.wait_until(ip(ADDRESS), false);
}
