//! The bytes of VRRP messages, version 2 (RFC 3768 §5) and 3 (RFC 9568 §5.2): read and written, not judged.
//!
//! Never panics. Reading checks only what is needed to find the parts: version and length. Everything else is
//! [`validate`](super::validate)'s.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::authentication::Password;
use super::datagram::PROTOCOL;
use super::hmac::{TRAILER_BYTES, Trailer};
use super::interval::Interval;
use super::params::{Coverage, Family, Priority, Version, VirtualRouterId};
use super::refusal::Refusal;
use crate::checksum::Sum;

/// The fixed part of every message.
pub(super) const HEADER_BYTES: usize = 8;
const AUTHENTICATION_BYTES: usize = 8;
/// The type of an advertisement; there is no other.
const ADVERTISEMENT: u8 = 1;
const CHECKSUM: std::ops::Range<usize> = 6..8;
const TWELVE_BITS: u16 = 0x0fff;

/// A message whose parts were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// 2 or 3.
    pub version: Version,
    /// 1 for an advertisement.
    pub kind: u8,
    /// The virtual router, 0 to 255.
    pub vrid: u8,
    /// `None`: 0, the sender gives up.
    pub priority: Option<Priority>,
    /// `None`: 0.
    pub interval: Option<Interval>,
    /// Version 2: 0 none, 1 password, 2 AH. Version 3: 0.
    pub authentication_type: u8,
    /// Version 2.
    pub password: Option<Password>,
    /// keepalived's HMAC.
    pub trailer: Option<Trailer>,
    family: Family,
    addresses: &'a [u8],
    /// Without the trailer.
    bytes: &'a [u8],
}

impl<'a> Message<'a> {
    /// Finds the parts of the payload of an IP packet of `family`.
    ///
    /// # Errors
    /// [`Refusal::Truncated`], [`Refusal::Version`], [`Refusal::Length`].
    // fuzz: vrrp
    pub fn parse(family: Family, payload: &'a [u8]) -> Result<Self, Refusal> {
        let header = payload.get(..HEADER_BYTES).ok_or(Refusal::Truncated)?;
        let version = version(payload).ok_or(Refusal::Version)?;
        if version == Version::V2 && family == Family::V6 {
            return Err(Refusal::Version);
        }
        let addresses_length = usize::from(header[3]) * address_bytes(family);
        let authentication_length = if version == Version::V2 { AUTHENTICATION_BYTES } else { 0 };
        let length = HEADER_BYTES + addresses_length + authentication_length;
        let (bytes, rest) = payload.split_at_checked(length).ok_or(Refusal::Length)?;
        let trailer = match rest.len() {
            0 => None,
            TRAILER_BYTES => Trailer::parse(rest),
            _ => return Err(Refusal::Length),
        };
        let addresses = &bytes[HEADER_BYTES..HEADER_BYTES + addresses_length];
        let password = bytes[HEADER_BYTES + addresses_length..].first_chunk().copied().map(Password);
        Ok(Self {
            version,
            kind: header[0] & 0x0f,
            vrid: header[1],
            priority: Priority::new(header[2]),
            interval: match version {
                Version::V2 => Interval::from_secs(header[5]),
                // The upper four bits are reserved: ignored (RFC 9568 §5.2.6).
                Version::V3 => {
                    Interval::from_centis(u16::from_be_bytes([header[4], header[5]]) & TWELVE_BITS)
                }
            },
            authentication_type: if version == Version::V2 { header[4] } else { 0 },
            password,
            trailer,
            family,
            addresses,
            bytes,
        })
    }

    /// The addresses, in the order in which they were sent.
    pub fn addresses(&self) -> impl ExactSizeIterator<Item = IpAddr> + 'a {
        let family = self.family;
        self.addresses.chunks_exact(address_bytes(family)).map(move |bytes| match family {
            Family::V4 => {
                bytes.first_chunk().map_or(Ipv4Addr::UNSPECIFIED, |&four: &[u8; 4]| four.into()).into()
            }
            Family::V6 => {
                bytes.first_chunk().map_or(Ipv6Addr::UNSPECIFIED, |&sixteen: &[u8; 16]| sixteen.into()).into()
            }
        })
    }

    /// Whether it is an advertisement.
    #[must_use]
    pub fn is_advertisement(&self) -> bool {
        self.kind == ADVERTISEMENT
    }

    /// What the checksum covers; `None` when it is wrong in every way.
    #[must_use]
    pub fn coverage(&self, source: IpAddr, destination: IpAddr) -> Option<Coverage> {
        let message = Sum::default().bytes(self.bytes);
        let with_header = message.pseudo_header(source, destination, PROTOCOL, self.bytes.len());
        let bare_may_be = self.family == Family::V4;
        let header_may_be = self.version == Version::V3;
        if header_may_be && with_header.finish() == 0 {
            Some(Coverage::WithPseudoHeader)
        } else if bare_may_be && message.finish() == 0 {
            Some(Coverage::MessageOnly)
        } else {
            None
        }
    }

    /// The message without the trailer.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// The version that a payload names, if we know it.
pub(super) fn version(payload: &[u8]) -> Option<Version> {
    match payload.first()? >> 4 {
        2 => Some(Version::V2),
        3 => Some(Version::V3),
        _ => None,
    }
}

fn address_bytes(family: Family) -> usize {
    match family {
        Family::V4 => 4,
        Family::V6 => 16,
    }
}

/// What an advertisement says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertisement {
    /// 2 or 3.
    pub version: Version,
    /// The virtual router.
    pub vrid: VirtualRouterId,
    /// `None`: 0, we give up.
    pub priority: Option<Priority>,
    /// How often it comes.
    pub interval: Interval,
    /// At most 255, all of one family.
    pub addresses: Vec<IpAddr>,
    /// Version 2.
    pub password: Option<Password>,
}

impl Advertisement {
    /// The message, with its checksum. `coverage` counts for version 3 over IPv4 only.
    #[must_use]
    pub fn encode(&self, source: IpAddr, destination: IpAddr, coverage: Coverage) -> Vec<u8> {
        let (number, between) = match self.version {
            Version::V2 => (2, [u8::from(self.password.is_some()), self.interval.secs()]),
            Version::V3 => (3, self.interval.centis().to_be_bytes()),
        };
        let count = u8::try_from(self.addresses.len()).unwrap_or(u8::MAX);
        let mut bytes = vec![number << 4 | ADVERTISEMENT, self.vrid.number()];
        bytes.extend([self.priority.map_or(0, Priority::number), count]);
        bytes.extend(between);
        bytes.extend([0, 0]);
        for address in self.addresses.iter().take(usize::from(count)) {
            match address {
                IpAddr::V4(address) => bytes.extend(address.octets()),
                IpAddr::V6(address) => bytes.extend(address.octets()),
            }
        }
        if self.version == Version::V2 {
            bytes.extend(self.password.unwrap_or(Password([0; 8])).0);
        }
        let bare = self.version == Version::V2 || (coverage == Coverage::MessageOnly && source.is_ipv4());
        let mut sum = Sum::default().bytes(&bytes);
        if !bare {
            sum = sum.pseudo_header(source, destination, PROTOCOL, bytes.len());
        }
        bytes[CHECKSUM].copy_from_slice(&sum.finish().to_be_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests;
