use proptest::prelude::*;

use super::*;

const SETTING: Setting<'static> =
    Setting { scheme: "http", authority_if_missing: "192.0.2.1:80", extended_connect: false };

/// What was sent of a request: its head, its content, its trailers, and whether it has ended.
#[derive(Debug, Default)]
struct Sent {
    head: Option<Box<Head>>,
    content: Vec<u8>,
    trailers: Option<HeaderMap>,
    ended: bool,
}

/// Gives `bytes` in pieces of this size.
fn send(bytes: &[u8], piece: usize, setting: Setting<'_>) -> Result<Sent, Reason> {
    let mut request = RequestToH2::default();
    let mut sent = Sent::default();
    for mut part in bytes.chunks(piece) {
        while !part.is_empty() {
            let (count, piece) = request.next(part, setting)?;
            assert!(!sent.ended, "something after the end");
            match piece {
                Piece::Nothing => assert!(count > 0 || request.is_done()),
                Piece::Head(head) => {
                    sent.ended = head.end;
                    sent.head = Some(head);
                }
                Piece::Content(content, end) => {
                    sent.content.extend_from_slice(content);
                    sent.ended = end;
                }
                Piece::Trailers(trailers) => {
                    sent.trailers = Some(trailers);
                    sent.ended = true;
                }
                Piece::End => sent.ended = true,
            }
            if count == 0 {
                break;
            }
            part = &part[count..];
        }
    }
    assert_eq!(request.is_done(), sent.ended);
    Ok(sent)
}

fn head_of(text: &str) -> Result<Head, Reason> {
    send(text.as_bytes(), text.len(), SETTING).map(|sent| *sent.head.unwrap())
}

fn field<'h>(head: &'h Head, name: &str) -> Option<&'h str> {
    head.request.headers().get(name).map(|value| value.to_str().unwrap())
}

#[test]
fn a_head_has_target_and_fields_of_its_request() {
    let head = head_of("GET /a?b=%2F HTTP/1.1\r\nHost: www.example.com:8080\r\nX-Two: 1\r\nx-two: 2\r\n\r\n")
        .unwrap();
    assert_eq!(head.request.uri().to_string(), "http://www.example.com:8080/a?b=%2F");
    assert_eq!(head.request.method(), "GET");
    let two: Vec<_> = head.request.headers().get_all("x-two").iter().collect();
    assert_eq!(two, ["1", "2"]);
    assert_eq!(head.request.headers().len(), 2, "`Host` is `:authority`");
    assert!(head.end);
}

#[test]
fn what_belongs_to_the_connection_stays_behind() {
    let head = head_of(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: TE, keep-alive\r\nKeep-Alive: 5\r\nTE: gzip, trailers\r\n\
         Proxy-Connection: x\r\nUpgrade: foo\r\n\r\n",
    )
    .unwrap();
    let names: Vec<_> = head.request.headers().keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["te"]);
    assert_eq!(field(&head, "te"), Some("trailers"));
}

#[test]
fn secrets_are_kept_out_of_the_compression() {
    let head =
        head_of("GET / HTTP/1.1\r\nHost: a\r\nCookie: k=v\r\nAuthorization: x\r\nAccept: y\r\n\r\n").unwrap();
    let secret = |name| head.request.headers()[name].is_sensitive();
    assert_eq!([secret("cookie"), secret("authorization"), secret("accept")], [true, true, false]);
}

