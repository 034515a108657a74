//! §4, §6.1 to §6.4 and §6.10: frames and heads on the wire.

use evenkeel_testkit::http2::{Frame, fields, flag, kind, read_fields, settings_payload};

use super::Want::{Connection, Stream, Whole};
use super::{
    COMPRESSION_ERROR, FRAME_SIZE_ERROR, GET, House, POST, PROTOCOL_ERROR, Row, STATUS, asked, begun, block,
    check, cut, data, headers, ok,
};

/// Codes where §4.3 names the first and the library says the second, as §5.4 lets it.
const COMPRESSION: &[u32] = &[COMPRESSION_ERROR, PROTOCOL_ERROR];
/// The same for §4.2.
const SIZE: &[u32] = &[FRAME_SIZE_ERROR, PROTOCOL_ERROR];
const PROTOCOL: &[u32] = &[PROTOCOL_ERROR];

#[test]
fn section_4_1_what_is_unknown_is_ignored() {
    let house = House::new();
    let unknown = |flags, stream| Frame::new(0xee, flags, stream, *b"whatever");
    let reserved = |frame: Frame| Frame { stream: frame.stream | 1 << 31, ..frame };
    let rows: Vec<Row<'static>> = vec![
        ("an unknown frame", GET, vec![unknown(0xff, 0), ok()], Whole(200, "")),
        ("… on the stream", GET, vec![begun(), unknown(0, 1), data("x", true)], Whole(200, "x")),
        ("… of no stream yet", GET, vec![unknown(1, 7), unknown(1, 8), ok()], Whole(200, "")),
        ("the reserved bit", GET, vec![reserved(begun()), reserved(data("x", true))], Whole(200, "x")),
        ("flags without meaning", GET, vec![block(0xd7, fields([STATUS]))], Whole(200, "")),
        (
            "… of PING and SETTINGS",
            GET,
            vec![Frame::new(kind::PING, 0xfe, 0, [0; 8]), Frame::new(kind::SETTINGS, 0xfe, 0, []), ok()],
            Whole(200, ""),
        ),
    ];
    check(&house, rows);
}

#[test]
fn section_4_1_our_frames_set_nothing_that_has_no_meaning() {
    let house = House::new();
    let long = "~".repeat(7000);
    let mut client = house.client(&format!(
        "POST / HTTP/1.1\r\nHost: a\r\nX-A: {long}\r\nX-B: {long}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"
    ));
    let mut peer = house.server.accept().unwrap();
    peer.preface().unwrap();
    peer.frame(kind::SETTINGS, 0, 0, settings_payload(&[(1, 0)])).unwrap();
    peer.frames(&[Frame::new(kind::SETTINGS, flag::ACK, 0, []), Frame::new(kind::PING, 0, 0, [0; 8])])
        .unwrap();
    let mut kinds = [0; 10];
    let mut last = false;
    while !last {
        let frame = peer.read_frame().unwrap().unwrap();
        let meaning = match frame.kind {
            kind::DATA => flag::END_STREAM,
            kind::HEADERS => flag::END_STREAM | flag::END_HEADERS,
            kind::SETTINGS | kind::PING => flag::ACK,
            kind::CONTINUATION => flag::END_HEADERS,
            _ => 0,
        };
        assert_eq!((frame.flags & !meaning, frame.stream >> 31), (0, 0), "{frame:?}");
        kinds[usize::from(frame.kind)] += 1;
        if frame.kind == kind::DATA {
            client.send("0\r\nX-Sum: 1\r\n\r\n").unwrap();
        }
        last = frame.kind == kind::HEADERS && frame.has(flag::END_STREAM);
    }
    // Two heads, one of them in two pieces; §6.3: no priorities, §8.4: no promises.
    assert_eq!(kinds[..4], [1, 2, 0, 0]);
    assert_eq!(kinds[4..8], [1, 0, 1, 0]);
    assert_eq!(kinds[9], 1);
    peer.answer(1, "200", "").unwrap();
    assert_eq!(client.response().unwrap().status, 200);
}

#[test]
fn section_4_2_no_frame_is_longer_than_was_allowed() {
    let house = House::new();
    let long = |kind, stream| Frame::new(kind, flag::END_HEADERS, stream, vec![0; 16_385]);
    static MOST: [u8; 16_384] = [b'x'; 16_384];
    let rows: Vec<Row<'static>> = vec![
        (
            "16384 bytes",
            GET,
            vec![begun(), data(MOST, true)],
            Whole(200, std::str::from_utf8(&MOST).unwrap()),
        ),
        ("DATA", GET, vec![begun(), long(kind::DATA, 1)], Stream(&[FRAME_SIZE_ERROR])),
        ("HEADERS", GET, vec![long(kind::HEADERS, 1)], Connection(&[FRAME_SIZE_ERROR])),
        (
            "CONTINUATION",
            GET,
            vec![block(0, fields([STATUS])), long(kind::CONTINUATION, 1)],
            Connection(&[FRAME_SIZE_ERROR]),
        ),
        ("SETTINGS", GET, vec![long(kind::SETTINGS, 0)], Connection(&[FRAME_SIZE_ERROR])),
        ("an unknown frame", GET, vec![long(0xee, 0)], Connection(&[FRAME_SIZE_ERROR])),
    ];
    check(&house, rows);
}

