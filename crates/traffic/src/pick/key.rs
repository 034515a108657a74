//! What of a request decides with `balance = { hash = … }`.
//!
//! Bytes count as the client sent them; nothing is decoded. Invariant: the same bytes give the same hash on every
//! machine, in every version: XXH3 with 64 bits and seed 0 (<https://github.com/Cyan4973/xxHash>, since 0.8.0).

use std::fmt;

use evenkeel_http::{cookie, uri};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::source;
use crate::route::Facts;

/// A key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Key {
    /// The client's address.
    Source {
        /// The leading bits of an IPv6 address that count, 1 to [`source::WHOLE_ADDRESS`].
        ipv6_prefix: u8,
    },
    /// The path without query.
    Path,
    /// The path with its query.
    Uri,
    /// The first field of this (lower-case) name.
    Header(String),
    /// The first cookie of this name.
    Cookie(String),
    /// The first parameter of this name in the query.
    Query(String),
    /// The name of the server that a TLS client asks for, in lower case.
    Sni,
}

impl Key {
    /// The hash of what the key finds; `None` when it is not there.
    #[must_use]
    pub fn hash(&self, facts: &impl Facts) -> Option<u64> {
        let some = |bytes: &[u8]| (!bytes.is_empty()).then(|| xxh3_64(bytes));
        match self {
            Self::Source { ipv6_prefix } => Some(source::hash(facts.source()?, *ipv6_prefix)),
            Self::Path => some(facts.path()),
            Self::Uri => some(facts.target()),
            Self::Header(name) => {
                let mut found = None;
                facts.any_header(name, &mut |value| {
                    found = some(value);
                    true
                });
                found
            }
            Self::Cookie(name) => {
                let mut found = None;
                facts.any_header("cookie", &mut |value| {
                    found = cookie::find(value, name.as_bytes()).and_then(some);
                    found.is_some()
                });
                found
            }
            Self::Query(name) => uri::query_value(facts.target(), name.as_bytes()).and_then(some),
            Self::Sni => some(&facts.sni().to_ascii_lowercase()),
        }
    }

    /// Says whether a request has it.
    #[must_use]
    pub fn is_of_requests(&self) -> bool {
        *self != Self::Sni
    }

    /// Says whether a connection without a request has it.
    #[must_use]
    pub fn is_of_connections(&self) -> bool {
        matches!(self, Self::Source { .. } | Self::Sni)
    }
}

/// As the file writes it.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source { .. } => f.write_str("\"source\""),
            Self::Path => f.write_str("\"path\""),
            Self::Uri => f.write_str("\"uri\""),
            Self::Header(name) => write!(f, "{{ header = \"{name}\" }}"),
            Self::Cookie(name) => write!(f, "{{ cookie = \"{name}\" }}"),
            Self::Sni => f.write_str("\"sni\""),
            Self::Query(name) => write!(f, "{{ query = {name:?} }}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    struct Request;

    impl Facts for Request {
        fn host(&self) -> &[u8] {
            b"example.com"
        }
        fn path(&self) -> &[u8] {
            b"/a"
        }
        fn target(&self) -> &[u8] {
            b"/a?user=u1&empty=&x=%41"
        }
        fn method(&self) -> &[u8] {
            b"GET"
        }
        fn any_header(&self, name: &str, each: &mut dyn FnMut(&[u8]) -> bool) -> bool {
            match name {
                "x-user" => each(b"u1") || each(b"u2"),
                "cookie" => each(b"a=1; id=u1") || each(b"id=u2"),
                _ => false,
            }
        }
        fn source(&self) -> Option<IpAddr> {
            None
        }
        fn sni(&self) -> &[u8] {
            b"WWW.example.com"
        }
    }

    #[test]
    fn each_key_hashes_the_bytes_it_names() {
        let user = Some(xxh3_64(b"u1"));
        assert_eq!(Key::Header("x-user".into()).hash(&Request), user);
        assert_eq!(Key::Cookie("id".into()).hash(&Request), user);
        assert_eq!(Key::Query("user".into()).hash(&Request), user);
        assert_eq!(Key::Query("x".into()).hash(&Request), Some(xxh3_64(b"%41")));
        assert_eq!(Key::Path.hash(&Request), Some(xxh3_64(b"/a")));
        assert_eq!(Key::Sni.hash(&Request), Some(xxh3_64(b"www.example.com")));
        assert_eq!(Key::Uri.hash(&Request), Some(xxh3_64(b"/a?user=u1&empty=&x=%41")));
    }

    #[test]
    fn what_is_absent_or_empty_is_no_key() {
        for key in [
            Key::Header("x-other".into()),
            Key::Cookie("other".into()),
            Key::Query("other".into()),
            Key::Query("empty".into()),
            Key::Source { ipv6_prefix: 64 },
        ] {
            assert_eq!(key.hash(&Request), None, "{key}");
        }
    }

    #[test]
    fn the_hash_is_the_published_one() {
        // The XXH3_64bits of no input, from the specification's reference implementation.
        assert_eq!(xxh3_64(b""), 0x2d06_8005_38d3_94c2);
    }
}
