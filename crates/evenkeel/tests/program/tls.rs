//! TLS with real clients: curl and `openssl s_client`.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Instant;

use evenkeel_testkit::http2::trusting;
use evenkeel_testkit::{
    Authority, BOUND, HttpClient, Issued, Nginx, Signal, ToyServer, free_address, free_port, needs,
};

use crate::site::{Site, text};

/// A listener with TLS before one server.
pub(crate) fn secured(bind: SocketAddr, server: SocketAddr, listener: &str, tls: &str) -> String {
    format!(
        "[listener.website]\nbind = \"{bind}\"\npool = \"website\"\n{listener}\n[listener.website.tls]\n{tls}\n\
         [pool.website.servers]\nweb = \"{server}\"\n"
    )
}

/// A line of `certificates`.
pub(crate) fn certificates(list: &[&Issued]) -> String {
    let one =
        |issued: &&Issued| format!("{{ certificate = {:?}, key = {:?} }}", issued.certificate, issued.key);
    format!("certificates = [{}]", list.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// What curl makes of `path` at this name and address.
pub(crate) fn curl(authority: &Authority, name: &str, address: SocketAddr, more: &[&str]) -> Output {
    Command::new("curl")
        .args(["-sS", "--max-time", "20", "--http1.1", "--cacert"])
        .arg(authority.ca())
        .args(["--connect-to", &format!("{name}:443:{address}")])
        .args(more)
        .output()
        .unwrap()
}

/// What `openssl s_client` says of a handshake.
pub(crate) fn s_client(address: SocketAddr, more: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &address.to_string()])
        .args(more)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn subject_of(address: SocketAddr, more: &[&str]) -> Option<String> {
    let said = s_client(address, more);
    said.lines().find_map(|line| line.strip_prefix("subject=")).map(|name| name.replace(' ', ""))
}

pub(crate) fn tls_status(site: &Site) -> serde_json::Value {
    site.status()["traffic"]["listeners"][0]["tls"].clone()
}

/// Waits until the status of TLS is as wanted.
fn wait_for_tls(site: &Site, holds: impl Fn(&serde_json::Value) -> bool) {
    let end = Instant::now() + BOUND;
    while !holds(&tls_status(site)) {
        assert!(Instant::now() < end, "never seen: {:#}", tls_status(site));
        std::thread::yield_now();
    }
}

#[test]
fn the_name_that_a_client_asks_for_chooses_the_certificate() {
    if !needs("openssl") {
        return;
    }
    let authority = Authority::new();
    let a = authority.issue("a", &["a.example.com"]);
    let a_rsa = authority.issue_rsa("a-rsa", &["a.example.com"]);
    let below = authority.issue("below", &["*.example.com"]);
    let (server, address) = (ToyServer::named("a"), free_address());
    let config =
        |more: &str| secured(address, server.address(), "", &(certificates(&[&a, &a_rsa, &below]) + more));
    let site = Site::start(&config(""));
    let chosen = |more: &[&str]| subject_of(address, more);
    let some = |name: &str| Some(format!("CN={name}"));
    for version in ["-tls1_2", "-tls1_3"] {
        assert_eq!(chosen(&[version, "-servername", "A.example.com"]), some("a.example.com"));
        assert_eq!(chosen(&[version, "-servername", "b.example.com"]), some("*.example.com"));
        assert_eq!(chosen(&[version, "-servername", "example.com"]), some("a.example.com"));
        assert_eq!(chosen(&[version, "-noservername"]), some("a.example.com"));
    }
    let kind = |sigalgs: &str| s_client(address, &["-servername", "a.example.com", "-sigalgs", sigalgs]);
    assert!(kind("ECDSA+SHA256:RSA-PSS+SHA256").contains("Peer signature type: ECDSA"));
    assert!(kind("RSA-PSS+SHA256").contains("Peer signature type: RSA-PSS"));
    assert!(s_client(address, &["-alpn", "http/1.1,h2"]).contains("ALPN protocol: h2"));
    assert!(s_client(address, &["-alpn", "http/1.1"]).contains("ALPN protocol: http/1.1"));
    assert!(!s_client(address, &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]).contains("subject="));

    site.write(&config("\nstrict-sni = true\nversions = [\"1.3\"]\n"));
    assert!(site.command(&["reload"]).status.success());
    assert_eq!(chosen(&["-servername", "x.org"]), None);
    assert_eq!(chosen(&["-noservername"]), None);
    assert_eq!(chosen(&["-servername", "a.example.com"]), some("a.example.com"));
    assert_eq!(chosen(&["-tls1_2", "-servername", "a.example.com"]), None);
    wait_for_tls(&site, |tls| tls["failures_total"]["unknown-name"] == 2);
    assert_eq!(tls_status(&site)["failures_total"]["nothing-common"], 2);
}

