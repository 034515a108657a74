//! TLS with real servers: nginx, HAProxy and `openssl s_server`.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Instant;

use evenkeel_testkit::{
    Authority, BOUND, HttpClient, Issued, Nginx, Program, Response, free_address, free_port, needs, temp_dir,
};

use crate::site::{Site, evenkeel, text};

/// nginx with TLS on a port of its own; it answers the name that it was asked for, whether the session was resumed,
/// the number of the connection, and whom it saw.
fn nginx(issued: &Issued, more: &str) -> (Nginx, SocketAddr) {
    nginx_that("ssl", issued, more)
}

/// The same with these words behind its address.
fn nginx_that(listens: &str, issued: &Issued, more: &str) -> (Nginx, SocketAddr) {
    let port = free_port();
    let files = format!(
        "ssl_certificate {}; ssl_certificate_key {};",
        issued.certificate.display(),
        issued.key.display()
    );
    let server = format!(
        "keepalive_timeout 60s; server {{ listen 127.0.0.1:{port} {listens}; {files} {more}
         location / {{ return 200 \"$ssl_server_name|$ssl_session_reused|$connection|$ssl_client_s_dn|$ssl_protocol|$server_protocol\"; }}
         location /plain {{ proxy_pass http://127.0.0.1:1; }} }}"
    );
    (Nginx::start_with("plain", free_port(), &server), ([127, 0, 0, 1], port).into())
}

/// A listener before servers that are spoken to over TLS.
fn site(bind: SocketAddr, server: SocketAddr, pool: &str, tls: &str) -> String {
    format!(
        "[listener.website]\nbind = \"{bind}\"\npool = \"website\"\n[pool.website]\n{pool}\n[pool.website.tls]\n{tls}\n\
         [pool.website.servers]\nweb = \"{server}\"\n"
    )
}

fn ask(bind: SocketAddr, host: &str) -> Response {
    let mut client = HttpClient::connect(bind).unwrap();
    client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).unwrap();
    client.response().unwrap()
}

fn words(answer: &Response) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text().split('|').map(str::to_owned).collect()
}

fn refused(answer: &Response) -> (u16, Option<&str>) {
    (answer.status, answer.header("evenkeel-reason"))
}

fn server(site: &Site) -> serde_json::Value {
    site.status()["traffic"]["pools"][0]["servers"][0].clone()
}

fn wait_for_server(site: &Site, holds: impl Fn(&serde_json::Value) -> bool) {
    let end = Instant::now() + BOUND;
    while !holds(&server(site)) {
        assert!(Instant::now() < end, "never seen: {:#}", server(site));
        std::thread::yield_now();
    }
}

fn reload(site: &Site, configuration: &str) {
    site.write(configuration);
    let reloaded = site.command(&["reload"]);
    assert!(reloaded.status.success(), "{reloaded:?}");
}

#[test]
fn a_server_is_verified_under_the_name_that_it_is_asked_for() {
    if !needs("openssl") || !needs("nginx") {
        return;
    }
    let (authority, stranger) = (Authority::new(), Authority::new());
    let issued = authority.issue("www", &["www.example.com", "shop.example.com"]);
    let (_nginx, address) = nginx(&issued, "");
    let bind = free_address();
    let ca = format!("ca = {:?}\n", authority.ca());
    let never = "passive = \"off\"";
    let config = |tls: &str| site(bind, address, never, tls);
    // The authorities of the system are those of this file.
    let believed = |site: &str, ca: &std::path::Path| {
        Site::start_with(site, |command, _| {
            command.env("SSL_CERT_FILE", ca).env_remove("SSL_CERT_DIR");
        })
    };
    let site = believed(&config(""), &stranger.ca());
    assert_eq!(refused(&ask(bind, "www.example.com")), (502, Some("server-unverified")));
    let told = server(&site);
    assert!(told["last_failure"].as_str().unwrap().contains("nobody who is trusted has signed"), "{told:#}");
    assert!(told["tls"]["failures_total"]["unverified"].as_u64() >= Some(1), "{told:#}");
    assert_eq!(told["tls"]["handshakes_total"], 0);
    drop(site);

    let site = believed(&config(""), &authority.ca());
    assert_eq!(words(&ask(bind, "www.example.com"))[0], "www.example.com");
    // From here on the authority is named.
    reload(&site, &config(&ca));
    assert_eq!(words(&ask(bind, "www.example.com:8080"))[0], "www.example.com");
    assert_eq!(refused(&ask(bind, "evil.example.org")), (502, Some("server-unverified")));
    let why = server(&site)["last_failure"].as_str().unwrap().to_owned();
    assert!(why.contains("is for") && why.contains("and not for evil.example.org"), "{why}");
    // An address has no SNI, and the certificate none of it.
    assert_eq!(refused(&ask(bind, &bind.to_string())), (502, Some("server-unverified")));

    reload(&site, &config(&format!("{ca}sni = \"shop.example.com\"")));
    assert_eq!(words(&ask(bind, "evil.example.org"))[0], "shop.example.com");
    reload(&site, &config(&format!("{ca}sni = \"any.example.com\"\nverify-name = \"www.example.com\"")));
    assert_eq!(words(&ask(bind, "evil.example.org"))[0], "any.example.com");
    reload(&site, &config(&format!("{ca}verify-name = \"other.example.com\"")));
    assert_eq!(refused(&ask(bind, "www.example.com")), (502, Some("server-unverified")));
    // A connection of before must not be used again.
    reload(&site, &config(&format!("ca = {:?}", stranger.ca())));
    assert_eq!(refused(&ask(bind, "www.example.com")), (502, Some("server-unverified")));
    let lines = site.seen();
    reload(&site, &config("danger-accept-any-certificate = true"));
    assert_eq!(words(&ask(bind, "evil.example.org"))[0], "evil.example.org");
    assert!(site.program.lines()[lines..].iter().any(|line| line.contains("changed")) || site.seen() > lines);
}

#[test]
fn connections_and_sessions_are_used_again_under_their_name_only() {
    if !needs("openssl") || !needs("nginx") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["a.example.com", "b.example.com"]);
    for protocols in ["TLSv1.2", "TLSv1.3"] {
        let (_nginx, address) = nginx(&issued, &format!("ssl_protocols {protocols};"));
        let bind = free_address();
        let config = |keep: &str| {
            let tls = format!("ca = {:?}", authority.ca());
            "[global]\nthreads = 1\n".to_owned()
                + &site(bind, address, &format!("keep-alive = \"{keep}\""), &tls)
        };
        let site = Site::start(config("1m").trim_start_matches("[global]\n"));
        let (a, b) = (words(&ask(bind, "a.example.com")), words(&ask(bind, "b.example.com")));
        let (again_a, again_b) = (words(&ask(bind, "A.example.com")), words(&ask(bind, "b.example.com")));
        assert_eq!((&a[0], &b[0]), (&"a.example.com".into(), &"b.example.com".into()));
        assert_ne!(a[2], b[2], "one connection for two names");
        assert_eq!((&a[2], &b[2]), (&again_a[2], &again_b[2]));
        assert_eq!(a[4], protocols);
        reload(&site, config("0s").trim_start_matches("[global]\n"));
        let resumed: Vec<String> = (0..3).map(|_| words(&ask(bind, "a.example.com"))[1].clone()).collect();
        assert_eq!(resumed.last().unwrap(), "r", "{resumed:?}");
        let tls = server(&site)["tls"].clone();
        assert!(tls["resumed_total"].as_u64() >= Some(2), "{tls}");
        assert_eq!(tls["handshakes_total"], 5, "{tls}");
    }
}

#[test]
fn authorities_of_the_system_may_change_and_vanish() {
    if !needs("openssl") || !needs("nginx") {
        return;
    }
    let (authority, stranger) = (Authority::new(), Authority::new());
    let issued = authority.issue("www", &["www.example.com"]);
    let (_nginx, address) = nginx(&issued, "");
    let (bind, directory) = (free_address(), temp_dir());
    let bundle = directory.path().join("bundle.pem");
    fs::copy(stranger.ca(), &bundle).unwrap();
    let site = Site::start_with(&site(bind, address, "passive = \"off\"", ""), |command, _| {
        command.env("SSL_CERT_FILE", &bundle).env_remove("SSL_CERT_DIR");
    });
    assert_eq!(refused(&ask(bind, "www.example.com")), (502, Some("server-unverified")));
    fs::copy(authority.ca(), &bundle).unwrap();
    site.wait_for(0, "the authorities that the system trusts have changed");
    let end = Instant::now() + BOUND;
    while ask(bind, "www.example.com").status != 200 {
        assert!(Instant::now() < end, "the new authority is not believed");
    }
    let seen = site.seen();
    fs::write(&bundle, "nonsense").unwrap();
    site.wait_for(seen, "the system has no list of authorities");
    assert_eq!(ask(bind, "www.example.com").status, 200);
    let problem = site.status()["certificates"][0]["problem"].as_str().unwrap().to_owned();
    assert!(problem.ends_with("what was read before stays in force"), "{problem}");
}

#[test]
fn workers_take_connections_of_each_other() {
    if !needs("openssl") || !needs("nginx") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["www.example.com"]);
    let (_nginx, address) = nginx(&issued, "");
    for sni in ["", "sni = \"www.example.com\""] {
        let bind = free_address();
        let tls = format!("ca = {:?}\n{sni}", authority.ca());
        let site =
            Site::start(&("threads = 4\n".to_owned() + &site(bind, address, "keep-alive = \"1m\"", &tls)));
        for _ in 0..60 {
            assert_eq!(words(&ask(bind, "www.example.com"))[0], "www.example.com");
        }
        let told = server(&site);
        // A client may be answered, and ask again, a moment before its connection is free.
        assert!(told["opened_total"].as_u64() < Some(30), "{told:#}");
        assert!(told["reused_total"].as_u64() > Some(30), "{told:#}");
    }
}

