//! `send-proxy-protocol` of a pool: what servers are told about a client before its first byte.

use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SendProxy {
    /// `"v1"`: the addresses, as text.
    V1,
    /// `"v2"`: the addresses, and `extensions`.
    V2(Extensions),
}

/// `extensions`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extensions {
    /// `"authority"`: the name that the client asks for.
    pub authority: bool,
    /// `"alpn"`: the protocol that it has agreed on.
    pub alpn: bool,
    /// `"ssl"`: how it has come over TLS.
    pub ssl: bool,
    /// `"crc32c"`: a checksum.
    pub checksum: bool,
}
