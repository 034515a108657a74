//! §6.8: connections that servers end.

use evenkeel_testkit::http2::{End, Frame, kind};

use super::Want::Connection;
use super::{FRAME_SIZE_ERROR, GET, House, PROTOCOL_ERROR, Row, asked, begun, check, data, ok, quiet};

const POST: &str = "POST / HTTP/1.1\r\nHost: test.example\r\nContent-Length: 2\r\n\r\nhi";

fn goaway(last: u32, code: u32) -> Frame {
    Frame::new(kind::GOAWAY, 0, 0, [last.to_be_bytes(), code.to_be_bytes()].concat())
}

#[test]
fn section_6_8_goaway_has_its_form() {
    let house = House::new();
    let raw = |stream, length| vec![Frame::new(kind::GOAWAY, 0, stream, vec![0; length]), ok()];
    let rows: Vec<Row<'static>> = vec![
        ("on a stream", GET, raw(1, 8), Connection(&[PROTOCOL_ERROR])),
        ("too short", GET, raw(0, 7), Connection(&[FRAME_SIZE_ERROR, PROTOCOL_ERROR])),
        ("its last stream grows", GET, vec![goaway(3, 0), goaway(5, 0)], Connection(&[PROTOCOL_ERROR])),
    ];
    check(&house, rows);
}

#[test]
fn section_6_8_what_is_under_way_ends_well_and_nothing_new_begins() {
    let house = House::new();
    // §7: whatever the code is, known or not; and whatever is said behind it.
    for code in [0, PROTOCOL_ERROR, 0xffff_ffff] {
        let (mut client, mut peer) = house.ask(GET);
        let mut leaving = goaway(1, code);
        leaving.payload.extend_from_slice(b"maintenance");
        peer.frames(&[begun(), leaving, data("begin", false)]).unwrap();
        // The second arrives when the first was told to go.
        peer.frame(kind::PING, 0, 0, [1; 8]).unwrap();
        peer.wait_for(kind::PING).unwrap().unwrap();
        let mut next = house.client(GET);
        let mut other = house.another();
        assert_eq!(asked(&mut other).stream, 1, "on a connection of its own");
        other.answer(1, "201", "").unwrap();
        assert_eq!(next.response().unwrap().status, 201);
        quiet(&mut peer, |frame| frame.kind == kind::HEADERS);
        peer.frames(&[data(" end", true)]).unwrap();
        assert_eq!(client.response().unwrap().text(), "begin end");
        // Without requests the connection has no purpose.
        assert_eq!(peer.closed().unwrap(), End::GoAway(0));
        other.leave().unwrap();
    }
}

#[test]
fn section_6_8_what_the_server_has_not_touched_is_asked_elsewhere() {
    let house = House::with("retries = 1");
    let (mut touched, mut peer) = house.ask(GET);
    let mut untouched = house.client(POST);
    assert_eq!(asked(&mut peer).stream, 3);
    peer.frames(&[goaway(1, 0)]).unwrap();
    let mut other = house.another();
    let again = asked(&mut other);
    assert_eq!(again.field(":method"), Some("POST"), "though it must not be done twice");
    assert_eq!(other.content(1).unwrap().0, b"hi");
    other.answer(1, "201", "").unwrap();
    assert_eq!(untouched.response().unwrap().status, 201);
    peer.answer(1, "200", "first").unwrap();
    assert_eq!(touched.response().unwrap().text(), "first");
}

#[test]
fn section_6_8_two_words_end_a_connection_in_order() {
    let house = House::with("retries = 1");
    let (mut first, mut peer) = house.ask(POST);
    let mut second = house.client(POST);
    assert_eq!(asked(&mut peer).stream, 3);
    // The usual way: first that there will be an end, then where it is.
    peer.frames(&[goaway((1 << 31) - 1, 0)]).unwrap();
    quiet(&mut peer, |frame| frame.kind == kind::RST_STREAM || frame.kind == kind::GOAWAY);
    peer.frames(&[goaway(1, 0), ok()]).unwrap();
    assert_eq!(first.response().unwrap().status, 200);
    let mut other = house.another();
    assert_eq!(asked(&mut other).field(":method"), Some("POST"));
    other.answer(1, "201", "").unwrap();
    assert_eq!(second.response().unwrap().status, 201);
}

#[test]
fn section_6_8_what_may_have_been_done_is_not_done_again() {
    let house = House::with("retries = 1");
    let (mut client, mut peer) = house.ask(POST);
    // It was told that its stream counts; then the connection ends.
    peer.frames(&[goaway(1, 2)]).unwrap();
    peer.hang_up();
    let response = client.response().unwrap();
    assert_eq!((response.status, response.header("evenkeel-reason")), (502, Some("server-closed")));
}
