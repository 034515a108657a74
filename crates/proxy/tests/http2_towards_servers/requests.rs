//! §8: what we send ourselves.

use std::io::ErrorKind;

use evenkeel_testkit::HttpClient;
use evenkeel_testkit::http2::{End, Frame, Http2Peer, Request, flag, kind};

use super::{CANCEL, House, asked, cut, headers};

/// Fields that belong to a connection (§8.2.2).
const OF_CONNECTIONS: [&str; 6] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "http2-settings"];

/// What the server is asked when a client says this.
fn request(said: &str) -> Request {
    let house = House::new();
    let mut client = house.client(said);
    let mut peer = house.another();
    let request = asked(&mut peer);
    assert_well_formed(&request);
    peer.answer(1, "200", "").unwrap();
    client.any_response().unwrap();
    request
}

/// What every request must be.
fn assert_well_formed(request: &Request) {
    let pseudo = request.fields.iter().take_while(|(name, _)| name.starts_with(':')).count();
    let (pseudo, regular) = request.fields.split_at(pseudo);
    // §8.3: first, each once, and none but those of requests.
    let mut names: Vec<&str> = pseudo.iter().map(|(name, _)| name.as_str()).collect();
    assert!(regular.iter().all(|(name, _)| !name.starts_with(':')), "{request:?}");
    names.sort_unstable();
    let extended = [":authority", ":method", ":path", ":protocol", ":scheme"];
    let usual = [":authority", ":method", ":path", ":scheme"];
    assert!(names == usual || names == extended, "{request:?}");
    // §8.3.1: no user, and a path that is one.
    let field = |name| request.field(name).unwrap();
    assert!(!field(":authority").contains('@') && !field(":authority").is_empty());
    assert!(field(":path").starts_with('/') || (field(":path"), field(":method")) == ("*", "OPTIONS"));
    assert!(["http", "https"].contains(&field(":scheme")));
    for (name, value) in regular {
        // §8.2, §8.2.1.
        assert!(
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase())
        );
        assert!(!value.starts_with([' ', '\t']) && !value.ends_with([' ', '\t']), "{name}: {value:?}");
        assert!(!value.contains(['\r', '\n', '\0']));
        assert!(!OF_CONNECTIONS.contains(&name.as_str()), "{name}");
        assert!(name != "te" || value == "trailers", "{value}");
        // §8.3.1: `:authority` says it.
        assert_ne!(name, "host");
    }
}

fn pseudo(request: &Request) -> [&str; 4] {
    [":method", ":scheme", ":authority", ":path"].map(|name| request.field(name).unwrap())
}

#[test]
fn section_8_3_1_pseudo_fields_say_what_the_request_line_and_host_said() {
    for (said, expected) in [
        ("GET / HTTP/1.1\r\nHost: a", ["GET", "http", "a", "/"]),
        ("GET /p?q=%20 HTTP/1.1\r\nHost: Example.com:8080", ["GET", "http", "Example.com:8080", "/p?q=%20"]),
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0", ["POST", "http", "a", "/x"]),
        ("OPTIONS * HTTP/1.1\r\nHost: a", ["OPTIONS", "http", "a", "*"]),
        ("GET http://a/p HTTP/1.1\r\nHost: a", ["GET", "http", "a", "/p"]),
        ("GET http://a HTTP/1.1\r\nHost: a", ["GET", "http", "a", "/"]),
        ("OPTIONS http://a HTTP/1.1\r\nHost: a", ["OPTIONS", "http", "a", "*"]),
        ("OPTIONS http://a/ HTTP/1.1\r\nHost: a", ["OPTIONS", "http", "a", "/"]),
        ("BREW //x/../y HTTP/1.1\r\nHost: [::1]:80", ["BREW", "http", "[::1]:80", "//x/../y"]),
    ] {
        assert_eq!(pseudo(&request(&format!("{said}\r\n\r\n"))), expected, "{said}");
    }
}

