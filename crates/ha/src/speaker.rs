//! The sockets of one virtual router on one interface.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use evenkeel_config::plan::VirtualRouter;
use evenkeel_failover::vrrp::params::Delivery;
use evenkeel_sys::raw::{Frames, Heard, Receiver, Sender};

use crate::ground::Footing;

/// Hears and speaks.
#[derive(Debug)]
pub(crate) struct Speaker {
    receiver: Receiver,
    sender: Sender,
    frames: Frames,
}

impl Speaker {
    pub(crate) fn open(router: &VirtualRouter, footing: &Footing) -> io::Result<Self> {
        let settings = router.params.settings();
        let multicast = settings.delivery == Delivery::Multicast;
        Ok(Self {
            receiver: Receiver::open(router.is_v6(), footing.index, settings.vrid.number(), multicast)?,
            sender: Sender::open(footing.index, footing.source)?,
            frames: Frames::open(footing.index)?,
        })
    }

    /// The next message that has come.
    pub(crate) fn hear<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<Heard<'b>>> {
        self.receiver.receive(buffer)
    }

    /// Sends one advertisement.
    pub(crate) fn say(&self, destination: IpAddr, payload: &[u8]) -> io::Result<()> {
        self.sender.send(destination, payload)
    }

    /// Sends one frame.
    pub(crate) fn announce(&self, frame: &[u8]) -> io::Result<()> {
        self.frames.send(frame)
    }
}

impl AsFd for Speaker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}
