//! `protocol`: what requests are sent to the servers of a pool with.

use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// `"h1"`: HTTP/1.1, one request on a connection at a time.
    #[default]
    H1,
    /// `"h2"`: HTTP/2. With TLS a server must choose it, without it is spoken without asking.
    H2,
    /// `"auto"`: what a server chooses in the handshake of TLS.
    Auto,
}

impl Protocol {
    /// As the file names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::H1 => "h1",
            Self::H2 => "h2",
            Self::Auto => "auto",
        }
    }
}
