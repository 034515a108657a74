//! A connection, whatever it runs over.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use evenkeel_traffic::address::Address;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::tls::stream::TlsStream;
use crate::tls::told::Told;
use crate::translated::Translated;

/// See the module.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Over one of the others.
    Tls(Box<TlsStream>),
    /// A part of one of the others.
    Translated(Box<dyn Translated>),
}

/// What waits in a connection that nobody reads from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    Nothing,
    Bytes,
    /// The other side has ended its direction, properly.
    End,
    /// The connection is broken.
    Failure,
}

impl Waiting {
    /// What an attempt to read has shown.
    fn of(read: io::Result<usize>) -> Self {
        match read {
            Ok(0) => Self::End,
            Ok(_) => Self::Bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Self::Nothing,
            Err(_) => Self::Failure,
        }
    }
}

impl Stream {
    /// Connects to a server. The caller bounds the time.
    pub(crate) async fn connect(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                // Heads and small bodies must not wait for an acknowledgement.
                stream.set_nodelay(true)?;
                Ok(Self::Tcp(stream))
            }
            Address::Unix(path) => UnixStream::connect(path).await.map(Self::Unix),
        }
    }

    /// An accepted connection and who is at its other end.
    pub(crate) fn accepted(stream: TcpStream, peer: SocketAddr) -> (Self, Option<IpAddr>) {
        (Self::Tcp(stream), Some(peer.ip().to_canonical()))
    }

    /// The addresses of the other end and of this one; `None` on a unix socket.
    pub(crate) fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        match self {
            Self::Tcp(stream) => Some((stream.peer_addr().ok()?, stream.local_addr().ok()?)),
            Self::Unix(_) => None,
            Self::Tls(stream) => stream.socket().addresses(),
            Self::Translated(stream) => stream.addresses(),
        }
    }

    /// The address that the client has come to; `None` on a unix socket.
    pub(crate) fn local_ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(stream) => Some(stream.local_addr().ok()?.ip().to_canonical()),
            Self::Unix(_) | Self::Translated(_) => None,
            Self::Tls(stream) => stream.socket().local_ip(),
        }
    }

    /// Whether what passes is encrypted.
    pub(crate) fn is_secure(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Unix(_) => false,
            Self::Tls(_) => true,
            Self::Translated(stream) => stream.is_secure(),
        }
    }

    /// What servers may be told of the client's TLS.
    pub(crate) fn told(&self) -> Option<Told> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => None,
            Self::Tls(stream) => Some(Told::of(stream)),
            Self::Translated(stream) => stream.told(),
        }
    }

    /// The protocol that was agreed on in the handshake of TLS (ALPN).
    pub(crate) fn agreed_on(&self) -> Option<&[u8]> {
        self.tls()?.session().alpn_protocol()
    }

    /// What the client's certificate says, as header lines; empty without one.
    pub(crate) fn client_certificate(&self) -> &[u8] {
        match self {
            Self::Tcp(_) | Self::Unix(_) => &[],
            Self::Tls(stream) => stream.client_certificate(),
            Self::Translated(stream) => stream.client_certificate(),
        }
    }

    /// Whether its bytes are those of the kernel's socket, which can move them without us.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Tcp(_) | Self::Unix(_))
    }

    /// Whether it may carry another request after the one it is for.
    pub(crate) fn is_reusable(&self) -> bool {
        !matches!(self, Self::Translated(_))
    }

    /// What a translated one has to say for itself.
    pub(crate) fn translated(&self) -> Option<&dyn Translated> {
        if let Self::Translated(stream) = self { Some(&**stream) } else { None }
    }

    /// TLS over it, if there is any. It is unknown to what is [`Stream::Translated`].
    pub(crate) fn tls(&self) -> Option<&TlsStream> {
        if let Self::Tls(tls) = self { Some(tls) } else { None }
    }

    /// Moves the connection to the runtime of the current thread.
    pub(crate) fn adopt(self) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) => TcpStream::from_std(stream.into_std()?).map(Self::Tcp),
            Self::Unix(stream) => UnixStream::from_std(stream.into_std()?).map(Self::Unix),
            Self::Tls(mut stream) => stream.adopt().map(|()| Self::Tls(stream)),
            Self::Translated(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The same connection in the runtime of the current thread; the one here is to be thrown away.
    pub(crate) fn duplicate(&self) -> io::Result<Self> {
        let socket = self.descriptor()?.try_clone_to_owned()?;
        match self {
            Self::Tcp(_) => TcpStream::from_std(socket.into()).map(Self::Tcp),
            Self::Unix(_) => UnixStream::from_std(socket.into()).map(Self::Unix),
            Self::Tls(_) | Self::Translated(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// What the runtime knows to be waiting; costs no system call while nothing was signalled.
    pub(crate) fn known_waiting(&self) -> Waiting {
        let mut byte = [0];
        // An idle connection is thrown away if anything waits, so the byte is not missed.
        let read = match self {
            Self::Tcp(stream) => stream.try_read(&mut byte),
            Self::Unix(stream) => stream.try_read(&mut byte),
            Self::Tls(stream) if !stream.is_quiet() => return Waiting::Bytes,
            Self::Tls(stream) => return stream.socket().known_waiting(),
            Self::Translated(_) => return Waiting::Bytes,
        };
        Waiting::of(read)
    }

    /// Asks the kernel what is waiting; takes nothing.
    pub(crate) fn waiting(&self) -> Waiting {
        if self.tls().is_some_and(|tls| !tls.is_quiet()) {
            return Waiting::Bytes;
        }
        Waiting::of(self.peek())
    }

    fn peek(&self) -> io::Result<usize> {
        evenkeel_sys::socket::peek(self.descriptor()?)
    }

    /// The socket below. One that is shared with other requests is nobody's to touch.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] when it is translated.
    pub(crate) fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        match self {
            Self::Tcp(stream) => Ok(stream.as_fd()),
            Self::Unix(stream) => Ok(stream.as_fd()),
            Self::Tls(stream) => stream.socket().descriptor(),
            Self::Translated(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Bytes that lie in the kernel until the other side takes them; `None` where that cannot be told.
    pub(crate) fn unconfirmed(&self) -> Option<u64> {
        evenkeel_sys::socket::unconfirmed(self.descriptor().ok()?).ok()
    }

    /// How many requests share the connection below.
    pub(crate) fn sharing(&self) -> u64 {
        self.translated().map_or(1, Translated::sharing)
    }

    /// Ready when something is waiting, which is told and left where it is.
    pub(crate) fn poll_peek(&self, cx: &mut Context<'_>) -> Poll<Waiting> {
        match self {
            Self::Tls(tls) if tls.has_waiting() => return Poll::Ready(Waiting::Bytes),
            Self::Translated(stream) => return stream.poll_peek(cx),
            Self::Tcp(_) | Self::Unix(_) | Self::Tls(_) => {}
        }
        loop {
            ready!(self.poll_readable(cx));
            // Finding nothing clears the stale readiness, so that the next look waits for an event.
            let peeked = self.try_io(Interest::READABLE, || self.peek());
            match Waiting::of(peeked) {
                Waiting::Nothing => {}
                found => return Poll::Ready(found),
            }
        }
    }

    /// Waits until the other side has gone: it has ended its direction, or broken the connection. When something that
    /// it sent waits to be read, only the latter can be seen.
    pub(crate) async fn gone(&self) {
        if let Self::Translated(stream) = self {
            return poll_fn(|cx| stream.poll_gone(cx)).await;
        }
        if poll_fn(|cx| self.poll_peek(cx)).await == Waiting::Bytes {
            // An error is told by the next write as well.
            let _broken = match self.tls().map_or(self, TlsStream::socket) {
                Self::Tcp(stream) => stream.ready(Interest::ERROR).await,
                Self::Unix(stream) => stream.ready(Interest::ERROR).await,
                Self::Tls(_) | Self::Translated(_) => return,
            };
        }
    }

    /// Keeps the kernel from making more room for what comes in, or lets it do so again: see [`crate::session::ahead`].
    pub(crate) fn hold_receive_buffer(&self, is_held: bool) {
        match self {
            Self::Tcp(stream) => {
                // An old kernel does not know it, and then more memory is used.
                let _ = evenkeel_sys::socket::hold_receive_buffer(stream.as_fd(), is_held);
            }
            Self::Tls(stream) => stream.socket().hold_receive_buffer(is_held),
            // One has no window, the other shares its connection and has a window of its own.
            Self::Unix(_) | Self::Translated(_) => {}
        }
    }

    /// Lets more wait for the other side than at first: see [`crate::session::ahead`].
    pub(crate) fn let_more_wait(&self) {
        match self {
            Self::Tcp(stream) => {
                // Without it no more waits than before.
                let _ = evenkeel_sys::socket::let_more_wait(stream.as_fd());
            }
            Self::Tls(stream) => stream.socket().let_more_wait(),
            Self::Unix(_) | Self::Translated(_) => {}
        }
    }

    /// Says whether the other side has given up a request that shares its connection with others.
    pub(crate) fn is_given_up(&self, cx: &mut Context<'_>) -> bool {
        matches!(self, Self::Translated(stream) if stream.poll_gone(cx).is_ready())
    }

    /// Ready when something may be waiting to be read.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx).map(|_| ()),
            Self::Unix(stream) => stream.poll_read_ready(cx).map(|_| ()),
            Self::Tls(stream) if stream.has_waiting() => Poll::Ready(()),
            Self::Tls(stream) => stream.socket().poll_readable(cx),
            Self::Translated(stream) => stream.poll_readable(cx),
        }
    }

    /// Ready when something may be written.
    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(cx).map(|_| ()),
            Self::Unix(stream) => stream.poll_write_ready(cx).map(|_| ()),
            Self::Tls(stream) => stream.socket().poll_writable(cx),
            // Its writes wait by themselves.
            Self::Translated(_) => Poll::Ready(()),
        }
    }

    /// Does `deed` with the socket and remembers if it would have blocked.
    pub(crate) fn try_io<T>(
        &self,
        interest: Interest,
        deed: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        match self {
            Self::Tcp(stream) => stream.try_io(interest, deed),
            Self::Unix(stream) => stream.try_io(interest, deed),
            Self::Tls(stream) => stream.socket().try_io(interest, deed),
            Self::Translated(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Writes bytes that are the last, and ends our direction when all are taken: over TCP in one packet, which spares both
    /// sides some work. Where that cannot be, only writes them.
    pub(crate) fn poll_write_last(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(_) => self.poll_send(cx, bytes, evenkeel_sys::socket::send_last),
            Self::Tls(tls) => tls.poll_write_last(cx, bytes),
            Self::Unix(_) | Self::Translated(_) => Pin::new(self).poll_write(cx, bytes),
        }
    }

    /// Writes to the socket with `send`.
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        send: impl Fn(BorrowedFd<'_>, &[u8]) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_writable(cx));
            match self.try_part(Interest::WRITABLE, bytes.len(), || send(self.descriptor()?, bytes)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// Does `deed`, which moves at most so many bytes. When it has moved fewer, it took all there was, so that the next one
    /// would find nothing: that is remembered as well. What arrived since then comes as an event of the next turn.
    fn try_part(
        &self,
        interest: Interest,
        most: usize,
        deed: impl FnOnce() -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut part = None;
        let whole = self.try_io(interest, || match deed()? {
            count @ 1.. if count < most => {
                part = Some(count);
                Err(io::ErrorKind::WouldBlock.into())
            }
            count => Ok(count),
        });
        part.map_or(whole, Ok)
    }

    /// The next close resets the connection, so that the other side sees that something is missing.
    pub(crate) fn reset_on_close(&self) {
        match self {
            Self::Tcp(stream) => {
                let _best_effort = stream.set_zero_linger();
            }
            Self::Unix(_) => {}
            Self::Tls(stream) => stream.cut(),
            Self::Translated(stream) => stream.reset(),
        }
    }

    /// The other side takes too little: nothing of what the kernel holds for it is kept beyond the close.
    pub(crate) fn abandon(&self) {
        match self {
            Self::Translated(stream) => stream.abandon(),
            Self::Tcp(_) | Self::Unix(_) | Self::Tls(_) => self.reset_on_close(),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        match stream {
            Self::Tls(tls) => return Pin::new(tls).poll_read(cx, buf),
            Self::Translated(stream) => return stream.poll_read(cx, buf),
            Self::Tcp(_) | Self::Unix(_) => {}
        }
        loop {
            ready!(stream.poll_readable(cx));
            let room = buf.initialize_unfilled();
            let most = room.len();
            let read = stream.try_part(Interest::READABLE, most, || {
                evenkeel_sys::socket::receive(stream.descriptor()?, room)
            });
            match read {
                Ok(count) => {
                    buf.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tls(tls) => tls.poll_write_both(cx, buf, &[]),
            Self::Translated(stream) => stream.poll_write(cx, buf, &[]),
            stream @ (Self::Tcp(_) | Self::Unix(_)) => stream.poll_send(cx, buf, evenkeel_sys::socket::send),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Translated(stream) => stream.poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => {
                let slice = |place: usize| slices.get(place).map(|slice| &**slice).unwrap_or_default();
                stream.poll_write_both(cx, slice(0), slice(1))
            }
            Self::Translated(stream) => {
                let slice = |place: usize| slices.get(place).map(|slice| &**slice).unwrap_or_default();
                stream.poll_write(cx, slice(0), slice(1))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}
