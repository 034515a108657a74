//! One HTTP/2 connection to a server, and the task that drives it.
//!
//! It belongs to the worker that opened it. Invariants: no more requests are on it at once than the server allows and
//! than [`MOST_STREAMS`]; what the server sends waits in at most [`STREAM_WINDOW`] bytes for each request, and one that
//! nobody reads takes nothing of the window of the others; a server that has gone silently is found out by a PING.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use evenkeel_http::frames::from_server::ServerFrames;
use h2::client::{self, SendRequest};
use h2::{Ping, PingPong};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::vitals::{Turn, Vitals};
use crate::stream::Stream;

/// Requests on one connection at once, if the server allows as many.
pub(super) const MOST_STREAMS: u32 = 100;
/// Bytes of one response that wait to be read.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Bytes of all responses of a connection that wait to be read: each has its own window, so that those that nobody reads
/// do not stop the others.
const CONNECTION_WINDOW: u32 = MOST_STREAMS * STREAM_WINDOW;
/// Bytes of one request that wait to be sent.
const SEND_BUFFER: usize = 64 * 1024;
/// Bytes of the head of a response, as HTTP/2 counts them (RFC 9113 §6.5.2), and of its trailers.
const MOST_HEAD: u32 = 64 * 1024;
/// How often a driver looks whether its server still lives.
const VITALS: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Bytes>,
    shared: Arc<Shared>,
    /// How it was opened: see [`crate::table::Server::manner`].
    manner: u64,
    /// For this name, when connections differ by it.
    name: Option<ServerName<'static>>,
    scheme: &'static str,
}

/// What a connection, its driver and its requests know of each other.
#[derive(Debug)]
struct Shared {
    /// Requests on it.
    streams: AtomicU32,
    dead: AtomicBool,
    began: Instant,
    /// Milliseconds since `began` when the last request ended, and when the last byte came.
    used: AtomicU64,
    heard: AtomicU64,
    /// Whoever waits for a place on a connection.
    room: Arc<Notify>,
}

impl Shared {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn at(&self, then: &AtomicU64) -> Instant {
        self.began + Duration::from_millis(then.load(Ordering::Relaxed))
    }
}

/// A place for one request on a connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) sender: SendRequest<Bytes>,
    shared: Arc<Shared>,
    pub(super) scheme: &'static str,
}

impl Lease {
    /// The server lets other protocols through (RFC 8441).
    pub(super) fn extended_connect(&self) -> bool {
        self.sender.is_extended_connect_protocol_enabled()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.used.store(self.shared.now(), Ordering::Relaxed);
        self.shared.streams.fetch_sub(1, Ordering::Relaxed);
        self.shared.room.notify_one();
    }
}

