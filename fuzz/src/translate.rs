//! Between HTTP/1 and HTTP/2: what arrives in pieces is the same as what arrives at once, and what is written is understood.

use evenkeel_http::body::{Body, Framing as BodyFraming, Run};
use evenkeel_http::grpc::{self, health};
use evenkeel_http::head::{HeadScan, Method, ResponseHead, parse_response};
use evenkeel_http::limits::{Limits, MOST_HEADERS};
use evenkeel_http::translate::request_to_h2::{Asked, Piece, RequestToH2, Setting};
use evenkeel_http::translate::response_from_h2::{self, Framing};
use http::{HeaderMap, HeaderName, HeaderValue, Response};

/// What was sent of a request.
#[derive(Debug, Default, PartialEq)]
struct Sent {
    head: String,
    content: Vec<u8>,
    trailers: HeaderMap,
    ended: bool,
}

fn send(bytes: &[u8], piece: usize, extended_connect: bool) -> Option<Sent> {
    let setting = Setting { scheme: "http", authority_if_missing: "192.0.2.1", extended_connect };
    let (mut request, mut sent) = (RequestToH2::default(), Sent::default());
    for mut part in bytes.chunks(piece.max(1)) {
        while !part.is_empty() && !request.is_done() {
            let (count, piece) = request.next(part, setting).ok()?;
            assert!(count > 0 && count <= part.len(), "no progress");
            assert!(!sent.ended, "something behind the end");
            match piece {
                Piece::Nothing => {}
                Piece::Head(head) => {
                    sent.ended = head.end;
                    sent.head = format!("{:?}", head.request);
                }
                Piece::Content(content, end) => {
                    assert!(!sent.head.is_empty(), "content without a head");
                    sent.content.extend_from_slice(content);
                    sent.ended = end;
                }
                Piece::Trailers(trailers) => (sent.trailers, sent.ended) = (trailers, true),
                Piece::End => sent.ended = true,
            }
            part = &part[count..];
        }
    }
    assert_eq!(sent.ended, request.is_done());
    Some(sent)
}

/// A request: the first byte says how large the pieces are.
pub fn request_to_h2(data: &[u8]) {
    let Some((&piece, bytes)) = data.split_first() else { return };
    let extended_connect = piece % 2 == 0;
    let (whole, pieces) =
        (send(bytes, bytes.len(), extended_connect), send(bytes, piece.into(), extended_connect));
    if let (Some(whole), Some(pieces)) = (whole, pieces) {
        assert_eq!(whole, pieces, "pieces change the meaning");
    }
}

/// Fields, one a line, and a body in lines: the first byte says what was asked, the second the status.
pub fn response_from_h2(data: &[u8]) {
    let [options, status, rest @ ..] = data else { return };
    let (head_only, end, trailing) = (options & 1 != 0, options & 2 != 0, options & 4 != 0);
    let mut response = Response::new(());
    *response.status_mut() = http::StatusCode::from_u16(200 + u16::from(*status)).expect("a status");
    let mut fields = HeaderMap::new();
    for line in rest.split(|&byte| byte == b'\n').take(100) {
        let mut parts = line.splitn(2, |&byte| byte == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else { continue };
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.trim_ascii()))
        {
            fields.append(name, value);
        }
    }
    *response.headers_mut() = fields.clone();
    let (parts, ()) = response.into_parts();
    let mut out = Vec::new();
    let asked = Asked { head_only, websocket: None };
    let Ok(framing) = response_from_h2::head(&parts, &asked, "", end, &mut out) else { return };
    let limits = Limits { head_bytes: 1 << 20, target_bytes: 1 << 20, headers: MOST_HEADERS };
    let method = if head_only { Method::Head } else { Method::Get };
    let mut head = ResponseHead::default();
    let Ok(length) = parse_response(&out, &mut HeadScan::default(), &limits, method, &mut head) else {
        assert!(fields.contains_key("content-length"), "only a length can be wrong");
        return;
    };
    assert_eq!(length, Some(out.len()), "what we write is one head");
    assert_eq!(framing == Framing::Chunked, head.framing == BodyFraming::Chunked);
    let mut text = Vec::new();
    if response_from_h2::last_chunk(trailing.then_some(&fields), &mut text).is_ok() {
        let (mut body, mut rest) = (Body::new(BodyFraming::Chunked), text.as_slice());
        while let Run::Framing(count) = body.read(rest).expect("trailers that we write are understood") {
            rest = &rest[count..];
        }
        assert!(body.is_done() && rest.is_empty());
    }
}

/// An answer of the health service of gRPC.
pub fn grpc_health(data: &[u8]) {
    if let Some(message) = grpc::unwrap(data) {
        let _serving = health::response(message);
    }
    let _serving = health::response(data).map(health::Serving::name);
}
