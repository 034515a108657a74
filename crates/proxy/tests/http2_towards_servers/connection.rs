//! §3.4, §6.5 to §6.7: what a connection begins with, and frames that concern all of it.

use evenkeel_testkit::http2::{End, Frame, fields, flag, kind, setting, settings_payload};

use super::Want::{Connection, Ended, Whole};
use super::{
    FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GET, House, PROTOCOL_ERROR, Row, asked, begun, check, data, ok,
    quiet,
};

const PROTOCOL: &[u32] = &[PROTOCOL_ERROR];
/// Codes where §6.5 and §6.7 name the first and the library says the second, as §5.4 lets it.
const SIZE: &[u32] = &[FRAME_SIZE_ERROR, PROTOCOL_ERROR];

#[test]
fn section_3_4_we_begin_with_a_preface_and_valid_settings() {
    let house = House::new();
    let mut client = house.client(GET);
    let mut peer = house.server.accept().unwrap();
    // Nothing of the request goes out before the server has spoken: it could not be asked again elsewhere.
    let settings = peer.preface().unwrap();
    assert_eq!((settings.stream, settings.payload.len() % 6), (0, 0));
    // §6.5.2: no pushing, and values within their bounds.
    assert_eq!(setting(&settings.payload, 2), Some(0));
    assert!(setting(&settings.payload, 4).is_none_or(|window| window < 1 << 31));
    assert!(setting(&settings.payload, 5).is_none_or(|size| (16_384..1 << 24).contains(&size)));
    // A setting of servers alone (RFC 8441 §3).
    assert_eq!(setting(&settings.payload, 8), None);
    // §6.5.3: ours are answered only with an acknowledgement, which comes before anything that they rule.
    peer.frame(kind::SETTINGS, 0, 0, settings_payload(&[(1, 0), (4, 70_000)])).unwrap();
    let mut acknowledged = false;
    loop {
        let frame = peer.read_frame().unwrap().unwrap();
        match frame.kind {
            kind::SETTINGS => {
                assert_eq!((frame.flags, frame.stream, frame.payload.len()), (flag::ACK, 0, 0));
                assert!(!std::mem::replace(&mut acknowledged, true), "once");
            }
            kind::WINDOW_UPDATE => assert_eq!(frame.stream, 0),
            kind::HEADERS => break,
            _ => panic!("{frame:?}"),
        }
    }
    assert!(acknowledged);
    // Ours were never acknowledged, which the server may take its time for.
    peer.answer(1, "200", "").unwrap();
    assert_eq!(client.response().unwrap().status, 200);
}

#[test]
fn section_3_4_a_server_begins_with_settings() {
    let house = House::new();
    let settings = || Frame::new(kind::SETTINGS, 0, 0, []).bytes();
    let first = |frame: Frame| [frame.bytes(), settings()].concat();
    for (rule, bytes) in [
        ("PING", first(Frame::new(kind::PING, 0, 0, [0; 8]))),
        ("an acknowledgement", first(Frame::new(kind::SETTINGS, flag::ACK, 0, []))),
        ("WINDOW_UPDATE", first(Frame::new(kind::WINDOW_UPDATE, 0, 0, [0, 0, 0, 1]))),
        ("an unknown frame", first(Frame::new(0xee, 0, 0, []))),
        ("a response", first(ok())),
        ("SETTINGS of a stream", first(Frame::new(kind::SETTINGS, 0, 1, []))),
        ("HTTP/1.1", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec()),
        ("HTTP/1.0 without more", b"HTTP/1.0".to_vec()),
    ] {
        let mut client = house.client(GET);
        let mut peer = house.server.accept().unwrap();
        peer.preface().unwrap();
        peer.send(bytes).unwrap();
        if rule == "HTTP/1.0 without more" {
            // Nine bytes make a frame's header.
            peer.send(b"!").unwrap();
        }
        let response = client.response().unwrap();
        assert_eq!(
            (response.status, response.header("evenkeel-reason")),
            (502, Some("bad-response")),
            "{rule}"
        );
        peer.closed().unwrap();
    }
    // However it is cut.
    let mut client = house.client(GET);
    let mut peer = house.server.accept().unwrap();
    peer.preface().unwrap();
    for byte in [settings(), Frame::new(kind::SETTINGS, flag::ACK, 0, []).bytes()].concat() {
        peer.send([byte]).unwrap();
    }
    assert_eq!(asked(&mut peer).stream, 1);
    for byte in [begun().bytes(), data("in pieces", true).bytes()].concat() {
        peer.send([byte]).unwrap();
    }
    assert_eq!(client.response().unwrap().text(), "in pieces");
}

