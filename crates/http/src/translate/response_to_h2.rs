//! A response in HTTP/1.1 bytes, as the pieces that HTTP/2 sends (RFC 9113 §8.3.2).
//!
//! The counterpart of [`super::request_to_h2`], and under the same invariants.

use http::header::{HeaderMap, SEC_WEBSOCKET_ACCEPT};
use http::{Method as Asked, Response, StatusCode, Version};

use super::request_to_h2::{self, append, content};
use crate::answer::Reason;
use crate::body::Body;
use crate::head::{self, HeadScan, Known, Method, ResponseHead};
use crate::limits::{Limits, MOST_HEADERS};

/// Bytes of a head: what a server may send, and what is added to it.
const MOST_HEAD: u32 = 2 * 64 * 1024;

/// A response on its way.
#[derive(Debug)]
pub struct ResponseToH2 {
    method: Method,
    /// `Sec-WebSocket-Accept` that a server must give to agree.
    accept: Option<Box<str>>,
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
    /// An interim response.
    Interim(Response<()>),
    /// The head; `true` when nothing follows.
    Head(Response<()>, bool),
    /// Content; `true` when it is the last of it.
    Content(&'b [u8], bool),
    /// The end, with these trailers.
    Trailers(HeaderMap),
    /// The end.
    End,
}

impl ResponseToH2 {
    /// The response to a request with this method. `accept` is what agrees to the other protocol that it asks for.
    #[must_use]
    pub fn new(method: &Asked, accept: Option<&str>) -> Self {
        let method = if *method == Asked::HEAD { Method::Head } else { Method::Other };
        Self { method, accept: accept.map(Box::from), state: State::Head, partial: Vec::new() }
    }

    /// Says whether the next bytes are content, of which no more is to be given than the client takes.
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

    /// Says whether the end of the connection is the proper end of what was given so far.
    #[must_use]
    pub fn may_end(&self) -> bool {
        match &self.state {
            State::Head => false,
            State::Body(body, _) => body.ends_with_connection(),
            State::Tunnel | State::Done => true,
        }
    }

    /// The connection has ended.
    pub fn finish(&mut self) {
        self.state = State::Done;
    }

    /// Takes bytes from the front of `bytes` and says how many, and what they are. Takes at least one, unless there is
    /// none or everything was named.
    ///
    /// # Errors
    /// When the response cannot be understood or HTTP/2 cannot carry it.
    // fuzz: response_to_h2
    pub fn next<'b>(&mut self, bytes: &'b [u8]) -> Result<(usize, Piece<'b>), Reason> {
        match &mut self.state {
            _ if bytes.is_empty() => Ok((0, Piece::Nothing)),
            State::Done => Ok((0, Piece::Nothing)),
            State::Tunnel => Ok((bytes.len(), Piece::Content(bytes, false))),
            State::Head => self.head(bytes),
            State::Body(body, trailers) => {
                let (count, piece) = content(body, trailers, &mut self.partial, bytes)?;
                if body.is_done() {
                    self.state = State::Done;
                }
                let piece = match piece {
                    request_to_h2::Piece::Content(bytes, end) => Piece::Content(bytes, end),
                    request_to_h2::Piece::Trailers(trailers) => Piece::Trailers(trailers),
                    request_to_h2::Piece::End => Piece::End,
                    request_to_h2::Piece::Nothing | request_to_h2::Piece::Head(_) => Piece::Nothing,
                };
                Ok((count, piece))
            }
        }
    }

    fn head<'b>(&mut self, bytes: &'b [u8]) -> Result<(usize, Piece<'b>), Reason> {
        let before = self.partial.len();
        let limits = Limits { head_bytes: MOST_HEAD, target_bytes: MOST_HEAD, headers: MOST_HEADERS };
        let (mut scan, mut head) = (HeadScan::default(), ResponseHead::default());
        let parsed = if before == 0 {
            head::parse_response(bytes, &mut scan, &limits, self.method, &mut head)?
        } else {
            self.partial.extend_from_slice(bytes);
            head::parse_response(&self.partial, &mut scan, &limits, self.method, &mut head)?
        };
        let Some(length) = parsed else {
            if before == 0 {
                self.partial.extend_from_slice(bytes);
            }
            return Ok((bytes.len(), Piece::Nothing));
        };
        self.partial = Vec::new();
        let mut response = translate(&head)?;
        let piece = if head.is_interim() {
            Piece::Interim(response)
        } else if head.status == 101 {
            let given = response.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
            let agreed =
                self.accept.as_deref().is_some_and(|wanted| given.is_some_and(|given| given == wanted));
            if !agreed {
                return Err(Reason::BadResponse);
            }
            *response.status_mut() = StatusCode::OK;
            self.state = State::Tunnel;
            Piece::Head(response, false)
        } else if self.accept.is_some() && response.status().is_success() {
            // The client would take it for an agreement (RFC 8441 §5).
            return Err(Reason::BadResponse);
        } else {
            let body = Body::new(head.framing);
            let end = body.is_done();
            self.state = if end { State::Done } else { State::Body(body, HeaderMap::new()) };
            Piece::Head(response, end)
        };
        Ok((length - before, piece))
    }
}

