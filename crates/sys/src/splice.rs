//! splice(2): bytes from one socket to another through a pipe, without a copy to this process.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::pipe::{PipeFlags, SpliceFlags};

/// Bytes that a pipe should hold; the kernel's limit for unprivileged users (`fs.pipe-max-size`) is 1 MiB, and the
/// total of a user's pipes is bounded too (`fs.pipe-user-pages-soft`): where more is refused the pipe stays small.
const WANTED_CAPACITY: usize = 256 * 1024;

/// A pipe, always given back empty or closed.
#[derive(Debug)]
pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipe {
    /// A new, empty pipe.
    ///
    /// # Errors
    /// When no file descriptor is left.
    pub fn new() -> io::Result<Self> {
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let _stays_small = rustix::pipe::fcntl_setpipe_size(&write, WANTED_CAPACITY);
        Ok(Self { read, write })
    }

    /// Moves at most `most` bytes from `source` into the pipe; 0 is the end of the source.
    ///
    /// # Errors
    /// `WouldBlock` when the source has nothing or the pipe is full; anything else is the source's failure.
    pub fn fill(&mut self, source: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
        let most = most.min(WANTED_CAPACITY);
        Ok(rustix::pipe::splice(source, None, &self.write, None, most, FLAGS)?)
    }

    /// Moves at most `most` bytes from the pipe to `target`.
    ///
    /// # Errors
    /// `WouldBlock` when the target takes nothing now; anything else is the target's failure.
    pub fn drain(&mut self, target: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
        Ok(rustix::pipe::splice(&self.read, None, target, None, most, FLAGS)?)
    }
}

const FLAGS: SpliceFlags = SpliceFlags::MOVE.union(SpliceFlags::NONBLOCK);

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn bytes_pass_through_and_the_end_is_seen() {
        let (mut client, inside) = UnixStream::pair().unwrap();
        let (outside, mut server) = UnixStream::pair().unwrap();
        let mut pipe = Pipe::new().unwrap();
        client.write_all(b"hello").unwrap();
        assert_eq!(pipe.fill(inside.as_fd(), 4).unwrap(), 4);
        assert_eq!(pipe.drain(outside.as_fd(), 4).unwrap(), 4);
        drop(client);
        assert_eq!(pipe.fill(inside.as_fd(), 4).unwrap(), 1);
        assert_eq!(pipe.drain(outside.as_fd(), 1).unwrap(), 1);
        assert_eq!(pipe.fill(inside.as_fd(), 4).unwrap(), 0);
        drop(outside);
        let mut text = String::new();
        server.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
    }

    #[test]
    fn nothing_waiting_would_block() {
        let (_client, inside) = UnixStream::pair().unwrap();
        inside.set_nonblocking(true).unwrap();
        let error = Pipe::new().unwrap().fill(inside.as_fd(), 4).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
