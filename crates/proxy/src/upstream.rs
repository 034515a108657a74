//! Connections to servers: one that is open already, or a new one.

mod connection;
mod exchange;
mod multiplexed;
mod reach;
mod vitals;

use evenkeel_config::plan::{self, SendProxy};
use evenkeel_http::answer::Reason;
use rustls::HandshakeKind;
use tokio::time::Instant;

use crate::announce::OfClient;
use crate::idle::{Certainty, Wanted};
use crate::stream::Stream;
use crate::table::{Pool, Server, ServerCounters};
use crate::tls::connector::{Failure, Speaks, Towards};

pub(crate) use multiplexed::Multiplexed;
pub(crate) use reach::{Need, alone, reach};

/// A connection to a server, ready for a request.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) stream: Stream,
    /// It has carried a request before, so the server may close it at any moment.
    pub(crate) reused: bool,
}

/// Takes an open connection to `server` that nobody uses, for a request to `host`.
pub(crate) fn reuse(
    server: &Server,
    pool: &plan::Pool,
    worker: usize,
    (now, certainty): (Instant, Certainty),
    host: &[u8],
) -> Option<Upstream> {
    if pool.keep_alive.is_zero() {
        return None;
    }
    let name = server.tls.as_ref().and_then(|tls| tls.name_of(host));
    let wanted = Wanted { age: pool.keep_alive, certainty, manner: server.manner(), name: name.as_ref() };
    let stream = server.state.idle.take(worker, now, wanted)?;
    server.state.counters.of(worker).reused_total.add(1);
    Some(Upstream { stream, reused: true })
}

/// What a connection is for.
#[derive(Clone, Copy)]
pub(crate) struct To<'t> {
    /// The host of the request; empty without one.
    pub(crate) host: &'t [u8],
    pub(crate) speaks: Speaks,
    pub(crate) whom: OfClient<'t>,
}

/// Why no connection could be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotOpened {
    /// What a client is told when no other server was better. `None` leaves that to the state of the pool.
    pub(crate) reason: Option<Reason>,
    /// The server has failed; else the client may have caused it.
    pub(crate) blames_server: bool,
}

impl NotOpened {
    /// No place, which is nobody's fault.
    fn full(reason: Reason) -> Self {
        Self { reason: Some(reason), blames_server: false }
    }
}

/// Opens a connection to `server` within the pool's `connect-timeout`, for a request to `host`. A failure is counted and
/// remembered.
pub(crate) async fn connect(
    server: &Server,
    pool: &Pool,
    worker: usize,
    to: To<'_>,
) -> Result<Upstream, NotOpened> {
    let counters = server.state.counters.of(worker);
    let address = &server.plan.address;
    let patience = pool.plan.connect_timeout;
    let deadline = Instant::now() + patience;
    let (why, reason, blames_server) = match tokio::time::timeout_at(deadline, Stream::connect(address)).await
    {
        Ok(Ok(stream)) => {
            let prepared = match (&server.tls, pool.plan.send_proxy) {
                (None, None) => Ok(stream),
                // Apart, so that requests that need none of it are no larger for it.
                (_, form) => Box::pin(prepare(server, stream, (to, form), deadline, counters)).await,
            };
            match prepared {
                Ok(stream) => {
                    counters.opened_total.add(1);
                    return Ok(Upstream { stream, reused: false });
                }
                Err(NotPrepared::Handshake(failure, why)) => {
                    let of_client =
                        server.tls.as_ref().is_some_and(|tls| tls.blames_client(to.speaks, failure));
                    (format!("no TLS with {address}: {why}"), Some(failure.reason()), !of_client)
                }
                Err(NotPrepared::Header(error)) => {
                    (format!("cannot send the PROXY header to {address}: {error}"), None, true)
                }
            }
        }
        Ok(Err(error)) => (format!("cannot connect to {address}: {error}"), None, true),
        Err(_) => (format!("cannot connect to {address} within {patience:?}"), None, true),
    };
    counters.connect_failures_total.add(1);
    tracing::debug!(pool = %pool.plan.name, server = %server.plan.name, "{why}");
    if blames_server {
        pool.failed(server, why);
    } else {
        server.state.failed(why);
    }
    Err(NotOpened { reason, blames_server })
}

/// Why a connection that was opened is no use.
enum NotPrepared {
    Handshake(Failure, String),
    Header(std::io::Error),
}

/// Says who the client is and shakes hands, as far as the server wants that.
async fn prepare(
    server: &Server,
    mut stream: Stream,
    (to, form): (To<'_>, Option<SendProxy>),
    deadline: Instant,
    counters: &ServerCounters,
) -> Result<Stream, NotPrepared> {
    if let Some(form) = form {
        let told = tokio::time::timeout_at(deadline, to.whom.tell(&mut stream, form)).await;
        told.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())).map_err(NotPrepared::Header)?;
    }
    let Some(tls) = &server.tls else { return Ok(stream) };
    let shaken = shake_hands(tls, stream, (to.host, to.speaks), deadline, counters).await;
    shaken.map_err(|(failure, why)| NotPrepared::Handshake(failure, why))
}

/// Shakes hands, and counts what came of it.
async fn shake_hands(
    tls: &Towards,
    stream: Stream,
    (host, speaks): (&[u8], Speaks),
    deadline: Instant,
    counters: &ServerCounters,
) -> Result<Stream, (Failure, String)> {
    let (failure, why) = match tokio::time::timeout_at(deadline, tls.connect(stream, host, speaks)).await {
        Ok(Ok((stream, kind))) => {
            counters.handshakes_total.add(1);
            counters.resumed_total.add(u64::from(kind == HandshakeKind::Resumed));
            return Ok(stream);
        }
        Ok(Err(failed)) => (failed.failure, failed.why),
        Err(_) => (Failure::Timeout, "it did not shake hands in time".to_owned()),
    };
    counters.handshake_failures_total[failure as usize].add(1);
    Err((failure, why))
}
