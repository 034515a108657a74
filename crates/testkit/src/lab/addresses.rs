//! Notes addresses that come to a host and leave it, as the kernel tells them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use nix::sys::socket::{AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, socket};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

use super::Host;
use super::log::Log;

/// One address came or went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressChange {
    /// When this process learned of it; the kernel gives no time.
    pub at: Instant,
    /// The address.
    pub address: IpAddr,
    /// Whether the host holds it from now on.
    pub held: bool,
}

/// A running record of a host's addresses, of those from its start on.
pub struct AddressWatch {
    changes: Arc<Log<AddressChange>>,
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
    host: Host,
}

/// The groups RTNLGRP_IPV4_IFADDR (5) and RTNLGRP_IPV6_IFADDR (9), rtnetlink(7).
const GROUPS: u32 = 1 << 4 | 1 << 8;
const NEW_ADDRESS: u16 = 20;
const DELETED_ADDRESS: u16 = 21;
/// IFA_ADDRESS and IFA_LOCAL; the latter is the host's own on IPv4, and missing on IPv6.
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;

impl AddressWatch {
    pub(super) fn start(host: &Host) -> Self {
        let netlink = host.inside(|| {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let netlink = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
            bind(std::os::fd::AsRawFd::as_raw_fd(&netlink), &NetlinkAddr::new(0, GROUPS))?;
            Ok::<_, nix::Error>(netlink)
        });
        let netlink = netlink.expect("a netlink socket");
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).expect("an event"));
        let changes = Arc::new(Log::default());
        let (kept, stopped) = (Arc::clone(&changes), Arc::clone(&stop));
        let thread = std::thread::spawn(move || record(&netlink, &kept, &stopped));
        Self { changes, stop, thread: Some(thread), host: host.clone() }
    }

    /// Every change so far.
    #[must_use]
    pub fn changes(&self) -> Vec<AddressChange> {
        self.changes.all()
    }

    /// Waits until the host holds the address, or holds it no more. Panics after [`crate::BOUND`].
    pub fn wait_until(&self, address: IpAddr, held: bool) {
        let mut seen = 0;
        while self.host.holds(address) != held {
            let fits = |change: &AddressChange| change.address == address && change.held == held;
            let Some((next, _)) = self.changes.wait_after(seen, fits, crate::BOUND) else {
                let word = if held { "does not hold" } else { "still holds" };
                panic!("{} {word} {address}: {:?}", self.host.name(), self.changes())
            };
            seen = next;
        }
    }
}

impl Drop for AddressWatch {
    fn drop(&mut self) {
        let _ = rustix::io::write(&*self.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn record(netlink: &OwnedFd, changes: &Log<AddressChange>, stop: &OwnedFd) {
    let mut buffer = vec![0; 65_536];
    loop {
        while let Ok(length) = rustix::io::read(netlink, &mut buffer[..]) {
            let at = Instant::now();
            for (address, held) in read(&buffer[..length]) {
                changes.push(AddressChange { at, address, held });
            }
        }
        let mut events =
            [PollFd::new(netlink, PollFlags::IN), PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN)];
        if poll(&mut events, None).is_err() || !events[1].revents().is_empty() {
            return;
        }
    }
}

/// The changes in one datagram of netlink messages.
fn read(mut rest: &[u8]) -> Vec<(IpAddr, bool)> {
    let mut changes = Vec::new();
    while let Some((kind, message, next)) = split(rest, 16, 4) {
        let held = match kind {
            NEW_ADDRESS => Some(true),
            DELETED_ADDRESS => Some(false),
            _ => None,
        };
        // `struct ifaddrmsg` has 8 octets.
        if let (Some(held), Some(attributes)) = (held, message.get(8..)) {
            changes.extend(address(attributes).map(|address| (address, held)));
        }
        rest = next;
    }
    changes
}

fn address(mut attributes: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    while let Some((kind, value, next)) = split(attributes, 4, 2) {
        if kind == LOCAL || (kind == ADDRESS && found.is_none()) {
            let four = <[u8; 4]>::try_from(value).map(|octets| Ipv4Addr::from(octets).into());
            let sixteen = <[u8; 16]>::try_from(value).map(|octets| Ipv6Addr::from(octets).into());
            found = four.or(sixteen).ok();
        }
        attributes = next;
    }
    found
}

/// Cuts off one message or attribute: its kind, its content after a header, and what follows it at the next place
/// that four divides. It begins with its length, of `width` octets and with the header counted, and its kind.
fn split(bytes: &[u8], header: usize, width: usize) -> Option<(u16, &[u8], &[u8])> {
    let mut number = bytes.get(..width)?.to_vec();
    // The kernel writes in the order of the machine.
    if cfg!(target_endian = "big") {
        number.reverse();
    }
    let length = number.iter().rev().fold(0, |length, &octet| length << 8 | usize::from(octet));
    let kind = u16::from_ne_bytes(bytes.get(width..width + 2)?.try_into().ok()?);
    let content = bytes.get(header..length)?;
    let next = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, content, next))
}
