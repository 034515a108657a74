//! RFC 9113 §5: the life of a stream, how many there may be, and how much may flow.

use std::io;

use evenkeel_testkit::http2::{End, Frame, Http2, flag, get, kind, post, settings_payload};

use super::Want::{Connection, Ended, OneOf, Status};
use super::origin::pattern;
use super::{
    FLOW_CONTROL_ERROR, House, PROTOCOL_ERROR, REFUSED_STREAM, Row, STREAM_CLOSED, check, data, headers,
};

#[test]
fn section_5_1_what_each_state_allows() {
    let Some(house) = House::new() else { return };
    let (ask, begin) =
        (|stream| headers(stream, &get("/"), true), |stream| headers(stream, &post("/"), false));
    let window = |stream| Frame::new(kind::WINDOW_UPDATE, 0, stream, 1u32.to_be_bytes());
    let reset = |stream| Frame::new(kind::RST_STREAM, 0, stream, 8u32.to_be_bytes());
    let priority = |stream| Frame::new(kind::PRIORITY, 0, stream, [0, 0, 0, 0, 16]);
    let hold = || headers(1, &get("/hold"), true);
    let either = OneOf(&[PROTOCOL_ERROR, STREAM_CLOSED]);
    let rows: Vec<Row<'static>> = vec![
        ("idle: DATA", vec![data(1, "x", true)], 1, Connection(PROTOCOL_ERROR)),
        ("idle: RST_STREAM", vec![reset(1)], 1, Connection(PROTOCOL_ERROR)),
        ("idle: WINDOW_UPDATE", vec![window(1)], 1, Connection(PROTOCOL_ERROR)),
        ("idle: PRIORITY", vec![priority(5)], 0, Status(200)),
        ("half-closed: DATA", vec![hold(), data(1, "x", true)], 1, Ended(STREAM_CLOSED)),
        ("half-closed: HEADERS", vec![hold(), ask(1)], 1, either),
        ("half-closed: WINDOW_UPDATE and PRIORITY", vec![ask(1), window(1), priority(1)], 1, Status(200)),
        ("half-closed: RST_STREAM", vec![hold(), reset(1)], 0, Status(200)),
        // What a peer that resets has sent before is not of interest: it may be ignored.
        (
            "closed by the client: WINDOW_UPDATE, RST_STREAM",
            vec![hold(), reset(1), window(1), reset(1)],
            0,
            Status(200),
        ),
        ("§5.1.1 an even stream", vec![ask(2)], 2, Connection(PROTOCOL_ERROR)),
        ("§5.1.1 a stream below another", vec![ask(5), headers(3, &get("/hold"), true)], 3, either),
        ("§5.1.1 stream 0", vec![ask(0)], 0, Connection(PROTOCOL_ERROR)),
        ("§5.1.1 with gaps", vec![ask(1), ask(77)], 77, Status(200)),
        ("open: an unexpected end of the other", vec![begin(1), data(1, "", true)], 1, Status(200)),
    ];
    check(&house, rows);
    // §5.1 "closed": after both ends.
    for (rule, frame) in [("DATA", data(1, "x", true)), ("HEADERS", ask(1))] {
        let mut client = house.client();
        assert_eq!(client.get(1, "/").unwrap().status, 200);
        client.send(frame.bytes()).unwrap();
        let end = client.answer(1).unwrap().end;
        // §5.1.1 has another name for a stream that does not come behind all others.
        assert!(
            matches!(end, End::Reset(STREAM_CLOSED) | End::GoAway(STREAM_CLOSED | PROTOCOL_ERROR)),
            "closed: {rule}: {end:?}"
        );
    }
    let mut client = house.client();
    assert_eq!(client.get(1, "/").unwrap().status, 200);
    client
        .send([window(1), reset(1), priority(1)].iter().flat_map(Frame::bytes).collect::<Vec<_>>())
        .unwrap();
    assert_eq!(client.get(3, "/").unwrap().status, 200);
}

