//! One request of a client's HTTP/2 connection and its response, as the stream of HTTP/1.1 bytes that sessions know.
//!
//! What is read from it is one request; what is written to it is sent as its response. Invariants: the client may send as
//! much more as was read, and no more; what it does not take is not taken from the session; a response that breaks off is
//! a reset, never an end.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use evenkeel_http::translate::request_from_h2::{self, Framing};
use evenkeel_http::translate::response_to_h2::{Piece, ResponseToH2};
use h2::ext::Protocol;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{Method, Request, Response, StatusCode};
use tokio::io::ReadBuf;

use super::outflow::Outflow;
use crate::stream::{Stream, Waiting};
use crate::tls::told::Told;
use crate::translated::Translated;
use crate::translated::flow::{self, Incoming, Unread, gone};
use crate::websocket;

/// What all requests of a connection have in common.
#[derive(Debug)]
pub(super) struct Facts {
    addresses: Option<(SocketAddr, SocketAddr)>,
    is_secure: bool,
    client_certificate: Box<[u8]>,
    told: Option<Told>,
    outflow: Arc<Outflow>,
}

impl Facts {
    pub(super) fn of(stream: &Stream, outflow: Arc<Outflow>) -> Self {
        Self {
            addresses: stream.addresses(),
            is_secure: stream.is_secure(),
            client_certificate: stream.client_certificate().into(),
            told: stream.told(),
            outflow,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Exchange {
    facts: Arc<Facts>,
    /// Only its owner polls it; looks through a shared reference have to lock it all the same.
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    receiving: RecvStream,
    framing: Framing,
    unread: Unread,
    /// Nothing more of the request comes.
    ended: bool,
    /// What came last may not be there.
    broken: bool,
    respond: SendResponse<Bytes>,
    sending: Option<SendStream<Bytes>>,
    response: ResponseToH2,
    outflow: Arc<Outflow>,
    cut: bool,
}

impl Exchange {
    /// Begins with what has come.
    pub(super) fn begin(
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        facts: Arc<Facts>,
    ) -> Self {
        let (parts, receiving) = request.into_parts();
        let protocol = parts.extensions.get::<Protocol>();
        let key = match protocol.map(Protocol::as_str) {
            Some("websocket") => Some(websocket::key()),
            _ => None,
        };
        let mut text = Vec::with_capacity(512);
        let end = receiving.is_end_stream();
        let framing = request_from_h2::head(&parts, key.as_deref(), end, &mut text);
        let method = if parts.method == Method::HEAD { Method::HEAD } else { Method::GET };
        let accept = key.map(|key| websocket::accept(key.as_bytes()));
        let outflow = facts.outflow.clone();
        outflow.begins(respond.stream_id().into());
        let inner = Inner {
            receiving,
            ended: framing == Framing::None,
            broken: false,
            framing,
            unread: Unread::of(text),
            respond,
            sending: None,
            response: ResponseToH2::new(&method, accept.as_deref()),
            outflow,
            cut: false,
        };
        Self { facts, inner: Mutex::new(inner) }
    }

    fn inner(&mut self) -> &mut Inner {
        self.inner.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Takes the beginning of `bytes`.
    fn poll_write(&mut self, cx: &mut Context<'_>, mut bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut taken = 0;
        while !bytes.is_empty() {
            let room = match self.poll_room(cx, bytes.len()) {
                Poll::Ready(Ok(room)) => room,
                // What was taken must be told first.
                _ if taken > 0 => break,
                waits_or_fails => return waits_or_fails,
            };
            let Ok((count, piece)) = self.response.next(bytes.get(..room).unwrap_or(bytes)) else {
                self.say_bad_gateway();
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            };
            if count == 0 {
                // Behind the end of the response; nobody looks at it.
                taken += bytes.len();
                break;
            }
            let content = if let Piece::Content(bytes, _) = &piece { bytes.len() } else { 0 };
            send(piece, &mut self.respond, &mut self.sending)?;
            if let (1.., Some(sending)) = (content, &self.sending) {
                self.outflow.gave(sending.stream_id().into(), content);
            }
            taken += count;
            bytes = bytes.get(count..).unwrap_or_default();
        }
        Poll::Ready(Ok(taken))
    }

    /// How many of the next `wanted` bytes may be looked at: what the client takes of content, else all.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        if !self.response.is_content() {
            return Poll::Ready(Ok(wanted));
        }
        // Whether it was reset is seen by asking the library, so that comes first.
        let taken = ready!(flow::poll_room(cx, self.sending.as_mut(), wanted))?;
        let room = ready!(self.outflow.poll_room(cx));
        Poll::Ready(Ok(taken.min(room)))
    }

    /// The server has given no response that HTTP/2 could carry.
    fn say_bad_gateway(&mut self) {
        if self.sending.is_none() {
            let mut response = Response::new(());
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            self.response.finish();
            self.sending = self.respond.send_response(response, true).ok();
        }
    }

    /// Ends the response, if it may end here.
    fn finish(&mut self) {
        if self.response.is_done() || self.cut || !self.response.may_end() {
            return;
        }
        self.response.finish();
        if let Some(sending) = &mut self.sending {
            let _gone = sending.send_data(Bytes::new(), true);
        }
    }

    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.sending {
            Some(sending) => sending.poll_reset(cx).map(drop),
            None => self.respond.poll_reset(cx).map(drop),
        }
    }
}

impl Incoming for Inner {
    fn unread(&mut self) -> &mut Unread {
        &mut self.unread
    }

