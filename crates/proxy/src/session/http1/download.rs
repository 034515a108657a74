//! Sends a response to the client: the rewritten head, then the body as it comes from the server.

use std::task::{Context, Poll, ready};

use evenkeel_http::machine::transfer::{Step, Transfer};
use tokio::time::Instant;

use super::upload::{Side, write_both};
use crate::buffer::Buffer;
use crate::clock;
use crate::session::ahead::Ahead;
use crate::session::splice::Splice;
use crate::session::turn::Turn;
use crate::stream::Stream;

/// Bytes of a body that are copied behind the head rather than gathered.
const SHORT_BODY: usize = 4096;

/// A response on its way.
#[derive(Debug)]
pub(super) struct Download {
    transfer: Transfer,
    head_written: usize,
    splice: Splice,
    ahead: Ahead,
    /// Whom the download waits for, after it was polled.
    pub(super) waits_for: Side,
    /// When bytes last moved.
    pub(super) moved: Instant,
    /// Bytes of the body that the client has taken, other than those that went along with the head.
    sent: u64,
    /// Length of the head alone.
    head_length: usize,
    /// The head has the whole response with it, and nothing follows on the connection.
    is_last: bool,
}

/// Why a response could not be sent to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DownloadError {
    /// The client does not take it.
    ClientGone,
    /// The server ended, broke or garbled it.
    ServerGone,
}

impl Download {
    /// `reused`: a response has come over the server's connection to its end before.
    pub(super) fn new(transfer: Transfer, reused: bool, now: Instant) -> Self {
        Self {
            transfer,
            head_written: 0,
            splice: Splice::default(),
            ahead: if reused { Ahead::of_free_source() } else { Ahead::default() },
            waits_for: Side::Client,
            moved: now,
            sent: 0,
            head_length: usize::MAX,
            is_last: false,
        }
    }

    /// Bytes of the head that the client has taken.
    pub(super) fn head_written(&self) -> usize {
        self.head_written.min(self.head_length)
    }

    /// Bytes of the body that the client has taken.
    pub(super) fn sent(&self) -> u64 {
        self.sent + self.head_written.saturating_sub(self.head_length) as u64
    }

    /// Bytes that the client has taken, of head and body.
    pub(super) fn taken(&self) -> u64 {
        self.sent + self.head_written as u64
    }

    /// Takes a short beginning of the body along with the head: one plain write costs the kernel less than a gathered
    /// one, and more than copying these bytes. With all of the body there the end of a connection that does not persist
    /// goes along as well.
    ///
    /// # Errors
    /// When the body's framing is broken.
    pub(super) fn join_head(
        &mut self,
        head: &mut Vec<u8>,
        outbound: &mut Buffer,
        persistent: bool,
    ) -> Result<(), DownloadError> {
        self.head_length = head.len();
        let longest = self.head_length + SHORT_BODY;
        loop {
            match self.transfer.next(outbound.unread()).map_err(|_| DownloadError::ServerGone)? {
                Step::Write(count) if head.len() + count <= longest => {
                    head.extend_from_slice(&outbound.unread()[..count]);
                    outbound.consume(count);
                    self.transfer.wrote(count);
                }
                Step::Drop(count) => outbound.consume(count),
                Step::Done => {
                    self.is_last = !persistent;
                    return Ok(());
                }
                Step::Write(_) | Step::Read => return Ok(()),
            }
        }
    }

    /// Moves what can be moved. Ready when all is written.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Stream,
        server: &mut Stream,
        head: &[u8],
        outbound: &mut Buffer,
    ) -> Poll<Result<(), DownloadError>> {
        let polled = self.poll_turn(cx, client, server, head, outbound);
        match &polled {
            Poll::Pending => {
                self.ahead.moved(server, client, self.sent, self.waits_for == Side::Client);
            }
            Poll::Ready(_) => self.ahead.done(server),
        }
        polled
    }

    /// The same, for one turn.
    fn poll_turn(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Stream,
        server: &mut Stream,
        head: &[u8],
        outbound: &mut Buffer,
    ) -> Poll<Result<(), DownloadError>> {
        let turn = Turn::begin(self.sent);
        loop {
            ready!(turn.poll(cx, self.sent));
            let head_rest = head.get(self.head_written..).unwrap_or_default();
            let step = if self.splice.holds() == 0 {
                self.transfer.next(outbound.unread()).map_err(|_| DownloadError::ServerGone)?
            } else {
                Step::Read
            };
            let body = match step {
                Step::Write(count) => &outbound.unread()[..count],
                Step::Drop(count) => {
                    outbound.consume(count);
                    continue;
                }
                Step::Read | Step::Done => &[],
            };
            if !head_rest.is_empty() || !body.is_empty() {
                self.waits_for = Side::Client;
                let written = match self.is_last {
                    true => ready!(client.poll_write_last(cx, head_rest)),
                    false => ready!(write_both(cx, client, head_rest, body)),
                };
                let count = written.map_err(|_| DownloadError::ClientGone)?;
                let of_head = count.min(head_rest.len());
                self.head_written += of_head;
                self.transfer.wrote(count - of_head);
                outbound.consume(count - of_head);
                self.sent += (count - of_head) as u64;
                self.moved = clock::now();
            } else if step == Step::Done || ready!(self.poll_more(cx, client, server, outbound))? {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Gets more of the body: past the process when it is long and needs no look, else into the buffer. True at the
    /// proper end of a body that ends with its connection.
    fn poll_more(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Stream,
        server: &mut Stream,
        outbound: &mut Buffer,
    ) -> Poll<Result<bool, DownloadError>> {
        let unseen = if outbound.is_empty() { self.transfer.certain_bytes() } else { Some(0) };
        if self.splice.holds() > 0 || self.splice.pays(unseen) {
            if self.splice.holds() == 0 {
                self.waits_for = Side::Server;
                self.ahead.long(server);
                let read = ready!(self.splice.poll_fill(cx, server, unseen));
                let count = read.map_err(|_| DownloadError::ServerGone)?;
                if count == 0 {
                    return Poll::Ready(self.at_end());
                }
                self.transfer.skip(count as u64);
            }
            self.waits_for = Side::Client;
            let held = self.splice.holds();
            let written = self.splice.poll_drain(cx, client);
            self.sent += (held - self.splice.holds()) as u64;
            ready!(written).map_err(|_| DownloadError::ClientGone)?;
            self.moved = clock::now();
            return Poll::Ready(Ok(false));
        }
        self.waits_for = Side::Server;
        let read = ready!(outbound.poll_fill(cx, server)).map_err(|_| DownloadError::ServerGone)?;
        self.splice.saw(outbound.is_filled_to_end() && client.is_plain() && server.is_plain());
        self.moved = clock::now();
        if read == 0 { Poll::Ready(self.at_end()) } else { Poll::Ready(Ok(false)) }
    }

    fn at_end(&self) -> Result<bool, DownloadError> {
        if self.transfer.ends_with_connection() { Ok(true) } else { Err(DownloadError::ServerGone) }
    }
}
