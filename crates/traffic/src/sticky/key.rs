//! The key that signs cookies. It is never shown: its `Debug` form is the same for all keys.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The least bytes of a secret: as many as the key has. A text of 32 characters may be weaker than that; this bound only
/// keeps passwords out.
pub const SHORTEST_SECRET: usize = 32;
/// Sets this use of a secret apart from any other.
const PURPOSE: &[u8] = b"evenkeel sticky cookie\0";
/// The block of SHA-256, to which HMAC pads a key with zeros (RFC 2104 §2).
const BLOCK: usize = 64;

/// A key of 256 bits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key([u8; 32]);

/// A secret has too few bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooShort {
    /// As many.
    pub bytes: usize,
}

impl Key {
    /// A key of random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key that a secret of any form and length stands for. White space at its end is no part of it, because
    /// editors add it.
    ///
    /// # Errors
    /// When it has less than [`SHORTEST_SECRET`] bytes.
    pub fn from_secret(secret: &[u8]) -> Result<Self, TooShort> {
        let secret = secret.trim_ascii_end();
        if secret.len() < SHORTEST_SECRET {
            return Err(TooShort { bytes: secret.len() });
        }
        Ok(Self(Sha256::new().chain_update(PURPOSE).chain_update(secret).finalize().into()))
    }

    /// The code of a message, given in parts.
    pub(super) fn code(&self, message: &[&[u8]]) -> [u8; 32] {
        let mut block = [0; BLOCK];
        for (place, byte) in block.iter_mut().zip(self.0) {
            *place = byte;
        }
        let mut mac = Hmac::<Sha256>::new(&block.into());
        for part in message {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        STANDARD.encode(key.0)
    }
}

impl TryFrom<String> for Key {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = STANDARD.decode(text).map_err(|_| "a key is written in base64")?;
        Ok(Self(bytes.try_into().map_err(|_| "a key has 32 bytes")?))
    }
}
