//! §5.2, §6.9 and §4.2: how much may flow, both ways.

use evenkeel_testkit::http2::{Frame, Http2Peer, flag, kind, settings_payload};

use super::Want::{Connection, Stream, Whole};
use super::{
    FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GET, House, POST, PROTOCOL_ERROR, Row, asked, begun, check, data,
    ok, quiet,
};

/// A request with ten bytes.
const TEN: &str = "POST / HTTP/1.1\r\nHost: test.example\r\nContent-Length: 10\r\n\r\n0123456789";

fn is_data(frame: &Frame) -> bool {
    frame.kind == kind::DATA
}

/// The next so many bytes of content on stream 1, and whether they are the last.
fn content(peer: &mut Http2Peer, length: usize) -> (Vec<u8>, bool) {
    let (mut content, mut last) = (Vec::new(), false);
    while content.len() < length {
        let frame = peer.wait_for(kind::DATA).unwrap().expect("content");
        assert_eq!(frame.stream, 1);
        last = frame.has(flag::END_STREAM);
        content.extend(frame.payload);
    }
    (content, last)
}

#[test]
fn section_6_9_2_no_more_is_sent_than_a_stream_s_window() {
    let house = House::new();
    let (mut client, mut peer) = house.ask_with(TEN, &[(4, 3)]);
    assert_eq!(content(&mut peer, 3), (b"012".to_vec(), false));
    quiet(&mut peer, is_data);
    peer.open(1, 2).unwrap();
    assert_eq!(content(&mut peer, 2), (b"34".to_vec(), false));
    quiet(&mut peer, is_data);
    // SETTINGS change the windows of streams that exist: by -3 to -3; WINDOW_UPDATE makes it -1; then by +6 to 5.
    peer.frame(kind::SETTINGS, 0, 0, settings_payload(&[(4, 0)])).unwrap();
    peer.open(1, 2).unwrap();
    quiet(&mut peer, is_data);
    peer.frame(kind::SETTINGS, 0, 0, settings_payload(&[(4, 6)])).unwrap();
    assert_eq!(content(&mut peer, 5), (b"56789".to_vec(), true));
    peer.answer(1, "200", "").unwrap();
    assert_eq!(client.response().unwrap().status, 200);
    // What was said last rules streams that begin later.
    let mut client = house.client(TEN);
    assert_eq!(asked(&mut peer).stream, 3);
    let first = peer.wait_for(kind::DATA).unwrap().unwrap();
    assert_eq!((first.stream, first.payload.as_slice()), (3, &b"012345"[..]));
    quiet(&mut peer, is_data);
    peer.open(3, 1 << 20).unwrap();
    assert_eq!(peer.content(3).unwrap().0, b"6789");
    peer.answer(3, "200", "").unwrap();
    assert_eq!(client.response().unwrap().status, 200);
}

#[test]
fn section_6_9_1_no_more_is_sent_than_the_connection_s_window() {
    let house = House::new();
    // Whatever SETTINGS say it is 65,535 bytes.
    let all: Vec<u8> = (0..100_000_u32).map(|place| place.to_le_bytes()[1]).collect();
    let head = "POST / HTTP/1.1\r\nHost: test.example\r\nContent-Length: 100000\r\n\r\n";
    let (mut client, mut peer) = house.ask_with(head, &[(4, 1 << 20)]);
    client.send(&all).unwrap();
    assert!(content(&mut peer, 65_535) == (all[..65_535].to_vec(), false));
    quiet(&mut peer, is_data);
    // It holds another stream up as well, but not one without content.
    let mut bare = house.client(GET);
    assert_eq!(asked(&mut peer).stream, 3);
    peer.answer(3, "204", "").unwrap();
    assert_eq!(bare.response().unwrap().status, 204);
    peer.open(0, 10).unwrap();
    assert!(content(&mut peer, 10).0 == all[65_535..65_545]);
    quiet(&mut peer, is_data);
    peer.open(0, 100_000).unwrap();
    assert!(content(&mut peer, 100_000 - 65_545) == (all[65_545..].to_vec(), true));
    peer.answer(1, "200", "").unwrap();
    assert_eq!(client.response().unwrap().status, 200);
}

#[test]
fn section_6_9_a_frame_without_content_needs_no_window() {
    let house = House::new();
    let head = "POST / HTTP/1.1\r\nHost: test.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (mut client, mut peer) = house.ask_with(head, &[(4, 0)]);
    client.send("0\r\n\r\n").unwrap();
    assert_eq!(peer.content(1).unwrap(), (vec![], vec![]));
    peer.answer(1, "200", "").unwrap();
    assert_eq!(client.response().unwrap().status, 200);
}

