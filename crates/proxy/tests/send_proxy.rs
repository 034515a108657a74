//! The PROXY protocol towards servers.

mod common;

use common::{Balancer, website};
use evenkeel_http::proxy_header::parse;
use evenkeel_testkit::{BOUND, Connection, ToyServer};

/// A server that answers each request after a header with what it was told, and says after how many requests on one
/// connection.
fn listening() -> ToyServer {
    ToyServer::start(|mut connection: Connection| {
        let mut bytes = Vec::new();
        let header = loop {
            let Ok(more) = connection.read_exact(1) else { return };
            bytes.extend(more);
            match parse(&bytes) {
                Ok(None) => {}
                Ok(Some(header)) => break header,
                Err(_) => return,
            }
        };
        let addresses = header.addresses.map(|(source, to)| format!("{source} {to}"));
        let told = addresses.unwrap_or_else(|| "nobody".into());
        let Ok(_) = connection.read_head() else { return };
        let _gone = connection.write(format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{told}",
            told.len()
        ));
    })
}

fn config(listener: &str, form: &str) -> String {
    website(1, listener, &format!("send-proxy-protocol = {form}"))
}

#[test]
fn a_server_is_told_who_the_client_is_for_each_request() {
    for form in ["\"v1\"", "\"v2\"", "{ extensions = [\"authority\", \"alpn\", \"ssl\", \"crc32c\"] }"] {
        for mode in ["http", "tcp"] {
            let server = listening();
            let listener = format!("mode = \"{mode}\"");
            let balancer = Balancer::start(&config(&listener, form), &[server.address()]);
            let mut ports = Vec::new();
            for _ in 0..2 {
                let mut client = balancer.client();
                let own = client.stream().local_addr().unwrap();
                let requests = if mode == "http" { 2 } else { 1 };
                for _ in 0..requests {
                    let expected = format!("{own} {}", balancer.address());
                    assert_eq!(client.get("/").unwrap().text(), expected, "{form} {mode}");
                }
                ports.push(own.port());
            }
            assert_ne!(ports[0], ports[1]);
        }
    }
}

#[test]
fn what_a_proxy_in_front_has_said_is_passed_on() {
    let server = listening();
    let listener = "proxy-protocol = { from = \"127.0.0.1\" }";
    let balancer = Balancer::start(&config(listener, "\"v2\""), &[server.address()]);
    let ask = |header: &str| {
        let answer = balancer.raw(format!("{header}GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        answer.rsplit("\r\n").next().unwrap().to_owned()
    };
    let told = ask("PROXY TCP6 2001:db8::7 2001:db8::1 1000 443\r\n");
    assert_eq!(told, "[2001:db8::7]:1000 [2001:db8::1]:443");
    // It speaks for itself.
    let told = ask("PROXY UNKNOWN\r\n");
    assert!(told.starts_with("127.0.0.1:") && told.ends_with(&balancer.address().to_string()), "{told}");
}

#[test]
fn a_client_without_an_address_is_nobody() {
    let server = listening();
    let directory = evenkeel_testkit::temp_dir();
    let path = directory.path().join("web.sock");
    let config =
        config("", "\"v2\"").replacen("bind = ", &format!("bind = \"unix:{}\" #", path.display()), 1);
    let _balancer = Balancer::start(&config, &[server.address()]);
    let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
    std::io::Write::write_all(&mut client, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut client, &mut answer).unwrap();
    assert!(answer.ends_with("nobody"), "{answer}");
}

#[test]
fn checks_are_our_own() {
    for (form, own) in [("v1", &b"PROXY UNKNOWN\r\n"[..]), ("v2", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")] {
        for (health, header) in [("", own), (", proxy-protocol = false", &[][..])] {
            let server = ToyServer::named("a");
            let pool = format!(
                "send-proxy-protocol = \"{form}\"\nhealth = {{ http = \"/\", interval = \"100ms\"{health} }}"
            );
            let _balancer = Balancer::start(&website(1, "", &pool), &[server.address()]);
            let expected = [header, b"GET / HTTP/1.1\r\n"].concat();
            server.wait_until(|all| all.iter().any(|got| got.starts_with(&expected)), BOUND);
        }
    }
}

#[test]
fn our_own_header_is_read_by_our_own_listener() {
    let server = ToyServer::named("a");
    let inner_config = website(1, "proxy-protocol = { from = \"127.0.0.1\" }", "");
    let inner = Balancer::start(&inner_config, &[server.address()]);
    let outer_config = config("proxy-protocol = { from = \"127.0.0.1\" }", "{ extensions = [\"crc32c\"] }");
    let outer = Balancer::start(&outer_config, &[inner.address()]);
    let header = "PROXY TCP4 192.0.2.7 198.51.100.1 1000 80\r\n";
    let answer = outer.raw(format!("{header}GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let got = common::received(&server, "\r\n\r\n");
    assert!(got.contains("\r\nX-Forwarded-For: 192.0.2.7\r\n"), "{got}");
}
