//! Every example starts as an operator starts it, and does what its comments say.
//!
//! What an example says about addresses is moved to loopback; everything else is as it is.

use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::Path;

use evenkeel_testkit::{
    BOUND, HttpClient, NameServer, Nginx, Response, Saying, ToyServer, free_address, free_port, needs,
    temp_dir,
};

use crate::site::{Site, example, fetch, replace};

/// An example with its addresses moved to loopback, and a control socket of the test's own.
struct Moved {
    text: String,
    servers: Vec<ToyServer>,
}

impl Moved {
    /// A part of an example that says nothing about the control socket.
    fn part(name: &str) -> Self {
        Self { text: example(name), servers: Vec::new() }
    }

    fn new(name: &str) -> Self {
        let mut moved = Self::part(name);
        let control = "[global]\ncontrol-socket = \"${CONTROL}\"\n";
        moved.text = match moved.text.contains("[global]\n") {
            true => replace(&moved.text, "[global]\n", control),
            false => moved.text + control,
        };
        moved
    }

    /// Moves a bind to a free address.
    fn bind(&mut self, bind: &str) -> SocketAddr {
        let address = free_address();
        self.text = replace(&self.text, &format!("\"{bind}\""), &format!("\"{address}\""));
        address
    }

    /// Moves a bind for all of IPv6 to a free port of `::1`; where there is no IPv6, nowhere.
    fn bind_v6(&mut self, bind: &str) -> Option<SocketAddr> {
        let address: SocketAddr = (Ipv6Addr::LOCALHOST, free_port()).into();
        let there = TcpListener::bind(address).is_ok();
        let moved = if there { format!(", \"{address}\"") } else { String::new() };
        self.text = replace(&self.text, &format!(", \"{bind}\""), &moved);
        there.then_some(address)
    }

    /// Puts a server that answers with its name in the place of one.
    fn server(&mut self, address: &str, name: &str) {
        let server = ToyServer::named(name);
        self.text = replace(&self.text, &format!("\"{address}\""), &format!("\"{}\"", server.address()));
        self.servers.push(server);
    }

    fn start(&self) -> Site {
        Site::of(&self.text, &[])
    }
}

/// A request on a connection of its own.
fn ask(address: SocketAddr, line: &str, fields: &str) -> Response {
    let mut client = HttpClient::connect(address).unwrap();
    client.send(format!("{line} HTTP/1.1\r\n{fields}\r\n")).unwrap();
    client.response().unwrap()
}

#[test]
fn minimal_balances() {
    let mut moved = Moved::new("minimal.toml");
    let address = moved.bind("0.0.0.0:80");
    moved.server("192.168.1.2:80", "webserver01");
    moved.server("192.168.1.3:80", "webserver02");
    let _site = moved.start();
    let names = [(); 4].map(|()| fetch(address, "/").unwrap());
    assert_eq!(names, ["webserver01", "webserver02", "webserver01", "webserver02"]);
}

#[test]
fn website_runs_as_it_is() {
    let servers = ["webserver01", "webserver02"].map(ToyServer::named);
    let address = free_address();
    let _site = Site::website(address, [servers[0].address(), servers[1].address()]);
    assert_eq!([(); 2].map(|()| fetch(address, "/").unwrap()), ["webserver01", "webserver02"]);
}

#[test]
fn routes_choose_the_pool() {
    let mut moved = Moved::new("routes.toml");
    let address = moved.bind("0.0.0.0:80");
    let v6 = moved.bind_v6("[::]:80");
    for (server, name) in [
        ("192.168.1.2:80", "website"),
        ("192.168.1.3:80", "website"),
        ("192.168.1.4:80", "static"),
        ("192.168.1.5:8000", "api"),
        ("192.168.1.6:8000", "api"),
        ("192.168.1.7:80", "preview"),
    ] {
        moved.server(server, name);
    }
    // The colleagues of the example are here.
    moved.text = replace(&moved.text, "\"192.168.0.0/16\"", "\"127.0.0.0/8\"");
    let _site = moved.start();
    let example = "Host: www.example.com\r\n";
    for (line, fields, pool) in [
        ("GET /", example, "website"),
        ("GET /", "Host: static.example.com\r\n", "static"),
        ("GET /", "Host: a.b.cdn.example.com\r\n", "static"),
        ("GET /", "Host: cdn.example.com\r\n", "website"),
        ("GET /assets/logo.svg", example, "static"),
        ("GET /favicon.ico", example, "static"),
        ("DELETE /assets/logo.svg", example, "website"),
        ("GET /api/users", "Host: www.example.com\r\nX-Version: 2\r\nAuthorization: any\r\n", "api"),
        ("GET /api/users", "Host: www.example.com\r\nX-Version: 2\r\n", "website"),
        ("GET /api/users", "Host: www.example.com\r\nX-Version: 3\r\nAuthorization: any\r\n", "website"),
        ("GET /", "Host: preview.example.com\r\n", "preview"),
    ] {
        assert_eq!(ask(address, line, fields).text(), pool, "{line} {fields:?}");
    }
    if let Some(v6) = v6 {
        // It comes from ::1, which is no colleague.
        assert_eq!(ask(v6, "GET /", "Host: preview.example.com\r\n").text(), "website");
    }
}

