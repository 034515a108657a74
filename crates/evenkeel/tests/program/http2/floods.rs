//! Clients that burn time and memory on purpose: each is cut, the log says why, and others are served meanwhile.

use evenkeel_testkit::HttpClient;
use evenkeel_testkit::http2::{End, Frame, Http2, fields, flag, get, kind, post, settings_payload};

use super::{ENHANCE_YOUR_CALM, House, PROTOCOL_ERROR, block, data, headers};

/// One way to do it.
struct Flood {
    name: &'static str,
    /// What the log says of it: one of these. None where the first of it is an error that ends the connection.
    reasons: &'static [&'static str],
    /// What is sent again and again; `turn` counts from 0.
    batch: fn(turn: u32) -> Vec<Frame>,
}

/// A client that goes on for so long was not cut.
const MOST_BATCHES: u32 = 4000;

const LIBRARY: &str = "a bound of the protocol library";

const FLOODS: &[Flood] = &[
    Flood {
        name: "Rapid Reset (CVE-2023-44487)",
        reasons: &["it opens requests and resets them"],
        batch: |turn| {
            let stream = 2 * turn + 1;
            vec![headers(stream, &get("/"), true), Frame::new(kind::RST_STREAM, 0, stream, [0, 0, 0, 8])]
        },
    },
    Flood {
        name: "CONTINUATION without end (CVE-2024-27316)",
        reasons: &["too many CONTINUATION frames of one head", LIBRARY],
        batch: |turn| match turn {
            0 => vec![block(0, 1, fields(get("/")))],
            _ => vec![Frame::new(kind::CONTINUATION, 0, 1, fields([("a", "b")]))],
        },
    },
    Flood {
        name: "MadeYouReset by WINDOW_UPDATE 0 (CVE-2025-8671)",
        reasons: &[],
        batch: |turn| {
            let stream = 2 * turn + 1;
            vec![headers(stream, &get("/hold"), true), Frame::new(kind::WINDOW_UPDATE, 0, stream, [0; 4])]
        },
    },
    Flood {
        name: "MadeYouReset by an overflowing window",
        reasons: &[LIBRARY],
        batch: |turn| {
            let stream = 2 * turn + 1;
            let most = ((1u32 << 31) - 1).to_be_bytes();
            vec![headers(stream, &get("/hold"), true), Frame::new(kind::WINDOW_UPDATE, 0, stream, most)]
        },
    },
    Flood {
        name: "DATA without content (CVE-2019-9518)",
        reasons: &["too many frames without content", LIBRARY],
        batch: |turn| match turn {
            0 => vec![headers(1, &post("/hold"), false)],
            _ => vec![data(1, "", false)],
        },
    },
    Flood {
        name: "DATA of a byte each",
        reasons: &["too many frames of a few bytes", LIBRARY],
        batch: |turn| match turn {
            0 => vec![headers(1, &post("/hold"), false)],
            _ => vec![data(1, "x", false); 25],
        },
    },
    Flood {
        name: "HEADERS without content",
        reasons: &["too many frames without content", "too many CONTINUATION frames", LIBRARY],
        batch: |turn| match turn {
            0 => vec![block(0, 1, [])],
            _ => vec![Frame::new(kind::CONTINUATION, 0, 1, [])],
        },
    },
    Flood {
        name: "PING (CVE-2019-9512)",
        reasons: &["too many PING and SETTINGS frames"],
        batch: |_| vec![Frame::new(kind::PING, 0, 0, [0; 8])],
    },
    Flood {
        name: "SETTINGS (CVE-2019-9515)",
        reasons: &["too many PING and SETTINGS frames"],
        batch: |_| vec![Frame::new(kind::SETTINGS, 0, 0, settings_payload(&[(4, 65_535)]))],
    },
    Flood {
        name: "PRIORITY (CVE-2019-9513)",
        reasons: &["too many WINDOW_UPDATE, PRIORITY and unknown frames"],
        batch: |turn| vec![Frame::new(kind::PRIORITY, 0, 2 * turn + 1, [0, 0, 0, 0, 16])],
    },
    Flood {
        name: "WINDOW_UPDATE (CVE-2019-9511)",
        reasons: &["too many WINDOW_UPDATE, PRIORITY and unknown frames"],
        batch: |_| vec![Frame::new(kind::WINDOW_UPDATE, 0, 0, [0, 0, 0, 1])],
    },
    Flood {
        name: "unknown frames",
        reasons: &["too many WINDOW_UPDATE, PRIORITY and unknown frames"],
        batch: |_| vec![Frame::new(0xee, 0, 0, [])],
    },
];

/// Floods until the other side has had enough; how it said so.
fn flood(client: &mut Http2, flood: &Flood) -> Option<End> {
    for turn in 0..MOST_BATCHES {
        let bytes: Vec<u8> = (flood.batch)(turn).iter().flat_map(Frame::bytes).collect();
        if client.send(&bytes).is_err() {
            return Some(client.closed().unwrap_or(End::Closed));
        }
    }
    // Whether it was cut behind the last of it: a question that nobody else asks.
    client.frame(kind::PING, 0, 0, *b"are you?").ok()?;
    while let Some(frame) = client.next_frame().unwrap_or(None) {
        if frame.kind == kind::GOAWAY {
            return Some(End::GoAway(frame.number(4)));
        }
        if frame.kind == kind::PING && frame.flags == flag::ACK && frame.payload == b"are you?" {
            return None;
        }
    }
    Some(End::Closed)
}

