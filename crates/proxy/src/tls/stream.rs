//! One connection with TLS over it.
//!
//! The library keeps the session and no bytes: what was read waits in `incoming` until its record is whole, what is to
//! be sent in `outgoing`, and both give their memory back when they are empty, so an idle connection is its session and
//! little else. Invariants: a write is done only when all that it became has left, so nothing stays behind when nobody
//! polls; a write that has to wait is repeated with bytes that begin the same; a connection that ends without
//! `close_notify` is an error, never an end (RFC 8446 §6.1).

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};

use rustls::ProtocolVersion;
use rustls::pki_types::ServerName;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::block::Block;
use super::session::Session;
use crate::stream::Stream;

/// The most bytes that are sealed at once: one record (RFC 8446 §5.1).
const MOST_SEALED: usize = 16 * 1024;
/// Room for a read: a whole record, so that one call takes it.
const READ: usize = 16 * 1024 + 261;

/// See the module.
pub(crate) struct TlsStream {
    socket: Stream,
    session: Session,
    incoming: Block,
    /// What waits in `incoming` is no whole record.
    starved: bool,
    outgoing: Block,
    /// What is written now are the last bytes.
    last: bool,
    /// Opened, and not yet taken.
    plain: Vec<u8>,
    taken: usize,
    /// Bytes of the writer for which `outgoing` is on its way.
    accepted: usize,
    /// The other side has ended its direction, properly.
    ended: bool,
    /// We have ended ours, or have no more to say.
    closed: bool,
    /// The session has met an error and must not be asked again.
    failed: bool,
    /// The connection is to look cut.
    cut: AtomicBool,
    /// What the client's certificate says, as header lines.
    pub(super) client_certificate: Box<[u8]>,
    /// The name that the client asks for, when somebody wants to know.
    pub(super) asked: Box<str>,
    /// What the server was asked for and verified as, when that depends on the request.
    pub(super) name: Option<ServerName<'static>>,
}

impl std::fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsStream").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// What to do once application data may pass.
enum Wish<'a> {
    Read,
    Seal(&'a [u8]),
    Close,
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    /// Something was opened.
    Plain,
    /// Nothing more without more bytes; the wish, if it was not to read, is done.
    Nothing,
    /// The other side has ended its direction.
    End,
}

impl TlsStream {
    pub(super) fn new(socket: Stream, session: Session) -> Self {
        Self::after(Block::default(), socket, session)
    }

    /// A connection of which `incoming` was read already.
    pub(super) fn after(incoming: Block, socket: Stream, session: Session) -> Self {
        Self {
            socket,
            session,
            incoming,
            starved: false,
            outgoing: Block::default(),
            last: false,
            plain: Vec::new(),
            taken: 0,
            accepted: 0,
            ended: false,
            closed: false,
            failed: false,
            cut: AtomicBool::new(false),
            client_certificate: Box::default(),
            asked: Box::default(),
            name: None,
        }
    }

    /// The connection below.
    pub(crate) fn socket(&self) -> &Stream {
        &self.socket
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// What the client's certificate says, as header lines; empty without one.
    pub(crate) fn client_certificate(&self) -> &[u8] {
        &self.client_certificate
    }

    /// The name that the client has asked for; empty when it named none, or nobody wanted to know.
    pub(crate) fn asked(&self) -> &str {
        &self.asked
    }

    /// The name for which this connection to a server is; `None` when it is for all.
    pub(crate) fn name(&self) -> Option<&ServerName<'static>> {
        self.name.as_ref()
    }

    /// Moves the connection to the runtime of the current thread.
    pub(crate) fn adopt(&mut self) -> io::Result<()> {
        self.socket = self.socket.duplicate()?;
        Ok(())
    }

