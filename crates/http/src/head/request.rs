//! Request heads (RFC 9112 §3): what is asked, of whom, and where the body ends.

use std::mem::MaybeUninit;

use super::{Fields, HeadEnd, HeadScan, Known, Span, Version, elements, is_token};
use crate::answer::Reason;
use crate::body::Framing;
use crate::limits::{Limits, MOST_HEADERS};
use crate::uri;

/// The methods whose meaning matters to a balancer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// `GET`.
    #[default]
    Get,
    /// `HEAD`: the response has no body.
    Head,
    /// `PUT`, `DELETE`, `OPTIONS` or `TRACE`: idempotent (RFC 9110 §9.2.2).
    OtherIdempotent,
    /// Every other method: sending it twice may do it twice.
    Other,
}

impl Method {
    fn of(text: &[u8]) -> Self {
        match text {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"PUT" | b"DELETE" | b"OPTIONS" | b"TRACE" => Self::OtherIdempotent,
            _ => Self::Other,
        }
    }

    /// Says whether a request may be sent again when it is unknown whether the first was processed
    /// (RFC 9110 §9.2.2).
    #[must_use]
    pub fn is_idempotent(self) -> bool {
        self != Self::Other
    }
}

/// The head of a request, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHead {
    /// Bytes and fields.
    pub fields: Fields,
    /// What the method means to us; its bytes are in [`RequestHead::method_text`].
    pub method: Method,
    /// The version the client speaks.
    pub version: Version,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the client lets the connection stay open (RFC 9112 §9.3).
    pub persistent: bool,
    /// `Expect: 100-continue` of an HTTP/1.1 client.
    pub expects_continue: bool,
    /// The client asks to change to another protocol that may be tunnelled; HTTP/2 never is.
    pub upgrade: bool,
    method_span: Span,
    target: Span,
    path: Span,
    host: Span,
}

impl RequestHead {
    /// The method as sent.
    #[must_use]
    pub fn method_text(&self) -> &[u8] {
        self.fields.text(self.method_span)
    }

    /// The target that goes to a server: path and query, or `*`. An absolute target has lost its scheme and
    /// authority (RFC 9112 §3.2.2); an empty one stays empty here: see [`Self::whole_target`].
    #[must_use]
    pub fn target(&self) -> &[u8] {
        self.fields.text(self.target)
    }

    /// What a server is asked for: the target, or what an empty one means (RFC 9112 §3.2.1, §3.2.4).
    #[must_use]
    pub fn whole_target(&self) -> &[u8] {
        match (self.target(), self.method_text()) {
            (b"", b"OPTIONS") => b"*",
            (b"", _) => b"/",
            (target, _) => target,
        }
    }

    /// The path without query. Never empty.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        match self.fields.text(self.path) {
            b"" => b"/",
            path => path,
        }
    }

    /// The host without port, as sent; empty when there is none.
    #[must_use]
    pub fn host(&self) -> &[u8] {
        self.fields.text(self.host)
    }
}

/// Looks for a whole request head at the front of `buffer` and puts its meaning into `head`.
///
/// Returns the number of bytes that the head takes, or `None` when more are needed; `scan` remembers what was
/// looked at and must be a fresh one for each head.
///
/// # Errors
/// The reason for which the request is to be refused.
// fuzz: request_head
pub fn parse_request(
    buffer: &[u8],
    scan: &mut HeadScan,
    limits: &Limits,
    head: &mut RequestHead,
) -> Result<Option<usize>, Reason> {
    let limit = limits.head_bytes as usize;
    let (start, end) = match scan.advance(buffer)? {
        HeadEnd::Complete { start, end } => (start, end),
        HeadEnd::Incomplete if buffer.len() < limit + scan.skipped() => return Ok(None),
        HeadEnd::Incomplete => return Err(too_large(buffer, limits)),
    };
    if end - start > limit {
        return Err(too_large(buffer, limits));
    }
    understand(&buffer[start..end], limits, head)?;
    Ok(Some(end))
}

/// A head that is too large: is its target to blame, or its fields?
fn too_large(buffer: &[u8], limits: &Limits) -> Reason {
    let line = memchr::memchr(b'\n', buffer).unwrap_or(buffer.len());
    if line > limits.target_bytes as usize { Reason::TargetTooLong } else { Reason::HeadTooLarge }
}

fn understand(bytes: &[u8], limits: &Limits, head: &mut RequestHead) -> Result<(), Reason> {
    let mut table = [const { MaybeUninit::uninit() }; MOST_HEADERS as usize];
    let table = &mut table[..usize::from(limits.headers.min(MOST_HEADERS))];
    let mut parsed = httparse::Request::new(&mut []);
    let status =
        httparse::ParserConfig::default().parse_request_with_uninit_headers(&mut parsed, bytes, table);
    match status {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(Reason::BadRequest),
        Err(httparse::Error::TooManyHeaders) => return Err(Reason::TooManyHeaders),
        Err(httparse::Error::Version) => return Err(wrong_version(bytes)),
        Err(_) => return Err(Reason::BadRequest),
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Reason::BadRequest);
    };
    if target.len() > limits.target_bytes as usize {
        return Err(Reason::TargetTooLong);
    }
    if !is_token(method.as_bytes()) {
        return Err(Reason::BadRequest);
    }
    head.fields.fill(bytes, parsed.headers);
    head.version = if minor == 0 { Version::Http10 } else { Version::Http11 };
    head.method = Method::of(method.as_bytes());
    head.method_span = Span::locate(bytes, method.as_bytes());
    if method == "CONNECT" {
        return Err(Reason::ConnectRefused);
    }
    let target = uri::parse_target(target.as_bytes()).ok_or(Reason::BadRequest)?;
    head.target = Span::locate(bytes, target.path_and_query);
    head.path = Span::locate(bytes, target.path);
    understand_host(head, target.authority)?;
    understand_fields(head)
}

