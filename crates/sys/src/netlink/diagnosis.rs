//! Asks for sockets (sock_diag(7)): those of handshakes under way.

use std::net::IpAddr;

use super::message::{FLAG_DUMP, Request, bytes_at};

/// `SOCK_DIAG_BY_FAMILY`.
pub(super) const BY_FAMILY: u16 = 20;
const TCP: u8 = 6;
/// `TCP_SYN_RECV` as a bit in the set of states.
const SYN_RECEIVED: u32 = 1 << 3;
/// Bytes of `struct inet_diag_sockid`, of which the last eight are a cookie that is not known.
const SOCKET_ID: usize = 48;
/// Where a `struct inet_diag_msg` has the local address.
const SOURCE: usize = 8;

/// Asks for the handshakes with listening sockets at this port.
pub(super) fn list_handshakes(family: u8, port: u16) -> Request {
    // struct inet_diag_req_v2.
    let mut fixed = vec![family, TCP, 0, 0];
    fixed.extend_from_slice(&SYN_RECEIVED.to_ne_bytes());
    let mut id = [0; SOCKET_ID];
    id[..2].copy_from_slice(&port.to_be_bytes());
    id[SOCKET_ID - 8..].fill(0xff);
    fixed.extend_from_slice(&id);
    Request::new(BY_FAMILY, FLAG_DUMP, &fixed)
}

/// The local address and port of a socket.
pub(super) fn decode(is_v6: bool, body: &[u8]) -> Option<(IpAddr, u16)> {
    let port = u16::from_be_bytes(bytes_at(body, 4)?);
    let ip = if is_v6 {
        IpAddr::from(bytes_at::<16>(body, SOURCE)?)
    } else {
        IpAddr::from(bytes_at::<4>(body, SOURCE)?)
    };
    Some((ip.to_canonical(), port))
}
