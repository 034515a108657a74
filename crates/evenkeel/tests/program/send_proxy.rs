//! The PROXY protocol towards real servers: nginx and HAProxy, with and without TLS.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Instant;

use evenkeel_testkit::{
    Authority, BOUND, HttpClient, Nginx, Program, TempDir, free_address, free_port, needs, temp_dir,
};

use crate::site::{Site, text};
use crate::tls::{certificates, curl};

/// A pool whose servers are told about clients.
fn config(bind: SocketAddr, server: SocketAddr, listener: &str, pool: &str) -> String {
    format!(
        "[listener.website]\nbind = \"{bind}\"\npool = \"website\"\n{listener}\n[pool.website]\npassive = \"off\"\n{pool}\n\
         [pool.website.servers]\nweb = \"{server}\"\n"
    )
}

/// HAProxy that answers whom it was told of.
fn haproxy(bind: &str) -> (Program, SocketAddr, TempDir) {
    let (directory, address) = (temp_dir(), free_address());
    let file = directory.path().join("haproxy.cfg");
    let answer = "http-request return status 200 content-type text/plain lf-string \
                  \"%[src]|%[src_port]|%[dst_port]|%[fc_pp_authority]\"";
    let text = format!(
        "defaults\n mode http\n timeout client 20s\n timeout server 20s\n timeout connect 5s\n\
         frontend f\n bind {address} accept-proxy {bind}\n {answer}\n"
    );
    fs::write(&file, text).unwrap();
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    let program = Program::start(Command::new("haproxy").env("PATH", path).arg("-db").arg("-f").arg(&file));
    let end = Instant::now() + BOUND;
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < end, "HAProxy does not listen");
        std::thread::yield_now();
    }
    (program, address, directory)
}

fn wait_until_up(site: &Site) {
    let end = Instant::now() + BOUND;
    loop {
        let server = site.status()["traffic"]["pools"][0]["servers"][0].clone();
        if server["state"] == "up" {
            return;
        }
        assert!(Instant::now() < end, "never up: {server:#}");
    }
}

const CHECKED: &str =
    "health = { http = \"/\", interval = \"50ms\", initial-state = \"checking\", rise = 1 }";

#[test]
fn nginx_hears_who_the_client_is() {
    if !needs("nginx") {
        return;
    }
    let port = free_port();
    let server = format!(
        "server {{ listen 127.0.0.1:{port} proxy_protocol;
         location / {{ return 200 \"$proxy_protocol_addr|$proxy_protocol_port|$proxy_protocol_server_port\"; }} }}"
    );
    let _nginx = Nginx::start_with("plain", free_port(), &server);
    for form in ["\"v1\"", "\"v2\"", "{ extensions = [\"authority\", \"alpn\", \"ssl\", \"crc32c\"] }"] {
        let bind = free_address();
        let pool = format!("send-proxy-protocol = {form}\n{CHECKED}");
        let site = Site::start(&config(bind, ([127, 0, 0, 1], port).into(), "", &pool));
        wait_until_up(&site);
        let mut client = HttpClient::connect(bind).unwrap();
        let own = client.stream().local_addr().unwrap();
        let expected = format!("{}|{}|{}", own.ip(), own.port(), bind.port());
        for _ in 0..3 {
            assert_eq!(client.get("/").unwrap().text(), expected, "{form}");
        }
    }
}

#[test]
fn haproxy_hears_it_before_tls_and_learns_the_name() {
    if !needs("haproxy") || !needs("openssl") || !needs("curl") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["www.example.com"]);
    let both = authority.directory().join("both.pem");
    let pem = [fs::read(&issued.certificate).unwrap(), fs::read(&issued.key).unwrap()].concat();
    fs::write(&both, pem).unwrap();
    let own = format!("[listener.website.tls]\n{}", certificates(&[&issued]));
    for (speaks, tls) in [
        (String::new(), String::new()),
        (
            format!("ssl crt {}", both.display()),
            format!("tls = {{ ca = {:?}, sni = \"www.example.com\" }}\n", authority.ca()),
        ),
    ] {
        let (_haproxy, address, _directory) = haproxy(&speaks);
        for (form, name) in [
            ("\"v1\"", ""),
            ("\"v2\"", ""),
            ("{ extensions = [\"authority\", \"alpn\", \"ssl\", \"crc32c\"] }", "www.example.com"),
        ] {
            for mode in ["http", "tcp"] {
                let bind = free_address();
                let listener = format!("mode = \"{mode}\"\n{own}");
                let pool = format!("send-proxy-protocol = {form}\n{tls}{CHECKED}");
                let site = Site::start(&config(bind, address, &listener, &pool));
                wait_until_up(&site);
                let got =
                    text(&curl(&authority, "www.example.com", bind, &["-4", "https://www.example.com/"]));
                let words: Vec<&str> = got.split('|').collect();
                assert_eq!(words.len(), 4, "{form} {mode} {speaks}: {got}");
                assert_eq!(words[0], "127.0.0.1");
                assert_eq!((words[2], words[3]), (bind.port().to_string().as_str(), name), "{form} {mode}");
            }
        }
    }
}

#[test]
fn a_name_that_passes_unopened_is_told() {
    if !needs("haproxy") || !needs("openssl") || !needs("curl") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["www.example.com"]);
    let both = authority.directory().join("both.pem");
    let pem = [fs::read(&issued.certificate).unwrap(), fs::read(&issued.key).unwrap()].concat();
    fs::write(&both, pem).unwrap();
    let (_haproxy, address, _directory) = haproxy(&format!("ssl crt {}", both.display()));
    let bind = free_address();
    let pool = "send-proxy-protocol = { extensions = [\"authority\", \"crc32c\"] }";
    let _site = Site::start(&config(bind, address, "mode = \"tcp\"", pool));
    let got = text(&curl(&authority, "www.example.com", bind, &["https://www.example.com/"]));
    assert!(got.ends_with("|www.example.com"), "{got}");
}