#[test]
fn aes_128_is_spoken_unless_the_client_does_better_with_chacha_or_the_operator_has_chosen() {
    if !needs("openssl") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["www.example.com"]);
    let (server, address) = (ToyServer::named("a"), free_address());
    let config = |more: &str| secured(address, server.address(), "", &(certificates(&[&issued]) + more));
    let site = Site::start(&config(""));
    let spoken = |more: &[&str]| {
        let said = s_client(address, more);
        let line = said.lines().find_map(|line| line.split_once("Cipher is "));
        line.map(|(_, name)| name.to_owned()).unwrap_or_default()
    };
    // As OpenSSL orders them by itself: AES-256, ChaCha20, AES-128.
    assert_eq!(spoken(&["-tls1_3"]), "TLS_AES_128_GCM_SHA256");
    assert_eq!(spoken(&["-tls1_2"]), "ECDHE-ECDSA-AES128-GCM-SHA256");
    let chacha_first = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";
    assert_eq!(spoken(&["-tls1_3", "-ciphersuites", chacha_first]), "TLS_CHACHA20_POLY1305_SHA256");
    let chacha_first = "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256";
    assert_eq!(spoken(&["-tls1_2", "-cipher", chacha_first]), "ECDHE-ECDSA-CHACHA20-POLY1305");
    // Whoever knows AES-256 only gets it.
    assert_eq!(spoken(&["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"]), "TLS_AES_256_GCM_SHA384");

    site.write(&config(
        "\nversions = [\"1.3\"]\ncipher-suites = [\"TLS13_AES_256_GCM_SHA384\", \"TLS13_CHACHA20_POLY1305_SHA256\"]\n",
    ));
    assert!(site.command(&["reload"]).status.success());
    let chacha_first = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
    assert_eq!(spoken(&["-tls1_3", "-ciphersuites", chacha_first]), "TLS_AES_256_GCM_SHA384");
}

#[test]
fn what_comes_over_tls_is_https_for_server_and_browser() {
    if !needs("openssl") || !needs("curl") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["www.example.com"]);
    let (server, address, plain) = (ToyServer::named("a"), free_address(), free_address());
    let hsts = "hsts = { max-age = \"365d\", include-subdomains = true }";
    let config = secured(address, server.address(), hsts, &certificates(&[&issued]))
        + "[pool.website]\nsticky = { cookie = \"LB\" }\n"
        + &format!("[listener.plain]\nbind = \"{plain}\"\nredirect-to-https = true\n")
        + "[[listener.plain.route]]\npath-prefix = \"/.well-known/\"\npool = \"website\"\n";
    let _site = Site::start(&config);
    let url = "https://www.example.com/a?b";
    let answer = text(&curl(&authority, "www.example.com", address, &["-i", url]));
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with('a'), "{answer}");
    assert!(
        answer.contains("\r\nStrict-Transport-Security: max-age=31536000; includeSubDomains\r\n"),
        "{answer}"
    );
    assert!(answer.contains("SameSite=Lax; Secure\r\n") || answer.contains("; Secure"), "{answer}");
    server.wait_until(|all| !all.is_empty(), BOUND);
    let got = String::from_utf8(server.received().concat()).unwrap();
    assert!(got.contains("\r\nX-Forwarded-Proto: https\r\n"), "{got}");

    let ask = |path: &str| {
        let mut client = HttpClient::connect(plain).unwrap();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: www.example.com:8080\r\n\r\n")).unwrap();
        client.response().unwrap()
    };
    let redirected = ask("/a?b");
    assert_eq!((redirected.status, redirected.header("location")), (308, Some(url)));
    assert_eq!(redirected.header("strict-transport-security"), None);
    assert_eq!(ask("/.well-known/acme-challenge/x").status, 200);
}