#[test]
fn section_6_5_settings() {
    let house = House::new();
    let settings = |list: &[(u16, u32)]| vec![Frame::new(kind::SETTINGS, 0, 0, settings_payload(list)), ok()];
    let raw = |flags, stream, length| vec![Frame::new(kind::SETTINGS, flags, stream, vec![0; length]), ok()];
    let rows: Vec<Row<'static>> = vec![
        ("on a stream", GET, raw(0, 1, 6), Connection(PROTOCOL)),
        ("an ACK with content", GET, raw(flag::ACK, 0, 6), Connection(SIZE)),
        ("half a setting", GET, raw(0, 0, 3), Connection(SIZE)),
        ("a setting and a half", GET, raw(0, 0, 9), Connection(SIZE)),
        ("none", GET, settings(&[]), Whole(200, "")),
        ("§6.5.2 ENABLE_PUSH = 0", GET, settings(&[(2, 0)]), Whole(200, "")),
        // §5.4.1 lets an endpoint end the connection without GOAWAY.
        ("§6.5.2 ENABLE_PUSH = 1", GET, settings(&[(2, 1)]), Ended),
        ("§6.5.2 ENABLE_PUSH = 2", GET, settings(&[(2, 2)]), Connection(PROTOCOL)),
        ("§6.5.2 the largest window", GET, settings(&[(4, (1 << 31) - 1)]), Whole(200, "")),
        (
            "§6.5.2 a larger window",
            GET,
            settings(&[(4, 1 << 31)]),
            Connection(&[FLOW_CONTROL_ERROR, PROTOCOL_ERROR]),
        ),
        ("§6.5.2 MAX_FRAME_SIZE = 16383", GET, settings(&[(5, 16_383)]), Connection(PROTOCOL)),
        ("§6.5.2 MAX_FRAME_SIZE = 2^24", GET, settings(&[(5, 1 << 24)]), Connection(PROTOCOL)),
        ("§6.5.2 MAX_FRAME_SIZE = 2^24 - 1", GET, settings(&[(5, (1 << 24) - 1)]), Whole(200, "")),
        ("§6.5.2 an unknown setting", GET, settings(&[(0xfafa, 7)]), Whole(200, "")),
        ("§6.5.3 the last of the same counts", GET, settings(&[(3, 0), (3, 100)]), Whole(200, "")),
        ("RFC 8441 §3 ENABLE_CONNECT_PROTOCOL = 2", GET, settings(&[(8, 2)]), Connection(PROTOCOL)),
    ];
    check(&house, rows);
}

#[test]
fn section_6_5_3_settings_are_acknowledged_in_order() {
    let house = House::new();
    let (mut client, mut peer) = house.ask(GET);
    for window in [1, 2, 3] {
        peer.frame(kind::SETTINGS, 0, 0, settings_payload(&[(4, window)])).unwrap();
    }
    for _ in 0..3 {
        let frame = peer.wait_for(kind::SETTINGS).unwrap().unwrap();
        assert_eq!((frame.flags, frame.stream, frame.payload.len()), (flag::ACK, 0, 0));
    }
    quiet(&mut peer, |frame| frame.kind == kind::SETTINGS);
    peer.answer(1, "200", "").unwrap();
    assert_eq!(client.response().unwrap().status, 200);
}

