//! Upgrades under load: another program takes over, and no client notices.

use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::time::Instant;

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
