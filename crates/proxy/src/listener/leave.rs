//! The last act of a listener: its queue is emptied, so that a socket is closed in which nobody waits.
//!
//! When its address is given up, the socket is retired first: no new client reaches it, so that its queue has an end. What the
//! kernel still owes it then are handshakes under way, which are waited for, within [`LONGEST_HANDSHAKES`].

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use evenkeel_sys::socket;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout};

use super::{Socket, Stop, ended_by_client, open_session};
use crate::stream::Stream;
use crate::table::ListenerSlot;
use crate::worker::Worker;

/// How long the other sockets of the address are waited for. A worker that has ended retires none.
const LONGEST_RETIRING: Duration = Duration::from_millis(500);
/// How long handshakes under way are waited for: one that a client has begun and never ends stays for a minute.
const LONGEST_HANDSHAKES: Duration = Duration::from_secs(1);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(2);

/// Takes what waits, then closes the socket, then drops what `stop` brought.
pub(super) async fn empty(
    worker: &Arc<Worker>,
    socket: Socket,
    slot: &ArcSwap<ListenerSlot>,
    stop: Option<Stop>,
) {
    // Out of the poller, which may not have noticed yet what has just come.
    let queue = match Queue::of(socket) {
        Ok(queue) => queue,
        Err(error) => {
            tracing::warn!(%error, listener = %slot.load().name, "what waits at its socket is lost");
            return;
        }
    };
    let (closed, retire) = stop.map(|Stop { closed, retire }| (closed, retire)).unzip();
    if let Some(all) = retire.flatten() {
        if let Err(error) = queue.retire() {
            tracing::debug!(%error, "the socket cannot be retired: who comes right now is reset");
        }
        let _whoever_has_not = timeout(LONGEST_RETIRING, all.wait()).await;
    }
    // Also by the supervisor, which ends.
    let retired = queue.handshakes_end_at();
    let until = Instant::now() + LONGEST_HANDSHAKES;
    // What a processor was doing when the socket was retired is done by the second look.
    for look in 0_u32.. {
        let owed = match retired {
            Some(address) => look == 0 || are_under_way(address).await,
            None => false,
        };
        let is_late = until <= Instant::now();
        if let Err(error) = take_all(worker, &queue, slot) {
            tracing::warn!(%error, listener = %slot.load().name, "cannot accept the last who wait");
            if is_late {
                break;
            }
        } else if !owed || is_late {
            break;
        }
        sleep(PAUSE).await;
    }
    drop(queue);
    drop(closed);
}

/// Asks the kernel on another thread: a machine with many connections takes a moment to answer.
async fn are_under_way(address: SocketAddr) -> bool {
    let asked = tokio::task::spawn_blocking(move || socket::handshakes(address)).await;
    asked.is_ok_and(|told| told.unwrap_or(false))
}

/// Takes what waits now. An error says that nothing can be accepted for now.
fn take_all(worker: &Arc<Worker>, queue: &Queue, slot: &ArcSwap<ListenerSlot>) -> io::Result<()> {
    loop {
        match queue.accept() {
            // The second is what a retired socket may say when it is empty.
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::InvalidInput) => {
                return Ok(());
            }
            Err(error) if ended_by_client(&error) => {}
            accepted => open_session(worker, slot, accepted)?,
        }
    }
}

/// A listening socket outside of the poller.
enum Queue {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Queue {
    fn of(socket: Socket) -> io::Result<Self> {
        match socket {
            Socket::Tcp(socket) => socket.into_std().map(Self::Tcp),
            Socket::Unix(socket) => socket.into_std().map(Self::Unix),
        }
    }

    fn retire(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket::retire(socket.as_fd()),
            Self::Unix(socket) => socket::retire(socket.as_fd()),
        }
    }

    /// Where handshakes under way are to be looked for; `None` when they need not be waited for, or have no end.
    fn handshakes_end_at(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(socket) if socket::is_retired(socket.as_fd()) => socket.local_addr().ok(),
            Self::Tcp(_) | Self::Unix(_) => None,
        }
    }

    fn accept(&self) -> io::Result<(Stream, Option<IpAddr>)> {
        match self {
            Self::Tcp(socket) => {
                let (stream, peer) = socket.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Stream::accepted(TcpStream::from_std(stream)?, peer))
            }
            Self::Unix(socket) => {
                let (stream, _) = socket.accept()?;
                stream.set_nonblocking(true)?;
                Ok((Stream::Unix(UnixStream::from_std(stream)?), None))
            }
        }
    }
}
