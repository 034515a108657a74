use http::Response;
use proptest::prelude::*;

use super::*;
use crate::body::{Body, Framing as BodyFraming, Run};
use crate::head::{HeadScan, Method, ResponseHead, parse_response};
use crate::limits::Limits;

fn parts(status: u16, fields: &[(&str, &str)]) -> Parts {
    let mut response = Response::builder().status(status);
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    response.body(()).unwrap().into_parts().0
}

fn written(status: u16, fields: &[(&str, &str)], asked: &Asked, end: bool) -> (String, Framing) {
    let mut out = Vec::new();
    let framing = head(&parts(status, fields), asked, "proof", end, &mut out).unwrap();
    (String::from_utf8(out).unwrap(), framing)
}

const GET: Asked = Asked { head_only: false, websocket: None };

#[test]
fn content_of_unknown_length_comes_in_chunks() {
    let (text, framing) = written(200, &[("x-a", "1"), ("x-a", "2")], &GET, false);
    assert_eq!(text, "HTTP/1.1 200 OK\r\nx-a: 1\r\nx-a: 2\r\ntransfer-encoding: chunked\r\n\r\n");
    assert_eq!(framing, Framing::Chunked);
}

#[test]
fn a_length_that_was_said_is_kept() {
    let (text, framing) = written(404, &[("content-length", "5")], &GET, false);
    assert_eq!(text, "HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\n");
    assert_eq!(framing, Framing::Length);
}

#[test]
fn a_response_that_ends_with_its_head_has_the_length_zero() {
    let (text, framing) = written(299, &[], &GET, true);
    assert_eq!((text.as_str(), framing), ("HTTP/1.1 299 \r\ncontent-length: 0\r\n\r\n", Framing::None));
}

