//! §5: the life of a stream, the numbers of streams, and how many there may be.

use evenkeel_testkit::http2::{End, Frame, fields, kind, settings_payload};

use super::Want::{Connection, Stream, Whole};
use super::{
    CANCEL, GET, House, POST, PROTOCOL_ERROR, REFUSED_STREAM, Row, STATUS, STREAM_CLOSED, asked, begun,
    check, cut, data, ok, quiet, until,
};

const PROTOCOL: &[u32] = &[PROTOCOL_ERROR];

fn on(stream: u32, frame: Frame) -> Frame {
    Frame { stream, ..frame }
}

fn window(stream: u32) -> Frame {
    Frame::new(kind::WINDOW_UPDATE, 0, stream, 1u32.to_be_bytes())
}

fn reset(stream: u32, code: u32) -> Frame {
    Frame::new(kind::RST_STREAM, 0, stream, code.to_be_bytes())
}

#[test]
fn section_5_1_what_each_state_allows() {
    let house = House::new();
    let priority = |stream| Frame::new(kind::PRIORITY, 0, stream, [0, 0, 0, 0, 16]);
    let rows: Vec<Row<'static>> = vec![
        ("idle: HEADERS", GET, vec![on(3, ok())], Connection(PROTOCOL)),
        ("idle: DATA", GET, vec![on(3, data("x", true))], Connection(PROTOCOL)),
        ("idle: RST_STREAM", GET, vec![reset(3, 8)], Connection(PROTOCOL)),
        ("idle: WINDOW_UPDATE", GET, vec![window(3)], Connection(PROTOCOL)),
        ("idle: PRIORITY", GET, vec![priority(5), ok()], Whole(200, "")),
        // §5.1.1: a server begins no stream but with PUSH_PROMISE, which we do not allow.
        ("§5.1.1 a server's stream: HEADERS", GET, vec![on(2, ok())], Connection(PROTOCOL)),
        ("§5.1.1 a server's stream: DATA", GET, vec![on(2, data("x", true))], Connection(PROTOCOL)),
        ("§5.1.1 a server's stream: RST_STREAM", GET, vec![reset(2, 8)], Connection(PROTOCOL)),
        ("§5.1.1 a server's stream: WINDOW_UPDATE", GET, vec![window(2)], Connection(PROTOCOL)),
        ("open: DATA before HEADERS", GET, vec![data("x", false)], Connection(PROTOCOL)),
        ("open: WINDOW_UPDATE and PRIORITY", GET, vec![window(1), priority(1), ok()], Whole(200, "")),
        (
            "half-closed: WINDOW_UPDATE and PRIORITY behind END_STREAM",
            POST,
            vec![ok(), window(1), priority(1), reset(1, 0)],
            Whole(200, ""),
        ),
        (
            "closed: WINDOW_UPDATE, PRIORITY, RST_STREAM",
            GET,
            vec![ok(), window(1), priority(1), reset(1, 8)],
            Whole(200, ""),
        ),
    ];
    check(&house, rows);
}

/// A response, and behind its end a frame.
#[test]
fn section_5_1_nothing_comes_behind_the_end_of_a_response() {
    let house = House::new();
    for (rule, request) in [("closed", GET), ("half-closed", POST)] {
        for frame in [data("smuggled", true), ok(), begun()] {
            let (mut client, mut peer) = house.ask(request);
            peer.frames(&[begun(), data("all", true), frame.clone()]).unwrap();
            match client.response() {
                Ok(response) => {
                    assert_eq!(
                        (response.status, response.text().as_str()),
                        (200, "all"),
                        "{rule}: {frame:?}"
                    );
                }
                // The connection may end sooner than its last response was passed on.
                Err(_) => assert_eq!(request, POST),
            }
            let end = peer.end_of(1).unwrap();
            assert!(
                matches!(
                    end,
                    End::Reset(STREAM_CLOSED | PROTOCOL_ERROR) | End::GoAway(STREAM_CLOSED | PROTOCOL_ERROR)
                ),
                "{rule}: {frame:?}: {end:?}"
            );
            // Whoever asks next has an answer of his own.
            let mut next = house.client(GET);
            let mut peer = if matches!(end, End::GoAway(_)) { house.another() } else { peer };
            let stream = asked(&mut peer).stream;
            peer.answer(stream, "201", "mine").unwrap();
            assert_eq!(next.response().unwrap().text(), "mine", "{rule}: {frame:?}");
            peer.leave().unwrap();
        }
    }
}

#[test]
fn section_5_1_what_crosses_our_reset_is_ignored() {
    let house = House::new();
    let (client, mut peer) = house.ask(GET);
    cut(client);
    assert_eq!(peer.end_of(1).unwrap(), End::Reset(CANCEL));
    peer.frames(&[begun(), data(vec![0; 10_000], false), window(1), data("x", true), reset(1, 8)]).unwrap();
    house.goes_on(&mut peer).unwrap();
    // Nothing but a stream error of the closed stream may come of it.
    quiet(&mut peer, |frame| frame.kind == kind::GOAWAY);
}

