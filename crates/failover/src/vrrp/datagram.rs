//! From an IPv4 datagram, as a raw socket gives it, to a VRRP message with what its header says.
//!
//! Never panics; looks at no field before it knows that the field is there.

use std::net::{IpAddr, Ipv4Addr};

use super::action::Received;
use super::refusal::Refusal;

/// The number of VRRP in the IP header.
pub const PROTOCOL: u8 = 112;

const SHORTEST_HEADER: usize = 20;
/// More fragments, and the offset of this one.
const FRAGMENT: u16 = 0x3fff;

/// Takes the header off. Bytes behind the datagram's end are padding of short frames that some network cards leave on.
///
/// # Errors
/// [`Refusal::Truncated`] for a datagram that is cut off or a fragment, [`Refusal::Protocol`] for one that is not plain
/// VRRP over IPv4.
// fuzz: vrrp
pub fn read_ipv4(datagram: &[u8]) -> Result<Received<'_>, Refusal> {
    let header = datagram.get(..SHORTEST_HEADER).ok_or(Refusal::Truncated)?;
    if header[0] >> 4 != 4 {
        return Err(Refusal::Protocol);
    }
    let header_length = usize::from(header[0] & 0x0f) * 4;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let fragment = u16::from_be_bytes([header[6], header[7]]) & FRAGMENT;
    if header_length < SHORTEST_HEADER || fragment != 0 {
        return Err(Refusal::Truncated);
    }
    let payload = datagram.get(header_length..length).ok_or(Refusal::Truncated)?;
    if header[9] != PROTOCOL {
        return Err(Refusal::Protocol);
    }
    Ok(Received {
        source: address(header, 12),
        destination: address(header, 16),
        hop_limit: header[8],
        payload,
    })
}

fn address(header: &[u8], at: usize) -> IpAddr {
    Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10.99.0.1 to 224.0.0.18, as keepalived sends it.
    fn datagram() -> Vec<u8> {
        let mut bytes = vec![0x45, 0xc0, 0, 32, 0, 1, 0, 0, 255, 112, 0, 0, 10, 99, 0, 1, 224, 0, 0, 18];
        bytes.extend([0x31, 0x33, 0x96, 0x01, 0x00, 0x0a, 0x43, 0x39, 10, 99, 0, 50]);
        bytes
    }

    #[test]
    fn the_header_says_who_to_whom_and_from_how_far() {
        let bytes = datagram();
        let received = read_ipv4(&bytes).unwrap();
        assert_eq!(received.source, IpAddr::from([10, 99, 0, 1]));
        assert_eq!(received.destination, IpAddr::from([224, 0, 0, 18]));
        assert_eq!((received.hop_limit, received.payload), (255, &bytes[20..]));
    }

    #[test]
    fn options_are_stepped_over_and_padding_is_cut_off() {
        for padded in [46, 50, 54] {
            let mut bytes = datagram();
            bytes.resize(padded, 0);
            assert_eq!(read_ipv4(&bytes).unwrap().payload.len(), 12);
        }
        let mut bytes = datagram();
        bytes[0] = 0x46;
        bytes[3] = 36;
        bytes.splice(20..20, [1, 1, 1, 0]);
        assert_eq!(read_ipv4(&bytes).unwrap().payload, &datagram()[20..]);
    }

    #[test]
    fn every_way_of_being_cut_off_is_refused() {
        let bytes = datagram();
        for end in 0..bytes.len() {
            assert_eq!(read_ipv4(&bytes[..end]), Err(Refusal::Truncated));
        }
        for (at, value) in [(0, 0x44), (0, 0x4f), (3, 19), (6, 0x20), (7, 1)] {
            let mut bytes = datagram();
            bytes[at] = value;
            assert_eq!(read_ipv4(&bytes), Err(Refusal::Truncated), "byte {at} = {value:#x}");
        }
    }

    #[test]
    fn another_protocol_is_refused() {
        for (at, value) in [(0, 0x65), (9, 51), (9, 17)] {
            let mut bytes = datagram();
            bytes[at] = value;
            assert_eq!(read_ipv4(&bytes), Err(Refusal::Protocol));
        }
    }

    #[test]
    fn the_flag_that_forbids_fragments_is_fine() {
        let mut bytes = datagram();
        bytes[6] = 0x40;
        assert!(read_ipv4(&bytes).is_ok());
    }
}
