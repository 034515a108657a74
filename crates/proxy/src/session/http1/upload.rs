//! Sends a request to a server: the rewritten head, then the body as it comes from the client.
//!
//! Invariants: body bytes are taken from the client's buffer only once they are written, or, for a body that lies in
//! the buffer as a whole, once the server has answered: until then the request can be sent again.

use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use evenkeel_http::answer::Reason;
use evenkeel_http::body::Framing;
use evenkeel_http::machine::transfer::{Step, Transfer};
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use crate::buffer::Buffer;
use crate::clock;
use crate::pace::Pace;
use crate::session::turn::Turn;
use crate::stream::Stream;

/// How long a client may pause within a body, and the most that it can save up.
const GRACE: Duration = Duration::from_secs(10);

/// A request on its way.
#[derive(Debug)]
pub(super) struct Upload {
    body: RequestBody,
    pace: Pace,
    head_written: usize,
    /// Whom the upload waits for, after it was polled.
    pub(super) waits_for: Side,
    /// When bytes last moved.
    pub(super) moved: Instant,
    /// Bytes of the body that came from the client and are held or were passed on.
    pub(super) received: u64,
}

#[derive(Clone, Copy, Debug)]
enum RequestBody {
    /// All of it is in the client's buffer: so many bytes, of which so many are written.
    Held { length: usize, written: usize },
    /// It passes through.
    Streamed { transfer: Transfer, begun: bool },
}

/// Whom one waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// Why a request could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UploadError {
    /// The client ended its connection within the body.
    ClientGone,
    /// The server does not take more; it may have answered all the same.
    ServerGone,
    /// The client's framing is broken.
    Bad(Reason),
}

impl Upload {
    /// Prepares to send a body of this framing, whose first bytes may be in `inbound`.
    ///
    /// # Errors
    /// When the part that is there is broken already.
    pub(super) fn new(framing: Framing, inbound: &Buffer, rate: u64, now: Instant) -> Result<Self, Reason> {
        let transfer = Transfer::new(framing, false);
        let mut whole = transfer;
        let body = match whole.next(inbound.unread())? {
            Step::Done => RequestBody::Held { length: 0, written: 0 },
            Step::Write(length) => {
                whole.wrote(length);
                if whole.is_done() {
                    RequestBody::Held { length, written: 0 }
                } else {
                    RequestBody::Streamed { transfer, begun: false }
                }
            }
            Step::Read | Step::Drop(_) => RequestBody::Streamed { transfer, begun: false },
        };
        let received = if let RequestBody::Held { length, .. } = body { length as u64 } else { 0 };
        Ok(Self {
            body,
            pace: Pace::new(rate, GRACE),
            head_written: 0,
            waits_for: Side::Server,
            moved: now,
            received,
        })
    }

    /// Begins again, for another try. Only for a request that [`Upload::is_replayable`].
    pub(super) fn restart(&mut self, now: Instant) {
        self.head_written = 0;
        self.moved = now;
        if let RequestBody::Held { written, .. } = &mut self.body {
            *written = 0;
        }
    }

    /// Says whether every byte of the request is still there.
    pub(super) fn is_replayable(&self) -> bool {
        !matches!(self.body, RequestBody::Streamed { begun: true, .. })
    }

    /// Says whether the whole body lies in the client's buffer.
    pub(super) fn is_held(&self) -> bool {
        matches!(self.body, RequestBody::Held { .. })
    }

    /// Says whether anything was written to the server in this try.
    pub(super) fn has_begun(&self) -> bool {
        self.head_written > 0
    }

    /// Says whether everything is written; the head has `head_length` bytes.
    pub(super) fn is_done(&self, head_length: usize) -> bool {
        self.head_written >= head_length
            && match self.body {
                RequestBody::Held { length, written } => written == length,
                RequestBody::Streamed { transfer, .. } => transfer.is_done(),
            }
    }

    /// The request is answered: a held body leaves the client's buffer.
    pub(super) fn release(&mut self, inbound: &mut Buffer) {
        if let RequestBody::Held { length, written } = &mut self.body {
            inbound.consume(*length);
            (*length, *written) = (0, 0);
        }
    }

    /// When patience with the client ends; `None` while the server is waited for or no rate is asked.
    pub(super) fn client_deadline(&mut self, now: Instant) -> Option<Instant> {
        if self.waits_for == Side::Client { self.pace.waits(now) } else { None }
    }

    /// Moves what can be moved. Ready when all is written.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Stream,
        server: &mut Stream,
        head: &[u8],
        inbound: &mut Buffer,
    ) -> Poll<Result<(), UploadError>> {
        let turn = Turn::begin(self.received);
        loop {
            ready!(turn.poll(cx, self.received));
            let head_rest = head.get(self.head_written..).unwrap_or_default();
            let (body, wants_more) = match &mut self.body {
                RequestBody::Held { length, written } => {
                    (inbound.unread().get(*written..*length).unwrap_or_default(), false)
                }
                RequestBody::Streamed { transfer, .. } => {
                    match transfer.next(inbound.unread()).map_err(UploadError::Bad)? {
                        Step::Write(count) => (&inbound.unread()[..count], false),
                        Step::Read => (&[][..], true),
                        Step::Done | Step::Drop(_) => (&[][..], false),
                    }
                }
            };
            if !head_rest.is_empty() || !body.is_empty() {
                self.waits_for = Side::Server;
                let written = ready!(write_both(cx, server, head_rest, body));
                self.moved = clock::now();
                self.wrote(written.map_err(|_| UploadError::ServerGone)?, head_rest.len(), inbound);
            } else if wants_more {
                self.waits_for = Side::Client;
                let read = ready!(inbound.poll_fill(cx, client)).map_err(|_| UploadError::ClientGone)?;
                if read == 0 {
                    return Poll::Ready(Err(UploadError::ClientGone));
                }
                self.moved = clock::now();
                self.pace.moved(read as u64, 1, self.moved);
            } else {
                self.waits_for = Side::Server;
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Counts what was written: first of the head, then of the body.
    fn wrote(&mut self, count: usize, head_rest: usize, inbound: &mut Buffer) {
        let of_head = count.min(head_rest);
        let of_body = count - of_head;
        self.head_written += of_head;
        match &mut self.body {
            RequestBody::Held { written, .. } => *written += of_body,
            RequestBody::Streamed { transfer, begun } if of_body > 0 => {
                *begun = true;
                transfer.wrote(of_body);
                inbound.consume(of_body);
                self.received += of_body as u64;
            }
            RequestBody::Streamed { .. } => {}
        }
    }
}

/// Writes a head and the first bytes of a body at once.
pub(super) fn write_both(
    cx: &mut Context<'_>,
    to: &mut Stream,
    head: &[u8],
    body: &[u8],
) -> Poll<std::io::Result<usize>> {
    let written = if head.is_empty() {
        ready!(Pin::new(to).poll_write(cx, body))
    } else if body.is_empty() {
        ready!(Pin::new(to).poll_write(cx, head))
    } else {
        ready!(Pin::new(to).poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(body)]))
    };
    match written {
        Ok(0) => Poll::Ready(Err(std::io::ErrorKind::WriteZero.into())),
        written => Poll::Ready(written),
    }
}