    fn was_read(&mut self, count: usize) -> bool {
        // A stream that has ended needs no window.
        let _ended = self.receiving.flow_control().release_capacity(count);
        self.framing == Framing::Chunked
    }

    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.broken {
            return Poll::Ready(Err(gone()));
        }
        if self.ended {
            return Poll::Ready(Ok(false));
        }
        let chunked = self.framing == Framing::Chunked;
        // An empty frame is no end.
        while let Some(content) = ready!(self.receiving.poll_data(cx)) {
            let content = content.map_err(|_| gone())?;
            if !content.is_empty() {
                if chunked {
                    request_from_h2::chunk(content.len(), self.unread.next_text());
                }
                self.unread.next_content(content);
                return Poll::Ready(Ok(true));
            }
        }
        if chunked {
            let trailers = ready!(self.receiving.poll_trailers(cx)).map_err(|_| gone())?;
            request_from_h2::last_chunk(trailers.as_ref(), self.unread.next_text());
        }
        // RFC 9113 §8.5: a tunnel has content alone.
        if self.framing == Framing::Tunnel
            && ready!(self.receiving.poll_trailers(cx)).map_err(|_| gone())?.is_some()
        {
            self.broken = true;
            return Poll::Ready(Err(gone()));
        }
        self.ended = true;
        Poll::Ready(Ok(chunked))
    }
}

fn send(
    piece: Piece<'_>,
    respond: &mut SendResponse<Bytes>,
    sending: &mut Option<SendStream<Bytes>>,
) -> io::Result<()> {
    let sent = match (piece, sending) {
        (Piece::Nothing, _) => Ok(()),
        (Piece::Interim(response), _) => respond.send_informational(response),
        (Piece::Head(response, end), sending) => {
            respond.send_response(response, end).map(|stream| *sending = Some(stream))
        }
        (_, None) => return Err(gone()),
        (Piece::Content(bytes, end), Some(sending)) => sending.send_data(Bytes::copy_from_slice(bytes), end),
        (Piece::Trailers(trailers), Some(sending)) => sending.send_trailers(trailers),
        (Piece::End, Some(sending)) => sending.send_data(Bytes::new(), true),
    };
    sent.map_err(|_| gone())
}

impl Translated for Exchange {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_read(cx, into)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, first: &[u8], second: &[u8]) -> Poll<io::Result<usize>> {
        let inner = self.inner();
        flow::poll_write_both((first, second), |bytes| inner.poll_write(cx, bytes))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().finish();
        Poll::Ready(Ok(()))
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.locked();
        if !inner.unread.is_empty() {
            return Poll::Ready(());
        }
        // The end and an error are found by reading as well.
        inner.poll_more(cx).map(drop)
    }

    /// The end of the request is no news while its response is waited for: only a reset is.
    fn poll_peek(&self, cx: &mut Context<'_>) -> Poll<Waiting> {
        let mut inner = self.locked();
        if inner.poll_reset(cx).is_ready() {
            return Poll::Ready(Waiting::Failure);
        }
        if inner.unread.is_empty() { Poll::Pending } else { Poll::Ready(Waiting::Bytes) }
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.locked().poll_reset(cx)
    }

    fn reset(&self) {
        self.locked().cut = true;
    }

    fn abandon(&self) {
        let mut inner = self.locked();
        inner.cut = true;
        inner.outflow.abandon();
    }

    fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.facts.addresses
    }

    fn sharing(&self) -> u64 {
        // One is the connection's own.
        (Arc::strong_count(&self.facts) as u64).saturating_sub(1).max(1)
    }

    fn is_secure(&self) -> bool {
        self.facts.is_secure
    }

    fn client_certificate(&self) -> &[u8] {
        &self.facts.client_certificate
    }

    fn told(&self) -> Option<Told> {
        self.facts.told.clone()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let inner = self.inner();
        inner.finish();
        inner.outflow.ends(inner.respond.stream_id().into());
        if inner.response.is_done() {
            // If the request has not ended, the library says that its rest is not needed (RFC 9113 §8.1), behind what of
            // the response still waits to be sent.
            return;
        }
        match &mut inner.sending {
            Some(sending) => sending.send_reset(h2::Reason::INTERNAL_ERROR),
            None => inner.respond.send_reset(h2::Reason::INTERNAL_ERROR),
        }
    }
}
