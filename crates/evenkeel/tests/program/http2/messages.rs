//! RFC 9113 §8 and RFC 8441: requests that are one, and those that only look like it.

use evenkeel_testkit::http2::{End, Frame, fields, flag, get, kind, post};

use super::Want::{Malformed, Status, Stream};
use super::{House, PROTOCOL_ERROR, Want, check, data, headers};

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "https");
const AUTHORITY: (&str, &str) = (":authority", "test.example");
/// No server may ever see it.
const PATH: (&str, &str) = (":path", "/malformed");

/// A request with these fields behind the usual ones.
fn with(more: &[(&str, &str)]) -> Vec<Frame> {
    let all = [&[METHOD, SCHEME, AUTHORITY, PATH], more].concat();
    vec![headers(1, &all, true)]
}

fn only(all: &[(&str, &str)]) -> Vec<Frame> {
    vec![headers(1, all, true)]
}

fn never_forwarded(house: &House) {
    let seen = String::from_utf8_lossy(&house.origin.received().concat()).into_owned();
    assert!(!seen.contains("/malformed"), "{seen}");
}

#[test]
fn section_8_2_fields() {
    let Some(house) = House::new() else { return };
    let bad: &[(&str, &[(&str, &str)])] = &[
        ("§8.2 upper case", &[("X-Name", "a")]),
        ("§8.2.1 a blank in a name", &[("x name", "a")]),
        ("§8.2.1 a control in a name", &[("x\x01", "a")]),
        ("§8.2.1 DEL in a name", &[("x\x7f", "a")]),
        ("§8.2.1 a colon in a name", &[("x:y", "a")]),
        ("§8.2.1 no name", &[("", "a")]),
        ("§8.2.1 a letter beyond ASCII", &[("x\u{e4}", "a")]),
        ("§8.2.1 NUL", &[("x", "a\0b")]),
        ("§8.2.1 LF", &[("x", "a\nb: c")]),
        ("§8.2.1 CR", &[("x", "a\rb")]),
        ("§8.2.1 CR LF", &[("x", "a\r\nb: c")]),
        ("§8.2.1 a blank before", &[("x", " a")]),
        ("§8.2.1 a tab behind", &[("x", "a\t")]),
        ("§8.2.2 connection", &[("connection", "close")]),
        ("§8.2.2 keep-alive", &[("keep-alive", "timeout=5")]),
        ("§8.2.2 proxy-connection", &[("proxy-connection", "close")]),
        ("§8.2.2 transfer-encoding", &[("transfer-encoding", "chunked")]),
        ("§8.2.2 upgrade", &[("upgrade", "websocket")]),
        ("§8.2.2 te", &[("te", "gzip")]),
        ("§8.2.2 te, trailers among others", &[("te", "trailers, gzip")]),
    ];
    check(&house, bad.iter().map(|(rule, more)| (*rule, with(more), 1, Malformed)));
    never_forwarded(&house);
    let good: &[(&str, &[(&str, &str)])] = &[
        ("te: trailers", &[("te", "trailers")]),
        ("a tab and a letter beyond ASCII within", &[("x", "a\tb \u{e4}")]),
        ("nothing", &[("x", "")]),
    ];
    let ask = |more: &[(&str, &str)]| vec![headers(1, &[&get("/"), more].concat(), true)];
    check(&house, good.iter().map(|(rule, more)| (*rule, ask(more), 1, Status(200))));
    // §8.2.3: one field, as it was before it was cut.
    let mut client = house.client();
    let crumbs = [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c=3; d=4")];
    client.head(1, &[&get("/cookies")[..], &crumbs].concat(), true).unwrap();
    assert_eq!(client.answer(1).unwrap().text().to_lowercase(), "cookie: a=1; b=2; c=3; d=4");
}

#[test]
fn section_8_3_pseudo_fields() {
    let Some(house) = House::new() else { return };
    let other: &[(&str, &[(&str, &str)])] = &[
        ("§8.3 behind a field", &[METHOD, SCHEME, AUTHORITY, ("x", "a"), PATH]),
        ("§8.3 unknown", &[METHOD, SCHEME, AUTHORITY, PATH, (":other", "a")]),
        ("§8.3 one of responses", &[METHOD, SCHEME, AUTHORITY, PATH, (":status", "200")]),
        ("§8.3 :method twice", &[METHOD, METHOD, SCHEME, AUTHORITY, PATH]),
        ("§8.3 :scheme twice", &[METHOD, SCHEME, SCHEME, AUTHORITY, PATH]),
        ("§8.3 :authority twice", &[METHOD, SCHEME, AUTHORITY, AUTHORITY, PATH]),
        ("§8.3 :path twice", &[METHOD, SCHEME, AUTHORITY, PATH, PATH]),
        ("§8.3.1 no :method", &[SCHEME, AUTHORITY, PATH]),
        ("§8.3.1 no :scheme", &[METHOD, AUTHORITY, PATH]),
        ("§8.3.1 no :path", &[METHOD, SCHEME, AUTHORITY]),
        ("§8.3.1 an empty :path", &[METHOD, SCHEME, AUTHORITY, (":path", "")]),
        ("§8.3.1 a :path without slash", &[METHOD, SCHEME, AUTHORITY, (":path", "malformed")]),
        ("§8.3.1 * of another method", &[METHOD, SCHEME, AUTHORITY, (":path", "*")]),
        ("§8.3.1 a blank in :path", &[METHOD, SCHEME, AUTHORITY, (":path", "/malformed HTTP/1.1")]),
        ("§8.3.1 a line in :path", &[METHOD, SCHEME, AUTHORITY, (":path", "/malformed\r\nx: y")]),
        ("§8.3.1 an empty :method", &[(":method", ""), SCHEME, AUTHORITY, PATH]),
        (
            "§8.3.1 no token as :method",
            &[(":method", "GET /malformed HTTP/1.1\r\n"), SCHEME, AUTHORITY, PATH],
        ),
        ("§8.3.1 a user in :authority", &[METHOD, SCHEME, (":authority", "me@test.example"), PATH]),
        ("§8.3.1 a blank in :authority", &[METHOD, SCHEME, (":authority", "test.example evil"), PATH]),
        ("§8.3.1 a path in :authority", &[METHOD, SCHEME, (":authority", "test.example/malformed"), PATH]),
        ("§8.3.1 another host", &[METHOD, SCHEME, AUTHORITY, PATH, ("host", "other.example")]),
        ("§8.3.1 two hosts", &[METHOD, SCHEME, PATH, ("host", "test.example"), ("host", "test.example")]),
        ("§8.5 CONNECT with a path", &[(":method", "CONNECT"), SCHEME, AUTHORITY, PATH]),
        ("§8.5 CONNECT without authority", &[(":method", "CONNECT")]),
        (
            "RFC 8441 §4 without path",
            &[(":method", "CONNECT"), (":protocol", "websocket"), SCHEME, AUTHORITY],
        ),
        (
            "RFC 8441 §4 without scheme",
            &[(":method", "CONNECT"), (":protocol", "websocket"), AUTHORITY, PATH],
        ),
        ("RFC 8441 §4 another method", &[METHOD, (":protocol", "websocket"), SCHEME, AUTHORITY, PATH]),
    ];
    check(&house, other.iter().map(|(rule, all)| (*rule, only(all), 1, Malformed)));
    never_forwarded(&house);
    // RFC 9113 §8.5: no tunnel through us; RFC 8441 §3: a protocol that is not supported.
    let tunnel =
        vec![headers(1, &[(":method", "CONNECT"), ("x", "a"), (":authority", "test.example:443")], false)];
    let tunnel_right = vec![headers(1, &[(":method", "CONNECT"), (":authority", "test.example:443")], false)];
    let other = [(":method", "CONNECT"), (":protocol", "connect-udp"), SCHEME, AUTHORITY, PATH];
    let refused = |frames: Vec<Frame>| {
        let mut client = house.client();
        client.send(frames.iter().flat_map(Frame::bytes).collect::<Vec<_>>()).unwrap();
        let answer = client.answer(1).unwrap();
        assert!((400..=501).contains(&answer.status) || Malformed.accepts(&answer), "{answer:?}");
    };
    refused(tunnel);
    refused(tunnel_right);
    refused(only(&other));
    never_forwarded(&house);
    let right: &[(&str, &[(&str, &str)])] = &[
        ("host instead of :authority", &[METHOD, SCHEME, (":path", "/"), ("host", "test.example")]),
        ("host that says the same", &[METHOD, SCHEME, AUTHORITY, (":path", "/"), ("host", "TEST.example")]),
        ("OPTIONS *", &[(":method", "OPTIONS"), SCHEME, AUTHORITY, (":path", "*")]),
        ("a method of one's own", &[(":method", "BREW"), SCHEME, AUTHORITY, (":path", "/")]),
        ("a query", &[METHOD, SCHEME, AUTHORITY, (":path", "/?a=b")]),
    ];
    check(&house, right.iter().map(|(rule, all)| (*rule, only(all), 1, Status(200))));
}

#[test]
fn section_8_1_content_and_trailers() {
    let Some(house) = House::new() else { return };
    let post_with = |length: &'static str| {
        headers(1, &[&post("/echo")[..], &[("content-length", length)]].concat(), false)
    };
    let trailers = |list: &[(&str, &str)], ends| {
        Frame::new(
            kind::HEADERS,
            flag::END_HEADERS | if ends { flag::END_STREAM } else { 0 },
            1,
            fields(list.iter().copied()),
        )
    };
    let open = || headers(1, &post("/echo"), false);
    let whole = |length| headers(1, &[&post("/echo")[..], &[("content-length", length)]].concat(), true);
    let twice = [&post("/malformed")[..], &[("content-length", "1"), ("content-length", "2")]].concat();
    let rows: Vec<(&'static str, Vec<Frame>, Want)> = vec![
        ("§8.1.1 content-length that is right", vec![post_with("3"), data(1, "abc", true)], Status(200)),
        ("§8.1.1 … and empty", vec![whole("0")], Status(200)),
        ("§8.1.1 too little", vec![post_with("5"), data(1, "abc", true)], Malformed),
        ("§8.1.1 too much", vec![post_with("2"), data(1, "abc", true)], Malformed),
        ("§8.1.1 too much later", vec![post_with("2"), data(1, "ab", false), data(1, "c", true)], Malformed),
        ("§8.1.1 nothing", vec![whole("5")], Malformed),
        (
            "§8.1.1 too little, then trailers",
            vec![post_with("5"), data(1, "abc", false), trailers(&[("a", "b")], true)],
            Malformed,
        ),
        (
            "§8.1.1 no number",
            vec![headers(1, &[&post("/malformed")[..], &[("content-length", "x")]].concat(), true)],
            Malformed,
        ),
        ("§8.1.1 two lengths", vec![headers(1, &twice, true)], Malformed),
        (
            "§8.1 trailers",
            vec![open(), data(1, "abc", false), trailers(&[("x-sum", "6")], true)],
            Status(200),
        ),
        ("§8.1 trailers without content", vec![open(), trailers(&[("x-sum", "0")], true)], Status(200)),
        (
            "§8.1 trailers that do not end",
            vec![open(), data(1, "abc", false), trailers(&[("a", "b")], false)],
            Stream(PROTOCOL_ERROR),
        ),
        // Malformed by the RFC; the library takes them away, so that nobody ever sees them (checked below).
        (
            "§8.1 pseudo-fields in trailers",
            vec![open(), trailers(&[(":path", "/malformed")], true)],
            Status(200),
        ),
        (
            "§8.2.1 a blank before a value in trailers",
            vec![open(), trailers(&[("x-sum", " 1")], true)],
            Malformed,
        ),
        ("§8.2.1 upper case in trailers", vec![open(), trailers(&[("X-Sum", "1")], true)], Malformed),
        (
            "§8.2.2 connection in trailers",
            vec![open(), trailers(&[("connection", "close")], true)],
            Malformed,
        ),
    ];
    check(&house, rows.into_iter().map(|(rule, frames, want)| (rule, frames, 1, want)));
    never_forwarded(&house);
    let mut client = house.client();
    let frames = [open(), data(1, "abc", false), trailers(&[("x-sum", "6")], true)];
    client.send(frames.iter().flat_map(Frame::bytes).collect::<Vec<_>>()).unwrap();
    let answer = client.answer(1).unwrap();
    assert_eq!((answer.text().as_str(), answer.end), ("abc", End::Clean));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(answer.trailers, [pair("x-sum", "6"), pair("x-length", "3")]);
    for (name, _) in &answer.headers {
        // §8.2, §8.2.2.
        assert_eq!(*name, name.to_lowercase());
        assert!(!["connection", "keep-alive", "transfer-encoding", "upgrade"].contains(&name.as_str()));
    }
}
