//! Two connections joined: bytes go both ways until both directions have ended.
//!
//! The end of one direction is passed on and leaves the other open. A connection that is idle holds no buffer.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWrite;

use super::ahead::Ahead;
use super::splice::Splice;
use super::turn::Turn;
use crate::access_log::End;
use crate::alarm::Alarm;
use crate::buffer::Buffer;
use crate::clock;
use crate::stream::Stream;

/// Moves bytes between client and server until both have ended, one has broken, or none has moved a byte for `idle`.
/// The buffers hold what was read before from the client and from the server. Says how it ended.
pub(crate) async fn run(
    (client, server): (&mut Stream, &mut Stream),
    (from_client, from_server): (&mut Buffer, &mut Buffer),
    alarm: &mut Alarm<'_>,
    idle: Duration,
) -> Ended {
    let mut up = Direction::new(from_client);
    let mut down = Direction::new(from_server);
    let mut moved = clock::now();
    let how = poll_fn(|cx| {
        let before = (up.moved, down.moved);
        let up_ended = match up.poll(cx, client, server) {
            Poll::Ready(Err(_)) => return Poll::Ready(up.broken_by(End::ClientGone, End::ServerGone)),
            polled => polled.is_ready(),
        };
        let down_ended = match down.poll(cx, server, client) {
            Poll::Ready(Err(_)) => return Poll::Ready(down.broken_by(End::ServerGone, End::ClientGone)),
            polled => polled.is_ready(),
        };
        if up_ended && down_ended {
            return Poll::Ready(End::Done);
        }
        if before != (up.moved, down.moved) {
            moved = clock::now();
        }
        alarm.set_at(moved + idle);
        alarm.poll(cx).map(|()| End::Timeout)
    })
    .await;
    if how != End::Done {
        // Something is missing at one end: a proper close would hide it.
        client.reset_on_close();
        server.reset_on_close();
    }
    Ended { how, up: up.moved, down: down.moved }
}

/// How a tunnel ended, and the bytes that passed from the client and to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) how: End,
    pub(crate) up: u64,
    pub(crate) down: u64,
}

/// One way through the tunnel.
struct Direction {
    buffer: Option<Buffer>,
    splice: Splice,
    ahead: Ahead,
    state: State,
    /// Bytes that have left.
    moved: u64,
    /// What is done now reads from the source, so what fails is the source.
    reading: bool,
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
        Self {
            buffer,
            splice: Splice::default(),
            ahead: Ahead::default(),
            state: State::Open,
            moved: 0,
            reading: false,
        }
    }

    /// Whose failure the last one was.
    fn broken_by(&self, source: End, target: End) -> End {
        if self.reading { source } else { target }
    }

    /// Moves what can be moved; ready when the direction has ended.
    fn poll(&mut self, cx: &mut Context<'_>, from: &mut Stream, to: &mut Stream) -> Poll<io::Result<()>> {
        let polled = self.poll_turn(cx, from, to);
        if polled.is_pending() {
            self.ahead.moved(from, to, self.moved, !self.reading);
        }
        polled
    }

    /// The same, for one turn.
    fn poll_turn(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
    ) -> Poll<io::Result<()>> {
        let turn = Turn::begin(self.moved);
        loop {
            ready!(turn.poll(cx, self.moved));
            self.reading = false;
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
                State::Open => {
                    self.reading = true;
                    ready!(self.poll_fill(cx, from, to))?;
                }
            }
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, from: &mut Stream, to: &Stream) -> Poll<io::Result<()>> {
        if self.splice.pays(None) {
            self.ahead.long(from);
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
        // The kernel knows nothing of TLS.
        self.splice.saw(buffer.is_filled_to_end() && from.is_plain() && to.is_plain());
        if count == 0 {
            self.state = State::SourceEnded;
        }
        Poll::Ready(Ok(()))
    }
}
