//! HTTP/2 with a client: one connection, many requests, each served as if it had come over HTTP/1 on a connection of its
//! own.
//!
//! The library keeps the rules of RFC 9113; the bounds are ours. Invariants: the connection is counted until its last
//! request has ended; no more requests are served at once than [`MOST_REQUESTS`]; of what a client sends no more waits
//! than [`STREAM_WINDOW`] for each of them and [`CONNECTION_WINDOW`] for all; a client that burns time is cut.

mod exchange;
mod outflow;
mod watched;

use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use evenkeel_config::plan::HttpMode;
use evenkeel_http::frames::{Cut, Fault, Flood};
use h2::server::{self, Connection};
use tokio::time::Instant;

use super::http1;
use crate::alarm::Alarm;
use crate::listener::Counted;
use crate::stream::Stream;
use exchange::{Exchange, Facts};
use outflow::Outflow;
use watched::{Watch, Watched};

/// Requests of one connection that are served at once.
pub(crate) const MOST_STREAMS: u32 = 128;
/// The same with those that the client has given up and that have not ended yet (CVE-2025-8671).
const MOST_REQUESTS: usize = 2 * MOST_STREAMS as usize;
/// Bytes of one request's content that wait to be passed on.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same of all requests of a connection.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Bytes of one response that wait to be sent.
const SEND_BUFFER: usize = 64 * 1024;
/// Streams that the client has reset before we have looked at them (CVE-2023-44487). More than what is counted as a
/// flood, so that the log says which.
const MOST_UNSEEN_RESETS: usize = 256;
/// Streams that the client has made us reset (CVE-2025-8671), in the life of a connection.
const MOST_OWN_RESETS: usize = 32;
/// How often a connection that is busy, and on which nothing new has come for long, is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How long a connection that is to end may take to say so.
const PARTING: Duration = Duration::from_secs(1);

/// See the module: `first` was read from the stream already.
pub(crate) async fn serve(stream: Stream, first: Vec<u8>, peer: Option<IpAddr>, counted: Counted) {
    let listener = counted.slot.current.load_full();
    let Some(mode) = http1::http_mode(&listener) else { return };
    let outflow = Arc::new(Outflow::default());
    let facts = Arc::new(Facts::of(&stream, outflow.clone()));
    let watch = Arc::new(Watch::default());
    let counters = counted.slot.counters.of(counted.worker.index);
    counters.http2_total.add(1);
    counted.is_http2();
    let handshake = builder(mode).handshake::<_, Bytes>(Watched::new(
        stream,
        first,
        mode.header_timeout,
        watch.clone(),
        outflow,
    ));
    let Ok(Ok(connection)) = tokio::time::timeout(mode.header_timeout, handshake).await else { return };
    let timer = std::pin::pin!(tokio::time::sleep(mode.idle_timeout));
    let idle = mode.idle_timeout;
    let counted = Arc::new(counted);
    drop(listener);
    let session = Session {
        connection,
        counted: &counted,
        peer,
        facts,
        watch,
        alarm: Alarm::new(timer),
        idle,
        last: Instant::now(),
        state: State::Open,
    };
    session.run().await;
}

fn builder(mode: &HttpMode) -> server::Builder {
    let mut builder = server::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MOST_STREAMS)
        // Each field counts 32 bytes more than it has (RFC 9113 §6.5.2), so tiny ones cannot become many.
        .max_header_list_size(mode.limits.head_bytes)
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(MOST_UNSEEN_RESETS)
        .max_local_error_reset_streams(Some(MOST_OWN_RESETS))
        .enable_connect_protocol();
    builder
}

/// One connection.
struct Session<'c> {
    connection: Connection<Watched, Bytes>,
    counted: &'c Arc<Counted>,
    peer: Option<IpAddr>,
    facts: Arc<Facts>,
    watch: Arc<Watch>,
    alarm: Alarm<'c>,
    idle: Duration,
    /// When a request came last.
    last: Instant,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The client was told to send no more requests, because its address is another machine's. That cannot be taken back.
    Leaving,
    /// The same, and there is little time.
    Ending,
    /// It is over, but for what must still be said.
    Over,
}

