//! What translated streams towards clients and towards servers have in common: how pieces are read, and how much is written.
//!
//! Invariants: the other side may send as much more as was read, and no more; of what is written no more is taken than
//! the other side takes.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::SendStream;
use tokio::io::ReadBuf;

/// Bytes of content that are handed over at once: one frame (RFC 9113 §4.2).
const PIECE: usize = 16 * 1024;

/// What has come and was not read yet: text, and content behind it.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    text: Vec<u8>,
    taken: usize,
    content: Bytes,
}

impl Unread {
    /// Begins with this text.
    pub(crate) fn of(text: Vec<u8>) -> Self {
        Self { text, ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.taken == self.text.len() && self.content.is_empty()
    }

    /// Where the next text is written: a head, a line of a chunk, trailers. All before it was read.
    pub(crate) fn next_text(&mut self) -> &mut Vec<u8> {
        if self.taken == self.text.len() {
            self.text.clear();
            self.taken = 0;
        }
        &mut self.text
    }

    /// What comes behind the text.
    pub(crate) fn next_content(&mut self, content: Bytes) {
        self.content = content;
    }
}

/// A message that comes in pieces.
pub(crate) trait Incoming {
    fn unread(&mut self) -> &mut Unread;

    /// So many bytes of content were read: the other side may send as much more. True when each piece is a chunk, which
    /// ends with a line end.
    fn was_read(&mut self, count: usize) -> bool;

    /// Gets the next text or content when there is none; false at the proper end.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>>;

    /// As [`super::Translated::poll_read`].
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        while into.remaining() > 0 {
            let unread = self.unread();
            if let Some(rest) = unread.text.get(unread.taken..).filter(|rest| !rest.is_empty()) {
                let count = rest.len().min(into.remaining());
                into.put_slice(rest.get(..count).unwrap_or_default());
                unread.taken += count;
                continue;
            }
            if !unread.content.is_empty() {
                let count = unread.content.len().min(into.remaining());
                into.put_slice(unread.content.get(..count).unwrap_or_default());
                unread.content.advance(count);
                if self.was_read(count) && self.unread().content.is_empty() {
                    self.unread().next_text().extend_from_slice(b"\r\n");
                }
                continue;
            }
            match self.poll_more(cx) {
                Poll::Ready(Ok(true)) => {}
                // What was read is told first; the rest comes with the next read.
                _ if into.filled().len() > before => break,
                Poll::Ready(Ok(false)) => break,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// As [`super::Translated::poll_write`]: `write` takes the beginning of what it is given.
pub(crate) fn poll_write_both(
    (first, second): (&[u8], &[u8]),
    mut write: impl FnMut(&[u8]) -> Poll<io::Result<usize>>,
) -> Poll<io::Result<usize>> {
    let of_first = ready!(write(first))?;
    if of_first < first.len() {
        return Poll::Ready(Ok(of_first));
    }
    match write(second) {
        Poll::Ready(Ok(of_second)) => Poll::Ready(Ok(of_first + of_second)),
        // What was taken must be told first; the next write meets the same.
        _ if of_first > 0 => Poll::Ready(Ok(of_first)),
        waits_or_fails => waits_or_fails,
    }
}

/// How much of `wanted` bytes of content the other side takes now: at least one.
pub(crate) fn poll_room(
    cx: &mut Context<'_>,
    sending: Option<&mut SendStream<Bytes>>,
    wanted: usize,
) -> Poll<io::Result<usize>> {
    let Some(sending) = sending else { return Poll::Ready(Err(gone())) };
    let wanted = wanted.min(PIECE);
    sending.reserve_capacity(wanted);
    while sending.capacity() == 0 {
        match ready!(sending.poll_capacity(cx)) {
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Poll::Ready(Err(gone())),
        }
    }
    Poll::Ready(Ok(sending.capacity().min(wanted)))
}

/// The other side has given the request up, or its connection is broken.
pub(crate) fn gone() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Content in pieces, each a chunk.
    struct Chunks {
        unread: Unread,
        left: Vec<&'static [u8]>,
        window: usize,
    }

    impl Incoming for Chunks {
        fn unread(&mut self) -> &mut Unread {
            &mut self.unread
        }

        fn was_read(&mut self, count: usize) -> bool {
            self.window += count;
            true
        }

        fn poll_more(&mut self, _: &mut Context<'_>) -> Poll<io::Result<bool>> {
            let Some(next) = self.left.pop() else { return Poll::Ready(Ok(false)) };
            let line = format!("{:x}\r\n", next.len());
            self.unread.next_text().extend_from_slice(line.as_bytes());
            self.unread.next_content(Bytes::from_static(next));
            Poll::Ready(Ok(true))
        }
    }

    #[test]
    fn chunks_are_whole_however_little_is_read_at_a_time() {
        for room in [1, 2, 3, 100] {
            let unread = Unread::of(b"head\r\n".to_vec());
            let mut chunks = Chunks { unread, left: vec![b"world", b"hello "], window: 0 };
            let mut cx = Context::from_waker(std::task::Waker::noop());
            let (mut text, mut memory) = (Vec::new(), vec![0; room]);
            loop {
                let mut into = ReadBuf::new(&mut memory);
                assert!(matches!(chunks.poll_read(&mut cx, &mut into), Poll::Ready(Ok(()))));
                if into.filled().is_empty() {
                    break;
                }
                text.extend_from_slice(into.filled());
            }
            assert_eq!(String::from_utf8(text).unwrap(), "head\r\n6\r\nhello \r\n5\r\nworld\r\n");
            assert_eq!((chunks.window, chunks.unread.is_empty()), (11, true));
        }
    }

    #[test]
    fn what_was_taken_is_told_before_a_failure() {
        let mut answers = vec![Poll::Ready(Err(gone())), Poll::Ready(Ok(2))];
        let written = poll_write_both((b"ab", b"cd"), |_| answers.pop().unwrap());
        assert!(matches!(written, Poll::Ready(Ok(2))));
        let mut answers = vec![Poll::Pending, Poll::Ready(Ok(0))];
        assert!(poll_write_both((b"", b"cd"), |_| answers.pop().unwrap()).is_pending());
        let one = poll_write_both((b"ab", b"cd"), |_| Poll::Ready(Ok(1)));
        assert!(matches!(one, Poll::Ready(Ok(1))));
    }
}
