//! What both nodes know and nobody else does.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The shortest secret, in bytes: 24 random bytes in base64 have as many.
pub const SHORTEST_SECRET: usize = 32;
/// Mixed into the secret, so that the same file used for something else gives another key.
const PURPOSE: &[u8] = b"Evenkeel pair, key 1\n";

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
    /// The key that a secret of any form stands for. White space at its end is no part of it, because editors add it.
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

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_the_same_with_a_line_end_and_another_with_another_byte() {
        let key = |secret: &[u8]| Key::from_secret(secret);
        assert_eq!(key(&[b'a'; 31]), Err(TooShort { bytes: 31 }));
        assert_eq!(key(b"                                      "), Err(TooShort { bytes: 0 }));
        let written = key(&[b'a'; 32]).unwrap();
        assert_eq!(key(&[[b'a'; 32].as_slice(), b"\r\n"].concat()), Ok(written.clone()));
        assert_ne!(key(&[[b'a'; 31].as_slice(), b"b"].concat()), Ok(written));
    }

    #[test]
    fn a_key_is_shown_to_nobody_but_the_role() {
        let key = Key::from_secret(&[b'a'; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "Key(…)");
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<Key>(&text).unwrap(), key);
        assert!(serde_json::from_str::<Key>("\"AAAA\"").is_err());
    }
}
