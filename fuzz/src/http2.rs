//! HTTP/2 with clients: frames are counted alike however they arrive, requests become requests, and responses end once.

use evenkeel_http::frames::FrameMeter;
use evenkeel_http::head::{HeadScan, RequestHead, parse_request};
use evenkeel_http::limits::{Limits, MOST_HEADERS};
use evenkeel_http::translate::request_from_h2::{self, Framing};
use evenkeel_http::translate::response_to_h2::{Piece, ResponseToH2};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};

/// Room for what the translation adds.
const GENEROUS: Limits = Limits { head_bytes: 128 * 1024, target_bytes: 128 * 1024, headers: MOST_HEADERS };

/// What a client sends behind its preface: the first byte says how large the pieces are.
pub fn frames(data: &[u8]) {
    let Some((&piece, bytes)) = data.split_first() else { return };
    let mut whole = FrameMeter::default();
    let at_once = whole.see(&[0; 24], 0).and_then(|()| whole.see(bytes, 0));
    let mut meter = FrameMeter::default();
    let mut in_pieces = meter.see(&[0; 24], 0);
    for part in bytes.chunks(usize::from(piece) + 1) {
        in_pieces = in_pieces.and_then(|()| meter.see(part, 0));
    }
    assert_eq!(at_once, in_pieces, "pieces change the count");
}

/// The lines of a request: method, authority, path, a line that says whether something follows, then fields.
pub fn request_from_h2(data: &[u8]) {
    let mut lines = data.split(|&byte| byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (method, authority, path, flags) = (line(), line(), line(), line());
    let mut parts = http::uri::Parts::default();
    if let Ok(path) = PathAndQuery::try_from(path) {
        (parts.scheme, parts.path_and_query) = (Some(Scheme::HTTPS), Some(path));
    }
    parts.authority = Authority::try_from(authority).ok();
    let (Ok(method), Ok(uri)) = (Method::from_bytes(method), Uri::from_parts(parts)) else { return };
    let mut request = Request::new(());
    (*request.method_mut(), *request.uri_mut()) = (method, uri);
    for field in lines {
        let Some(colon) = field.iter().skip(1).position(|&byte| byte == b':') else { continue };
        let (name, value) =
            (HeaderName::from_lowercase(&field[..=colon]), HeaderValue::from_bytes(&field[colon + 2..]));
        // What is about the connection is refused below us.
        let (Ok(name), Ok(value)) = (name, value) else { continue };
        if !["connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection"]
            .contains(&name.as_str())
        {
            let _full = request.headers_mut().try_append(name, value);
        }
    }
    let (parts, ()) = request.into_parts();
    let key = flags.starts_with(b"w").then_some("a2V5");
    let mut text = Vec::new();
    let framing = request_from_h2::head(&parts, key, flags.ends_with(b"e"), &mut text);
    let mut head = RequestHead::default();
    let Ok(length) = parse_request(&text, &mut HeadScan::default(), &GENEROUS, &mut head) else { return };
    assert_eq!(length, Some(text.len()), "what is written is one head");
    assert_eq!(head.method_text(), if key.is_some() { b"GET" } else { parts.method.as_str().as_bytes() });
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    assert_eq!(head.target(), target.as_bytes(), "another target");
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let host = head.fields.named("host").next().unwrap_or_default();
    assert!(authority.is_none_or(|authority| authority == host), "another host");
    if framing == Framing::Chunked {
        assert_eq!(head.framing, evenkeel_http::body::Framing::Chunked);
    }
}

#[derive(Debug, Default, PartialEq)]
struct Sent {
    head: String,
    interim: usize,
    content: Vec<u8>,
    trailers: HeaderMap,
    ended: bool,
}

fn send(bytes: &[u8], piece: usize, method: &Method, accept: Option<&str>) -> Option<Sent> {
    let (mut response, mut sent) = (ResponseToH2::new(method, accept), Sent::default());
    for mut part in bytes.chunks(piece.max(1)) {
        while !part.is_empty() && !response.is_done() {
            let (count, piece) = response.next(part).ok()?;
            assert!(count > 0 && count <= part.len(), "no progress");
            assert!(!sent.ended, "something behind the end");
            match piece {
                Piece::Nothing => {}
                Piece::Interim(_) => sent.interim += 1,
                Piece::Head(head, end) => {
                    assert!(sent.head.is_empty(), "two heads");
                    sent.head = format!("{head:?}");
                    sent.ended = end;
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
    assert_eq!(sent.ended, response.is_done());
    Some(sent)
}

/// A response: the first byte says how large the pieces are and what was asked.
pub fn response_to_h2(data: &[u8]) {
    let Some((&piece, bytes)) = data.split_first() else { return };
    let method = if piece % 2 == 0 { Method::GET } else { Method::HEAD };
    let accept = (piece % 3 == 0).then_some("abc");
    let whole = send(bytes, bytes.len(), &method, accept);
    let in_pieces = send(bytes, piece.into(), &method, accept);
    if let (Some(whole), Some(in_pieces)) = (whole, in_pieces) {
        assert_eq!(whole, in_pieces, "pieces change the meaning");
    }
}