#[test]
fn where_no_content_may_be_nothing_is_framed() {
    let asked = Asked { head_only: true, websocket: None };
    let (text, framing) = written(200, &[("content-length", "5")], &asked, true);
    assert_eq!((text.as_str(), framing), ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", Framing::None));
    let (text, framing) = written(204, &[], &GET, true);
    assert_eq!((text.as_str(), framing), ("HTTP/1.1 204 No Content\r\n\r\n", Framing::None));
}

#[test]
fn trailers_matter_more_than_a_length() {
    for field in [("content-type", "application/grpc"), ("trailer", "x-sum")] {
        let (text, framing) = written(200, &[("content-length", "5"), field], &GET, false);
        assert!(!text.contains("content-length") && framing == Framing::Chunked, "{text}");
    }
}

#[test]
fn an_agreement_to_speak_websocket_looks_as_in_http1() {
    let asked = Asked { head_only: false, websocket: Some(b"abc".to_vec().into()) };
    let (text, framing) = written(200, &[("sec-websocket-protocol", "chat")], &asked, false);
    assert_eq!(
        text,
        "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-protocol: chat\r\nupgrade: websocket\r\n\
         connection: Upgrade\r\nsec-websocket-accept: proof\r\n\r\n"
    );
    assert_eq!(framing, Framing::Tunnel);
    assert_eq!(written(403, &[], &asked, true).1, Framing::None);
}

#[test]
fn what_http2_does_not_have_is_refused() {
    let mut out = Vec::new();
    assert_eq!(head(&parts(101, &[]), &GET, "", true, &mut out), Err(Reason::BadResponse));
    assert_eq!(interim(&parts(101, &[]), &mut out), Err(Reason::BadResponse));
    for name in ["connection", "transfer-encoding", "keep-alive", "upgrade"] {
        assert_eq!(head(&parts(200, &[(name, "x")]), &GET, "", true, &mut out), Err(Reason::BadResponse));
    }
}

#[test]
fn odd_names_and_blanks_around_values_are_malformed_but_for_messages_of_grpc() {
    for value in [" a", "a ", "\ta", "a\t", " "] {
        let mut out = Vec::new();
        let odd = parts(200, &[("x", value)]);
        assert_eq!(head(&odd, &GET, "", false, &mut out), Err(Reason::BadResponse), "{value:?}");
        assert_eq!(last_chunk(Some(&odd.headers), &mut out), Err(Reason::BadResponse), "{value:?}");
        assert_eq!(interim(&parts(103, &[("x", value)]), &mut out), Err(Reason::BadResponse), "{value:?}");
    }
    let mut odd = HeaderMap::new();
    odd.insert(
        HeaderName::from_lowercase(b"x\"y").expect("a name to the library"),
        HeaderValue::from_static("a"),
    );
    assert_eq!(last_chunk(Some(&odd), &mut Vec::new()), Err(Reason::BadResponse));
    let (text, _) = written(200, &[("grpc-message", "no such cart "), ("x", "a b")], &GET, true);
    assert!(text.contains("grpc-message: no such cart \r\nx: a b\r\n"), "{text}");
}

#[test]
fn interim_responses_have_no_framing() {
    let mut out = Vec::new();
    interim(&parts(103, &[("link", "</a>")]), &mut out).unwrap();
    assert_eq!(out, b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
}

#[test]
fn trailers_that_would_frame_or_route_are_left_out() {
    let trailers =
        parts(200, &[("grpc-status", "0"), ("content-length", "9"), ("host", "b"), ("x", "y")]).headers;
    let mut out = Vec::new();
    last_chunk(Some(&trailers), &mut out).unwrap();
    assert_eq!(out, b"0\r\ngrpc-status: 0\r\nx: y\r\n\r\n");
}

#[test]
fn trailers_are_as_long_as_their_readers_take_them() {
    let value = |length: usize| "x".repeat(length);
    // `grpc-message: ` has 14 bytes.
    let most = parts(200, &[("grpc-message", &value(LONGEST_TRAILER - 14))]).headers;
    let mut out = Vec::new();
    last_chunk(Some(&most), &mut out).unwrap();
    let mut body = Body::new(BodyFraming::Chunked);
    let mut rest = out.as_slice();
    while let Run::Framing(count) = body.read(rest).unwrap() {
        rest = &rest[count..];
    }
    assert!(body.is_done() && rest.is_empty());
    let more = parts(200, &[("grpc-message", &value(LONGEST_TRAILER - 13))]).headers;
    assert_eq!(last_chunk(Some(&more), &mut out), Err(Reason::BadResponse));
}

proptest! {
    /// Whatever HTTP/2 lets through, the parser of HTTP/1 understands it, with the framing that was meant.
    #[test]
    fn what_is_written_is_understood(
        status in 200_u16..600,
        fields in prop::collection::vec(("[a-z][a-z0-9-]{0,12}", "[ -~\\x80-\\xff]{0,20}"), 0..8),
        end in any::<bool>(),
        head_only in any::<bool>(),
    ) {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in &fields {
            let bytes: Vec<u8> = value.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
            response.headers_mut().append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(&bytes).unwrap(),
            );
        }
        let asked = Asked { head_only, websocket: None };
        let mut out = Vec::new();
        let Ok(framing) = head(&response.into_parts().0, &asked, "", end, &mut out) else { return Ok(()) };
        let method = if head_only { Method::Head } else { Method::Get };
        let mut parsed = ResponseHead::default();
        let length = parse_response(&out, &mut HeadScan::default(), &Limits::default(), method, &mut parsed);
        match length {
            Ok(length) => {
                prop_assert_eq!(length, Some(out.len()));
                prop_assert_eq!(parsed.status, status);
                let bare = head_only || matches!(status, 204 | 304);
                match (parsed.framing, framing) {
                    (BodyFraming::Chunked, Framing::Chunked)
                    | (BodyFraming::Length(_), Framing::Length)
                    | (BodyFraming::None, Framing::None | Framing::Length) => {}
                    (found, meant) => prop_assert!(false, "{:?} {:?}", found, meant),
                }
                prop_assert!(!bare || framing == Framing::None);
            }
            // A length that is none, or said twice.
            Err(_) => prop_assert!(fields.iter().any(|(name, _)| name == "content-length")),
        }
    }
}
