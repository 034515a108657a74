//! §8: responses that are one, and those that only look like it.

use std::io::Read;

use evenkeel_testkit::http2::{End, Frame, Http2, fields, get, kind};

use super::Want::{Connection, Malformed, Whole};
use super::{
    COMPRESSION_ERROR, GET, HEAD, House, POST, PROTOCOL_ERROR, Row, STATUS, begun, block, check, data,
    headers, ok, quiet,
};

/// A response with these fields behind the usual one, and nothing else.
fn with(more: &[(&str, &str)]) -> Vec<Frame> {
    vec![headers(&[&[STATUS], more].concat(), true)]
}

fn only(all: &[(&str, &str)]) -> Vec<Frame> {
    vec![headers(all, true)]
}

#[test]
fn section_8_1_a_response_has_its_parts_in_order() {
    let house = House::new();
    let early = |status, ends| headers(&[(":status", status), ("link", "</a>")], ends);
    let trailers = |ends| headers(&[("x-sum", "1")], ends);
    let rows: Vec<Row<'static>> = vec![
        ("a head alone", GET, vec![ok()], Whole(200, "")),
        ("a head and the end of its stream", GET, vec![begun(), data("", true)], Whole(200, "")),
        (
            "empty DATA between",
            GET,
            vec![begun(), data("", false), data("x", false), data("", true)],
            Whole(200, "x"),
        ),
        ("trailers", GET, vec![begun(), data("x", false), trailers(true)], Whole(200, "x")),
        ("trailers without content", GET, vec![begun(), trailers(true)], Whole(200, "")),
        ("trailers that do not end", GET, vec![begun(), data("x", false), trailers(false)], Malformed),
        (
            "DATA behind trailers that do not end",
            GET,
            vec![begun(), trailers(false), data("x", true)],
            Malformed,
        ),
        (
            "a response before the request has ended, whose rest is not needed",
            POST,
            vec![begun(), data("enough", true), Frame::new(kind::RST_STREAM, 0, 1, [0; 4])],
            Whole(200, "enough"),
        ),
        ("an interim response", GET, vec![early("103", false), ok()], Whole(200, "")),
        ("two", GET, vec![early("100", false), early("103", false), ok()], Whole(200, "")),
        ("one that ends the stream", GET, vec![early("103", true)], Malformed),
        (
            "one behind the final response",
            GET,
            vec![begun(), early("103", false), data("x", true)],
            Malformed,
        ),
        (
            "DATA behind an interim response",
            GET,
            vec![early("103", false), data("x", true)],
            Connection(&[PROTOCOL_ERROR]),
        ),
        ("§8.6 status 101", GET, vec![early("101", false), ok()], Malformed),
        ("§8.6 status 101 that ends the stream", GET, vec![early("101", true)], Malformed),
        ("a second final response", GET, vec![begun(), begun(), data("x", true)], Malformed),
    ];
    check(&house, rows);
}

#[test]
fn section_8_1_interim_responses_and_trailers_come_along() {
    let house = House::new();
    let (mut client, mut peer) = house.ask(GET);
    peer.frames(&[
        headers(&[(":status", "103"), ("link", "</a>")], false),
        headers(&[STATUS, ("set-cookie", "a=1"), ("set-cookie", "b=2")], false),
        data("x", false),
        headers(&[("x-sum", "1")], true),
    ])
    .unwrap();
    let hints = client.any_response().unwrap();
    assert_eq!((hints.status, hints.header("link")), (103, Some("</a>")));
    let response = client.response().unwrap();
    let cookies: Vec<&str> = response
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie")
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(cookies, ["a=1", "b=2"], "§8.2.3: only requests join theirs");
    assert_eq!(response.trailers, [("x-sum".to_owned(), "1".to_owned())]);
    house.goes_on(&mut peer).unwrap();
}