/// §6.6, §8.4: we have said that nothing is to be pushed.
#[test]
fn section_6_6_nothing_is_pushed() {
    let house = House::new();
    let request =
        fields([(":method", "GET"), (":scheme", "http"), (":authority", "test.example"), (":path", "/x")]);
    let promise = |stream, promised: u32| {
        let block = [&promised.to_be_bytes()[..], &request].concat();
        vec![Frame::new(kind::PUSH_PROMISE, flag::END_HEADERS, stream, block), ok()]
    };
    let padded = [&[100][..], &2u32.to_be_bytes(), &request].concat();
    let rows: Vec<Row<'static>> = vec![
        (
            "padding that is too long",
            GET,
            vec![Frame::new(kind::PUSH_PROMISE, 12, 1, padded)],
            Connection(PROTOCOL),
        ),
        (
            "in pieces that are interrupted",
            GET,
            vec![Frame::new(kind::PUSH_PROMISE, 0, 1, [0, 0, 0, 2]), ok()],
            Connection(PROTOCOL),
        ),
        ("on a request", GET, promise(1, 2), Connection(PROTOCOL)),
        ("on stream 0", GET, promise(0, 2), Connection(PROTOCOL)),
        ("on an idle stream", GET, promise(3, 2), Connection(PROTOCOL)),
        ("§5.1.1 of an odd stream", GET, promise(1, 3), Connection(PROTOCOL)),
        ("within a response", GET, [vec![begun()], promise(1, 2)].concat(), Connection(PROTOCOL)),
        (
            "§8.4 a promised response without a promise",
            GET,
            vec![Frame { stream: 2, ..ok() }],
            Connection(PROTOCOL),
        ),
    ];
    check(&house, rows);
    // Behind a response as well, which is none the worse for it.
    let (mut client, mut peer) = house.ask(GET);
    peer.frames(&[vec![ok()], promise(1, 2)].concat()).unwrap();
    assert_eq!(client.response().unwrap().status, 200);
    assert_eq!(peer.end_of(1).unwrap(), End::GoAway(PROTOCOL_ERROR));
}

#[test]
fn section_6_7_pings() {
    let house = House::new();
    let raw = |flags, stream, length| vec![Frame::new(kind::PING, flags, stream, vec![0; length]), ok()];
    let rows: Vec<Row<'static>> = vec![
        ("on a stream", GET, raw(0, 1, 8), Connection(PROTOCOL)),
        ("too short", GET, raw(0, 0, 6), Connection(SIZE)),
        ("too long", GET, raw(0, 0, 9), Connection(SIZE)),
        ("an answer to nothing", GET, raw(flag::ACK, 0, 8), Whole(200, "")),
    ];
    check(&house, rows);
    let (mut client, mut peer) = house.ask(GET);
    peer.frame(kind::PING, 0, 0, *b"12345678").unwrap();
    let pong = peer.wait_for(kind::PING).unwrap().unwrap();
    assert_eq!((pong.flags, pong.stream, pong.payload.as_slice()), (flag::ACK, 0, b"12345678".as_slice()));
    // An answer is not answered.
    peer.frame(kind::PING, flag::ACK, 0, *b"answered").unwrap();
    quiet(&mut peer, |frame| frame.payload == *b"answered");
    peer.answer(1, "200", "").unwrap();
    assert_eq!(client.response().unwrap().status, 200);
}

#[test]
fn a_server_that_has_gone_silently_is_found_out_by_a_ping_and_one_that_thinks_is_not() {
    // The first says nothing at all any more, as one whose machine is gone; the second is there and needs long.
    let (gone, slow) = (House::new(), House::new());
    let (mut client_of_gone, mut peer_of_gone) = gone.ask(GET);
    let (mut client_of_slow, mut peer_of_slow) = slow.ask(GET);
    // Which answers it.
    let asked = peer_of_slow.wait_for(kind::PING).unwrap().unwrap();
    assert_eq!((asked.flags, asked.stream, asked.payload.len()), (0, 0, 8));
    // Which does not.
    while peer_of_gone.read_frame().unwrap().unwrap().kind != kind::PING {}
    // Not answered: the connection is given up, and with it the request, which may have been carried out.
    let response = client_of_gone.response().unwrap();
    assert_eq!(response.status, 502);
    assert!(peer_of_gone.closed().is_ok());
    peer_of_slow.answer(1, "200", "at last").unwrap();
    assert_eq!(client_of_slow.response().unwrap().text(), "at last");
}
