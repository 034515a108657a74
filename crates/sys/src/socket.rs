//! Listening sockets, as the supervisor opens them for the roles.
//!
//! Invariants: every socket is nonblocking, closed on exec and listens with [`BACKLOG`]; a socket that another program
//! holds is never shared by accident; what fails says the address, the reason and the cure.

mod error;
mod owner;
mod retire;
mod stranger;
mod tcp;
mod unix;

pub use error::BindError;
pub use retire::{handshakes, is_retired, retire};
pub use stranger::only_from;
pub use tcp::listen_tcp;
pub use unix::{UnixName, listen_unix};

/// Connections that may wait for a worker to take them, on each socket. The kernel lowers it to `net.core.somaxconn`,
/// whose default is the same.
pub const BACKLOG: i32 = 4096;

/// Reads what waits, without the C library between: its calls are points of cancellation, which costs as much as a small
/// part of the call. `Ok(0)` is the end of the other side's direction.
///
/// # Errors
/// `WouldBlock` when nothing waits; anything else when the connection is broken.
pub fn receive(socket: std::os::fd::BorrowedFd<'_>, into: &mut [u8]) -> std::io::Result<usize> {
    let (_, count) = rustix::net::recv(socket, into, rustix::net::RecvFlags::DONTWAIT)?;
    Ok(count)
}

/// Sends as much of `bytes` as there is room for, as [`receive`] reads.
///
/// # Errors
/// `WouldBlock` when there is no room; anything else when the connection is broken.
pub fn send(socket: std::os::fd::BorrowedFd<'_>, bytes: &[u8]) -> std::io::Result<usize> {
    use rustix::net::SendFlags;
    Ok(rustix::net::send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
}

/// Sends `bytes` as [`send`] does; when there is room for all of them they are the last, and the end of our direction goes
/// along with them in one packet.
///
/// # Errors
/// As [`send`].
pub fn send_last(socket: std::os::fd::BorrowedFd<'_>, bytes: &[u8]) -> std::io::Result<usize> {
    use rustix::net::{SendFlags, Shutdown};
    // The kernel keeps back what is no full packet until more is said, which follows at once.
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL | SendFlags::MORE;
    let count = rustix::net::send(socket, bytes, flags)?;
    if count == bytes.len() {
        rustix::net::shutdown(socket, Shutdown::Write)?;
    }
    Ok(count)
}

/// Sends what is written at once, however little it is, instead of waiting for acknowledgements (TCP_NODELAY).
///
/// # Errors
/// When it is no TCP socket.
pub fn send_at_once(socket: std::os::fd::BorrowedFd<'_>) -> std::io::Result<()> {
    Ok(rustix::net::sockopt::set_tcp_nodelay(socket, true)?)
}

/// Keeps the kernel from making the room for what comes in larger by itself, or lets it do so again (SO_BUF_LOCK, Linux 5.15).
///
/// # Errors
/// When it is no socket, or the kernel does not know the option.
pub fn hold_receive_buffer(socket: std::os::fd::BorrowedFd<'_>, is_held: bool) -> std::io::Result<()> {
    /// The lock's bit for receiving; that for sending is never set here.
    const SOCK_RCVBUF_LOCK: i32 = 2;
    let lock = if is_held { SOCK_RCVBUF_LOCK } else { 0 };
    crate::calls::set_option(&socket, libc::SOL_SOCKET, libc::SO_BUF_LOCK, lock)
}

/// Lets more bytes wait for the other side, which takes them fast: at most 1 MiB beside those that are on their way
/// (TCP_NOTSENT_LOWAT). On a socket of [`listen_tcp`] it is a quarter of that until then.
///
/// # Errors
/// When it is no TCP socket.
pub fn let_more_wait(socket: std::os::fd::BorrowedFd<'_>) -> std::io::Result<()> {
    let option = libc::TCP_NOTSENT_LOWAT;
    crate::calls::set_option(&socket, libc::IPPROTO_TCP, option, tcp::MOST_UNSENT_OF_FAST)
}

/// Bytes that were sent and that the other side has not taken yet: not confirmed (TCP), or not read (unix).
///
/// # Errors
/// When it is no socket of these kinds.
pub fn unconfirmed(socket: std::os::fd::BorrowedFd<'_>) -> std::io::Result<u64> {
    Ok(u64::try_from(crate::calls::queued(socket)?).unwrap_or(0))
}

/// Looks at one waiting byte without taking it: `Ok(1)` when there is one, `Ok(0)` when the other side has ended its
/// direction.
///
/// # Errors
/// `WouldBlock` when nothing waits; anything else when the connection is broken.
pub fn peek(socket: std::os::fd::BorrowedFd<'_>) -> std::io::Result<usize> {
    peek_into(socket, &mut [0])
}

/// Looks at what waits, as much as `into` holds, without taking it.
///
/// # Errors
/// As [`peek`].
pub fn peek_into(socket: std::os::fd::BorrowedFd<'_>, into: &mut [u8]) -> std::io::Result<usize> {
    use rustix::net::RecvFlags;
    let (_, count) = rustix::net::recv(socket, into, RecvFlags::PEEK | RecvFlags::DONTWAIT)?;
    Ok(count)
}
