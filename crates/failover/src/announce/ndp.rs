//! Unsolicited neighbour advertisements (RFC 4861 §4.4, §7.2.6): tell IPv6 neighbours where an address lives now.

use std::net::{IpAddr, Ipv6Addr};

use super::LinkAddress;
use crate::checksum::Sum;

/// The length of a frame, Ethernet and IPv6 header included.
pub const FRAME_BYTES: usize = 14 + IPV6_BYTES + MESSAGE_BYTES;

/// All nodes of the link, `ff02::1`.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

const ALL_NODES_LINK: LinkAddress = [0x33, 0x33, 0, 0, 0, 1];
const ETHERTYPE: [u8; 2] = [0x86, 0xdd];
const IPV6_BYTES: usize = 40;
const MESSAGE_BYTES: usize = 32;
const ICMPV6: u8 = 58;
/// A message that a router has passed on is not believed (RFC 4861 §7.1.2).
const HOP_LIMIT: u8 = 255;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const ROUTER: u8 = 0x80;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;
const TARGET_LINK_ADDRESS: [u8; 2] = [2, 1];

/// The Ethernet frame that says that `address` lives at `sender`. `router`: the interface forwards, as its sysctl says.
///
/// It comes from the address itself, as keepalived's: the address must be held first.
#[must_use]
pub fn unsolicited(sender: LinkAddress, address: Ipv6Addr, router: bool) -> [u8; FRAME_BYTES] {
    let mut frame = [0; FRAME_BYTES];
    frame[..6].copy_from_slice(&ALL_NODES_LINK);
    frame[6..12].copy_from_slice(&sender);
    frame[12..14].copy_from_slice(&ETHERTYPE);
    let header = &mut frame[14..14 + IPV6_BYTES];
    header[0] = 0x60;
    header[5] = 32;
    header[6] = ICMPV6;
    header[7] = HOP_LIMIT;
    header[8..24].copy_from_slice(&address.octets());
    header[24..].copy_from_slice(&ALL_NODES.octets());
    let message = &mut frame[14 + IPV6_BYTES..];
    message[0] = NEIGHBOUR_ADVERTISEMENT;
    message[4] = OVERRIDE | if router { ROUTER } else { 0 };
    message[8..24].copy_from_slice(&address.octets());
    message[24..26].copy_from_slice(&TARGET_LINK_ADDRESS);
    message[26..].copy_from_slice(&sender);
    let checksum = sum(address, ALL_NODES, message).to_be_bytes();
    message[2..4].copy_from_slice(&checksum);
    frame
}

/// What a neighbour advertisement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighbourAdvertisement {
    /// The sender by its IPv6 header.
    pub source: Ipv6Addr,
    /// To whom.
    pub destination: Ipv6Addr,
    /// The sender forwards.
    pub router: bool,
    /// Somebody asked.
    pub solicited: bool,
    /// It counts more than what is known.
    pub overrides: bool,
    /// The address that it is about.
    pub target: Ipv6Addr,
    /// Where the target lives, if it says so.
    pub link_address: Option<LinkAddress>,
}

impl NeighbourAdvertisement {
    /// Reads an Ethernet frame; `None` when it is no valid neighbour advertisement (RFC 4861 §7.1.2). Padding is ignored.
    // fuzz: ndp
    #[must_use]
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let (ethernet, packet) = frame.split_at_checked(14)?;
        let (header, rest) = packet.split_at_checked(IPV6_BYTES)?;
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let message = rest.get(..length)?;
        let expected = ethernet[12..] == ETHERTYPE
            && header[0] >> 4 == 6
            && header[6] == ICMPV6
            && header[7] == HOP_LIMIT
            && length >= 24
            && message[..2] == [NEIGHBOUR_ADVERTISEMENT, 0];
        let (source, destination, target) = (address(header, 8)?, address(header, 24)?, address(message, 8)?);
        if !expected || sum(source, destination, message) != 0 || target.is_multicast() {
            return None;
        }
        let flags = message[4];
        Some(Self {
            source,
            destination,
            router: flags & ROUTER != 0,
            solicited: flags & SOLICITED != 0,
            overrides: flags & OVERRIDE != 0,
            target,
            link_address: link_address(&message[24..])?,
        })
    }
}

/// The target's link address among the options; the outer `None` for options that are malformed.
fn link_address(mut options: &[u8]) -> Option<Option<LinkAddress>> {
    let mut found = None;
    while !options.is_empty() {
        let length = usize::from(*options.get(1)?) * 8;
        let (option, rest) = options.split_at_checked(length).filter(|_| length > 0)?;
        if option[..2] == TARGET_LINK_ADDRESS {
            found = option.get(2..)?.first_chunk().copied();
        }
        options = rest;
    }
    Some(found)
}

fn address(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    bytes.get(at..)?.first_chunk::<16>().map(|&octets| octets.into())
}

fn sum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    Sum::default()
        .bytes(message)
        .pseudo_header(IpAddr::V6(source), IpAddr::V6(destination), ICMPV6, message.len())
        .finish()
}

#[cfg(test)]
mod tests;