#[test]
fn section_8_1_1_content_has_the_length_that_was_said() {
    let house = House::new();
    let said = |length: &'static str, ends| headers(&[STATUS, ("content-length", length)], ends);
    let status = |status: &'static str, length: &'static str, ends| {
        headers(&[(":status", status), ("content-length", length)], ends)
    };
    let twice =
        |other: &'static str| headers(&[STATUS, ("content-length", "1"), ("content-length", other)], false);
    let trailers = || headers(&[("x-sum", "1")], true);
    let announced = |length| headers(&[STATUS, ("content-length", length), ("trailer", "x-sum")], false);
    let rows: Vec<Row<'static>> = vec![
        ("right", GET, vec![said("3", false), data("abc", true)], Whole(200, "abc")),
        ("right and empty", GET, vec![said("0", true)], Whole(200, "")),
        ("right with trailers", GET, vec![announced("3"), data("abc", false), trailers()], Whole(200, "abc")),
        ("too little", GET, vec![said("5", false), data("abc", true)], Malformed),
        ("too little, with trailers", GET, vec![announced("5"), data("abc", false), trailers()], Malformed),
        ("too much", GET, vec![said("2", false), data("abc", true)], Malformed),
        ("too much, with trailers", GET, vec![announced("2"), data("abc", false), trailers()], Malformed),
        ("nothing", GET, vec![said("5", true)], Malformed),
        ("nothing but trailers", GET, vec![said("5", false), trailers()], Malformed),
        ("no number", GET, vec![said("x", true)], Malformed),
        ("no number but a sum", GET, vec![said("+3", false), data("abc", true)], Malformed),
        ("an empty number", GET, vec![said("", true)], Malformed),
        ("a list", GET, vec![said("3, 3", false), data("abc", true)], Malformed),
        ("too large a number", GET, vec![said("99999999999999999999", false), data("abc", true)], Malformed),
        ("two numbers", GET, vec![twice("3"), data("abc", true)], Malformed),
        // RFC 9110 §8.6 lets a list of the same be taken for one, or be refused: it is, as with HTTP/1.1.
        ("the same number twice", GET, vec![twice("1"), data("a", true)], Malformed),
        ("HEAD", HEAD, vec![said("5", true)], Whole(200, "")),
        ("HEAD and the end of its stream", HEAD, vec![said("5", false), data("", true)], Whole(200, "")),
        ("304", GET, vec![status("304", "5", true)], Whole(304, "")),
        ("204", GET, vec![headers(&[(":status", "204")], true)], Whole(204, "")),
    ];
    check(&house, rows);
}

/// More content than was said, sent later than the client had all of it: too late to call the response malformed, and
/// nothing of it may ever be read as something else.
#[test]
fn section_8_1_1_what_is_too_much_goes_to_nobody() {
    let house = House::new();
    let smuggled = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled";
    for (request, head, content) in [
        (GET, headers(&[STATUS, ("content-length", "3")], false), "abc"),
        (GET, headers(&[STATUS, ("content-length", "0")], false), ""),
        (GET, headers(&[(":status", "204")], false), ""),
        (GET, headers(&[(":status", "304"), ("content-length", "3")], false), ""),
        (HEAD, headers(&[STATUS, ("content-length", "3")], false), ""),
        (HEAD, headers(&[STATUS], false), ""),
    ] {
        let (mut client, mut peer) = house.ask(request);
        peer.frames(&[head.clone(), data(content, false)]).unwrap();
        let response = super::answer_to(request, &mut client).unwrap();
        assert_eq!(response.text(), content, "{head:?}");
        // It is called off, or the rest is ignored.
        peer.frames(&[data(smuggled, true)]).unwrap();
        quiet(&mut peer, |frame| frame.kind == kind::GOAWAY);
        client.send("GET /next HTTP/1.1\r\nHost: test.example\r\n\r\n").unwrap();
        let next = super::asked(&mut peer);
        assert_eq!(next.field(":path"), Some("/next"));
        peer.answer(next.stream, "201", "next").unwrap();
        assert_eq!(client.response().unwrap().text(), "next", "{head:?}");
        peer.leave().unwrap();
    }
}