/// `HTTP/2.0` and `HTTP/0.9` are versions that we do not speak; `HTTP/1.1x` is no version at all.
fn wrong_version(bytes: &[u8]) -> Reason {
    let line = bytes.split(|&b| b == b'\r').next().unwrap_or_default();
    let mut words = line.split(|&b| b == b' ');
    let (Some(_), Some(_), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Reason::BadRequest;
    };
    match version {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Reason::UnknownVersion
        }
        _ => Reason::BadRequest,
    }
}

/// `Host` (RFC 9112 §3.2): exactly one in HTTP/1.1, at most one in HTTP/1.0, and no other than the target's
/// authority, if it has one: two names for one request would let it be routed by one and answered by the other.
fn understand_host(head: &mut RequestHead, authority: Option<&[u8]>) -> Result<(), Reason> {
    let mut hosts = head.fields.list.iter().filter(|field| field.known == Known::Host);
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Reason::BadHost);
    }
    let Some(field) = first else {
        head.host = Span::default();
        return if head.version == Version::Http10 && authority.is_none() {
            Ok(())
        } else {
            Err(Reason::BadHost)
        };
    };
    let value = head.fields.text(field.value);
    let host = uri::parse_host(value).ok_or(Reason::BadHost)?;
    if authority.is_some_and(|authority| !authority.eq_ignore_ascii_case(value)) {
        return Err(Reason::BadHost);
    }
    head.host = Span::locate(&head.fields.bytes, host);
    Ok(())
}

/// Everything that one pass over the fields tells: framing, persistence, expectation, upgrade.
fn understand_fields(head: &mut RequestHead) -> Result<(), Reason> {
    let mut length = None;
    let mut coding = None;
    let (mut close, mut keep_alive, mut connection_upgrade, mut upgrade, mut expects) =
        (false, false, false, false, false);
    for field in &head.fields.list {
        let value = head.fields.text(field.value);
        match field.known {
            Known::ContentLength if length.is_some() => return Err(Reason::BadFraming),
            Known::ContentLength => {
                length = Some(crate::body::parse_length(value).ok_or(Reason::BadFraming)?);
            }
            Known::TransferEncoding if coding.is_some() => return Err(Reason::BadFraming),
            Known::TransferEncoding => coding = Some(value),
            Known::Connection => {
                for option in elements(value) {
                    close |= option.eq_ignore_ascii_case(b"close");
                    keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                    connection_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
                }
            }
            Known::Upgrade => upgrade |= may_be_tunnelled(value),
            Known::Expect => expects |= value.eq_ignore_ascii_case(b"100-continue"),
            _ => {}
        }
    }
    head.framing = request_framing(head.version, length, coding)?;
    head.persistent = match head.version {
        Version::Http10 => keep_alive && !close,
        Version::Http11 => !close,
    };
    head.expects_continue = expects && head.version == Version::Http11;
    head.upgrade = upgrade && connection_upgrade && head.version == Version::Http11;
    Ok(())
}

/// An upgrade to HTTP/2 would let a client speak past the routes, in a protocol that nobody looks into.
fn may_be_tunnelled(value: &[u8]) -> bool {
    let http2 = |protocol: &[u8]| {
        let name = protocol.split(|&b| b == b'/').next().unwrap_or_default();
        [&b"h2c"[..], b"h2", b"http"].iter().any(|other| name.eq_ignore_ascii_case(other))
    };
    let mut protocols = elements(value).peekable();
    protocols.peek().is_some() && !protocols.any(http2)
}

/// RFC 9112 §6.3, less every case that two parsers could see differently.
fn request_framing(version: Version, length: Option<u64>, coding: Option<&[u8]>) -> Result<Framing, Reason> {
    match (coding, length) {
        (None, None | Some(0)) => Ok(Framing::None),
        (None, Some(length)) => Ok(Framing::Length(length)),
        (Some(_), Some(_)) => Err(Reason::BadFraming),
        (Some(_), None) if version == Version::Http10 => Err(Reason::BadFraming),
        (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        (Some(coding), None) => Err(unknown_coding(coding)),
    }
}

/// `gzip, chunked` is legal and not ours to undo (501); anything else leaves the end of the body in doubt (400).
fn unknown_coding(coding: &[u8]) -> Reason {
    let all_tokens = coding.split(|&b| b == b',').all(|element| is_token(element.trim_ascii()));
    let chunked = |element: &[u8]| element.eq_ignore_ascii_case(b"chunked");
    let count = elements(coding).filter(|element| chunked(element)).count();
    let last = elements(coding).last().is_some_and(chunked);
    if all_tokens && last && count == 1 { Reason::UnknownTransferCoding } else { Reason::BadFraming }
}
