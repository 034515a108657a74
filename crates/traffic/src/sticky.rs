//! Sticky sessions: the cookie that brings a client back to the server that answered it before.
//!
//! The cookie's value is a token: HMAC-SHA256 (RFC 2104, FIPS 180-4) over the names of pool and server, under a key that
//! only the balancers have. Invariants: names and key give the same token on every machine, in every version; a token
//! says nothing about the server to whoever lacks the key, and cannot be made without it; neither keys nor tokens are
//! in the `Debug` form of anything. It decides nothing about whether a server can take the request.

mod key;

use std::fmt::{self, Write};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub use key::{Key, SHORTEST_SECRET, TooShort};

use crate::name::Name;

/// Bytes of the code that are used: 128 bits cannot be guessed, and RFC 2104 §5 asks for at least half of the 256.
const CODE_BYTES: usize = 16;
/// The length of a token: base64url without padding.
pub const TOKEN_LENGTH: usize = 22;

/// What the cookie is called and how browsers are to treat it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// `SameSite`.
    pub same_site: SameSite,
    /// `Secure`.
    pub secure: Secure,
    /// `Max-Age` in whole seconds; `None` ends with the browser.
    pub max_age: Option<Duration>,
    /// `Domain`; `None` is the host of the request alone.
    pub domain: Option<String>,
}

/// When a browser sends the cookie along with a request that another site made it send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SameSite {
    /// When the user follows a link.
    Lax,
    /// Never.
    Strict,
    /// Always.
    None,
}

impl SameSite {
    /// As the file writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lax => "lax",
            Self::Strict => "strict",
            Self::None => "none",
        }
    }
}

/// Whether a browser sends the cookie over TLS only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Secure {
    /// When it got it over TLS.
    Auto,
    /// Yes.
    Always,
    /// No.
    Never,
}

impl Cookie {
    /// The attributes (RFC 6265 §4.1, `SameSite` as in its successor), each with `; ` before it. `tls`: the client came
    /// over TLS.
    #[must_use]
    pub fn attributes(&self, tls: bool) -> String {
        let mut text = String::from("; Path=/");
        if let Some(domain) = &self.domain {
            // A string takes whatever is written, here and below.
            let _written = write!(text, "; Domain={domain}");
        }
        if let Some(age) = self.max_age {
            let _written = write!(text, "; Max-Age={}", age.as_secs());
        }
        text.push_str("; HttpOnly");
        if self.secure == Secure::Always || (self.secure == Secure::Auto && tls) {
            text.push_str("; Secure");
        }
        text.push_str(match self.same_site {
            SameSite::Lax => "; SameSite=Lax",
            SameSite::Strict => "; SameSite=Strict",
            SameSite::None => "; SameSite=None",
        });
        text
    }
}

/// The value of the cookie that names a server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token([u8; TOKEN_LENGTH]);

impl Token {
    /// The token of a server.
    #[must_use]
    pub fn new(key: &Key, pool: &Name, server: &Name) -> Self {
        // No name has a NUL, so no two pairs of names give the same bytes.
        let code = key.code(&[pool.as_str().as_bytes(), b"\0", server.as_str().as_bytes()]);
        let mut text = [0; TOKEN_LENGTH];
        // It is the right length for so many bytes; otherwise no token would ever be recognized.
        let _length = URL_SAFE_NO_PAD.encode_slice(code.get(..CODE_BYTES).unwrap_or_default(), &mut text);
        Self(text)
    }

    /// As it stands in the cookie.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The tokens of a pool, to be looked up in both directions.
///
/// A value is searched by its hash under a secret seed, so that the time it takes tells nothing about how much of a
/// guess is right: the bytes are compared only when all 64 bits of the hash agree.
#[derive(Debug)]
pub struct Tokens {
    seed: u64,
    /// In the order of the servers.
    tokens: Box<[Token]>,
    /// Hashes of the tokens, sorted, and which they are.
    hashes: Box<[(u64, usize)]>,
}

impl Tokens {
    /// Works the tokens of these servers out.
    #[must_use]
    pub fn new<'a>(key: &Key, pool: &Name, servers: impl Iterator<Item = &'a Name>) -> Self {
        // Names make no such message: it has no NUL.
        let [a, b, c, d, e, f, g, h, ..] = key.code(&[b"lookup"]);
        let seed = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let tokens: Box<[Token]> = servers.map(|server| Token::new(key, pool, server)).collect();
        let hash = |(index, token): (usize, &Token)| (xxh3_64_with_seed(&token.0, seed), index);
        let mut hashes: Box<[(u64, usize)]> = tokens.iter().enumerate().map(hash).collect();
        hashes.sort_unstable();
        Self { seed, tokens, hashes }
    }

    /// The token of the server at this place.
    #[must_use]
    pub fn of(&self, server: usize) -> Option<&Token> {
        self.tokens.get(server)
    }

    /// The place of the server that this value names.
    #[must_use]
    pub fn find(&self, value: &[u8]) -> Option<usize> {
        if value.len() != TOKEN_LENGTH {
            return None;
        }
        let hash = xxh3_64_with_seed(value, self.seed);
        let first = self.hashes.partition_point(|(other, _)| *other < hash);
        let same = self.hashes.iter().skip(first).take_while(|(other, _)| *other == hash);
        same.map(|(_, index)| *index).find(|&index| self.of(index).is_some_and(|token| token.0 == value))
    }

    /// What the cookies of one request say together: the first that names a server counts.
    pub fn claim<'a>(&self, values: impl Iterator<Item = &'a [u8]>) -> Claim {
        let mut claim = Claim::Nothing;
        for value in values {
            match self.find(value) {
                Some(server) => return Claim::Server(server),
                None => claim = Claim::Unknown,
            }
        }
        claim
    }
}

/// Which server a request says it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It has no cookie.
    Nothing,
    /// It has one that names no server of the pool: forged, of another key, or of a server that is gone.
    Unknown,
    /// It belongs to the server at this place.
    Server(usize),
}

impl Claim {
    /// The server that it belongs to.
    #[must_use]
    pub fn server(self) -> Option<usize> {
        match self {
            Self::Server(server) => Some(server),
            Self::Nothing | Self::Unknown => None,
        }
    }

    /// What became of it when the server at place `answered` has answered.
    #[must_use]
    pub fn outcome(self, answered: usize) -> Outcome {
        match self {
            Self::Nothing => Outcome::New,
            Self::Unknown => Outcome::Unknown,
            Self::Server(server) if server == answered => Outcome::Kept,
            Self::Server(_) => Outcome::Moved,
        }
    }
}

/// What became of a request in a sticky pool. Everybody but [`Outcome::Kept`] gets a new cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its own server has answered.
    Kept,
    /// It had no cookie.
    New,
    /// Another server than its own has answered.
    Moved,
    /// Its cookie named no server.
    Unknown,
}

impl Outcome {
    /// Every outcome, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Kept, Self::New, Self::Moved, Self::Unknown];

    /// The word for it in status and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::New => "new",
            Self::Moved => "moved",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests;