    /// Nothing has arrived that was not read.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.has_waiting() && self.incoming.is_empty()
    }

    /// Something can be read without another byte from the socket.
    pub(crate) fn has_waiting(&self) -> bool {
        self.taken < self.plain.len()
            || self.ended
            || self.failed
            || !(self.incoming.is_empty() || self.starved)
    }

    /// The connection will end without `close_notify`, so that the other side sees that something is missing.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
        self.socket.reset_on_close();
    }

    /// Lets the session work on what was read, until it opened something or can do no more.
    fn work(&mut self, wish: &Wish<'_>, opened: &mut impl FnMut(&[u8])) -> Result<Came, rustls::Error> {
        loop {
            let (outgoing, ended) = (&mut self.outgoing, &mut self.ended);
            let bytes = self.incoming.unread_mut();
            let (discard, came) = match &mut self.session {
                Session::OfClient(session) => {
                    turn(session.process_tls_records(bytes), outgoing, ended, wish, opened)
                }
                Session::OfServer(session) => {
                    turn(session.process_tls_records(bytes), outgoing, ended, wish, opened)
                }
            }?;
            self.incoming.consume(discard);
            if let Some(came) = came {
                return Ok(came);
            }
        }
    }

    /// The same; what is opened goes to `plain`.
    fn work_aside(&mut self, wish: &Wish<'_>) -> Result<Came, rustls::Error> {
        let mut aside = std::mem::take(&mut self.plain);
        let came = self.work(wish, &mut |bytes| aside.extend_from_slice(bytes));
        self.plain = aside;
        came
    }

    /// What happened is told to the other side as an alert, as far as it takes it at once.
    fn fail(&mut self, error: rustls::Error) -> io::Error {
        (self.closed, self.failed) = (true, true);
        // The session must not look at the same bytes again; while something is queued it gives that and looks at nothing.
        while self.session.wants_write() {
            let bytes = self.incoming.unread_mut();
            let told = match &mut self.session {
                Session::OfClient(session) => tell(session.process_tls_records(bytes), &mut self.outgoing),
                Session::OfServer(session) => tell(session.process_tls_records(bytes), &mut self.outgoing),
            };
            if !told {
                break;
            }
        }
        let mut cx = Context::from_waker(Waker::noop());
        let _sent = self.poll_send(&mut cx);
        io::Error::new(io::ErrorKind::InvalidData, error)
    }

    /// Sends what is to be sent.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let bytes = self.outgoing.unread();
            let sent = match self.last && self.closed {
                true => self.socket.poll_write_last(cx, bytes),
                false => Pin::new(&mut self.socket).poll_write(cx, bytes),
            };
            let count = ready!(sent)?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.consume(count);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once from the socket.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(receive(cx, &mut self.socket, &mut self.incoming))?;
        self.starved = false;
        Poll::Ready(Ok(()))
    }

    /// Shakes hands, up to what has to be sent last.
    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let came = self.work_aside(&Wish::Read).map_err(|error| self.fail(error))?;
            if came == Came::End {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            if !self.session.is_handshaking() {
                self.starved = came == Came::Nothing;
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_send(cx))?;
            ready!(self.poll_receive(cx))?;
        }
    }

    /// What is left of the handshake is for later connections only (RFC 8446 §4.6.1), so nobody waits for it.
    pub(super) fn leaves_tickets(&self) -> bool {
        matches!(self.session, Session::OfServer(_))
            && self.session.protocol_version() == Some(ProtocolVersion::TLSv1_3)
            && !self.outgoing.is_empty()
    }

    /// Sends what is left of the handshake, after which a request may be under way.
    ///
    /// With a request already there tickets go out along with its response. Otherwise at once: a client whose kernel waits for
    /// our acknowledgement of its handshake before it sends the request gets it along with them, and not 40 ms later.
    pub(super) fn poll_last_flight(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.leaves_tickets() && (self.has_waiting() || self.socket.poll_readable(cx).is_ready()) {
            return Poll::Ready(Ok(()));
        }
        self.poll_send(cx)
    }

    /// Writes bytes that are the last: the end of our direction goes along with them.
    pub(crate) fn poll_write_last(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.last = true;
        self.poll_write_both(cx, bytes, &[])
    }

    /// Writes the beginning of `head` and `body`, one behind the other.
    pub(crate) fn poll_write_both(
        &mut self,
        cx: &mut Context<'_>,
        head: &[u8],
        body: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.accepted == 0 {
            let of_head = head.len().min(MOST_SEALED);
            let of_body = body.len().min(MOST_SEALED - of_head);
            if of_head + of_body == 0 {
                return Poll::Ready(Ok(0));
            }
            if self.closed {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let sealed = match (of_head, of_body) {
                (_, 0) => self.seal(&head[..of_head]),
                (0, _) => self.seal(&body[..of_body]),
                // Together in one record, which costs less than two of them.
                _ => self.seal(&[&head[..of_head], &body[..of_body]].concat()),
            };
            sealed.map_err(|error| self.fail(error))?;
            self.accepted = of_head + of_body;
            if self.last && self.accepted == head.len() + body.len() {
                self.closed = true;
                self.act(&Wish::Close).map_err(|error| self.fail(error))?;
            }
        }
        ready!(self.poll_send(cx))?;
        let count = std::mem::take(&mut self.accepted);
        if count > head.len() + body.len() {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        }
        Poll::Ready(Ok(count))
    }

    fn seal(&mut self, bytes: &[u8]) -> Result<(), rustls::Error> {
        self.act(&Wish::Seal(bytes))
    }

    /// Does what is wished, putting aside what is opened meanwhile: as much as `incoming` holds.
    fn act(&mut self, wish: &Wish<'_>) -> Result<(), rustls::Error> {
        loop {
            match self.work_aside(wish)? {
                Came::Plain => {}
                Came::Nothing => return Ok(()),
                // Both directions have ended.
                Came::End => return Err(rustls::Error::General("the connection has ended".into())),
            }
        }
    }
}

