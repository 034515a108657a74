//! Two connections joined: bytes go both ways until both directions have ended.
//!
//! The end of one direction is passed on and leaves the other open. A connection that is idle holds no buffer.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::time::Instant;

use super::splice::Splice;
use crate::alarm::Alarm;
use crate::buffer::Buffer;
use crate::stream::Stream;

/// Moves bytes between client and server until both have ended, one has broken, or none has moved a byte for `idle`.
/// The buffers hold what was read before from the client and from the server.
pub(crate) async fn run(
    (client, server): (&mut Stream, &mut Stream),
    (from_client, from_server): (&mut Buffer, &mut Buffer),
    alarm: &mut Alarm<'_>,
    idle: Duration,
) {
    let mut up = Direction::new(from_client);
    let mut down = Direction::new(from_server);
    let mut moved = Instant::now();
    let ended: io::Result<()> = poll_fn(|cx| {
        let before = (up.moved, down.moved);
        let up_ended = up.poll(cx, client, server)?;
        let down_ended = down.poll(cx, server, client)?;
        if up_ended.is_ready() && down_ended.is_ready() {
            return Poll::Ready(Ok(()));
        }
        if before != (up.moved, down.moved) {
            moved = Instant::now();
        }
        alarm.set_at(moved + idle);
        alarm.poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    })
    .await;
    if ended.is_err() {
        // Something is missing at one end: a proper close would hide it.
        client.reset_on_close();
        server.reset_on_close();
    }
}

/// One way through the tunnel.
struct Direction {
    buffer: Option<Buffer>,
    splice: Splice,
    state: State,
    /// Bytes that have left.
    moved: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The source has ended; what is left must go out.
    SourceEnded,
    /// The target was told.
    Ended,
}

impl Direction {
    fn new(first: &mut Buffer) -> Self {
        let buffer = (!first.is_empty()).then(|| std::mem::replace(first, Buffer::of_size(0)));
        Self { buffer, splice: Splice::default(), state: State::Open, moved: 0 }
    }

    /// Moves what can be moved; ready when the direction has ended.
    fn poll(&mut self, cx: &mut Context<'_>, from: &mut Stream, to: &mut Stream) -> Poll<io::Result<()>> {
        loop {
            if self.splice.holds() > 0 {
                let held = self.splice.holds();
                let drained = self.splice.poll_drain(cx, to);
                self.moved += (held - self.splice.holds()) as u64;
                ready!(drained)?;
            }
            if let Some(buffer) = &mut self.buffer {
                while !buffer.is_empty() {
                    let count = ready!(Pin::new(&mut *to).poll_write(cx, buffer.unread()))?;
                    if count == 0 {
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    buffer.consume(count);
                    self.moved += count as u64;
                }
            }
            match self.state {
                State::Ended => return Poll::Ready(Ok(())),
                State::SourceEnded => {
                    self.buffer = None;
                    // A target that is gone already needs no telling.
                    let _gone = ready!(Pin::new(&mut *to).poll_shutdown(cx));
                    self.state = State::Ended;
                    return Poll::Ready(Ok(()));
                }
                State::Open => ready!(self.poll_fill(cx, from))?,
            }
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, from: &mut Stream) -> Poll<io::Result<()>> {
        if self.splice.pays(None) {
            let filled = self.splice.poll_fill(cx, from, None);
            if filled.is_pending() {
                // The flow pauses: the next bytes may be few.
                self.splice.saw(false);
                self.buffer = None;
            }
            if ready!(filled)? == 0 {
                self.state = State::SourceEnded;
            }
            return Poll::Ready(Ok(()));
        }
        if from.poll_readable(cx).is_pending() {
            self.buffer = None;
            return Poll::Pending;
        }
        let buffer = self.buffer.get_or_insert_with(|| Buffer::of_size(0));
        let count = ready!(buffer.poll_fill(cx, from))?;
        self.splice.saw(buffer.is_filled_to_end());
        if count == 0 {
            self.state = State::SourceEnded;
        }
        Poll::Ready(Ok(()))
    }
}
