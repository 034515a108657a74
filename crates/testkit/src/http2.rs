//! HTTP/2 on raw frames (RFC 9113), for a client and for a server: what is sent is exactly what a test says, so that tests
//! can be wrong on purpose.
//!
//! It shares no code with the program under test: a mistake made twice would hide itself.

mod client;
mod hpack;
mod server;
mod wire;

pub use client::{Answer, Http2, get, post, trusting};
pub use hpack::{fields, read as read_fields};
pub use server::{Http2Peer, Http2Server, Request};
pub use wire::Wire;

/// What a client says first (§3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The kinds of frames (§6) by number.
pub mod kind {
    #![expect(missing_docs, reason = "the names are those of RFC 9113 §6")]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags of frames.
pub mod flag {
    #![expect(missing_docs, reason = "the names are those of RFC 9113 §6")]
    pub const ACK: u8 = 1;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
    pub const PRIORITY: u8 = 32;
}

/// Names and values.
pub type Fields = Vec<(String, String)>;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// One of [`kind`], or any other.
    pub kind: u8,
    /// [`flag`]s.
    pub flags: u8,
    /// The stream, or 0.
    pub stream: u32,
    /// What follows the header.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A frame of any kind.
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags, stream, payload: payload.into() }
    }

    /// As it is sent.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).expect("a short frame").to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], self.kind, self.flags];
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// The four bytes at `place` of the payload: an error code, an identifier, an increment.
    #[must_use]
    pub fn number(&self, place: usize) -> u32 {
        let bytes = self.payload.get(place..place + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(u32::MAX, u32::from_be_bytes)
    }

    /// Whether this flag is set.
    #[must_use]
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// How a response, or a stream, ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// With END_STREAM.
    Clean,
    /// With RST_STREAM and this code.
    Reset(u32),
    /// With a GOAWAY of an error that counts for the whole connection.
    GoAway(u32),
    /// With the connection, without a word.
    #[default]
    Closed,
}

/// The payload of SETTINGS.
#[must_use]
pub fn settings_payload(settings: &[(u16, u32)]) -> Vec<u8> {
    settings
        .iter()
        .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect()
}

/// The value of a setting in the payload of SETTINGS; the last of the same counts.
#[must_use]
pub fn setting(payload: &[u8], name: u16) -> Option<u32> {
    let found = payload.chunks_exact(6).rfind(|setting| setting[..2] == name.to_be_bytes())?;
    Some(u32::from_be_bytes([found[2], found[3], found[4], found[5]]))
}
