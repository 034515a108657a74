//! Sends whole Ethernet frames: gratuitous ARP and unsolicited neighbour advertisements.

use std::io;

use socket2::{Domain, SockAddr, Socket, Type};

/// A packet socket for one interface that receives nothing.
#[derive(Debug)]
pub struct Frames {
    socket: Socket,
    address: SockAddr,
}

impl Frames {
    /// Opens it.
    ///
    /// # Errors
    /// `PermissionDenied` without CAP_NET_RAW.
    pub fn open(index: u32) -> io::Result<Self> {
        // Protocol 0: the kernel delivers nothing to it.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address: crate::calls::packet_address(index)? })
    }

    /// Sends one frame, from its destination address on.
    ///
    /// # Errors
    /// When it cannot leave: the interface is down or gone.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        loop {
            match self.socket.send_to(frame, &self.address) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
