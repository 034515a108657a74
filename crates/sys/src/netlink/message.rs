//! The framing of netlink (netlink(7)): messages in a datagram, attributes in a message.
//!
//! Invariant: reading never goes beyond the bytes given, and ends at the first length that makes no sense.

/// Bytes of `struct nlmsghdr`.
pub(super) const HEADER: usize = 16;
/// Everything in netlink begins at a multiple of this.
const ALIGNMENT: usize = 4;
/// Marks an attribute that holds attributes, and one in network byte order: no part of its kind.
const KIND_MASK: u16 = 0x3fff;
const NESTED: u16 = 0x8000;

/// Message types, `NLM_F_*` flags.
pub(super) const ERROR: u16 = 2;
pub(super) const DONE: u16 = 3;
pub(super) const FLAG_REQUEST: u16 = 0x1;
pub(super) const FLAG_ACK: u16 = 0x4;
pub(super) const FLAG_DUMP_INTERRUPTED: u16 = 0x10;
pub(super) const FLAG_DUMP: u16 = 0x300;
pub(super) const FLAG_REPLACE: u16 = 0x100;
pub(super) const FLAG_EXCLUSIVE: u16 = 0x200;
pub(super) const FLAG_CREATE: u16 = 0x400;

/// A request under construction.
#[derive(Debug)]
pub(super) struct Request(Vec<u8>);

impl Request {
    /// `family` is the fixed part that follows the header, such as `struct ifaddrmsg`.
    pub(super) fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | FLAG_REQUEST).to_ne_bytes());
        let mut request = Self(bytes);
        request.0.extend_from_slice(fixed);
        request.align();
        request
    }

    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(&value[..usize::from(length) - 4]);
        self.align();
        self
    }

    /// The fixed part that some nested attributes begin with.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self.align();
        self
    }

    pub(super) fn number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// A text with the zero that ends it.
    pub(super) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    pub(super) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.0.len();
        self.attribute(kind | NESTED, &[]);
        fill(self);
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    /// The bytes, with this sequence number.
    pub(super) fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.0
    }

    fn align(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(ALIGNMENT), 0);
    }
}

/// One message of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) body: &'a [u8],
}

/// The messages of a datagram.
pub(super) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
        let body = bytes.get(HEADER..length)?;
        let message =
            Message { kind: u16_at(bytes, 4)?, flags: u16_at(bytes, 6)?, sequence: u32_at(bytes, 8)?, body };
        bytes = bytes.get(length.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
        Some(message)
    })
}

/// Kind and value of each attribute that follows the fixed part of `fixed` bytes.
pub(super) fn attributes(body: &[u8], fixed: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut bytes = body.get(fixed.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & KIND_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
        Some((kind, value))
    })
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// A text that may end with a zero.
pub(super) fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value.strip_suffix(&[0]).unwrap_or(value)).ok()
}

/// An address of four or sixteen bytes.
pub(super) fn ip(value: &[u8]) -> Option<std::net::IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(value) {
        return Some(octets.into());
    }
    Some(<[u8; 16]>::try_from(value).ok()?.into())
}

/// The bytes of an address.
pub(super) fn octets(ip: std::net::IpAddr) -> Vec<u8> {
    match ip {
        std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
        std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// `AF_INET` or `AF_INET6`.
pub(super) fn family(ip: std::net::IpAddr) -> u8 {
    if ip.is_ipv4() { INET } else { INET6 }
}

/// `AF_INET`.
pub(super) const INET: u8 = 2;
/// `AF_INET6`.
pub(super) const INET6: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut request = Request::new(20, FLAG_ACK, &[1, 2, 3, 4, 5]);
        request.attribute(3, &[9]).nested(7, |inner| {
            inner.number(1, 0x0102_0304);
        });
        let bytes = request.finish(42);
        // 16 of header, 5 of the fixed part made 8, attributes of 8 (5 made 8) and 4 + 8.
        assert_eq!(bytes.len(), 16 + 8 + 8 + 12);
        let all: Vec<Message<'_>> = messages(&bytes).collect();
        assert_eq!((all.len(), all[0].kind, all[0].flags, all[0].sequence), (1, 20, 5, 42));
        let found: Vec<(u16, &[u8])> = attributes(all[0].body, 5).collect();
        assert_eq!(found[0], (3, [9].as_slice()));
        assert_eq!(found[1].0, 7);
        assert_eq!(
            attributes(found[1].1, 0).collect::<Vec<_>>(),
            [(1, 0x0102_0304_u32.to_ne_bytes().as_slice())]
        );
    }

    #[test]
    fn truncated_and_senseless_lengths_end_the_reading() {
        let mut request = Request::new(20, 0, &[0; 8]);
        request.attribute(3, b"eth0\0");
        let bytes = request.finish(1);
        for end in 0..bytes.len() {
            assert_eq!(messages(&bytes[..end]).count(), 0, "{end}");
            let body = bytes.get(HEADER..end).unwrap_or_default();
            // The padding of the last attribute may be missing.
            assert_eq!(attributes(body, 8).count(), usize::from(end >= bytes.len() - 3), "{end}");
        }
        assert_eq!(messages(&[0; 16]).count(), 0);
        assert_eq!(attributes(&[0, 0, 1, 0, 0, 0, 0, 0], 0).count(), 0);
    }
}
