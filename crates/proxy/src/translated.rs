//! One request on a connection that carries many, as if it had a connection of its own on which HTTP/1 is spoken.
//!
//! Sessions know HTTP/1 only. What is spoken on a multiplexed connection is translated below them, so that routing,
//! retries, rewriting and logs are written once. A translated stream serves one request and is never kept for another.

pub(crate) mod flow;

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use evenkeel_http::answer::Reason;
use evenkeel_http::grpc;
use tokio::io::ReadBuf;

use crate::stream::Waiting;
use crate::tls::told::Told;

/// What else is to be known of a request to a server that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The server has said that it did nothing with it (RFC 9113 §8.7).
    NothingDone,
    /// It cannot be said in HTTP/2.
    Request(Reason),
    /// The response cannot be said in HTTP/1.1.
    Response(Reason),
}

/// See the module. What is read and written has the form of HTTP/1.1, or is the raw bytes of a tunnel after a change of
/// protocols.
pub(crate) trait Translated: Debug + Send + Sync {
    /// As [`tokio::io::AsyncRead::poll_read`]: nothing read is the end of the message.
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>>;

    /// Takes some bytes of `first`, or all of them and some of `second`; never none unless both are empty.
    fn poll_write(&mut self, cx: &mut Context<'_>, first: &[u8], second: &[u8]) -> Poll<io::Result<usize>>;

    /// Nothing more is written.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ready when the other side has sent something that was not read yet, or its end; takes nothing.
    fn poll_peek(&self, cx: &mut Context<'_>) -> Poll<Waiting>;

    /// Ready when something may be waiting to be read, its end and failures included.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_peek(cx).map(drop)
    }

    /// Ready when the other side has given the request up.
    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// What was written is not whole, or what is to be read is of no use any more: the other side is to see that.
    fn reset(&self);

    /// The same because the other side takes too little: what the kernel holds for the connection below need not be kept either
    /// when that ends.
    fn abandon(&self) {
        self.reset();
    }

    /// The addresses of the other end and of this one; `None` on a unix socket.
    fn addresses(&self) -> Option<(SocketAddr, SocketAddr)>;

    /// How many requests share the connection below, this one included.
    fn sharing(&self) -> u64 {
        1
    }

    /// Whether the connection below is encrypted.
    fn is_secure(&self) -> bool;

    /// What the client's certificate says, as header lines; empty without one.
    fn client_certificate(&self) -> &[u8];

    /// What servers may be told of the client's TLS.
    fn told(&self) -> Option<Told> {
        None
    }

    /// Why it failed, if that says more than that it broke.
    fn trouble(&self) -> Option<Trouble> {
        None
    }

    /// The status of a call of gRPC, once the server has given it.
    fn grpc_status(&self) -> Option<grpc::Status> {
        None
    }
}
