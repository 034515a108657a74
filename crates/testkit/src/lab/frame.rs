//! Reads as much of a frame as tests of a moving address ask for. Anything else, and anything broken, is nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Mac;

/// What a recorded frame says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Packet {
    /// An ARP message.
    Arp(Arp),
    /// An unsolicited or asked-for IPv6 neighbour advertisement.
    NeighbourAdvertisement(NeighbourAdvertisement),
    /// A VRRP advertisement.
    Vrrp(Vrrp),
}

/// An ARP message for IPv4 over Ethernet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arp {
    /// 1 request, 2 reply.
    pub operation: u16,
    /// Who says it.
    pub sender_mac: Mac,
    /// The address it speaks for.
    pub sender: Ipv4Addr,
    /// Whom it is for.
    pub target_mac: Mac,
    /// The address it asks about.
    pub target: Ipv4Addr,
}

impl Arp {
    /// Whether it tells everybody where an address is, unasked.
    #[must_use]
    pub fn is_gratuitous(&self) -> bool {
        self.sender == self.target
    }
}

/// An ICMPv6 neighbour advertisement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NeighbourAdvertisement {
    /// The address it is sent from.
    pub source: Ipv6Addr,
    /// The address it is sent to.
    pub destination: Ipv6Addr,
    /// The address it speaks about.
    pub target: Ipv6Addr,
    /// The flags router, solicited and override, as in the message's fifth octet.
    pub flags: u8,
    /// Where the address is, when it says so.
    pub mac: Option<Mac>,
    /// 255, or it must be thrown away.
    pub hop_limit: u8,
}

/// A VRRP advertisement, unchecked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vrrp {
    /// The address it is sent from.
    pub source: IpAddr,
    /// The address it is sent to.
    pub destination: IpAddr,
    /// Time to live or hop limit.
    pub hop_limit: u8,
    /// 2 or 3.
    pub version: u8,
    /// The virtual router.
    pub vrid: u8,
    /// The sender's priority.
    pub priority: u8,
    /// The addresses it lists.
    pub addresses: Vec<IpAddr>,
    /// The VRRP message.
    pub message: Vec<u8>,
}

const VRRP: u8 = 112;
const ICMPV6: u8 = 58;
const ADVERTISEMENT: u8 = 136;

impl Packet {
    pub(super) fn read(frame: &[u8]) -> Option<Self> {
        let payload = frame.get(14..)?;
        match frame.get(12..14)? {
            [0x08, 0x06] => arp(payload).map(Self::Arp),
            [0x08, 0x00] => ipv4(payload),
            [0x86, 0xdd] => ipv6(payload),
            _ => None,
        }
    }

    /// The VRRP advertisement, when it is one.
    #[must_use]
    pub fn vrrp(&self) -> Option<&Vrrp> {
        if let Self::Vrrp(vrrp) = self { Some(vrrp) } else { None }
    }

    /// Whether it tells everybody, unasked, where this address is: a gratuitous ARP or an unsolicited neighbour
    /// advertisement.
    #[must_use]
    pub fn announces(&self, address: IpAddr) -> bool {
        match self {
            Self::Arp(arp) => arp.is_gratuitous() && arp.sender == address,
            Self::NeighbourAdvertisement(advertisement) => {
                advertisement.target == address && advertisement.flags & 0x40 == 0
            }
            Self::Vrrp(_) => false,
        }
    }
}

fn array<const N: usize>(bytes: &[u8], from: usize) -> Option<[u8; N]> {
    bytes.get(from..from + N)?.try_into().ok()
}

fn arp(bytes: &[u8]) -> Option<Arp> {
    // Ethernet (1), IPv4 (0x0800), lengths 6 and 4.
    if array(bytes, 0)? != [0, 1, 8, 0, 6, 4] {
        return None;
    }
    Some(Arp {
        operation: u16::from_be_bytes(array(bytes, 6)?),
        sender_mac: Mac(array(bytes, 8)?),
        sender: Ipv4Addr::from(array::<4>(bytes, 14)?),
        target_mac: Mac(array(bytes, 18)?),
        target: Ipv4Addr::from(array::<4>(bytes, 24)?),
    })
}

fn ipv4(bytes: &[u8]) -> Option<Packet> {
    let header = usize::from(bytes.first()? & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes(array(bytes, 2)?));
    if *bytes.get(9)? != VRRP {
        return None;
    }
    let source = Ipv4Addr::from(array::<4>(bytes, 12)?);
    let destination = Ipv4Addr::from(array::<4>(bytes, 16)?);
    let message = bytes.get(header..total)?;
    vrrp(source.into(), destination.into(), *bytes.get(8)?, message).map(Packet::Vrrp)
}

