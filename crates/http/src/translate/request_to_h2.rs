//! A request in HTTP/1.1 bytes, as the pieces that HTTP/2 sends: a head, content, trailers (RFC 9113 §8.1).
//!
//! The caller gives bytes as they come and sends each piece before it gives the next. Invariants: nothing is named
//! before its framing was understood; what belongs to the HTTP/1 connection stays behind; a head that HTTP/2 could not
//! carry as it is, byte for byte, is refused.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri, Version};

use crate::answer::Reason;
use crate::body::{Body, LONGEST_TRAILER, Run};
use crate::head::{self, HeadScan, Known, RequestHead, elements};
use crate::limits::{Limits, MOST_HEADERS};

/// Bytes of a head: what `max-head-size` may be set to, and what is told of the client and its certificate.
const MOST_HEAD: u32 = 2 * 64 * 1024;

/// What is known of a request beyond its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// `http` or `https`: what the server is spoken to with.
    pub scheme: &'static str,
    /// `:authority` when `Host` is empty.
    pub authority_if_missing: &'a str,
    /// The server lets other protocols through (RFC 8441).
    pub extended_connect: bool,
}

/// A request on its way.
#[derive(Debug)]
pub struct RequestToH2 {
    state: State,
    /// The beginning of a head or of a line that came in pieces.
    partial: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Head,
    /// Trailers come last, line by line.
    Body(Body, HeaderMap),
    /// Another protocol: bytes without framing.
    Tunnel,
    Done,
}

/// What to send next.
#[derive(Debug)]
pub enum Piece<'b> {
    /// Nothing yet: more bytes are needed.
    Nothing,
    /// The head.
    Head(Box<Head>),
    /// Content; `true` when it is the last of it.
    Content(&'b [u8], bool),
    /// The end, with these trailers.
    Trailers(HeaderMap),
    /// The end.
    End,
}

/// The head of a request as HTTP/2 has it.
#[derive(Debug)]
pub struct Head {
    /// Method, target and fields. An upgrade is `CONNECT` already, less its `:protocol`, which is `websocket`.
    pub request: Request<()>,
    /// What the response must know of it.
    pub asked: Asked,
    /// Nothing follows.
    pub end: bool,
}

/// What of a request decides how its response is understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The response has no content, whatever it says.
    pub head_only: bool,
    /// `Sec-WebSocket-Key` of a request to speak WebSocket from now on.
    pub websocket: Option<Box<[u8]>>,
}

/// Whether HTTP/2 can carry the change of protocol that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// It asks for none.
    None,
    /// It asks for WebSocket, which RFC 8441 carries.
    WebSocket,
    /// It asks for something else.
    Other,
}

/// See [`Upgrade`].
#[must_use]
pub fn upgrade_of(head: &RequestHead) -> Upgrade {
    if !head.upgrade {
        return Upgrade::None;
    }
    let mut protocols = head.fields.values(Known::Upgrade).flat_map(elements);
    let only = protocols.next().filter(|_| protocols.next().is_none());
    let websocket = only.is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"));
    let keys = head.fields.named("sec-websocket-key").count();
    if websocket && keys == 1 && head.method_text() == b"GET" { Upgrade::WebSocket } else { Upgrade::Other }
}

impl Default for RequestToH2 {
    fn default() -> Self {
        Self { state: State::Head, partial: Vec::new() }
    }
}

impl RequestToH2 {
    /// Says whether the next bytes are content, of which no more is to be given than the server takes.
    #[must_use]
    pub fn is_content(&self) -> bool {
        match &self.state {
            State::Tunnel => true,
            State::Body(body, _) => body.certain_bytes() != Some(0),
            State::Head | State::Done => false,
        }
    }

    /// Says whether everything was named.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// The end of a tunnel's direction.
    pub fn finish(&mut self) {
        self.state = State::Done;
    }

    /// Takes bytes from the front of `bytes` and says how many, and what they are. Takes at least one, unless there is
    /// none or everything was named.
    ///
    /// # Errors
    /// When the request cannot be understood or HTTP/2 cannot carry it.
    // fuzz: request_to_h2
    pub fn next<'b>(&mut self, bytes: &'b [u8], setting: Setting<'_>) -> Result<(usize, Piece<'b>), Reason> {
        match &mut self.state {
            _ if bytes.is_empty() => Ok((0, Piece::Nothing)),
            State::Done => Ok((0, Piece::Nothing)),
            State::Tunnel => Ok((bytes.len(), Piece::Content(bytes, false))),
            State::Head => self.head(bytes, setting),
            State::Body(body, trailers) => {
                let run = content(body, trailers, &mut self.partial, bytes)?;
                if body.is_done() {
                    self.state = State::Done;
                }
                Ok(run)
            }
        }
    }

    fn head<'b>(&mut self, bytes: &'b [u8], setting: Setting<'_>) -> Result<(usize, Piece<'b>), Reason> {
        let before = self.partial.len();
        let limits = Limits { head_bytes: MOST_HEAD, target_bytes: MOST_HEAD, headers: MOST_HEADERS };
        let (mut scan, mut head) = (HeadScan::default(), RequestHead::default());
        let parsed = if before == 0 {
            head::parse_request(bytes, &mut scan, &limits, &mut head)?
        } else {
            self.partial.extend_from_slice(bytes);
            head::parse_request(&self.partial, &mut scan, &limits, &mut head)?
        };
        let Some(length) = parsed else {
            if before == 0 {
                self.partial.extend_from_slice(bytes);
            }
            return Ok((bytes.len(), Piece::Nothing));
        };
        self.partial = Vec::new();
        let (request, asked) = translate(&head, setting)?;
        let body = Body::new(head.framing);
        let end = body.is_done() && asked.websocket.is_none();
        self.state = match (&asked.websocket, end) {
            (Some(_), _) => State::Tunnel,
            (None, true) => State::Done,
            (None, false) => State::Body(body, HeaderMap::new()),
        };
        Ok((length - before, Piece::Head(Box::new(Head { request, asked, end }))))
    }
}