impl Connection {
    /// Begins to speak HTTP/2 over `stream` and waits until the server has said how. The caller bounds the time.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(super) async fn open(stream: Stream, manner: u64, room: Arc<Notify>) -> Result<Self, String> {
        let shared = Arc::new(Shared {
            streams: AtomicU32::new(0),
            dead: AtomicBool::new(false),
            began: Instant::now(),
            used: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            room,
        });
        let tls = stream.tls();
        let (name, scheme) =
            (tls.and_then(|tls| tls.name().cloned()), if tls.is_some() { "https" } else { "http" });
        let watched = Watched { stream, shared: shared.clone(), frames: ServerFrames::default() };
        let opened = client::Builder::new()
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MOST_HEAD)
            .max_send_buffer_size(SEND_BUFFER)
            // No request goes out before the server has said how many it takes.
            .initial_max_send_streams(0)
            .handshake::<_, Bytes>(watched)
            .await;
        let (sender, mut connection) = opened.map_err(|error| error.to_string())?;
        poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Err("it ended the connection".to_owned())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.to_string())),
            Poll::Pending if connection.max_concurrent_send_streams() > 0 => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        })
        .await?;
        let ping = connection.ping_pong();
        tokio::spawn(drive(connection, ping, shared.clone()));
        Ok(Self { sender, shared, manner, name, scheme })
    }

    /// Says whether it is for requests like this one.
    pub(super) fn fits(&self, manner: u64, name: Option<&ServerName<'_>>) -> bool {
        self.manner == manner && self.name.as_ref() == name
    }

    /// Says whether it was opened so.
    pub(super) fn is_of(&self, manner: u64) -> bool {
        self.manner == manner
    }

    /// Requests that it takes at once.
    pub(super) fn capacity(&self) -> u32 {
        u32::try_from(self.sender.current_max_send_streams()).unwrap_or(u32::MAX).min(MOST_STREAMS)
    }

    /// Free places on it. A connection that the server has ended, or is about to, has none.
    pub(super) fn free(&self) -> u32 {
        let ready = self.sender.clone().poll_ready(&mut Context::from_waker(Waker::noop()));
        match ready {
            Poll::Ready(Ok(())) => {
                self.capacity().saturating_sub(self.shared.streams.load(Ordering::Relaxed))
            }
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        }
    }

    /// Takes a place on it, if there is one.
    pub(super) fn lease(&self) -> Option<Lease> {
        (self.free() > 0).then(|| {
            self.shared.streams.fetch_add(1, Ordering::Relaxed);
            Lease { sender: self.sender.clone(), shared: self.shared.clone(), scheme: self.scheme }
        })
    }

    /// Says whether it can still be used.
    pub(super) fn is_alive(&self) -> bool {
        let mut sender = self.sender.clone();
        let ready = sender.poll_ready(&mut Context::from_waker(Waker::noop()));
        !self.shared.dead.load(Ordering::Relaxed) && !matches!(ready, Poll::Ready(Err(_)))
    }

    /// Since when nothing is on it; `None` while something is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let idle = self.shared.streams.load(Ordering::Relaxed) == 0;
        idle.then(|| self.shared.at(&self.shared.used))
    }
}

/// Moves what the connection has to move until it ends: when all who use it have let go, or the server ends it, breaks
/// it or is found dead.
async fn drive(
    connection: client::Connection<Watched, Bytes>,
    mut ping: Option<PingPong>,
    shared: Arc<Shared>,
) {
    let mut connection = pin!(connection);
    let mut timer = pin!(tokio::time::sleep(VITALS));
    let mut vitals = Vitals::default();
    poll_fn(|cx| {
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            if let Err(error) = ended {
                tracing::debug!(%error, "a multiplexed connection to a server has ended");
            }
            return Poll::Ready(());
        }
        let Some(ping) = &mut ping else { return Poll::Pending };
        if let Poll::Ready(Ok(_)) = ping.poll_pong(cx) {
            vitals.answered(Instant::now());
        }
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let busy = shared.streams.load(Ordering::Relaxed) > 0;
            match vitals.turn(now, shared.at(&shared.heard), busy) {
                Turn::Nothing => {}
                Turn::Ask => {
                    let _one_at_a_time = ping.send_ping(Ping::opaque());
                }
                Turn::Dead => {
                    tracing::debug!("a multiplexed connection to a server is dead: no answer to a PING");
                    return Poll::Ready(());
                }
            }
            timer.as_mut().reset(now + VITALS);
        }
        Poll::Pending
    })
    .await;
    shared.dead.store(true, Ordering::Relaxed);
    shared.room.notify_one();
}

/// Notes when something comes, and looks at it for what the library does not see.
#[derive(Debug)]
struct Watched {
    stream: Stream,
    shared: Arc<Shared>,
    frames: ServerFrames,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        this.shared.heard.store(this.shared.now(), Ordering::Relaxed);
        if let Err(broken) = this.frames.see(buf.filled().get(before..).unwrap_or_default()) {
            buf.set_filled(before);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, broken.to_string())));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
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
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
