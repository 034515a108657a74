//! HTTP/1 with a client: one request after the other, each to the server that its route and pool choose.
//!
//! A connection is idle most of its life. The idle part is a small future without buffers; the part that serves
//! requests ([`burst`]) is boxed, and given back when the client pauses. Invariants: a response is written only for a
//! request that was read; bytes after a request are looked at only when its response is written; after anything that
//! leaves the end of a message in doubt the connection is closed.

mod download;
mod exchange;
mod heads;
mod linger;
mod note;
mod one_try;
mod patience;
mod receive;
mod refuse;
mod retry_after;
mod tries;
mod upload;

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use evenkeel_config::plan::{HttpMode, Mode};
use tokio::time::{Instant, Sleep};

use super::http2;
use crate::alarm::Alarm;
use crate::buffer::Buffer;
use crate::clock;
use crate::listener::Counted;
use crate::stream::Stream;
use crate::table::Listener;
use crate::view::View;
use heads::Heads;
use note::Note;

/// How long a client that just got its response keeps its buffers, because its next request often follows at once. At most
/// [`linger::MOST`] of a thread do.
const LINGER: Duration = Duration::from_millis(100);
/// How long an idle connection that is to end still takes a request that may be under way.
const LAST_CHANCE: Duration = Duration::from_secs(1);

/// A client's connection with what belongs to it.
struct Client<'a> {
    stream: &'a mut Stream,
    /// Who is connected; `None` on a unix socket.
    peer: Option<IpAddr>,
    counted: &'a Counted,
    alarm: Alarm<'a>,
    /// How long it may stay without a request: `header-timeout` at first, `idle-timeout` after each request. The
    /// alarm may ring for other reasons meanwhile.
    quiet_until: Instant,
    /// It has sent something.
    has_spoken: bool,
    /// What is noted of the request that is served; `None` while idle.
    note: Option<Box<Note>>,
}

impl<'a> Client<'a> {
    /// `timer` rings when it has not begun a request in time.
    fn new(
        stream: &'a mut Stream,
        peer: Option<IpAddr>,
        counted: &'a Counted,
        timer: Pin<&'a mut Sleep>,
    ) -> Self {
        let quiet_until = timer.deadline();
        Self { stream, peer, counted, alarm: Alarm::new(timer), quiet_until, has_spoken: false, note: None }
    }

    /// Counts a connection that ends without a byte, unless it is for our own reasons.
    fn count_if_silent(&self) {
        if !self.has_spoken && !self.counted.is_ending() {
            self.counted.slot.counters.of(self.counted.worker.index).silent_total.add(1);
        }
    }

    /// Says whether another request may follow the one that is answered now; what lies in `inbound` is behind that. A client
    /// that has sent one already is not asked to leave: it would have to send it again.
    fn may_stay(&self, inbound: &Buffer) -> bool {
        let leaving = inbound.is_empty() && self.counted.is_leaving();
        !leaving && !self.counted.is_ending()
    }

    /// Says whether the client has come over TLS: what is `https` follows from it.
    fn is_secure(&self) -> bool {
        self.stream.is_secure()
    }

    /// Notes something of the request that is served.
    fn note(&mut self, what: impl FnOnce(&mut Note)) {
        if let Some(note) = &mut self.note {
            what(note);
        }
    }
}

/// What becomes of a client's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    /// Another request may follow.
    Another,
    /// Nothing follows for a while: go idle.
    Idle,
    /// It is over.
    Close,
    /// The client speaks HTTP/2; these are its first bytes.
    Http2(Box<[u8]>),
    /// The plan changed while a request waited for a server: the same request is to be routed again.
    Moved,
}

/// The settings of an HTTP listener; `None` when its mode has changed under a living connection, which then ends.
pub(super) fn http_mode(listener: &Listener) -> Option<&HttpMode> {
    match &listener.plan.mode {
        Mode::Http(mode) => Some(mode),
        Mode::Tcp(_) => None,
    }
}

/// Serves one accepted connection to its end.
///
/// Every idle connection holds this future. An `async fn` would hold its arguments twice, as such and as variables; a
/// block uses them where they are.
#[expect(clippy::manual_async_fn, reason = "an `async fn` would be a fifth larger")]
pub(crate) fn serve(mut stream: Stream, peer: Option<IpAddr>, counted: Counted) -> impl Future<Output = ()> {
    async move {
        let Some(patience) = http_mode(&counted.slot.current.load()).map(|mode| mode.header_timeout) else {
            return;
        };
        let timer = std::pin::pin!(tokio::time::sleep(patience));
        let mut client = Client::new(&mut stream, peer, &counted, timer);
        let first = loop {
            if !wait_for_request(&mut client).await {
                client.count_if_silent();
                return;
            }
            // An accepted connection counts as readable until a read has shown otherwise, so nothing may come of it.
            match Box::pin(burst(&mut client)).await {
                Next::Close => return,
                Next::Http2(bytes) => break bytes,
                Next::Another | Next::Idle | Next::Moved => {}
            }
        };
        // A task of its own, so that connections that live on with HTTP/1 are no larger for it.
        tokio::spawn(http2::serve(stream, first.into(), peer, counted));
    }
}

