//! RFC 9113 §3, §4 and §6: what is on the wire.

use evenkeel_testkit::http2::{End, Frame, PREFACE, fields, flag, get, kind, post, settings_payload};

use super::Want::{Connection, Ended, OneOf, Status, Stream};
use super::{
    COMPRESSION_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, House, PROTOCOL_ERROR, Row, STREAM_CLOSED,
    block, check, data, headers,
};

#[test]
fn section_3_a_connection_begins_with_prefaces() {
    let Some(house) = House::new() else { return };
    // §3.4: the server's is SETTINGS, which may not wait for the client's; §6.5.2 and RFC 8441 §3 bound its values.
    let mut client = house.silent();
    let theirs = client.greet(&[]).unwrap();
    assert_eq!((theirs.stream, theirs.payload.len() % 6), (0, 0));
    for setting in theirs.payload.chunks(6) {
        let value = u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
        match u16::from_be_bytes([setting[0], setting[1]]) {
            2 => assert_eq!(value, 0, "servers do not say ENABLE_PUSH = 1"),
            4 => assert!(value < 1 << 31),
            5 => assert!((16_384..1 << 24).contains(&value)),
            8 => assert_eq!(value, 1),
            _ => {}
        }
    }
    // ... and it acknowledges ours (§6.5.3).
    let acknowledged = client.wait_for(kind::SETTINGS).unwrap().unwrap();
    assert_eq!((acknowledged.flags, acknowledged.payload.len()), (flag::ACK, 0));

    let settings = Frame::new(kind::SETTINGS, 0, 0, []).bytes();
    let ping = Frame::new(kind::PING, 0, 0, [0; 8]).bytes();
    let wrong = [PREFACE[..23].to_vec(), b"x".to_vec()].concat();
    for (rule, bytes) in [
        ("another preface", [wrong, settings].concat()),
        ("HTTP/1.1", b"GET / HTTP/1.1\r\nHost: test.example\r\n\r\n".to_vec()),
        ("no SETTINGS first", [PREFACE.to_vec(), ping].concat()),
        ("a request first", [PREFACE.to_vec(), headers(1, &get("/"), true).bytes()].concat()),
    ] {
        let mut client = house.silent();
        client.send(&bytes).unwrap();
        // §3.4: GOAWAY may be left out.
        let end = client.closed().unwrap();
        assert!(matches!(end, End::Closed | End::GoAway(PROTOCOL_ERROR)), "{rule}: {end:?}");
    }
}

