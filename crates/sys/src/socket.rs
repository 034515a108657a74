//! Listening sockets, as the supervisor opens them for the roles.
//!
//! Invariants: every socket is nonblocking, closed on exec and listens with [`BACKLOG`]; a socket that another program
//! holds is never shared by accident; what fails says the address, the reason and the cure.

mod error;
mod owner;
mod tcp;
mod unix;

pub use error::BindError;
pub use tcp::listen_tcp;
pub use unix::{UnixName, listen_unix};

/// Connections that may wait for a worker to take them, on each socket. The kernel lowers it to `net.core.somaxconn`,
/// whose default is the same.
pub const BACKLOG: i32 = 4096;

/// Looks at one waiting byte without taking it: `Ok(1)` when there is one, `Ok(0)` when the other side has ended its
/// direction.
///
/// # Errors
/// `WouldBlock` when nothing waits; anything else when the connection is broken.
pub fn peek(socket: std::os::fd::BorrowedFd<'_>) -> std::io::Result<usize> {
    use rustix::net::RecvFlags;
    let mut byte = [0_u8; 1];
    let (_, count) = rustix::net::recv(socket, &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT)?;
    Ok(count)
}