#[test]
fn a_server_that_asks_for_a_certificate_gets_ours() {
    if !needs("openssl") || !needs("nginx") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["www.example.com"]);
    let ours = authority.issue("balancer", &["balancer01"]);
    let more = format!("ssl_client_certificate {}; ssl_verify_client on;", authority.ca().display());
    let (_nginx, address) = nginx(&issued, &more);
    let bind = free_address();
    let ca = format!("ca = {:?}\n", authority.ca());
    let config = |more: &str| site(bind, address, "passive = \"off\"", &(ca.clone() + more));
    let site = Site::start(&config(""));
    assert_eq!(ask(bind, "www.example.com").status, 400);
    let shown = format!("certificate = {:?}\nkey = {:?}", ours.certificate, ours.key);
    reload(&site, &config(&shown));
    assert_eq!(words(&ask(bind, "www.example.com"))[3], "CN=balancer01");
    let status = site.status();
    let told = &status["certificates"][0];
    assert_eq!((&told["pool"], &told["listener"]), (&"website".into(), &serde_json::Value::Null));
    assert!(text(&site.command(&["status"])).contains("pool website"));

    // A broken one leaves the last good one in force, and a new one takes its place.
    let good = fs::read(&ours.certificate).unwrap();
    fs::write(&ours.certificate, "nonsense").unwrap();
    site.wait_for(0, "pool website: the certificate");
    assert_eq!(words(&ask(bind, "www.example.com"))[3], "CN=balancer01");
    let second = authority.issue("second", &["balancer02"]);
    let seen = site.seen();
    fs::copy(&second.key, &ours.key).unwrap();
    fs::copy(&second.certificate, &ours.certificate).unwrap();
    site.wait_for(seen, "what its TLS files hold has changed");
    let end = Instant::now() + BOUND;
    while words(&ask(bind, "www.example.com"))[3] != "CN=balancer02" {
        assert!(Instant::now() < end, "the old certificate is still shown");
    }
    drop(good);
    let secret = fs::read_to_string(&second.key).unwrap().lines().nth(1).unwrap().to_owned();
    assert!(!site.program.lines().join("\n").contains(&secret));
}

