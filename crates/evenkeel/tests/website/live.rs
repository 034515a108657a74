//! Servers that come, change and go while the program runs: what clients notice, and what outlives a restart.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use evenkeel_testkit::{
    BOUND, Connection, HttpClient, Load, Nginx, ToyServer, free_address, free_port, needs, temp_dir,
};
use serde_json::{Value, json};

use crate::site::{LOAD, Site, of_listener, of_server, url};

/// How many servers come and go; `cargo xtask live-lab` tries 1000 on the release build.
const SERVERS: usize = 40;

/// A client of the API that keeps its connection.
struct Api(BufReader<UnixStream>);

struct Answer {
    status: u16,
    etag: Option<String>,
    body: Value,
}

impl Api {
    fn of(site: &Site) -> Self {
        let stream = UnixStream::connect(site.directory.path().join("control.sock")).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        Self(BufReader::new(stream))
    }

    fn ask(&mut self, method: &str, path: &str, fields: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{fields}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let mut answer = Answer { status: 0, etag: None, body: Value::Null };
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            match line.split_once(": ") {
                None => answer.status = line[9..12].parse().unwrap(),
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(("etag", value)) => answer.etag = Some(value.to_owned()),
                Some(_) => {}
            }
        }
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).unwrap();
        answer.body = serde_json::from_slice(&bytes).unwrap_or_default();
        answer
    }
}

fn path(server: &str) -> String {
    format!("/v1/pools/website/servers/{server}")
}

/// A site before these servers, which are called s0, s1 …, with more lines for its pool.
fn text(address: SocketAddr, servers: &[SocketAddr], pool: &str) -> String {
    let servers: String =
        servers.iter().enumerate().map(|(n, server)| format!("s{n} = \"{server}\" # number {n}\n")).collect();
    format!(
        "[global]\ncontrol-socket = \"${{CONTROL}}\"\nstate-dir = \"${{STATE}}\"\n\
         [listener.website]\nbind = \"{address}\"\npool = \"website\"\n\
         [pool.website]\n{pool}\n# The servers.\n[pool.website.servers]\n{servers}"
    )
}

fn start(text: &str, state: &Path) -> Site {
    Site::of(text, &[("STATE", state.join("state").display().to_string())])
}

