//! Speaks to nf_tables (nft(8)) about two things: packets that are passed to a neighbour as they come in, and addresses that
//! are not answered for.
//!
//! Orders go in batches, of which the kernel does everything or nothing. A batch is bounded ([`MOST_ELEMENTS`]), so that it
//! fits into the buffer of the socket and takes the kernel a moment only.
//!
//! Never decides what is passed or silent. Tables for passing belong to the socket that made them: the kernel removes them when
//! it is closed, however the process ends. Silence stays, and its addresses run out of it: a process that dies must not leave
//! a machine that answers for them.

mod expression;
mod order;
mod passing;
mod silence;

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::LARGEST_DATAGRAM;
use super::message::{ERROR, Request, messages, u32_at};

pub use passing::{List, MOST_ELEMENTS, Pair, Passage};

/// How long an answer may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);
const SOL_NETLINK: i32 = 270;
/// Refusals come without the order that was refused.
const NETLINK_CAP_ACK: i32 = 10;

/// A socket for such orders, and the owner of tables for passing.
#[derive(Debug)]
pub struct Tables {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Tables {
    /// Opens the socket.
    ///
    /// # Errors
    /// When the process or the system has no file descriptor left, or the kernel has no netfilter.
    pub fn open() -> io::Result<Self> {
        let protocol = Some(rustix::net::netlink::NETFILTER);
        let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
        let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, protocol)?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        let wait = rustix::net::sockopt::Timeout::Recv;
        rustix::net::sockopt::set_socket_timeout(&socket, wait, Some(PATIENCE))?;
        crate::calls::set_option(&socket, SOL_NETLINK, NETLINK_CAP_ACK, 1)?;
        Ok(Self { socket, sequence: 0, buffer: vec![0; LARGEST_DATAGRAM] })
    }

    /// Has the kernel do all of it, or nothing.
    fn commit(&mut self, orders: Vec<Request>) -> io::Result<()> {
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        for request in std::iter::once(order::begin()).chain(orders).chain([order::end()]) {
            self.sequence = self.sequence.wrapping_add(1);
            bytes.extend(request.finish(self.sequence));
        }
        let last = self.sequence.wrapping_sub(1);
        rustix::net::send(&self.socket, &bytes, SendFlags::NOSIGNAL)?;
        let mut refusal = None;
        loop {
            let received = rustix::net::recv(&self.socket, self.buffer.as_mut_slice(), RecvFlags::TRUNC);
            let (_, length) = match received {
                Err(rustix::io::Errno::INTR) => continue,
                result => result?,
            };
            let datagram = self.buffer.get(..length).unwrap_or_default();
            for message in messages(datagram).filter(|message| message.kind == ERROR) {
                // Answers to an earlier batch, which failed before its end, are passed over.
                let place = message.sequence.wrapping_sub(first);
                if place > last.wrapping_sub(first) {
                    continue;
                }
                let number = u32_at(message.body, 0).map_or(0, u32::cast_signed);
                if number != 0 {
                    refusal.get_or_insert_with(|| io::Error::from_raw_os_error(number.saturating_neg()));
                }
                // The first is the batch itself: nothing of it was done.
                if message.sequence == last || (place == 0 && refusal.is_some()) {
                    return refusal.map_or(Ok(()), Err);
                }
            }
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::NOENT.raw_os_error())
}
