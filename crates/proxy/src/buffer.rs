//! Bytes read from a connection and not yet used.
//!
//! The memory is a fixed block from a pool of the worker's thread: a busy connection never allocates, an idle one
//! holds nothing. Invariant: `start <= end <= bytes.len()`.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// The usual size of a buffer, in bytes. A listener whose heads may be larger gets larger ones.
pub(crate) const BUFFER_SIZE: usize = 16 * 1024;
/// Free buffers that a thread keeps; those above are given back to the allocator.
const MOST_FREE: usize = 1024;

thread_local! {
    static FREE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// An empty buffer that can hold at least `size` bytes.
    pub(crate) fn of_size(size: usize) -> Self {
        let pooled = (size <= BUFFER_SIZE).then(|| FREE.with_borrow_mut(Vec::pop)).flatten();
        let bytes = pooled.unwrap_or_else(|| vec![0; size.max(BUFFER_SIZE)].into());
        Self { bytes, start: 0, end: 0 }
    }

    /// The bytes that wait to be used.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Says whether no byte more can be read before some are used.
    pub(crate) fn is_full(&self) -> bool {
        self.end - self.start == self.bytes.len()
    }

    /// Says whether the last read took all the room there was: more is probably waiting.
    pub(crate) fn is_filled_to_end(&self) -> bool {
        self.end == self.bytes.len()
    }

    /// The first `count` unread bytes are used.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Reads once from `source`; `Ok(0)` is its end. The buffer must not be full.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<usize>> {
        if self.end == self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let mut free = ReadBuf::new(&mut self.bytes[self.end..]);
        ready!(Pin::new(source).poll_read(cx, &mut free))?;
        let count = free.filled().len();
        self.end += count;
        Poll::Ready(Ok(count))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.bytes.len() == BUFFER_SIZE {
            let bytes = std::mem::take(&mut self.bytes);
            // At the end of the thread the pool may be gone before the last buffer.
            let _gone = FREE.try_with(|free| {
                let mut free = free.borrow_mut();
                if free.len() < MOST_FREE {
                    free.push(bytes);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn fill(buffer: &mut Buffer, mut source: &[u8]) -> usize {
        let mut cx = Context::from_waker(Waker::noop());
        match buffer.poll_fill(&mut cx, &mut source) {
            Poll::Ready(Ok(count)) => count,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_read_can_be_used_piece_by_piece() {
        let mut buffer = Buffer::of_size(10);
        assert_eq!(fill(&mut buffer, b"hello world"), 11);
        buffer.consume(6);
        assert_eq!(buffer.unread(), b"world");
        assert_eq!(fill(&mut buffer, b"!"), 1);
        assert_eq!(buffer.unread(), b"world!");
        buffer.consume(100);
        assert!(buffer.is_empty());
    }

    #[test]
    fn room_in_front_is_used_again() {
        let mut buffer = Buffer::of_size(BUFFER_SIZE);
        assert_eq!(fill(&mut buffer, &[1; BUFFER_SIZE + 5]), BUFFER_SIZE);
        assert!(buffer.is_full() && buffer.is_filled_to_end());
        buffer.consume(10);
        assert!(!buffer.is_full());
        assert_eq!(fill(&mut buffer, &[2; 100]), 10);
        assert_eq!(buffer.unread()[BUFFER_SIZE - 11..BUFFER_SIZE - 9], [1, 2]);
    }
}
