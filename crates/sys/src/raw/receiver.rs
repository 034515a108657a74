//! Hears advertisements.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, setsockopt, sockopt};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockFilter, Socket, Type};

use super::{GROUP_V4, GROUP_V6, PROTOCOL, RECEIVE_BUFFER};

/// The longest packet that is looked at, in bytes, IP header included: 255 IPv6 addresses fit, and fragments come put
/// together. What is longer arrives cut, and its length betrays it.
pub const LARGEST_ADVERTISEMENT: usize = 8 * 1024;

/// A packet that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard<'a> {
    /// Who sent it.
    pub source: IpAddr,
    /// Whom it was sent to.
    pub destination: IpAddr,
    /// TTL or hop limit as it arrived.
    pub hop_limit: u8,
    /// What follows the IP header.
    pub payload: &'a [u8],
}

/// A socket for the advertisements of one virtual router on one interface.
#[derive(Debug)]
pub struct Receiver {
    socket: Socket,
    is_v6: bool,
}

impl Receiver {
    /// Opens it. Other virtual routers' packets are dropped by the kernel. With `multicast` it joins the group.
    ///
    /// # Errors
    /// `PermissionDenied` without CAP_NET_RAW; when there is no such interface, or no IPv6.
    pub fn open(is_v6: bool, index: u32, vrid: u8, multicast: bool) -> io::Result<Self> {
        let domain = if is_v6 { Domain::IPV6 } else { Domain::IPV4 };
        // Nonblocking and closed on exec from the start; no packet may slip in before the filter is there, so the socket
        // is of no protocol's interest until it is bound to the interface.
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(PROTOCOL)))?;
        socket.set_nonblocking(true)?;
        socket.attach_filter(&if is_v6 { for_v6(vrid) } else { for_v4(vrid) })?;
        let device = NonZeroU32::new(index);
        if is_v6 {
            socket.bind_device_by_index_v6(device)?;
            socket.set_multicast_all_v6(false)?;
            socket.set_recv_hoplimit_v6(true)?;
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            if multicast {
                socket.join_multicast_v6(&GROUP_V6, index)?;
            }
        } else {
            socket.bind_device_by_index_v4(device)?;
            socket.set_multicast_all_v4(false)?;
            if multicast {
                socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(index))?;
            }
        }
        // The system's bound may be lower, and that is no reason to go without.
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        // What came between the making of the socket and its binding is from anywhere.
        let receiver = Self { socket, is_v6 };
        let mut buffer = vec![0; LARGEST_ADVERTISEMENT];
        while receiver.receive(&mut buffer)?.is_some() {}
        Ok(receiver)
    }

    /// The next packet; `None` when there is none now. One that cannot be read comes with what is there of it.
    ///
    /// # Errors
    /// When the socket fails, as it does once when its interface goes down.
    pub fn receive<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<Heard<'b>>> {
        let result =
            if self.is_v6 { receive_v6(&self.socket, buffer) } else { receive_v4(&self.socket, buffer) };
        match result {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock) => Ok(None),
            result => result.map(Some),
        }
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Over IPv4 the packet comes with its header.
fn receive_v4<'b>(socket: &Socket, buffer: &'b mut [u8]) -> io::Result<Heard<'b>> {
    let (_, length) = again(|| rustix::net::recv(socket, &mut *buffer, rustix::net::RecvFlags::empty()))?;
    Ok(split_v4(buffer.get(..length).unwrap_or_default()))
}

/// Takes an IPv4 packet apart. The kernel has checked it; what is wrong all the same leaves an empty payload.
fn split_v4(packet: &[u8]) -> Heard<'_> {
    let header = packet.first().map_or(0, |byte| usize::from(byte & 0xf) * 4);
    let ip = |at: usize| {
        let octets: Option<[u8; 4]> = packet.get(at..).and_then(|rest| rest.first_chunk()).copied();
        IpAddr::V4(octets.map_or(Ipv4Addr::UNSPECIFIED, Ipv4Addr::from))
    };
    Heard {
        source: ip(12),
        destination: ip(16),
        hop_limit: packet.get(8).copied().unwrap_or(0),
        payload: packet.get(header.max(20)..).unwrap_or_default(),
    }
}

