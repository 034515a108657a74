//! One request and its response on a multiplexed connection, as the stream of HTTP/1.1 bytes that sessions know.
//!
//! What is written to it is read as one request and sent; what is read from it is the response. Invariants: of what the
//! server sends no more is asked for than was read; of what the client sends no more is taken than the server takes; a
//! response that breaks off is an error, never an end; whoever lets go before both messages have ended cancels them.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use evenkeel_http::grpc;
use evenkeel_http::translate::request_to_h2::{Asked, Head, Piece, RequestToH2, Setting};
use evenkeel_http::translate::response_from_h2::{self, Framing};
use h2::client::ResponseFuture;
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use tokio::io::ReadBuf;

use super::connection::Lease;
use crate::stream::Waiting;
use crate::translated::{Translated, Trouble};
use crate::websocket;

/// Bytes of content that are handed over at once: one frame (RFC 9113 §4.2).
const PIECE: usize = 16 * 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Exchange {
    lease: Lease,
    /// `:authority` when the request names no host.
    authority: Box<str>,
    request: RequestToH2,
    sending: Option<SendStream<Bytes>>,
    asked: Asked,
    receiving: Receiving,
    /// Text that comes before `content`: a head, a line of a chunk, trailers.
    text: Vec<u8>,
    taken: usize,
    content: Bytes,
    trouble: Option<Trouble>,
    grpc_status: Option<grpc::Status>,
}

/// How far the response has come.
#[derive(Debug)]
enum Receiving {
    /// Nothing was asked yet.
    Nothing,
    Head(ResponseFuture),
    Content(RecvStream, Framing),
    End,
    Failed,
}

impl Exchange {
    pub(super) fn new(lease: Lease, authority: &str) -> Self {
        Self {
            lease,
            authority: authority.into(),
            request: RequestToH2::default(),
            sending: None,
            asked: Asked::default(),
            receiving: Receiving::Nothing,
            text: Vec::new(),
            taken: 0,
            content: Bytes::new(),
            trouble: None,
            grpc_status: None,
        }
    }

    /// Takes the beginning of `bytes`.
    fn write(&mut self, cx: &mut Context<'_>, mut bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut taken = 0;
        while !bytes.is_empty() {
            let room = match self.poll_room(cx, bytes.len()) {
                Poll::Ready(Ok(room)) => room,
                // What was taken must be told first.
                Poll::Pending | Poll::Ready(Err(_)) if taken > 0 => break,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            };
            let setting = Setting {
                scheme: self.lease.scheme,
                authority_if_missing: &self.authority,
                extended_connect: self.lease.extended_connect(),
            };
            let piece = self.request.next(bytes.get(..room).unwrap_or(bytes), setting);
            let (count, piece) = piece.map_err(|reason| {
                self.trouble = Some(Trouble::Request(reason));
                io::Error::from(io::ErrorKind::InvalidInput)
            })?;
            if count == 0 {
                break;
            }
            self.send(piece)?;
            taken += count;
            bytes = bytes.get(count..).unwrap_or_default();
        }
        Poll::Ready(Ok(taken))
    }