#[test]
fn large_bodies_pass_both_ways_unharmed() {
    if !needs("openssl") || !needs("curl") || !needs("nginx") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["www.example.com"]);
    let nginx = Nginx::start("web", free_port());
    let length = 7 * 1024 * 1024 + 13;
    nginx.file("large", length);
    for mode in ["http", "tcp"] {
        let address = free_address();
        let mode = format!("mode = \"{mode}\"");
        let _site = Site::start(&secured(address, nginx.address(), &mode, &certificates(&[&issued])));
        let fetched = curl(&authority, "www.example.com", address, &["https://www.example.com/files/large"]);
        let direct =
            Command::new("curl").arg("-sS").arg(format!("http://{}/files/large", nginx.address())).output();
        assert_eq!(fetched.stdout.len() as u64, length, "{mode}: {fetched:?}", fetched = fetched.stderr);
        assert!(fetched.stdout == direct.unwrap().stdout, "{mode}: other bytes");
        // A server that takes the whole of it before it answers.
        let whole = fetched.stdout.clone();
        let sent = authority.directory().join("sent");
        std::fs::write(&sent, &whole).unwrap();
        let server = ToyServer::start(move |mut connection| {
            let head = connection.read_head().unwrap_or_default();
            let same = connection.read_exact(whole.len()).is_ok_and(|got| got == whole);
            let body = if head.starts_with("POST ") && same { "same" } else { "else" };
            let _gone = connection.write(format!("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{body}"));
        });
        let address = free_address();
        let _site = Site::start(&secured(address, server.address(), &mode, &certificates(&[&issued])));
        let upload = format!("@{}", sent.display());
        let more = ["--data-binary", &upload, "-H", "Expect:", "https://www.example.com/"];
        assert_eq!(text(&curl(&authority, "www.example.com", address, &more)), "same", "{mode}");
    }
}

#[test]
fn sessions_are_resumed_by_all_workers_after_a_reload_and_by_a_new_role_or_program() {
    if !needs("openssl") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["www.example.com"]);
    let (server, address) = (ToyServer::named("a"), free_address());
    let config = |age: &str| {
        let hsts = format!("hsts = {{ max-age = \"{age}\" }}");
        secured(address, server.address(), &hsts, &certificates(&[&issued]))
    };
    let site = Site::start(&config("1d"));
    for version in ["-tls1_2", "-tls1_3"] {
        let session = authority.directory().join("session");
        let file = session.to_str().unwrap();
        let name = ["-servername", "www.example.com", version];
        // With TLS 1.3 tickets come after the handshake, so something must be asked and answered.
        let mut first = Command::new("openssl")
            .args(["s_client", "-connect", &address.to_string(), "-sess_out", file, "-ign_eof"])
            .args(name)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n";
        first.stdin.as_mut().unwrap().write_all(request).unwrap();
        assert!(first.wait().unwrap().success());
        let resumed =
            || s_client(address, &[&["-sess_in", file][..], &name].concat()).contains("Reused, TLSv1.");
        // Some of them meet the other workers.
        for _ in 0..4 {
            assert!(resumed(), "{version}");
        }
        site.write(&config(if version == "-tls1_2" { "2d" } else { "3d" }));
        assert!(site.command(&["reload"]).status.success());
        assert!(resumed(), "{version} after a reload");
        let seen = site.seen();
        let pid = site.role("proxy").try_into().unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        site.wait_for(seen, "the proxy role is back");
        assert!(resumed(), "{version} after a new role");
        assert!(site.command(&["upgrade"]).status.success());
        assert!(resumed(), "{version} after an upgrade");
        let asked = Instant::now();
        while tls_status(&site)["resumed_total"].as_u64() == Some(0) {
            // A client that leaves at once may be gone before its handshake has ended for the worker.
            assert!(resumed() && asked.elapsed() < BOUND, "{version} is counted");
        }
    }
}