impl Session<'_> {
    async fn run(mut self) {
        let counted = self.counted.clone();
        let bell = counted.worker.bell.notified();
        let mut bell = std::pin::pin!(bell);
        // From here on no ring is missed.
        bell.as_mut().enable();
        if counted.is_ending() {
            self.end();
        }
        poll_fn(|cx| {
            while matches!(self.state, State::Open | State::Leaving) && bell.as_mut().poll(cx).is_ready() {
                bell.set(counted.worker.bell.notified());
                if counted.is_ending() {
                    self.end();
                } else {
                    self.leave_if_asked();
                }
            }
            self.poll(cx)
        })
        .await;
    }

    /// Ready when the connection is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let accepted = self.connection.poll_accept(cx);
            if let Some(cut) = self.watch.cut().filter(|_| self.state != State::Over) {
                self.cut(cut);
                continue;
            }
            match accepted {
                Poll::Ready(Some(Ok((request, mut respond)))) => {
                    self.last = Instant::now();
                    let counters = self.counted.slot.counters.of(self.counted.worker.index);
                    counters.http2_streams_total.add(1);
                    // One that was given up in the same breath costs nothing more (CVE-2023-44487).
                    if respond.poll_reset(cx).is_ready() {
                        continue;
                    }
                    // A stream that was reset is none to the library, though its request may still be under way.
                    if self.state == State::Over || self.under_way() >= MOST_REQUESTS {
                        respond.send_reset(h2::Reason::REFUSED_STREAM);
                        continue;
                    }
                    let stream = Exchange::begin(request, respond, self.facts.clone());
                    let stream = Stream::Translated(Box::new(stream));
                    tokio::spawn(http1::serve_one(stream, self.peer, self.counted.clone()));
                    // Whoever connects now has come for one request at least.
                    self.leave_if_asked();
                }
                Poll::Ready(Some(Err(error))) => {
                    self.failed(&error);
                    return Poll::Ready(());
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        while self.alarm.poll(cx).is_ready() {
            let now = Instant::now();
            let busy = self.under_way() > 0;
            match self.state {
                State::Over => return Poll::Ready(()),
                State::Leaving | State::Ending if !busy => return Poll::Ready(()),
                State::Open if !busy && now >= self.last + self.idle => self.end(),
                State::Open | State::Leaving if busy => self.alarm.set(self.idle.min(LOOK)),
                State::Open => self.alarm.set_at(self.last + self.idle),
                State::Leaving | State::Ending => self.alarm.set(PARTING),
            }
        }
        Poll::Pending
    }

    /// Requests that are served.
    fn under_way(&self) -> usize {
        // The others are ours and that of `run`.
        Arc::strong_count(self.counted).saturating_sub(2)
    }

    /// No more requests, as soon as the client has heard of it, if its address is another machine's.
    fn leave_if_asked(&mut self) {
        if self.state == State::Open && self.counted.is_leaving() {
            self.state = State::Leaving;
            self.connection.graceful_shutdown();
            // The library ends the connection when the client has confirmed that. One that does not is idle, or gone.
            self.alarm.set(self.idle);
        }
    }

    /// No more requests; those that are under way go on.
    fn end(&mut self) {
        self.state = State::Ending;
        self.connection.graceful_shutdown();
        self.alarm.set(PARTING);
    }

    /// The client burns our time, or breaks a rule that the library does not look at.
    fn cut(&mut self, cut: Cut) {
        self.state = State::Over;
        self.alarm.set(PARTING);
        let reason = match cut {
            Cut::Flood(flood) => {
                self.note_flood(flood, &flood);
                h2::Reason::ENHANCE_YOUR_CALM
            }
            Cut::Fault(fault) => {
                self.count(Flood::Broken);
                match fault {
                    Fault::NoSettings => h2::Reason::PROTOCOL_ERROR,
                    Fault::Size => h2::Reason::FRAME_SIZE_ERROR,
                }
            }
        };
        self.connection.abrupt_shutdown(reason);
    }

    fn count(&self, flood: Flood) {
        let counters = self.counted.slot.counters.of(self.counted.worker.index);
        counters.http2_floods_total[flood as usize].add(1);
    }

    fn note_flood(&self, flood: Flood, why: &dyn std::fmt::Display) {
        let slot = &self.counted.slot;
        self.count(flood);
        let peer = self.peer.map_or_else(|| "a unix socket".to_owned(), |peer| peer.to_string());
        tracing::warn!(listener = %slot.name, code = flood.code(), "HTTP/2 connection of {peer} is cut: {why}");
    }

    fn failed(&mut self, error: &h2::Error) {
        if self.state != State::Over
            && error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM)
            && error.is_library()
        {
            self.note_flood(Flood::Library, &format_args!("{}: {error}", Flood::Library));
        } else {
            if self.state != State::Over && error.is_library() && !error.is_io() {
                self.count(Flood::Broken);
            }
            tracing::debug!(listener = %self.counted.slot.name, %error, "HTTP/2 connection has ended");
        }
    }
}