#[test]
fn tcp_passes_bytes_to_replicas_by_weight_and_to_the_primary_by_source() {
    let greeting = |name: &'static str| {
        ToyServer::start(move |mut connection| {
            let _gone = connection.write(name);
            let _gone = connection.read_to_end();
        })
    };
    let names = ["database01", "database02", "database03"];
    let servers = names.map(greeting);
    let start = |source: &str| {
        let mut moved = Moved::new("tcp.toml");
        let address = moved.bind("0.0.0.0:5432");
        for (server, there) in servers.iter().zip(["192.168.1.21", "192.168.1.22", "192.168.1.23"]) {
            let here = format!("\"{}\"", server.address());
            moved.text = replace(&moved.text, &format!("\"{there}:5432\""), &here);
        }
        moved.text = replace(&moved.text, "192.168.1.0/28", source);
        (moved.start(), address)
    };
    let connect = |address| {
        let mut client = HttpClient::connect(address).unwrap();
        String::from_utf8(client.read_raw(names[0].len()).unwrap()).unwrap()
    };
    let (_site, address) = start("192.168.1.0/28");
    // Weights 3 and 1: gains of (3 1), (2 2), (1 3), (4 0).
    let turn = ["database02", "database02", "database03", "database02"];
    assert_eq!([(); 4].map(|()| connect(address)), turn);
    let (_site, address) = start("127.0.0.0/28");
    assert_eq!([(); 2].map(|()| connect(address)), ["database01", "database01"]);
}

#[test]
fn servers_say_how_they_are_by_programs_and_at_other_addresses() {
    let mut moved = Moved::new("checks.toml");
    moved.bind("0.0.0.0:5432");
    moved.bind("0.0.0.0:443");
    for server in ["192.168.1.21:5432", "192.168.1.22:5432", "192.168.1.31:443", "192.168.1.32:443"] {
        moved.server(server, "busy");
    }
    moved.server("10.0.0.31:8080", "well");
    // Nobody is at the address of the other one's check.
    moved.text = replace(&moved.text, "10.0.0.32:8080", &free_address().to_string());
    let site = moved.start();
    let states = |status: &serde_json::Value| -> Vec<String> {
        let pools = status["traffic"]["pools"].as_array().into_iter().flatten();
        let servers = pools.flat_map(|pool| pool["servers"].as_array().into_iter().flatten());
        servers.map(|server| server["state"].as_str().unwrap().to_owned()).collect()
    };
    site.wait_until(|status| states(status) == ["up", "up", "up", "down"]);
}

#[test]
fn live_leaves_out_who_is_in_maintenance() {
    let mut example = Moved::new("live.toml");
    let address = example.bind("0.0.0.0:80");
    example.bind_v6("[::]:80");
    let state = temp_dir();
    example.text = replace(&example.text, "/var/lib/evenkeel", &state.path().display().to_string());
    example.bind("127.0.0.1:8404");
    for (server, name) in [
        ("192.168.1.2:80", "webserver01"),
        ("192.168.1.3:80", "webserver02"),
        ("192.168.1.4:80", "webserver03"),
    ] {
        example.server(server, name);
    }
    let _site = example.start();
    let mut client = HttpClient::connect(address).unwrap();
    let names: Vec<String> = (0..6).map(|_| client.get("/").unwrap().text()).collect();
    assert!(names.iter().all(|name| name == "webserver01" || name == "webserver02"), "{names:?}");
    assert_eq!(example.servers[2].connections(), 0);
}

#[test]
fn discovery_follows_names_services_and_a_file() {
    let mut example = Moved::new("discovery.toml");
    let address = example.bind("0.0.0.0:80");
    example.bind_v6("[::]:80");
    let (state, names) = (temp_dir(), NameServer::start());
    let [web, api, search] = ["web", "api", "search"].map(ToyServer::named);
    example.server("192.168.1.2:80", "sorry");
    let file = state.path().join("search");
    std::fs::write(&file, format!("{}\n", search.address())).unwrap();
    names.points("web.internal", &["127.0.0.1"], 60);
    let target = (10, 5, api.address().port(), "api.internal".to_owned());
    names.says("_http._tcp.api.internal", Saying::Services(vec![target], 60));
    names.points("api.internal", &["127.0.0.1"], 60);
    for (old, new) in [
        ("/var/lib/evenkeel", state.path().display().to_string()),
        ("/etc/evenkeel/search.servers", file.display().to_string()),
        ("web.internal:80", format!("web.internal:{}", web.address().port())),
        ("[resolver]\n", format!("[resolver]\nnameservers = \"{}\"\n", names.address())),
    ] {
        example.text = replace(&example.text, old, &new);
    }
    let site = example.start();
    site.wait_until(|status| {
        status["traffic"]["pools"].as_array().unwrap().iter().all(|pool| {
            let mut servers =
                pool["servers"].as_array().unwrap().iter().filter(|server| server["name"] != "sorry");
            servers.next().is_some_and(|server| server["state"] == "up")
        })
    });
    for (path, name) in [("/", "web"), ("/api/x", "api"), ("/search/x", "search")] {
        assert_eq!(fetch(address, path).unwrap(), name);
    }
}

