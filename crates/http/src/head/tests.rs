use super::*;
use crate::answer::Reason;
use crate::body::Framing;
use crate::limits::Limits;

/// Parses a request whole and byte by byte; both must agree.
fn request(text: impl AsRef<[u8]>) -> Result<Option<RequestHead>, Reason> {
    let text = text.as_ref();
    let whole = request_in_pieces(text, text.len(), &Limits::default());
    let bytes = request_in_pieces(text, 1, &Limits::default());
    assert_eq!(whole, bytes, "in one-byte pieces: {:?}", String::from_utf8_lossy(text));
    whole
}

fn request_in_pieces(text: &[u8], piece: usize, limits: &Limits) -> Result<Option<RequestHead>, Reason> {
    let (mut scan, mut head) = (HeadScan::default(), RequestHead::default());
    let ends = (1..=text.len().div_ceil(piece.max(1))).map(|count| (count * piece).min(text.len()));
    for end in ends {
        if parse_request(&text[..end], &mut scan, limits, &mut head)?.is_some() {
            return Ok(Some(head));
        }
    }
    Ok(None)
}

fn response(text: &str, method: Method) -> Option<ResponseHead> {
    let mut head = ResponseHead::default();
    let scan = &mut HeadScan::default();
    parse_response(text.as_bytes(), scan, &Limits::default(), method, &mut head).ok()?.map(|_| head)
}

