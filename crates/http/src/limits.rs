//! The bounds of one message head, set by the operator and enforced by [`crate::head`].

use serde::{Deserialize, Serialize};

/// The most header fields a head may ever have, whatever the configuration says: the parser's table has this size.
pub const MOST_HEADERS: u16 = 256;

/// Bounds on the head of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of a whole head with its final empty line; beyond it the answer is 431 (502 for a server's response).
    pub head_bytes: u32,
    /// Bytes of the request target; beyond it the answer is 414.
    pub target_bytes: u32,
    /// Number of header fields, at most [`MOST_HEADERS`]; beyond it the answer is 431.
    pub headers: u16,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head_bytes: 16 * 1024, target_bytes: 8 * 1024, headers: 128 }
    }
}
