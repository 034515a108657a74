//! What the kernel tells by itself: interfaces and addresses that change.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};

use super::message::{Message, messages};
use super::{LARGEST_DATAGRAM, address, link};

/// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV6_IFADDR`.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;
/// Room for news that nobody has read yet; what does not fit is told as [`Notice::Lost`].
const RECEIVE_BUFFER: usize = 256 * 1024;

/// Something that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// An interface came, changed or went.
    Link {
        /// Its number.
        index: u32,
        /// Its name.
        name: String,
    },
    /// An address on this interface came, changed or went.
    Address {
        /// The interface.
        index: u32,
    },
    /// There was more than fits; anything may have changed.
    Lost,
}

/// A socket that the kernel writes news to.
#[derive(Debug)]
pub struct Watch {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Watch {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the process or the system has no file descriptor left.
    pub fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        // Without the right to go beyond the system's bound this is less, and more is told as lost.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER);
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        Ok(Self { socket, buffer: vec![0; LARGEST_DATAGRAM] })
    }

    /// Reads one datagram of news; `None` when there is none.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn read(&mut self) -> io::Result<Option<Vec<Notice>>> {
        match rustix::net::recv(&self.socket, self.buffer.as_mut_slice(), RecvFlags::TRUNC) {
            Ok((_, length)) => Ok(Some(match self.buffer.get(..length) {
                Some(datagram) => notices(datagram),
                None => vec![Notice::Lost],
            })),
            Err(rustix::io::Errno::NOBUFS) => Ok(Some(vec![Notice::Lost])),
            Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(rustix::io::Errno::INTR) => Ok(Some(Vec::new())),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The news in a datagram; what is not understood is passed over.
#[must_use]
// fuzz: netlink
pub fn notices(datagram: &[u8]) -> Vec<Notice> {
    messages(datagram).filter_map(|message| notice(&message)).collect()
}

fn notice(message: &Message<'_>) -> Option<Notice> {
    match message.kind {
        link::NEW | link::DELETE => {
            let link = link::decode(message.body)?;
            Some(Notice::Link { index: link.index, name: link.name })
        }
        address::NEW | address::DELETE => Some(Notice::Address { index: address::index_of(message.body)? }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_say_what_they_concern() {
        let mut datagram = link::add_macvlan("vrrp.51", 7, [1; 6]).finish(0);
        datagram.extend(address::add(9, "192.0.2.1".parse().unwrap(), 24).finish(0));
        let expected = [Notice::Link { index: 0, name: "vrrp.51".into() }, Notice::Address { index: 9 }];
        assert_eq!(notices(&datagram), expected);
        for end in 0..datagram.len() {
            assert!(notices(&datagram[..end]).len() < 2, "{end}");
        }
    }
}