#[test]
fn checks_speak_tls_as_the_traffic_does() {
    if !needs("openssl") || !needs("nginx") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["www.example.com"]);
    let (plain, address) = nginx(&issued, "");
    let bind = free_address();
    let config = |health: &str, tls: &str| {
        let health = format!(
            "health = {{ {health}, interval = \"50ms\", rise = 1, fall = 1, initial-state = \"checking\" }}"
        );
        site(bind, address, &health, &format!("ca = {:?}\n{tls}", authority.ca()))
    };
    let up = |server: &serde_json::Value| server["state"] == "up";
    let down = |why: &'static str| {
        move |server: &serde_json::Value| {
            server["state"] == "down" && server["why"].as_str().is_some_and(|said| said.contains(why))
        }
    };
    let site = Site::start(&config("http = \"/\", host = \"www.example.com\"", ""));
    wait_for_server(&site, up);
    reload(&site, &config("http = \"/\"", ""));
    wait_for_server(&site, down("and not for 127.0.0.1"));
    reload(&site, &config("http = \"/\"", "sni = \"www.example.com\""));
    wait_for_server(&site, up);
    reload(
        &site,
        &config(
            "send = \"GET / HTTP/1.0\\r\\n\\r\\n\", expect = \"200 OK\"",
            "verify-name = \"www.example.com\"",
        ),
    );
    wait_for_server(&site, up);
    reload(&site, &config("http = \"/\", tls = false", ""));
    wait_for_server(&site, down("it answered 400"));
    let port = plain.address().port();
    reload(&site, &config(&format!("http = \"/\", tls = false, port = {port}"), ""));
    wait_for_server(&site, up);
    // Another authority: what was verified before is verified anew.
    let stranger = Authority::new();
    reload(&site, &config("http = \"/\", host = \"www.example.com\"", ""));
    wait_for_server(&site, up);
    fs::copy(stranger.ca(), authority.ca()).unwrap();
    wait_for_server(&site, down("nobody who is trusted has signed"));
}

