use super::*;
use crate::head::{HeadScan, Method, parse_request, parse_response};
use crate::limits::Limits;

const PLAIN: ToServer<'static> = ToServer {
    peer: Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1))),
    peer_trusted: false,
    proto: "http",
    x_forwarded: false,
    forwarded: false,
    drop_underscores: true,
    host_if_missing: "10.0.0.1:80",
    te: false,
    close: false,
    own_cookie: None,
    client_certificate: b"",
};

fn rewritten(text: &str, to: &ToServer<'_>) -> String {
    let mut head = RequestHead::default();
    parse_request(text.as_bytes(), &mut HeadScan::default(), &Limits::default(), &mut head).unwrap().unwrap();
    let mut out = Vec::new();
    request(&head, to, &mut out);
    String::from_utf8(out).unwrap()
}

fn answered(text: &str, to: ToClient<'_>) -> String {
    let mut head = ResponseHead::default();
    let scan = &mut HeadScan::default();
    parse_response(text.as_bytes(), scan, &Limits::default(), Method::Get, &mut head).unwrap().unwrap();
    let mut out = Vec::new();
    response(&head, to, &mut out);
    String::from_utf8(out).unwrap()
}

const NEW: ToClient<'static> = ToClient {
    version: Version::Http11,
    persistent: true,
    unwrap_chunks: false,
    own_cookie: None,
    hsts: None,
};

#[test]
fn case_and_order_of_fields_are_kept() {
    let text = "GET /p?q HTTP/1.1\r\nhOST: a\r\nX-b: 1\r\nx-A: 2\r\nX-b: 3\r\n\r\n";
    assert_eq!(rewritten(text, &PLAIN), "GET /p?q HTTP/1.1\r\nhOST: a\r\nX-b: 1\r\nx-A: 2\r\nX-b: 3\r\n\r\n");
}

#[test]
fn hop_by_hop_fields_are_left_out() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Hop\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\n\
                TE: trailers\r\nHTTP2-Settings: x\r\nX-Hop: 1\r\nx-stay: 1\r\n\r\n";
    assert_eq!(rewritten(text, &PLAIN), "GET / HTTP/1.1\r\nHost: a\r\nx-stay: 1\r\n\r\n");
}

#[test]
fn connection_cannot_take_away_what_others_rely_on() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nAuthorization: x\r\nCookie: y\r\nVia: z\r\n\
                Connection: Host, Content-Length, Authorization, Cookie, Via, X-Forwarded-For\r\n\r\n";
    let to = ToServer { x_forwarded: true, ..PLAIN };
    assert_eq!(
        rewritten(text, &to),
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nAuthorization: x\r\nCookie: y\r\nVia: z\r\n\
         X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\r\n"
    );
}

#[test]
fn an_untrusted_peer_cannot_forge_forwarding_fields() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n\
                X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nForwarded: for=1.1.1.1\r\n\r\n";
    let to = ToServer { x_forwarded: true, forwarded: true, ..PLAIN };
    assert_eq!(
        rewritten(text, &to),
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n\
         X-Forwarded-Host: a\r\nForwarded: for=192.0.2.1;proto=http;host=\"a\"\r\n\r\n"
    );
    assert_eq!(rewritten(text, &PLAIN), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn a_trusted_peer_is_continued() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 2.2.2.2\r\n\
                X-Forwarded-Proto: https\r\nX-Forwarded-Host: www\r\nForwarded: for=1.1.1.1\r\n\r\n";
    let to = ToServer { x_forwarded: true, forwarded: true, peer_trusted: true, ..PLAIN };
    assert_eq!(
        rewritten(text, &to),
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: www\r\n\
         X-Forwarded-For: 1.1.1.1, 2.2.2.2, 192.0.2.1\r\n\
         Forwarded: for=1.1.1.1, for=192.0.2.1;proto=http;host=\"a\"\r\n\r\n"
    );
    let unix = ToServer { peer: None, forwarded: false, ..to };
    assert!(rewritten(text, &unix).contains("X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\n"));
    let quiet = ToServer { x_forwarded: false, forwarded: false, ..to };
    assert!(rewritten(text, &quiet).contains("X-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 2.2.2.2\r\n"));
}

