//! What tells friends from strangers: nothing, the password of version 2, or keepalived's HMAC.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The shortest and longest secret of an HMAC key, in bytes.
pub const SECRET_BYTES: std::ops::RangeInclusive<usize> = 32..=64;
/// The most HMAC keys that may be known at once.
pub const MOST_KEYS: usize = 8;

/// How advertisements prove that they come from a friend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Authentication {
    /// They do not.
    #[default]
    None,
    /// A password in clear (version 2 only): keeps out mistakes, not strangers.
    Pass(Password),
    /// keepalived's `auth_hmac` (unicast only): needs clocks that agree.
    Hmac(Hmac),
}

/// The eight bytes of a version 2 password.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Password(pub [u8; 8]);

impl Password {
    /// As keepalived reads it: cut after eight bytes, filled up with zeros.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut bytes = [0; 8];
        for (byte, &letter) in bytes.iter_mut().zip(text.as_bytes()) {
            *byte = letter;
        }
        Self(bytes)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}

/// The settings of keepalived's `auth_hmac`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hmac {
    /// Keys that are accepted, at most [`MOST_KEYS`], each id once.
    pub keys: Vec<Key>,
    /// The id of the one that seals what we send.
    pub active_key: u8,
    /// How strict we are, for a change without a gap.
    pub mode: Mode,
    /// How far the sender's clock may be from ours; `None`: three intervals, at least 5 s.
    pub window: Option<Duration>,
}

/// One shared secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// 1 to 255; travels in clear.
    pub id: u8,
    /// 32 to 64 bytes.
    pub secret: Vec<u8>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).field("secret", &"hidden").finish()
    }
}

/// The steps of a roll-out, in their order; each node takes one step at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Send without trailer; check the trailers that come; accept what has none.
    ReceiveOnly,
    /// Send with trailer; check the trailers that come; accept what has none.
    Permissive,
    /// Send with trailer; refuse what has none.
    Enforce,
}