#[test]
fn section_5_1_2_no_more_streams_than_was_said() {
    let Some(house) = House::new() else { return };
    let mut client = house.silent();
    let theirs = client.greet(&[]).unwrap();
    let most = theirs.payload.chunks(6).find(|setting| setting[..2] == [0, 3]).expect("a bound");
    let most = u32::from_be_bytes([most[2], most[3], most[4], most[5]]);
    assert!((100..=1000).contains(&most), "§6.5.2 recommends 100 at least");
    // The settings hold once they are acknowledged; the client has done so.
    for place in 0..=most {
        client.head(2 * place + 1, &post("/"), false).unwrap();
    }
    let beyond = client.answer(2 * most + 1).unwrap();
    assert!(matches!(beyond.end, End::Reset(REFUSED_STREAM | PROTOCOL_ERROR)), "§5.1.2: {:?}", beyond.end);
    client.frame(kind::DATA, flag::END_STREAM, 1, []).unwrap();
    assert_eq!(client.answer(1).unwrap().status, 200);
    assert_eq!(client.get(2 * most + 3, "/").unwrap().status, 200, "one has ended, one may begin");
}

#[test]
fn section_5_2_no_more_is_sent_than_the_windows_allow() {
    let Some(house) = House::new() else { return };
    // §6.9.2: a stream's first window is that of SETTINGS.
    let mut client = house.client_with(&[(4, 3)]);
    client.opens_windows = false;
    client.head(1, &get("/bytes/10"), true).unwrap();
    assert_eq!(content(&mut client, 1, 3), pattern(10)[..3]);
    quiet(&mut client);
    client.open(1, 2).unwrap();
    assert_eq!(content(&mut client, 1, 2), pattern(10)[3..5]);
    quiet(&mut client);
    // SETTINGS change the windows of streams that exist: by -3 to -3, then by +7 to 4.
    client.frame(kind::SETTINGS, 0, 0, settings_payload(&[(4, 0)])).unwrap();
    client.open(1, 2).unwrap();
    quiet(&mut client);
    client.frame(kind::SETTINGS, 0, 0, settings_payload(&[(4, 6)])).unwrap();
    assert_eq!(content(&mut client, 1, 5), pattern(10)[5..]);

    // The connection's window is 65,535 whatever SETTINGS say, and one stream cannot hold another's up.
    let mut client = house.client_with(&[(4, 1 << 20)]);
    client.opens_windows = false;
    client.head(1, &get("/bytes/100000"), true).unwrap();
    assert_eq!(content(&mut client, 1, 65_535), pattern(65_535));
    quiet(&mut client);
    client.open(0, 100_000).unwrap();
    assert_eq!(content(&mut client, 1, 100_000 - 65_535), pattern(100_000)[65_535..]);

    // §6.9: frames without content need no window.
    let mut client = house.client_with(&[(4, 0)]);
    assert_eq!(client.get(1, "/status/200").unwrap().end, End::Clean);

    // §4.2: frames are no longer than the client takes.
    let mut client = house.client_with(&[(4, 1 << 20), (5, 16_384)]);
    client.head(1, &get("/bytes/60000"), true).unwrap();
    let mut left = 60_000;
    while left > 0 {
        let frame = client.wait_for(kind::DATA).unwrap().unwrap();
        assert!(frame.payload.len() <= 16_384);
        left -= frame.payload.len();
    }
}

#[test]
fn section_5_2_no_more_is_taken_than_the_windows_allow() {
    let Some(house) = House::new() else { return };
    let mut client = house.client();
    client.head(1, &post("/stuck"), false).unwrap();
    let frame = data(1, vec![0; 16_384], false).bytes();
    for _ in 0..2048 {
        // It hangs up in the middle of this.
        if client.send(&frame).is_err() {
            break;
        }
    }
    let end = client.answer(1).unwrap().end;
    let right = matches!(end, End::Reset(FLOW_CONTROL_ERROR) | End::GoAway(FLOW_CONTROL_ERROR));
    // What the client still sends when it is told may reset the connection before the client has read why.
    assert!(right || end == End::Closed, "{end:?}");
}

/// The next so many bytes of content on this stream.
fn content(client: &mut Http2, stream: u32, length: usize) -> Vec<u8> {
    let mut content = Vec::new();
    while content.len() < length {
        let frame = client.wait_for(kind::DATA).unwrap().expect("content");
        assert_eq!(frame.stream, stream);
        content.extend(frame.payload);
    }
    content
}

/// Nothing of a response comes, though there was time for it: another's whole way there and back.
fn quiet(client: &mut Http2) {
    let mut pong = || -> io::Result<()> {
        client.frame(kind::PING, 0, 0, [7; 8])?;
        loop {
            let frame = client.next()?.ok_or(io::ErrorKind::UnexpectedEof)?;
            assert_ne!(frame.kind, kind::DATA, "more than the window");
            if frame.kind == kind::PING {
                return Ok(());
            }
        }
    };
    for _ in 0..3 {
        pong().unwrap();
    }
}