#[test]
fn one_ticket_comes_whether_the_client_asks_at_once_asks_slowly_or_says_nothing() {
    let authority = Authority::new();
    let issued = authority.issue("www", &["www.example.com"]);
    let (server, address) = (ToyServer::named("a"), free_address());
    let _site = Site::start(&secured(address, server.address(), "", &certificates(&[&issued])));
    let mut config = (*trusting(&authority.ca())).clone();
    config.alpn_protocols.clear();
    let config = Arc::new(config);
    let request = b"GET / HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n";
    // How much of the request follows the handshake in the same breath; the rest comes after the ticket.
    for first in [0, 5, usize::MAX] {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(BOUND)).unwrap();
        let name = "www.example.com".try_into().unwrap();
        let mut client = rustls::ClientConnection::new(config.clone(), name).unwrap();
        // The last flight of the handshake is taken along, not sent.
        while client.is_handshaking() {
            while client.wants_write() {
                client.write_tls(&mut socket).unwrap();
            }
            client.read_tls(&mut socket).unwrap();
            client.process_new_packets().unwrap();
        }
        let mut finished = Vec::new();
        client.write_tls(&mut finished).unwrap();
        client.writer().write_all(request).unwrap();
        let mut asked = Vec::new();
        client.write_tls(&mut asked).unwrap();
        let (now, later) = asked.split_at(first.min(asked.len()));
        socket.write_all(&finished).unwrap();
        socket.write_all(now).unwrap();
        while client.tls13_tickets_received() == 0 {
            assert_ne!(client.read_tls(&mut socket).unwrap(), 0, "the end came before a ticket");
            client.process_new_packets().unwrap();
        }
        socket.write_all(later).unwrap();
        while client.read_tls(&mut socket).unwrap() > 0 {
            client.process_new_packets().unwrap();
        }
        let mut answer = String::new();
        client.reader().read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(client.tls13_tickets_received(), 1);
    }
}

#[test]
fn clients_show_certificates_that_servers_hear_about() {
    if !needs("openssl") || !needs("curl") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["www.example.com"]);
    let [alice, mallory] = ["alice", "mallory"].map(|name| authority.issue(name, &[name]));
    let elsewhere = Authority::new();
    let stranger = elsewhere.issue("stranger", &["stranger"]);
    let crl = authority.revoke(&mallory);
    let (server, address) = (ToyServer::named("a"), free_address());
    let config = |mode: &str| {
        let auth =
            format!("\nclient-auth = {{ ca = {:?}, crl = {crl:?}, mode = \"{mode}\" }}\n", authority.ca());
        secured(address, server.address(), "", &(certificates(&[&issued]) + &auth))
    };
    let site = Site::start(&config("require"));
    let ask = |client: Option<&Issued>, more: &[&str]| {
        let mut arguments = Vec::new();
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        if let Some(client) = client {
            arguments.extend(["--cert".into(), path(&client.certificate), "--key".into(), path(&client.key)]);
        }
        arguments.extend(more.iter().map(|more| (*more).to_owned()));
        arguments.push("https://www.example.com/".into());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        text(&curl(&authority, "www.example.com", address, &arguments))
    };
    assert_eq!(ask(Some(&alice), &["-H", "Client-Cert-Subject: CN=root"]), "a");
    server.wait_until(|all| !all.is_empty(), BOUND);
    let got = String::from_utf8(server.received().concat()).unwrap();
    assert!(
        got.contains(
            "\r\nClient-Cert-Subject: CN=alice\r\nClient-Cert-San: DNS:alice\r\nClient-Cert-Fingerprint: "
        ),
        "{got}"
    );
    assert!(!got.contains("CN=root"), "{got}");
    let said = s_client_fingerprint(&alice);
    assert!(got.contains(&said), "{got} without {said}");
    for refused in [None, Some(&mallory), Some(&stranger)] {
        assert_eq!(ask(refused, &[]), "");
    }
    wait_for_tls(&site, |tls| tls["failures_total"]["client-certificate"].as_u64() >= Some(3));

    site.write(&config("request"));
    assert!(site.command(&["reload"]).status.success());
    assert_eq!(ask(None, &["-H", "Client-Cert-Subject: CN=root"]), "a");
    assert_eq!(ask(Some(&mallory), &[]), "");
    let got = String::from_utf8(server.received().concat()).unwrap();
    assert!(!got.contains("CN=root"), "{got}");
}

