//! Upgrades under load: another program takes over, and no client notices.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::process::Output;

use evenkeel_testkit::{
    BOUND, HttpClient, Load, Nginx, Signal, ToyServer, WebSocket, free_address, free_port, needs,
    websocket_echo,
};
use serde_json::Value;

use crate::site::{LOAD, Site, fetch, inodes, of_listener, of_server, url};

/// Bytes of a download that the client does not read until the end of a test: more than all buffers on its way hold.
const BIG: usize = 64 << 20;

/// A website with two servers, a chat and what else a test needs.
fn website(address: SocketAddr, servers: &[Nginx; 2], chat: SocketAddr, more: &str) -> String {
    format!(
        "[global]\ncontrol-socket = \"${{CONTROL}}\"\nthreads = 2\n{more}\n\
         [listener.website]\nbind = \"{address}\"\npool = \"website\"\n\
         [[listener.website.route]]\npath = \"/chat\"\npool = \"chat\"\n\
         [pool.chat.servers]\nchat = \"{chat}\"\n\
         [pool.website]\nhealth = {{ interval = \"1s\" }}\n\
         [pool.website.servers]\nwebserver01 = \"{}\"\nwebserver02 = \"{}\"\n",
        servers[0].address(),
        servers[1].address(),
    )
}

fn generation(status: &Value) -> u64 {
    status["generation"].as_u64().unwrap()
}

#[test]
fn two_upgrades_under_load_fail_no_request_and_keep_what_spans_them() {
    if !needs("nginx") || !needs("wrk") {
        return;
    }
    let servers = ["webserver01", "webserver02"].map(|name| Nginx::start(name, free_port()));
    // Slow enough to span both upgrades, as the client reads it.
    servers.iter().for_each(|server| server.file("big", BIG as u64));
    let chat = websocket_echo();
    let address = free_address();
    let site = Site::of(&website(address, &servers, chat.address(), ""), &[]);
    let (pid, sockets) = (site.program.id(), inodes(address));

    let mut websocket = WebSocket::connect(address, "/chat").unwrap();
    assert_eq!(websocket.echo("before").unwrap(), "before");
    let mut download = HttpClient::connect(address).unwrap();
    download.send("GET /files/big HTTP/1.1\r\nHost: test.example\r\n\r\n").unwrap();
    let mut begun = [0; 1 << 16];
    download.stream().read_exact(&mut begun).unwrap();

    let kept = Load::start(&url(address, "/"), 32, LOAD);
    let opened = Load::start_with(&url(address, "/"), 8, LOAD, &["Connection: close"]);
    site.wait_until(|status| of_listener(status, "website", "requests_total") > 1000);
    for turn in 0..2 {
        let before = site.status();
        if turn == 0 {
            let seen = site.program.lines().len();
            site.program.signal(Signal::USR2);
            site.program.wait_for_line_after(seen, |line| line.contains("upgrade done: "), BOUND);
        } else {
            site.upgrade();
        }
        let after = site.status();
        assert_eq!(generation(&after), turn + 2);
        assert_eq!(after["pid"], pid, "the process stays");
        assert_eq!(after["last_upgrade"]["succeeded"], true);
        let requests = |status: &Value| of_listener(status, "website", "requests_total");
        assert!(
            requests(&after) >= requests(&before),
            "counts go on: {} {}",
            requests(&before),
            requests(&after)
        );
        assert!(of_server(&after, "webserver01", "total") >= of_server(&before, "webserver01", "total"));
        assert_eq!(websocket.echo("between").unwrap(), "between");
        let at_once = requests(&after);
        site.wait_until(|status| requests(status) > at_once + 1000);
    }
    for (load, what) in [(kept, "kept"), (opened, "one a request")] {
        let report = load.stop();
        assert_eq!(report.errors.total(), 0, "connections {what}: {report:?}");
        println!("2 upgrades, connections {what}: {} requests, 0 failed", report.requests);
    }
    assert_eq!(websocket.echo("after").unwrap(), "after");
    assert_eq!(inodes(address), sockets, "the sockets stay");
    // The rest of the download, to its last byte.
    let head = begun.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let mut body = begun[head..].to_vec();
    let mut rest = vec![0; BIG - body.len()];
    download.stream().read_exact(&mut rest).unwrap();
    body.append(&mut rest);
    assert!(body.iter().enumerate().all(|(n, &byte)| usize::from(byte) == (n / 251 + n) % 251));
    // The first generation has the WebSocket and the download; who only kept connections is gone.
    drop((websocket, download));
    site.wait_until(|status| status["old_generations"].as_array().unwrap().is_empty());
    site.program.signal(Signal::TERM);
    assert_eq!(site.program.wait(BOUND), 0);
}

