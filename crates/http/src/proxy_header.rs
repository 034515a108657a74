//! The PROXY protocol, versions 1 and 2: what a proxy in front says about its client before the client's own bytes.
//! [`write`] says it to servers.
//!
//! Source: `proxy-protocol.txt` of HAProxy. Decides only what the bytes say; whose word counts is decided by who knows the
//! peer. Invariants: the same bytes give the same answer however they arrive; at most [`MOST_BYTES`] are looked at;
//! what could be read in two ways is refused.

pub mod write;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header that is taken, in bytes; one of version 1 has at most 107 (§2.1), one of version 2 as many as its
/// sender likes, and those in use stay below a thousand.
pub const MOST_BYTES: usize = 4096;
/// The longest header of version 1 with its line end (§2.1).
const LONGEST_V1: usize = 107;
/// How each version begins.
const V1: &[u8] = b"PROXY ";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of a header of version 2 before its addresses.
const V2_FIXED: usize = 16;
/// The type of the extension that holds a CRC32C of the whole header (§2.2.3), and the length of that.
const CRC32C: u8 = 0x03;

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its length; the client's own bytes follow.
    pub length: usize,
    /// Who the client is and where it has connected to. `None`: the proxy speaks for itself (a health check), or the client
    /// has no such addresses.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
}

/// Why there is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoHeader {
    /// The bytes begin something else.
    Absent,
    /// They begin a header that is against the rules.
    Malformed,
    /// The header is longer than [`MOST_BYTES`].
    TooLong,
}

/// Reads the header at the start of `bytes`. `None` wants more of them: call again with all there are by then.
///
/// # Errors
/// See [`NoHeader`]; more bytes would not change it.
// fuzz: proxy_header
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, NoHeader> {
    let begins = |signature: &[u8]| bytes.iter().zip(signature).all(|(a, b)| a == b);
    if begins(V1) && !bytes.is_empty() {
        return if bytes.len() < V1.len() { Ok(None) } else { v1(bytes) };
    }
    if begins(V2) {
        return if bytes.len() < V2_FIXED { v2_begins_well(bytes).map(|()| None) } else { v2(bytes) };
    }
    Err(NoHeader::Absent)
}

fn v1(bytes: &[u8]) -> Result<Option<Header>, NoHeader> {
    let line = bytes.get(..LONGEST_V1).unwrap_or(bytes);
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < LONGEST_V1 { Ok(None) } else { Err(NoHeader::Malformed) };
    };
    let length = end + 2;
    let text = std::str::from_utf8(&line[V1.len()..end]).map_err(|_| NoHeader::Malformed)?;
    let mut words = text.split(' ');
    let protocol = words.next();
    if protocol == Some("UNKNOWN") {
        // What follows is to be ignored (§2.1).
        return Ok(Some(Header { length, addresses: None }));
    }
    let words: Vec<&str> = words.collect();
    let [source, destination, from, to] = words[..] else { return Err(NoHeader::Malformed) };
    let address = |text: &str, port: &str| {
        let ip: IpAddr = match protocol {
            Some("TCP4") => text.parse::<Ipv4Addr>().map_err(|_| NoHeader::Malformed)?.into(),
            Some("TCP6") => text.parse::<Ipv6Addr>().map_err(|_| NoHeader::Malformed)?.into(),
            _ => return Err(NoHeader::Malformed),
        };
        let plain = port.bytes().all(|byte| byte.is_ascii_digit()) && (port == "0" || !port.starts_with('0'));
        let port = port.parse::<u16>().ok().filter(|_| plain).ok_or(NoHeader::Malformed)?;
        Ok(SocketAddr::new(ip, port))
    };
    let addresses = (address(source, from)?, address(destination, to)?);
    Ok(Some(Header { length, addresses: Some(addresses) }))
}

/// What is there of the fixed part is right.
fn v2_begins_well(bytes: &[u8]) -> Result<(), NoHeader> {
    match bytes.get(V2.len()) {
        None | Some(0x20 | 0x21) => Ok(()),
        Some(_) => Err(NoHeader::Malformed),
    }
}

fn v2(bytes: &[u8]) -> Result<Option<Header>, NoHeader> {
    v2_begins_well(bytes)?;
    let [.., command, family, high, low] = bytes[..V2_FIXED] else { return Err(NoHeader::Malformed) };
    let length = V2_FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > MOST_BYTES {
        return Err(NoHeader::TooLong);
    }
    let Some(header) = bytes.get(..length) else { return Ok(None) };
    let body = &header[V2_FIXED..];
    let local = command == 0x20;
    let (size, addresses) = match family {
        // Stream over IPv4 and over IPv6.
        0x11 => (12, body.first_chunk::<12>().map(addresses_v4)),
        0x21 => (36, body.first_chunk::<36>().map(addresses_v6)),
        // Unspecified, and unix sockets, which say nothing of an address.
        0x00 => (0, None),
        0x31 => (216, None),
        // What a proxy says of itself is to be ignored (§2.2).
        _ if local => return Ok(Some(Header { length, addresses: None })),
        // No client reaches a stream by datagrams.
        _ => return Err(NoHeader::Malformed),
    };
    if local {
        return Ok(Some(Header { length, addresses: None }));
    }
    let extensions = body.get(size..).ok_or(NoHeader::Malformed)?;
    if family != 0x00 {
        check_extensions(header, extensions)?;
    }
    Ok(Some(Header { length, addresses }))
}

fn addresses_v4(bytes: &[u8; 12]) -> (SocketAddr, SocketAddr) {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *bytes;
    let of =
        |ip: [u8; 4], port: [u8; 2]| SocketAddr::new(Ipv4Addr::from(ip).into(), u16::from_be_bytes(port));
    (of([a, b, c, d], [i, j]), of([e, f, g, h], [k, l]))
}

fn addresses_v6(bytes: &[u8; 36]) -> (SocketAddr, SocketAddr) {
    let ip = |from: usize| {
        let mut octets = [0; 16];
        octets.copy_from_slice(&bytes[from..from + 16]);
        IpAddr::from(octets)
    };
    let port = |from: usize| u16::from_be_bytes([bytes[from], bytes[from + 1]]);
    (SocketAddr::new(ip(0), port(32)), SocketAddr::new(ip(16), port(34)))
}

/// Extensions follow one another to the end, and a checksum among them is right.
fn check_extensions(header: &[u8], mut extensions: &[u8]) -> Result<(), NoHeader> {
    while !extensions.is_empty() {
        let (&[kind, high, low], rest) = extensions.split_first_chunk().ok_or(NoHeader::Malformed)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let value = rest.get(..length).ok_or(NoHeader::Malformed)?;
        if kind == CRC32C {
            let told: [u8; 4] = value.try_into().map_err(|_| NoHeader::Malformed)?;
            // Worked out over the header with zeros in its own place (§2.2.3).
            let at = header.len() - rest.len();
            let mut zeroed = header.to_vec();
            zeroed[at..at + 4].fill(0);
            if crc32c(&zeroed) != u32::from_be_bytes(told) {
                return Err(NoHeader::Malformed);
            }
        }
        extensions = &rest[length..];
    }
    Ok(())
}

/// CRC32C (RFC 4960 appendix B), bit by bit: once a connection, over some hundred bytes.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests;
