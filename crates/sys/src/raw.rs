//! Raw sockets of the high availability plane: VRRP over IPv4 and IPv6, and whole Ethernet frames.
//!
//! Never parses a message: what comes is handed on with what IP says of it, what goes out was made by others.
//!
//! Invariants: a socket belongs to one interface by its number, so that it goes silent when the interface goes; nothing
//! here blocks; a receiving socket holds no more than [`RECEIVE_BUFFER`] bytes.

mod frames;
mod receiver;
mod sender;

pub use frames::Frames;
pub use receiver::{Heard, LARGEST_ADVERTISEMENT, Receiver};
pub use sender::Sender;

use std::net::{Ipv4Addr, Ipv6Addr};

/// VRRP's number as an IP protocol.
const PROTOCOL: i32 = 112;
/// Where advertisements go over IPv4.
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// Where they go over IPv6.
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
/// Room for packets that nobody has read yet, in bytes; further ones are dropped by the kernel. A flood must not take
/// memory, and a burst from every router of a busy network must fit.
const RECEIVE_BUFFER: usize = 128 * 1024;
/// TTL or hop limit of what is sent: a router would have made it less (RFC 9568 §5.1.1.3, §5.1.2.3).
const HOPS: u32 = 255;
/// Type of service: internetwork control (CS6).
const CLASS: u32 = 0xc0;