#[test]
fn section_4_frames_have_their_sizes_and_blocks_their_order() {
    let Some(house) = House::new() else { return };
    let unknown = |flags, stream| Frame::new(0xee, flags, stream, b"whatever".as_slice());
    let whole = fields(get("/"));
    let (half, rest) = whole.split_at(whole.len() / 2);
    let begun = || block(flag::END_STREAM, 1, half);
    let more = |stream| Frame::new(kind::CONTINUATION, flag::END_HEADERS, stream, rest);
    let with = |bytes: &[u8]| vec![block(5, 1, [bytes, &whole].concat())];
    let after = |bytes: &[u8]| vec![block(5, 1, [&whole, bytes].concat())];
    let long = |kind, stream| Frame::new(kind, flag::END_HEADERS, stream, vec![0; 16_385]);
    let rows: Vec<Row<'static>> = vec![
        ("§4.1 unknown frames are ignored", vec![unknown(0xff, 0)], 0, Status(200)),
        (
            "§4.1 … on a stream",
            vec![headers(1, &post("/"), false), unknown(0, 1), data(1, "", true)],
            1,
            Status(200),
        ),
        ("§4.1 … of no stream yet", vec![unknown(1, 1)], 0, Status(200)),
        ("§4.1 the reserved bit", vec![headers(0x8000_0001, &get("/"), true)], 1, Status(200)),
        ("§4.1 flags without meaning", vec![block(0xd7, 1, whole.clone())], 1, Status(200)),
        (
            "§4.2 16384 bytes",
            vec![headers(1, &post("/"), false), data(1, vec![0; 16_384], true)],
            1,
            Status(200),
        ),
        (
            "§4.2 too long DATA",
            vec![headers(1, &post("/"), false), long(kind::DATA, 1)],
            1,
            Stream(FRAME_SIZE_ERROR),
        ),
        ("§4.2 too long HEADERS", vec![long(kind::HEADERS, 1)], 1, Connection(FRAME_SIZE_ERROR)),
        ("§4.2 too long SETTINGS", vec![long(kind::SETTINGS, 0)], 0, Connection(FRAME_SIZE_ERROR)),
        ("§4.3 index 0", with(b"\x80"), 1, Ended(COMPRESSION_ERROR)),
        ("§4.3 an index that nobody set", with(b"\xbe"), 1, Ended(COMPRESSION_ERROR)),
        (
            "§4.3 an endless integer",
            after(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
            1,
            Ended(COMPRESSION_ERROR),
        ),
        ("§4.3 a table that is too large", with(b"\x3f\xe1\xff\x03"), 1, Ended(COMPRESSION_ERROR)),
        ("§4.3 Huffman padding that is no end", after(b"\x00\x01a\x81\x18"), 1, Ended(COMPRESSION_ERROR)),
        (
            "§4.3 a Huffman string with an end",
            after(b"\x00\x01a\x84\xff\xff\xff\xff"),
            1,
            Ended(COMPRESSION_ERROR),
        ),
        ("§4.3 a name that breaks off", after(b"\x00\x0aabc"), 1, Ended(COMPRESSION_ERROR)),
        ("§4.3 a table of the allowed size", with(b"\x3f\xe1\x1f"), 1, Status(200)),
        ("§4.3 a block in two frames", vec![begun(), more(1)], 1, Status(200)),
        (
            "§4.3 an empty CONTINUATION between",
            vec![begun(), Frame::new(kind::CONTINUATION, 0, 1, []), more(1)],
            1,
            Status(200),
        ),
        ("§4.3 DATA between", vec![begun(), data(1, "x", false), more(1)], 1, Connection(PROTOCOL_ERROR)),
        (
            "§4.3 PING between",
            vec![begun(), Frame::new(kind::PING, 0, 0, [0; 8]), more(1)],
            1,
            Connection(PROTOCOL_ERROR),
        ),
        (
            "§4.3 HEADERS between",
            vec![begun(), headers(3, &get("/"), true), more(1)],
            1,
            Connection(PROTOCOL_ERROR),
        ),
        ("§4.3 CONTINUATION of another stream", vec![begun(), more(3)], 1, Connection(PROTOCOL_ERROR)),
        (
            "§5.5 an unknown frame between",
            vec![begun(), unknown(0, 1), more(1)],
            1,
            Connection(PROTOCOL_ERROR),
        ),
    ];
    check(&house, rows);
}

#[test]
fn section_6_1_to_6_4_frames_of_streams() {
    let Some(house) = House::new() else { return };
    let whole = fields(get("/"));
    let padded = |padding: u8, bytes: &[u8], zeros: usize| [&[padding], bytes, &vec![0; zeros]].concat();
    let echo = || headers(1, &post("/"), false);
    let reset = |stream, length| Frame::new(kind::RST_STREAM, 0, stream, vec![0; length]);
    let priority = |stream, bytes: &[u8]| Frame::new(kind::PRIORITY, 0, stream, bytes);
    let with_priority = [&[0, 0, 0, 0, 16][..], &whole].concat();
    let upon_itself = [&[0, 0, 0, 1, 16][..], &whole].concat();
    let padded_data = |bytes: Vec<u8>| vec![echo(), Frame::new(kind::DATA, 9, 1, bytes)];
    let rows: Vec<Row<'static>> = vec![
        ("§6.1 DATA on stream 0", vec![data(0, "x", false)], 0, Connection(PROTOCOL_ERROR)),
        ("§6.1 padding", padded_data(padded(255, b"x", 255)), 1, Status(200)),
        ("§6.1 nothing but padding", padded_data(padded(4, b"", 4)), 1, Status(200)),
        ("§6.1 as much padding as there is", padded_data(vec![5, 0, 0, 0, 0]), 1, Connection(PROTOCOL_ERROR)),
        // §4.2 wants an error of size where a field that must be there is not; §6.1 has none of its own.
        ("§6.1 no length of padding", padded_data(vec![]), 1, OneOf(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR])),
        ("§6.2 HEADERS on stream 0", vec![block(5, 0, whole.clone())], 0, Connection(PROTOCOL_ERROR)),
        ("§6.2 padding", vec![block(5 | flag::PADDED, 1, padded(7, &whole, 7))], 1, Status(200)),
        (
            "§6.2 too much padding",
            vec![block(5 | flag::PADDED, 1, padded(255, &whole, 0))],
            1,
            Connection(PROTOCOL_ERROR),
        ),
        ("§6.2 a priority", vec![block(5 | flag::PRIORITY, 1, with_priority)], 1, Status(200)),
        // RFC 9113 has taken priorities away, and with them the rule that this is an error.
        (
            "§5.3 a stream upon itself",
            vec![block(5 | flag::PRIORITY, 1, upon_itself)],
            1,
            Stream(PROTOCOL_ERROR),
        ),
        ("§6.3 PRIORITY of an idle stream", vec![priority(7, &[0, 0, 0, 0, 16])], 0, Status(200)),
        ("§6.3 PRIORITY on stream 0", vec![priority(0, &[0, 0, 0, 1, 16])], 0, Connection(PROTOCOL_ERROR)),
        ("§6.3 another length", vec![echo(), priority(1, &[0, 0, 0, 0])], 1, Stream(FRAME_SIZE_ERROR)),
        ("§6.4 RST_STREAM on stream 0", vec![reset(0, 4)], 0, Connection(PROTOCOL_ERROR)),
        ("§6.4 … of an idle stream", vec![reset(1, 4)], 1, Connection(PROTOCOL_ERROR)),
        ("§6.4 too short", vec![echo(), reset(1, 3)], 1, Connection(FRAME_SIZE_ERROR)),
        ("§6.4 too long", vec![echo(), reset(1, 5)], 1, Connection(FRAME_SIZE_ERROR)),
        (
            "§7 a code that nobody knows",
            vec![echo(), Frame::new(kind::RST_STREAM, 0, 1, [0xff; 4])],
            0,
            Status(200),
        ),
    ];
    check(&house, rows);
}

