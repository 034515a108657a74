//! Memory for bytes on their way through TLS: taken when there are some, given back when there are none.
//!
//! Invariants: `start <= end <= length of the memory`; an empty block has no memory. Bound: [`LARGEST`].

use std::cell::RefCell;

/// Usual size: a whole record (RFC 8446 §5.2), in bytes.
const USUAL: usize = 17 * 1024;
/// The most bytes that wait: a long handshake message in one piece, and some.
pub(crate) const LARGEST: usize = 96 * 1024;
/// Free blocks of the usual size that a thread keeps.
const MOST_FREE: usize = 64;

thread_local! {
    static FREE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Block {
    memory: Vec<u8>,
    start: usize,
    end: usize,
}

impl Block {
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The bytes that wait.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.memory[self.start..self.end]
    }

    /// The same, to be worked on in place.
    pub(crate) fn unread_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.end]
    }

    /// Room behind them, at least `least` bytes; `None` when there would be more than [`LARGEST`].
    pub(crate) fn room(&mut self, least: usize) -> Option<&mut [u8]> {
        if self.memory.is_empty() {
            let pooled = FREE.with_borrow_mut(Vec::pop);
            self.memory = pooled.unwrap_or_else(|| vec![0; USUAL]);
        }
        if self.memory.len() - self.end < least {
            self.memory.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            let needed = self.end + least;
            if needed > LARGEST {
                return None;
            }
            if needed > self.memory.len() {
                self.memory.resize(needed.next_multiple_of(USUAL).min(LARGEST), 0);
            }
        }
        Some(&mut self.memory[self.end..])
    }

    /// So many bytes were put into the room.
    pub(crate) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.memory.len());
    }

    /// The first `count` bytes are used.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        self.give_back_if_empty();
    }

    /// Lets go of memory in which nothing waits.
    pub(crate) fn give_back_if_empty(&mut self) {
        if !self.is_empty() || self.memory.is_empty() {
            return;
        }
        (self.start, self.end) = (0, 0);
        let memory = std::mem::take(&mut self.memory);
        if memory.len() == USUAL {
            // At the end of the thread the pool may be gone before the last block.
            let _gone = FREE.try_with(|free| {
                let mut free = free.borrow_mut();
                if free.len() < MOST_FREE {
                    free.push(memory);
                }
            });
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.start = self.end;
        self.give_back_if_empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(block: &mut Block, bytes: &[u8]) {
        block.room(bytes.len()).unwrap()[..bytes.len()].copy_from_slice(bytes);
        block.filled(bytes.len());
    }

    #[test]
    fn bytes_come_out_as_they_went_in_and_leave_no_memory() {
        let mut block = Block::default();
        put(&mut block, b"hello ");
        block.consume(3);
        put(&mut block, &[b'x'; USUAL]);
        assert_eq!((block.unread().len(), &block.unread()[..4]), (USUAL + 3, &b"lo x"[..]));
        block.consume(usize::MAX / 2);
        assert!(block.is_empty() && block.memory.is_empty());
    }

    #[test]
    fn there_is_a_bound() {
        let mut block = Block::default();
        put(&mut block, &[1; LARGEST]);
        assert!(block.room(1).is_none());
        block.consume(1);
        assert_eq!(block.room(1).map(|room| room.len()), Some(1));
    }
}