#[test]
fn section_8_3_1_an_old_client_s_request_has_an_authority() {
    let house = House::new();
    let mut client = house.client("GET / HTTP/1.0\r\n\r\n");
    let mut peer = house.another();
    let request = asked(&mut peer);
    assert_well_formed(&request);
    assert_eq!(request.field(":authority"), Some(house.server.address().to_string().as_str()));
    peer.answer(1, "200", "").unwrap();
    assert_eq!(client.response().unwrap().status, 200);
}

#[test]
fn section_8_2_fields_lose_their_case_and_what_belongs_to_the_connection() {
    let request = request(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Mine, TE\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: keep-alive\r\nTE: gzip, trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\
         X-CASE:   blanks around \r\nX-Empty:\r\nCookie: a=1; b=2\r\nAccept: x\r\nAccept: y\r\n\r\n",
    );
    assert_eq!(request.field("x-case"), Some("blanks around"));
    assert_eq!(request.field("x-empty"), Some(""));
    assert_eq!(request.field("te"), Some("trailers"), "§8.2.2");
    assert_eq!(request.field("x-mine"), None);
    let accepted: Vec<&str> =
        request.fields.iter().filter(|(name, _)| name == "accept").map(|(_, value)| value.as_str()).collect();
    assert_eq!(accepted, ["x", "y"]);
    // §8.2.3: whole or in crumbs.
    let cookies: Vec<&str> =
        request.fields.iter().filter(|(name, _)| name == "cookie").map(|(_, value)| value.as_str()).collect();
    assert_eq!(cookies.join("; "), "a=1; b=2");
}

#[test]
fn section_8_2_2_te_is_not_said_when_trailers_were_not_asked_for() {
    let request = request("GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: gzip\r\n\r\n");
    assert_eq!(request.field("te"), None);
}

