//! Addresses on interfaces.

use std::net::IpAddr;

use super::OWN_PROTOCOL;
use super::message::{
    FLAG_ACK, FLAG_CREATE, FLAG_DUMP, FLAG_REPLACE, Request, attributes, family, ip, octets, u32_at,
};

pub(super) const NEW: u16 = 20;
pub(super) const DELETE: u16 = 21;
pub(super) const GET: u16 = 22;

/// Bytes of `struct ifaddrmsg`.
const FIXED: usize = 8;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
const IFA_PROTO: u16 = 11;

/// `IFA_F_*`.
const SECONDARY: u32 = 0x01;
const NO_DAD: u32 = 0x02;
const DAD_FAILED: u32 = 0x08;
const TENTATIVE: u32 = 0x40;

/// `RT_SCOPE_*`.
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;

/// An address on an interface, as the kernel has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The interface.
    pub index: u32,
    /// The address.
    pub ip: IpAddr,
    /// Length of its network.
    pub prefix: u8,
    /// Who added it; 0 when nobody said so, or the kernel (before 5.18) cannot tell.
    pub protocol: u8,
    /// IPv4: another address of the same network is used as a source before it.
    pub is_secondary: bool,
    /// IPv6: it cannot be used, because duplicate address detection goes on or has failed.
    pub is_blocked: bool,
}

impl Held {
    /// This program has added it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.protocol == OWN_PROTOCOL
    }
}

fn fixed(ip: IpAddr, prefix: u8, index: u32) -> [u8; FIXED] {
    let scope = match ip {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => SCOPE_LINK,
        IpAddr::V4(_) | IpAddr::V6(_) => SCOPE_UNIVERSE,
    };
    let mut bytes = [family(ip), prefix, 0, scope, 0, 0, 0, 0];
    bytes[4..].copy_from_slice(&index.to_ne_bytes());
    bytes
}

/// All of one family on one interface, for a socket that asks the kernel to be strict.
pub(super) fn list(family: u8, index: u32) -> Request {
    let mut fixed = [family, 0, 0, 0, 0, 0, 0, 0];
    fixed[4..].copy_from_slice(&index.to_ne_bytes());
    Request::new(GET, FLAG_DUMP, &fixed)
}

/// Adds an address, or gives one that is there our mark.
///
/// IPv6: without duplicate address detection, which would leave the address unusable for a second and, when another
/// node still has it, for ever. A single address (/128) is deprecated from the start, so that the machine does not choose
/// it as the source of its own connections.
pub(super) fn add(index: u32, ip: IpAddr, prefix: u8) -> Request {
    add_by(index, ip, prefix, OWN_PROTOCOL)
}

/// The same for a while; it is no source of new connections.
pub(super) fn lend(index: u32, ip: IpAddr, prefix: u8, lasting: std::time::Duration) -> Request {
    let mut request = Request::new(NEW, FLAG_ACK | FLAG_CREATE | FLAG_REPLACE, &fixed(ip, prefix, index));
    let bytes = octets(ip);
    let mut cache = [0; 16];
    let seconds = u32::try_from(lasting.as_secs()).unwrap_or(u32::MAX);
    cache[4..8].copy_from_slice(&seconds.to_ne_bytes());
    request
        .attribute(IFA_LOCAL, &bytes)
        .attribute(IFA_ADDRESS, &bytes)
        .attribute(IFA_PROTO, &[OWN_PROTOCOL])
        .attribute(IFA_CACHEINFO, &cache);
    if ip.is_ipv6() {
        request.number(IFA_FLAGS, NO_DAD);
    }
    request
}

