//! A client's connection below HTTP/2, with an eye on its frames.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use evenkeel_http::frames::{Cut, Fault, Flood, FrameMeter, FrameScan};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::outflow::Outflow;
use crate::clock;
use crate::stream::Stream;

/// Nothing was seen.
const CALM: u8 = u8::MAX;
/// Faults, as numbers beyond those of floods.
const NO_SETTINGS: u8 = 100;
const SIZE: u8 = 101;
/// The kind of frame that ends a stream at once (RFC 9113 §6.4).
const RST_STREAM: u8 = 3;
/// Those that carry heads (§6.2, §6.10).
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
/// Bytes of heads that are taken apart before others have their turn: a byte can stand for a whole field, so they take a thousand
/// times as long as content.
const MOST_HEADS: u32 = 16 * 1024;

/// What was seen of a client that burns our time or breaks a rule.
#[derive(Debug)]
pub(super) struct Watch(AtomicU8);

impl Default for Watch {
    fn default() -> Self {
        Self(AtomicU8::new(CALM))
    }
}

impl Watch {
    /// Why the connection is to end.
    pub(super) fn cut(&self) -> Option<Cut> {
        match self.0.load(Ordering::Relaxed) {
            NO_SETTINGS => Some(Cut::Fault(Fault::NoSettings)),
            SIZE => Some(Cut::Fault(Fault::Size)),
            flood => Flood::ALL.get(usize::from(flood)).copied().map(Cut::Flood),
        }
    }

    fn set(&self, cut: Cut) {
        let number = match cut {
            Cut::Flood(flood) => flood as u8,
            Cut::Fault(Fault::NoSettings) => NO_SETTINGS,
            Cut::Fault(Fault::Size) => SIZE,
        };
        self.0.store(number, Ordering::Relaxed);
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Watched {
    stream: Stream,
    /// Read before it was known that HTTP/2 is spoken; not taken yet from here on.
    first: Vec<u8>,
    taken: usize,
    began: Instant,
    meter: FrameMeter,
    /// Bytes of heads since others had their turn.
    heads: u32,
    watch: Arc<Watch>,
    incoming: FrameScan,
    outgoing: FrameScan,
    outflow: Arc<Outflow>,
}

impl Watched {
    pub(super) fn new(
        stream: Stream,
        first: Vec<u8>,
        longest_head: Duration,
        watch: Arc<Watch>,
        outflow: Arc<Outflow>,
    ) -> Self {
        Self {
            stream,
            first,
            taken: 0,
            began: clock::now(),
            meter: FrameMeter::new(longest_head.as_secs().max(1)),
            heads: 0,
            watch,
            incoming: FrameScan::incoming(),
            outgoing: FrameScan::outgoing(),
            outflow,
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Bytes for a client that takes none would stay in the kernel for minutes, and the end behind them.
        if self.outflow.is_abandoned() && self.stream.unconfirmed().is_some_and(|bytes| bytes > 0) {
            self.stream.reset_on_close();
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.watch.cut().is_some() {
            // Nothing more of it is worth a look; the connection says so and ends.
            return Poll::Pending;
        }
        if this.heads >= MOST_HEADS {
            this.heads = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = into.filled().len();
        if let Some(rest) = this.first.get(this.taken..).filter(|rest| !rest.is_empty()) {
            let count = rest.len().min(into.remaining());
            into.put_slice(rest.get(..count).unwrap_or_default());
            this.taken += count;
            if this.taken == this.first.len() {
                (this.first, this.taken) = (Vec::new(), 0);
            }
        } else {
            ready!(Pin::new(&mut this.stream).poll_read(cx, into))?;
        }
        let came = into.filled().get(before..).unwrap_or_default();
        this.incoming.see(came, |frame| {
            if frame.kind == RST_STREAM {
                this.outflow.forget(frame.stream);
            } else if frame.kind == HEADERS || frame.kind == CONTINUATION {
                this.heads = this.heads.saturating_add(frame.length);
            }
        });
        let second = (clock::now() - this.began).as_secs();
        if let Err(cut) = this.meter.see(came, second) {
            this.watch.set(cut);
            // The library would give another reason first. Whoever reads looks why nothing comes.
            into.set_filled(before);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.meter.sent(1);
        if let Ok(count) = written {
            let this = &mut *self;
            this.outflow.left(&mut this.outgoing, bytes.get(..count).unwrap_or_default());
        }
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices));
        self.meter.sent(1);
        if let Ok(mut count) = written {
            let this = &mut *self;
            for slice in slices {
                let part = count.min(slice.len());
                this.outflow.left(&mut this.outgoing, slice.get(..part).unwrap_or_default());
                count -= part;
            }
        }
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
