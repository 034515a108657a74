//! RFC 9113 towards clients: what we send ourselves, and what must not follow from what they send.

use evenkeel_testkit::http2::{
    End, Frame, Http2, fields, flag, get, kind, post, read_fields, settings_payload,
};
use evenkeel_testkit::{Connection, ToyServer, websocket_echo};

use super::{House, PROTOCOL_ERROR, block};

/// A server that says the same to everybody.
fn saying(response: String) -> ToyServer {
    ToyServer::start(move |mut connection: Connection| {
        while connection.read_head().is_ok() {
            if connection.write(&response).is_err() {
                return;
            }
        }
    })
}

/// No such frame comes, though there was time for it: whole ways there and back.
fn quiet(client: &mut Http2, unwanted: impl Fn(&Frame) -> bool) {
    for turn in 0..3 {
        client.frame(kind::PING, 0, 0, [turn; 8]).unwrap();
        loop {
            let frame = client.next_frame().unwrap().expect("an open connection");
            assert!(!unwanted(&frame), "{frame:?}");
            if frame.kind == kind::PING {
                break;
            }
        }
    }
}

#[test]
fn section_4_1_our_frames_set_nothing_that_has_no_meaning() {
    let Some(house) = House::new() else { return };
    let mut client = house.client();
    client.head(1, &get("/hints"), true).unwrap();
    client.head(3, &post("/echo"), false).unwrap();
    client.frame(kind::DATA, 0, 3, *b"content").unwrap();
    client.head(3, &[("x-sum", "1")], true).unwrap();
    let mut ended = 0;
    while ended < 2 {
        let frame = client.next_frame().unwrap().unwrap();
        let meaning = match frame.kind {
            kind::DATA => flag::END_STREAM,
            kind::HEADERS => flag::END_STREAM | flag::END_HEADERS,
            kind::SETTINGS | kind::PING => flag::ACK,
            // §6.3: no priorities; §8.4: no pushing; §5.1.1: no streams of ours.
            kind::RST_STREAM | kind::GOAWAY | kind::WINDOW_UPDATE => 0,
            _ => panic!("{frame:?}"),
        };
        assert_eq!((frame.flags & !meaning, frame.stream >> 31), (0, 0), "{frame:?}");
        assert!([0, 1, 3].contains(&frame.stream), "{frame:?}");
        let ends = [kind::DATA, kind::HEADERS].contains(&frame.kind) && frame.has(flag::END_STREAM);
        ended += u32::from(ends);
    }
}

#[test]
fn section_4_3_a_head_that_nobody_wants_still_counts() {
    let Some(house) = House::new() else { return };
    let entry = b"\x40\x06cookie\x03a=1".as_slice();
    let malformed = [fields(get("/malformed")), fields([("connection", "close")]), entry.to_vec()].concat();
    let called_off = [fields(get("/hold")), entry.to_vec()].concat();
    for (wanted, head) in [("malformed", malformed), ("called off", called_off)] {
        let mut client = house.client();
        client.send(block(5, 1, head).bytes()).unwrap();
        client.frame(kind::RST_STREAM, 0, 1, 8u32.to_be_bytes()).unwrap();
        // The entry that it made is used by another.
        client.send(block(5, 3, [fields(get("/cookies")), b"\xbe".to_vec()].concat()).bytes()).unwrap();
        let answer = client.answer(3).unwrap();
        assert_eq!(answer.text().to_lowercase(), "cookie: a=1", "{wanted}: {answer:?}");
    }
}

#[test]
fn section_4_3_1_our_heads_use_no_larger_table_than_the_client_allows() {
    let Some(house) = House::new() else { return };
    let mut client = house.client_with(&[(1, 4096)]);
    assert_eq!(client.get(1, "/").unwrap().status, 200);
    // The table that it may have had is taken away; the next head says that it knows, and does without.
    client.frame(kind::SETTINGS, 0, 0, settings_payload(&[(1, 0)])).unwrap();
    assert_eq!(client.wait_for(kind::SETTINGS).unwrap().unwrap().flags, flag::ACK);
    client.head(3, &get("/"), true).unwrap();
    let head = client.wait_for(kind::HEADERS).unwrap().unwrap();
    assert_eq!(head.payload[0], 0x20, "RFC 7541 §6.3");
    assert_eq!(read_fields(&head.payload).unwrap()[0], (":status".to_owned(), "200".to_owned()));
}

#[test]
fn section_5_4_2_nothing_answers_a_reset_or_follows_it() {
    let Some(house) = House::new() else { return };
    // §7: a code that nobody knows is as good as any.
    for code in [8u32, 0xffff_ffff] {
        let mut client = house.client_with(&[(4, 1000)]);
        client.opens_windows = false;
        client.head(1, &get("/bytes/100000"), true).unwrap();
        let mut left = 1000;
        while left > 0 {
            left -= client.wait_for(kind::DATA).unwrap().unwrap().payload.len();
        }
        client.frame(kind::RST_STREAM, 0, 1, code.to_be_bytes()).unwrap();
        // §6.4: nothing more of its stream, though there would be room for it.
        client.open(1, 100_000).unwrap();
        quiet(&mut client, |frame| frame.stream == 1);
        assert_eq!(client.get(3, "/").unwrap().text(), "hello");
    }
}

