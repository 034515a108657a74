//! A request of HTTP/2 as HTTP/1.1 bytes (RFC 9113 §8.3).
//!
//! What is written is read by [`crate::head::parse_request`] and [`crate::body`] before anything is believed, so nothing is
//! refused here: what HTTP/1.1 has no request for is written so that it is refused there, with the same answer and the same
//! line in the log. Invariants: no name or value is changed; a request whose end was not seen never looks complete, because
//! its length or its last chunk is missing.

use std::io::Write as _;

use http::header::{HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, header};

use super::has_blanks_around;
use crate::body::{LONGEST_TRAILER, MOST_TRAILER_BYTES};
use crate::head::{Known, is_token};

/// How the content of a request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// As it is: its length was said, and whoever receives it counts.
    Length,
    /// In chunks.
    Chunked,
    /// As it is, until the stream ends: the client asks for another protocol.
    Tunnel,
}

/// Appends the head of a request; `end` says that nothing follows it. `websocket_key` is what a client that asks to speak
/// WebSocket (RFC 8441) would have chosen with HTTP/1.1; without it nothing but HTTP is asked for.
// fuzz: request_from_h2
pub fn head(parts: &Parts, websocket_key: Option<&str>, end: bool, out: &mut Vec<u8>) -> Framing {
    let Parts { method, uri, headers, .. } = parts;
    // RFC 9113 §8.5, §8.3.1, §8.2.1: malformed, and not seen by the library. A second blank keeps it from being a request.
    let malformed = *method == Method::CONNECT && uri.authority().is_none()
        || uri.path() == "*" && *method != Method::OPTIONS
        || headers.values().any(has_blanks_around);
    let blank = if malformed { "  " } else { " " };
    let method = if websocket_key.is_some() { "GET" } else { method.as_str() };
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    // RFC 9113 §8.3.1: a path, or `*`, as the library has seen to: a whole address would count more than `Host`.
    for part in [method, blank, if target.is_empty() { "/" } else { target }, " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    hosts(uri.authority().map(|authority| authority.as_str()), headers, out);
    let mut cookies = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
    if let Some(first) = cookies.next() {
        // RFC 9113 §8.2.3: what was cut for compression is one value.
        out.extend_from_slice(b"cookie: ");
        out.extend_from_slice(first);
        for more in cookies {
            out.extend_from_slice(b"; ");
            out.extend_from_slice(more);
        }
        out.extend_from_slice(b"\r\n");
    }
    for (name, value) in headers {
        // A key beside ours would be another handshake.
        let ours = websocket_key.is_some() && *name == header::SEC_WEBSOCKET_KEY;
        if *name != header::HOST && *name != header::COOKIE && !ours {
            field(name.as_str().as_bytes(), value.as_bytes(), out);
        }
    }
    let framing = match (websocket_key, end) {
        (Some(key), _) => {
            for part in ["upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-key: ", key, "\r\n"] {
                out.extend_from_slice(part.as_bytes());
            }
            Framing::Tunnel
        }
        (None, true) => Framing::None,
        // No request but a tunnel: what it carries is no content.
        (None, false) if method == "CONNECT" => Framing::Tunnel,
        (None, false) if headers.contains_key(header::CONTENT_LENGTH) => Framing::Length,
        (None, false) => {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
            Framing::Chunked
        }
    };
    out.extend_from_slice(b"\r\n");
    framing
}

/// RFC 9113 §8.3.1: `:authority` counts, and a `Host` beside it says the same or is a trick, which shows as two of them.
fn hosts(authority: Option<&str>, headers: &HeaderMap, out: &mut Vec<u8>) {
    let authority = authority.map(str::as_bytes);
    let said = headers.get_all(header::HOST).iter().map(HeaderValue::as_bytes);
    for (place, host) in authority.into_iter().chain(said).enumerate() {
        let repeats = place == 1 && authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host));
        if !repeats {
            field(b"host", host, out);
        }
    }
}

/// Appends the line before a piece of content of this length.
pub fn chunk(length: usize, out: &mut Vec<u8>) {
    let _infallible = write!(out, "{length:x}\r\n");
}