/// Serves the one request of a stream of another connection, which lives as long as this.
pub(crate) async fn serve_one(mut stream: Stream, peer: Option<IpAddr>, counted: Arc<Counted>) {
    let Some(patience) = http_mode(&counted.slot.current.load()).map(|mode| mode.header_timeout) else {
        return;
    };
    let timer = std::pin::pin!(tokio::time::sleep(patience));
    let mut client = Client::new(&mut stream, peer, &counted, timer);
    // A second look finds the end of the stream.
    Box::pin(burst(&mut client)).await;
}

/// Waits until the client sends something; false when the connection is to end instead.
async fn wait_for_request(client: &mut Client<'_>) -> bool {
    let mut bell = std::pin::pin!(client.counted.worker.bell.notified());
    // From here on no ring is missed.
    bell.as_mut().enable();
    let mut ending = false;
    client.alarm.set_at(client.quiet_until);
    poll_fn(|cx| {
        // One reference instead of one to each part.
        let client = &mut *client;
        if client.stream.poll_readable(cx).is_ready() {
            return Poll::Ready(true);
        }
        while !ending {
            let rung = bell.as_mut().poll(cx).is_ready();
            if client.counted.is_ending() {
                ending = true;
                client.alarm.set(LAST_CHANCE);
            } else if rung {
                // It rang for others; the next time it may be for this one.
                bell.set(client.counted.worker.bell.notified());
            } else {
                break;
            }
        }
        client.alarm.poll(cx).map(|()| false)
    })
    .await
}

/// Serves requests as long as they follow each other closely.
async fn burst(client: &mut Client<'_>) -> Next {
    let mut heads = heads::take();
    client.note = heads.note.take();
    let next = serve_requests(client, &mut heads).await;
    heads.note = client.note.take();
    heads::give_back(heads);
    next
}

async fn serve_requests(client: &mut Client<'_>, heads: &mut Heads) -> Next {
    let mut listener = View::of(&client.counted.slot);
    let size = http_mode(&listener).map_or(0, |mode| mode.limits.head_bytes as usize);
    let mut inbound = Buffer::of_size(size);
    loop {
        let Some(mode) = http_mode(&listener) else { return Next::Close };
        let may_be_http2 = mode.http2;
        let received = receive::request(client, mode, &mut inbound, &mut heads.request).await;
        // Only now: it may have waited for long.
        listener.look(&client.counted.slot);
        match received {
            receive::Received::Head => {}
            receive::Received::Nothing => return Next::Idle,
            receive::Received::End => return Next::Close,
            receive::Received::Bad(_) if may_be_http2 && begins_http2(client, &inbound) => {
                return Next::Http2(inbound.unread().into());
            }
            receive::Received::Bad(reason) => {
                begin_note(client, clock::now());
                let next = refuse::and_close(client, reason, None).await;
                note::close(client, &listener, None);
                return next;
            }
        }
        let now = clock::now();
        begin_note(client, now);
        let next = exchange::run(client, &mut listener, &mut inbound, heads, now).await;
        let ended = note::close(client, &listener, Some(&heads.request));
        match (next, http_mode(&listener)) {
            (Next::Another, Some(mode)) => client.quiet_until = ended + mode.idle_timeout,
            (Next::Another, None) => return Next::Close,
            (end, _) => return end,
        }
    }
}

/// Says whether a client that was not understood has begun with the preface of HTTP/2 (RFC 9113 §3.4).
fn begins_http2(client: &Client<'_>, inbound: &Buffer) -> bool {
    client.stream.is_reusable() && inbound.unread().starts_with(b"PRI * HTTP/2.0")
}

fn begin_note(client: &mut Client<'_>, now: Instant) {
    client.has_spoken = true;
    match &mut client.note {
        Some(note) => **note = Note::begin(now),
        None => client.note = Some(Box::new(Note::begin(now))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With what the runtime adds to a task (104 bytes, then up to a multiple of 128) these are 512 bytes.
    const MOST_OF_AN_IDLE_CONNECTION: usize = 408;
    /// A class of the allocator.
    const MOST_WHILE_IT_SERVES: usize = 1792;

    fn size_of_future<F: Future, A>(_: impl FnOnce(Stream, Option<IpAddr>, A) -> F) -> usize {
        size_of::<F>()
    }

    fn size_of_burst<F: Future>(_: impl FnOnce(&'static mut Client<'static>) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_is_small() {
        let idle = size_of_future(serve);
        assert!(idle <= MOST_OF_AN_IDLE_CONNECTION, "{idle} bytes: box what few connections need");
        let serving = size_of_burst(burst);
        assert!(serving <= MOST_WHILE_IT_SERVES, "{serving} bytes: box what few requests need");
    }
}
