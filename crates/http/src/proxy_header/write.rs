//! Writes the header that tells a server who the client is, in the form of either version.
//!
//! Invariant: [`super::parse`] reads what is written here, and finds the same addresses.

use std::net::{IpAddr, SocketAddr};

use super::{CRC32C, V1, V2, V2_FIXED, crc32c};

/// Types of extensions (§2.2).
const PROTOCOL: u8 = 0x01;
const AUTHORITY: u8 = 0x02;
const SSL: u8 = 0x20;
const SSL_VERSION: u8 = 0x21;
const SSL_CIPHER: u8 = 0x23;
/// Flags of the client in the extension [`SSL`] (§2.2.6).
const OVER_TLS: u8 = 0x01;
const CERTIFICATE_HERE: u8 = 0x02;
const CERTIFICATE_IN_SESSION: u8 = 0x04;
/// The longest name or word that is told, in bytes.
const LONGEST: usize = 255;

/// For whom a connection is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum For {
    /// For ourselves: a health check.
    #[default]
    Ourselves,
    /// For a client: where it comes from and where it has connected to. `None`: it has no such addresses.
    Client(Option<(SocketAddr, SocketAddr)>),
}

/// What is told beside the addresses; only version 2 can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions<'a> {
    /// The protocol that was agreed on (ALPN).
    pub protocol: Option<&'a [u8]>,
    /// The name of the server that the client asks for (SNI).
    pub authority: Option<&'a [u8]>,
    /// How the client has come over TLS.
    pub tls: Option<Tls<'a>>,
    /// A checksum of the whole header goes along.
    pub checksum: bool,
}

/// TLS of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tls<'a> {
    /// Such as `TLSv1.3`.
    pub version: &'a str,
    /// The name of the cipher suite as IANA has it.
    pub cipher: &'a str,
    /// It has shown a certificate, which holds.
    pub certificate: bool,
}

/// Appends a header of version 1.
pub fn v1(whom: For, out: &mut Vec<u8>) {
    out.extend_from_slice(V1);
    let line = match whom {
        For::Client(Some((source, destination))) if source.is_ipv4() == destination.is_ipv4() => {
            let protocol = if source.is_ipv4() { "TCP4" } else { "TCP6" };
            let (from, to) = (source.ip(), destination.ip());
            format!("{protocol} {from} {to} {} {}\r\n", source.port(), destination.port())
        }
        For::Client(_) | For::Ourselves => "UNKNOWN\r\n".into(),
    };
    out.extend_from_slice(line.as_bytes());
}

/// Appends a header of version 2.
pub fn v2(whom: For, extensions: Extensions<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(V2);
    let command = if whom == For::Ourselves { 0x20 } else { 0x21 };
    let addresses = match whom {
        For::Client(addresses) => addresses.and_then(same_family),
        For::Ourselves => None,
    };
    let (family, bytes) = match addresses {
        Some((source, destination, ports)) => {
            let family = if source.len() == 4 { 0x11 } else { 0x21 };
            (family, [source, destination, ports].concat())
        }
        None => (0x00, Vec::new()),
    };
    // The length comes when it is known.
    out.extend_from_slice(&[command, family, 0, 0]);
    out.extend_from_slice(&bytes);
    let mut checksum_at = None;
    if whom != For::Ourselves {
        if let Some(protocol) = extensions.protocol {
            extension(PROTOCOL, protocol, out);
        }
        if let Some(authority) = extensions.authority {
            extension(AUTHORITY, authority, out);
        }
        if let Some(tls) = extensions.tls {
            let certificate = if tls.certificate { CERTIFICATE_HERE | CERTIFICATE_IN_SESSION } else { 0 };
            // `verify` is zero for a certificate that holds.
            let verify = u32::from(!tls.certificate).to_be_bytes();
            let mut value = [&[OVER_TLS | certificate][..], &verify].concat();
            extension(SSL_VERSION, tls.version.as_bytes(), &mut value);
            extension(SSL_CIPHER, tls.cipher.as_bytes(), &mut value);
            extension(SSL, &value, out);
        }
        if extensions.checksum {
            extension(CRC32C, &[0; 4], out);
            checksum_at = Some(out.len() - 4);
        }
    }
    let length = u16::try_from(out.len() - start - V2_FIXED).unwrap_or(u16::MAX);
    out[start + V2_FIXED - 2..start + V2_FIXED].copy_from_slice(&length.to_be_bytes());
    if let Some(at) = checksum_at {
        let checksum = crc32c(&out[start..]);
        out[at..at + 4].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// One extension; a value that is too long is not told.
fn extension(kind: u8, value: &[u8], out: &mut Vec<u8>) {
    if let Some(length) = u16::try_from(value.len()).ok().filter(|_| value.len() <= LONGEST) {
        out.push(kind);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(value);
    }
}

/// The bytes of both addresses and of both ports; `None` when one is IPv4 and the other IPv6.
fn same_family((source, destination): (SocketAddr, SocketAddr)) -> Option<(Vec<u8>, Vec<u8>, Vec<u8>)> {
    let bytes = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
    (source.is_ipv4() == destination.is_ipv4()).then(|| (bytes(source.ip()), bytes(destination.ip()), ports))
}

#[cfg(test)]
mod tests;
