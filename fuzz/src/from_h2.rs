//! HTTP/2 with clients: what is counted, and what is translated from it and back into it. Bytes in pieces mean the same
//! as at once; a request of HTTP/2 is exactly one of HTTP/1.1, or none.

use evenkeel_http::frames::FrameMeter;
use evenkeel_http::frames::from_server::ServerFrames;
use evenkeel_http::head::{HeadScan, RequestHead, parse_request};
use evenkeel_http::translate::request_from_h2::{self, Framing};
use evenkeel_http::translate::response_to_h2::{Piece, ResponseToH2};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};

use crate::http::GENEROUS;

/// Frames: what is seen of them does not depend on how they are cut. The first byte says how large the pieces are, the
/// second how many of them come within a second.
pub fn frames(data: &[u8]) {
    let [piece, pace, bytes @ ..] = data else { return };
    let mut served = ServerFrames::default();
    let in_pieces = bytes.chunks(usize::from(*piece) + 1).try_for_each(|piece| served.see(piece));
    assert_eq!(ServerFrames::default().see(bytes), in_pieces);
    let bytes = [&[0; 24], bytes].concat();
    let piece = usize::from(*piece) + 1;
    let whole = FrameMeter::default().see(&bytes, 0);
    let mut meter = FrameMeter::default();
    let in_pieces = bytes.chunks(piece).try_for_each(|piece| meter.see(piece, 0));
    assert_eq!(whole, in_pieces);
    let mut slow = FrameMeter::default();
    for (count, piece) in bytes.chunks(piece).enumerate() {
        slow.sent(1);
        if slow.see(piece, (count / (usize::from(*pace) + 1)) as u64).is_err() {
            return;
        }
    }
}

/// A request: lines of method, scheme, authority, path, and fields; an empty line, and trailers. Either HTTP/1.1 has no
/// such request, or it reads the same request, and nothing follows it.
pub fn request_from_h2(data: &[u8]) {
    let Some((&[shape], data)) = data.split_at_checked(1) else { return };
    let mut lines = data.split(|&byte| byte == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    let (Ok(method), scheme, authority, path) = (Method::from_bytes(next()), next(), next(), next()) else {
        return;
    };
    let mut uri = Uri::builder();
    if !scheme.is_empty() {
        uri = uri.scheme(scheme);
    }
    if !authority.is_empty() {
        uri = uri.authority(authority);
    }
    let Ok(uri) = uri.path_and_query(path).build() else { return };
    let (mut headers, mut trailers) = (HeaderMap::new(), HeaderMap::new());
    let mut map = &mut headers;
    for line in lines {
        if line.is_empty() {
            map = &mut trailers;
            continue;
        }
        let Some(colon) = line.iter().skip(1).position(|&byte| byte == b':') else { return };
        let (name, value) = (&line[..=colon], &line[colon + 2..]);
        let (Ok(name), Ok(value)) = (HeaderName::from_lowercase(name), HeaderValue::from_bytes(value)) else {
            return;
        };
        // The library takes no such request (RFC 9113 §8.2.2).
        if ["connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection"]
            .contains(&name.as_str())
        {
            return;
        }
        map.append(name, value);
    }
    let (mut parts, ()) = Request::new(()).into_parts();
    (parts.method, parts.uri, parts.headers) = (method, uri, headers);
    let (key, end) = ((shape & 1 != 0).then_some("dGhlIHNhbXBsZSBub25jZQ=="), shape & 2 != 0);
    if key.is_some() && parts.method != Method::CONNECT {
        return;
    }
    let mut out = Vec::new();
    let framing = request_from_h2::head(&parts, key, end, &mut out);
    let mut head = RequestHead::default();
    match parse_request(&out, &mut HeadScan::default(), &GENEROUS, &mut head) {
        Err(_) => return,
        read => assert_eq!(read, Ok(Some(out.len())), "{:?}", String::from_utf8_lossy(&out)),
    }
    let expected = if key.is_some() { "GET" } else { parts.method.as_str() };
    assert_eq!(head.method_text(), expected.as_bytes());
    if let Some(authority) = parts.uri.authority() {
        // Without the port.
        let authority = authority.as_str().to_ascii_lowercase();
        assert!(authority.as_bytes().starts_with(&head.host().to_ascii_lowercase()));
    }
    assert_eq!(head.upgrade, key.is_some());
    match framing {
        Framing::None | Framing::Tunnel | Framing::Length => {}
        Framing::Chunked => assert_eq!(head.framing, evenkeel_http::body::Framing::Chunked),
    }
    let mut body = Vec::new();
    request_from_h2::chunk(out.len(), &mut body);
    body.extend_from_slice(&out);
    body.extend_from_slice(b"\r\n");
    request_from_h2::last_chunk(Some(&trailers), &mut body);
    // A name that only HTTP/2 allows is refused by whoever reads this, as everything is.
    if let Ok(carried) = crate::http::carry(false, &body, 7) {
        assert_eq!(carried, Some(body), "something follows the trailers");
    }
}

/// A response in HTTP/1.1: the same pieces of HTTP/2, however it is cut.
pub fn response_to_h2(data: &[u8]) {
    let [piece, shape, bytes @ ..] = data else { return };
    let method = if shape & 1 == 0 { Method::GET } else { Method::HEAD };
    let accept = (shape & 2 != 0).then_some("abc");
    let whole = sent(&method, accept, bytes, bytes.len().max(1));
    let in_pieces = sent(&method, accept, bytes, usize::from(piece % 64) + 1);
    match (whole, in_pieces) {
        (Some(whole), Some(in_pieces)) => assert_eq!(whole, in_pieces),
        (None, None) => {}
        (whole, in_pieces) => panic!("pieces change the meaning: {whole:?}, {in_pieces:?}"),
    }
}

/// What is sent, in words, and the content; `None` when it cannot be.
fn sent(method: &Method, accept: Option<&str>, bytes: &[u8], piece: usize) -> Option<(Vec<String>, Vec<u8>)> {
    let mut response = ResponseToH2::new(method, accept);
    let (mut said, mut content) = (Vec::new(), Vec::new());
    for mut bytes in bytes.chunks(piece) {
        while !bytes.is_empty() && !response.is_done() {
            let (count, piece) = response.next(bytes).ok()?;
            assert!(count > 0 && count <= bytes.len());
            bytes = &bytes[count..];
            match piece {
                Piece::Nothing => {}
                Piece::Interim(head) => said.push(format!("{head:?}")),
                Piece::Head(head, end) => {
                    assert!(!head.headers().contains_key("transfer-encoding"));
                    assert!(!head.headers().contains_key("connection"));
                    assert_eq!(end, response.is_done());
                    said.push(format!("{head:?} {end}"));
                }
                Piece::Content(part, end) => {
                    content.extend_from_slice(part);
                    assert_eq!(end, response.is_done());
                }
                Piece::Trailers(trailers) => said.push(format!("{trailers:?}")),
                Piece::End => said.push("end".to_owned()),
            }
        }
    }
    said.push(format!("{} {}", response.is_done(), response.may_end()));
    Some((said, content))
}