/// A listener with one server.
fn small(bind: impl std::fmt::Display, server: SocketAddr, global: &str) -> String {
    format!(
        "[global]\ncontrol-socket = \"${{CONTROL}}\"\nthreads = 1\n{global}\n\
         [listener.website]\nbind = \"{bind}\"\npool = \"website\"\n\
         [pool.website.servers]\none = \"{server}\"\n"
    )
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_program_that_cannot_take_over_is_abandoned_and_the_running_one_goes_on() {
    let (server, address) = (ToyServer::named("one"), free_address());
    let plain = small(address, server.address(), "");
    let site = Site::of_a_copy(&plain, &[]);
    let proxy = site.role("proxy");
    let mut client = HttpClient::connect(address).unwrap();
    assert_eq!(client.get("/").unwrap().status, 200);
    let mut goes_on = |why: &str| {
        assert_eq!(client.get("/").unwrap().status, 200, "its connections are not touched");
        let status = site.status();
        assert_eq!((generation(&status), site.role("proxy")), (1, proxy));
        assert_eq!(status["last_upgrade"]["succeeded"], false);
        assert!(status["last_upgrade"]["what"].as_str().unwrap().contains(why), "{status}");
    };

    // One that ends, one that hangs, one that is no program, and none at all.
    for (program, why) in [
        ("#!/bin/sh\nexit 1\n", "said nothing of whether it can take over (exit status: 1)"),
        ("#!/bin/sh\nexec sleep 1000\n", "did not show within 1s that it can take over; it was killed"),
        ("no program", "cannot be started: "),
    ] {
        site.install(program.as_bytes());
        let output = site.command(&["upgrade", "--within", "1s"]);
        assert_eq!(output.status.code(), Some(5), "{output:?}");
        assert!(errors(&output).contains(why), "{output:?}");
        goes_on(why);
    }
    fs::remove_file(site.installed()).unwrap();
    let output = site.command(&["upgrade"]);
    assert!(errors(&output).contains("there is no program to take over in"), "{output:?}");

    // A good program and a configuration that it refuses.
    site.install(&Site::original());
    site.write(&plain.replace("pool = ", "pol = "));
    let output = site.command(&["upgrade"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(errors(&output).contains("evenkeel.toml:7:"), "{output:?}");
    let problem = site.command(&["upgrade", "--json"]);
    let problem: Value = serde_json::from_slice(&problem.stdout).unwrap();
    assert_eq!((&problem["status"], &problem["report"]["problems"][0]["line"]), (&422.into(), &7.into()));
    goes_on("evenkeel.toml: 1 error");
    // An address that somebody else has.
    site.write(
        &plain
            .replace("bind = ", &format!("bind = [\"{}\", ", server.address()))
            .replace("\"\npool", "\"]\npool"),
    );
    let output = site.command(&["upgrade"]);
    assert!(errors(&output).contains(&format!("cannot listen on {}", server.address())), "{output:?}");
    goes_on("cannot listen on ");

    // The file from which this program was started is not there any more; what is in its place takes over.
    site.write(&plain);
    site.upgrade();
    assert_eq!(generation(&site.status()), 2);
    assert_eq!(client.get("/").unwrap().header("connection"), Some("close"));
    assert_eq!(fetch(address, "/").unwrap(), "one");
}

#[test]
fn programs_from_before_have_a_bound_in_number() {
    let (chat, address) = (websocket_echo(), free_address());
    let site = Site::of(&small(address, chat.address(), "graceful-timeout = \"1h\""), &[]);
    let mut sockets = Vec::new();
    for _ in 0..4 {
        sockets.push(WebSocket::connect(address, "/chat").unwrap());
        site.upgrade();
    }
    sockets.push(WebSocket::connect(address, "/chat").unwrap());
    for socket in &mut sockets {
        assert_eq!(socket.echo("all of them live").unwrap(), "all of them live");
    }
    site.wait_until(|status| of_listener(status, "website", "connections") == 5);
    let old = site.status()["old_generations"].as_array().unwrap().clone();
    assert_eq!(old.iter().map(|old| old["generation"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let output = site.command(&["upgrade"]);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert!(errors(&output).contains("4 programs from before still finish their connections"), "{output:?}");
    // One of them has ended: there is room again.
    drop(sockets.remove(1));
    site.wait_until(|status| status["old_generations"].as_array().unwrap().len() == 3);
    site.upgrade();
    assert_eq!(generation(&site.status()), 6);
    // A stop reaches all of them.
    let seen = site.program.lines().len();
    site.program.signal(Signal::TERM);
    site.program.wait_for_line_after(seen, |line| line.contains("stopping on SIGTERM"), BOUND);
    site.program.signal(Signal::TERM);
    assert_eq!(site.program.wait(BOUND), 0);
    for mut socket in sockets {
        assert!(socket.echo("cut").is_err());
    }
}

#[test]
fn programs_from_before_have_a_bound_in_age() {
    let (chat, address) = (websocket_echo(), free_address());
    let site = Site::of(&small(address, chat.address(), "graceful-timeout = \"1s\""), &[]);
    let mut socket = WebSocket::connect(address, "/chat").unwrap();
    assert_eq!(socket.echo("before").unwrap(), "before");
    let seen = site.program.lines().len();
    site.upgrade();
    let line = "the proxy role of generation 1 (pid";
    let (_, line) = site.program.wait_for_line_after(
        seen,
        |text| text.contains(line) && text.contains("has ended"),
        BOUND,
    );
    assert!(line.contains("1 connection was cut: graceful-timeout was over"), "{line}");
    assert!(socket.echo("after").is_err());
}

#[test]
fn runtime_changes_unix_sockets_and_the_directory_of_the_state_stay() {
    let server = ToyServer::named("one");
    let directory = evenkeel_testkit::temp_dir();
    let socket = directory.path().join("website.sock");
    for state in [String::new(), format!("state-dir = \"{}\"", directory.path().join("state").display())] {
        let bind = format!("unix:{}", socket.display());
        let site = Site::of(&small(&bind, server.address(), &state), &[]);
        for command in [
            ["server", "weight", "website/one", "7"].as_slice(),
            &["server", "add", "website/two", "127.0.0.1:9"],
            &["server", "maintenance", "website/two"],
        ] {
            let output = site.command(command);
            assert!(output.status.success(), "{output:?}");
        }
        let changes = site.status()["runtime_changes"].clone();
        assert_eq!(changes.as_array().unwrap().len(), 2);
        let ask = || {
            let mut stream = UnixStream::connect(&socket).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        for _ in 0..2 {
            site.upgrade();
            assert!(ask().ends_with("one"));
            let status = site.status();
            assert_eq!(status["runtime_changes"], changes);
            assert_eq!(status["traffic"]["pools"][0]["servers"][0]["weight"], 7);
            assert_eq!(status["traffic"]["pools"][0]["servers"][1]["state"], "maintenance");
            let events = site.command(&["events", "--json"]);
            let events = String::from_utf8_lossy(&events.stdout).into_owned();
            assert!(events.contains("server-changed") && events.contains("\"upgrade\""), "{events}");
        }
        // It is changed and kept as before.
        assert!(site.command(&["server", "ready", "website/two"]).status.success());
        site.program.signal(Signal::TERM);
        assert_eq!(site.program.wait(BOUND), 0);
        assert!(!socket.exists(), "its name goes with the program");
    }
    assert!(directory.path().join("state/runtime-changes").exists());
}

#[test]
fn what_is_known_of_servers_is_known_at_once() {
    let (server, address) = (ToyServer::named("one"), free_address());
    let nobody = free_address();
    let text = small(address, server.address(), "").replace(
        "[pool.website.servers]",
        &format!(
            "[pool.website]\nhealth = {{ interval = \"1h\", fast-interval = \"1s\", down-interval = \"1h\", rise = 2 }}\n\
             [pool.website.servers]\nnobody = \"{nobody}\""
        ),
    );
    let site = Site::of(&text, &[]);
    let of_nobody = |status: &Value| {
        let servers = status["traffic"]["pools"][0]["servers"].as_array().unwrap();
        servers.iter().find(|server| server["name"] == "nobody").unwrap().clone()
    };
    site.wait_until(|status| status["traffic"].is_object() && of_nobody(status)["state"] == "down");
    let before = of_nobody(&site.status());
    site.upgrade();
    let after = of_nobody(&site.status());
    for key in ["state", "why", "since"] {
        assert_eq!(after[key], before[key], "{after}");
    }
    // Nobody meets a server that is known to be down.
    for _ in 0..8 {
        assert_eq!(fetch(address, "/").unwrap(), "one");
    }
    assert_eq!(of_nobody(&site.status())["connect_failures_total"], before["connect_failures_total"]);
}