#[test]
fn section_5_1_1_our_streams_are_odd_and_grow() {
    let house = House::new();
    let (mut first, mut peer) = house.ask(GET);
    let mut clients: Vec<_> = (0..20).map(|_| house.client(GET)).collect();
    let streams: Vec<u32> = (0..20).map(|_| asked(&mut peer).stream).collect();
    assert_eq!(streams, (1..=20).map(|place| 2 * place + 1).collect::<Vec<u32>>());
    for stream in [vec![1], streams].concat() {
        peer.answer(stream, "200", "").unwrap();
    }
    assert_eq!(first.response().unwrap().status, 200);
    assert!(clients.iter_mut().all(|client| client.response().unwrap().status == 200));
}

#[test]
fn section_5_1_2_no_more_streams_than_the_server_allows() {
    let house = House::new();
    let (mut first, mut peer) = house.ask_with(GET, &[(3, 2)]);
    let mut second = house.client(GET);
    assert_eq!(asked(&mut peer).stream, 3);
    // Two are under way: a third needs another connection.
    let mut third = house.client(GET);
    let mut other = house.another();
    assert_eq!(asked(&mut other).stream, 1);
    other.answer(1, "203", "").unwrap();
    assert_eq!(third.response().unwrap().status, 203);
    // What was allowed is taken back while streams are open, which may end; no other begins.
    other.frame(kind::SETTINGS, 0, 0, settings_payload(&[(3, 0)])).unwrap();
    let acknowledged = other.wait_for(kind::SETTINGS).unwrap().unwrap();
    assert_eq!(acknowledged.flags, 1);
    peer.answer(1, "200", "").unwrap();
    peer.answer(3, "201", "").unwrap();
    assert_eq!((first.response().unwrap().status, second.response().unwrap().status), (200, 201));
    let mut fourth = house.client(GET);
    assert_eq!(asked(&mut peer).stream, 5, "not over the connection that allows none");
    peer.answer(5, "200", "").unwrap();
    assert_eq!(fourth.response().unwrap().status, 200);
    quiet(&mut other, |frame| frame.kind == kind::HEADERS);
}

#[test]
fn section_5_1_2_a_server_that_takes_none_yet_is_waited_for() {
    let house = House::new();
    let mut client = house.client(GET);
    let mut peer = house.server.accept().unwrap();
    peer.greet(&[(3, 0)]).unwrap();
    quiet(&mut peer, |frame| frame.kind == kind::HEADERS);
    peer.frame(kind::SETTINGS, 0, 0, settings_payload(&[(3, 1)])).unwrap();
    assert_eq!(asked(&mut peer).stream, 1);
    peer.answer(1, "200", "late").unwrap();
    assert_eq!(client.response().unwrap().text(), "late");
}

#[test]
fn section_5_4_2_nothing_answers_a_reset_or_follows_it() {
    let house = House::new();
    // §7: a code that nobody knows is as good as any.
    for code in [CANCEL, 0xffff_ffff] {
        let (mut client, mut peer) = house.ask(POST);
        assert_eq!(peer.wait_for(kind::DATA).unwrap().unwrap().payload, b"begin");
        peer.frames(&[reset(1, code)]).unwrap();
        assert_eq!(client.response().unwrap().status, 502);
        // It may be closed already.
        let _gone = client.send("more");
        // §6.4: nothing more of its stream.
        quiet(&mut peer, |frame| frame.stream == 1);
        house.goes_on(&mut peer).unwrap();
        peer.leave().unwrap();
    }
}

#[test]
fn section_8_7_only_what_was_not_touched_is_asked_again() {
    let mut house = House::with("retries = 1");
    // A stream that is refused was not processed: even what must not be done twice is asked again.
    let post = "POST / HTTP/1.1\r\nHost: test.example\r\nContent-Length: 2\r\n\r\nhi";
    let (mut client, mut peer) = house.ask(post);
    peer.frames(&[reset(1, REFUSED_STREAM)]).unwrap();
    let again = asked(&mut peer);
    assert_eq!((again.stream, again.field(":method")), (3, Some("POST")));
    assert_eq!(peer.content(3).unwrap().0, b"hi");
    // Any other code leaves it open what was done.
    peer.frames(&[reset(3, PROTOCOL_ERROR)]).unwrap();
    let response = client.response().unwrap();
    assert_eq!((response.status, response.header("evenkeel-reason")), (502, Some("server-closed")));
    assert_eq!(house.balancer.server("s0").total, 2);
    quiet(&mut peer, |frame| frame.kind == kind::HEADERS);
}

/// Whatever else a reset says, what came before it of a response is not a whole one.
#[test]
fn section_8_1_a_reset_within_a_response_cuts_it() {
    let house = House::new();
    for code in [0, REFUSED_STREAM, CANCEL] {
        let (mut client, mut peer) = house.ask(GET);
        peer.frames(&[begun(), data("part", false)]).unwrap();
        until(&mut client, "part");
        peer.frames(&[reset(1, code)]).unwrap();
        assert!(
            client.read_until_close().is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
        );
        house.goes_on(&mut peer).unwrap();
        peer.leave().unwrap();
    }
    let rows: Vec<Row<'static>> = vec![(
        "a length that was said",
        GET,
        vec![
            super::block(4, fields([STATUS, ("content-length", "9")])),
            data("part", false),
            data(vec![b'x'; 6], false),
        ],
        Stream(PROTOCOL),
    )];
    check(&house, rows);
}