fn ipv6(bytes: &[u8]) -> Option<Packet> {
    let length = usize::from(u16::from_be_bytes(array(bytes, 4)?));
    let source = Ipv6Addr::from(array::<16>(bytes, 8)?);
    let destination = Ipv6Addr::from(array::<16>(bytes, 24)?);
    let hop_limit = *bytes.get(7)?;
    let message = bytes.get(40..40 + length)?;
    match *bytes.get(6)? {
        VRRP => vrrp(source.into(), destination.into(), hop_limit, message).map(Packet::Vrrp),
        ICMPV6 if *message.first()? == ADVERTISEMENT => {
            // The option "target link-layer address" has type 2 and length 1 (8 octets).
            let mac = if array(message, 24) == Some([2, 1]) { array(message, 26).map(Mac) } else { None };
            let target = Ipv6Addr::from(array::<16>(message, 8)?);
            let flags = *message.get(4)?;
            let advertisement = NeighbourAdvertisement { source, destination, target, flags, mac, hop_limit };
            Some(Packet::NeighbourAdvertisement(advertisement))
        }
        _ => None,
    }
}

fn vrrp(source: IpAddr, destination: IpAddr, hop_limit: u8, message: &[u8]) -> Option<Vrrp> {
    let &[version, vrid, priority, count, ..] = message else { return None };
    let list = message.get(8..)?;
    let count = usize::from(count);
    let addresses = if source.is_ipv4() {
        list.as_chunks::<4>().0.iter().take(count).map(|&octets| IpAddr::from(octets)).collect()
    } else {
        list.as_chunks::<16>().0.iter().take(count).map(|&octets| IpAddr::from(octets)).collect()
    };
    let (version, message) = (version >> 4, message.to_vec());
    Some(Vrrp { source, destination, hop_limit, version, vrid, priority, addresses, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn a_gratuitous_arp_is_read() {
        let frame = hex(
            "ffffffffffff 02000a630001 0806 0001 0800 06 04 0001 02000a630001 0a630032 ffffffffffff 0a630032",
        );
        let packet = Packet::read(&frame).unwrap();
        assert!(packet.announces("10.99.0.50".parse().unwrap()));
        assert!(!packet.announces("10.99.0.51".parse().unwrap()));
        let Packet::Arp(arp) = packet else { panic!("no ARP") };
        assert_eq!((arp.operation, arp.target_mac), (1, Mac::BROADCAST));
        assert_eq!(arp.sender_mac.to_string(), "02:00:0a:63:00:01");
    }

    #[test]
    fn a_vrrp_advertisement_is_read_and_padding_is_not() {
        let frame = hex("01005e000012 02000a630001 0800 45c00020 00010000 ff70 0000 0a630001 e0000012
             3133 9601 000a 4339 0a63 0032 000000000000000000000000000000");
        let packet = Packet::read(&frame).unwrap();
        let vrrp = packet.vrrp().unwrap();
        assert_eq!((vrrp.version, vrrp.vrid, vrrp.priority, vrrp.hop_limit), (3, 51, 150, 255));
        assert_eq!(vrrp.addresses, ["10.99.0.50".parse::<IpAddr>().unwrap()]);
        assert_eq!(vrrp.message.len(), 12);
        assert_eq!(vrrp.source, "10.99.0.1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn an_unsolicited_neighbour_advertisement_is_read() {
        let frame = hex("333300000001 02000a630001 86dd 60000000 0020 3a ff
             fd990000000000000000000000000050 ff020000000000000000000000000001
             8800 0000 20000000 fd990000000000000000000000000050 0201 02000a630001");
        let packet = Packet::read(&frame).unwrap();
        assert!(packet.announces("fd99::50".parse().unwrap()));
        let Packet::NeighbourAdvertisement(advertisement) = packet else { panic!("no advertisement") };
        assert_eq!(advertisement.mac.unwrap().to_string(), "02:00:0a:63:00:01");
        assert_eq!((advertisement.flags, advertisement.hop_limit), (0x20, 255));
    }

    #[test]
    fn a_frame_cut_anywhere_is_nothing_or_less() {
        let frame = hex("01005e000012 02000a630001 0800 45c00020 00010000 ff70 0000 0a630001 e0000012
             3133 9601 000a 4339 0a63 0032");
        for length in 0..frame.len() {
            assert_eq!(Packet::read(&frame[..length]), None, "{length} octets");
        }
    }
}
