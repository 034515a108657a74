//! Where a listener listens and where a server answers.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest path of a unix socket, in bytes (`sun_path` of unix(7), less its final zero).
pub const LONGEST_UNIX_PATH: usize = 107;

/// An address of a listener or a server: `192.0.2.1:80`, `[2001:db8::1]:80` or `unix:/run/app.sock`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// TCP over IPv4 or IPv6.
    Tcp(SocketAddr),
    /// A unix stream socket with an absolute path.
    Unix(PathBuf),
}

/// Why a text is no [`Address`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidAddress {
    /// No port was given.
    NoPort,
    /// The port is no number from 1 to 65535.
    Port,
    /// The part before the port is a host name, not an address.
    HostName,
    /// The path of a unix socket is relative, empty or too long.
    UnixPath,
    /// Anything else.
    Other,
}

impl fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPort => "the port is missing",
            Self::Port => "the port must be a number from 1 to 65535",
            Self::HostName => "a host name stands where an IP address is needed",
            Self::UnixPath => "the path of a unix socket must be absolute and at most 107 bytes long",
            Self::Other => "this is no address",
        })
    }
}

impl std::error::Error for InvalidAddress {}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if let Some(path) = text.strip_prefix("unix:") {
            let fits = path.len() <= LONGEST_UNIX_PATH && !path.contains('\0');
            return if Path::new(path).is_absolute() && fits {
                Ok(Self::Unix(path.into()))
            } else {
                Err(InvalidAddress::UnixPath)
            };
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return if address.port() == 0 { Err(InvalidAddress::Port) } else { Ok(Self::Tcp(address)) };
        }
        Err(explain(text))
    }
}

/// Finds the most helpful reason why `text` is no socket address.
fn explain(text: &str) -> InvalidAddress {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<std::net::IpAddr>().is_ok() {
        return InvalidAddress::NoPort;
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        let like_a_name =
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
        return if like_a_name { InvalidAddress::NoPort } else { InvalidAddress::Other };
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return InvalidAddress::Port;
    }
    if bare.parse::<std::net::IpAddr>().is_ok() {
        return InvalidAddress::Other;
    }
    let like_a_name = !host.is_empty()
        && host.bytes().any(|b| b.is_ascii_alphabetic())
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
    if like_a_name { InvalidAddress::HostName } else { InvalidAddress::Other }
}

impl TryFrom<String> for Address {
    type Error = InvalidAddress;

    fn try_from(text: String) -> Result<Self, InvalidAddress> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_reads_back_as_it_was_written() {
        for text in ["192.0.2.1:80", "[2001:db8::1]:8080", "unix:/run/app.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn each_mistake_has_its_own_reason() {
        let reason = |text: &str| text.parse::<Address>().unwrap_err();
        assert_eq!(reason("192.0.2.1"), InvalidAddress::NoPort);
        assert_eq!(reason("[::1]"), InvalidAddress::NoPort);
        assert_eq!(reason("::1"), InvalidAddress::NoPort);
        assert_eq!(reason("example.com"), InvalidAddress::NoPort);
        assert_eq!(reason("192.0.2.1:0"), InvalidAddress::Port);
        assert_eq!(reason("192.0.2.1:http"), InvalidAddress::Port);
        assert_eq!(reason("192.0.2.1:70000"), InvalidAddress::Port);
        assert_eq!(reason("example.com:80"), InvalidAddress::HostName);
        assert_eq!(reason("unix:run/app.sock"), InvalidAddress::UnixPath);
        assert_eq!(reason("300.0.0.1:80"), InvalidAddress::Other);
        assert_eq!(reason(""), InvalidAddress::Other);
    }
}