#[test]
fn large_bodies_pass_both_ways_to_a_server_with_tls() {
    if !needs("openssl") || !needs("nginx") || !needs("curl") || !needs("haproxy") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["www.example.com"]);
    let backend = Nginx::start("plain", free_port());
    let length = 9 * 1024 * 1024 + 5;
    backend.file("large", length);
    // HAProxy ends TLS in front of it.
    let directory = temp_dir();
    let both = directory.path().join("both.pem");
    let pem = [fs::read(&issued.certificate).unwrap(), fs::read(&issued.key).unwrap()].concat();
    fs::write(&both, pem).unwrap();
    let address = free_address();
    let text = format!(
        "defaults\n mode http\n timeout client 20s\n timeout server 20s\n timeout connect 5s\n\
         frontend f\n bind {address} ssl crt {}\n default_backend b\nbackend b\n server s {}\n",
        both.display(),
        backend.address()
    );
    let file = directory.path().join("haproxy.cfg");
    fs::write(&file, text).unwrap();
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    let _haproxy = Program::start(Command::new("haproxy").env("PATH", path).arg("-db").arg("-f").arg(&file));
    let end = Instant::now() + BOUND;
    while std::net::TcpStream::connect(address).is_err() {
        assert!(Instant::now() < end, "HAProxy does not listen");
        std::thread::yield_now();
    }
    let tls = format!("ca = {:?}\nsni = \"www.example.com\"", authority.ca());
    for mode in ["http", "tcp"] {
        let bind = free_address();
        let config = site(bind, address, "", &tls).replacen(
            "[listener.website]\n",
            &format!("[listener.website]\nmode = \"{mode}\"\n"),
            1,
        );
        let _site = Site::start(&config);
        let fetch = |from: SocketAddr| {
            let url = format!("http://{from}/files/large");
            Command::new("curl").args(["-sS", "--max-time", "20", &url]).output().unwrap().stdout
        };
        let (got, direct) = (fetch(bind), fetch(backend.address()));
        assert_eq!(got.len() as u64, length, "{mode}");
        assert!(got == direct, "{mode}: other bytes");
        let sent = directory.path().join("sent");
        fs::write(&sent, &got).unwrap();
        let upload = Command::new("curl")
            .args(["-sS", "--max-time", "20", "-H", "Expect:", "-T"])
            .arg(&sent)
            .arg(format!("http://{bind}/"))
            .output()
            .unwrap();
        assert_eq!(crate::site::text(&upload), "plain", "{mode}: {upload:?}");
    }
}