#[test]
fn section_4_3_heads_are_decompressed_or_the_connection_ends() {
    let house = House::new();
    let whole = fields([STATUS]);
    let with = |bytes: &[u8]| vec![block(5, [bytes, &whole].concat())];
    let after = |bytes: &[u8]| vec![block(5, [&whole, bytes].concat())];
    let rows: Vec<Row<'static>> = vec![
        ("index 0", GET, with(b"\x80"), Connection(COMPRESSION)),
        ("an index that nobody set", GET, with(b"\xbe"), Connection(COMPRESSION)),
        ("an endless integer", GET, after(&[0xff; 10]), Connection(COMPRESSION)),
        ("a table that is too large", GET, with(b"\x3f\xe1\xff\x03"), Connection(COMPRESSION)),
        ("a size of the table behind a field", GET, after(b"\x20"), Connection(COMPRESSION)),
        ("Huffman padding that is no end", GET, after(b"\x00\x01a\x81\x18"), Connection(COMPRESSION)),
        (
            "a Huffman string with an end",
            GET,
            after(b"\x00\x01a\x84\xff\xff\xff\xff"),
            Connection(COMPRESSION),
        ),
        ("a name that breaks off", GET, after(b"\x00\x0aabc"), Connection(COMPRESSION)),
        ("a table of the allowed size", GET, with(b"\x3f\xe1\x1f"), Whole(200, "")),
        // RFC 7541 §6.1, §6.2.1: an entry that was made in this block.
        ("an entry of the table", GET, vec![block(5, *b"\x88\x40\x01a\x01b\xbe")], Whole(200, "")),
        ("… in trailers", GET, vec![begun(), block(5, *b"\x80")], Connection(COMPRESSION)),
    ];
    check(&house, rows);
}

#[test]
fn section_4_3_a_head_that_nobody_wants_still_counts() {
    let house = House::new();
    let (client, mut peer) = house.ask(GET);
    // The client leaves, and the request is called off.
    cut(client);
    let reset = peer.wait_for(kind::RST_STREAM).unwrap().unwrap();
    assert_eq!(reset.stream, 1);
    // Its head, which crosses that, makes an entry of the table …
    peer.frame(kind::HEADERS, 5, 1, *b"\x88\x40\x03x-a\x05entry").unwrap();
    let mut client = house.client(GET);
    let request = asked(&mut peer);
    assert_eq!(request.stream, 3);
    // … that the next one uses.
    peer.frame(kind::HEADERS, 5, 3, *b"\x88\xbe").unwrap();
    assert_eq!(client.response().unwrap().header("x-a"), Some("entry"));
}

#[test]
fn section_4_3_1_our_heads_use_no_larger_table_than_the_server_allows() {
    let house = House::new();
    let (mut client, mut peer) = house.ask_with(GET, &[(1, 4096)]);
    peer.answer(1, "200", "").unwrap();
    assert_eq!(client.response().unwrap().status, 200);
    // The table that it may have had is taken away; the next head says that it knows, and does without.
    peer.frame(kind::SETTINGS, 0, 0, settings_payload(&[(1, 0)])).unwrap();
    assert_eq!(peer.wait_for(kind::SETTINGS).unwrap().unwrap().flags, flag::ACK);
    let mut client = house.client(GET);
    let head = peer.wait_for(kind::HEADERS).unwrap().unwrap();
    assert_eq!(head.payload[0], 0x20, "RFC 7541 §6.3");
    assert!(
        read_fields(&head.payload).unwrap().contains(&(":authority".to_owned(), "test.example".to_owned()))
    );
    peer.answer(3, "200", "").unwrap();
    assert_eq!(client.response().unwrap().status, 200);
}