/// The SHA-256 of a certificate as `openssl` works it out.
fn s_client_fingerprint(issued: &Issued) -> String {
    let output = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(&issued.certificate)
        .output()
        .unwrap();
    text(&output).split('=').nth(1).unwrap().trim().replace(':', "").to_lowercase()
}

#[test]
fn handshakes_have_bounds_in_time_and_number() {
    if !needs("openssl") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["www.example.com"]);
    let (server, address) = (ToyServer::named("a"), free_address());
    let config = |most: u32, timeout: &str| {
        let bounds = format!("\nmax-handshakes = {most}\nhandshake-timeout = \"{timeout}\"\n");
        secured(address, server.address(), "", &(certificates(&[&issued]) + &bounds))
    };
    let site = Site::start(&config(2, "10m"));
    let silent = [(); 2].map(|()| TcpStream::connect(address).unwrap());
    wait_for_tls(&site, |tls| tls["handshakes"] == 2);
    assert!(!s_client(address, &[]).contains("subject="));
    wait_for_tls(&site, |tls| tls["failures_total"]["too-many"].as_u64() >= Some(1));
    drop(silent);
    wait_for_tls(&site, |tls| tls["handshakes"] == 0 && tls["failures_total"]["closed"] == 2);
    assert!(s_client(address, &[]).contains("subject="));

    // What is no TLS is told so by an alert.
    let mut http = HttpClient::connect(address).unwrap();
    http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(http.read_until_close().unwrap().first(), Some(&21));
    wait_for_tls(&site, |tls| tls["failures_total"]["not-tls"] == 1);

    site.write(&config(2, "1ms"));
    assert!(site.command(&["reload"]).status.success());
    let mut slow = HttpClient::connect(address).unwrap();
    assert!(slow.read_until_close().map_or(true, |bytes| bytes.is_empty()));
    wait_for_tls(&site, |tls| tls["failures_total"]["timeout"] == 1);
}

#[test]
fn a_certificate_is_swapped_under_load_and_no_request_is_lost() {
    if !needs("openssl") || !needs("curl") || !needs("nginx") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["www.example.com"]);
    let next = authority.issue("next", &["www.example.com", "new.example.com"]);
    let nginx = Nginx::start("web", free_port());
    let address = free_address();
    let site = Site::start(&secured(address, nginx.address(), "", &certificates(&[&issued])));
    let load = |close: bool| {
        let mut command = Command::new("curl");
        command.args([
            "-sS",
            "--max-time",
            "60",
            "--http1.1",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}\n",
            "--cacert",
        ]);
        command.arg(authority.ca()).args(["--connect-to", &format!("www.example.com:443:{address}")]);
        if close {
            command.args(["-H", "Connection: close"]);
        }
        let url = "https://www.example.com/[1-4000]";
        command.arg(url).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut loads = [load(true), load(false)];
    let names = || s_client_names(address);
    assert!(!names().contains("new.example.com"));
    let began = Instant::now();
    std::fs::copy(&next.key, &issued.key).unwrap();
    std::fs::copy(&next.certificate, &issued.certificate).unwrap();
    while !names().contains("new.example.com") {
        assert!(began.elapsed() < BOUND, "the new certificate is not served");
    }
    println!("the new certificate was served after {:?}", began.elapsed());
    assert!(loads.iter_mut().any(|load| load.try_wait().unwrap().is_none()), "the load has ended too early");
    for load in loads {
        let output = load.wait_with_output().unwrap();
        let codes = text(&output);
        assert_eq!(
            (codes.lines().count(), codes.lines().filter(|code| *code != "200").count()),
            (4000, 0),
            "{output:?}",
            output = String::from_utf8_lossy(&output.stderr)
        );
    }
    assert!(site.program.lines().iter().any(|line| line.contains("TLS files hold has changed")));
}

fn s_client_names(address: SocketAddr) -> String {
    let handshake = s_client(address, &["-servername", "www.example.com"]);
    let mut openssl = Command::new("openssl")
        .args(["x509", "-noout", "-text"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // A handshake that failed has no certificate.
    let _written = openssl.stdin.take().unwrap().write_all(handshake.as_bytes());
    text(&openssl.wait_with_output().unwrap())
}
