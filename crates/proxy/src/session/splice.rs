//! Moves long runs of bytes from one connection to the other through a pipe in the kernel, without copying them here.
//!
//! Costs two system calls and a pipe for what copying does in two system calls and a copy, so it is used only for
//! runs that are long enough, and only while the source delivers them quickly.

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll, ready};

use evenkeel_sys::splice::Pipe;
use tokio::io::Interest;

use crate::stream::Stream;

/// Bytes still to come from which a pipe is worth its while.
const WORTH_A_PIPE: u64 = 64 * 1024;
/// Empty pipes that a thread keeps.
const MOST_FREE: usize = 64;

thread_local! {
    static FREE: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

/// One direction's use of a pipe.
#[derive(Debug, Default)]
pub(crate) struct Splice {
    pipe: Option<Pipe>,
    held: usize,
    /// The last read filled its buffer: the source is fast.
    flowing: bool,
    /// No pipe was to be had, or the sockets do not splice.
    useless: bool,
}

impl Splice {
    /// Bytes that wait in the pipe.
    pub(crate) fn holds(&self) -> usize {
        self.held
    }

    /// Tells whether a read into a buffer has filled it.
    pub(crate) fn saw(&mut self, full: bool) {
        self.flowing = full;
    }

    /// Says whether the next bytes should go through a pipe; `unseen` is how many need no look, `None` all.
    pub(crate) fn pays(&self, unseen: Option<u64>) -> bool {
        !self.useless && self.flowing && unseen.is_none_or(|bytes| bytes >= WORTH_A_PIPE)
    }

    /// Moves bytes from `source` into the empty pipe, at most `most`. `Ok(0)` is the end of the source.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        source: &Stream,
        most: Option<u64>,
    ) -> Poll<io::Result<usize>> {
        if self.pipe.is_none() {
            self.pipe = FREE.with_borrow_mut(Vec::pop).or_else(|| Pipe::new().ok());
        }
        let Some(pipe) = &mut self.pipe else {
            self.useless = true;
            // Woken at once, to go on with a buffer.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        loop {
            ready!(source.poll_readable(cx));
            match source.try_io(Interest::READABLE, || pipe.fill(source.descriptor()?, most)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(count) => {
                    self.held = count;
                    return Poll::Ready(Ok(count));
                }
            }
        }
    }

    /// Moves bytes from the pipe to `target`.
    pub(crate) fn poll_drain(&mut self, cx: &mut Context<'_>, target: &Stream) -> Poll<io::Result<()>> {
        while let Some(pipe) = self.pipe.as_mut().filter(|_| self.held > 0) {
            ready!(target.poll_writable(cx));
            match target.try_io(Interest::WRITABLE, || pipe.drain(target.descriptor()?, self.held)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => self.held -= count,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Splice {
    fn drop(&mut self) {
        // A pipe that still holds bytes would give them to the next connection.
        if let Some(pipe) = self.pipe.take().filter(|_| self.held == 0) {
            let _gone = FREE.try_with(|free| {
                let mut free = free.borrow_mut();
                if free.len() < MOST_FREE {
                    free.push(pipe);
                }
            });
        }
    }
}