/// Reads once from the socket, into `incoming`.
pub(super) fn receive(
    cx: &mut Context<'_>,
    socket: &mut Stream,
    incoming: &mut Block,
) -> Poll<io::Result<()>> {
    if incoming.is_empty() {
        // Whoever waits holds no memory.
        ready!(socket.poll_readable(cx));
    }
    let Some(room) = incoming.room(READ) else {
        return Poll::Ready(Err(io::Error::other("a message is longer than allowed")));
    };
    let mut room = ReadBuf::new(room);
    let read = Pin::new(socket).poll_read(cx, &mut room);
    let count = room.filled().len();
    incoming.filled(count);
    incoming.give_back_if_empty();
    ready!(read)?;
    if count == 0 {
        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
    }
    Poll::Ready(Ok(()))
}

/// One step of the session, whichever side we are. Says how many bytes it has used, and what came of the wish if that is
/// decided.
fn turn<D>(
    UnbufferedStatus { mut discard, state, .. }: UnbufferedStatus<'_, '_, D>,
    outgoing: &mut Block,
    ended: &mut bool,
    wish: &Wish<'_>,
    opened: &mut impl FnMut(&[u8]),
) -> Result<(usize, Option<Came>), rustls::Error> {
    let came = match state? {
        ConnectionState::ReadTraffic(mut traffic) => {
            while let Some(record) = traffic.next_record() {
                let record = record?;
                discard += record.discard;
                opened(record.payload);
            }
            Some(Came::Plain)
        }
        ConnectionState::EncodeTlsData(mut message) => {
            put(outgoing, 0, |room| message.encode(room).map_err(|error| encoded(&error)))?;
            None
        }
        ConnectionState::TransmitTlsData(sent) => {
            // It will be: whoever waits for anything flushes first.
            sent.done();
            None
        }
        ConnectionState::WriteTraffic(mut traffic) => {
            let sealed = |error| match error {
                EncryptError::InsufficientSize(size) => Some(size.required_size),
                EncryptError::EncryptExhausted => None,
            };
            match wish {
                Wish::Read => {}
                Wish::Seal(bytes) => {
                    put(outgoing, bytes.len(), |room| traffic.encrypt(bytes, room).map_err(sealed))?;
                }
                Wish::Close => put(outgoing, 0, |room| traffic.queue_close_notify(room).map_err(sealed))?,
            }
            Some(Came::Nothing)
        }
        ConnectionState::BlockedHandshake => match wish {
            Wish::Read => Some(Came::Nothing),
            Wish::Seal(_) | Wish::Close => return Err(rustls::Error::HandshakeNotComplete),
        },
        ConnectionState::PeerClosed => {
            *ended = true;
            matches!(wish, Wish::Read).then_some(Came::End)
        }
        ConnectionState::Closed => {
            *ended = true;
            Some(Came::End)
        }
        // Early data is not asked for, and a state that is not known cannot be served.
        _ => return Err(rustls::Error::General("an unknown state".into())),
    };
    Ok((discard, came))
}