/// Appends the end of content in chunks. Trailers that HTTP/1.1 could not carry are left out (RFC 9110 §6.5.1 lets
/// everybody leave them out). What HTTP/2 calls malformed has no end that HTTP/1.1 understands.
pub fn last_chunk(trailers: Option<&HeaderMap>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    let mut bytes = 0;
    for (name, value) in trailers.into_iter().flatten() {
        if has_blanks_around(value) {
            // RFC 9113 §8.2.1, and not seen by the library. No trailer is without a colon.
            out.extend_from_slice(b"malformed\r\n");
            return;
        }
        let length = name.as_str().len() + value.len() + 2;
        bytes += length + 2;
        // The library lets more bytes be in a name than HTTP/1.1 does.
        let harmless =
            is_token(name.as_str().as_bytes()) && Known::of(name.as_str().as_bytes()) == Known::Other;
        if harmless && length <= LONGEST_TRAILER && bytes <= MOST_TRAILER_BYTES {
            field(name.as_str().as_bytes(), value.as_bytes(), out);
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::answer::Reason;
    use crate::body::{Body, Framing as BodyFraming, Run};
    use crate::head::{HeadScan, RequestHead, parse_request};
    use crate::limits::Limits;

    fn translated(request: http::request::Builder, end: bool) -> (String, Framing) {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let mut out = Vec::new();
        let framing = head(&parts, None, end, &mut out);
        (String::from_utf8(out).unwrap(), framing)
    }

    /// What the session makes of it: the host, or why it is refused.
    fn understood(request: http::request::Builder) -> Result<String, Reason> {
        let (text, _) = translated(request, true);
        let mut head = RequestHead::default();
        let length = parse_request(text.as_bytes(), &mut HeadScan::default(), &Limits::default(), &mut head)?;
        assert_eq!(length, Some(text.len()));
        Ok(String::from_utf8_lossy(head.host()).into_owned())
    }

    fn get() -> http::request::Builder {
        Request::get("https://shop.example.com/a?b=c")
    }

    #[test]
    fn a_request_is_the_same_request() {
        let request = get().header("accept", "*/*").header("x-a", "1").header("x-a", "2");
        let (text, framing) = translated(request, true);
        let whole =
            "GET /a?b=c HTTP/1.1\r\nhost: shop.example.com\r\naccept: */*\r\nx-a: 1\r\nx-a: 2\r\n\r\n";
        assert_eq!((text.as_str(), framing), (whole, Framing::None));
        assert_eq!(understood(get()), Ok("shop.example.com".into()));
    }

    #[test]
    fn crumbs_of_cookies_are_joined() {
        let request = get().header("cookie", "a=1").header("x", "y").header("cookie", "b=2");
        assert!(translated(request, true).0.contains("\r\ncookie: a=1; b=2\r\nx: y\r\n"));
    }

    #[test]
    fn content_is_counted_or_cut_into_chunks() {
        let (text, framing) = translated(get().header("content-length", "5"), false);
        assert_eq!((framing, text.contains("transfer-encoding")), (Framing::Length, false));
        let (text, framing) = translated(get(), false);
        assert!(framing == Framing::Chunked && text.ends_with("\r\ntransfer-encoding: chunked\r\n\r\n"));
    }

    #[test]
    fn two_hosts_must_be_one() {
        assert_eq!(understood(get().header("host", "SHOP.example.com")), Ok("shop.example.com".into()));
        assert_eq!(understood(get().header("host", "other.example.com")), Err(Reason::BadHost));
        assert_eq!(understood(Request::get("/").header("host", "a")), Ok("a".into()));
        let twice = Request::get("/").header("host", "a").header("host", "a");
        assert_eq!(understood(twice), Err(Reason::BadHost));
        assert_eq!(understood(Request::get("/")), Err(Reason::BadHost));
    }

    #[test]
    fn a_path_cannot_name_another_host() {
        let path = |path: &'static str| {
            let mut parts = http::uri::Parts::default();
            parts.scheme = Some(http::uri::Scheme::HTTP);
            parts.authority = Some("a".parse().unwrap());
            parts.path_and_query = Some(http::uri::PathAndQuery::from_static(path));
            Request::builder().method("OPTIONS").uri(http::Uri::from_parts(parts).unwrap())
        };
        assert_eq!(understood(path("/http://b/")), Ok("a".into()));
        assert_eq!(understood(path("*")), Ok("a".into()));
        assert_eq!(understood(path("?x=y")), Err(Reason::BadRequest));
        for wrong in ["http://b/", "b", ""] {
            assert!(http::uri::PathAndQuery::try_from(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_http2_calls_malformed_is_refused() {
        for value in [" a", "a ", "\ta", "a\t"] {
            assert_eq!(understood(get().header("x", value)), Err(Reason::BadRequest), "{value:?}");
        }
        assert_eq!(understood(Request::get("*").header("host", "a")), Err(Reason::BadRequest));
        assert_eq!(understood(Request::builder().method("CONNECT").uri("/")), Err(Reason::BadRequest));
        assert!(translated(Request::options("*"), true).0.starts_with("OPTIONS * HTTP/1.1\r\n"));
    }

    #[test]
    fn websocket_is_asked_for_as_http1_does() {
        let request = Request::builder().method("CONNECT").uri("https://a/chat");
        let request = request.header("sec-websocket-key", "bWluZQ==").body(()).unwrap();
        let (parts, ()) = request.into_parts();
        let mut out = Vec::new();
        assert_eq!(head(&parts, Some("a2V5"), false, &mut out), Framing::Tunnel);
        let text = "GET /chat HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-key: a2V5\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), text);
        let other = Request::builder().method("CONNECT").uri("a:443");
        assert_eq!(understood(other), Err(Reason::ConnectRefused));
    }

    #[test]
    fn the_last_chunk_has_the_trailers() {
        let mut out = Vec::new();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("1"));
        // Would frame the message.
        trailers.insert("content-length", HeaderValue::from_static("1"));
        // Would be refused, and the request with it.
        let odd = http::HeaderName::from_lowercase(b"x\"y").expect("a name to the library");
        trailers.insert(odd, HeaderValue::from_static("1"));
        last_chunk(Some(&trailers), &mut out);
        assert_eq!(out, b"0\r\nx-sum: 1\r\n\r\n");
        out.clear();
        chunk(255, &mut out);
        last_chunk(None, &mut out);
        assert_eq!(out, b"ff\r\n0\r\n\r\n");
        out.clear();
        trailers.insert("x-sum", HeaderValue::from_static(" 1"));
        last_chunk(Some(&trailers), &mut out);
        let mut body = Body::new(BodyFraming::Chunked);
        assert_eq!(body.read(&out), Ok(Run::Framing(3)));
        assert_eq!(body.read(&out[3..]), Err(Reason::BadChunk));
    }
}
