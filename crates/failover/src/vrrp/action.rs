//! What goes into a machine besides calls, and what comes out of it.

use std::net::IpAddr;

use super::note::Note;

/// A VRRP message as it came from the network, without its IP header.
///
/// Made by [`datagram::read_ipv4`](super::datagram::read_ipv4) from a whole IPv4 datagram; for IPv6 the parts come from
/// the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// Who sent it, by its IP header.
    pub source: IpAddr,
    /// Whom it was sent to: the group, or this host.
    pub destination: IpAddr,
    /// The TTL or hop limit on arrival.
    pub hop_limit: u8,
    /// The message, and the trailer of [`hmac`](super::hmac) if it has one.
    pub payload: &'a [u8],
}

/// What the interface of a virtual router can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It carries traffic and has an address to send from.
    Up {
        /// The primary IPv4 address or the link-local IPv6 address: source of advertisements and judge of ties.
        source: IpAddr,
    },
    /// It is down, gone, or without an address of the family.
    Down,
}

/// What must be done, in the order in which it comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this message to `destination` from [`Link::Up::source`](Link): protocol 112, hop limit 255 (or what the
    /// peer asks for), traffic class 0xc0. The checksum is right already.
    Send {
        /// The group or one peer.
        destination: IpAddr,
        /// The whole VRRP message.
        payload: Vec<u8>,
    },
    /// Wanted state, not a step: shall the addresses of the parameters be held? Said again with the same value only
    /// when the parameters have changed.
    Own(bool),
    /// Send one gratuitous ARP or unsolicited neighbour advertisement for each address now. Repeats are further actions.
    Announce,
    /// Tell the operator.
    Note(Note),
}
