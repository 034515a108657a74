//! Between the messages of HTTP/1 and those of HTTP/2 (RFC 9113 §8), without the connections.
//!
//! Routing, retries, rewriting and logs know HTTP/1 messages only. What is spoken on a multiplexed connection is made
//! of them, or into them, here: byte for byte the same names, values and content; only what frames a message differs.

pub mod request_from_h2;
pub mod request_to_h2;
pub mod response_from_h2;
pub mod response_to_h2;
