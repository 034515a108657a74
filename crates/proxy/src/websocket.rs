//! What WebSocket asks of both sides over HTTP/1.1 (RFC 6455 §4), for the side that speaks HTTP/2 and says none of it.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What the key of a client is joined with.
const WORD: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// `Sec-WebSocket-Accept` for this `Sec-WebSocket-Key`.
pub(crate) fn accept(key: &[u8]) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, WORD].concat()))
}

/// A `Sec-WebSocket-Key`: 16 bytes at random. It proves nothing but that the server understood the question.
pub(crate) fn key() -> String {
    let mut bytes = [0; 16];
    // Without entropy any bytes do.
    let _zeros = aws_lc_rs::rand::fill(&mut bytes);
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_example_of_the_standard_comes_out() {
        assert_eq!(super::accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
