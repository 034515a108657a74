//! HTTP/1: what arrives in pieces means the same as what arrives at once, and what we write reads back as what was
//! meant. The first byte of a head or body says how large the pieces are.

use evenkeel_http::answer::Reason;
use evenkeel_http::body::Framing;
use evenkeel_http::cookie;
use evenkeel_http::head::{
    HeadScan, Method, RequestHead, ResponseHead, Version, parse_request, parse_response,
};
use evenkeel_http::limits::{Limits, MOST_HEADERS};
use evenkeel_http::machine::transfer::{Step, Transfer};
use evenkeel_http::rewrite::{self, OwnCookie, ToClient, ToServer};
use evenkeel_http::uri::{parse_host, parse_target, query_value};

/// Room for what rewriting adds.
pub(crate) const GENEROUS: Limits =
    Limits { head_bytes: 128 * 1024, target_bytes: 128 * 1024, headers: MOST_HEADERS };

/// A request head: no difference between whole and in pieces; the head that a server gets asks for the same.
pub fn request_head(data: &[u8]) {
    let Some((piece, bytes)) = pieces(data) else { return };
    let limits = Limits::default();
    let mut head = RequestHead::default();
    let whole = parse_request(bytes, &mut HeadScan::default(), &limits, &mut head);
    let mut again = RequestHead::default();
    let mut scan = HeadScan::default();
    let in_pieces = grow(bytes, piece, |seen| parse_request(seen, &mut scan, &limits, &mut again));
    let Ok(Some(length)) = whole else {
        assert!(!matches!(in_pieces, Ok(Some(_))), "accepted in pieces only");
        return;
    };
    assert_eq!(in_pieces, Ok(Some(length)));
    assert_eq!(head, again, "pieces change the meaning");

    let to = ToServer {
        peer: Some(std::net::Ipv4Addr::LOCALHOST.into()),
        peer_trusted: piece % 2 == 0,
        proto: "http",
        x_forwarded: true,
        forwarded: true,
        drop_underscores: piece % 3 == 0,
        host_if_missing: "server.example",
        te: piece % 11 == 0,
        close: piece % 5 == 0,
        own_cookie: (piece % 7 == 0).then_some("a"),
        client_certificate: b"",
    };
    let mut written = Vec::new();
    rewrite::request(&head, &to, &mut written);
    let mut back = RequestHead::default();
    let end = parse_request(&written, &mut HeadScan::default(), &GENEROUS, &mut back);
    assert_eq!(end, Ok(Some(written.len())), "what we write is one head");
    assert_eq!(back.version, Version::Http11);
    assert_eq!(back.framing, head.framing);
    assert_eq!((back.method, back.method_text()), (head.method, head.method_text()));
    assert_eq!((back.path(), back.upgrade), (head.path(), head.upgrade));
    if !head.host().is_empty() {
        assert_eq!(back.host(), head.host());
    }
}

/// A response head, as [`request_head`].
pub fn response_head(data: &[u8]) {
    let Some((piece, bytes)) = pieces(data) else { return };
    let method = [Method::Get, Method::Head, Method::Other][piece % 3];
    let limits = Limits::default();
    let mut head = ResponseHead::default();
    let whole = parse_response(bytes, &mut HeadScan::default(), &limits, method, &mut head);
    let mut again = ResponseHead::default();
    let mut scan = HeadScan::default();
    let in_pieces = grow(bytes, piece, |seen| parse_response(seen, &mut scan, &limits, method, &mut again));
    let Ok(Some(length)) = whole else {
        assert!(!matches!(in_pieces, Ok(Some(_))), "accepted in pieces only");
        return;
    };
    assert_eq!(in_pieces, Ok(Some(length)));
    assert_eq!(head, again, "pieces change the meaning");

    let own = OwnCookie { name: "a", set: (piece % 5 == 0).then_some(("b", "; Path=/")) };
    let to = ToClient {
        version: Version::Http11,
        persistent: piece % 2 == 0,
        unwrap_chunks: false,
        hsts: None,
        own_cookie: (piece % 7 == 0 && head.status >= 200).then_some(own),
    };
    let mut written = Vec::new();
    rewrite::response(&head, to, &mut written);
    let mut back = ResponseHead::default();
    let end = parse_response(&written, &mut HeadScan::default(), &GENEROUS, method, &mut back);
    assert_eq!(end, Ok(Some(written.len())), "what we write is one head");
    assert_eq!((back.status, back.framing), (head.status, head.framing));
}

/// A chunked body: pieces make no difference, it passes as it came, and its content is what a plain decoder finds.
pub fn body(data: &[u8]) {
    let Some((piece, bytes)) = pieces(data) else { return };
    for unwrap in [false, true] {
        let whole = carry(unwrap, bytes, bytes.len().max(1));
        let in_pieces = carry(unwrap, bytes, piece);
        match (whole, in_pieces) {
            (Ok(Some(whole)), Ok(Some(in_pieces))) => {
                assert_eq!(whole, in_pieces);
                let (raw, content) = decode(bytes).expect("a body that a plain decoder understands");
                assert_eq!(whole, if unwrap { content } else { raw });
            }
            (Err(_), Err(_)) | (Ok(None), Ok(None)) => {}
            (whole, in_pieces) => panic!("pieces change the meaning: {whole:?}, {in_pieces:?}"),
        }
    }
}