/// What HTTP/2 sends for this head: all but what is about the connection (RFC 9113 §8.2.2).
fn translate(head: &ResponseHead) -> Result<Response<()>, Reason> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(head.status).map_err(|_| Reason::BadResponse)?;
    *response.version_mut() = Version::HTTP_2;
    let fields = &head.fields;
    for field in fields.list() {
        match field.known {
            Known::Connection | Known::TransferEncoding | Known::Upgrade | Known::HopByHop => {}
            _ => append(response.headers_mut(), fields.text(field.name), fields.text(field.value))
                .map_err(|_| Reason::BadResponse)?,
        }
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What was sent, in words, when the response comes in pieces of this size.
    fn sent(method: &Asked, accept: Option<&str>, text: &[u8], piece: usize) -> Result<Vec<String>, Reason> {
        let mut response = ResponseToH2::new(method, accept);
        let (mut said, mut content) = (Vec::new(), Vec::new());
        for mut bytes in text.chunks(piece.max(1)) {
            while !bytes.is_empty() && !response.is_done() {
                let (count, piece) = response.next(bytes)?;
                assert!(count > 0);
                bytes = &bytes[count..];
                match piece {
                    Piece::Nothing => {}
                    Piece::Interim(interim) => said.push(format!("interim {}", interim.status())),
                    Piece::Head(head, end) => {
                        let names: Vec<_> = head.headers().keys().map(|name| name.as_str()).collect();
                        said.push(format!("{} {} end={end}", head.status(), names.join(",")));
                    }
                    Piece::Content(bytes, _) => content.extend_from_slice(bytes),
                    Piece::Trailers(trailers) => said.push(format!("trailers {}", trailers.len())),
                    Piece::End => said.push("end".to_owned()),
                }
            }
        }
        said.push(String::from_utf8(content).unwrap());
        Ok(said)
    }

    #[test]
    fn every_framing_comes_to_its_end() {
        for piece in [1, 2, 7, 1000] {
            let counted = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
            assert_eq!(
                sent(&Asked::GET, None, counted, piece).unwrap(),
                ["200 OK content-length end=false", "hello"]
            );
            let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n3\r\nabc\r\n0\r\ngrpc-status: 0\r\n\r\n";
            assert_eq!(
                sent(&Asked::GET, None, chunked, piece).unwrap(),
                ["200 OK x end=false", "trailers 1", "abc"]
            );
            let bare = b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n";
            assert_eq!(sent(&Asked::GET, None, bare, piece).unwrap(), ["304 Not Modified etag end=true", ""]);
            let interim =
                b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
            assert_eq!(
                sent(&Asked::HEAD, None, interim, piece).unwrap(),
                ["interim 103 Early Hints", "200 OK content-length end=true", ""]
            );
        }
    }

    #[test]
    fn what_ends_with_its_connection_may_end_at_any_time() {
        let mut response = ResponseToH2::new(&Asked::GET, None);
        assert!(!response.may_end());
        let text = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
        assert!(matches!(response.next(text), Ok((_, Piece::Head(_, false)))));
        assert!(response.may_end() && !response.is_done());
        let mut counted = ResponseToH2::new(&Asked::GET, None);
        counted.next(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").unwrap();
        assert!(!counted.may_end());
    }

    #[test]
    fn another_protocol_is_agreed_on_only_with_its_proof() {
        let text = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: abc\r\n\r\nraw";
        assert_eq!(sent(&Asked::CONNECT, Some("abc"), text, 100).unwrap(), ["200 OK  end=false", "raw"]);
        assert_eq!(sent(&Asked::CONNECT, Some("xyz"), text, 100), Err(Reason::BadResponse));
        assert_eq!(sent(&Asked::GET, None, text, 100), Err(Reason::BadResponse));
        // A page is no agreement, though its status says to HTTP/2 that it is one.
        let page = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(sent(&Asked::CONNECT, Some("abc"), page, 100), Err(Reason::BadResponse));
        let refused = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
        let said = ["403 Forbidden content-length end=false", "no"];
        assert_eq!(sent(&Asked::CONNECT, Some("abc"), refused, 100).unwrap(), said);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            content in "[a-z]{0,60}",
            piece in 1usize..20,
            chunk in 1usize..20,
        ) {
            let mut text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for part in content.as_bytes().chunks(chunk) {
                text.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                text.extend_from_slice(part);
                text.extend_from_slice(b"\r\n");
            }
            text.extend_from_slice(b"0\r\n\r\n");
            let sent = sent(&Asked::GET, None, &text, piece).unwrap();
            prop_assert_eq!(sent, ["200 OK  end=false".to_owned(), "end".to_owned(), content]);
        }
    }
}