/// The same with another mark.
pub(super) fn add_by(index: u32, ip: IpAddr, prefix: u8, protocol: u8) -> Request {
    let mut request = Request::new(NEW, FLAG_ACK | FLAG_CREATE | FLAG_REPLACE, &fixed(ip, prefix, index));
    let bytes = octets(ip);
    request.attribute(IFA_LOCAL, &bytes).attribute(IFA_ADDRESS, &bytes).attribute(IFA_PROTO, &[protocol]);
    match ip {
        IpAddr::V4(ip) if prefix < 31 => {
            let host = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
            let broadcast = (ip.to_bits() | host).to_be_bytes();
            request.attribute(IFA_BROADCAST, &broadcast);
        }
        IpAddr::V4(_) => {}
        IpAddr::V6(ip) => {
            request.number(IFA_FLAGS, NO_DAD);
            if prefix == 128 && !ip.is_unicast_link_local() {
                let mut cache = [0; 16];
                // Preferred for 0 seconds, valid for ever.
                cache[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
                request.attribute(IFA_CACHEINFO, &cache);
            }
        }
    }
    request
}

pub(super) fn delete(index: u32, ip: IpAddr, prefix: u8) -> Request {
    let mut request = Request::new(DELETE, FLAG_ACK, &fixed(ip, prefix, index));
    let bytes = octets(ip);
    request.attribute(IFA_LOCAL, &bytes).attribute(IFA_ADDRESS, &bytes);
    request
}

pub(super) fn decode(body: &[u8]) -> Option<Held> {
    let mut flags = u32::from(*body.get(2)?);
    let (mut local, mut address, mut protocol) = (None, None, 0);
    for (kind, value) in attributes(body, FIXED) {
        match kind {
            IFA_ADDRESS => address = ip(value),
            IFA_LOCAL => local = ip(value),
            IFA_FLAGS => flags = u32_at(value, 0)?,
            IFA_PROTO => protocol = *value.first()?,
            _ => {}
        }
    }
    let ip = local.or(address)?;
    Some(Held {
        index: u32_at(body, 4)?,
        ip,
        prefix: *body.get(1)?,
        protocol,
        // For IPv6 the same bit means temporary (RFC 4941), which is no address for an advertisement either.
        is_secondary: flags & SECONDARY != 0,
        // Without detection it is tentative only until a worker of the kernel has come to it.
        is_blocked: ip.is_ipv6() && (flags & DAD_FAILED != 0 || flags & (TENTATIVE | NO_DAD) == TENTATIVE),
    })
}

/// The interface that a message about an address concerns.
pub(super) fn index_of(body: &[u8]) -> Option<u32> {
    u32_at(body, 4)
}

#[cfg(test)]
mod tests {
    use super::super::message::messages;
    use super::*;

    fn said(request: Request) -> Vec<u8> {
        request.finish(1)
    }

    #[test]
    fn an_added_address_carries_the_mark_and_its_network() {
        let bytes = said(add(3, "192.0.2.100".parse().unwrap(), 24));
        let message = messages(&bytes).next().unwrap();
        let held = decode(message.body).unwrap();
        assert_eq!((held.index, held.ip, held.prefix), (3, "192.0.2.100".parse().unwrap(), 24));
        assert!(held.is_ours() && !held.is_secondary && !held.is_blocked);
        let broadcast = attributes(message.body, FIXED).find(|(kind, _)| *kind == IFA_BROADCAST).unwrap();
        assert_eq!(broadcast.1, [192, 0, 2, 255]);
    }

    #[test]
    fn ipv6_comes_without_duplicate_detection_and_a_single_address_is_no_source() {
        let bytes = said(add(3, "2001:db8::100".parse().unwrap(), 128));
        let message = messages(&bytes).next().unwrap();
        let value = |kind| attributes(message.body, FIXED).find(|found| found.0 == kind).map(|found| found.1);
        assert_eq!(value(IFA_FLAGS), Some(2_u32.to_ne_bytes().as_slice()));
        assert_eq!(&value(IFA_CACHEINFO).unwrap()[..8], [0, 0, 0, 0, 255, 255, 255, 255]);
        let bytes = said(add(3, "fe80::100".parse().unwrap(), 64));
        let message = messages(&bytes).next().unwrap();
        assert_eq!(message.body[3], SCOPE_LINK);
        assert!(attributes(message.body, FIXED).all(|(kind, _)| kind != IFA_CACHEINFO));
    }

    #[test]
    fn an_address_is_blocked_by_detection_and_not_by_a_worker_that_is_late() {
        let blocked = |flags: u32| {
            let mut request = Request::new(NEW, 0, &fixed("2001:db8::100".parse().unwrap(), 64, 3));
            request.attribute(IFA_ADDRESS, &octets("2001:db8::100".parse().unwrap()));
            request.number(IFA_FLAGS, flags);
            let bytes = said(request);
            decode(messages(&bytes).next().unwrap().body).unwrap().is_blocked
        };
        // include/uapi/linux/if_addr.h: permanent 0x80, tentative 0x40, failed 0x08, without detection 0x02.
        assert!(!blocked(0x80) && !blocked(0x82) && !blocked(0xc2));
        assert!(blocked(0xc0) && blocked(0xc8) && blocked(0xca) && blocked(0x88));
    }

    #[test]
    fn truncated_addresses_never_panic() {
        let bytes = said(add(3, "2001:db8::100".parse().unwrap(), 128));
        for end in 0..bytes.len() {
            let _ = decode(bytes.get(16..end).unwrap_or_default());
        }
    }
}
