//! Bytes read from a connection and not yet used.
//!
//! A buffer has memory only while bytes wait in it: it is taken from a pool of the worker's thread when there is
//! something to read and given back when all is used. So a waiting connection holds none, and however many there are,
//! they share the few blocks that lie in the processor's cache. Invariants: `start <= end <= length of the block`; an
//! empty buffer has no block.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use crate::stream::Stream;

/// The usual size of a buffer, in bytes. A listener whose heads may be larger gets larger ones.
pub(crate) const BUFFER_SIZE: usize = 16 * 1024;
/// Free blocks that a thread keeps; those above are given back to the allocator.
const MOST_FREE: usize = 64;

thread_local! {
    static FREE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// What a buffer reads from.
pub(crate) trait Source: AsyncRead + Unpin {
    /// Ready when a read may find something.
    fn poll_waiting(&self, cx: &mut Context<'_>) -> Poll<()>;
}

impl Source for Stream {
    fn poll_waiting(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_readable(cx)
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Buffer {
    size: usize,
    block: Option<Box<[u8]>>,
    start: usize,
    end: usize,
    filled_to_end: bool,
}

impl Buffer {
    /// An empty buffer that can hold at least `size` bytes.
    pub(crate) fn of_size(size: usize) -> Self {
        Self { size: size.max(BUFFER_SIZE), block: None, start: 0, end: 0, filled_to_end: false }
    }

    /// The bytes that wait to be used.
    pub(crate) fn unread(&self) -> &[u8] {
        self.block.as_ref().map(|block| &block[self.start..self.end]).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Says whether no byte more can be read before some are used.
    pub(crate) fn is_full(&self) -> bool {
        self.end - self.start == self.size
    }

    /// Says whether the last read took all the room there was: more is probably waiting.
    pub(crate) fn is_filled_to_end(&self) -> bool {
        self.filled_to_end
    }

    /// The first `count` unread bytes are used.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            self.give_back();
        }
    }

    /// Reads once from `source`; `Ok(0)` is its end. The buffer must not be full.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut impl Source,
    ) -> Poll<io::Result<usize>> {
        if self.block.is_none() {
            ready!(source.poll_waiting(cx));
        }
        let size = self.size;
        let block = self.block.get_or_insert_with(|| take(size));
        if self.end == block.len() {
            block.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let mut free = ReadBuf::new(&mut block[self.end..]);
        let read = Pin::new(source).poll_read(cx, &mut free);
        let (count, full) = (free.filled().len(), free.remaining() == 0);
        self.end += count;
        if self.is_empty() {
            self.give_back();
        }
        ready!(read)?;
        self.filled_to_end = full;
        Poll::Ready(Ok(count))
    }

    fn give_back(&mut self) {
        (self.start, self.end) = (0, 0);
        let Some(block) = self.block.take().filter(|block| block.len() == BUFFER_SIZE) else { return };
        // At the end of the thread the pool may be gone before the last buffer.
        let _gone = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < MOST_FREE {
                free.push(block);
            }
        });
    }
}

/// A block of this size: the one that was used last, if there is one.
fn take(size: usize) -> Box<[u8]> {
    let pooled = (size == BUFFER_SIZE).then(|| FREE.with_borrow_mut(Vec::pop)).flatten();
    pooled.unwrap_or_else(|| vec![0; size].into())
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    impl Source for &[u8] {
        fn poll_waiting(&self, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }

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

    #[test]
    fn an_empty_buffer_holds_no_memory() {
        let mut buffer = Buffer::of_size(0);
        assert!(buffer.block.is_none());
        fill(&mut buffer, b"x");
        assert!(buffer.block.is_some());
        buffer.consume(1);
        assert!(buffer.block.is_none() && buffer.unread().is_empty());
        assert_eq!(fill(&mut buffer, b""), 0);
        assert!(buffer.block.is_none());
    }
}
