//! Sends advertisements.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU32;

use socket2::{Domain, Protocol, Socket, Type};

use super::receiver::for_nothing;
use super::{CLASS, HOPS, PROTOCOL};

/// A socket for advertisements from one source address over one interface.
#[derive(Debug)]
pub struct Sender {
    socket: Socket,
    index: u32,
}

impl Sender {
    /// Opens it. `source` must be an address of this machine.
    ///
    /// # Errors
    /// `PermissionDenied` without CAP_NET_RAW; `AddrNotAvailable` when `source` is not there.
    pub fn open(index: u32, source: IpAddr) -> io::Result<Self> {
        let domain = if source.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(PROTOCOL)))?;
        socket.set_nonblocking(true)?;
        // It shares the protocol with the receivers and must not collect what they read.
        socket.attach_filter(&for_nothing())?;
        let device = NonZeroU32::new(index);
        match source {
            IpAddr::V4(_) => {
                socket.bind_device_by_index_v4(device)?;
                socket.set_multicast_ttl_v4(HOPS)?;
                socket.set_ttl_v4(HOPS)?;
                socket.set_tos_v4(CLASS)?;
                socket.set_multicast_loop_v4(false)?;
            }
            IpAddr::V6(_) => {
                socket.bind_device_by_index_v6(device)?;
                socket.set_multicast_hops_v6(HOPS)?;
                socket.set_unicast_hops_v6(HOPS)?;
                socket.set_tclass_v6(CLASS)?;
                socket.set_multicast_loop_v6(false)?;
                socket.set_multicast_if_v6(index)?;
            }
        }
        socket.bind(&endpoint(source, index).into())?;
        Ok(Self { socket, index })
    }

    /// Sends one message. A full queue of the interface drops it, as the network may.
    ///
    /// # Errors
    /// When the message cannot leave: the interface is down, there is no way to the destination.
    pub fn send(&self, destination: IpAddr, payload: &[u8]) -> io::Result<()> {
        let to = endpoint(destination, self.index).into();
        loop {
            match self.socket.send_to(payload, &to) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// An address of IP as the socket interface wants it: link-local ones belong to an interface.
fn endpoint(ip: IpAddr, index: u32) -> SocketAddr {
    match ip {
        IpAddr::V4(_) => SocketAddr::new(ip, 0),
        IpAddr::V6(ip) => {
            let is_local = ip.is_unicast_link_local() || ip.is_multicast();
            SocketAddrV6::new(ip, 0, 0, if is_local { index } else { 0 }).into()
        }
    }
}