#[test]
fn section_6_8_goaway_names_the_last_stream_that_was_looked_at() {
    let Some(house) = House::with("idle-timeout = \"300ms\"", "") else { return };
    let mut client = house.client();
    assert_eq!(client.get(1, "/").unwrap().text(), "hello");
    assert_eq!(client.get(77, "/").unwrap().text(), "hello");
    let mut last = u32::MAX;
    while let Some(goaway) = client.wait_for(kind::GOAWAY).unwrap() {
        assert_eq!((goaway.stream, goaway.number(4)), (0, 0));
        assert!(goaway.number(0) <= last, "it never grows");
        last = goaway.number(0);
    }
    // The first word of an end in order may name streams that are still under way.
    assert!((77..u32::MAX).contains(&last), "{last}");
    // What breaks a connection names it as well.
    let mut client = house.client();
    assert_eq!(client.get(5, "/").unwrap().text(), "hello");
    client.frame(kind::DATA, 0, 0, *b"x").unwrap();
    let goaway = client.wait_for(kind::GOAWAY).unwrap().unwrap();
    assert_eq!((goaway.number(0), goaway.number(4)), (5, PROTOCOL_ERROR));
    client.closed().unwrap();
}

#[test]
fn section_6_10_a_head_that_does_not_fit_into_a_frame_is_continued() {
    let long = "~".repeat(7000);
    let origin =
        saying(format!("HTTP/1.1 200 OK\r\nX-A: {long}\r\nX-B: {long}\r\nContent-Length: 0\r\n\r\n"));
    let Some(house) = House::on(origin, "", "") else { return };
    let mut client = house.client();
    client.head(1, &get("/"), true).unwrap();
    // Its compression makes `~` longer.
    let first = client.wait_for(kind::HEADERS).unwrap().unwrap();
    assert!(first.payload.len() <= 16_384 && !first.has(flag::END_HEADERS), "{}", first.payload.len());
    let more = client.next_frame().unwrap().unwrap();
    assert_eq!((more.kind, more.stream, more.flags), (kind::CONTINUATION, 1, flag::END_HEADERS));
    let whole = read_fields(&[first.payload, more.payload].concat()).unwrap();
    assert!(whole.contains(&("x-b".to_owned(), long)));
}

#[test]
fn section_8_3_2_a_response_has_a_status_and_nothing_of_its_server_s_connection() {
    let interim = "HTTP/1.1 103 Early Hints\r\nX-Mine: 1\r\nConnection: X-Mine\r\n\r\n";
    let origin = saying(format!(
        "{interim}HTTP/1.1 200 Fine\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\nX-CASE:  blanks \r\n\
         Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n"
    ));
    let Some(house) = House::on(origin, "", "") else { return };
    let mut client = house.client();
    client.head(1, &get("/"), true).unwrap();
    let mut heads = Vec::new();
    while heads.len() < 3 {
        let head = client.wait_for(kind::HEADERS).unwrap().unwrap();
        // §8.1: an interim response does not end the stream, trailers do.
        assert_eq!(head.has(flag::END_STREAM), heads.len() == 2);
        heads.push(read_fields(&head.payload).unwrap());
    }
    for (head, status) in heads.iter().zip([Some("103"), Some("200"), None]) {
        let pseudo: Vec<_> = head.iter().filter(|(name, _)| name.starts_with(':')).collect();
        match status {
            Some(status) => {
                assert_eq!((&head[0], pseudo.len()), (&(":status".to_owned(), status.to_owned()), 1));
            }
            None => assert!(pseudo.is_empty()),
        }
        for (name, value) in head {
            let of_connection =
                ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "x-mine"];
            assert!(!of_connection.contains(&name.as_str()), "{name}");
            assert_eq!((name.to_lowercase(), value.trim()), (name.clone(), value.as_str()));
        }
    }
    let said = |name: &str, value: &str| heads[1].contains(&(name.to_owned(), value.to_owned()));
    assert!(said("x-case", "blanks") && said("set-cookie", "a=1") && said("set-cookie", "b=2"));
    assert_eq!(heads[2], [("x-sum".to_owned(), "1".to_owned())]);
}

#[test]
fn section_8_5_what_breaks_in_a_tunnel_is_a_reset_at_the_other_end() {
    let Some(house) = House::on(websocket_echo(), "", "") else { return };
    let mut ask = get("/chat").to_vec();
    ask[0].1 = "CONNECT";
    ask.extend([(":protocol", "websocket"), ("sec-websocket-version", "13")]);
    // Nothing but DATA belongs into it; an end in order would look like all of it.
    for trailers in [&[("x-sum", "1")][..], &[]] {
        let mut client = house.client();
        client.head(1, &ask, false).unwrap();
        let head = client.wait_for(kind::HEADERS).unwrap().unwrap();
        assert_eq!(read_fields(&head.payload).unwrap()[0].1, "200");
        client.head(1, trailers, true).unwrap();
        let end = client.answer(1).unwrap().end;
        assert!(matches!(end, End::Reset(_)), "{end:?}");
    }
}
