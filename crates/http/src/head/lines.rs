//! Finds the end of a head in bytes that arrive piece by piece, and refuses line ends that are not CR LF.
//!
//! Looks at every byte once, however small the pieces: a client that sends one byte at a time costs no more than
//! one that sends all. RFC 9112 §2.2 lets a recipient take a lone LF for a line end; other parsers in the chain
//! may not, so it is refused here.

use crate::answer::Reason;

/// Empty lines before a request line that are skipped (RFC 9112 §2.2 asks for at least one).
const MOST_LEADING_EMPTY_LINES: usize = 2;

/// Where the search for the end of a head stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadScan {
    /// Bytes looked at.
    seen: usize,
    /// Where the current line starts.
    line: usize,
    /// Where the start line starts: after skipped empty lines.
    start: usize,
}

/// What a scan found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadEnd {
    /// The head is not complete.
    Incomplete,
    /// The head lies in `start..end` of the buffer, its empty line included.
    Complete {
        /// First byte of the start line.
        start: usize,
        /// First byte after the head.
        end: usize,
    },
}

impl HeadScan {
    /// Bytes of empty lines before the start line, so far.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.start
    }

    /// Looks at the bytes that were added to `buffer` since the last call; the buffer must begin with the same bytes.
    ///
    /// # Errors
    /// [`Reason::BadLineEnd`] for a line that ends with LF alone, [`Reason::BadRequest`] for too many empty lines
    /// before the start line or a first byte that starts no token (as when TLS is spoken to a plain listener).
    pub fn advance(&mut self, buffer: &[u8]) -> Result<HeadEnd, Reason> {
        let fresh = buffer.get(self.seen..).unwrap_or_default();
        for offset in memchr::memchr_iter(b'\n', fresh) {
            let at = self.seen + offset;
            if at == self.line || buffer.get(at - 1) != Some(&b'\r') {
                return Err(Reason::BadLineEnd);
            }
            let empty = at - 1 == self.line;
            self.line = at + 1;
            if !empty {
                continue;
            }
            if at - 1 > self.start {
                self.seen = self.line;
                return Ok(HeadEnd::Complete { start: self.start, end: self.line });
            }
            self.start = self.line;
            if self.start > 2 * MOST_LEADING_EMPTY_LINES {
                return Err(Reason::BadRequest);
            }
        }
        self.seen = buffer.len();
        match buffer.get(self.start) {
            Some(&first) if first != b'\r' && !super::is_token_byte(first) => Err(Reason::BadRequest),
            _ => Ok(HeadEnd::Incomplete),
        }
    }
}