#[test]
fn section_6_5_to_6_8_frames_of_the_connection() {
    let Some(house) = House::new() else { return };
    let settings = |list: &[(u16, u32)]| vec![Frame::new(kind::SETTINGS, 0, 0, settings_payload(list))];
    let raw = |kind, flags, stream, length| vec![Frame::new(kind, flags, stream, vec![0; length])];
    let mut rows: Vec<Row<'static>> = vec![
        ("§6.5 on a stream", raw(kind::SETTINGS, 0, 1, 6), 1, Connection(PROTOCOL_ERROR)),
        ("§6.5 an ACK with content", raw(kind::SETTINGS, flag::ACK, 0, 6), 0, Connection(FRAME_SIZE_ERROR)),
        ("§6.5 half a setting", raw(kind::SETTINGS, 0, 0, 3), 0, Connection(FRAME_SIZE_ERROR)),
        ("§6.5 none", settings(&[]), 0, Status(200)),
        ("§6.5.2 ENABLE_PUSH = 2", settings(&[(2, 2)]), 0, Connection(PROTOCOL_ERROR)),
        ("§6.5.2 the largest window", settings(&[(4, (1 << 31) - 1)]), 0, Status(200)),
        ("§6.5.2 a larger window", settings(&[(4, 1 << 31)]), 0, Ended(FLOW_CONTROL_ERROR)),
        ("§6.5.2 MAX_FRAME_SIZE = 16383", settings(&[(5, 16_383)]), 0, Connection(PROTOCOL_ERROR)),
        ("§6.5.2 MAX_FRAME_SIZE = 2^24", settings(&[(5, 1 << 24)]), 0, Connection(PROTOCOL_ERROR)),
        ("§6.5.2 MAX_FRAME_SIZE = 2^24 - 1", settings(&[(5, (1 << 24) - 1)]), 0, Status(200)),
        ("§6.5.2 an unknown setting", settings(&[(0xfafa, 7)]), 0, Status(200)),
        ("§6.5.3 the last of the same counts", settings(&[(4, 0), (4, 65_535)]), 0, Status(200)),
        ("RFC 8441 §3 ENABLE_CONNECT_PROTOCOL = 2", settings(&[(8, 2)]), 0, Connection(PROTOCOL_ERROR)),
        ("§6.6 PUSH_PROMISE", raw(kind::PUSH_PROMISE, 4, 1, 4), 1, Connection(PROTOCOL_ERROR)),
        (
            "§8.4 … on a request",
            vec![headers(1, &post("/"), false), Frame::new(kind::PUSH_PROMISE, 4, 1, [0, 0, 0, 2])],
            1,
            Connection(PROTOCOL_ERROR),
        ),
        ("§6.7 PING on a stream", raw(kind::PING, 0, 1, 8), 1, Connection(PROTOCOL_ERROR)),
        ("§6.7 too short", raw(kind::PING, 0, 0, 6), 0, Connection(FRAME_SIZE_ERROR)),
        ("§6.7 too long", raw(kind::PING, 0, 0, 9), 0, Connection(FRAME_SIZE_ERROR)),
        ("§6.7 an answer to nothing", raw(kind::PING, flag::ACK, 0, 8), 0, Status(200)),
        ("§6.8 GOAWAY on a stream", raw(kind::GOAWAY, 0, 1, 8), 1, Connection(PROTOCOL_ERROR)),
        ("§6.8 too short", raw(kind::GOAWAY, 0, 0, 7), 0, Connection(FRAME_SIZE_ERROR)),
        (
            "§6.8 what was asked before is answered",
            [vec![headers(1, &post("/"), false)], raw(kind::GOAWAY, 0, 0, 8), vec![data(1, "", true)]]
                .concat(),
            1,
            Status(200),
        ),
    ];
    let goaway = rows.pop().unwrap();
    check(&house, rows);
    // The connection ends behind the last answer: no probe.
    let mut client = house.client();
    client.send(goaway.1.iter().flat_map(Frame::bytes).collect::<Vec<_>>()).unwrap();
    assert!(goaway.3.accepts(&client.answer(1).unwrap()));
    client.closed().unwrap();

    let mut client = house.client();
    client.frame(kind::PING, 0, 0, *b"12345678").unwrap();
    let pong = client.wait_for(kind::PING).unwrap().unwrap();
    assert_eq!((pong.flags, pong.payload.as_slice()), (flag::ACK, b"12345678".as_slice()));
}

