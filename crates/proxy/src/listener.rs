//! Accepts connections from one listening socket and starts a session for each.

mod leave;

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use evenkeel_config::plan::Mode;
use evenkeel_traffic::address::Address;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Barrier, mpsc, oneshot, watch};

use crate::departing::{Guest, Kind};
use crate::run::Slot;
use crate::session;
use crate::stream::Stream;
use crate::table::ListenerSlot;
use crate::worker::Worker;

/// How long accepting pauses when the process or the system is out of file descriptors or memory.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// A listening socket in this worker's runtime.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Takes over a socket that the supervisor opened.
pub(crate) fn open(bind: &Address, socket: OwnedFd) -> io::Result<Socket> {
    match bind {
        Address::Tcp(_) => {
            // Heads and small bodies must not wait for an acknowledgement. Accepted connections inherit it, which
            // spares each a system call.
            evenkeel_sys::socket::send_at_once(socket.as_fd())?;
            TcpListener::from_std(socket.into()).map(Socket::Tcp)
        }
        Address::Unix(_) => UnixListener::from_std(socket.into()).map(Socket::Unix),
    }
}

impl Socket {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Option<IpAddr>)>> {
        match self {
            Self::Tcp(socket) => socket
                .poll_accept(cx)
                .map(|accepted| accepted.map(|(stream, peer)| Stream::accepted(stream, peer))),
            Self::Unix(socket) => socket
                .poll_accept(cx)
                .map(|accepted| accepted.map(|(stream, _)| (Stream::Unix(stream), None))),
        }
    }
}

/// How a listener is told to accept no more. What it brings is dropped when the socket is closed.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) closed: mpsc::Sender<()>,
    /// The address is given up: its sockets are retired, and whoever has retired his waits here for the others. `None`:
    /// somebody else may go on accepting from the same socket.
    pub(crate) retire: Option<Arc<Barrier>>,
}

/// Waits for `begin` to name its listener, then accepts until `stopped` says so; then takes what already waits, so that no client that the
/// kernel has let in is reset, closes the socket, and drops what `stopped` brought. When `begin` ends without a word, the
/// socket is closed and nothing was accepted.
pub(crate) async fn accept(
    worker: Arc<Worker>,
    socket: Socket,
    mut begin: watch::Receiver<Option<Slot>>,
    mut stopped: oneshot::Receiver<Stop>,
) {
    let slot = match begin.wait_for(Option::is_some).await.as_deref() {
        Ok(Some(slot)) => slot.clone(),
        _ => return,
    };
    drop(begin);
    let stop = loop {
        let next = async {
            worker.connections.room().await;
            poll_fn(|cx| socket.poll_accept(cx)).await
        };
        let accepted = tokio::select! {
            biased;
            stop = &mut stopped => break stop,
            accepted = next => accepted,
        };
        if let Err(error) = open_session(&worker, &slot, accepted) {
            tracing::warn!(%error, listener = %slot.load().name, "cannot accept; trying again in {EXHAUSTED_PAUSE:?}");
            tokio::time::sleep(EXHAUSTED_PAUSE).await;
        }
    };
    leave::empty(&worker, socket, &slot, stop.ok()).await;
}

/// Starts the session of one accepted connection. An error says that nothing can be accepted for now.
fn open_session(
    worker: &Arc<Worker>,
    slot: &ArcSwap<ListenerSlot>,
    accepted: io::Result<(Stream, Option<IpAddr>)>,
) -> io::Result<()> {
    let (stream, peer) = match accepted {
        Ok(accepted) => accepted,
        Err(error) if ended_by_client(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    let slot = slot.load_full();
    let counted = Counted::begin(worker.clone(), slot, &stream);
    let current = counted.slot.current.load();
    let proxy = current.plan.proxy_protocol.as_ref();
    let believed = proxy.filter(|proxy| session::announced::is_believed(proxy, peer));
    let required = believed.map(|proxy| proxy.required);
    drop(current);
    match required {
        Some(required) => session::announced::begin(stream, peer, counted, required),
        None => session::open(stream, peer, counted),
    }
    Ok(())
}

/// Errors of one connection that was gone before it was accepted (accept(2)).
fn ended_by_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::NotConnected
    )
}

/// A client connection while it is counted.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) worker: Arc<Worker>,
    pub(crate) slot: Arc<ListenerSlot>,
    /// In a box: with eight bytes more an idle connection would take a hundred.
    rare: Option<Box<Rare>>,
}

/// What few connections have.
#[derive(Debug, Default)]
struct Rare {
    /// What a proxy in front has said: where the client comes from, and where it has connected to.
    announced: Option<(SocketAddr, SocketAddr)>,
    /// Its place among the connections to one address; `None` where these are not counted.
    guest: Option<Guest>,
}

impl Counted {
    fn begin(worker: Arc<Worker>, slot: Arc<ListenerSlot>, stream: &Stream) -> Self {
        worker.connections.begin();
        let counters = slot.counters.of(worker.index);
        counters.connections.add(1);
        counters.connections_total.add(1);
        let kind = match slot.current.load().plan.mode {
            Mode::Http(_) => Kind::Http1,
            Mode::Tcp(_) => Kind::Tcp,
        };
        let guest = worker.connections.departing.enter(kind, || stream.local_ip());
        let rare = guest.map(|guest| Box::new(Rare { announced: None, guest: Some(guest) }));
        Self { worker, slot, rare }
    }

    fn guest(&self) -> Option<&Guest> {
        self.rare.as_ref()?.guest.as_ref()
    }

    /// What a proxy in front has said: where the client comes from, and where it has connected to.
    pub(crate) fn announced(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.rare.as_ref()?.announced
    }

    /// A proxy in front has said this.
    pub(crate) fn announce(&mut self, addresses: (SocketAddr, SocketAddr)) {
        self.rare.get_or_insert_default().announced = Some(addresses);
    }

    /// Says whether the connection should end when it next can, soon.
    pub(crate) fn is_ending(&self) -> bool {
        self.worker.connections.is_draining() || self.slot.removed.load(Ordering::Relaxed)
    }

    /// The same, but for that it may go on for as long as its client has nothing new to ask for: clients that come again reach
    /// another machine.
    pub(crate) fn is_leaving(&self) -> bool {
        self.is_ending() || self.guest().is_some_and(Guest::departs)
    }

    /// It speaks HTTP/2 from now on.
    pub(crate) fn is_http2(&self) {
        if let Some(guest) = self.guest() {
            guest.becomes(Kind::Http2);
        }
    }

    /// It is a tunnel from now on, unless only a part of it is.
    pub(crate) fn is_tunnel(&self) {
        if let Some(guest) = self.guest() {
            guest.becomes_tunnel();
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.slot.counters.of(self.worker.index).connections.subtract(1);
        self.worker.connections.end();
    }
}