#[test]
fn section_8_1_content_ends_its_stream_with_the_length_that_was_said() {
    let house = House::new();
    let sized = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let chunked =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n";
    let sum = ("x-sum".to_owned(), "1".to_owned());
    for (said, length, trailers) in [
        (sized.to_owned(), Some("5"), vec![]),
        (format!("{chunked}\r\n"), None, vec![]),
        // §8.1: one HEADERS frame that ends the stream, without pseudo-fields.
        (format!("{chunked}X-Sum: 1\r\n\r\n"), None, vec![sum]),
    ] {
        let mut client = house.client(&said);
        let mut peer = house.another();
        let request = asked(&mut peer);
        assert_well_formed(&request);
        assert_eq!((request.field("content-length"), request.ends), (length, false));
        assert_eq!(peer.content(1).unwrap(), (b"hello".to_vec(), trailers));
        peer.answer(1, "200", "").unwrap();
        assert_eq!(client.response().unwrap().status, 200);
        peer.leave().unwrap();
    }
    let mut client = house.client("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut peer = house.another();
    assert!(asked(&mut peer).ends);
    peer.answer(1, "200", "").unwrap();
    assert_eq!(client.response().unwrap().status, 200);
}

/// §8.1.1: a request that breaks off is reset, and never looks like a shorter one.
#[test]
fn section_8_1_1_a_request_that_breaks_off_is_reset() {
    let house = House::new();
    let sized = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\npart";
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n";
    for (begin, rest) in [
        (sized, ""),
        (chunked, ""),
        (chunked, "nonsense\r\n"),
        // §8.1: no trailer may frame or route.
        (chunked, "0\r\nHost: b\r\n\r\n"),
        (chunked, "0\r\n:path: /b\r\n\r\n"),
    ] {
        let mut client = house.client(begin);
        let mut peer = house.another();
        let stream = asked(&mut peer).stream;
        client.send(rest).unwrap();
        client.finish().unwrap();
        loop {
            let frame = peer.next_frame().unwrap().expect("a reset");
            assert!(frame.kind != kind::DATA || !frame.has(flag::END_STREAM), "{rest}");
            assert!(frame.kind != kind::HEADERS, "{rest}");
            if frame.kind == kind::RST_STREAM {
                assert_eq!(frame.stream, stream);
                break;
            }
        }
        house.goes_on(&mut peer).unwrap();
        peer.leave().unwrap();
    }
}

const WEBSOCKET: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n";

#[test]
fn section_8_5_connect_is_only_said_for_another_protocol() {
    let house = House::new();
    // No tunnel through us: there is no plain CONNECT.
    let mut client = house.client("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n");
    assert_eq!(client.response().unwrap().header("evenkeel-reason"), Some("connect-refused"));
    // RFC 8441 §4: with scheme and path, and only to a server that has said so.
    let mut client = house.client(WEBSOCKET);
    let mut peer = house.another_with(&[(8, 1)]);
    let request = asked(&mut peer);
    assert_well_formed(&request);
    assert_eq!(pseudo(&request), ["CONNECT", "http", "a", "/chat"]);
    assert_eq!((request.field(":protocol"), request.ends), (Some("websocket"), false));
    assert_eq!(
        (request.field("sec-websocket-key"), request.field("sec-websocket-version")),
        (None, Some("13"))
    );
    peer.head(1, &[(":status", "200")], false).unwrap();
    assert_eq!(client.response().unwrap().status, 101);
    // §8.5: from here on DATA alone, and an end of one direction is END_STREAM.
    client.send("up").unwrap();
    let up = peer.wait_for(kind::DATA).unwrap().unwrap();
    assert_eq!(up.payload, b"up");
    peer.frame(kind::DATA, 0, 1, *b"down").unwrap();
    assert_eq!(client.read_raw(4).unwrap(), b"down");
    client.finish().unwrap();
    let end = peer.wait_for(kind::DATA).unwrap().unwrap();
    assert_eq!((end.payload.len(), end.flags), (0, flag::END_STREAM));
    peer.frame(kind::DATA, flag::END_STREAM, 1, *b"last").unwrap();
    assert_eq!(client.read_until_close().unwrap(), b"last");
    peer.leave().unwrap();

    let mut client = house.client(WEBSOCKET);
    let mut peer = house.another();
    assert_eq!(client.response().unwrap().header("evenkeel-reason"), Some("upgrade-refused"));
    peer.leave().unwrap();
}

/// A WebSocket that is open.
fn tunnel(house: &House) -> (HttpClient, Http2Peer) {
    let mut client = house.client(WEBSOCKET);
    let mut peer = house.another_with(&[(8, 1)]);
    assert_eq!(asked(&mut peer).field(":method"), Some("CONNECT"));
    peer.head(1, &[(":status", "200")], false).unwrap();
    assert_eq!(client.response().unwrap().status, 101);
    (client, peer)
}

#[test]
fn section_8_5_what_breaks_in_a_tunnel_is_a_reset_at_the_other_end() {
    let house = House::new();
    let reset = Frame::new(kind::RST_STREAM, 0, 1, [0, 0, 0, 10]);
    // Nothing but DATA belongs into it; an end in order would look like all of it.
    let (trailers, empty) = (headers(&[("x-sum", "1")], true), headers(&[], true));
    for (frame, said) in [(reset, End::Clean), (trailers, End::Reset(CANCEL)), (empty, End::Reset(CANCEL))] {
        let (mut client, mut peer) = tunnel(&house);
        peer.frame(kind::DATA, 0, 1, *b"part").unwrap();
        assert_eq!(client.read_raw(4).unwrap(), b"part");
        peer.frames(std::slice::from_ref(&frame)).unwrap();
        let broken = client.read_until_close().unwrap_err();
        assert_eq!(broken.kind(), ErrorKind::ConnectionReset, "{frame:?}");
        assert_eq!(super::said(&mut peer), said, "{frame:?}");
        peer.leave().unwrap();
    }
    // And the other way round.
    let (client, mut peer) = tunnel(&house);
    cut(client);
    assert_eq!(peer.end_of(1).unwrap(), End::Reset(CANCEL));
    house.goes_on(&mut peer).unwrap();
}