#[test]
fn section_6_9_and_6_10_windows_and_continuations() {
    let Some(house) = House::new() else { return };
    let window = |stream, by: u32| Frame::new(kind::WINDOW_UPDATE, 0, stream, by.to_be_bytes());
    let echo = || headers(1, &post("/"), false);
    let most = (1 << 31) - 1;
    let larger = Frame::new(kind::SETTINGS, 0, 0, settings_payload(&[(4, most)]));
    let more = |stream, flags| Frame::new(kind::CONTINUATION, flags, stream, fields([("a", "b")]));
    let short = |stream| Frame::new(kind::WINDOW_UPDATE, 0, stream, [0, 0, 1]);
    let rows: Vec<Row<'static>> = vec![
        ("§6.9 a stream's by 0", vec![echo(), window(1, 0)], 1, Stream(PROTOCOL_ERROR)),
        ("§6.9 the connection's by 0", vec![window(0, 0)], 0, Connection(PROTOCOL_ERROR)),
        ("§6.9 the reserved bit", vec![window(0, 1 << 31 | 1)], 0, Status(200)),
        ("§6.9 another length", vec![short(0)], 0, Connection(FRAME_SIZE_ERROR)),
        ("§6.9 … on a stream", vec![echo(), short(1)], 1, Connection(FRAME_SIZE_ERROR)),
        ("§6.9.1 too large for a stream", vec![echo(), window(1, most)], 1, Stream(FLOW_CONTROL_ERROR)),
        (
            "§6.9.1 in two steps",
            vec![echo(), window(1, most - 65_535), window(1, 1)],
            1,
            Stream(FLOW_CONTROL_ERROR),
        ),
        ("§6.9.1 just not", vec![echo(), window(1, most - 65_535), data(1, "", true)], 1, Status(200)),
        ("§6.9.1 too large for the connection", vec![window(0, most)], 0, Connection(FLOW_CONTROL_ERROR)),
        (
            "§6.9.2 too large by SETTINGS",
            vec![echo(), window(1, 1), larger],
            1,
            Connection(FLOW_CONTROL_ERROR),
        ),
        ("§6.10 without HEADERS", vec![more(1, 4)], 1, Connection(PROTOCOL_ERROR)),
        ("§6.10 on stream 0", vec![more(0, 4)], 0, Connection(PROTOCOL_ERROR)),
        (
            "§6.10 behind the end of the block",
            vec![echo(), more(1, 4)],
            1,
            OneOf(&[PROTOCOL_ERROR, STREAM_CLOSED]),
        ),
        ("§6.10 behind DATA", vec![echo(), data(1, "x", false), more(1, 4)], 1, Connection(PROTOCOL_ERROR)),
        (
            "§6.10 in three",
            vec![block(1, 1, fields(get("/"))), more(1, 0), more(1, 0), more(1, 4)],
            1,
            Status(200),
        ),
    ];
    check(&house, rows);
}
