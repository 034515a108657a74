//! Gratuitous ARP (RFC 826, RFC 5227 §3): tells IPv4 neighbours where an address lives now.
//!
//! Always a request: Linux takes a gratuitous reply only when its two link addresses agree, and other hosts take requests
//! at least as gladly.

use std::net::Ipv4Addr;

use super::LinkAddress;

/// The length of a frame, Ethernet header included; the network card pads it.
pub const FRAME_BYTES: usize = 42;

const EVERYBODY: LinkAddress = [0xff; 6];
/// Hardware Ethernet, protocol IPv4, their lengths, operation request.
const REQUEST: [u8; 8] = [0, 1, 0x08, 0x00, 6, 4, 0, 1];
const ETHERTYPE: [u8; 2] = [0x08, 0x06];

/// The frame that says that `address` lives at `sender`, byte for byte as keepalived sends it.
#[must_use]
pub fn gratuitous(sender: LinkAddress, address: Ipv4Addr) -> [u8; FRAME_BYTES] {
    let mut frame = [0; FRAME_BYTES];
    let ip = address.octets();
    frame[..6].copy_from_slice(&EVERYBODY);
    frame[6..12].copy_from_slice(&sender);
    frame[12..14].copy_from_slice(&ETHERTYPE);
    frame[14..22].copy_from_slice(&REQUEST);
    frame[22..28].copy_from_slice(&sender);
    frame[28..32].copy_from_slice(&ip);
    frame[32..38].copy_from_slice(&EVERYBODY);
    frame[38..].copy_from_slice(&ip);
    frame
}

/// What an ARP frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Request, and not reply.
    pub request: bool,
    /// Who sent the frame.
    pub from: LinkAddress,
    /// Where `sender_ip` lives.
    pub sender: LinkAddress,
    /// The address of the sender.
    pub sender_ip: Ipv4Addr,
    /// The other side's link address; of no meaning in a request.
    pub target: LinkAddress,
    /// The address asked for, or of the one who asked.
    pub target_ip: Ipv4Addr,
}

impl Arp {
    /// Reads an Ethernet frame; `None` when it is not ARP for IPv4 over Ethernet. Padding is ignored.
    // fuzz: arp
    #[must_use]
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let frame: &[u8; FRAME_BYTES] = frame.first_chunk()?;
        let operation = frame[21];
        let arp = frame[12..14] == ETHERTYPE && frame[14..21] == REQUEST[..7] && (1..=2).contains(&operation);
        arp.then(|| Self {
            request: operation == 1,
            from: link_address(frame, 6),
            sender: link_address(frame, 22),
            sender_ip: ip(frame, 28),
            target: link_address(frame, 32),
            target_ip: ip(frame, 38),
        })
    }

    /// Whether it tells where an address lives without being asked.
    #[must_use]
    pub fn is_gratuitous(&self) -> bool {
        self.sender_ip == self.target_ip
    }
}

fn link_address(frame: &[u8; FRAME_BYTES], at: usize) -> LinkAddress {
    std::array::from_fn(|index| frame[at + index])
}

fn ip(frame: &[u8; FRAME_BYTES], at: usize) -> Ipv4Addr {
    std::array::from_fn::<u8, 4, _>(|index| frame[at + index]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDER: LinkAddress = [0x02, 0x42, 0x0a, 0x63, 0x00, 0x01];
    /// 192.168.1.100 lives at 02:42:0a:63:00:01.
    const GOLDEN: [u8; FRAME_BYTES] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x42, 0x0a, 0x63, 0x00, 0x01, 0x08, 0x06, // Ethernet
        0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, // a request
        0x02, 0x42, 0x0a, 0x63, 0x00, 0x01, 192, 168, 1, 100, // of the sender
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 192, 168, 1, 100, // for itself
    ];

    #[test]
    fn the_frame_is_keepaliveds() {
        assert_eq!(gratuitous(SENDER, [192, 168, 1, 100].into()), GOLDEN);
    }

    #[test]
    fn what_is_built_reads_back() {
        let arp = Arp::parse(&GOLDEN).unwrap();
        assert!(arp.request && arp.is_gratuitous());
        assert_eq!((arp.from, arp.sender, arp.target), (SENDER, SENDER, EVERYBODY));
        assert_eq!(arp.sender_ip, Ipv4Addr::new(192, 168, 1, 100));
        let mut padded = GOLDEN.to_vec();
        padded.resize(60, 0);
        assert_eq!(Arp::parse(&padded), Some(arp));
    }

    #[test]
    fn other_frames_are_not_arp() {
        for end in 0..FRAME_BYTES {
            assert_eq!(Arp::parse(&GOLDEN[..end]), None);
        }
        for (at, value) in [(12, 0x86), (15, 6), (16, 0x86), (18, 8), (19, 16), (21, 0), (21, 3)] {
            let mut frame = GOLDEN;
            frame[at] = value;
            assert_eq!(Arp::parse(&frame), None, "byte {at}");
        }
    }

    #[test]
    fn a_question_for_somebody_else_is_not_gratuitous() {
        let mut frame = GOLDEN;
        frame[41] = 7;
        assert!(!Arp::parse(&frame).unwrap().is_gratuitous());
    }
}
