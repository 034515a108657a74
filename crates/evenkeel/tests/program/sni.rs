//! TCP connections routed by the name that their client asks for, whether TLS passes or ends here.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use evenkeel_testkit::{Authority, BOUND, HttpClient, Nginx, ToyServer, free_address, free_port, needs};

use crate::site::{Site, text};
use crate::tls::{certificates, curl};

/// A hello for `www.example.com`.
const HELLO: &[u8] = include_bytes!("../../../http/src/tls_hello/vectors/openssl-tls13");

fn routes(bind: SocketAddr, tls: &str, pools: &[(&str, SocketAddr)]) -> String {
    let pools: String =
        pools.iter().map(|(name, server)| format!("[pool.{name}.servers]\ns = \"{server}\"\n")).collect();
    format!(
        "[listener.tls]\nbind = \"{bind}\"\nmode = \"tcp\"\npool = \"rest\"\n{tls}\n\
         [[listener.tls.route]]\nsni = \"a.example.com\"\npool = \"a\"\n\
         [[listener.tls.route]]\nsni = [\"*.b.example.com\", \"b.example.com\"]\npool = \"b\"\n{pools}"
    )
}

fn ask(authority: &Authority, name: &str, bind: SocketAddr) -> String {
    text(&curl(authority, name, bind, &[&format!("https://{name}/")]))
}

#[test]
fn tls_passes_unopened_to_the_pool_of_its_name() {
    if !needs("openssl") || !needs("nginx") || !needs("curl") {
        return;
    }
    let authority = Authority::new();
    let server = |answer: &str, names: &[&str]| {
        let issued = authority.issue(answer, names);
        let port = free_port();
        let tls = format!(
            "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {};
             location / {{ return 200 {answer}; }} }}",
            issued.certificate.display(),
            issued.key.display()
        );
        (Nginx::start_with(answer, free_port(), &tls), SocketAddr::from(([127, 0, 0, 1], port)))
    };
    let (_a, a) = server("a", &["a.example.com"]);
    let (_b, b) = server("b", &["b.example.com", "*.b.example.com"]);
    let plain = ToyServer::named("rest");
    let bind = free_address();
    let site = Site::start(&routes(bind, "", &[("a", a), ("b", b), ("rest", plain.address())]));
    // The certificates are those of the servers, so curl would not take any other's answer.
    assert_eq!(ask(&authority, "a.example.com", bind), "a");
    assert_eq!(ask(&authority, "b.example.com", bind), "b");
    assert_eq!(ask(&authority, "x.b.example.com", bind), "b");
    assert_eq!(HttpClient::connect(bind).unwrap().get("/").unwrap().text(), "rest");
    // A name that no route has goes where the rest goes, byte for byte.
    let mut client = TcpStream::connect(bind).unwrap();
    client.set_nodelay(true).unwrap();
    for piece in HELLO.chunks(99) {
        client.write_all(piece).unwrap();
    }
    plain.wait_until(|all| all.iter().any(|got| got.as_slice() == HELLO), BOUND);
    let pools = site.status()["traffic"]["pools"].clone();
    let totals: Vec<u64> = (0..3).map(|pool| pools[pool]["servers"][0]["total"].as_u64().unwrap()).collect();
    assert_eq!(totals, [1, 2, 2]);
}

#[test]
fn tls_that_ends_here_is_routed_by_its_name_too() {
    if !needs("openssl") || !needs("curl") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["*.example.com", "x.b.example.com"]);
    let servers: Vec<ToyServer> = ["a", "b", "rest"].map(ToyServer::named).into();
    let bind = free_address();
    let tls = format!("[listener.tls.tls]\n{}", certificates(&[&issued]));
    let pools: Vec<_> = servers
        .iter()
        .map(|server| server.address())
        .zip(["a", "b", "rest"])
        .map(|(at, name)| (name, at))
        .collect();
    let _site = Site::start(&routes(bind, &tls, &pools));
    for (name, answer) in
        [("a.example.com", "a"), ("x.b.example.com", "b"), ("b.example.com", "b"), ("c.example.com", "rest")]
    {
        assert_eq!(ask(&authority, name, bind), answer, "{name}");
    }
    // A hello in pieces is answered by a handshake record.
    let mut client = TcpStream::connect(bind).unwrap();
    client.set_nodelay(true).unwrap();
    client.set_read_timeout(Some(BOUND)).unwrap();
    for piece in HELLO.chunks(50) {
        client.write_all(piece).unwrap();
    }
    let mut first = [0];
    client.read_exact(&mut first).unwrap();
    assert_eq!(first, [22]);
}

#[test]
fn a_key_by_name_spreads_connections_whose_tls_ends_here() {
    if !needs("openssl") || !needs("curl") {
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("www", &["*.example.com"]);
    let servers: Vec<ToyServer> = ["a", "b", "c"].map(ToyServer::named).into();
    let bind = free_address();
    let lines: String = servers
        .iter()
        .zip(["a", "b", "c"])
        .map(|(server, name)| format!("{name} = \"{}\"\n", server.address()))
        .collect();
    let _site = Site::start(&format!(
        "[listener.tls]\nbind = \"{bind}\"\nmode = \"tcp\"\npool = \"all\"\n[listener.tls.tls]\n{}\n\
         [pool.all]\nbalance = {{ hash = \"sni\" }}\n[pool.all.servers]\n{lines}",
        certificates(&[&issued])
    ));
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..10 {
        let name = format!("w{number}.example.com");
        let answers: Vec<String> = (0..3).map(|_| ask(&authority, &name, bind)).collect();
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{name}: {answers:?}");
        seen.insert(answers[0].clone());
    }
    assert!(seen.len() > 1, "{seen:?}");
}