    /// How many of the next `wanted` bytes may be looked at: what the server takes of content, else all.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        if !self.request.is_content() {
            return Poll::Ready(Ok(wanted));
        }
        let Some(sending) = &mut self.sending else { return Poll::Ready(Err(gone())) };
        let wanted = wanted.min(PIECE);
        sending.reserve_capacity(wanted);
        while sending.capacity() == 0 {
            match ready!(sending.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(Err(gone())),
            }
        }
        Poll::Ready(Ok(sending.capacity().min(wanted)))
    }

    fn send(&mut self, piece: Piece<'_>) -> io::Result<()> {
        let sent = match (piece, &mut self.sending) {
            (Piece::Nothing, _) => Ok(()),
            (Piece::Head(head), _) => return self.begin(*head),
            (_, None) => return Err(gone()),
            (Piece::Content(bytes, end), Some(sending)) => {
                sending.send_data(Bytes::copy_from_slice(bytes), end)
            }
            (Piece::Trailers(trailers), Some(sending)) => sending.send_trailers(trailers),
            (Piece::End, Some(sending)) => sending.send_data(Bytes::new(), true),
        };
        sent.map_err(|_| gone())
    }

    /// Sends the head.
    fn begin(&mut self, head: Head) -> io::Result<()> {
        let Head { mut request, asked, end } = head;
        if asked.websocket.is_some() {
            request.extensions_mut().insert(Protocol::from_static("websocket"));
        }
        self.asked = asked;
        match self.lease.sender.send_request(request, end) {
            Ok((response, sending)) => {
                self.sending = Some(sending);
                self.receiving = Receiving::Head(response);
                Ok(())
            }
            Err(_) => {
                // Nothing of it has left.
                self.trouble = Some(Trouble::NothingDone);
                self.receiving = Receiving::Failed;
                Err(gone())
            }
        }
    }

    fn read_content(&mut self, buf: &mut ReadBuf<'_>) {
        let count = self.content.len().min(buf.remaining());
        buf.put_slice(self.content.get(..count).unwrap_or_default());
        self.content.advance(count);
        let Receiving::Content(receiving, framing) = &mut self.receiving else { return };
        // The server may send as much more; a stream that has ended needs no window.
        let _ended = receiving.flow_control().release_capacity(count);
        if self.content.is_empty() && *framing == Framing::Chunked {
            self.text.clear();
            self.taken = 0;
            self.text.extend_from_slice(b"\r\n");
        }
    }

    /// Gets the next text or content; false at the proper end.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let more = match &mut self.receiving {
            // The writer goes first.
            Receiving::Nothing => return Poll::Pending,
            Receiving::Failed => return Poll::Ready(Err(gone())),
            Receiving::End => return Poll::Ready(Ok(false)),
            Receiving::Head(_) => ready!(self.poll_head(cx)),
            Receiving::Content(..) => ready!(self.poll_content(cx)),
        };
        Poll::Ready(match more {
            Ok(more) => Ok(more),
            Err(trouble) => {
                self.trouble = trouble;
                self.receiving = Receiving::Failed;
                Err(gone())
            }
        })
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Option<Trouble>>> {
        let Receiving::Head(response) = &mut self.receiving else { return Poll::Ready(Err(None)) };
        if let Poll::Ready(Some(interim)) = response.poll_informational(cx) {
            let (parts, ()) = interim.map_err(|error| nothing_done(&error))?.into_parts();
            let written = response_from_h2::interim(&parts, &mut self.text);
            return Poll::Ready(written.map(|()| true).map_err(|reason| Some(Trouble::Response(reason))));
        }
        let response = ready!(Pin::new(response).poll(cx)).map_err(|error| nothing_done(&error))?;
        let (parts, receiving) = response.into_parts();
        let end = receiving.is_end_stream();
        let accept = self.asked.websocket.as_deref().map(websocket::accept).unwrap_or_default();
        let framing = response_from_h2::head(&parts, &self.asked, &accept, end, &mut self.text)
            .map_err(|reason| Some(Trouble::Response(reason)))?;
        self.grpc_status = grpc::status(&parts.headers);
        self.receiving = match framing {
            Framing::None => Receiving::End,
            framing => Receiving::Content(receiving, framing),
        };
        Poll::Ready(Ok(true))
    }

    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Option<Trouble>>> {
        let Receiving::Content(receiving, framing) = &mut self.receiving else {
            return Poll::Ready(Err(None));
        };
        // An empty frame is no end.
        while let Some(content) = ready!(receiving.poll_data(cx)) {
            self.content = content.map_err(|_| None)?;
            if !self.content.is_empty() {
                if *framing == Framing::Chunked {
                    response_from_h2::chunk(self.content.len(), &mut self.text);
                }
                return Poll::Ready(Ok(true));
            }
        }
        if *framing == Framing::Chunked {
            let trailers = ready!(receiving.poll_trailers(cx)).map_err(|_| None)?;
            self.grpc_status = trailers.as_ref().and_then(grpc::status).or(self.grpc_status);
            response_from_h2::last_chunk(trailers.as_ref(), &mut self.text)
                .map_err(|reason| Some(Trouble::Response(reason)))?;
        }
        self.receiving = Receiving::End;
        Poll::Ready(Ok(!self.text.is_empty()))
    }
}

impl Translated for Exchange {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        while into.remaining() > 0 {
            if let Some(rest) = self.text.get(self.taken..).filter(|rest| !rest.is_empty()) {
                let count = rest.len().min(into.remaining());
                into.put_slice(rest.get(..count).unwrap_or_default());
                self.taken += count;
                continue;
            }
            if !self.content.is_empty() {
                self.read_content(into);
                continue;
            }
            self.text.clear();
            self.taken = 0;
            match self.poll_more(cx) {
                Poll::Ready(Ok(true)) => {}
                // What was read is told first; the rest comes with the next read.
                _ if into.filled().len() > before => break,
                Poll::Ready(Ok(false)) => break,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, first: &[u8], second: &[u8]) -> Poll<io::Result<usize>> {
        let of_first = ready!(self.write(cx, first))?;
        if of_first < first.len() {
            return Poll::Ready(Ok(of_first));
        }
        match self.write(cx, second) {
            Poll::Ready(Ok(of_second)) => Poll::Ready(Ok(of_first + of_second)),
            // What was taken must be told first; the next write meets the same.
            _ if of_first > 0 => Poll::Ready(Ok(of_first)),
            waits_or_fails => waits_or_fails,
        }
    }

    /// Ends the request's direction of a tunnel; a request ends by itself.
    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.asked.websocket.is_none() || self.request.is_done() {
            return Poll::Ready(Ok(()));
        }
        self.request.finish();
        Poll::Ready(self.send(Piece::End))
    }

    /// Whatever comes is found by reading, which costs no system call.
    fn poll_peek(&self, _: &mut Context<'_>) -> Poll<Waiting> {
        Poll::Ready(Waiting::Bytes)
    }

    /// A server that gives a request up is met by reading.
    fn poll_gone(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    /// Whoever lets go too early cancels anyway.
    fn reset(&self) {}

    fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        None
    }

    fn is_secure(&self) -> bool {
        self.lease.scheme == "https"
    }

    fn client_certificate(&self) -> &[u8] {
        &[]
    }

    fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    fn grpc_status(&self) -> Option<grpc::Status> {
        self.grpc_status
    }
}

/// Says whether the server has done nothing with a request that failed so: its GOAWAY did not reach so far, or it has
/// refused the stream.
fn nothing_done(error: &h2::Error) -> Option<Trouble> {
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    (error.is_remote() && (error.is_go_away() || refused)).then_some(Trouble::NothingDone)
}

fn gone() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let done = self.request.is_done() && matches!(self.receiving, Receiving::End);
        if let Some(sending) = self.sending.as_mut().filter(|_| !done) {
            sending.send_reset(h2::Reason::CANCEL);
        }
    }
}
