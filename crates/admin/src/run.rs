//! The admin role from its first order to its end.

use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use axum::{Extension, Router};
use evenkeel_sys::channel::{Channel, Receiver};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::api::{self, By};
use crate::desk::{self, Desk};
use crate::message::{Door, Order, Word};

/// Connections at once, at each door; further ones wait in the kernel.
pub const MOST_CONNECTIONS: usize = 64;
/// The largest head of a request, in bytes; then 431. Bodies have a bound of their own ([`api::LARGEST_BODY`]).
pub const LARGEST_HEAD: usize = 16 * 1024;
/// How long a client may take for the head of a request, the idle time before it included.
pub const LONGEST_HEAD: Duration = Duration::from_secs(30);
/// How long one connection may last, so that a client that does not read cannot keep its place for ever.
pub const LONGEST_CONNECTION: Duration = Duration::from_secs(300);
/// How long the answers under way may take when the role ends.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// The pause after a failed accept: it fails when files or memory are short, and again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the supervisor orders the end or is gone.
///
/// # Errors
/// When no runtime can be made, the sockets cannot be used or the supervisor says what makes no sense.
pub fn run(channel: Channel) -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(channel))
}

async fn serve(channel: Channel) -> io::Result<()> {
    let (sender, mut receiver) = channel.split();
    let Some((Order::Serve { doors, token, history }, sockets)) = receiver.receive().await? else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the first order was not to serve"));
    };
    if doors.len() != sockets.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "there is not one socket for each door"));
    }
    let (desk, outbox) = Desk::new();
    desk.set_token(token);
    history.into_iter().for_each(|event| desk.events().add(event));
    let speaking = tokio::spawn(desk::speak(outbox, sender));
    // Everything that serves holds a receiver of `end`, and a sender of `busy` that is never used: when the last one
    // is dropped, all is done.
    let (end, ending) = watch::channel(false);
    let (busy, mut idle) = mpsc::channel::<Infallible>(1);
    for (door, socket) in doors.into_iter().zip(sockets) {
        let router = api::router(desk.clone(), door);
        let work = Work { router, ending: ending.clone(), busy: busy.clone() };
        match Listener::new(door, socket)? {
            Listener::Unix(listener) => {
                tokio::spawn(accept(work, async move || {
                    let (stream, _) = listener.accept().await?;
                    let by = user(&stream);
                    Ok((stream, by))
                }));
            }
            Listener::Tcp(listener) => {
                tokio::spawn(accept(work, async move || {
                    let (stream, peer) = listener.accept().await?;
                    Ok((stream, format!("{peer}")))
                }));
            }
        }
    }
    drop(busy);
    desk.say(Word::Serving).await;
    let result = obey(&mut receiver, &desk).await;
    // Whoever still waits for an answer gets one that says that there is none.
    desk.close();
    let _ = end.send(true);
    let _ = tokio::time::timeout(LAST_ANSWERS, idle.recv()).await;
    speaking.abort();
    result
}

/// Takes orders until the last.
async fn obey(receiver: &mut Receiver, desk: &Desk) -> io::Result<()> {
    while let Some((order, _)) = receiver.receive().await? {
        match order {
            Order::Answer { id, answer } => desk.answer(id, answer),
            Order::Token(token) => desk.set_token(token),
            Order::Event(event) => desk.events().add(event),
            Order::End => return Ok(()),
            Order::Serve { .. } => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a second order to serve"));
            }
        }
    }
    tracing::warn!("the supervisor is gone; the admin role ends");
    Ok(())
}

enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    /// The supervisor has made the sockets nonblocking.
    fn new(door: Door, socket: OwnedFd) -> io::Result<Self> {
        Ok(match door {
            Door::Control => Self::Unix(UnixListener::from_std(socket.into())?),
            Door::Loopback | Door::Network => Self::Tcp(TcpListener::from_std(socket.into())?),
        })
    }
}

/// What one door needs to serve.
#[derive(Clone)]
struct Work {
    router: Router,
    ending: watch::Receiver<bool>,
    busy: mpsc::Sender<Infallible>,
}

/// Who is at the other end of a unix socket.
fn user(stream: &UnixStream) -> String {
    match stream.peer_cred() {
        Ok(peer) => match peer.pid() {
            Some(pid) => format!("uid {} (pid {pid})", peer.uid()),
            None => format!("uid {}", peer.uid()),
        },
        Err(_) => "somebody on the control socket".to_owned(),
    }
}

async fn accept<S>(mut work: Work, accept: impl AsyncFn() -> io::Result<(S, String)>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let places = std::sync::Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        // Never closed, so there is always a place some time.
        let Ok(place) = std::sync::Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = accept() => accepted,
            _ = work.ending.wait_for(|ending| *ending) => return,
        };
        match accepted {
            Ok((stream, by)) => {
                let mut work = work.clone();
                work.router = work.router.layer(Extension(By(by.into())));
                tokio::spawn(async move {
                    converse(work, stream).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection to the API: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection to its end.
async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(work: Work, stream: S) {
    let Work { router, mut ending, busy } = work;
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(LONGEST_HEAD)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let conversation = async {
        tokio::select! {
            done = connection.as_mut() => return done,
            _ = ending.wait_for(|ending| *ending) => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    // A client that breaks off or talks nonsense is its own affair.
    if let Ok(Err(error)) = tokio::time::timeout(LONGEST_CONNECTION, conversation).await {
        tracing::debug!("a connection to the API broke: {error}");
    }
    drop(busy);
}

#[cfg(test)]
mod tests;