#[test]
fn every_flood_is_cut_and_the_log_says_why() {
    let Some(house) = House::new() else { return };
    let mut wrong = Vec::new();
    for one in FLOODS {
        let seen = house.site.seen();
        let end = flood(&mut house.client(), one);
        // What was sent meanwhile may reset the connection before the client has read why.
        let code = if one.reasons.is_empty() { PROTOCOL_ERROR } else { ENHANCE_YOUR_CALM };
        if !end.is_some_and(|end| end == End::GoAway(code) || end == End::Closed) {
            wrong.push(format!("{}: {end:?}", one.name));
            continue;
        }
        if one.reasons.is_empty() {
            continue;
        }
        let fits = |line: &str| {
            line.contains("HTTP/2 connection of 127.0.0.1 is cut: ")
                && one.reasons.iter().any(|reason| line.contains(reason))
        };
        house.site.program.wait_for_line_after(seen, fits, evenkeel_testkit::BOUND);
        let other = house.client().get(1, "/").unwrap();
        if other.text() != "hello" {
            wrong.push(format!("{}: others got {other:?}", one.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Requests that are given up in the same breath cost no server anything.
#[test]
fn requests_that_are_reset_at_once_reach_no_server() {
    let Some(house) = House::new() else { return };
    let mut client = house.client();
    let pair =
        |stream| [headers(stream, &get("/"), true), Frame::new(kind::RST_STREAM, 0, stream, [0, 0, 0, 8])];
    // In one write, and so in one record of TLS.
    let bytes: Vec<u8> =
        (0..50).flat_map(|turn| pair(2 * turn + 1)).flat_map(|frame| frame.bytes()).collect();
    client.send(bytes).unwrap();
    assert_eq!(client.get(101, "/").unwrap().text(), "hello");
    let received = String::from_utf8(house.origin.received().concat()).unwrap();
    assert_eq!(received.matches("GET / ").count(), 1, "{received}");
}

/// One byte of HPACK that names a field of the table again costs a whole field.
#[test]
fn a_bomb_of_header_references_is_refused_before_it_unfolds() {
    let Some(house) = House::new() else { return };
    // Its window keeps whatever is answered from going away.
    let mut client = house.client_with(&[(4, 0)]);
    for (stream, name, value) in [(1, "x", "v".repeat(3000)), (3, "cookie", "a".to_owned())] {
        let mut bomb = fields(get("/"));
        // RFC 7541 §6.2.1: with indexing; then index 62 again and again.
        bomb.push(0x40);
        bomb.extend_from_slice(&fields([(name, value)])[1..]);
        bomb.resize(16_000, 0xbe);
        client.send(block(flag::END_HEADERS | flag::END_STREAM, stream, bomb).bytes()).unwrap();
        let answer = client.answer(stream).unwrap();
        let refused = answer.status == 431 || matches!(answer.end, End::Reset(_) | End::GoAway(_));
        assert!(refused, "{name}: {answer:?}");
        if matches!(answer.end, End::GoAway(_)) {
            client = house.client_with(&[(4, 0)]);
        }
    }
    assert_eq!(house.origin.connections(), 0, "no server has seen any of it");
    assert_eq!(house.client().get(1, "/").unwrap().text(), "hello");
}

/// Windows that stay shut, and sockets that are not read: what waits for them has an end.
#[test]
fn who_takes_nothing_is_not_waited_for_forever() {
    let Some(house) = House::with("idle-timeout = \"300ms\"", "") else { return };
    for settings in [&[(4, 0)][..], &[(4, 1 << 30)]] {
        let mut client = house.client_with(settings);
        client.opens_windows = false;
        for stream in 0..100 {
            client.head(2 * stream + 1, &get("/bytes/1000000"), true).unwrap();
        }
        // Each is reset, or all of them go with the connection; then that is idle and ends as well.
        let mut resets = 0;
        while let Some(frame) = client.next_frame().unwrap() {
            resets += u32::from(frame.kind == kind::RST_STREAM);
        }
        assert!(resets <= 100);
    }
    assert_eq!(house.client().get(1, "/").unwrap().text(), "hello");
}

/// Handshakes that do not go on are ended and bounded in number, so that others still get theirs.
#[test]
fn handshakes_that_do_not_go_on_keep_nobody_out() {
    let Some(house) = House::new() else { return };
    let hanging: Vec<HttpClient> = (0..200)
        .map(|_| {
            let mut client = HttpClient::connect(house.address).unwrap();
            // The beginning of a ClientHello.
            client.send(b"\x16\x03\x01\x02\x00\x01").unwrap();
            client
        })
        .collect();
    assert_eq!(house.client().get(1, "/").unwrap().text(), "hello");
    drop(hanging);
}
