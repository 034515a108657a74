//! What waits to be sent on one connection: the content of all its responses together has a bound.
//!
//! The library bounds what waits of each response. A client that opens every window and reads nothing would have that much
//! kept for each of its requests. What is handed over is counted here, and what has left is found in the headers of the
//! frames that go out. Invariants: a stream that either side has reset holds nothing, also when that was seen here before the
//! library has looked at it; one that finds no room is woken when there is some.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use evenkeel_http::frames::FrameScan;

/// Bytes of content that wait to be sent on one connection.
const MOST_WAITING: usize = 256 * 1024;

/// DATA and RST_STREAM (RFC 9113 §6.1, §6.4).
const DATA: u8 = 0;
const RST_STREAM: u8 = 3;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Outflow(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    total: usize,
    /// By the number of the stream: those that are served, and those for which something waits.
    streams: HashMap<u32, Waiting>,
    wakers: Vec<Waker>,
    is_abandoned: bool,
}

/// What waits of one stream.
#[derive(Debug)]
struct Waiting {
    bytes: usize,
    is_served: bool,
    is_reset: bool,
}

impl Outflow {
    /// How many bytes may be handed over now: at least one.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<usize> {
        let mut state = self.lock();
        match MOST_WAITING.saturating_sub(state.total) {
            0 => {
                if !state.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                    state.wakers.push(cx.waker().clone());
                }
                Poll::Pending
            }
            room => Poll::Ready(room),
        }
    }

    /// The client took too little of one stream, and with it of all: that is what its patience is about.
    pub(super) fn abandon(&self) {
        self.lock().is_abandoned = true;
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.lock().is_abandoned
    }

    /// This stream is served from now on.
    pub(super) fn begins(&self, stream: u32) {
        self.lock().streams.insert(stream, Waiting { bytes: 0, is_served: true, is_reset: false });
    }

    /// Nothing more is handed over for it; what waits may still be sent.
    pub(super) fn ends(&self, stream: u32) {
        let mut state = self.lock();
        if let Some(waiting) = state.streams.get_mut(&stream) {
            waiting.is_served = false;
            if waiting.bytes == 0 {
                state.streams.remove(&stream);
            }
        }
    }

    /// So many bytes of this stream were handed over.
    pub(super) fn gave(&self, stream: u32, bytes: usize) {
        let mut state = self.lock();
        if let Some(waiting) = state.streams.get_mut(&stream).filter(|waiting| !waiting.is_reset) {
            waiting.bytes += bytes;
            state.total += bytes;
        }
    }

    /// It was reset: whatever waits of it will not be sent.
    pub(super) fn forget(&self, stream: u32) {
        if let Some(waiting) = self.lock().streams.get_mut(&stream) {
            waiting.is_reset = true;
        }
        self.take(stream, usize::MAX);
    }

    /// Looks at bytes that have left.
    pub(super) fn left(&self, scan: &mut FrameScan, bytes: &[u8]) {
        scan.see(bytes, |frame| match frame.kind {
            DATA if frame.length > 0 => {
                self.take(frame.stream, usize::try_from(frame.length).unwrap_or(usize::MAX));
            }
            RST_STREAM => self.forget(frame.stream),
            _ => {}
        });
    }

    fn take(&self, stream: u32, bytes: usize) {
        let wakers = {
            let mut state = self.lock();
            let Some(waiting) = state.streams.get_mut(&stream) else { return };
            let taken = bytes.min(waiting.bytes);
            waiting.bytes -= taken;
            if waiting.bytes == 0 && !waiting.is_served {
                state.streams.remove(&stream);
            }
            state.total = state.total.saturating_sub(taken);
            if state.total >= MOST_WAITING { Vec::new() } else { std::mem::take(&mut state.wakers) }
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, stream: u8, length: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, length, kind, 0, 0, 0, 0, stream];
        bytes.resize(9 + usize::from(length), 0);
        bytes
    }

    fn serving<const N: usize>(streams: [u32; N]) -> Outflow {
        let outflow = Outflow::default();
        streams.into_iter().for_each(|stream| outflow.begins(stream));
        outflow
    }

    fn room(outflow: &Outflow) -> Poll<usize> {
        outflow.poll_room(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn what_waits_is_bounded_for_all_streams_together() {
        let (outflow, mut scan) = (serving([1, 3]), FrameScan::outgoing());
        outflow.gave(1, MOST_WAITING - 10);
        outflow.gave(3, 10);
        assert_eq!(room(&outflow), Poll::Pending);
        // Frames of other kinds, and of streams that have nothing here, make no room.
        outflow.left(&mut scan, &[frame(1, 1, 50), frame(0, 5, 50), frame(0, 3, 0)].concat());
        assert_eq!(room(&outflow), Poll::Pending);
        outflow.left(&mut scan, &frame(0, 3, 4));
        assert_eq!(room(&outflow), Poll::Ready(4));
    }

    #[test]
    fn a_stream_that_was_reset_holds_nothing() {
        let (outflow, mut scan) = (serving([1, 3, 5]), FrameScan::outgoing());
        outflow.gave(1, 1000);
        outflow.gave(3, 2000);
        outflow.gave(5, MOST_WAITING);
        outflow.forget(1);
        outflow.left(&mut scan, &frame(3, 5, 4));
        assert_eq!(room(&outflow), Poll::Ready(MOST_WAITING - 2000));
        outflow.left(&mut scan, &frame(3, 3, 4));
        assert_eq!(room(&outflow), Poll::Ready(MOST_WAITING));
        // Whoever serves it may not have heard of it yet.
        outflow.gave(1, 500);
        assert_eq!(room(&outflow), Poll::Ready(MOST_WAITING));
        [1, 3, 5].into_iter().for_each(|stream| outflow.ends(stream));
        assert!(outflow.lock().streams.is_empty());
    }

    #[test]
    fn what_waits_counts_after_its_stream_was_served() {
        let (outflow, mut scan) = (serving([1]), FrameScan::outgoing());
        outflow.gave(1, MOST_WAITING);
        outflow.ends(1);
        assert_eq!(room(&outflow), Poll::Pending);
        outflow.left(&mut scan, &frame(0, 1, 200));
        assert_eq!(room(&outflow), Poll::Ready(200));
        outflow.left(&mut scan, &frame(3, 1, 4));
        assert_eq!(room(&outflow), Poll::Ready(MOST_WAITING));
        assert!(outflow.lock().streams.is_empty());
    }

    #[test]
    fn who_found_no_room_is_woken_once_there_is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let outflow = std::sync::Arc::new(serving([1]));
        outflow.gave(1, MOST_WAITING);
        let other = outflow.clone();
        let waiting = runtime.spawn(async move { std::future::poll_fn(|cx| other.poll_room(cx)).await });
        runtime.block_on(async {
            tokio::task::yield_now().await;
            outflow.left(&mut FrameScan::outgoing(), &frame(0, 1, 7));
            assert_eq!(waiting.await.unwrap(), 7);
        });
    }
}
