//! HTTP requests under way, each on a connection of its own.

use std::collections::VecDeque;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: website.example\r\nConnection: close\r\n\r\n";
const WELL: &[u8] = b"HTTP/1.1 200";

/// Those whose answer has not begun yet.
#[derive(Default)]
pub(super) struct Fetches {
    open: VecDeque<Fetch>,
}

struct Fetch {
    number: u64,
    socket: OwnedFd,
    /// The connection is there and the request was sent.
    is_asked: bool,
}

/// What became of one at a look.
enum Course {
    GoesOn,
    Answered,
    Lost,
}

impl Fetches {
    pub(super) fn add(&mut self, number: u64, socket: OwnedFd) {
        self.open.push_back(Fetch { number, socket, is_asked: false });
    }

    /// The numbers of those answered well since the last call.
    pub(super) fn answered(&mut self) -> Vec<u64> {
        let mut answered = Vec::new();
        self.open.retain_mut(|fetch| match fetch.look() {
            Course::GoesOn => true,
            Course::Answered => {
                answered.push(fetch.number);
                false
            }
            Course::Lost => false,
        });
        answered
    }

    pub(super) fn forget_before(&mut self, oldest: u64) {
        self.open.retain(|fetch| fetch.number >= oldest);
    }

    pub(super) fn wait_on<'a>(&'a self, events: &mut Vec<PollFd<'a>>) {
        events.extend(self.open.iter().map(|fetch| {
            let what = if fetch.is_asked { PollFlags::IN } else { PollFlags::OUT };
            PollFd::from_borrowed_fd(fetch.socket.as_fd(), what)
        }));
    }
}

impl Fetch {
    fn look(&mut self) -> Course {
        if !self.is_asked {
            let mut event = [PollFd::new(&self.socket, PollFlags::OUT)];
            if poll(&mut event, Some(&Duration::ZERO.try_into().expect("no time"))) != Ok(1) {
                return Course::GoesOn;
            }
            // A request of this size fits into the buffer of a new connection.
            let is_open = matches!(sockopt::socket_error(&self.socket), Ok(Ok(())));
            if !is_open || send(&self.socket, REQUEST, SendFlags::NOSIGNAL) != Ok(REQUEST.len()) {
                return Course::Lost;
            }
            self.is_asked = true;
        }
        // The first packet of an answer has its status line.
        let mut buffer = [0; 256];
        match recv(&self.socket, &mut buffer, RecvFlags::empty()) {
            Err(Errno::AGAIN | Errno::INTR) => Course::GoesOn,
            Ok((length, _)) if buffer[..length.min(256)].starts_with(WELL) => Course::Answered,
            Ok(_) | Err(_) => Course::Lost,
        }
    }
}