#[test]
fn unix_sockets_lead_to_and_from_local_programs() {
    if !needs("nginx") {
        return;
    }
    let directory = temp_dir();
    let path = |name: &str| format!("unix:{}", directory.path().join(name).display());
    let [first, second] = ["worker01.sock", "worker02.sock"].map(path);
    // One nginx with a socket for each worker.
    let _workers = Nginx::start_with(
        "workers",
        free_port(),
        &format!(
            "server {{ listen {first}; location / {{ return 200 \"worker01\"; }} }}\n\
             server {{ listen {second}; location / {{ return 200 \"worker02\"; }} }}"
        ),
    );
    let (address, socket) = (free_address(), directory.path().join("application.sock"));
    let variables = [
        ("BIND", address.to_string()),
        ("SOCKET", path("application.sock")),
        ("WORKER01", first),
        ("WORKER02", second),
    ];
    let site = Site::of(&example("unix-sockets.toml"), &variables);
    assert_eq!([(); 2].map(|()| fetch(address, "/").unwrap()), ["worker01", "worker02"]);
    assert_eq!(over_unix_socket(&socket), "worker01");
    assert!(site.command(&["stop"]).status.success());
    assert_eq!(site.program.wait(BOUND), 0);
    assert!(!socket.exists());
}

/// The body of the answer to a request over a unix socket.
fn over_unix_socket(path: &Path) -> String {
    use std::io::{Read, Write};
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: test.example\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    text.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn behind_a_cdn_only_the_cdn_is_believed() {
    let request = "Host: www.example.com\r\nX-Forwarded-For: 203.0.113.7\r\n";
    for (trusted, expected) in [
        ("127.0.0.0/8", "X-Forwarded-For: 203.0.113.7, 127.0.0.1\r\n"),
        ("192.0.2.0/24", "X-Forwarded-For: 127.0.0.1\r\n"),
    ] {
        let mut moved = Moved::new("behind-a-cdn.toml");
        let address = moved.bind("0.0.0.0:80");
        moved.bind_v6("[::]:80");
        moved.server("192.168.1.2:80", "webserver01");
        moved.server("192.168.1.3:80", "webserver02");
        moved.text = replace(&moved.text, "192.0.2.0/24", trusted);
        let _site = moved.start();
        assert_eq!(ask(address, "GET /", request).text(), "webserver01");
        let head = String::from_utf8(moved.servers[0].received().concat()).unwrap();
        assert!(head.contains(expected) && head.contains("\r\nForwarded: for="), "{trusted}: {head}");
        let refused = ask(address, "GET /", "Host: www.example.com\r\nX_Forwarded_For: 203.0.113.7\r\n");
        assert_eq!(refused.status, 400, "{refused:?}");
    }
}

#[test]
fn included_files_make_one_program() {
    let directory = temp_dir();
    std::fs::create_dir(directory.path().join("conf.d")).unwrap();
    let mut main = Moved::new("include/evenkeel.toml");
    let admin = main.bind("127.0.0.1:8404");
    let mut shop = Moved::part("include/conf.d/shop.toml");
    let shop_address = shop.bind("192.168.1.11:80");
    shop.server("192.168.1.41:80", "shop01");
    shop.server("192.168.1.42:80", "shop02");
    let mut blog = Moved::part("include/conf.d/blog.toml");
    let blog_address = blog.bind("192.168.1.11:8080");
    blog.server("192.168.1.31:80", "blog01");
    blog.server("192.168.1.32:80", "blog02");
    for (name, moved) in [("evenkeel.toml", &main), ("conf.d/shop.toml", &shop), ("conf.d/blog.toml", &blog)]
    {
        std::fs::write(directory.path().join(name), &moved.text).unwrap();
    }
    let config = directory.path().join("evenkeel.toml");
    let _site = Site::start(directory, &config, &[]);
    assert_eq!([(); 2].map(|()| fetch(shop_address, "/").unwrap()), ["shop01", "shop02"]);
    assert_eq!([(); 2].map(|()| fetch(blog_address, "/").unwrap()), ["blog01", "blog02"]);
    assert_eq!(ask(admin, "GET /healthz", "Host: localhost\r\n").status, 200);
}
