//! Records the frames that matter to a moving address, with the kernel's time.

use std::io::IoSliceMut;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recvmsg,
    setsockopt, socket, sockopt,
};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

use super::log::Log;
use super::namespace::{Namespace, interface_index};
use super::{Mac, Packet};

/// One recorded frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When the kernel saw it.
    pub at: Instant,
    /// Whether the host sent it.
    pub sent: bool,
    /// The Ethernet address it came from.
    pub source: Mac,
    /// The Ethernet address it went to.
    pub destination: Mac,
    /// What it says.
    pub packet: Packet,
    /// All of it, from the Ethernet header on.
    pub bytes: Vec<u8>,
}

/// A running record of ARP, VRRP and neighbour advertisements; everything else is passed over.
pub struct Capture {
    frames: Arc<Log<Frame>>,
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

/// `PACKET_OUTGOING`, packet(7).
const OUTGOING: u8 = 4;

impl Capture {
    pub(super) fn start(namespace: &Namespace, interface: &str) -> Self {
        let (socket, index) = namespace.inside(|| {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let socket = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)
                .expect("a packet socket");
            setsockopt(&socket, sockopt::ReceiveTimestampns, &true).expect("the kernel's time of frames");
            (socket, interface_index(interface))
        });
        let Some(index) = index else { panic!("{} has no interface {interface}", namespace.name()) };
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).expect("an event"));
        let frames = Arc::new(Log::default());
        let (kept, stopped) = (Arc::clone(&frames), Arc::clone(&stop));
        let thread = std::thread::spawn(move || record(&socket, index, &kept, &stopped));
        Self { frames, stop, thread: Some(thread) }
    }

    /// Every frame so far.
    #[must_use]
    pub fn frames(&self) -> Vec<Frame> {
        self.frames.all()
    }

    /// Waits for a frame, already seen or to come, and returns the first that fits. Panics after
    /// [`crate::BOUND`].
    pub fn wait_for(&self, fits: impl Fn(&Frame) -> bool) -> Frame {
        self.wait_after(0, fits).1
    }

    /// As [`Self::wait_for`], but looks only at frames from index `seen` on; returns the index after the frame too.
    pub fn wait_after(&self, seen: usize, fits: impl Fn(&Frame) -> bool) -> (usize, Frame) {
        self.frames.wait_after(seen, fits, crate::BOUND).unwrap_or_else(|| {
            let all: Vec<_> =
                self.frames().iter().map(|frame| format!("{:?} {:?}", frame.source, frame.packet)).collect();
            panic!("the expected frame did not come; seen were:\n{}", all.join("\n"))
        })
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = rustix::io::write(&*self.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn record(socket: &OwnedFd, index: u32, frames: &Log<Frame>, stop: &OwnedFd) {
    let mut buffer = vec![0; 65_536];
    let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
    loop {
        while let Some(frame) = next(socket, index, &mut buffer, &mut control) {
            if let Some(frame) = frame {
                frames.push(frame);
            }
        }
        let mut events =
            [PollFd::new(socket, PollFlags::IN), PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN)];
        if poll(&mut events, None).is_err() || !events[1].revents().is_empty() {
            return;
        }
    }
}

/// The next frame that waits in the socket: none when there is none, `Some(None)` for one that does not matter.
fn next(socket: &OwnedFd, index: u32, buffer: &mut [u8], control: &mut [u8]) -> Option<Option<Frame>> {
    let mut parts = [IoSliceMut::new(buffer)];
    let received =
        recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut parts, Some(control), MsgFlags::empty()).ok()?;
    let (address, length) = (received.address?, received.bytes);
    let stamp = received.cmsgs().ok()?.find_map(|message| match message {
        ControlMessageOwned::ScmTimestampns(time) => Some(Duration::from(time)),
        _ => None,
    })?;
    if address.ifindex() != index as usize {
        return Some(None);
    }
    let bytes = buffer.get(..length)?;
    let Some(packet) = Packet::read(bytes) else { return Some(None) };
    let mac = |from: usize| Some(Mac(bytes.get(from..from + 6)?.try_into().ok()?));
    Some(Some(Frame {
        at: instant(stamp),
        sent: address.pkttype() == OUTGOING,
        destination: mac(0)?,
        source: mac(6)?,
        packet,
        bytes: bytes.to_vec(),
    }))
}

/// The kernel stamps frames with the time of day.
fn instant(stamp: Duration) -> Instant {
    let (now, today) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
    now.checked_sub(today.saturating_sub(stamp)).unwrap_or(now)
}
