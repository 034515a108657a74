//! The ways to ask: ICMP echo on a raw socket, or a TCP connection each time, with or without a request over it.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, ipproto, recv, sendto,
    socket_with, sockopt,
};

use super::Probing;
use super::fetch::Fetches;

pub(super) enum Means {
    Echo { socket: OwnedFd, target: IpAddr, identity: u16 },
    Connect { target: SocketAddr, open: VecDeque<(u64, OwnedFd)> },
    Fetch { target: SocketAddr, fetches: Fetches },
}

const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

impl Means {
    /// To be called inside the client's namespace.
    pub(super) fn new(target: IpAddr, how: Probing) -> Self {
        match how {
            Probing::Connect(port) => {
                Self::Connect { target: SocketAddr::new(target, port), open: VecDeque::new() }
            }
            Probing::Fetch(port) => {
                Self::Fetch { target: SocketAddr::new(target, port), fetches: Fetches::default() }
            }
            Probing::Echo => {
                // Every raw socket sees every answer that comes to its host.
                static NEXT: AtomicU16 = AtomicU16::new(1);
                let protocol = if target.is_ipv4() { ipproto::ICMP } else { ipproto::ICMPV6 };
                let socket = socket_with(family(target), SocketType::RAW, FLAGS, Some(protocol));
                let identity = NEXT.fetch_add(1, Ordering::Relaxed);
                Self::Echo { socket: socket.expect("a raw socket"), target, identity }
            }
        }
    }

    /// Sends the probe of this number. One that cannot be sent is lost as well: no route is an outage too.
    pub(super) fn send(&mut self, number: u64) {
        match self {
            Self::Echo { socket, target, identity } => {
                let request = echo_request(*target, *identity, number);
                let _ = sendto(&*socket, &request, SendFlags::empty(), &SocketAddr::new(*target, 0));
            }
            Self::Connect { target, open } => {
                open.extend(begin(*target).map(|socket| (number, socket)));
            }
            Self::Fetch { target, fetches } => {
                if let Some(socket) = begin(*target) {
                    fetches.add(number, socket);
                }
            }
        }
    }

    /// The numbers of the probes that have been answered since the last call.
    pub(super) fn answered(&mut self) -> Vec<u64> {
        match self {
            Self::Echo { socket, target, identity } => {
                let mut buffer = [0; 256];
                let mut answered = Vec::new();
                while let Ok((length, _)) = recv(&*socket, &mut buffer, RecvFlags::empty()) {
                    answered.extend(echo_reply(*target, *identity, &buffer[..length.min(256)]));
                }
                answered
            }
            Self::Connect { open, .. } => {
                let mut answered = Vec::new();
                open.retain(|(number, socket)| {
                    let mut event = [PollFd::new(socket, PollFlags::OUT)];
                    let ready = poll(&mut event, Some(&Duration::ZERO.try_into().expect("no time")));
                    if ready != Ok(1) {
                        return true;
                    }
                    if matches!(sockopt::socket_error(socket), Ok(Ok(()))) {
                        answered.push(*number);
                    }
                    false
                });
                answered
            }
            Self::Fetch { fetches, .. } => fetches.answered(),
        }
    }

    /// Gives up what is older than this number.
    pub(super) fn forget_before(&mut self, oldest: u64) {
        match self {
            Self::Echo { .. } => {}
            Self::Connect { open, .. } => open.retain(|&(number, _)| number >= oldest),
            Self::Fetch { fetches, .. } => fetches.forget_before(oldest),
        }
    }

    /// Adds what an answer will show itself on.
    pub(super) fn wait_on<'a>(&'a self, events: &mut Vec<PollFd<'a>>) {
        match self {
            Self::Echo { socket, .. } => {
                events.push(PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN));
            }
            Self::Connect { open, .. } => events.extend(
                open.iter().map(|(_, socket)| PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::OUT)),
            ),
            Self::Fetch { fetches, .. } => fetches.wait_on(events),
        }
    }
}

/// Begins to connect.
fn begin(target: SocketAddr) -> Option<OwnedFd> {
    let socket = socket_with(family(target.ip()), SocketType::STREAM, FLAGS, None).ok()?;
    // Closing resets: the client would run out of ports in a minute.
    let _ = sockopt::set_socket_linger(&socket, Some(Duration::ZERO));
    let begun = connect(&socket, &target);
    (begun.is_ok() || begun == Err(rustix::io::Errno::INPROGRESS)).then_some(socket)
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 }
}

/// An echo request of RFC 792 or RFC 4443, §4.1, with the number as its data; the kernel sums up ICMPv6 itself.
fn echo_request(target: IpAddr, identity: u16, number: u64) -> [u8; 16] {
    let mut message = [0; 16];
    message[0] = if target.is_ipv4() { 8 } else { 128 };
    message[4..6].copy_from_slice(&identity.to_be_bytes());
    message[8..].copy_from_slice(&number.to_be_bytes());
    if target.is_ipv4() {
        let words = message.as_chunks::<2>().0.iter().map(|&word| u32::from(u16::from_be_bytes(word)));
        let sum: u32 = words.sum();
        // Eight words: two foldings are enough.
        let folded = (sum & 0xffff) + (sum >> 16);
        let folded = (folded & 0xffff) + (folded >> 16);
        let [.., high, low] = (!folded).to_be_bytes();
        message[2..4].copy_from_slice(&[high, low]);
    }
    message
}

/// The number of the probe that this packet answers, when it answers one of ours. IPv4 comes with its header.
fn echo_reply(target: IpAddr, identity: u16, packet: &[u8]) -> Option<u64> {
    let (kind, start) =
        if target.is_ipv4() { (0, usize::from(packet.first()? & 0x0f) * 4) } else { (129, 0) };
    let message = packet.get(start..)?;
    if *message.first()? != kind || message.get(4..6)? != identity.to_be_bytes() {
        return None;
    }
    Some(u64::from_be_bytes(message.get(8..16)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_request_adds_up_to_nothing() {
        let request = echo_request("10.0.0.1".parse().unwrap(), 0xfffe, 0xffff_ffff_0001_0203);
        // 0x0800 + 0xfffe + 0xffff + 0xffff + 0x0001 + 0x0203 = 0x30a00; folded 0x0a03; its complement:
        assert_eq!(request[2..4], [0xf5, 0xfc]);
    }

    #[test]
    fn only_answers_to_us_count() {
        let ours = [0x45, 0, 0, 36, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 9];
        let mut packet = ours.to_vec();
        packet.extend([0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        let target = "10.0.0.1".parse().unwrap();
        assert_eq!(echo_reply(target, 7, &packet), Some(0x102));
        assert_eq!(echo_reply(target, 8, &packet), None);
        packet[20] = 3;
        assert_eq!(echo_reply(target, 7, &packet), None);
        assert_eq!(echo_reply(target, 7, &packet[..30]), None);
    }
}