#[test]
fn section_4_2_our_frames_are_as_long_as_the_server_takes_them() {
    let house = House::new();
    let head = "POST / HTTP/1.1\r\nHost: test.example\r\nContent-Length: 60000\r\n\r\n";
    let (mut client, mut peer) = house.ask_with(head, &[(4, 1 << 20), (5, 16_384)]);
    client.send(vec![0; 60_000]).unwrap();
    let mut left = 60_000;
    while left > 0 {
        let frame = peer.wait_for(kind::DATA).unwrap().unwrap();
        assert!(frame.payload.len() <= 16_384);
        left -= frame.payload.len();
    }
    peer.answer(1, "200", "").unwrap();
    assert_eq!(client.response().unwrap().status, 200);
    // Heads as well: what does not fit is continued (§6.10). Their compression makes `~` longer.
    let long: String = (0..2).map(|place| format!("X-{place}: {}\r\n", "~".repeat(7000))).collect();
    let house = House::new();
    let mut client = house.client(&format!("GET / HTTP/1.1\r\nHost: test.example\r\n{long}\r\n"));
    let mut peer = house.server.accept().unwrap();
    peer.greet(&[]).unwrap();
    let first = peer.wait_for(kind::HEADERS).unwrap().unwrap();
    assert!(first.payload.len() <= 16_384 && !first.has(flag::END_HEADERS), "{}", first.payload.len());
    let more = peer.next_frame().unwrap().unwrap();
    assert_eq!((more.kind, more.stream, more.flags), (kind::CONTINUATION, 1, flag::END_HEADERS));
    peer.answer(1, "200", "").unwrap();
    assert_eq!(client.response().unwrap().status, 200);
}

#[test]
fn section_6_9_window_updates() {
    let house = House::new();
    let window = |stream, by: u32| Frame::new(kind::WINDOW_UPDATE, 0, stream, by.to_be_bytes());
    let short = |stream| Frame::new(kind::WINDOW_UPDATE, 0, stream, [0, 0, 1]);
    let most = (1 << 31) - 1;
    let largest = || Frame::new(kind::SETTINGS, 0, 0, settings_payload(&[(4, most)]));
    const SIZE: &[u32] = &[FRAME_SIZE_ERROR, PROTOCOL_ERROR];
    let rows: Vec<Row<'static>> = vec![
        ("a stream's by 0", POST, vec![window(1, 0)], Stream(&[PROTOCOL_ERROR])),
        ("the connection's by 0", GET, vec![window(0, 0)], Connection(&[PROTOCOL_ERROR])),
        ("the reserved bit", GET, vec![window(0, 1 << 31 | 1), ok()], Whole(200, "")),
        ("another length", GET, vec![short(0)], Connection(SIZE)),
        ("… on a stream", POST, vec![short(1)], Connection(SIZE)),
        ("§6.9.1 too large for a stream", POST, vec![window(1, most)], Stream(&[FLOW_CONTROL_ERROR])),
        (
            "§6.9.1 too large for the connection",
            GET,
            vec![window(0, most)],
            Connection(&[FLOW_CONTROL_ERROR]),
        ),
        (
            "§6.9.1 … in two steps",
            GET,
            vec![window(0, most - 65_535), window(0, 1)],
            Connection(&[FLOW_CONTROL_ERROR]),
        ),
        ("§6.9.1 just not", GET, vec![window(0, most - 65_535), ok()], Whole(200, "")),
        (
            "§6.9.2 too large by SETTINGS",
            POST,
            vec![window(1, 10), largest()],
            Connection(&[FLOW_CONTROL_ERROR]),
        ),
        ("§6.9.2 just not", GET, vec![largest(), ok()], Whole(200, "")),
    ];
    check(&house, rows);
}

#[test]
fn section_6_9_no_more_is_taken_than_our_windows_allow() {
    let house = House::new();
    // The client reads nothing, so that no window is opened for long.
    let (_client, mut peer) = house.ask(GET);
    peer.frames(&[begun()]).unwrap();
    let frame = data(vec![0; 16_384], false).bytes();
    for _ in 0..1024 {
        if peer.send(&frame).is_err() {
            break;
        }
    }
    let (mut reset, mut given) = (None, false);
    while reset.is_none() || !given {
        let frame = peer.next_frame().unwrap().expect("an open connection");
        match frame.kind {
            kind::RST_STREAM => reset = Some((frame.stream, frame.number(0))),
            // §6.9: what is thrown away counts for the window of the connection, and is given back to it.
            kind::WINDOW_UPDATE => given |= frame.stream == 0,
            _ => {}
        }
    }
    assert_eq!(reset, Some((1, FLOW_CONTROL_ERROR)));
    house.goes_on(&mut peer).unwrap();
}