#[test]
fn what_does_not_speak_tls_as_it_should_is_told_apart() {
    if !needs("openssl") {
        return;
    }
    let authority = Authority::new();
    let expired = authority.issue_expired("www", &["www.example.com"]);
    let ask_once = |address: SocketAddr, tls: &str| {
        let bind = free_address();
        let tls = format!("ca = {:?}\n{tls}", authority.ca());
        let site = Site::start(&site(bind, address, "passive = \"off\"\nretries = 0", &tls));
        let answer = ask(bind, "www.example.com");
        (answer.header("evenkeel-reason").unwrap_or_default().to_owned(), server(&site))
    };
    let s_server = |more: &[&str]| {
        let address = free_address();
        let program = Program::start(
            Command::new("openssl")
                .args(["s_server", "-www", "-accept", &address.to_string(), "-cert"])
                .arg(&expired.certificate)
                .arg("-key")
                .arg(&expired.key)
                .args(more),
        );
        program.wait_for_line(|line| line.contains("ACCEPT"), BOUND);
        (program, address)
    };
    let (_old, address) = s_server(&[]);
    let (reason, told) = ask_once(address, "");
    assert_eq!(reason, "server-unverified");
    assert!(told["last_failure"].as_str().unwrap().contains("has expired"), "{told:#}");
    let (_strict, address) = s_server(&["-tls1_2"]);
    let (reason, told) = ask_once(address, "versions = [\"1.3\"]");
    assert_eq!(
        (reason.as_str(), &told["tls"]["failures_total"]["nothing-common"]),
        ("server-handshake", &1.into())
    );
    let plain = evenkeel_testkit::ToyServer::start(|mut connection| {
        let _gone = connection.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        let _head = connection.read_head();
    });
    let (reason, told) = ask_once(plain.address(), "");
    assert_eq!((reason.as_str(), &told["tls"]["failures_total"]["not-tls"]), ("server-handshake", &1.into()));
    let silent = evenkeel_testkit::ToyServer::start(|mut connection| drop(connection.read_exact(1 << 20)));
    let (reason, told) = ask_once(silent.address(), "");
    assert_eq!((reason.as_str(), &told["tls"]["failures_total"]["timeout"]), ("server-handshake", &1.into()));
}

#[test]
fn a_certificate_that_signed_itself_is_believed_when_it_is_named_and_is_no_authority() {
    if !needs("openssl") || !needs("nginx") {
        return;
    }
    let directory = temp_dir();
    let made = |file: &str, is_authority: &str| {
        let path = |extension| directory.path().join(file).with_extension(extension);
        let issued = Issued { certificate: path("pem"), key: path("key") };
        let output = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ])
            .args(["-subj", "/CN=www", "-addext", "subjectAltName=DNS:www.example.com"])
            .args(["-addext", &format!("basicConstraints=CA:{is_authority}")])
            .arg("-keyout")
            .arg(&issued.key)
            .arg("-out")
            .arg(&issued.certificate)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        issued
    };
    for (is_authority, expected) in [("FALSE", None), ("TRUE", Some("that of an authority"))] {
        let issued = made(is_authority, is_authority);
        let (_nginx, address) = nginx(&issued, "");
        let bind = free_address();
        let ca = format!("ca = {:?}", issued.certificate);
        let site = Site::start(&site(bind, address, "passive = \"off\"", &ca));
        let answer = ask(bind, "www.example.com");
        match expected {
            None => assert_eq!(words(&answer)[0], "www.example.com"),
            Some(why) => {
                assert_eq!(refused(&answer), (502, Some("server-unverified")));
                let told = server(&site)["last_failure"].as_str().unwrap().to_owned();
                assert!(told.contains(why), "{told}");
            }
        }
    }
}

#[test]
fn check_reads_the_files_and_asks_for_authorities() {
    if !needs("openssl") {
        return;
    }
    let directory = temp_dir();
    let file = directory.path().join("evenkeel.toml");
    let check = |tls: &str| {
        fs::write(&file, site(free_address(), free_address(), "", tls)).unwrap();
        let nothing = directory.path().join("none");
        let output = evenkeel()
            .arg("check")
            .arg("-c")
            .arg(&file)
            .env("SSL_CERT_FILE", &nothing)
            .env("SSL_CERT_DIR", &nothing)
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (good, said) = check("");
    assert!(!good && said.contains("install the package `ca-certificates`"), "{said}");
    let authority = Authority::new();
    let (good, said) = check(&format!("ca = {:?}", authority.ca()));
    assert!(good, "{said}");
    let (good, said) = check("ca = \"/nowhere/ca.pem\"");
    assert!(!good && said.contains("/nowhere/ca.pem"), "{said}");
    let (good, said) = check("danger-accept-any-certificate = true");
    assert!(good && said.contains("the servers of this pool are not verified"), "{said}");
}

#[test]
fn names_that_clients_make_up_are_not_held_against_servers() {
    if !needs("openssl") || !needs("nginx") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["www.example.com"]);
    // One shows its certificate to everybody, the other ends handshakes for names that it does not know.
    let (_open, open) = nginx(&issued, "");
    let strict: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let files = format!("ssl_certificate {:?}; ssl_certificate_key {:?};", issued.certificate, issued.key);
    let names = format!(
        "server {{ listen {strict} ssl default_server; ssl_reject_handshake on; }}
         server {{ listen {strict} ssl; server_name www.example.com; {files} }}"
    );
    let _strict = Nginx::start_with("plain", free_port(), &names);
    let bind = free_address();
    let configuration = format!(
        "[listener.website]\nbind = \"{bind}\"\npool = \"website\"\n[pool.website.tls]\nca = {:?}\n\
         [pool.website.servers]\nopen = \"{open}\"\nstrict = \"{strict}\"\n",
        authority.ca()
    );
    let site = Site::start(&configuration);
    for number in 0..20 {
        let answer = ask(bind, &format!("made-up-{number}.example.org"));
        assert_eq!(answer.status, 502, "{}", answer.text());
    }
    for server in site.status()["traffic"]["pools"][0]["servers"].as_array().unwrap() {
        assert_eq!(server["state"], "up", "{server:#}");
        assert!(server["connect_failures_total"].as_u64() > Some(4), "{server:#}");
    }
    drop(site);
    // A certificate that does not hold for the name of the file is the server's fault.
    let fixed = configuration
        .replace("[pool.website.servers]", "sni = \"other.example.com\"\n[pool.website.servers]");
    let site = Site::start(&fixed);
    for _ in 0..20 {
        assert_eq!(ask(bind, "www.example.com").status, 502);
    }
    let servers = site.status()["traffic"]["pools"][0]["servers"].clone();
    assert!(servers.as_array().unwrap().iter().any(|server| server["state"] == "ejected"), "{servers:#}");
}