#[test]
fn a_request_without_host_is_for_the_server() {
    let head = head_of("GET / HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(head.request.uri().to_string(), "http://192.0.2.1:80/");
    let head = head_of("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(head.request.uri().path(), "*");
}

#[test]
fn what_cannot_be_carried_as_it_is_is_refused() {
    for target in ["/<", "/a\\b", "/^"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        match head_of(&request) {
            Ok(head) => assert_eq!(head.request.uri().path(), target),
            Err(reason) => assert_eq!(reason, Reason::BadRequest, "{target}"),
        }
    }
}

#[test]
fn counted_content_ends_with_its_last_byte() {
    let text = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    for piece in [1, 3, 100] {
        let sent = send(text, piece, SETTING).unwrap();
        assert_eq!((sent.content.as_slice(), sent.ended), (&b"hello"[..], true), "{piece}");
        assert_eq!(field(sent.head.as_ref().unwrap(), "content-length"), Some("5"));
    }
    assert!(!send(&text[..text.len() - 1], 7, SETTING).unwrap().ended);
}

#[test]
fn chunks_are_unwrapped_and_trailers_come_last() {
    let text = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                 5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1 \r\nX-More:2\r\n\r\n";
    for piece in [1, 2, 7, 1000] {
        let sent = send(text, piece, SETTING).unwrap();
        assert_eq!(sent.content, b"hello world", "{piece}");
        let trailers = sent.trailers.unwrap();
        assert_eq!([&trailers["x-sum"], &trailers["x-more"]], ["1", "2"]);
        assert!(!sent.head.unwrap().request.headers().contains_key("transfer-encoding"));
    }
}

#[test]
fn an_end_without_trailers_is_an_end() {
    let text = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    let sent = send(text, 4, SETTING).unwrap();
    assert!(sent.ended && sent.trailers.is_none());
}

#[test]
fn a_broken_chunk_is_refused() {
    let text = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n";
    assert_eq!(send(text, 100, SETTING).unwrap_err(), Reason::BadChunk);
}

const WEBSOCKET: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Key: abc\r\nSec-WebSocket-Version: 13\r\n\r\n";

#[test]
fn websocket_becomes_extended_connect_where_that_is_known() {
    let setting = Setting { extended_connect: true, ..SETTING };
    let mut text = WEBSOCKET.as_bytes().to_vec();
    text.extend_from_slice(b"frames");
    let sent = send(&text, 10, setting).unwrap();
    let head = sent.head.unwrap();
    assert_eq!(head.request.method(), "CONNECT");
    assert_eq!(head.request.uri().to_string(), "http://a/chat");
    assert_eq!(head.asked.websocket.as_deref(), Some(&b"abc"[..]));
    assert_eq!(field(&head, "sec-websocket-version"), Some("13"));
    assert_eq!(field(&head, "sec-websocket-key"), None);
    assert_eq!((sent.content.as_slice(), sent.ended), (&b"frames"[..], false));
    assert_eq!(head_of(WEBSOCKET).unwrap().request.method(), "GET", "where it is not known");
}

#[test]
fn other_changes_of_protocol_are_told_apart() {
    let kind = |text: &str| {
        let mut head = RequestHead::default();
        let parsed =
            head::parse_request(text.as_bytes(), &mut HeadScan::default(), &Limits::default(), &mut head);
        assert!(parsed.unwrap().is_some());
        upgrade_of(&head)
    };
    assert_eq!(kind(WEBSOCKET), Upgrade::WebSocket);
    assert_eq!(kind(&WEBSOCKET.replace("websocket", "foo")), Upgrade::Other);
    assert_eq!(kind(&WEBSOCKET.replace("Sec-WebSocket-Key", "X-Key")), Upgrade::Other);
    assert_eq!(kind("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Upgrade::None);
}

proptest! {
    #[test]
    fn any_content_in_any_pieces_arrives(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
        piece in 1_usize..60,
    ) {
        let mut text = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for chunk in &chunks {
            text.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            text.extend_from_slice(chunk);
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(b"0\r\n\r\n");
        let sent = send(&text, piece, SETTING).unwrap();
        prop_assert_eq!(sent.content, chunks.concat());
        prop_assert!(sent.ended);
    }

    #[test]
    fn nothing_panics_and_content_needs_a_head(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1_usize..50) {
        if let Ok(sent) = send(&bytes, piece, SETTING) {
            prop_assert!(sent.head.is_some() || sent.content.is_empty());
        }
    }
}
