//! Messages with file descriptors between the supervisor and its roles, over a pair of unix stream sockets.
//!
//! A frame is the length of its text (four bytes, big-endian), the number of its file descriptors (two bytes,
//! big-endian) and the message as JSON. The descriptors travel as ancillary data of the frame's first byte (unix(7),
//! SCM_RIGHTS), so the kernel delivers them at the latest with that byte; the number in the frame says which message
//! they belong to.
//!
//! Invariants:
//! 1. A message comes with exactly the descriptors it was sent with, in their order, closed on exec.
//! 2. A frame above [`LARGEST_MESSAGE`] or [`MOST_DESCRIPTORS`] is refused on both sides before memory is spent on it.
//! 3. A stream that ends inside a frame is an error; between two frames it is the end.
//!
//! Never decides what a message means, and never trusts the other side: roles that parse hostile bytes write here.

mod polled;

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::net::UnixStream;

pub use polled::{LARGEST_OUTBOX, Next, Polled};

/// The longest message, in bytes of JSON: a plan with every table full stays far below.
pub const LARGEST_MESSAGE: usize = 64 * 1024 * 1024;
/// The most file descriptors of one message: what Linux carries in one SCM_RIGHTS (SCM_MAX_FD).
pub const MOST_DESCRIPTORS: usize = 253;

/// Bytes before the text of a frame: its length and its number of descriptors.
const PREFIX: usize = 6;
/// Bytes asked of the kernel at once.
const READ_SIZE: usize = 64 * 1024;
/// Memory a receiver keeps between two messages; a larger one gives it back.
const KEPT_BUFFER: usize = 256 * 1024;
/// Room for the ancillary data of one frame.
const ANCILLARY_SIZE: usize = rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS));

/// A pair of connected sockets, closed on exec: one for each side.
///
/// # Errors
/// When the process or the system has no file descriptor left.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

/// One side of a [`pair`].
#[derive(Debug)]
pub struct Channel {
    sender: Sender,
    receiver: Receiver,
}

impl Channel {
    /// Takes one side of a [`pair`].
    ///
    /// Needs no runtime yet: each half belongs to the tokio runtime in which it first has to wait, so a channel can be
    /// made in one place and used in another.
    ///
    /// # Errors
    /// When the socket cannot be made nonblocking or no file descriptor is left.
    pub fn from_fd(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        // Each half has its own descriptor, so that both may wait, in different runtimes if need be.
        let second = socket.try_clone()?;
        Ok(Self {
            sender: Sender { socket: Socket::new(socket), broken: false },
            receiver: Receiver { socket: Socket::new(second), inbox: Inbox::default() },
        })
    }

    /// The two directions. The other side sees the end of the stream when both are dropped.
    #[must_use]
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }
}

/// Writes messages.
#[derive(Debug)]
pub struct Sender {
    socket: Socket,
    /// A frame was left half written.
    broken: bool,
}

impl Sender {
    /// Sends one message with its descriptors, and waits while the other side does not read.
    ///
    /// Not cancel-safe: a call that is dropped half-way leaves half a frame behind, and the sender then refuses every
    /// further message.
    ///
    /// # Errors
    /// `InvalidInput` when the message is above a bound, `BrokenPipe` when the other side is gone or an earlier message
    /// was left half written.
    pub async fn send<T: Serialize>(
        &mut self,
        message: &T,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let frame = encode(message, descriptors.len())?;
        if self.broken {
            return Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "an earlier message was left half written",
            ));
        }
        self.broken = true;
        let mut written = 0;
        while written < frame.len() {
            let rest = &frame[written..];
            let attached = if written == 0 { descriptors } else { &[] };
            written +=
                self.socket.perform(Interest::WRITABLE, |socket| write(socket, rest, attached)).await?;
        }
        self.broken = false;
        Ok(())
    }
}

/// Reads messages.
#[derive(Debug)]
pub struct Receiver {
    socket: Socket,
    inbox: Inbox,
}

impl Receiver {
    /// The next message with its descriptors; `None` when the other side has ended the stream.
    ///
    /// Cancel-safe: a dropped call loses nothing. After an error the stream cannot be used any more.
    ///
    /// # Errors
    /// `InvalidData` when what arrives is no frame, is above a bound or is not a `T`; `UnexpectedEof` when the stream
    /// ends inside a frame.
    pub async fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        loop {
            if let Some(received) = self.inbox.take()? {
                return Ok(Some(received));
            }
            let Inbox { bytes, descriptors } = &mut self.inbox;
            let count =
                self.socket.perform(Interest::READABLE, |socket| read(socket, bytes, descriptors)).await?;
            if count == 0 {
                return self.inbox.end().map(|()| None);
            }
        }
    }
}

/// What has arrived and is no message yet.
#[derive(Debug, Default)]
struct Inbox {
    /// Bytes that are no whole frame yet.
    bytes: Vec<u8>,
    /// Descriptors whose message is not complete yet, in order of arrival.
    descriptors: VecDeque<OwnedFd>,
}