#[test]
fn a_server_with_a_revoked_certificate_gets_nothing() {
    if !needs("openssl") || !needs("nginx") {
        return;
    }
    let authority = Authority::new();
    let [good, bad] = ["good", "bad"].map(|name| authority.issue(name, &["www.example.com"]));
    let (_nginx, address) = nginx(&bad, "");
    let bind = free_address();
    let list = authority.revoke(&good);
    let config = |crl: &str| {
        let tls = format!("ca = {:?}\n{crl}", authority.ca());
        site(bind, address, "passive = \"off\"", &tls)
    };
    let with_list = config(&format!("crl = {list:?}"));
    let site = Site::start(&config(""));
    assert_eq!(words(&ask(bind, "www.example.com"))[0], "www.example.com");
    reload(&site, &with_list);
    assert_eq!(words(&ask(bind, "www.example.com"))[0], "www.example.com", "another one is revoked");

    // The file is replaced while everything runs, and the connection of before is not used again.
    let refusals = || refused(&ask(bind, "www.example.com")) == (502, Some("server-unverified"));
    assert_eq!(authority.revoke(&bad), list);
    let end = Instant::now() + BOUND;
    while !refusals() {
        assert!(Instant::now() < end, "the new list never counts: {:#}", site.status());
        std::thread::yield_now();
    }
    let why = server(&site)["last_failure"].as_str().unwrap().to_owned();
    assert!(why.contains("revoked its certificate"), "{why}");

    // A list that cannot be used leaves the one before in force, and is told.
    let lines = site.seen();
    fs::write(&list, "no list").unwrap();
    site.wait_for(lines, "`crl` holds no list");
    assert!(refusals());
}

#[test]
fn a_server_with_both_protocols_is_spoken_to_as_the_pool_says() {
    if !needs("openssl") || !needs("nginx") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["www.example.com"]);
    let tls = format!("ca = {:?}\n", authority.ca());
    let bind = free_address();
    let spoken = |site: &Site, address: SocketAddr, protocol: &str| {
        reload(site, &self::site(bind, address, &format!("protocol = \"{protocol}\""), &tls));
        let answer = ask(bind, "www.example.com");
        match refused(&answer) {
            (502, Some(reason)) => reason.to_owned(),
            _ => words(&answer)[5].clone(),
        }
    };
    let (_both, both) = nginx_that("ssl http2", &issued, "");
    let (_old, old) = nginx(&issued, "");
    let site = Site::start(&site(bind, both, "", &tls));
    for (protocol, of_both, of_old) in [
        ("h2", "HTTP/2.0", "server-handshake"),
        ("auto", "HTTP/2.0", "HTTP/1.1"),
        ("h1", "HTTP/1.1", "HTTP/1.1"),
    ] {
        assert_eq!(spoken(&site, both, protocol), of_both, "{protocol}");
        assert_eq!(spoken(&site, old, protocol), of_old, "{protocol}");
    }
}