#[test]
fn section_8_2_fields() {
    let house = House::new();
    let bad: &[(&str, &[(&str, &str)])] = &[
        ("§8.2 upper case", &[("X-Name", "a")]),
        ("§8.2.1 a blank in a name", &[("x name", "a")]),
        ("§8.2.1 a control in a name", &[("x\x01", "a")]),
        ("§8.2.1 DEL in a name", &[("x\x7f", "a")]),
        ("§8.2.1 a colon in a name", &[("x:y", "a")]),
        ("§8.2.1 no name", &[("", "a")]),
        ("§8.2.1 a letter beyond ASCII in a name", &[("x\u{e4}", "a")]),
        ("§8.2.1 a quotation mark in a name", &[("x\"y", "a")]),
        ("§8.2.1 NUL", &[("x", "a\0b")]),
        ("§8.2.1 LF", &[("x", "a\nb: c")]),
        ("§8.2.1 CR", &[("x", "a\rb")]),
        ("§8.2.1 CR LF", &[("x", "a\r\n\r\nHTTP/1.1 200 OK")]),
        ("§8.2.1 a blank before", &[("x", " a")]),
        ("§8.2.1 a blank behind", &[("x", "a ")]),
        ("§8.2.1 a tab before", &[("x", "\ta")]),
        ("§8.2.1 a tab behind", &[("x", "a\t")]),
        ("§8.2.2 connection", &[("connection", "close")]),
        ("§8.2.2 keep-alive", &[("keep-alive", "timeout=5")]),
        ("§8.2.2 proxy-connection", &[("proxy-connection", "close")]),
        ("§8.2.2 transfer-encoding", &[("transfer-encoding", "chunked")]),
        ("§8.2.2 upgrade", &[("upgrade", "websocket")]),
        ("§8.2.2 te", &[("te", "gzip")]),
        ("§8.2.2 te: trailers, which requests alone may have", &[("te", "trailers")]),
    ];
    let interim = |more: &[(&str, &str)]| vec![headers(&[&[(":status", "103")], more].concat(), false), ok()];
    let trailers = |more: &[(&str, &str)]| vec![begun(), data("x", false), headers(more, true)];
    check(&house, bad.iter().map(|(rule, more)| (*rule, GET, with(more), Malformed)));
    check(&house, bad.iter().map(|(rule, more)| (*rule, GET, interim(more), Malformed)));
    // Which fields belong to a connection is known of trailers too; `te` is left out of them, as everything is that would frame or route.
    let in_trailers = bad.iter().filter(|(_, more)| *more != [("te", "trailers")]);
    check(&house, in_trailers.map(|(rule, more)| (*rule, GET, trailers(more), Malformed)));
    let good: &[(&str, &[(&str, &str)])] = &[
        ("a tab and a letter beyond ASCII within", &[("x", "a\tb \u{e4} c")]),
        ("nothing", &[("x", "")]),
        ("every mark that a name may have", &[("!#$%&'*+-.^_`|~09az", "a")]),
        // Its encoding leaves blanks as they are.
        ("the message of a call of gRPC that ends with a blank", &[("grpc-message", "no such cart ")]),
    ];
    check(&house, good.iter().map(|(rule, more)| (*rule, GET, with(more), Whole(200, ""))));
    check(&house, good.iter().map(|(rule, more)| (*rule, GET, trailers(more), Whole(200, "x"))));
}

#[test]
fn section_8_3_pseudo_fields() {
    let house = House::new();
    let bad: &[(&str, &[(&str, &str)])] = &[
        ("§8.3.2 no :status", &[("x", "a")]),
        ("§8.3.2 nothing at all", &[]),
        ("§8.3 :status behind a field", &[("x", "a"), STATUS]),
        ("§8.3 :status twice", &[STATUS, STATUS]),
        ("§8.3 two statuses", &[STATUS, (":status", "404")]),
        ("§8.3 unknown", &[STATUS, (":other", "a")]),
        ("§8.3 without a name", &[STATUS, (":", "a")]),
        ("§8.3 upper case", &[(":Status", "200")]),
        ("§8.3.2 an empty :status", &[(":status", "")]),
        ("§8.3.2 :status of two digits", &[(":status", "20")]),
        ("§8.3.2 :status of four digits", &[(":status", "2000")]),
        ("§8.3.2 :status below 100", &[(":status", "099")]),
        ("§8.3.2 no number", &[(":status", "ok ")]),
        ("§8.3.2 a number with words", &[(":status", "200 OK")]),
        ("§8.3.2 a sign", &[(":status", "+20")]),
    ];
    check(&house, bad.iter().map(|(rule, all)| (*rule, GET, only(all), Malformed)));
}

/// §8.3 calls these malformed. The library takes the pseudo-fields of requests out of responses, and all of them out of
/// trailers, before anybody sees them: no client ever does, and no response becomes another by it.
#[test]
fn section_8_3_pseudo_fields_that_are_none_of_a_response_are_never_passed_on() {
    let house = House::new();
    for name in [":method", ":scheme", ":authority", ":path", ":protocol"] {
        let odd = (name, if name == ":path" { "/" } else { "GET" });
        let trailers = headers(&[odd, ("x-sum", "1")], true);
        for frames in
            [with(&[odd]), vec![headers(&[odd, STATUS], true)], vec![begun(), data("x", false), trailers]]
        {
            never_shown(&house, &frames, odd.0);
        }
    }
    never_shown(
        &house,
        &[begun(), data("x", false), headers(&[(":status", "500"), ("x-sum", "1")], true)],
        "500",
    );
}