#[test]
fn section_6_10_a_head_in_pieces_is_not_interrupted() {
    let house = House::new();
    let whole = fields([STATUS, ("x-long", "value")]);
    let (half, rest) = (whole[..7].to_vec(), whole[7..].to_vec());
    let begin = || block(flag::END_STREAM, half.clone());
    let more = |stream, flags| Frame::new(kind::CONTINUATION, flags, stream, rest.clone());
    let between = |frame| vec![begin(), frame, more(1, 4)];
    let empty = Frame::new(kind::CONTINUATION, 0, 1, []);
    let rows: Vec<Row<'static>> = vec![
        ("two pieces", GET, vec![begin(), more(1, 4)], Whole(200, "")),
        ("an empty one between", GET, between(empty.clone()), Whole(200, "")),
        (
            "an empty one first",
            GET,
            vec![block(1, []), empty, block_of(kind::CONTINUATION, &whole)],
            Whole(200, ""),
        ),
        ("DATA between", GET, between(data("x", false)), Connection(PROTOCOL)),
        ("PING between", GET, between(Frame::new(kind::PING, 0, 0, [0; 8])), Connection(PROTOCOL)),
        ("an unknown frame between (§5.5)", GET, between(Frame::new(0xee, 0, 1, [])), Connection(PROTOCOL)),
        ("HEADERS between", GET, between(ok()), Connection(PROTOCOL)),
        ("CONTINUATION of another stream", GET, vec![begin(), more(3, 4)], Connection(PROTOCOL)),
        ("CONTINUATION alone", GET, vec![more(1, 4)], Connection(PROTOCOL)),
        ("… on stream 0", GET, vec![more(0, 4)], Connection(PROTOCOL)),
        ("… behind a whole head", GET, vec![begun(), more(1, 4)], Connection(PROTOCOL)),
        ("… behind DATA", GET, vec![begun(), data("x", false), more(1, 4)], Connection(PROTOCOL)),
        ("trailers in pieces", GET, trailers_in_pieces(), Whole(200, "x")),
    ];
    check(&house, rows);
}

fn block_of(kind: u8, block: &[u8]) -> Frame {
    Frame::new(kind, flag::END_HEADERS, 1, block)
}

fn trailers_in_pieces() -> Vec<Frame> {
    let sum = fields([("x-sum", "1")]);
    vec![
        headers(&[STATUS, ("trailer", "x-sum")], false),
        data("x", false),
        block(flag::END_STREAM, &sum[..4]),
        block_of(kind::CONTINUATION, &sum[4..]),
    ]
}

#[test]
fn section_6_1_to_6_4_frames_of_streams() {
    let house = House::new();
    let whole = fields([STATUS]);
    let padded = |padding: u8, bytes: &[u8], zeros: usize| [&[padding], bytes, &vec![0; zeros]].concat();
    let padded_data = |bytes: Vec<u8>| vec![begun(), Frame::new(kind::DATA, 9, 1, bytes)];
    let padded_head = |bytes: Vec<u8>| vec![block(5 | flag::PADDED, bytes)];
    let reset = |stream, length| vec![Frame::new(kind::RST_STREAM, 0, stream, vec![0; length])];
    let priority = |stream, length| vec![Frame::new(kind::PRIORITY, 0, stream, vec![0; length]), ok()];
    let rows: Vec<Row<'static>> = vec![
        ("§6.1 DATA on stream 0", GET, vec![Frame::new(kind::DATA, 0, 0, *b"x")], Connection(PROTOCOL)),
        ("§6.1 padding", GET, padded_data(padded(255, b"x", 255)), Whole(200, "x")),
        ("§6.1 nothing but padding", GET, padded_data(padded(4, b"", 4)), Whole(200, "")),
        ("§6.1 as much padding as there is", GET, padded_data(vec![5, 0, 0, 0, 0]), Connection(PROTOCOL)),
        ("§6.1 no length of padding", GET, padded_data(vec![]), Connection(SIZE)),
        (
            "§6.2 HEADERS on stream 0",
            GET,
            vec![Frame::new(kind::HEADERS, 5, 0, whole.clone())],
            Connection(PROTOCOL),
        ),
        ("§6.2 padding", GET, padded_head(padded(7, &whole, 7)), Whole(200, "")),
        ("§6.2 too much padding", GET, padded_head(padded(255, &whole, 0)), Connection(PROTOCOL)),
        ("§6.2 no length of padding", GET, padded_head(vec![]), Connection(SIZE)),
        (
            "§6.2 a priority",
            GET,
            vec![block(5 | flag::PRIORITY, [&[0, 0, 0, 0, 16][..], &whole].concat())],
            Whole(200, ""),
        ),
        ("§6.3 PRIORITY of the stream", GET, priority(1, 5), Whole(200, "")),
        ("§6.3 … of an idle one", GET, priority(7, 5), Whole(200, "")),
        ("§6.3 … on stream 0", GET, priority(0, 5), Connection(PROTOCOL)),
        ("§6.3 another length", GET, priority(1, 4), Stream(SIZE)),
        ("§6.4 RST_STREAM on stream 0", GET, reset(0, 4), Connection(PROTOCOL)),
        ("§6.4 … of an idle stream", GET, reset(3, 4), Connection(PROTOCOL)),
        ("§6.4 too short", GET, reset(1, 3), Connection(SIZE)),
        ("§6.4 too long", GET, reset(1, 5), Connection(SIZE)),
        (
            "§6.1 DATA and padding while the request goes on",
            POST,
            padded_data(padded(3, b"x", 3)),
            Whole(200, "x"),
        ),
    ];
    check(&house, rows);
}
