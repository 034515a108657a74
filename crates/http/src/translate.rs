//! Between the messages of HTTP/1 and those of HTTP/2 (RFC 9113 §8), without the connections.
//!
//! Routing, retries, rewriting and logs know HTTP/1 messages only. What is spoken on a multiplexed connection is made
//! of them, or into them, here: byte for byte the same names, values and content; only what frames a message differs.

pub mod request_from_h2;
pub mod request_to_h2;
pub mod response_from_h2;
pub mod response_to_h2;

/// Blanks begin or end this value, as no value may (RFC 9113 §8.2.1). A parser of HTTP/1.1 would take them away, so that the
/// value would be another.
fn has_blanks_around(value: &http::HeaderValue) -> bool {
    let value = value.as_bytes();
    [value.first(), value.last()].into_iter().flatten().any(|byte| matches!(byte, b' ' | b'\t'))
}
