//! A response of HTTP/2 as HTTP/1.1 bytes.
//!
//! Invariants: what is written is a message that [`crate::head::parse_response`] and [`crate::body`] understand in one
//! way, or nothing; a response whose end was not seen never looks complete, because its length or its last chunk is
//! missing.

use std::io::Write as _;

use http::header::HeaderMap;
use http::response::Parts;
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::has_blanks_around;
use super::request_to_h2::Asked;
use crate::answer::Reason;
use crate::body::{LONGEST_TRAILER, MOST_TRAILER_BYTES};
use crate::grpc;
use crate::head::{Known, is_token};

/// How the content of a response goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// As it is: its length was said.
    Length,
    /// In chunks: [`chunk`] before each piece and a line end behind it, [`last_chunk`] at the end.
    Chunked,
    /// As it is, until the stream ends: another protocol was agreed on.
    Tunnel,
}

/// Appends an interim response (1xx).
///
/// # Errors
/// [`Reason::BadResponse`] when it is none that HTTP/2 knows.
pub fn interim(parts: &Parts, out: &mut Vec<u8>) -> Result<(), Reason> {
    if !parts.status.is_informational() || parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Reason::BadResponse);
    }
    status_line(parts.status, out);
    fields(&parts.headers, |_| true, out)?;
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Appends the head of the final response to what was `asked`; `end` says that nothing follows it. `websocket_accept`
/// proves to the client that its wish to speak WebSocket was understood.
///
/// # Errors
/// [`Reason::BadResponse`] when HTTP/1.1 has no such response.
pub fn head(
    parts: &Parts,
    asked: &Asked,
    websocket_accept: &str,
    end: bool,
    out: &mut Vec<u8>,
) -> Result<Framing, Reason> {
    let Parts { status, headers, .. } = parts;
    if status.is_informational() {
        return Err(Reason::BadResponse);
    }
    if asked.websocket.is_some() && status.is_success() {
        status_line(StatusCode::SWITCHING_PROTOCOLS, out);
        let framing = [header::CONTENT_LENGTH, header::SEC_WEBSOCKET_ACCEPT];
        fields(headers, |name| !framing.contains(name), out)?;
        out.extend_from_slice(b"upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ");
        out.extend_from_slice(websocket_accept.as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
        return Ok(Framing::Tunnel);
    }
    let bare = asked.head_only || matches!(status.as_u16(), 204 | 304);
    // HTTP/1.1 has trailers behind chunks only. Where they matter a length is not said.
    let trailers = !bare && !end && (grpc::is_grpc(headers) || headers.contains_key(header::TRAILER));
    let length = headers.contains_key(header::CONTENT_LENGTH) && !trailers;
    status_line(*status, out);
    fields(headers, |name| length || *name != header::CONTENT_LENGTH, out)?;
    let framing = match () {
        () if bare => Framing::None,
        () if length => Framing::Length,
        () if end => {
            out.extend_from_slice(b"content-length: 0\r\n");
            Framing::None
        }
        () => {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
            Framing::Chunked
        }
    };
    out.extend_from_slice(b"\r\n");
    Ok(framing)
}

/// Appends what comes before a piece of content, which must not be empty.
pub fn chunk(length: usize, out: &mut Vec<u8>) {
    let _infallible = write!(out, "{length:x}\r\n");
}

/// Appends the end of content in chunks. Trailers that would frame, route or authenticate are left out (RFC 9110
/// §6.5.1).
///
/// # Errors
/// [`Reason::BadResponse`] when the trailers are malformed, or larger than HTTP/1.1 clients take them.
pub fn last_chunk(trailers: Option<&HeaderMap>, out: &mut Vec<u8>) -> Result<(), Reason> {
    out.extend_from_slice(b"0\r\n");
    let begin = out.len();
    for (name, value) in trailers.into_iter().flatten() {
        if is_malformed(name, value) {
            return Err(Reason::BadResponse);
        }
        if Known::of(name.as_str().as_bytes()) != Known::Other {
            continue;
        }
        let line = field(name, value.as_bytes(), out);
        if line > LONGEST_TRAILER || out.len() - begin > MOST_TRAILER_BYTES {
            return Err(Reason::BadResponse);
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

fn status_line(status: StatusCode, out: &mut Vec<u8>) {
    for part in ["HTTP/1.1 ", status.as_str(), " ", status.canonical_reason().unwrap_or_default(), "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Appends the fields that are to be kept.
fn fields(headers: &HeaderMap, keep: impl Fn(&HeaderName) -> bool, out: &mut Vec<u8>) -> Result<(), Reason> {
    for (name, value) in headers {
        if is_malformed(name, value) {
            return Err(Reason::BadResponse);
        }
        match Known::of(name.as_str().as_bytes()) {
            // RFC 9113 §8.2.2: such a message is malformed.
            Known::Connection | Known::TransferEncoding | Known::Upgrade | Known::HopByHop => {
                return Err(Reason::BadResponse);
            }
            _ if keep(name) => drop(field(name, value.as_bytes(), out)),
            _ => {}
        }
    }
    Ok(())
}

/// RFC 9113 §8.2.1. The library lets more bytes be in a name than HTTP/1.1 does. A message of gRPC may end with a blank,
/// which its encoding leaves as it is, and HTTP/1.1 takes it away.
fn is_malformed(name: &HeaderName, value: &HeaderValue) -> bool {
    !is_token(name.as_str().as_bytes()) || has_blanks_around(value) && *name != "grpc-message"
}

/// Appends a field; says how long its line is without its end.
fn field(name: &HeaderName, value: &[u8], out: &mut Vec<u8>) -> usize {
    let begin = out.len();
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    let length = out.len() - begin;
    out.extend_from_slice(b"\r\n");
    length
}

#[cfg(test)]
mod tests;