/// One run of a body.
pub(super) fn content<'b>(
    body: &mut Body,
    trailers: &mut HeaderMap,
    partial: &mut Vec<u8>,
    bytes: &'b [u8],
) -> Result<(usize, Piece<'b>), Reason> {
    if body.certain_bytes() != Some(0) {
        let Run::Payload(count) = body.read(bytes)? else { return Err(Reason::BadChunk) };
        return Ok((count, Piece::Content(&bytes[..count], body.is_done())));
    }
    // A line, or the end of a chunk's content, which both end with a line feed.
    let count = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1);
    let (now, whole) = (&bytes[..count], bytes[..count].ends_with(b"\n"));
    if partial.len() + count > LONGEST_TRAILER + 2 {
        return Err(Reason::BadChunk);
    }
    if !(whole && partial.is_empty()) {
        partial.extend_from_slice(now);
    }
    if !whole {
        return Ok((count, Piece::Nothing));
    }
    let line = if partial.is_empty() { now } else { partial.as_slice() };
    let in_trailers = body.is_in_trailers();
    if body.read(line)? != Run::Framing(line.len()) {
        return Err(Reason::BadChunk);
    }
    if in_trailers && !body.is_done() {
        let colon = memchr::memchr(b':', line).ok_or(Reason::BadChunk)?;
        append(trailers, &line[..colon], line[colon + 1..].trim_ascii())?;
    }
    partial.clear();
    let piece = match body.is_done() {
        false => Piece::Nothing,
        true if trailers.is_empty() => Piece::End,
        true => Piece::Trailers(std::mem::take(trailers)),
    };
    Ok((count, piece))
}

/// What HTTP/2 sends for this head.
fn translate(head: &RequestHead, setting: Setting<'_>) -> Result<(Request<()>, Asked), Reason> {
    let websocket = setting.extended_connect && upgrade_of(head) == Upgrade::WebSocket;
    let method = Method::from_bytes(head.method_text()).map_err(|_| Reason::BadRequest)?;
    let asked = Asked {
        head_only: method == Method::HEAD,
        websocket: websocket
            .then(|| head.fields.named("sec-websocket-key").next().unwrap_or_default().into()),
    };
    let mut request = Request::new(());
    *request.uri_mut() = uri(head, setting)?;
    *request.method_mut() = if websocket { Method::CONNECT } else { method };
    *request.version_mut() = Version::HTTP_2;
    let fields = &head.fields;
    for field in fields.list() {
        let (name, value) = (fields.text(field.name), fields.text(field.value));
        match field.known {
            Known::Host | Known::Connection | Known::TransferEncoding | Known::Upgrade => continue,
            Known::HopByHop if name.eq_ignore_ascii_case(b"te") => {
                // RFC 9113 §8.2.2: the one word that may be said.
                if elements(value).any(|element| element.eq_ignore_ascii_case(b"trailers")) {
                    request.headers_mut().insert(http::header::TE, HeaderValue::from_static("trailers"));
                }
                continue;
            }
            Known::HopByHop => continue,
            // Its answer is made here: HTTP/2 needs no proof that the server understood (RFC 8441 §5).
            _ if websocket && name.eq_ignore_ascii_case(b"sec-websocket-key") => continue,
            _ => {}
        }
        append(request.headers_mut(), name, value)?;
    }
    Ok((request, asked))
}

/// Scheme, authority, path and query, exactly as they were.
fn uri(head: &RequestHead, setting: Setting<'_>) -> Result<Uri, Reason> {
    let host = head.fields.values(Known::Host).next().unwrap_or_default();
    let authority = if host.is_empty() { setting.authority_if_missing.as_bytes() } else { host };
    let target = head.whole_target();
    let uri = Uri::builder().scheme(setting.scheme).authority(authority).path_and_query(target).build();
    let uri = uri.map_err(|_| Reason::BadRequest)?;
    let same = |ours: Option<&str>, theirs: &[u8]| ours.is_some_and(|ours| ours.as_bytes() == theirs);
    let unchanged = same(uri.authority().map(|authority| authority.as_str()), authority)
        && same(uri.path_and_query().map(|target| target.as_str()), target);
    if unchanged { Ok(uri) } else { Err(Reason::BadRequest) }
}

/// Adds a field; its name loses its case (RFC 9113 §8.2).
pub(super) fn append(map: &mut HeaderMap, name: &[u8], value: &[u8]) -> Result<(), Reason> {
    let name = HeaderName::from_bytes(name).map_err(|_| Reason::BadRequest)?;
    let mut value = HeaderValue::from_bytes(value).map_err(|_| Reason::BadRequest)?;
    // Many clients share the compression of a connection: one could find out what another sends (RFC 7541 §7.1.3).
    value.set_sensitive(matches!(name.as_str(), "authorization" | "cookie" | "proxy-authorization"));
    map.try_append(name, value).map(drop).map_err(|_| Reason::TooManyHeaders)
}

#[cfg(test)]
mod tests;
