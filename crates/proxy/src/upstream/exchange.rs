//! One request and its response on a multiplexed connection, as the stream of HTTP/1.1 bytes that sessions know.
//!
//! What is written to it is read as one request and sent; what is read from it is the response. Invariants: of what the
//! server sends no more is asked for than was read; of what the client sends no more is taken than the server takes; a
//! response that breaks off is an error, never an end; whoever lets go before both messages have ended cancels them.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use evenkeel_http::answer::Reason;
use evenkeel_http::grpc;
use evenkeel_http::translate::request_to_h2::{Asked, Head, Piece, RequestToH2, Setting};
use evenkeel_http::translate::response_from_h2::{self, Framing};
use h2::client::ResponseFuture;
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use tokio::io::ReadBuf;

use super::connection::Lease;
use crate::stream::Waiting;
use crate::translated::flow::{self, Incoming, Unread, gone};
use crate::translated::{Translated, Trouble};
use crate::websocket;

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
    unread: Unread,
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
            unread: Unread::default(),
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
                _ if taken > 0 => break,
                waits_or_fails => return waits_or_fails,
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
        match self.request.is_content() {
            true => flow::poll_room(cx, self.sending.as_mut(), wanted),
            false => Poll::Ready(Ok(wanted)),
        }
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

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Option<Trouble>>> {
        let Receiving::Head(response) = &mut self.receiving else { return Poll::Ready(Err(None)) };
        if let Poll::Ready(Some(interim)) = response.poll_informational(cx) {
            let (parts, ()) = interim.map_err(|error| trouble(&error))?.into_parts();
            let written = response_from_h2::interim(&parts, self.unread.next_text());
            return Poll::Ready(written.map(|()| true).map_err(|reason| Some(Trouble::Response(reason))));
        }
        let response = ready!(Pin::new(response).poll(cx)).map_err(|error| trouble(&error))?;
        let (parts, receiving) = response.into_parts();
        let end = receiving.is_end_stream();
        let accept = self.asked.websocket.as_deref().map(websocket::accept).unwrap_or_default();
        let framing = response_from_h2::head(&parts, &self.asked, &accept, end, self.unread.next_text())
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
        let (chunked, tunnel) = (*framing == Framing::Chunked, *framing == Framing::Tunnel);
        // An empty frame is no end.
        while let Some(content) = ready!(receiving.poll_data(cx)) {
            let content = content.map_err(|_| None)?;
            if !content.is_empty() {
                if chunked {
                    response_from_h2::chunk(content.len(), self.unread.next_text());
                }
                self.unread.next_content(content);
                return Poll::Ready(Ok(true));
            }
        }
        if chunked {
            let trailers = ready!(receiving.poll_trailers(cx)).map_err(|_| None)?;
            self.grpc_status = trailers.as_ref().and_then(grpc::status).or(self.grpc_status);
            response_from_h2::last_chunk(trailers.as_ref(), self.unread.next_text())
                .map_err(|reason| Some(Trouble::Response(reason)))?;
        }
        // RFC 9113 §8.5: a tunnel has content alone.
        if tunnel && ready!(receiving.poll_trailers(cx)).map_err(|_| None)?.is_some() {
            return Poll::Ready(Err(None));
        }
        self.receiving = Receiving::End;
        Poll::Ready(Ok(chunked))
    }
}

impl Incoming for Exchange {
    fn unread(&mut self) -> &mut Unread {
        &mut self.unread
    }

    fn was_read(&mut self, count: usize) -> bool {
        let Receiving::Content(receiving, framing) = &mut self.receiving else { return false };
        // A stream that has ended needs no window.
        let _ended = receiving.flow_control().release_capacity(count);
        *framing == Framing::Chunked
    }

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
                // The beginning of what could not be said must not be read: it may look like an end.
                self.unread = Unread::default();
                self.receiving = Receiving::Failed;
                Err(gone())
            }
        })
    }
}

impl Translated for Exchange {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Incoming::poll_read(self, cx, into)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, first: &[u8], second: &[u8]) -> Poll<io::Result<usize>> {
        flow::poll_write_both((first, second), |bytes| self.write(cx, bytes))
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

/// What is known of a request whose response failed so. The server has done nothing with it when its GOAWAY did not reach so
/// far, or when it has refused the stream. What we have reset is malformed (RFC 9113 §8.1.1), and would be when asked again.
fn trouble(error: &h2::Error) -> Option<Trouble> {
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    if error.is_remote() && (error.is_go_away() || refused) {
        return Some(Trouble::NothingDone);
    }
    (error.is_library() && error.is_reset()).then_some(Trouble::Response(Reason::BadResponse))
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let done = self.request.is_done() && matches!(self.receiving, Receiving::End);
        if let Some(sending) = self.sending.as_mut().filter(|_| !done) {
            sending.send_reset(h2::Reason::CANCEL);
        }
    }
}