/// Puts what the session has queued behind what waits; `false` when there is nothing.
fn tell<D>(status: UnbufferedStatus<'_, '_, D>, outgoing: &mut Block) -> bool {
    let Ok(ConnectionState::EncodeTlsData(mut message)) = status.state else { return false };
    put(outgoing, 0, |room| message.encode(room).map_err(|error| encoded(&error))).is_ok()
}

/// The room that is needed, if that was the trouble.
fn encoded(error: &EncodeError) -> Option<usize> {
    match error {
        EncodeError::InsufficientSize(size) => Some(size.required_size),
        EncodeError::AlreadyEncoded => None,
    }
}

/// Puts what `make` writes behind what waits. `make` is asked again when it names the room that it needs.
fn put(
    block: &mut Block,
    least: usize,
    mut make: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> Result<(), rustls::Error> {
    let full = || rustls::Error::General("too much waits to be sent".into());
    let mut least = least + 512;
    // The second time the room is what was asked for.
    for _ in 0..2 {
        match make(block.room(least).ok_or_else(full)?) {
            Ok(count) => {
                block.filled(count);
                block.give_back_if_empty();
                return Ok(());
            }
            Err(Some(required)) => least = required,
            Err(None) => break,
        }
    }
    Err(rustls::Error::EncryptError)
}

impl AsyncRead for TlsStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if let Some(rest) = this.plain.get(this.taken..).filter(|rest| !rest.is_empty()) {
                let count = rest.len().min(buf.remaining());
                buf.put_slice(&rest[..count]);
                this.taken += count;
                if this.taken == this.plain.len() {
                    (this.plain, this.taken) = (Vec::new(), 0);
                }
                return Poll::Ready(Ok(()));
            }
            if this.failed {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            if !this.incoming.is_empty() && !this.starved {
                let before = buf.filled().len();
                let mut rest = Vec::new();
                let came = this.work(&Wish::Read, &mut |bytes| {
                    let (now, later) = bytes.split_at(bytes.len().min(buf.remaining()));
                    buf.put_slice(now);
                    rest.extend_from_slice(later);
                });
                (this.plain, this.taken) = (rest, 0);
                match came.map_err(|error| this.fail(error))? {
                    Came::Plain | Came::End => {}
                    Came::Nothing => this.starved = !this.incoming.is_empty(),
                }
                if buf.filled().len() > before {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            let received = this.poll_receive(cx);
            if received.is_pending()
                && let Poll::Ready(sent) = this.poll_send(cx)
            {
                // Tickets and answers of the session itself; the next write takes them along if they cannot go now.
                sent?;
            }
            ready!(received)?;
        }
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_both(cx, buf, &[])
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_send(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.closed {
            this.closed = true;
            this.act(&Wish::Close).map_err(|error| this.fail(error))?;
        }
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.socket).poll_shutdown(cx)
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        if self.closed || self.cut.load(Ordering::Relaxed) || self.session.is_handshaking() {
            return;
        }
        // As far as it goes at once: nobody waits for it.
        if self.accepted == 0 && self.act(&Wish::Close).is_ok() {
            let mut cx = Context::from_waker(Waker::noop());
            let _sent = self.poll_send(&mut cx);
        }
    }
}