/// A target and a host: what is found lies in what was given, and reads back as itself.
pub fn uri(data: &[u8]) {
    let (name, query) = data.split_at(data.len().min(2));
    if let Some(value) = query_value(query, name) {
        assert!(!value.contains(&b'&'));
    }
    if let Some(target) = parse_target(data) {
        assert!(data.ends_with(target.path_and_query) && target.path_and_query.starts_with(target.path));
        assert!(!target.path.contains(&b'?'));
        assert!(data.iter().all(u8::is_ascii_graphic));
        match target.authority {
            Some(authority) => assert!(parse_host(authority).is_some_and(|host| !host.is_empty())),
            None => assert_eq!(target.path_and_query, data),
        }
        if !target.path_and_query.is_empty() {
            let again = parse_target(target.path_and_query).expect("a path is a target");
            assert_eq!((again.path, again.authority), (target.path, None));
        }
    }
    if let Some(host) = parse_host(data) {
        assert!(data.starts_with(host));
        assert_eq!(parse_host(host), Some(host));
        assert!(!host.iter().any(|byte| byte.is_ascii_whitespace() || b"/@\"\\".contains(byte)));
    }
}

/// The size of the pieces, 1 to 64, and the rest.
fn pieces(data: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = data.split_first()?;
    Some((usize::from(first % 64) + 1, rest))
}

/// Shows more and more of `bytes` until something is decided.
fn grow(
    bytes: &[u8],
    piece: usize,
    mut parse: impl FnMut(&[u8]) -> Result<Option<usize>, Reason>,
) -> Result<Option<usize>, Reason> {
    let mut seen = 0;
    while seen < bytes.len() {
        seen = bytes.len().min(seen + piece);
        match parse(&bytes[..seen]) {
            Ok(None) => {}
            decided => return decided,
        }
    }
    Ok(None)
}

/// Moves a chunked body in pieces. `Ok(None)`: it has no end.
pub(crate) fn carry(unwrap: bool, bytes: &[u8], piece: usize) -> Result<Option<Vec<u8>>, Reason> {
    let mut transfer = Transfer::new(Framing::Chunked, unwrap);
    let (mut written, mut unread, mut rest) = (Vec::new(), Vec::new(), bytes);
    loop {
        match transfer.next(&unread)? {
            Step::Write(count) => {
                // Half of it, as a full socket would take.
                let some = count.div_ceil(2);
                written.extend(unread.drain(..some));
                transfer.wrote(some);
            }
            Step::Drop(count) => drop(unread.drain(..count)),
            Step::Read if rest.is_empty() => return Ok(None),
            Step::Read => {
                let (next, after) = rest.split_at(piece.min(rest.len()));
                unread.extend_from_slice(next);
                rest = after;
            }
            Step::Done => return Ok(Some(written)),
        }
    }
}

/// The plainest decoder that can be: the raw bytes of the body, and its content.
fn decode(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let line = |at: usize| Some(at + bytes.get(at..)?.windows(2).position(|two| two == b"\r\n")?);
    let (mut at, mut content) = (0, Vec::new());
    loop {
        let end = line(at)?;
        let text = std::str::from_utf8(&bytes[at..end]).ok()?;
        let size = usize::from_str_radix(text.split([';', ' ', '\t']).next()?, 16).ok()?;
        at = end + 2;
        if size == 0 {
            break;
        }
        content.extend_from_slice(bytes.get(at..at + size)?);
        at += size + 2;
    }
    loop {
        let end = line(at)?;
        let last = end == at;
        at = end + 2;
        if last {
            return Some((bytes[..at].to_vec(), content));
        }
    }
}

/// What is found of a cookie is a part of the field, in which no other cookie begins; what is left when it is taken out
/// has it no more, has all others, and stays as it is. The name comes first, up to a NUL.
pub fn cookie(data: &[u8]) {
    let mut parts = data.splitn(2, |&byte| byte == 0);
    let (name, field) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let found = cookie::find(field, name);
    if let Some(value) = found {
        assert!(!value.contains(&b';'));
        assert_eq!(value, value.trim_ascii());
    }
    assert_eq!(cookie::values(field, name).next(), found);
    if let Some(set) = cookie::name_set(field) {
        assert_eq!(cookie::values(field, set).next(), found_first(field));
    }

    let mut left = Vec::new();
    let any = cookie::write_without(field, name, &mut left);
    assert!(any || left.is_empty());
    if found.is_none() {
        assert_eq!(left, field);
    }
    assert_eq!(cookie::find(&left, name), None);
    let others = |field: &[u8]| -> Vec<Vec<u8>> {
        let pairs = field.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        pairs
            .filter(|pair| cookie::find(pair, name).is_none() && !pair.is_empty())
            .map(<[u8]>::to_vec)
            .collect()
    };
    assert_eq!(others(&left), others(field));
    let mut again = Vec::new();
    cookie::write_without(&left, name, &mut again);
    assert_eq!(again, left);
}

/// The value of what stands before the first semicolon.
fn found_first(field: &[u8]) -> Option<&[u8]> {
    let pair = field.split(|&byte| byte == b';').next()?;
    let equals = pair.iter().position(|&byte| byte == b'=')?;
    Some(pair[equals + 1..].trim_ascii())
}
