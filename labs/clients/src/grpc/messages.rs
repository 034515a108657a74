//! The messages, written by hand: two do not need a compiler of their own.

use prost::bytes::Bytes;

/// What is said either way.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Piece {
    #[prost(uint64, tag = "1")]
    pub(crate) number: u64,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) content: Bytes,
}

impl Piece {
    pub(crate) fn new(number: u64, content: impl Into<Bytes>) -> Self {
        Self { number, content: content.into() }
    }
}

/// How many calls that can only be called off have begun at the server since it was started, and how many have ended.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct Tally {
    #[prost(uint64, tag = "1")]
    pub(crate) begun: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) ended: u64,
}