#[test]
fn underscore_fields_are_dropped_or_kept() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 1.1.1.1\r\nx_y: 1\r\n\r\n";
    assert_eq!(rewritten(text, &PLAIN), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let keep = ToServer { drop_underscores: false, ..PLAIN };
    assert_eq!(rewritten(text, &keep), text);
}

#[test]
fn an_absolute_target_becomes_a_path() {
    let text = "GET http://a/p HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(rewritten(text, &PLAIN), "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(
        rewritten("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", &PLAIN),
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    );
    // RFC 9112 §3.2.4.
    assert_eq!(
        rewritten("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", &PLAIN),
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"
    );
}

#[test]
fn an_old_client_becomes_a_new_one() {
    let text = "GET / HTTP/1.0\r\nExpect: 100-continue\r\nConnection: keep-alive\r\n\r\n";
    assert_eq!(rewritten(text, &PLAIN), "GET / HTTP/1.1\r\nHost: 10.0.0.1:80\r\n\r\n");
}

#[test]
fn an_upgrade_is_passed_on_and_one_to_http2_is_not() {
    let upgrade = |protocol: &str| {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n");
        rewritten(&text, &PLAIN)
    };
    let passed = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    assert_eq!(upgrade("websocket"), passed);
    for http2 in ["h2c", "websocket, h2c", "H2", "HTTP/2.0"] {
        assert_eq!(upgrade(http2), "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "{http2}");
    }
}

#[test]
fn the_server_is_asked_to_close_when_its_connection_is_not_kept() {
    let to = ToServer { close: true, ..PLAIN };
    assert!(rewritten("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &to).ends_with("Connection: close\r\n\r\n"));
}

#[test]
fn a_response_keeps_its_fields_and_loses_the_servers_connection() {
    let text = "HTTP/1.0 299 Fine Indeed\r\nX_a: 1\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nKeep-Alive: 3\r\n\
                Content-Length: 5\r\n\r\n";
    assert_eq!(answered(text, NEW), "HTTP/1.1 299 Fine Indeed\r\nX_a: 1\r\nContent-Length: 5\r\n\r\n");
    let closing = answered(text, ToClient { persistent: false, ..NEW });
    assert!(closing.ends_with("Content-Length: 5\r\nConnection: close\r\n\r\n"));
    let old = answered(text, ToClient { version: Version::Http10, ..NEW });
    assert!(old.ends_with("Content-Length: 5\r\nConnection: keep-alive\r\n\r\n"));
}

#[test]
fn unwrapped_chunks_are_not_announced() {
    let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(answered(text, NEW), text);
    let unwrapped = ToClient { unwrap_chunks: true, persistent: false, ..NEW };
    assert_eq!(answered(text, unwrapped), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
}

#[test]
fn interim_and_empty_responses_announce_no_length() {
    assert_eq!(
        answered("HTTP/1.1 103 Hints\r\nLink: x\r\nContent-Length: 0\r\n\r\n", NEW),
        "HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"
    );
    assert_eq!(answered("HTTP/1.1 204 None\r\nContent-Length: 4\r\n\r\n", NEW), "HTTP/1.1 204 None\r\n\r\n");
}

#[test]
fn an_agreed_upgrade_says_so() {
    let text = "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
    let expected = "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    assert_eq!(answered(text, NEW), expected);
}

#[test]
fn a_server_does_not_see_our_cookie_and_all_of_the_others() {
    let to = ToServer { own_cookie: Some("LB"), ..PLAIN };
    let text =
        "GET / HTTP/1.1\r\nHost: a\r\ncookie: LB=x\r\nCOOKIE: a = 1;LB=x; lb=2\r\nX-Cookie: LB=x\r\n\r\n";
    assert_eq!(
        rewritten(text, &to),
        "GET / HTTP/1.1\r\nHost: a\r\nCOOKIE: a = 1; lb=2\r\nX-Cookie: LB=x\r\n\r\n"
    );
    assert_eq!(rewritten(text, &PLAIN), text);
}

const OURS: OwnCookie<'static> = OwnCookie { name: "LB", set: Some(("v1", "; Path=/; HttpOnly")) };

#[test]
fn our_cookie_replaces_that_of_the_server_and_no_other() {
    let text =
        "HTTP/1.1 200 OK\r\nSet-Cookie: LB=evil; Path=/\r\nset-cookie: lb=1\r\nSet-Cookie: LBX=2\r\n\r\n";
    let set = ToClient { own_cookie: Some(OURS), ..NEW };
    assert_eq!(
        answered(text, set),
        "HTTP/1.1 200 OK\r\nset-cookie: lb=1\r\nSet-Cookie: LBX=2\r\nSet-Cookie: LB=v1; Path=/; HttpOnly\r\n\
         Cache-Control: private\r\n\r\n"
    );
    let known = ToClient { own_cookie: Some(OwnCookie { set: None, ..OURS }), ..NEW };
    assert_eq!(answered(text, known), "HTTP/1.1 200 OK\r\nset-cookie: lb=1\r\nSet-Cookie: LBX=2\r\n\r\n");
    assert_eq!(answered(text, NEW), text);
}

#[test]
fn a_response_with_our_cookie_is_private() {
    let set = ToClient { own_cookie: Some(OURS), ..NEW };
    for (value, said) in [
        ("public, max-age=60", true),
        ("Private, max-age=60", false),
        ("max-age=0, no-store", false),
        ("no-cache", true),
        ("private=\"set-cookie\"", true),
        ("no-cache=\"a, no-store, b\"", true),
    ] {
        let text = format!("HTTP/1.1 200 OK\r\nCache-Control: {value}\r\n\r\n");
        assert_eq!(answered(&text, set).contains("\r\nCache-Control: private\r\n"), said, "{value}");
    }
    let upgraded = "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
    assert!(!answered(upgraded, set).contains("Cache-Control"));
    assert!(answered(upgraded, set).contains("Set-Cookie: LB=v1; Path=/; HttpOnly\r\n"));
}

#[test]
fn what_a_client_says_of_its_certificate_is_not_believed() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nClient-Cert-Subject: CN=admin\r\nclient-cert: :MIIB:\r\n\r\n";
    assert_eq!(rewritten(text, &PLAIN), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let told = ToServer { client_certificate: b"Client-Cert-Subject: CN=alice\r\n", ..PLAIN };
    assert_eq!(rewritten(text, &told), "GET / HTTP/1.1\r\nHost: a\r\nClient-Cert-Subject: CN=alice\r\n\r\n");
    let trusted = ToServer { peer_trusted: true, ..PLAIN };
    assert!(rewritten(text, &trusted).contains("\r\nClient-Cert-Subject: CN=admin\r\n"));
}

#[test]
fn browsers_are_told_once_to_come_over_tls() {
    let hsts = Hsts { max_age: 60, include_subdomains: false, preload: false };
    let to = ToClient { hsts: Some(hsts), ..NEW };
    let field = "\r\nStrict-Transport-Security: max-age=60\r\n";
    assert!(answered("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", to).contains(field));
    let own = answered("HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=1\r\n\r\n", to);
    assert!(own.contains("max-age=1\r\n") && !own.contains("max-age=60"), "{own}");
}

#[test]
fn a_client_that_takes_trailers_is_told_of_where_that_needs_no_more() {
    let request = |te: &str, to: &ToServer<'_>| {
        rewritten(&format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: {te}\r\n\r\n"), to)
    };
    let to = ToServer { te: true, ..PLAIN };
    assert!(request("gzip, trailers", &to).contains("\r\nTE: trailers\r\n"));
    assert!(!request("gzip", &to).contains("TE"));
    assert!(!request("trailers", &PLAIN).contains("TE"));
}