fn said(site: &Site, arguments: &[&str]) -> String {
    let output = site.command(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Names of those that answer so many requests.
fn who_answers(address: SocketAddr, requests: usize) -> BTreeSet<String> {
    let mut client = HttpClient::connect(address).unwrap();
    (0..requests).map(|_| client.get("/").unwrap().text()).collect()
}

fn state_of(status: &Value, server: &str) -> Option<String> {
    let pools = status["traffic"]["pools"].as_array()?;
    let mut servers = pools.iter().flat_map(|pool| pool["servers"].as_array().unwrap());
    let found = servers.find(|candidate| candidate["name"] == server)?;
    Some(found["state"].as_str().unwrap().to_owned())
}

#[test]
fn servers_come_and_go_under_load_without_a_failed_request() {
    if !needs("nginx") || !needs("wrk") {
        return;
    }
    let count = SERVERS;
    // One that answers on every address of 127.0.0.0/8, so that each added server has its own.
    let everywhere = free_port();
    let directives = format!(
        "keepalive_timeout 60s; keepalive_requests 1000000;\n\
         server {{ listen 0.0.0.0:{everywhere} backlog=4096; location / {{ return 200 \"x\"; }} }}"
    );
    let nginx = Nginx::start_with("s0", free_port(), &directives);
    let (address, state) = (free_address(), temp_dir());
    let checked = "health = { http = \"/\", interval = \"1s\", fast-interval = \"100ms\" }";
    let site = start(&text(address, &[nginx.address()], checked), state.path());
    let load = Load::start(&url(address, "/"), 16, LOAD);
    site.wait_until(|status| of_listener(status, "website", "requests_total") > 100);

    let began = Instant::now();
    let mut api = Api::of(&site);
    for n in 0..count {
        let body = json!({ "address": format!("127.1.{}.{}:{everywhere}", n / 200, 1 + n % 200) });
        let answer = api.ask("PUT", &path(&format!("extra{n}")), "if-none-match: *\r\n", &body);
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
    let last = format!("extra{}", count - 1);
    site.wait_until(|status| of_server(status, &last, "total") > 0);
    for n in 0..count {
        let answer = api.ask("DELETE", &path(&format!("extra{n}")), "", &Value::Null);
        assert_eq!(answer.status, 202, "{}", answer.body);
    }
    site.wait_until(|status| status["runtime_changes"].as_array().unwrap().is_empty());
    let took = began.elapsed();
    let report = load.stop();
    assert_eq!(report.errors.total(), 0, "{report:?}");
    println!("{count} servers added and removed in {took:?}: {} requests, 0 failed", report.requests);
    let pool = &site.status()["traffic"]["pools"][0];
    assert_eq!(pool["servers"].as_array().unwrap().len(), 1);
}

#[test]
fn an_added_server_gets_nothing_before_its_check_has_passed() {
    let servers = ["s0", "s1"].map(ToyServer::named);
    let (address, state, nobody) = (free_address(), temp_dir(), free_address());
    let checked = "health = { http = \"/\", interval = \"1s\", fast-interval = \"50ms\" }";
    let site = start(&text(address, &[servers[0].address()], checked), state.path());
    said(&site, &["server", "add", "website/s1", &servers[1].address().to_string()]);
    said(&site, &["server", "add", "website/nobody", &nobody.to_string()]);
    site.wait_until(|status| {
        state_of(status, "s1").as_deref() == Some("up")
            && state_of(status, "nobody").as_deref() == Some("down")
    });
    assert_eq!(who_answers(address, 20), ["s0", "s1"].map(str::to_owned).into());
    let status = site.status();
    assert_eq!(
        of_server(&status, "nobody", "total") + of_server(&status, "nobody", "connect_failures_total"),
        0
    );
    let twice = site.command(&["server", "add", "website/s1", &nobody.to_string()]);
    assert_eq!(twice.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&twice.stderr).contains("--replace"), "{twice:?}");
}

/// A server that answers with its name, and on `/slow` only after it was told to.
fn slow(go: std::sync::Arc<std::sync::Barrier>) -> ToyServer {
    ToyServer::start(move |mut connection: Connection| {
        while let Ok(head) = connection.read_head() {
            if head.starts_with("GET /slow ") {
                go.wait();
            }
            if connection.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow").is_err() {
                return;
            }
        }
    })
}

#[test]
fn a_removal_waits_for_a_long_request_and_a_bound_does_not_cut_it() {
    let go = std::sync::Arc::new(std::sync::Barrier::new(2));
    let (patient, other) = (slow(go.clone()), ToyServer::named("other"));
    let (address, state) = (free_address(), temp_dir());
    let site = start(&text(address, &[patient.address(), other.address()], ""), state.path());
    for bound in ["60s", "1s"] {
        // One of the two gets it: ask until it is the patient one.
        let mut client = HttpClient::connect(address).unwrap();
        said(&site, &["server", "drain", "website/s1"]);
        client.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        site.wait_until(|status| of_server(status, "s0", "running") == 1);
        said(&site, &["server", "ready", "website/s1"]);
        said(&site, &["server", "remove", "website/s0", "--no-wait", "--drain-timeout", bound]);
        assert_eq!(who_answers(address, 8), [String::from("other")].into());
        if bound == "60s" {
            assert_eq!(state_of(&site.status(), "s0").as_deref(), Some("drain"));
            go.wait();
            assert_eq!(client.response().unwrap().text(), "slow");
            site.wait_until(|status| state_of(status, "s0").is_none());
            said(&site, &["server", "reset", "website/s0"]);
        } else {
            site.wait_until(|status| state_of(status, "s0").is_none());
            // Removed at the bound, and the request goes on.
            go.wait();
            assert_eq!(client.response().unwrap().text(), "slow");
        }
    }
    // Without `--no-wait` the command ends when the server is gone.
    said(&site, &["server", "add", "website/s2", &free_address().to_string()]);
    assert_eq!(said(&site, &["server", "remove", "website/s2"]), "website/s2: removed\n");
    let events = said(&site, &["events"]);
    assert!(events.contains("website/s0: removed: nothing runs on it any more"), "{events}");
    assert!(events.contains("1 request still runs on it and goes on until it ends"), "{events}");
}

#[test]
fn a_drained_server_keeps_its_clients_and_gets_no_new_ones() {
    let servers = ["s0", "s1"].map(ToyServer::named);
    let (address, state) = (free_address(), temp_dir());
    let addresses = [servers[0].address(), servers[1].address()];
    let site = start(&text(address, &addresses, "sticky = { cookie = \"LB\" }"), state.path());
    let mut client = HttpClient::connect(address).unwrap();
    let response = client.get("/").unwrap();
    let (own, cookie) = (response.text(), response.header("set-cookie").unwrap().to_owned());
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let other = if own == "s0" { "s1" } else { "s0" };
    let mut bound = || {
        client.send(format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n")).unwrap();
        client.response().unwrap().text()
    };
    said(&site, &["server", "drain", &format!("website/{own}")]);
    assert_eq!((0..5).map(|_| bound()).collect::<BTreeSet<_>>(), [own.clone()].into());
    assert_eq!(who_answers(address, 10), [other.to_owned()].into());
    // Maintenance keeps nobody.
    said(&site, &["server", "maintenance", &format!("website/{own}")]);
    assert_eq!(bound(), other);
    said(&site, &["server", "ready", &format!("website/{own}")]);
    assert_eq!(who_answers(address, 10).len(), 2);
    assert_eq!(site.status()["runtime_changes"], json!([]));
}

#[test]
fn changes_outlive_a_kill_and_a_restart_and_are_saved_with_the_comments() {
    let servers = ["s0", "s1", "s2"].map(ToyServer::named);
    let (address, state) = (free_address(), temp_dir());
    let text = text(address, &[servers[0].address(), servers[1].address()], "");
    let site = start(&text, state.path());
    said(&site, &["server", "add", "website/s2", &servers[2].address().to_string(), "--weight", "2"]);
    said(&site, &["server", "remove", "website/s0", "--force"]);
    said(&site, &["server", "weight", "website/s1", "3"]);
    site.program.kill_tree();
    drop(site);

    let site = start(&text, state.path());
    assert_eq!(who_answers(address, 20), ["s1", "s2"].map(str::to_owned).into());
    let diff = said(&site, &["diff"]);
    for line in ["website/s2: added (", "website/s0: removed  (by uid ", "website/s1: weight 3  (by uid "] {
        assert!(diff.contains(line), "{diff}");
    }
    // A reload keeps them, and a file that was edited is not overwritten.
    site.reload(&text);
    assert_eq!(who_answers(address, 20).len(), 2);
    site.write(&format!("{text}# edited\n[pool.website.queue]\nsize = 5\n"));
    let refused = site.command(&["config", "save"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("evenkeel reload"), "{refused:?}");
    site.write(&text);
    let saved = said(&site, &["config", "save"]);
    assert!(saved.starts_with("written into "), "{saved}");
    let file = fs::read_to_string(site.directory.path().join("evenkeel.toml")).unwrap();
    let expected = text.replace(&format!("s0 = \"{}\" # number 0\n", servers[0].address()), "").replace(
        &format!("s1 = \"{}\" # number 1", servers[1].address()),
        &format!("s1 = {{ address = \"{}\", weight = 3 }} # number 1", servers[1].address()),
    ) + &format!("s2 = {{ address = \"{}\", weight = 2 }}\n", servers[2].address());
    assert_eq!(file, expected);
    assert_eq!(site.status()["runtime_changes"], json!([]));
    assert!(said(&site, &["diff"]).contains("would change nothing"));
    assert_eq!(who_answers(address, 20), ["s1", "s2"].map(str::to_owned).into());
}

#[test]
fn of_two_operators_the_second_is_told_that_the_first_was_there() {
    let servers = ["s0", "s1"].map(ToyServer::named);
    let (address, state) = (free_address(), temp_dir());
    let site = start(&text(address, &[servers[0].address(), servers[1].address()], ""), state.path());
    let (mut one, mut two) = (Api::of(&site), Api::of(&site));
    let read = one.ask("GET", &path("s0"), "", &Value::Null);
    let tag = format!("if-match: {}\r\n", read.etag.unwrap());
    assert_eq!(one.ask("PATCH", &path("s0"), &tag, &json!({ "weight": 5 })).status, 200);
    let late = two.ask("PATCH", &path("s0"), &tag, &json!({ "state": "maintenance" }));
    assert_eq!(late.status, 412, "{}", late.body);
    assert!(late.body["detail"].as_str().unwrap().contains("read it again"), "{}", late.body);
    assert_eq!(one.ask("GET", &path("s0"), "", &Value::Null).body["state"], "ready");
    for (method, server, body, status) in [
        ("PATCH", "s0", json!({ "wieght": 5 }), 400),
        ("PATCH", "s0", json!({ "weight": 257 }), 400),
        ("PATCH", "s9", json!({ "weight": 1 }), 404),
        ("PUT", "s9", json!({ "address": servers[0].address().to_string() }), 409),
        ("PUT", "s9", json!({ "address": "x".repeat(20_000) }), 413),
    ] {
        let answer = Api::of(&site).ask(method, &path(server), "", &body);
        assert_eq!(answer.status, status, "{method} {server}: {}", answer.body);
        assert_eq!(answer.body["status"], status);
    }
    let events = said(&site, &["events", "--json"]);
    let last: Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
    assert_eq!((&last["kind"], &last["subject"]), (&json!("server-changed"), &json!("website/s0")));
    assert!(last["by"].as_str().unwrap().starts_with("uid "), "{last}");
    assert!(last["before"].as_str().unwrap().contains("weight 1"), "{last}");
    assert!(last["after"].as_str().unwrap().contains("weight 5"), "{last}");
    site.program.wait_for_line(|line| line.contains("audit") && line.contains("weight 5"), BOUND);
}

#[test]
fn over_tcp_the_token_steers_and_events_come_as_they_happen() {
    let servers = ["s0", "s1"].map(ToyServer::named);
    let (address, admin, state) = (free_address(), free_address(), temp_dir());
    let token = state.path().join("token");
    fs::write(&token, "0123456789abcdef0123456789abcdef\n").unwrap();
    fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let text = text(address, &[servers[0].address(), servers[1].address()], "")
        + &format!("[admin]\nbind = \"{admin}\"\ntoken-file = \"{}\"\n", token.display());
    let _site = start(&text, state.path());
    let patch = |token: &str| {
        let mut client = HttpClient::connect(admin).unwrap();
        client
            .send(format!(
                "PATCH {} HTTP/1.1\r\nHost: localhost\r\n{token}Content-Type: application/json\r\nContent-Length: 17\r\n\r\n{{\"state\":\"drain\"}}",
                path("s1")
            ))
            .unwrap();
        client.response().unwrap().status
    };
    assert_eq!(patch(""), 401);
    assert_eq!(patch("Authorization: Bearer 0123456789abcdef0123456789abcdeg\r\n"), 401);
    // A stream that is open sees what happens.
    let mut stream = HttpClient::connect(admin).unwrap();
    stream.send("GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert_eq!(stream.response_to_head().unwrap().status, 200);
    assert_eq!(patch("Authorization: Bearer 0123456789abcdef0123456789abcdef\r\n"), 200);
    let mut reader = BufReader::new(stream.stream());
    let mut seen = String::new();
    while !seen.contains("event: server-changed") {
        assert!(reader.read_line(&mut seen).unwrap() > 0, "{seen}");
    }
    let mut client = HttpClient::connect(admin).unwrap();
    client.send("GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let answer = client.response().unwrap();
    let document: Value = serde_json::from_str(&answer.text()).unwrap();
    assert!(document["paths"]["/v1/pools/{pool}/servers/{server}"]["put"].is_object());
}

#[test]
fn a_damaged_state_is_set_aside_and_told_about() {
    let server = ToyServer::named("s0");
    let (address, state) = (free_address(), temp_dir());
    fs::create_dir(state.path().join("state")).unwrap();
    fs::write(state.path().join("state/runtime-changes"), "nonsense").unwrap();
    let site = start(&text(address, &[server.address()], ""), state.path());
    let status = said(&site, &["status"]);
    assert!(status.contains("alarm: the runtime changes in "), "{status}");
    assert!(said(&site, &["events"]).contains("alarm: the runtime changes in "));
    assert_eq!(who_answers(address, 2), [String::from("s0")].into());
}
