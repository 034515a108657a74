//! Moves one body from the buffer of one connection to the other, byte for byte.
//!
//! The caller owns buffer and connections: it asks [`Transfer::next`] what to do with the unread bytes, does it, and
//! says how much it did. Invariants: no byte is named for writing before its framing was understood; bytes after the
//! end of the body are never named; what is written is what was read, less the framing of an unwrapped body.

use crate::answer::Reason;
use crate::body::{Body, Framing, Run};

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write the first so many unread bytes (at least one), then tell [`Transfer::wrote`].
    Write(usize),
    /// Drop the first so many unread bytes (at least one); nothing need be told.
    Drop(usize),
    /// Read more. When the connection has ended instead: [`Transfer::ends_with_connection`].
    Read,
    /// All is written.
    Done,
}

/// A body on its way.
#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    body: Body,
    unwrap: bool,
    ready: usize,
}

impl Transfer {
    /// A body of which nothing was read; `unwrap` leaves the framing of chunks out.
    #[must_use]
    pub fn new(framing: Framing, unwrap: bool) -> Self {
        Self { body: Body::new(framing), unwrap, ready: 0 }
    }

    /// Says what to do, given all unread bytes of the source.
    ///
    /// # Errors
    /// [`Reason::BadChunk`] when the framing is broken. What was written before it was sound.
    pub fn next(&mut self, unread: &[u8]) -> Result<Step, Reason> {
        // What is unwrapped lies between framing: one run must be gone before the next is looked at.
        let may_read = !self.unwrap || self.ready == 0;
        while may_read && (self.ready < unread.len() || self.body.is_done()) {
            match self.body.read(unread.get(self.ready..).unwrap_or_default())? {
                Run::Framing(count) if self.unwrap => {
                    return Ok(Step::Drop(count));
                }
                Run::Payload(count) if self.unwrap => {
                    self.ready = count;
                    break;
                }
                Run::Payload(count) | Run::Framing(count) => self.ready += count,
                Run::NeedMore | Run::End => break,
            }
        }
        Ok(match self.ready {
            0 if self.body.is_done() => Step::Done,
            0 => Step::Read,
            ready => Step::Write(ready),
        })
    }

    /// The first `count` of the bytes that were to be written are written and gone from the source.
    pub fn wrote(&mut self, count: usize) {
        self.ready = self.ready.saturating_sub(count);
    }

    /// Says whether every byte of the body is written.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.ready == 0 && self.body.is_done()
    }

    /// Says whether the end of the source's connection, when it comes now, is the proper end of the body.
    #[must_use]
    pub fn ends_with_connection(&self) -> bool {
        self.body.ends_with_connection()
    }

    /// How many bytes may be moved without looking at them, when none is waiting: [`Body::certain_bytes`], none for
    /// an unwrapped body.
    #[must_use]
    pub fn certain_bytes(&self) -> Option<u64> {
        if self.unwrap || self.ready > 0 { Some(0) } else { self.body.certain_bytes() }
    }

    /// Counts bytes that were moved without being looked at.
    pub fn skip(&mut self, count: u64) {
        self.body.skip(count);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds `input` in pieces of these sizes (the last repeats) and returns what was written and what was left.
    fn carry(
        framing: Framing,
        unwrap: bool,
        input: &[u8],
        pieces: &[usize],
    ) -> Result<(Vec<u8>, Vec<u8>), Reason> {
        let mut transfer = Transfer::new(framing, unwrap);
        let (mut written, mut unread, mut rest) = (Vec::new(), Vec::new(), input);
        let mut sizes = pieces.iter().copied().chain(std::iter::repeat(pieces.last().copied().unwrap_or(1)));
        loop {
            match transfer.next(&unread)? {
                Step::Write(count) => {
                    // Half of it, as a full socket would.
                    let some = count.div_ceil(2);
                    written.extend(unread.drain(..some));
                    transfer.wrote(some);
                }
                Step::Drop(count) => drop(unread.drain(..count)),
                Step::Read if rest.is_empty() => return Ok((written, unread)),
                Step::Read => {
                    let (piece, after) = rest.split_at(sizes.next().unwrap().clamp(1, rest.len()));
                    unread.extend_from_slice(piece);
                    rest = after;
                }
                Step::Done => {
                    unread.extend_from_slice(rest);
                    return Ok((written, unread));
                }
            }
        }
    }

    const CHUNKED: &[u8] = b"5\r\nhello\r\n6;x=\"y\"\r\n world\r\n0\r\nX-Sum: 1\r\n\r\nGET / HTTP/1.1\r\n";

    #[test]
    fn a_chunked_body_passes_as_the_bytes_it_came_in() {
        for piece in [1, 2, 3, 7, 100] {
            let (written, left) = carry(Framing::Chunked, false, CHUNKED, &[piece]).unwrap();
            assert_eq!(written, CHUNKED[..CHUNKED.len() - 16], "pieces of {piece}");
            assert_eq!(left, b"GET / HTTP/1.1\r\n");
        }
    }

    #[test]
    fn an_unwrapped_body_is_its_content() {
        for piece in [1, 2, 3, 7, 100] {
            let (written, left) = carry(Framing::Chunked, true, CHUNKED, &[piece]).unwrap();
            assert_eq!(written, b"hello world", "pieces of {piece}");
            assert_eq!(left, b"GET / HTTP/1.1\r\n");
        }
    }

    #[test]
    fn a_counted_body_leaves_what_follows() {
        assert_eq!(
            carry(Framing::Length(5), false, b"helloNEXT", &[2]).unwrap(),
            (b"hello".to_vec(), b"NEXT".to_vec())
        );
        assert_eq!(carry(Framing::None, false, b"NEXT", &[4]).unwrap(), (Vec::new(), b"NEXT".to_vec()));
    }

    #[test]
    fn skipped_bytes_count_towards_the_length() {
        let mut transfer = Transfer::new(Framing::Length(10), false);
        assert_eq!(transfer.certain_bytes(), Some(10));
        transfer.skip(8);
        assert_eq!(transfer.next(b"abc"), Ok(Step::Write(2)));
        transfer.wrote(2);
        assert_eq!(transfer.next(b"c"), Ok(Step::Done));
    }

    #[test]
    fn a_broken_chunk_after_good_ones_is_never_written() {
        let mut transfer = Transfer::new(Framing::Chunked, false);
        assert_eq!(transfer.next(b"1\r\na\r\nzz\r\n"), Err(Reason::BadChunk));
    }

    proptest! {
        #[test]
        fn any_chunking_in_any_pieces_gives_the_content(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
            pieces in prop::collection::vec(1_usize..50, 1..20),
        ) {
            let mut encoded = Vec::new();
            for chunk in &chunks {
                encoded.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                encoded.extend_from_slice(chunk);
                encoded.extend_from_slice(b"\r\n");
            }
            encoded.extend_from_slice(b"0\r\n\r\n");
            let (content, left) = carry(Framing::Chunked, true, &encoded, &pieces).unwrap();
            prop_assert_eq!(content, chunks.concat());
            prop_assert!(left.is_empty());
            let (raw, _) = carry(Framing::Chunked, false, &encoded, &pieces).unwrap();
            prop_assert_eq!(raw, encoded);
        }
    }
}