fn never_shown(house: &House, frames: &[Frame], what: &str) {
    let (mut client, mut peer) =
        house.ask("GET / HTTP/1.1\r\nHost: test.example\r\nConnection: close\r\n\r\n");
    peer.frames(frames).unwrap();
    let text = String::from_utf8(client.read_until_close().unwrap()).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 ") || text.starts_with("HTTP/1.1 502 "), "{text}");
    assert!(!text.contains(what.trim_start_matches(':')), "{text}");
    peer.leave().unwrap();
}

/// A client that reads carelessly has no end to find in what it was sent.
#[test]
fn section_8_1_1_a_response_that_breaks_has_not_even_the_beginning_of_an_end() {
    let house = House::new();
    for trailers in [("x", " a"), ("x\"y", "a"), ("connection", "close")] {
        let (client, mut peer) = house.ask(GET);
        peer.frames(&[begun(), data("part", false), headers(&[("x-sum", "1"), trailers], true)]).unwrap();
        let (mut seen, mut stream) = (Vec::new(), client.stream());
        let broken = stream.read_to_end(&mut seen).is_err();
        let text = String::from_utf8(seen).unwrap();
        // What waited to be sent may be lost with what broke.
        assert!(
            broken && "4\r\npart\r\n".starts_with(text.split("\r\n\r\n").nth(1).unwrap_or_default()),
            "{text:?}"
        );
        peer.leave().unwrap();
    }
}

/// What §8.1.1 wants of an intermediary, with a client of HTTP/2: it is told of what broke, or that a server did.
#[test]
fn section_8_1_1_a_client_of_http2_never_has_a_malformed_response_as_a_whole_one() {
    let house = House::new();
    let length = |length| headers(&[STATUS, ("content-length", length)], false);
    for (frames, status) in [
        (with(&[("connection", "close")]), 502),
        (with(&[("x", " a")]), 502),
        (only(&[("x", "a")]), 502),
        (vec![length("5"), data("abc", true)], 200),
        (vec![length("2"), data("a", false), data("bc", true)], 200),
        (vec![begun(), data("x", false), headers(&[("x-sum", "1")], false)], 200),
        (vec![begun(), data("x", false), headers(&[("connection", "close")], true)], 200),
    ] {
        let mut client = Http2::connect(house.balancer.address()).unwrap();
        client.greet(&[]).unwrap();
        let mut fields = get("/");
        fields[1].1 = "http";
        client.head(1, &fields, true).unwrap();
        let mut peer = house.another();
        assert_eq!(super::asked(&mut peer).stream, 1);
        peer.frames(&frames).unwrap();
        let answer = client.answer(1).unwrap();
        let right = match status {
            502 => (answer.status, answer.end) == (502, End::Clean),
            // What waited to be sent may be lost with what broke.
            _ => matches!((answer.status, answer.end), (0 | 200, End::Reset(_))),
        };
        assert!(right, "{frames:?}: {answer:?}");
        peer.leave().unwrap();
    }
}

/// §10.5.1, §4.3: a head that is larger than we take it is no response, and its table counts all the same.
#[test]
fn a_head_that_is_too_large_costs_its_response_only() {
    let house = House::new();
    let (mut client, mut peer) = house.ask(GET);
    let long = "x".repeat(10_000);
    let all: Vec<(&str, &str)> = [STATUS].into_iter().chain([("x-long", long.as_str()); 8]).collect();
    let whole = [fields(all), b"\x40\x01a\x05entry".to_vec()].concat();
    let parts: Vec<&[u8]> = whole.chunks(16_000).collect();
    for (place, part) in parts.iter().enumerate() {
        let last = if place + 1 == parts.len() { 4 } else { 0 };
        let (kind, flags) = if place == 0 { (kind::HEADERS, 1 | last) } else { (kind::CONTINUATION, last) };
        peer.frame(kind, flags, 1, *part).unwrap();
    }
    let response = client.response().unwrap();
    assert_eq!((response.status, response.header("evenkeel-reason")), (502, Some("bad-response")));
    let mut client = house.client(GET);
    assert_eq!(super::asked(&mut peer).stream, 3);
    peer.frames(&[Frame { stream: 3, ..block(5, *b"\x88\xbe") }]).unwrap();
    assert_eq!(client.response().unwrap().header("a"), Some("entry"));
    peer.leave().unwrap();
    // Far beyond that the connection is not worth it.
    let bomb = [b"\x88\x40\x01a\x7f\xa1\x1e".as_slice(), &[b'x'; 4000][..], &[0xbe; 1000][..]].concat();
    check(&house, [("a bomb", GET, vec![block(5, bomb)], Connection(&[11, COMPRESSION_ERROR]))]);
}
