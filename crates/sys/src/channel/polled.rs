//! One side of a channel for a loop that waits by itself: nothing here blocks.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Inbox, encode, read, write};

/// Bytes that may wait for the other side to read them; what does not fit is not sent.
pub const LARGEST_OUTBOX: usize = 4 * 1024 * 1024;

/// One side of a [`pair`](super::pair), without a runtime.
#[derive(Debug)]
pub struct Polled {
    socket: OwnedFd,
    inbox: Inbox,
    outbox: VecDeque<u8>,
}

impl Polled {
    /// Takes one side of a [`pair`](super::pair).
    ///
    /// # Errors
    /// When the socket cannot be made nonblocking.
    pub fn from_fd(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self { socket, inbox: Inbox::default(), outbox: VecDeque::new() })
    }

    /// The next message that has come; `Ok(Next::Later)` when it is not whole yet.
    ///
    /// # Errors
    /// As [`Receiver::receive`](super::Receiver::receive).
    pub fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Next<T>> {
        loop {
            if let Some((message, _)) = self.inbox.take()? {
                return Ok(Next::Message(message));
            }
            match read(self.socket.as_fd(), &mut self.inbox.bytes, &mut self.inbox.descriptors) {
                Ok(0) => return self.inbox.end().map(|()| Next::End),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Next::Later),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a message, now or as soon as [`Self::flush`] can; `false` when too much waits already and it is dropped.
    ///
    /// # Errors
    /// When the message cannot be written as text, or the other side is gone.
    pub fn send<T: Serialize>(&mut self, message: &T) -> io::Result<bool> {
        let frame = encode(message, 0)?;
        if self.outbox.len() + frame.len() > LARGEST_OUTBOX {
            return Ok(false);
        }
        self.outbox.extend(frame);
        self.flush()?;
        Ok(true)
    }

    /// Writes what waits, as far as the other side takes it.
    ///
    /// # Errors
    /// When the other side is gone.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.outbox.is_empty() {
            match write(self.socket.as_fd(), self.outbox.as_slices().0, &[]) {
                Ok(count) => drop(self.outbox.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Bytes that wait for the other side to read them.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.outbox.len()
    }

    /// Something waits for the other side to read: call [`Self::flush`] when the socket can be written.
    #[must_use]
    pub fn wants_to_write(&self) -> bool {
        !self.outbox.is_empty()
    }
}

impl AsFd for Polled {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What there is to read.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// A message.
    Message(T),
    /// Nothing, or a part of a message: wait until the socket can be read.
    Later,
    /// Nothing any more: the other side has ended.
    End,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> (Polled, Polled) {
        let (left, right) = super::super::pair().unwrap();
        (Polled::from_fd(left).unwrap(), Polled::from_fd(right).unwrap())
    }

    #[test]
    fn messages_come_in_order_and_then_the_end() {
        let (mut left, mut right) = two();
        assert_eq!(right.receive::<u32>().unwrap(), Next::Later);
        assert!(left.send(&1_u32).unwrap() && left.send(&2_u32).unwrap());
        drop(left);
        assert_eq!(right.receive().unwrap(), Next::Message(1_u32));
        assert_eq!(right.receive().unwrap(), Next::Message(2_u32));
        assert_eq!(right.receive::<u32>().unwrap(), Next::End);
    }

    #[test]
    fn a_reader_that_sleeps_costs_messages_and_nothing_else() {
        let (mut left, mut right) = two();
        let text = "x".repeat(1 << 20);
        let sent = (0..16).filter(|_| left.send(&text).unwrap()).count();
        assert!((1..16).contains(&sent), "{sent}");
        assert!(left.wants_to_write());
        for _ in 0..sent {
            loop {
                left.flush().unwrap();
                if let Next::Message(got) = right.receive::<String>().unwrap() {
                    assert_eq!(got, text);
                    break;
                }
            }
        }
        assert!(!left.wants_to_write());
    }
}