/// Over IPv6 the header stays with the kernel and what it says comes beside.
fn receive_v6<'b>(socket: &Socket, buffer: &'b mut [u8]) -> io::Result<Heard<'b>> {
    let mut space = nix::cmsg_space!(libc::in6_pktinfo, i32);
    let (length, source, destination, hop_limit) = {
        let mut slices = [IoSliceMut::new(&mut *buffer)];
        again(|| {
            recvmsg::<SockaddrIn6>(
                socket.as_fd().as_raw_fd(),
                &mut slices,
                Some(&mut space),
                MsgFlags::MSG_DONTWAIT,
            )
            .map(|received| {
                let mut destination = None;
                let mut hop_limit = 0;
                for message in received.cmsgs().into_iter().flatten() {
                    match message {
                        ControlMessageOwned::Ipv6PacketInfo(info) => {
                            destination = Some(info.ipi6_addr.s6_addr.into());
                        }
                        ControlMessageOwned::Ipv6HopLimit(limit) => {
                            hop_limit = u8::try_from(limit).unwrap_or(0);
                        }
                        _ => {}
                    }
                }
                (received.bytes, received.address.map(|address| address.ip()), destination, hop_limit)
            })
        })?
    };
    let unspecified = std::net::Ipv6Addr::UNSPECIFIED;
    Ok(Heard {
        source: source.unwrap_or(unspecified).into(),
        destination: IpAddr::V6(destination.unwrap_or(unspecified)),
        hop_limit,
        payload: buffer.get(..length).unwrap_or_default(),
    })
}

/// A call that a signal interrupted is made again.
fn again<R, E: Into<io::Error>>(mut call: impl FnMut() -> Result<R, E>) -> io::Result<R> {
    loop {
        match call().map_err(Into::into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

// The filters are programs for the kernel (bpf(4)): load, compare, return how many bytes to keep.
const LOAD_BYTE: u16 = 0x30;
const LOAD_BYTE_INDEXED: u16 = 0x50;
/// Four times the low half of a byte: the length of an IPv4 header.
const LOAD_HEADER_LENGTH: u16 = 0xb1;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const KEEP: SockFilter = SockFilter::new(RETURN, 0, 0, u32::MAX);
const DROP: SockFilter = SockFilter::new(RETURN, 0, 0, 0);

/// Keeps what has this number in the second byte behind the IPv4 header. A packet that is too short is dropped.
fn for_v4(vrid: u8) -> Vec<SockFilter> {
    vec![
        SockFilter::new(LOAD_HEADER_LENGTH, 0, 0, 0),
        SockFilter::new(LOAD_BYTE_INDEXED, 0, 0, 1),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, vrid.into()),
        KEEP,
        DROP,
    ]
}

/// The same over IPv6, where the filter sees no IP header.
fn for_v6(vrid: u8) -> Vec<SockFilter> {
    vec![SockFilter::new(LOAD_BYTE, 0, 0, 1), SockFilter::new(JUMP_IF_EQUAL, 0, 1, vrid.into()), KEEP, DROP]
}

/// Keeps nothing.
pub(super) fn for_nothing() -> Vec<SockFilter> {
    vec![DROP]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_packet_with_options_is_taken_apart() {
        let mut packet =
            vec![0x46, 0xc0, 0, 32, 0, 1, 0, 0, 255, 112, 0, 0, 10, 99, 0, 1, 224, 0, 0, 18, 1, 1, 1, 0];
        packet.extend([0x31, 51, 150, 1, 0, 10, 0, 0]);
        let heard = split_v4(&packet);
        assert_eq!(heard.source, IpAddr::from([10, 99, 0, 1]));
        assert_eq!(heard.destination, IpAddr::from([224, 0, 0, 18]));
        assert_eq!((heard.hop_limit, heard.payload), (255, [0x31, 51, 150, 1, 0, 10, 0, 0].as_slice()));
    }

    #[test]
    fn a_broken_packet_has_no_payload_and_does_no_harm() {
        for end in 0..=20 {
            assert!(split_v4(&[0x4f; 20][..end]).payload.is_empty());
        }
        // A header that claims less than its least length.
        assert_eq!(split_v4(&[0x40; 21]).payload.len(), 1);
    }
}