fn with_lines(lines: &str) -> Result<RequestHead, Reason> {
    request(format!("POST /p HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).map(Option::unwrap)
}

#[test]
fn a_request_is_taken_apart() {
    let head = request("GET /p/a?q=1 HTTP/1.1\r\nHost: Example.com:80\r\nX-A:  b \r\n\r\n").unwrap().unwrap();
    assert_eq!(head.method_text(), b"GET");
    assert_eq!(head.method, Method::Get);
    assert_eq!(head.target(), b"/p/a?q=1");
    assert_eq!(head.path(), b"/p/a");
    assert_eq!(head.host(), b"Example.com");
    assert_eq!(head.version, Version::Http11);
    assert_eq!(head.framing, Framing::None);
    assert!(head.persistent && !head.upgrade && !head.expects_continue);
    assert_eq!(head.fields.named("x-a").collect::<Vec<_>>(), [b"b"]);
}

#[test]
fn the_head_ends_at_its_empty_line_and_what_follows_is_left() {
    let (mut scan, mut head) = (HeadScan::default(), RequestHead::default());
    let text = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET /next";
    assert_eq!(parse_request(text, &mut scan, &Limits::default(), &mut head), Ok(Some(29)));
    assert_eq!(head.fields.bytes(), &text[2..29]);
}

#[test]
fn a_few_empty_lines_before_a_request_are_skipped_and_more_are_not() {
    assert!(request("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap().is_some());
    assert_eq!(request("\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), Err(Reason::BadRequest));
}

#[test]
fn line_ends_other_than_cr_lf_are_refused() {
    for bad in [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        assert_eq!(request(bad), Err(Reason::BadLineEnd), "{bad:?}");
    }
    for bare_cr in ["GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", "GET / HTTP/1.1\rHost: a\r\n\r\n"] {
        assert!(request(bare_cr).is_err(), "{bare_cr:?}");
    }
}

#[test]
fn malformed_request_lines_are_refused() {
    for bad in [
        "GET /\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET / x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\u{e4} HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET path HTTP/1.1\r\nHost: a\r\n\r\n",
        "G\u{0}T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / http/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.11\r\nHost: a\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        assert_eq!(request(bad), Err(Reason::BadRequest), "{bad:?}");
    }
}

#[test]
fn another_protocol_is_refused_at_its_first_byte() {
    assert_eq!(request(b"\x16\x03\x01\x02\x00"), Err(Reason::BadRequest));
}

#[test]
fn other_versions_are_told_apart_from_garbage() {
    assert_eq!(request("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Err(Reason::UnknownVersion));
    assert_eq!(request("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), Err(Reason::UnknownVersion));
    assert_eq!(request("GET / HTTP/0.9\r\nHost: a\r\n\r\n"), Err(Reason::UnknownVersion));
    assert_eq!(request("GET / ICAP/1.0\r\nHost: a\r\n\r\n"), Err(Reason::BadRequest));
}

#[test]
fn connect_is_refused() {
    assert_eq!(request("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"), Err(Reason::ConnectRefused));
}

#[test]
fn malformed_fields_are_refused() {
    for bad in [
        "Host : a",
        " Folded: x",
        "X: a\r\n b",
        ": x",
        "no colon",
        "X\u{e4}: y",
        "X: a\u{0}b",
        "X: a\u{7f}b",
        "X: a\u{1}b",
        "(X): y",
    ] {
        assert_eq!(with_lines(&format!("{bad}\r\n")), Err(Reason::BadRequest), "{bad:?}");
    }
}

#[test]
fn a_request_has_exactly_one_host() {
    assert_eq!(request("GET / HTTP/1.1\r\n\r\n"), Err(Reason::BadHost));
    assert_eq!(with_lines("Host: a\r\n"), Err(Reason::BadHost));
    assert_eq!(request("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), Err(Reason::BadHost));
    assert_eq!(request("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), Err(Reason::BadHost));
    assert_eq!(request("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), Err(Reason::BadHost));
    assert!(request("GET / HTTP/1.1\r\nHost:\r\n\r\n").unwrap().is_some());
    assert!(request("GET / HTTP/1.0\r\n\r\n").unwrap().is_some());
    assert_eq!(request("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), Err(Reason::BadHost));
}

#[test]
fn an_absolute_target_must_agree_with_host() {
    let absolute = |target, host| request(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    let head = absolute("http://Example.com/p?q", "example.com").unwrap().unwrap();
    assert_eq!((head.target(), head.host()), (&b"/p?q"[..], &b"example.com"[..]));
    assert_eq!(absolute("http://example.com", "example.com").unwrap().unwrap().path(), b"/");
    assert_eq!(absolute("http://a/", "b"), Err(Reason::BadHost));
    assert_eq!(absolute("http://a:80/", "a"), Err(Reason::BadHost));
}

/// The table of request smuggling: each row once led two parsers to see two different requests.
#[test]
fn ambiguous_framing_is_refused() {
    for bad in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length: 5a",
        "Content-Length:",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding:",
        "Transfer-Encoding: ,chunked",
    ] {
        assert_eq!(with_lines(&format!("{bad}\r\n")), Err(Reason::BadFraming), "{bad:?}");
    }
    // Another byte that some parsers skip: vertical tab before the coding's name.
    assert_eq!(with_lines("Transfer-Encoding: \u{b}chunked\r\n"), Err(Reason::BadRequest));
    assert_eq!(with_lines("Transfer-Encoding : chunked\r\n"), Err(Reason::BadRequest));
}

#[test]
fn an_http_1_0_request_may_not_be_chunked() {
    let text = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(request(text), Err(Reason::BadFraming));
}

#[test]
fn clear_framing_is_understood() {
    assert_eq!(with_lines("Content-Length: 5\r\n").unwrap().framing, Framing::Length(5));
    assert_eq!(with_lines("Content-Length: 0\r\n").unwrap().framing, Framing::None);
    assert_eq!(with_lines("Transfer-Encoding: CHUNKED \r\n").unwrap().framing, Framing::Chunked);
    assert_eq!(with_lines("").unwrap().framing, Framing::None);
    assert_eq!(with_lines("Transfer-Encoding: gzip, chunked\r\n"), Err(Reason::UnknownTransferCoding));
}

#[test]
fn persistence_follows_version_and_connection() {
    let persistent = |version: &str, lines: &str| {
        let text = format!("GET / {version}\r\nHost: a\r\n{lines}\r\n");
        request(text).unwrap().unwrap().persistent
    };
    assert!(persistent("HTTP/1.1", ""));
    assert!(!persistent("HTTP/1.1", "Connection: Close\r\n"));
    assert!(!persistent("HTTP/1.1", "Connection: x\r\nConnection: a , close\r\n"));
    assert!(!persistent("HTTP/1.0", ""));
    assert!(persistent("HTTP/1.0", "Connection: Keep-Alive\r\n"));
    assert!(!persistent("HTTP/1.0", "Connection: keep-alive, close\r\n"));
}

#[test]
fn an_upgrade_needs_both_fields_and_http_1_1() {
    let upgrade = |lines: &str| with_lines(lines).unwrap().upgrade;
    assert!(upgrade("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"));
    assert!(!upgrade("Upgrade: websocket\r\n"));
    assert!(!upgrade("Connection: Upgrade\r\n"));
    assert!(!upgrade("Connection: Upgrade\r\nUpgrade: h2c\r\n"));
    let old =
        request("GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").unwrap().unwrap();
    assert!(!old.upgrade);
}

#[test]
fn limits_have_their_own_answers() {
    let limits = Limits { head_bytes: 200, target_bytes: 50, headers: 3 };
    let parse = |text: &str| request_in_pieces(text.as_bytes(), 1000, &limits);
    let long_target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(50));
    assert_eq!(parse(&long_target), Err(Reason::TargetTooLong));
    let endless_target = format!("GET /{}", "x".repeat(300));
    assert_eq!(parse(&endless_target), Err(Reason::TargetTooLong));
    let large_head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(200));
    assert_eq!(parse(&large_head), Err(Reason::HeadTooLarge));
    let endless_head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(200));
    assert_eq!(parse(&endless_head), Err(Reason::HeadTooLarge));
    assert_eq!(
        parse("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 1\r\nC: 1\r\n\r\n"),
        Err(Reason::TooManyHeaders)
    );
    assert!(parse("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 1\r\n\r\n").unwrap().is_some());
}

#[test]
fn a_response_is_taken_apart() {
    let head =
        response("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\nServer: x\r\n\r\n", Method::Get).unwrap();
    assert_eq!((head.status, head.reason_phrase()), (404, &b"Not Found"[..]));
    assert_eq!((head.framing, head.persistent), (Framing::Length(3), true));
    let bare = response("HTTP/1.1 200\r\n\r\n", Method::Get).unwrap();
    assert_eq!((bare.framing, bare.persistent), (Framing::UntilClose, false));
}

#[test]
fn responses_without_body_have_none_whatever_they_announce() {
    let framing = |status: &str, method| {
        let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 3\r\n\r\n");
        response(&text, method).unwrap().framing
    };
    assert_eq!(framing("200", Method::Head), Framing::None);
    assert_eq!(framing("204", Method::Get), Framing::None);
    assert_eq!(framing("304", Method::Get), Framing::None);
    assert_eq!(framing("103", Method::Get), Framing::None);
    assert_eq!(framing("200", Method::Get), Framing::Length(3));
    let head = response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Method::Head).unwrap();
    assert_eq!((head.framing, head.persistent), (Framing::None, true));
}

#[test]
fn ambiguous_responses_are_refused() {
    for bad in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5,5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 103 Hints\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 5\n\n",
        "HTTP/1.1 200 OK\r\nX : 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 99 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
    ] {
        assert_eq!(response(bad, Method::Get), None, "{bad:?}");
    }
}

#[test]
fn a_switch_of_protocols_is_no_interim_response() {
    let status =
        |code: u16| response(&format!("HTTP/1.1 {code} X\r\n\r\n"), Method::Get).unwrap().is_interim();
    assert!(status(100) && status(103) && status(199));
    assert!(!status(101) && !status(200));
}