impl Inbox {
    /// The first message with its descriptors, once it is whole.
    fn take<T: DeserializeOwned>(&mut self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let Some((text, descriptors)) = self.whole_frame()? else { return Ok(None) };
        let message = serde_json::from_slice(&self.bytes[PREFIX..text])
            .map_err(|error| invalid(format!("a message cannot be read: {error}")))?;
        let descriptors = self.descriptors.drain(..descriptors).collect();
        self.bytes.drain(..text);
        if self.bytes.capacity() > KEPT_BUFFER {
            self.bytes.shrink_to(KEPT_BUFFER);
        }
        Ok(Some((message, descriptors)))
    }

    /// The stream has ended here; inside of a message that is an error.
    fn end(&self) -> io::Result<()> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the stream ends inside a message"))
        }
    }

    /// Where the first frame ends and how many descriptors it has, once it is whole.
    fn whole_frame(&self) -> io::Result<Option<(usize, usize)>> {
        let Some((&[a, b, c, d, e, f], _)) = self.bytes.split_first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        let descriptors = usize::from(u16::from_be_bytes([e, f]));
        if length > LARGEST_MESSAGE {
            return Err(invalid(format!(
                "a message of {length} bytes is announced, above {LARGEST_MESSAGE}"
            )));
        }
        if descriptors > MOST_DESCRIPTORS {
            return Err(invalid(format!(
                "{descriptors} file descriptors are announced, above {MOST_DESCRIPTORS}"
            )));
        }
        // They arrive no later than the first byte of their frame, so here they are missing for good.
        if descriptors > self.descriptors.len() {
            return Err(invalid(format!(
                "a message announces {descriptors} file descriptors and {} came",
                self.descriptors.len()
            )));
        }
        let end = PREFIX + length;
        Ok((self.bytes.len() >= end).then_some((end, descriptors)))
    }
}

/// The bytes of a frame.
fn encode<T: Serialize>(message: &T, descriptors: usize) -> io::Result<Vec<u8>> {
    let refuse = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
    if descriptors > MOST_DESCRIPTORS {
        return Err(refuse(format!("{descriptors} file descriptors are above {MOST_DESCRIPTORS} a message")));
    }
    let mut frame = vec![0; PREFIX];
    serde_json::to_writer(&mut frame, message)
        .map_err(|error| refuse(format!("a message cannot be written: {error}")))?;
    let length = frame.len() - PREFIX;
    if length > LARGEST_MESSAGE {
        return Err(refuse(format!("a message of {length} bytes is above {LARGEST_MESSAGE}")));
    }
    let length = u32::try_from(length).map_err(|error| refuse(error.to_string()))?;
    let descriptors = u16::try_from(descriptors).map_err(|error| refuse(error.to_string()))?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame[4..PREFIX].copy_from_slice(&descriptors.to_be_bytes());
    Ok(frame)
}

/// One attempt to write.
fn write(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); ANCILLARY_SIZE];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many file descriptors for one message"));
    }
    let slices = [IoSlice::new(bytes)];
    Ok(rustix::net::sendmsg(socket, &slices, &mut ancillary, SendFlags::NOSIGNAL)?)
}

/// One attempt to read; 0 is the end of the stream.
fn read(
    socket: BorrowedFd<'_>,
    bytes: &mut Vec<u8>,
    descriptors: &mut VecDeque<OwnedFd>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); ANCILLARY_SIZE];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let before = bytes.len();
    bytes.resize(before + READ_SIZE, 0);
    let mut slices = [IoSliceMut::new(&mut bytes[before..])];
    let result = rustix::net::recvmsg(socket, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC);
    bytes.truncate(before + result.as_ref().map_or(0, |received| received.bytes));
    let received = result?;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(arrived) = message {
            descriptors.extend(arrived);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(invalid("file descriptors were lost: is the limit of open files reached?".into()));
    }
    // At most one frame is incomplete, and one more may have come behind it in the same read.
    if descriptors.len() > 2 * MOST_DESCRIPTORS {
        return Err(invalid("more file descriptors than messages have come".into()));
    }
    Ok(received.bytes)
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// A nonblocking socket that joins a runtime when it first has to wait.
#[derive(Debug)]
enum Socket {
    Fresh(OwnedFd),
    Registered(UnixStream),
    /// Registering failed; the error was given to the caller.
    Lost,
}

impl Socket {
    fn new(socket: OwnedFd) -> Self {
        Self::Fresh(socket)
    }

    /// Repeats `attempt` until it does something else than to ask for patience.
    async fn perform<R>(
        &mut self,
        interest: Interest,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        if let Self::Fresh(socket) = self {
            match again(|| attempt(socket.as_fd())) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            let Self::Fresh(socket) = std::mem::replace(self, Self::Lost) else {
                return Err(lost());
            };
            *self = Self::Registered(UnixStream::from_std(socket.into())?);
        }
        let Self::Registered(socket) = self else { return Err(lost()) };
        socket.async_io(interest, || again(|| attempt(socket.as_fd()))).await
    }
}

/// Calls that a signal interrupted are made again.
fn again<R>(mut attempt: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the channel could not be registered with the runtime")
}

#[cfg(test)]
mod tests;
